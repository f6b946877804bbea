"""Theorem 1 and (6) as numbers (section 3.1): the squared loss where the tangent kernel stays."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, share, vector, whole
from particles.errors import InputError
from particles.theory.bounds.definite_gram import positive_definite
from particles.theory.one_output import one_output, width


class Theorem1(NamedTuple):
    """Rates of Theorem 1 [16], with constants 1.

    Attributes
    ----------
    step : flow time
        `n / |H|_F`.
    iterations
        `|H|_F / lam_inf log(1/eps)`.
    width
        Neurons, `n^6 / lam_inf^4`.
    kernel_step : flow time
        `n / lam_max`, the condition of descent under the fixed kernel.
    smallest
        `lam_inf`.
    norm
        `|H|_F`.
    """

    step: float
    iterations: float
    width: float
    kernel_step: float
    smallest: float
    norm: float


def theorem_1(gram: ArrayLike, eps: float, x: ArrayLike | None = None, y: ArrayLike | None = None) -> Theorem1:
    """The step, iterations and width of Theorem 1 [16], with constants 1.

    Parameters
    ----------
    gram : (n, n)
        `H`, the limiting Gram matrix (`mf.tangent.limit_gram`).
    eps
        The loss to reach, in (0, 1).
    x : (n, d)
        Inputs as the network sees them; if given, `|x_i| = 1` and distinct directions are checked.
    y : (n,)
        Targets; if given, `|y_i| <= 1` is checked, which stands for y = O(1).

    Returns
    -------
    Theorem1
        Rates: the theorem's Theta, O and Omega hide constants.

    Raises
    ------
    InputError
        If `lam_inf` > 0 or a checked condition fails; the message names the samples that make H singular. For more
        than one output.

    Notes
    -----
    The theorem is for ReLU. Its `eta = Theta(1 / |H|_F)` is for the sum of the losses, so here, for the mean, it is
    `n / |H|_F`, which never exceeds `n / lam_max`.

    References
    ----------
    Section 3.1, Theorem 1.

    Examples
    --------
    >>> H = mf.tangent.limit_gram(mf.Network("relu", beta=0.5), mf.Gaussian(2), np.eye(2))
    >>> rates = mf.theory.theorem_1(H, eps=0.01, x=np.eye(2), y=[1.0, -1.0])
    >>> round(rates.step, 3), round(rates.iterations, 2), round(rates.width)
    (2.828, 6.51, 1024)
    """
    one_output("Theorem 1", width("y", y))
    matrix, values = positive_definite(gram, x, y)
    eps, n = number("eps", eps, above=0.0), len(matrix)
    if eps >= 1.0:
        raise InputError("`eps` must lie below 1, where log(1/eps) is a count", eps, "Use 0.01, say.")
    norm, low = float(np.linalg.norm(matrix)), float(values[0])
    return Theorem1(n / norm, norm / low * math.log(1.0 / eps), n**6 / low**4, n / float(values[-1]), low, norm)


def arora_bound(gram: ArrayLike, y: ArrayLike, x: ArrayLike | None = None) -> float:
    """The first term of (6) [3], `sqrt(2 y^T H^-1 y / n)`, by Cholesky.

    Parameters
    ----------
    gram : (n, n)
        `H`, the limiting Gram matrix (`mf.tangent.limit_gram`).
    y : (n,)
        Targets, `|y_i| <= 1`.
    x : (n, d)
        Inputs as the network sees them; if given, `|x_i| = 1` and distinct directions are checked.

    Returns
    -------
    float
        The term, a bound of the expected squared loss but for the second term.

    Raises
    ------
    InputError
        If a condition of (6) fails; a singular H has no inverse, and the message names the samples that make it so. For
        more than one output.

    References
    ----------
    Equation (6), section 3.1.

    Examples
    --------
    >>> round(mf.theory.arora_bound([[0.5, 0.0], [0.0, 0.5]], y=[1.0, -1.0]), 6)
    2.0
    """
    from scipy.linalg import cho_factor, cho_solve

    one_output("the bound (6)", width("y", y))
    matrix, _ = positive_definite(gram, x, y)
    targets = vector("y", y, len(matrix))
    solved = cho_solve(cho_factor(matrix, lower=True), targets)
    return math.sqrt(2.0 * float(targets @ solved) / len(matrix))


def arora_rest(n: int, smallest: float, delta: float) -> float:
    """The rate of the second term of (6) [3], `sqrt(log(n / (lam_inf delta)) / n)`.

    Parameters
    ----------
    n
        Samples.
    smallest
        `lam_inf`, > 0.
    delta
        The probability that (6) fails, in (0, 1).

    Returns
    -------
    float
        The rate, with constant 1: the paper does not state its constant.

    Raises
    ------
    InputError
        Where the logarithm is negative: there O(.) says nothing.

    References
    ----------
    Equation (6), section 3.1.

    Examples
    --------
    >>> round(mf.theory.arora_rest(n=1000, smallest=0.1, delta=0.05), 3)
    0.11
    """
    n, smallest = whole("n", n, 1), number("smallest", smallest, above=0.0, remedy="At lam_inf = 0 (6) does not hold.")
    inside = n / (smallest * share("delta", delta))
    if inside < 1.0:
        raise InputError("n / (lam_inf delta) must be >= 1", f"{inside:g}", "Lower `delta`.")
    return math.sqrt(math.log(inside) / n)
