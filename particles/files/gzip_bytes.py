"""The content of a gzip file, of which a megabyte may unpack to a gigabyte."""

import gzip
import io
import zlib

from particles.errors import StorageError
from particles.files.reading import unpacked_at_most

_PIECE = 2**20


def unpacked(content: bytes, name: str) -> bytes:
    """The bytes that were packed; StorageError for what is no gzip file, is cut, or unpacks to too much."""
    pieces, size, most = [], 0, unpacked_at_most(len(content))
    try:
        with gzip.open(io.BytesIO(content)) as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                if size > most:
                    raise StorageError(f"{name} unpacks to more than {most / 1e6:.0f} MB. Unpack it with gunzip first.")
                pieces.append(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise StorageError(
            f"{name} cannot be read as gzip: {error}. Pack it again, or give the file itself."
        ) from error
    return b"".join(pieces)
