"""The time loop: a generator of the iterates of a cloud of particles. Read this first.

One iteration, whatever the method, the measure and the machine:

    g     = sum over particles         alpha int s sigma(b.x) dmu, at the samples of this iteration
    slope = l'(g, y) / n               a few numbers, all that particles ever learn of each other
    push  every particle by eta v      v = -(1/alpha) s sum_i slope_i sigma'(b.x_i) x_i, minus the regulariser

Methods differ in the push alone: how often, how far, with what noise (`methods/`, a file each). The loop starts from
mu_1 and yields mu_1 itself first. Time is flow time.
"""

from collections.abc import Container, Iterator
from typing import NamedTuple

import numpy as np

from particles.errors import DivergedError
from particles.kernels.window import WINDOW
from particles.measures.measure import Array
from particles.methods.base import Abandoned, Memory, Method, Problem, Stepper, Stop
from particles.methods.descent import Euler
from particles.model.losses import LOSSES, Loss, mean_loss, of_samples
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.messages import OnlineRun, Update
from particles.population.observables import Values
from particles.population.observer import Observer
from particles.population.population import Population
from particles.population.shard import Shard

_CEILING = 1e6  # a loss this many times the first one (plus one) will not come back; far below overflow
_SWEEP_WORK = 2**20  # particles times iterations between two looks at a sweep: milliseconds, so that Ctrl-C is quick


class Snapshot(NamedTuple):
    """The cloud after `iteration` steps, at flow time `time`; `values` only where they were asked for.

    whole: whether the run can go on from this state; a one-sample sweep looked at inside a window cannot. memory: what
    it needs for that besides the particles.
    """

    iteration: int
    time: float
    values: Values | None
    whole: bool = True
    memory: Memory = {}


def flow(
    problem: Problem,
    population: Population,
    observer: Observer,
    record: Container[int],
    begin: int = 0,
    memory: Memory | None = None,
    stop: Stop = lambda: False,
    first: float | None = None,
) -> Iterator[Snapshot]:
    """A method's iterates on a population, in place, from iteration `begin` (and the memory of then) to the last.

    stop: asked between the parts of a step; a step that is given up ends the flow with the snapshot from before it.
    first: the loss at the start, where the flow goes on from a later iteration. Raises DivergedError where the loss is
    far above it, and when a number is no longer finite.
    """
    stepping = problem.method.stepper(problem, population, memory or {}, stop)
    if sweeps(problem.net, problem.method, problem.regulariser, problem.loss):
        return _sweeps(problem, population, observer, record, begin, first)
    return _steps(problem, population, observer, record, begin, stepping, first)


def sweeps(net: Network, method: Method, rule: Regulariser, loss: Loss) -> bool:
    """Whether many iterations are one call: plain steps of one sample, input weights alone, no threshold.

    A loss of the user's has no compiled slope, and takes an iteration at a time.
    """
    plain = method.stepper is Euler and net.train == ("input",) and rule.smooth
    return plain and method.batch == 1 and loss.name in LOSSES


def _steps(
    problem: Problem,
    population: Population,
    observer: Observer,
    record: Container[int],
    begin: int,
    stepping: Stepper,
    first: float | None,
) -> Iterator[Snapshot]:
    """An iteration at a time: the last one's update and this one's sums are one call, wherever the particles are."""
    steps, whole = len(problem.sizes), problem.samples.whole
    update: Update | None = None
    ceiling = None if first is None else _ceiling(first)
    for iteration in range(begin, steps + 1):
        g, finite = population.advance(update, iteration, keep=iteration < steps)
        if not finite:
            raise DivergedError(f"a particle is no longer finite after iteration {iteration}", iteration)
        risk = _risk(problem, g, iteration)
        ceiling = _ceiling(risk) if ceiling is None else ceiling
        if not risk <= ceiling:
            raise DivergedError(f"the loss is {risk:.3g} at iteration {iteration}", iteration)
        values = observer.measure(iteration, population, g if whole else None) if iteration in record else None
        yield Snapshot(iteration, float(problem.times[iteration]), values, memory=stepping.memory)
        if iteration < steps:
            try:
                update = stepping.move(iteration, g)
            except Abandoned:
                yield Snapshot(iteration, float(problem.times[iteration]), None, memory=stepping.memory)
                return


def _sweeps(
    problem: Problem,
    population: Population,
    observer: Observer,
    record: Container[int],
    begin: int,
    first: float | None,
) -> Iterator[Snapshot]:
    """One-sample SGD: many iterations a call, in windows that begin at multiples of their length, whoever looks when.

    To look inside a window the population goes there, is measured, and goes back to the window's beginning.
    """
    steps = len(problem.sizes)
    stride = WINDOW * max(1, _SWEEP_WORK // (WINDOW * population.count))
    here = begin
    ceiling = _ceiling(first_loss(problem, population) if first is None else first)
    for stop in range(begin, steps + 1):
        if stop not in record and stop % stride and stop != steps:
            continue
        boundary = stop - stop % WINDOW
        if boundary > here:
            _sweep(problem, population, here, boundary, ceiling)
            here = boundary
        inside = stop > here
        if inside:
            population.each(Shard.hold)
            _sweep(problem, population, here, stop, ceiling)
        values = observer.measure(stop, population, None) if stop in record else None
        yield Snapshot(stop, float(problem.times[stop]), values, whole=not inside)
        if inside and stop < steps:
            population.each(Shard.back)


def first_loss(problem: Problem, population: Population) -> float:
    """The loss at the samples of the first step, of a population at its start."""
    return _risk(problem, population.sum(0), 0)


def _ceiling(first: float) -> float:
    """The loss that ends a run as diverged; DivergedError where not even the first is finite."""
    if not np.isfinite(first):  # before anything is recorded, so that no step is blamed
        raise DivergedError(f"the loss is {first:.3g} at iteration 0", 0)
    return _CEILING * (first + 1.0)


def _risk(problem: Problem, g: Array, iteration: int) -> float:
    """The mean loss over an iteration's samples; overflow gives inf, which the caller reports as divergence."""
    with np.errstate(all="ignore"):
        return mean_loss(problem.loss, g, problem.samples.targets(iteration))


def _sweep(problem: Problem, population: Population, first: int, last: int, ceiling: float) -> None:
    """Iterations [first, last)."""
    run = OnlineRun(first, last, problem.sizes[first:last], problem.loss.name, problem.regulariser, first + 1)
    g, finite = population.sweep(run)
    _, y = problem.samples.run(first, last)
    with np.errstate(all="ignore"):
        risk = of_samples(problem.loss, g, y)
    lost = np.flatnonzero(~(risk <= ceiling))
    if len(lost):
        at = first + int(lost[0])
        raise DivergedError(f"the loss is {risk[lost[0]]:.3g} at iteration {at}", at)
    if not finite:
        raise DivergedError(f"a particle is no longer finite after iteration {last}", last)
