"""Valid files with some of their bytes changed: flipped, cut, swapped, emptied, put in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.bases import BASES, copied, result
from fuzz.case import Place, family

Change = Callable[[bytearray, np.random.Generator], bytes | bytearray]
_BLOCK = 64


def _flip(content: bytearray, random: np.random.Generator) -> bytearray:
    """One to eight bits anywhere."""
    for place in random.integers(len(content), size=random.integers(1, 9)):
        content[place] ^= 1 << int(random.integers(8))
    return content


def _structure(content: bytearray, random: np.random.Generator) -> bytearray:
    """Bytes near one of HDF5's own marks: sizes, addresses, versions."""
    marks = (b"OHDR", b"TREE", b"HEAP", b"SNOD", b"GCOL", b"FRHP", b"BTHD", b"BTLF", b"OCHK", b"\x89HDF")
    places = [at for mark in marks for at in _every(content, mark)] or [0]
    for _ in range(random.integers(1, 4)):
        at = int(random.choice(places)) + int(random.integers(0, 80))
        content[min(at, len(content) - 1)] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF, random.integers(256)]))
    return content


def _every(content: bytearray, mark: bytes) -> list[int]:
    found, at = [], content.find(mark)
    while at >= 0:
        found.append(at)
        at = content.find(mark, at + 1)
    return found


def _number(content: bytearray, random: np.random.Generator) -> bytearray:
    """Eight bytes in a row, where the file has a multiple of eight, as a number that is an extreme."""
    at = int(random.integers(len(content) // 8)) * 8
    values = (0, 1, 2**31 - 1, 2**32 - 1, 2**62, 2**64 - 1, len(content), at)
    content[at : at + 8] = values[random.integers(len(values))].to_bytes(8, "little")
    return content


def _cut(content: bytearray, random: np.random.Generator) -> bytearray:
    return content[: int(random.integers(len(content)))]


def _swap(content: bytearray, random: np.random.Generator) -> bytearray:
    one, other = (int(at) * _BLOCK for at in random.integers(len(content) // _BLOCK, size=2))
    content[one : one + _BLOCK], content[other : other + _BLOCK] = (
        content[other : other + _BLOCK],
        content[one : one + _BLOCK],
    )
    return content


def _empty(content: bytearray, random: np.random.Generator) -> bytearray:
    at = int(random.integers(len(content)))
    length = int(random.integers(1, 600))
    content[at : at + length] = bytes(len(content[at : at + length]))
    return content


def _insert(content: bytearray, random: np.random.Generator) -> bytearray:
    at = int(random.integers(len(content)))
    content[at:at] = random.bytes(int(random.integers(1, 100)))
    return content


CHANGES: dict[str, Change] = {
    "flip": _flip, "structure": _structure, "number": _number, "cut": _cut, "swap": _swap, "empty": _empty,
    "insert": _insert,
}  # fmt: skip
RESULTS = [f"{base}-{change}-{k}" for base in BASES for change in CHANGES for k in range(3 if base == "run" else 2)]
RESULTS += [f"{base}-structure-{k}" for base in ("run", "sweep") for k in range(5, 17)]
DATA = [
    f"{kind}-{change}-{k}"
    for kind in ("csv", "npz", "h5", "nc")
    for change in CHANGES
    if not (kind in ("csv", "npz", "nc") and change == "structure")
    for k in range(2)
]


def mutate(path: Path, change: str, random: np.random.Generator) -> Path:
    """Change a file where it is."""
    path.write_bytes(CHANGES[change](bytearray(path.read_bytes()), random))
    return path


@family("mutations", "result", RESULTS)
def results(place: Place, random: np.random.Generator, variant: str) -> Path:
    base, change, _ = variant.split("-")
    return mutate(result(place, base)[1], change, random)


@family("mutations", "data", DATA)
def data(place: Place, random: np.random.Generator, variant: str) -> Path:
    kind, change, _ = variant.split("-")
    return mutate(copied(place, f"data.{kind}"), change, random)


@family("mutations", "law", [f"law-{change}-{k}" for change in CHANGES if change != "structure" for k in range(2)])
def laws(place: Place, random: np.random.Generator, variant: str) -> Path:
    return mutate(copied(place, "atoms.npz"), variant.split("-")[1], random)
