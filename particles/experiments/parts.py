"""A sweep shared out to the tasks of a job array: each makes its part of the runs in one folder, the last gathers them.

Tasks know nothing of each other. Each run has a lock file, so that two tasks that have the same run make it in turn and
the second finds it finished. A mark tells whoever wants the whole folder that tasks are at work in it.
"""

import contextlib
import heapq
import math
import random
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from particles.errors import BusyError
from particles.experiments.plan import Case, Plan
from particles.files.atomic import held, make_folder, sole_user

_LOOK_SECONDS = 0.5  # between two looks whether another task is done with a run
_MOMENT_SECONDS = 0.1  # the same with the folder
_PATIENCE_SECONDS = 60.0  # for the other tasks that begin at the same moment
_MARK = ".part-{}.lock"


def part_of(plan: Plan, number: int, parts: int) -> list[Case]:
    """The runs of one of so many parts: the largest run first, each to the part with the least work so far.

    number: counted from 0 or from 1; the last of `parts` is also part 0.
    """
    loads = [(0, part) for part in range(parts)]
    mine: list[Case] = []
    for case in sorted(plan.tasks, key=lambda case: (-work_of(case), case.key)):
        load, part = heapq.heappop(loads)
        heapq.heappush(loads, (load + work_of(case), part))
        if part == number % parts:
            mine.append(case)
    return mine


def work_of(case: Case) -> int:
    """What a run costs beside the others of its sweep: particle-iterations."""
    return case.work * max(1, case.spec.steps)


@contextlib.contextmanager
def beside_others(out: Path) -> Iterator[contextlib.AbstractContextManager[None]]:
    """Work in a folder beside other tasks; BusyError where one process has all of it. Gives a hold for a moment.

    The mark comes before the look at the folder's lock, and in `alone` after it: one of two always sees the other.
    """
    make_folder(out)
    with held(out / _MARK.format(secrets.token_hex(6))):
        yield _momentary(out)


@contextlib.contextmanager
def _momentary(out: Path) -> Iterator[None]:
    """The folder for a moment, once the other tasks that want it for a moment had it."""
    with contextlib.ExitStack() as stack:
        _wait(stack, lambda: sole_user(out), _MOMENT_SECONDS, patience=_PATIENCE_SECONDS)
        yield


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold a whole folder; BusyError where another process has it, or tasks are at work in it."""
    with sole_user(out):
        for mark in out.glob(_MARK.format("*")):  # one that a killed task left behind is free
            with held(
                mark, f"{out} is in use by tasks of a job array. Wait for them, or choose another folder (--out)."
            ):
                pass
        yield


def once_alone(stack: contextlib.ExitStack, out: Path) -> bool:
    """Enter `alone` once the tasks that end in this moment have left the folder; False if others stay."""
    try:
        return _wait(stack, lambda: alone(out), _MOMENT_SECONDS, patience=_PATIENCE_SECONDS)
    except BusyError:
        return False


@contextlib.contextmanager
def sole_maker(lock: Path, stop: Callable[[], bool]) -> Iterator[bool]:
    """Hold one run's lock file, waiting while another has it; False if asked to stop meanwhile."""
    notice = f"{lock} is held by another process, which makes this run: waiting"
    with contextlib.ExitStack() as stack:
        yield _wait(stack, lambda: held(lock), _LOOK_SECONDS, stop, notice=notice)


def _wait(
    stack: contextlib.ExitStack,
    hold: Callable[[], contextlib.AbstractContextManager[None]],
    seconds: float,
    stop: Callable[[], bool] = lambda: False,
    patience: float = math.inf,
    notice: str = "",
) -> bool:
    """Enter a hold once nobody else has it, looking every so many seconds; False if asked to stop meanwhile.

    notice: what is said once where it has to be waited for. BusyError after `patience` seconds.
    """
    end = time.monotonic() + patience
    while not stop():
        try:
            stack.enter_context(hold())
            return True
        except BusyError:
            if time.monotonic() > end:
                raise
        if notice:
            warnings.warn(notice, stacklevel=4)
            notice = ""
        time.sleep(random.uniform(0.5, 1.5) * seconds)
    return False
