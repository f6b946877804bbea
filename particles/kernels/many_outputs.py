"""The inner loops for a network with k > 1 outputs: what `output` and `velocity` do for one.

Output weights lie like positions, a (K, BLOCK / LANES, k, LANES). The sum of a block is a product that adds over
particles, and lanes are particles: the sums of some samples and outputs stay in registers while all tiles go by, lane
by lane, and lanes are folded at the end; so with k = 1 they are those of `output` to the bit. A push first makes one
number a particle and sample, sum_o slope_io a_o, by the blocked product that makes pre-activations too. From there it
is the push of one output, and the output weights' velocities are that product once more.
"""

from typing import Any

import numpy as np

from particles.kernels.lanes import fma, fold, join, load, load_rows, lower, store, store_rows, upper, zeros
from particles.kernels.output import BLOCK
from particles.kernels.panels import ROWS
from particles.kernels.product import product

LANES = 8  # settled by `specialise`, as are the names below
TILES = 1
NEAR = 1 << 18
OUTPUTS = 2  # whose sums stay in registers, beside those of three samples
COUNT = 2
sigma: Any = None
derivative: Any = None


def samples_of_block(d, k, itemsize):
    """How many samples go through all tiles of a block at once: values, sums and inputs stay in half an L2."""
    each = BLOCK + d + k * (LANES + 1)
    return max(ROWS, min(48, NEAR // (each * itemsize) // ROWS * ROWS))


def add_panel(values, first, apart, tiles, c, begin, k, sums, place):
    """sums[i k + o] += c_o value_i over all tiles, lane by lane, for three samples i and COUNT outputs o."""
    one, two = load_rows(sums, place, COUNT), load_rows(sums, place + k * LANES, COUNT)
    three = load_rows(sums, place + 2 * k * LANES, COUNT)
    for t in range(tiles):
        weights, value = load_rows(c, begin + t * k * LANES, COUNT), first + t * apart
        one = fma(load(values, value), weights, one)
        two = fma(load(values, value + LANES), weights, two)
        three = fma(load(values, value + 2 * LANES), weights, three)
    store_rows(sums, place, one)
    store_rows(sums, place + k * LANES, two)
    store_rows(sums, place + 2 * k * LANES, three)


several = single = add_panel


def activate(z, begin, m):
    """z_i = sigma(z_i) of one tile at m samples, which begin at z[begin]."""
    for j in range(begin, begin + (m - 1) * LANES, 2 * LANES):
        both = sigma(join(load(z, j), load(z, j + LANES)))
        store(z, j, lower(both))
        store(z, j + LANES, upper(both))
    if m % 2:
        j = begin + (m - 1) * LANES
        store(z, j, sigma(load(z, j)))


def activate_and_keep(z, begin, m, values, kept, place, beyond):
    """The same; sigma'(z_i) is kept from `place` on, and sigma(z_i) `beyond` if asked."""
    for i in range(0, m * LANES, LANES):
        v = load(z, begin + i)
        value = sigma(v)
        store(kept, place + i, derivative(v))
        if values:
            store(kept, place + i + beyond, value)
        store(z, begin + i, value)


def many_sums(b, first, d, c, x, tiles, keep, values, kept, place, total, begin):
    """total[begin + i k + o] = sum_r c_ro sigma(b_r . x_i) over one block; what is kept as in `output.wide_sums`."""
    n, k = x.size // d, c.size // BLOCK
    few = samples_of_block(d, k, b.itemsize)
    z, sums = np.zeros(BLOCK * few, b.dtype), np.empty(few * k * LANES, b.dtype)
    for start in range(0, n, few):
        m = min(few, n - start)
        for t in range(0, tiles, TILES):  # the last tiles of a panel may be padding: their products are not used
            here = t * few * LANES
            product(m, z, here, few * LANES, b, first + t * d * LANES, d * LANES, x, start * d, d, 1, d, True)
        for t in range(tiles):
            if keep:
                to = place + (t * n + start) * LANES
                activate_and_keep(z, t * few * LANES, m, values, kept, to, BLOCK * n)
            else:
                activate(z, t * few * LANES, m)
        sums[:] = 0.0
        for i in range(0, m, 3):  # what is beyond the last sample is not used
            for o in range(0, k - OUTPUTS + 1, OUTPUTS):
                several(z, i * LANES, few * LANES, tiles, c, o * LANES, k, sums, (i * k + o) * LANES)
            for o in range(k - k % OUTPUTS, k):
                single(z, i * LANES, few * LANES, tiles, c, o * LANES, k, sums, (i * k + o) * LANES)
        for j in range(m * k):
            total[begin + start * k + j] = fold(load(sums, j * LANES))


def weigh_tile(z, begin, c, m):
    """z_i = c_i sigma'(z_i) of one tile at m samples."""
    for i in range(begin, begin + (m - 1) * LANES, 2 * LANES):
        both = derivative(join(load(z, i), load(z, i + LANES)))
        store(z, i, load(c, i) * lower(both))
        store(z, i + LANES, load(c, i + LANES) * upper(both))
    if m % 2:
        i = begin + (m - 1) * LANES
        store(z, i, load(c, i) * derivative(load(z, i)))


def weigh_tile_too(z, begin, c, m, out):
    """The same, and out_i = sigma(z_i): together, since the two have arithmetic in common."""
    for i in range(begin, begin + (m - 1) * LANES, 2 * LANES):
        v = join(load(z, i), load(z, i + LANES))
        value, slope = sigma(v), derivative(v)
        store(out, i, lower(value))
        store(out, i + LANES, upper(value))
        store(z, i, load(c, i) * lower(slope))
        store(z, i + LANES, load(c, i + LANES) * upper(slope))
    if m % 2:
        i = begin + (m - 1) * LANES
        v = load(z, i)
        store(out, i, sigma(v))
        store(z, i, load(c, i) * derivative(v))


def weigh_kept_tile(z, begin, c, m, kept, place, out, with_output, beyond):
    """The same from what was kept: sigma' from `place` on, sigma `beyond`."""
    for i in range(0, m * LANES, LANES):
        store(z, begin + i, load(c, begin + i) * load(kept, place + i))
    if with_output:
        for i in range(0, m * LANES, LANES):
            store(out, begin + i, load(kept, place + beyond + i))


def many_velocities(b, s, d, x, slope, scale, with_output, last_tiles, first, last, keep, values, kept, v,
                    vs):  # fmt: skip
    """The data term of the velocity of blocks [first, last).

    v_r = -scale sum_i (sum_o slope_io a_ro) sigma'(b_r . x_i) x_i, and of a_ro -scale sum_i slope_io sigma(b_r . x_i).

    s : (K, BLOCK k), each row (BLOCK / LANES, k, LANES); slope : flat (n, k); vs : flat (last - first, BLOCK / LANES,
    k, LANES). The rest as in `velocity.velocity_blocks`.
    """
    n, K, k = x.size // d, b.size // (BLOCK * d), s.shape[1] // BLOCK
    few = samples_of_block(d, k, b.itemsize)
    apart = few * LANES
    z, c = np.zeros(TILES * apart, b.dtype), np.zeros(TILES * apart, b.dtype)
    values_here = np.zeros(TILES * apart if with_output else 0, b.dtype)
    for block in range(first, last):
        tiles = last_tiles if block == K - 1 else BLOCK // LANES
        kept_of = block * BLOCK * n * (2 if values else 1)
        a, here, o = s[block], (block - first) * BLOCK * d, (block - first) * BLOCK * k
        for start in range(0, n, few):
            m = min(few, n - start)
            for t in range(0, tiles, TILES):
                tile, to = block * BLOCK * d + t * d * LANES, here + t * d * LANES
                if block >= keep:
                    product(m, z, 0, apart, b, tile, d * LANES, x, start * d, d, 1, d, True)
                product(m, c, 0, apart, a, t * k * LANES, k * LANES, slope, start * k, k, 1, k, True)
                for u in range(TILES):
                    if block < keep:
                        place = kept_of + ((t + u) * n + start) * LANES
                        weigh_kept_tile(z, u * apart, c, m, kept, place, values_here, with_output, BLOCK * n)
                    elif with_output:
                        weigh_tile_too(z, u * apart, c, m, values_here)
                    else:
                        weigh_tile(z, u * apart, c, m)
                product(d, v, to, d * LANES, z, 0, apart, x, start * d, 1, d, m, start == 0)
                if with_output:
                    out = o + t * k * LANES
                    product(k, vs, out, k * LANES, values_here, 0, apart, slope, start * k, 1, k, m, start == 0)
        for j in range(here, here + tiles * d * LANES, LANES):
            store(v, j, load(v, j) * -scale)
        for j in range(o, o + tiles * k * LANES, LANES):
            store(vs, j, load(vs, j) * -scale if with_output else zeros(b))
