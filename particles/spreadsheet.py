"""A CSV file as spreadsheets write it: a header that names the columns, a row a sample; what is amiss by its place."""

import contextlib
import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError, StorageError, nearest

Array = NDArray[np.float64]

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "."}  # how tables say that there is nothing


def read(path: Path, x: str | Sequence[str] | None, y: str, text: bool = False) -> tuple[Array, NDArray[np.generic]]:
    """Inputs (n, d) of the columns `x` (None: all but y), targets (n,) of the column y; as they are if `text`.

    Raises InputError, with line and column, where a row is too short, or a cell is no finite number.
    """
    with _opened(path) as rows:
        _, names = next(rows, (0, []))
        line, first = next(rows, (0, []))
        if not first:
            raise InputError("a data file needs at least one row below its header", f"{path} without", "")
        return _columns(path, names, rows, (line, first), x, y, text)


def header(path: Path) -> list[str]:
    """The names of the columns, as the file has them; raises StorageError for a file that is no text."""
    with _opened(path) as rows:
        return next(rows, (0, []))[1]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Iterator[tuple[int, list[str]]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield _rows(csv.reader(lines, skipinitialspace=True))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise StorageError(f"{path} cannot be read as CSV: {error}. Save it as UTF-8 text.") from error


def _rows(reader: "Iterator[list[str]]") -> Iterator[tuple[int, list[str]]]:
    """Rows with their line; neither empty lines nor, below the header, comments."""
    begun = False
    for row in reader:
        if any(row) and not (begun and row[0].startswith("#")):
            yield reader.line_num, [cell.strip() for cell in row]  # type: ignore[attr-defined]
            begun = True


def _columns(
    path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]], first: tuple[int, list[str]],
    x: str | Sequence[str] | None, y: str, text: bool,
) -> tuple[Array, NDArray[np.generic]]:  # fmt: skip
    names = _names(path, header, x, y)
    places, target = [header.index(name) for name in names], header.index(y)
    inputs, targets, words = array("d"), array("d"), []

    def number(cell: str, line: int, column: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise _amiss(path, cell, line, column, y)
        return value

    for line, row in _with(first, rows):
        if len(row) != len(header):
            got = f"{len(row)} for {len(header)} in line {line} of {path}"
            raise InputError("every row must have the header's columns", got, "Mend that line.")
        inputs.extend(number(row[place], line, header[place]) for place in places)
        if not text:
            targets.append(number(row[target], line, y))
        elif row[target].lower() in _MISSING:
            raise _amiss(path, row[target], line, y, y)
        else:
            words.append(row[target])
    found = np.asarray(inputs).reshape(-1, len(names))
    return found, _as_numbers(words) if text else np.asarray(targets)


def _with(first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows


def _as_numbers(words: list[str]) -> NDArray[np.generic]:
    """Numbers if all are."""
    try:
        return np.array([float(word) for word in words])
    except ValueError:
        return np.array(words)


def _names(path: Path, header: list[str], x: str | Sequence[str] | None, y: str) -> list[str]:
    """The inputs' columns; InputError for a header that is none."""
    if len(header) == 1 and (mark := next((mark for mark in ";\t|" if mark in header[0]), None)):
        raise InputError(
            "columns must be parted by commas",
            f"{mark!r} in the header of {path}",
            "Save it with commas, and 1.5 not 1,5.",
        )
    if y not in header and all(_is_number(name) for name in header):
        got = f"numbers, {', '.join(header[:5])}, in {path}"
        raise InputError("the first line must name the columns", got, "Put a line such as a,b,y above them.")
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise InputError("a header must name each column once", f"{twice[0]!r} again in {path}", "Rename one.")
    if x is None and "" in header:
        got = f"none for column {header.index('') + 1} of {path}"
        raise InputError("a header must name each column", got, "Name it, or remove it (an index? index=False).")
    names = [x] if isinstance(x, str) else list(x or [name for name in header if name != y])
    for name in (*names, y):
        if name not in header:
            raise InputError(f"{path} must hold the variables asked for", f"no {name!r}", nearest(name, header))
    if not names:
        raise InputError("a data file needs a column of inputs beside the targets", str(header), "Add one.")
    return names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _amiss(path: Path, cell: str, line: int, column: str, y: str) -> InputError:
    """A cell that is no number, and what helps."""
    if cell.lower() in _MISSING or _is_number(cell):
        remedy = "Fill it in, or remove the row."
    elif column == y:
        remedy = "Of two classes say which is 1 and which -1: `positive` and `negative`, lists of labels."
    else:
        remedy = "Name the inputs' columns (`x`), or encode the text as numbers."
    where = f"{cell[:40]!r} in line {line}, column {column!r} of {path}"
    return InputError("cells must be finite numbers", where, remedy)
