"""The one-sample sweep for a network with k > 1 outputs: `online`, whose windows it shares.

An iteration's force on a particle is c_t = (sum_o f_to a_o) sigma'(z_t), with the k numbers f_to = -(eta / alpha)
slope_to, which are known when the iteration's outputs are. So a particle's slot holds sigma'(z_t) at first, and the
next pass over it, that of iteration t + 1, makes c_t of it. From there everything is as for one output.
"""

from typing import Any

import numpy as np

from particles.kernels.barrier import meet
from particles.kernels.compile import inlined, specialise
from particles.kernels.lanes import at, fma, fold, load, load_rows, lower, store, store_rows, upper, zero_rows, zeros
from particles.kernels.online import WindowKernels, settled, tree
from particles.kernels.output import BLOCK
from particles.kernels.special import exp
from particles.kernels.window import (
    WINDOW,
    close_window,
    look_ahead,
    relate,
    settle,
    tiles_of,
    turn_window,
    two_slots,
)

LANES = 8  # settled by `specialise`, as are the names below
COUNT = 4
pair: Any = None
loss_slope: Any = None
slopes_of: Any = None


def each_slope(g, y, begin, slopes):
    """dl/dz of a loss that is a sum over outputs."""
    for o in range(g.size):
        slopes[o] = loss_slope(g[o], y[begin + o])


def softmax_slopes(g, y, begin, slopes):
    """dl/dz of the softmax loss; a NaN spreads to all."""
    top = g[0]
    for o in range(1, g.size):
        top = max(top, g[o])
    total = 0.0
    for o in range(g.size):
        slopes[o] = exp(g[o] - top)
        total += slopes[o]
    for o in range(g.size):
        slopes[o] = slopes[o] / total - y[begin + o]


JOINT_SLOPES = {"softmax": softmax_slopes}


def forces_of(g, y, begin, size, alpha, forces, place):
    """-(eta / alpha) dl/dz of one iteration, into forces from `place` on; y : flat (T, k), its row at `begin`."""
    slopes = np.empty(g.size)
    slopes_of(g, y, begin, slopes)
    for o in range(g.size):
        forces[place + o] = -size / alpha * slopes[o]


def finish_slot(slots, a, k, forces, tile, u):
    """Slot u of a tile, sigma'(z_u) until here, becomes c_u."""
    c, place = zeros(slots), (tile * WINDOW + u) * LANES
    for o in range(k):
        c = fma(load(a, (tile * k + o) * LANES), at(forces, u * k + o), c)
    store(slots, place, c * load(slots, place))


def add_tiles(values, a, k, low, high, o, sums):
    """sums[q] = sum over tiles of a_(o + q) value, lane by lane, for COUNT outputs."""
    rows = zero_rows(values, COUNT)
    for tile in range(low, high):
        rows = fma(load(values, (tile - low) * LANES), load_rows(a, (tile * k + o) * LANES, COUNT), rows)
    store_rows(sums, 0, rows)


several = single = add_tiles


def sum_iteration(slots, factors, a, w, k, forces, t, low, high, values, lanes, sums, place):
    """A block's k sums of w a_o sigma(z_t), into sums from `place` on; sigma'(z_t) stays in slot t."""
    for tile in range(low, high, 2):
        if t:
            finish_slot(slots, a, k, forces, tile, t - 1)
            finish_slot(slots, a, k, forces, tile + 1, t - 1)
        z = two_slots(slots, tile, t)
        for u in range(t):
            z = fma(two_slots(slots, tile, u), at(factors, t * WINDOW + u), z)
        value, slope = pair(z)
        here, j = (tile * WINDOW + t) * LANES, (tile - low) * LANES
        store(slots, here, lower(slope))
        store(slots, here + WINDOW * LANES, upper(slope))
        store(values, j, load(w, tile * LANES) * lower(value))
        store(values, j + LANES, load(w, (tile + 1) * LANES) * upper(value))
    several_of = k - k % COUNT
    for o in range(0, several_of, COUNT):
        several(values, a, k, low, high, o, lanes)
        for q in range(COUNT):
            sums[place + o + q] = fold(load(lanes, q * LANES))
    for o in range(several_of, k):
        single(values, a, k, low, high, o, lanes)
        sums[place + o] = fold(load(lanes, 0))


def sum_blocks(slots, factors, a, w, k, forces, t, last_tiles, K, first, last, sums):
    """sums[block k + o] of iteration t for the blocks [first, last) of K."""
    values, lanes = np.empty(BLOCK, slots.dtype), np.empty(COUNT * LANES, slots.dtype)
    for block in range(first, last):
        low, high = tiles_of(block, block + 1, K, last_tiles)
        sum_iteration(slots, factors, a, w, k, forces, t, low, high, values, lanes, sums, block * k)


def finish_blocks(slots, a, k, forces, u, last_tiles, K, first, last):
    """The last iteration of a window, u: its slots become c_u in blocks [first, last)."""
    low, high = tiles_of(first, last, K, last_tiles)
    for tile in range(low, high):
        finish_slot(slots, a, k, forces, tile, u)


def sweep(b, mean, anchor, anchored, averaged, a, w, d, x, y, sizes, pull, alpha, iterates, last_tiles, first, last,
          slots, sums, outputs, gate, threads):  # fmt: skip
    """`online.sweep` for k outputs.

    a : flat (K, BLOCK / LANES, k, LANES); w : flat (K, BLOCK); y, outputs : flat (T, k); sums : (2, K k)
    """
    T, K = sizes.size, b.size // (BLOCK * d)
    k = outputs.size // T
    work, g = np.empty(K), np.empty(k)
    factors = np.zeros(WINDOW * WINDOW, b.dtype)
    ahead, pulled = np.zeros(WINDOW * d, b.dtype), np.zeros(WINDOW * d, b.dtype)
    moves, shifts = np.zeros(d * WINDOW, b.dtype), np.zeros(d * WINDOW, b.dtype)
    shares = np.zeros(5, b.dtype)
    shares[0], shares[2] = 1.0, 1.0
    forces, ones = np.zeros(WINDOW * k, b.dtype), np.ones(WINDOW)
    m = WINDOW
    for start in range(0, T, WINDOW):
        if start:
            finish_blocks(slots, a, k, forces, WINDOW - 1, last_tiles, K, first, last)
        m = min(WINDOW, T - start)
        look_ahead(x, sizes, pull, start, m, d, ahead, pulled)
        turn_window(start > 0, b, mean, anchor, anchored, averaged, d, ahead, pulled, moves, shifts, shares,
                    last_tiles, first, last, slots)  # fmt: skip
        for t in range(m):
            relate(x, sizes, pull, start, t, d, ones, factors)
            turn = (start + t) % 2
            sum_blocks(slots, factors, a, w, k, forces, t, last_tiles, K, first, last, sums[turn])
            if threads > 1:
                meet(gate, threads)
            for o in range(k):
                for j in range(K):
                    work[j] = sums[turn, j * k + o]
                g[o] = alpha * tree(work, K)
                outputs[(start + t) * k + o] = g[o]
            forces_of(g, y, (start + t) * k, sizes[start + t], alpha, forces, t * k)
        settle(x, sizes, pull, start, m, d, iterates, anchored, ones, moves, shifts, shares)
        iterates += m
    finish_blocks(slots, a, k, forces, m - 1, last_tiles, K, first, last)
    return close_window(b, mean, anchor, anchored, averaged, d, moves, shifts, shares, m, last_tiles, first, last,
                        slots)  # fmt: skip


def _settled(sigma: Any, derivative: Any, pair: Any, dtype: str, loss: str, join: Any, tiles: int | None) -> Any:
    names = settled(sigma, derivative, pair, dtype, None if loss in JOINT_SLOPES else loss, join, tiles)
    names["slopes_of"] = join(JOINT_SLOPES.get(loss, each_slope), **names)
    names["finish_slot"] = join(finish_slot, **names)
    names["several"], names["single"] = (join(add_tiles, **names | {"COUNT": count}) for count in (COUNT, 1))
    names["COUNT"] = COUNT
    for part in (sum_iteration, sum_blocks, finish_blocks, forces_of):
        names[part.__name__] = join(part, **names)
    return names


def online_kernel(
    sigma: Any,
    derivative: Any,
    pair: Any,
    dtype: str,
    loss: str,
    make: Any = specialise,
    join: Any = inlined,
    tiles: int | None = None,
) -> Any:
    """`sweep` of one activation, float type and loss, compiled."""
    return make(sweep, **_settled(sigma, derivative, pair, dtype, loss, join, tiles))


def window_kernels(sigma: Any, derivative: Any, pair: Any, dtype: str, loss: str) -> WindowKernels:
    """The pieces of one activation, float type and loss, compiled."""
    names = _settled(sigma, derivative, pair, dtype, loss, inlined, None)
    pieces = look_ahead, turn_window, relate, sum_blocks, forces_of, settle, close_window, finish_blocks
    return WindowKernels(*(specialise(piece, **names) for piece in pieces))
