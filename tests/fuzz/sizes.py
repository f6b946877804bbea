"""Small files that are large once they are read: declared sizes, compressed zeros, numbers of things, deep nests."""

import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

from fuzz.bases import replaced, result
from fuzz.case import Place, family

Kind = Callable[[h5py.Group, str], None]
_CHUNK = 2**23  # numbers of a chunk: 64 MiB


@lru_cache(maxsize=2)
def zeros(blocks: int = 1) -> bytes:
    """So many times 64 MiB of zeros as deflate has them; the checksum at the end is wrong for more than one."""
    stream = zlib.compressobj(9)
    page = bytes(8 * _CHUNK)
    first = stream.compress(page) + stream.flush(zlib.Z_FULL_FLUSH)
    more = stream.compress(page) + stream.flush(zlib.Z_FULL_FLUSH) if blocks > 1 else b""
    return first + more * (blocks - 1) + stream.flush()


def _declared(dtype: str, number: int, chunks: bool) -> Kind:
    """Cells that were never written take no room."""

    def make(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, (number,), dtype, chunks=(2**17,) if chunks else None)

    return make


def _bomb(group: h5py.Group, name: str, number: int = 64) -> None:
    """4 GiB of zeros."""
    item = group.create_dataset(name, (number * _CHUNK,), "f8", chunks=(_CHUNK,), compression="gzip")
    for place in range(number):
        item.id.write_direct_chunk((place * _CHUNK,), zeros())


def _wide_chunk(group: h5py.Group, name: str) -> None:
    """5 numbers in a chunk that would hold 3 GiB."""
    number = 3 * 2**27
    item = group.create_dataset(name, (5,), "f8", maxshape=(None,), chunks=(number,), compression="gzip")
    item.id.write_direct_chunk((0,), zeros(3 * 2**27 // _CHUNK))


def _inflated(group: h5py.Group, name: str) -> None:
    """A chunk of 5 numbers whose compressed bytes are those of 4 GiB: the filter unpacks what is there."""
    item = group.create_dataset(name, (5,), "f8", chunks=(5,), compression="gzip")
    item.id.write_direct_chunk((0,), zeros(64))


def _several(group: h5py.Group, name: str) -> None:
    """64 arrays of 64 MiB each, none of them large."""
    _bomb(group, name, 1)
    for number in range(63):
        _bomb(group, f"{name}{number}", 1)


def _filter(number: int, optional: bool) -> Kind:
    """A filter that no library here has."""

    def make(group: h5py.Group, name: str) -> None:
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk((5,))
        layout.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
        space = h5py.h5s.create_simple((5,))
        item = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F64LE, space, layout)
        item.write_direct_chunk((0,), b"unreadable", 0 if not optional else 1)

    return make


def _groups(number: int) -> Kind:
    def make(group: h5py.Group, name: str) -> None:
        for place in range(number):
            h5py.h5g.create(group.id, f"g{place}".encode())

    return make


def _arrays(group: h5py.Group, name: str) -> None:
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    for place in range(20_000):
        h5py.h5d.create(group.id, f"n{place}".encode(), h5py.h5t.IEEE_F64LE, space)


def _attributes(group: h5py.Group, name: str) -> None:
    for place in range(5000):
        group.attrs.create(f"a{place}", 1.0)


def _deep(levels: int) -> Kind:
    def make(group: h5py.Group, name: str) -> None:
        here = group.id
        for _ in range(levels):
            here = h5py.h5g.create(here, b"g")

    return make


def _shared_text(group: h5py.Group, name: str) -> None:
    """10^5 texts that are one text of 1 MiB in the file: 100 GB once they are read."""
    item = group.create_dataset(name, (100_000,), h5py.string_dtype(), fillvalue=None)
    item[0] = "x" * 2**20
    item[1:] = "y"  # so that all references are there
    file, offset = group.file, item.id.get_offset()
    file.flush()
    with open(file.filename, "r+b", buffering=0) as raw:
        raw.seek(offset)
        one = raw.read(16)
        raw.seek(offset)
        raw.write(one * 100_000)


def _long_text(group: h5py.Group, name: str) -> None:
    """Five texts of 1 GiB each, never written."""
    group.create_dataset(name, (5,), f"S{2**30}")


def _empty_but_wide(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (0, 2**61), "f8", maxshape=(None, 2**61), chunks=(1, 1))


def _ranks(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (2,) * 30, "f8", chunks=(1,) * 30)


KINDS: dict[str, Kind] = {
    "declared": _declared("f8", 2**37, False), "declared-chunked": _declared("f8", 2**37, True),
    "declared-bytes": _declared("i1", 2**33, True), "declared-texts": _declared("S8", 2**36, True),
    "bomb": _bomb, "wide-chunk": _wide_chunk, "inflated": _inflated, "several": _several,
    "filter": _filter(32015, False), "filter-optional": _filter(307, True),
    "groups": _groups(100_000), "arrays": _arrays, "attributes": _attributes,
    "deep": _deep(2000), "deeper": _deep(30_000), "shared-text": _shared_text, "long-text": _long_text,
    "empty-but-wide": _empty_but_wide, "ranks": _ranks,
}  # fmt: skip
_ARRAYS = [kind for kind in KINDS if kind not in ("groups", "arrays", "attributes", "deep", "deeper", "several")]
_FEW = ("declared", "bomb", "wide-chunk", "inflated")
VARIANTS = [
    *(f"run-array-{kind}" for kind in KINDS),
    *(f"run-coordinate-{kind}" for kind in _FEW),
    *(f"run-inner-{kind}" for kind in _ARRAYS),
    *(f"sweep-array-{kind}" for kind in KINDS),
    *(f"sweep-coordinate-{kind}" for kind in _FEW),
    *(f"study-array-{kind}" for kind in ("declared", "bomb", "groups", "shared-text")),
]


@family("sizes", "result", VARIANTS)
def sizes(place: Place, random: np.random.Generator, variant: str) -> Path:
    name, part, kind = variant.split("-", 2)
    base, path = result(place, name)
    with h5py.File(path, "r+", libver="latest") as file:
        if kind in _ARRAYS:
            replaced(file, getattr(base, part), lambda group, last, old: KINDS[kind](group, last))
        else:
            KINDS[kind](file, "more")
    return path


@family("sizes", "data", [f"data-{kind}" for kind in KINDS])
def data_sizes(place: Place, random: np.random.Generator, variant: str) -> Path:
    """The same for the targets of a data file."""
    path, kind = place.inside / "data.h5", variant.removeprefix("data-")
    with h5py.File(path, "w", libver="latest") as file:
        file["x"] = np.ones((5, 2))
        KINDS[kind](file, "y")
        if "y" not in file:
            file["y"] = np.ones(5)
    return path
