"""One window of the one-sample sweep (`online`): several iterations between two passes over the particles.

With rho_t = 1 - eta_t lam, an iteration is b_(t+1) - a = rho_t (b_t - a) + c_t x_t, where a is the anchor and c_t =
-(eta_t / alpha) slope_t s sigma'(b_t . x_t) one number a particle. So within a window that begins at b_0

    b_t . x_t = P_t b_0 . x_t + (1 - P_t) a . x_t + sum_(u<t) Q_ut <x_u, x_t> c_u,     P_t = prod_(k<t) rho_k,
                                                                                    Q_ut = prod_(u<k<t) rho_k

needs the positions at the window's start only: they, the anchor and the average are read and written once a window, and
in between an iteration touches one pre-activation and a few c's a particle. A particle has one slot an iteration: what
the window began with, until its turn comes, and its part of c_t from then on. Exact algebra, not an approximation.

A window begins on a panel of TILES tiles (`panels`) at once, so that a broadcast number feeds all of them. It ends tile
after tile, in the order of memory: with four tiles at once, beyond the caches, the processor fetched too little ahead.
Six iterations fill AVX2's registers; 4 and 8 were slower by a fifth. What a panel has beyond the last tile is padding,
whose particles stay at zero: their signs and weights are.
"""

from typing import Any

import numpy as np

from particles.kernels.lanes import (
    at,
    fma,
    fold,
    join,
    load,
    load_panel,
    load_rows,
    lower,
    spread,
    store,
    store_panel,
    store_rows,
    upper,
    zero_rows,
    zeros,
)
from particles.kernels.output import BLOCK

WINDOW = 6
INPUTS = 2  # that a window's end takes at once: with AVX2 four sums an input, and 3 were slower
LANES = 8  # settled by `specialise`, as are the names below
TILES = 1
SUMS = 6
COUNT = 2
sigma: Any = None
derivative: Any = None
pair: Any = None


def both_apart(v):
    """(sigma, sigma'), for an activation without a formula for both."""
    return sigma(v), derivative(v)


def begin_window(b, anchor, anchored, d, ahead, pulled, tile, slots):
    """slots[tile, t] = P_t b . x_t + (1 - P_t) a . x_t of one panel's tiles.

    ahead, pulled : flat (WINDOW, d), P_t x_t and (1 - P_t) x_t
    """
    rows, here, apart = zero_rows(b, SUMS), tile * d * LANES, d * LANES
    for k in range(d):
        rows = spread(rows, load_panel(b, here + k * LANES, apart, TILES, 1), ahead, k, d)
    if anchored:
        for k in range(d):
            rows = spread(rows, load_panel(anchor, here + k * LANES, apart, TILES, 1), pulled, k, d)
    store_panel(slots, tile * WINDOW * LANES, WINDOW * LANES, TILES, rows)


def two_slots(slots, tile, t):
    """Slot t of a tile and of the next, joined."""
    place = (tile * WINDOW + t) * LANES
    return join(load(slots, place), load(slots, place + WINDOW * LANES))


def sum_iteration(slots, factors, s, c, offset, t, first, last):
    """The block's sum of c sigma(z_t); slots[tile, t] = s sigma'(z_t) on the way, for tiles [first, last).

    z_t = b_t . x_t is what the window began with, and the iterations since.

    factors : flat (WINDOW, WINDOW); offset : from a tile's own place to its place in s and c
    """
    total = zeros(slots)
    for tile in range(first, last, 2):
        z = two_slots(slots, tile, t)
        for u in range(t):
            z = fma(two_slots(slots, tile, u), at(factors, t * WINDOW + u), z)
        values, slopes = pair(z)
        place, j = (tile * WINDOW + t) * LANES, tile * LANES + offset
        store(slots, place, load(s, j) * lower(slopes))
        store(slots, place + WINDOW * LANES, load(s, j + LANES) * upper(slopes))
        total = fma(load(c, j), lower(values), total)
        total = fma(load(c, j + LANES), upper(values), total)
    return fold(total)


def end_inputs(b, mean, anchor, averaged, d, moves, shifts, shares, slots, tile, k):
    """b_m and the running average, from b_0: COUNT inputs of a tile, from k on.

    moves, shifts : flat (d, WINDOW), what c_u's factor times x_u adds to b and to the average
    shares : P_m, 1 - P_m; of the old average, of b_0 and of the anchor in the new average
    """
    place, steps = (tile * d + k) * LANES, tile * WINDOW * LANES
    now, there = load_rows(b, place, COUNT), load_rows(anchor, place, COUNT)
    new = average = fma(now, at(shares, 0), at(shares, 1) * there)
    if averaged:
        begun = fma(now, at(shares, 3), at(shares, 4) * there)
        average = fma(load_rows(mean, place, COUNT), at(shares, 2), begun)
    for u in range(WINDOW):
        c = load(slots, steps + u * LANES)
        new = spread(new, c, moves, k * WINDOW + u, WINDOW)
        if averaged:
            average = spread(average, c, shifts, k * WINDOW + u, WINDOW)
    if averaged:
        store_rows(mean, place, average)
    store_rows(b, place, new)


end_several = end_inputs


def end_window(b, mean, anchor, averaged, d, moves, shifts, shares, slots, tile):
    """`end_inputs` of all inputs; asked outside of the loops whether there is an average."""
    several = d - d % INPUTS
    if averaged:
        for k in range(0, several, INPUTS):
            end_several(b, mean, anchor, True, d, moves, shifts, shares, slots, tile, k)
        for k in range(several, d):
            end_inputs(b, mean, anchor, True, d, moves, shifts, shares, slots, tile, k)
    else:
        for k in range(0, several, INPUTS):
            end_several(b, mean, anchor, False, d, moves, shifts, shares, slots, tile, k)
        for k in range(several, d):
            end_inputs(b, mean, anchor, False, d, moves, shifts, shares, slots, tile, k)


def tiles_of(first, last, K, last_tiles):
    """[low, high), the tiles of blocks [first, last) of K."""
    per_block = BLOCK // LANES
    return first * per_block, (last - 1) * per_block + (last_tiles if last == K else per_block)


def all_finite(b, d, first, last):
    """Whether every number of tiles [first, last) is finite."""
    check = zeros(b)
    for j in range(first * d * LANES, last * d * LANES, LANES):
        check = fma(load(b, j), 0.0, check)  # 0 for a finite b, NaN otherwise
    return fold(check) == 0.0


def look_ahead(x, sizes, pull, start, m, d, ahead, pulled):
    """P_t x_t and (1 - P_t) x_t of the m iterations from `start`, (WINDOW, d) each."""
    kept = 1.0
    for t in range(m):
        for k in range(d):
            value = x[(start + t) * d + k]
            ahead[t * d + k], pulled[t * d + k] = kept * value, (1.0 - kept) * value
        kept *= 1.0 - sizes[start + t] * pull


def turn_window(ended, b, mean, anchor, anchored, averaged, d, ahead, pulled, moves, shifts, shares, last_tiles,
                first, last, slots):  # fmt: skip
    """End one window, if `ended`, and begin the next on blocks [first, last).

    A panel at a time: what the one window leaves is in the cache when the other begins.
    """
    held = anchor if anchored else b  # without an anchor its shares are zero
    low, high = tiles_of(first, last, b.size // (BLOCK * d), last_tiles)
    for tile in range(low, high, TILES):
        if ended:
            for u in range(tile, tile + TILES):
                end_window(b, mean, held, averaged, d, moves, shifts, shares, slots, u)
        begin_window(b, anchor, anchored, d, ahead, pulled, tile, slots)


def relate(x, sizes, pull, start, t, d, forces, factors):
    """factors[t, u] = Q_ut <x_u, x_t> times force_u: what iteration t feels of those before it in the window."""
    for u in range(t):
        inner = 0.0
        for k in range(d):
            inner += np.float64(x[(start + u) * d + k]) * np.float64(x[(start + t) * d + k])
        faded = forces[u]
        for k in range(u + 1, t):
            faded *= 1.0 - sizes[start + k] * pull
        factors[t * WINDOW + u] = faded * inner


def sum_blocks(slots, factors, s, c, t, last_tiles, K, first, last, sums):
    """sums[block] of iteration t for the blocks [first, last) of K."""
    shared = s.size < K * BLOCK
    for block in range(first, last):
        low, high = tiles_of(block, block + 1, K, last_tiles)
        offset = (block // (K - 1) - block) * BLOCK if shared else 0
        sums[block] = sum_iteration(slots, factors, s, c, offset, t, low, high)


def settle(x, sizes, pull, start, m, d, iterates, anchored, forces, moves, shifts, shares):
    """What every c_u of a window adds to b_m and to the average, into moves, shifts and shares (`end_window`).

    iterates : how many the average holds before the window
    """
    if m < WINDOW:  # a last, shorter window: what is not there moves nothing
        moves[:] = 0.0
        shifts[:] = 0.0
    all_kept = 0.0
    fading = 1.0
    for t in range(m):
        fading *= 1.0 - sizes[start + t] * pull
        all_kept += fading
    for u in range(m):
        faded, total = 1.0, 1.0
        for t in range(u + 1, m):
            faded *= 1.0 - sizes[start + t] * pull
            total += faded
        for k in range(d):
            value = x[(start + u) * d + k]
            moves[k * WINDOW + u] = forces[u] * faded * value
            shifts[k * WINDOW + u] = forces[u] * total / (iterates + m) * value
    shares[0], shares[2], shares[3] = fading, iterates / (iterates + m), all_kept / (iterates + m)
    if anchored:
        shares[1], shares[4] = 1.0 - fading, (m - all_kept) / (iterates + m)


def close_window(b, mean, anchor, anchored, averaged, d, moves, shifts, shares, m, last_tiles, first, last, slots):
    """End the last window, of m iterations, on blocks [first, last) -> whether their particles are finite."""
    low, high = tiles_of(first, last, b.size // (BLOCK * d), last_tiles)
    held = anchor if anchored else b
    for tile in range(low, high):
        if m < WINDOW:
            slots[(tile * WINDOW + m) * LANES : (tile + 1) * WINDOW * LANES] = 0.0
        end_window(b, mean, held, averaged, d, moves, shifts, shares, slots, tile)
    return all_finite(b, d, low, high)  # what is lost once never comes back
