"""The pass back through a run: the exact derivative of its steps, by every particle and every setting (3.4).

One iteration, backward, is again a sum, a slope and a push. With p_r the derivative of F by particle r, per weight:

    change = sum over particles        alpha int [s sigma'(b.x_i) p.x_i + q sigma(b.x_i)] dmu, q by output weights
    slope  = l''(g_i, y_i) change_i / n
    push   every particle's p by eta times the velocity's derivative, which is symmetric

and the derivative by a particle's weight gathers alpha s sum_i (dF/dg_i) sigma(b.x_i) on the way.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from particles.measures.blocks import Branches, blocks_of, root
from particles.measures.measure import Array
from particles.model.losses import Loss
from particles.model.regularisers import Regulariser
from particles.population import directions
from particles.population.differential import Differential, Integrand
from particles.population.directions import Pull
from particles.population.messages import BlockView, Drift, Reduction
from particles.sensitivity.settings import BySettings
from particles.sensitivity.trajectory import Point, Trajectory

# The changes of slopes, (J, n k), by iteration and stage; those along the velocity by iteration and -1 - functional.
Changes = dict[tuple[int, int], Array]


class Functional(NamedTuple):
    """A number that is measured at one iteration; g: the outputs at the training samples then."""

    iteration: int
    differential: Differential
    g: Array


def bent(loss: Loss, point: Point, y: Array, change: Array) -> Array:
    """The change of slopes l'/n by one of outputs: (J, n) or (J, n, k) -> (J, n k)."""
    n = len(y)
    bend = loss.bend(point.slope * n, y) if loss.joint else loss.bend(point.slope * n)
    changed = np.einsum("nop,jnp->jno", bend, change) if loss.joint else bend * change
    return np.asarray(changed / n).reshape(len(change), -1)


class Adjoint:
    """The derivative of functionals, sorted from the latest iteration on, back through a trajectory.

    changes: of the slopes. They are found, unless another measure's pass has found them: then nothing is summed here.
    decay: whether what a weight decay does is asked for, a sum over all particles at every stage.
    """

    def __init__(
        self,
        trajectory: Trajectory,
        functionals: Sequence[Functional],
        changes: Changes | None = None,
        decay: bool = True,
    ) -> None:
        self.trajectory, self.functionals = trajectory, functionals
        self.population, self.problem = trajectory.population, trajectory.problem
        self.alpha, self.rule = self.population.alpha, self.problem.regulariser
        self.known, self.changes = changes is not None, changes if changes is not None else {}
        self.settings = BySettings(self.problem, len(functionals))
        self._decay, self._blocks = decay, blocks_of(self.population.count)

    def visit(self, iteration: int) -> None:
        """The population is at this iteration: its step backward, then what is measured here."""
        J = sum(one.iteration > iteration for one in self.functionals)
        if J:
            self._step(iteration, J)
        for j, one in enumerate(self.functionals):
            if one.iteration == iteration:
                self._measured(j, one)

    def _step(self, t: int, J: int) -> None:
        """The first J directions through the step of iteration t; its stages from the last to the first."""
        size, scheme, each = float(self.problem.sizes[t]), self.trajectory.scheme, self.population.each
        if scheme.stages == 1:
            self._stage(t, 0, J, size, None)
            return
        self.trajectory.push_stages(t)
        for stage in reversed(range(scheme.stages)):
            self.trajectory.to_stage(t, stage)
            later = tuple(size * (row[stage] if stage < len(row) else 0.0) for row in scheme.rows)
            each(directions.combine, later, size * scheme.ends[stage], 0, J)
            self._stage(t, stage, J, 1.0, stage)
        each(directions.collect, 0, J)

    def _stage(self, t: int, stage: int, J: int, size: float, into: int | None) -> None:
        point, y, each = self.trajectory.points[t][stage], self.problem.samples.targets(t), self.population.each
        if not self.known:
            change = self._change(each(directions.changes, t, 0, J), J, point)
            self.changes[t, stage] = bent(self.problem.loss, point, y, change)
            pulled = self._pulled(each(directions.products, self.rule, 0, J)) if self._decay else np.zeros(J)
            self.settings.add(slice(J), point, y, change / -(self.alpha**2), pulled, t, size)
        pull = Pull(t, point.slope, self.changes[t, stage], size, self.rule)
        each(directions.pull, pull, 0, J, into)

    def _change(self, parts: list[Branches], J: int, point: Point) -> Array:
        return np.asarray(self.alpha * root(parts, self._blocks)).reshape(J, *point.g.shape)

    def _pulled(self, parts: list[Branches]) -> Array:
        return -root(parts, self._blocks)

    def _measured(self, j: int, one: Functional) -> None:
        """The derivative of what is measured here, by the particles."""
        of, each = one.differential, self.population.each
        for which, slope in (("train", of.train), ("test", of.test)):
            if slope is not None:  # a pull has the factor -1 / alpha, outputs have alpha
                none = np.zeros(slope.size)
                pull = Pull(which, none, slope.reshape(1, -1), -(self.alpha**2), self.rule, explicit=True)
                each(directions.pull, pull, j, j + 1)
        if of.particles:
            each(directions.add_integrand, j, of.particles, 1.0)
        if of.penalty:
            each(directions.add_integrand, j, penalty_integrand(self.rule, self.problem.net.train), of.penalty)
        if of.speed:
            self._speed(j, one)
        if self.known:
            return
        if of.penalty:
            self.settings.weight_decay[j] += of.penalty * self._penalty()
        if of.target is not None and self.settings.target is not None:
            self.settings.target[j] += of.target

    def _speed(self, j: int, one: Functional) -> None:
        """The derivative of int |v|^2 dmu, v the velocity on all training samples."""
        problem, y, size = self.problem, self.problem.samples.y, 2.0 * one.differential.speed
        point = Point(one.g, problem.loss.slope(one.g, y) / len(y))
        drift, key, each = Drift("train", point.slope, self.rule), (one.iteration, -1 - j), self.population.each
        each(directions.along_velocity, drift)
        if not self.known:
            change = self._change(each(directions.velocity_changes, "train"), 1, point)
            self.changes[key] = bent(problem.loss, point, y, change)
            pulled = self._pulled(each(directions.velocity_products, self.rule))
            self.settings.add(slice(j, j + 1), point, y, change / -(self.alpha**2), pulled, None, size)
        each(directions.pull_velocity, Pull("train", point.slope, self.changes[key], size, self.rule), j)

    def _penalty(self) -> float:
        """h(w) / (alpha^2 lam)."""
        of = penalty_integrand(self.rule, self.problem.net.train, 1.0)
        return float(
            self.population.fold([Reduction(lambda block: np.atleast_1d(block.w @ of(block).value), "sum")], None)[0][0]
        )


def penalty_integrand(
    rule: Regulariser, train: tuple[str, ...], weight: float | None = None
) -> Callable[[BlockView], Integrand]:
    """h(w) / alpha^2 at a block's particles, with its gradient; weight: instead of the rule's own."""
    lam = rule.weight if weight is None else weight

    def of(block: BlockView) -> Integrand:
        m, slopes = block.w.size, list[Array | float]()
        value = np.zeros(m)
        for name, w, start in (("input", block.b, block.start_b), ("output", block.s, block.start_s)):
            if name in train:
                value = value + lam * rule.value(w.reshape(-1, m), 0, start.reshape(-1, m))
            slopes.append(lam * (w - start if rule.anchored else w) if name in train else 0.0)
        return Integrand(value, slopes[0], slopes[1], rule.anchored)

    return of
