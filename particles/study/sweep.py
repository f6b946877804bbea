"""Running a sweep: finished runs are skipped, so an interrupted one goes on where it was; each run has its own file."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple, Protocol

from particles.errors import DivergedError, ParticlesError, StorageError
from particles.files import clear_parts, make_folder
from particles.population import Local, cores
from particles.study import build
from particles.study.plan import Case, Plan
from particles.study.results import Run, save, verified
from particles.study.simulate import simulate


class Outcome(NamedTuple):
    """What became of one run: "finished", "kept" (from before), "diverged", "stopped", "failed"; what was said."""

    case: Case
    status: str
    message: str = ""


def run_path(out: Path, case: Case) -> Path:
    """Where a run's result goes."""
    return out / "runs" / f"{case.key}.h5"


def ended(out: Path, case: Case) -> str | None:
    """How this run ended, "finished" or "diverged", if its file is there, reads back whole and belongs to it."""
    path = run_path(out, case)
    if not path.is_file():
        return None
    try:
        attrs = verified(path)
    except StorageError:
        return None  # a damaged file is written anew
    status = str(attrs.get("status"))
    return status if attrs.get("config_hash") == case.key and status in ("finished", "diverged") else None


class Monitor(Protocol):
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
    make_folder(out / "runs")
    clear_parts(out / "runs")
    clear_parts(out)
    before = {case.key: ended(out, case) for case in made.cases}
    todo = sorted((case for case in made.cases if not before[case.key]), key=lambda case: -case.particles)
    monitor.begin(made.cases, todo)
    available = threads or cores()
    workers = max(1, min(available, len(todo)))
    outcomes = [_kept(case, out, status) for case in made.cases if (status := before[case.key])]
    with ThreadPoolExecutor(workers) as pool:
        jobs: list[Future[Outcome]] = [
            pool.submit(_run_one, made, case, out, monitor, available // workers, checkpoint_seconds, stop)
            for case in todo
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


def _kept(case: Case, out: Path, status: str) -> Outcome:
    if status == "diverged":
        return Outcome(case, "diverged", f"it diverged before; {run_path(out, case)} holds what was recorded")
    return Outcome(case, "kept")


def _run_one(
    made: Plan, case: Case, out: Path, monitor: Monitor, threads: int, checkpoint_seconds: float, stop: threading.Event
) -> Outcome:
    if stop.is_set():
        return Outcome(case, "stopped")
    keep = out / "checkpoints" / case.key

    def progress(iteration: int, steps: int) -> bool:
        monitor.step(case, iteration, steps)
        return stop.is_set()

    status, message = "finished", ""
    try:
        try:
            run = simulate_case(made, case, threads, keep, checkpoint_seconds, progress)
        except DivergedError as error:
            assert isinstance(error.run, Run)
            run, status, message = error.run, "diverged", str(error)
        if run.status == "stopped":
            return Outcome(case, "stopped")
        save(run, run_path(out, case))
    except (ParticlesError, MemoryError, OSError) as error:
        return Outcome(case, "failed", str(error) or type(error).__name__)
    shutil.rmtree(keep, ignore_errors=True)
    return Outcome(case, status, message)


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
        positions=config.record.positions and min(config.record.positions, case.particles),
        test=objects.test,
        engine=Local(threads),
        dtype=config.dtype,
        config=case.identity,
        checkpoints=checkpoints,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )
