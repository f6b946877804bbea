"""Particles in block storage, and the tree in which sums over blocks are added."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.kernels.blocks import BLOCK, LANES, BlockKernels
from particles.measure import Array, Measure

Floats = NDArray[np.floating]


class Cloud(NamedTuple):
    """A measure in block storage; the last block is padded with particles of weight zero.

    b : (K, d, BLOCK), s : (K, BLOCK), w : (K, BLOCK) float64
    """

    b: Floats
    s: Floats
    w: Array
    M: int

    @property
    def last_width(self) -> int:
        """How many lanes of the last block are worked on: its particles, rounded up to whole vectors."""
        rest = self.M - (len(self.b) - 1) * BLOCK
        return -(-rest // LANES) * LANES

    def coefficients(self) -> Floats:
        """Weight times sign of every particle, what a sum over outputs multiplies: (K, BLOCK)."""
        return np.asarray(self.w * self.s, dtype=self.b.dtype)


def _lanes(a: Floats, dtype: str) -> NDArray[Any]:
    """(M,) -> (K, BLOCK), zero-padded."""
    out: NDArray[Any] = np.zeros((-(-len(a) // BLOCK), BLOCK), dtype)
    out.reshape(-1)[: len(a)] = a
    return out


def pack(measure: Measure, dtype: str) -> Cloud:
    """A measure in block storage."""
    count, d = measure.b.shape
    b = np.zeros((-(-count // BLOCK), d, BLOCK), dtype)
    for block in range(len(b)):
        rows = measure.b[block * BLOCK : (block + 1) * BLOCK]
        b[block, :, : len(rows)] = rows.T
    return Cloud(b, _lanes(measure.s, dtype), _lanes(measure.w, "float64"), count)


def unpack(b: Floats, count: int) -> Array:
    """(K, d, BLOCK) -> (M, d) in float64."""
    flat = b.transpose(0, 2, 1).reshape(-1, b.shape[1])[:count]
    return np.ascontiguousarray(flat, dtype=np.float64)


def measure_of(cloud: Cloud) -> Measure:
    """The cloud as a measure, in float64."""
    s, w = (np.array(a.reshape(-1)[: cloud.M], dtype=np.float64) for a in (cloud.s, cloud.w))
    return Measure(unpack(cloud.b, cloud.M), s, w)


def tree_sum(parts: Array) -> Array:
    """Add the rows in the binary tree of their numbers: neighbours first, then neighbours of those: (K, ...) -> (...).

    Any aligned run of 2^g rows may be added beforehand without changing a bit.
    """
    parts = np.asarray(parts)
    while len(parts) > 1:
        paired = parts[0 : len(parts) - len(parts) % 2 : 2] + parts[1::2]
        parts = np.concatenate([paired, parts[-1:]]) if len(parts) % 2 else paired
    return np.asarray(parts[0])


def total(kernels: BlockKernels, cloud: Cloud, x: Array) -> Array:
    """int s sigma(b.x) dmu at every input, on this thread: (n, d) -> (n,)."""
    size = 1 << max(0, len(cloud.b) - 1).bit_length()
    out = np.empty((1, len(x)))
    inputs = np.array(x, dtype=cloud.b.dtype, order="C")
    kernels.sum_groups(cloud.b, cloud.coefficients(), inputs, cloud.last_width, size, 0, 1, out)
    return np.asarray(out[0])
