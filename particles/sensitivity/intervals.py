"""Intervals of 95% for means and variances over independent starts, and how many starts a width needs."""

from math import ceil

import numpy as np

from particles.measures.measure import Array

_LEVEL = 0.975  # two-sided 95%


def quantile(degrees: int | Array) -> Array:
    """Student's, two-sided 95%."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(degrees, _LEVEL))


def degrees(values: Array) -> Array:
    """Satterthwaite's degrees of freedom of the variance of numbers that are not Gaussian: (n, E) -> (E,).

    2 s^4 / Var s^2 by the kurtosis, n - 1 at most. For the squares of deviations it is a tenth of n: their variance is
    known that badly, and Student's interval with n - 1 covered 91% where this one covers 94%.
    """
    n = len(values)
    squares = (values - values.mean(axis=0)) ** 2
    second, fourth = squares.mean(axis=0), (squares**2).mean(axis=0)
    kurtosis = np.divide(fourth, second**2, out=np.full_like(second, 3.0), where=second > 0.0)
    return np.asarray(np.clip(2.0 * n / (kurtosis - 1.0 + 2.0 / (n - 1)), 1.0, n - 1.0))


def half_width(values: Array) -> Array:
    """Half of the interval about the mean of numbers that are not Gaussian, n not by their values: (n, E) -> (E,)."""
    return np.asarray(quantile(degrees(values)) * values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def runs_needed(first: Array, half: Array, most: int) -> int:
    """Stein's number of runs: (n, E), (E,) -> N >= n, so that the interval of `stein` is at most `half` wide.

    most: what is returned at most, plus one; so no number overflows.
    """
    n, deviation = len(first), first.std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(deviation > 0.0, quantile(n - 1) * deviation / half, 0.0)
    need = float(np.max(ratio, initial=0.0)) ** 2
    return max(n, ceil(min(need, most + 1.0)))


def stein(first: Array, N: int) -> Array:
    """Half of the interval about the mean of N runs, of which the first n gave the variance: (n, E) -> (E,).

    The mean of all N is independent of the variance of the first n where runs are Gaussian, so the interval is exact
    although N was chosen by that variance. One by the variance of all N would be too narrow.
    """
    n = len(first)
    return np.asarray(quantile(n - 1) * first.std(axis=0, ddof=1) / np.sqrt(N))


def variance(values: Array, control: Array, known: Array, known_error: Array) -> tuple[Array, Array, Array]:
    """The variance over starts and its interval: (N, E), (N, E), (E,), (E,) -> three times (E,).

    control: a variable whose variance is known, 0 where there is none. The interval is the jackknife's, of the
    logarithm where the variance is positive.
    """
    N = len(values)
    squares = (values - values.mean(axis=0)) ** 2 - (control - control.mean(axis=0)) ** 2
    found = squares.sum(axis=0) / (N - 1) + known
    half = np.hypot(half_width(squares), known_error)
    positive = found > 0.0
    factor = np.exp(np.divide(half, found, out=np.zeros_like(half), where=positive).clip(max=100.0))
    low = np.where(positive, found / factor, 0.0)
    return found, low, np.where(positive, found * factor, np.maximum(found + half, 0.0))
