"""An HDF5 file that may come from anyone: only what is its own is read.

HDF5 does what a file says. A link may lead to another file, an array's bytes may lie in one, a virtual array may be
made of itself (which ends the process), a filter may be a library to load, and ten numbers may stand for 10^12. So of
all that is handed out here the link is hard, the bytes are the file's own, the filters are built in, and there are not
more numbers than such a file can have. Groups are entered only by names that the caller knows: a cycle leads nowhere.
"""

import contextlib
import io
import itertools
import math
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5f, h5g, h5l, h5o, h5p, h5s

from particles.errors import DamagedError
from particles.files.hdf5_chunks import check_chunks
from particles.files.hdf5_heaps import LOOKED_AT, check_heaps
from particles.files.hdf5_member import NUMBERS, ForeignError, Member, type_of
from particles.files.reading import check_room, inside, size_of, unpacked_at_most

_AT_A_TIME = 2**28  # bytes of text
_MEMBERS = 2**12  # of one group
_OBJECTS = 2**16  # of a file


class Hdf5File:
    """An open file: its name, HDF5's number of it, and the size of its bytes.

    folder: in which virtual arrays may have their parts, files that hold their own numbers; None where there are none.
    """

    def __init__(self, name: str, number: h5f.FileID, size: int, folder: Path | None = None) -> None:
        self.name, self._size, self._folder = name, size, folder
        self.root = Member("/", number, None)
        self._objects = 0  # that were handed out
        self._unpacked: dict[str, int] = {}  # bytes of the arrays that were read
        self._sources: set[str] = set()
        self._beside: dict[str, dict[int, str]] = {}

    def members(
        self, group: Member | None = None, virtual: bool = False, ignored: re.Pattern[str] | None = None
    ) -> dict[str, Member]:
        """All that a group holds, by name. virtual: whether arrays may be views of the files beside this one.

        ignored: views of files that all have such names are left out, and their files are not opened.
        """
        group, links = group or self.root, self.links(group)
        if ignored is not None:
            links = {name: kind for name, kind in links.items() if not _is_view(group, name, kind, ignored)}
        return {name: self.open(group, name, kind, virtual) for name, kind in links.items()}

    def links(self, group: Member | None = None) -> dict[str, int]:
        """What a group holds, by name alone: the kinds of the links."""
        group, entries = group or self.root, list[tuple[bytes, int]]()
        if group.shape is not None:
            raise ValueError(f"{group.path!r} is an array, and a group belongs there")
        group.id.links.iterate(lambda name, link: entries.append((name, link.type)), info=True)
        if len(entries) > _MEMBERS:
            raise ValueError(f"{group.path!r} holds {len(entries)} things, and {_MEMBERS} are as many as it may")
        return {name.decode(): kind for name, kind in entries}

    def member(self, path: str) -> Member:
        """What lies at a path; KeyError where there is nothing."""
        item = self.root
        for part in filter(None, path.split("/")):
            name = part.encode()
            if item.shape is not None or not item.id.links.exists(name):
                raise KeyError(path)
            item = self.open(item, part, item.id.links.get_info(name).type)
        return item

    def open(self, group: Member, name: str, link: int, virtual: bool = False) -> Member:
        """What a link of a group leads to."""
        path = f"{group.path}/{name}" if group.path != "/" else f"/{name}"
        if link != h5l.TYPE_HARD:
            raise ForeignError(path, f"a link to {'another place' if link == h5l.TYPE_SOFT else 'another file'}")
        self._objects += 1
        if self._objects > _OBJECTS:
            raise ValueError(f"it holds more than {_OBJECTS} arrays and groups")
        item = _object(group, name.encode())
        if isinstance(item, h5g.GroupID):
            return Member(path, item, None)
        if not isinstance(item, h5d.DatasetID):
            raise ValueError(f"{path!r} is neither an array nor a group")
        plan = self._checked_plan(path, item, virtual)
        shape = item.shape  # of a virtual array only now: HDF5 may look for it in the files that it is made of
        if shape is None:
            raise ValueError(f"{path!r} is an array without a shape")
        return Member(path, item, shape, plan)

    def _checked_plan(self, path: str, item: h5d.DatasetID, virtual: bool) -> Any:
        """How an array lies; ForeignError unless its bytes are the file's own."""
        plan = item.get_create_plist()
        layout = plan.get_layout()
        if layout != h5d.CHUNKED and plan.get_external_count():
            raise ForeignError(path, "an array whose bytes lie in another file")
        if layout == h5d.VIRTUAL:
            if not virtual or self._folder is None:
                raise ForeignError(path, "a view of other files")
            for k in range(plan.get_virtual_count()):
                plan.get_virtual_vspace(k).get_select_bounds()  # RuntimeError where it has none
                self._check_source(self._folder, plan.get_virtual_filename(k))
        return plan

    def _check_source(self, folder: Path, name: str) -> None:
        """An error unless the file of a part is there, and all in it is its own."""
        if name in self._sources:
            return
        path = inside(folder, name)
        size = size_of(path)
        if size is None:
            raise DamagedError(f"{self.name} refers to {path}, which is not there in full: they belong together.")
        with opened(path, size) as part:
            for member in part.members().values():
                if member.shape is None:
                    raise ValueError(f"{path} holds the group {member.path!r}, not particles alone")
                member.filters()
        self._sources.add(name)
        self._size += size

    def values(self, item: Member, window: Any = ()) -> Any:
        """An array's numbers or texts, or those in a window of it."""
        shape, (kind, stored) = item.shape or (), type_of(item.id)
        filters, chunk = item.filters(), item.chunk()
        self._check_size(item.path, max(chunk, math.prod(shape)) * kind.itemsize)
        check_chunks(item.path, item.id, filters, chunk)
        text = h5py.check_string_dtype(kind)
        if text is not None and text.length is None:
            return self._texts(item)[window]
        if kind.kind not in NUMBERS:
            raise ValueError(f"{item.path!r} holds neither numbers nor text")
        check_room(f"{item.path!r} of {self.name}", kind.itemsize * _picked(shape, window))
        if text or window != () or not math.prod(shape):
            return item.array.asstr()[window] if text else item.array[window]
        array = np.empty(shape, kind)
        item.id.read(h5s.ALL, h5s.ALL, array, stored)  # h5py's own objects take twice as long for 1000 runs
        return array[()]

    def _check_size(self, path: str, size: int) -> None:
        """ValueError for more numbers than the file's bytes can stand for."""
        self._unpacked[path] = size
        if (total := sum(self._unpacked.values())) > unpacked_at_most(self._size):
            raise ValueError(f"with {path!r} it would take {total} bytes of memory, and it has {self._size}")

    def _texts(self, item: Member) -> Any:
        """Texts of any length: as a file may have one of them in many places, some at a time."""
        array = item.array.asstr()
        if not item.shape:
            return np.array(array[()], dtype=object)
        *rows, columns = item.shape
        if math.prod(rows) > _MEMBERS:
            raise ValueError(f"{item.path!r} holds {math.prod(rows)} rows of text, and {_MEMBERS} are the most")
        stride, left, parts = max(1, _AT_A_TIME // max(self._size, 1)), self._size, [np.empty(0, object)]
        for row, begin in itertools.product(np.ndindex(*rows), range(0, columns, stride)):
            parts.append(array[(*row, slice(begin, begin + stride))])
            left -= sum(map(len, parts[-1]))
            if left < 0:
                raise ValueError(f"{item.path!r} holds more text than the file has bytes")
        return np.concatenate(parts).reshape(item.shape)

    def beside(self, item: Member) -> dict[int, str]:
        """The names in an array's group by where in the file lies what they lead to."""
        path, entries = item.path.rpartition("/")[0], list[tuple[bytes, int, int]]()
        if path not in self._beside:
            group = self.member(path)  # its links end with it
            group.id.links.iterate(lambda name, link: entries.append((name, link.type, link.u)), info=True)
            self._beside[path] = {place: name.decode() for name, kind, place in entries if kind == h5l.TYPE_HARD}
        return self._beside[path]


def _is_view(group: Member, name: str, link: int, files: re.Pattern[str]) -> bool:
    """Whether a link leads to a virtual array of which every part lies in a file with such a name."""
    item = _object(group, name.encode()) if link == h5l.TYPE_HARD else None
    if not isinstance(item, h5d.DatasetID):
        return False
    plan = item.get_create_plist()
    return plan.get_layout() == h5d.VIRTUAL and all(
        files.fullmatch(plan.get_virtual_filename(k)) for k in range(plan.get_virtual_count())
    )


def _object(group: Member, name: bytes) -> Any:
    """What a hard link leads to. Most are arrays, and to open what may be anything takes longer."""
    try:
        return h5d.open(group.id, name)
    except (KeyError, OSError, TypeError, ValueError):
        return h5o.open(group.id, name)


def _picked(shape: tuple[int, ...], window: Any) -> int:
    """How many numbers a window of slices or of arrays of places has."""
    parts = window if isinstance(window, tuple) else (window,)
    pairs = zip(shape, parts, strict=False)
    sizes = [len(range(n)[part]) if isinstance(part, slice) else np.size(part) for n, part in pairs]
    return math.prod([*sizes, *shape[len(sizes) :]])


@contextlib.contextmanager
def opened(path: Path, size: int, folder: Path | None = None) -> Iterator[Hdf5File]:
    """A file of this size, open for reading without a lock: it was put in place whole, and nobody need wait."""
    name = str(path)
    if size <= LOOKED_AT:
        with io.FileIO(path) as file:  # no buffer: a sweep has thousands of files
            check_heaps(file.readall())
    try:
        number = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, _access())
    except OSError as error:
        if "match" not in str(error):
            raise
        with h5py.File(path, "r") as shared:  # open in this process already: HDF5 wants both opened alike
            yield Hdf5File(name, shared.id, size, folder)
        return
    try:
        yield Hdf5File(name, number, size, folder)
    finally:
        number.close()


@lru_cache
def _access() -> h5p.PropFAID:
    """How HDF5 is to open a file; h5py makes this anew for each, which takes as long as opening it."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)  # with all that was opened in it
    access.set_file_locking(False, False)
    return access


@contextlib.contextmanager
def opened_bytes(content: bytes) -> Iterator[Hdf5File]:
    """A file that is in memory."""
    check_heaps(content)
    with h5py.File(io.BytesIO(content), "r") as file:
        yield Hdf5File("it", file.id, len(content))
