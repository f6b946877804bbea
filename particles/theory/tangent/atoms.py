"""The atoms that a Gram matrix sums over: looked at once, then made slab by slab wherever a tile needs them."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from particles.errors import InputError
from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Cloud
from particles.measures.measure import Measure, Source, check_dim, checked_measure, source_of

_SLAB_BLOCKS = 63  # blocks whose patterns fill whole passes of the counting kernel: 64 of them
_SLAB_BYTES = 2**26  # positions held at a time, where a particle has many inputs


class Atoms(NamedTuple):
    """A source, and whether all its atoms weigh the same and have |s| = 1."""

    source: Source
    unit: bool


def slab_blocks(source: Source) -> int:
    """How many blocks a slab has, the last one perhaps fewer; no bit depends on it."""
    return min(_SLAB_BLOCKS, max(1, _SLAB_BYTES // (BLOCK * source.dim * 8)), blocks.blocks_of(source.count))


def slabs(source: Source) -> Iterator[Cloud]:
    """The particles in block storage, in order, a slab at a time."""
    total, size = blocks.blocks_of(source.count), slab_blocks(source)
    for first in range(0, total, size):
        yield blocks.pack(source, "float64", shared_signs=False, span=(first, min(first + size, total)))


def atoms_of(measure: Measure, dim: int) -> Atoms:
    """The atoms of a measure in memory, if it is one on R^dim."""
    measure = checked_measure(measure, dim)
    source = source_of(measure)
    return Atoms(source, source.equal_weights and bool((np.abs(measure.s) == 1.0).all()))


def examined(start: Measure | Source, dim: int) -> tuple[Atoms, str]:
    """The atoms, and a name that tells them from all others: each is made once, which also shows that it is finite."""
    if isinstance(start, Measure):
        start = atoms_of(start, dim).source
    check_dim(start.dim, dim)
    digest, unit, total, size = blake2b(digest_size=16), start.equal_weights, 0.0, slab_blocks(start) * BLOCK
    for first in range(0, start.count, size):
        last = min(first + size, start.count)
        (b, s), w = start.part(first, last), start.weights(first, last)
        if not (np.isfinite(b).all() and np.isfinite(s).all() and np.isfinite(w).all()):
            raise InputError("atoms must be finite", f"NaN or inf from atom {first} on", "Look at where they are made.")
        unit, total = unit and bool((np.abs(s) == 1.0).all()), total + float(w.sum())
        for array in (b, s, w):
            digest.update(array.tobytes())
    if abs(total - 1.0) > 1e-9:
        raise InputError("weights must sum to 1", f"a sum of {total:.12g}", "Divide them by their sum.")
    return Atoms(start, unit), digest.hexdigest()
