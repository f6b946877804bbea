"""The derivatives by what all particles share: step sizes, weight decay, targets and weights of the samples."""

import numpy as np

from particles.measures.measure import Array
from particles.methods.base import Problem
from particles.sensitivity.trajectory import Point


class BySettings:
    """The derivatives of J functionals, to which every stage of the pass back adds.

    step : (J, T). weight_decay : (J,). target : like the samples' y for each functional, None where the loss has no
    derivative by targets, or batches change. sample : (J, n), by the weight of a sample in the loss, as a factor of
    the one that it has.
    """

    def __init__(self, problem: Problem, count: int) -> None:
        self.problem, samples = problem, problem.samples
        self.step = np.zeros((count, len(problem.sizes)))
        self.weight_decay = np.zeros(count)
        self.target = np.zeros((count, *samples.y.shape)) if samples.whole and problem.loss.mixed else None
        self.sample = np.zeros((count, len(samples.y))) if samples.whole else None

    def add(self, own: slice, point: Point, y: Array, change: Array, pulled: Array, t: int | None, size: float) -> None:
        """One stage of functionals `own`, with the factor `size`.

        change : the change of outputs along the directions, (J, n) or (J, n, k), over alpha^2, with the other sign.
        pulled : int <direction, anchor - w> dmu, (J,). t : the iteration whose step it is of, if any.
        """
        J, problem = len(change), self.problem
        rows = size * (change * point.slope).reshape(J, len(y), -1).sum(axis=2)
        self.weight_decay[own] += size * pulled
        if t is not None:
            by_step = rows.sum(axis=1) + size * problem.regulariser.pull * pulled
            self.step[own, t] += by_step / float(problem.sizes[t])
        if self.sample is not None:
            self.sample[own] += rows
        if self.target is not None and problem.loss.mixed:
            self.target[own] += size * change * problem.loss.mixed(point.g, y) / len(y)
