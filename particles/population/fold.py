"""Reductions over the particles: what they see of each block, its sums and maxima, and those of all shards together."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Branches, Floats, climb, root
from particles.measures.measure import Array
from particles.population.messages import BlockView, Drift, Reduction
from particles.population.shard import Shard


def fold_blocks(shard: Shard, reductions: Sequence[Reduction], drift: Drift | None) -> list[Branches | Array]:
    """Each reduction over the shard's blocks: branches of a sum, or the max; `drift` None leaves velocities NaN."""
    columns: list[list[Array]] = [[] for _ in reductions]
    for view in _views(shard, drift):
        for values, reduction in zip(columns, reductions, strict=True):
            values.append(np.atleast_1d(np.asarray(reduction.of(view), dtype=np.float64)))
    return [
        climb(np.array(values), 0, shard.first, shard.all_blocks)
        if reduction.how == "sum"
        else np.array(values).max(axis=0)
        for values, reduction in zip(columns, reductions, strict=True)
    ]


def _views(shard: Shard, drift: Drift | None) -> Iterator[BlockView]:
    cloud, K = shard.cloud, shard.K
    x = shard.samples.x if shard.samples else np.empty((0, shard.d))
    unknown = _unknown(shard.d)
    velocities = itertools.repeat(unknown, K) if drift is None else _velocities(shard, drift)
    for k, (v, vs) in enumerate(velocities):
        m = min(BLOCK, shard.count - k * BLOCK)
        start_b = _by_input(shard.start_b[k]) if shard.start_b.size else unknown[0]
        start_s = blocks.row(shard.start_s, k, K) if shard.start_s.size else unknown[1]
        s, w = blocks.row(cloud.s, k, K), blocks.row(cloud.w, k, K)
        s, w, start_s, vs = (np.asarray(a, np.float64)[:m] for a in (s, w, start_s, vs))
        view = BlockView(_by_input(cloud.b[k])[:, :m], s, w, start_b[:, :m], start_s, v[:, :m], vs, x)
        yield view if drift is None else _trained(shard, view, drift)


@cache
def _unknown(d: int) -> tuple[Array, Array]:
    """For where the start was not kept, or no velocity computed: nothing may look at it, and NaN shows who did."""
    return np.full((d, BLOCK), np.nan), np.full(BLOCK, np.nan)


def _velocities(shard: Shard, drift: Drift) -> Iterator[tuple[Array, Floats]]:
    """The data term of the velocity, block by block: (d, BLOCK), (BLOCK,)."""
    for begin, end, v, vs in shard.velocity_chunks(drift)(0, shard.K):
        for block, speed in zip(
            v.reshape(-1, *shard.cloud.b.shape[1:])[: end - begin], vs.reshape(-1, BLOCK), strict=False
        ):
            yield _by_input(block), speed


def _by_input(block: Floats) -> Array:
    """(BLOCK / LANES, d, LANES) -> (d, BLOCK) in float64."""
    return block.transpose(1, 0, 2).reshape(-1, BLOCK).astype(np.float64, copy=False)


def _trained(shard: Shard, view: BlockView, drift: Drift) -> BlockView:
    """The view with the regulariser's pull in its velocities, and none for a layer that is not trained."""
    velocity, velocity_s = np.zeros_like(view.velocity), np.zeros_like(view.velocity_s)
    if "input" in shard.net.train:
        velocity = -drift.regulariser.gradient(-view.velocity, view.b, view.start_b)
    if "output" in shard.net.train:
        velocity_s = -drift.regulariser.gradient(-view.velocity_s, view.s, view.start_s)
    return view._replace(velocity=velocity, velocity_s=velocity_s)


def combined(parts: Sequence[Sequence[Branches | Array]], K: int) -> list[Array]:
    """Each reduction over all shards, from what each shard has of it."""
    together = []
    for shards in zip(*parts, strict=True):
        sums = [part for part in shards if isinstance(part, dict)]
        together.append(root(sums, K) if sums else np.max([np.asarray(part) for part in shards], axis=0))
    return together
