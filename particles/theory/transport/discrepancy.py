"""The maximum mean discrepancy: a distance of measures by a kernel, without a coupling, at any number of particles."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from particles.checks import number, numpy_settings
from particles.errors import InputError
from particles.measures.measure import Measure
from particles.measures.random_streams import Purpose, checked_seed, generator
from particles.population.population import cores
from particles.theory.transport.clouds import Cloud, clouds

TILE = 512  # rows and columns of kernel values held at once: 2 MiB a thread
SEEN = 1000  # atoms whose distances give the default bandwidth


class Discrepancy(NamedTuple):
    """A distance of measures by a Gaussian kernel.

    Attributes
    ----------
    value
        That of the two measures as they are, >= 0 (the biased V-statistic).
    unbiased
        An estimate of the *squared* distance of the laws whose samples they are; it may be negative.
    bandwidth
        `h`, in the units of positions.
    """

    value: float
    unbiased: float
    bandwidth: float


@numpy_settings
def mmd(mu: Measure, nu: Measure, bandwidth: float | None = None, seed: int = 0, signs: str = "joint") -> Discrepancy:
    r"""The maximum mean discrepancy of two measures with a Gaussian kernel: 0 only if `mu = nu`.

    Parameters
    ----------
    mu
        A measure on R^d, of any number of particles; its weights count.
    nu
        Another one.
    bandwidth
        `h`, in the units of positions. By default the median distance of 1000 particles, 500 drawn from each measure.
        The median depends on the measures: give a number where values are to be compared.
    seed
        Of the particles that are drawn for the default bandwidth.
    signs
        "joint", `z = (b, s)` in R^(d+k) for k outputs, or "ignored", `z = b`.

    Returns
    -------
    Discrepancy
        The distance, an unbiased estimate of its square, and the bandwidth.

    Raises
    ------
    InputError
        For measures that cannot be compared, and a bandwidth <= 0.

    Notes
    -----
    .. math:: \mathrm{MMD}^2 = w^T K w + v^T L v - 2 w^T C v, \qquad k(z, z') = e^{-|z - z'|^2 / (2 h^2)}

    with all weights, in tiles: O(M + N) memory and O((M + N)^2 D) time. `unbiased` leaves out the pairs of a particle
    with itself and divides by `1 - sum w^2`, so that its mean over independent equal particles is the laws' own; it is
    nan where a measure has one particle. The square is a difference of numbers near 1: a value below 1e-7 is rounding.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf and Smola (2012), A kernel two-sample test.

    Examples
    --------
    >>> mu = mf.Gaussian(2).sample(256, seed=0)
    >>> round(mf.transport.mmd(mu, mu._replace(b=mu.b + [3.0, 4.0]), bandwidth=1.0).value, 2)
    0.8
    """
    random = generator(checked_seed(seed), Purpose.TRANSPORT, step=2)
    one, two = clouds(mu, nu, signs)
    if bandwidth is None:
        h = median_distance(one, two, random)
    else:
        h = number("bandwidth", bandwidth, above=0.0, remedy="Leave it out for the median distance.")
    one, two = Cloud(one.points / h, one.w), Cloud(two.points / h, two.w)
    own = [kernel_sum(one, one), kernel_sum(two, two)]
    crossed = kernel_sum(one, two)
    heavy = [float(c.w @ c.w) for c in (one, two)]
    apart = [(a - q) / (1.0 - q) if q < 1.0 else math.nan for a, q in zip(own, heavy, strict=True)]
    return Discrepancy(math.sqrt(max(sum(own) - 2.0 * crossed, 0.0)), sum(apart) - 2.0 * crossed, h)


def median_distance(one: Cloud, two: Cloud, random: np.random.Generator) -> float:
    """The median distance between atoms drawn by weight, half of them from each measure; 1 where they all coincide."""
    from scipy.spatial.distance import pdist

    drawn = [c.points[random.choice(len(c.w), SEEN // 2, p=c.w)] for c in (one, two)]
    distances = pdist(np.concatenate(drawn))
    distances = distances[distances > 0]
    middle = float(np.median(distances)) if len(distances) else 1.0
    if not math.isfinite(middle):
        raise InputError("distances between atoms must be finite", "an overflow", "Scale the positions.")
    return middle


def kernel_sum(one: Cloud, two: Cloud) -> float:
    """sum_rq w_r v_q exp(-|x_r - y_q|^2 / 2), tile by tile."""
    rows = range(0, len(one.w), TILE)
    with ThreadPoolExecutor(min(cores(), len(rows))) as pool:
        # fsum: the sum does not depend on which thread had which rows.
        return math.fsum(pool.map(partial(row_sum, one, two, one is two), rows))


def row_sum(one: Cloud, two: Cloud, same: bool, first: int) -> float:
    """The part of one strip of rows; of a measure with itself the tiles below the diagonal are those above it."""
    from scipy.spatial.distance import cdist

    x, w, total = one.points[first : first + TILE], one.w[first : first + TILE], 0.0
    for column in range(first if same else 0, len(two.w), TILE):
        # By differences: in 10 dimensions a BLAS product was no faster on one thread, and six times slower on its own.
        values = -0.5 * cdist(x, two.points[column : column + TILE], "sqeuclidean")
        part = float(w @ np.exp(values, out=values) @ two.w[column : column + TILE])
        total += 2.0 * part if same and column > first else part
    return total
