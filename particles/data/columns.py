"""The columns of a table as samples: numbers, text as one column for each of its values, cells that are missing.

Every cell that cannot be used is reported in one error, by column.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.data.table_rows import is_number
from particles.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas

Array = NDArray[np.float64]

HOW = ("drop", "mean")
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "."}  # how tables say that there is nothing
_TRUTH = {"true": 1.0, "false": 0.0}
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?")
_VALUES = 100  # of a text column; more are names of rows, not categories
_CATEGORIES = 20  # values of a column that `categories` takes for text worth encoding
_LISTED = 8  # columns that a message lists


class Choice(NamedTuple):
    """Which columns are used, and how. x: None for all others; one_hot: text columns; missing: None refuses."""

    x: str | Sequence[str] | None = None
    y: str | Sequence[str] = "y"
    drop: Sequence[str] = ()
    one_hot: Sequence[str] = ()
    missing: str | None = None

    @property
    def targets(self) -> list[str]:
        """The columns of targets."""
        return [self.y] if isinstance(self.y, str) else list(self.y)


class Cells(NamedTuple):
    """A table in memory: its columns by place, text where a cell is no number. row: its place in words, its cells."""

    path: Path
    names: list[str]
    frame: "pandas.DataFrame"
    row: Callable[[int], tuple[str, list[str]]]
    decimal: str = "."

    @property
    def places(self) -> dict[str, int]:
        """The columns' places by name."""
        return {name: place for place, name in reversed(list(enumerate(self.names)))}


class Samples(NamedTuple):
    """Inputs (n, d), targets (n,) or (n, k), how many rows have a missing cell; names: of the inputs (d,)."""

    x: Array
    y: NDArray[np.generic]
    incomplete: int
    names: Sequence[str] = ()


class _Column(NamedTuple):
    """Values (n, k), which cells are missing (n,) and cannot be used (n,).

    inputs: the names of the k inputs that it makes, where they are not its own.
    """

    place: int
    values: NDArray[np.generic]
    missing: NDArray[np.bool_]
    bad: NDArray[np.bool_]
    inputs: Sequence[str] = ()


def choice_of(
    x: str | Sequence[str] | None,
    y: str | Sequence[str],
    drop: Any = None,
    one_hot: Any = None,
    missing: str | None = None,
) -> Choice:
    """A choice of columns from arguments: one name stands for a list of one."""
    if not isinstance(y, str) and (not len(y) or len(set(y)) < len(y)):
        raise InputError("`y` must name each column of targets once", str(list(y)), "Give one name, or several.")
    if missing not in (None, *HOW):
        raise InputError('`missing` must be "drop" or "mean"', repr(missing), "Leave it out to refuse missing cells.")
    dropped, encoded = ([names] if isinstance(names, str) else list(names or ()) for names in (drop, one_hot))
    return Choice(x, y, dropped, encoded, missing)


def check_once(names: Sequence[str], path: Path) -> None:
    """InputError for two columns of one name."""
    if twice := next((name for name, times in Counter(names).items() if name and times > 1), None):
        raise InputError("a header must name each column once", f"{twice!r} again in {path}", "Rename one.")


def inputs(names: Sequence[str], path: Path, choice: Choice) -> list[str]:
    """The names of the inputs' columns; InputError for those that the table lacks, and for contradictions."""
    known, dropped, targets = set(names), set(choice.drop), set(choice.targets)
    given = [choice.x] if isinstance(choice.x, str) else list(choice.x or ())
    chosen = given or [name for name in names if name not in targets and name not in dropped]
    asked = dict.fromkeys((*chosen, *choice.targets, *choice.drop, *choice.one_hot))
    if absent := [name for name in asked if name not in known]:
        got = ", ".join(f"no {name!r}" for name in absent[:_LISTED]) + (", ..." if len(absent) > _LISTED else "")
        raise InputError(f"{path} must hold the variables asked for", got, nearest(absent[0], names))
    if again := next((name for name, times in Counter(given).items() if name in targets or times > 1), None):
        raise InputError(
            "`x` must name each column once, and not the target's", f"{again!r} in {given}", "Leave it out."
        )
    if both := next((name for name in choice.drop if name in {*targets, *given}), None):
        raise InputError("`drop` must not name the target or a column of `x`", repr(both), "Leave it out of one.")
    if unused := next((name for name in choice.one_hot if name not in set(chosen)), None):
        raise InputError("`one_hot` must name columns of inputs", repr(unused), "Leave it out.")
    if not chosen:
        raise InputError("a data file needs a column of inputs beside the targets", str(list(names)), "Add one.")
    return chosen


def samples(cells: Cells, choice: Choice, text: bool) -> Samples:
    """The samples of a table; text: targets may be words. InputError with every cell that is no number."""
    if len(cells.frame) < 1:
        raise InputError("a data file needs at least one row below its header", f"{cells.path} without", "")
    encoded, places = set(choice.one_hot), cells.places
    columns = [
        (_indicators if name in encoded else _numbers)(cells, places[name])
        for name in inputs(cells.names, cells.path, choice)
    ]
    targets = [_target(cells, places[name], text) for name in choice.targets]
    _check(cells, [*columns, *targets], choice)
    absent = np.logical_or.reduce([column.missing for column in columns])
    without = np.logical_or.reduce([column.missing for column in targets])
    incomplete = absent | without
    kept = ~(incomplete if choice.missing == "drop" else without)
    if not kept.any():
        remedy = 'Drop columns with many missing cells (`drop`), or fill the cells (`missing` = "mean").'
        raise InputError("a data file needs a row without a missing cell", f"none in {cells.path}", remedy)
    x = np.concatenate([_filled(column, kept, cells) for column in columns], axis=1)
    names = [name for column in columns for name in column.inputs or [cells.names[column.place]]]
    y = np.concatenate([column.values[kept] for column in targets], axis=1)
    return Samples(x, y[:, 0] if len(targets) == 1 else y, int(incomplete.sum()), names)


def categories(cells: Cells, names: Iterable[str]) -> list[str]:
    """The columns of words of which each stands in two rows or more on average, at most 20 different ones."""
    found, places = [], cells.places
    for name in names:
        column = cells.frame[places[name]]
        if not is_text(column):
            continue
        words = [word for word in _words(column) if word.lower() not in _MISSING]
        values = set(words)
        plain = all(math.isnan(_number(word, ".")) and not _DATE.fullmatch(word) for word in values)
        if plain and 0 < len(values) <= min(_CATEGORIES, len(words) // 2):
            found.append(name)
    return found


def is_text(column: "pandas.Series[Any]") -> bool:
    """Whether a column has a cell that is no number."""
    return column.dtype.kind not in "biuf"


def _words(column: "pandas.Series[Any]") -> list[str]:
    return ["" if one is None else str(one).strip() for one in column]


def _numbers(cells: Cells, place: int) -> _Column:
    """A column of numbers (n, 1), NaN where a cell is none."""
    column = cells.frame[place]
    if is_text(column):
        words = _words(column)
        values = np.array([_number(word, cells.decimal) for word in words])
        missing = np.array([word.lower() in _MISSING for word in words])
    else:
        values = column.to_numpy(dtype=np.float64)
        missing = np.isnan(values)
    return _Column(place, values[:, None], missing, ~np.isfinite(values) & ~missing)


def _number(cell: str, decimal: str) -> float:
    """A cell's number, NaN if it is none; with decimal commas a point may be a thousand's."""
    word = cell.strip()
    if decimal == ",":
        word = "" if "." in word else word.replace(",", ".")
    try:
        return _TRUTH[word.lower()] if word.lower() in _TRUTH else float(word)
    except ValueError:
        return math.nan


def _indicators(cells: Cells, place: int) -> _Column:
    """A column of text as one column of 0 and 1 (n, k) for each of its values in alphabetical order."""
    words = _words(cells.frame[place])
    missing = np.array([word.lower() in _MISSING - {"none"} for word in words])  # "none" is a value like others
    values = sorted({word for word, gone in zip(words, missing, strict=True) if not gone})
    if len(values) > _VALUES:
        got = f"{len(values)} in column {cells.names[place]!r} of {cells.path}"
        raise InputError(f"a column of text may have {_VALUES} different values", got, "Leave it out (`drop`).")
    code = {word: k for k, word in enumerate(values)}  # an array of the texts would have the longest one's length
    codes = np.array([code.get(word, -1) for word in words])
    table = np.where(missing[:, None], np.nan, codes[:, None] == np.arange(len(values)))
    inputs = [f"{cells.names[place]} = {value}" for value in values]
    return _Column(place, table, missing, np.zeros(len(words), bool), inputs)


def _target(cells: Cells, place: int, text: bool) -> _Column:
    """The targets (n, 1): numbers if all are; if `text`, they may be words."""
    if text:
        words = _words(cells.frame[place])
        missing = np.array([word.lower() in _MISSING for word in words])
        there = [word for word, gone in zip(words, missing, strict=True) if not gone]
        if any(word.lower() in _TRUTH or math.isnan(_number(word, cells.decimal)) for word in there):
            return _Column(place, np.array(words)[:, None], missing, np.zeros(len(words), bool))
    return _numbers(cells, place)


def _filled(column: _Column, kept: NDArray[np.bool_], cells: Cells) -> Array:
    """The rows that are kept, of missing cells the mean of the others."""
    values = np.asarray(column.values[kept], dtype=np.float64)
    gone = column.missing[kept]
    if gone.all():
        got = f"none in {cells.names[column.place]!r} of {cells.path}"
        raise InputError("a column needs a cell that is not missing", got, "Leave it out (`drop`).")
    if gone.any():
        values[gone] = values[~gone].mean(axis=0)
    return values


def _check(cells: Cells, columns: list[_Column], choice: Choice) -> None:
    """InputError with the first cell of every column that has some that cannot be used, in the order of the rows."""
    faults = []
    for column in columns:
        bad = column.bad | column.missing if choice.missing is None else column.bad
        if bad.any():
            faults.append((int(np.argmax(bad)), column.place, int(bad.sum())))
    if not faults:
        return
    texts, remedies = [], []
    for row, place, number in sorted(faults)[:_LISTED]:
        where, line = cells.row(row)
        more = f" (and {number - 1} more in this column)" if number > 1 else ""
        texts.append(f"{line[place][:40]!r} in {where}, column {cells.names[place]!r}{more}")
        remedies.append(_remedy(line[place], cells, cells.names[place] in choice.targets))
    if len(faults) > _LISTED:
        texts.append(f"and others in {len(faults) - _LISTED} more columns")
    got = f"{'; '.join(texts)} of {cells.path}"
    raise InputError("cells must be finite numbers", got, " ".join(dict.fromkeys(remedies)))


def _remedy(cell: str, cells: Cells, target: bool) -> str:
    """What helps where a cell is no number."""
    if cell.lower() in _MISSING:
        return "Fill in missing cells, or leave out their rows or use the column's mean (`missing`)."
    if is_number(cell) and not ("." in cell and cells.decimal == ","):
        return "Write finite numbers."
    if _DATE.fullmatch(cell):
        leave = "" if target else "leave out its column (`drop`), or "
        return f"A date is no number: {leave}write days since a day."
    if is_number(cell.replace(".", "").replace(",", "")):
        return f"Write 1{cells.decimal}5 for a fraction and 1234 for a thousand, in every cell."
    if target:
        two = "Of two classes say which is 1 and which -1: `positive` and `negative`, lists of labels."
        return f"{two} For one output a class say `classes`."
    return "Correct it, make a column for each value of the text (`one_hot`), or leave out its column (`drop`)."
