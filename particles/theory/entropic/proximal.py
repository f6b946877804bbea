"""The proximal Gibbs measure of a law, and its duality gap (3.4 with noise; Nitanda, Wu and Suzuki 2022).

    p_q(b | s) = exp(-V_q(s, b) / T) / Z_s      V_q: the first variation at q, lam in it; T = alpha^2 tau

Signs do not move, so p_q has q's shares m_s of them and is a Gibbs measure given each. L is convex in mu: whatever law
nu has the same shares, F(q) - F(nu) <= T KL(q | p_q), which is 0 at the optimum alone. The right side is the duality
gap P(q) - D(slopes of q), D the dual of `gibbs`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import numpy_settings, real_array, whole
from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.measures.measure import Array, Measure
from particles.measures.random_streams import Purpose, checked_seed, generator
from particles.model.losses import Loss
from particles.model.network import Network
from particles.theory.entropic.free_energy import checked_problem, checked_temperature
from particles.theory.entropic.gibbs import shares
from particles.theory.entropic.polar import DIM, checked_confinement, checked_growth, grid, rounding
from particles.theory.optimality.potential import Variation, first_variation

_LEVELS = 8
_NODES = 2**21
_FEWEST = 100  # effective draws: with fewer, not even the error can be told from them
_CHUNK = 2**16  # draws held at once
_NOTHING = -37.0  # of a logarithm: e^-37 = 1e-16 of the largest


class ProximalGibbs(NamedTuple):
    """The proximal Gibbs measure `p_q`: for each sign the density `exp(-V / T) / Z` on R^d.

    Attributes
    ----------
    V
        The first variation at q, with `lam` in it.
    T
        `alpha^2 tau`.
    signs : (k,)
        The signs.
    shares : (k,)
        Their shares in q.
    log_normaliser : (k,)
        `log Z` of each sign.
    error : (k,)
        Of `log_normaliser`: what the last doubling of a quadrature changed, or the standard error of importance
        sampling.
    effective : (k,)
        The effective number of draws, infinite for a quadrature.
    """

    V: Variation
    T: float
    signs: Array
    shares: Array
    log_normaliser: Array
    error: Array
    effective: Array

    def log_density(self, b: ArrayLike, s: ArrayLike) -> Array:
        """The logarithm of the joint density `p_q(s, b)`.

        Parameters
        ----------
        b : (k, d)
            Positions.
        s : (k,)
            Signs, each one of the measure's.

        Returns
        -------
        (k,)
            The logarithms.

        Raises
        ------
        InputError
            For a sign that the measure does not have.
        """
        signs = real_array("`s`", s)
        place = np.minimum(np.searchsorted(self.signs, signs), len(self.signs) - 1)
        if not np.array_equal(self.signs[place], signs):
            raise InputError("`s` must be signs of the measure", repr(s), f"Use {self.signs.tolist()}.")
        return -self.V.value(b, signs) / self.T - (self.log_normaliser - np.log(self.shares))[place]


class Nodes(NamedTuple):
    """Places b (K, d) and the logarithms (K,) of what p_q weighs there, up to a constant."""

    b: Array
    logs: Array


@numpy_settings
def proximal_gibbs(
    net: Network,
    measure: Measure,
    data: Dataset,
    loss: str | Loss = "squared",
    *,
    weight_decay: float,
    temperature: float,
    sampling: bool | None = None,
    draws: int = 2**16,
    seed: int = 0,
) -> ProximalGibbs:
    r"""The proximal Gibbs measure of q, in any dimension (3.4, with noise).

    Parameters
    ----------
    net
        The network; only its input weights train.
    measure
        q: any measure, weighted ones too.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    weight_decay
        `lam` > 0, as `mf.Langevin` takes it.
    temperature
        `tau` > 0, as `mf.Langevin` takes it.
    sampling
        Whether Z comes from importance sampling instead of quadrature; by default past 2 inputs.
    draws
        Of importance sampling, 65536 by default: half from N(0, tau/lam I), the law of Z without data, half from the
        Gaussian with the mean and covariance of the particles, near `p_q` if q is near its optimum.
    seed
        Of the draws.

    Returns
    -------
    ProximalGibbs
        The density of each sign, with the error of its normaliser.

    Raises
    ------
    InputError
        For `lam` or `tau` <= 0, activations of unbounded slope, output layers that train, more than one output, and
        where the effective number of draws is below 100: the error is not known then.

    Notes
    -----
    .. math:: p_q(b \mid s) = e^{-V_q(s, b) / T} / Z_s, \qquad F(q) - F(\nu) \le T \, \mathrm{KL}(q \mid p_q)

    for every law :math:`\nu` with the same shares of the signs.

    References
    ----------
    Section 3.4. Nitanda, Wu and Suzuki (2022), Convex analysis of the mean field Langevin dynamics.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> gibbs = mf.theory.proximal_gibbs(net, law.sample(64, seed=0), data, weight_decay=0.1, temperature=0.05)
    >>> gibbs.log_normaliser.round(3)
    array([5.35])
    """
    return normalised(net, measure, data, loss, weight_decay, temperature, sampling, draws, seed)[0]


def normalised(
    net: Network,
    measure: Measure,
    data: Dataset,
    loss: str | Loss,
    weight_decay: float,
    temperature: float,
    sampling: bool | None,
    draws: int,
    seed: int,
) -> tuple[ProximalGibbs, list[Nodes]]:
    """p_q, and for each sign the nodes or draws that gave its Z."""
    rule, tau = checked_confinement(weight_decay), checked_temperature(temperature)
    draws, seed = whole("draws", draws, 2 * _FEWEST, remedy="Use 2**16."), checked_seed(seed)
    checked_problem(net, data, loss)
    V = first_variation(net, measure, data, loss, rule)
    T, (signs, masses) = V.scale * tau, shares(Measure(*map(np.asarray, measure)))
    checked_growth(V, signs)
    few = V.x.shape[1] <= DIM
    if sampling is False and not few:
        got = f"{V.x.shape[1]} inputs, a bias counted in"
        raise InputError(f"a quadrature has at most {DIM} inputs", got, "Leave `sampling` out.")
    if few and not sampling:
        return _integrated(V, T, signs, masses)
    by_sign = [_sampled(V, T, sign, measure, draws, generator(seed, Purpose.POSITION, place, step=1))
               for place, sign in enumerate(signs)]  # fmt: skip
    log_z, error, effective, nodes = zip(*by_sign, strict=True)
    return ProximalGibbs(V, T, signs, masses, *map(np.array, (log_z, error, effective))), list(nodes)


def _integrated(V: Variation, T: float, signs: Array, masses: Array) -> tuple[ProximalGibbs, list[Nodes]]:
    """p_q by a quadrature. Error: what the last doubling of the nodes changed, and rounding."""
    log_z, changed = np.zeros(len(signs)), np.full(len(signs), np.inf)
    for level in range(_LEVELS):
        finer, log_w = grid(V, T, signs, level)
        if level and len(finer) > _NODES:
            break
        b = finer
        logs = [log_w - V.value(b, np.full(len(b), sign)) / T for sign in signs]
        nodes = [Nodes(b, row) for row in logs]
        before, log_z = log_z, np.array([_log_sum(row) for row in logs])
        changed = np.abs(log_z - before) if level else changed
        if changed.max() <= 1e-10:
            break
    seen = b[np.any([row > row.max() + _NOTHING for row in logs], axis=0)]
    error = changed + rounding(V, T, signs, seen, log_z)
    return ProximalGibbs(V, T, signs, masses, log_z, error, np.full(len(signs), np.inf)), nodes


def _log_sum(logs: Array) -> float:
    from scipy.special import logsumexp

    return float(logsumexp(logs))


def _sampled(
    V: Variation, T: float, sign: float, measure: Measure, draws: int, random: np.random.Generator
) -> tuple[float, float, float, Nodes]:
    """log Z of one sign, its standard error, how many draws of the law itself this was worth, and they."""
    d, std = V.x.shape[1], math.sqrt(T / (V.penalty.weight))
    laws = [(np.zeros(d), std * np.eye(d)), *_fitted(measure, sign)]
    logs, places = [], []
    for law, (mean, root) in enumerate(laws):
        count = draws * (law + 1) // len(laws) - draws * law // len(laws)
        for first in range(0, count, _CHUNK):
            b = mean + random.standard_normal((min(_CHUNK, count - first), d)) @ root.T
            mixture = np.logaddexp.reduce([_log_gaussian(b, *other) for other in laws], axis=0) - math.log(len(laws))
            logs.append(-V.value(b, np.full(len(b), sign)) / T - mixture)
            places.append(b)
    log_weights = np.concatenate(logs)
    top = float(log_weights.max())
    w = np.exp(log_weights - top)
    effective = float(w.sum() ** 2 / (w @ w))
    if effective < _FEWEST:
        rule = f"importance sampling must be worth {_FEWEST} draws"
        raise InputError(rule, f"{effective:.1f} of {draws} with s={sign:g}", "Raise `draws` or the temperature.")
    error = float(w.std() / (w.mean() * math.sqrt(draws)))
    return top + math.log(w.mean()), error, effective, Nodes(np.concatenate(places), log_weights)


def _fitted(measure: Measure, sign: float) -> list[tuple[Array, Array]]:
    """The mean and a root of the covariance of the particles of a sign, or nothing where they lie in a subspace."""
    rows = np.asarray(measure.s) == sign
    b, w = np.asarray(measure.b)[rows], np.asarray(measure.w)[rows]
    mean = w @ b / w.sum()
    cov = ((b - mean).T * w) @ (b - mean) / w.sum()
    size, axes = np.linalg.eigh(cov)
    return [(mean, axes * np.sqrt(size))] if size[0] > 1e-8 * size[-1] else []


def _log_gaussian(b: Array, mean: Array, root: Array) -> Array:
    away = np.linalg.solve(root, (b - mean).T)
    volume = float(np.linalg.slogdet(root)[1])
    return np.asarray(-0.5 * np.sum(away**2, axis=0) - volume - 0.5 * b.shape[1] * math.log(2.0 * math.pi))
