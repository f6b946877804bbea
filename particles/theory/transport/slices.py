"""The sliced distances: transport along directions, what stays affordable at 10^6 particles."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from particles.checks import whole
from particles.measures.measure import Array, Measure
from particles.measures.random_streams import Purpose, checked_seed, generator
from particles.population.population import cores
from particles.theory.transport.clouds import Cloud, checked_order, clouds, power_mean, standard_error
from particles.theory.transport.line import along, coupling

SCREENED = 8  # directions looked at for every one that is climbed from
CLIMB = 200  # steps of one ascent at most
# An ascent ends once its arc is this small, in radians.
STILL = 1e-7


class Sliced(NamedTuple):
    """The sliced distance.

    Attributes
    ----------
    value
        `SW_p`, in the units of positions.
    error
        The standard error of its Monte Carlo mean over directions.
    """

    value: float
    error: float


class MaxSliced(NamedTuple):
    """The largest distance of projections that a search reached.

    Attributes
    ----------
    value
        That distance, a lower bound of the maximum, in the units of positions.
    direction : (D,)
        The direction of it; the coordinates of the output weights are the last, where they count.
    """

    value: float
    direction: Array


def directions(dim: int, count: int, random: np.random.Generator) -> Array:
    """Independent uniform directions: (count, dim)."""
    points = random.standard_normal((count, dim))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points


def over(one: Cloud, two: Cloud, p: float, chosen: Array) -> Array:
    """W_p of the projections on each of the directions (K, D): (K,), a thread each, so the same bits for any number."""
    with ThreadPoolExecutor(min(cores(), len(chosen))) as pool:
        return np.array(list(pool.map(partial(along, one, two, p), chosen)))


def sliced(
    mu: Measure, nu: Measure, p: float = 2.0, projections: int = 128, seed: int = 0, signs: str = "joint"
) -> Sliced:
    r"""The sliced distance `SW_p`: the mean of `W_p^p` over projections on random directions.

    Parameters
    ----------
    mu
        A measure on R^d, of any number of particles; its weights count.
    nu
        Another one.
    p
        The order, >= 1; 2 by default.
    projections
        Independent uniform directions, 128 by default, at least 2.
    seed
        Of the directions.
    signs
        "joint", D = d + k for k outputs where signs differ, else D = d; or "ignored", D = d.

    Returns
    -------
    Sliced
        The distance and its standard error. In one dimension there is one direction, and no error but rounding.

    Raises
    ------
    InputError
        For measures that cannot be compared, p < 1, and fewer than two projections.

    Notes
    -----
    .. math:: SW_p(\mu, \nu) = \left( E_\theta W_p^p(\theta \cdot \mu, \theta \cdot \nu) \right)^{1/p}

    with :math:`\theta` uniform on the unit sphere of R^D. A lower bound of `W_p` in smaller units:
    :math:`SW_2 \le W_2 / \sqrt{D}`, with equality for a translation.

    The memory is that of a few copies of M numbers a thread. The standard error is over the directions alone, by the
    delta method: the particles are taken as they are. Measured on random pairs, `value +- t error` with Student's
    quantile t holds `SW_p` in 95% of cases at 128 projections and in 93 to 95% at 32; with 8 in 93% for p <= 2 and in
    89% for p = 4, whose powers are skewed.

    References
    ----------
    Bonneel, Rabin, Peyré and Pfister (2015), Sliced and Radon Wasserstein barycenters of measures.

    Examples
    --------
    >>> mu = mf.Gaussian(2).sample(4096, seed=0)
    >>> distance = mf.transport.sliced(mu, mu._replace(b=mu.b + [3.0, 4.0]))
    >>> bool(abs(distance.value - 5.0 / np.sqrt(2.0)) < 4.0 * distance.error)
    True
    """
    p, count = checked_order(p), whole("projections", projections, 2, remedy="An error needs two; 128 is the default.")
    random = generator(checked_seed(seed), Purpose.TRANSPORT, step=0)
    one, two = clouds(mu, nu, signs)
    dim = one.points.shape[1]
    if dim == 1:
        return Sliced(along(one, two, p, np.ones(1)), 0.0)
    distances = over(one, two, p, directions(dim, count, random))
    value = power_mean(distances, np.full(count, 1.0 / count), p)
    return Sliced(value, standard_error(distances, value, p))


def max_sliced(
    mu: Measure, nu: Measure, p: float = 2.0, starts: int = 8, seed: int = 0, signs: str = "joint"
) -> MaxSliced:
    r"""The largest `W_p` of projections on one direction that a search reaches.

    Parameters
    ----------
    mu
        A measure on R^d, of any number of particles; its weights count.
    nu
        Another one.
    p
        The order, >= 1; 2 by default.
    starts
        Directions from which the search ascends, 8 by default.
    seed
        Of the random directions.
    signs
        As in `mf.transport.sliced`.

    Returns
    -------
    MaxSliced
        A lower bound of the maximum, and its direction. The maximum is a lower bound of `W_p`.

    Raises
    ------
    InputError
        As `mf.transport.sliced` does.

    Notes
    -----
    .. math:: \max_{|\theta| = 1} W_p(\theta \cdot \mu, \theta \cdot \nu)

    The search ascends from the best `starts` of eight times as many random directions, the difference of the means, and
    the extreme axes of the difference of the covariances. `W_p^p` is not concave in the direction and has ridges where
    the coupling changes. More starts help where particles are few and D is large (30 particles in 20 dimensions: up to
    0.6% between 8 starts and 64; 300 particles: 0.02%).

    Examples
    --------
    >>> mu = mf.Gaussian(2).sample(256, seed=0)
    >>> distance = mf.transport.max_sliced(mu, mu._replace(b=mu.b + [3.0, 4.0]))
    >>> round(distance.value, 3), np.abs(distance.direction).round(2)
    (5.0, array([0.6, 0.8]))
    """
    p, starts = checked_order(p), whole("starts", starts, 1)
    random = generator(checked_seed(seed), Purpose.TRANSPORT, step=1)
    one, two = clouds(mu, nu, signs)
    dim = one.points.shape[1]
    if dim == 1:
        return MaxSliced(along(one, two, p, np.ones(1)), np.ones(1))
    chosen = np.concatenate((telling(one, two), directions(dim, SCREENED * starts, random)))
    best = chosen[np.argsort(-over(one, two, p, chosen), kind="stable")[:starts]]
    with ThreadPoolExecutor(min(cores(), starts)) as pool:
        return max(pool.map(partial(climb, one, two, p), best), key=lambda maximum: maximum.value)


def telling(one: Cloud, two: Cloud) -> Array:
    """Directions in which the first two moments differ most: (at most 3, D)."""
    means = [np.einsum("r,rk->k", c.w, c.points) for c in (one, two)]
    second = [np.einsum("r,rk,rl->kl", c.w, c.points - m, c.points - m) for c, m in zip((one, two), means, strict=True)]
    axes = np.linalg.eigh(second[0] - second[1])[1]
    shift = means[0] - means[1]
    size = float(np.linalg.norm(shift))
    return np.stack([axes[:, 0], axes[:, -1]] + ([shift / size] if size else []))


def climb(one: Cloud, two: Cloud, p: float, direction: Array) -> MaxSliced:
    """Ascent along great circles of the gradient, by an arc that doubles after gains and halves after losses."""
    arc, (value, slope) = 0.5, steepness(one, two, p, direction)
    for _ in range(CLIMB):
        tangent = slope - (slope @ direction) * direction
        size = float(np.linalg.norm(tangent))
        if size <= 1e-12 * float(np.linalg.norm(slope)) or arc < STILL:
            break
        moved = math.cos(arc) * direction + math.sin(arc) * (tangent / size)
        moved /= np.linalg.norm(moved)
        higher, its = steepness(one, two, p, moved)
        if higher > value:
            direction, value, slope, arc = moved, higher, its, min(2.0 * arc, 0.8)
        else:
            arc *= 0.5
    return MaxSliced(value, direction)


def steepness(one: Cloud, two: Cloud, p: float, direction: Array) -> tuple[float, Array]:
    """W_p of the projections on a direction and the way (D,) in which it grows there, up to a factor."""
    x, y = (np.einsum("rk,k->r", c.points, direction) for c in (one, two))
    i, j, mass = coupling(x, one.w, y, two.w)
    gaps = x[i] - y[j]
    top = float(np.abs(gaps).max())
    if top == 0.0:
        return 0.0, np.zeros_like(direction)
    pull = mass * np.sign(gaps) * (np.abs(gaps) / top) ** (p - 1.0)
    # Summed atom by atom, so that no (M + N, D) differences are made.
    slope = np.einsum("r,rk->k", np.bincount(i, pull, len(x)), one.points)
    slope -= np.einsum("r,rk->k", np.bincount(j, pull, len(y)), two.points)
    return power_mean(np.abs(gaps), mass, p), slope
