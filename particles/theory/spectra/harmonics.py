"""Harmonics of the circle and the sphere S^(d-1): how many there are of a degree, and their values."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import real_array, whole
from particles.errors import InputError
from particles.measures.measure import Array


def zonal_polynomials(angle: Array, degrees: int, dim: int) -> Iterator[Array]:
    """P_k(cos angle) for k = 0..degrees, P_k(1) = 1, one at a time."""
    if dim == 2:
        yield from (np.cos(k * angle) for k in range(degrees + 1))
        return
    t = np.cos(angle)
    before, now = np.zeros_like(t), np.ones_like(t)
    for k in range(degrees + 1):
        yield now
        before, now = now, ((2 * k + dim - 2) * t * now - k * before) / (k + dim - 2)


def multiplicity(dim: int, degree: int) -> int:
    """How many independent harmonics of a degree S^(dim-1) has: C(k+d-1, d-1) - C(k+d-3, d-1).

    Parameters
    ----------
    dim
        The sphere is in R^dim.
    degree
        k >= 0.

    Returns
    -------
    int
        The number.

    Examples
    --------
    >>> [mf.theory.spectra.multiplicity(3, degree) for degree in range(4)]
    [1, 3, 5, 7]
    """
    lower = math.comb(degree + dim - 3, dim - 1) if degree >= 2 else 0
    return math.comb(degree + dim - 1, dim - 1) - lower


def legendre(t: ArrayLike, degrees: int, dim: int) -> Array:
    """The Legendre polynomials of dimension d, with `P_k(1) = 1`; Chebyshev's on the circle.

    Parameters
    ----------
    t : (n,)
        Inner products in [-1, 1].
    degrees
        The highest degree.
    dim
        d >= 2.

    Returns
    -------
    (degrees + 1, n)
        A degree a row.

    Notes
    -----
    With a pole v, `sqrt(multiplicity) P_k(x.v)` is the zonal eigenfunction of degree k and has norm 1.

    Examples
    --------
    >>> mf.theory.spectra.legendre([0.5], degrees=2, dim=3).ravel().round(4)
    array([ 1.   ,  0.5  , -0.125])
    """
    angle = np.arccos(np.clip(real_array("`t`", t), -1.0, 1.0))
    return np.stack(list(zonal_polynomials(angle, whole("degrees", degrees, 0), whole("dim", dim, 2))))


def fourier(x: ArrayLike, degrees: int) -> Array:
    """The circle's eigenfunctions 1, `sqrt2 cos(k theta)`, `sqrt2 sin(k theta)`.

    Parameters
    ----------
    x : (n, 2)
        Points of the circle.
    degrees
        The highest degree.

    Returns
    -------
    (n, 2 degrees + 1)
        In the order 1, cos, sin, cos 2, sin 2, ...; column j has degree (j + 1) // 2.

    Raises
    ------
    InputError
        For points of another shape.

    Examples
    --------
    >>> mf.theory.spectra.fourier([[0.0, 1.0]], degrees=1).round(3) + 0.0
    array([[1.   , 0.   , 1.414]])
    """
    points = real_array("`x`", x)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError("points of the circle must have shape (n, 2)", str(points.shape), "")
    phase = np.multiply.outer(np.arctan2(points[:, 1], points[:, 0]), np.arange(1, whole("degrees", degrees, 0) + 1))
    waves = np.sqrt(2.0) * np.stack([np.cos(phase), np.sin(phase)], axis=2)
    return np.concatenate([np.ones((len(points), 1)), waves.reshape(len(points), -1)], axis=1)
