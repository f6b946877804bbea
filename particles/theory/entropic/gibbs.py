"""The optimum of the free energy (3.4, with noise), by the concave dual problem of n unknowns.

The law that minimises F = L + alpha^2 (lam/2 int |b|^2 + tau int log mu) with given shares m_s of the signs is the
Gibbs measure of its own first variation: mu(b | s) ~ exp(-V(s, b) / T), T = alpha^2 tau, a fixed point (Mei, Montanari
and Nguyen 2018, and Hu et al. 2021). V needs only the n slopes u_i = l'(g_i, y_i), and they maximise

    D(u) = -T sum_s m_s (log Z_s(u) - log m_s) - (1/n) sum_i l*(u_i, y_i)     Z_s(u) = int exp(-V_u(s, b) / T) db

where F >= D, with equality at the optimum only. This is what Langevin's particles must come to, found without them.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from particles.checks import number, numpy_settings
from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.measures.measure import Array, Measure
from particles.measures.output_weights import OF_SIZE_ONE, checked_fixed_signs
from particles.model.losses import Loss, loss as loss_row
from particles.model.network import Network
from particles.population.population import cores
from particles.theory.entropic.free_energy import FreeEnergy, checked_problem, checked_temperature
from particles.theory.entropic.polar import DIM, checked_confinement, grid, rounding
from particles.theory.one_output import one_output, width
from particles.theory.optimality.convex_program import columns_of
from particles.theory.optimality.potential import Variation

_STEPS = 200  # of Newton; 4 to 15 are usual
_LEVELS = 8
_NUMBERS = 2**25  # columns times nodes held at once: 256 MiB
_NOTHING = 1e-17  # of all weight: what all the atoms that are left out weigh at most


class Gibbs(NamedTuple):
    """The optimum `mu*` of the free energy.

    Attributes
    ----------
    measure
        Weighted particles, the nodes of the quadrature, that stand for `mu*`.
    free_energy
        `F(mu*)` and its parts. Its `error` is what the last doubling of the nodes changed, the duality gap on them, and
        rounding.
    prediction : (n,)
        `g` at the samples.
    residual
        `max |g - z|`, where `mu*` is the Gibbs measure of the slopes `l'(z, y)`.
    error
        A bound for `prediction`: what the last doubling changed, the length of `g - z`, and rounding.
    """

    measure: Measure
    free_energy: FreeEnergy
    prediction: Array
    residual: float
    error: float


@numpy_settings
def gibbs(
    net: Network,
    data: Dataset,
    loss: str | Loss = "squared",
    *,
    weight_decay: float,
    temperature: float,
    signs: str | Mapping[float, float] | Measure = "positive",
    alpha: float | None = None,
    tolerance: float = 1e-10,
) -> Gibbs:
    r"""The optimum of the free energy for 1 or 2 inputs, a bias counted in: what Langevin tends to (3.4, with noise).

    Parameters
    ----------
    net
        The network; only its input weights train.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    weight_decay
        `lam` > 0, as `mf.Langevin` takes it.
    temperature
        `tau` > 0, as `mf.Langevin` takes it.
    signs
        The shares of the signs, which Langevin does not change: "positive", "random" or "symmetric" (both half and
        half), {sign: share}, or a measure with these shares.
    alpha
        The output scale, 1 for beta = 1; for beta < 1 give M^(1 - beta).
    tolerance
        Of the residual, and of the change of F and g by a doubling of the nodes; 1e-10 by default.

    Returns
    -------
    Gibbs
        The optimum, F there, and their errors.

    Raises
    ------
    InputError
        For `lam` or `tau` <= 0, more than 2 inputs, more than one output, an activation of unbounded slope, output
        layers that train, and a residual above the tolerance.

    Notes
    -----
    The optimum is a Gibbs measure of its own first variation V (with `lam` in it), for each sign:

    .. math:: \mu^*(b \mid s) \propto e^{-V(s, b) / T}, \qquad T = \alpha^2 \tau

    References
    ----------
    Section 3.4. Mei, Montanari and Nguyen (2018), A mean field view of the landscape of two-layer neural networks.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> best = mf.theory.gibbs(net, data, weight_decay=0.1, temperature=0.05)
    >>> round(best.free_energy.value, 4), best.prediction.round(4)
    (-0.0226, array([ 0.3565, -0.3565]))
    """
    rule, T = checked_confinement(weight_decay), checked_temperature(temperature)
    checked_problem(net, data, loss)
    x, scale = net.inputs(data.x), _checked_scale(net, alpha)
    values, masses = shares(signs)
    T, tolerance = scale**2 * T, number("tolerance", tolerance, above=0.0)
    if x.shape[1] > DIM:
        got = f"{x.shape[1]} inputs, a bias counted in"
        raise InputError(f"`gibbs` integrates over at most {DIM} inputs", got, "Run mf.Langevin, and duality_gap.")
    V = Variation(net, x, np.zeros(len(x)), rule, scale**2, cores())
    return _refined(V, data.y, loss_row(loss), values, masses, T, tolerance)


def _refined(V: Variation, y: Array, loss: Loss, signs: Array, masses: Array, T: float, tolerance: float) -> Gibbs:
    """The optimum on finer and finer nodes, until a doubling changes nothing. V: its slopes do not matter."""
    z, alpha, optimum, changed = np.zeros(len(y)), math.sqrt(V.scale), None, (np.inf, np.inf)
    for level in range(_LEVELS):
        V = V._replace(slope=alpha * loss.slope(z, y) / len(y))
        b, log_w = grid(V, T, signs, level)
        if optimum and len(b) * len(y) > _NUMBERS:
            break
        one = Measure(b, np.ones(len(b)), np.full(len(b), 1.0 / len(b)))
        pull = V.penalty.weight * V.rule.value(b, 1)
        dual = Dual(columns_of(V.net, one, V.x, alpha), pull, log_w, signs, masses, y, loss, T)
        z = maximum(dual, z, tolerance)
        before, optimum = optimum, _result(dual, z, b)
        if before:
            value, old = optimum.free_energy.value, before.free_energy.value
            changed = abs(value - old), float(np.abs(optimum.prediction - before.prediction).max())
        if max(changed) <= tolerance:
            break
    assert optimum
    logs = rounding(V, T, signs, optimum.measure.b, dual.at(z).log_z)
    F = optimum.free_energy._replace(error=optimum.free_energy.error + changed[0] + 2.0 * T * logs)
    outputs = 2.0 * logs * float(np.abs(dual.columns).max() * np.abs(signs).max())
    return optimum._replace(free_energy=F, error=changed[1] + math.sqrt(len(y)) * optimum.residual + outputs)


def shares(signs: str | Mapping[float, float] | Measure) -> tuple[Array, Array]:
    """The signs, ascending, and their shares, which sum to 1."""
    if isinstance(signs, str):
        pairs = {1.0: 1.0} if checked_fixed_signs(signs) == "positive" else {-1.0: 0.5, 1.0: 0.5}
    elif isinstance(signs, Measure):
        one_output("the free energy", width("s", signs.s))
        values, of = np.unique(signs.s, return_inverse=True)
        pairs = dict(zip(values.tolist(), np.bincount(of, signs.w).tolist(), strict=True))
    elif isinstance(signs, Mapping):
        pairs = dict(signs)
    else:
        rule = f"`signs` must be one of {', '.join(OF_SIZE_ONE)}, shares by sign, or a measure"
        raise InputError(rule, type(signs).__name__, "Use {1.0: 0.5, -1.0: 0.5}, say.")
    ordered = sorted((number("sign", sign), number("share", share, 0.0)) for sign, share in pairs.items())
    values, masses = (np.array(column) for column in np.reshape([pair for pair in ordered if pair[1]], (-1, 2)).T)
    if abs(masses.sum() - 1.0) > 1e-9:
        raise InputError("the shares of the signs must sum to 1", f"{masses.sum():.12g}", "Divide them by their sum.")
    return values, masses / masses.sum()


def _checked_scale(net: Network, alpha: float | None) -> float:
    if alpha is None and net.beta < 1.0:
        raise InputError("for beta < 1 the scale is a number of neurons", f"beta={net.beta:g}", "Give `alpha`.")
    return 1.0 if alpha is None else number("alpha", alpha, above=0.0)


class Point(NamedTuple):
    """The Gibbs measure of slopes l'(z, y): p (signs, K) given each sign, log Z (signs,), its g (n,), and D."""

    p: Array
    log_z: Array
    g: Array
    value: float


class Dual(NamedTuple):
    """D on nodes: columns alpha sigma(b_k.x_i) (n, K), pull and log weights (K,), signs and shares, y, loss, T."""

    columns: Array
    pull: Array
    log_w: Array
    signs: Array
    masses: Array
    y: Array
    loss: Loss
    T: float

    def at(self, z: Array) -> Point:
        """All that is to know at outputs z (n,): l* is z l'(z) - l(z), so that no conjugate is needed."""
        slope = self.loss.slope(z, self.y)
        logs = self.log_w - (np.multiply.outer(self.signs, slope @ self.columns) / len(z) + self.pull) / self.T
        top = logs.max(axis=1, keepdims=True)
        p = np.exp(logs - top)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        log_z = (top + np.log(total))[:, 0]
        value = -self.T * self.masses @ (log_z - np.log(self.masses)) - np.mean(slope * z - self.loss.value(z, self.y))
        return Point(p, log_z, self.columns @ ((self.masses * self.signs) @ p), float(value))

    def spread(self, p: Array) -> Array:
        """sum_s m_s s^2 Cov(alpha sigma(b.x_i), alpha sigma(b.x_j) | s): (n, n)."""
        heavy = self.masses * self.signs**2
        means = self.columns @ p.T
        return np.asarray((self.columns * (heavy @ p)) @ self.columns.T - (means * heavy) @ means.T)


def maximum(dual: Dual, z: Array, tolerance: float) -> Array:
    """The outputs z (n,) at whose slopes D is largest, so that g = z: Newton's steps, made shorter until D rises."""
    n, point = len(z), dual.at(z)
    for _ in range(_STEPS):
        r = point.g - z
        if np.abs(r).max() <= 1e-3 * tolerance:
            break
        bend = dual.loss.bend(dual.loss.slope(z, dual.y))
        move = np.linalg.solve(np.eye(n) + dual.spread(point.p) * bend / (n * dual.T), r)
        rise, length = float(np.mean(r * bend * move)), 1.0
        rounding = 1e-14 * (1.0 + abs(point.value) + dual.T * float(np.abs(point.log_z).max()))
        while True:
            ahead = dual.at(z + length * move)
            if ahead.value >= point.value + 1e-4 * length * rise - rounding or length < 1e-8:
                break
            length *= 0.5
        done = length == 1.0 and np.abs(r).max() <= tolerance and np.abs(ahead.g - z - move).max() >= np.abs(r).max()
        if done:  # no step makes it smaller: the rest is rounding
            break
        z, point = z + length * move, ahead
    if (left := float(np.abs(point.g - z).max())) > tolerance * max(1.0, float(np.abs(z).max())):
        rule = f"the optimum must be a fixed point to {tolerance:g}"
        raise InputError(rule, f"{left:.2g}", "Raise `temperature` or `tolerance`, or scale the targets.")
    return z


def _result(dual: Dual, z: Array, b: Array) -> Gibbs:
    """The optimum on these nodes; the entropy is that of the density exp(-V / T) / Z, not of the atoms."""
    p, log_z, g, lower = dual.at(z)
    shift = np.multiply.outer(dual.signs, dual.loss.slope(z, dual.y) @ dual.columns) / len(z)
    means = np.sum(p * (shift + dual.pull), axis=1) / dual.T
    entropy = float(dual.masses @ (means + log_z - np.log(dual.masses)))
    risk, confinement = float(np.mean(dual.loss.value(g, dual.y))), float(dual.masses @ (p @ dual.pull))
    value = risk + confinement - dual.T * entropy
    w = dual.masses[:, None] * p
    sign, node = np.nonzero(w > _NOTHING / w.size)
    kept = w[sign, node] / w[sign, node].sum()
    measure = Measure(np.ascontiguousarray(b[node]), dual.signs[sign], kept)
    F = FreeEnergy(value, risk, confinement, entropy, abs(value - lower))
    return Gibbs(measure, F, g, float(np.abs(g - z).max()), np.inf)
