"""`progress=True` of `simulate`: how far a run has come, in one place that is written over, where somebody looks on."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from particles.simulation.runner import Progress

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS = 0.2  # between two looks


class _Bar(Protocol):
    def show(self, iteration: int, steps: int) -> None: ...
    def close(self) -> None: ...


@contextlib.contextmanager
def watched(progress: Progress | bool | None) -> Iterator[Progress | None]:
    """Who is told of a run's progress: the callable given; for True a bar on a terminal or in a notebook, if any."""
    if not isinstance(progress, bool):
        yield progress
    elif (bar := _bar() if progress else None) is None:
        yield None
    else:
        seen = _Seen(bar)
        try:
            yield seen
        finally:
            seen.end()


class _Seen:
    """Shows what it is told a few times a second, and the last of it."""

    def __init__(self, bar: _Bar) -> None:
        self.bar, self.last, self.spoke = bar, (0, 0), -_SECONDS

    def __call__(self, iteration: int, steps: int) -> None:
        self.last, now = (iteration, steps), time.monotonic()
        if now - self.spoke >= _SECONDS:
            self.spoke = now
            self.bar.show(*self.last)

    def end(self) -> None:
        self.bar.show(*self.last)
        self.bar.close()


def _bar() -> _Bar | None:
    """A bar that fits where this runs; on stderr, so that what a script prints stays its own."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter:
        return _Notebook()
    return _Terminal(console) if console.is_terminal else None


class _Terminal:
    """rich's bar, without a thread of its own."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress as Bar,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.bar = Bar(
            TextColumn("iteration"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
            console=console, auto_refresh=False,
        )  # fmt: skip
        self.task = self.bar.add_task("", total=None)
        self.bar.start()

    def show(self, iteration: int, steps: int) -> None:
        self.bar.update(self.task, completed=iteration, total=steps, refresh=True)

    def close(self) -> None:
        self.bar.stop()


class _Notebook:
    """One output of the cell. rich's own bar would need ipywidgets, and shows nothing without them."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.output: Any = None

    def show(self, iteration: int, steps: int) -> None:
        import IPython.display

        display: Any = IPython.display.display
        text = f"iteration {iteration} of {steps}, {time.monotonic() - self.began:.0f} s"
        drawn = f'<progress value="{iteration}" max="{max(1, steps)}"></progress> {text}'
        page = {"text/plain": text, "text/html": drawn}
        if self.output is None:
            self.output = display(page, raw=True, display_id=True)
        else:
            self.output.update(page, raw=True)

    def close(self) -> None:
        """It stays as it is."""
