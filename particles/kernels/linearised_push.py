"""What directions and changes of the slopes make of the push: for several directions at once.

v_j  = sum_i [(slope_i.s) sigma'' p_j.x_i + (slope_i.q_j + change_ji.s) sigma'] x_i
vs_j = sum_i slope_i sigma' p_j.x_i + change_ji sigma, of every output

and the change of the objective by a weight, s.e_j with e_j = sum_i change_ji sigma. Sums run over the samples
in order. The same two ways as in `velocity`. sigma, sigma' and sigma'' are made once, together, for all directions.
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
NEAR = 1 << 18
INPUTS = 2
jet: Any = None
block_push: Any = None


def three_formulas(v):
    """(sigma, sigma', sigma'') by a formula each; the compiler finds what they have in common."""
    return sigma(v), derivative(v), curvature(v)


sigma: Any = None
derivative: Any = None
curvature: Any = None


def curve(v, c, i, bent, values, slopes):
    """bent_i = c sigma''(v), values_i = sigma(v), slopes_i = sigma'(v)."""
    value, slope, bend = jet(v)
    store(values, i, value)
    store(slopes, i, slope)
    store(bent, i, c * bend)


def curve_two(v, one, two, i, bent, values, slopes):
    """The same at two samples, with a factor each."""
    value, slope, bend = jet(v)
    store(values, i, value)
    store(slopes, i, slope)
    store(bent, i, one * lower(bend))
    store(bent, i + LANES, two * upper(bend))


def narrow_push(b, s, p, q, first, own, apart, d, k, x, slope, change, moves, weighs, wants, tiles, directions, keep,
                kept, place, v, vs, e):  # fmt: skip
    """One block's v, vs and e for d = INPUTS and k = 1; what was kept is not looked at."""
    n = slope.size
    few = samples_at_once(d, b.itemsize)
    bent, values, slopes = (
        np.zeros(few * LANES, b.dtype),
        np.zeros(few * LANES, b.dtype),
        np.zeros(few * LANES, b.dtype),
    )
    for t in range(tiles):
        rows, sign, row = load_rows(b, first + t * INPUTS * LANES, INPUTS), load(s, t * LANES), t * INPUTS * LANES
        for start in range(0, n, few):
            m = min(few, n - start)
            for i in range(0, m - 1, 2):
                z = join(project(rows, x, (start + i) * INPUTS), project(rows, x, (start + i + 1) * INPUTS))
                one, two = sign * at(slope, start + i), sign * at(slope, start + i + 1)
                curve_two(z, one, two, i * LANES, bent, values, slopes)
            if m % 2:
                z, i = project(rows, x, (start + m - 1) * INPUTS), m - 1
                curve(z, sign * at(slope, start + i), i * LANES, bent, values, slopes)
            for j in range(directions):
                to, at_e, bends = j * BLOCK * INPUTS + row, j * BLOCK + t * LANES, j * n + start
                along = load_rows(p, j * apart * INPUTS + first + row, INPUTS) if moves else zero_rows(b, INPUTS)
                sum_e = load(e, at_e)
                if wants:
                    turn = load(q, j * apart + own + t * LANES) if weighs else zeros(b)
                    force = load_rows(v, to, INPUTS)
                    for i in range(m):
                        number, a = at(change, bends + i), i * LANES
                        turned = fma(turn, at(slope, start + i), sign * number) * load(slopes, a)
                        turned = fma(load(bent, a), project(along, x, (start + i) * INPUTS), turned)
                        force = spread(force, turned, x, (start + i) * INPUTS, 1)
                        sum_e = fma(number, load(values, a), sum_e)
                    store_rows(v, to, force)
                else:
                    for i in range(m):
                        sum_e = fma(at(change, bends + i), load(values, i * LANES), sum_e)
                store(e, at_e, sum_e)
                if vs.size and moves:
                    sum_s = load(vs, at_e)
                    for i in range(m):
                        u = load(slopes, i * LANES) * project(along, x, (start + i) * INPUTS)
                        sum_s = fma(at(slope, start + i), u, sum_s)
                    store(vs, at_e, sum_s)


def wide_push(b, s, p, q, first, own, apart, d, k, x, slope, change, moves, weighs, wants, tiles, directions, keep,
              kept, place, v, vs, e):  # fmt: skip
    """The same for any d and k; with `keep`, b.x and p_j.x are where `linearised_sum.wide_changes` kept them."""
    n = x.size // d
    few = samples_at_once(d, b.itemsize)
    far = few * LANES
    z, u, c = np.zeros(TILES * far, b.dtype), np.zeros(TILES * far, b.dtype), np.zeros(TILES * far, b.dtype)
    bent, values, slopes = np.zeros_like(z), np.zeros_like(z), np.zeros_like(z)
    zs, us, wide = (kept, kept, n * LANES) if keep else (z, u, far)
    for start in range(0, n, few):
        m = min(few, n - start)
        for t in range(0, tiles, TILES):
            row, panel, here = t * d * LANES, t * k * LANES, 0
            if keep:
                here = place + (t * n + start) * LANES
            else:
                product(m, z, 0, far, b, first + row, d * LANES, x, start * d, d, 1, d, True)
            product(m, c, 0, far, s, panel, k * LANES, slope, start * k, k, 1, k, True)
            for tile in range(min(TILES, tiles - t)):
                curve_tile(zs, here + tile * wide, tile * far, m, c, bent, values, slopes)
            for j in range(directions):
                bends, mine, to = (j * n + start) * k, j * apart * d + first + row, here + (j + 1) * BLOCK * n
                at_e, turns = j * BLOCK * k + panel, j * apart * k + own + panel
                if not keep:
                    to = 0
                    if moves:
                        product(m, u, 0, far, p, mine, d * LANES, x, start * d, d, 1, d, True)
                if k > 1:
                    product(k, e, at_e, k * LANES, values, 0, far, change, bends, 1, k, m, False)
                    if wants:
                        product(m, c, 0, far, s, panel, k * LANES, change, bends, k, 1, k, True)
                        if weighs:
                            product(m, c, 0, far, q, turns, k * LANES, slope, start * k, k, 1, k, False)
                for tile in range(min(TILES, tiles - t)):
                    row_t, row_u = tile * far, to + tile * wide
                    if k == 1:
                        add_values(values, row_t, change, bends, m, e, at_e + tile * LANES)
                        if wants:
                            turn = load(q, turns + tile * LANES) if weighs else zeros(b)
                            weigh_samples(load(s, panel + tile * LANES), turn, change, bends, slope, start, m, c, row_t)
                    if wants:
                        turn_tile(bent, us, row_u, c, slopes, row_t, m, moves)
                if wants:
                    product(d, v, j * BLOCK * d + row, d * LANES, c, 0, far, x, start * d, 1, d, m, False)
                if vs.size and moves:
                    for tile in range(min(TILES, tiles - t)):
                        for i in range(0, m * LANES, LANES):
                            store(c, tile * far + i, load(slopes, tile * far + i) * load(us, to + tile * wide + i))
                    product(k, vs, at_e, k * LANES, c, 0, far, slope, start * k, 1, k, m, False)


def curve_tile(z, begin, row, m, c, bent, values, slopes):
    """bent_i = c_i sigma''(z_i), values_i = sigma(z_i), slopes_i = sigma'(z_i) of one tile at m samples."""
    for i in range(0, (m - 1) * LANES, 2 * LANES):
        v, to = join(load(z, begin + i), load(z, begin + i + LANES)), row + i
        curve_two(v, load(c, to), load(c, to + LANES), to, bent, values, slopes)
    if m % 2:
        i = (m - 1) * LANES
        curve(load(z, begin + i), load(c, row + i), row + i, bent, values, slopes)


def add_values(values, row, change, bends, m, e, to):
    """e += change_i value_i of one tile at m samples, one output."""
    total = load(e, to)
    for i in range(m):
        total = fma(at(change, bends + i), load(values, row + i * LANES), total)
    store(e, to, total)


def weigh_samples(sign, turn, change, bends, slope, start, m, c, row):
    """c_i = change_i s + slope_i q of one tile at m samples, one output."""
    for i in range(m):
        store(c, row + i * LANES, fma(turn, at(slope, start + i), sign * at(change, bends + i)))


def turn_tile(bent, us, begin, c, slopes, row, m, moves):
    """c_i = bent_i u_i + c_i slope_i of one tile at m samples."""
    if moves:
        for i in range(0, m * LANES, LANES):
            turned = load(c, row + i) * load(slopes, row + i)
            store(c, row + i, fma(load(bent, row + i), load(us, begin + i), turned))
    else:
        for i in range(row, row + m * LANES, LANES):
            store(c, i, load(c, i) * load(slopes, i))


def change_velocities(b, s, p, q, d, x, slope, change, moves, weighs, last_tiles, directions, first, last, keep, kept,
                      size, decay_p, decay_q, out_p, out_q, variation):  # fmt: skip
    """out += size (v, vs) + decay (p, q), variation += size s.e, for blocks [first, last).

    p : flat (directions, K, BLOCK d), q : flat (directions, K, BLOCK k), looked at if it `moves` and `weighs`, or if
    there is a decay; slope : flat (n, k); change : flat (directions, n, k); kept : as `sum_changes` left it. out_p,
    out_q : like p and q, which they may be, or empty; variation : flat (directions, K, BLOCK), float64.
    """
    n, K = x.size // d, b.size // (BLOCK * d)
    k = slope.size // n
    v, vs = np.zeros(directions * BLOCK * d if out_p.size else 0, b.dtype), np.zeros(0, b.dtype)
    if out_q.size:
        vs = np.zeros(directions * BLOCK * k, b.dtype)
    e = np.zeros(directions * BLOCK * k, b.dtype)
    for block in range(first, last):
        tiles = last_tiles if block == K - 1 else BLOCK // LANES
        signs = s[row_of(s, block, K)]
        v[:] = 0.0
        vs[:] = 0.0
        e[:] = 0.0
        place = block * (1 + directions) * BLOCK * n
        block_push(b, signs, p, q, block * BLOCK * d, block * BLOCK * k, K * BLOCK, d, k, x, slope, change, moves,
                   weighs, out_p.size > 0, tiles, directions, block < keep, kept, place, v, vs, e)  # fmt: skip
        for j in range(directions):
            row = (j * K + block) * BLOCK
            if out_p.size:
                add_change(v, j * BLOCK * d, p, decay_p, size, out_p, row * d, tiles * d)
            if out_q.size:
                for o in range(j * BLOCK * k, (j + 1) * BLOCK * k, LANES):
                    store(vs, o, load(vs, o) + load(e, o))
                add_change(vs, j * BLOCK * k, q, decay_q, size, out_q, row * k, tiles * k)
            for t in range(tiles):
                weigh_values(signs, e, t, j * BLOCK * k, k, size, variation, row)


def add_change(change, begin, direction, decay, size, out, to, count):
    """out += size change + decay direction, `count` vectors of one block."""
    for o in range(0, count * LANES, LANES):
        total = fma(load(change, begin + o), size, load(out, to + o))
        if decay != 0.0:
            total = fma(load(direction, to + o), decay, total)
        store(out, to + o, total)


def weigh_values(s, e, t, begin, k, size, variation, row):
    """variation += size s.e of tile t."""
    for lane in range(LANES):
        total = 0.0
        for o in range(t * k * LANES + lane, (t + 1) * k * LANES, LANES):
            total += np.float64(s[o]) * np.float64(e[begin + o])
        variation[row + t * LANES + lane] += np.float64(size) * total
