"""Optimal transport to the last atom, and what brackets it where that is too dear: W_p by POT's network simplex."""

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.checks import whole
from particles.errors import InputError
from particles.measures.measure import Array, Measure
from particles.measures.random_streams import Purpose, checked_seed, generator
from particles.theory.transport.clouds import (
    Cloud,
    checked_choice,
    checked_order,
    checked_pair,
    cloud,
    clouds,
    power_mean,
    standard_error,
)
from particles.theory.transport.line import on_line

LIMIT = 10**8  # pairs M N. Measured at the limit: 45 s and 3.8 GiB, 40 bytes a pair; its time grows as M^2.4
# An atom, at most. Gaussian, rounded and clustered clouds of 200 to 3000 atoms took fewer than 30.
PIVOTS = 1000
ROUNDING = 1e-9  # how far weights may be from their sum, as `checked_measure` has it


class Subsampled(NamedTuple):
    """`W_p` by exact distances between subsamples of n particles.

    Attributes
    ----------
    value
        The p-mean of `W_p(mu_n, nu_n)`; `value^p` is never below `W_p^p` in expectation.
    error
        Its standard error.
    excess
        A bound on how far `value` is above `W_p`, in expectation: `W_p` is between `value - excess` and `value`.
    corrected
        From `value^p` minus half of the same distance between subsamples of one measure, for each measure.
        `corrected^p` is exact in expectation at p = 2 when `nu` is a translate of `mu`; elsewhere it is an estimate
        without a bound.
    corrected_error
        Its standard error.

    Notes
    -----
    With few repeats the errors themselves are uncertain: Student's quantile of `repeats - 1` degrees of freedom, 2.3
    for 10, gives 95%.
    """

    value: float
    error: float
    excess: float
    corrected: float
    corrected_error: float


def wasserstein(mu: Measure, nu: Measure, p: float = 2.0, signs: str = "joint") -> float:
    r"""`W_p(mu, nu)`, exactly.

    Parameters
    ----------
    mu
        A measure on R^d; its weights count.
    nu
        Another one, of any number of particles.
    p
        The order, >= 1; 2 by default.
    signs
        What a particle's place `z` is:

        * "joint": `z = (b, s)` in R^(d+k) for k outputs, so that to flip a sign +-1 costs 2. Always finite, and what
          convergence of `mu_M` to `mu` means.
        * "ignored": `z = b`.
        * "apart": mass never leaves its value of `s`, as along the flow of the input layer, where no `s` changes.
          Infinite (`math.inf`) unless every `s` has the same mass in both measures, which independent random signs
          hardly ever give. Meant for two times of one run, and for signs that are equal or symmetric.

    Returns
    -------
    float
        The distance, in the units of positions.

    Raises
    ------
    InputError
        For measures that cannot be compared, p < 1, or more than 10^8 pairs of particles.

    Notes
    -----
    .. math:: W_p(\mu, \nu) = \min_\pi \left( E_{(z, z') \sim \pi} |z - z'|^p \right)^{1/p}

    over couplings of the two measures. "ignored" <= "joint" <= "apart", and all three agree where all `s` are the
    same.

    In one dimension by sorting, for any M (d = 1 with two signs is two dimensions unless `signs` is "ignored" or
    "apart"). Otherwise by POT's network simplex, which imports jax and torch where they are installed. A rounding of
    masses by 1e-16 changes `W_p` by up to (1e-16)^(1/p) diameters, 1e-8 at p = 2.

    References
    ----------
    Section 3.4: the mean field is a flow in `W_2`. Bonneel, van de Panne, Paris and Heidrich (2011), Displacement
    interpolation using Lagrangian mass transport.

    Examples
    --------
    >>> mu = mf.Gaussian(2).sample(64, seed=0)
    >>> round(mf.transport.wasserstein(mu, mu._replace(b=mu.b + [3.0, 4.0])), 6)
    5.0
    """
    p = checked_order(p)
    if checked_choice(signs, ("joint", "ignored", "apart")) != "apart":
        return exact(*clouds(mu, nu, signs), p)
    mu, nu = checked_pair(mu, nu)
    values = np.unique(np.concatenate((mu.s[mu.w > 0], nu.s[nu.w > 0])), axis=0)
    masses = np.array([[m.w[of_sign(m, value)].sum() for m in (mu, nu)] for value in values])
    if (np.abs(masses[:, 0] - masses[:, 1]) > ROUNDING).any():
        return math.inf
    both = (masses > 0).all(axis=1)  # a sign that one of them lacks weighs no more than rounding
    parts = [exact(cloud(part(mu, value), True), cloud(part(nu, value), True), p) for value in values[both]]
    return power_mean(np.array(parts), masses[both].mean(axis=1), p)


def of_sign(measure: Measure, sign: Array) -> NDArray[np.bool_]:
    """Which atoms have this sign, a number, or these output weights (k,): (M,)."""
    return np.asarray((measure.s == sign).reshape(len(measure.s), -1).all(axis=1))


def part(measure: Measure, sign: Array) -> Measure:
    """The atoms of one sign."""
    rows = of_sign(measure, sign)
    return Measure(measure.b[rows], measure.s[rows], measure.w[rows])


def exact(one: Cloud, two: Cloud, p: float) -> float:
    """W_p of two clouds in R^D: by sorting at D = 1, else by the network simplex."""
    if one.points.shape[1] == 1:
        return on_line(one.points[:, 0], one.w, two.points[:, 0], two.w, p)
    pairs = len(one.w) * len(two.w)
    if pairs > LIMIT:
        remedy = "`subsampled` brackets this distance at any M; `sliced` is another one, exact in the atoms."
        raise InputError(f"exact transport takes at most {LIMIT:.0e} pairs of atoms", f"{pairs:.2e}", remedy)
    from scipy.spatial.distance import cdist

    size = max(float(np.abs(c.points).max()) for c in (one, two)) or 1.0
    cost: Array = cdist(one.points / size, two.points / size)  # no square overflows or vanishes
    top = float(cost.max())
    if top == 0.0:
        return 0.0
    # In units of the diameter: the simplex compares costs with absolute tolerances (POT issue 229).
    cost /= top
    np.power(cost, p, out=cost)
    return size * top * math.pow(simplex(one.w, two.w, cost), 1.0 / p)


def simplex(a: Array, b: Array, cost: Array) -> float:
    """min sum_rq pi_rq cost_rq over couplings pi of the weights a (M,) and b (N,); cost (M, N)."""
    with warnings.catch_warnings():
        # Of its own source when it is compiled, and of what is in `result`, which becomes an error here.
        warnings.simplefilter("ignore")
        import ot

        total, result = ot.emd2(a, b, cost, numItermax=PIVOTS * sum(cost.shape), log=True, center_dual=False)
    if result["warning"] is not None:
        remedy = "Use `subsampled` or `sliced`."
        raise InputError("the network simplex must come to its optimum", str(result["warning"]), remedy)
    return max(float(total), 0.0)


def subsampled(
    mu: Measure,
    nu: Measure,
    p: float = 2.0,
    count: int = 1000,
    repeats: int = 10,
    seed: int = 0,
    signs: str = "joint",
) -> Subsampled:
    r"""`W_p` of measures of any size, bracketed by exact distances between subsamples of `count` particles.

    Parameters
    ----------
    mu
        A measure on R^d; its weights count.
    nu
        Another one.
    p
        The order, >= 1; 2 by default.
    count
        Particles of a subsample: any number that `mf.transport.wasserstein` takes, also above M.
    repeats
        Independent repetitions, 10 by default.
    seed
        Of the draws.
    signs
        As in `mf.transport.wasserstein`.

    Returns
    -------
    Subsampled
        The bracket, and a corrected estimate.

    Raises
    ------
    InputError
        As `mf.transport.wasserstein` does.

    Notes
    -----
    `W_p^p` is jointly convex and the mean of `mu_n` is `mu`, so :math:`E W_p^p(\mu_n, \nu_n) \ge W_p^p(\mu, \nu)`. By
    the triangle inequality the excess is at most :math:`F_\mu + F_\nu`, :math:`F_\mu^p = E W_p^p(\mu_n, \mu_n')`
    between independent subsamples of one measure, which the same repeats measure. It falls slowly with n, as n^(-1/D)
    for p < D / 2.

    References
    ----------
    Fournier and Guillin (2015), On the rate of convergence in Wasserstein distance of the empirical measure.

    Examples
    --------
    >>> mu = mf.Gaussian(2).sample(4096, seed=0)
    >>> distance = mf.transport.subsampled(mu, mu._replace(b=mu.b + [3.0, 4.0]), count=100, repeats=4)
    >>> bool(distance.value - distance.excess < 5.0), round(distance.corrected, 1)
    (True, 5.0)
    """
    p, n = checked_order(p), whole("count", count, 1)
    repeats = whole("repeats", repeats, 2, remedy="An error needs two.")
    seed, (one, two) = checked_seed(seed), clouds(mu, nu, signs)
    distances = np.array([repeat(one, two, n, p, seed, number) for number in range(repeats)])
    even = np.full(repeats, 1.0 / repeats)
    value, *floors = (power_mean(column, even, p) for column in distances.T)
    top = float(distances.max()) or 1.0
    powers = (distances / top) ** p @ np.array([1.0, -0.5, -0.5])
    corrected, noise = root_of(powers, p)
    return Subsampled(value, standard_error(distances[:, 0], value, p), sum(floors), top * corrected, top * noise)


def root_of(powers: Array, p: float) -> tuple[float, float]:
    """(mean of K independent values)^(1/p), 0 for a negative one, and its error.

    The error is the distance to the roots of the ends of Student's 95% interval, the farther one, divided by his
    quantile: the delta method with the slope of the chord, since near 0 the root has no slope. Of a negative mean the
    interval is that about 0, which is nearer to any true one: one below 0 altogether would leave an error of 0.
    """
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(powers) - 1, 0.975))
    mean, half = float(powers.mean()), quantile * float(powers.std(ddof=1)) / math.sqrt(len(powers))
    mean = max(mean, 0.0)
    low, root, high = (max(end, 0.0) ** (1.0 / p) for end in (mean - half, mean, mean + half))
    return root, max(root - low, high - root) / quantile


def repeat(one: Cloud, two: Cloud, n: int, p: float, seed: int, number: int) -> tuple[float, float, float]:
    """W_p between subsamples: across, and within either measure."""
    random = generator(seed, Purpose.TRANSPORT, block=number, step=3)
    a, a_too, b, b_too = (drawn(c, n, random) for c in (one, one, two, two))
    return exact(a, b, p), exact(a, a_too, p), exact(b, b_too, p)


def drawn(source: Cloud, n: int, random: np.random.Generator) -> Cloud:
    """n independent atoms, each by its weight."""
    total = np.cumsum(source.w)
    rows = np.searchsorted(total, random.random(n) * total[-1], side="right")
    return Cloud(source.points[np.minimum(rows, len(total) - 1)], np.full(n, 1.0 / n))
