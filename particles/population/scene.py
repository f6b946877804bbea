"""What the recorded quantities look at, at one time. Each part is computed when it is first asked for, and once."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from particles.measures.measure import Array
from particles.model.losses import Loss
from particles.model.regularisers import Regulariser
from particles.population.messages import BlockView, Drift, Reduction
from particles.population.population import Population

if TYPE_CHECKING:
    from particles.population.observables import Observable


class Kernel(Protocol):
    """The tangent kernel's Gram matrix at the training samples, now and at the start: a `KernelSnapshot`."""

    @property
    def smallest(self) -> float: ...
    @property
    def largest(self) -> float: ...
    @property
    def drift(self) -> float: ...
    @property
    def distance(self) -> float: ...


class Setting(NamedTuple):
    """What is the same at all times; positions: of how many particles are recorded. penalty: the sum for PENALTY."""

    y: Array
    y_test: Array
    loss: Loss
    regulariser: Regulariser
    positions: int
    penalty: Reduction
    kernel: "Callable[[Scene], Kernel] | None"


def _unpenalised(block: BlockView) -> Array:
    return np.zeros(1)


PENALTY = Reduction(_unpenalised, "sum")  # the run's own regulariser takes its place


class Scene:
    """All that a finished quantity may look at, at one recorded time.

    g : (n,) or (n, k), g_test : the outputs at the samples, of the average iterate if `averaged`; y, y_test : targets
    integral : the value of each reduction of the rows. kernel : the tangent kernel's Gram matrix
    """

    def __init__(
        self,
        setting: Setting,
        population: Population,
        iteration: int,
        rows: "Sequence[Observable]" = (),
        g: Array | None = None,
        averaged: bool = False,
    ) -> None:
        self.setting, self.population, self.iteration = setting, population, iteration
        self.rows, self.averaged = rows, averaged
        self.y, self.y_test, self.loss = setting.y, setting.y_test, setting.loss
        if g is not None:  # known already
            self.g = g

    @cached_property
    def g(self) -> Array:
        return self.population.sum("train", self.averaged)

    @cached_property
    def g_test(self) -> Array:
        return self.population.sum("test", self.averaged)

    @cached_property
    def integral(self) -> dict[Reduction, Array]:
        parts = list(dict.fromkeys(part for row in self.rows for part in row.integrals))
        sums = [self.setting.penalty if part == PENALTY else part for part in parts]
        drift = None
        if any(part.velocity for part in sums):
            drift = Drift("train", self.loss.slope(self.g, self.y) / len(self.y), self.setting.regulariser)
        return dict(zip(parts, self.population.fold(sums, drift), strict=True))

    @cached_property
    def kernel(self) -> Kernel:
        assert self.setting.kernel is not None
        return self.setting.kernel(self)

    @property
    def positions(self) -> int:
        """How many particles are recorded."""
        return self.setting.positions

    @property
    def alpha(self) -> float:
        """The output scale M^(1 - beta)."""
        return self.population.alpha
