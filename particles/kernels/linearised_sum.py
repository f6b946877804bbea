"""How a change of the particles changes the sums: for several directions at once.

total[(j n + i) k + o] = sum_r c_ro sigma'(b_r.x_i) p_jr.x_i + e_jro sigma(b_r.x_i), c = w s, e = w q_j + shift_j s.

The sum has the order of `output`. The same two ways: `narrow` (few inputs, one output) makes p.x in registers, `wide`
by blocked products. Both make sigma' once for all directions.
"""

from typing import Any

import numpy as np

from particles.kernels.lanes import fma, fold, join, load, load_rows, lower, project, store, upper, zeros
from particles.kernels.many_outputs import add_panel
from particles.kernels.output import BLOCK, merge, row_of, weigh_signs
from particles.kernels.panels import ROWS
from particles.kernels.product import product

LANES = 8  # settled by `specialise`, as are the names below
TILES = 1
NEAR = 1 << 18
OUTPUTS = 2
INPUTS = 2
sigma: Any = None
derivative: Any = None
changes: Any = None
several = single = add_panel


def samples_of_sum(d, k, itemsize):
    """How many samples go through all tiles of a block at once: three numbers a particle stay in half an L2."""
    each = 3 * BLOCK + d + k * (LANES + 1)
    return max(ROWS, min(48, NEAR // (each * itemsize) // ROWS * ROWS))


def weigh_slopes(z, begin, m, weight, into, to, values, with_values):
    """into_i = weight sigma'(z_i) of one tile at m samples; values_i = sigma(z_i) if asked."""
    for i in range(0, (m - 1) * LANES, 2 * LANES):
        v = join(load(z, begin + i), load(z, begin + i + LANES))
        both = derivative(v)
        store(into, to + i, weight * lower(both))
        store(into, to + i + LANES, weight * upper(both))
        if with_values:
            store(values, to + i, sigma(v))
    if m % 2:
        i = (m - 1) * LANES
        v = load(z, begin + i)
        store(into, to + i, weight * derivative(v))
        if with_values:
            store(values, to + i, sigma(v))


def add_products(slopes, apart, u, begin, u_apart, m, tiles, sums):
    """sums[i] += slope_i u_i over all tiles, for m samples: the change of one output."""
    for i in range(0, (m - 2) * LANES, 3 * LANES):
        one, two, three = load(sums, i), load(sums, i + LANES), load(sums, i + 2 * LANES)
        for t in range(tiles):
            a, b = t * apart + i, begin + t * u_apart + i
            one = fma(load(slopes, a), load(u, b), one)
            two = fma(load(slopes, a + LANES), load(u, b + LANES), two)
            three = fma(load(slopes, a + 2 * LANES), load(u, b + 2 * LANES), three)
        store(sums, i, one)
        store(sums, i + LANES, two)
        store(sums, i + 2 * LANES, three)
    for i in range((m - m % 3) * LANES, m * LANES, LANES):
        one = load(sums, i)
        for t in range(tiles):
            one = fma(load(slopes, t * apart + i), load(u, begin + t * u_apart + i), one)
        store(sums, i, one)


def add_tiles(values, apart, m, tiles, c, begin, k, sums):
    """sums[i k + o] += c_o value_i over all tiles, for m samples; what is beyond the last is not used."""
    for i in range(0, m, 3):
        for o in range(0, k - OUTPUTS + 1, OUTPUTS):
            several(values, i * LANES, apart, tiles, c, begin + o * LANES, k, sums, (i * k + o) * LANES)
        for o in range(k - k % OUTPUTS, k):
            single(values, i * LANES, apart, tiles, c, begin + o * LANES, k, sums, (i * k + o) * LANES)


def wide_changes(b, p, first, apart, d, k, c, e, moves, weighs, x, tiles, directions, keep, kept, place, total,
                 begin):  # fmt: skip
    """The change of one block's sums; direction j's block is at j apart + first of p; e : flat (directions, BLOCK k).

    The first part if it `moves`, the second if it `weighs`. With `keep`, tile t's b.x_i goes to kept[place + (t n + i)
    lanes], and p_j.x_i to (j + 1) BLOCK n numbers further on.
    """
    n = x.size // d
    few = samples_of_sum(d, k, b.itemsize)
    far = few * LANES
    slopes, u = np.zeros(BLOCK * few, b.dtype), np.zeros(BLOCK * few, b.dtype)
    values, sums = np.zeros(BLOCK * few if weighs else 0, b.dtype), np.empty(few * k * LANES, b.dtype)
    # Where b.x and p.x lie, and how far from tile to tile; slopes then take the place of b.x unless that is kept.
    zs, us, wide = (kept, kept, n * LANES) if keep else (slopes, u, far)
    one = zeros(b) + 1.0
    for start in range(0, n, few):
        m = min(few, n - start)
        here = place + start * LANES if keep else 0
        for t in range(0, tiles, TILES):
            product(m, zs, here + t * wide, wide, b, first + t * d * LANES, d * LANES, x, start * d, d, 1, d, True)
        for t in range(tiles):
            weight = load(c, t * LANES) if k == 1 else one
            weigh_slopes(zs, here + t * wide, m, weight, slopes, t * far, values, weighs)
        for j in range(directions):
            sums[:] = 0.0
            if moves:
                mine, to = j * apart + first, here + (j + 1) * BLOCK * n if keep else 0
                for t in range(0, tiles, TILES):
                    product(m, us, to + t * wide, wide, p, mine + t * d * LANES, d * LANES, x, start * d, d, 1, d,
                            True)  # fmt: skip
                if k == 1:
                    add_products(slopes, far, us, to, wide, m, tiles, sums)
                else:
                    for t in range(tiles):
                        for i in range(0, m * LANES, LANES):
                            store(u, t * far + i, load(slopes, t * far + i) * load(us, to + t * wide + i))
                    add_tiles(u, far, m, tiles, c, 0, k, sums)
            if weighs:
                add_tiles(values, far, m, tiles, e, j * BLOCK * k, k, sums)
            into = begin + (j * n + start) * k
            for i in range(m * k):
                total[into + i] = fold(load(sums, i * LANES))


def narrow_changes(b, p, first, apart, d, k, c, e, moves, weighs, x, tiles, directions, keep, kept, place, total,
                   begin):  # fmt: skip
    """The same for d = INPUTS and k = 1; keeps nothing."""
    n = x.size // INPUTS
    few = samples_of_sum(d, k, b.itemsize)
    far = few * LANES
    slopes, values = np.zeros(BLOCK * few, b.dtype), np.zeros(BLOCK * few if weighs else 0, b.dtype)
    for start in range(0, n, few):
        m = min(few, n - start)
        for t in range(tiles):
            rows = load_rows(b, first + t * INPUTS * LANES, INPUTS)
            slopes_of(rows, load(c, t * LANES), x, start, m, slopes, t * far, values, weighs)
        for j in range(directions):
            mine, row, into = j * apart + first, j * BLOCK, begin + j * n + start
            for i in range(0, m - 1, 2):
                even, odd = zeros(b), zeros(b)
                if moves:
                    for t in range(tiles):
                        rows, a = load_rows(p, mine + t * INPUTS * LANES, INPUTS), t * far + i * LANES
                        even = fma(load(slopes, a), project(rows, x, (start + i) * INPUTS), even)
                        odd = fma(load(slopes, a + LANES), project(rows, x, (start + i + 1) * INPUTS), odd)
                if weighs:
                    for t in range(tiles):
                        weight, a = load(e, row + t * LANES), t * far + i * LANES
                        even, odd = fma(load(values, a), weight, even), fma(load(values, a + LANES), weight, odd)
                total[into + i] = fold(even)
                total[into + i + 1] = fold(odd)
            for i in range(m - m % 2, m):
                one = zeros(b)
                if moves:
                    for t in range(tiles):
                        rows = load_rows(p, mine + t * INPUTS * LANES, INPUTS)
                        one = fma(load(slopes, t * far + i * LANES), project(rows, x, (start + i) * INPUTS), one)
                if weighs:
                    for t in range(tiles):
                        one = fma(load(values, t * far + i * LANES), load(e, row + t * LANES), one)
                total[into + i] = fold(one)


def slopes_of(rows, weight, x, start, m, slopes, to, values, with_values):
    """As `weigh_slopes`, of a tile whose INPUTS rows are at hand, at m samples from `start` on."""
    for i in range(0, m - 1, 2):
        v = join(project(rows, x, (start + i) * INPUTS), project(rows, x, (start + i + 1) * INPUTS))
        both = derivative(v)
        store(slopes, to + i * LANES, weight * lower(both))
        store(slopes, to + (i + 1) * LANES, weight * upper(both))
        if with_values:
            store(values, to + i * LANES, sigma(v))
    if m % 2:
        v = project(rows, x, (start + m - 1) * INPUTS)
        store(slopes, to + (m - 1) * LANES, weight * derivative(v))
        if with_values:
            store(values, to + (m - 1) * LANES, sigma(v))


def sum_changes(b, s, w, p, q, shift, d, x, moves, last_tiles, directions, size, first, last, keep, kept,
                totals):  # fmt: skip
    """totals[g, (j n + i) k + o]: how direction j changes sum_r w_r s_ro sigma(b_r.x_i) over the blocks of group g.

    p : flat (directions, K, BLOCK d), looked at if `moves`; q : flat (directions, K, BLOCK k), or empty where output
    weights stay; shift : flat (directions, K, BLOCK), the change of the weights w, or empty. Groups, b, s, w, x as in
    `output.sum_groups`. kept : flat (blocks, 1 + directions, BLOCK / LANES, n, LANES), b.x and p_j.x of the blocks
    before `keep`.
    """
    n, K, width = x.size // d, b.size // (BLOCK * d), totals.shape[1]
    k = width // (directions * n)
    levels = 1
    while 1 << levels <= size:
        levels += 1
    stack = np.empty((levels + 1) * width)
    weighs = q.size > 0 or shift.size > 0
    c, e = np.empty(BLOCK * k, b.dtype), np.zeros(directions * BLOCK * k if weighs else 0, b.dtype)
    for group in range(first, last):
        begin, end = group * size, min((group + 1) * size, K)
        depth = 0
        for block in range(begin, end):
            signs, weights = s[row_of(s, block, K)], w[row_of(w, block, K)]
            weigh_signs(signs, weights, k, c)
            if weighs:
                weigh_changes(signs, weights, q, shift, block, K, k, directions, e)
            tiles = last_tiles if block == K - 1 else BLOCK // LANES
            place = block * (1 + directions) * BLOCK * n
            changes(b, p, block * BLOCK * d, b.size, d, k, c, e, moves, weighs, x, tiles, directions, block < keep,
                    kept, place, stack, depth * width)  # fmt: skip
            depth += 1
            done = block - begin + 1
            while done % 2 == 0:
                merge(stack, depth, width)
                depth -= 1
                done //= 2
        while depth > 1:
            merge(stack, depth, width)
            depth -= 1
        for i in range(width):
            totals[group, i] = stack[i]


def weigh_changes(s, w, q, shift, block, K, k, directions, e):
    """e_j = w q_j + shift_j s of one block."""
    for j in range(directions):
        at, row = (j * K + block) * BLOCK, j * BLOCK * k
        for t in range(0, BLOCK, LANES):
            for o in range(t * k, (t + LANES) * k, LANES):
                for lane in range(LANES):
                    change = 0.0
                    if q.size:
                        change += w[t + lane] * q[at * k + o + lane]
                    if shift.size:
                        change += shift[at + t + lane] * s[o + lane]
                    e[row + o + lane] = change
