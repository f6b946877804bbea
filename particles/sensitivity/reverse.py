"""A run forward with what is measured on the way, and back with its derivative, in as much memory as there is."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.population import directions
from particles.population.observables import Observable
from particles.population.population import Population
from particles.population.scene import Scene
from particles.sensitivity.adjoint import Adjoint, Changes, Functional
from particles.sensitivity.binomial import backward
from particles.sensitivity.settings import BySettings
from particles.sensitivity.trajectory import Trajectory
from particles.simulation.arguments import Prepared


class Wanted(NamedTuple):
    """Of which coordinates derivatives are kept whether they train or not, and the bytes besides the particles'."""

    position: bool
    output_weight: bool
    memory: int

    def together(self, ready: Prepared, count: int, stages: int, anchored: bool) -> int:
        """How many functionals go back together in half of the memory."""
        copies = (1 if stages == 1 else stages + 2) + anchored
        return max(1, self.memory // 2 // (count * (copies * _bytes(ready, self.position, self.output_weight) + 8)))

    def slots(self, ready: Prepared, count: int) -> int:
        """How many states of the run are kept in the other half."""
        return max(2, min(len(ready.problem.sizes) + 1, self.memory // 2 // (count * _bytes(ready, False, False))))


def _bytes(ready: Prepared, position: bool, output_weight: bool) -> int:
    """Bytes of what a particle has that moves, or is asked for."""
    net, d = ready.problem.net, int(ready.problem.samples.x.shape[1])
    numbers = d * ("input" in net.train or position) + net.outputs * ("output" in net.train or output_weight)
    return numbers * np.dtype(ready.spec.dtype).itemsize


class Measured(NamedTuple):
    """An observable at a recorded iteration: its value, and its differential at every place of its dimensions."""

    row: Observable
    iteration: int
    value: Array
    functionals: tuple[Functional, ...]


class Group(NamedTuple):
    """Functionals that went back together, and what was found.

    variation : (J, M), not centred; position : (J, M, d) and output_weight, like s for each, or empty
    """

    functionals: tuple[Functional, ...]
    changes: Changes
    settings: BySettings
    variation: Array
    position: Array
    output_weight: Array


class Reverse:
    """The derivative of all that is measured of one run."""

    def __init__(self, ready: Prepared, population: Population, wanted: Wanted, due: Callable[[int], bool]) -> None:
        self.ready, self.population, self.wanted, self.due = ready, population, wanted, due
        self.trajectory = Trajectory(ready.problem, population)
        self.measured: list[Measured] = []
        self.together = wanted.together(ready, population.count, self.trajectory.scheme.stages, self._anchored)
        self.slots = wanted.slots(ready, population.count)

    @property
    def _anchored(self) -> bool:
        return self.ready.observer.anchored and (self.wanted.position or self.wanted.output_weight)

    def forward(self) -> None:
        """To the end for the first time; states are kept for the way back."""
        self._measure(0, self.trajectory.begin())
        for action, number in backward(self.trajectory.steps, self.slots):
            if action == "visit":
                return
            if action == "keep":
                self.trajectory.keep(number)
            else:
                self.trajectory.advance(number, self._measure)

    def _measure(self, iteration: int, g: Array) -> None:
        if not self.due(iteration):
            return
        observer, samples = self.ready.observer, self.ready.problem.samples
        at = Scene(observer.setting, self.population, iteration, observer.rows, g if samples.whole else None)
        for row in observer.rows:
            value = np.asarray(row.finish(at), dtype=np.float64)
            assert row.differential is not None
            places = [row.differential(at, index) for index in np.ndindex(value.shape)]
            functionals = tuple(Functional(iteration, of, at.g if of.speed else np.empty(0)) for of in places)
            self.measured.append(Measured(row, iteration, value, functionals))

    def groups(self) -> Sequence[Group]:
        """All functionals, the latest first, in groups that went back together."""
        everything = [one for measured in reversed(self.measured) for one in measured.functionals]
        parts = [tuple(everything[first : first + self.together]) for first in range(0, len(everything), self.together)]
        return [self._back(part, number == 0) for number, part in enumerate(parts)]

    def _back(self, functionals: tuple[Functional, ...], at_the_end: bool) -> Group:
        adjoint = Adjoint(self.trajectory, functionals)
        found = back(self.trajectory, adjoint, self.wanted, self._anchored, self.slots, at_the_end)
        return Group(functionals, adjoint.changes, adjoint.settings, *found)


def back(
    trajectory: Trajectory, adjoint: Adjoint, wanted: Wanted, anchored: bool, slots: int, at_the_end: bool
) -> tuple[Array, Array, Array]:
    """The pass back, which ends at the start; at_the_end: the run came to its end, its states kept by the schedule."""
    population = trajectory.population
    stages = trajectory.scheme.stages
    given = len(adjoint.functionals), wanted.position, wanted.output_weight, stages if stages > 1 else 0, anchored
    population.each(directions.begin, *given)
    last = trajectory.steps if at_the_end else adjoint.functionals[0].iteration
    for action, number in backward(last, slots):
        if action == "visit":
            at_the_end = False
            adjoint.visit(number)
        elif at_the_end:
            continue
        elif action == "keep":
            trajectory.keep(number)
        elif action == "restore":
            trajectory.restore(number)
        else:
            trajectory.advance(number)
    parts = population.each(directions.results, wanted.position, wanted.output_weight)
    variation, position, output_weight = zip(*parts, strict=True)
    return _together(variation), _together(position), _together(output_weight)


def _together(arrays: tuple[Array, ...]) -> Array:
    """What all shards have, one after another: (J, M, ...), or empty."""
    return np.concatenate(arrays, axis=1) if arrays[0].size and len(arrays) > 1 else arrays[0]
