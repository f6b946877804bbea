"""A CSV file as spreadsheets and programs write it: a header that names the columns, a row a sample.

pandas reads the numbers; for the line and column of what is amiss the csv module walks through the file once more.
Found by itself: the separator (comma, semicolon, tab, bar, or a line `sep=;`), decimal commas, a byte order mark.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from particles.data.table_rows import Table, is_number, opened
from particles.errors import InputError, StorageError, nearest

if TYPE_CHECKING:
    import pandas

Array = NDArray[np.float64]

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "."}  # how tables say that there is nothing
_TRUTH = {"true": 1.0, "false": 0.0}
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?")
_DECIMAL = re.compile(r"[+-]?\d*,\d*([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 1,234 may be a thousand


def read(
    content: bytes, path: Path, x: str | Sequence[str] | None, y: str, text: bool = False
) -> tuple[Array, NDArray[np.generic]]:
    """Inputs (n, d) of the columns `x` (None: all but y), targets (n,) of the column y; as they are if `text`.

    Raises InputError, with line and column, where a row is too short or too long, or a cell is no finite number.
    """
    table = opened(content, path)
    if next(table.rows(), None) is None:
        raise InputError("a data file needs at least one row below its header", f"{path} without", "")
    inputs = _names(table, x, y)
    frame = _frame(table, y if text else None)
    if _has_decimal_commas(table, frame, [*inputs, y]):
        table = table._replace(decimal=",")
        frame = _frame(table, y if text else None)
    numbers = _numbers(table, frame, inputs, y)
    return numbers, _words(table, frame, y) if text else _numbers(table, frame, [y], y)[:, 0]


def header(content: bytes, path: Path) -> list[str]:
    """The names of the columns, as the file has them; raises StorageError for a file that is no text."""
    return opened(content, path).names


def _frame(table: Table, words: str | None) -> "pandas.DataFrame":
    """All columns as pandas reads them, by place: text where a cell is no number, and in the column `words`."""
    import pandas

    n = len(table.names)
    if len(next(table.rows())[1]) > n:  # of which pandas only warns
        _check_lengths(table)
    try:
        frame = pandas.read_csv(
            table.source(), sep=table.separator, header=None, names=list(range(n)), index_col=False,
            dtype={table.names.index(words): str} if words else None, decimal=table.decimal,
            keep_default_na=False, skipinitialspace=True, low_memory=False,
        )  # fmt: skip
    except pandas.errors.ParserError as error:  # a row that is too long, a quote without end
        _check_lengths(table)
        raise StorageError(f"{table.path} cannot be read as CSV: {error}") from error
    if _is_text(frame[n - 1]) and (frame[n - 1] == "").any():  # maybe a row that is too short
        _check_lengths(table)
    return frame


def _check_lengths(table: Table) -> None:
    for line, cells in table.rows():
        if len(cells) != len(table.names):
            remedy = "Mend that line."
            if table.separator == "," and len(cells) > len(table.names):
                remedy += " With decimal commas columns need another separator, such as ;."
            got = f"{len(cells)} for {len(table.names)} in line {line} of {table.path}"
            raise InputError("every row must have the header's columns", got, remedy)


def _is_text(column: "pandas.Series[Any]") -> bool:
    return column.dtype.kind not in "biuf"


def _has_decimal_commas(table: Table, frame: "pandas.DataFrame", columns: list[str]) -> bool:
    """Whether cells such as 1,5 are numbers; InputError where they may be something else."""
    if table.separator == ",":
        return False
    places = table.places
    texts = [column for name in columns if _is_text(column := frame[places[name]])]
    cells = (str(cell).strip() for column in texts for cell in column)
    commas = [cell for cell in cells if _DECIMAL.fullmatch(cell)]
    if commas and all(map(_THOUSANDS.fullmatch, commas)):
        got = f"{commas[0]!r} in {table.path}, a thousand or a fraction"
        raise InputError("a decimal comma must be one", got, "Write 1234 for a thousand, 1.234 for a fraction.")
    return bool(commas)


def _numbers(table: Table, frame: "pandas.DataFrame", columns: list[str], y: str) -> Array:
    """The columns as numbers (n, k); InputError for the first cell in the file that is none."""
    numbers, faults, places = np.empty((len(frame), len(columns))), [], table.places
    for k, name in enumerate(columns):
        place = places[name]
        if _is_text(frame[place]):
            numbers[:, k] = [_number(str(cell), table.decimal) for cell in frame[place]]
        else:
            numbers[:, k] = frame[place].to_numpy()
        bad = ~np.isfinite(numbers[:, k])
        if bad.any():
            faults.append((int(np.argmax(bad)), place))
    if faults:
        row, place = min(faults)
        raise _amiss(table, row, place, y)
    return numbers


def _number(cell: str, decimal: str) -> float:
    """A cell's number, NaN if it is none; with decimal commas a point may be a thousand's."""
    word = cell.strip()
    if decimal == ",":
        word = "" if "." in word else word.replace(",", ".")
    try:
        return _TRUTH[word.lower()] if word.lower() in _TRUTH else float(word)
    except ValueError:
        return math.nan


def _words(table: Table, frame: "pandas.DataFrame", y: str) -> NDArray[np.generic]:
    """The targets as they are: numbers if all are, else text."""
    place = table.names.index(y)
    words = [str(cell).strip() for cell in frame[place]]
    empty = next((row for row, word in enumerate(words) if word.lower() in _MISSING), None)
    if empty is not None:
        raise _amiss(table, empty, place, y)
    if any(word.lower() in _TRUTH or math.isnan(_number(word, table.decimal)) for word in words):
        return np.array(words)
    return _numbers(table, frame, [y], y)[:, 0]


def _names(table: Table, x: str | Sequence[str] | None, y: str) -> list[str]:
    """The inputs' columns; InputError for a header that is none."""
    header, path = table.names, table.path
    if y not in header and all(is_number(name) for name in header):
        got = f"numbers, {', '.join(header[:5])}, in {path}"
        raise InputError("the first line must name the columns", got, "Put a line such as a,b,y above them.")
    twice = [name for name, times in Counter(header).items() if name and times > 1]
    if twice:
        raise InputError("a header must name each column once", f"{twice[0]!r} again in {path}", "Rename one.")
    if x is None and "" in header:
        got = f"none for column {header.index('') + 1} of {path}"
        raise InputError("a header must name each column", got, "Name it, or remove it (an index? index=False).")
    names = [x] if isinstance(x, str) else list(x or [name for name in header if name != y])
    known = set(header)
    for name in (*names, y):
        if name not in known:
            raise InputError(f"{path} must hold the variables asked for", f"no {name!r}", nearest(name, header))
    if again := next((name for name, times in Counter(names).items() if name == y or times > 1), None):
        raise InputError(
            "`x` must name each column once, and not the target's", f"{again!r} in {names}", "Leave it out."
        )
    if not names:
        raise InputError("a data file needs a column of inputs beside the targets", str(header), "Add one.")
    return names


def _amiss(table: Table, row: int, place: int, y: str) -> InputError:
    """A cell that is no number, and what helps; or its row, if that has too few cells."""
    _check_lengths(table)
    line, cells = table.where(row)
    cell, column = cells[place], table.names[place]
    if cell.lower() in _MISSING or (is_number(cell) and not ("." in cell and table.decimal == ",")):
        remedy = "Fill it in, or remove the row."
    elif _DATE.fullmatch(cell) and column == y:
        remedy = "A date is no number: write days since a day."
    elif _DATE.fullmatch(cell):
        remedy = "A date is no number: name the inputs' columns without it (`x`), or write days since a day."
    elif is_number(cell.replace(".", "").replace(",", "")):
        remedy = "Write 1.5 for a fraction and 1234 for a thousand, in every cell."
    elif column == y:
        remedy = "Of two classes say which is 1 and which -1: `positive` and `negative`, lists of labels."
    else:
        remedy = "Name the inputs' columns (`x`), or encode the text as numbers."
    where = f"{cell[:40]!r} in line {line}, column {column!r} of {table.path}"
    return InputError("cells must be finite numbers", where, remedy)
