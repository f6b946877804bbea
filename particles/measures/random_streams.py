"""Random numbers by place, not by history: a generator for (seed, purpose, block, step).

Philox is a function of a key and a counter, so a checkpoint needs no generator state and any worker can make any
block's numbers without the others.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles.checks import whole

SEEDS = 2**63
ROWS = 256  # drawn at a time, so that row r depends on (seed, r) alone, however many rows are needed


class Purpose(IntEnum):
    """What the numbers are for; two purposes never share a number. Never renumber: results depend on it."""

    POSITION = 1
    SIGN = 2
    BATCH = 3
    INPUT = 4
    LABEL_NOISE = 5
    SPLIT = 6
    TEACHER = 7
    NOISE = 9
    TRANSPORT = 8
    QUADRATURE = 10
    TEACHER_SIGN = 11
    FLUCTUATION = 12
    START = 13


def generator(seed: int, purpose: Purpose, block: int = 0, step: int = 0) -> np.random.Generator:
    """The generator of one block's numbers at one step, for one purpose."""
    key = np.array([seed, purpose], dtype=np.uint64)
    # Philox counts in the first word of its counter; the last two say where we are.
    counter = np.array([0, 0, block, step], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def rows_of(draw: Callable[[int], NDArray[Any]], first: int, last: int) -> NDArray[Any]:
    """Rows [first, last) of an endless sample, of which draw(block) is ROWS rows."""
    blocks = range(first // ROWS, max(first // ROWS + 1, -(-last // ROWS)))
    return np.concatenate([draw(block) for block in blocks])[first - blocks.start * ROWS : last - blocks.start * ROWS]


def checked_seed(seed: int) -> int:
    """The seed, if it is one."""
    return whole("seed", seed, 0, SEEDS - 1, "Choose another seed.")
