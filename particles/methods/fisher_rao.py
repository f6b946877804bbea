"""Descent of positions and weights: the Wasserstein-Fisher-Rao flow."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from particles.checks import Setting
from particles.errors import DivergedError, InputError
from particles.measures.measure import Array
from particles.methods.base import Method, Step, Stepper
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.messages import Reduction, Update
from particles.population.shard import Shard

_RATE = "how fast weights change, dw/dt = -rate w (V - mean V); 0 is plain descent"
MASS = Reduction(lambda block: np.atleast_1d(np.sum(block.w)), "sum")


class Reweighing(Stepper):
    """A descent step with w' = w e^(-eta rate (V - int V dmu)) before it, up to what makes the weights sum to 1."""

    method: "FisherRao"

    def move(self, iteration: int, g: Array) -> Update | None:
        eta, field = float(self.problem.sizes[iteration]), self.problem.field(iteration, g)
        # int V dmu of the data term, known for nothing: taken off so that weights stay near what they were.
        move = Update(field, eta, growth=eta * self.method.rate, centre=float(np.vdot(field.slope, g)))
        if not all(self.population.each(Shard.push, move)):
            raise DivergedError(f"a particle is no longer finite after iteration {iteration + 1}", iteration + 1)
        mass = float(self.population.fold([MASS], None)[0][0])
        if not 0.0 < mass < math.inf:
            cause = f"`rate` {self.method.rate:g} is too large for V. Lower it, or the step."
            raise DivergedError(f"the weights sum to {mass:g} after iteration {iteration + 1}", iteration + 1, cause)
        self.population.each(Shard.scale_weights, 1.0 / mass)
        return None


@dataclass(frozen=True)
class FisherRao(Method):
    r"""Descent whose particles also gain and lose weight: the Wasserstein-Fisher-Rao flow, on all samples.

    Parameters
    ----------
    step
        `eta` in flow time, a number or a schedule.
    rate
        How fast weights change, 1 by default; 0 is plain descent.

    Raises
    ------
    InputError
        For a `step` that is not above 0, and a negative `rate`. `mf.simulate` refuses beta < 1, where weights must be
        equal, trained output weights, and a pull to the start.

    Notes
    -----
    With :math:`V` the first variation divided by :math:`\alpha^2` (flow time), the regulariser in it, weights move by

    .. math:: \dot w = -\mathrm{rate} \; w \left( V - \int V d\mu \right)

    References
    ----------
    Chizat (2022), Sparse optimization on measures with over-parameterized gradient descent. Rotskoff et al. (2019) move
    the number of particles instead of their weights.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> w = mf.simulate(net, law.sample(16, seed=0), data, mf.FisherRao(0.5), steps=20).measure.w
    >>> round(float(w.sum()), 6), bool(w.max() > 1 / 16 > w.min())
    (1.0, True)
    """

    step: Step
    rate: Annotated[float, Setting(_RATE, least=0.0, remedy="Use 0 for plain descent.")] = 1.0

    weighing = True
    stepper = Reweighing

    def check(self, net: Network, rule: Regulariser) -> None:
        if net.train != ("input",) or net.beta != 1.0:
            got = f"train={net.train}, beta={net.beta:g}"
            raise InputError("FisherRao needs beta = 1 and input weights that train alone", got, "")
        rule.check_potential()
