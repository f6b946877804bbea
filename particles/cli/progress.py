"""What a person sees of a sweep as it goes: a bar on a terminal, a line every few seconds in a log."""

import threading
import time
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from particles.console import Console
from particles.experiments.parts import work_of
from particles.experiments.plan import Case
from particles.experiments.sweep import Outcome

LINE_SECONDS = 5.0


class Ticker:
    """Progress over all runs of a sweep, counted in particle-iterations, so that large runs weigh more."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self.bar: Progress | None = None
        self.lock = threading.Lock()
        self.at: dict[str, int] = {}
        self.total = self.runs = self.ended = 0
        self.began = self.spoke = time.monotonic()
        self.task: Any = None

    def begin(self, cases: list[Case], todo: list[Case]) -> None:
        """The sweep starts: what there is to do."""
        self.total, self.runs = sum(map(work_of, todo)), len(todo)
        self.began = self.spoke = time.monotonic()
        if self.quiet:
            return
        kept = f", {len(cases) - len(todo)} finished before" if len(todo) < len(cases) else ""
        self.console.print(f"{len(cases)} runs{kept}")
        if todo and self.console.is_terminal:
            self.bar = Progress(
                TextColumn("runs"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
                TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(), console=self.console,
            )  # fmt: skip
            self.task = self.bar.add_task("runs", total=len(todo), rate="")
            self.bar.start()

    def step(self, case: Case, iteration: int, steps: int) -> None:
        """A run has taken another step; called from its thread."""
        now = time.monotonic()
        with self.lock:
            self.at[case.key] = case.particles * iteration
            if self.quiet or now - self.spoke < (0.2 if self.bar else LINE_SECONDS):
                return
            self.spoke = now
            done, took = sum(self.at.values()), now - self.began
        rate = done / took if took > 0 else 0.0
        share = done / self.total if self.total else 1.0
        if self.bar:
            self.bar.update(self.task, completed=share * self.runs, rate=f"{rate:.2e} particle-steps/s")
        else:
            left = (self.total - done) / rate if rate else 0.0
            text = (
                f"{self.ended} of {self.runs} runs ended, {share:.0%}, {rate:.2e} particle-steps/s, {left:.0f} s left"
            )
            self.console.print(text)

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
            self.bar.update(self.task, completed=self.ended)
            self.bar.stop()
