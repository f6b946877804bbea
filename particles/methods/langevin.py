"""Mean-field Langevin descent."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from particles.checks import Setting
from particles.measures.measure import Array
from particles.methods.base import BatchOrAll, Memory, Method, Problem, Seed, Step, Stepper, Stop, WeightDecay
from particles.methods.schedules import Schedule
from particles.model.regularisers import L2, Regulariser
from particles.population.messages import Noise, Update
from particles.population.population import Population


class Noisy(Stepper):
    """b' = b + eta v + sqrt(2 eta tau) xi: mean-field Langevin."""

    method: "Langevin"

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        super().__init__(problem, population, memory, stop)
        self.temperatures = temperatures(self.method.temperature, len(problem.sizes))

    def move(self, iteration: int, g: Array) -> Update | None:
        eta = float(self.problem.sizes[iteration])
        noise = Noise(math.sqrt(2.0 * eta * float(self.temperatures[iteration])), self.method.seed, iteration)
        return Update(self.problem.field(iteration, g), eta, noise=noise)


def temperatures(temperature: float | Schedule, steps: int) -> Array:
    """tau at each iteration: (steps,)."""
    return temperature.sizes(steps) if isinstance(temperature, Schedule) else np.full(steps, float(temperature))


@dataclass(frozen=True)
class Langevin(Method):
    r"""Mean-field Langevin descent, `b' = b + eta v + sqrt(2 eta tau) xi`.

    Parameters
    ----------
    step
        `eta` in flow time, a number or a schedule.
    temperature
        `tau`, in units of `V / alpha^2`, flow time; a number, or a schedule by which it is annealed. 0 for none.
    weight_decay
        `lam` of the confinement `lam/2 |b|^2`, 0 by default.
    batch
        Samples an iteration; None, the default, takes all.
    seed
        Of the noise and the batches. The noise of particle r depends on (seed, iteration, r) alone, so clouds of
        different M are driven by the same noise.

    Raises
    ------
    InputError
        For a `step` that is not above 0, a negative `temperature` or `weight_decay`, and a `batch` below 1.

    Notes
    -----
    It descends the free energy

    .. math:: L + \alpha^2 \left( \frac{\lambda}{2} \int |b|^2 d\mu + \tau \int \log \mu \, d\mu \right)

    References
    ----------
    Mei, Montanari and Nguyen (2018), A mean field view of the landscape of two-layer neural networks.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> noisy = mf.Langevin(0.1, temperature=0.05, weight_decay=0.1)
    >>> mf.simulate(net, law.sample(64, seed=0), data, noisy, steps=50).dataset["loss"].values[[0, -1]].round(2)
    array([0.11, 0.02])
    """

    step: Step
    temperature: Annotated[
        float | Schedule,
        Setting("temperature of the noise, in units of V", least=0.0, remedy="Use 0 for none."),
    ]
    weight_decay: WeightDecay = 0.0
    batch: BatchOrAll = None
    seed: Seed = 0

    stepper = Noisy

    @property
    def regulariser(self) -> Regulariser:
        """The confinement `lam/2 |b|^2`."""
        return L2(self.weight_decay)
