"""A shard: consecutive blocks of particles on this process's threads. It alone changes particles, and only its own.

One step is `push` (every block moves its own particles) and `branches` (every block adds up its outputs). What a shard
tells of its blocks are branches of the one tree of sums, so it does not matter how blocks are shared out.
"""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from particles.errors import InputError
from particles.kernels.assemble import BLOCK
from particles.kernels.window import WINDOW
from particles.measures import blocks
from particles.measures.blocks import Branches, Floats, climb
from particles.measures.measure import Array, Measure
from particles.population.layer import Layer
from particles.population.samples import Samples
from particles.population.updates import BlockView, Field, Leg, Move, Partial, Recipe, State, Where

_CHUNK_BYTES = 2**20  # velocities are made this much at a time, a thread: they stay in the L2 and never fill memory
# From this many inputs on, reading a pre-activation costs less than making it again (measured: drivers/benchmark.py),
_KEEP_FROM = 96
_KEEP_BYTES = 2**28  # as long as all of them fit in this; no bit depends on either.
_SWEEP_BLOCKS = 2  # a thread of the one-sample sweep has at least this many blocks, or meeting costs more than it wins


class Shard:
    """Blocks [first, last) of a measure's particles, all of them unless `span` says otherwise."""

    def __init__(
        self, recipe: Recipe, threads: int, samples: Samples | None = None, span: tuple[int, int] | None = None
    ) -> None:
        net, start, dtype, averaged, anchored, weighing = recipe
        self.net, self.dtype, self.samples = net, dtype, samples
        self.alpha = net.scale(start)
        self.all_blocks = blocks.blocks_of(start.count)
        self.first, self.last = span or (0, self.all_blocks)
        self._trains = "input" in net.train, "output" in net.train
        self.equal_weights = start.equal_weights and not weighing
        self.weighing = weighing
        self.cloud = blocks.pack(start, dtype, not self._trains[1], (self.first, self.last), not weighing)
        self.kernels = net.kernels(dtype, self.cloud.d)
        self.count = self.cloud.M
        empty = np.empty(0, dtype)
        # The pull to the start and displacements need it; otherwise the particles are all there is in memory.
        self.start_b: Floats = self.cloud.b.copy() if anchored else empty
        self.start_s: Floats = self.cloud.s.copy() if anchored else empty
        self.mean_b = self.cloud.b.copy() if averaged else empty
        self.mean_s = self.cloud.s.copy() if averaged else empty
        K, d = len(self.cloud.b), self.cloud.d
        self.threads = min(threads, K)
        self._pool = _team(self.threads) if self.threads > 1 else None
        self._chunk = max(1, _CHUNK_BYTES // (BLOCK * (d + 1) * self.cloud.b.itemsize))
        self._signs: tuple[Floats, Floats] | None = None  # of the one-sample sweep, made when there is one
        self._slots: Floats = empty  # likewise
        self._held: State | None = None
        tiles = self.cloud.last_tiles
        layers = [
            Layer(self.kernels, self.cloud.b, self.start_b, d, 0, tiles, self.first),
            Layer(self.kernels, self.cloud.s, self.start_s, 1, d, tiles, self.first),
        ]
        self._layers = [layer for layer, trains in zip(layers, self._trains, strict=True) if trains]
        # Pre-activations of the last sum, and the inputs they belong to.
        self._kept: Floats = empty
        self._kept_of: Array | None = None

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown()

    def share(self, work: Callable[[int, int], int | None], total: int, threads: int | None = None) -> int:
        """Run work(first, last) on equal runs of 0 .. total, a thread each; the sum of what it returns."""
        threads = threads or self.threads
        if threads == 1 or not self._pool:
            return work(0, total) or 0
        edges = [total * j // threads for j in range(threads + 1)]
        jobs = [self._pool.submit(work, *pair) for pair in itertools.pairwise(edges)]
        return sum(job.result() or 0 for job in jobs)

    def inputs(self, where: Where) -> Array:
        """The inputs themselves: (n, d)."""
        if isinstance(where, np.ndarray):
            return where
        assert self.samples is not None
        return self.samples.at(where)

    def floats(self, a: Array) -> Floats:
        """Numbers as the kernels read them: flat, of this float type."""
        flat = np.ascontiguousarray(a, dtype=self.dtype).reshape(-1)
        return flat if flat.flags.writeable else flat.copy()  # read-only ones would be compiled for once more

    def advance(self, move: Move | None, where: Where, keep: bool = False) -> tuple[Branches, bool]:
        """One step's work: the move, if there is one, then the sums at the next inputs; whether all stayed finite."""
        finite = True
        if move is not None:
            finite = self.push(move)
            if move.share is not None:
                self.average(move.share)
        return self.branches(where, keep=keep), finite

    def branches(self, where: Where, averaged: bool = False, keep: bool = False) -> Branches:
        """The shard's part of int s sigma(b.x) dmu at n inputs, values (r, n) float64.

        keep: a push with these very inputs follows, so pre-activations may stay in memory where that pays.
        """
        cloud = self.cloud._replace(b=self.mean_b, s=self.mean_s) if averaged else self.cloud
        K, d, x = len(cloud.b), cloud.d, self.inputs(where)
        level = self._level(K)
        size = 1 << level
        groups = -(-K // size)
        b, inputs, totals = cloud.b.reshape(-1), self.floats(x), np.empty((groups, len(x)))
        keep = keep and not averaged and d >= _KEEP_FROM and K * BLOCK * len(x) * b.itemsize <= _KEEP_BYTES
        if keep and self._kept.size != K * BLOCK * len(x):
            self._kept = np.empty(K * BLOCK * len(x), self.dtype)
        kept = self._kept

        def work(first: int, last: int) -> None:
            self.kernels.sum_groups(
                b, cloud.s, cloud.w, d, inputs, cloud.last_tiles, size, first, last, keep, kept, totals
            )

        self.share(work, groups)
        if keep:
            self._kept_of = x
        return climb(totals, level, self.first >> level, self.all_blocks)

    def _level(self, K: int) -> int:
        """Of the nodes that are summed in one go: about 16 a thread, and whole ones of the tree."""
        level = max(0, (K - 1) // (16 * self.threads)).bit_length()
        edges = [self.first] if self.last == self.all_blocks else [self.first, self.last]
        return min([level, *((edge & -edge).bit_length() - 1 for edge in edges if edge)])

    def _velocities(
        self, field: Field, first: int, last: int, outputs: bool = False
    ) -> Iterator[tuple[int, int, Floats, Floats]]:
        """The data term of the velocity, a chunk of blocks at a time; outputs: of s in any case."""
        cloud, x = self.cloud, self.inputs(field.where)
        b, d = cloud.b.reshape(-1), cloud.d
        scale = b.dtype.type(1.0 / self.alpha)
        size = min(self._chunk, last - first)
        v, vs = np.zeros((size, *cloud.b.shape[1:]), self.dtype), np.zeros((size, BLOCK), self.dtype)
        inputs, slope = self.floats(x), self.floats(field.slope)
        keep, outputs = x is self._kept_of, outputs or self._trains[1]
        for begin in range(first, last, self._chunk):
            end = min(begin + self._chunk, last)
            self.kernels.velocity_blocks(
                b, cloud.s, d, inputs, slope, scale, outputs, cloud.last_tiles, begin, end, keep, self._kept,
                v.reshape(-1), vs.reshape(-1),
            )  # fmt: skip
            yield begin, end, v, vs

    def velocities(self, field: Field) -> tuple[Array, Array]:
        """The data term of the velocity of every particle here, (m, d), and of its output weight, (m,); float64."""
        K = len(self.cloud.b)
        found, found_s = np.empty((K, *self.cloud.b.shape[1:])), np.empty((K, BLOCK))

        def work(first: int, last: int) -> None:
            for begin, end, v, vs in self._velocities(field, first, last):  # chunks share their arrays: copied at once
                found[begin:end], found_s[begin:end] = v[: end - begin], vs[: end - begin]

        self.share(work, K)
        return blocks.unpack(found, self.count), found_s.reshape(-1)[: self.count]

    def push(self, move: Move) -> bool:
        """Move every particle by one step, or one stage of one; whether all are still finite."""
        for layer in self._layers:
            layer.ready(move)

        def work(first: int, last: int) -> int:
            finite = 0
            for begin, end, v, vs in self._velocities(move.field, first, last, outputs=bool(move.growth)):
                if move.growth:
                    self._grow(move, begin, end, vs)
                for layer in self._layers:
                    finite += layer.go(move, v if layer.place is self.cloud.b else vs, begin, end)
            return finite

        self.inputs(move.field.where)  # found once, before the threads ask
        fine = self.share(work, len(self.cloud.b)) == len(self._layers) * len(self.cloud.b)
        self._kept_of = None
        return fine

    def _grow(self, move: Move, begin: int, end: int, vs: Floats) -> None:
        """Weights of blocks [begin, end); V over alpha^2 is h less s times the velocity that s would have."""
        cloud, rule = self.cloud, move.field.regulariser
        for block in range(begin, end):
            potential = -blocks.row(cloud.s, block, len(cloud.b)).astype(np.float64) * vs[block - begin]
            if rule.weight:
                b = np.asarray(cloud.b[block], dtype=np.float64)  # (tiles, d, lanes)
                potential = potential + rule.weight * rule.value(b, 1).reshape(-1)
            with np.errstate(all="ignore"):  # the sum of all weights shows what overflowed
                cloud.w[block] *= np.exp(-move.growth * (potential - move.centre))

    def scale_weights(self, factor: float) -> None:
        """Multiply every weight, so that all of the measure's sum to 1."""
        self.cloud.w[...] *= factor

    def rewind(self) -> None:
        """Go back to where the Runge-Kutta step began."""
        for layer in self._layers:
            layer.rewind()
        self._kept_of = None

    def probe(self, move: Move, weights: tuple[float, ...]) -> tuple[Branches, bool]:
        """A last stage, then int |sum_i weights_i k_i|^2 dmu, the square of a step's error; whether all are finite."""
        finite, K = self.push(move), len(self.cloud.b)
        squares = np.zeros((K, 1))
        for block in range(K):
            for layer in self._layers:
                squares[block] += np.sum(blocks.row(self.cloud.w, block, K) * layer.errors(weights, block))
        return climb(squares, 0, self.first, self.all_blocks), finite

    def average(self, share: float) -> None:
        """mean += share (iterate - mean): share = 1/(t + 1) keeps the mean of t + 1 iterates [15]."""
        part, cloud = self.cloud.b.dtype.type(share), self.cloud

        def work(first: int, last: int) -> None:
            self.kernels.average_blocks(self.mean_b.reshape(-1), cloud.b.reshape(-1), part, cloud.d, first, last)
            if self._trains[1]:
                self.kernels.average_blocks(self.mean_s.reshape(-1), cloud.s.reshape(-1), part, 1, first, last)

        self.share(work, len(cloud.b))

    def signs(self) -> tuple[Floats, Floats]:
        """s and w s as the one-sample sweep reads them, flat."""
        if self._signs is None:
            s: Floats = self.cloud.s
            w: Floats = self.cloud.w
            if len(s) != len(w):
                K = len(self.cloud.b)
                s, w = (np.stack([blocks.row(a, block, K) for block in range(K)]) for a in (s, w))
            self._signs = s.reshape(-1), np.asarray(w * s, dtype=self.dtype).reshape(-1)
        return self._signs

    def slots(self) -> Floats:
        """The sweep's scratch: a window of numbers a particle."""
        if not self._slots.size:
            self._slots = np.zeros(len(self.cloud.b) * BLOCK * WINDOW, self.dtype)
        return self._slots

    def leg_samples(self, leg: Leg) -> tuple[Array, Array]:
        """x (T, d) and y (T,) of a leg."""
        if isinstance(leg.x, np.ndarray) and isinstance(leg.y, np.ndarray):
            return leg.x, leg.y
        assert self.samples is not None and isinstance(leg.x, int) and isinstance(leg.y, int)
        return self.samples.run(leg.x, leg.y)

    def sweep(self, leg: Leg) -> tuple[Array, bool]:
        """One-sample iterations (3.2) on every particle's position, windows counted from the first; all blocks here.

        -> g at each iteration's sample before its step, (T,); whether all particles stay finite
        """
        cloud, K = self.cloud, len(self.cloud.b)
        threads = max(1, min(self.threads, K // _SWEEP_BLOCKS))
        x, y = self.leg_samples(leg)
        sums, outputs, gate = np.zeros((2, K)), np.zeros(len(y)), np.zeros(1, dtype=np.int64)
        rule, averaged = leg.regulariser, bool(self.mean_b.size)
        anchored = rule.weight > 0.0 and rule.anchored
        b, mean, anchor = (a.reshape(-1) for a in (cloud.b, self.mean_b, self.start_b))
        kernel = self.net.online_kernel(self.dtype, leg.loss)
        signs, both = self.signs()
        inputs, slots = self.floats(x), self.slots()

        def work(first: int, last: int) -> int:
            return int(kernel(
                b, mean, anchor, anchored, averaged, signs, both, cloud.d, inputs, y, leg.sizes, rule.pull,
                self.alpha, float(leg.iterates), cloud.last_tiles, first, last, slots, sums, outputs, gate,
                threads,
            ))  # fmt: skip

        return outputs, self.share(work, K, threads) == threads

    def fold(self, partials: Sequence[Partial], field: Field | None) -> list[Branches | Array]:
        """Each partial over the shard's blocks: branches of a sum, or the max; `field` None leaves velocities zero."""
        found: list[list[Array]] = [[] for _ in partials]
        for view in self._views(field):
            for values, partial in zip(found, partials, strict=True):
                values.append(np.atleast_1d(np.asarray(partial.of(view), dtype=np.float64)))
        return [
            climb(np.stack(values), 0, self.first, self.all_blocks)
            if partial.how == "sum"
            else np.max(np.stack(values), axis=0)
            for values, partial in zip(found, partials, strict=True)
        ]

    def _views(self, field: Field | None) -> Iterator[BlockView]:
        cloud, d = self.cloud, self.cloud.d
        K, x = len(cloud.b), self.samples.x if self.samples else np.empty((0, self.cloud.d))
        # Where the start was not kept, nothing may look at it: NaN shows who did.
        unknown, unknown_s = np.full(cloud.b.shape[1:], np.nan), np.full(BLOCK, np.nan)
        still, still_s = np.zeros(cloud.b.shape[1:]), np.zeros(BLOCK)
        chunks = (
            ((k, k + 1, still[None], still_s[None]) for k in range(K))
            if field is None
            else self._velocities(field, 0, K)
        )
        for begin, end, v, vs in chunks:
            for k in range(begin, end):
                m = min(BLOCK, self.count - k * BLOCK)
                start_b = self.start_b[k] if self.start_b.size else unknown
                start_s = blocks.row(self.start_s, k, K) if self.start_s.size else unknown_s
                b, start_b, velocity = (
                    np.asarray(a, np.float64).transpose(1, 0, 2).reshape(d, BLOCK)[:, :m]
                    for a in (cloud.b[k], start_b, v[k - begin])
                )
                s, w = blocks.row(cloud.s, k, K), blocks.row(cloud.w, k, K)
                flat = (np.asarray(a, dtype=np.float64)[:m] for a in (s, w, start_s, vs[k - begin]))
                s, w, start_s, velocity_s = flat
                yield self._trained(BlockView(b, s, w, start_b, start_s, velocity, velocity_s, x), field)

    def _trained(self, view: BlockView, field: Field | None) -> BlockView:
        """The view with the regulariser's pull in its velocities, and none for a layer that is not trained."""
        if field is None:
            return view
        velocity, velocity_s = np.zeros_like(view.velocity), np.zeros_like(view.velocity_s)
        if "input" in self.net.train:
            velocity = -field.regulariser.gradient(-view.velocity, view.b, view.start_b)
        if "output" in self.net.train:
            velocity_s = -field.regulariser.gradient(-view.velocity_s, view.s, view.start_s)
        return view._replace(velocity=velocity, velocity_s=velocity_s)

    def measure(self, averaged: bool = False) -> Measure:
        """The shard's particles, or their average over the iterates, in float64 (their w sum to 1 over all shards)."""
        return blocks.measure_of(self.cloud._replace(b=self.mean_b, s=self.mean_s) if averaged else self.cloud)

    def positions(self, first: int) -> Measure:
        """Those of the first particles of the measure that are here; float64."""
        wanted = min(max(0, first - self.first * BLOCK), self.count)
        K = -(-wanted // BLOCK)
        s, w = (blocks.flat(a, len(self.cloud.b), self.count)[:wanted] for a in (self.cloud.s, self.cloud.w))
        return Measure(blocks.unpack(self.cloud.b[:K], wanted), s, w)

    def state(self) -> State:
        """The state itself, not a copy: good until the next push."""
        weights = self.cloud.w if self.weighing else np.empty(0)
        return State(self.cloud.b, self.cloud.s, self.mean_b, self.mean_s, weights)

    def moved(self) -> None:
        """Say that the state was written to from outside."""
        self._kept_of = None

    def hold(self) -> None:
        """Keep a copy of the state as it is now."""
        self._held = State(*(a.copy() for a in self.state()))

    def back(self) -> None:
        """Go back to the copy that is held, and hold it no longer."""
        assert self._held is not None
        for mine, saved in zip(self.state(), self._held, strict=True):
            mine[...] = saved
        self._held = None
        self.moved()


def _team(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads have all begun: those of a one-sample sweep wait for each other, so none may be missing."""
    pool, together = ThreadPoolExecutor(threads), threading.Barrier(threads)
    try:
        for job in [pool.submit(together.wait) for _ in range(threads)]:
            job.result()
    except RuntimeError as error:
        together.abort()
        pool.shutdown()
        raise InputError(
            "`threads` must be as many as the system starts", f"{threads} ({error})", "Lower it."
        ) from error
    return pool
