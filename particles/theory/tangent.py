"""The tangent kernel (5) of a measure at given inputs: its Gram matrix, and its action without the matrix.

In flow time K(x, x') = x.x' int s^2 sigma'(b.x) sigma'(b.x') dmu, and int sigma(b.x) sigma(b.x') dmu on top where the
output weights train: the paper's (5) times M^(2 beta - 1), equal to it at beta = 1/2.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from particles import blocks
from particles.activations import Activation
from particles.blocks import Cloud
from particles.kernels.blocks import BLOCK
from particles.kernels.gram import GramKernels, gram_kernels
from particles.kernels.patterns import PASS, POSITIONS, STRIP, pattern_kernels
from particles.measure import Array, Measure, checked_measure, equal_weights
from particles.network import Network, cache_key
from particles.population import Local, cores

_PATTERN_BLOCKS = 63  # blocks whose patterns are counted at once: 64 whole passes
_APPLY_BYTES = 2**20  # forces held at a time by a thread of the matrix-free product


@cache
def _kernels(row: Activation) -> GramKernels:
    return gram_kernels(row.sigma, row.derivative, cache_key(row))


class _Team:
    """Threads that share out whole numbers; results must not depend on how."""

    def __init__(self, engine: Local | None) -> None:
        self.size = (engine or Local()).threads or cores()
        self._pool = ThreadPoolExecutor(self.size)

    def runs(self, work: Callable[[int, int], object], first: int, last: int) -> None:
        """work(begin, end) on consecutive runs of first .. last."""
        edges = [first + (last - first) * j // self.size for j in range(self.size + 1)]
        jobs = [self._pool.submit(work, edges[j], edges[j + 1]) for j in range(self.size) if edges[j] < edges[j + 1]]
        for job in jobs:
            job.result()

    def turns(self, work: Callable[[int], object]) -> None:
        """work(first) for first = 0 .. size - 1, each to do every size-th piece from there."""
        for job in [self._pool.submit(work, first) for first in range(self.size)]:
            job.result()

    def close(self) -> None:
        self._pool.shutdown()


@contextmanager
def _team(engine: Local | None) -> Any:
    team = _Team(engine)
    try:
        yield team
    finally:
        team.close()


def gram(net: Network, measure: Measure, x: ArrayLike, engine: Local | None = None) -> Array:
    """The Gram matrix of the tangent kernel (5) in flow time: x (n, d) -> (n, n), symmetric, float64.

    ReLU with equal weights and unit signs counts activation patterns, which is exact up to the inputs' products; every
    other case multiplies features. The bits do not depend on the number of threads.
    """
    inputs = net.inputs(x)
    measure = checked_measure(measure, inputs.shape[1])
    cloud = blocks.pack(measure, "float64", shared_signs=False)
    with _team(engine) as team:
        if "input" not in net.train:
            return _multiplied(net, cloud, inputs, team, slopes=False)
        kernel = inputs @ inputs.T
        if net.activation == "relu" and equal_weights(measure) and bool((np.abs(measure.s) == 1.0).all()):
            _count(cloud, inputs, team, kernel)
        else:
            kernel *= _multiplied(net, cloud, inputs, team, slopes=True)
        if "output" in net.train:
            kernel += _multiplied(net, cloud, inputs, team, slopes=False)
    return kernel


def _count(cloud: Cloud, x: Array, team: _Team, kernel: Array) -> None:
    """Multiply the inputs' products, (n, n), by the share of particles that are active on both inputs."""
    kernels, n, K = pattern_kernels(), len(x), len(cloud.b)
    strips = -(-n // STRIP)
    columns, positions = strips * STRIP, _PATTERN_BLOCKS * POSITIONS
    width = columns // 2 + STRIP // 2  # rows of pairs a little apart, so that they do not all meet in one cache set
    nibbles, pairs = np.zeros(strips * positions * STRIP, np.uint8), np.zeros(positions * width, np.uint8)
    counts = np.zeros((strips, columns // 2, 2 * STRIP), np.int32 if cloud.M < 2**31 else np.int64)
    b, flat = cloud.b.reshape(-1), np.ascontiguousarray(x).reshape(-1)
    for chunk in range(0, K, _PATTERN_BLOCKS):
        last = min(K, chunk + _PATTERN_BLOCKS)
        if last - chunk < _PATTERN_BLOCKS:
            nibbles[:], pairs[:] = 0, 0
        passes = -(-(last - chunk) * POSITIONS // PASS)

        def pack(first: int, end: int, chunk: int = chunk) -> None:
            kernels.pack(b, cloud.d, flat, cloud.last_tiles, first, end, chunk, positions, nibbles, pairs, width)

        def count(first: int, passes: int = passes) -> None:
            kernels.count(kernels.tables, nibbles, pairs, width, positions, passes, first, team.size, counts)

        team.runs(pack, chunk, last)
        team.turns(count)
    team.turns(lambda first: kernels.weigh(counts, cloud.M, first, team.size, kernel))


def _mirrored(upper: Array) -> Array:
    """The symmetric matrix whose upper half this is."""
    half = np.triu(upper)
    return np.asarray(half + np.triu(upper, 1).T)


def _multiplied(net: Network, cloud: Cloud, x: Array, team: _Team, slopes: bool) -> Array:
    """int s^2 sigma' sigma' dmu or int sigma sigma dmu for every pair of inputs: (n, n)."""
    kernels, n, K = _kernels(net.row), len(x), len(cloud.b)
    make, lanes = kernels.slopes if slopes else kernels.values, cloud.b.shape[-1]
    strips = -(-n // lanes)
    u, columns = np.zeros(n * BLOCK), np.empty(strips * BLOCK * lanes)
    into = np.zeros(strips * n * lanes)
    b, flat = cloud.b.reshape(-1), np.ascontiguousarray(x).reshape(-1)
    for block in range(K):
        tiles = cloud.last_tiles if block == K - 1 else BLOCK // lanes
        if tiles * lanes < BLOCK:
            u[:] = 0.0
        scale = np.sqrt(blocks.row(cloud.w, block, K))
        scale = scale * np.abs(blocks.row(cloud.s, block, K)) if slopes else scale

        def features(first: int, last: int, scale: Array = scale, tiles: int = tiles, block: int = block) -> None:
            make(b, scale, cloud.d, flat, tiles, block, first, last, u)

        team.runs(features, 0, n)
        team.runs(lambda first, last: kernels.turn(u, n, first, last, columns), 0, strips)
        team.turns(lambda first: kernels.add_products(u, n, columns, first, team.size, into))
    found = into.reshape(strips, n, lanes).transpose(1, 0, 2).reshape(n, strips * lanes)
    return _mirrored(found[:, :n])


def operator(net: Network, measure: Measure, x: ArrayLike, engine: Local | None = None) -> LinearOperator:
    """The Gram matrix as a scipy LinearOperator that never forms it: 8 M n d flops a product, memory as the particles'.

    v is pushed through the particles as a slope would be, and the forces are summed back at the inputs.
    """
    inputs = net.inputs(x)
    measure = checked_measure(measure, inputs.shape[1])
    cloud = blocks.pack(measure, "float64", shared_signs=False)
    n, K, d = len(inputs), len(cloud.b), cloud.d
    push, pull = net.kernels("float64", d), _kernels(net.row)
    both, trained = "output" in net.train, "input" in net.train
    b, flat, none = cloud.b.reshape(-1), np.ascontiguousarray(inputs).reshape(-1), np.empty(0)

    def apply(v: Array) -> Array:
        totals = np.zeros((K, n))
        slope = np.ascontiguousarray(v, dtype=np.float64).reshape(-1)

        def work(first: int, last: int) -> None:
            force, output = np.zeros(BLOCK * d), np.zeros(BLOCK)
            for block in range(first, last):
                push.velocity_blocks(
                    b,
                    cloud.s,
                    d,
                    flat,
                    slope,
                    -1.0,
                    both,
                    cloud.last_tiles,
                    block,
                    block + 1,
                    False,
                    none,
                    force,
                    output,
                )
                if not trained:
                    force[:] = 0.0
                w, s = blocks.row(cloud.w, block, K), blocks.row(cloud.s, block, K)
                tiles = cloud.last_tiles if block == K - 1 else BLOCK // cloud.b.shape[-1]
                pull.apply_block(
                    b, block * BLOCK * d, d, np.stack([w * s, w]), flat, tiles, both, force, output, totals[block]
                )

        with _team(engine) as team:
            team.runs(work, 0, K)
        return blocks.tree_sum(totals)

    return LinearOperator((n, n), matvec=apply, rmatvec=apply, dtype=np.dtype(np.float64))
