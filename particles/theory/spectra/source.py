"""Targets with a prescribed source condition (Assumption 1): `g = Sigma^r h` for h of a given norm, circle and sphere.

They are zonal: sums of the functions `sqrt(multiplicity) P_k(x.pole)`, on the circle `sqrt(2) cos k(theta - theta_0)`.
These are orthonormal under the uniform law, so a target is its coefficients.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.spectra.eigenvalues import Spectrum

# A cosine polynomial of degree K on 2 * 32 K equal angles exceeds its largest value there by 1/cos(pi/64) at most
# (Ehlich and Zeller), 0.12%.
_FINE = 32


class Target(NamedTuple):
    """A zonal function on S^(d-1), (k, d) -> (k,), as `mf.Stream` takes it.

    Attributes
    ----------
    pole : (d,)
        A unit vector; the function depends on `x.pole` alone.
    coefficients : (K+1,)
        On the orthonormal zonal harmonics of degree 0..K, so the function's L2 norm is theirs.
    counts : (K+1,)
        The multiplicities of the degrees.
    source_norm
        `|Sigma^-r g|`.
    """

    pole: Array
    coefficients: Array
    counts: Array
    source_norm: float

    def __call__(self, x: Array) -> Array:
        points = real_array("points", x)
        if points.ndim != 2 or points.shape[1] != len(self.pole):
            raise InputError(f"points must have shape (k, {len(self.pole)})", str(points.shape), "")
        # atan2 keeps the angle's digits at the poles, where arccos loses half of them
        along = points @ self.pole
        across = np.linalg.norm(points - np.multiply.outer(along, self.pole), axis=1)
        return _zonal(np.arctan2(across, along), self.coefficients * np.sqrt(self.counts), len(self.pole))


def _zonal(angle: Array, heights: Array, dim: int) -> Array:
    """sum_k heights_k P_k(cos angle), without holding the P_k of all degrees."""
    t = np.cos(angle)
    if dim == 2:
        return np.asarray(np.polynomial.chebyshev.chebval(t, heights))
    before, now, total = np.zeros_like(t), np.ones_like(t), heights[0] * np.ones_like(t)
    for k in range(1, len(heights)):
        before, now = now, ((2 * k + dim - 4) * t * now - (k - 1) * before) / (k + dim - 3)
        total = total + heights[k] * now
    return np.asarray(total)


def source_norm(spectrum: Spectrum, coefficients: ArrayLike, r: float) -> float:
    """`|Sigma^-r g|_L2` of `g = sum_k c_k phi_k` (Assumption 1).

    Parameters
    ----------
    spectrum
        The spectrum of `Sigma`.
    coefficients : (K+1,) or (K+1, m)
        Those of `g` by degree; (K+1, m) if there are m functions of a degree.
    r
        The exponent of the source condition, >= 0.

    Returns
    -------
    float
        The norm; infinite where `g` has a part that `Sigma` maps to 0.

    Raises
    ------
    InputError
        If the coefficients are not finite or have more degrees than the spectrum.

    References
    ----------
    Section 3.2, Assumption 1.

    Examples
    --------
    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> spectrum = mf.theory.spectra.spectrum(angle, dim=2, degrees=20)
    >>> target = mf.theory.spectra.source_target(spectrum, r=0.75)
    >>> round(mf.theory.spectra.source_norm(spectrum, target.coefficients, r=0.75), 6)
    1.0
    """
    c = real_array("`coefficients`", coefficients, finite=False)
    if c.ndim not in (1, 2) or not 0 < len(c) <= len(spectrum.values) or not np.isfinite(c).all():
        rule = f"`coefficients` must be finite, at most {len(spectrum.values)} degrees"
        raise InputError(rule, str(c.shape), "Ask the spectrum for more degrees.")
    square = (c.reshape(len(c), -1) ** 2).sum(axis=1)
    some, lam = square > 0.0, spectrum.values[: len(c)]
    if (lam[some] == 0.0).any():
        return float("inf")
    return float(np.sqrt(np.sum(square[some] * lam[some] ** (-2.0 * number("r", r, 0.0)))))


def source_target(
    spectrum: Spectrum,
    r: float,
    h: ArrayLike | None = None,
    radius: float = 1.0,
    pole: ArrayLike | None = None,
    bounded: bool = False,
) -> Target:
    """A target with a prescribed source condition: `g = Sigma^r h` with `|h|_L2 = radius` (Assumption 1).

    Parameters
    ----------
    spectrum
        The spectrum of `Sigma`.
    r
        The exponent of the source condition, >= 0.
    h : (K+1,)
        Coefficients of `h` by degree, scaled to `radius`. By default `h_k = (k+1)^(-1/2) / log(k+2)`, which is only
        just square summable: with many degrees `g` satisfies the condition for `r` and for no larger one. This default
        has no part in degrees with eigenvalue 0.
    radius
        `|Sigma^-r g|`, 1 by default.
    pole : (d,)
        The pole of the target; by default the first axis.
    bounded
        Whether `g` is divided by a bound of `sup |g|` where that exceeds 1 (Assumption 1 has y in [-1, 1]). The
        target's `source_norm` then says what remains of `radius`.

    Returns
    -------
    Target
        The function and its coefficients.

    Raises
    ------
    InputError
        If `h` is not finite, is 0, has too many degrees, or has a part where the eigenvalue is 0.

    References
    ----------
    Section 3.2, Assumption 1.

    Examples
    --------
    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> spectrum = mf.theory.spectra.spectrum(angle, dim=2, degrees=20)
    >>> target = mf.theory.spectra.source_target(spectrum, r=0.75, radius=9.0, bounded=True)
    >>> bool(np.abs(target(mf.Sphere(2).sample(1000, seed=0).b)).max() <= 1.0), bool(target.source_norm < 9.0)
    (True, True)
    """
    r, radius = number("r", r, 0.0), number("radius", radius, above=0.0)
    lam = spectrum.values
    if h is None:
        k = np.arange(len(lam), dtype=np.float64)
        given = np.where(lam > 0.0, 1.0 / (np.sqrt(k + 1.0) * np.log(k + 2.0)), 0.0)
    else:
        given = real_array("`h`", h, finite=False)
        if given.ndim != 1 or not 0 < len(given) <= len(lam) or not np.isfinite(given).all() or not given.any():
            rule = f"`h` must be finite, not all 0, of at most {len(lam)} degrees"
            raise InputError(rule, str(given.shape), "Ask the spectrum for more degrees.")
        given = np.pad(given, (0, len(lam) - len(given)))
        if (given[lam == 0.0] != 0.0).any():
            degree = int(np.flatnonzero((lam == 0.0) & (given != 0.0))[0])
            raise InputError("`h` must be 0 where the eigenvalue is", f"degree {degree}", "Sigma^r h has no such part.")
    c = np.where(lam > 0.0, lam, 0.0) ** r * given * (radius / np.linalg.norm(given))
    target = Target(_pole(pole, spectrum.dim), c, spectrum.counts, radius)
    return _within(target) if bounded else target


def hardest_target(
    spectrum: Spectrum,
    weight: float,
    r: float,
    residual: Callable[[Array], ArrayLike] | None = None,
    radius: float = 1.0,
    pole: ArrayLike | None = None,
    bounded: bool = False,
) -> Target:
    """The target with the largest bias in the source ball `|Sigma^-r g| <= radius`: `radius lam_i^r phi_i`.

    Parameters
    ----------
    spectrum
        The spectrum of `Sigma`.
    weight
        The regularisation `lam`, at T that of `mf.theory.weight_decay`.
    r
        The exponent of the source condition.
    residual
        What a filter leaves of an eigenfunction, (k,) eigenvalues -> (k,). By default `weight / (weight + lam_i)`, that
        of ridge regression and, in the mean, of averaged SGD.
    radius
        The radius of the source ball, 1 by default.
    pole : (d,)
        The pole of the target; by default the first axis.
    bounded
        As in `mf.theory.spectra.source_target`.

    Returns
    -------
    Target
        The eigenfunction whose index maximises `lam_i^r residual(lam_i)`.

    References
    ----------
    Section 3.2, Assumption 1 and Theorem 2.

    Examples
    --------
    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> spectrum = mf.theory.spectra.spectrum(angle, dim=2, degrees=20)
    >>> target = mf.theory.spectra.hardest_target(spectrum, weight=0.01, r=0.5)
    >>> int(np.argmax(target.coefficients))
    4
    """
    weight, r = number("weight", weight, above=0.0), number("r", r, 0.0)
    lam = spectrum.values
    if not lam.any():
        raise InputError("a source ball needs an eigenvalue above 0", "none", "Ask the spectrum for more degrees.")
    left = weight / (weight + lam) if residual is None else real_array("`residual`", residual(lam), finite=False)
    if left.shape != lam.shape or not np.isfinite(left).all():
        raise InputError("`residual` must map (k,) to finite (k,)", f"{lam.shape} to {left.shape}", "Vectorise it.")
    h = np.zeros(len(lam))
    h[int(np.argmax(np.where(lam > 0.0, lam**r * np.abs(left), -1.0)))] = 1.0
    return source_target(spectrum, r, h, radius, pole, bounded)


def _pole(pole: ArrayLike | None, dim: int) -> Array:
    if pole is None:
        return np.asarray(np.eye(dim)[0])
    v = real_array("`pole`", pole, finite=False)
    if v.shape != (dim,) or not np.isfinite(v).all() or not v.any():
        raise InputError(f"`pole` must be a vector of {dim} numbers, not 0", str(pole), "")
    return np.asarray(v / np.linalg.norm(v))


def _within(target: Target) -> Target:
    """The target divided by its largest value, if that exceeds 1."""
    steps = _FINE * max(1, len(target.coefficients) - 1)
    heights = target.coefficients * np.sqrt(target.counts)
    top = np.abs(_zonal(np.pi * np.arange(steps + 1) / steps, heights, len(target.pole))).max()
    over = max(1.0, float(top) / np.cos(np.pi / (2 * _FINE)))
    return target._replace(coefficients=target.coefficients / over, source_norm=target.source_norm / over)
