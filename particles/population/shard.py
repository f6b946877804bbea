"""A shard: consecutive blocks of particles on this process's threads. It alone changes particles, and only its own.

One step is `move` (every block moves its own particles) and `sums` (every block adds up its outputs). What it sends to
others are `branches` of the one tree of sums, so it does not matter how blocks are distributed.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from particles.errors import InputError
from particles.kernels import panels
from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Branches, Floats, climb
from particles.measures.measure import Array, Measure
from particles.population.layer import Layer
from particles.population.messages import Drift, PopulationSpec, State, Update
from particles.population.samples import Samples, Which
from particles.population.threads import Threads

if TYPE_CHECKING:
    from particles.population.directions import Directions

Chunks = Iterator[tuple[int, int, Floats, Floats]]  # of velocities: blocks [first, last), v and vs, flat

_CHUNK_BYTES = 2**20  # velocities are made this much at a time, a thread: they stay in the L2 and never fill memory
# Slopes are kept from the sum to the push for as many blocks as fit in this, or in an eighth of the particles' own
# bytes. No bit depends on it.
_KEEP_BYTES = 2**28


class Shard:
    """Blocks [first, last) of a measure's particles, all of them unless `span` says otherwise."""

    def __init__(
        self, spec: PopulationSpec, threads: int, samples: Samples | None = None, span: tuple[int, int] | None = None
    ) -> None:
        net, start, dtype, averaged, anchored, weighing = spec
        self.net, self.dtype, self.samples, self.alpha = net, dtype, samples, spec.alpha
        self.all_particles, self.all_blocks = start.count, blocks.blocks_of(start.count)
        self.first, self.last = span = span or (0, self.all_blocks)
        self.trains = "input" in net.train, "output" in net.train
        self.weighing, self.equal_weights = weighing, start.equal_weights and not weighing
        self.cloud = blocks.pack(start, dtype, not self.trains[1], span, not weighing)
        self.kernels = net.kernels(dtype, self.cloud.d)
        self.count = self.cloud.M
        empty = np.empty(0, dtype)
        # The pull to the start and displacements need it; otherwise the particles are all there is in memory.
        self.start_b: Floats = blocks.aligned_copy(self.cloud.b) if anchored else empty
        self.start_s: Floats = self.cloud.s.copy() if anchored else empty
        self.mean_b = blocks.aligned_copy(self.cloud.b) if averaged else empty
        self.mean_s = self.cloud.s.copy() if averaged else empty
        self.K, self.d, self.tiles = len(self.cloud.b), self.cloud.d, self.cloud.last_tiles
        self.outputs = self.cloud.outputs
        self.b, self.mean = self.cloud.b.reshape(-1), self.mean_b.reshape(-1)  # as the kernels take them
        self.threads = Threads(min(threads, self.K))
        self.level = blocks.group_level(span, self.all_blocks, 16 * self.threads.count)  # of what is summed in one go
        self._chunk = min(self.K, max(1, _CHUNK_BYTES // (BLOCK * (self.d + self.outputs) * self.b.itemsize)))
        self._inputs: tuple[Array | None, Floats] = None, empty  # of the samples, as given and as the kernels take them
        self._speeds: dict[int, tuple[Floats, Floats]] = {}  # a chunk's velocities, by the thread's first block
        self._scale = self.b.dtype.type(1.0 / self.alpha)
        self.scratch: dict[str, Floats] = {}  # of one-sample sweeps, kept from one to the next
        self._held: State | None = None
        self._slots: dict[int, list[Floats]] = {}
        self.directions: Directions | None = None  # of a run's derivative
        parts = (self.cloud.b, self.start_b, self.d, 0), (self.cloud.s, self.start_s, self.outputs, self.d)
        trained = [part for part, trains in zip(parts, self.trains, strict=True) if trains]
        self._layers = [Layer(self.kernels, *part, self.tiles, self.first) for part in trained]
        # What the last sum kept: slopes of the first blocks, and values where output weights move; of which inputs.
        self._keeps = self.d >= panels.keep_from(net.activation.name, self.outputs)
        self._values = self.trains[1] or weighing
        self._kept: Floats = empty
        self._kept_of: Array | None = None

    def close(self) -> None:
        """End the threads."""
        self.threads.close()

    def inputs(self, which: Which) -> tuple[Array, Floats]:
        """The inputs, (n, d), and the same as the kernels take them; those of the samples are converted once."""
        if isinstance(which, np.ndarray):
            return which, self.floats(which)
        assert self.samples is not None
        x = self.samples.inputs(which)
        if x is not self._inputs[0]:
            self._inputs = x, self.floats(x)
        return x, self._inputs[1]

    def floats(self, a: Array) -> Floats:
        """Numbers as the kernels take them: flat, of this float type."""
        flat = np.ascontiguousarray(a, self.b.dtype).reshape(-1)
        return flat if flat.flags.writeable else flat.copy()  # read-only ones would be compiled for once more

    def move(self, update: Update) -> bool:
        """One update of the particles, and of their average if it has a share in that; whether all are still finite."""
        finite = self.push(update)
        if update.share is not None:
            self.average(update.share)
        return finite

    def branches(self, which: Which, averaged: bool = False, keep: bool = False) -> Branches:
        """The shard's part of int s sigma(b.x) dmu at n inputs, n k numbers, in branches of the tree of all blocks."""
        return climb(self.sums(which, averaged, keep), self.level, self.first >> self.level, self.all_blocks)

    def sums(self, which: Which, averaged: bool = False, keep: bool = False) -> Array:
        """int s sigma(b.x) dmu at n inputs over each group of 2^g consecutive blocks: (groups, n k) for k outputs.

        keep: a push with these very inputs follows, so slopes may stay in memory where that pays.
        """
        b, s = (self.mean, blocks.by_block(self.mean_s)) if averaged else (self.b, self.cloud.signs)
        w, d, tiles = self.cloud.w, self.d, self.tiles
        x, inputs = self.inputs(which)
        size, totals = 1 << self.level, np.empty((-(-self.K >> self.level), len(x) * self.outputs))
        keeps = self._room(len(x)) if keep and self._keeps and not averaged else 0
        values, kept = self._values, self._kept

        def work(first: int, last: int) -> None:
            self.kernels.sum_groups(b, s, w, d, inputs, tiles, size, first, last, keeps, values, kept, totals)

        self.threads.share(work, len(totals))
        if keeps:
            self._kept_of = x
        return totals

    def _room(self, n: int) -> int:
        """Room for what is kept at n inputs: of how many blocks."""
        block = BLOCK * n * (1 + self._values)
        keeps = min(self.K, max(_KEEP_BYTES, self.b.nbytes // 8) // (block * self.b.itemsize))
        if self._kept.size != keeps * block:
            self._kept = blocks.aligned((keeps * block,), self.dtype)
        return int(keeps)

    def velocity_chunks(self, drift: Drift, outputs: bool = False) -> Callable[[int, int], Chunks]:
        """The data term of the velocity: of a run of blocks, a chunk at a time, in arrays good until the next chunk.

        outputs: of s in any case.
        """
        x, inputs = self.inputs(drift.which)
        b, s, d, tiles, slope = self.b, self.cloud.signs, self.d, self.tiles, self.floats(drift.slope)
        if len(slope) != len(x) * self.outputs:  # the loops trust it
            each = f" and each of {self.outputs} outputs" if self.outputs > 1 else ""
            rule, got = f"the `slope` of an update must have one entry a sample{each}", f"{len(slope)} for {len(x)}"
            raise InputError(rule, got, "Replace it by an array of the same shape.")
        outputs, values, kept, keeps = outputs or self.trains[1], self._values, self._kept, 0
        if x is self._kept_of and (values or not outputs):
            keeps = kept.size // (BLOCK * len(x) * (1 + values))

        def chunks(first: int, last: int) -> Chunks:
            v, vs = self._speed(first)
            for begin in range(first, last, self._chunk):
                end = min(begin + self._chunk, last)
                self.kernels.velocity_blocks(
                    b, s, d, inputs, slope, self._scale, outputs, tiles, begin, end, keeps, values, kept, v, vs
                )
                yield begin, end, v, vs

        return chunks

    def _speed(self, first: int) -> tuple[Floats, Floats]:
        """Room for a chunk's velocities, of the thread whose run begins at block `first`; kept from step to step."""
        if first not in self._speeds:
            size = self._chunk * BLOCK
            self._speeds[first] = (
                blocks.aligned((size * self.d,), self.dtype),
                blocks.aligned((size * self.outputs,), self.dtype),
            )
        return self._speeds[first]

    def velocities(self, drift: Drift) -> tuple[Array, Array]:
        """The data term of the velocity of every particle here, (m, d), and of its output weights, like s; float64."""
        v_all, vs_all = np.empty((self.K, BLOCK * self.d)), np.empty((self.K, BLOCK * self.outputs))
        chunks = self.velocity_chunks(drift)

        def work(first: int, last: int) -> None:
            for begin, end, *both in chunks(first, last):
                for whole, part in zip((v_all, vs_all), both, strict=True):
                    whole[begin:end] = part.reshape(-1, whole.shape[1])[: end - begin]

        self.threads.share(work, self.K)
        v = blocks.unpack(v_all.reshape(self.cloud.b.shape), self.count, in_place=True)
        if self.outputs == 1:
            return v, vs_all.reshape(-1)[: self.count]
        return v, blocks.unpack(vs_all.reshape(self.cloud.s.shape), self.count)

    def push(self, update: Update) -> bool:
        """Move every particle by one step, or one stage of one; whether all are still finite."""
        for layer in self._layers:
            layer.ready(update)
        chunks = self.velocity_chunks(update.drift, bool(update.growth))

        def work(first: int, last: int) -> int:
            finite = 0
            for begin, end, v, vs in chunks(first, last):
                if update.growth:
                    self._grow(update, begin, end, vs)
                for layer in self._layers:
                    finite += layer.go(update, vs if layer.coordinate else v, begin, end)
            return finite

        self._kept_of = None
        return self.threads.share(work, self.K) == len(self._layers) * self.K

    def _grow(self, update: Update, begin: int, end: int, vs: Floats) -> None:
        """Weights of blocks [begin, end); V / alpha^2 is h - s times the velocity that s would have."""
        cloud, rule = self.cloud, update.drift.regulariser
        for block in range(begin, end):
            s = blocks.row(cloud.s, block, self.K).astype(np.float64)
            potential = -s * vs[(block - begin) * s.size : (block - begin + 1) * s.size].reshape(s.shape)
            if self.outputs > 1:
                potential = potential.sum(axis=1).reshape(-1)
            if rule.weight:
                b = np.asarray(cloud.b[block], dtype=np.float64)  # (tiles, d, lanes)
                potential = potential + rule.weight * rule.value(b, 1).reshape(-1)
            with np.errstate(all="ignore"):  # the sum of all weights shows what overflowed
                cloud.w[block] *= np.exp(-update.growth * (potential - update.centre))

    def scale_weights(self, factor: float) -> None:
        """Multiply every weight, so that all of the measure's sum to 1."""
        self.cloud.w[...] *= factor

    def rewind(self) -> None:
        """Go back to where the Runge-Kutta step began."""
        for layer in self._layers:
            layer.rewind()
        self._kept_of = None

    def to_stage(self, weights: tuple[float, ...]) -> None:
        """Go to where a stage of the last Runge-Kutta step was, the velocities of the stages before it weighed so."""
        for layer in self._layers:
            layer.to_stage(weights)
        self._kept_of = None

    def probe(self, update: Update, weights: tuple[float, ...]) -> tuple[Branches, bool]:
        """A last stage, then int |sum_i weights_i k_i|^2 dmu, the square of a step's error; whether all are finite."""
        finite, squares = self.push(update), np.zeros((self.K, 1))
        for block in range(self.K):
            for layer in self._layers:
                squares[block] += np.sum(blocks.row(self.cloud.w, block, self.K) * layer.errors(weights, block))
        return climb(squares, 0, self.first, self.all_blocks), finite

    def average(self, share: float) -> None:
        """mean += share (iterate - mean): share = 1/(t + 1) keeps the mean of t + 1 iterates [15]."""
        part = self.b.dtype.type(share)

        def work(first: int, last: int) -> None:
            self.kernels.average_blocks(self.mean, self.b, part, self.d, first, last)
            if self.trains[1]:
                s, mean = self.cloud.s.reshape(-1), self.mean_s.reshape(-1)
                self.kernels.average_blocks(mean, s, part, self.outputs, first, last)

        self.threads.share(work, self.K)

    def measure(self, averaged: bool = False, last: bool = False) -> Measure:
        """The shard's particles, or their average over the iterates, in float64 (their w sum to 1 over all shards).

        last: in the memory that they have here, after which the shard is of no more use.
        """
        cloud = self.cloud._replace(b=self.mean_b, s=self.mean_s) if averaged else self.cloud
        return blocks.measure_of(cloud, in_place=last)

    def positions(self, first: int) -> Measure:
        """Those of the first particles of the measure that are here; float64."""
        count = min(max(0, first - self.first * BLOCK), self.count)
        return Measure(
            blocks.unpack(self.cloud.b[: blocks.blocks_of(count)], count), *blocks.weights_of(self.cloud, count)
        )

    def state(self) -> State:
        """The state itself, not a copy: good until the next push."""
        weights = self.cloud.w if self.weighing else np.empty(0)
        return State(self.cloud.b, self.cloud.s, self.mean_b, self.mean_s, weights)

    def moved(self) -> None:
        """Say that the state was written to from outside."""
        self._kept_of = None

    def keep(self, slot: int) -> None:
        """Keep a copy of what moves of the particles, under a number."""
        layers = [a for a, trains in zip((self.cloud.b, self.cloud.s), self.trains, strict=True) if trains]
        if slot not in self._slots:
            self._slots[slot] = [np.empty_like(layer) for layer in layers]
        for kept, layer in zip(self._slots[slot], layers, strict=True):
            kept[...] = layer

    def restore(self, slot: int) -> None:
        """Put the particles back where the copy of that number has them."""
        layers = zip((self.cloud.b, self.cloud.s), self.trains, strict=True)
        for layer, kept in zip([layer for layer, trains in layers if trains], self._slots[slot], strict=True):
            layer[...] = kept
        self.moved()

    def forget(self) -> None:
        """Give back the memory of all copies."""
        self._slots.clear()

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
