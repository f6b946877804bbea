"""`particles doctor`: what this machine and a cluster offer, and what a configuration would cost there."""

import shutil
from pathlib import Path
from typing import Any

from rich.table import Table

from particles.console import Console, duration
from particles.experiments.cost_model import Constants, Cost, best, here, probed, sharded
from particles.experiments.kernel_cost import KernelCost, kernel_cost
from particles.experiments.memory import needs, size
from particles.experiments.placement import (
    Placement,
    largest_of,
    memory_here,
    quickest,
    seconds_here,
    work_in,
    works_in,
)
from particles.experiments.plan import Plan
from particles.files.ownership import changeable_level
from particles.kernels.cache import cache_folder, can_be_written, mistrust
from particles.measures.blocks import blocks_of
from particles.population.population import cores
from particles.population.ray.connection import PRIVATE, Node
from particles.population.ray.engine import Ray
from particles.storage.provenance import provenance

_FASTEST = "  <- fastest"
_RUN = 0.02  # seconds of a run besides its steps, whatever its size: its file, above all (docs/measured.md)


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
        console.print(f"{starting(address)} ...")
        with Ray(address=address).held() as machines:
            facts["machines"] = [{"id": machine.id, "cores": machine.cpus} for machine in machines]
            names = ", ".join(f"{machine.id[:8]} with {machine.cpus} cores" for machine in machines)
            console.print(f"Ray at {address}: {len(machines)} machines ({names})")
    return facts


def costs(console: Console, plan: Plan, address: str | None, nodes: int | None, each: int | None) -> dict[str, Any]:
    """Time, traffic and memory of the plan's largest run, here and on a cluster; then of all its runs."""
    net, work = work_in(plan, largest_of(plan.cases))
    engine = Ray(address=address) if address else None
    machines: list[Node] = []
    if engine:
        with engine.held() as machines:
            known = probed(net, work, engine)
    else:
        known = probed(net, work)
    many = nodes or max(1, len(machines))  # of a plan for a cluster that is not there
    cpus = each or min([machine.cpus for machine in machines], default=cores())
    console.print(_constants_text(known, measured=engine is not None))
    what = "one sample in a step" if work.one_sample else f"{work.n} samples"
    sizes = f"d = {work.d}" + (f", {work.outputs} outputs" if work.outputs > 1 else "")
    largest = f"{work.M} particles, {what}, {sizes}, {work.steps} steps, {work.dtype}"
    console.print(f"{plan.name}: {len(plan.cases)} runs; the largest has {largest}")
    top = best(work, known, many, cpus)
    rows = {1: sharded(work, known, 1, cpus), top.shards: top}
    for count in (many // 4, many // 2, many):
        if 1 <= count <= blocks_of(work.M):
            rows[count] = sharded(work, known, count, cpus)
    table = Table("where", "one step", "all steps", "traffic of a step", "particles in a process")
    mine = here(work, known, cores())
    stays = mine.step <= top.step
    table.add_row(f"this machine, {mine.threads} threads{_FASTEST if stays else ''}", *_row(mine, work.steps))
    for count, cost in sorted(rows.items()):
        mark = _FASTEST if count == top.shards and not stays else ""
        table.add_row(f"{_plural(count, 'shard')} of {cpus} threads{mark}", *_row(cost, work.steps))
    console.print(table)
    quickest = "this machine" if stays else _plural(top.shards, "shard")
    hours = top.step * work.steps * top.shards / 3600.0
    console.print(f"fastest: {quickest}; on {_plural(top.shards, 'machine')} the run takes {hours:.3g} machine hours")
    shard_costs = [{"shards": count, "threads": cpus, **_plain(cost)} for count, cost in sorted(rows.items())]
    return {"name": plan.name, "particles": work.M, "samples": work.n, "steps": work.steps} | {
        "here": {"threads": mine.threads, **_plain(mine)}, "shards": shard_costs, "best_shards": top.shards
    } | _all_runs(console, plan, known, Placement("shards", top.shards, cpus, ""), top.step, many * cpus)  # fmt: skip


def _all_runs(
    console: Console, plan: Plan, known: Constants, away: Placement, step: float, all_cores: int
) -> dict[str, Any]:
    """What the whole sweep takes on this machine, what its largest run needs of memory, where the runs would go."""
    mine, works = cores(), works_in(plan, plan.cases)
    kernel = kernel_cost(plan, plan.cases)
    steps = sum(here(work, known, 1).step * work.steps for work in works)
    seconds = seconds_here(works, known, mine) + kernel.seconds / mine + _RUN * len(works)
    need = max(needs(plan), key=lambda one: one.total)
    where = quickest(plan, plan.cases, known, mine, all_cores, away, step) if away.shards * all_cores > mine else None
    console.print(f"all {len(works)} runs on this machine, {mine} threads: {duration(seconds)}, without compiling")
    if kernel.seconds:
        console.print(kernel_words(kernel, steps))
    console.print(f"memory of the largest run: {need}")
    kind = where.kind if where else "here"
    names = {"here": "on this machine", "tasks": "as tasks of the cluster", "shards": "one by one in shards"}
    console.print(f"runs would go {names[kind]}" + (f": {where.why}" if where else ""))
    facts = {"runs": len(works), "seconds": seconds, "kernel_seconds": kernel.seconds / mine}
    return facts | {"needed_bytes": need.total, "where": kind}


def kernel_words(cost: KernelCost, steps: float) -> str:
    """What the tangent kernel's quantities cost, and how to lower it. steps: seconds of all steps, on one thread."""
    ratio = f", {cost.seconds / steps:.2g} times as long as all steps" if steps > 0 else ""
    matrices = f"{cost.matrices} Gram matrices take {duration(cost.seconds)} of one thread{ratio}"
    return f"recording {', '.join(cost.names)}: {matrices}. To save time, give them a [[record]] with a larger `every`."


def starting(address: str) -> str:
    """What is said before Ray is started or joined, which takes seconds."""
    return "starting Ray on this machine" if address == PRIVATE else f"connecting to Ray at {address}"


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


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


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
