"""The free energy that mean-field Langevin descends (3.4, with noise; Mei, Montanari and Nguyen 2018).

    F(mu) = L(mu) + alpha^2 (lam/2 int |b|^2 dmu + tau int log mu dmu)

over laws mu of (sign, position) with a density on R^d for each sign; alpha = 1 at beta = 1. The steps leave signs as
they are, so the shares of the signs are part of the problem: F is compared among laws with the same shares.
"""

from typing import NamedTuple

import numpy as np

from particles.checks import number, numpy_settings
from particles.data import Dataset, checked_labels
from particles.errors import InputError
from particles.losses import loss as loss_row
from particles.measure import Measure, checked_measure
from particles.network import Network
from particles.theory.entropic.entropy import entropy


class FreeEnergy(NamedTuple):
    """F = risk + confinement - temperature * alpha^2 * entropy.

    risk : L, the mean loss. confinement : alpha^2 lam/2 int |b|^2 dmu. entropy : -int log mu dmu, of the joint law of
    (s, b). error : of `value`, a standard error and the entropy's rough bias together.
    """

    value: float
    risk: float
    confinement: float
    entropy: float
    error: float


@numpy_settings
def free_energy(
    net: Network,
    measure: Measure,
    data: Dataset,
    loss: str = "squared",
    *,
    weight_decay: float,
    temperature: float,
    k: int = 4,
) -> FreeEnergy:
    """F of the law of the particles (3.4), its entropy by k neighbours.

    weight_decay, temperature: lam and tau as `mf.Langevin` takes them. risk and confinement are those of the particles
    as they are, a sample of the law: they have a chance of their own of order M^(-1/2), which `error` leaves out.
    Raises InputError for a temperature <= 0, a network whose output layer trains, and as `entropy` does.

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
    square, found = net.scale(measure) ** 2, entropy(measure, k)
    risk = float(np.mean(loss_row(loss).value(net.predict(measure, data.x), data.y)))
    confinement = 0.5 * lam * square * float(measure.w @ np.sum(measure.b**2, axis=1))
    size = square * tau
    value = risk + confinement - size * found.value
    return FreeEnergy(value, risk, confinement, found.value, size * (found.error + found.bias))


def checked_temperature(temperature: float) -> float:
    """tau > 0."""
    remedy = "At 0 the optimum has no density: see the certificates of the noiseless problem."
    return number("temperature", temperature, above=0.0, remedy=remedy)


def checked_problem(net: Network, data: Dataset, loss: str) -> None:
    """Labels where the loss asks for them, and signs that stay as they are."""
    if loss_row(loss).binary:
        checked_labels(data.y)
    if net.train != ("input",):
        raise InputError("the free energy is over positions, signs held", f"train={net.train}", 'Use train="input".')
