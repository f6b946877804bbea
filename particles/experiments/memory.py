"""What a sweep needs of memory at least, known before its data are drawn or its particles made."""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from particles import machine
from particles.data.datasets import shape_of
from particles.errors import InputError
from particles.experiments import build
from particles.experiments.cost_model import copies_of, width_of
from particles.experiments.plan import Case, Plan
from particles.population.reductions import MOMENTS
from particles.simulation.record import LOG_POINTS

ANY_MACHINE = 2**46  # bytes, 64 TiB: what no machine has
DATA, PARTICLES, RECORD, STEPS, GRAM = "data", "particles", "recorded numbers", "times of steps", "Gram matrices"
_REMEDIES = {
    DATA: "Lower data.n, data.dim or method.batch",
    PARTICLES: "Lower start.count or limit.nodes, or share them out with --ray",
    RECORD: "Raise record.every, give record.positions, or record fewer variables",
    STEPS: "Lower steps",
    GRAM: "Leave the quantities of the tangent kernel out of record.variables, or lower data.n",
}
_DRAWING = 2  # copies of the samples while they are drawn and split, at least: 2.4 to 4.7 were measured


class Need(NamedTuple):
    """Bytes of one run of a sweep, by what they are of; shape: samples to train on, to test with, inputs of each.

    outputs: of the network, and targets a sample.
    """

    parts: dict[str, int]
    shape: tuple[int, int, int]
    outputs: int = 1

    @property
    def data(self) -> int:
        """Bytes that every machine must have which makes runs."""
        return self.parts[DATA]

    @property
    def total(self) -> int:
        """Bytes of a machine that makes the run alone."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        shown = sorted(self.parts.items(), key=lambda part: -part[1])
        parts = ", ".join(f"{name} {size(count)}" for name, count in shown if count >= self.total / 100)
        return f"{size(self.total)} at least ({parts})"

    @property
    def remedy(self) -> str:
        """What makes the largest part smaller."""
        return _REMEDIES[max(self.parts, key=lambda name: self.parts[name])]


def needs(plan: Plan) -> list[Need]:
    """What the runs need, one of each kind; a file's data are read for it, a set's are not drawn.

    Raises InputError where no machine has as much.
    """
    largest: dict[tuple[str, bool], Case] = {}
    for case in plan.cases:
        kind = case.config.model_dump_json(exclude={"name", "limit", "loss", "start"}), case.nodes is None
        if kind not in largest or case.particles > largest[kind].particles:
            largest[kind] = case
    requirements = [_need(plan, case) for case in largest.values()]
    top = max(requirements, key=lambda need: need.total)
    if top.total > ANY_MACHINE:
        raise InputError(f"a run must fit in {size(ANY_MACHINE)} of memory", str(top), f"{top.remedy}.")
    return requirements


def check(plan: Plan, alone: bool) -> None:
    """InputError unless the samples of each run fit in this machine's memory; alone: and all else of it as well."""
    here, requirements = size(machine.memory()), needs(plan)
    data, top = max(need.data for need in requirements), max(requirements, key=lambda need: need.total)
    if data > machine.memory():
        raise InputError(f"samples must fit in this machine's memory, {here}", size(data), f"{_REMEDIES[DATA]}.")
    if alone and top.total > machine.memory():
        raise InputError(f"a run must fit in this machine's memory, {here}", str(top), f"{top.remedy}.")


def _need(plan: Plan, case: Case) -> Need:
    """Of one run: 8 bytes a number, and the particles as the cost model counts them."""
    config = case.config
    n, n_test, dim, k, copies = _samples(plan, case)
    d, method = dim + config.network.bias, build.method_of(config, case.identity)
    rule, rows = method.rule(build.regulariser_of(config)), build.rows(config, case.identity)
    width = np.dtype(config.dtype).itemsize * copies_of(method, rule, rows)
    count = case.particles * (2 if case.nodes and config.start.signs != "positive" else 1)
    atoms = 8 * count * (d + k + 1) if case.nodes else 0  # of the rule, made in one piece
    sizes = {"sample": n, "test_sample": n_test, "dim": d, "moment": len(MOMENTS), "output": k}
    positions = next((record.positions for record in config.records if record.positions), case.particles)
    sizes["particle"] = min(positions, case.particles)
    times = [recorded(config.steps, record.every) for record in config.records for _ in record.variables]
    numbers = sum(prod(sizes.get(dim, 1) for dim in row.dims) * T for row, T in zip(rows, times, strict=True))
    parts = {
        DATA: 8 * (n + n_test) * (dim + k) * copies + 8 * (method.batch or 0) * d,
        PARTICLES: count * width_of(d, k) * width + atoms,
        RECORD: 8 * numbers,
        STEPS: 16 * config.steps,
        GRAM: 8 * (n * k) ** 2 * any(row.kernel for row in rows),
    }  # fmt: skip
    return Need(parts, (n, n_test, dim), k)


def _samples(plan: Plan, case: Case) -> tuple[int, int, int, int, int]:
    """Samples to train on and to test with, inputs and targets of each, and how many copies there are at once."""
    config = case.config.data
    shape = shape_of(config.name, config.options()) if config.name else None
    if shape:
        n_test = round((config.test or 0.0) * shape[0])
        taught = config.teacher and config.teacher.outputs
        return shape[0] - n_test, n_test, shape[1], taught or 1, _DRAWING
    train, test = build.data(config, plan.folder, case.identity)
    return len(train), len(test) if test else 0, train.x.shape[1], train.outputs, 1


def recorded(steps: int, every: Any) -> int:
    """How many times are recorded, about."""
    if every == "log":
        return min(steps, int(LOG_POINTS * np.log10(max(steps, 1)))) + 1
    return steps // int(every) + 1


def size(count: int) -> str:
    """Bytes in words."""
    for unit, power in (("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 2**power:
            return f"{count / 2**power:.3g} {unit}"
    return f"{count} B"
