"""A probability law on R^d: M independent particles, or weighted atoms that stand for the law itself (M = infinity)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import check_settings, real_array, whole
from particles.errors import InputError
from particles.measures.measure import Array, Measure, atoms_of, checked_count, checked_signs
from particles.measures.quadrature import SCRAMBLES, TENSORS, Rule, half_width, larger, principal_axes, rotation, sobol
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

    def __post_init__(self) -> None:
        whole("dim", self.dim, 1, remedy="Give the number of inputs, a bias counted in.")
        check_settings(self)

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

    def rule(self, nodes: int) -> Rule | None:
        """A Gauss rule of at least `nodes` points and its weights, or None where there is no good one."""
        return None

    def replicated(self, nodes: int, replicate: int, random: np.random.Generator) -> Rule | None:
        """Another rule of about as many nodes, whose error differs: larger, and turned where the law is isotropic."""
        rule = self.rule(larger(nodes, self.dim, replicate))
        return rule and (rule[0] @ rotation(self.dim, random), rule[1]) if self.isotropic else rule

    def rows(self, seed: int, first: int, last: int, purpose: Purpose = Purpose.POSITION) -> Array:
        """Rows [first, last) of the endless sample of this seed: (last - first, dim)."""
        blocks = range(first // ROWS, max(first // ROWS + 1, -(-last // ROWS)))
        drawn = [self.draw(generator(seed, purpose, block), ROWS) for block in blocks]
        return np.concatenate(drawn)[first - blocks.start * ROWS : last - blocks.start * ROWS]

    @overload
    def sample(self, count: int, seed: int, signs: str = "positive", lazy: Literal[False] = False) -> Measure: ...

    @overload
    def sample(self, count: int, seed: int, signs: str = "positive", *, lazy: Literal[True]) -> "Sample": ...

    def sample(self, count: int, seed: int, signs: str = "positive", lazy: bool = False) -> "Measure | Sample":
        """`count` equal random atoms; the first 64 of 4096 are the 64 of the same seed.

        signs: "positive" (all +1), "random" (independent +-1), "symmetric" (the second half repeats the first with the
        other sign, so that g = 0: section 3.2; `count` must be even, and it is the halves that nest).
        lazy: the same atoms, created only when a population asks for them and on the worker that owns them: for clouds
        that fill the memory, or several machines.
        """
        drawn = Sample(self, checked_count(count, signs), checked_seed(seed), signs)
        return drawn if lazy else atoms_of(drawn)

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
            b, w = rule or sobol(self.from_cube, self.cube_dim, nodes)
        else:
            random = generator(whole("replicate", replicate, 0), Purpose.QUADRATURE)
            rule = self.replicated(nodes, replicate, random)
            b, w = rule or sobol(self.from_cube, self.cube_dim, nodes, int(random.integers(2**63)))
        if rule is None and along is not None and self.isotropic:
            inputs = real_array("`along`", along)
            if inputs.ndim != 2 or inputs.shape[1] != self.dim:
                raise InputError(f"`along` must have shape (n, {self.dim})", str(inputs.shape), "Append the bias's 1s.")
            b = b @ principal_axes(inputs).T
        s = np.ones(len(b))
        if signs != "positive":
            b, s, w = np.concatenate([b, b]), np.concatenate([s, -s]), np.concatenate([w, w]) / 2.0
        return Measure(np.ascontiguousarray(b), s, w / w.sum())

    @property
    def replicates(self) -> int:
        """How many rules of one size, `quadrature(..., replicate=k)`, tell an error."""
        return SCRAMBLES if self.rule(2) is None else TENSORS

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
        open_still = np.hypot(half_width(values), finer - np.mean(values, axis=0))
        return float(np.max(np.abs(mean(self.quadrature(nodes)) - finer) + open_still))


@dataclass(frozen=True)
class Sample:
    """The equal random atoms of (law, seed), any part of them on request (`Law.sample(lazy=True)`)."""

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
