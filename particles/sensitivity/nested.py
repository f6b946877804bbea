"""Nested clouds of one start: its halves and quarters are networks of their own, antithetic to the whole (3.4).

With E F_M = F_inf + B/M + C/M^2 + ..., the first variation is linear in the measure, so what it does to the whole is
what it does to the halves, on average. The difference of the two has no term of order M^(-1/2), and no limit is needed.
"""

from collections.abc import Callable

import numpy as np

from particles.measures.measure import Array, Measure

COST = 3  # runs of M particles: the whole, two halves, four quarters


def divisor(symmetric: bool) -> int:
    """What the number of particles must be a multiple of; quarters of symmetric starts are symmetric."""
    return 8 if symmetric else 4


def pieces(start: Measure, count: int, symmetric: bool) -> list[Measure]:
    """A start of equal weights cut into `count` starts; symmetric: with each particle goes the one that repeats it."""
    M = len(start.w)
    groups = np.arange(M).reshape(2 if symmetric else 1, count, -1)
    rows = [groups[:, number].reshape(-1) for number in range(count)]
    return [Measure(start.b[row], start.s[row], np.full(len(row), 1.0 / len(row))) for row in rows]


def bias_sample(measured: Callable[[Measure], Array], start: Measure, whole: Array, symmetric: bool) -> Array:
    """An estimate of E F_M - F_inf by one start, whose mean is right up to O(1/M^3): (E,) -> (E,).

    First differences are B/M + 3 C/M^2 and 2 B/M + 12 C/M^2; five thirds of one less a third of the other leave
    B/M + C/M^2.
    """
    halves, quarters = (np.mean([measured(one) for one in pieces(start, n, symmetric)], axis=0) for n in (2, 4))
    return np.asarray((5.0 * (halves - whole) - (quarters - halves)) / 3.0)
