"""The smallest value of the first variation V (3.4) over a ball and some signs: from above by descent from many starts,
and, with few inputs, from below by boxes on which V cannot fall further than its slope and curvature allow.

Of k outputs its envelope takes the place of V, and lengths of output weights that of signs. V is not convex in
the position, so descent alone proves nothing; the boxes do.
"""

from typing import NamedTuple

import numpy as np

from particles.measures.laws import Ball, Sphere
from particles.measures.measure import Array
from particles.measures.random_streams import Purpose, generator
from particles.model.regularisers import NONE
from particles.theory.optimality.envelope import Potential

_ROUNDS = 300  # of descent from every start
_POLISH = 2000  # and more of them for the lowest few
_BEST = 8
_ENOUGH = 1e-4  # of the fall that a step's length promises (Armijo)
_FARTHEST = 1e3  # radii that a step may lead away before it is projected back
_STILL = 1e-10  # of the radius: a shorter step is an end
_SAME = 1e-6  # of the spread of V over the starts: minima this near count as one
_KINKED = tuple(10.0**-k for k in range(1, 10))  # of the radius: how far gradients are gathered around a kink
_TRIES = 20  # steps at each of them
_LENGTHS = 0.5 ** np.arange(40)


class Least(NamedTuple):
    """The smallest V that was met, where, and what speaks for it.

    value at position b (d,) with sign s. starts: how many there were; reached: how many ended there. unseen: the chance
    that a further random start ends in a minimum not met yet, w(w+1)/(N(N-1)) for w different ones after N random
    starts (the Bayes estimate of Boender and Rinnooy Kan, 1987). ends: where all starts ended, (k, d), (k,), (k,).

    Where sigma has kinks only the lowest few starts are followed to the end: `reached` is then too small, and `unseen`
    too large.
    """

    value: float
    b: Array
    s: float
    starts: int
    reached: int
    unseen: float
    ends: tuple[Array, Array, Array]


def least(V: Potential, radius: float, signs: Array, starts: int, seed: int, also: tuple[Array, Array]) -> Least:
    """The smallest V over |b| <= radius and the signs, from `starts` random starts a sign and those of `also` (b, s).

    The random starts are a third uniform in the ball, a third on its sphere, and a third of lengths spread evenly over
    decades, down to where the pre-activations are about 0.1: a large ball is flat nearly everywhere.
    """
    places = _random_starts(V.x, radius, starts * len(signs), seed)
    b, s = np.concatenate([places, also[0]]), np.concatenate([np.repeat(signs, starts), also[1]])
    spread = np.ptp(V.value(b, s))
    b, value = descend(V, b, s, radius, _ROUNDS)
    best = np.argsort(value, kind="stable")[:_BEST]
    b[best], value[best] = descend(V, b[best], s[best], radius, _POLISH)
    if not np.isfinite(V.net.activation.curvature_bound):
        for r in best:
            b[r], value[r] = _past_kinks(V, b[r], s[r], value[r], radius)
    lowest = int(np.argmin(value))
    near = _SAME * max(spread, abs(value[lowest]))
    N = starts * len(signs)
    w = 1 + int(np.count_nonzero(np.diff(np.sort(value[:N])) > near))
    unseen = min(1.0, w * (w + 1.0) / (N * (N - 1.0))) if N > 1 else 1.0
    reached = int(np.count_nonzero(value <= value[lowest] + near))
    return Least(float(value[lowest]), b[lowest].copy(), float(s[lowest]), len(b), reached, unseen, (b, s, value))


def _random_starts(x: Array, radius: float, count: int, seed: int) -> Array:
    """`count` points of the ball, the three kinds in turn: (count, d)."""
    random, d = generator(seed, Purpose.POSITION), x.shape[1]
    inside, on = Ball(d, radius).draw(random, count), Sphere(d, radius).draw(random, count)
    shortest = min(1.0, 0.1 / (radius * np.sqrt(np.mean(np.sum(x**2, axis=1)) + 1e-300)))
    lengths = shortest ** random.random(count)
    kind = np.arange(count) % 3
    return np.asarray(np.where((kind == 0)[:, None], inside, on * np.where(kind == 1, 1.0, lengths)[:, None]))


def descend(V: Potential, b: Array, s: Array, radius: float, rounds: int) -> tuple[Array, Array]:
    """Projected gradient descent on V from b (k, d) with signs s (k,), all at once: the ends and V there.

    Steps are Barzilai and Borwein's, made shorter until V falls by a share of what they promise. The L1 pull enters by
    its proximal map (soft threshold, then projection: together they are the map of both).
    """
    penalty, size = V.penalty, V.penalty.threshold
    smooth = V._replace(rule=NONE) if size else V
    ends, values = project(b, radius), np.empty(len(b))
    values[:], slopes = smooth.both(ends, s)
    values += size * np.abs(ends).sum(axis=1)
    steps = 0.1 * radius / np.maximum(np.linalg.norm(slopes, axis=1), 1e-300)
    rows = np.arange(len(b))
    for _ in range(rounds):
        here, slope, step = ends[rows], slopes[rows], steps[rows]
        ahead = here - step[:, None] * slope
        ahead = project(penalty.prox(ahead, step[:, None]) if size else ahead, radius)
        value, gradients = smooth.both(ahead, s[rows])
        value += size * np.abs(ahead).sum(axis=1)
        move, turn = ahead - here, gradients - slope
        length = np.sum(move**2, axis=1)
        good = value <= values[rows] - _ENOUGH * length / step
        bend = np.sum(move * turn, axis=1)
        longer = np.divide(length, bend, out=10.0 * step, where=bend > 0)
        kept = rows[good]
        ends[kept], values[kept], slopes[kept] = ahead[good], value[good], gradients[good]
        most = _FARTHEST * radius / np.maximum(np.linalg.norm(slopes[rows], axis=1), 1e-300)
        steps[rows] = np.where(good, np.minimum(np.clip(longer, 1e-3 * step, 1e3 * step), most), 0.25 * step)
        rows = rows[length > (_STILL * radius) ** 2]
        if not len(rows):
            break
    return ends, values


def project(b: Array, radius: float) -> Array:
    """The nearest points of the ball: (k, d)."""
    size = np.linalg.norm(b, axis=1)[:, None]
    return np.asarray(np.where(size > radius, b * (radius / np.maximum(size, radius)), b))


def _past_kinks(V: Potential, b: Array, s: float, value: float, radius: float) -> tuple[Array, float]:
    """Descent where V has kinks: along the shortest mean of the gradients around (Burke, Lewis and Overton, 2005)."""
    random, d = np.random.default_rng(0), len(b)
    for near in _KINKED:
        for _ in range(_TRIES):
            around = b + near * radius * Ball(d).draw(random, 2 * d + 2)
            gradients = V.both(project(np.vstack([b, around]), radius), np.full(2 * d + 3, s))[1]
            way = _shortest(gradients, b / radius if b @ b > ((1.0 - near) * radius) ** 2 else np.zeros(d))
            size = np.linalg.norm(way)
            if size <= 1e-12 * np.abs(gradients).max():
                break
            ahead = project(b - np.outer(_LENGTHS * radius / size, way), radius)
            values = V.value(ahead, np.full(len(ahead), s))
            lowest = int(np.argmin(values))
            if values[lowest] >= value:
                break
            b, value = ahead[lowest], float(values[lowest])
    return b, value


def _shortest(gradients: Array, outward: Array) -> Array:
    """The shortest vector among the gradients' means (k, d) plus a pull of the sphere along `outward`: (d,)."""
    from scipy.optimize import nnls

    size = np.abs(gradients).max() + 1e-300
    columns = np.vstack([gradients / size, outward]).T
    sums = 1e3 * np.append(np.ones(len(gradients)), 0.0)  # that the shares sum to 1, heavy among the equations
    shares = nnls(np.vstack([columns, sums]), np.append(np.zeros(len(outward)), 1e3))[0]
    return np.asarray(size * columns @ shares)
