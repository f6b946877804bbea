"""Which blocks and how many cores each shard has."""

from typing import Any

from particles.errors import ClusterError, InputError
from particles.kernels.assemble import BLOCK
from particles.population.ray.connection import nodes


def spans(K: int, shards: int) -> list[tuple[int, int]]:
    """Equal runs of K blocks, their edges moved by half a percent of a run at most, to numbers round in binary.

    Round edges leave few branches to send, and whole nodes of the tree to sum at once.
    """
    slack, edges = K // shards // 200, [0]
    for shard in range(1, shards):
        ideal = K * shard // shards
        edges.append(_roundest(max(edges[-1] + 1, ideal - slack), min(K - shards + shard, ideal + slack)))
    return list(zip(edges, [*edges[1:], K], strict=True))


def particles_of(span: tuple[int, int], count: int) -> tuple[int, int]:
    """The particles [first, last) of a run of blocks, of `count` in all."""
    return min(span[0] * BLOCK, count), min(span[1] * BLOCK, count)


def _roundest(low: int, high: int) -> int:
    """The number from low to high that the largest power of two divides."""
    step = 1
    while -(-low // (2 * step)) * 2 * step <= high:
        step *= 2
    return -(-low // step) * step


def checked_room(ray: Any, shards: int | None, threads: int | None) -> tuple[int, int]:
    """(shards, threads of each): by default a shard a machine with all its cores; what was asked for must fit."""
    up = nodes(ray)
    if not up:
        raise ClusterError("no machine of the Ray cluster offers a core. Start one with --num-cpus.")
    cpus = [node.cpus for node in up]
    if threads is None:
        each = -(-shards // len(up)) if shards else 1
        threads = max(1, min(cpus) // each)
    most = sum(cpu // threads for cpu in cpus)
    count = shards or most
    if not most or count > most:
        raise InputError(
            "`shards` x `threads` must fit the cluster's cores",
            f"{count} x {threads} for machines of {', '.join(map(str, cpus))} cores",
            f"Use at most {most} shards of {threads} threads, or add machines." if most else "Lower `threads`.",
        )
    return count, threads
