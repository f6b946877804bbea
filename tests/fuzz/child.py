"""The process that opens hostile files: a request a line on its stdin, an answer a line on what it got as stdout."""

import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

SHOWN = 2**21  # bytes of output that are looked at


def main(output: Path) -> None:
    """Answer until stdin ends. What the program prints, C libraries too, goes to the file `output`."""
    with contextlib.suppress(AttributeError, OSError):  # Linux: it ends with its parent, wherever it is then
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w")
    sink = os.open(output, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(sink, number)
        setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    from fuzz import uses
    from particles.storage import run_file  # noqa: F401  (no case pays for their import)

    warnings.simplefilter("always")
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        answer = _answer(uses, Path(json.loads(line)["path"]), json.loads(line)["kind"], sink)
        print(json.dumps(answer), file=answers, flush=True)


def _answer(uses: Any, path: Path, kind: str, sink: int) -> dict[str, Any]:
    """What each use of a file came to: how it ended, what it printed."""
    gc.collect()
    before, found = _reset_peak(), []
    os.chdir(path.parent)
    for name, use in uses.KINDS[kind](path):
        os.ftruncate(sink, 0)
        found.append({"use": name} | _ended(use, uses.EXPECTED))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        found[-1]["output"] = os.pread(sink, SHOWN, 0).decode("utf-8", "backslashreplace")
    return {"uses": found, "growth": _memory("VmHWM") - before}


def _ended(use: Any, expected: tuple[type[BaseException], ...]) -> dict[str, Any]:
    """The value of a use, or how it failed: "error" is documented, "fault" is not."""
    try:
        return {"value": repr(use())[:80]}
    except expected as error:
        return {"error": type(error).__name__, "text": str(error)[:2000]}
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)
        own = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in where if "/particles/" in f.filename]
        return {"fault": f"{type(error).__name__}: {str(error)[:160]!r} at {own[-1] if own else where[-1].name}"}


def _memory(field: str) -> int:
    """A line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def _reset_peak() -> int:
    """Begin to measure the largest memory anew; the memory now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
