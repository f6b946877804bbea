"""Packed chunks of an HDF5 array that may come from anyone: none unpacks to more than a chunk.

HDF5 unpacks whatever a chunk's bytes hold: 4 MB of zeros that gzip packed are 4 GiB, also where a chunk is 40 bytes.
"""

import zlib
from collections.abc import Iterable

from h5py import h5d

from particles.files.hdf5_member import Filter

_GZIP = 1
_SAME_SIZE = {2, 3}  # shuffle and fletcher32 unpack nothing
_ELEMENTS = {5: 2, 6: 2}  # nbit, scaleoffset: which of their own numbers says how many elements a chunk has
_MOST = 1032  # bytes that deflate makes of one
_SPARE = 2**28  # bytes that one chunk may take without a look
_PIECE = 2**22
_MORE = 4096  # bytes by which checksums and what cannot be packed make a chunk longer


def check_chunks(path: str, item: h5d.DatasetID, filters: Iterable[Filter], number: int) -> None:
    """ValueError for an array with a chunk that unpacks to more than it should; number: of the values in a chunk."""
    codes = {code for code, *_ in filters}
    if codes <= _SAME_SIZE:
        return
    for code, _, values, _ in filters:
        if code in _ELEMENTS and (len(values) <= _ELEMENTS[code] or values[_ELEMENTS[code]] != number):
            raise ValueError(f"the filter of {path!r} is for other chunks than it has")
    size = number * item.dtype.itemsize
    limit = size + size // 8 + _MORE
    suspects: list[h5d.StoreInfo] = []

    def look(chunk: h5d.StoreInfo) -> None:
        if chunk.size > limit or (_GZIP in codes and chunk.size * _MOST > _SPARE):
            suspects.append(chunk)

    item.chunk_iter(look)
    for chunk in suspects:
        if chunk.size > limit or _unpacked(item, chunk, limit) > limit:
            raise ValueError(f"a chunk of {path!r} unpacks to more than its {size} bytes")


def _unpacked(item: h5d.DatasetID, chunk: h5d.StoreInfo, limit: int) -> int:
    """The bytes that gzip packed in a chunk, as far as they are counted: not long beyond the limit."""
    stream, size = zlib.decompressobj(), 0
    _, packed = item.read_direct_chunk(chunk.chunk_offset)
    try:
        while packed and size <= limit:
            size += len(stream.decompress(packed, _PIECE))
            packed = stream.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"a chunk cannot be unpacked: {error}") from error
    return size
