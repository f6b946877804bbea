"""One-sample SGD with averaging and the pull to an anchor (section 3.2): iterations inside one call, in windows.

Windows begin at multiples of their length and blocks are added in their tree, so bits depend on neither threads nor
stops. What a window does is in `window`.
"""

from typing import Any, NamedTuple

import numpy as np

from particles.kernels.barrier import meet
from particles.kernels.compile import inlined, plain, specialise
from particles.kernels.lanes import LANES
from particles.kernels.output import BLOCK
from particles.kernels.panels import tiles_here
from particles.kernels.special import exp, sigmoid
from particles.kernels.window import (
    INPUTS,
    WINDOW,
    all_finite,
    begin_window,
    both_apart,
    close_window,
    end_inputs,
    end_window,
    look_ahead,
    relate,
    settle,
    sum_blocks,
    sum_iteration,
    tiles_of,
    turn_window,
    two_slots,
)

loss_slope: Any = None  # settled by `specialise`


def tree(totals, K):
    """The sum of K numbers in the binary tree of their places, in place."""
    while K > 1:
        half = K // 2
        for j in range(half):
            totals[j] = totals[2 * j] + totals[2 * j + 1]
        if K % 2:
            totals[half] = totals[K - 1]
        K = half + K % 2
    return totals[0]


def squared_slope(g, y):
    """dl/dz of the squared loss."""
    return g - y


def logistic_slope(g, y):
    """dl/dz of the logistic loss."""
    return -y * sigmoid(-y * g)


def huber_slope(g, y):
    """dl/dz of the Huber loss; a NaN stays one."""
    e = g - y
    if e > 1.0:
        return 1.0
    return -1.0 if e < -1.0 else e


def smooth_hinge_slope(g, y):
    """dl/dz of the smoothed hinge loss; a NaN stays one."""
    gap = 1.0 - y * g
    if gap > 1.0:
        return -y
    return 0.0 if gap < 0.0 else -y * gap


def exponential_slope(g, y):
    """dl/dz of the exponential loss."""
    return -y * exp(-y * g)


# The same rows as `model/losses.py`.
SLOPES = {
    "squared": squared_slope,
    "logistic": logistic_slope,
    "huber": huber_slope,
    "smooth_hinge": smooth_hinge_slope,
    "exponential": exponential_slope,
}


def force_of(g, y, size, alpha):
    """-(eta / alpha) l'(g, y): one iteration's force on every particle."""
    return -size / alpha * loss_slope(g, y)


def sweep(b, mean, anchor, anchored, averaged, s, c, d, x, y, sizes, pull, alpha, iterates, last_tiles, first, last,
          slots, sums, outputs, gate, threads):  # fmt: skip
    """Iterations 0 .. len(sizes) - 1 on blocks [first, last); `threads` calls share the blocks and meet each iteration.

    b, mean, anchor : flat (K, BLOCK / LANES, d, LANES), the anchor used if `anchored`, the average kept if `averaged`
    s, c : flat (K, BLOCK), the signs and weight times sign, or (2, BLOCK) for all blocks and the last
    x : flat (T, d), y, sizes : (T,); pull = lam; iterates : how many the average holds
    slots : flat (K, BLOCK / LANES, WINDOW, LANES), scratch
    sums : (2, K) and gate : (1,), shared; outputs : (T,), g at each sample before its step -> whether b stays finite
    """
    T, K = sizes.size, b.size // (BLOCK * d)
    work = np.empty(K)
    factors = np.zeros(WINDOW * WINDOW, b.dtype)
    ahead, pulled = np.zeros(WINDOW * d, b.dtype), np.zeros(WINDOW * d, b.dtype)
    moves, shifts = np.zeros(d * WINDOW, b.dtype), np.zeros(d * WINDOW, b.dtype)
    shares = np.zeros(5, b.dtype)
    shares[0], shares[2] = 1.0, 1.0
    forces = np.zeros(WINDOW)
    m = WINDOW
    for start in range(0, T, WINDOW):
        m = min(WINDOW, T - start)
        look_ahead(x, sizes, pull, start, m, d, ahead, pulled)
        turn_window(start > 0, b, mean, anchor, anchored, averaged, d, ahead, pulled, moves, shifts, shares,
                    last_tiles, first, last, slots)  # fmt: skip
        for t in range(m):
            relate(x, sizes, pull, start, t, d, forces, factors)
            turn = (start + t) % 2
            sum_blocks(slots, factors, s, c, t, last_tiles, K, first, last, sums[turn])
            if threads > 1:
                meet(gate, threads)
            for j in range(K):
                work[j] = sums[turn, j]
            g = alpha * tree(work, K)
            outputs[start + t] = g
            forces[t] = force_of(g, y[start + t], sizes[start + t], alpha)
        settle(x, sizes, pull, start, m, d, iterates, anchored, forces, moves, shifts, shares)
        iterates += m
    return close_window(b, mean, anchor, anchored, averaged, d, moves, shifts, shares, m, last_tiles, first, last,
                        slots)  # fmt: skip


class WindowKernels(NamedTuple):
    """The pieces of `sweep` one by one, for blocks that do not share a memory and meet outside."""

    look_ahead: Any
    turn_window: Any
    relate: Any
    sum_blocks: Any
    force_of: Any
    settle: Any
    close_window: Any
    finish_blocks: Any = None  # of several outputs


def settled(
    sigma: Any, derivative: Any, pair: Any, dtype: str, loss: str | None, join: Any, tiles: int | None = None
) -> dict[str, Any]:
    """What the names in the loops above stand for. tiles : of a panel, this processor's if None. loss : of `SLOPES`."""
    tiles = tiles or tiles_here()
    names: dict[str, Any] = {"LANES": LANES[dtype], "TILES": tiles, "SUMS": tiles * WINDOW, "COUNT": 1}
    names |= {"sigma": sigma, "derivative": derivative}
    names["pair"] = pair or join(both_apart, **names)
    if loss is not None:
        names["loss_slope"] = join(SLOPES[loss])
    names["end_several"] = join(end_inputs, **names | {"COUNT": INPUTS})
    # Each may name those before it.
    for part in (tiles_of, begin_window, two_slots, sum_iteration, end_inputs, end_window, all_finite, tree, *_PIECES):
        if part is not force_of or loss is not None:
            names[part.__name__] = join(part, **names)
    return names


_PIECES = look_ahead, turn_window, relate, sum_blocks, force_of, settle, close_window


def online_kernel(
    sigma: Any, derivative: Any, pair: Any, dtype: str, loss: str, make: Any = specialise, join: Any = inlined
) -> Any:
    """`sweep` of one activation, float type and loss, compiled."""
    names = settled(sigma, derivative, pair, dtype, loss, join)
    return make(sweep, **names)


def window_kernels(sigma: Any, derivative: Any, pair: Any, dtype: str, loss: str) -> WindowKernels:
    """The pieces of one activation, float type and loss, compiled."""
    names = settled(sigma, derivative, pair, dtype, loss, inlined)
    return WindowKernels(*(specialise(piece, **names) for piece in _PIECES))


def plain_online_kernel(sigma: Any, derivative: Any, pair: Any, dtype: str, loss: str) -> Any:
    """The same as ordinary Python, for the tests."""
    return online_kernel(sigma, derivative, pair, dtype, loss, make=plain, join=plain)
