"""The free energy that mean-field Langevin descends (3.4, with noise; Mei, Montanari and Nguyen 2018).

    F(mu) = L(mu) + alpha^2 (lam/2 int |b|^2 dmu + tau int log mu dmu)

over laws mu of (sign, position) with a density on R^d for each sign; alpha = 1 at beta = 1. The steps leave signs as
they are, so the shares of the signs are part of the problem: F is compared among laws with the same shares.
"""

import math
from typing import NamedTuple

import numpy as np

from particles.checks import number, numpy_settings
from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.measures.measure import Array, Measure, checked_measure
from particles.model.losses import Loss, loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import L2
from particles.population.targets import check_targets
from particles.theory.entropic.deviations import of_particles
from particles.theory.entropic.entropy import combined, neighbours
from particles.theory.one_output import one_output
from particles.theory.optimality.potential import Variation, first_variation


class FreeEnergy(NamedTuple):
    """`F = risk + confinement - temperature * alpha^2 * entropy`.

    Attributes
    ----------
    value
        `F`.
    risk
        L, the mean loss.
    confinement
        `alpha^2 lam/2 int |b|^2 dmu`.
    entropy
        `-int log mu dmu`, of the joint law of (s, b), in nats.
    error
        Of `value`; from particles, a standard error.
    bias
        A rough size of what more particles would change on average, of the entropy and of order 1/M of the risk; 0
        where `value` is an integral. From particles, 2 `error` + `bias` is the 95% half width.
    """

    value: float
    risk: float
    confinement: float
    entropy: float
    error: float
    bias: float = 0.0


@numpy_settings
def free_energy(
    net: Network,
    measure: Measure,
    data: Dataset,
    loss: str | Loss = "squared",
    *,
    weight_decay: float,
    temperature: float,
    k: int = 4,
) -> FreeEnergy:
    r"""The free energy that mean-field Langevin descends, estimated from particles (3.4, with noise).

    Parameters
    ----------
    net
        The network; only its input weights train.
    measure
        Equally weighted particles, taken as an independent sample of the law, the shares of the signs held.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    weight_decay
        `lam`, as `mf.Langevin` takes it.
    temperature
        `tau` > 0, as `mf.Langevin` takes it.
    k
        Neighbours of the entropy's estimate, 4 by default.

    Returns
    -------
    FreeEnergy
        F and its parts.

    Raises
    ------
    InputError
        For a temperature <= 0, a network whose output layer trains or of more than one output, and as
        `mf.theory.entropy` does.

    Notes
    -----
    .. math::

        F(\mu) = L(\mu) + \alpha^2 \left( \frac{\lambda}{2} \int |b|^2 \, d\mu + \tau \int \log \mu \, d\mu \right)

    `error` is that of the three parts together, by dF/dmu = V + T log mu: near the optimum, where this is constant, it
    is far below the error of each.

    References
    ----------
    Section 3.4. Mei, Montanari and Nguyen (2018), A mean field view of the landscape of two-layer neural networks.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> F = mf.theory.free_energy(net, law.sample(1024, seed=0), data, weight_decay=0.1, temperature=0.05)
    >>> round(F.confinement, 2), round(F.value, 2)
    (0.1, 0.07)
    """
    lam = number("weight_decay", weight_decay, 0.0, remedy="Use 0 for none.")
    tau = checked_temperature(temperature)
    checked_problem(net, data, loss)
    measure = checked_measure(measure, net.inputs(data.x).shape[1])
    square, parts, d = net.scale(measure) ** 2, neighbours(measure, k), measure.b.shape[1]
    row, g, entropy = loss_row(loss), net.predict(measure, data.x), combined(parts, d)
    risk = float(np.mean(row.value(g, data.y)))
    confinement = 0.5 * lam * square * float(measure.w @ np.sum(measure.b**2, axis=1))
    size = square * tau
    value = risk + confinement - size * entropy.value
    V = first_variation(net, measure, data, loss, L2(lam))
    first = size * combined(parts, d, -V.value(measure.b, measure.s) / size).error
    second = _second(V, measure, row.bend(row.slope(g, data.y)))
    # A weighted sum of squared normal numbers has a spread of at most its mean times sqrt(2).
    error = math.hypot(first, math.sqrt(2.0) * second)
    return FreeEnergy(value, risk, confinement, entropy.value, error, size * entropy.bias + second)


def _second(V: Variation, measure: Measure, bend: Array) -> float:
    """How much larger the risk of M particles is than their law's on average: 1/(2 M) of l'' (n,) times variances."""
    signs, counts = np.unique(measure.s, return_counts=True)
    variances = [of_particles(V, measure, sign).var(axis=1) for sign in signs]
    return 0.5 * float(np.mean(bend * (counts @ np.array(variances)))) / len(measure.s) ** 2


def checked_temperature(temperature: float) -> float:
    """tau > 0."""
    remedy = "At 0 the optimum has no density: see the certificates of the noiseless problem."
    return number("temperature", temperature, above=0.0, remedy=remedy)


def checked_problem(net: Network, data: Dataset, loss: str | Loss) -> None:
    """One output, labels where the loss asks for them, and signs that stay as they are."""
    one_output("the free energy", net.outputs, data.outputs)
    check_targets(net, loss_row(loss), data.y)
    if net.train != ("input",):
        raise InputError("the free energy needs fixed output weights", f"train={net.train}", 'Use train="input".')
