"""The losses, a row each: the two of section 2, and others that people train with.

They act on n numbers, so NumPy is fast enough. One-sample SGD has their slopes compiled, in `kernels/online.py`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.model.derivatives import check_loss
from particles.model.outputs_of_losses import check_outputs_of_loss
from particles.model.tables import described, reduced, resolved


class Loss(NamedTuple):
    r"""A loss l(z, y) of an output z and a target y, on arrays of samples.

    Parameters
    ----------
    name
        What errors and files call it.
    value
        l(z, y): (n,), (n,) -> (n,). With k outputs (n, k), (n, k) -> (n, k), which is added up over the outputs; a
        `joint` one gives (n,).
    slope
        dl/dz at (z, y), of their shape.
    curvature
        sup d2l/dz2, which bounds the step; inf where there is no bound. Of a joint loss the largest eigenvalue.
    binary
        Whether it asks for labels -1 and 1.
    bend
        d2l/dz2 as a function of the slope; of a joint loss (n, k, k), as one of slope and target.
    joint
        Whether the outputs enter together, as in the softmax loss; then it needs k > 1.
    classes
        Whether it asks for the targets of classes: rows that are not negative and sum to 1.
    target_slope, mixed
        dl/dy and d2l/dzdy at (z, y), like the slope, of targets that may change (of a joint loss the derivative of each
        output's slope by its own target, if others do not enter). The derivative of a run by targets needs them.

    Notes
    -----
    `simulate` checks the formulas of a loss of your own once, by difference quotients. One-sample SGD makes one step at
    a time with it, and whole windows of steps with the losses in `mf.LOSSES`. These are, with
    the error :math:`e = z - y` and the margin :math:`m = y z` of labels -1 and 1:

    * "squared", :math:`e^2 / 2`;
    * "huber", :math:`e^2 / 2` up to :math:`\lvert e \rvert = 1` and :math:`\lvert e \rvert - 1/2` beyond;
    * "logistic", :math:`\log(1 + \exp(-m))`; "exponential", :math:`\exp(-m)`;
    * "smooth_hinge", 0 from m = 1 on, :math:`(1 - m)^2 / 2` between 0 and 1, :math:`1/2 - m` below;
    * "softmax", :math:`\log \sum_o e^{z_o} - \sum_o y_o z_o`, the cross-entropy of k classes.

    Examples
    --------
    >>> mf.LOSSES["logistic"].curvature, list(mf.LOSSES)
    (0.25, ['squared', 'logistic', 'huber', 'smooth_hinge', 'exponential', 'softmax'])
    >>> value, slope = lambda z, y: np.log(np.cosh(z - y)), lambda z, y: np.tanh(z - y)
    >>> log_cosh = mf.Loss("log_cosh", value, slope, 1.0, False, lambda slope: 1 - slope**2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> net, start = mf.Network("tanh"), mf.Gaussian(2).sample(16, seed=0)
    >>> mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=4, loss=log_cosh).status
    'finished'
    """

    name: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: float
    binary: bool
    bend: Callable[..., Array]
    joint: bool = False
    classes: bool = False
    target_slope: Callable[[Array, Array], Array] | None = None
    mixed: Callable[[Array, Array], Array] | None = None

    def __repr__(self) -> str:
        """The same text in every session: the name, and of a user's own also a hash of its formulas."""
        return repr(described(self, LOSSES))

    def __reduce__(self) -> tuple[Any, ...]:
        """By name where it is the package's; a user's own by value."""
        return reduced(self, LOSSES, loss, Loss)


def check_outputs(loss: Loss, outputs: int) -> None:
    """InputError for a loss of the user's own whose formulas are none of so many outputs."""
    if outputs > 1 and LOSSES.get(loss.name) is not loss:
        check_outputs_of_loss(loss, outputs)


def mean_loss(loss: Loss, g: Array, y: Array) -> float:
    """The mean loss over samples."""
    return float(np.add.reduce(of_samples(loss, g, y)) / len(y))


def of_samples(loss: Loss, g: Array, y: Array) -> Array:
    """The loss of every sample, added up over its outputs: (n,)."""
    values = loss.value(g, y)
    return values if values.ndim == 1 else np.add.reduce(values, axis=1)


def softmax(z: Array) -> Array:
    """The probabilities of k classes: (n, k) -> (n, k)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _cross_entropy(z: Array, y: Array) -> Array:
    top = z.max(axis=1, keepdims=True)
    return np.asarray(top[:, 0] + np.log(np.exp(z - top).sum(axis=1)) - (y * z).sum(axis=1))


def _softmax_bend(slope: Array, y: Array) -> Array:
    p = slope + y
    return np.asarray(p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :]))


def _logistic_slope(z: Array, y: Array) -> Array:
    """-y / (1 + exp(y z)); exp of a positive number only, so that nothing overflows."""
    e = np.exp(-np.abs(z))
    return np.asarray(-y * np.where(y * z > 0, e, 1.0) / (1.0 + e))


def _inside(slope: Array) -> Array:
    """1 where the slope's size is between 0 and 1, else 0: the bend of a loss with a quadratic piece."""
    size = np.abs(slope)
    return np.where((size > 0.0) & (size < 1.0), 1.0, 0.0)


def _huber(z: Array, y: Array) -> Array:
    size = np.abs(z - y)
    return np.where(size < 1.0, 0.5 * size**2, size - 0.5)


def _smooth_hinge(z: Array, y: Array) -> Array:
    gap = np.maximum(1.0 - y * z, 0.0)
    return np.where(gap < 1.0, 0.5 * gap**2, gap - 0.5)


def _exponential(z: Array, y: Array) -> Array:
    with np.errstate(over="ignore"):  # inf: the run has diverged, and says so
        return np.asarray(np.exp(-y * z))


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        row.name: row
        for row in (
            Loss(
                "squared",
                lambda z, y: 0.5 * (z - y) ** 2,
                lambda z, y: z - y,
                1.0,
                False,
                np.ones_like,
                target_slope=lambda z, y: y - z,
                mixed=lambda z, y: -np.ones_like(z),
            ),
            Loss(
                "logistic",
                lambda z, y: np.logaddexp(0.0, -y * z),
                _logistic_slope,
                0.25,
                True,
                lambda slope: np.asarray(np.abs(slope) * (1.0 - np.abs(slope))),
            ),
            Loss(
                "huber",
                _huber,
                lambda z, y: np.clip(z - y, -1.0, 1.0),
                1.0,
                False,
                lambda slope: np.where(np.abs(slope) < 1.0, 1.0, 0.0),
                target_slope=lambda z, y: np.clip(y - z, -1.0, 1.0),
                mixed=lambda z, y: np.where(np.abs(z - y) < 1.0, -1.0, 0.0),
            ),
            Loss("smooth_hinge", _smooth_hinge, lambda z, y: -y * np.clip(1.0 - y * z, 0.0, 1.0), 1.0, True, _inside),
            Loss("exponential", _exponential, lambda z, y: -y * _exponential(z, y), np.inf, True, np.abs),
            Loss(
                "softmax",
                _cross_entropy,
                lambda z, y: softmax(z) - y,
                0.5,
                False,
                _softmax_bend,
                joint=True,
                classes=True,
                target_slope=lambda z, y: -z,
                mixed=lambda z, y: -np.ones_like(z),
            ),
        )
    }
)


def loss(given: str | Loss) -> Loss:
    """The loss of that name, or the user's own, checked once."""
    return resolved("loss", given, LOSSES, check_loss)
