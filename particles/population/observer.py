"""What a run records: the observables that are due, measured on a population and fixed samples."""

import warnings
from collections.abc import Callable, Container, Mapping

import numpy as np

from particles.errors import InputError
from particles.measures.measure import Array
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.messages import BlockView, Reduction
from particles.population.observables import Observable, Values, dims_of, needs_start
from particles.population.population import Population
from particles.population.samples import Samples
from particles.population.scene import Kernel, Scene, Setting
from particles.population.targets import check_recorded


def penalty(rule: Regulariser, train: tuple[str, ...]) -> Reduction:
    """h(w) / alpha^2 over one block: lam int |w|_1 dmu or lam/2 int |w - anchor|^2 dmu over the trained layers."""

    def of(block: BlockView) -> Array:
        rows, size = block.w.size, rule.value(block.b, 0, block.start_b)
        size_s = rule.value(block.s.reshape(-1, rows), 0, block.start_s.reshape(-1, rows))
        total = size * ("input" in train) + size_s * ("output" in train)
        return np.atleast_1d(rule.weight * np.sum(block.w * total))

    return Reduction(of, "sum")


class Observer:
    """Measures quantities of a population on fixed samples; due: the iterations of each."""

    def __init__(
        self,
        due: Mapping[Observable, Container[int]],
        net: Network,
        loss: Loss,
        rule: Regulariser,
        samples: Samples,
        averaged: bool,
        positions: int,
        kernel: Callable[[Scene], Kernel] | None = None,
    ) -> None:
        self.rows, self.due = list(due), list(due.items())
        tested = len(samples.y_test) > 0
        for row in self.rows:
            if row.test and not tested:
                raise InputError(f"`record` asks for {row.name}, which needs test samples", "test=None", "Give `test`.")
        check_recorded(net, self.rows, samples.y, samples.y_test)
        self.rule, self.averaged, self.positions = rule, averaged, positions
        self.setting = Setting(samples.y, samples.y_test, loss, rule, positions, penalty(rule, net.train), kernel)
        self._checked: set[str] = set()
        self.outputs = net.outputs
        self.sizes = {"sample": len(samples.y), "test_sample": len(samples.y_test), "dim": samples.x.shape[1]}
        self.sizes |= {"output": net.outputs} if net.outputs > 1 else {}

    @property
    def anchored(self) -> bool:
        """Whether the start is needed: for displacements, or for a pull to it."""
        return needs_start(self.rows, self.rule)

    def names(self) -> list[tuple[str, Observable]]:
        """Every variable that `measure` returns, with its row; the average iterate's are called averaged_*."""
        mean = [(f"averaged_{row.name}", row) for row in self.rows if self.averaged and row.outputs]
        return [(row.name, row) for row in self.rows] + mean

    def measure(self, iteration: int, population: Population, g: Array | None) -> Values:
        """What is due now; `g` are the outputs at the training samples where they are known already."""
        rows = [row for row, iterations in self.due if iteration in iterations]
        at = Scene(self.setting, population, iteration, rows, g)
        values = {row.name: self._finished(row, at) for row in rows}
        if self.averaged:
            mean = Scene(self.setting, population, iteration, averaged=True)
            values |= {f"averaged_{row.name}": self._finished(row, mean) for row in rows if row.outputs}
        return values

    def _check_sums(self, row: Observable, at: Scene) -> None:
        """Warn of a sum that looks at the start or at velocities and needs neither: both are then NaN, at all times."""
        self._checked.add(row.name)
        sums = [at.integral[part] for part in row.integrals if not (part.start or part.velocity)]
        if any(np.isnan(total).any() for total in sums):
            remedy = "One that looks at start_b or start_s needs start=True, at velocities velocity=True."
            warnings.warn(f"a sum over particles of the observable {row.name!r} is NaN. {remedy}", stacklevel=2)

    def _finished(self, row: Observable, at: Scene) -> Array:
        """The quantity; InputError where it is not over the dimensions that it says."""
        if row.integrals and row.name not in self._checked:
            self._check_sums(row, at)
        values = np.asarray(row.finish(at), dtype=np.float64)
        dims = dims_of(row, self.outputs)
        if len(values.shape) != len(dims) or values.shape != tuple(map(self.sizes.get, dims, values.shape)):
            known = ", ".join(f"{dim}: {size}" for dim, size in self.sizes.items())
            rule = f"the observable {row.name!r} must have its `dims` {dims}"
            raise InputError(rule, f"shape {values.shape}", f"The sizes here are {known}; () is one number.")
        return values
