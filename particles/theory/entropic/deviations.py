"""What single particles add to the outputs, about its mean: the size of second-order terms, 1/M of a variance."""

import math

import numpy as np

from particles.measures.measure import Array, Measure
from particles.theory.optimality.convex_program import columns_of
from particles.theory.optimality.potential import Variation

_DRAWS = 512  # particles of a sign that stand for all: a variance to 6%


def columns(V: Variation, b: Array) -> Array:
    """alpha sigma(b_k.x_i): (n, K)."""
    ones = Measure(np.ascontiguousarray(b), np.ones(len(b)), np.full(len(b), 1.0 / len(b)))
    return columns_of(V.net, ones, V.x, math.sqrt(V.scale))


def of_particles(V: Variation, measure: Measure, sign: float) -> Array:
    """alpha s sigma(b_r.x_i) minus its mean given the sign, of some of the particles: (n, J)."""
    rows = np.flatnonzero(measure.s == sign)
    return _about_mean(sign * columns(V, measure.b[rows[:: -(-len(rows) // _DRAWS)]]))


def of_density(V: Variation, b: Array, logs: Array, sign: float) -> Array:
    """The same of a density whose logarithms at b (K, d) are logs (K,), at places spread evenly over its mass."""
    total = np.cumsum(np.exp(logs - logs.max()))
    rows = np.searchsorted(total, (np.arange(_DRAWS) + 0.5) / _DRAWS * total[-1])
    return _about_mean(sign * columns(V, b[rows]))


def _about_mean(values: Array) -> Array:
    return np.asarray(values - values.mean(axis=1, keepdims=True))
