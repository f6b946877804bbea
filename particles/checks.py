"""Numbers and arrays that a user gives, checked where they enter."""

import math
import typing
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.errors import InputError, nearest

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


def real_array(name: str, values: Any, *, finite: bool = True) -> NDArray[np.float64]:
    """A user's numbers as a float64 array; the one entrance for arrays, lists, tables and labelled arrays.

    Refused, by place: masked cells, imaginary parts, dates, text, what is no number, and unless `finite` is False NaN
    and inf. True and False are 1 and 0. A float64 array comes back as it is, not copied.
    """
    refuse_masked(name, values)
    for row, inner in enumerate(values if isinstance(values, list | tuple) else ()):
        if isinstance(inner, np.ma.MaskedArray):
            refuse_masked(name, inner, row)
    given = _array(name, values)
    if given.dtype.kind == "c":
        if (given.imag != 0).any():
            rule = f"{name} must be real"
            raise InputError(rule, f"an imaginary part in {_place(given.imag != 0)}", "Pass real and imaginary parts.")
        given = given.real
    numbers = np.asarray(given, dtype=np.float64)
    if finite and not np.isfinite(numbers).all():
        raise InputError(f"{name} must be finite", _not_finite(values, numbers), "Remove or fill those rows.")
    return numbers


def refuse_masked(name: str, values: Any, *rows: int) -> None:
    """InputError for a masked cell, which numpy.asarray would take; rows: where the values are in a list."""
    if np.ma.is_masked(values):
        where = _words((*rows, *map(int, np.argwhere(np.ma.getmaskarray(values))[0])))
        raise InputError(f"{name} must have no missing or masked cell", f"one in {where}", "Fill or remove those rows.")


def in_range(name: str, values: NDArray[np.float64], dtype: str) -> None:
    """InputError for finite numbers (n,) or (n, d) that overflow in a float type."""
    most = float(np.finfo(dtype).max)
    if values.size and max(values.max(), -values.min()) > most:  # without an array of their size
        large = np.abs(values) > most
        got = f"{values[large][0]:g} in {_place(large)}"
        raise InputError(f"{name} must be at most {most:.3g} in {dtype}", got, "Scale it, or use float64.")


def _array(name: str, values: Any) -> NDArray[Any]:
    """The array that values are, of a dtype that converts to float64 by value; InputError for every other."""
    rule = f"{name} must be an array of real numbers"
    try:
        given = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; a tensor that has gradients
        raise InputError(rule, str(error), "Rows must be of one length, entries numbers.") from error
    if given.dtype.kind in "mM":
        raise InputError(rule, f"dates or durations, {given.dtype}", "Turn them into numbers, days say.")
    if given.dtype.kind == "O":
        return _from_objects(rule, given)
    if given.dtype.kind not in "biufc":
        got = f"text, {str(given.flat[0])[:40]!r}" if given.dtype.kind in "SU" and given.size else str(given.dtype)
        raise InputError(rule, got, "Encode text as numbers.")
    return given


def _from_objects(rule: str, given: NDArray[Any]) -> NDArray[np.float64]:
    """An array of Python's numbers of any kind; a table with columns of different types is one."""
    numbers = np.empty(given.shape)
    for place, value in np.ndenumerate(given):
        try:
            if isinstance(value, str | bytes | np.datetime64 | np.timedelta64):
                raise TypeError
            numbers[place] = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            got = f"{str(value)[:40]!r} ({type(value).__name__}) in {_words(place)}"
            raise InputError(rule, got, "Encode text as numbers; fill or remove what is missing.") from error
    return numbers


def _not_finite(values: Any, numbers: NDArray[np.float64]) -> str:
    """Where numbers are NaN or inf: how many rows, the first of them, its first column, by name where there is one."""
    bad = ~np.isfinite(numbers)
    if bad.ndim == 0:
        return str(numbers)
    rows = bad.reshape(len(bad), -1).any(axis=1)
    where = _place(bad)
    columns = getattr(values, "columns", None)
    if columns is not None and bad.ndim == 2:
        where += f" ({columns[int(np.argwhere(bad)[0][1])]!r})"
    return f"NaN or inf in {int(rows.sum())} rows, the first is {where}"


def _place(bad: NDArray[np.bool_]) -> str:
    return _words(tuple(map(int, np.argwhere(bad)[0])))


def _words(place: tuple[int, ...]) -> str:
    """An index in words: row 3, column 1, both from 0."""
    if not place:
        return "the value"
    return f"row {place[0]}" + (f", column {', '.join(map(str, place[1:]))}" if len(place) > 1 else "")


def vector(name: str, values: ArrayLike, n: int) -> NDArray[np.float64]:
    """A finite vector (n,), one number a sample."""
    numbers = real_array(f"`{name}`", values)
    if numbers.shape != (n,):
        raise InputError(f"`{name}` must be finite, of shape ({n},)", str(numbers.shape), "One number a sample.")
    return numbers


class Setting(NamedTuple):
    """What a field of a settings dataclass takes, in its `Annotated`: checked in calls, an option in configurations.

    Parameters
    ----------
    description
        What it is, for the schema of configurations and for errors.
    least, most
        Bounds of a number, which are allowed values.
    above
        A bound that is not allowed itself.
    choices
        The texts that a field of type `str` may have.
    remedy
        The last sentence of the error.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from typing import Annotated
    >>> @dataclass(frozen=True)
    ... class Box(mf.Law):
    ...     dim: int
    ...     side: Annotated[float, mf.Setting("length of an edge", above=0.0)] = 1.0
    ...     def draw(self, random, count):
    ...         return self.side * random.random((count, self.dim))
    ...     def from_cube(self, u):
    ...         return self.side * u
    >>> Box(2, side=-1.0)
    Traceback (most recent call last):
    particles.errors.InputError: `side` must be a finite number > 0: got -1.0.
    """

    description: str
    least: float = -math.inf
    most: float = math.inf
    above: float | None = None
    choices: tuple[str, ...] = ()
    remedy: str = ""

    def check(self, name: str, value: Any, kinds: tuple[Any, ...]) -> None:
        """Check a value of the field.

        Parameters
        ----------
        name
            Of the field, for the error.
        value
            What was given.
        kinds
            The field's types.

        Raises
        ------
        InputError
            For a value that the field does not take.
        """
        if any(isinstance(value, kind) for kind in kinds if kind not in (int, float, str)):
            return
        if self.choices and value not in self.choices:
            raise InputError(
                f"`{name}` must be one of {', '.join(self.choices)}", repr(value), nearest(str(value), self.choices)
            )
        if int in kinds:
            most = None if math.isinf(self.most) else int(self.most)
            whole(name, value, int(self.least), most, remedy=self.remedy)
        elif float in kinds:
            number(name, value, self.least, self.most, above=self.above, remedy=self.remedy)


@cache
def settings_of(kind: Any) -> dict[str, tuple[tuple[Any, ...], Setting]]:
    """The types and the setting of every field of a dataclass that has one."""
    hints = typing.get_type_hints(kind, include_extras=True)
    annotations = {name: typing.get_args(hints[name]) for name in kind.__dataclass_fields__}
    return {
        name: (typing.get_args(parts[0]) or (parts[0],), parts[1])
        for name, parts in annotations.items()
        if len(parts) == 2 and isinstance(parts[1], Setting)
    }


def check_settings(settings: Any) -> None:
    """InputError for the first field of a settings dataclass whose value is none that it takes."""
    for name, (kinds, setting) in settings_of(settings.__class__).items():
        setting.check(name, getattr(settings, name), kinds)
