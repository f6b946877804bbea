"""A child process that is watched: one that takes too long, or too much memory, is ended and another is started."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 20.0  # of processor time that a case may take
IDLE = 6.0  # without any processor time: it waits for something that does not come
BEYOND = 2**30  # bytes beyond what the files hold
_LOOK = 0.02
_TESTS = Path(__file__).parents[1]
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Answer(NamedTuple):
    """What one case did. uses: as `child.py` tells; ended: why the child is no more, "" while it lives."""

    uses: list[dict[str, Any]]
    ended: str
    seconds: float
    growth: int
    output: str


class Worker:
    """One child at a time, started when a case needs one."""

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._output = folder / "output"
        path = os.pathsep.join([str(_TESTS), os.environ.get("PYTHONPATH", "")])
        self._environment = os.environ | {"MPLBACKEND": "agg", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": path}
        self._child: subprocess.Popen[str] | None = None
        self.started = 0

    def ask(self, path: Path, kind: str) -> Answer:
        """Have the child use a file."""
        child = self._living()
        pid, before = child.pid, _cpu(child.pid)
        most = _resident(pid) + BEYOND + held(path.parent)
        assert child.stdin
        child.stdin.write(json.dumps({"path": str(path), "kind": kind}) + "\n")
        child.stdin.flush()
        ended, growth, base = "", 0, _resident(pid)
        begin = busy = time.monotonic()
        spent = before
        while not _ready(child):
            now, cpu, resident = time.monotonic(), _cpu(pid), _resident(pid)
            growth = max(growth, resident - base)
            busy, spent = (now, cpu) if cpu > spent else (busy, spent)
            if resident > most:
                ended = "memory"
            elif cpu - before > self._seconds or now - begin > 10 * self._seconds:  # others may have the cores
                ended = "time"
            elif now - busy > IDLE:
                ended = "waits for ever"
            if ended:
                self.close()
                return Answer([], ended, cpu - before, growth, self._printed())
        assert child.stdout
        line = child.stdout.readline()
        if not line:  # the child is gone
            number = child.wait()
            self.close()
            ended = f"signal {-number}" if number < 0 else f"exit {number}"
            return Answer([], ended, time.monotonic() - begin, growth, self._printed())
        told = json.loads(line)
        return Answer(told["uses"], "", _cpu(pid) - before, told["growth"], "")

    def _printed(self) -> str:
        return self._output.read_bytes()[-2000:].decode("utf-8", "backslashreplace")

    def _living(self) -> "subprocess.Popen[str]":
        if self._child is None:
            self.started += 1
            self._child = subprocess.Popen(
                [sys.executable, "-m", "fuzz.child", str(self._output)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, env=self._environment, cwd=self._output.parent,
            )  # fmt: skip
            assert self._child.stdout
            if not self._child.stdout.readline():
                raise RuntimeError(f"the child does not start: {self._printed()}")
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for stream in (self._child.stdin, self._child.stdout):
                if stream:
                    stream.close()
            self._child = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def held(folder: Path) -> int:
    """The bytes of all regular files in a folder."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                about = os.lstat(os.path.join(where, name))
            except OSError:
                continue
            found += about.st_blocks * 512  # a file with holes holds less than its size
    return found


def _ready(child: "subprocess.Popen[str]") -> bool:
    return bool(select.select([child.stdout], [], [], _LOOK)[0])


def _cpu(pid: int) -> float:
    """The processor time of a process, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
