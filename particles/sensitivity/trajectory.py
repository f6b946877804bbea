"""The run whose derivative is taken: forward once with its sums, and any stretch of it again from its slopes alone.

The slopes l'(g, y)/n of every step are all that particles learn of each other. With these kept, n numbers a step, going
over a stretch again is a push of each particle by itself, without a sum.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from particles.errors import DivergedError
from particles.measures.measure import Array
from particles.methods.base import Problem
from particles.methods.runge_kutta import RungeKutta
from particles.population.messages import Drift, Stage, Update
from particles.population.population import Population
from particles.population.shard import Shard


class Scheme(NamedTuple):
    """A step as stages: k_j = v(b + eta sum_i rows[j]_i k_i), b' = b + eta sum_i ends_i k_i; Euler's has one."""

    rows: tuple[tuple[float, ...], ...]
    ends: tuple[float, ...]

    @property
    def stages(self) -> int:
        return len(self.ends)


def scheme_of(problem: Problem) -> Scheme:
    """The stages of a method's step."""
    if isinstance(problem.method, RungeKutta):
        return Scheme(((), *problem.method.tableau.rows), problem.method.tableau.ends)
    return Scheme(((),), (1.0,))


class Point(NamedTuple):
    """What a stage of a step was computed from: outputs g and slopes l'(g, y)/n at the iteration's samples."""

    g: Array
    slope: Array


class Trajectory:
    """A population at some iteration of its run. points: of every step that was made, its stages.

    arrived(iteration, g): called once an iteration, when the population first comes there.
    """

    def __init__(self, problem: Problem, population: Population, points: list[tuple[Point, ...]] | None = None) -> None:
        self.problem, self.population, self.scheme = problem, population, scheme_of(problem)
        self.points = [] if points is None else points
        self.steps = len(problem.sizes)
        self.here = 0
        self._kept: dict[int, int] = {}  # iterations, by slot
        self._g: Array | None = None

    def begin(self) -> Array:
        """The outputs at the start."""
        self._g = _checked(self.population.sum(0), 0)
        return self._g

    def advance(self, to: int, arrived: Callable[[int, Array], None] | None = None) -> None:
        """From here to a later iteration."""
        while self.here < to:
            if self.here < len(self.points):
                self._again()
            else:
                self._first()
            self.here += 1
            if self._g is not None and arrived:
                arrived(self.here, self._g)

    def keep(self, slot: int) -> None:
        """Keep a copy of the particles as they are here."""
        self.population.each(Shard.keep, slot)
        self._kept[slot] = self.here

    def restore(self, slot: int) -> None:
        """Go back to where the particles were kept."""
        self.population.each(Shard.restore, slot)
        self.here, self._g = self._kept[slot], None

    def _updates(self, iteration: int) -> Callable[[int, Array], Update]:
        """From a stage and its slopes to the update of the step at an iteration."""
        size, scheme, rule = float(self.problem.sizes[iteration]), self.scheme, self.problem.regulariser
        rows = [*scheme.rows[1:], scheme.ends]

        def update(stage: int, slope: Array) -> Update:
            drift = Drift(iteration, slope, rule)
            if scheme.stages == 1:
                return Update(drift, size)
            return Update(drift, size, stage=Stage(stage, tuple(size * a for a in rows[stage]), scheme.stages))

        return update

    def _first(self) -> None:
        t, g = self.here, self._g
        assert g is not None
        update, points = self._updates(t), list[Point]()
        for stage in range(self.scheme.stages):
            points.append(Point(g, self.problem.field(t, g).slope))
            which = t + 1 if stage == self.scheme.stages - 1 else t
            g, finite = self.population.advance(update(stage, points[-1].slope), which, keep=True)
            if not finite:
                raise DivergedError(f"a particle is no longer finite after iteration {t + 1}", t + 1)
        self.points.append(tuple(points))
        self._g = _checked(g, t + 1)

    def _again(self) -> None:
        """A step that was made before, by its slopes."""
        self.push_stages(self.here)
        self._g = None

    def push_stages(self, iteration: int) -> None:
        """All stages of a step that was made before."""
        for stage in range(self.scheme.stages):
            self.push_stage(iteration, stage)

    def push_stage(self, iteration: int, stage: int) -> None:
        """One stage of a step that was made before; the particles are where it begins."""
        update = self._updates(iteration)(stage, self.points[iteration][stage].slope)
        self.population.each(Shard.push, update)

    def to_stage(self, iteration: int, stage: int) -> None:
        """After `push_stages`: where a stage of that step began."""
        size = float(self.problem.sizes[iteration])
        self.population.each(Shard.to_stage, tuple(size * a for a in self.scheme.rows[stage]))


def _checked(g: Array, iteration: int) -> Array:
    if not np.isfinite(g).all():
        raise DivergedError(f"an output is no longer finite at iteration {iteration}", iteration)
    return g
