"""The sum over particles: every block adds up its outputs at every sample.

Order of sums, which is what makes results repeat to the bit: z = b.x adds input by input; inside a block, lane j adds
particles j, j + LANES, ..., then the lanes are folded in halves; blocks are added in the binary tree of their numbers.
A group of 2^g consecutive blocks is a subtree, so any division of the blocks into such groups gives the same bits.

Two ways with the same bits. `narrow` (few inputs, a constant that the compiler sees): four samples at a time, all of a
tile's arithmetic in registers, nothing stored on the way. `wide`: pre-activations of a tile of particles by blocked
products into a buffer in the L1, then the activation over it.
"""

from typing import Any

import numpy as np

from particles.kernels.lanes import fma, fold, join, load, load_rows, lower, project, store, upper, zeros
from particles.kernels.panels import ROWS
from particles.kernels.product import product

BLOCK = 256
LANES = 8  # settled by `specialise`, as are the names below
TILES = 1
NEAR = 1 << 18
INPUTS = 2
sigma: Any = None
block_sums: Any = None


def narrow_sums(b, first, d, c, x, tiles, keep, kept, place, total, begin):
    """total[begin + i] = sum_r c_r sigma(b_r . x_i) over one block, d = INPUTS."""
    n = x.size // INPUTS
    for i in range(0, n - 1, 2):
        even, odd = zeros(b), zeros(b)
        for t in range(tiles):
            rows = load_rows(b, first + t * INPUTS * LANES, INPUTS)
            weight = load(c, t * LANES)
            both = sigma(join(project(rows, x, i * INPUTS), project(rows, x, (i + 1) * INPUTS)))
            even = fma(weight, lower(both), even)
            odd = fma(weight, upper(both), odd)
        total[begin + i] = fold(even)
        total[begin + i + 1] = fold(odd)
    for i in range(n - n % 2, n):
        one = zeros(b)
        for t in range(tiles):
            z = project(load_rows(b, first + t * INPUTS * LANES, INPUTS), x, i * INPUTS)
            one = fma(load(c, t * LANES), sigma(z), one)
        total[begin + i] = fold(one)


def samples_at_once(d, itemsize):
    """How many samples go with a panel's tiles: their inputs stay in half an L2, a multiple of the panel's rows."""
    return max(24, min(96, NEAR // (d * itemsize) // ROWS * ROWS))


def add_outputs(z, begin, m, weight, sums):
    """sums[i] += weight sigma(z_i) of one tile at m samples, its pre-activations from `begin` on."""
    for j in range(0, (m - 1) * LANES, 2 * LANES):
        both = sigma(join(load(z, begin + j), load(z, begin + j + LANES)))
        store(sums, j, fma(weight, lower(both), load(sums, j)))
        store(sums, j + LANES, fma(weight, upper(both), load(sums, j + LANES)))
    if m % 2:
        j = (m - 1) * LANES
        store(sums, j, fma(weight, sigma(load(z, begin + j)), load(sums, j)))


def wide_sums(b, first, d, c, x, tiles, keep, kept, place, total, begin):
    """The same for any d; with `keep`, tile t's pre-activations go to kept[place + (t n + i) lanes]."""
    n = x.size // d
    few = samples_at_once(d, b.itemsize)
    z, sums = np.empty(TILES * few * LANES, b.dtype), np.empty(few * LANES, b.dtype)
    for start in range(0, n, few):
        m = min(few, n - start)
        for j in range(0, m * LANES, LANES):
            store(sums, j, zeros(b))
        for t in range(0, tiles, TILES):  # the last tiles of a panel may be padding: their products are not used
            into, at, apart = (kept, place + (t * n + start) * LANES, n * LANES) if keep else (z, 0, few * LANES)
            product(m, into, at, apart, b, first + t * d * LANES, d * LANES, x, start * d, d, 1, d, True)
            for u in range(t, min(t + TILES, tiles)):
                add_outputs(into, at + (u - t) * apart, m, load(c, u * LANES), sums)
        for i in range(m):
            total[begin + start + i] = fold(load(sums, i * LANES))


def sum_groups(b, s, w, d, x, last_tiles, size, first, last, keep, kept, totals):
    """totals[j] = sum over the blocks of group j, j in [first, last), each group a subtree of `size` = 2^g blocks.

    b : flat, (K, BLOCK / LANES, d, LANES); s, w : (K, BLOCK) or fewer rows (`row_of`); x : flat (n, d)
    totals : (groups, n) float64; kept : flat (blocks, BLOCK / LANES, n, LANES), of blocks before `keep`

    A stack of partial sums, merged like the carries of a binary counter, adds the blocks in tree order while
    holding only g + 1 of them.
    """
    n = x.size // d
    per_block = BLOCK * d
    K = b.size // per_block
    levels = 1
    while 1 << levels <= size:
        levels += 1
    stack = np.empty((levels + 1) * n)
    c = np.empty(BLOCK, b.dtype)
    for group in range(first, last):
        begin, end = group * size, min((group + 1) * size, K)
        depth = 0
        for block in range(begin, end):
            s_row, w_row = row_of(s, block, K), row_of(w, block, K)
            for r in range(BLOCK):
                c[r] = s[s_row, r] * w[w_row, r]
            tiles = last_tiles if block == K - 1 else BLOCK // LANES
            place = block * BLOCK * n
            block_sums(b, block * per_block, d, c, x, tiles, block < keep, kept, place, stack, depth * n)
            depth += 1
            done = block - begin + 1
            while done % 2 == 0:
                merge(stack, depth, n)
                depth -= 1
                done //= 2
        while depth > 1:  # an unfinished subtree at the end of the cloud: right to left, as the tree has it
            merge(stack, depth, n)
            depth -= 1
        for i in range(n):
            totals[group, i] = stack[i]


def merge(stack, depth, n):
    """Add the stack's top row to the one below."""
    for i in range(n):
        stack[(depth - 2) * n + i] += stack[(depth - 1) * n + i]


def row_of(a, block, K):
    """A block's row of signs or weights: one a block, or one for all and one for the last, which may be padded."""
    return block if len(a) == K else block // (K - 1)
