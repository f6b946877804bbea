"""ReLU's tangent Gram matrix by counting: <x_i, x_j> times the share of particles that are active on both inputs.

A sample's activation pattern is a bit a particle, kept in nibbles: four particles in a byte. `nibbles` has the samples
in strips of 128 columns, position by position: a pass over a strip is 8 KB, which stay in the L1. `bit_counts` counts.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from particles.kernels.bit_counts import PASS, STRIP, count_pass, positive_bits, tables
from particles.kernels.compile import inlined, specialise
from particles.kernels.lanes import LANES as LANES_OF, load
from particles.kernels.output import BLOCK
from particles.kernels.product import product, product_loops

POSITIONS = 64  # of one block of 256 particles
LANES = 8  # settled by `specialise`


def pack(b, d, x, last_tiles, first, last, positions, nibbles, pairs, width):
    """The patterns of blocks [first, last) of a slab: rows of `nibbles` and `pairs`.

    b : flat (K, BLOCK / LANES, d, LANES); x : flat (n, d)
    nibbles : flat (strips, positions, STRIP), pairs : flat (positions, width), zero beyond the samples and particles
    """
    n, K = x.size // d, b.size // (BLOCK * d)
    z, bits = np.empty(STRIP * LANES, b.dtype), np.empty(STRIP, np.uint16)
    for block in range(first, last):
        for t in range(last_tiles if block == K - 1 else BLOCK // LANES):
            position = block * POSITIONS + t * (LANES // 4)
            for start in range(0, n, STRIP):
                m = min(STRIP, n - start)
                product(m, z, 0, 0, b, (block * BLOCK + t * LANES) * d, 0, x, start * d, d, 1, d, True)
                for i in range(m):
                    bits[i] = positive_bits(load(z, i * LANES))
                place = (start // STRIP * positions + position) * STRIP
                for q in range(LANES // 4):
                    row = nibbles[place + q * STRIP : place + q * STRIP + m]
                    for i in range(m):
                        row[i] = (bits[i] >> np.uint16(4 * q)) & np.uint16(15)
        for position in range(block * POSITIONS, (block + 1) * POSITIONS):
            for strip in range(nibbles.size // (positions * STRIP)):
                place, to = (strip * positions + position) * STRIP, position * width + strip * STRIP // 2
                row, into = nibbles[place : place + STRIP], pairs[to : to + STRIP // 2]
                for pair in range(STRIP // 2):
                    into[pair] = row[2 * pair] | (row[2 * pair + 1] << 4)


def count(tables, nibbles, pairs, width, positions, passes, first, step, symmetric, counts):
    """Add a slab's counts for the strips first, first + step, ... of columns; rows up to a strip's last if symmetric.

    counts : (strips of columns, pairs of rows, 2 STRIP) int32 or int64
    """
    for strip in range(first, len(counts), step):
        rows = (strip + 1) * STRIP // 2 if symmetric else counts.shape[1]
        sums = np.zeros(rows * 2 * STRIP, np.uint16)
        for done in range(passes):
            place = (strip * positions + done * PASS) * STRIP
            for pair in range(rows):
                count_pass(
                    tables, pairs, done * PASS * width + pair, width, nibbles, place, sums, pair * 2 * STRIP
                )  # fmt: skip
        for pair in range(rows):
            for j in range(2 * STRIP):
                counts[strip, pair, j] += sums[pair * 2 * STRIP + j]


def weigh(counts, total, first, step, symmetric, kernel):
    """kernel[i, j] *= counts of (i, j) / total, strips first, first + step, ... of columns.

    counts : as `count` left them; kernel : (rows, columns), the inputs' products. If symmetric, the mirror images too.
    """
    m, n = kernel.shape
    for strip in range(first, len(counts), step):
        low, high = strip * STRIP, min(n, (strip + 1) * STRIP)
        for tile in range(strip + 1 if symmetric else -(-m // STRIP)):
            for i in range(tile * STRIP, min(m, (tile + 1) * STRIP)):
                row = counts[strip, i // 2, i % 2 * STRIP : (i % 2 + 1) * STRIP]
                for j in range(low, high):
                    kernel[i, j] *= row[j - low] / total
            if symmetric and tile < strip:  # the tile is still in the cache
                for j in range(low, high):
                    for i in range(tile * STRIP, (tile + 1) * STRIP):
                        kernel[j, i] = kernel[i, j]


class PatternKernels(NamedTuple):
    """The loops, compiled, and the table they look up in."""

    pack: Any
    count: Any
    weigh: Any
    tables: Any


@cache
def pattern_kernels() -> PatternKernels:
    """The loops in float64."""
    lanes = LANES_OF["float64"]
    loops = product_loops(lanes, 1, specialise, inlined)
    return PatternKernels(
        specialise(pack, LANES=lanes, product=loops),
        specialise(count),
        specialise(weigh),
        tables().reshape(-1),
    )
