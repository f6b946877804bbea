r"""Averaged SGD (3.2) where the kernel does not move, M = infinity: in features of the kernel, or by its Gram matrix.

.. math:: f_1 = 0, \quad f_{t+1} = f_t - \eta \left( f_t(x_t) - y_t \right) k(x_t, \cdot) - \eta \lambda f_t

with one fresh sample an iteration; the answer is the mean of the T + 1 iterates.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.one_output import one_output, width

_CHUNK = 2**22  # features held at a time


class Iterates(NamedTuple):
    """Coefficients after all iterations: of the last iterate, and of the average of all."""

    last: Array
    average: Array


def feature_sgd(
    features: Callable[[Array], Array], x: Array, y: ArrayLike, step: float, weight_decay: float = 0.0
) -> Iterates:
    r"""Averaged SGD (3.2) in features of a fixed kernel, on many streams at once (flow time).

    Parameters
    ----------
    features
        A feature map `psi` with `k(x, x') = psi(x).psi(x')`: points (k, d) -> (k, D). What it cuts off counts as zero.
    x : (S, T, d)
        The samples of S streams, one an iteration.
    y : (S, T)
        Their labels.
    step : flow time
        The step `eta`.
    weight_decay
        The pull `lam` to the start, in flow time.

    Returns
    -------
    Iterates
        Coefficients (S, D) of the last iterate and of the average of all T + 1; `f = psi.coefficients`.

    Raises
    ------
    InputError
        If the shapes of `x` and `y` do not fit, and for more than one output.

    Notes
    -----
    From :math:`f_1 = 0`,

    .. math:: f_{t+1} = f_t - \eta (f_t(x_t) - y_t) k(x_t, \cdot) - \eta \lambda f_t

    References
    ----------
    Section 3.2, where the kernel does not move: `M = inf`.

    Examples
    --------
    >>> x = mf.Sphere(2).sample(200, seed=0).b
    >>> iterates = mf.theory.spectra.feature_sgd(lambda points: points, x[None], x[None, :, 0], step=0.5)
    >>> bool(np.allclose(iterates.last, [[1.0, 0.0]], atol=1e-6))
    True
    """
    eta, keep = _rates(step, weight_decay)
    one_output("averaged SGD of a fixed kernel", width("y", y, axes=2))
    targets, points = real_array("`y`", y), real_array("`x`", x)
    if points.ndim != 3 or targets.shape != points.shape[:2]:
        raise InputError("x must be (S, T, d) and y (S, T)", f"{points.shape} and {targets.shape}", "")
    S, T, d = points.shape
    D = features(points[0, :1]).shape[1]
    last, mean = np.zeros((S, D)), np.zeros((S, D))
    room = max(1, _CHUNK // (S * D))
    for first in range(0, T, room):
        some = points[:, first : first + room]
        psi = features(some.reshape(-1, d)).reshape(S, -1, D)
        for t in range(psi.shape[1]):
            now = psi[:, t]
            rest = np.einsum("sk,sk->s", last, now) - targets[:, first + t]
            last *= keep
            last -= (eta * rest)[:, None] * now
            mean += (last - mean) / (first + t + 2)
    return Iterates(last, mean)


def gram_sgd(gram: ArrayLike, y: ArrayLike, step: float, weight_decay: float = 0.0) -> Iterates:
    """Averaged SGD (3.2) by the Gram matrix of the samples, in their order (flow time).

    Parameters
    ----------
    gram : (T, T)
        The kernel between the samples.
    y : (T,)
        Their labels.
    step : flow time
        The step `eta`.
    weight_decay
        The pull `lam` to the start, in flow time.

    Returns
    -------
    Iterates
        Coefficients (T,) of the last iterate and of the average of all T + 1; `f = k(., x).coefficients`.

    Raises
    ------
    InputError
        If the shapes of `gram` and `y` do not fit, and for more than one output.

    References
    ----------
    Section 3.2. The iteration is that of `mf.theory.spectra.feature_sgd`.

    Examples
    --------
    >>> x = mf.Sphere(2).sample(200, seed=0).b
    >>> iterates = mf.theory.spectra.gram_sgd(x @ x.T, x[:, 0], step=0.5)
    >>> bool(np.allclose(x.T @ iterates.last, [1.0, 0.0], atol=1e-6))
    True
    """
    eta, keep = _rates(step, weight_decay)
    one_output("averaged SGD of a fixed kernel", width("y", y))
    matrix, targets = real_array("a Gram matrix", gram), real_array("`y`", y)
    T = len(targets)
    if targets.ndim != 1 or matrix.shape != (T, T):
        raise InputError("gram must be (T, T) and y (T,)", f"{matrix.shape} and {targets.shape}", "")
    last, mean = np.zeros(T), np.zeros(T)
    for t in range(T):
        rest = matrix[t, :t] @ last[:t] - targets[t]
        last[:t] *= keep
        last[t] = -eta * rest
        mean[: t + 1] += (last[: t + 1] - mean[: t + 1]) / (t + 2)
    return Iterates(last, mean)


def averaged_residual(values: Array, T: int, step: float, weight_decay: float) -> Array:
    r"""The share of an eigenfunction that the average of T + 1 iterates has not learnt, in the mean (3.2, flow time).

    Parameters
    ----------
    values : (K,)
        Eigenvalues `lam_i` of the kernel.
    T
        Iterations.
    step : flow time
        The step `eta`.
    weight_decay
        The pull `lam` to the start, in flow time.

    Returns
    -------
    (K,)
        The residual of each eigenfunction, 1 where the eigenvalue is 0.

    Notes
    -----
    With :math:`\rho_i = \lambda_i + \lambda`,

    .. math:: 1 - \frac{\lambda_i}{\rho_i} \left( 1 - \frac{1}{T + 1} \sum_{t=0}^{T} (1 - \eta \rho_i)^t \right)

    Examples
    --------
    >>> mf.theory.spectra.averaged_residual(np.array([1.0, 0.1, 0.0]), T=100, step=0.1, weight_decay=0.01).round(3)
    array([0.107, 0.641, 1.   ])
    """
    eta, _ = _rates(step, weight_decay)
    rho = values + weight_decay
    return np.asarray(1.0 - _share(values, rho) * (1.0 - _mean_power(1.0 - eta * rho, T + 1)))


def _mean_power(q: Array, n: float) -> Array:
    """The mean of q^t over t = 0..n - 1."""
    still = q == 1.0
    return np.where(still, 1.0, (1.0 - q**n) / (n * np.where(still, 1.0, 1.0 - q)))


def _share(values: Array, rho: Array) -> Array:
    """values / rho; 0 where both are: a mode that nothing moves."""
    return np.asarray(np.divide(values, rho, out=np.zeros(rho.shape), where=rho != 0.0))


def expected_risk(
    values: Array, counts: Array, coefficients: Array, T: int, step: float, weight_decay: float, noise: float
) -> float:
    """`E |g_wbar - g_rho|^2` of Theorem 2's averaged SGD by bias and variance, mode by mode (flow time).

    Parameters
    ----------
    values : (K,)
        Eigenvalues.
    counts : (K,)
        Their multiplicities.
    coefficients : (K,)
        The target's coefficient on one eigenfunction of each eigenvalue.
    T
        Iterations.
    step : flow time
        The step `eta`.
    weight_decay
        The pull `lam` to the start, in flow time.
    noise
        The standard deviation of the labels' noise.

    Returns
    -------
    float
        The expected excess risk of the average.

    Notes
    -----
    An estimate. The noise of the samples, `f(x_t)` minus the target, is treated as more label noise of its mean size.
    Measured on the circle to be within 11% in 24 random problems.

    References
    ----------
    Section 3.2, Theorem 2.

    Examples
    --------
    >>> lam, one = np.array([1.0, 0.1]), np.ones(2)
    >>> rates = {"step": 0.1, "weight_decay": 0.0, "noise": 0.1}
    >>> [round(mf.theory.spectra.expected_risk(lam, one, one, T, **rates), 3) for T in (10, 1000)]
    [1.319, 0.01]
    """
    eta, _ = _rates(step, weight_decay)
    n, rho = T + 1.0, values + weight_decay
    q = 1.0 - eta * rho
    once, twice = _mean_power(q, n), _mean_power(q * q, n)
    share = _share(values, rho)
    bias = coefficients * averaged_residual(values, T, step, weight_decay)
    # what the iterates have not learnt, squared, its mean over t
    missing = coefficients**2 * ((1.0 - share) ** 2 + 2.0 * (1.0 - share) * share * once + share**2 * twice)
    size = (noise**2 + missing.sum()) / (1.0 - eta * float(counts @ values) / 2.0)
    left = n * (1.0 - 2.0 * once + twice)  # the sum of (1 - q^j)^2 over j = 0..T
    return float(bias @ bias + size / n**2 * (counts @ (share**2 * left)))


def _rates(step: float, weight_decay: float) -> tuple[float, float]:
    """eta, and what the pull to the start leaves of an iterate."""
    eta = number("step", step, above=0.0)
    return eta, 1.0 - eta * number("weight_decay", weight_decay, 0.0)
