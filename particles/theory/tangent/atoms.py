"""The atoms that a Gram matrix sums over: looked at once, then made slab by slab wherever a tile needs them."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from particles.errors import InputError, nearest
from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Cloud
from particles.measures.measure import Array, Measure, Source, check_dim, check_outputs, checked_measure, source_of

_FORMS = ("full", "trace")  # of a Gram matrix of several outputs

_SLAB_BLOCKS = 63  # blocks whose patterns fill whole passes of the counting kernel: 64 of them
_SLAB_BYTES = 2**26  # positions held at a time, where a particle has many inputs


class Atoms(NamedTuple):
    """A source, and whether all its atoms weigh the same and have one output weight, |s| = 1."""

    source: Source
    unit: bool


@dataclass(frozen=True)
class Lengths:
    """A source of k output weights a as one of s = |a| / sqrt(k): its kernel is the mean of the k diagonal blocks."""

    source: Source
    equal_signs = False
    outputs = 1

    @property
    def count(self) -> int:
        return self.source.count

    @property
    def dim(self) -> int:
        return self.source.dim

    @property
    def equal_weights(self) -> bool:
        return self.source.equal_weights

    def part(self, first: int, last: int) -> tuple[Array, Array]:
        b, a = self.source.part(first, last)
        return b, np.sqrt(np.mean(a * a, axis=1))

    def weights(self, first: int, last: int) -> Array:
        return self.source.weights(first, last)

    def cut(self, first: int, last: int) -> "Lengths":
        return Lengths(self.source.cut(first, last))


def checked_form(form: str) -> str:
    """Which Gram matrix of several outputs is asked for, if it is one."""
    if form not in _FORMS:
        raise InputError('`outputs` must be "full" or "trace"', repr(form), nearest(str(form), _FORMS))
    return form


def in_form(source: Source, form: str) -> Source:
    """The atoms whose Gram matrix is the one in this form."""
    return Lengths(source) if checked_form(form) == "trace" and source.outputs > 1 else source


def slab_blocks(source: Source) -> int:
    """How many blocks a slab has, the last one perhaps fewer; no bit depends on it."""
    return min(_SLAB_BLOCKS, max(1, _SLAB_BYTES // (BLOCK * source.dim * 8)), blocks.blocks_of(source.count))


def slabs(source: Source) -> Iterator[Cloud]:
    """The particles in block storage, in order, a slab at a time."""
    total, size = blocks.blocks_of(source.count), slab_blocks(source)
    for first in range(0, total, size):
        yield blocks.pack(source, "float64", shared_signs=False, span=(first, min(first + size, total)))


def atoms_of(measure: Measure, dim: int, outputs: int = 1, form: str = "full") -> Atoms:
    """The atoms of a measure in memory, if it is one on R^dim with so many output weights."""
    source = in_form(source_of(checked_measure(measure, dim, outputs)), form)
    s = source.part(0, source.count)[1]
    return Atoms(source, source.equal_weights and source.outputs == 1 and bool((np.abs(s) == 1.0).all()))


def examined(start: Measure | Source, dim: int, outputs: int = 1, form: str = "full") -> tuple[Atoms, str]:
    """The atoms, and a name that tells them from all others: each is made once, which also shows that it is finite."""
    if isinstance(start, Measure):
        start = source_of(checked_measure(start, dim, outputs))
    check_dim(start.dim, dim)
    check_outputs(start.outputs, outputs)
    start = in_form(start, form)
    digest, total, size = blake2b(digest_size=16), 0.0, slab_blocks(start) * BLOCK
    unit = start.equal_weights and start.outputs == 1
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
