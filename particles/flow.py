"""The time loop: a generator of the iterates of a cloud of particles. Read this first.

One iteration, whatever the method, the measure and the machine:

    g     = sum over particles         alpha int s sigma(b.x) dmu, at the samples of this iteration
    slope = l'(g, y) / n               a few numbers, all that particles ever learn of each other
    push  every particle by eta v      v = -(1/alpha) s sum_i slope_i sigma'(b.x_i) x_i, less the regulariser

It starts from mu_1 and yields mu_1 itself first. Time is flow time.
"""

from collections.abc import Container, Iterator
from typing import NamedTuple

import numpy as np

from particles.data import Batches
from particles.errors import DivergedError
from particles.losses import Loss
from particles.measure import Array
from particles.network import Network
from particles.observables import Observer, Values
from particles.population import Field, Population
from particles.regularisers import Regulariser


def mean_loss(loss: Loss, g: Array, y: Array) -> float:
    """The mean loss over samples; overflow gives inf, which the caller tells as divergence."""
    with np.errstate(all="ignore"):
        return float(np.mean(loss.value(g, y)))


class Problem(NamedTuple):
    """What is fixed while the particles move."""

    net: Network
    loss: Loss
    regulariser: Regulariser
    batches: Batches
    sizes: Array  # (T,) step sizes, flow time
    times: Array  # (T + 1,) flow time after each number of iterations
    averaged: bool
    hopeless: float  # a loss above this will not come back


class Snapshot(NamedTuple):
    """The cloud after `iteration` steps, at flow time `time`; `values` only where they were asked for."""

    iteration: int
    time: float
    values: Values | None


def flow(
    problem: Problem, population: Population, observer: Observer, record: Container[int], begin: int = 0
) -> Iterator[Snapshot]:
    """Gradient descent (3) or SGD (4) on a population, in place, from iteration `begin` to the last.

    Raises DivergedError when an output, the loss or a particle leaves the numbers.
    """
    steps, whole = len(problem.sizes), problem.batches.batch is None
    for iteration in range(begin, steps + 1):
        x, y = problem.batches.at(iteration)
        x = problem.net.inputs(x) if not whole else observer.x
        g = population.sum(x, keep=iteration < steps)
        risk = mean_loss(problem.loss, g, y)
        if not risk <= problem.hopeless:
            raise DivergedError(f"the loss is {risk:.3g} at iteration {iteration}")
        values = observer.measure(population, g if whole else None) if iteration in record else None
        yield Snapshot(iteration, float(problem.times[iteration]), values)
        if iteration == steps:
            return
        field = Field(x, problem.loss.slope(g, y) / len(y), problem.regulariser)
        if not population.push(field, float(problem.sizes[iteration])):
            raise DivergedError(f"a particle is no longer finite after iteration {iteration + 1}")
        if problem.averaged:
            population.average(1.0 / (iteration + 2))
