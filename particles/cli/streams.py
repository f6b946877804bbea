"""The standard streams of a command: a lost reader, a closed descriptor or a full disk costs the text, not the run.

What is printed may hold names from files: a terminal gets text, and no control sequence but those of `console.py`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO, cast

from particles.escapes import escaped


class Stream:
    """A text stream that goes nowhere from the first write that fails; `fault` is why."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.fault: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As of any stream."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """As of any stream."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """The descriptor leads to /dev/null now, so that what is still buffered does not fail at the very end."""
        self.fault = self.fault or error
        with contextlib.suppress(OSError):  # a stream without a descriptor
            number = self._stream.fileno()
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, number)
            os.close(sink)


class Plain:
    """A text stream for prints: what is not visible is written as escapes. `styled` takes control sequences as well."""

    def __init__(self, styled: Stream) -> None:
        self.styled = styled

    def __getattr__(self, name: str) -> Any:
        return getattr(self.styled, name)

    def write(self, text: str) -> int:
        """As of any stream."""
        self.styled.write(escaped(text, keep="\n\t"))
        return len(text)


class Streams(NamedTuple):
    """stdout and stderr."""

    out: Stream
    err: Stream


@contextlib.contextmanager
def standard_streams() -> Iterator[Streams]:
    """sys.stdout and sys.stderr as `Plain` streams, letters that they cannot encode escaped; as before afterwards."""
    before = sys.stdout, sys.stderr
    _open_descriptors()
    # The package writes to them by these names, and so do rich, argparse and warnings.
    streams = Streams(*(_lasting(stream, number) for number, stream in enumerate(before, start=1)))
    sys.stdout, sys.stderr = (cast(TextIO, Plain(stream)) for stream in streams)
    try:
        yield streams
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before


def _open_descriptors() -> None:
    """A closed descriptor 0, 1 or 2 leads to /dev/null: else the next file has its number, and prints go there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def _lasting(stream: TextIO | None, number: int) -> Stream:
    stream = stream or open(number, "w", closefd=False)  # noqa: SIM115
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return Stream(stream)
