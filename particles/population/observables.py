"""Measured quantities, a row each: what is added up over the particles, and how it is finished.

To add one: append a row to `OBSERVABLES`, with a partial in `INTEGRALS` if it needs a new sum over particles. What is
recorded never changes a run.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from particles.data.dataset import checked_labels
from particles.errors import InputError, nearest
from particles.measures.measure import Array
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.messages import BlockView, Drift, Reduction
from particles.population.population import Population, positions_of
from particles.population.samples import Samples

Values = dict[str, NDArray[Any]]


class Kernel(Protocol):
    """The tangent kernel's Gram matrix at the training samples, now and at the start (`theory/watched.py`)."""

    @property
    def smallest(self) -> float: ...
    @property
    def largest(self) -> float: ...
    @property
    def drift(self) -> float: ...
    @property
    def distance(self) -> float: ...


KernelNow = Callable[[int, Population, Array], Kernel]  # of an iteration, the particles after it and their outputs g


class Scene(NamedTuple):
    """All that a finished quantity may look at, at one recorded time."""

    g: Array
    y: Array
    g_test: Array
    y_test: Array
    loss: Loss
    integral: dict[str, Array]
    population: Population
    positions: int
    kernel: Kernel | None

    @property
    def alpha(self) -> float:
        """The output scale M^(1 - beta)."""
        return self.population.alpha


class Observable(NamedTuple):
    """One measured quantity. Its units are those of flow time and of the data, so "1" unless said otherwise."""

    name: str
    long_name: str
    equation: str
    dims: tuple[str, ...]
    finish: Callable[[Scene], Any]
    integrals: tuple[str, ...] = ()
    test: bool = False  # needs test samples
    binary: bool = False  # needs labels -1, 1
    kernel: bool = False  # needs Gram matrices: particles are gathered, and M n^2 d or so is computed at each record
    outputs: bool = False  # a function of the outputs alone, so recorded for the average iterate too


MOMENTS = np.array([1, 2, 4])


def _speed(block: BlockView) -> Array:
    return np.atleast_1d(np.sum(block.w * (np.sum(block.velocity**2, axis=0) + block.velocity_s**2)))


def _moved(block: BlockView) -> Array:
    return np.atleast_1d(np.sum(block.w * np.sum((block.b - block.start_b) ** 2, axis=0)))


def _farthest(block: BlockView) -> Array:
    return np.atleast_1d(np.max(np.sum((block.b - block.start_b) ** 2, axis=0)))


def _moments(block: BlockView) -> Array:
    size = np.sqrt(np.sum(block.b**2, axis=0))
    return np.asarray(np.sum(block.w * size ** MOMENTS[:, None], axis=1))


def _flipped(block: BlockView) -> Array:
    active, before = (block.x @ b > 0.0 for b in (block.b, block.start_b))
    return np.atleast_1d(np.sum(block.w * np.mean(active != before, axis=0)))


INTEGRALS: dict[str, Reduction] = {
    "speed": Reduction(_speed, "sum"),
    "moved": Reduction(_moved, "sum"),
    "farthest": Reduction(_farthest, "max"),
    "moments": Reduction(_moments, "sum"),
    "flipped": Reduction(_flipped, "sum"),
    "mean": Reduction(lambda block: np.asarray(block.b @ block.w), "sum"),
}
NEEDS_VELOCITY = {"speed"}
NEEDS_START = {"moved", "farthest", "flipped"}


def penalty(rule: Regulariser, train: tuple[str, ...]) -> Reduction:
    """h(w) / alpha^2 over one block: lam int |w|_1 dmu or lam/2 int |w - anchor|^2 dmu over the trained layers."""

    def of(block: BlockView) -> Array:
        size, size_s = rule.value(block.b, 0, block.start_b), rule.value(block.s[None], 0, block.start_s)
        total = size * ("input" in train) + size_s * ("output" in train)
        return np.atleast_1d(rule.weight * np.sum(block.w * total))

    return Reduction(of, "sum")


def _mean_loss(loss: Loss, g: Array, y: Array) -> float:
    return float(np.mean(loss.value(g, y)))


OBSERVABLES: dict[str, Observable] = {
    row.name: row
    for row in (
        Observable("loss", "mean loss over the training samples (a stream's held-out ones)", "(1), (2) with h = 0", (),
                   lambda at: _mean_loss(at.loss, at.g, at.y), outputs=True),
        Observable("objective", "regularised loss L_n", "(2)", (),
                   lambda at: _mean_loss(at.loss, at.g, at.y) + at.alpha**2 * at.integral["penalty"][0], ("penalty",)),
        Observable("test_loss", "mean loss over the test samples", "(1)", (),
                   lambda at: _mean_loss(at.loss, at.g_test, at.y_test), test=True, outputs=True),
        Observable("misclassification", "share of training samples with y g(x) <= 0", "Theorem 3", (),
                   lambda at: float(np.mean(at.y * at.g <= 0)), binary=True, outputs=True),
        Observable("test_misclassification", "share of test samples with y g(x) <= 0", "Theorem 3", (),
                   lambda at: float(np.mean(at.y_test * at.g_test <= 0)), test=True, binary=True, outputs=True),
        Observable("gradient_norm", "Wasserstein gradient norm (int |v|^2 dmu)^(1/2), flow time", "3.4", (),
                   lambda at: float(np.sqrt(at.integral["speed"][0])), ("speed",)),
        Observable("dissipation", "alpha^2 int |v|^2 dmu, the rate -dL_n/dt of the flow", "3.1 descent, 3.4", (),
                   lambda at: float(at.alpha**2 * at.integral["speed"][0]), ("speed",)),
        Observable("prediction", "network output g(x_i) at the training samples", "section 3", ("sample",),
                   lambda at: at.g, outputs=True),
        Observable("test_prediction", "network output g(x) at the test samples", "section 3", ("test_sample",),
                   lambda at: at.g_test, test=True, outputs=True),
        Observable("position", "particle positions b_r", "section 3", ("particle", "dim"),
                   lambda at: positions_of(at.population, at.positions).b),
        Observable("output_weight", "signs or trained output weights s_r", "section 3", ("particle",),
                   lambda at: positions_of(at.population, at.positions).s),
        Observable("particle_weight", "particle weights w_r, which sum to 1", "3.4", ("particle",),
                   lambda at: positions_of(at.population, at.positions).w),
        Observable("displacement_rms", "(int |b - b_1|^2 dmu)^(1/2)", "3.1, 3.2", (),
                   lambda at: float(np.sqrt(at.integral["moved"][0])), ("moved",)),
        Observable("displacement_max", "max_r |b_r - b_r,1|", "3.1, 3.2", (),
                   lambda at: float(np.sqrt(at.integral["farthest"][0])), ("farthest",)),
        Observable("weight_moment", "int |b|^p dmu", "3.4", ("moment",),
                   lambda at: at.integral["moments"], ("moments",)),
        Observable("margin", "least y g(x) over the training samples", "3.3", (),
                   lambda at: float(np.min(at.y * at.g)), binary=True, outputs=True),
        Observable("pattern_flips", "share of pairs (particle, sample) whose b.x changed its sign since the start",
                   "3.1 [5]", (), lambda at: float(at.integral["flipped"][0]), ("flipped",)),
        Observable("lambda_min", "smallest eigenvalue of the Gram matrix K_w, flow time", "(5)", (),
                   lambda at: _kernel(at).smallest, kernel=True),
        Observable("lambda_max", "largest eigenvalue of the Gram matrix K_w, flow time", "(5)", (),
                   lambda at: _kernel(at).largest, kernel=True),
        Observable("kernel_drift", "|K_w - K_w1|_F / |K_w1|_F since the start", "3.1 [5]", (),
                   lambda at: _kernel(at).drift, kernel=True),
        Observable("kernel_distance", "rms over samples of g less what the same steps do under the start's kernel",
                   "3.1 [5]", (), lambda at: _kernel(at).distance, kernel=True),
        Observable("mean_position", "int b dmu", "3.4", ("dim",), lambda at: at.integral["mean"], ("mean",)),
    )
}  # fmt: skip

# The rows of this file; a user's come later.
OURS, OUR_INTEGRALS = dict(OBSERVABLES), dict(INTEGRALS)


def _kernel(at: Scene) -> Kernel:
    assert at.kernel is not None
    return at.kernel


class Observer:
    """Measures quantities of a population on fixed samples; due: the iterations of each, by its name."""

    def __init__(
        self,
        due: Mapping[str, Container[int]],
        net: Network,
        loss: Loss,
        rule: Regulariser,
        samples: Samples,
        averaged: bool,
        positions: int,
        kernel: KernelNow | None = None,
    ) -> None:
        self.rows, self.due = [_row(name) for name in due], due
        tested = len(samples.y_test) > 0
        for row in self.rows:
            if row.test and not tested:
                raise InputError(f"`record` asks for {row.name}, which needs test samples", "test=None", "Give `test`.")
            if row.binary:
                checked_labels(np.concatenate([samples.y, samples.y_test]) if row.test else samples.y)
        self.loss, self.rule, self.averaged, self.positions = loss, rule, averaged, positions
        self.kernel = kernel if any(row.kernel for row in self.rows) else None
        self.y, self.y_test = samples.y, samples.y_test
        self.sums = {name: INTEGRALS[name] for row in self.rows for name in row.integrals if name != "penalty"}
        if any("penalty" in row.integrals for row in self.rows):
            self.sums["penalty"] = penalty(rule, net.train)

    @property
    def anchored(self) -> bool:
        """Whether the start is needed: for displacements, or for a pull to it."""
        return needs_start([row.name for row in self.rows], self.rule)

    def names(self) -> list[tuple[str, Observable]]:
        """Every variable that `measure` returns, with its row; the average iterate's are called averaged_*."""
        mean = [(f"averaged_{row.name}", row) for row in self.rows if self.averaged and row.outputs]
        return [(row.name, row) for row in self.rows] + mean

    def measure(self, iteration: int, population: Population, g: Array | None) -> Values:
        """What is due now; `g` are the outputs at the training samples where they are known already."""
        rows = [row for row in self.rows if iteration in self.due[row.name]]
        at = self._scene(rows, iteration, population, g, averaged=False)
        values = {row.name: np.asarray(row.finish(at), dtype=np.float64) for row in rows}
        if self.averaged:
            mean = self._scene(rows, iteration, population, None, averaged=True)
            for row in rows:
                if row.outputs:
                    values[f"averaged_{row.name}"] = np.asarray(row.finish(mean), dtype=np.float64)
        return values

    def _scene(
        self, rows: list[Observable], iteration: int, population: Population, g: Array | None, averaged: bool
    ) -> Scene:
        g = population.sum("train", averaged) if g is None else g
        g_test = population.sum("test", averaged) if any(row.test for row in rows) else np.empty(0)
        wanted = set() if averaged else {name for row in rows for name in row.integrals}
        sums = {name: reduction for name, reduction in self.sums.items() if name in wanted}
        drift = None
        if NEEDS_VELOCITY & wanted:
            drift = Drift("train", self.loss.slope(g, self.y) / len(self.y), self.rule)
        found = population.fold(list(sums.values()), drift) if sums else []
        integral = dict(zip(sums, found, strict=True))
        watched = self.kernel and not averaged and any(row.kernel for row in rows)
        kernel = self.kernel(iteration, population, g) if self.kernel and watched else None
        return Scene(g, self.y, g_test, self.y_test, self.loss, integral, population, self.positions, kernel)


def needs_start(names: Iterable[str], rule: Regulariser) -> bool:
    """Whether the start is kept beside the particles: for one of these observables, or for a pull to it."""
    return rule.anchored or any(NEEDS_START.intersection(_row(name).integrals) for name in names)


def _row(name: str) -> Observable:
    if name not in OBSERVABLES:
        raise InputError("`record` must name known observables", repr(name), nearest(str(name), OBSERVABLES))
    return OBSERVABLES[name]
