"""What is known of a sweep's files without opening them: how runs ended, and what those in memory recorded.

index.json    of each run's file how the run ended, and the size, time and inode that the file had when it was found
              whole; of the sweep's file and figures likewise, with a hash of all that they were made of

A file that has them still is not read again. Without the index, or where it does not fit, files are read.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import TypedDict

from particles.errors import StorageError
from particles.files.atomic import write_whole
from particles.files.json_text import parsed
from particles.files.reading import content_of, status_of

if TYPE_CHECKING:
    import xarray

FILE = "index.json"
_MOST = 2**28  # bytes of recorded arrays that are held until the sweep's file is written
_DATASET = 2**14  # bytes of a dataset beside its arrays, about


class Stamp(NamedTuple):
    """What tells that a file is the one that was looked at."""

    size: int
    mtime_ns: int
    inode: int


class Entry(NamedTuple):
    """What is known of a file, while it has this stamp: how its run ended, or what it was made of."""

    state: str
    size: int
    mtime_ns: int
    inode: int


class Index(TypedDict):
    """What index.json holds: entries by the file's name in the folder."""

    files: dict[str, Entry]


def stamp_of(path: Path) -> Stamp | None:
    """A file's stamp; None where there is no file. Raises StorageError where that cannot be known now."""
    status = status_of(path)
    return None if status is None else Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


class Records:
    """What is known of a folder's files; only for who holds the folder. datasets: what runs recorded, by hash."""

    def __init__(self, out: Path) -> None:
        self.out, self._prefix = out, os.path.join(os.path.abspath(out), "")
        self.datasets = dict[str, "xarray.Dataset"]()
        self._left = _MOST
        self._entries = _read(self.out / FILE)
        self._saved = dict(self._entries)

    def keep(self, key: str, data: "xarray.Dataset") -> None:
        """Hold what a run recorded in memory, if there is room."""
        size = data.nbytes + _DATASET
        if size <= self._left:
            self._left -= size
            self.datasets[key] = data

    def note(self, path: Path, state: str, stamp: Stamp | None) -> None:
        """Remember what is known of a file that had this stamp."""
        if stamp is not None:
            self._entries[self._name(path)] = Entry(state, *stamp)

    def known(self, path: Path) -> Entry | None:
        """What is known of a file; None where it has changed since, or nothing is known."""
        entry = self._entries.get(self._name(path))
        with contextlib.suppress(StorageError):
            return entry if entry and entry[1:] == stamp_of(path) else None
        return None

    def made_of(self, origin: str) -> list[Path]:
        """The folder's files that were made of this, as they were noted; none where one of them has changed."""
        paths = [self.out / name for name, entry in self._entries.items() if entry.state == origin and "/" not in name]
        return paths if all(map(self.known, paths)) else []

    def save(self) -> None:
        """Write the index where it has changed."""
        if self._entries != self._saved:
            write_whole(self.out / FILE, json.dumps({"files": self._entries}).encode())
            self._saved = dict(self._entries)

    def _name(self, path: Path) -> str:
        return os.path.abspath(path).removeprefix(self._prefix)


def _read(path: Path) -> dict[str, Entry]:
    """The index; without any entry where it cannot be read: then the files themselves are."""
    try:
        index: Index = parsed(content_of(path), Index)
    except (StorageError, ValueError):
        return {}
    return index["files"]
