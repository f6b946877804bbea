"""Transport on the line: the monotone coupling, quantile by quantile, is optimal whatever p >= 1."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.measures.measure import Array
from particles.theory.transport.clouds import Cloud, power_mean


class Coupling(NamedTuple):
    """A coupling of two clouds on the line: atoms i of the first go to atoms j of the second with this mass."""

    i: NDArray[np.intp]
    j: NDArray[np.intp]
    mass: Array


def coupling(x: Array, wx: Array, y: Array, wy: Array) -> Coupling:
    """The monotone coupling of x (M,) and y (N,) with their weights: at most M + N - 1 pairs."""
    i, j = np.argsort(x), np.argsort(y)
    if even(wx) and even(wy) and len(x) == len(y):
        return Coupling(i, j, np.full(len(x), 1.0 / len(x)))
    one, two = levels(wx[i]), levels(wy[j])
    both = np.sort(np.concatenate((one, two)))
    mass = np.diff(both, prepend=0.0)
    both, mass = both[mass > 0], mass[mass > 0]
    return Coupling(i[np.searchsorted(one, both)], j[np.searchsorted(two, both)], mass)


def levels(w: Array) -> Array:
    """The distribution function after each atom, the last one 1."""
    if even(w):
        # To the last bit, so that k / M and j / N tie where they should.
        return np.arange(1, len(w) + 1) / len(w)
    total = np.cumsum(w)
    shares: Array = np.minimum(total / total[-1], 1.0)
    return shares


def even(w: Array) -> bool:
    """Whether all atoms weigh the same."""
    return bool((w == w[0]).all())


def on_line(x: Array, wx: Array, y: Array, wy: Array, p: float) -> float:
    """W_p of two weighted clouds on the line, exactly: x, wx (M,) and y, wy (N,)."""
    if len(x) == len(y) and even(wx) and even(wy):
        # A third of the time of two argsorts and what they gather, at 10^6 atoms.
        return power_mean(np.abs(np.sort(x) - np.sort(y)), np.full(len(x), 1.0 / len(x)), p)
    i, j, mass = coupling(x, wx, y, wy)
    return power_mean(np.abs(x[i] - y[j]), mass, p)


def along(one: Cloud, two: Cloud, p: float, direction: Array) -> float:
    """W_p of the projections on one direction (D,)."""
    # einsum, not BLAS: its bits do not depend on how many threads BLAS takes.
    x, y = (np.einsum("rk,k->r", c.points, direction) for c in (one, two))
    return on_line(x, one.w, y, two.w, p)
