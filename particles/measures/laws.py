"""Initial laws mu0 on R^d: samples of M particles, or weighted atoms that stand for the law itself (M = infinity).

To add a law: subclass `Law` with `dim`, `draw` and `from_cube` (and `rule` where a Gauss rule is known).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import number, real_array, whole
from particles.errors import InputError
from particles.measures import quadrature as rules
from particles.measures.measure import Array, Measure, atoms_of, checked_count, checked_signs
from particles.measures.random_streams import Purpose, checked_seed, generator

# Rows are always drawn a whole block at a time, so that row r depends on (seed, r) alone, however many are asked for.
ROWS = 256


class Law(ABC):
    """A probability law on R^dim.

    >>> small, large = mf.Gaussian(2).sample(64, seed=0), mf.Gaussian(2).sample(4096, seed=0)
    >>> bool((small.b == large.b[:64]).all())
    True
    """

    dim: int

    @abstractmethod
    def draw(self, random: np.random.Generator, count: int) -> Array:
        """`count` independent points: (count, dim)."""

    @abstractmethod
    def from_cube(self, u: Array) -> Array:
        """Points whose law is this one when u is uniform on the unit cube: (k, cube_dim) -> (k, dim)."""

    @property
    def cube_dim(self) -> int:
        """How many uniform numbers `from_cube` wants a point."""
        return self.dim

    def rule(self, nodes: int) -> tuple[Array, Array] | None:
        """A Gauss rule of at least `nodes` points and its weights, or None where there is no good one."""
        return None

    def replicated(self, nodes: int, replicate: int, random: np.random.Generator) -> rules.Rule | None:
        """Another rule of about as many nodes, whose error differs: larger, and turned where the law is isotropic."""
        rule = self.rule(rules.larger(nodes, self.dim, replicate))
        return rule and (rule[0] @ rules.rotation(self.dim, random), rule[1]) if self.isotropic else rule

    def rows(self, seed: int, first: int, last: int, purpose: Purpose = Purpose.POSITION) -> Array:
        """Rows [first, last) of the endless sample of this seed: (last - first, dim)."""
        blocks = range(first // ROWS, max(first // ROWS + 1, -(-last // ROWS)))
        drawn = [self.draw(generator(seed, purpose, block), ROWS) for block in blocks]
        return np.concatenate(drawn)[first - blocks.start * ROWS : last - blocks.start * ROWS]

    def sample(self, count: int, seed: int, signs: str = "positive") -> Measure:
        """`count` equal random atoms; the first 64 of 4096 are the 64 of the same seed.

        signs: "positive" (all +1), "random" (independent +-1), "symmetric" (the second half repeats the first with the
        other sign, so that g = 0: section 3.2; `count` must be even, and it is the halves that nest).
        """
        return atoms_of(self.particles(count, seed, signs))

    def particles(self, count: int, seed: int, signs: str = "positive") -> "Sample":
        """The same atoms, made only when a population asks for them: for clouds that fill the memory."""
        return Sample(self, checked_count(count, signs), checked_seed(seed), signs)

    @property
    def isotropic(self) -> bool:
        """Whether a rotation leaves the law as it is."""
        return False

    def quadrature(
        self, nodes: int, signs: str = "positive", along: ArrayLike | None = None, replicate: int | None = None
    ) -> Measure:
        """At least `nodes` deterministic weighted atoms that stand for the law.

        Tensor Gauss rules up to dimension 3, a scrambled Sobol sequence with mirror images beyond. With signs other
        than "positive" every point appears with both signs. along: inputs (n, dim); an isotropic law's Sobol points are
        turned so that their first coordinates, the most even ones, lie along the inputs' principal axes (on 31
        measured inputs this halved the error of the limit's predictions).

        replicate: None is the rule that everyone gets. The rules 0, 1, 2, ... have independent errors of the same size,
        so that their scatter tells it: Sobol points by independent scrambles, low-dimensional rules by `replicated`.
        """
        nodes = whole("nodes", nodes, 1)
        checked_signs(signs)
        if replicate is None:
            rule = self.rule(nodes)
            b, w = rule or rules.sobol(self.from_cube, self.cube_dim, nodes)
        else:
            random = generator(whole("replicate", replicate, 0), Purpose.QUADRATURE)
            rule = self.replicated(nodes, replicate, random)
            b, w = rule or rules.sobol(self.from_cube, self.cube_dim, nodes, int(random.integers(2**63)))
        if rule is None and along is not None and self.isotropic:
            inputs = real_array("`along`", along)
            if inputs.ndim != 2 or inputs.shape[1] != self.dim:
                raise InputError(f"`along` must have shape (n, {self.dim})", str(inputs.shape), "Append the bias's 1s.")
            b = b @ rules.principal_axes(inputs).T
        s = np.ones(len(b))
        if signs != "positive":
            b, s, w = np.concatenate([b, b]), np.concatenate([s, -s]), np.concatenate([w, w]) / 2.0
        return Measure(np.ascontiguousarray(b), s, w / w.sum())

    @property
    def replicates(self) -> int:
        """How many rules of one size, `quadrature(..., replicate=k)`, tell an error."""
        return rules.SCRAMBLES if self.rule(2) is None else rules.TENSORS

    def quadrature_error(self, nodes: int, function: Callable[[Array], NDArray[Any]]) -> float:
        """How far the mean of a test function by `quadrature(nodes)` is from the law's, with 95% confidence.

        Its distance from a rule of R times the nodes, and what the scatter of R rules of its own size leaves open
        about that one (Student's interval; their common distance from it counts too). function : (M, dim) -> (M,) or
        (M, k), of which the worst counts.

        >>> law = mf.Gaussian(5)
        >>> law.quadrature_error(1024, lambda b: (b**2).sum(axis=1)) < 0.02
        True
        """

        def mean(atoms: Measure) -> NDArray[Any]:
            return np.asarray(np.tensordot(atoms.w, np.asarray(function(atoms.b)), axes=1))

        values = [mean(self.quadrature(nodes, replicate=k)) for k in range(self.replicates)]
        finer = mean(self.quadrature(len(values) * nodes))
        open_still = np.hypot(rules.half_width(values), finer - np.mean(values, axis=0))
        return float(np.max(np.abs(mean(self.quadrature(nodes)) - finer) + open_still))


@dataclass(frozen=True)
class Sample:
    """The equal random atoms of (law, seed), any part of them on request (`Law.particles`)."""

    law: Law
    count: int
    seed: int
    signs: str

    @property
    def dim(self) -> int:
        return self.law.dim

    @property
    def equal_signs(self) -> bool:
        return self.signs == "positive"

    @property
    def equal_weights(self) -> bool:
        return True

    def weights(self, first: int, last: int) -> Array:
        """w (last - first,): equal ones."""
        return np.full(last - first, 1.0 / self.count)

    def cut(self, first: int, last: int) -> "Sample":
        """The law and the seed are all that anyone needs."""
        return self

    def part(self, first: int, last: int) -> tuple[Array, Array]:
        """b (last - first, dim) and s (last - first,) of atoms [first, last)."""
        if self.signs == "symmetric":
            half = self.count // 2
            runs = [(first, min(last, half)), (max(first, half) - half, last - half)]
            b = np.concatenate([self.law.rows(self.seed, *run) for run in runs if run[0] < run[1]])
            return b, np.where(np.arange(first, last) < half, 1.0, -1.0)
        s: Array = np.ones(last - first)
        if self.signs == "random":
            begin = first // ROWS
            drawn = [
                generator(self.seed, Purpose.SIGN, block).integers(0, 2, ROWS)
                for block in range(begin, -(-last // ROWS))
            ]
            s = np.asarray(2.0 * np.concatenate(drawn)[first - begin * ROWS : last - begin * ROWS] - 1.0)
        return self.law.rows(self.seed, first, last), s


def _checked_dim(dim: int) -> None:
    whole("dim", dim, 1, remedy="Give the number of inputs, a bias counted in.")


@dataclass(frozen=True)
class Gaussian(Law):
    """N(mean, std^2 I) on R^dim.

    >>> round(float(mf.Gaussian(2, std=3.0).sample(4096, seed=0).b.std()), 1)
    3.0
    >>> limit = mf.Gaussian(2, std=3.0).quadrature(100)
    >>> len(limit.w), round(float(limit.w @ limit.b[:, 0] ** 2), 6)
    (100, 9.0)
    """

    dim: int
    std: float = 1.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        _checked_dim(self.dim)
        number("std", self.std, above=0.0)
        number("mean", self.mean)

    @property
    def isotropic(self) -> bool:
        return self.mean == 0.0

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.mean + self.std * random.standard_normal((count, self.dim))

    def from_cube(self, u: Array) -> Array:
        return self.mean + self.std * rules.normal_quantile(u)

    def rule(self, nodes: int) -> tuple[Array, Array] | None:
        found = rules.tensor(rules.hermite, self.dim, nodes)
        return found and (self.mean + self.std * found[0], found[1])

    def replicated(self, nodes: int, replicate: int, random: np.random.Generator) -> rules.Rule | None:
        found = rules.tensor(rules.hermite, self.dim, rules.larger(nodes, self.dim, replicate))
        return found and (self.mean + self.std * found[0] @ rules.rotation(self.dim, random), found[1])


@dataclass(frozen=True)
class Sphere(Law):
    """Uniform on the sphere of this radius in R^dim.

    >>> np.linalg.norm(mf.Sphere(3, radius=2.0).sample(4, seed=0).b, axis=1).round(6)
    array([2., 2., 2., 2.])
    """

    dim: int
    radius: float = 1.0

    def __post_init__(self) -> None:
        _checked_dim(self.dim)
        number("radius", self.radius, above=0.0)

    @property
    def isotropic(self) -> bool:
        return True

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.radius * rules.unit(random.standard_normal((count, self.dim)))

    def from_cube(self, u: Array) -> Array:
        return self.radius * rules.unit(rules.normal_quantile(u))

    def rule(self, nodes: int) -> tuple[Array, Array] | None:
        found = rules.sphere(self.dim, nodes)
        return found and (self.radius * found[0], found[1])


@dataclass(frozen=True)
class Ball(Law):
    """Uniform in the ball of this radius in R^dim.

    >>> limit = mf.Ball(2).quadrature(100)
    >>> round(float(limit.w @ np.sum(limit.b**2, axis=1)), 6)
    0.5
    """

    dim: int
    radius: float = 1.0

    def __post_init__(self) -> None:
        _checked_dim(self.dim)
        number("radius", self.radius, above=0.0)

    @property
    def isotropic(self) -> bool:
        return True

    # The first dim coordinates of a uniform point on the sphere in R^(dim + 2) are uniform in the ball.

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.radius * rules.unit(random.standard_normal((count, self.dim + 2)))[:, : self.dim]

    @property
    def cube_dim(self) -> int:
        return self.dim + 2

    def from_cube(self, u: Array) -> Array:
        return self.radius * rules.unit(rules.normal_quantile(u))[:, : self.dim]

    def rule(self, nodes: int) -> tuple[Array, Array] | None:
        found = rules.ball(self.dim, nodes)
        return found and (self.radius * found[0], found[1])


@dataclass(frozen=True)
class Uniform(Law):
    """Uniform on the cube [low, high]^dim.

    >>> limit = mf.Uniform(2).quadrature(100)
    >>> round(float(limit.w @ limit.b[:, 0] ** 2), 6)
    0.333333
    """

    dim: int
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _checked_dim(self.dim)
        if not number("low", self.low) < number("high", self.high):
            raise InputError("`low` must be below `high`", f"{self.low} and {self.high}", "Swap or widen them.")

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.low + (self.high - self.low) * random.random((count, self.dim))

    def from_cube(self, u: Array) -> Array:
        return self.low + (self.high - self.low) * u

    def rule(self, nodes: int) -> tuple[Array, Array] | None:
        found = rules.tensor(rules.legendre, self.dim, nodes)
        return found and (self.low + (self.high - self.low) * found[0], found[1])

    def replicated(self, nodes: int, replicate: int, random: np.random.Generator) -> rules.Rule | None:
        cuts = iter(random.uniform(0.25, 0.75, self.dim))
        found = rules.tensor(lambda m: rules.legendre_parts(m, next(cuts)), self.dim, nodes)
        return found and (self.low + (self.high - self.low) * found[0], found[1])


class Atoms(Law):
    """The user's own weighted points: (k, dim), weights (k,) or equal ones. Its quadrature is the points themselves.

    >>> mf.Atoms([[0.0, 1.0], [1.0, 0.0]], weights=[0.25, 0.75]).quadrature(2).w
    array([0.25, 0.75])
    """

    def __init__(self, points: ArrayLike, weights: ArrayLike | None = None) -> None:
        self.points = np.array(real_array("`points`", points))
        if self.points.ndim != 2 or self.points.size == 0:
            raise InputError("`points` must be finite, of shape (k, dim), k >= 1", str(self.points.shape), "")
        count = len(self.points)
        given = np.full(count, 1.0 / count) if weights is None else weights
        self.weights = np.array(real_array("`weights`", given, finite=False))
        total = self.weights.sum()
        if self.weights.shape != (count,) or not (self.weights >= 0).all() or not 0 < total < np.inf:
            told = f"shape {self.weights.shape}, sum {total:g}"
            raise InputError("`weights` must be finite and >= 0, one a point, not all zero", told, "")
        self.weights /= self.weights.sum()
        self.dim = self.points.shape[1]

    def __repr__(self) -> str:
        """By its contents, since a run's configuration is told apart by this."""
        digest = blake2b(self.points.tobytes() + self.weights.tobytes(), digest_size=6).hexdigest()
        return f"Atoms({len(self.points)} points, dim={self.dim}, {digest})"

    @property
    def cube_dim(self) -> int:
        return 1

    def from_cube(self, u: Array) -> Array:
        edges = np.cumsum(self.weights)
        edges[-1] = 1.0
        return self.points[np.searchsorted(edges, u[:, 0], side="right")]

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.from_cube(random.random((count, 1)))

    def rule(self, nodes: int) -> tuple[Array, Array] | None:
        return self.points, self.weights
