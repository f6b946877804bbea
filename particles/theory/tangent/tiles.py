"""A tile of the tangent kernel's Gram matrix (5): some inputs as rows against some as columns.

The particles are made and summed slab by slab, in order, so that a tile costs its own memory and no more. Every entry's
sum runs over the particles one by one (or counts them), and so its bits depend neither on the tile that it is in nor on
the threads that share the work. The whole matrix is a tile too, the symmetric one of all inputs against themselves.

With k outputs an input stands for k rows or columns, one an output, next to each other.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.kernels.assemble import BLOCK, LANES
from particles.kernels.bit_counts import PASS, STRIP
from particles.kernels.gram import GramKernels, gram_kernels, product_kernels
from particles.kernels.relu_patterns import POSITIONS, pattern_kernels
from particles.measures import blocks
from particles.measures.blocks import Cloud
from particles.measures.measure import Array, Source
from particles.model.activations import Activation
from particles.model.network import Network
from particles.theory.tangent.atoms import Atoms, slab_blocks, slabs

_BAND = 256  # rows mirrored at a time
_LANES = LANES["float64"]


@cache
def kernels_of(row: Activation) -> GramKernels:
    """The compiled loops of an activation."""
    return gram_kernels(row.sigma, row.derivative)


class Team:
    """Threads that share out whole numbers, whoever asks being one of them; results must not depend on how."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size - 1) if size > 1 else None

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown()

    def runs(self, work: Callable[[int, int], object], first: int, last: int) -> None:
        """work(begin, end) on consecutive runs of first .. last."""
        edges = [first + (last - first) * j // self.size for j in range(self.size + 1)]
        self.turns(lambda j: work(edges[j], edges[j + 1]) if edges[j] < edges[j + 1] else None)

    def turns(self, work: Callable[[int], object]) -> None:
        """work(first) for first = 0 .. size - 1, each to do every size-th piece from there."""
        others = [self._pool.submit(work, first) for first in range(1, self.size)] if self._pool else []
        work(0)
        for other in others:
            other.result()


def inner_products(rows: Array, columns: Array, team: Team) -> Array:
    """x_i . x_j for every row and column, (m, d) and (n, d) -> (m, n): a pair's bits depend on its inputs alone.

    BLAS is as fast, but its last bits depend on the shapes it is given and on its threads.
    """
    kernels, (n, d) = product_kernels(), columns.shape
    strips, x, y = -(-n // _LANES), np.ascontiguousarray(rows).reshape(-1), np.ascontiguousarray(columns).reshape(-1)
    turned, products = np.empty(strips * d * _LANES), np.empty((len(rows), n))
    team.runs(lambda first, last: kernels.turn(y, n, d, first, last, turned), 0, strips)
    team.runs(lambda first, last: kernels.inner_products(x, turned, d, first, last, products), 0, len(rows))
    return products


class Request(NamedTuple):
    """What is asked for, as whoever makes a tile of it is told: inputs (n, d) in blocks of `side`."""

    net: Network
    atoms: Atoms
    inputs: Array
    side: int


def tile_of(request: Request, job: tuple[int, int]) -> Array:
    """The tile of two blocks of inputs, on one thread."""
    # Copies, since inputs that came from elsewhere may be read-only, and kernels are compiled for arrays that are not.
    rows, columns = (np.array(request.inputs[block * request.side : (block + 1) * request.side]) for block in job)
    return tile_values(request.net, request.atoms, rows, rows if job[0] == job[1] else columns, Team(1))


def tile_values(net: Network, atoms: Atoms, rows: Array, columns: Array, team: Team) -> Array:
    """The kernel at rows x columns, (m, d) and (n, d) -> (m k, n k); symmetric where both are the same array."""
    k = atoms.source.outputs
    if "input" not in net.train:
        values = _multiplied(net, atoms.source, rows, columns, team, slopes=False)
        return values if k == 1 else np.asarray(np.kron(values, np.eye(k)))
    tile = inner_products(rows, columns, team)
    if net.activation.name == "relu" and atoms.unit:
        _count(atoms.source, rows, columns, team, tile)
    else:
        inner, tile = tile, _multiplied(net, atoms.source, rows, columns, team, slopes=True)
        _by_output(tile, k)[...] *= inner[:, None, :, None]
    if "output" in net.train:
        values = _multiplied(net, atoms.source, rows, columns, team, slopes=False)
        for o in range(k):
            _by_output(tile, k)[:, o, :, o] += values
    return tile


def _by_output(tile: Array, k: int) -> Array:
    """(m k, n k) -> (m, k, n, k), in the same memory."""
    return tile.reshape(len(tile) // k, k, -1, k)


class _Patterns(NamedTuple):
    """Room for the activation patterns of some inputs and a slab of particles (`kernels/patterns.py`)."""

    x: Array
    positions: int
    nibbles: NDArray[np.uint8]
    pairs: NDArray[np.uint8]
    width: int


def _patterns(x: Array, positions: int) -> _Patterns:
    strips = -(-len(x) // STRIP)
    width = strips * STRIP // 2 + STRIP // 2  # rows of pairs a little apart, lest they all meet in one cache set
    nibbles, pairs = np.zeros(strips * positions * STRIP, np.uint8), np.zeros(positions * width, np.uint8)
    return _Patterns(np.ascontiguousarray(x).reshape(-1), positions, nibbles, pairs, width)


def _pack(cloud: Cloud, patterns: _Patterns, team: Team) -> None:
    """The patterns of one slab."""
    x, positions, nibbles, pairs, width = patterns
    kernels, b = pattern_kernels(), cloud.b.reshape(-1)
    if positions // POSITIONS * BLOCK > cloud.M:  # places that this slab leaves hold those of the one before
        nibbles[:], pairs[:] = 0, 0

    def pack(first: int, last: int) -> None:
        kernels.pack(b, cloud.d, x, cloud.last_tiles, first, last, positions, nibbles, pairs, width)

    team.runs(pack, 0, len(cloud.b))


def _count(source: Source, rows: Array, columns: Array, team: Team, inner: Array) -> None:
    """Multiply the inputs' products by the share of particles that are active on both inputs."""
    kernels, same = pattern_kernels(), columns is rows
    positions = -(-slab_blocks(source) * POSITIONS // PASS) * PASS
    left = _patterns(rows, positions)
    right = left if same else _patterns(columns, positions)
    strips, pairs = -(-len(columns) // STRIP), -(-len(rows) // STRIP) * STRIP // 2
    counts = np.zeros((strips, pairs, 2 * STRIP), np.int32 if source.count < 2**31 else np.int64)
    for cloud in slabs(source):
        _pack(cloud, left, team)
        if not same:
            _pack(cloud, right, team)
        passes = -(-len(cloud.b) * POSITIONS // PASS)

        def count(first: int, passes: int = passes) -> None:
            kernels.count(
                kernels.tables, right.nibbles, left.pairs, left.width, positions, passes, first, team.size, same, counts
            )

        team.turns(count)
    team.turns(lambda first: kernels.weigh(counts, source.count, first, team.size, same, inner))


class _Products:
    """Sums over features, sum_r u_i[r] v_j[r] for every row i and column j, a block of particles at a time."""

    def __init__(self, m: int, n: int, same: bool, team: Team) -> None:
        self._m, self._n, self._same, self._team = m, n, same, team
        self._strips = -(-n // _LANES)
        self._turned = np.empty(self._strips * BLOCK * _LANES)
        self._into = np.zeros(self._strips * m * _LANES)

    def add(self, u: Array, v: Array) -> None:
        """u : flat (m, BLOCK), v : flat (n, BLOCK)"""
        kernels, strips, team = product_kernels(), self._strips, self._team
        team.runs(lambda first, last: kernels.turn(v, self._n, BLOCK, first, last, self._turned), 0, strips)
        team.turns(
            lambda first: kernels.add_products(
                u, self._m, self._turned, strips, first, team.size, self._same, self._into
            )
        )

    def sums(self) -> Array:
        """(m, n), the lower half mirrored where only the upper was summed."""
        by_row = self._into.reshape(self._strips, self._m, _LANES).transpose(1, 0, 2)
        sums = np.ascontiguousarray(by_row.reshape(self._m, self._strips * _LANES)[:, : self._n])
        if self._same:
            _mirror(sums)
        return sums


def _mirror(square: Array) -> None:
    """Copy the upper half of a matrix to the lower, a band of rows at a time."""
    for first in range(0, len(square), _BAND):
        last = first + _BAND
        corner = np.triu(square[first:last, first:last])
        square[first:last, first:last] = corner + np.triu(corner, 1).T
        square[last:, first:last] = square[first:last, last:].T


def _multiplied(net: Network, source: Source, rows: Array, columns: Array, team: Team, slopes: bool) -> Array:
    """int a_o a_p sigma' sigma' dmu, (m k, n k), or int sigma sigma dmu, (m, n), for every row and column."""
    same, k = columns is rows, source.outputs if slopes else 1
    products = _Products(len(rows) * k, len(columns) * k, same, team)
    u = np.zeros(len(rows) * k * BLOCK)
    v = u if same else np.zeros(len(columns) * k * BLOCK)
    for cloud in slabs(source):
        for block in range(len(cloud.b)):
            _features(net, cloud, block, rows, team, slopes, u)
            if not same:
                _features(net, cloud, block, columns, team, slopes, v)
            products.add(u, v)
    return products.sums()


def _features(net: Network, cloud: Cloud, block: int, x: Array, team: Team, slopes: bool, into: Array) -> None:
    """sqrt(w_r) |s_r| sigma'(b_r . x_i) or sqrt(w_r) sigma(b_r . x_i) of one block: flat (n, BLOCK).

    With k > 1 outputs the slopes are sqrt(w_r) a_ro sigma'(b_r . x_i), flat (n, k, BLOCK).
    """
    if slopes and cloud.outputs > 1:
        single, shape = np.zeros(len(x) * BLOCK), (cloud.outputs, BLOCK)
        _make(net, cloud, block, x, team, slopes, np.sqrt(blocks.row(cloud.w, block, len(cloud.b))), single)
        a = cloud.s[block].transpose(1, 0, 2).reshape(shape)
        np.multiply(single.reshape(-1, 1, BLOCK), a, out=into.reshape(-1, *shape))
        return
    scale = np.sqrt(blocks.row(cloud.w, block, len(cloud.b)))
    if slopes:
        scale = scale * np.abs(blocks.row(cloud.s, block, len(cloud.b)))
    _make(net, cloud, block, x, team, slopes, scale, into)


def _make(
    net: Network, cloud: Cloud, block: int, x: Array, team: Team, slopes: bool, scale: Array, into: Array
) -> None:
    """scale_r sigma'(b_r . x_i) or scale_r sigma(b_r . x_i) of one block: flat (n, BLOCK)."""
    kernels, K = kernels_of(net.activation), len(cloud.b)
    make = kernels.slopes if slopes else kernels.values
    tiles = cloud.last_tiles if block == K - 1 else BLOCK // _LANES
    if tiles * _LANES < BLOCK:
        into[:] = 0.0
    b, flat = cloud.b.reshape(-1), np.ascontiguousarray(x).reshape(-1)
    team.runs(lambda first, last: make(b, scale, cloud.d, flat, tiles, block, first, last, into), 0, len(x))
