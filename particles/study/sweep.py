"""Sweeps: a list in a configuration is an axis, every combination a run, named by the hash of its configuration.

Finished runs are skipped, so an interrupted sweep goes on where it was; each run writes its own file. Where a sweep has
`limit.nodes`, M = infinity is run beside every combination of the other axes, twice: with that many atoms and double.
"""

import itertools
import os
import shutil
import threading
import types
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from particles.errors import DivergedError, ParticlesError, StorageError
from particles.files import clear_parts
from particles.population import Local
from particles.study import build
from particles.study.config import Config, ConfigError, faults
from particles.study.provenance import fingerprint
from particles.study.results import Run, save, verified
from particles.study.simulate import simulate

MAX_RUNS = 100_000


class Axis(NamedTuple):
    """One list in the configuration: its name in the result, its dotted path, its values."""

    name: str
    path: tuple[str, ...]
    values: list[Any]


class Case(NamedTuple):
    """One run of a sweep. nodes: None for a finite network, else the quadrature atoms that stand for M = infinity."""

    coords: dict[str, Any]
    config: Config
    identity: dict[str, Any]
    nodes: int | None

    @property
    def key(self) -> str:
        """The hash of what decides the run's numbers: its file's name."""
        return fingerprint(self.identity)

    @property
    def particles(self) -> int:
        """How many atoms it moves."""
        return self.nodes or self.config.start.count


class Plan(NamedTuple):
    """A sweep: its axes, its runs, and the folder that file names in the configuration start from."""

    name: str
    axes: list[Axis]
    cases: list[Case]
    folder: Path


class Outcome(NamedTuple):
    """What became of one run: "finished", "kept" (from before), "diverged", "stopped", "failed"; what was said."""

    case: Case
    status: str
    message: str = ""


def plan(raw: dict[str, Any], folder: Path, source: str = "the configuration") -> Plan:
    """All runs of a configuration, checked; raises ConfigError with every fault."""
    axes = _axes(raw)
    number = 1
    for axis in axes:
        if not axis.values:
            raise ConfigError(source, [f"{'.'.join(axis.path)}: an axis of a sweep needs at least one value: got []"])
        number *= len(axis.values)
    if number > MAX_RUNS:
        raise ConfigError(source, [f"a sweep may have {MAX_RUNS} runs: got {number}. Shorten its lists."])
    runs = list(_combinations(raw, axes))
    found = list(dict.fromkeys(fault for _, single in runs for fault in faults(single)))
    if found:
        raise ConfigError(source, found)
    finite, limits = [], {}
    for coords, single in runs:
        config = Config.model_validate(single)
        identity = build.identity(config, folder)
        finite.append(Case(coords, config, identity, None))
        if config.limit is not None and config.network.beta == 1.0:
            for nodes in (config.limit.nodes, 2 * config.limit.nodes):
                start = {"nodes": nodes, "signs": config.start.signs}
                record = {key: value for key, value in identity["record"].items() if key != "positions"}
                case = Case(_without_start(coords, axes), config, identity | {"start": start, "record": record}, nodes)
                limits[case.key] = case
    repeated = {case.key: case for case in [*finite, *limits.values()]}
    return Plan(str(runs[0][1].get("name", "run")), axes, list(repeated.values()), folder)


def _without_start(coords: dict[str, Any], axes: list[Axis]) -> dict[str, Any]:
    own = {axis.name for axis in axes if axis.path[0] == "start"}
    return {name: value for name, value in coords.items() if name not in own}


def _axes(raw: dict[str, Any]) -> list[Axis]:
    paths = list(_lists(raw, Config, ()))
    last = [path[-1] for path, _ in paths]
    return [Axis(path[-1] if last.count(path[-1]) == 1 else "_".join(path), path, values) for path, values in paths]


def _lists(raw: dict[str, Any], model: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """The lists that stand where the model wants one value."""
    for key, value in raw.items():
        if key not in model.model_fields:
            continue  # an unknown key is reported by the models
        kinds = _kinds(model.model_fields[key].annotation)
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if isinstance(value, dict) and inner:
            yield from _lists(value, inner, (*path, key))
        elif isinstance(value, list) and list not in [typing.get_origin(kind) or kind for kind in kinds]:
            yield (*path, key), value


def _kinds(annotation: Any) -> list[Any]:
    """The alternatives of a type: those of a union, or itself."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return [kind for part in typing.get_args(annotation) for kind in _kinds(part)]
    if typing.get_origin(annotation) is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    return [annotation]


def _combinations(raw: dict[str, Any], axes: list[Axis]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for values in itertools.product(*(axis.values for axis in axes)):
        single = raw
        for axis, value in zip(axes, values, strict=True):
            single = _replaced(single, axis.path, value)
        yield dict(zip([axis.name for axis in axes], values, strict=True)), single


def _replaced(raw: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    head, *rest = path
    return raw | {head: _replaced(raw[head], tuple(rest), value) if rest else value}


def run_path(out: Path, case: Case) -> Path:
    """Where a run's result goes."""
    return out / "runs" / f"{case.key}.h5"


def finished(out: Path, case: Case) -> bool:
    """Whether this run's file is there, reads back whole and belongs to it."""
    path = run_path(out, case)
    if not path.is_file():
        return False
    try:
        attrs = verified(path)
    except StorageError:
        return False  # a damaged file is written anew
    return attrs.get("config_hash") == case.key and attrs.get("status") in ("finished", "diverged")


class Monitor(typing.Protocol):
    """What is told of a sweep as it goes."""

    def begin(self, cases: list[Case], todo: list[Case]) -> None: ...
    def step(self, case: Case, iteration: int, steps: int) -> None: ...
    def end(self, outcome: Outcome) -> None: ...


def run_sweep(
    made: Plan,
    out: Path,
    monitor: Monitor,
    threads: int | None = None,
    checkpoint_seconds: float = 30.0,
    stop: threading.Event | None = None,
) -> list[Outcome]:
    """Run what is not there yet, the largest first, a thread a run; each run's file is whole or not there.

    `stop`: set it to end after the iterations under way; the runs' states are kept and the next call goes on from them.
    """
    stop = stop or threading.Event()
    (out / "runs").mkdir(parents=True, exist_ok=True)
    clear_parts(out / "runs")
    clear_parts(out)
    kept = [case for case in made.cases if finished(out, case)]
    done = {case.key for case in kept}
    todo = sorted((case for case in made.cases if case.key not in done), key=lambda case: -case.particles)
    monitor.begin(made.cases, todo)
    cores = threads or len(os.sched_getaffinity(0))
    workers = max(1, min(cores, len(todo)))
    outcomes = [Outcome(case, "kept") for case in kept]
    with ThreadPoolExecutor(workers) as pool:
        jobs: list[Future[Outcome]] = [
            pool.submit(_run_one, made, case, out, monitor, cores // workers, checkpoint_seconds, stop) for case in todo
        ]
        try:
            for job in as_completed(jobs):
                outcome = job.result()
                outcomes.append(outcome)
                monitor.end(outcome)
        except BaseException:
            stop.set()
            raise
    return outcomes


def _run_one(
    made: Plan, case: Case, out: Path, monitor: Monitor, threads: int, checkpoint_seconds: float, stop: threading.Event
) -> Outcome:
    if stop.is_set():
        return Outcome(case, "stopped")
    keep = out / "checkpoints" / case.key

    def progress(iteration: int, steps: int) -> bool:
        monitor.step(case, iteration, steps)
        return stop.is_set()

    try:
        run = simulate_case(made, case, threads, keep, checkpoint_seconds, progress)
    except DivergedError as error:
        assert isinstance(error.run, Run)
        save(error.run, run_path(out, case))
        shutil.rmtree(keep, ignore_errors=True)
        return Outcome(case, "diverged", str(error))
    except (ParticlesError, MemoryError) as error:
        return Outcome(case, "failed", str(error) or type(error).__name__)
    if run.status == "stopped":
        return Outcome(case, "stopped")
    try:
        save(run, run_path(out, case))
    except StorageError as error:
        return Outcome(case, "failed", str(error))
    shutil.rmtree(keep, ignore_errors=True)
    return Outcome(case, "finished")


def simulate_case(
    made: Plan,
    case: Case,
    threads: int,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 30.0,
    progress: Callable[[int, int], bool] | None = None,
) -> Run:
    """One run of a sweep, from its configuration."""
    config = case.config
    objects = build.parts(config, made.folder)
    return simulate(
        objects.net,
        build.start(config, objects, case.nodes),
        objects.train,
        objects.method,
        steps=config.steps,
        loss=config.loss,
        regulariser=objects.regulariser,
        record_every=config.record.every,
        record=config.record.variables,
        positions=config.record.positions,
        test=objects.test,
        engine=Local(threads),
        dtype=config.dtype,
        config=case.identity,
        checkpoints=checkpoints,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )
