"""Inputs and targets made comparable: mean 0 and variance 1 a column, or length 1 a row; and outputs back in raw units.

Everything is divided by a power of two first, which is exact, so that no square overflows or underflows.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError, nearest
from particles.measures.measure import Array

SCALES = ("none", "standard", "unit")
_EXPONENT = 1074  # of the smallest number of float64, 2^-1074
_CLOSE = 1e-12  # a spread below this share of the largest entry needs the mean to more digits than one pass gives
_ROUNDING = 2.0**-50  # 4 units in the last place: what a column of equal numbers may differ by after a calculation
_MARK = (
    1e15  # marks of missing data are as large (9.97e36, 1e20); a column's own rounding noise beside 1 is not refused
)


class Standard(NamedTuple):
    """Columns of mean 0 and variance 1; a column of equal numbers carries nothing and becomes 0.

    exponent, mean, rest, spread : (k,). Of x / 2^exponent; rest: what the mean is beyond its digits.
    """

    exponent: NDArray[np.intc]
    mean: Array
    rest: Array
    spread: Array

    @classmethod
    def of(cls, x: Array) -> "Standard":
        """Of the columns of x, (n, k)."""
        exponent = _exponent(x, axis=0)
        small = np.ldexp(x, -exponent)
        mean, spread = small.mean(axis=0), small.std(axis=0)
        rest = np.zeros_like(mean)
        top = np.abs(small).max(axis=0)
        for k in np.flatnonzero(spread <= _CLOSE * top):
            if np.ptp(small[:, k]) <= _ROUNDING * top[k]:
                spread[k] = np.inf
                continue
            centred = small[:, k] - mean[k]  # exact, as both are close
            rest[k] = centred.mean()
            spread[k] = np.sqrt(np.mean((centred - rest[k]) ** 2))
        return cls(exponent, mean, rest, spread)

    @property
    def usable(self) -> bool:
        """Whether these are columns that `of` can give; a file may hold others."""
        finite = np.isfinite(self.mean).all() and np.isfinite(self.rest).all()
        return bool(finite and (self.spread > 0.0).all() and (np.abs(self.exponent) <= _EXPONENT).all())

    def apply(self, x: Array) -> Array:
        """(n, k) -> (n, k), (x - mean) / spread."""
        with np.errstate(over="ignore"):  # a test input far beyond the training part; `Dataset` refuses inf
            return np.asarray((np.ldexp(x, -self.exponent) - self.mean - self.rest) / self.spread)

    def undo(self, z: Array) -> Array:
        """(n, k) -> (n, k), mean + spread z, of columns that are not all equal."""
        with np.errstate(over="ignore"):
            return np.asarray(np.ldexp(z * self.spread + self.rest + self.mean, self.exponent))


class Scaling(NamedTuple):
    """What was done to the samples of a data set. inputs, targets: where they are "standard", their columns."""

    scale: str = "none"
    inputs: Standard | None = None
    targets: Standard | None = None

    @classmethod
    def of(cls, x: Array, y: Array, scale: str, target_scale: str | None) -> "Scaling":
        """The scaling of samples x (n, d), y (n,) by themselves; InputError for another word, and what has no scale."""
        if scale not in SCALES:
            raise InputError("`scale` must be none, standard or unit", repr(scale), nearest(str(scale), SCALES))
        if target_scale not in (None, "standard"):
            raise InputError('`target_scale` must be "standard" or None', repr(target_scale), "Leave it out.")
        targets = _of_targets(_columns(y)) if target_scale else None
        if scale != "standard":
            return cls(scale, None, targets)
        refuse_marks("x", x)
        return cls(scale, Standard.of(x), targets)

    def inputs_of(self, x: Array) -> Array:
        """Raw inputs as the network is given them: (n, d) -> (n, d)."""
        if self.inputs is not None:
            return self.inputs.apply(x)
        return _unit(x) if self.scale == "unit" else x

    def targets_of(self, y: Array) -> Array:
        """Raw targets as the loss sees them: (n,) -> (n,), or (n, k) -> (n, k)."""
        return y if self.targets is None else self.targets.apply(_columns(y)).reshape(y.shape)

    def outputs_of(self, g: Array) -> Array:
        """Outputs in the units of raw targets: (n,) -> (n,), or (n, k) -> (n, k)."""
        return g if self.targets is None else self.targets.undo(_columns(g)).reshape(g.shape)


UNSCALED = Scaling()


def _of_targets(y: Array) -> Standard:
    """So that a network of outputs about 1 can reach them; y : (n, k)."""
    refuse_marks("y", y)
    columns = Standard.of(y)
    for o in np.flatnonzero(np.isinf(columns.spread)):
        raise InputError("targets to be scaled must differ", f"{y[0, o]:g} in all {len(y)} samples", "Leave it out.")
    return columns


def _columns(y: Array) -> Array:
    """(n,) -> (n, 1); (n, k) as it is."""
    return y[:, None] if y.ndim == 1 else y


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


def _exponent(x: Array, axis: int) -> NDArray[np.intc]:
    """e such that the largest entry along an axis is from 2^(e-1) to 2^e."""
    return np.asarray(np.frexp(np.abs(x).max(axis=axis))[1])


def _unit(x: Array) -> Array:
    small = np.ldexp(x, -_exponent(x, axis=1)[:, None])
    size = np.linalg.norm(small, axis=1, keepdims=True)
    if (size == 0).any():
        raise InputError('scale = "unit" needs inputs other than 0', f"row {int(np.argmin(size))} is 0", "Drop it.")
    return np.asarray(small / size)
