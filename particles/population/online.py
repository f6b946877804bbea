"""One-sample iterations (3.2) on a shard that must meet others each iteration: the windows of the sweep, step by step.

The pieces of the sweep in kernels/window.py in the same order, so the same bits; between them one number, g, comes
from outside. Positions are read and written once a window here too.
"""

import numpy as np

from particles.kernels.window import WINDOW
from particles.measures.blocks import Branches, climb
from particles.population.shard import Shard
from particles.population.updates import Leg


class Walk:
    """A leg on one shard: `sums` once for each iteration, then `close`."""

    def __init__(self, shard: Shard, leg: Leg) -> None:
        cloud, rule, self.shard = shard.cloud, leg.regulariser, shard
        x, y = shard.leg_samples(leg)
        self.x, self.y, self.sizes = shard.floats(x), np.array(y), np.array(leg.sizes)
        self.kernels = shard.net.window_kernels(shard.dtype, leg.loss)
        self.pull, self.iterates, self.d = rule.pull, float(leg.iterates), cloud.d
        self.anchored = rule.weight > 0.0 and rule.anchored
        self.b, self.mean, self.anchor = (a.reshape(-1) for a in (cloud.b, shard.mean_b, shard.start_b))
        self.slots, (self.s, self.c) = shard.slots(), shard.signs()
        self.K, self.ends = len(cloud.b), cloud.last_tiles
        real, d = shard.dtype, cloud.d
        self.factors = np.zeros(WINDOW * WINDOW, real)
        self.ahead, self.pulled = np.zeros(WINDOW * d, real), np.zeros(WINDOW * d, real)
        self.moves, self.shifts = np.zeros(d * WINDOW, real), np.zeros(d * WINDOW, real)
        self.shares, self.forces = np.zeros(5, real), np.zeros(WINDOW)
        self.shares[[0, 2]] = 1.0
        self.start, self.t, self.m = 0, 0, 0

    def sums(self, g: float | None) -> Branches:
        """The shard's part of the next iteration's output, (r, 1); g: the iteration's before, None at first."""
        if g is not None:
            self._feel(g)
        if self.t == self.m:
            self._turn()
        self.kernels.relate(self.x, self.sizes, self.pull, self.start, self.t, self.d, self.forces, self.factors)
        totals = np.zeros(self.K)

        def work(first: int, last: int) -> None:
            self.kernels.sum_blocks(
                self.slots, self.factors, self.s, self.c, self.t, self.ends, self.K, first, last, totals
            )

        self.shard.share(work, self.K)
        return climb(totals[:, None], 0, self.shard.first, self.shard.all_blocks)

    def _feel(self, g: float) -> None:
        """One iteration's force, from its output."""
        at = self.start + self.t
        alpha = self.shard.alpha
        self.forces[self.t] = self.kernels.force_of(g, float(self.y[at]), float(self.sizes[at]), alpha)
        self.t += 1

    def _settle(self) -> None:
        self.kernels.settle(
            self.x, self.sizes, self.pull, self.start, self.m, self.d, self.iterates, self.anchored, self.forces,
            self.moves, self.shifts, self.shares,
        )  # fmt: skip

    def _turn(self) -> None:
        """The end of one window, if there was one, and the beginning of the next."""
        ended = self.m > 0
        if ended:
            self._settle()
            self.iterates += self.m
        self.start, self.t = self.start + self.m, 0
        self.m = min(WINDOW, len(self.sizes) - self.start)
        self.kernels.look_ahead(self.x, self.sizes, self.pull, self.start, self.m, self.d, self.ahead, self.pulled)

        def work(first: int, last: int) -> None:
            self.kernels.turn_window(
                ended, self.b, self.mean, self.anchor, self.anchored, bool(self.mean.size), self.d, self.ahead,
                self.pulled, self.moves, self.shifts, self.shares, self.ends, first, last, self.slots,
            )  # fmt: skip

        self.shard.share(work, self.K)

    def close(self, g: float | None) -> bool:
        """Move to where the leg ends; whether all particles are finite."""
        if g is not None:
            self._feel(g)
            self._settle()

        def work(first: int, last: int) -> int:
            return int(self.kernels.close_window(
                self.b, self.mean, self.anchor, self.anchored, bool(self.mean.size), self.d, self.moves, self.shifts,
                self.shares, self.m, self.ends, first, last, self.slots,
            ))  # fmt: skip

        threads = min(self.shard.threads, self.K)
        return self.shard.share(work, self.K, threads) == threads
