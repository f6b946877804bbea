"""The package's sums over the particles, of which recorded quantities are made."""

import numpy as np

from particles.measures.measure import Array
from particles.population.messages import BlockView, Reduction

MOMENTS = np.array([1, 2, 4])


def _of_particles(values: Array) -> Array:
    """What output weights have, added up for each particle: (m,), or (k, m), -> (m,)."""
    return values if values.ndim == 1 else np.asarray(values.sum(axis=0))


def _speed(block: BlockView) -> Array:
    return np.asarray((block.w * ((block.velocity**2).sum(axis=0) + _of_particles(block.velocity_s**2))).sum())


def _moved(block: BlockView) -> Array:
    return np.asarray((block.w * ((block.b - block.start_b) ** 2).sum(axis=0)).sum())


def _farthest(block: BlockView) -> Array:
    return np.asarray(((block.b - block.start_b) ** 2).sum(axis=0).max())


def _moments(block: BlockView) -> Array:
    size = np.sqrt((block.b**2).sum(axis=0))
    return np.asarray((block.w * size ** MOMENTS[:, None]).sum(axis=1))


def _flipped(block: BlockView) -> Array:
    active, before = (block.x @ b > 0.0 for b in (block.b, block.start_b))
    return np.asarray((block.w * (active != before).mean(axis=0)).sum())


def _mean(block: BlockView) -> Array:
    return np.asarray(block.b @ block.w)


SPEED = Reduction(_speed, "sum", velocity=True)
MOVED = Reduction(_moved, "sum", start=True)
FARTHEST = Reduction(_farthest, "max", start=True)
FLIPPED = Reduction(_flipped, "sum", start=True)
MOMENT, MEAN = Reduction(_moments, "sum"), Reduction(_mean, "sum")
