"""Averaged SGD (3.2) where the kernel does not move, M = infinity: in features of the kernel, or by its Gram matrix.

    f_(t+1) = f_t - eta (f_t(x_t) - y_t) k(x_t, .) - eta lam f_t,    f_1 = 0,

one fresh sample an iteration; the answer is the mean of the T + 1 iterates.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number
from particles.errors import InputError
from particles.measure import Array

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
    """
    eta, keep = _rates(step, weight_decay)
    targets, points = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
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
    """The same by the Gram matrix (T, T) of the samples in their order, y (T,): f = k(., x).coefficients, (T,) each."""
    eta, keep = _rates(step, weight_decay)
    matrix, targets = np.asarray(gram, dtype=np.float64), np.asarray(y, dtype=np.float64)
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


def _rates(step: float, weight_decay: float) -> tuple[float, float]:
    """eta, and what the pull to the start leaves of an iterate."""
    eta = number("step", step, above=0.0)
    return eta, 1.0 - eta * number("weight_decay", weight_decay, 0.0)
