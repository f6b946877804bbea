"""Particles in block storage, and the tree in which sums over blocks are added."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.kernels.assemble import BLOCK, LANES, BlockKernels
from particles.measures.measure import Array, Measure, Source, source_of

Floats = NDArray[np.floating]
# Subtrees of the tree of sums: [level, place] is the sum of blocks [place 2^level, (place + 1) 2^level).
Branches = dict[tuple[int, int], Array]

_LINE = 64  # bytes of a cache line; NumPy's arrays begin anywhere in one


class Cloud(NamedTuple):
    """A measure in block storage; the last block is padded with particles of weight zero.

    b : (K, BLOCK / LANES, d, LANES). s, w (float64) : (K, BLOCK), or where all are equal two rows, one for every block
    but the last and one for that, so that 10^8 equal atoms cost their positions only. With k > 1 output weights s is
    like b, (K, BLOCK / LANES, k, LANES).
    """

    b: Floats
    s: Floats
    w: Array
    M: int

    @property
    def last_tiles(self) -> int:
        """How many tiles of the last block hold particles."""
        return -(-(self.M - (len(self.b) - 1) * BLOCK) // int(self.b.shape[-1]))

    @property
    def d(self) -> int:
        """How many inputs a particle has, a bias counted in."""
        return int(self.b.shape[2])

    @property
    def outputs(self) -> int:
        """k, how many output weights a particle has."""
        return 1 if self.s.ndim == 2 else int(self.s.shape[2])

    @property
    def signs(self) -> Floats:
        """s as the kernels take it, a row a block, in the same memory."""
        return by_block(self.s)


def by_block(s: Floats) -> Floats:
    """Output weights in block storage, a row a block, in the same memory."""
    return s.reshape(len(s), -1)


def block_shape(d: int, dtype: str) -> tuple[int, int, int]:
    """The shape of one block's positions."""
    lanes = LANES[dtype]
    return BLOCK // lanes, d, lanes


def aligned(shape: tuple[int, ...], dtype: str) -> Floats:
    """Zeros from the beginning of a cache line on: a vector that lies in two lines is read and written twice."""
    size, itemsize = math.prod(shape), np.dtype(dtype).itemsize
    whole: Floats = np.zeros(size + _LINE // itemsize, dtype)
    first = -whole.ctypes.data % _LINE // itemsize
    return whole[first : first + size].reshape(shape)


def aligned_copy(a: Floats) -> Floats:
    """A copy that begins with a cache line."""
    copy = aligned(a.shape, str(a.dtype))
    copy[...] = a
    return copy


def rows(a: Floats, dtype: str, shared: bool) -> NDArray[Any]:
    """(M,) -> (K, BLOCK), zero-padded; two rows if `shared` and all numbers are equal."""
    count = -(-len(a) // BLOCK)
    if shared and count > 2 and bool((a == a[0]).all()):
        last = rows(a[(count - 1) * BLOCK :], dtype, False)
        return np.concatenate([np.full((1, BLOCK), a[0], dtype), last])
    out: NDArray[Any] = np.zeros((count, BLOCK), dtype)
    out.reshape(-1)[: len(a)] = a
    return out


def row(a: Floats, block: int, K: int) -> Floats:
    """One block's row, however many are stored (`Cloud`)."""
    return np.asarray(a[block if len(a) == K else block // (K - 1)])


def flat(a: Floats, K: int, count: int) -> Array:
    """The first `count` numbers of what `rows` stored, as float64."""
    return np.array(a.reshape(-1)[:count], np.float64) if len(a) == K else np.full(count, a[0, 0], np.float64)


def pack(
    start: Measure | Source,
    dtype: str,
    shared_signs: bool = True,
    span: tuple[int, int] | None = None,
    shared_weights: bool = True,
) -> Cloud:
    """A measure in block storage, or its blocks [first, last) only.

    With `shared_signs` equal signs are stored once, for those that never move; likewise weights.
    """
    source = source_of(start) if isinstance(start, Measure) else start
    begin, end = span or (0, blocks_of(source.count))
    offset, d = begin * BLOCK, source.dim
    count, K = min(end * BLOCK, source.count) - offset, end - begin
    b, lanes = aligned((K, *block_shape(d, dtype)), dtype), LANES[dtype]
    many = source.outputs > 1
    shared = shared_signs and source.equal_signs and K > 2 and not many
    s = (
        aligned((K, *block_shape(source.outputs, dtype)), dtype)
        if many
        else np.zeros((2 if shared else K, BLOCK), dtype)
    )
    for block in range(K):
        first, last = block * BLOCK, min((block + 1) * BLOCK, count)
        here, signs = source.part(offset + first, offset + last)
        b[block] = _tiled(here, lanes, dtype)
        if many:
            s[block] = _tiled(signs, lanes, dtype)
        elif not shared or block in (0, K - 1):
            s[block // (K - 1) if shared else block, : last - first] = signs
    if not source.equal_weights or not shared_weights:
        return Cloud(b, s, rows(source.weights(offset, offset + count), "float64", shared_weights), count)
    w = np.full((min(K, 2), BLOCK), source.weights(offset, offset + 1)[0])
    w[-1, count - (K - 1) * BLOCK :] = 0.0
    return Cloud(b, s, w, count)


def _tiled(rows_of_block: Array, lanes: int, dtype: str) -> Floats:
    """The particles of a block, (m, d), as tiles: (BLOCK / LANES, d, LANES), zero-padded."""
    full = np.zeros((BLOCK, rows_of_block.shape[1]), dtype)
    full[: len(rows_of_block)] = rows_of_block
    return full.reshape(-1, lanes, full.shape[1]).transpose(0, 2, 1)


def blocks_of(count: int) -> int:
    """How many blocks hold `count` particles."""
    return -(-count // BLOCK)


def unpack(b: Floats, count: int, in_place: bool = False) -> Array:
    """(K, BLOCK / LANES, d, LANES) -> (M, d) in float64; in_place: in the memory of a float64 b, which is then lost."""
    d = b.shape[2]
    out = np.asarray(b, np.float64) if in_place else np.empty(b.shape)
    for block, to in zip(b, out.reshape(len(b), BLOCK, d), strict=True):
        to[...] = block.transpose(0, 2, 1).reshape(BLOCK, d)
    return out.reshape(-1, d)[:count]


def measure_of(cloud: Cloud, in_place: bool = False) -> Measure:
    """The cloud as a measure, in float64; in_place: its particles in the cloud's memory, which is then lost."""
    return Measure(unpack(cloud.b, cloud.M, in_place), *weights_of(cloud, cloud.M, in_place))


def weights_of(cloud: Cloud, count: int, in_place: bool = False) -> tuple[Array, Array]:
    """s and w of the first particles of a cloud, in float64: (count,) or (count, k), and (count,)."""
    K = len(cloud.b)
    s = unpack(cloud.s[: blocks_of(count)], count, in_place) if cloud.outputs > 1 else flat(cloud.s, K, count)
    return s, flat(cloud.w, K, count)


def tree_sum(parts: Array) -> Array:
    """Add the rows in the binary tree of their numbers: neighbours first, then neighbours of those: (K, ...) -> (...).

    Any aligned run of 2^g rows may be added beforehand without changing a bit.
    """
    parts = np.asarray(parts)
    while len(parts) > 1:
        paired = parts[0 : len(parts) - len(parts) % 2 : 2] + parts[1::2]
        parts = np.concatenate([paired, parts[-1:]]) if len(parts) % 2 else paired
    return np.asarray(parts[0])


def group_level(span: tuple[int, int], K: int, parts: int) -> int:
    """The level of the tree of K blocks of which about so many nodes are the blocks [first, last), none cut in two."""
    first, last = span
    edges = [edge for edge in (first, last) if 0 < edge < K]
    level = max(0, (last - first - 1) // parts).bit_length()
    return min([level, *((edge & -edge).bit_length() - 1 for edge in edges)])


def climb(values: Array, level: int, index: int, K: int) -> Branches:
    """Consecutive nodes of one level, the first of them `index`, added up as far as the tree of K blocks allows.

    (r, ...) -> at most two branches a level: all that a shard sends of its blocks.
    """
    branches: Branches = {}
    while len(values):
        at_end = (index + len(values)) << level >= K  # beyond the last block nothing is missing
        if index % 2:
            branches[level, index] = values[0]
            values, index = values[1:], index + 1
        if len(values) % 2 and (not at_end or (len(values) == 1 and index == 0)):
            branches[level, index + len(values) - 1] = values[-1]
            values = values[:-1]
        paired = values[0 : len(values) - len(values) % 2 : 2] + values[1::2]
        values = np.concatenate([paired, values[-1:]]) if len(values) % 2 else paired
        level, index = level + 1, index // 2
    return branches


def root(parts: Iterable[Branches], K: int) -> Array:
    """The sum over all K blocks from branches that together hold each block once."""
    nodes = {node: value for part in parts for node, value in part.items()}
    level = 0
    while len(nodes) > 1 or (level, 0) not in nodes:
        for here, index in sorted(node for node in nodes if node[0] == level):
            if index % 2 == 0 and ((index + 1) << level >= K or (here, index + 1) in nodes):
                left = nodes.pop((here, index))
                right = nodes.pop((here, index + 1), None)
                nodes[level + 1, index // 2] = left if right is None else left + right
        level += 1
    return np.asarray(nodes[level, 0])


def total(kernels: BlockKernels, cloud: Cloud, x: Array) -> Array:
    """int s sigma(b.x) dmu at every input, on this thread: (n, d) -> (n,), or (n, k) of several outputs."""
    size = 1 << max(0, len(cloud.b) - 1).bit_length()
    out, none = np.empty((1, len(x) * cloud.outputs)), np.empty(0, cloud.b.dtype)
    inputs = np.array(x, dtype=cloud.b.dtype, order="C").reshape(-1)
    kernels.sum_groups(
        cloud.b.reshape(-1), cloud.signs, cloud.w, cloud.d, inputs, cloud.last_tiles, size, 0, 1, 0, False, none, out
    )
    return np.asarray(out[0] if cloud.outputs == 1 else out.reshape(len(x), -1))
