"""The decay of eigenvalues as a power law (Assumption 1), and the effective dimension N(lam) of section 3.2."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array, whole
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.spectra.eigenvalues import Spectrum


class Decay(NamedTuple):
    """A fitted power law `lam_i = coefficient i^-beta` (Assumption 1).

    Attributes
    ----------
    beta
        The exponent.
    interval
        Of beta, 95%, from the scatter about the line. An exact spectrum does not scatter but bend, which this ignores.
    coefficient
        The factor.
    used
        How many points were fitted.
    indices
        The first and the last i.
    bend
        beta fitted to the upper half of the points minus beta fitted to the lower half.
    """

    beta: float
    interval: tuple[float, float]
    coefficient: float
    used: int
    indices: tuple[float, float]
    bend: float = 0.0


def decay(values: Spectrum | ArrayLike, first: int, last: int) -> Decay:
    """The exponent beta of `lam_i = Theta(i^-beta)` (Assumption 1), from a line through log lam against log i.

    Parameters
    ----------
    values
        A `Spectrum`, of which a degree is one point in the middle of its indices; or eigenvalues (n,).
    first
        The first degree of a spectrum, or the first index i, from 1 on in descending order.
    last
        The last one.

    Returns
    -------
    Decay
        The fitted power law. Degrees without an eigenvalue, and those known to less than 1%, are left out.

    Raises
    ------
    InputError
        If fewer than 3 points remain.

    References
    ----------
    Section 3.2, Assumption 1.

    Examples
    --------
    >>> angle = mf.theory.spectra.zonal_kernel(mf.Network("relu", beta=0.5), mf.Gaussian(2))
    >>> spectrum = mf.theory.spectra.spectrum(angle, dim=2, degrees=200)
    >>> round(mf.theory.spectra.decay(spectrum, 40, 200).beta, 2)
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
    """The effective dimension N(lam).

    Attributes
    ----------
    total
        `listed + tail`.
    listed
        The sum over the given eigenvalues.
    tail
        The rest, from a power law.
    """

    total: float
    listed: float
    tail: float


def effective_dimension(values: Spectrum | ArrayLike, weight: float, beyond: Decay | None = None) -> Dimension:
    r"""The effective dimension of the operator `Sigma` of section 3.2.

    Parameters
    ----------
    values
        A `Spectrum`, or eigenvalues (n,).
    weight
        `lam` > 0, in flow time.
    beyond
        The power law of the eigenvalues after the last given one, integrated from half an index on. By default the tail
        is 0, and the sum a bound from below. Eigenvalues that are 0 do not count as indices.

    Returns
    -------
    Dimension
        The sum and its parts.

    Raises
    ------
    InputError
        For negative eigenvalues, and a power law whose tail is infinite (beta <= 1).

    Notes
    -----
    .. math:: N(\lambda) = \sum_i \frac{\lambda_i}{\lambda_i + \lambda}

    References
    ----------
    Section 3.2.

    Examples
    --------
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
