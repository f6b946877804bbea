"""The heaps of an HDF5 file, in which texts and references lie: one of zeros, as a lost block leaves it, has no end.

HDF5 (2.0, and 1.14) goes from object to object by their sizes. An object that has none is read for ever, inside the
library, where Ctrl-C does not reach.
"""

import struct

_HEAD = b"GCOL\x01\x00\x00\x00"
_OBJECT = struct.Struct("<HHIQ")  # its number, references to it, nothing, its size; number 0 is what is free
LOOKED_AT = 2**24  # bytes of a file; to look through a larger one would take as long as to read it


def check_heaps(content: bytes) -> None:
    """OSError, as HDF5's own for what it cannot open, for a heap with an object that has no size."""
    at = content.find(_HEAD)
    while at >= 0:
        place, size = at + 16, int.from_bytes(content[at + 8 : at + 16], "little")
        end = min(at + size, len(content)) - _OBJECT.size
        while place <= end:
            number, _, _, length = _OBJECT.unpack_from(content, place)
            if number == length == 0:
                raise OSError("a heap of it is empty where it must not be")
            place += 16 + (length + 7) // 8 * 8 if number else length
        at = content.find(_HEAD, at + 8)
