"""Arrays by name in NPZ files, read where a file's size says as many bytes as the array's shape.

A zip archive of a megabyte may unpack to a gigabyte, and ten bytes of a header may ask for any memory.
"""

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from particles.errors import StorageError
from particles.files.reading import check_room, unpacked_at_most

_PICKLE = (
    "Object arrays cannot be loaded, since they are pickles. Save np.asarray(x, dtype=float), an array of numbers."
)


class NpzFile(Mapping[str, NDArray[Any]]):
    """The arrays of an archive's bytes, each read when it is asked for."""

    def __init__(self, content: bytes) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        self._most = unpacked_at_most(len(content))
        self._members = {one.filename.removesuffix(".npy"): one for one in self._archive.infolist()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, name: str) -> NDArray[Any]:
        about = self._members[name]
        with self._archive.open(about) as file:
            head = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(npy.read_magic(file))
            if head is None:
                raise ValueError(f"{name!r} is of another version of NPY")
            shape, _, dtype = head(file)
            size = math.prod(shape) * dtype.itemsize
            if dtype.hasobject:
                raise StorageError(_PICKLE)
            if size != about.file_size - file.tell() or size > self._most:
                raise ValueError(f"{name!r} of shape {shape} does not fit into the {about.file_size} bytes that it has")
        check_room(repr(name), max(size, 8 * math.prod(shape)))
        with self._archive.open(about) as file:
            return npy.read_array(file, allow_pickle=False)
