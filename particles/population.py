"""A population: blocks of particles on this machine's threads. It alone changes particles, and only its own blocks.

One step is `sum` (every block adds up its outputs), the slope (n numbers, the caller's), `push` (every block moves its
own particles). Nothing else passes between blocks, which is why threads, shards and nodes can share them out freely.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from particles import blocks
from particles.blocks import Floats
from particles.checks import whole
from particles.errors import InputError
from particles.kernels.blocks import BLOCK
from particles.kernels.online import WINDOW
from particles.measure import Array, Measure, Source, checked_measure
from particles.network import Network
from particles.regularisers import L1, L2, Regulariser

_CHUNK_BYTES = 2**20  # velocities are made this much at a time, a thread: they stay in the L2 and never fill memory
# From this many inputs on, reading a pre-activation costs less than making it again (measured: drivers/benchmark.py),
_KEEP_FROM = 96
_KEEP_BYTES = 2**28  # as long as all of them fit in this; no bit depends on either.
_SWEEP_BLOCKS = 2  # a thread of the one-sample sweep has at least this many blocks, or meeting costs more than it wins
DTYPES = ("float64", "float32")


class BlockView(NamedTuple):
    """What an observable sees of one block, the padding cut off.

    b, start_b, velocity : (d, m); s, start_s, w, velocity_s : (m,). Velocities are zero where none were asked for.
    """

    b: Array
    s: Array
    w: Array
    start_b: Array
    start_s: Array
    velocity: Array
    velocity_s: Array


class Partial(NamedTuple):
    """A quantity as a map over blocks and a way to combine: "sum" in tree order, or "max"."""

    of: Callable[[BlockView], Array]
    how: str


class Field(NamedTuple):
    """What the velocity at a particle depends on: the samples, the slopes l'(g, y)/n at them, the regulariser."""

    x: Array
    slope: Array
    regulariser: Regulariser


class Leg(NamedTuple):
    """What a stretch of one-sample iterations needs: x (T, d), y, sizes (T,), the loss, the pull and what it pulls to.

    iterates: how many the average holds before it.
    """

    x: Array
    y: Array
    sizes: Array
    loss: str
    regulariser: L2
    iterates: int


class State(NamedTuple):
    """All that a population is, in block storage; `mean_*` are empty where no average is kept."""

    b: Floats
    s: Floats
    mean_b: Floats
    mean_s: Floats


def copy(state: State) -> State:
    """The state as it is now."""
    return State(*(a.copy() for a in state))


class Population(Protocol):
    """What the flow asks of a population, wherever its blocks live."""

    count: int

    def sum(self, x: Array, averaged: bool = False, keep: bool = False) -> Array: ...
    def push(self, field: Field, step: float) -> bool: ...
    def sweep(self, leg: Leg) -> tuple[Array, bool]: ...
    def average(self, share: float) -> None: ...
    def fold(self, partials: Sequence[Partial], field: Field | None) -> list[Array]: ...
    def measure(self, averaged: bool = False) -> Measure: ...
    def positions(self, first: int) -> tuple[Array, Array]: ...
    def state(self) -> State: ...
    def restore(self, state: State) -> None: ...
    def close(self) -> None: ...


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Local:
    """Run on this machine. threads: None takes every core this process may use. The result does not depend on it."""

    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None:
            whole("threads", self.threads, 1, remedy="Leave it out to use all cores.")

    def populate(
        self, net: Network, start: Measure | Source, dtype: str, averaged: bool, anchored: bool
    ) -> "LocalPopulation":
        """The population of this measure's particles; `anchored` if the start is needed later on."""
        return LocalPopulation(net, start, dtype, averaged, anchored, self.threads or cores())


class LocalPopulation:
    """Blocks of particles on the threads of this process."""

    def __init__(
        self, net: Network, start: Measure | Source, dtype: str, averaged: bool, anchored: bool, threads: int
    ) -> None:
        if dtype not in DTYPES:
            raise InputError("`dtype` must be float64 or float32", str(dtype), "")
        self.net, self.dtype = net, dtype
        if isinstance(start, Measure):
            start = checked_measure(start, start.b.shape[1])
        self.alpha = net.scale(start) if isinstance(start, Measure) else net.alpha(start.count)
        self._trains = "input" in net.train, "output" in net.train
        self.cloud = blocks.pack(start, dtype, not self._trains[1])
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
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self._chunk = max(1, _CHUNK_BYTES // (BLOCK * (d + 1) * self.cloud.b.itemsize))
        self._scratch: tuple[Floats, ...] | None = None  # of the one-sample sweep, made when there is one
        # Pre-activations of the last sum, and the inputs they belong to.
        self._kept: Floats = empty
        self._kept_of: Array | None = None

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown()

    def _share(self, work: Callable[[int, int], int | None], total: int, threads: int | None = None) -> int:
        """Run work(first, last) on equal runs of 0 .. total, a thread each; the sum of what it returns."""
        threads = threads or self.threads
        if threads == 1 or not self._pool:
            return work(0, total) or 0
        edges = [total * j // threads for j in range(threads + 1)]
        jobs = [self._pool.submit(work, *pair) for pair in itertools.pairwise(edges)]
        return sum(job.result() or 0 for job in jobs)

    def _floats(self, a: Array) -> Floats:
        return np.ascontiguousarray(a, dtype=self.dtype).reshape(-1)

    def sum(self, x: Array, averaged: bool = False, keep: bool = False) -> Array:
        """g = alpha int s sigma(b.x) dmu at the inputs: (n, d) -> (n,) float64.

        keep: a push with these very inputs follows, so pre-activations may stay in memory where that pays.
        """
        cloud = self.cloud._replace(b=self.mean_b, s=self.mean_s) if averaged else self.cloud
        K, d = len(cloud.b), cloud.d
        # About 16 groups a thread; no bit depends on it.
        size = 1 << max(0, (K - 1) // (16 * self.threads)).bit_length()
        groups = -(-K // size)
        b, inputs, totals = cloud.b.reshape(-1), self._floats(x), np.empty((groups, len(x)))
        keep = keep and not averaged and d >= _KEEP_FROM and K * BLOCK * len(x) * b.itemsize <= _KEEP_BYTES
        if keep and self._kept.size != K * BLOCK * len(x):
            self._kept = np.empty(K * BLOCK * len(x), self.dtype)
        kept = self._kept

        def work(first: int, last: int) -> None:
            self.kernels.sum_groups(
                b, cloud.s, cloud.w, d, inputs, cloud.last_tiles, size, first, last, keep, kept, totals
            )

        self._share(work, groups)
        if keep:
            self._kept_of = x
        return self.alpha * blocks.tree_sum(totals)

    def _velocities(self, field: Field, first: int, last: int) -> Iterator[tuple[int, int, Floats, Floats]]:
        """The data term of the velocity, a chunk of blocks at a time."""
        cloud = self.cloud
        b, d = cloud.b.reshape(-1), cloud.d
        scale = b.dtype.type(1.0 / self.alpha)
        size = min(self._chunk, last - first)
        v, vs = np.zeros((size, *cloud.b.shape[1:]), self.dtype), np.zeros((size, BLOCK), self.dtype)
        inputs, slope = self._floats(field.x), self._floats(field.slope)
        keep = field.x is self._kept_of
        for begin in range(first, last, self._chunk):
            end = min(begin + self._chunk, last)
            self.kernels.velocity_blocks(
                b, cloud.s, d, inputs, slope, scale, self._trains[1], cloud.last_tiles, begin, end, keep, self._kept,
                v.reshape(-1), vs.reshape(-1),
            )  # fmt: skip
            yield begin, end, v, vs

    def push(self, field: Field, step: float) -> bool:
        """Move every particle by one step of flow time `step`; whether all are still finite."""
        cloud, rule, real = self.cloud, field.regulariser, self.cloud.b.dtype.type
        l1 = isinstance(rule, L1)
        pull, threshold = (0.0, step * rule.weight) if l1 else (rule.weight, 0.0)
        anchored = not isinstance(rule, L1) and rule.about == "start"
        numbers = real(step), real(pull), real(threshold)
        layers = [(cloud.b, self.start_b, cloud.d), (cloud.s, self.start_s, 1)]
        trained = [layer for layer, train in zip(layers, self._trains, strict=True) if train]

        def work(first: int, last: int) -> int:
            finite = 0
            for begin, end, v, vs in self._velocities(field, first, last):
                for place, anchor, d in trained:
                    speed = v if place is cloud.b else vs
                    finite += self.kernels.move_blocks(
                        place.reshape(-1), speed.reshape(-1), anchor.reshape(-1), anchored, *numbers, d,
                        cloud.last_tiles, begin, end,
                    )  # fmt: skip
            return finite

        fine = self._share(work, len(cloud.b)) == len(trained) * len(cloud.b)
        self._kept_of = None
        return fine

    def sweep(self, leg: Leg) -> tuple[Array, bool]:
        """One-sample iterations (3.2) on every particle's position, windows counted from the first.

        -> g at each iteration's sample before its step, (T,); whether all particles stay finite
        """
        cloud, K = self.cloud, len(self.cloud.b)
        threads = max(1, min(self.threads, K // _SWEEP_BLOCKS))
        if self._scratch is None:
            s: Floats = cloud.s
            w: Floats = cloud.w
            if len(s) != len(w):
                s, w = (np.stack([blocks.row(a, block, K) for block in range(K)]) for a in (s, w))
            both = np.asarray(w * s, dtype=self.dtype)
            self._scratch = s.reshape(-1), both.reshape(-1), np.zeros(K * BLOCK * WINDOW, self.dtype)
        sums, outputs, gate = np.zeros((2, K)), np.zeros(len(leg.y)), np.zeros(1, dtype=np.int64)
        rule, averaged = leg.regulariser, bool(self.mean_b.size)
        anchored = rule.weight > 0.0 and rule.about == "start"
        b, mean, anchor = (a.reshape(-1) for a in (cloud.b, self.mean_b, self.start_b))
        kernel = self.net.online_kernel(self.dtype, leg.loss)
        signs, both, slots = self._scratch
        inputs = self._floats(leg.x)

        def work(first: int, last: int) -> int:
            return int(kernel(
                b, mean, anchor, anchored, averaged, signs, both, cloud.d, inputs, leg.y, leg.sizes, rule.weight,
                self.alpha, float(leg.iterates), cloud.last_tiles, first, last, slots, sums, outputs, gate,
                threads,
            ))  # fmt: skip

        return outputs, self._share(work, K, threads) == threads

    def average(self, share: float) -> None:
        """mean += share (iterate - mean): share = 1/(t + 1) keeps the mean of t + 1 iterates [15]."""
        part, cloud = self.cloud.b.dtype.type(share), self.cloud

        def work(first: int, last: int) -> None:
            self.kernels.average_blocks(self.mean_b.reshape(-1), cloud.b.reshape(-1), part, cloud.d, first, last)
            if self._trains[1]:
                self.kernels.average_blocks(self.mean_s.reshape(-1), cloud.s.reshape(-1), part, 1, first, last)

        self._share(work, len(cloud.b))

    def fold(self, partials: Sequence[Partial], field: Field | None) -> list[Array]:
        """Each partial over all blocks, combined in block order; `field` None leaves velocities zero."""
        found: list[list[Array]] = [[] for _ in partials]
        for view in self._views(field):
            for values, partial in zip(found, partials, strict=True):
                values.append(np.atleast_1d(np.asarray(partial.of(view), dtype=np.float64)))
        return [
            blocks.tree_sum(np.stack(values)) if partial.how == "sum" else np.max(np.stack(values), axis=0)
            for values, partial in zip(found, partials, strict=True)
        ]

    def _views(self, field: Field | None) -> Iterator[BlockView]:
        cloud, d = self.cloud, self.cloud.d
        K = len(cloud.b)
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
                yield self._trained(BlockView(b, s, w, start_b, start_s, velocity, velocity_s), field)

    def _trained(self, view: BlockView, field: Field | None) -> BlockView:
        """The view with the regulariser's pull in its velocities, and none for a layer that is not trained."""
        if field is None:
            return view
        velocity, velocity_s = np.zeros_like(view.velocity), np.zeros_like(view.velocity_s)
        if "input" in self.net.train:
            velocity = regularised(view.velocity, view.b, view.start_b, field.regulariser)
        if "output" in self.net.train:
            velocity_s = regularised(view.velocity_s, view.s, view.start_s, field.regulariser)
        return view._replace(velocity=velocity, velocity_s=velocity_s)

    def measure(self, averaged: bool = False) -> Measure:
        """The particles, or their average over the iterates, as a measure in float64."""
        return blocks.measure_of(self.cloud._replace(b=self.mean_b, s=self.mean_s) if averaged else self.cloud)

    def positions(self, first: int) -> tuple[Array, Array]:
        """b (first, d) and s (first,) of the first particles."""
        K = -(-first // BLOCK)
        return blocks.unpack(self.cloud.b[:K], first), blocks.flat(self.cloud.s, len(self.cloud.b), self.count)[:first]

    def state(self) -> State:
        """The state itself, not a copy: good until the next push."""
        return State(self.cloud.b, self.cloud.s, self.mean_b, self.mean_s)

    def restore(self, state: State) -> None:
        """Put a saved state in place."""
        for mine, saved in zip((self.cloud.b, self.cloud.s, self.mean_b, self.mean_s), state, strict=True):
            if mine.shape != saved.shape or mine.dtype != saved.dtype:
                raise InputError(
                    "a saved state must have this run's shape and float type",
                    f"{saved.shape} {saved.dtype} for {mine.shape} {mine.dtype}",
                    "Resume with the configuration that wrote it.",
                )
            mine[...] = saved
        self._kept_of = None


def regularised(v: Array, w: Array, start: Array, rule: Regulariser) -> Array:
    """The whole velocity: the data term less the regulariser's gradient; for L1 its least-norm subgradient at 0."""
    if isinstance(rule, L1):
        at_zero = np.sign(v) * np.maximum(np.abs(v) - rule.weight, 0.0)
        return np.asarray(np.where(w == 0.0, at_zero, v - rule.weight * np.sign(w)))
    return v - rule.weight * (w - start if rule.about == "start" else w)
