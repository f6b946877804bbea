"""Pairs of inputs: their products, lengths and angles."""

from typing import NamedTuple

import numpy as np

from particles.measures.measure import Array

_NEAR = 1e-4  # from this 1 - |cosine| on, an angle is measured from the inputs, not from their product
_GAPS = 2**20  # numbers held at a time for that


class Pairs(NamedTuple):
    """Some inputs against others: rows (m, d), columns (n, d), their products (m, n), lengths (m, 1) and (1, n)."""

    rows: Array
    columns: Array
    inner: Array
    left: Array
    right: Array


def cosines(pairs: Pairs) -> Array:
    """The cosine of every pair's angle; a zero vector counts as orthogonal to everything."""
    cosine = pairs.inner / np.where(pairs.left > 0.0, pairs.left, 1.0)
    cosine /= np.where(pairs.right > 0.0, pairs.right, 1.0)
    return np.asarray(np.clip(cosine, -1.0, 1.0, out=cosine))


def supplement(pairs: Pairs) -> Array:
    """pi minus the angle of every pair, to 1e-15: (m, n)."""
    angles = cosines(pairs)
    i, j = np.nonzero(np.abs(angles) > 1.0 - _NEAR)
    sign = np.sign(angles[i, j])
    np.arccos(np.negative(angles, out=angles), out=angles)
    room = max(1, _GAPS // pairs.rows.shape[1])
    for first in range(0, len(i), room):
        a, b, s = (index[first : first + room] for index in (i, j, sign))
        gap = pairs.rows[a] / pairs.left[a] - s[:, None] * (pairs.columns[b] / pairs.right[0, b, None])
        angle = 2.0 * np.arcsin(np.minimum(0.5 * np.linalg.norm(gap, axis=1), 1.0))
        angles[a, b] = np.where(s > 0.0, np.pi - angle, angle)
    return angles
