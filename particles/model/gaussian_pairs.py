"""Expectations over a Gaussian pair (u, v) in closed form, E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)].

Each is a function of the variances q11 and q22 and the covariance q12, all of one shape.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PairExpectation = Callable[[Array, Array, Array], Array]  # (q11, q12, q22) -> an expectation


def relu_slopes(left: Array) -> Array:
    """The arc-cosine kernel of degree 0 (Cho and Saul): the share of half-spaces that hold both inputs.

    left : pi minus the angle between the inputs. So measured, small values near opposite inputs keep their digits.
    """
    return left / (2.0 * np.pi)


def relu_values(left: Array) -> Array:
    """The arc-cosine kernel of degree 1 (Cho and Saul) of unit inputs; left as in `relu_slopes`."""
    values = np.asarray(np.sin(left) - left * np.cos(left))
    small = np.abs(left) < 0.5  # where the two terms cancel: t^3/3 - t^5/30 + ... to the last bit
    if small.any():
        square, series = left[small] ** 2, np.zeros(np.count_nonzero(small))
        for k in range(7, 0, -1):
            series = (-1.0) ** (k + 1) * 2.0 * k / math.factorial(2 * k + 1) + series * square
        values[small] = left[small] * square * series
    return values / (2.0 * np.pi)


def _left(q11: Array, q12: Array, q22: Array) -> tuple[Array, Array]:
    """(|u||v|, pi minus the angle between them); a zero vector counts as orthogonal to everything.

    Near parallel inputs three numbers know their angle to 1e-8 only; `theory.limit` measures it from the inputs.
    """
    size = np.sqrt(q11 * q22)
    ratio = np.divide(q12, size, out=np.zeros_like(size * q12), where=size > 0)
    return size, np.arccos(-np.clip(ratio, -1.0, 1.0))


def relu_pair_values(q11: Array, q12: Array, q22: Array) -> Array:
    size, left = _left(q11, q12, q22)
    return size * relu_values(left)


def relu_pair_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    return relu_slopes(_left(q11, q12, q22)[1])


def erf_values(q11: Array, q12: Array, q22: Array) -> Array:
    """Williams's arc-sine kernel; as an arc tangent it keeps its digits where the sine is near 1."""
    rest = 1.0 + 2.0 * (q11 + q22) + 4.0 * (q11 * q22 - q12 * q12)
    return 2.0 / np.pi * np.arctan2(2.0 * q12, np.sqrt(rest))


def erf_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    return 4.0 / np.pi / np.sqrt(1.0 + 2.0 * (q11 + q22) + 4.0 * (q11 * q22 - q12 * q12))


def sin_sin(q11: Array, q12: Array, q22: Array) -> Array:
    """e^(-(q11 + q22)/2) sinh q12, written so that nothing can overflow and small q12 keep their digits."""
    return -0.5 * np.sign(q12) * np.exp(np.abs(q12) - 0.5 * (q11 + q22)) * np.expm1(-2.0 * np.abs(q12))


def cos_cos(q11: Array, q12: Array, q22: Array) -> Array:
    return 0.5 * (np.exp(-0.5 * (q11 + q22) + q12) + np.exp(-0.5 * (q11 + q22) - q12))


def _both_below(q11: Array, q12: Array, q22: Array) -> tuple[Array, Array]:
    """(E Phi(u) Phi(v), the root of det(I + Q)): an orthant of the pair with a standard normal added to each."""
    root = np.sqrt(1.0 + q11 + q22 + (q11 * q22 - q12 * q12))
    return np.arctan2(root, -q12) / (2.0 * np.pi), root


def gelu_values(q11: Array, q12: Array, q22: Array) -> Array:
    """E u Phi(u) v Phi(v): Stein's identity takes u and v away, and a density times a density is a density."""
    share, root = _both_below(q11, q12, q22)
    inverse = 1.0 / (1.0 + q11) + 1.0 / (1.0 + q22)
    return q12 * share + (q11 * q22 + q12 * q12 * (inverse - 1.0)) / (2.0 * np.pi * root)


def gelu_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    """E (Phi(u) + u phi(u)) (Phi(v) + v phi(v)), which is the derivative of `gelu_values` by q12 (Price)."""
    share, root = _both_below(q11, q12, q22)
    inverse = 1.0 / (1.0 + q11) + 1.0 / (1.0 + q22) + 1.0 / (root * root)
    return share + q12 * inverse / (2.0 * np.pi * root)


def squares(q11: Array, q12: Array, q22: Array) -> Array:
    return q11 * q22 + 2.0 * q12 * q12
