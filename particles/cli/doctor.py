"""`particles doctor`: what this machine and a cluster offer, and what a configuration would cost there."""

import shutil
from pathlib import Path
from typing import Any

from rich.table import Table

from particles.console import Console
from particles.experiments.cost_model import Constants, Cost, best, here, probed, sharded
from particles.experiments.memory import size
from particles.experiments.placement import memory_here, work_in
from particles.experiments.plan import Plan
from particles.files.ownership import changeable_level
from particles.kernels.cache import cache_folder, can_be_written, mistrust
from particles.measures.blocks import blocks_of
from particles.population.population import cores
from particles.population.ray.connection import Node
from particles.population.ray.engine import Ray
from particles.storage.provenance import provenance


def examine(console: Console, address: str | None) -> dict[str, Any]:
    """Versions, cores, memory, the kernel cache; the cluster's machines, if there is one."""
    about = provenance()
    facts: dict[str, Any] = {name: about[name] for name in ("python", "package_versions", "cpu")}
    facts |= {"cores": cores(), "memory_bytes": memory_here(), "kernel_cache": cache_folder()}
    facts |= {"disk_free_bytes": shutil.disk_usage(Path.cwd()).free, "machines": []}
    memory, free = facts["memory_bytes"] / 2**30, facts["disk_free_bytes"] / 2**30
    console.print(f"python {facts['python']}, {facts['package_versions']}")
    console.print(f"cpu {facts['cpu']}: {facts['cores']} cores, {memory:.1f} GiB of memory")
    console.print(f"compiled kernels: {_kept(facts['kernel_cache'])}; disk free here: {free:.1f} GiB")
    if address is not None:
        with Ray(address=address).held() as machines:
            facts["machines"] = [{"id": machine.id, "cores": machine.cpus} for machine in machines]
            names = ", ".join(f"{machine.id[:8]} with {machine.cpus} cores" for machine in machines)
            console.print(f"Ray at {address}: {len(machines)} machines ({names})")
    return facts


def costs(console: Console, plan: Plan, address: str | None, nodes: int | None, each: int | None) -> dict[str, Any]:
    """Time, traffic and memory of the plan's largest run, here and on a cluster, by the model of scale."""
    case = max(plan.cases, key=lambda one: one.particles * one.config.steps)
    net, work = work_in(plan, case)
    engine = Ray(address=address) if address else None
    machines: list[Node] = []
    if engine:
        with engine.held() as machines:
            known = probed(net, work, engine)
    else:
        known = probed(net, work)
    many = nodes or max(1, len(machines))
    cpus = each or min([machine.cpus for machine in machines], default=cores())
    console.print(_constants_text(known, measured=engine is not None))
    what = "one sample in a step" if work.one_sample else f"{work.n} samples"
    console.print(f"{plan.name}: {work.M} particles, {what}, d = {work.d}, {work.steps} steps, {work.dtype}")
    top = best(work, known, many, cpus)
    rows = {1: sharded(work, known, 1, cpus), top.shards: top}
    for count in (many // 4, many // 2, many):
        if 1 <= count <= blocks_of(work.M):
            rows[count] = sharded(work, known, count, cpus)
    table = Table("where", "one step", "all steps", "traffic of a step", "particles in a process")
    mine = here(work, known, cores())
    table.add_row(f"this machine, {mine.threads} threads", *_row(mine, work.steps))
    for count, cost in sorted(rows.items()):
        mark = "  <- best" if count == top.shards else ""
        table.add_row(f"{count} shards of {cpus} threads{mark}", *_row(cost, work.steps))
    console.print(table)
    quickest = "this machine" if mine.step <= top.step else f"{top.shards} shards"
    hours = top.step * work.steps * top.shards / 3600.0
    console.print(f"fastest: {quickest}; on {top.shards} machines the run takes {hours:.3g} machine hours")
    shard_costs = [{"shards": count, "threads": cpus, **_plain(cost)} for count, cost in sorted(rows.items())]
    return {"name": plan.name, "particles": work.M, "samples": work.n, "steps": work.steps} | {
        "here": {"threads": mine.threads, **_plain(mine)}, "shards": shard_costs, "best_shards": top.shards
    }  # fmt: skip


def _kept(folder: Path | None) -> str:
    if folder is None:
        return "not saved"
    if level := changeable_level(folder):
        return f"{folder}, which is not used: {mistrust(level)}"
    return f"{folder}" if can_be_written(folder) else f"{folder}, which is read-only: new ones are not saved"


def _constants_text(known: Constants, measured: bool) -> str:
    source = "measured on the cluster" if measured else "typical of one machine; --ray measures them"
    return (
        f"{known.particle_sample * 1e9:.2f} ns for one particle and one sample on a thread (measured here); "
        f"Ray: {known.trip * 1e3:.2f} ms for a round trip + {known.shard * 1e3:.2f} ms for each shard, "
        f"{1e-6 / known.byte:.0f} MB/s ({source})"
    )


def _plain(cost: Cost) -> dict[str, float]:
    return {"step_seconds": cost.step, "traffic_bytes": cost.traffic, "memory_bytes": cost.memory}


def _row(cost: Cost, steps: int) -> tuple[str, str, str, str]:
    return (
        _time(cost.step), _time(cost.step * max(1, steps)), size(cost.traffic), size(cost.memory)
    )  # fmt: skip


def _time(seconds: float) -> str:
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
