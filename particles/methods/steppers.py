"""How each method makes an iteration: from the outputs at the iterate to the particles' next move. A row a method.

A stepper is called once an iteration, with the outputs g at the iteration's samples. It returns the last move of the
iteration, which the flow sends with its request for the next sums, or None where the particles are there already. What
a stepper must know besides the particles is its `memory`, which checkpoints keep. A step of many parts asks `stop`
between them.
"""

import math
from collections.abc import Callable

import numpy as np

from particles.errors import DivergedError, InputError
from particles.measures.blocks import blocks_of, root
from particles.measures.measure import Array
from particles.methods.problem import Memory, Problem
from particles.methods.schedules import Schedule
from particles.methods.settings import DualAveraging, FisherRao, Langevin, RungeKutta, Tableau
from particles.model.regularisers import L1, L2
from particles.population.messages import Drift, Noise, Reduction, Stage, Update
from particles.population.population import Population
from particles.population.shard import Shard

_SMALLEST = 1e-9  # of a step: a part this small means that the flow cannot be followed
# Of a step, accepted or not: 15 s of the smallest problem. A smooth flow needs about one part for each 3 / lam_max of
# flow time; along a kink parts are about as short as the tolerance.
_PARTS = 20_000

Stop = Callable[[], bool]  # whether the run is to end

MASS = Reduction(lambda block: np.atleast_1d(np.sum(block.w)), "sum")


class Abandoned(Exception):
    """A step was given up because the run is to end; the particles are where the step began."""


class Euler:
    """b' = b + eta v: gradient descent (3) and SGD (4)."""

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        self.problem, self.population, self.memory = problem, population, memory

    def move(self, iteration: int, g: Array) -> Update | None:
        share = 1.0 / (iteration + 2) if self.problem.method.average else None
        return Update(self.problem.field(iteration, g), float(self.problem.sizes[iteration]), share)


class Noisy:
    """b' = b + eta v + sqrt(2 eta tau) xi: mean-field Langevin."""

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        assert isinstance(problem.method, Langevin)
        self.problem, self.memory, self.seed = problem, memory, problem.method.seed
        self.temperatures = temperatures(problem.method.temperature, len(problem.sizes))

    def move(self, iteration: int, g: Array) -> Update | None:
        eta = float(self.problem.sizes[iteration])
        noise = Noise(math.sqrt(2.0 * eta * float(self.temperatures[iteration])), self.seed, iteration)
        return Update(self.problem.field(iteration, g), eta, noise=noise)


class Averaging:
    """Langevin steps whose potential is the weighted mean of those seen once in `inner` iterations.

    memory: "slopes" (n,), sum_s s slope_s over the outer iterations so far.
    """

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        assert isinstance(problem.method, DualAveraging)
        self.problem, self.memory, self.method = problem, memory, problem.method

    def move(self, iteration: int, g: Array) -> Update | None:
        method, eta = self.method, float(self.problem.sizes[iteration])
        t, inside = divmod(iteration, method.inner)
        t += 1
        if not inside:
            slope = self.problem.field(iteration, g).slope
            self.memory["slopes"] = self.memory.get("slopes", 0.0) + t * slope
        share = 2.0 / ((t + 1) * (t + 2))
        pull = L2(method.weight_decay * share * t * (t + 1) / 2)
        field = Drift(iteration, share * self.memory["slopes"], pull)
        noise = Noise(math.sqrt(2.0 * eta * method.temperature), method.seed, iteration)
        return Update(field, eta, noise=noise)


class Staged:
    """A Runge-Kutta step, as it is or divided until its error is small; each step finds its parts anew.

    memory: with a tolerance "parts" (2,), how many were accepted and rejected so far.
    """

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        assert isinstance(problem.method, RungeKutta)
        if isinstance(problem.regulariser, L1):
            raise InputError("Runge-Kutta steps need a smooth regulariser", repr(problem.regulariser), "Use L2.")
        self.problem, self.population, self.memory, self.stop = problem, population, memory, stop
        self.tableau: Tableau = problem.method.tableau
        self.tolerance = problem.method.tolerance
        self.of = problem.method.stages

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


class Reweighing:
    """A descent step with w' = w e^(-eta rate (V - int V dmu)) before it, up to what makes the weights sum to 1."""

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        assert isinstance(problem.method, FisherRao)
        if problem.net.train != ("input",) or population.alpha != 1.0:
            told = f"train={problem.net.train}, alpha={population.alpha:g}"
            raise InputError("FisherRao needs beta = 1 and input weights that train alone", told, "")
        rule = problem.regulariser
        if isinstance(rule, L2) and rule.about == "start" and rule.weight:
            raise InputError("FisherRao needs a potential: a pull to the start has none", repr(rule), "Use L2.")
        self.problem, self.population, self.memory = problem, population, memory
        self.rate = problem.method.rate

    def move(self, iteration: int, g: Array) -> Update | None:
        eta, field = float(self.problem.sizes[iteration]), self.problem.field(iteration, g)
        # int V dmu of the data term, known for nothing: taken off so that weights stay near what they were.
        move = Update(field, eta, growth=eta * self.rate, centre=float(field.slope @ g))
        if not all(self.population.each(Shard.push, move)):
            raise DivergedError(f"a particle is no longer finite after iteration {iteration + 1}", iteration + 1)
        mass = float(self.population.fold([MASS], None)[0][0])
        if not 0.0 < mass < math.inf:
            cause = f"`rate` {self.rate:g} is too large for V. Lower it, or the step."
            raise DivergedError(f"the weights sum to {mass:g} after iteration {iteration + 1}", iteration + 1, cause)
        self.population.each(Shard.scale_weights, 1.0 / mass)
        return None


def temperatures(temperature: float | Schedule, steps: int) -> Array:
    """tau at each iteration: (steps,)."""
    return temperature.sizes(steps) if isinstance(temperature, Schedule) else np.full(steps, float(temperature))


Stepper = Euler | Noisy | Averaging | Staged | Reweighing
STEPPERS: dict[type, Callable[[Problem, Population, Memory, Stop], Stepper]] = {
    RungeKutta: Staged,
    Langevin: Noisy,
    DualAveraging: Averaging,
    FisherRao: Reweighing,
}


def stepper(problem: Problem, population: Population, memory: Memory, stop: Stop) -> Stepper:
    """The stepper of a problem's method; memory: of the run that goes on, empty at its start."""
    return STEPPERS.get(type(problem.method), Euler)(problem, population, memory, stop)
