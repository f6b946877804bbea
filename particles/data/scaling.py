"""Inputs and targets made comparable: mean 0 and variance 1 a column, or length 1 a row.

Everything is divided by a power of two first, which is exact, so that no square overflows or underflows.
"""

import numpy as np
from numpy.typing import NDArray

from particles.data.dataset import Dataset
from particles.errors import InputError, nearest
from particles.measures.measure import Array

SCALES = ("none", "standard", "unit")
_CLOSE = 1e-12  # a spread below this share of the largest entry needs the mean to more digits than one pass gives
_ROUNDING = 2.0**-50  # 4 units in the last place: what a column of equal numbers may differ by after a calculation
_MARK = (
    1e15  # marks of missing data are as large (9.97e36, 1e20); a column's own rounding noise beside 1 is not refused
)


def scaled(train: Dataset, test: Dataset | None, how: str) -> tuple[Dataset, Dataset | None]:
    """Inputs made comparable: "standard" (mean 0, variance 1 a column, of the training part), "unit" (|x| = 1)."""
    if how not in SCALES:
        raise InputError("`scale` must be none, standard or unit", repr(how), nearest(how, SCALES))
    if how == "none":
        return train, test
    if how == "unit":
        return Dataset(_unit(train.x), train.y), Dataset(_unit(test.x), test.y) if test else None
    refuse_marks("x", train.x)
    columns = _Standard(train.x)
    return Dataset(columns(train.x), train.y), Dataset(columns(test.x), test.y) if test else None


def standard_targets(train: Dataset, test: Dataset | None) -> tuple[Dataset, Dataset | None]:
    """Targets of mean 0 and variance 1 in the training part, so that a network of outputs about 1 can reach them."""
    refuse_marks("y", train.y[:, None])
    column = _Standard(train.y[:, None])
    if np.isinf(column.spread[0]):
        raise InputError(
            "targets to be scaled must differ", f"{train.y[0]:g} in all {len(train)} samples", "Leave it out."
        )
    parts = [Dataset(part.x, column(part.y[:, None])[:, 0]) if part else None for part in (train, test)]
    assert parts[0] is not None
    return parts[0], parts[1]


def refuse_marks(name: str, values: Array) -> None:
    """InputError for a cell so large that most of its column, (n, d), would be one number after scaling."""
    small = np.ldexp(values, -_exponent(values, axis=0))
    far = np.abs(small - np.median(small, axis=0))
    equal = far <= 2.0**-53 * far.max(axis=0)
    for k in np.flatnonzero(equal.mean(axis=0) > 0.5):
        row = int(np.argmax(far[:, k]))
        if abs(values[row, k]) >= _MARK and np.ptp(values[equal[:, k], k]) > 0:
            got = f"{values[row, k]:g} in row {row}, column {k}; beside it the others are one number"
            raise InputError(
                f"{name} to be scaled must be of one size", got, "Does it mark missing data? Remove that row."
            )


class _Standard:
    """(x - mean) / spread by column; a column of equal numbers carries nothing and becomes 0."""

    def __init__(self, x: Array) -> None:
        self.exponent = _exponent(x, axis=0)
        small = np.ldexp(x, -self.exponent)
        self.mean, self.spread = small.mean(axis=0), small.std(axis=0)
        self.rest = np.zeros_like(self.mean)  # of the mean, beyond its digits
        top = np.abs(small).max(axis=0)
        for k in np.flatnonzero(self.spread <= _CLOSE * top):
            if np.ptp(small[:, k]) <= _ROUNDING * top[k]:
                self.spread[k] = np.inf
                continue
            centred = small[:, k] - self.mean[k]  # exact, as both are close
            self.rest[k] = centred.mean()
            self.spread[k] = np.sqrt(np.mean((centred - self.rest[k]) ** 2))

    def __call__(self, x: Array) -> Array:
        with np.errstate(over="ignore"):  # a test input far beyond the training part; `Dataset` refuses inf
            return np.asarray((np.ldexp(x, -self.exponent) - self.mean - self.rest) / self.spread)


def _exponent(x: Array, axis: int) -> NDArray[np.intc]:
    """e such that the largest entry along an axis is from 2^(e-1) to 2^e."""
    return np.asarray(np.frexp(np.abs(x).max(axis=axis))[1])


def _unit(x: Array) -> Array:
    small = np.ldexp(x, -_exponent(x, axis=1)[:, None])
    size = np.linalg.norm(small, axis=1, keepdims=True)
    if (size == 0).any():
        raise InputError('scale = "unit" needs inputs other than 0', f"row {int(np.argmin(size))} is 0", "Drop it.")
    return np.asarray(small / size)
