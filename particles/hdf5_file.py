"""An HDF5 file that may come from anyone: only what is its own is read.

HDF5 does what a file says. A link may lead to another file, an array's bytes may lie in one, a virtual array may be
made of itself (which ends the process), a filter may be a library to load, and ten numbers may stand for 10^12. So of
all that is handed out here the link is hard, the bytes are the file's own, the filters are built in, and there are not
more numbers than such a file can have. Groups are entered only by names that the caller knows: a cycle leads nowhere.
"""

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o

from particles.errors import DamagedError
from particles.reading import check_room, inside, size_of

# HDF5's own, and h5py's LZF. To ask HDF5 whether it has another one would load it.
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
_RATIO = 20  # numbers of this program that gzip makes 20 times smaller are rare
_ROOM = 2**28  # bytes that a file may be beyond that; 2^28 zeros take 2^18
_MEMBERS = 2**12  # of one group
_OBJECTS = 2**16  # of a file
_WORDS = 64  # texts in one attribute
_NUMBERS = "biufcS"


class ForeignError(ValueError):
    """An object that is not the file's own. path, got: which, and what it is instead."""

    def __init__(self, path: str, got: str) -> None:
        super().__init__(f"{path!r} is {got}")
        self.path, self.got = path, got


class Member(NamedTuple):
    """What a group holds under a name: an array with its shape, or a group, of shape None."""

    path: str
    id: Any
    shape: tuple[int, ...] | None

    @property
    def array(self) -> h5py.Dataset:
        return h5py.Dataset(self.id)


class Hdf5File:
    """An open file; `size` is that of its bytes.

    folder: in which virtual arrays may have their parts, files that hold their own numbers; None where there are none.
    """

    def __init__(self, file: h5py.File, size: int, folder: Path | None = None) -> None:
        self._file, self._size, self._folder = file, size, folder
        self._seen: dict[str, int] = {}  # objects that were handed out, and their bytes in memory
        self._total = 0  # of those bytes
        self._sources: set[str] = set()

    @property
    def root(self) -> Member:
        return Member("/", self._file.id, None)

    def members(self, group: Member | None = None, virtual: bool = False) -> dict[str, Member]:
        """All that a group holds, by name. virtual: whether arrays may be views of the files beside this one."""
        group, links = group or self.root, list[tuple[bytes, int]]()
        group.id.links.iterate(lambda name, link: links.append((name, link.type)), info=True)
        if len(links) > _MEMBERS:
            raise ValueError(f"{group.path!r} holds {len(links)} things, and {_MEMBERS} are as many as it may")
        return {name.decode(): self._opened(group, name, kind, virtual) for name, kind in links}

    def names(self, group: Member | None = None) -> list[str]:
        """What a group holds, by name alone."""
        found: list[bytes] = []
        (group or self.root).id.links.iterate(found.append)
        return [name.decode(errors="replace") for name in found]

    def member(self, path: str) -> Member:
        """What lies at a path; KeyError where there is nothing."""
        found = self.root
        for part in filter(None, path.split("/")):
            name = part.encode()
            if found.shape is not None or not found.id.links.exists(name):
                raise KeyError(path)
            found = self._opened(found, name, found.id.links.get_info(name).type, False)
        return found

    def _opened(self, group: Member, name: bytes, link: int, virtual: bool) -> Member:
        path = f"{group.path.rstrip('/')}/{name.decode()}"
        if link != h5l.TYPE_HARD:
            raise ForeignError(path, f"a link to {'another place' if link == h5l.TYPE_SOFT else 'another file'}")
        item = h5o.open(group.id, name)
        if isinstance(item, h5g.GroupID):
            self._count(path, 0)
            return Member(path, item, None)
        if not isinstance(item, h5d.DatasetID):
            raise ValueError(f"{path!r} is neither an array nor a group")
        numbers = self._check_layout(path, item, virtual)
        shape = item.shape
        if shape is None:
            raise ValueError(f"{path!r} is an array without a shape")
        self._count(path, max(numbers, math.prod(shape)) * item.dtype.itemsize)
        return Member(path, item, shape)

    def _check_layout(self, path: str, item: h5d.DatasetID, virtual: bool) -> int:
        """ValueError unless an array's bytes are the file's own; the numbers in one chunk."""
        plan = item.get_create_plist()
        if plan.get_external_count():
            raise ForeignError(path, "an array whose bytes lie in another file")
        for k in range(plan.get_nfilters()):
            if (number := plan.get_filter(k)[0]) not in _FILTERS:
                raise ForeignError(path, f"behind the filter {number}; built in are {', '.join(_FILTERS.values())}")
        layout = plan.get_layout()
        if layout == h5d.VIRTUAL:
            if not virtual or self._folder is None:
                raise ForeignError(path, "a view of other files")
            for k in range(plan.get_virtual_count()):
                plan.get_virtual_vspace(k).get_select_bounds()  # RuntimeError where it has none
                self._check_source(self._folder, plan.get_virtual_filename(k))
        return math.prod(plan.get_chunk()) if layout == h5d.CHUNKED else 0

    def _check_source(self, folder: Path, name: str) -> None:
        """An error unless the file of a part is there, and all in it is its own."""
        if name in self._sources:
            return
        path = inside(folder, name)
        size = size_of(path)
        if size is None:
            raise DamagedError(
                f"{self._file.filename} refers to {path}, which is not there in full: they belong together."
            )
        with opened(path) as part:
            part.members()
        self._sources.add(name)
        self._size += size

    def _count(self, path: str, size: int) -> None:
        self._total += size - self._seen.get(path, 0)
        self._seen[path] = size
        if len(self._seen) > _OBJECTS:
            raise ValueError(f"it holds more than {_OBJECTS} arrays and groups")
        if self._total > _ROOM + _RATIO * self._size:
            raise ValueError(f"with {path!r} it would take {self._total} bytes of memory, and it has {self._size}")

    def values(self, item: Member, window: Any = ()) -> Any:
        """An array's numbers or texts, or those in a window of it."""
        array = item.array
        text = h5py.check_string_dtype(array.dtype)
        if text is not None and text.length is None:
            return self._texts(item, array.asstr())[window]
        if array.dtype.kind not in _NUMBERS:
            raise ValueError(f"{item.path!r} holds neither numbers nor text")
        size = array.dtype.itemsize * _picked(item.shape or (), window)
        check_room(f"{item.path!r} of {self._file.filename}", size)
        return array.asstr()[window] if text else array[window]

    def _texts(self, item: Member, array: Any) -> Any:
        """Texts of any length: as a file may have one of them in many places, some at a time."""
        if not item.shape:
            return np.array(array[()], dtype=object)
        if len(item.shape) > 1:
            raise ValueError(f"{item.path!r} holds text of {len(item.shape)} dimensions")
        stride, left, parts = max(1, _ROOM // max(self._size, 1)), self._size, [np.empty(0, object)]
        for begin in range(0, item.shape[0], stride):
            parts.append(array[begin : begin + stride])
            left -= sum(map(len, parts[-1]))
            if left < 0:
                raise ValueError(f"{item.path!r} holds more text than the file has bytes")
        return np.concatenate(parts)

    def attribute(self, item: Member, name: str, default: Any = None) -> Any:
        """One attribute: text, a number, or numbers."""
        word = name.encode()
        if not h5a.exists(item.id, word):
            return default
        about = h5a.open(item.id, word)
        if about.shape is None:
            return ""
        kind = about.dtype
        text = h5py.check_string_dtype(kind)
        if kind.kind not in _NUMBERS and text is None:
            raise ValueError(f"the attribute {name!r} of {item.path!r} is neither numbers nor text")
        if text is not None and text.length is None and math.prod(about.shape) > _WORDS:
            raise ValueError(f"the attribute {name!r} of {item.path!r} is more than {_WORDS} texts")
        value = h5py.AttributeManager(item)[name]
        value = value.decode() if isinstance(value, bytes) else value
        if isinstance(value, str):
            value.encode()  # UnicodeError where it is no text
        return value

    def attribute_names(self, item: Member) -> list[str]:
        """The names of a group's or an array's attributes."""
        names: list[bytes] = []
        h5a.iterate(item.id, lambda name, *_: names.append(name))
        return [name.decode() for name in names]


def _picked(shape: tuple[int, ...], window: Any) -> int:
    """How many numbers a window of slices or of arrays of places has."""
    parts = window if isinstance(window, tuple) else (window,)
    pairs = zip(shape, parts, strict=False)
    sizes = [len(range(n)[part]) if isinstance(part, slice) else np.size(part) for n, part in pairs]
    return math.prod([*sizes, *shape[len(sizes) :]])


@contextlib.contextmanager
def opened(path: Path, folder: Path | None = None) -> Iterator[Hdf5File]:
    """A file, open for reading without a lock: files are put in place whole, so there is nothing to wait for."""
    size = size_of(path) or 0
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        file = h5py.File(path, "r")  # this process has it open already, and HDF5 wants both opened alike
    with file:
        yield Hdf5File(file, size, folder)


@contextlib.contextmanager
def opened_bytes(content: bytes) -> Iterator[Hdf5File]:
    """A file that is in memory."""
    with h5py.File(io.BytesIO(content), "r") as file:
        yield Hdf5File(file, len(content))
