"""Reductions over the particles: what they see of each block, its sums and maxima, and those of all shards together."""

from collections.abc import Iterator, Sequence

import numpy as np

from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Branches, climb, root
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
        climb(np.stack(values), 0, shard.first, shard.all_blocks)
        if reduction.how == "sum"
        else np.max(np.stack(values), axis=0)
        for values, reduction in zip(columns, reductions, strict=True)
    ]


def _views(shard: Shard, drift: Drift | None) -> Iterator[BlockView]:
    cloud, d = shard.cloud, shard.cloud.d
    K, x = len(cloud.b), shard.samples.x if shard.samples else np.empty((0, shard.cloud.d))
    # Where the start was not kept, or no velocity computed, nothing may look at it: NaN shows who did.
    unknown, unknown_s = np.full(cloud.b.shape[1:], np.nan), np.full(BLOCK, np.nan)
    chunks = (
        ((k, k + 1, unknown[None], unknown_s[None]) for k in range(K))
        if drift is None
        else shard.velocity_chunks(drift, shard.inputs(drift.which), 0, K)
    )
    for begin, end, v, vs in chunks:
        for k in range(begin, end):
            m = min(BLOCK, shard.count - k * BLOCK)
            start_b = shard.start_b[k] if shard.start_b.size else unknown
            start_s = blocks.row(shard.start_s, k, K) if shard.start_s.size else unknown_s
            b, start_b, velocity = (
                np.asarray(a, np.float64).transpose(1, 0, 2).reshape(d, BLOCK)[:, :m]
                for a in (cloud.b[k], start_b, v[k - begin])
            )
            s, w = blocks.row(cloud.s, k, K), blocks.row(cloud.w, k, K)
            flat = (np.asarray(a, dtype=np.float64)[:m] for a in (s, w, start_s, vs[k - begin]))
            s, w, start_s, velocity_s = flat
            yield _trained(shard, BlockView(b, s, w, start_b, start_s, velocity, velocity_s, x), drift)


def _trained(shard: Shard, view: BlockView, drift: Drift | None) -> BlockView:
    """The view with the regulariser's pull in its velocities, and none for a layer that is not trained."""
    if drift is None:
        return view
    velocity, velocity_s = np.zeros_like(view.velocity), np.zeros_like(view.velocity_s)
    if "input" in shard.net.train:
        velocity = -drift.regulariser.gradient(-view.velocity, view.b, view.start_b)
    if "output" in shard.net.train:
        velocity_s = -drift.regulariser.gradient(-view.velocity_s, view.s, view.start_s)
    return view._replace(velocity=velocity, velocity_s=velocity_s)


def combined(parts: Sequence[Sequence[Branches | Array]], K: int) -> list[Array]:
    """What each shard made of each reduction, put together."""
    together = []
    for shards in zip(*parts, strict=True):
        sums = [part for part in shards if isinstance(part, Branches)]
        together.append(root(sums, K) if sums else np.max(np.stack([np.asarray(part) for part in shards]), axis=0))
    return together
