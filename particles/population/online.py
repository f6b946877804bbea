"""One-sample iterations (3.2) on a shard: in one call where it has all blocks, an iteration at a time where it has not.

`ShardSweep` calls the parts of the compiled sweep (kernels/window.py) in the same order, so the bits are the same;
between them one number, g, comes from outside. Positions are read and written once a window here too.
"""

import numpy as np

from particles.kernels.assemble import BLOCK
from particles.kernels.window import WINDOW
from particles.measures import blocks
from particles.measures.blocks import Branches, Floats, climb
from particles.measures.measure import Array
from particles.population.messages import OnlineRun
from particles.population.shard import Shard

_SWEEP_BLOCKS = 2  # a thread of the one-sample sweep has at least this many blocks, or meeting costs more than it wins


def _run_samples(shard: Shard, run: OnlineRun) -> tuple[Array, Array]:
    """x (T, d) and y (T,) of a run, or (T, k) of k outputs."""
    if isinstance(run.x, np.ndarray) and isinstance(run.y, np.ndarray):
        return run.x, run.y
    assert shard.samples is not None and isinstance(run.x, int) and isinstance(run.y, int)
    return shard.samples.run(run.x, run.y)


def _signs(shard: Shard) -> tuple[Floats, Floats]:
    """What the sweep reads of output weights and weights, flat: s and w s; s and w of several outputs."""
    if "s" not in shard.scratch:
        s: Floats = shard.cloud.s
        w: Floats = shard.cloud.w
        K = len(shard.cloud.b)
        if len(s) != len(w):
            s, w = (np.stack([blocks.row(a, block, K) for block in range(K)]) for a in (s, w))
        both = w * s if shard.outputs == 1 else w
        shard.scratch["s"] = blocks.aligned_copy(s).reshape(-1)
        shard.scratch["w s"] = blocks.aligned_copy(np.asarray(both, dtype=shard.dtype)).reshape(-1)
    return shard.scratch["s"], shard.scratch["w s"]


def _slots(shard: Shard) -> Floats:
    """A window of numbers a particle."""
    if "slots" not in shard.scratch:
        shard.scratch["slots"] = blocks.aligned((len(shard.cloud.b) * BLOCK * WINDOW,), shard.dtype)
    return shard.scratch["slots"]


def sweep_blocks(shard: Shard, run: OnlineRun) -> tuple[Array, bool]:
    """One-sample iterations (3.2) on every particle's position, windows counted from the first; all blocks here.

    -> g at each iteration's sample before its step, (T,), or (T, k); whether all particles stay finite
    """
    cloud, K = shard.cloud, len(shard.cloud.b)
    threads = max(1, min(shard.threads.count, K // _SWEEP_BLOCKS))
    x, y = _run_samples(shard, run)
    k, gate = shard.outputs, np.zeros(1, dtype=np.int64)
    sums, outputs, targets = np.zeros((2, K * k)), np.zeros(y.size), y.reshape(-1)
    rule, averaged = run.regulariser, bool(shard.mean_b.size)
    anchored = rule.weight > 0.0 and rule.anchored
    b, mean, anchor = (a.reshape(-1) for a in (cloud.b, shard.mean_b, shard.start_b))
    kernel = shard.net.online_kernel(shard.dtype, run.loss)
    signs, both = _signs(shard)
    inputs, slots = shard.floats(x), _slots(shard)

    def work(first: int, last: int) -> int:
        return int(kernel(
            b, mean, anchor, anchored, averaged, signs, both, cloud.d, inputs, targets, run.sizes, rule.pull,
            shard.alpha, float(run.iterates), cloud.last_tiles, first, last, slots, sums, outputs, gate,
            threads,
        ))  # fmt: skip

    finite = shard.threads.share(work, K, threads) == threads
    return shard.net.shaped(outputs), finite


class ShardSweep:
    """A run on one shard: `sums` once for each iteration, then `close`."""

    def __init__(self, shard: Shard, run: OnlineRun) -> None:
        cloud, rule, self.shard = shard.cloud, run.regulariser, shard
        x, y = _run_samples(shard, run)
        self.x, self.y, self.sizes = shard.floats(x), np.array(y), np.array(run.sizes)
        self.kernels = shard.net.window_kernels(shard.dtype, run.loss)
        self.pull, self.iterates, self.d = rule.weight, float(run.iterates), cloud.d
        self.anchored = rule.weight > 0.0 and rule.anchored
        self.b, self.mean, self.anchor = (a.reshape(-1) for a in (cloud.b, shard.mean_b, shard.start_b))
        self.slots, (self.s, self.c) = _slots(shard), _signs(shard)
        self.K, self.ends = len(cloud.b), cloud.last_tiles
        real, d = shard.dtype, cloud.d
        self.factors = np.zeros(WINDOW * WINDOW, real)
        self.ahead, self.pulled = np.zeros(WINDOW * d, real), np.zeros(WINDOW * d, real)
        self.moves, self.shifts = np.zeros(d * WINDOW, real), np.zeros(d * WINDOW, real)
        self.k, self.ones = shard.outputs, np.ones(WINDOW)
        self.shares, self.forces = np.zeros(5, real), np.zeros(WINDOW * self.k, real if self.k > 1 else np.float64)
        self.shares[[0, 2]] = 1.0
        self.start, self.t, self.m = 0, 0, 0

    def sums(self, g: Array | None) -> Branches:
        """The shard's part of the next iteration's outputs, (r, k); g (k,): the iteration's before, None at first."""
        if g is not None:
            self._feel(g)
        if self.t == self.m:
            self._turn()
        apart = self.ones if self.k > 1 else self.forces  # the forces of several outputs are in what slots hold
        self.kernels.relate(self.x, self.sizes, self.pull, self.start, self.t, self.d, apart, self.factors)
        totals = np.zeros(self.K * self.k)
        more = (self.k, self.forces) if self.k > 1 else ()

        def work(first: int, last: int) -> None:
            self.kernels.sum_blocks(
                self.slots, self.factors, self.s, self.c, *more, self.t, self.ends, self.K, first, last, totals
            )

        self.shard.threads.share(work, self.K)
        return climb(totals.reshape(self.K, self.k), 0, self.shard.first, self.shard.all_blocks)

    def _feel(self, g: Array) -> None:
        """One iteration's force, from its outputs."""
        at = self.start + self.t
        size, alpha = float(self.sizes[at]), self.shard.alpha
        if self.k == 1:
            self.forces[self.t] = self.kernels.force_of(float(g[0]), float(self.y[at]), size, alpha)
        else:
            place = self.t * self.k
            self.kernels.force_of(g, self.y.reshape(-1), at * self.k, size, alpha, self.forces, place)
        self.t += 1

    def _finish(self) -> None:
        """Of several outputs: what the last iteration's slots hold becomes its force."""
        if self.k == 1:
            return

        def work(first: int, last: int) -> None:
            self.kernels.finish_blocks(
                self.slots, self.s, self.k, self.forces, self.m - 1, self.ends, self.K, first, last
            )

        self.shard.threads.share(work, self.K)

    def _settle(self) -> None:
        self._finish()
        self.kernels.settle(
            self.x, self.sizes, self.pull, self.start, self.m, self.d, self.iterates, self.anchored,
            self.ones if self.k > 1 else self.forces, self.moves, self.shifts, self.shares,
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

        self.shard.threads.share(work, self.K)

    def close(self, g: Array | None) -> bool:
        """Move to where the run ends; whether all particles are finite."""
        if g is not None:
            self._feel(g)
            self._settle()

        def work(first: int, last: int) -> int:
            return int(self.kernels.close_window(
                self.b, self.mean, self.anchor, self.anchored, bool(self.mean.size), self.d, self.moves, self.shifts,
                self.shares, self.m, self.ends, first, last, self.slots,
            ))  # fmt: skip

        threads = min(self.shard.threads.count, self.K)
        return self.shard.threads.share(work, self.K, threads) == threads
