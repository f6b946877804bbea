"""Runge-Kutta steps of the gradient flow, as they are or divided until their error is small."""

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from particles.checks import Setting
from particles.errors import DivergedError, InputError
from particles.measures.blocks import blocks_of, root
from particles.measures.measure import Array
from particles.methods.base import Abandoned, Memory, Method, Problem, Step, Stepper, Stop
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.messages import Stage, Update
from particles.population.population import Population
from particles.population.shard import Shard

_SMALLEST = 1e-9  # of a step: a part this small means that the flow cannot be followed
# Of a step, accepted or not: 15 s of the smallest problem. A smooth flow needs about one part for each 3 / lam_max of
# flow time; along a kink parts are about as short as the tolerance.
_PARTS = 20_000
_TOLERANCE = Setting(
    "error allowed a step; the step adapts", above=0.0, remedy="Use 1e-6, or None for steps as they are."
)


class Tableau(NamedTuple):
    """A Runge-Kutta scheme: k_j = v(b + eta sum_i rows[j - 1]_i k_i), b' = b + eta sum_i ends_i k_i.

    order: of b'. errors: of the embedded estimate eta sum_i errors_i k_i, one stage at b' after the others; or none.
    """

    order: int
    rows: tuple[tuple[float, ...], ...]
    ends: tuple[float, ...]
    errors: tuple[float, ...] = ()


SCHEMES: dict[str, Tableau] = {
    "heun": Tableau(2, ((1.0,),), (1 / 2, 1 / 2)),
    "classic": Tableau(4, ((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    # Bogacki and Shampine 1989
    "bogacki-shampine": Tableau(
        3, ((1 / 2,), (0.0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9), (-5 / 72, 1 / 12, 1 / 9, -1 / 8)
    ),
    # Dormand and Prince 1980
    "dormand-prince": Tableau(
        5,
        (
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        ),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    ),
}  # fmt: skip


class Staged(Stepper):
    """A Runge-Kutta step, as it is or divided until its error is small; each step finds its parts anew.

    memory: with a tolerance "parts" (2,), how many were accepted and rejected so far.
    """

    method: "RungeKutta"

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        super().__init__(problem, population, memory, stop)
        self.tableau, self.tolerance, self.of = self.method.tableau, self.method.tolerance, self.method.stages

    def move(self, iteration: int, g: Array) -> Update | None:
        """All stages but the last, and its move; of a step with a tolerance everything."""
        whole = float(self.problem.sizes[iteration])
        if self.tolerance is None:
            return self._stages(iteration, g, whole)
        counts = self.memory.setdefault("parts", np.zeros(2, dtype=np.int64))
        before = counts.copy()
        done, part = 0.0, whole
        while done < whole:
            part = min(part, whole - done)
            last = part >= whole - done
            after, error = self._tried(iteration, g, part)
            if error <= self.tolerance:
                done, g = whole if last else done + part, after
                counts[0] += 1
            else:
                self.population.each(Shard.rewind)
                counts[1] += 1
                if part == whole:  # the first part: this is where the step began
                    self.population.each(Shard.hold)
            if done >= whole:
                return None
            part *= min(5.0, max(0.2, 0.9 * (self.tolerance / error) ** (1.0 / self.tableau.order))) if error else 5.0
            tried = int((counts - before).sum())
            if part < _SMALLEST * whole or tried >= _PARTS:
                self.population.each(Shard.back)
                raise self._stuck(iteration, done, part, tried)
            if self.stop():
                counts[:] = before
                self.population.each(Shard.back)
                raise Abandoned
        return None

    def _stuck(self, iteration: int, done: float, part: float, tried: int) -> DivergedError:
        """The error of a step that came no further than `done`."""
        whole, reached = float(self.problem.sizes[iteration]), float(self.problem.times[iteration]) + done
        return DivergedError(
            f"the step of {whole:g} at iteration {iteration} came to flow time {reached:.6g} in {tried} parts, "
            f"the last of length {part:.1e}",
            iteration,
            "Parts become this short where the flow slides along a kink of the activation, or where the tolerance is "
            f"below rounding. Raise `tolerance` = {self.tolerance:g}, take shorter steps (each may have {_PARTS} "
            "parts), or use GradientDescent.",
        )

    def _stages(self, iteration: int, g: Array, eta: float) -> Update:
        rows = [*self.tableau.rows, self.tableau.ends]
        for number, row in enumerate(rows):
            field = self.problem.field(iteration, g)
            move = Update(field, eta, stage=Stage(number, tuple(eta * a for a in row), self.of))
            if number < len(rows) - 1:
                g = self._advanced(move, iteration)
        return move

    def _advanced(self, move: Update, iteration: int) -> Array:
        g, finite = self.population.advance(move, iteration, keep=True)
        if not finite:
            raise DivergedError(
                f"a particle is no longer finite within the step after iteration {iteration}", iteration
            )
        return g

    def _tried(self, iteration: int, g: Array, eta: float) -> tuple[Array, float]:
        """A part of the step: the outputs after it, and its error, inf where the numbers were lost."""
        try:
            after = self._advanced(self._stages(iteration, g, eta), iteration)
        except DivergedError:
            return g, math.inf
        ends = (*(eta * b for b in self.tableau.ends), 0.0)
        move = Update(self.problem.field(iteration, after), eta, stage=Stage(len(ends) - 1, ends, self.of))
        answers = self.population.each(Shard.probe, move, tuple(eta * e for e in self.tableau.errors))
        square = root([branches for branches, _ in answers], blocks_of(self.population.count))
        fine = all(finite for _, finite in answers) and np.isfinite(square).all()
        return after, math.sqrt(float(square[0])) if fine else math.inf


@dataclass(frozen=True)
class RungeKutta(Method):
    """The gradient flow of section 3.4 by Runge-Kutta steps, on all samples.

    Parameters
    ----------
    step
        `eta` in flow time, a number or a schedule.
    scheme
        "heun" (order 2), "bogacki-shampine" (3), "classic" (4), "dormand-prince" (5), the default.
    tolerance
        If given, each step is divided until the estimated error of every part is below it. The error is the root mean
        square over the measure of that of positions. Only "bogacki-shampine" and "dormand-prince" estimate it.

    Raises
    ------
    InputError
        For a `step` that is not above 0, another `scheme`, and a `tolerance` for a scheme without an estimate.
        `mf.simulate` refuses an L1 regulariser, whose threshold has no velocity.

    Notes
    -----
    Orders hold for smooth activations. ReLU's kinks cost some of the order. Where the flow slides along a kink, pushed
    back from both sides, no part is short enough: past 20 000 parts a step is a `DivergedError`. The attributes
    `accepted_parts` and `rejected_parts` of the run's dataset count the parts.

    References
    ----------
    Bogacki and Shampine (1989), A 3(2) pair of Runge-Kutta formulas. Dormand and Prince (1980), A family of embedded
    Runge-Kutta formulae.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.RungeKutta(0.5, scheme="classic"), steps=8)
    >>> mf.RungeKutta(0.5, scheme="classic").stages, run.dataset["loss"].values[[0, -1]].round(3)
    (4, array([0.057, 0.01 ]))
    """

    step: Step
    scheme: Annotated[str, Setting("which scheme", choices=tuple(SCHEMES))] = "dormand-prince"
    tolerance: Annotated[float | None, _TOLERANCE] = None

    stepper = Staged

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tolerance is not None and not self.tableau.errors:
            rule = "`tolerance` needs a scheme that estimates its error"
            raise InputError(rule, repr(self.scheme), 'Use "dormand-prince".')

    @property
    def tableau(self) -> Tableau:
        """The scheme's coefficients."""
        return SCHEMES[self.scheme]

    @property
    def stages(self) -> int:
        """How many velocities a step takes, that of its error counted."""
        return len(self.tableau.ends) + (self.tolerance is not None)

    @property
    def copies(self) -> int:
        """The velocities at the stages, where the step began, and where one began that is divided."""
        return self.stages + 1 + (self.tolerance is not None)

    def check(self, net: Network, rule: Regulariser) -> None:
        if not rule.smooth:  # a threshold has no velocity at the stages
            raise InputError("RungeKutta needs a smooth regulariser", repr(rule), "Use L2.")
