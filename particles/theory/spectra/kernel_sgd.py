"""Averaged SGD (3.2) where the kernel does not move, M = infinity: in features of the kernel, or by its Gram matrix.

    f_(t+1) = f_t - eta (f_t(x_t) - y_t) k(x_t, .) - eta lam f_t,    f_1 = 0,

one fresh sample an iteration; the answer is the mean of the T + 1 iterates.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array
from particles.errors import InputError
from particles.measures.measure import Array

_CHUNK = 2**22  # features held at a time


class Iterates(NamedTuple):
    """Coefficients after all iterations: of the last iterate, and of the average of all."""

    last: Array
    average: Array


def feature_sgd(
    features: Callable[[Array], Array], x: Array, y: ArrayLike, step: float, weight_decay: float = 0.0
) -> Iterates:
    """Averaged SGD on many streams at once, in features psi with k(x, x') = psi(x).psi(x') (3.2, flow time).

    features: points (k, d) -> (k, D). x : (S, T, d) the samples of S streams, y : (S, T). -> coefficients (S, D) each,
    f = psi.coefficients. Features that are cut off count as zero.

    >>> x = mf.Sphere(2).sample(200, seed=0).b
    >>> found = mf.theory.spectra.feature_sgd(lambda points: points, x[None], x[None, :, 0], step=0.5)
    >>> bool(np.allclose(found.last, [[1.0, 0.0]], atol=1e-6))
    True
    """
    eta, keep = _rates(step, weight_decay)
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
    """The same by the Gram matrix (T, T) of the samples in their order, y (T,): f = k(., x).coefficients, (T,) each.

    >>> x = mf.Sphere(2).sample(200, seed=0).b
    >>> found = mf.theory.spectra.gram_sgd(x @ x.T, x[:, 0], step=0.5)
    >>> bool(np.allclose(x.T @ found.last, [1.0, 0.0], atol=1e-6))
    True
    """
    eta, keep = _rates(step, weight_decay)
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
    """What the average of T + 1 iterates has not learnt, in the mean, of an eigenfunction: values (K,) -> (K,).

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
    """E |g_wbar - g_rho|^2 of Theorem 2's averaged SGD by bias and variance, mode by mode (flow time).

    values, counts : (K,) eigenvalues and their multiplicities; coefficients : (K,) of the target on one eigenfunction
    of each. noise: standard deviation of the labels' noise. An estimate: the samples' own noise, f(x_t) less target,
    is taken as more label noise of its mean size. Measured on the circle to be within 11% in 24 random problems.

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
