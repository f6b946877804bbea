"""Figures of a page: SVG as images inside the page, each with a text that says what it shows.

An SVG inside an <img> runs no script, loads nothing and knows nothing of the page, whatever file it came from.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from particles.errors import StorageError
from particles.files.reading import content_of, inside, size_of
from particles.plotting import style
from particles.report.source import STUDY, SWEEP, Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOM = 3_200_000  # bytes of all pictures of a page, as they stand in it
_LARGEST = 1_600_000  # bytes of one picture's file
_MOST = 8  # figures that a sweep or study made itself
_KINDS = {".svg": ("image/svg+xml", b"<svg"), ".png": ("image/png", b"\x89PNG")}


class Picture(NamedTuple):
    """A figure. source: its data address; alt: what it shows, for who cannot see it; wide: it needs all the width.

    screen: "small" or "large" if it is for such screens only
    """

    title: str
    source: str
    alt: str
    caption: str = ""
    wide: bool = False
    screen: str = ""


def drawn(figure: "Figure", title: str, alt: str, caption: str = "", wide: bool = False) -> Picture:
    """A figure of matplotlib's as a picture; the same figure is the same text."""
    return Picture(title, _address("image/svg+xml", style.printed(figure, "svg")), alt, caption, wide)


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def saved(source: Source) -> tuple[list[Picture], list[str]]:
    """The figures that a sweep or study left beside its file, and what had to be left out."""
    pictures, notes = [], []
    paths = list(_beside(source))
    for path in paths[:_MOST]:
        picture = _embedded(path, source)
        if picture is None:
            notes.append(f"The figure {path.name} is no picture, or too large for this page; it is beside the file.")
        else:
            pictures.append(picture)
    if len(paths) > _MOST:
        notes.append(f"The first {_MOST} of {len(paths)} figures are shown; the others are beside the file.")
    return pictures, notes


def _beside(source: Source) -> Iterator[Path]:
    if source.kind == STUDY and source.path.with_suffix(".svg").is_file():
        yield source.path.with_suffix(".svg")
    if source.kind == SWEEP:
        folder = source.path.parent
        names = (source.name, f"{source.name}-")
        yield from sorted(
            path for path in folder.glob("*.svg") if path.stem == names[0] or path.stem.startswith(names[1])
        )


def _embedded(path: Path, source: Source) -> Picture | None:
    """A file as a picture: the SVG, or where that is too large the PNG beside it; no link to another folder's."""
    for suffix, (kind, mark) in _KINDS.items():
        name = f"{path.stem}{suffix}"
        try:
            content = content_of(inside(path.parent, name)) if (size_of(path.parent / name) or 0) <= _LARGEST else b""
        except StorageError:
            continue
        if mark in content[:2000]:
            return Picture(path.stem, _address(kind, content), _description(source, path.stem), name, True)
    return None


def _description(source: Source, stem: str) -> str:
    if source.kind == STUDY:
        return f"The figure of the study {source.name}; its claims are in the table of predictions and measurements."
    return (
        f"The figure {stem} of the sweep: the loss minus the limit's against flow time for every M; the distance from "
        "the limit against M with the fitted power, which the table of distances has in numbers; the particles at the "
        "start and at the end, over the density of the limit."
    )


def fitting(pictures: list[Picture], room: int) -> tuple[list[Picture], int]:
    """The pictures that fit into so many bytes, and how many did not."""
    kept = []
    for picture in pictures:
        if len(picture.source) <= room:
            kept.append(picture)
            room -= len(picture.source)
    return kept, len(pictures) - len(kept)
