"""Folders of sweeps and of checkpoints in which files are something else, or say something else."""

import hashlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fuzz.attributes import KEY, VALUES, put
from fuzz.bases import copied
from fuzz.case import Place, family
from fuzz.mutations import CHANGES, mutate

Do = Callable[[Path], object]


def _instead(name: str, make: Callable[[Path], object]) -> Do:
    """Something else in the place of a file; `*` stands for the first that there is."""

    def do(folder: Path) -> None:
        path = sorted(folder.glob(name))[0]
        path.unlink()
        make(path)

    return do


def _listening(path: Path) -> None:
    where = os.getcwd()
    os.chdir(path.parent)  # a socket's path may have 100 letters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(where)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


THINGS: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo, "folder": Path.mkdir, "socket": _listening, "loop": _loop, "device": _device,
    "empty": Path.touch,
}  # fmt: skip


def _plan(value: object) -> Do:
    return lambda folder: (folder / "plan.json").write_text(value if isinstance(value, str) else json.dumps(value))


def _plan_with(**changes: object) -> Do:
    def do(folder: Path) -> None:
        whole = json.loads((folder / "plan.json").read_text())
        _plan(whole | changes)(folder)

    return do


def _run(change: Callable[[h5py.File], object]) -> Do:
    """One of the runs is changed."""

    def do(folder: Path) -> None:
        with h5py.File(sorted((folder / "runs").glob("*.h5"))[0], "r+") as file:
            change(file)

    return do


def _external(file: h5py.File) -> None:
    del file["loss"]
    file["loss"] = h5py.ExternalLink("../../../../../outside/secret.h5", "/loss")


def _stored_outside(file: h5py.File) -> None:
    """External storage is found from the current folder."""
    del file["loss"]
    item = file.create_dataset("loss", (3,), "f8", external=[("../../../outside/secret.raw", 0, 24)])
    item.dims[0].attach_scale(file["time"])


def _without_summary(folder: Path) -> None:
    """Then the axes are what the runs' configurations differ in."""
    (folder / "sweep.h5").unlink()


def _configured(value: object) -> Do:
    def do(folder: Path) -> None:
        _without_summary(folder)
        _run(lambda file: put(file, "config", value))(folder)

    return do


def _parent_key(folder: Path) -> None:
    """A run whose name leads outside."""
    with h5py.File(folder / "sweep.h5", "r+") as file:
        runs = json.loads(file.attrs["runs"])
        place = next(iter(runs.values()))
        put(file, "runs", runs | {"../../../../../outside/secret": place, "/" + KEY: place})


DOES: dict[str, Do] = {
    **{f"{file.replace('*', 'one').replace('/', '.')}-{name}": _instead(file, make)
       for file in ("sweep.h5", "plan.json", "index.json", "runs/*.h5", "small.svg") for name, make in THINGS.items()},
    **{f"plan-{name}": _plan(value) for name, value in VALUES.items() if isinstance(value, str)},
    "plan-list": _plan([1]), "plan-types": _plan({"config": 5, "folder": [], "runs": {}}),
    "plan-keys": _plan_with(runs=[5, None, {"a": 1}, "../../outside/secret"]),
    "plan-nul": _plan_with(folder="a\x00b"), "plan-folder": _plan_with(folder="/proc/self", runs=["a", "b"]),
    "plan-config": _plan_with(config={"steps": "x", "data": 5}, runs=[f"{k:016x}" for k in range(20)]),
    "plan-many": _plan_with(runs=[f"{k:016x}" for k in range(10_000)]),
    "plan-huge": _plan_with(config={"steps": 10**400, "start": {"seed": list(range(2000))}}),
    "run-external": _run(_external), "run-stored-outside": _run(_stored_outside),
    "run-status": _run(lambda file: put(file, "status", np.arange(3))),
    "run-events": _run(lambda file: put(file, "events", "[[[")),
    "run-deep": _run(lambda file: put(file, "config", {"start": 5})),
    "run-time": _run(lambda file: file.move("time", "then")),
    "run-group": _run(lambda file: (file.move("loss", "was"), file.create_group("loss"))),
    "run-soft": _run(lambda file: file.__setitem__("again", h5py.SoftLink("/"))),
    "runs-missing": lambda folder: (folder / "runs").rename(folder / "others"),
    "runs-is-file": lambda folder: ((folder / "runs").rename(folder / "others"), (folder / "runs").touch()),
    "runs-is-loop": lambda folder: ((folder / "runs").rename(folder / "others"), _loop(folder / "runs")),
    "parent-key": _parent_key, "no-summary": _without_summary,
    **{f"config-{name}": _configured(value) for name, value in VALUES.items() if name not in ("deep", "deep-objects")},
    "config-other": _configured({"start": {"count": [1]}, "x": None}), "config-number": _configured({"start": 5}),
    "config-nodes": _configured({"start": {"nodes": "x"}}), "config-empty": _configured({}),
    "config-mixed": _configured({"start": {"count": "4", "seed": None}, "steps": {"a": 1}}),
    "lock-fifo": lambda folder: os.mkfifo(folder / ".lock"), "lock-folder": lambda folder: (folder / ".lock").mkdir(),
    "svg-large": lambda folder: (folder / "small.svg").write_bytes(b"<svg" + bytes(2**21)),
    "svg-many": lambda folder: [(folder / f"small-{k}.svg").write_text("<svg/>") for k in range(3000)],
}  # fmt: skip


@family("folders", "sweep", DOES)
def sweeps(place: Place, random: np.random.Generator, variant: str) -> Path:
    folder = copied(place, "sweep") / "out" / "small"
    DOES[variant](folder)
    return folder


@family("folders", "sweep", [f"changed-{what}-{change}" for what in ("summary", "run", "plan") for change in CHANGES])
def changed_sweeps(place: Place, random: np.random.Generator, variant: str) -> Path:
    _, what, change = variant.split("-")
    folder = copied(place, "sweep") / "out" / "small"
    runs = sorted((folder / "runs").glob("*.h5"))
    mutate({"summary": folder / "sweep.h5", "plan": folder / "plan.json", "run": runs[0]}[what], change, random)
    return folder


def _manifest(change: Callable[[dict[str, Any]], object], sign: bool = True) -> Do:
    """The newest manifest, changed, with the hash that belongs to it."""

    def do(folder: Path) -> None:
        path = sorted(folder.glob("checkpoint-*.json"))[-1]
        content = json.loads(path.read_text())
        content.pop("sha256")
        change(content)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps({**content, "sha256": digest if sign else 5}))

    return do


def _segment(**changes: object) -> Do:
    return _manifest(lambda content: content["segments"][0].update(changes))


def _page(**changes: object) -> Do:
    return _manifest(lambda content: content["pages"][-1].update(changes))


def _text(value: str) -> Do:
    return lambda folder: sorted(folder.glob("checkpoint-*.json"))[-1].write_text(value)


STOPPED: dict[str, Do] = {
    **{f"text-{name}": _text(value) for name, value in VALUES.items() if isinstance(value, str)},
    **{f"{file[:4]}-{name}": _instead(file, make)
       for file in ("checkpoint-*.json", "particles-*.h5", "rows-*.h5") for name, make in THINGS.items()},
    "segment-parent": _segment(file="../../outside/secret.h5"), "segment-device": _segment(file="/dev/zero"),
    "segment-number": _segment(file=5), "segment-nul": _segment(file="a\x00"), "segment-first": _segment(first=-1),
    "segment-text": _segment(first="x", last=[]), "segment-huge": _segment(last=10**30, bytes=10**30),
    "segment-more": _segment(more=1), "page-parent": _page(file="../../outside/secret.h5"),
    "page-device": _page(file="/dev/zero"), "page-none": _page(file=None),
    "segments-number": _manifest(lambda content: content.update(segments=5)),
    "segments-none": _manifest(lambda content: content.update(segments=[])),
    "pages-none": _manifest(lambda content: content.update(pages=[])),
    "iteration-text": _manifest(lambda content: content.update(iteration="x")),
    "iteration-huge": _manifest(lambda content: content.update(iteration=10**30)),
    "iteration-negative": _manifest(lambda content: content.update(iteration=-5)),
    "number-text": _manifest(lambda content: content.update(number="x")),
    "events-number": _manifest(lambda content: content.update(events=5)),
    "events-text": _manifest(lambda content: content.update(events=["\x1b[2J"])),
    "processor": _manifest(lambda content: content.update(processor="\x1b[2J")),
    "processor-list": _manifest(lambda content: content.update(processor=[1])),
    "format": _manifest(lambda content: content.update(format={"a": 1})),
    "hash-number": _manifest(lambda content: None, sign=False),
    "more": _manifest(lambda content: content.update(more=1)),
}  # fmt: skip


@family("checkpoints", "resumed", STOPPED)
def checkpoints(place: Place, random: np.random.Generator, variant: str) -> Path:
    folder = copied(place, "stopped")
    STOPPED[variant](folder)
    return folder


def _rows(folder: Path, change: Callable[[h5py.File], object], which: str) -> None:
    """A file of a checkpoint changed inside, its manifest with the hash that then belongs to it."""
    path = sorted(folder.glob(f"{which}-*.h5"))[-1]
    with h5py.File(path, "r+") as file:
        change(file)
    content = path.read_bytes()
    known = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def sign(manifest: dict[str, Any]) -> None:
        for entry in [*manifest["pages"], *manifest["segments"]]:
            if entry["file"] == path.name:
                entry.update(known)

    _manifest(sign)(folder)


INSIDE: dict[str, tuple[str, Callable[[h5py.File], object]]] = {
    "rows-name": ("rows", lambda file: file.create_group("x")),
    "rows-array": ("rows", lambda file: file.create_dataset("00000000000000000009", data=1)),
    "rows-empty": ("rows", lambda file: [file.__delitem__(name) for name in list(file)]),
    "rows-shape": ("rows", lambda file: (
        file.__delitem__("time/loss"), file.create_dataset("time/loss", data=np.zeros((1, 2))))),
    "rows-type": ("rows", lambda file: (
        file.__delitem__("time/loss"), file.create_dataset("time/loss", data=[b"x"]))),
    "rows-soft": ("rows", lambda file: file.__setitem__("00000000000000000009", h5py.SoftLink("/"))),
    "rows-external": ("rows", lambda file: file.__setitem__(
        "00000000000000000003", h5py.ExternalLink("../outside/secret.h5", "/final"))),
    "particles-missing": ("particles", lambda file: file.__delitem__("position")),
    "particles-type": ("particles", lambda file: (
        file.__delitem__("position"), file.create_dataset("position", data=5))),
    "particles-group": ("particles", lambda file: (file.__delitem__("sign"), file.create_group("sign"))),
    "particles-shape": ("particles", lambda file: (
        file.__delitem__("position"), file.create_dataset("position", data=np.zeros((8, 5))))),
    "particles-external": ("particles", lambda file: (
        file.__delitem__("position"),
        file.__setitem__("position", h5py.ExternalLink("../outside/secret.h5", "/final/position")))),
    "particles-stored": ("particles", lambda file: (
        file.__delitem__("position"),
        file.create_dataset("position", (8, 2), "f8", external=[("../outside/secret.raw", 0, 128)]))),
}  # fmt: skip


@family("checkpoints", "resumed", [f"inside-{name}" for name in INSIDE])
def inside_checkpoints(place: Place, random: np.random.Generator, variant: str) -> Path:
    """What is inside the files, which whoever sends the folder can sign as well."""
    folder = copied(place, "stopped")
    which, change = INSIDE[variant.removeprefix("inside-")]
    _rows(folder, change, which)
    return folder
