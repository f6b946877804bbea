"""The two losses of section 2, a row each. They act on n numbers, so NumPy is fast enough."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from particles.errors import InputError, nearest
from particles.measures.measure import Array
from particles.model.derivatives import check_loss


class Loss(NamedTuple):
    """l(z, y), its slope dl/dz, sup d2l/dz2, and d2l/dz2 by the slope; `binary` asks for labels -1 and 1."""

    name: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: float
    binary: bool
    bend: Callable[[Array], Array]


def _logistic_slope(z: Array, y: Array) -> Array:
    """-y / (1 + exp(y z)); exp of a positive number only, so that nothing overflows."""
    e = np.exp(-np.abs(z))
    return np.asarray(-y * np.where(y * z > 0, e, 1.0) / (1.0 + e))


LOSSES: dict[str, Loss] = {
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

OURS = dict(LOSSES)  # the rows of this file, whose slopes are compiled as well; a user's come later


def loss(name: str) -> Loss:
    """The row called `name`; one of the user's is checked once."""
    if not isinstance(name, str) or name not in LOSSES:
        raise InputError(f"`loss` must be one of {', '.join(LOSSES)}", str(name), nearest(str(name), LOSSES))
    row = LOSSES[name]
    if OURS.get(name) is not row:
        check_loss(row)
    return row
