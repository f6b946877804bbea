"""A table of text as spreadsheets and programs write it: a header that names the columns, a row a sample.

pandas reads the numbers; for the line and column of what is amiss the csv module walks through the file once more.
Found by itself: the separator (comma, semicolon, tab, bar, or a line `sep=;`), decimal commas, a byte order mark.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from particles.data.columns import Cells, Choice, check_once, inputs, is_text
from particles.data.table_rows import Table, is_number, opened
from particles.errors import InputError, StorageError

if TYPE_CHECKING:
    import pandas

_DECIMAL = re.compile(r"[+-]?\d*,\d*([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 1,234 may be a thousand
_LISTED = 5  # rows that a message lists


def cells(content: bytes, path: Path, choice: Choice, text: bool) -> Cells:
    """The table of a file; text: the targets are kept as they are.

    Raises InputError where rows are too short or too long, or a header is none.
    """
    table = opened(content, path)
    if next(table.rows(), None) is None:
        raise InputError("a data file needs at least one row below its header", f"{path} without", "")
    numbers = _check_header(table, choice)
    words = [*choice.one_hot, *(choice.targets if text else [])]
    frame = _frame(table, words)
    if _has_decimal_commas(table, frame, [*numbers, *choice.targets]):
        table = table._replace(decimal=",")
        frame = _frame(table, words)
    return Cells(path, table.names, frame, lambda row: _place(table, row), table.decimal)


def header(content: bytes, path: Path) -> list[str]:
    """The names of the columns, as the file has them; raises StorageError for a file that is no text."""
    return opened(content, path).names


def _place(table: Table, row: int) -> tuple[str, list[str]]:
    line, found = table.where(row)
    return f"line {line}", found


def _frame(table: Table, words: list[str]) -> "pandas.DataFrame":
    """All columns as pandas reads them, by place: text where a cell is no number, and in the columns `words`."""
    import pandas

    n = len(table.names)
    if len(next(table.rows())[1]) > n:  # of which pandas only warns
        _check_lengths(table)
    places = table.places
    try:
        frame = pandas.read_csv(
            table.source(), sep=table.separator, header=None, names=list(range(n)), index_col=False,
            dtype={places[name]: str for name in words}, decimal=table.decimal,
            keep_default_na=False, skipinitialspace=True, low_memory=False,
        )  # fmt: skip
    except pandas.errors.ParserError as error:  # a row that is too long, a quote without end
        _check_lengths(table)
        raise StorageError(f"{table.path} cannot be read as CSV: {error}") from error
    last = frame[n - 1]
    if last.isna().any() or (is_text(last) and (last == "").any()):  # maybe a row that is too short
        _check_lengths(table)
    return frame


def _check_lengths(table: Table) -> None:
    """InputError with the first rows that have other numbers of cells than the header."""
    n = len(table.names)
    odd = [(line, len(found)) for line, found in table.rows() if len(found) != n]
    if odd:
        remedy = "Mend that line." if len(odd) == 1 else "Mend those lines."
        if table.separator == "," and any(length > n for _, length in odd):
            remedy += " With decimal commas columns need another separator, such as ;."
        got = "; ".join(f"{length} for {n} in line {line}" for line, length in odd[:_LISTED])
        more = f", and {len(odd) - _LISTED} more lines" if len(odd) > _LISTED else ""
        raise InputError("every row must have the header's columns", f"{got}{more} of {table.path}", remedy)


def _has_decimal_commas(table: Table, frame: "pandas.DataFrame", columns: list[str]) -> bool:
    """Whether cells such as 1,5 are numbers; InputError where they may be something else."""
    if table.separator == ",":
        return False
    places = table.places
    texts = [column for name in columns if is_text(column := frame[places[name]])]
    found = (str(cell).strip() for column in texts for cell in column)
    commas = [cell for cell in found if _DECIMAL.fullmatch(cell)]
    if commas and all(map(_THOUSANDS.fullmatch, commas)):
        got = f"{commas[0]!r} in {table.path}, a thousand or a fraction"
        raise InputError("a decimal comma must be one", got, "Write 1234 for a thousand, 1.234 for a fraction.")
    return bool(commas)


def _check_header(table: Table, choice: Choice) -> list[str]:
    """The inputs' columns that are numbers; InputError for a header that is none."""
    names, path = table.names, table.path
    if not set(choice.targets) & set(names) and all(is_number(name) for name in names):
        got = f"numbers, {', '.join(names[:5])}, in {path}"
        raise InputError("the first line must name the columns", got, "Put a line such as a,b,y above them.")
    check_once(names, path)
    if choice.x is None and "" in names and "" not in choice.drop:
        got = f"none for column {names.index('') + 1} of {path}"
        raise InputError("a header must name each column", got, "Name it, or remove it (an index? index=False).")
    encoded = set(choice.one_hot)
    return [name for name in inputs(names, path, choice) if name not in encoded]
