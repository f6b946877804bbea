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
derivative: Any = None
block_sums: Any = None


def narrow_sums(b, first, d, c, x, tiles, keep, values, kept, place, total, begin):
    """total[begin + i] = sum_r c_r sigma(b_r . x_i) over one block, d = INPUTS; keeps nothing."""
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


def keep_slopes(z, values, kept, place, beyond):
    """sigma(z) of one sample, or of two joined; sigma'(z) is kept from `place` on, and sigma(z) `beyond`, if asked."""
    value = sigma(z)
    store(kept, place, derivative(z))
    if values:
        store(kept, place + beyond, value)
    return value


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


def keep_outputs(z, begin, m, weight, sums, values, kept, place, beyond):
    """The same, and what `keep_slopes` keeps."""
    for j in range(0, (m - 1) * LANES, 2 * LANES):
        pair = join(load(z, begin + j), load(z, begin + j + LANES))
        both = keep_slopes(pair, values, kept, place + j, beyond)
        store(sums, j, fma(weight, lower(both), load(sums, j)))
        store(sums, j + LANES, fma(weight, upper(both), load(sums, j + LANES)))
    if m % 2:
        j = (m - 1) * LANES
        value = keep_slopes(load(z, begin + j), values, kept, place + j, beyond)
        store(sums, j, fma(weight, value, load(sums, j)))


def wide_sums(b, first, d, c, x, tiles, keep, values, kept, place, total, begin):
    """The same for any d.

    With `keep`, tile t's slopes sigma'(b . x_i) go to kept[place + (t n + i) lanes], with `values` sigma(b . x_i) to
    BLOCK n numbers further on.
    """
    n = x.size // d
    few = samples_at_once(d, b.itemsize)
    z, sums = np.empty(TILES * few * LANES, b.dtype), np.empty(few * LANES, b.dtype)
    for start in range(0, n, few):
        m = min(few, n - start)
        for j in range(0, m * LANES, LANES):
            store(sums, j, zeros(b))
        for t in range(0, tiles, TILES):  # the last tiles of a panel may be padding: their products are not used
            product(m, z, 0, few * LANES, b, first + t * d * LANES, d * LANES, x, start * d, d, 1, d, True)
            for u in range(t, min(t + TILES, tiles)):
                row, weight = (u - t) * few * LANES, load(c, u * LANES)
                if keep:
                    to = place + (u * n + start) * LANES
                    keep_outputs(z, row, m, weight, sums, values, kept, to, BLOCK * n)
                else:
                    add_outputs(z, row, m, weight, sums)
        for i in range(m):
            total[begin + start + i] = fold(load(sums, i * LANES))


def sum_groups(b, s, w, d, x, last_tiles, size, first, last, keep, values, kept, totals):
    """totals[j] = sum over the blocks of group j, j in [first, last), each group a subtree of `size` = 2^g blocks.

    b : flat, (K, BLOCK / LANES, d, LANES); s, w : (K, BLOCK) or fewer rows (`row_of`); x : flat (n, d)
    totals : (groups, n) float64; with k outputs (groups, n k), and s : (K, BLOCK k), a row (BLOCK / LANES, k, LANES)
    kept : flat (blocks, 1 or 2, BLOCK / LANES, n, LANES), slopes and, if asked, `values` of the blocks before `keep`

    A stack of partial sums, merged like the carries of a binary counter, adds the blocks in tree order while
    holding only g + 1 of them.
    """
    n, width = x.size // d, totals.shape[1]
    k, per_block = width // n, BLOCK * d
    K = b.size // per_block
    levels = 1
    while 1 << levels <= size:
        levels += 1
    stack = np.empty((levels + 1) * width)
    c = np.empty(BLOCK * k, b.dtype)
    for group in range(first, last):
        begin, end = group * size, min((group + 1) * size, K)
        depth = 0
        for block in range(begin, end):
            weigh_signs(s[row_of(s, block, K)], w[row_of(w, block, K)], k, c)
            tiles = last_tiles if block == K - 1 else BLOCK // LANES
            place = block * BLOCK * n * (2 if values else 1)
            block_sums(b, block * per_block, d, c, x, tiles, block < keep, values, kept, place, stack, depth * width)
            depth += 1
            done = block - begin + 1
            while done % 2 == 0:
                merge(stack, depth, width)
                depth -= 1
                done //= 2
        while depth > 1:  # an unfinished subtree at the end of the cloud: right to left, as the tree has it
            merge(stack, depth, width)
            depth -= 1
        for i in range(width):
            totals[group, i] = stack[i]


def weigh_signs(s, w, k, c):
    """c = s w, a block's row each; of k output weights a particle."""
    for t in range(0, BLOCK, LANES):
        for j in range(t * k, (t + LANES) * k, LANES):
            for lane in range(LANES):
                c[j + lane] = s[j + lane] * w[t + lane]


def merge(stack, depth, n):
    """Add the stack's top row to the one below."""
    for i in range(n):
        stack[(depth - 2) * n + i] += stack[(depth - 1) * n + i]


def row_of(a, block, K):
    """A block's row of signs or weights: one a block, or one for all and one for the last, which may be padded."""
    return block if len(a) == K else block // (K - 1)
