"""The command `particles`: new, run, gather, check, show, ls, compare, report, doctor, schema.

Exit codes: 0 all is well; 1 a run diverged or failed; 2 bad input; 75 stopped by SIGTERM or SIGUSR1, run again to
go on; 130 stopped by Ctrl-C, likewise.

This file imports nothing heavy: the rest takes a second to load, and a signal may come then.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from particles.cli.streams import standard_streams

OK, FAILED, BAD_INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 75, 130
CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: STOPPED, signal.SIGUSR1: STOPPED}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None:
        os.environ["MPLBACKEND"] = "agg"  # figures go to files, and the user's backend may not be installed here
    with standard_streams() as streams, ended_by(_leave):
        try:
            with ended_by(os._exit):  # an exception could be lost in a half-loaded module
                from particles.cli import commands
            code = commands.run(words)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except SystemExit as ended:  # --help, or a signal
            code = int(ended.code or OK)
        streams.out.flush()
        if streams.out.fault and not isinstance(streams.out.fault, BrokenPipeError):
            print(f"particles: stdout could not be written: {streams.out.fault.strerror}", file=sys.stderr)
            code = code or BAD_INPUT
    return code


def _leave(code: int) -> NoReturn:
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    raise SystemExit(code)


@contextlib.contextmanager
def ended_by(leave: Callable[[int], NoReturn]) -> Iterator[None]:
    """While this lasts a signal that ends the command calls leave(its exit code); ignored ones stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in CODES if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _: leave(CODES[signal.Signals(number)])) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
