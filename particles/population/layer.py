"""What trains of a shard's particles: their positions, or their output weights, and how one update changes them."""

import numpy as np

from particles.kernels.assemble import BLOCK, BlockKernels
from particles.measures.blocks import Floats
from particles.measures.measure import Array
from particles.measures.random_streams import Purpose
from particles.population.messages import Noise, Update

_WORD = 2**32 - 1


class Layer:
    """One trained array of a shard, in block storage, with d coordinates a particle; flat here, in the same memory.

    anchor: its start, empty where that is not kept. coordinate: the first one's number, for the noise. tiles: how many
    of the last block hold particles. first: the number of the first block in the measure.
    """

    def __init__(
        self, kernels: BlockKernels, place: Floats, anchor: Floats, d: int, coordinate: int, tiles: int, first: int
    ) -> None:
        self.kernels, self.place, self.anchor, self.d = kernels, place.reshape(-1), anchor.reshape(-1), d
        self.coordinate, self.tiles, self.first = coordinate, tiles, first
        # Of a Runge-Kutta step: where it began, and the velocities at its stages.
        self.base: Floats = np.empty(0, place.dtype)
        self.stages: Floats = np.empty((0, 0), place.dtype)
        self._lanes = place.shape[-1]

    def ready(self, update: Update) -> None:
        """Make room for what an update needs, before the threads begin."""
        if update.stage and len(self.stages) != update.stage.of:
            self.base = np.zeros_like(self.place)
            self.stages = np.zeros((update.stage.of, self.place.size), self.place.dtype)

    def go(self, update: Update, speed: Floats, begin: int, end: int) -> int:
        """Move blocks [begin, end) by the data term of their velocities, flat `speed`; how many of them stay finite."""
        rule, stage, step, real = update.drift.regulariser, update.stage, update.step, self.place.dtype.type
        pull, threshold, anchored = rule.pull, step * rule.threshold, rule.anchored
        place, anchor = self.place, self.anchor
        if stage:
            weights = np.array(stage.weights, dtype=place.dtype)
            finite = self.kernels.stage_blocks(
                place, self.base, speed, anchor, anchored, self.stages.reshape(-1), stage.number, weights,
                real(pull), self.d, self.tiles, begin, end,
            )  # fmt: skip
        else:
            finite = self.kernels.move_blocks(
                place, speed, anchor, anchored, real(step), real(pull), real(threshold), self.d, self.tiles, begin, end
            )
        if update.noise:
            self._shake(update.noise, begin, end)
        return int(finite)

    def _shake(self, noise: Noise, begin: int, end: int) -> None:
        seed, iteration = int(noise.seed), int(noise.iteration)
        words = (seed & _WORD, seed >> 32, iteration & _WORD, Purpose.NOISE << 16 | iteration >> 32)
        self.kernels.shake_blocks(
            self.place, self.place.dtype.type(noise.size), *map(np.uint64, words), self.first,
            self.coordinate, self.d, self.tiles, begin, end,
        )  # fmt: skip

    def rewind(self) -> None:
        """Go back to where the Runge-Kutta step began."""
        self.place[...] = self.base

    def to_stage(self, weights: tuple[float, ...]) -> None:
        """Go to base + sum_i weights_i k_i of the last Runge-Kutta step."""
        self.place[...] = self.base
        for weight, k in zip(weights, self.stages, strict=False):
            if weight:
                self.place += self.place.dtype.type(weight) * k

    def errors(self, weights: tuple[float, ...], block: int) -> Array:
        """|sum_i weights_i k_i|^2 of every particle of a block: (BLOCK,)."""
        own = slice(block * BLOCK * self.d, (block + 1) * BLOCK * self.d)
        parts = [weight * k[own].astype(np.float64) for weight, k in zip(weights, self.stages, strict=True)]
        with np.errstate(all="ignore"):
            squares = np.square(np.asarray(sum(parts))).reshape(-1, self.d, self._lanes)
        return np.asarray(squares.sum(axis=1).reshape(-1))
