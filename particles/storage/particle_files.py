"""A shard's particles on disk: immutable files, each a run of particles, particle by particle.

    position (particle, dim), sign (particle,), averaged_position, averaged_sign where an average is kept, and weight
    (particle,) where weights differ

Who writes and who reads need not hold the same blocks: a file is a run of whole blocks of the measure, and a shard
takes from each what is its own.
"""

import hashlib
import io
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from particles.errors import DamagedError, StorageError
from particles.files.atomic import write_whole
from particles.files.hdf5_file import Hdf5File, opened_bytes
from particles.files.reading import content_of, digest_of, inside, size_of
from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Floats
from particles.population.shard import Shard

_SEEN_SECONDS = 10.0
SEGMENT_BYTES = 2**26  # a file is made in memory first, so this bounds what a save takes
_FIELDS = {"b": "position", "s": "sign", "mean_b": "averaged_position", "mean_s": "averaged_sign",
           "w": "weight"}  # fmt: skip


class Segment(NamedTuple):
    """One file: particles [first, last), and what tells that it is whole."""

    file: str
    first: int
    last: int
    bytes: int
    sha256: str


def write_segments(shard: Shard, folder: Path, stem: str) -> list[Segment]:
    """Write the shard's particles into `folder`, in files <stem>-<first particle>.h5."""
    block_bytes = shard.cloud.b.itemsize * (shard.cloud.d + shard.outputs) * BLOCK * (2 if shard.mean_b.size else 1)
    stride = max(1, SEGMENT_BYTES // block_bytes)
    K = len(shard.cloud.b)
    return [_write(shard, folder, stem, begin, min(K, begin + stride)) for begin in range(0, K, stride)]


def _write(shard: Shard, folder: Path, stem: str, begin: int, end: int) -> Segment:
    count = min(end * BLOCK, shard.count) - begin * BLOCK
    first, page, K = shard.first * BLOCK + begin * BLOCK, io.BytesIO(), len(shard.cloud.b)
    with h5py.File(page, "w") as file:
        for key, values in shard.state()._asdict().items():
            if not values.size:
                continue
            if values.ndim == 4:
                rows = values[begin:end].transpose(0, 1, 3, 2).reshape(-1, values.shape[2])[:count]
                file.create_dataset(_FIELDS[key], data=rows)
            elif len(values) == K:
                file.create_dataset(_FIELDS[key], data=values[begin:end].reshape(-1)[:count])
            else:  # all equal, and never written: it takes no room
                file.create_dataset(_FIELDS[key], (count,), values.dtype, chunks=(count,), fillvalue=values[0, 0])
        if not shard.equal_weights and not shard.weighing:
            weights = [blocks.row(shard.cloud.w, block, K) for block in range(begin, end)]
            file.create_dataset("weight", data=np.concatenate(weights)[:count])
    content = page.getbuffer()
    name = f"{stem}-{first:015d}.h5"
    write_whole(folder / name, content)
    return Segment(name, first, first + count, len(content), hashlib.sha256(content).hexdigest())


def verified_bytes(folder: Path, file: str, size: int, sha256: str) -> bytes:
    """The contents of a file that must have this size and hash; DamagedError names it if it does not."""
    path = _whole(folder, file, size)
    content = content_of(path)
    _check_digest(path, hashlib.sha256(content).hexdigest(), sha256)
    return content


def check_file(folder: Path, file: str, size: int, sha256: str) -> None:
    """The same without its contents."""
    path = _whole(folder, file, size)
    _check_digest(path, digest_of(path), sha256)


def _whole(folder: Path, file: str, size: int) -> Path:
    """A file of the folder that must be there and have this size, so that no other is read."""
    path = inside(folder, file)
    if (got := size_of(path)) not in (None, size):
        raise DamagedError(f"{path} is cut: {got} of {size} bytes")
    return path


def _check_digest(path: Path, got: str, sha256: str) -> None:
    if got != sha256:
        raise DamagedError(f"{path} is damaged: its SHA-256 is not what was written")


def checked_seen(folder: Path, segments: Iterable[Segment]) -> None:
    """StorageError unless every file is here, whoever wrote it; some shared file systems take a while to show them."""
    end = time.monotonic() + _SEEN_SECONDS
    for segment in segments:
        path = folder / segment.file
        while size_of(path) != segment.bytes:
            if time.monotonic() > end:
                raise StorageError(
                    f"a run's files must be in a folder that every node sees: {path} was written by a shard and is not "
                    "here. Choose a folder on the cluster's shared file system (--out)."
                )
            time.sleep(0.1)


def check_segments(shard: Shard, folder: Path, segments: Iterable[Segment]) -> None:
    """Whether the files that begin among this shard's particles are whole; DamagedError names the first that is not."""
    begin = shard.first * BLOCK
    for segment in segments:
        if begin <= segment.first < begin + shard.count:
            check_file(folder, segment.file, segment.bytes, segment.sha256)


def read_segments(shard: Shard, folder: Path, segments: Iterable[Segment]) -> None:
    """Put what was saved in place of the shard's particles; DamagedError if a file is not whole or one is missing."""
    begin, count = shard.first * BLOCK, 0
    for segment in segments:
        first, last = max(begin, segment.first), min(begin + shard.count, segment.last)
        if first >= last:
            continue
        content = verified_bytes(folder, segment.file, segment.bytes, segment.sha256)
        try:
            with opened_bytes(content) as saved:
                for key, values in shard.state()._asdict().items():
                    if values.size:
                        _put(values, saved, _FIELDS[key], first - begin, first - segment.first, last - first, shard)
        except StorageError:
            raise
        except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise DamagedError(f"{folder / segment.file} does not hold the particles: {error}") from error
        count += last - first
    if count != shard.count:
        raise DamagedError(f"{folder}: its files hold {count} of the {shard.count} particles from {begin} on")
    shard.moved()


def _put(values: Floats, file: Hdf5File, name: str, place: int, offset: int, count: int, shard: Shard) -> None:
    """Particles [offset, offset + count) of a file as the shard's particles from `place` on, a multiple of BLOCK."""
    saved = file.member(name)
    if (got := saved.array.dtype) != values.dtype:
        raise ValueError(f"{name} was saved as {got}, not {values.dtype}")
    rows: NDArray[Any] = file.values(saved, slice(offset, offset + count))
    first, last = place // BLOCK, -(-(place + count) // BLOCK)
    full = np.zeros(((last - first) * BLOCK, *rows.shape[1:]), values.dtype)
    full[:count] = rows
    if values.ndim == 4:
        _, tiles, d, lanes = values.shape
        values[first:last] = full.reshape(-1, tiles, lanes, d).transpose(0, 1, 3, 2)
    elif len(values) == len(shard.cloud.b):
        values[first:last] = full.reshape(-1, BLOCK)
