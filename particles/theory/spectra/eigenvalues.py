"""Eigenpairs of the integral operator Sigma f = E[f(X) k(X, .)] of section 3.2, their decay and effective dimension.

For a kernel of the angle and X uniform on the circle or the sphere S^(d-1) the eigenfunctions are the Fourier modes
and the spherical harmonics, and each degree's eigenvalue is one integral (Funk and Hecke). For samples elsewhere see
`nystrom`.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array, whole
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.spectra.zonal import AngleKernel

_PANEL = 32  # nodes a panel, which holds three waves of the highest degree at most
_MOST_PANELS = 1024
_SETTLED = 1e-15  # stop doubling the panels at this change, over the kernel's largest value


class Spectrum(NamedTuple):
    """Eigenvalues of a zonal kernel for inputs uniform on S^(dim-1): degree k = 0..K at place k, each (K+1,).

    values: the eigenvalue of every harmonic of degree k; 0 where it does not exceed its error, as ReLU's odd degrees
    from 3 on. counts: how many harmonics there are of degree k. error: absolute, an estimate from above.
    """

    dim: int
    values: Array
    counts: Array
    error: Array

    def listed(self, count: int) -> Array:
        """The `count` largest eigenvalues, each as often as it occurs, (count,) descending, of the degrees at hand."""
        count, order = whole("count", count, 1, int(self.counts.sum())), np.argsort(-self.values, kind="stable")
        return np.asarray(np.repeat(self.values[order], np.minimum(self.counts[order], count).astype(int))[:count])


def spectrum(kernel: AngleKernel, dim: int, degrees: int, of: str = "angle") -> Spectrum:
    """Eigenvalues of Sigma (3.2) for a zonal kernel on S^(dim-1), degrees 0 to `degrees` (flow time as the kernel).

    kernel: (n,) angles in [0, pi] -> (n,), or with of="cosine" inner products in [-1, 1]. Panels in the angle, doubled
    until nothing moves: arc-cosine kernels are analytic there. Raises InputError for a kernel that is
    not finite or has an eigenvalue below zero. Funk and Hecke; the errors of rounding shrink with the harmonics'
    number, so small eigenvalues of high degrees keep their digits (2e-11 relative for ReLU, d = 5, k < 50).

    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> found = mf.theory.spectra.spectrum(angle, dim=2, degrees=4)
    >>> found.values.round(5), found.counts
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
    found = np.asarray(kernel(angle if of == "angle" else np.cos(angle)), dtype=np.float64)
    if found.shape != angle.shape or not np.isfinite(found).all():
        raise InputError("`kernel` must map (n,) to finite (n,)", f"{angle.shape} to {found.shape}", "Vectorise it.")
    weight = np.tile(w, panels) * np.sin(angle) ** (dim - 2)
    weight *= found / weight.sum()
    pairs = [(weight @ p, np.abs(weight) @ np.abs(p)) for p in _harmonics(angle, degrees, dim)]
    values, size = np.array(pairs).T
    return values, size, float(np.abs(found).max())


def _fejer(m: int) -> tuple[Array, Array]:
    """Fejer's rule, m points and weights for the uniform law on [0, 1].

    Gauss's weights, as scipy finds them, are off by 6e-13: the same error in every panel is a wave, and gave ReLU's
    vanishing eigenvalues at degrees near twice the panels values above rounding. These have a closed form.
    """
    phase = np.pi * (np.arange(m) + 0.5) / m
    j = np.arange(1, m // 2 + 1)
    w = (1.0 - 2.0 * np.cos(2.0 * np.multiply.outer(phase, j)) @ (1.0 / (4.0 * j**2 - 1.0))) / m
    return np.sin(phase / 2.0) ** 2, w


def _harmonics(angle: Array, degrees: int, dim: int) -> Iterator[Array]:
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
    """How many independent harmonics of this degree S^(dim-1) has: C(k+d-1, d-1) - C(k+d-3, d-1).

    >>> [mf.theory.spectra.multiplicity(3, degree) for degree in range(4)]
    [1, 3, 5, 7]
    """
    less = math.comb(degree + dim - 3, dim - 1) if degree >= 2 else 0
    return math.comb(degree + dim - 1, dim - 1) - less


def legendre(t: ArrayLike, degrees: int, dim: int) -> Array:
    """The Legendre polynomials of dimension d, P_k(1) = 1, Chebyshev's on the circle: t (n,) -> (degrees + 1, n).

    With a pole v, sqrt(multiplicity) P_k(x.v) is the zonal eigenfunction of degree k and has norm 1.

    >>> mf.theory.spectra.legendre([0.5], degrees=2, dim=3).ravel().round(4)
    array([ 1.   ,  0.5  , -0.125])
    """
    angle = np.arccos(np.clip(real_array("`t`", t), -1.0, 1.0))
    return np.stack(list(_harmonics(angle, whole("degrees", degrees, 0), whole("dim", dim, 2))))


def fourier(x: ArrayLike, degrees: int) -> Array:
    """The circle's eigenfunctions 1, sqrt2 cos(k theta), sqrt2 sin(k theta): x (n, 2) -> (n, 2 degrees + 1).

    The order is 1, cos, sin, cos 2, sin 2, ...; column j has degree (j + 1) // 2.

    >>> mf.theory.spectra.fourier([[0.0, 1.0]], degrees=1).round(3) + 0.0
    array([[1.   , 0.   , 1.414]])
    """
    points = real_array("`x`", x)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError("points of the circle must have shape (n, 2)", str(points.shape), "")
    phase = np.multiply.outer(np.arctan2(points[:, 1], points[:, 0]), np.arange(1, whole("degrees", degrees, 0) + 1))
    waves = np.sqrt(2.0) * np.stack([np.cos(phase), np.sin(phase)], axis=2)
    return np.concatenate([np.ones((len(points), 1)), waves.reshape(len(points), -1)], axis=1)


class Decay(NamedTuple):
    """A fitted power law lam_i = coefficient i^-beta (Assumption 1).

    interval: 95%, by the scatter about the line. An exact spectrum does not scatter but bend, which the interval does
    not know: bend is beta over the upper half of the points minus that over the lower.
    used: how many points were fitted; indices: the first and the last i.
    """

    beta: float
    interval: tuple[float, float]
    coefficient: float
    used: int
    indices: tuple[float, float]
    bend: float = 0.0


def decay(values: Spectrum | ArrayLike, first: int, last: int) -> Decay:
    """The exponent beta of lam_i = Theta(i^-beta) (Assumption 1), a line through log lam over log i.

    values: a spectrum, where `first` to `last` are degrees, or eigenvalues (n,), where they are places i from 1 on in
    descending order. A degree is one point in the middle of its stair. Degrees without an eigenvalue, and those known
    to less than 1%, are left out. Raises InputError if fewer than 3 points remain.

    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> found = mf.theory.spectra.spectrum(angle, dim=2, degrees=200)
    >>> round(mf.theory.spectra.decay(found, 40, 200).beta, 2)
    2.06
    """
    first = whole("first", first, 0 if isinstance(values, Spectrum) else 1)
    last = whole("last", last, first + 2)
    if isinstance(values, Spectrum):
        order = np.argsort(-values.values, kind="stable")
        place = np.empty(len(order))
        place[order] = np.cumsum(values.counts[order]) - (values.counts[order] - 1.0) / 2.0
        lam, number_of = values.values, np.arange(len(order))
        good = lam > 100.0 * values.error
    else:
        lam = np.sort(real_array("`values`", values, finite=False).ravel())[::-1]
        number_of = np.arange(1, len(lam) + 1)
        place, good = number_of.astype(np.float64), lam > 0.0
    good &= (number_of >= first) & (number_of <= last)
    if good.sum() < 3:
        rule = "a power law needs 3 eigenvalues above their error"
        raise InputError(rule, f"{int(good.sum())} from {first} to {last}", "Widen the range.")
    return _line(place[good], lam[good])


def _line(place: Array, lam: Array) -> Decay:
    from scipy.stats import linregress, t

    order, half = np.argsort(place), (len(place) + 1) // 2
    x, y = np.log(place[order]), np.log(lam[order])
    fit, lower, upper = linregress(x, y), linregress(x[:half], y[:half]), linregress(x[-half:], y[-half:])
    reach = float(t.ppf(0.975, len(lam) - 2) * fit.stderr)
    beta, ends = -float(fit.slope), (float(place.min()), float(place.max()))
    bend = float(lower.slope - upper.slope)
    return Decay(beta, (beta - reach, beta + reach), float(np.exp(fit.intercept)), len(lam), ends, bend)


class Dimension(NamedTuple):
    """The effective dimension N(lam): total = listed + tail, `tail` from the power law beyond the listed ones."""

    total: float
    listed: float
    tail: float


def effective_dimension(values: Spectrum | ArrayLike, weight: float, beyond: Decay | None = None) -> Dimension:
    """N(lam) = sum_i lam_i / (lam_i + lam) of the operator Sigma of section 3.2. weight: lam > 0 in flow time.

    values: a spectrum, or eigenvalues (n,). beyond: the power law of those after the last one listed, integrated from
    half a place on; without it the tail is 0, and N(lam) a bound from below. Eigenvalues that are 0 count no place.

    >>> round(mf.theory.spectra.effective_dimension([1.0, 0.5, 0.1], weight=0.1).total, 3)
    2.242
    """
    weight = number("weight", weight, above=0.0)
    given = values.values if isinstance(values, Spectrum) else real_array("`values`", values, finite=False).ravel()
    counts = values.counts if isinstance(values, Spectrum) else np.ones(len(given))
    if (given < 0.0).any() or not np.isfinite(given).all():
        raise InputError("eigenvalues must be finite and >= 0", f"{given.min():.3g}", "Clip those that are noise.")
    listed = float(counts @ (given / (given + weight)))
    tail = 0.0 if beyond is None else _tail(float(counts[given > 0.0].sum()) + 0.5, weight, beyond)
    return Dimension(listed + tail, listed, tail)


def _tail(start: float, weight: float, law: Decay) -> float:
    """The integral of 1 / (1 + weight i^beta / c) from `start` on, in s = start / i, so that it is over (0, 1)."""
    from scipy.integrate import quad

    if law.beta <= 1.0:
        raise InputError("a tail is finite only for beta > 1", f"{law.beta:g}", "Fit another range, or leave it out.")
    z = weight / law.coefficient * start**law.beta
    # with s = v^(1/(beta-1)) the integrand stays finite at 0 for every beta
    power = law.beta / (law.beta - 1.0)
    peak = min(1.0, z ** (1.0 / power)) if z > 0 else 1.0
    value, _ = quad(lambda v: 1.0 / (v**power + z), 0.0, 1.0, points=[peak], epsabs=0.0, epsrel=1e-10, limit=200)
    return float(start / (law.beta - 1.0) * value)
