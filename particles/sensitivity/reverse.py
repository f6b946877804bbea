"""A run forward with what is measured on the way, and back with its derivative, in as much memory as there is."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from particles.errors import DivergedError
from particles.measures.measure import Array
from particles.population import directions
from particles.population.differential import checked_differential
from particles.population.observables import Observable
from particles.population.population import Population
from particles.population.scene import Scene
from particles.sensitivity.adjoint import Adjoint, Changes, Functional
from particles.sensitivity.binomial import backward
from particles.sensitivity.memory import Wanted, capacity, check_results
from particles.sensitivity.settings import BySettings
from particles.sensitivity.trajectory import Trajectory
from particles.simulation.arguments import Prepared


class Measured(NamedTuple):
    """An observable at a recorded iteration: its value, and its differential at every place of its dimensions."""

    row: Observable
    iteration: int
    value: Array
    functionals: tuple[Functional, ...]


class ByParticle(NamedTuple):
    """Derivatives of J functionals by the start.

    variation : (J, M), by the particles' weights, not centred; position : (J, M, d) and output_weight, like s for each,
    or empty where they were not wanted
    """

    variation: Array
    position: Array
    output_weight: Array


class Group(NamedTuple):
    """Functionals that went back together, and what was found."""

    functionals: tuple[Functional, ...]
    changes: Changes
    settings: BySettings
    particles: ByParticle


class Reverse:
    """The derivative of all that is measured of one run: `forward`, then `groups`."""

    def __init__(
        self, ready: Prepared, population: Population, wanted: Wanted, memory: int, due: Callable[[int], bool]
    ) -> None:
        self.ready, self.population, self.wanted, self.due = ready, population, wanted, due
        self.trajectory = Trajectory(ready.problem, population)
        self.measured: list[Measured] = []
        self.capacity = capacity(ready, self.trajectory.scheme.stages, memory, wanted)

    def forward(self) -> None:
        """To the end for the first time; states are kept for the way back."""
        self._measure(0, self.trajectory.begin())
        for action, number in backward(self.trajectory.steps, self.capacity.states):
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
            found = [row.differential(at, index) for index in np.ndindex(value.shape)]
            places = [checked_differential(row.name, of, at) for of in found]
            functionals = tuple(Functional(iteration, of, at.g if of.speed else np.empty(0)) for of in places)
            self.measured.append(Measured(row, iteration, value, functionals))

    def groups(self) -> Sequence[Group]:
        """All functionals, the latest first, in groups that went back together."""
        everything = [one for measured in reversed(self.measured) for one in measured.functionals]
        check_results(self.ready, [one.iteration for one in everything], self.trajectory.scheme.stages, self.wanted)
        size = self.capacity.functionals
        parts = [tuple(everything[first : first + size]) for first in range(0, len(everything), size)]
        return [self._back(part, number == 0) for number, part in enumerate(parts)]

    def _back(self, functionals: tuple[Functional, ...], at_the_end: bool) -> Group:
        adjoint = Adjoint(self.trajectory, functionals, decay=self.wanted.decay)
        found = back(self.trajectory, adjoint, self.wanted, self.capacity.states, at_the_end)
        return Group(functionals, adjoint.changes, adjoint.settings, found)


def back(trajectory: Trajectory, adjoint: Adjoint, wanted: Wanted, states: int, at_the_end: bool = False) -> ByParticle:
    """The pass back, which ends at the start, with so many kept states.

    at_the_end: the run came to its end by the schedule of all iterations, whose states are kept.
    """
    population, stages = trajectory.population, trajectory.scheme.stages
    count, kept_stages = len(adjoint.functionals), stages if stages > 1 else 0
    population.each(directions.begin, count, wanted.position, wanted.output_weight, kept_stages, wanted.anchor)
    last = trajectory.steps if at_the_end else adjoint.functionals[0].iteration
    for action, number in backward(last, states):
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
    found = ByParticle(*map(_together, zip(*parts, strict=True)))
    if not np.isfinite(found.variation).all():
        remedy = "Take fewer or smaller steps, or float64."
        raise DivergedError(f"a derivative is no longer finite on its way back from iteration {last}. {remedy}", last)
    return found


def _together(arrays: tuple[Array, ...]) -> Array:
    """What all shards have, one after another: (J, M, ...), or empty."""
    return np.concatenate(arrays, axis=1) if arrays[0].size and len(arrays) > 1 else arrays[0]
