"""The way of one run through stops and faults: what it records, checkpoints, and going on where something was lost."""

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from particles.errors import ClusterError, DivergedError, LostError
from particles.files.atomic import held, make_folder
from particles.measures.measure import Measure
from particles.methods.base import Memory, Problem
from particles.population.observer import Observer
from particles.population.population import Population, measure_of
from particles.simulation.flow import first_loss, flow
from particles.simulation.interrupt import interruptible
from particles.storage.checkpoint import CheckpointFolder
from particles.storage.history import History
from particles.storage.manifest import Event
from particles.storage.virtual_dataset import StoredMeasure, store_measure

# Called with (iteration, steps) as a run goes on; true asks it to stop.
Progress = Callable[[int, int], object]
FAULTS = 3  # that may follow each other without the run getting any further; then it is not chance


class RunOutcome(NamedTuple):
    """How a run ended: "finished", "stopped" or "diverged"; the last measure, and the average iterate's.

    Where they were left in files, `left` says which, and they are None.
    """

    status: str
    measure: Measure | None
    average: Measure | None
    left: StoredMeasure | None = None
    error: DivergedError | None = None


@contextlib.contextmanager
def own_files(keeper: CheckpointFolder | None, final: Path | None, name: str) -> Iterator[None]:
    """Keep other processes from this run's checkpoints and last particles; BusyError where one has them."""
    with contextlib.ExitStack() as stack:
        if keeper:
            stack.enter_context(keeper.held())
        if final:
            make_folder(final)
            message = f"{final} is in use by another run of the same configuration. Wait, or choose another `final`."
            stack.enter_context(held(final / f".{name}.lock", message))
        yield


class Runner:
    """One run: `history` and `events` grow as it goes; `memory` is what its method knows besides the particles."""

    def __init__(
        self,
        problem: Problem,
        population: Population,
        observer: Observer,
        plan: list[int],
        history: History,
        keeper: CheckpointFolder | None,
        seconds: float,
        progress: Progress | None,
        final: Path | None = None,
        name: str = "run",
    ) -> None:
        self.problem, self.population, self.observer = problem, population, observer
        self.plan, self.keeper, self.seconds, self.progress = frozenset(plan), keeper, seconds, progress
        self.final, self.name = final, name
        self.history = history
        self.events: list[Event] = []
        self.memory: Memory = {}
        self._at = 0
        self._first: float | None = None
        self._interrupt = threading.Event()

    def run(self) -> RunOutcome:
        """To the end, or until it is stopped or diverges; what is lost on the way is done again.

        KeyboardInterrupt where Ctrl-C came twice.
        """
        with interruptible() as self._interrupt:
            try:
                return self._through_faults()
            except KeyboardInterrupt:  # of a handler that is not ours: the particles may be inside an iteration
                if self._interrupt.is_set():
                    raise
                return RunOutcome("stopped", None, None)

    def _through_faults(self) -> RunOutcome:
        faults, furthest = 0, -1
        while True:
            try:
                return self._once()
            except LostError as fault:
                faults = 1 if self._at > furthest else faults + 1
                furthest = max(furthest, self._at)
                self._tell(self._at, f"{fault}")
                if faults > FAULTS:
                    raise ClusterError(
                        f"the run was lost {faults} times at iteration {furthest} or before: {fault}. What was saved "
                        "is kept: mend the cluster (memory? a node?) and run again, or use another number of shards."
                    ) from fault
                if self._interrupt.is_set():  # whoever asked for the end does not wait for new shards
                    return RunOutcome("stopped", None, None)
                self._revive()

    def _revive(self) -> None:
        for left in reversed(range(FAULTS)):
            try:
                return self.population.revive()
            except LostError as fault:
                self._tell(self._at, f"{fault}")
                if not left:
                    raise ClusterError(f"the run could not be set up again: {fault}. Mend the cluster.") from fault

    def _tell(self, iteration: int, what: str) -> None:
        self.events.append({"iteration": iteration, "what": what})
        warnings.warn(f"at iteration {iteration}: {what}", stacklevel=5)

    def _once(self) -> RunOutcome:
        """From the newest checkpoint, or the start."""
        status, error = "finished", None
        try:
            status = self._go()
        except DivergedError as diverged:
            status, error = "diverged", diverged
            at = self._at if diverged.iteration is None else diverged.iteration
            self.events.append({"iteration": at, "what": f"diverged: {diverged}"})
        if self.final is not None:  # too many to be sent here; of a run that stopped the checkpoint has them
            left = store_measure(self.population, self.final, self.name) if status != "stopped" else None
            return RunOutcome(status, None, None, left, error)
        try:
            mean = measure_of(self.population, True, last=True) if self.problem.method.average else None
            return RunOutcome(status, measure_of(self.population, last=True), mean, None, error)
        except LostError:
            if status != "stopped":
                raise
            return RunOutcome(status, None, None)

    def _go(self) -> str:
        if self._first is None and self.keeper and self.keeper.begun:
            self._first = first_loss(self.problem, self.population)
        (begin, memory), steps, stopping = self._resume(), len(self.problem.sizes), False
        kept, last = begin, time.monotonic()

        def end() -> bool:
            nonlocal stopping
            stopping = stopping or self._is_to_stop(self._at, steps)
            return stopping

        for snapshot in flow(self.problem, self.population, self.observer, self.plan, begin, memory, end, self._first):
            self._at, self.memory = snapshot.iteration, snapshot.memory
            stop = end() and snapshot.whole and snapshot.iteration < steps
            due = snapshot.whole and snapshot.iteration > kept
            if self.keeper and due and (stop or time.monotonic() - last > self.seconds):
                self.keeper.save(snapshot.iteration, self.population, self.history, self.events, snapshot.memory)
                kept, last = snapshot.iteration, time.monotonic()
            if snapshot.values is not None:
                self.history.add(snapshot.iteration, snapshot.values)
            if stop:
                return "stopped"
        return "finished"

    def _is_to_stop(self, iteration: int, steps: int) -> bool:
        """Whether the run is to stop: by Ctrl-C, or by whoever is told of its progress."""
        try:
            return bool(self.progress and self.progress(iteration, steps)) or self._interrupt.is_set()
        except KeyboardInterrupt:
            return True

    def _resume(self) -> tuple[int, Memory]:
        """The iteration to begin at and the method's memory, the state in place and the rows before it in `history`."""
        self.history.clear()
        state = self.keeper.resume(self.population, self.history) if self.keeper else None
        begin = state.iteration if state else 0
        if state:
            self.events[:] = [*state.events, *(event for event in self.events if event not in state.events)]
        if self.keeper:
            notes = [{"iteration": begin, "what": note} for note in self.keeper.left_out]
            self.events += [note for note in notes if note not in self.events]
        if state or self.events:
            how = "went on from the checkpoint" if state else "began anew"
            self.events.append({"iteration": begin, "what": how})
        if self.population.notice and self.population.notice not in {event["what"] for event in self.events}:
            self._tell(begin, self.population.notice)
        return begin, state.memory if state else {}
