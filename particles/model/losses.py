"""The two losses of section 2, a row each. They act on n numbers, so NumPy is fast enough."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.model.derivatives import check_loss
from particles.model.tables import described, reduced, resolved


class Loss(NamedTuple):
    """A loss l(z, y) of an output z and a target y, on arrays of samples.

    Parameters
    ----------
    name
        What errors and files call it.
    value
        l(z, y): (n,), (n,) -> (n,).
    slope
        dl/dz at (z, y).
    curvature
        sup d2l/dz2, which bounds the step.
    binary
        Whether it asks for labels -1 and 1.
    bend
        d2l/dz2 as a function of the slope.

    Notes
    -----
    `simulate` checks the formulas of a loss of your own once, by difference quotients. One-sample SGD makes one step at
    a time with it, and whole windows of steps with the losses in `mf.LOSSES`.

    Examples
    --------
    >>> mf.LOSSES["logistic"].curvature
    0.25
    >>> clipped = lambda slope: np.where(np.abs(slope) < 1, 1.0, 0.0)
    >>> value = lambda z, y: np.where(np.abs(z - y) < 1, 0.5 * (z - y) ** 2, np.abs(z - y) - 0.5)
    >>> huber = mf.Loss("huber", value, lambda z, y: np.clip(z - y, -1, 1), 1.0, False, clipped)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> net, start = mf.Network("tanh"), mf.Gaussian(2).sample(16, seed=0)
    >>> mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=4, loss=huber).status
    'finished'
    """

    name: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: float
    binary: bool
    bend: Callable[[Array], Array]

    def __repr__(self) -> str:
        """The same text in every session: the name, and of a user's own also a hash of its formulas."""
        return repr(described(self, LOSSES))

    def __reduce__(self) -> tuple[Any, ...]:
        """By name where it is the package's; a user's own by value."""
        return reduced(self, LOSSES, loss, Loss)


def mean_loss(loss: Loss, g: Array, y: Array) -> float:
    """The mean loss over samples."""
    return float(np.add.reduce(loss.value(g, y)) / len(y))


def _logistic_slope(z: Array, y: Array) -> Array:
    """-y / (1 + exp(y z)); exp of a positive number only, so that nothing overflows."""
    e = np.exp(-np.abs(z))
    return np.asarray(-y * np.where(y * z > 0, e, 1.0) / (1.0 + e))


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        row.name: row
        for row in (
            Loss("squared", lambda z, y: 0.5 * (z - y) ** 2, lambda z, y: z - y, 1.0, False, np.ones_like),
            Loss(
                "logistic",
                lambda z, y: np.logaddexp(0.0, -y * z),
                _logistic_slope,
                0.25,
                True,
                lambda slope: np.asarray(np.abs(slope) * (1.0 - np.abs(slope))),
            ),
        )
    }
)


def loss(given: str | Loss) -> Loss:
    """The loss of that name, or the user's own, checked once."""
    return resolved("loss", given, LOSSES, check_loss)
