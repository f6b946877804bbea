"""The linearised run, forward: how outputs move when the measure at the start does, for many changes of it at once.

The derivative of the velocity is symmetric, so what carries a derivative back carries a change forward. A change is one
of the particles' weights at the start; from there on it moves the particles.
"""

from particles.measures.blocks import blocks_of, root
from particles.measures.measure import Array
from particles.population import directions
from particles.population.directions import Pull
from particles.sensitivity.adjoint import bent
from particles.sensitivity.trajectory import Trajectory


class Response:
    """J random changes of the measure at the start, along a trajectory that was made before and is at its start."""

    def __init__(self, trajectory: Trajectory, count: int, seed: int, symmetric: bool) -> None:
        self.trajectory, self.population, self.count = trajectory, trajectory.population, count
        self._blocks = blocks_of(self.population.count)
        stages = trajectory.scheme.stages
        each = self.population.each
        each(directions.begin, count, False, False, stages if stages > 1 else 0, False)
        sums = root(each(directions.disturb, seed, symmetric), self._blocks)
        each(directions.centre, sums)

    def changes(self, which: int | str) -> Array:
        """The changes of the outputs at samples: (J, n), or (J, n, k)."""
        parts = self.population.each(directions.changes, which, 0, self.count)
        change = self.population.alpha * root(parts, self._blocks)
        k = self.trajectory.problem.net.outputs
        return change.reshape(self.count, -1) if k == 1 else change.reshape(self.count, -1, k)

    def advance(self) -> None:
        """One iteration: the changes, then the particles."""
        trajectory, problem = self.trajectory, self.trajectory.problem
        t, scheme, each = trajectory.here, trajectory.scheme, self.population.each
        y, size = problem.samples.targets(t), float(problem.sizes[t])
        for stage, point in enumerate(trajectory.points[t]):
            single = scheme.stages == 1
            if not single:
                each(directions.combine, tuple(size * a for a in scheme.rows[stage]), 1.0, 0, self.count)
            change = bent(problem.loss, point, y, self.changes(t))
            pull = Pull(t, point.slope, change, size if single else 1.0, problem.regulariser)
            each(directions.pull, pull, 0, self.count, None if single else stage)
            trajectory.push_stage(t, stage)
        if scheme.stages > 1:
            each(directions.settle, tuple(size * a for a in scheme.ends))
        trajectory.here += 1
