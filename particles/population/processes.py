"""Tasks in processes of this machine: for many short runs, most of whose time is Python's, which threads cannot share.

The processes are forked from one that has imported what they need and has no other threads. What they are sent comes
from the process that started them, through pipes.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, forkserver, resource_tracker
from typing import Any, NamedTuple, TypeAlias

from particles.errors import ClusterError
from particles.population.messages import PopulationSpec
from particles.population.population import Local, LocalPopulation, Watch
from particles.population.samples import Samples

_AT_ONCE = 16  # most jobs that a process is sent together: to send one costs about 0.3 ms
_LOOK_SECONDS = 0.1  # between two looks at the board
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # a terminal and batch systems send them to all processes

Batch: TypeAlias = list[tuple[int, Any]]  # numbers of jobs, and the jobs


class Board(NamedTuple):
    """Memory that the processes share.

    begun: how many of them have. stop: 1 asks them to end. notes: of each the number of its job, and the iteration.
    """

    begun: Any
    stop: Any
    notes: Any


class Task(NamedTuple):
    """What a process calls for every job."""

    work: Callable[..., Any]
    shared: Any
    board: Board
    watched: bool


@dataclass(frozen=True)
class Processes:
    """`count` processes of this machine as an engine of tasks; a run's particles live in one thread of its process.

    modules: what is imported once for all of them. Only for programs whose main module may be imported again, as the
    command line's may: multiprocessing does that in each process.
    """

    count: int
    modules: tuple[str, ...] = ()

    def populate(self, spec: PopulationSpec, samples: Samples | None = None) -> LocalPopulation:
        return Local(1).populate(spec, samples)

    def notice(self) -> str:
        return ""

    def tasks(
        self, work: Callable[..., Any], shared: Any, jobs: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, Any]]:
        """As `Engine` has it; notes are iterations. What `work` raises comes back as the result it is: an exception.

        The jobs of a process that was lost come back as ClusterError, and the others go on in new processes.
        """
        size, numbered = max(1, min(_AT_ONCE, len(jobs) // (4 * self.count))), list(enumerate(jobs))
        batches = deque(numbered[first : first + size] for first in range(0, len(jobs), size))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(self.modules))
        for server in (resource_tracker, forkserver):  # the tracker's start unblocks two of the signals
            with _protected():
                server.ensure_running()
        while batches and not (watch and watch.stop()):
            board = Board(context.Value("q", 0), context.RawValue("b", 0), context.RawArray("q", 2 * self.count))
            task = Task(work, shared, board, watch is not None)
            with ProcessPoolExecutor(self.count, context, _begin, (task,)) as pool:
                try:
                    yield from _results(pool, batches, 2 * self.count, board, watch)
                finally:
                    board.stop.value = 1


def _results(
    pool: ProcessPoolExecutor, batches: deque[Batch], room: int, board: Board, watch: Watch | None
) -> Iterator[tuple[int, Any]]:
    """Results as they come, until there are no batches left or a process was lost. room: batches handed out at once."""
    waiting: dict[Future[list[Any]], Batch] = {}
    lost = False
    while True:
        board.stop.value = bool(watch and watch.stop())
        while batches and len(waiting) < room and not (lost or board.stop.value):
            batch = batches.popleft()
            waiting[pool.submit(_run, batch)] = batch
        if not waiting:
            return
        done, _ = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED)
        if watch:
            for number, iteration in zip(board.notes[::2], board.notes[1::2], strict=True):
                watch.seen(number, iteration)
        for future in done:
            batch, error = waiting.pop(future), future.exception()
            lost = lost or isinstance(error, BrokenProcessPool)
            if lost and watch and watch.stop():  # by a signal that came before it was ignored: they were not run
                continue
            if lost:
                error = ClusterError(
                    "its process was ended from outside. Look at this machine's memory; then run again."
                )
            results = [error] * len(batch) if error else future.result()
            yield from zip((number for number, _ in batch), results, strict=True)


@contextlib.contextmanager
def _protected() -> Iterator[None]:
    """Processes that start in this block import nothing from the working folder, and signals do not end them.

    Python looks there first for what `python -c` imports. Signals are blocked from the start, before a process can
    ignore them.
    """
    mask, path = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS), os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if path is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = path


def _begin(task: Task) -> None:
    """A new process: signals are for the one that started it, with which it ends."""
    global _task, _place
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # for programs that `work` starts
    with task.board.begun:
        _task, _place = task, task.board.begun.value
        task.board.begun.value += 1
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _run(batch: Batch) -> list[Any]:
    """What work returned for each of these jobs, or raised."""
    return [_one(number, job) for number, job in batch]


def _one(number: int, job: Any) -> Any:
    try:
        return _task.work(_task.shared, job, *([partial(_note, number)] if _task.watched else []))
    except Exception as error:
        return error


def _note(number: int, iteration: int) -> bool:
    """Note how far a job is; whether it should stop."""
    board = _task.board
    board.notes[2 * _place : 2 * _place + 2] = number, iteration
    return bool(board.stop.value)


_task: Task  # of this process
_place: int  # of its note on the board
