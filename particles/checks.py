"""Numbers that a user gives, checked where they enter."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.errors import InputError

# NumPy's own settings, for functions that handle overflow themselves: np.seterr(all="raise") is the caller's.
numpy_settings = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")


def whole(name: str, value: Any, least: int = 0, most: int | None = None, remedy: str = "") -> int:
    """A whole number from `least` to `most`; bools and floats are none."""
    good = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not good or value < least or (most is not None and value > most):
        bounds = f">= {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"`{name}` must be a whole number {bounds}", repr(value), remedy)
    return int(value)


def number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float | None = None,
    remedy: str = "",
) -> float:
    """A finite number from `least` to `most`, or greater than `above`."""
    good = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not least <= value <= most or (above is not None and value <= above):
        rule = "" if above is None else f" > {above:g}"
        if math.isfinite(least):
            rule = f" from {least:g} to {most:g}" if math.isfinite(most) else f" >= {least:g}"
        raise InputError(f"`{name}` must be a finite number{rule}", repr(value), remedy)
    return float(value)


def share(name: str, value: Any) -> float:
    """A number between 0 and 1, neither of them."""
    if number(name, value, above=0.0) >= 1.0:
        raise InputError(f"`{name}` must lie between 0 and 1", value, "Use 0.05, say.")
    return float(value)


def vector(name: str, values: ArrayLike, n: int) -> NDArray[np.float64]:
    """A finite vector (n,), one number a sample."""
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (n,) or not np.isfinite(found).all():
        raise InputError(f"`{name}` must be finite, of shape ({n},)", str(found.shape), "One number a sample.")
    return found
