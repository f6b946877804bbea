"""Section 2 as numbers: what descent and SGD cost on a strongly convex, smooth objective."""

import math

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array, whole
from particles.errors import InputError
from particles.measures.measure import Array
from particles.methods.schedules import RobbinsMonro

_ROUNDING = 1e-9  # a count this much above a whole number is that number


def robbins_monro(strong: float, smooth: float) -> RobbinsMonro:
    """Steps 2 / (mu (t + t0)), t0 = 2 L / mu - 1, for a mu-strongly convex, L-smooth objective (section 2, [13]).

    strong: mu. smooth: L. Raises InputError unless 0 < mu <= L.

    >>> mf.theory.robbins_monro(strong=1.0, smooth=4.0)
    RobbinsMonro(c=2.0, t0=7.0)
    """
    strong, smooth = _convexity(strong, smooth)
    return RobbinsMonro(2.0 / strong, 2.0 * smooth / strong - 1.0)


def robbins_monro_bound(t: ArrayLike, strong: float, variance: float, smooth: float, start_gap: float) -> Array:
    """E[f(w) - f*] after t of the steps of `robbins_monro` is at most this: O(1/t) (section 2, [14]), t's shape.

    variance: E|noise|^2 <= V of an unbiased gradient. max(2 L V / mu^2, (2 L / mu) gap) / (t + 2 L / mu): smoothness
    gives e' <= (1 - mu eta) e + L V eta^2 / 2 while L eta <= 1, and induction the rest (Bottou, Curtis, Nocedal 2018,
    theorem 4.7). Raises InputError unless 0 < mu <= L.

    >>> mf.theory.robbins_monro_bound([0, 12, 92], strong=1.0, variance=1.0, smooth=4.0, start_gap=1.0).round(3)
    array([1.  , 0.4 , 0.08])
    """
    (strong, smooth), asked = _convexity(strong, smooth), real_array("`t`", t, finite=False)
    if not np.isfinite(asked).all() or (asked < 0).any():
        raise InputError("`t` must be iterations >= 0", str(t), "Give np.arange(100), say.")
    variance, gap = number("variance", variance, 0.0), number("start_gap", start_gap, 0.0)
    first = 2.0 * smooth / strong
    return np.asarray(max(first * variance / strong, first * gap) / (asked + first))


def sgd_evaluations(eps: float, strong: float, variance: float, smooth: float, start_gap: float) -> int:
    """Gradient evaluations after which `robbins_monro_bound` is eps: O(1/eps), whatever n is (section 2).

    >>> mf.theory.sgd_evaluations(0.01, strong=1.0, variance=1.0, smooth=4.0, start_gap=1.0)
    792
    """
    eps, start = number("eps", eps, above=0.0), robbins_monro_bound(0.0, strong, variance, smooth, start_gap)
    return max(0, math.ceil(2.0 * smooth / strong * (float(start) / eps - 1.0) - _ROUNDING))


def gd_evaluations(eps: float, strong: float, smooth: float, start_gap: float, n: int) -> int:
    """Gradient evaluations of descent with eta = 1/L on n samples until the gap is eps: O(n log(1/eps)) (section 2).

    n times the smallest t with (1 - mu / L)^t gap <= eps.

    >>> mf.theory.gd_evaluations(0.01, strong=1.0, smooth=4.0, start_gap=1.0, n=1000)
    17000
    """
    (strong, smooth), n = _convexity(strong, smooth), whole("n", n, 1)
    eps, gap = number("eps", eps, above=0.0), number("start_gap", start_gap, 0.0)
    if gap <= eps:
        return 0
    return n * (1 if strong == smooth else math.ceil(math.log(gap / eps) / -math.log1p(-strong / smooth) - _ROUNDING))


def _convexity(strong: float, smooth: float) -> tuple[float, float]:
    strong, smooth = number("strong", strong, above=0.0), number("smooth", smooth, above=0.0)
    if strong > smooth:
        raise InputError(
            "`strong` must not exceed `smooth`: mu <= f'' <= L", f"{strong:g} and {smooth:g}", "Swap them."
        )
    return strong, smooth
