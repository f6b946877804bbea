"""Eigenpairs of the integral operator `Sigma f = E[f(X) k(X, .)]` of section 3.2.

For a kernel of the angle and X uniform on the circle or the sphere S^(d-1) the eigenfunctions are the Fourier modes
and the spherical harmonics, and each degree's eigenvalue is one integral (Funk and Hecke). For samples elsewhere see
`nystrom`.
"""

from typing import NamedTuple

import numpy as np

from particles.checks import whole
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.spectra.harmonics import multiplicity, zonal_polynomials
from particles.theory.spectra.zonal import AngleKernel

_PANEL = 32  # nodes a panel, which holds three waves of the highest degree at most
_MOST_PANELS = 1024
_SETTLED = 1e-15  # stop doubling the panels at this change, relative to the kernel's largest value


class Spectrum(NamedTuple):
    """Eigenvalues of a zonal kernel for inputs uniform on S^(dim-1), by degree 0..K.

    Attributes
    ----------
    dim
        The sphere is in R^dim.
    values : (K+1,)
        The eigenvalue of every harmonic of degree k; 0 where it does not exceed its error, as ReLU's odd degrees from 3
        on.
    counts : (K+1,)
        How many harmonics degree k has.
    error : (K+1,)
        Absolute, an estimate from above.
    """

    dim: int
    values: Array
    counts: Array
    error: Array

    def listed(self, count: int) -> Array:
        """The largest eigenvalues of the degrees up to K, each as often as it occurs.

        Parameters
        ----------
        count
            How many.

        Returns
        -------
        (count,)
            Descending.
        """
        count, order = whole("count", count, 1, int(self.counts.sum())), np.argsort(-self.values, kind="stable")
        return np.asarray(np.repeat(self.values[order], np.minimum(self.counts[order], count).astype(int))[:count])


def spectrum(kernel: AngleKernel, dim: int, degrees: int, of: str = "angle") -> Spectrum:
    r"""Eigenvalues of `Sigma` (3.2) for a zonal kernel and inputs uniform on S^(dim-1), flow time as the kernel's.

    Parameters
    ----------
    kernel
        (n,) angles in [0, pi] -> (n,); or inner products in [-1, 1], see `of`.
    dim
        The sphere is in R^dim; the circle is 2.
    degrees
        The highest degree K.
    of
        "angle" or "cosine": what `kernel` is a function of.

    Returns
    -------
    Spectrum
        The eigenvalue of each degree, with its error.

    Raises
    ------
    InputError
        For a kernel that is not finite or has an eigenvalue below zero.

    Notes
    -----
    By the formula of Funk and Hecke each degree's eigenvalue is one integral,

    .. math:: \lambda_k = E[k(\theta) P_k(\cos \theta)]

    with the angle between a fixed and a uniform point. It is computed on panels in the angle, where arc-cosine kernels
    are analytic, which are doubled until nothing changes. Rounding errors shrink as the harmonics' number grows, so
    small eigenvalues of high degrees keep their digits (2e-11 relative for ReLU, d = 5, k < 50).

    References
    ----------
    Section 3.2, `Sigma_inf`.

    Examples
    --------
    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> spectrum = mf.theory.spectra.spectrum(angle, dim=2, degrees=4)
    >>> spectrum.values.round(5), spectrum.counts
    (array([0.10132, 0.125  , 0.05629, 0.     , 0.00766]), array([1., 2., 2., 2., 2.]))
    """
    dim = whole("dim", dim, 2, remedy="The circle is dim=2.")
    degrees = whole("degrees", degrees, 0)
    if of not in ("angle", "cosine"):
        raise InputError('`of` must be "angle" or "cosine"', repr(of), "")
    panels = max(8, -(-degrees // 6))
    values, size, scale = _funk_hecke(kernel, dim, degrees, of, panels)
    earlier = 0.0  # what the changes so far would be now, by the order of a corner
    while True:
        before, panels = values, 2 * panels
        values, size, scale = _funk_hecke(kernel, dim, degrees, of, panels)
        change = np.abs(values - before)
        if change.max() <= _SETTLED * scale:
            break
        if panels >= _MOST_PANELS:  # a corner: one change can be small by chance, all of them not
            change = np.full(degrees + 1, max(change.max(), earlier))
            break
        earlier = max(float(change.max()), earlier) / 4.0
    # A rounding of the angle is one of the phase, k times as large; measured up to k = 400: noise is half of this
    error = change + np.finfo(float).eps * size * (1.0 + np.arange(degrees + 1) / 8.0)
    if (values < -8.0 * error).any():
        degree = int(np.argmin(values))
        got = f"{values[degree]:.3g} at degree {degree}"
        raise InputError("a kernel must have no eigenvalue below 0", got, "It is not positive semidefinite.")
    counts = np.array([multiplicity(dim, k) for k in range(degrees + 1)], dtype=np.float64)
    return Spectrum(dim, np.where(values > error, values, 0.0), counts, error)


def _funk_hecke(kernel: AngleKernel, dim: int, degrees: int, of: str, panels: int) -> tuple[Array, Array, float]:
    """For each degree the mean of k(theta) P_k(cos theta), and of its absolute value; the kernel's largest value."""
    u, w = _fejer(_PANEL)
    angle = (np.pi / panels * (np.arange(panels)[:, None] + u)).ravel()
    k = np.asarray(kernel(angle if of == "angle" else np.cos(angle)), dtype=np.float64)
    if k.shape != angle.shape or not np.isfinite(k).all():
        raise InputError("`kernel` must map (n,) to finite (n,)", f"{angle.shape} to {k.shape}", "Vectorise it.")
    weight = np.tile(w, panels) * np.sin(angle) ** (dim - 2)
    weight *= k / weight.sum()
    pairs = [(weight @ p, np.abs(weight) @ np.abs(p)) for p in zonal_polynomials(angle, degrees, dim)]
    values, size = np.array(pairs).T
    return values, size, float(np.abs(k).max())


def _fejer(m: int) -> tuple[Array, Array]:
    """Fejer's rule, m points and weights for the uniform law on [0, 1].

    Gauss's weights, as scipy finds them, are off by 6e-13: the same error in every panel is a wave, and gave ReLU's
    vanishing eigenvalues at degrees near twice the panels values above rounding. These have a closed form.
    """
    phase = np.pi * (np.arange(m) + 0.5) / m
    j = np.arange(1, m // 2 + 1)
    w = (1.0 - 2.0 * np.cos(2.0 * np.multiply.outer(phase, j)) @ (1.0 / (4.0 * j**2 - 1.0))) / m
    return np.sin(phase / 2.0) ** 2, w
