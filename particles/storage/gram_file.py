"""The Gram matrix as a file that grows tile by tile and is never damaged: HDF5 whose structure is whole before the
first number comes, and numbers that then go to their places past HDF5.

Until `gram.h5` is whole there lie `gram.h5.part`, the file, and `gram.h5.part.tiles`, its journal: a line that names
what was asked, then one for each tile that is on the disk for certain, each with its checksum. A process that dies
leaves both, and the next one goes on from them.
"""

import contextlib
import errno
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from io import FileIO
from math import prod
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from particles.errors import DamagedError, StorageError
from particles.files.atomic import flush, lasting_file, lock, new_file, sync
from particles.files.hdf5_file import opened
from particles.files.reading import hdf5_error, size_of
from particles.measures.measure import Array
from particles.storage.gram_journal import Job, append_lines, read_lines

_SETTLE_SECONDS = 5.0  # about what a machine that dies can lose; a flush a tile kept the disk busier than the tiles did
_BAND = 128  # columns turned into rows at a time: whole cache lines are read, and they stay in the cache
_BARE = "This is a netCDF dimension but not a netCDF variable."  # how netCDF-4 marks a dimension without coordinate
_DIMS = {2: ("sample", "other_sample"), 4: ("sample", "output", "other_sample", "other_output")}
_ABOUT = {"long_name": "tangent kernel of two inputs, in flow time", "units": "1", "equation": "(5)"}


def part_of(path: Path) -> Path:
    """Where the file is until it is whole."""
    return path.with_name(f"{path.name}.part")


def journal_of(path: Path) -> Path:
    """Where its tiles are listed until then."""
    return path.with_name(f"{path.name}.part.tiles")


class GramFile:
    """The unfinished file of an (n k, n k) matrix in tiles of `tile` inputs. done: the tiles it holds.

    n, tile : rows, k of them an input.
    """

    def __init__(self, path: Path, journal: FileIO, n: int, tile: int, done: set[Job], outputs: int = 1) -> None:
        self.path, self.n, self.tile, self.done = path, n * outputs, tile * outputs, done
        self._journal, self._offset = journal, _place_of_numbers(part_of(path), _shape(n, outputs))
        self._data = _opened(part_of(path))
        self._unsettled: list[Job] = []
        self._settled = time.monotonic()

    def put(self, job: Job, values: Array) -> None:
        """Write a tile and its mirror image."""
        row, column = (self.tile * block for block in job)
        with _with_remedy(self.path, self.n):
            self._write(np.ascontiguousarray(values), row, column)
            if row != column:
                for first in range(0, values.shape[1], _BAND):
                    self._write(np.ascontiguousarray(values[:, first : first + _BAND].T), column + first, row)
        self._unsettled.append(job)
        self.done.add(job)
        if time.monotonic() - self._settled > _SETTLE_SECONDS:
            self.settle()

    def _write(self, values: Array, row: int, column: int) -> None:
        view, width = memoryview(values.data).cast("B"), values.shape[1] * values.itemsize
        for i in range(len(values)):
            run, at = view[i * width : (i + 1) * width], self._offset + ((row + i) * self.n + column) * values.itemsize
            while run:  # a signal can cut a write short
                sent = os.pwrite(self._data.fileno(), run, at)
                run, at = run[sent:], at + sent

    def settle(self) -> None:
        """Tell the journal of the tiles since the last time, once they are on the disk."""
        with _with_remedy(self.path, self.n):
            sync(self._data.fileno(), self.path.parent)
            append_lines(self._journal, self._unsettled)
        self._unsettled, self._settled = [], time.monotonic()

    def finish(self) -> None:
        """Give the file its name: it is whole."""
        self.settle()
        with _with_remedy(self.path, self.n):
            os.replace(part_of(self.path), self.path)
            flush(self.path.parent)
            journal_of(self.path).unlink()

    def close(self) -> None:
        self._data.close()


@contextlib.contextmanager
def growing(
    path: Path, n: int, tile: int, request: str, attributes: Mapping[str, Any], outputs: int = 1
) -> Iterator[GramFile]:
    """The unfinished file of a matrix, with the tiles that an earlier call left in it that `asked` for the same.

    n, tile: of inputs, each of which has so many rows as there are `outputs`.
    """
    head: dict[str, Any] = {"asked": request, "n": n, "tile": tile} | ({"outputs": outputs} if outputs > 1 else {})
    with _with_remedy(path, n * outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = lasting_file(journal_of(path))
    with journal:
        with _with_remedy(path, n * outputs):
            _hold(journal, path)
            done = _left(path, journal, head)
            if done is None:
                _begin(path, journal, head, attributes)
            file = GramFile(path, journal, n, tile, done or set(), outputs)
        with contextlib.closing(file):
            try:
                yield file
            except BaseException:
                file.settle()
                raise


def _shape(n: int, outputs: int) -> tuple[int, ...]:
    """(n, n), or (n, k, n, k): the same numbers in the same order as (n k, n k)."""
    return (n, n) if outputs == 1 else (n, outputs, n, outputs)


def _hold(journal: FileIO, path: Path) -> None:
    """Keep other processes from the file for as long as the journal is open."""
    lock(journal, path.parent, f"{part_of(path)} is being written by another process. Wait, or choose a path.")


def _left(path: Path, journal: FileIO, head: Mapping[str, Any]) -> set[Job] | None:
    """The tiles that an earlier call finished, or None if there is nothing to go on from.

    Lines after a damaged one are cut off: their tiles are made again.
    """
    journal.seek(0)
    content = journal.read()
    if not content:
        return None
    lines, good = read_lines(content, -(-int(head["n"]) // int(head["tile"])))
    if not lines or lines[0] != head:
        what = "was begun with other arguments" if lines else "has a damaged journal"
        warnings.warn(f"{part_of(path)} {what}: it begins anew.", stacklevel=5)
        return None
    try:
        _place_of_numbers(part_of(path), _shape(head["n"], head.get("outputs", 1)))
    except DamagedError as error:
        warnings.warn(f"{part_of(path)} is damaged ({error.__cause__ or error}): it begins anew.", stacklevel=5)
        return None
    journal.truncate(good)
    return set(lines[1:])


def _begin(path: Path, journal: FileIO, head: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    """A file with all its structure and room for all its numbers, and a journal that lists none."""
    part, shape = part_of(path), _shape(head["n"], head.get("outputs", 1))
    journal.truncate(0)
    sync(journal.fileno(), part.parent)  # an old journal must never vouch for a new file
    try:
        # Twice: HDF5 that meets a full disk takes the process down with it, so room is asked for before it begins, but
        # it gives that room back when it makes the file.
        part.unlink(missing_ok=True)
        with new_file(part) as file:
            _reserve(file, prod(shape) * 8)
        _structure(part, shape, attributes)
        with _opened(part) as file:
            _reserve(file, os.fstat(file.fileno()).st_size)
        flush(part.parent)
        append_lines(journal, [head])
    except BaseException:
        part.unlink(missing_ok=True)
        journal_of(path).unlink(missing_ok=True)
        raise


def _opened(part: Path) -> FileIO:
    """The unfinished file, to be written to in place; not what a link in its place leads to."""
    return open(part, "r+b", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the disk's space now, so that a full one is told at once."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except (AttributeError, OSError) as error:  # some systems and some file systems cannot: then it is told late
        if getattr(error, "errno", errno.EINVAL) not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    sync(file.fileno(), Path(file.name).parent)


def _structure(part: Path, shape: tuple[int, ...], attributes: Mapping[str, Any]) -> None:
    """An HDF5 file as xarray reads it (netCDF-4), the numbers' place fixed and nothing written to it."""
    with h5py.File(part, "w", locking=False) as file:
        file.attrs.update(attributes)
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.CONTIGUOUS)
        layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        h5py.h5d.create(file.id, b"gram", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple(shape), dcpl=layout)
        file["gram"].attrs.update(_ABOUT)
        for axis, (dim, size) in enumerate(zip(_DIMS[len(shape)], shape, strict=True)):
            scale = file.create_dataset(dim, shape=(size,), dtype=">f4")
            scale.make_scale(f"{_BARE}{size:10d}")
            file["gram"].dims[axis].attach_scale(scale)


def _place_of_numbers(part: Path, expected: tuple[int, ...]) -> int:
    """Where in the file the matrix begins; DamagedError where it has no room for it, or is missing."""
    size = size_of(part)
    try:
        if size is None:
            raise DamagedError(f"{part} is missing")
        with opened(part, size) as file:
            gram = file.member("gram")
            offset, shape = gram.id.get_offset(), gram.shape
    except (OSError, KeyError, RuntimeError, AttributeError, ValueError) as error:
        raise error if isinstance(error, StorageError) else hdf5_error(part, error) from error
    if offset is None or shape != expected or offset + prod(expected) * 8 > size:
        raise DamagedError(f"{part} has no room for the matrix")
    return int(offset)


@contextlib.contextmanager
def _with_remedy(path: Path, n: int) -> Iterator[None]:
    """A file error of the block as a StorageError with a remedy."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        remedy = "Check the disk, and call again: finished tiles are kept."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = f"It takes {n * n * 8 / 1e9:.3g} GB: free some space, or choose another folder, and call again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            remedy = "Choose a folder you may write to."
        elif error.errno == errno.ELOOP:
            remedy = f"Links are not followed: remove what is at {journal_of(path)} or {part_of(path)}."
        raise StorageError(f"{path} could not be written: {error.strerror or error}. {remedy}") from error
