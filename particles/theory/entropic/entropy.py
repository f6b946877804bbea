"""The entropy of a law from its particles, by the distances to their nearest neighbours.

Langevin's particles have a law with a density mu(s, b), over R^d for each of the fixed signs, and descend a free energy
that holds int log mu dmu (3.4, with noise). Its estimate is that of Kozachenko and Leonenko (1987), for k neighbours:
with e_r the distance from particle r to its k-th neighbour among the N of its sign, c_d the volume of the unit ball,

    -log mu(b_r | s) is about psi(N) - psi(k) + log c_d + d log e_r

in the coordinates in which their covariance is the identity, with the logarithm of that map's volume added.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.checks import numpy_settings, whole
from particles.errors import InputError
from particles.measures.measure import Array, Measure, checked_measure, equal_weights, outputs_of
from particles.population.population import cores
from particles.theory.one_output import one_output

_FLAT = 1e-12  # of the largest variance: less is rounding


class Entropy(NamedTuple):
    """An estimate of `-int log mu dmu` from particles, in nats.

    Attributes
    ----------
    value
        The entropy.
    error
        A standard error, for particles and signs drawn independently.
    bias
        A rough size of the bias, from what 2 k neighbours change.

    Notes
    -----
    2 `error` + `bias` is the 95% half width. The error is the jackknife's: on average not below the true one (Efron and
    Stein 1981); measured, 1.1 to 1.7 times it. The bias falls as N^(-1/d) where the density has an edge and as about
    N^(-2/d) where it is smooth: from d = 4 or so it is above the error, and below that mostly noise.
    """

    value: float
    error: float
    bias: float


class Neighbours(NamedTuple):
    """What the particles of one sign tell of it. mass : their share. rows : (N,) which particles they are.

    local, wide : (N,) estimates of -log mu(b_r | s), by k and by 2 k neighbours.
    without : (N,) the mean of `local` over the others if particle r were not there, its neighbours finding new ones.
    """

    mass: float
    rows: NDArray[np.intp]
    local: Array
    wide: Array
    without: Array


@numpy_settings
def entropy(measure: Measure, k: int = 4) -> Entropy:
    r"""The entropy `-int log mu dmu` of the law of which the particles are an independent sample.

    Parameters
    ----------
    measure
        Equally weighted particles, positions (M, d). Where signs differ, the entropy is that of the joint law of (s,
        b), a density on R^d for each sign: the entropy of the signs plus the mean of those given each.
    k
        Neighbours, 4 by default: fewer mean less bias and more error.

    Returns
    -------
    Entropy
        The estimate, with its error and bias, in nats.

    Raises
    ------
    InputError
        For unequal weights, coinciding particles (a law without density), fewer than 2 k + 2 particles of a sign, and
        more than one output.

    Notes
    -----
    With :math:`e_r` the distance from particle r to its k-th neighbour among the N of its sign, and :math:`c_d` the
    volume of the unit ball,

    .. math:: -\log \mu(b_r \mid s) \approx \psi(N) - \psi(k) + \log c_d + d \log e_r

    in coordinates in which the covariance is the identity. A law on a surface, such as a sphere, has no density either,
    but its particles do not show it: the value is then finite and falls without end as M grows.

    References
    ----------
    Kozachenko and Leonenko (1987), for k neighbours.

    Examples
    --------
    >>> entropy = mf.theory.entropy(mf.Gaussian(2).sample(1024, seed=0))
    >>> bool(abs(entropy.value - np.log(2.0 * np.pi * np.e)) < 4.0 * entropy.error)
    True
    """
    parts = neighbours(measure, k)
    estimate = combined(parts, np.asarray(measure.b).shape[1])
    return estimate._replace(error=math.hypot(estimate.error, _of_shares(parts)))


def _of_shares(parts: list[Neighbours]) -> float:
    """The part of the standard error that comes from the signs, each drawn by itself."""
    mass = np.array([part.mass for part in parts])
    each = np.array([part.local.mean() for part in parts]) - np.log(mass)
    return math.sqrt(float(mass @ (each - mass @ each) ** 2) / sum(len(part.rows) for part in parts))


def combined(parts: list[Neighbours], d: int, added: Array | None = None) -> Entropy:
    """The entropy of all signs together, plus the mean of `added` (M,) if given, one number a particle.

    Its error is that of the sum, the shares of the signs held: where `added` is nearly log mu, the two cancel.
    """
    value = wide = variance = 0.0
    for part in parts:
        N, own = len(part.rows), np.zeros(len(part.rows)) if added is None else added[part.rows]
        other = float(own.mean()) - math.log(part.mass)
        value += part.mass * (float(part.local.mean()) + other)
        wide += part.mass * (float(part.wide.mean()) + other)
        left = part.without + (own.sum() - own) / (N - 1)
        variance += part.mass**2 * (N - 1) * float(left.var())
    return Entropy(value, math.sqrt(variance), abs(wide - value) / (2.0 ** (1.0 / d) - 1.0))


def neighbours(measure: Measure, k: int) -> list[Neighbours]:
    """The neighbours' estimates, sign by sign; InputError as for `entropy`."""
    k = whole("k", k, 1, remedy="Use 4 neighbours.")
    measure = checked_measure(measure, np.atleast_1d(measure.b).shape[-1])
    one_output("the entropy of particles", outputs_of(measure))
    if not equal_weights(measure):
        rule = "an entropy is estimated from equal particles: neighbours are counted"
        raise InputError(rule, "unequal weights", "Use law.sample(M, seed), or the entropy that `gibbs` returns.")
    signs, of, counts = np.unique(measure.s, return_inverse=True, return_counts=True)
    if counts.min() < 2 * k + 2:
        got = f"{counts.min()} of {len(measure.s)} with s={signs[counts.argmin()]:g}"
        raise InputError(f"k={k} neighbours need {2 * k + 2} particles of each sign", got, "Lower `k`, or raise M.")
    groups = [np.flatnonzero(of == sign) for sign in range(len(signs))]
    return [_neighbours(measure.b[rows], rows, len(rows) / len(measure.s), k) for rows in groups]


def _neighbours(b: Array, rows: NDArray[np.intp], mass: float, k: int) -> Neighbours:
    from scipy.spatial import cKDTree
    from scipy.special import digamma, gammaln

    (N, d), (b, volume) = b.shape, _rounded(b)
    distance, index = cKDTree(b).query(b, 2 * k + 1, workers=cores())  # each is its own nearest
    if not distance[:, 1].all():
        twin = rows[int(np.argmin(distance[:, 1]))]
        rule = "particles must not coincide where a law with a density is needed"
        remedy = "Run mf.Langevin at a temperature > 0, or start from a law with a density."
        raise InputError(rule, f"particle {twin} and another at the same place", remedy)
    ball = 0.5 * d * math.log(math.pi) - float(gammaln(0.5 * d + 1.0)) + volume
    near, next_, far = (d * np.log(distance[:, place]) for place in (k, k + 1, 2 * k))
    # Without particle r, those that had it among their k neighbours count one further.
    further = np.bincount(index[:, 1 : k + 1].ravel(), np.repeat(next_ - near, k), N)
    without = (near.sum() - near + further) / (N - 1) + float(digamma(N - 1) - digamma(k)) + ball
    local, wide = (log + float(digamma(N) - digamma(j)) + ball for log, j in ((near, k), (far, 2 * k)))
    return Neighbours(mass, rows, local, wide, without)


def _rounded(b: Array) -> tuple[Array, float]:
    """Positions with the unit covariance, by a linear map, and what it takes from the entropy.

    Balls about the particles of a narrow cloud reach out of it: over random stretched laws in 1 to 5 dimensions the
    error fell by half. A cloud in a subspace has no such map and stays as it is.
    """
    if b.shape[1] == 1:
        return b, 0.0
    size, axes = np.linalg.eigh(np.cov(b.T))
    if size[0] <= _FLAT * size[-1]:
        return b, 0.0
    return (b - b.mean(axis=0)) @ (axes / np.sqrt(size)), 0.5 * float(np.log(size).sum())
