"""Where `particles run` makes its runs, and what is said of it before they begin."""

import argparse
import contextlib
from pathlib import Path

from particles.cli.doctor import kernel_words, starting
from particles.console import Console
from particles.errors import InputError
from particles.experiments import placement
from particles.experiments.cost_model import here, probed
from particles.experiments.kernel_cost import kernel_cost
from particles.experiments.plan import Case, Plan
from particles.experiments.sweep import run_path
from particles.population.population import Engine, Local
from particles.population.ray.connection import PRIVATE
from particles.population.ray.engine import Ray

_LONG, _MANY_TIMES = 5.0, 3.0  # seconds of one thread, times the steps: what the kernel's quantities may cost unsaid


def left_of(plan: Plan, out: Path) -> list[Case]:
    """The runs that have no file yet."""
    return [case for case in plan.cases if not run_path(out, case).is_file()]


def announce(console: Console, plan: Plan, left: list[Case]) -> None:
    """Say what the tangent kernel's quantities cost in the runs that are left, where that is many times the steps."""
    cost = kernel_cost(plan, left)
    if cost.seconds > _LONG:
        known = probed(*placement.work_in(plan, placement.largest_of(left)))
        steps = sum(here(work, known, 1).step * work.steps for work in placement.works_in(plan, left))
        if cost.seconds > _MANY_TIMES * steps:
            console.print(kernel_words(cost, steps))


def engines_of(
    stack: contextlib.ExitStack, console: Console, plan: Plan, left: list[Case], chosen: argparse.Namespace
) -> tuple[Engine | None, Engine | None]:
    """Whose tasks the runs are that are left, and where each one's particles go; None is this machine."""
    if chosen.ray is None:
        if chosen.shards or chosen.engine != "auto":
            raise InputError("--shards and --engine need a cluster", "no --ray", 'Add --ray ADDRESS, or --ray "local".')
        return _here(left, chosen)
    private = chosen.ray == PRIVATE and chosen.engine == "auto" and chosen.shards is None
    if private and (why := placement.not_worth_starting(plan, left or plan.cases, chosen.threads)):
        console.print(f"runs go on this machine: {why}")
        return _here(left, chosen)
    ray = Ray(shards=chosen.shards, address=chosen.ray)
    console.print(f"{starting(chosen.ray)} ...")
    machines = stack.enter_context(ray.held())
    place = placement.place(plan, left or plan.cases, ray, machines, chosen.threads, chosen.engine)
    where = {"here": "on this machine", "tasks": f"as tasks on {sum(m.cpus for m in machines)} cores of the cluster"}
    where["shards"] = f"in {place.shards} shards of {place.threads} threads on the cluster"
    console.print(f"runs go {where[place.kind]}: {place.why}")
    if place.kind == "tasks":
        return ray, Local(1)
    if place.kind == "shards":
        return Local(1), Ray(place.shards, place.threads, chosen.ray)
    return _here(left, chosen)


def _here(left: list[Case], chosen: argparse.Namespace) -> tuple[Engine | None, Engine | None]:
    """The same on this machine."""
    engine = placement.processes(left, chosen.threads)
    return engine, Local(1) if engine else None
