"""Tables of a page, as values: what each cell says and what it is sorted by."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

ROWS = 400  # of a table; a page with more is read by nobody
LETTERS = 400  # of a cell
INFINITE = 1e300  # what "infinity" is sorted by
TONES = {"holds": "good", "does not hold": "bad", "cannot tell": "unsure", "vacuous": "unsure"}


class Cell(NamedTuple):
    """One cell. text: what is shown; value: the number it is sorted by, if any; tone: "good", "bad", "unsure" or ""."""

    text: str
    value: float | None = None
    tone: str = ""


class Sheet(NamedTuple):
    """A table. numeric: which columns are numbers; note: what must be said below it; sortable: by its headings.

    formulas: whether the formulas in its cells are set as such; names and settings are letters
    """

    caption: str
    headings: Sequence[str]
    numeric: Sequence[bool]
    rows: list[list[Cell]]
    note: str = ""
    sortable: bool = True
    formulas: bool = False


def sheet(
    caption: str, headings: Sequence[str], rows: Iterable[Iterable[Any]], note: str = "", formulas: bool = False
) -> Sheet:
    """A table of texts, numbers and cells; rows beyond ROWS are left out, which the note says."""
    cells = [[cell(value) for value in row] for row in rows]
    if len(cells) > ROWS:
        note = f"{note} The first {ROWS} of {len(cells)} rows; the file has all of them.".strip()
    numeric = [
        bool(cells) and all(row[k].value is not None or not row[k].text for row in cells) for k in range(len(headings))
    ]
    return Sheet(caption, headings, numeric, cells[:ROWS], note, len(cells) > 1, formulas)


def cell(value: Any) -> Cell:
    """A cell of anything: a number with five digits, a text as it is up to LETTERS."""
    if isinstance(value, Cell):
        return value
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no")
    if isinstance(value, int | np.integer):
        return Cell(str(value), float(value) if abs(int(value)) < 2**1000 else None)
    if isinstance(value, float | np.floating):
        return (
            Cell(f"{value:.5g}", float(value)) if np.isfinite(value) else Cell("-" if np.isnan(value) else str(value))
        )
    return Cell(short(str(value)))


def short(text: str, most: int = LETTERS) -> str:
    """A text up to so many letters, and how many were left out."""
    return text if len(text) <= most else f"{text[:most]} ... ({len(text) - most} letters more)"


def judgement(word: str) -> Cell:
    """A verdict: "holds", "does not hold", "cannot tell" or "vacuous", in words as well as in colour."""
    return Cell(word, None, TONES[word])
