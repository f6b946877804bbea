"""What the program is asked to do with a file, by the kind of the case. Runs in the child."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import particles as mf
from fuzz import problem
from particles.cli.main import main
from particles.errors import ParticlesError

CODES = {0, 1, 2}  # 75 and 130 are for signals
Use = Callable[[], object]


class UndocumentedCode(Exception):
    """A command ended with an exit code that the documentation does not name."""


def command(*words: str | Path) -> Use:
    """The command line in this process."""

    def run() -> int:
        code = main([str(word) for word in words])
        if code not in CODES:
            raise UndocumentedCode(str(code))
        return code

    return run


def result(path: Path) -> Iterator[tuple[str, Use]]:
    """A file of a run, a sweep or a study."""
    yield "show", command("show", path, "--plots")
    yield "show --json", command("show", path, "--json")
    yield "report", command("report", path, "--out", path.parent / "page.html")
    yield "ls", command("ls", path.parent)
    yield "compare", command("compare", path, path, "--json")
    yield "mf.open_run", lambda: _looked_at(path)
    if path.name == "sweep.h5":
        yield "mf.open_sweep", lambda: _loaded(path)


def _looked_at(path: Path) -> None:
    """A run as somebody at a prompt looks at it."""
    run = mf.open_run(path)
    print(repr(run))
    run._repr_html_()
    print(len(run.config), run.status.encode("ascii", "backslashreplace"), len(run.events))


def sweep(path: Path) -> Iterator[tuple[str, Use]]:
    """A folder out/NAME, with NAME.toml beside out/."""
    yield "show", command("show", path, "--plots")
    yield "show --json", command("show", path, "--json")
    yield "report", command("report", path, "--out", path.parent / "page.html")
    yield "ls", command("ls", path.parent)
    yield "compare", command("compare", path, path)
    yield "mf.open_sweep", lambda: _loaded(path)
    yield "run", command("run", path.parents[1] / f"{path.name}.toml", "--out", path.parent, "--quiet", "--no-figure")


def _loaded(path: Path) -> None:
    with mf.open_sweep(path) as data:
        data.load()
        print(len(data.mf.limits), len(data.mf.config), len(data.mf.events))


def resumed(path: Path) -> Iterator[tuple[str, Use]]:
    """A folder of checkpoints that `valid.stopped` left."""
    yield "mf.simulate", lambda: problem.simulate(path, None)


def data(path: Path) -> Iterator[tuple[str, Use]]:
    """A data file: it must have the arrays, or columns, x and y to be good."""
    yield "mf.datasets.read", lambda: mf.datasets.read(path)
    yield "mf.datasets.read of classes", lambda: mf.datasets.read(path, classes=True)
    yield "new", command("new", "made", "--data", path, "--force")
    toml = _configuration(path, '[law]\nname = "gaussian"\n', path)
    yield "check", command("check", toml)
    yield "run", command("run", toml, "--out", path.parent / "out", "--quiet", "--no-figure")


def law(path: Path) -> Iterator[tuple[str, Use]]:
    """A file of atoms on R^2."""
    toml = _configuration(path, f'[law]\nname = "atoms"\nfile = {_quoted(path)}\n', None)
    yield "check", command("check", toml)
    yield "run", command("run", toml, "--out", path.parent / "out", "--quiet", "--no-figure")


def config(path: Path) -> Iterator[tuple[str, Use]]:
    """A configuration that must be refused, by `run` as by `check`."""
    yield "check", command("check", path)
    yield "check --json", command("check", path, "--json")
    yield "run", _refused(path)


def _refused(path: Path) -> Use:
    def run() -> None:
        code = command("run", path, "--out", path.parent / "out", "--quiet", "--no-figure")()
        if code != 2:
            raise UndocumentedCode(f"{code} for a configuration that is none")

    return run


def runs(path: Path) -> Iterator[tuple[str, Use]]:
    """A configuration that may be good, and is of milliseconds then."""
    yield "check", command("check", path)
    yield "check --json", command("check", path, "--json")
    yield "run", command("run", path, "--out", path.parent / "out", "--quiet")


def checked(path: Path) -> Iterator[tuple[str, Use]]:
    """A configuration that may be good, and is of hours then."""
    yield "check", command("check", path)
    yield "check --json", command("check", path, "--json")


def bad(path: Path) -> Iterator[tuple[str, Use]]:
    """What the fuzzer must see: the file's name says which."""
    yield "bad", lambda: BAD[path.name](path)


def _eat(path: Path) -> None:
    kept = []
    while True:
        kept.append(np.ones(2**22))


def _stopped(path: Path) -> None:
    raise UndocumentedCode("75")


def _read(path: Path) -> None:
    path.parents[1].joinpath("outside", "secret.raw").read_bytes()


BAD: dict[str, Callable[[Path], object]] = {
    "traceback": lambda path: 1 // 0, "signal": lambda path: os.kill(os.getpid(), signal.SIGSEGV),
    "time": lambda path: time.sleep(1000), "memory": _eat, "leak": _read, "control": lambda path: print("\x1b[2J"),
    "markup": lambda path: print("fuzzmarkup"), "code": _stopped,
    "executed": lambda path: (path.parents[1] / "canary").write_text("x"),
    "written": lambda path: (path.parents[1] / "outside" / "new").touch(), "none": lambda path: None,
}  # fmt: skip


def _configuration(path: Path, law: str, data: Path | None) -> Path:
    source = f"file = {_quoted(data)}" if data else 'name = "circle"\nn = 4'
    text = f"""
        steps = 2
        [data]
        {source}
        [network]
        activation = "tanh"
        {law}
        [start]
        count = 8
        [method]
        step = 0.1
    """
    toml = path.parent / "uses.toml"
    toml.write_text(text, encoding="utf-8")
    return toml


def _quoted(path: Path) -> str:
    return json.dumps(str(path))


KINDS: dict[str, Callable[[Path], Iterator[tuple[str, Use]]]] = {
    "result": result, "sweep": sweep, "resumed": resumed, "data": data, "law": law, "config": config, "runs": runs,
    "checked": checked, "bad": bad,
}  # fmt: skip
EXPECTED = (ParticlesError,)
