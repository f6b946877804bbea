"""Directions on a shard: small changes of its particles, or the derivative of something by them, carried along a run.

A direction is per unit of a particle's weight, so an atom of weight zero has one too: it shows what a particle there
would do. The velocity is minus a gradient, so one product with its symmetric derivative serves both ways in time.
"""

from collections.abc import Callable
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

_CHUNK_BYTES = 2**20  # of what a thread makes before it is added to the directions


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
        self.kernels = shard.net.linear_kernels(shard.dtype)

    def empty(self, count: int | None = None) -> Coordinates:
        """Directions that are zero."""
        count = self.count if count is None else count
        some = [(count if wanted else 0, *shape) for wanted, shape in zip(self.wanted, self.shapes, strict=True)]
        return Coordinates(*(blocks.aligned(shape, self.shard.dtype) for shape in some))

    def changes(self, direction: Coordinates, which: Which, first: int, last: int) -> Branches:
        """The shard's part of the change of the outputs / alpha by directions [first, last): ((last - first) n k,)."""
        shard, J = self.shard, last - first
        x, inputs = shard.inputs(which)
        p, q = self._part(direction, first, last)
        shift = self.shift[first:last].reshape(-1) if self.shift.size else self.shift
        size = 1 << shard.level
        totals = np.empty((-(-shard.K >> shard.level), J * len(x) * shard.outputs))

        def work(begin: int, end: int) -> None:
            self.kernels.sum_changes(
                shard.b, shard.cloud.signs, shard.cloud.w, p, q, shift, shard.d, inputs, self.moves, shard.tiles, J,
                size, begin, end, totals,
            )  # fmt: skip

        shard.threads.share(work, len(totals))
        return climb(totals, shard.level, shard.first >> shard.level, shard.all_blocks)

    def _part(self, direction: Coordinates, first: int, last: int) -> tuple[Floats, Floats]:
        """Directions [first, last) as the loops take them: flat, of layers that move."""
        b, s = direction.b[first:last], direction.s[first:last]
        none = b[:0].reshape(-1)
        return b.reshape(-1) if self.moves else none, s.reshape(-1) if self.weighs else none

    def pull(self, out: Coordinates, direction: Coordinates, pull: Pull, first: int, last: int) -> None:
        """out += factor times the product of directions [first, last) with the velocity's derivative."""
        shard, J, k = self.shard, last - first, self.shard.outputs
        real, d = shard.b.dtype.type, self.shard.d
        x, inputs = shard.inputs(pull.which)
        slope, change = shard.floats(pull.slope), shard.floats(pull.change)
        assert slope.size == len(x) * k and change.size == J * slope.size
        p, q = self._part(direction, first, last)
        moves, weighs = self.moves and not pull.explicit, self.weighs and not pull.explicit
        size, lam = real(-pull.factor / shard.alpha), 0.0 if pull.explicit else pull.rule.pull
        keep = real(-pull.factor * lam)
        chunk = min(shard.K, max(1, _CHUNK_BYTES // (BLOCK * (d + 2 * k) * shard.b.itemsize * J)))
        wants_p, wants_q = self.wanted

        if self.anchor and pull.rule.anchored and lam:
            for layer, trains in enumerate(shard.trains):
                if trains:
                    self.anchor[layer][first:last] -= keep * direction[layer][first:last]

        def work(begin: int, end: int) -> None:
            v = np.empty(J * chunk * BLOCK * d if wants_p else 0, shard.dtype)
            vs, e = (
                np.empty(J * chunk * BLOCK * k if wants_q else 0, shard.dtype),
                np.empty(J * chunk * BLOCK * k, v.dtype),
            )
            for start in range(begin, end, chunk):
                stop = min(start + chunk, end)
                own = slice(start, stop)
                here = [
                    a[: J * (stop - start) * width] for a, width in ((v, BLOCK * d), (vs, BLOCK * k), (e, BLOCK * k))
                ]
                for a in here:  # what is padding stays zero
                    a[:] = 0.0
                self.kernels.change_velocities(
                    shard.b, shard.cloud.signs, p, q, d, inputs, slope, change, moves, weighs, shard.tiles, J, start,
                    stop, *here,
                )  # fmt: skip
                changes = here[2].reshape(J, stop - start, *self.shapes[1][1:])
                if wants_p:
                    self._add(out.b[first:last, own], here[0], direction.b[first:last, own], size, keep * self.moves)
                if wants_q:
                    here[1] += here[2]
                    self._add(out.s[first:last, own], here[1], direction.s[first:last, own], size, keep * self.weighs)
                self.variation[first:last, own] += float(size) * self._weighed(changes, own)

        shard.threads.share(work, shard.K)

    @staticmethod
    def _add(out: Floats, change: Floats, direction: Floats, size: np.floating, keep: np.floating) -> None:
        """out += size change + keep direction, where out may be the direction."""
        if keep:
            out += size * change.reshape(out.shape) + keep * direction
        else:
            out += size * change.reshape(out.shape)

    def _weighed(self, changes: Floats, own: slice) -> Array:
        """sum_o s_ro e_jro of blocks `own`: (J, blocks, BLOCK) in float64."""
        cloud, K = self.shard.cloud, self.shard.K
        signs = np.stack([blocks.row(cloud.s, block, K) for block in range(own.start, own.stop)])
        each = np.multiply(signs, changes, dtype=np.float64)
        if self.shard.outputs > 1:
            each = each.sum(axis=3)
        return np.asarray(each.reshape(*changes.shape[:2], BLOCK))

    def combine(self, weights: tuple[float, ...], size: float, first: int, last: int) -> None:
        """direction = size at + sum_i weights_i stages_i, of directions [first, last)."""
        for layer, to in enumerate(self.direction):
            if not to.size:
                continue
            own = to[first:last]
            np.multiply(self.at[layer][first:last], size, out=own)
            for weight, stage in zip(weights, self.stages, strict=False):
                if weight:
                    own += to.dtype.type(weight) * stage[layer][first:last]

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
                parts[block] += np.add.reduce(each, axis=1)  # BLAS adds in an order that depends on how many there are
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


def results(shard: Shard) -> tuple[Array, Array, Array]:
    """The first variation (J, m) and the directions of positions (J, m, d) and output weights, like s; or empty."""
    mine, m = of_shard(shard), shard.count
    variation = mine.variation.reshape(mine.count, -1)[:, :m]
    found: list[Array] = []
    for layer, at in enumerate(mine.at):
        whole = at if mine.anchor is None else at + mine.anchor[layer]
        found.append(np.array([_unpacked(one, m) for one in whole]) if at.size else np.empty(0))
    return variation, found[0], found[1]


def _unpacked(a: Floats, m: int) -> Array:
    return np.asarray(a.reshape(-1)[:m], np.float64) if a.ndim == 2 else blocks.unpack(a, m)
