"""Independent tasks on a Ray cluster: bounded in flight, so that neither queue nor results pile up."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from particles.errors import ClusterError
from particles.machine import Processor, processor
from particles.population.population import Watch
from particles.population.ray.connection import nodes, short
from particles.population.ray.progress_board import Board
from particles.population.ray.serialization import explained, sending

RETRIES = 3  # of a task whose process or machine went away
_BOARD_SECONDS = 5.0  # a board that does not answer is asked again later
_PROCESSOR_SECONDS = 60.0  # for a process to start on each machine and to load LLVM
_LOOK_SECONDS = 0.3  # between two looks at the board, and between two notes of one task


class Pen:
    """A task's side of the board: a call costs nothing but now and then, and never waits."""

    def __init__(self, board: Any, number: int) -> None:
        self.board, self.number, self.last, self.answer, self.stopping = board, number, 0.0, None, False

    def __call__(self, value: Any) -> bool:
        """Note how far the task is; whether it should stop."""
        import ray

        now = time.monotonic()
        if now - self.last > _LOOK_SECONDS:
            if self.answer is not None and ray.wait([self.answer], timeout=0)[0]:
                with contextlib.suppress(ray.exceptions.RayError):  # a lost board costs the view, not the run
                    self.stopping = self.stopping or bool(ray.get(self.answer))
                self.answer = None
            if self.answer is None:
                self.answer = self.board.note.remote(self.number, value)
            self.last = now
        return self.stopping


def run_tasks(
    ray: Any, work: Callable[..., Any], shared: Any, jobs: Sequence[Any], watch: Watch | None = None, spare: int = 2
) -> Iterator[tuple[int, Any]]:
    """(number of the job, what work(shared, job) returned), as they end; the first job begins first.

    shared: sent once. watch: work gets a third argument, to note with. spare: jobs handed out beyond the cores, so that
    no core waits for its next. What `work` raises comes back as the result it is: an exception.
    """
    with sending():
        sent = ray.put(shared)
    task = ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
    board = ray.remote(num_cpus=0, max_restarts=-1)(Board).remote() if watch else None
    room = sum(node.cpus for node in nodes(ray)) + spare
    waiting: dict[Any, int] = {}
    following = iter(enumerate(jobs))
    begun, stopping = set[int](), False
    try:
        while True:
            while len(waiting) < room and not (watch and watch.stop()) and (job := next(following, None)):
                with sending():
                    waiting[task.remote(work, sent, job[1], board, job[0])] = job[0]
            if not waiting:
                return
            if watch and watch.stop() and not stopping:
                stopping = True
                for ref, number in list(waiting.items()):
                    if number not in begun:  # one that waits for a core would hold up the end
                        ray.cancel(ref)
            ended, _ = ray.wait(list(waiting), num_returns=1, timeout=_LOOK_SECONDS if watch else None)
            if watch and board:
                with contextlib.suppress(ray.exceptions.RayError):
                    notes = ray.get(board.look.remote(watch.stop()), timeout=_BOARD_SECONDS)
                    begun |= notes.keys()
                    for number, value in notes.items():
                        watch.seen(number, value)
            for ref in ended:
                number = waiting.pop(ref)
                result = _result(ray, ref)
                if not (stopping and isinstance(result, ray.exceptions.TaskCancelledError)):
                    yield number, result
    finally:
        for ref in waiting:  # without force, which can end the driver (Ray 2.60) if a task answers after all
            with contextlib.suppress(Exception):
                ray.cancel(ref)
        if board is not None:
            with contextlib.suppress(Exception):
                ray.kill(board)


def processors(ray: Any) -> list[Processor]:
    """The processor of each machine of the cluster; of those that do not answer, none."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    homes = nodes(ray)
    if len(homes) < 2:
        return []
    ask = ray.remote(num_cpus=0, max_retries=0)(_processor)
    probes = [ask.options(scheduling_strategy=On(home.id, soft=False)).remote() for home in homes]
    answered, _ = ray.wait(probes, num_returns=len(probes), timeout=_PROCESSOR_SECONDS)
    results = (_result(ray, ref) for ref in answered)
    return [one for one in results if isinstance(one, Processor)]


def _processor() -> Processor:
    return processor()


def _call(work: Callable[..., Any], shared: Any, job: Any, board: Any, number: int) -> Any:
    return work(shared, job) if board is None else work(shared, job, Pen(board, number))


def _result(ray: Any, ref: Any) -> Any:
    """What a task returned, or the exception that it ended with; ClusterError if its process was lost each time."""
    try:
        return ray.get(ref)
    except ray.exceptions.TaskCancelledError as error:
        return error
    except ray.exceptions.RayTaskError as error:
        cause = explained(error.cause)
        return cause if isinstance(cause, Exception) else error
    except ray.exceptions.RayError as error:
        return ClusterError(f"its process was lost {RETRIES + 1} times ({short(error)}). Look at the machines' memory.")
