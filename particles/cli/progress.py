"""What a person sees of a sweep as it goes: runs done and time left, as a bar on a terminal or as lines in a log."""

import threading
import time
from collections import deque
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from particles.console import Console, duration
from particles.experiments.parts import work_of
from particles.experiments.plan import Case
from particles.experiments.sweep import Outcome

LINE_SECONDS = 5.0
_LATELY = 60.0  # seconds over which the rate is taken
_SURE = 0.01  # of all work: less says little about the time that is left


class Ticker:
    """Progress over all runs of a sweep, counted in particle-iterations, so that large runs weigh more."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self.bar: Progress | None = None
        self.lock = threading.Lock()
        self.at: dict[str, int] = {}
        self.seen: deque[tuple[float, int]] = deque()  # when, and the particle-iterations done by then, lately
        self.total = self.runs = self.ended = 0
        self.began = self.spoke = time.monotonic()
        self.task: Any = None

    def begin(self, cases: list[Case], todo: list[Case]) -> None:
        """The sweep starts: what there is to do."""
        self.total, self.runs = sum(map(work_of, todo)), len(todo)
        self.began = self.spoke = time.monotonic()
        self.seen.append((self.began, 0))
        if self.quiet:
            return
        kept = f", {len(cases) - len(todo)} finished before" if len(todo) < len(cases) else ""
        predictions = sum(case.draws > 0 for case in cases)
        beside = f" and {predictions} prediction{'s' * (predictions > 1)}" if predictions else ""
        self.console.print(f"{len(cases) - predictions} runs{beside}{kept}")
        if todo and self.console.is_terminal:
            self.bar = Progress(
                BarColumn(), TextColumn("{task.percentage:3.0f}%  {task.description}"), console=self.console
            )
            self.task = self.bar.add_task(self._words(0.0, ""), total=1.0)
            self.bar.start()

    def step(self, case: Case, iteration: int, steps: int) -> None:
        """A run has taken another step; called from its thread."""
        now = time.monotonic()
        with self.lock:
            done = case.work * iteration
            self.at[case.key] = done
            if self.quiet or now - self.spoke < (0.2 if self.bar else LINE_SECONDS):
                return
            self.spoke, done = now, sum(self.at.values())
            rate = self._rate(now, done)
        share = done / self.total if self.total else 1.0
        known = rate > 0 and done < self.total and (share > _SURE or now - self.began > _LATELY)
        left = f", {duration((self.total - done) / rate)} left" if known else ""
        words = self._words(rate, left)
        if self.bar:
            self.bar.update(self.task, completed=share, description=words)
        else:
            self.console.print(f"{words} ({share:.0%})")

    def _rate(self, now: float, done: int) -> float:
        """Particle-iterations a second, lately: without compiling, and without what an earlier command had done."""
        self.seen.append((now, done))
        while len(self.seen) > 2 and now - self.seen[1][0] > _LATELY:
            self.seen.popleft()
        began, before = self.seen[0]
        return (done - before) / (now - began) if now > began else 0.0

    def _words(self, rate: float, left: str) -> str:
        speed = f", {rate:.2e} particle-steps/s" if rate else ""
        return f"{self.ended} of {self.runs} runs done{left}{speed}"

    def end(self, outcome: Outcome) -> None:
        """A run has ended."""
        with self.lock:
            self.ended += 1
            self.at[outcome.case.key] = work_of(outcome.case)  # of a short run no step may have been seen
        if outcome.status in ("diverged", "failed"):
            self.console.print(f"{outcome.status}: {outcome.case}")
            self.console.print(outcome.message)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar:
            share = 1.0 if self.ended == self.runs else None
            self.bar.update(self.task, completed=share, description=self._words(0.0, ""))
            self.bar.stop()
