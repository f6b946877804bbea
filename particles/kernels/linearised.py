"""The linearised step: what a small change of the particles does to the sums, and what it becomes in the push.

The velocity is minus a gradient, so its derivative is symmetric: the loops that carry a change of the particles forward
in time also carry the derivative of a run back. A direction is one number for every coordinate of every particle, p for
positions and q for output weights, in the storage of those. Several directions go together, since pre-activations and
their sigma, sigma', sigma'' serve all of them. Sums have the order of `output`, so bits depend on no thread or shard.
"""

from typing import Any, NamedTuple

import numpy as np

from particles.kernels import many_outputs, output, panels
from particles.kernels.compile import inlined, plain, specialise
from particles.kernels.lanes import LANES as LANES_OF, fma, fold, join, load, lower, store, upper
from particles.kernels.many_outputs import add_panel
from particles.kernels.output import BLOCK, merge, row_of, weigh_signs
from particles.kernels.panels import ROWS
from particles.kernels.product import product, product_loops

LANES = 8  # settled by `specialise`, as are the names below
TILES = 1
NEAR = 1 << 18
OUTPUTS = 2
sigma: Any = None
derivative: Any = None
curvature: Any = None
several = single = add_panel


def samples_of_sum(d, k, itemsize):
    """How many samples go through all tiles of a block at once: three numbers a particle stay in half an L2."""
    each = 3 * BLOCK + d + k * (LANES + 1)
    return max(ROWS, min(48, NEAR // (each * itemsize) // ROWS * ROWS))


def activate_slopes(z, begin, m, values, with_values):
    """z_i = sigma'(z_i) of one tile at m samples from `begin` on; values_i = sigma(z_i) if asked."""
    for i in range(begin, begin + (m - 1) * LANES, 2 * LANES):
        v = join(load(z, i), load(z, i + LANES))
        store(z, i, derivative(v))
        if with_values:
            store(values, i, sigma(v))
    if m % 2:
        i = begin + (m - 1) * LANES
        v = load(z, i)
        store(z, i, derivative(v))
        if with_values:
            store(values, i, sigma(v))


def add_tiles(values, apart, m, tiles, c, begin, k, sums):
    """sums[i k + o] += c_o value_i over all tiles, for m samples; what is beyond the last is not used."""
    for i in range(0, m, 3):
        for o in range(0, k - OUTPUTS + 1, OUTPUTS):
            several(values, i * LANES, apart, tiles, c, begin + o * LANES, k, sums, (i * k + o) * LANES)
        for o in range(k - k % OUTPUTS, k):
            single(values, i * LANES, apart, tiles, c, begin + o * LANES, k, sums, (i * k + o) * LANES)


def block_changes(b, p, first, apart, d, k, c, e, moves, weighs, x, tiles, directions, total, begin):
    """total[begin + (j n + i) k + o] = sum_r c_ro sigma'(b_r.x_i) p_jr.x_i + e_jro sigma(b_r.x_i) over one block.

    p : direction j's block at j apart + first; c : w s; e : flat (directions, BLOCK k). The first part if it `moves`,
    the second if it `weighs`.
    """
    n = x.size // d
    few = samples_of_sum(d, k, b.itemsize)
    far = few * LANES
    z, u = np.zeros(BLOCK * few, b.dtype), np.zeros(BLOCK * few, b.dtype)
    values, sums = np.zeros(BLOCK * few if weighs else 0, b.dtype), np.empty(few * k * LANES, b.dtype)
    for start in range(0, n, few):
        m = min(few, n - start)
        for t in range(0, tiles, TILES):
            product(m, z, t * far, far, b, first + t * d * LANES, d * LANES, x, start * d, d, 1, d, True)
        for t in range(tiles):
            activate_slopes(z, t * far, m, values, weighs)
        for j in range(directions):
            sums[:] = 0.0
            if moves:
                here = j * apart + first
                for t in range(0, tiles, TILES):
                    product(m, u, t * far, far, p, here + t * d * LANES, d * LANES, x, start * d, d, 1, d, True)
                for t in range(tiles):
                    for i in range(t * far, t * far + m * LANES, LANES):
                        store(u, i, load(z, i) * load(u, i))
                add_tiles(u, far, m, tiles, c, 0, k, sums)
            if weighs:
                add_tiles(values, far, m, tiles, e, j * BLOCK * k, k, sums)
            to = begin + (j * n + start) * k
            for i in range(m * k):
                total[to + i] = fold(load(sums, i * LANES))


def sum_changes(b, s, w, p, q, shift, d, x, moves, last_tiles, directions, size, first, last, totals):
    """totals[g, (j n + i) k + o]: how direction j changes sum_r w_r s_ro sigma(b_r.x_i) over the blocks of group g.

    p : flat (directions, K, BLOCK d), looked at if `moves`; q : flat (directions, K, BLOCK k), or empty where output
    weights stay; shift : flat (directions, K, BLOCK), the change of the weights w, or empty. Groups, b, s, w, x as in
    `output.sum_groups`.
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
            changes(b, p, block * BLOCK * d, b.size, d, k, c, e, moves, weighs, x, tiles, directions, stack,
                    depth * width)  # fmt: skip
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


changes = block_changes


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


def curve_tile(z, begin, m, c, values, slopes):
    """z_i = c_i sigma''(z_i) of one tile at m samples; values_i = sigma(z_i), slopes_i = sigma'(z_i)."""
    for i in range(begin, begin + (m - 1) * LANES, 2 * LANES):
        v = join(load(z, i), load(z, i + LANES))
        bent = curvature(v)
        store(values, i, sigma(v))
        store(slopes, i, derivative(v))
        store(z, i, load(c, i) * lower(bent))
        store(z, i + LANES, load(c, i + LANES) * upper(bent))
    if m % 2:
        i = begin + (m - 1) * LANES
        v = load(z, i)
        store(values, i, sigma(v))
        store(slopes, i, derivative(v))
        store(z, i, load(c, i) * curvature(v))


def change_velocities(b, s, p, q, d, x, slope, change, moves, weighs, last_tiles, directions, first, last, v, vs,
                      e):  # fmt: skip
    """What directions and changes of the slopes make of the push, for blocks [first, last), without -1/alpha.

    v_j  = sum_i [(slope_i.s) sigma'' p_j.x_i + (slope_i.q_j + change_ji.s) sigma'] x_i
    vs_j = sum_i slope_i sigma' p_j.x_i, e_j = sum_i change_ji sigma, both of every output

    p, q as in `sum_changes`, looked at if it `moves` and `weighs`; slope : flat (n, k); change : flat (directions, n,
    k); v : flat (directions, last - first, BLOCK d), nothing if it is empty; vs, e : flat (directions, last - first,
    BLOCK k), no vs if it is empty
    """
    n, K = x.size // d, b.size // (BLOCK * d)
    k, here = slope.size // n, last - first
    few = panels_at_once(d, b.itemsize)
    far = few * LANES
    z, c = np.zeros(TILES * far, b.dtype), np.zeros(TILES * far, b.dtype)
    u, values, slopes = np.zeros(TILES * far, b.dtype), np.zeros(TILES * far, b.dtype), np.zeros(TILES * far, b.dtype)
    for block in range(first, last):
        tiles = last_tiles if block == K - 1 else BLOCK // LANES
        signs, begin = s[row_of(s, block, K)], block * BLOCK * d
        for start in range(0, n, few):
            m = min(few, n - start)
            new = start == 0
            for t in range(0, tiles, TILES):
                row, own = t * d * LANES, t * k * LANES
                product(m, z, 0, far, b, begin + row, d * LANES, x, start * d, d, 1, d, True)
                product(m, c, 0, far, signs, own, k * LANES, slope, start * k, k, 1, k, True)
                for tile in range(TILES):
                    curve_tile(z, tile * far, m, c, values, slopes)
                for j in range(directions):
                    at, to = (j * n + start) * k, j * here + block - first
                    product(k, e, to * BLOCK * k + own, k * LANES, values, 0, far, change, at, 1, k, m, new)
                    product(m, c, 0, far, signs, own, k * LANES, change, at, k, 1, k, True)
                    if weighs:
                        mine = (j * K + block) * BLOCK * k + own
                        product(m, c, 0, far, q, mine, k * LANES, slope, start * k, k, 1, k, False)
                    if moves:
                        mine = (j * K + block) * BLOCK * d + row
                        product(m, u, 0, far, p, mine, d * LANES, x, start * d, d, 1, d, True)
                    if v.size:
                        turn_tiles(z, u, c, slopes, m, moves)
                        into = to * BLOCK * d + row
                        product(d, v, into, d * LANES, c, 0, far, x, start * d, 1, d, m, new)
                    if vs.size:
                        for tile in range(TILES):
                            for i in range(tile * far, tile * far + m * LANES, LANES):
                                store(u, i, load(slopes, i) * load(u, i))
                        into = to * BLOCK * k + own
                        product(k, vs, into, k * LANES, u, 0, far, slope, start * k, 1, k, m, new)


def turn_tiles(z, u, c, slopes, m, moves):
    """c_i = z_i u_i + c_i slope_i of a panel's tiles at m samples."""
    far = z.size // TILES
    for tile in range(TILES):
        for i in range(tile * far, tile * far + m * LANES, LANES):
            turned = load(c, i) * load(slopes, i)
            if moves:
                turned = fma(load(z, i), load(u, i), turned)
            store(c, i, turned)


panels_at_once = output.samples_at_once


class LinearKernels(NamedTuple):
    """The loops, compiled (or plain, for the tests)."""

    sum_changes: Any
    change_velocities: Any


def linear_kernels(
    sigma: Any, derivative: Any, curvature: Any, dtype: str, make: Any = specialise, join: Any = inlined
) -> LinearKernels:
    """The loops of one activation and one float type."""
    lanes, tiles = LANES_OF[dtype], panels.tiles_here()
    names: dict[str, Any] = {"LANES": lanes, "TILES": tiles, "NEAR": panels.near_bytes()}
    names |= {"sigma": sigma, "derivative": derivative, "curvature": curvature}
    names["OUTPUTS"] = panels.outputs_at_once(tiles)
    names["product"] = product_loops(lanes, tiles, make, join)
    names["several"] = join(many_outputs.add_panel, LANES=lanes, COUNT=names["OUTPUTS"])
    names["single"] = join(many_outputs.add_panel, LANES=lanes, COUNT=1)
    names["panels_at_once"] = join(output.samples_at_once, NEAR=panels.near_bytes())
    names |= {"row_of": join(output.row_of), "merge": join(output.merge)}
    names["weigh_signs"] = join(output.weigh_signs, LANES=lanes)
    for part in (samples_of_sum, activate_slopes, add_tiles, weigh_changes, curve_tile, turn_tiles):
        names[part.__name__] = join(part, **names)
    names["changes"] = join(block_changes, **names)
    return LinearKernels(make(sum_changes, **names), make(change_velocities, **names))


def plain_linear_kernels(sigma: Any, derivative: Any, curvature: Any, dtype: str) -> LinearKernels:
    """The same loops as ordinary Python, for the tests."""
    return linear_kernels(sigma, derivative, curvature, dtype, make=plain, join=plain)
