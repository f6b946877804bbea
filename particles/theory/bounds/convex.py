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
    """Steps `2 / (mu (t + t0))`, `t0 = 2 L / mu - 1`, for a mu-strongly convex, L-smooth objective [13].

    Parameters
    ----------
    strong
        `mu`, > 0.
    smooth
        `L`, at least `mu`.

    Returns
    -------
    RobbinsMonro
        The schedule, for a method's `step`.

    Raises
    ------
    InputError
        Unless 0 < mu <= L.

    References
    ----------
    Section 2.

    Examples
    --------
    >>> mf.theory.robbins_monro(strong=1.0, smooth=4.0)
    RobbinsMonro(c=2.0, t0=7.0)
    """
    strong, smooth = _convexity(strong, smooth)
    return RobbinsMonro(2.0 / strong, 2.0 * smooth / strong - 1.0)


def robbins_monro_bound(t: ArrayLike, strong: float, variance: float, smooth: float, start_gap: float) -> Array:
    r"""A bound of `E[f(w) - f*]` after t steps of `mf.theory.robbins_monro`: O(1/t) [14].

    Parameters
    ----------
    t
        Iterations >= 0, an array of any shape.
    strong
        `mu`, > 0.
    variance
        V with `E|noise|^2 <= V` for an unbiased gradient.
    smooth
        `L`, at least `mu`.
    start_gap
        `f(w_0) - f*`.

    Returns
    -------
    array
        The bound, of the shape of `t`.

    Raises
    ------
    InputError
        Unless 0 < mu <= L, and for values outside these ranges.

    Notes
    -----
    .. math:: \frac{\max(2 L V / \mu^2, \; (2 L / \mu)(f(w_0) - f^*))}{t + 2 L / \mu}

    Smoothness gives :math:`e' \le (1 - \mu \eta) e + L V \eta^2 / 2` while :math:`L \eta \le 1`, and induction the
    rest.

    References
    ----------
    Section 2. Bottou, Curtis and Nocedal (2018), Optimization methods for large-scale machine learning, theorem 4.7.

    Examples
    --------
    >>> mf.theory.robbins_monro_bound([0, 12, 92], strong=1.0, variance=1.0, smooth=4.0, start_gap=1.0).round(3)
    array([1.  , 0.4 , 0.08])
    """
    (strong, smooth), iterations = _convexity(strong, smooth), real_array("`t`", t, finite=False)
    if not np.isfinite(iterations).all() or (iterations < 0).any():
        raise InputError("`t` must be iterations >= 0", str(t), "Give np.arange(100), say.")
    variance, gap = number("variance", variance, 0.0), number("start_gap", start_gap, 0.0)
    first = 2.0 * smooth / strong
    return np.asarray(max(first * variance / strong, first * gap) / (iterations + first))


def sgd_evaluations(eps: float, strong: float, variance: float, smooth: float, start_gap: float) -> int:
    """Gradient evaluations after which `mf.theory.robbins_monro_bound` is eps: O(1/eps), for every n.

    Parameters
    ----------
    eps
        The gap to reach, > 0.
    strong
        `mu`, > 0.
    variance
        V with `E|noise|^2 <= V` for an unbiased gradient.
    smooth
        `L`, at least `mu`.
    start_gap
        `f(w_0) - f*`.

    Returns
    -------
    int
        Evaluations of one sample's gradient.

    References
    ----------
    Section 2, the cost to reach eps.

    Examples
    --------
    >>> mf.theory.sgd_evaluations(0.01, strong=1.0, variance=1.0, smooth=4.0, start_gap=1.0)
    792
    """
    eps, start = number("eps", eps, above=0.0), robbins_monro_bound(0.0, strong, variance, smooth, start_gap)
    return max(0, math.ceil(2.0 * smooth / strong * (float(start) / eps - 1.0) - _ROUNDING))


def gd_evaluations(eps: float, strong: float, smooth: float, start_gap: float, n: int) -> int:
    """Gradient evaluations of descent with `eta = 1/L` on n samples until the gap is eps: O(n log(1/eps)).

    Parameters
    ----------
    eps
        The gap to reach, > 0.
    strong
        `mu`, > 0.
    smooth
        `L`, at least `mu`.
    start_gap
        `f(w_0) - f*`.
    n
        Samples.

    Returns
    -------
    int
        n times the smallest t with `(1 - mu / L)^t start_gap <= eps`.

    References
    ----------
    Section 2, the cost to reach eps.

    Examples
    --------
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
