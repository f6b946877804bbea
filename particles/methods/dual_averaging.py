"""Particle dual averaging."""

import math
from dataclasses import dataclass
from typing import Annotated

from particles.checks import Setting
from particles.measures.measure import Array
from particles.methods.base import Method, Seed, Step, Stepper, WeightDecay
from particles.model.regularisers import L2, Regulariser
from particles.population.messages import Drift, Noise, Update


class Averaging(Stepper):
    """Langevin steps whose potential is the weighted mean of those seen once in `inner` iterations.

    memory: "slopes" (n,), sum_s s slope_s over the outer iterations so far.
    """

    method: "DualAveraging"

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


@dataclass(frozen=True)
class DualAveraging(Method):
    r"""Particle dual averaging: Langevin steps under the average of all slopes so far, on all samples.

    Parameters
    ----------
    step
        `eta` in flow time, a number or a schedule.
    temperature
        `tau` of the noise, in units of `V / alpha^2`, flow time; 0 for none.
    weight_decay
        `lam` of the confinement `lam/2 |b|^2`, 0 by default.
    inner
        Langevin steps an outer iteration, 10 by default.
    seed
        Of the noise.

    Raises
    ------
    InputError
        For a `step` that is not above 0, a negative `temperature` or `weight_decay`, and `inner` below 1.

    Notes
    -----
    Outer iteration t = 1, 2, ... takes the slope `l'(g, y)` once. Then `inner` Langevin steps follow the potential

    .. math:: \frac{2}{(t + 1)(t + 2)} \sum_{s \le t} s \left( V_s + \frac{\lambda}{2} |b|^2 \right)

    with :math:`V_s` the first variation at outer iteration s.

    References
    ----------
    Nitanda, Wu and Suzuki (2021), Particle dual averaging.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> dual = mf.DualAveraging(0.1, temperature=0.05, weight_decay=0.1)
    >>> mf.simulate(net, law.sample(64, seed=0), data, dual, steps=20).dataset["loss"].values[[0, -1]].round(2)
    array([0.11, 0.06])
    """

    step: Step
    temperature: Annotated[
        float, Setting("temperature of the noise, in units of V", least=0.0, remedy="Use 0 for none.")
    ]
    weight_decay: WeightDecay = 0.0
    inner: Annotated[
        int, Setting("Langevin steps an outer step", least=1, remedy="Use 10 Langevin steps to a slope, say.")
    ] = 10
    seed: Seed = 0

    stepper = Averaging

    @property
    def regulariser(self) -> Regulariser:
        """The confinement `lam/2 |b|^2`."""
        return L2(self.weight_decay)
