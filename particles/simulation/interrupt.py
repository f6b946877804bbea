"""Ctrl-C while a run goes on: the first asks it to stop after the iteration under way, the second ends it there."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """While this lasts the first Ctrl-C sets an event, so that no iteration is cut in two; the next raises.

    Only where Ctrl-C is KeyboardInterrupt now: in a thread, or under a handler of somebody else's, nothing is changed.
    """
    interrupt, before = threading.Event(), signal.default_int_handler

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.set()
        signal.signal(signal.SIGINT, before)
        with contextlib.suppress(RuntimeError, OSError, ValueError):  # the stream may be in use, or closed
            print("stopping after this iteration; Ctrl-C again ends it now", file=sys.stderr)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not before:
        yield interrupt
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
