"""The velocity of every particle: v = -scale s sum_i slope_i sigma'(b.x_i) x_i, and that of its output weight.

Sums run over the samples in order, so tiles, chunks and threads change no bit. The same two ways as in output.py:
`narrow` holds a tile's particles and forces in registers while all samples go by; `wide` makes pre-activations of a few
samples (or takes the slopes that were kept), their forces in the L1, and one more blocked product.
"""

from typing import Any

import numpy as np

from particles.kernels.lanes import (
    at,
    fma,
    join,
    load,
    load_rows,
    lower,
    project,
    spread,
    store,
    store_rows,
    upper,
    zero_rows,
    zeros,
)
from particles.kernels.output import BLOCK, row_of, samples_at_once
from particles.kernels.product import product

LANES = 8  # settled by `specialise`, as are the names below
TILES = 1
INPUTS = 2
sigma: Any = None
derivative: Any = None
block_force: Any = None


def narrow_force(b, first, d, x, slope, tiles, with_output, keep, kept, place, force, into, output, o, z):
    """force = sum_i slope_i sigma'(b.x_i) x_i of a block's tiles and, if asked, output = sum_i slope_i sigma(b.x_i)."""
    n = slope.size
    for t in range(tiles):
        particles, forces = load_rows(b, first + t * INPUTS * LANES, INPUTS), zero_rows(b, INPUTS)
        for i in range(0, n - 1, 2):
            both = derivative(join(project(particles, x, i * INPUTS), project(particles, x, (i + 1) * INPUTS)))
            forces = spread(forces, at(slope, i) * lower(both), x, i * INPUTS, 1)
            forces = spread(forces, at(slope, i + 1) * upper(both), x, (i + 1) * INPUTS, 1)
        if n % 2:
            last = at(slope, n - 1) * derivative(project(particles, x, (n - 1) * INPUTS))
            forces = spread(forces, last, x, (n - 1) * INPUTS, 1)
        store_rows(force, into + t * INPUTS * LANES, forces)
        if with_output:  # a loop of its own: asking inside the other one took twice the time
            outputs = zeros(b)
            for i in range(n):
                outputs = fma(at(slope, i), sigma(project(particles, x, i * INPUTS)), outputs)
            store(output, o + t * LANES, outputs)


def weigh_slopes(z, begin, slope, start, m, into, to):
    """into[i] = slope_i sigma'(z_i) of one tile at m samples from `start` on."""
    for i in range(0, m - 1, 2):
        both = derivative(join(load(z, begin + i * LANES), load(z, begin + (i + 1) * LANES)))
        store(into, to + i * LANES, at(slope, start + i) * lower(both))
        store(into, to + (i + 1) * LANES, at(slope, start + i + 1) * upper(both))
    if m % 2:
        v = load(z, begin + (m - 1) * LANES)
        store(into, to + (m - 1) * LANES, at(slope, start + m - 1) * derivative(v))


def weigh_kept(kept, begin, slope, start, m, into, to):
    """into[i] = slope_i times what was kept of one tile at m samples."""
    for i in range(m):
        store(into, to + i * LANES, at(slope, start + i) * load(kept, begin + i * LANES))


def wide_force(b, first, d, x, slope, tiles, with_output, keep, kept, place, force, into, output, o, z):
    """The same for any d; with `keep`, slopes and values are where `wide_sums` kept them, from kept[place] on.

    Samples outside, so that a few of them stay in the cache while all tiles go by. Up to a whole panel of tiles: what
    is beyond the last is padding.
    """
    n = slope.size
    few = z.size // (TILES * LANES)
    for start in range(0, n, few):
        m = min(few, n - start)
        for t in range(0, tiles, TILES):
            tile, to = first + t * d * LANES, into + t * d * LANES
            if not keep:
                product(m, z, 0, few * LANES, b, tile, d * LANES, x, start * d, d, 1, d, True)
            for u in range(TILES):
                row, last, here = u * few * LANES, o + (t + u) * LANES, place + ((t + u) * n + start) * LANES
                if with_output:
                    outputs = zeros(b) if start == 0 else load(output, last)
                    for i in range(m):
                        far = here + (BLOCK * n + i * LANES)
                        value = load(kept, far) if keep else sigma(load(z, row + i * LANES))
                        outputs = fma(at(slope, start + i), value, outputs)
                    store(output, last, outputs)
                if keep:
                    weigh_kept(kept, here, slope, start, m, z, row)
                else:
                    weigh_slopes(z, row, slope, start, m, z, row)
            product(d, force, to, d * LANES, z, 0, few * LANES, x, start * d, 1, d, m, start == 0)


def velocity_blocks(b, s, d, x, slope, scale, with_output, last_tiles, first, last, keep, values, kept, v,
                    vs):  # fmt: skip
    """The data term of the velocity of blocks [first, last).

    b : flat, (K, BLOCK / LANES, d, LANES); s : (K, BLOCK) or fewer rows (`row_of`); x : flat (n, d)
    slope : (n,) = l'(g_i, y_i) / n; scale = 1 / alpha; kept : as `sum_groups` left it, with `values` where it kept them
    v : flat (last - first, BLOCK / LANES, d, LANES); vs : flat (last - first, BLOCK), zero where it is not trained
    """
    n, K = slope.size, b.size // (BLOCK * d)
    z = np.empty(TILES * samples_at_once(d, b.itemsize) * LANES, b.dtype)
    for block in range(first, last):
        row = row_of(s, block, K)
        tiles = last_tiles if block == K - 1 else BLOCK // LANES
        place = block * BLOCK * n * (2 if values else 1)
        j, o = (block - first) * BLOCK * d, (block - first) * BLOCK
        block_force(b, block * BLOCK * d, d, x, slope, tiles, with_output, block < keep, kept, place, v, j, vs, o,
                    z)  # fmt: skip
        for t in range(tiles):
            sign = load(s[row], t * LANES) * -scale
            for k in range(j + t * d * LANES, j + (t + 1) * d * LANES, LANES):
                store(v, k, load(v, k) * sign)
            last = o + t * LANES
            store(vs, last, load(vs, last) * -scale if with_output else zeros(b))
