"""Reductions over the particles: what they see of each block, its sums and maxima, and those of all shards together."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Branches, Floats, climb, root
from particles.measures.measure import Array
from particles.population.messages import BlockView, Drift, Reduction
from particles.population.shard import Shard

T = TypeVar("T")


def fold_with(
    join: Callable[[Array], T], shard: Shard, reductions: Sequence[Reduction], drift: Drift | None
) -> list[T | Array]:
    """Each reduction over a shard's blocks: what `join` makes of a sum's parts (K, ...), or the max.

    drift: None leaves velocities NaN.
    """
    rows = [[np.array(part.of(view), np.float64, ndmin=1) for part in reductions] for view in views(shard, drift)]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return [
        join(values) if reduction.how == "sum" else values.max(axis=0)
        for values, reduction in zip(columns, reductions, strict=True)
    ]


def fold_blocks(shard: Shard, reductions: Sequence[Reduction], drift: Drift | None) -> list[Branches | Array]:
    """The same in branches of a sum, where others may have the rest of the blocks."""
    return fold_with(lambda values: climb(values, 0, shard.first, shard.all_blocks), shard, reductions, drift)


def combined(parts: Sequence[Sequence[Branches | Array]], K: int) -> list[Array]:
    """Each reduction over all shards, from what each shard has of it."""
    together = []
    for shards in zip(*parts, strict=True):
        sums = [part for part in shards if isinstance(part, dict)]
        together.append(root(sums, K) if sums else np.max([np.asarray(part) for part in shards], axis=0))
    return together


def views(shard: Shard, drift: Drift | None) -> Iterator[BlockView]:
    """What a reduction sees of every block."""
    cloud, K = shard.cloud, shard.K
    x = shard.samples.x if shard.samples else np.empty((0, shard.d))
    velocities = _velocities(shard, drift) if drift else None
    for k in range(K):
        m = min(BLOCK, shard.count - k * BLOCK)
        b, s = _cut(cloud.b[k], blocks.row(cloud.s, k, K), m)
        start = _cut(shard.start_b[k], blocks.row(shard.start_s, k, K), m) if shard.start_b.size else None
        v = _cut(*next(velocities), m) if velocities else None
        unknown = _unknown(shard.d, shard.outputs, m)
        view = BlockView(
            b, s, np.asarray(blocks.row(cloud.w, k, K)[:m], np.float64), *(start or unknown), *(v or unknown), x
        )
        yield _trained(shard, view, drift) if drift else view


def _cut(b: Floats, s: Floats, m: int) -> tuple[Array, Array]:
    """The particles of a block without its padding, in float64: b (d, m), and s (m,), or (k, m) of several outputs."""
    if s.ndim == 1:
        return _by_coordinate(b)[:, :m], s.astype(np.float64, copy=False)[:m]
    return _by_coordinate(b)[:, :m], _by_coordinate(s)[:, :m]


def _by_coordinate(tiles: Floats) -> Array:
    """(BLOCK / LANES, d, LANES) -> (d, BLOCK) in float64."""
    return tiles.transpose(1, 0, 2).reshape(-1, BLOCK).astype(np.float64, copy=False)


@lru_cache(maxsize=16)
def _unknown(d: int, outputs: int, m: int) -> tuple[Array, Array]:
    """For where the start was not kept, or no velocity computed: nothing may look at it, and NaN shows who did."""
    return np.full((d, m), np.nan), np.full(m if outputs == 1 else (outputs, m), np.nan)


def _velocities(shard: Shard, drift: Drift) -> Iterator[tuple[Floats, Floats]]:
    """The data term of the velocity, block by block."""
    for begin, end, v, vs in shard.velocity_chunks(drift)(0, shard.K):
        outputs = vs.reshape(-1, *shard.cloud.s.shape[1:])
        yield from zip(v.reshape(-1, *shard.cloud.b.shape[1:])[: end - begin], outputs, strict=False)


def _trained(shard: Shard, view: BlockView, drift: Drift) -> BlockView:
    """The view with the regulariser's pull in its velocities, and none for a layer that is not trained."""
    velocity, velocity_s = np.zeros_like(view.velocity), np.zeros_like(view.velocity_s)
    if "input" in shard.net.train:
        velocity = -drift.regulariser.gradient(-view.velocity, view.b, view.start_b)
    if "output" in shard.net.train:
        velocity_s = -drift.regulariser.gradient(-view.velocity_s, view.s, view.start_s)
    return view._replace(velocity=velocity, velocity_s=velocity_s)
