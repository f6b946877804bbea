"""The rows of a CSV file: its separator, its header, its comments, and which line each row ends in.

A line that begins with # is a comment above the header. Below it, it is a row if it has all cells, and a comment if it
has others and no number; what is left, a row that lost a cell, is refused with all rows that are too short.
"""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from particles.errors import InputError, StorageError

Row = tuple[int, list[str]]  # its line in the file, from 1, and its cells

SEPARATORS = ",;\t|"
_LOOK = 20  # rows that must have the header's columns for a separator to be taken


class Table(NamedTuple):
    """A file's bytes, its separator and columns; begin: where its rows begin; lines: how many are above."""

    path: Path
    content: bytes
    separator: str
    names: list[str]
    begin: int
    lines: int
    decimal: str = "."

    @property
    def places(self) -> dict[str, int]:
        """The columns' places by name."""
        return {name: place for place, name in reversed(list(enumerate(self.names)))}

    def rows(self) -> Iterator[Row]:
        """The rows below the header; neither comments nor rows without a cell."""
        for line, cells in _split(_stream(self.content, self.begin), self.separator):
            if not any(cells):
                continue
            if not (cells[0].startswith("#") and self._comment(cells)):
                yield self.lines + line, cells
            elif any("\n" in cell for cell in cells):
                got = f"a quotation mark without an end before line {self.lines + line} of {self.path}"
                raise InputError("a comment must end with its line", got, "Remove the mark.")

    def _comment(self, cells: list[str]) -> bool:
        """Whether a line that begins with # is none of the data: neither all cells nor a number in one."""
        return len(cells) != len(self.names) and not any(map(is_number, cells[1:]))

    def source(self) -> io.BytesIO | io.StringIO:
        """The rows alone."""
        if not self._uneven():
            return _stream(self.content, self.begin)
        kept = io.StringIO(newline="")
        csv.writer(kept, delimiter=self.separator).writerows(cells for _, cells in self.rows())
        kept.seek(0)
        return kept

    def _uneven(self) -> bool:
        """Whether there may be comments or rows of empty cells, by the first bytes of all lines."""
        letters = np.frombuffer(self.content, np.uint8)[self.begin :]
        starts = np.concatenate([[0], np.flatnonzero(letters[:-2] == ord("\n")) + 1])
        first, second = letters[starts], letters[np.minimum(starts + 1, len(letters) - 1)]
        odd = np.isin(first, list(f"# \t{self.separator}".encode()))
        return bool((odd | ((first == ord('"')) & np.isin(second, list(b'#" ')))).any())

    def where(self, row: int) -> Row:
        """The line and cells of a row by its number, from 0."""
        return next(itertools.islice(self.rows(), row, None))


def opened(content: bytes, path: Path) -> Table:
    """A file's table; StorageError for a file that is no text."""
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    try:
        content.decode()
        return _headed(path, content)
    except (UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"{path} cannot be read as CSV: {error}. Save it as UTF-8 text.") from error


def _headed(path: Path, content: bytes) -> Table:
    """The table with its header: the first line that is no comment, or the comment above it if that line is data."""
    stream, separator, comment, lines, begin = io.BytesIO(content), "", b"", 0, 0
    while line := stream.readline():
        words = line.strip(b' \t\r\n"')
        if lines == 0 and (line_of_excel := re.fullmatch(rb"sep=([,;|:\t])", line.strip(b' \r\n"'))):
            separator = line_of_excel[1].decode()
        elif words.startswith(b"#"):
            comment = words.lstrip(b"#")
        elif words.strip(SEPARATORS.encode()):
            break
        lines, begin = lines + 1, stream.tell()
    separator = separator or ("\t" if _is_tabbed(path) else _separator(path, content, begin))
    above = next(_split(io.BytesIO(comment), separator), (0, []))[1]
    stream.seek(begin)
    used, names = next(_split(stream, separator), (0, []))
    if len(names) > 1 and len(above) == len(names) and any(map(is_number, names)):
        return Table(path, content, separator, above, begin, lines)
    return Table(path, content, separator, names, stream.tell(), lines + used)


def _is_tabbed(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".tsv")


def _stream(content: bytes, begin: int) -> io.BytesIO:
    stream = io.BytesIO(content)  # shares the bytes
    stream.seek(begin)
    return stream


def _split(stream: io.BytesIO, separator: str) -> Iterator[Row]:
    reader = csv.reader((line.decode() for line in stream), delimiter=separator, skipinitialspace=True)
    for cells in reader:
        if cells:
            yield reader.line_num, [cell.strip() for cell in cells]


def _separator(path: Path, content: bytes, begin: int) -> str:
    """The only one that the header has; of several, the only one that splits the first rows as it splits the header."""
    looks = {}
    for one in SEPARATORS:
        rows = [cells for _, cells in itertools.islice(_split(_stream(content, begin), one), _LOOK)]
        if rows and len(rows[0]) > 1:
            looks[one] = all(len(cells) == len(rows[0]) for cells in rows if any(cells))
    even = [one for one, same in looks.items() if same] if len(looks) > 1 else list(looks)
    if len(even) > 1:
        got = f"{' or '.join(map(repr, even))} in {path}"
        raise InputError("one separator must split a table", got, f"Put a line sep={even[0]} above the header.")
    return even[0] if even else ","


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
