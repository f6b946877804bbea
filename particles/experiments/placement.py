"""Where the runs of a sweep go: this machine, tasks of a cluster, or one after another in shards. The rule, and why.

The cost model estimates all three times and the shortest is taken; a cluster only if it is at least 20% faster. A
population that does not fit in one machine's memory goes to shards whatever the time.
"""

from collections.abc import Sequence
from typing import NamedTuple

from particles import machine
from particles.errors import ClusterError
from particles.experiments import build
from particles.experiments.cost_model import Constants, Work, best, here, probed, sharded, work_of
from particles.experiments.parts import work_of as iterations_of
from particles.experiments.plan import Case, Plan
from particles.measures.blocks import blocks_of
from particles.model.network import Network
from particles.population.population import Engine, cores
from particles.population.processes import Processes
from particles.population.ray.connection import Node
from particles.population.ray.engine import Ray

KINDS = ("auto", "here", "tasks", "shards")
_WORTH = 0.8  # the cluster's estimate must be below this share of this machine's
_START = 3.0  # seconds until a process on a cluster has begun
_PRIVATE = 5.0  # seconds until a cluster on this machine has started and ended, about
_ROOM = 0.7  # of a machine's memory that particles may take
# A short run is 14 ms of Python, and two threads do no more of it than one. Processes take about 1.5 s to start.
_SHORT = 2**20  # particle-iterations up to which a run is called short
_MANY = 300  # short runs from which processes are quicker
_MODULES = ("particles.experiments.sweep", "particles.xarray")


class Placement(NamedTuple):
    """kind: "here", "tasks" or "shards"; shards and threads of each, for the last; why, in a sentence."""

    kind: str
    shards: int
    threads: int
    why: str


def work_in(plan: Plan, case: Case) -> tuple[Network, Work]:
    """What one run of a sweep has to do."""
    config = case.config
    parts = build.parts(config, plan.folder, case.identity)
    rule = parts.method.rule(parts.regulariser)
    what = parts.net, case.particles, parts.train, parts.method, rule, config.steps, config.dtype
    return parts.net, work_of(*what, build.rows(config, case.identity), build.named(config.loss, case.identity))


def works_in(plan: Plan, cases: Sequence[Case]) -> list[Work]:
    """What each of these runs has to do; those that differ in count and seed only are looked at once."""
    known: dict[str, Work] = {}
    works = []
    for case in cases:
        text = case.config.model_dump_json(exclude={"name": True, "limit": True, "start": {"count", "seed"}})
        if text not in known:
            known[text] = work_in(plan, case)[1]
        works.append(known[text]._replace(M=case.particles))
    return works


def largest_of(cases: Sequence[Case]) -> Case:
    """The run with the most particle-steps."""
    return max(cases, key=lambda case: case.particles * case.config.steps)


def seconds_here(works: Sequence[Work], known: Constants, threads: int) -> float:
    """The time of these runs on this machine: they share its threads, or the largest has all of them to itself."""
    alone = [here(work, known, 1).step * max(1, work.steps) for work in works]
    largest = max(works, key=lambda work: work.M * work.n * work.steps)
    return max(sum(alone) / threads, here(largest, known, threads).step * max(1, largest.steps))


def not_worth_starting(plan: Plan, todo: list[Case], threads: int | None) -> str:
    """Why a cluster on this machine's own cores cannot be worth its start for these runs; empty where it may be."""
    works = works_in(plan, todo)
    known = probed(*work_in(plan, largest_of(todo)))
    if max(here(work, known, 1).memory for work in works) > memory_here() * _ROOM:
        return ""
    mine = seconds_here(works, known, threads or cores())
    least = _START + _PRIVATE + seconds_here(works, known, cores())
    if least < _WORTH * mine:
        return ""
    return f"expected: {mine:.3g} s, and {least:.3g} s at least with a cluster on these cores, which is not started"


def processes(todo: list[Case], threads: int | None) -> Engine | None:
    """Processes of this machine for many short runs; None where threads do as well."""
    count = threads or cores()
    pays = count > 1 and len(todo) >= _MANY and all(iterations_of(case) <= _SHORT for case in todo)
    return Processes(count, _MODULES) if pays else None


def place(plan: Plan, todo: list[Case], engine: Ray, machines: list[Node], threads: int | None, kind: str) -> Placement:
    """The quickest place for the runs that are left. kind: "auto", or the one the user wants."""
    if not machines:
        raise ClusterError("no machine of the Ray cluster offers a core. Start one with --num-cpus.")
    net, largest = work_in(plan, largest_of(todo))
    mine = threads or cores()
    all_cores = sum(machine.cpus for machine in machines)
    fewest = min(machine.cpus for machine in machines)
    fewest_blocks = min(blocks_of(case.particles) for case in todo)
    most = min(engine.shards or len(machines), fewest_blocks)
    each = engine.threads or max(1, fewest // -(-most // len(machines)))
    if kind != "auto":
        return Placement(kind, most, each, "chosen by --engine")
    known = probed(net, largest, engine)
    cost = sharded(largest, known, most, each) if engine.shards else best(largest, known, most, each)
    shards = cost.shards
    return quickest(plan, todo, known, mine, all_cores, Placement("shards", shards, each, ""), cost.step)


def quickest(
    plan: Plan, todo: list[Case], known: Constants, mine: int, all_cores: int, away: Placement, step: float
) -> Placement:
    """The rule itself."""
    works = works_in(plan, todo)
    alone = [here(work, known, 1).step * max(1, work.steps) for work in works]
    largest = max(works, key=lambda work: work.M * work.n * work.steps)
    room = memory_here() * _ROOM
    needed = max(here(work, known, 1).memory for work in works)
    seconds = {
        "here": seconds_here(works, known, mine),
        "tasks": max(sum(alone) / all_cores, max(alone)) + _START,
        "shards": sum(step * work.steps * work.M / largest.M for work in works) + _START * len(works),
    }
    estimates = ", ".join(f"{kind} {took:.3g} s" for kind, took in seconds.items())
    if needed > room:
        return away._replace(why=f"{needed / 2**30:.1f} GiB of particles do not fit this machine ({estimates})")
    other = min(("tasks", "shards"), key=lambda kind: seconds[kind])
    kind = other if seconds[other] < _WORTH * seconds["here"] else "here"
    return away._replace(kind=kind, why=f"expected: {estimates}")


def memory_here() -> int:
    """Bytes of memory that this process may use here."""
    return machine.memory()
