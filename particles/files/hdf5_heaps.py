"""The heaps of an HDF5 file, in which texts and references lie: one of zeros, as a lost block leaves it, has no end.

HDF5 (2.0, and 1.14) goes from object to object by their sizes. An object that has none is read for ever, inside the
library, where Ctrl-C does not reach.
"""

import struct

_HEAD = b"GCOL\x01\x00\x00\x00"
_MARK = _HEAD[:4]  # the zeros behind it are everywhere in such a file, and a search for them takes four times as long
_OBJECT = struct.Struct("<H6xQ")  # its number, references to it, its size; number 0 is what is free
LOOKED_AT = 2**24  # bytes of a file; to look through a larger one would take as long as to read it


def check_heaps(content: bytes) -> None:
    """OSError, as HDF5's own for what it cannot open, for a heap with an object that has no size."""
    objects = len(content) // 16  # that fit into heaps beside each other; those in each other could take hours
    at = content.find(_MARK)
    while at >= 0:
        if content.startswith(_HEAD, at):
            objects -= _objects_in(content, at, objects)
        at = content.find(_MARK, at + 4)


def _objects_in(content: bytes, at: int, most: int) -> int:
    """How many objects a heap has, which may be so many."""
    place, count, unpack = at + 16, 0, _OBJECT.unpack_from
    end = min(at + int.from_bytes(content[at + 8 : at + 16], "little"), len(content)) - _OBJECT.size
    while place <= end:
        number, length = unpack(content, place)
        count += 1
        if number == length == 0 or count > most:
            raise OSError("a heap of it is empty where it must not be, or lies in another one")
        place += 16 + (length + 7 & -8) if number else length
    return count
