"""Running a sweep: finished runs are skipped, so an interrupted one goes on where it was; each run has its own file.

Runs are tasks of an engine: threads here, or processes of a Ray cluster. On a cluster all machines must see the folder.
"""

import contextlib
import json
import secrets
import shutil
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from particles.errors import DamagedError, DivergedError, ParticlesError, StorageError
from particles.experiments import prediction
from particles.experiments.jobs import split
from particles.experiments.parts import sole_maker
from particles.experiments.plan import Case, Plan
from particles.experiments.records import Records, Stamp, stamp_of
from particles.experiments.spec import KnownData
from particles.files.atomic import clear_parts, make_folder, write_whole
from particles.population.population import Engine, Local, Watch, cores
from particles.simulation.checkpoints import Checkpoints
from particles.simulation.simulate import simulate
from particles.storage import netcdf
from particles.storage.run import Run
from particles.storage.run_file import verified

if TYPE_CHECKING:
    import xarray

PREDICTIONS = "predictions"  # the folder of what theory predicts
GATHERED = 2**24  # particles up to which a run's file holds them itself; more are left where they live, and referred to
_RETURNED = 2**24  # bytes up to which a task returns what its run recorded; more is read from the run's file
_ENDS = ("finished", "diverged")  # of runs that have a file


class Outcome(NamedTuple):
    """What became of one run, and what was said.

    status: "finished", "kept" (from before), "diverged", "stopped", "failed", "missing".
    events: what happened to it on its way. data: what it recorded, unless that is much.
    """

    case: Case
    status: str
    message: str = ""
    events: tuple[str, ...] = ()
    data: "xarray.Dataset | None" = None


def run_path(out: Path, case: Case) -> Path:
    """Where a task's result goes: a run's beside the other runs, a prediction into a folder of its own."""
    return out / PREDICTIONS / f"{case.key}.h5" if case.draws else run_file(out, case.key)


def run_file(out: Path, key: str) -> Path:
    """The file of a run by its hash."""
    return out / "runs" / f"{key}.h5"


def particles_path(out: Path, case: Case) -> Path:
    """Where the last particles of a run go that are too many to be in its file."""
    return out / "runs" / f"{case.key}.particles"


def ended(out: Path, case: Case, records: Records | None = None) -> str | None:
    """How this run ended, "finished" or "diverged", if its file is there, reads back whole and belongs to it.

    records: what is known already, and gets to know the rest. Raises StorageError where the file cannot be read now.
    """
    path = run_path(out, case)
    if records and (entry := records.known(path)) and entry.state in _ENDS:
        return entry.state
    if (stamp := stamp_of(path)) is None:
        return None
    try:
        data = verified(path, netcdf.dataset) if records else None
        attrs = data.attrs if data is not None else verified(path, netcdf.attributes)
    except DamagedError:
        return None  # it is written anew
    status = str(attrs.get("status"))
    if attrs.get("config_hash") != case.key or status not in _ENDS:
        return None
    if records and data is not None:
        records.keep(case.key, data)
        _note(records, case, status, stamp)
    return status


def _note(records: Records, case: Case, status: str, stamp: Stamp | None) -> None:
    """Remember how a run ended, unless it refers to files of particles: they may change while its own does not."""
    if case.particles <= GATHERED:
        records.note(run_path(records.out, case), status, stamp)


class Monitor(Protocol):
    """What is told of a sweep as it goes."""

    def begin(self, cases: list[Case], todo: list[Case]) -> None: ...
    def step(self, case: Case, iteration: int, steps: int) -> None: ...
    def end(self, outcome: Outcome) -> None: ...


class Errand(NamedTuple):
    """What every task must know besides its run.

    engine: where the run's particles go. mark: a file in `out` that must be seen, or the folder is not the same one.
    data: what is sent along instead of being read by every process. shared: whether other processes make runs in `out`
    as well. notice: what each run's events must hold of the machines.
    """

    out: Path
    engine: Engine
    checkpoint_seconds: float
    keep_every: int
    mark: str
    data: KnownData = {}
    shared: bool = False
    notice: str = ""


def run_sweep(
    plan: Plan,
    out: Path,
    monitor: Monitor,
    threads: int | None = None,
    checkpoint_seconds: float = 30.0,
    stop: threading.Event | None = None,
    tasks: Engine | None = None,
    engine: Engine | None = None,
    keep_every: int = 0,
    shared: bool = False,
    records: Records | None = None,
) -> list[Outcome]:
    """Run what is not there yet, the largest first, each a task; each run's file is whole or not there.

    tasks: whose tasks the runs are, this machine's threads by default. engine: where each run's particles go, by
    default an equal share of those threads. `stop`: set it to end after the iterations under way; the runs' states are
    kept and the next call goes on from them. shared: other processes make runs in the same folder, perhaps the same.
    records: what is known of the folder's files, so that those that did not change are not opened.
    """
    stop, out = stop or threading.Event(), out.absolute()
    folders = ["runs", *([PREDICTIONS] if plan.predictions else [])]
    for folder in folders:
        make_folder(out / folder)
        if not shared:
            clear_parts(out / folder)
    if not shared:
        clear_parts(out)
    before = {case.key: earlier(case, out, records) for case in plan.tasks}
    todo = sorted((case for case in plan.tasks if not before[case.key]), key=lambda case: -case.work)
    monitor.begin(plan.tasks, todo)
    workers = max(1, min(threads or cores(), len(todo)))
    tasks, engine = tasks or Local(workers), engine or Local((threads or cores()) // workers)
    outcomes = [outcome for outcome in before.values() if outcome]
    mark = f".seen.{secrets.token_hex(8)}.part"  # if this process is killed, `clear_parts` removes it
    data, jobs = ({}, todo) if isinstance(tasks, Local) else split(todo)
    notice = tasks.notice() if todo else ""
    if notice:
        warnings.warn(f"{plan.name}: {notice}", stacklevel=2)
    errand = Errand(out, engine, checkpoint_seconds, keep_every, mark, data, shared, notice)
    watch = Watch(lambda number, iteration: monitor.step(todo[number], iteration, todo[number].spec.steps), stop.is_set)
    write_whole(out / mark, b"")
    try:
        for number, result in tasks.tasks(_run_one, errand, jobs, watch):
            outcome = result if isinstance(result, Outcome) else Outcome(todo[number], "failed", str(result))
            recorded = outcome.data
            outcome = outcome._replace(case=todo[number], data=None)  # a job may lack what runs share
            outcomes.append(outcome)
            if records and outcome.status in _ENDS:
                if recorded is not None:
                    records.keep(outcome.case.key, recorded)
                with contextlib.suppress(StorageError):  # then its file is read next time
                    _note(records, outcome.case, outcome.status, stamp_of(run_path(out, outcome.case)))
            monitor.end(outcome)
            if not isinstance(tasks, Local):  # in this process it was told when it happened
                for event in outcome.events:
                    warnings.warn(f"{outcome.case.key}: {event}", stacklevel=2)
    except BaseException:
        stop.set()
        raise
    finally:
        (out / mark).unlink(missing_ok=True)
        if not shared:  # another task may be about to begin in it
            with contextlib.suppress(OSError):  # it has states of runs that were stopped
                (out / "checkpoints").rmdir()
        if records:
            records.save()
    reported = {outcome.case.key for outcome in outcomes}
    return [*outcomes, *(Outcome(case, "stopped") for case in todo if case.key not in reported)]


def earlier(case: Case, out: Path, records: Records | None = None) -> Outcome | None:
    """What became of a run in an earlier call; None where it is to be run."""
    try:
        status = ended(out, case, records)
    except StorageError as error:
        warnings.warn(f"{error}", stacklevel=3)
        return Outcome(case, "failed", str(error))
    if status == "diverged":
        return Outcome(case, "diverged", f"it diverged before; {run_path(out, case)} has the recorded values")
    return Outcome(case, "kept") if status else None


def _run_one(errand: Errand, case: Case, note: Callable[[int], bool]) -> Outcome:
    """One run to its file, in a thread here or a process elsewhere."""
    out = errand.out
    if note(0):
        return Outcome(case, "stopped")
    if not (out / errand.mark).exists():
        return Outcome(case, "failed", f"no access to {out} from this machine: results need a shared folder (--out)")
    try:
        return _shared(errand, case, note) if errand.shared else _run_to_file(errand, case, note)
    except (ParticlesError, MemoryError, OSError) as error:
        return Outcome(case, "failed", str(error) or type(error).__name__)


def _shared(errand: Errand, case: Case, note: Callable[[int], bool]) -> Outcome:
    """A run that another process may be making, or may have made meanwhile."""
    out = errand.out
    with sole_maker(out / "runs" / f".{case.key}.lock", lambda: note(0)) as mine:
        if not mine:
            return Outcome(case, "stopped")
        if before := earlier(case, out):
            return before
        path = run_path(out, case)
        clear_parts(path.parent, path.name)
        return _run_to_file(errand, case, note)


def _run_to_file(errand: Errand, case: Case, note: Callable[[int], bool]) -> Outcome:
    """The run itself; only for who may write its file."""
    out = errand.out
    if case.draws:
        status, message, data = prediction.write(case, run_path(out, case), errand.data, errand.engine, note)
        return Outcome(case, status, message, data=data)
    keep = out / "checkpoints" / case.key
    status, message = "finished", ""
    try:
        run = simulate_case(errand, case, keep, lambda iteration, steps: note(iteration))
    except DivergedError as error:
        assert isinstance(error.run, Run)
        run, status, message = error.run, "diverged", str(error)
    if run.status == "stopped":
        return Outcome(case, "stopped")
    events = run.events[:-1] if status == "diverged" else run.events  # the last is what the message says
    if errand.notice:
        run.dataset.attrs["events"] = json.dumps([{"iteration": 0, "what": errand.notice}, *run.events])
    run.save(run_path(out, case))
    shutil.rmtree(keep, ignore_errors=True)
    data = run.dataset if run.dataset.nbytes <= _RETURNED else None
    return Outcome(case, status, message, tuple(str(event["what"]) for event in events), data)


def simulate_case(errand: Errand, case: Case, checkpoints: Path, progress: Callable[[int, int], bool]) -> Run:
    """One run of a sweep."""
    return simulate(
        **case.spec.built(case.identity, errand.data).arguments(case.nodes),
        engine=errand.engine,
        config=case.identity,
        checkpoints=Checkpoints(checkpoints, errand.checkpoint_seconds, errand.keep_every),
        progress=progress,
        final=particles_path(errand.out, case) if case.particles > GATHERED else None,
    )
