"""Directions on a shard: small changes of its particles, or the derivative of something by them, carried along a run.

A direction is per unit of a particle's weight, so an atom of weight zero has one too: it shows what a particle there
would do. The velocity is minus a gradient, so one product with its symmetric derivative serves both ways in time.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Branches, Floats, climb
from particles.measures.measure import Array
from particles.measures.random_streams import ROWS, Purpose, generator, rows_of
from particles.model.regularisers import Regulariser
from particles.population.differential import Integrand, checked_integrand
from particles.population.fold import views
from particles.population.messages import BlockView, Drift
from particles.population.samples import Which
from particles.population.shard import Shard

_CHUNK_BYTES = 2**20  # of what NumPy makes at a time, a thread
_TOGETHER_BYTES = 2**23  # of what a thread makes of a block before it is added to the directions that go together
_TOGETHER_SUMS = 2**17  # numbers in a sum over a block of the directions that go together
# Inputs from which on b.x and p.x are kept from the sum to the push, for as many blocks as fit. No bit depends on it.
_KEEP_FROM = 48
_KEEP_BYTES = 2**28


class Coordinates(NamedTuple):
    """One number for every coordinate of every particle, for several directions: b and s in block storage.

    b : (J, K, BLOCK / LANES, d, LANES), s : (J, K, BLOCK), or (J, K, BLOCK / LANES, k, LANES); either may be empty
    """

    b: Floats
    s: Floats


class Pull(NamedTuple):
    """What a product with the velocity's derivative needs: samples, slopes l'/n like g, their change (J, n k), and lam.

    factor: of the product. explicit: whether there is no direction, and `change` is the derivative by outputs.
    """

    which: Which
    slope: Array
    change: Array
    factor: float
    rule: Regulariser
    explicit: bool = False


class Directions:
    """J directions of a shard. p, q: whether they are kept of positions and output weights, moving or not.

    variation : (J, K, BLOCK), what the derivative by the particles' weights has come to.
    """

    def __init__(self, shard: Shard, count: int, p: bool, q: bool, stages: int, anchored: bool) -> None:
        self.shard, self.count, (self.moves, self.weighs) = shard, count, shard.trains
        self.shapes = shard.cloud.b.shape, (shard.K, *shard.cloud.s.shape[1:])
        self.wanted = p or self.moves, q or self.weighs
        self.at = self.empty()
        self.stages = [self.empty() for _ in range(stages)]  # of a step of several
        self.direction = self.empty() if stages else self.at
        self.anchor = self.empty() if anchored else None
        self.variation = np.zeros((count, shard.K, BLOCK))
        self.shift: Floats = np.empty(0, shard.dtype)  # the change of weights, (J, K, BLOCK), carried forward alone
        self.velocity, self.squares = self.at, np.empty(0)
        self.kernels = shard.net.linear_kernels(shard.dtype, shard.d)
        self._kept: Floats = np.empty(0, shard.dtype)
        self._kept_of: tuple[Array, Coordinates, int, int] | None = None  # of which inputs and directions

    def empty(self, count: int | None = None) -> Coordinates:
        """Directions that are zero."""
        count = self.count if count is None else count
        some = [(count if wanted else 0, *shape) for wanted, shape in zip(self.wanted, self.shapes, strict=True)]
        return Coordinates(*(blocks.aligned(shape, self.shard.dtype) for shape in some))

    def changes(self, direction: Coordinates, which: Which, first: int, last: int) -> Branches:
        """The shard's part of the change of the outputs / alpha by directions [first, last): ((last - first) n k,)."""
        x, inputs = self.shard.inputs(which)
        parts = list(self._together(first, last, len(x)))
        keeps = self._room(len(x), last - first) if self.moves and len(parts) == 1 else 0
        found = [self._changes(direction, inputs, len(x), begin, end, keeps) for begin, end in parts]
        if keeps:
            self._kept_of = x, direction, first, last
        if len(found) == 1:
            return found[0]
        return {node: np.concatenate([each[node] for each in found]) for node in found[0]}

    def _changes(self, direction: Coordinates, inputs: Floats, n: int, first: int, last: int, keeps: int) -> Branches:
        """The same of directions that go together."""
        shard, J = self.shard, last - first
        p, q = self._part(direction, first, last)
        shift = self.shift[first:last].reshape(-1) if self.shift.size else self.shift
        size = 1 << shard.level
        totals = np.empty((-(-shard.K >> shard.level), J * n * shard.outputs))

        def work(begin: int, end: int) -> None:
            self.kernels.sum_changes(
                shard.b, shard.cloud.signs, shard.cloud.w, p, q, shift, shard.d, inputs, self.moves, shard.tiles, J,
                size, begin, end, keeps, self._kept, totals,
            )  # fmt: skip

        shard.threads.share(work, len(totals))
        return climb(totals, shard.level, shard.first >> shard.level, shard.all_blocks)

    def _together(self, first: int, last: int, n: int) -> Iterator[tuple[int, int]]:
        """Runs of directions that go through the loops together: what a thread makes of them stays in its cache."""
        shard, k = self.shard, self.shard.outputs
        each = max(BLOCK * (shard.d + 2 * k) * shard.b.itemsize / _TOGETHER_BYTES, n * k / _TOGETHER_SUMS)
        count = max(1, int(1.0 / each))
        for begin in range(first, last, count):
            yield begin, min(begin + count, last)

    def _room(self, n: int, J: int) -> int:
        """Room for what the sum keeps for the push at n inputs: of how many blocks."""
        shard = self.shard
        if shard.d < _KEEP_FROM:
            return 0
        block = BLOCK * n * (1 + J)
        keeps = min(shard.K, _KEEP_BYTES // (block * shard.b.itemsize))
        if self._kept.size < keeps * block:
            self._kept = blocks.aligned((keeps * block,), shard.dtype)
        return keeps

    def _part(self, direction: Coordinates, first: int, last: int) -> tuple[Floats, Floats]:
        """Directions [first, last) as the loops take them: flat, of layers that move."""
        b, s = direction.b[first:last], direction.s[first:last]
        none = b[:0].reshape(-1)
        return b.reshape(-1) if self.moves else none, s.reshape(-1) if self.weighs else none

    def pull(self, out: Coordinates, direction: Coordinates, pull: Pull, first: int, last: int) -> None:
        """out += factor times the product of directions [first, last) with the velocity's derivative."""
        shard, k = self.shard, self.shard.outputs
        x, inputs = shard.inputs(pull.which)
        slope, change = shard.floats(pull.slope), shard.floats(pull.change)
        assert slope.size == len(x) * k and change.size == (last - first) * slope.size
        kept_of, self._kept_of = self._kept_of, None
        known = kept_of is not None and kept_of[0] is x and kept_of[1] is direction and kept_of[2:] == (first, last)
        keeps = self._room(len(x), last - first) if known and not pull.explicit else 0
        keep = 0.0 if pull.explicit else -pull.factor * pull.rule.pull
        if self.anchor and pull.rule.anchored and keep:
            for layer, trains in enumerate(shard.trains):
                if trains:
                    self.anchor[layer][first:last] -= shard.b.dtype.type(keep) * direction[layer][first:last]
        for begin, end in self._together(first, last, len(x)):
            own = change[(begin - first) * slope.size : (end - first) * slope.size]
            self._pull(out, direction, pull, inputs, slope, own, begin, end, keep, keeps)

    def _pull(
        self, out: Coordinates, direction: Coordinates, pull: Pull, inputs: Floats, slope: Floats, change: Floats,
        first: int, last: int, keep: float, keeps: int,
    ) -> None:  # fmt: skip
        """The same of directions that go together."""
        shard, J, real = self.shard, last - first, self.shard.b.dtype.type
        p, q = self._part(direction, first, last)
        moves, weighs = self.moves and not pull.explicit, self.weighs and not pull.explicit
        size, decay = real(-pull.factor / shard.alpha), [real(keep * trains) for trains in shard.trains]
        out_p, out_q = out.b[first:last].reshape(-1), out.s[first:last].reshape(-1)
        variation = self.variation[first:last].reshape(-1)

        def work(begin: int, end: int) -> None:
            self.kernels.change_velocities(
                shard.b, shard.cloud.signs, p, q, shard.d, inputs, slope, change, moves, weighs, shard.tiles, J, begin,
                end, keeps, self._kept, size, *decay, out_p, out_q, variation,
            )  # fmt: skip

        shard.threads.share(work, shard.K)

    def combine(self, weights: tuple[float, ...], size: float, first: int, last: int) -> None:
        """direction = size at + sum_i weights_i stages_i, of directions [first, last)."""
        for layer, to in enumerate(self.direction):
            if to.size:
                self._combine(layer, to.dtype.type(size), weights, first, last)

    def _combine(self, layer: int, size: np.floating, weights: tuple[float, ...], first: int, last: int) -> None:
        """The same of one layer, some blocks at a time: nothing as large as the particles is made on the way."""
        to, at, K = self.direction[layer], self.at[layer], self.shard.K
        few = max(1, _CHUNK_BYTES // to[0, 0].nbytes)

        def work(begin: int, end: int) -> None:
            for j, block in itertools.product(range(first, last), range(begin, end, few)):
                own = slice(block, min(block + few, end))
                np.multiply(at[j, own], size, out=to[j, own])
                for weight, stage in zip(weights, self.stages, strict=False):
                    if weight:
                        to[j, own] += to.dtype.type(weight) * stage[layer][j, own]

        self.shard.threads.share(work, K)

    def collect(self, first: int, last: int) -> None:
        """at += sum_i stages_i, and the stages are zero again."""
        for stage in self.stages:
            for layer, at in enumerate(self.at):
                if at.size:
                    at[first:last] += stage[layer][first:last]
                    stage[layer][first:last] = 0.0

    def settle(self) -> None:
        """at = direction, and the stages are zero again."""
        for layer, at in enumerate(self.at):
            at[...] = self.direction[layer]
            for stage in self.stages:
                stage[layer][...] = 0.0

    def disturb(self, seed: int, symmetric: bool) -> Branches:
        """A change of the weights for each direction: sqrt(w) times independent normals, and the sum of each, (J,).

        symmetric: particles of the first and the second half have them in common.
        """
        shard, half = self.shard, self.shard.all_particles // 2
        self.shift = blocks.aligned((self.count, shard.K, BLOCK), shard.dtype)
        sums = np.zeros((shard.K, self.count))

        def normals(block: int) -> Array:
            return generator(seed, Purpose.FLUCTUATION, block).standard_normal((ROWS, self.count))

        for block in range(shard.K):
            first = (shard.first + block) * BLOCK
            m = min(BLOCK, shard.count - block * BLOCK)
            rows = np.arange(first, first + m) % half if symmetric else np.arange(first, first + m)
            begin, stop = int(rows.min()), int(rows.max()) + 1
            xi = rows_of(normals, begin, stop)[rows - begin] if symmetric else rows_of(normals, begin, stop)
            change = np.sqrt(blocks.row(shard.cloud.w, block, shard.K)[:m, None]) * xi
            self.shift[:, block, :m] = change.T
            sums[block] = change.sum(axis=0)
        return climb(sums, 0, shard.first, shard.all_blocks)

    def centre(self, sums: Array) -> None:
        """The changes of the weights less w times their sums, so that the measure keeps its mass."""
        for block in range(self.shard.K):
            w = blocks.row(self.shard.cloud.w, block, self.shard.K)
            self.shift[:, block] -= (sums[:, None] * w).astype(self.shard.dtype)

    def products(self, direction: Coordinates, rule: Regulariser, first: int, last: int) -> Branches:
        """The shard's part of sum_r w_r <direction_r, w - anchor> over the layers that train: (J,)."""
        shard, parts = self.shard, np.zeros((self.shard.K, last - first))
        layers = (shard.cloud.b, shard.start_b), (shard.cloud.s, shard.start_s)
        for (place, anchor), trains, along in zip(layers, shard.trains, direction, strict=True):
            if not trains:
                continue
            for block in range(shard.K):
                away = place[block] - anchor[block] if rule.anchored else place[block]
                each = np.multiply(along[first:last, block], away, dtype=np.float64)
                if each.ndim > 2:
                    each = each.sum(axis=2)
                each = each.reshape(last - first, BLOCK) * blocks.row(shard.cloud.w, block, shard.K)
                parts[block] += each.sum(axis=1)  # not a product of BLAS, whose bits depend on the other directions
        return climb(parts, 0, shard.first, shard.all_blocks)

    def add_integrand(self, j: int, of: Callable[[BlockView], Integrand], factor: float) -> None:
        """Direction j += factor times the derivative of an integral over the particles."""
        for block, view in enumerate(views(self.shard, None)):
            f, m = checked_integrand(of(view), view), view.w.size
            self.variation[j, block, :m] += factor * f.value
            for layer, slope in enumerate((f.b, f.s)):
                if self.at[layer].size:
                    self._add_block(self.at[layer][j, block], factor, slope, m)
                if self.anchor and self.anchor[layer].size and f.start:
                    self._add_block(self.anchor[layer][j, block], -factor, slope, m)

    def _add_block(self, to: Floats, factor: float, slope: Array | float, m: int) -> None:
        """to += factor slope on one block, slope (d, m) or (m,); a number is 0."""
        if not isinstance(slope, np.ndarray):
            return
        rows = np.zeros((slope.size // m, BLOCK))
        rows[:, :m] = factor * slope.reshape(-1, m)
        if to.ndim == 1:
            to += rows[0].astype(to.dtype)
        else:
            tiles, width, lanes = to.shape
            to += rows.reshape(width, tiles, lanes).transpose(1, 0, 2).astype(to.dtype)

    def set_velocity(self, drift: Drift) -> None:
        """The velocity as a direction of its own, and |v|^2 of every particle."""
        self.velocity, self.squares = self.empty(1), np.zeros((self.shard.K, BLOCK))
        for block, view in enumerate(views(self.shard, drift)):
            m = view.w.size
            for to, v in zip(self.velocity, (view.velocity, view.velocity_s), strict=True):
                if to.size:
                    self._add_block(to[0, block], 1.0, v, m)
            each = np.concatenate([view.velocity, view.velocity_s.reshape(-1, m)])
            self.squares[block, :m] = (each**2).sum(axis=0)


# What a population asks of each shard.


def begin(shard: Shard, count: int, p: bool, q: bool, stages: int, anchored: bool) -> None:
    """Directions that are zero."""
    shard.directions = None  # before the next: memory
    shard.directions = Directions(shard, count, p, q, stages, anchored)


def of_shard(shard: Shard) -> Directions:
    """The shard's directions."""
    assert shard.directions is not None
    return shard.directions


def changes(shard: Shard, which: Which, first: int, last: int) -> Branches:
    """The change of the outputs / alpha by the directions under way."""
    mine = of_shard(shard)
    return mine.changes(mine.direction, which, first, last)


def pull(shard: Shard, message: Pull, first: int, last: int, stage: int | None = None) -> None:
    """The product with the velocity's derivative, added to the directions, or to those of a stage."""
    mine = of_shard(shard)
    mine.pull(mine.at if stage is None else mine.stages[stage], mine.direction, message, first, last)


def combine(shard: Shard, weights: tuple[float, ...], size: float, first: int, last: int) -> None:
    """The direction of a stage."""
    of_shard(shard).combine(weights, size, first, last)


def collect(shard: Shard, first: int, last: int) -> None:
    """The end of a step of several stages."""
    of_shard(shard).collect(first, last)


def settle(shard: Shard, weights: tuple[float, ...]) -> None:
    """The end of a step of several stages, forward: at + sum_i weights_i stages_i."""
    mine = of_shard(shard)
    mine.combine(weights, 1.0, 0, mine.count)
    mine.settle()


def disturb(shard: Shard, seed: int, symmetric: bool) -> Branches:
    """Random changes of the weights."""
    return of_shard(shard).disturb(seed, symmetric)


def centre(shard: Shard, sums: Array) -> None:
    """The same without their means."""
    of_shard(shard).centre(sums)


def products(shard: Shard, rule: Regulariser, first: int, last: int) -> Branches:
    """int <direction, w - anchor> dmu."""
    mine = of_shard(shard)
    return mine.products(mine.direction, rule, first, last)


def add_integrand(shard: Shard, j: int, of: Callable[[BlockView], Integrand], factor: float) -> None:
    """The derivative of an integral over the particles, added to direction j."""
    of_shard(shard).add_integrand(j, of, factor)


def along_velocity(shard: Shard, drift: Drift) -> None:
    """Take the velocity as a direction, until the next one is taken."""
    of_shard(shard).set_velocity(drift)


def velocity_changes(shard: Shard, which: Which) -> Branches:
    """The change of the outputs / alpha along the velocity: (n k,)."""
    mine = of_shard(shard)
    return mine.changes(mine.velocity, which, 0, 1)


def velocity_products(shard: Shard, rule: Regulariser) -> Branches:
    """int <v, w - anchor> dmu: (1,)."""
    mine = of_shard(shard)
    return mine.products(mine.velocity, rule, 0, 1)


def pull_velocity(shard: Shard, message: Pull, j: int) -> None:
    """Direction j += factor / 2 times the derivative of int |v|^2 dmu; `message` has the change along the velocity."""
    mine = of_shard(shard)
    one = Directions(shard, 1, *mine.wanted, 0, mine.anchor is not None)
    one.pull(one.at, mine.velocity, message, 0, 1)
    for mine_of, own in ((mine.at, one.at), (mine.anchor, one.anchor)):
        for to, part in zip(mine_of or (), own or (), strict=True):
            if to.size:
                to[j] += part[0]
    mine.variation[j] += one.variation[0] + 0.5 * message.factor * mine.squares


def results(shard: Shard, position: bool, output_weight: bool) -> tuple[Array, Array, Array]:
    """The first variation (J, m), and if asked the directions of positions (J, m, d) and output weights, like s.

    The shard's directions and what was kept of the run are gone then.
    """
    mine, m = of_shard(shard), shard.count
    shard.directions = None
    variation = mine.variation.reshape(mine.count, -1)[:, :m]
    found: list[Array] = []
    for layer, (at, asked) in enumerate(zip(mine.at, (position, output_weight), strict=True)):
        if not asked:
            found.append(np.empty(0))
            continue
        if mine.anchor is not None:
            at += mine.anchor[layer]
        found.append(np.empty((len(at), m, *((at.shape[3],) if at.ndim > 3 else ()))))
        for one, whole in zip(at, found[-1], strict=True):
            whole[...] = one.reshape(-1)[:m] if one.ndim == 2 else blocks.unpack(one, m)
    return variation, found[0], found[1]
