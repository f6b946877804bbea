"""Small plots of text: curves in braille dots, or in plain letters where the terminal cannot show those."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

WIDTH, HEIGHT = 56, 9  # letters; with labels it fits a terminal of 80 columns
_BRAILLE = 0x2800
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of a letter: 4 rows, 2 columns


class Scale(NamedTuple):
    """An axis: its name, and whether it is logarithmic."""

    name: str
    log: bool = False

    def place(self, values: Array) -> Array:
        """Where values lie; NaN where they have no place."""
        if not self.log:
            return np.where(np.isfinite(values), values, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((values > 0) & np.isfinite(values), np.log10(values), np.nan)


def chart(x: ArrayLike, y: ArrayLike, across: Scale, up: Scale, braille: bool = True, joined: bool = True) -> list[str]:
    """Lines of text that show y against x; empty where there are no two points to show.

    Values that are not finite, or not positive on a logarithmic axis, are left out. joined: a line from point to point.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    u, v = across.place(xs), up.place(ys)
    kept = np.isfinite(u) & np.isfinite(v)
    if kept.sum() < 2:
        return []
    xs, ys, u, v = xs[kept], ys[kept], u[kept], v[kept]
    fine = (2, 4) if braille else (1, 1)
    columns, rows = _cells(u, WIDTH * fine[0]), _cells(v, HEIGHT * fine[1])
    grid = np.zeros((HEIGHT * fine[1], WIDTH * fine[0]), dtype=bool)
    for start in range(len(columns) - 1 if joined else 0):
        _line(grid, columns[start : start + 2], rows[start : start + 2])
    grid[rows, columns] = True
    body = _letters(grid[::-1], braille)
    labels = [""] * HEIGHT
    labels[0], labels[-1] = f"{ys[np.argmax(v)]:.3g}", f"{ys[np.argmin(v)]:.3g}"
    left = max(map(len, labels))
    edge = "│" if braille else "|"
    ends = f"{xs[np.argmin(u)]:.4g}", f"{xs[np.argmax(u)]:.4g}"
    title = f"{up.name} against {across.name}" + (", log scale" if up.log else "") + (", both" if across.log else "")
    foot = ends[0] + ends[1].rjust(WIDTH - len(ends[0]))
    return [title, *(f"{a:>{left}} {edge}{b}" for a, b in zip(labels, body, strict=True)), " " * (left + 2) + foot]


def can_braille(encoding: str | None) -> bool:
    """Whether text of this encoding can hold what braille plots are made of."""
    try:
        f"{chr(_BRAILLE + 0xFF)}│".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _cells(values: Array, count: int) -> NDArray[np.intp]:
    """The cell of each value, lowest in 0, highest in count - 1; all in the middle where they are one."""
    low, high = values.min(), values.max()
    if high == low:
        return np.full(len(values), count // 2)
    share = (values / 2 - low / 2) / (high / 2 - low / 2)
    return np.asarray(np.rint(share * (count - 1)), dtype=np.intp)


def _line(grid: NDArray[np.bool_], columns: NDArray[np.intp], rows: NDArray[np.intp]) -> None:
    steps = int(max(abs(columns[1] - columns[0]), abs(rows[1] - rows[0]))) + 1
    grid[_between(rows, steps), _between(columns, steps)] = True


def _between(ends: NDArray[np.intp], steps: int) -> NDArray[np.intp]:
    return np.rint(np.linspace(ends[0], ends[1], steps)).astype(np.intp)


def _letters(grid: NDArray[np.bool_], braille: bool) -> Sequence[str]:
    """A grid of dots, top row first, as lines of text."""
    if not braille:
        return ["".join("*" if dot else " " for dot in row).rstrip() for row in grid]
    codes = np.einsum("ajbk,jk->ab", grid.reshape(HEIGHT, 4, WIDTH, 2).astype(int), _DOTS)
    return ["".join(chr(_BRAILLE + int(code)) if code else " " for code in row).rstrip() for row in codes]
