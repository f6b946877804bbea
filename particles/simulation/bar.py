"""`progress=True` of `simulate`: tqdm's bar on stderr, on a terminal or in a notebook."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from particles.simulation.runner import Progress


@contextlib.contextmanager
def watched(progress: Progress | bool | None) -> Iterator[Progress | None]:
    """The callable that receives a run's progress: the one given; for True a bar, if there is where to show it."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress or not is_shown():
        yield None
    else:
        bar = _Bar()
        try:
            yield bar
        finally:
            bar.close()


def is_shown() -> bool:
    """Whether stderr is a terminal or the cell of a notebook: a log would keep every state of the bar."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")


class _Bar:
    """tqdm's text bar, made when the number of steps is known. Its bar of widgets would not be in a saved notebook."""

    def __init__(self) -> None:
        self.bar: Any = None

    def __call__(self, iteration: int, steps: int) -> None:
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(total=steps, initial=iteration, desc="iteration", dynamic_ncols=True)
        self.bar.update(iteration - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
