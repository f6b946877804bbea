"""What results a folder has: its sweeps and single runs, found by their files, without reading what was recorded."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from particles.errors import ParticlesError, StorageError
from particles.experiments import listing
from particles.experiments.folder import FILE as PLAN, Record
from particles.experiments.plan import axes_in
from particles.experiments.records import Records
from particles.experiments.summary import FILE as SWEEP
from particles.experiments.sweep import run_file
from particles.files.json_text import parsed
from particles.files.reading import content_of
from particles.storage.run_file import open_attributes

_KEY = "[0-9a-f]{16}"  # of a run; a file from others may have any text in its place


class Entry(NamedTuple):
    """One result. kind: "sweep" or "run"; axes: the values that vary; modified: seconds since 1970 of its newest file.

    runs: how many were planned, `finished` and `diverged` how many of them ended so; bytes: of all its files.
    """

    path: Path
    kind: str
    modified: float
    axes: dict[str, list[Any]]
    runs: int
    finished: int
    diverged: int
    bytes: int


def entries(folder: Path) -> list[Entry]:
    """The sweeps and runs in a folder and in those below it, by path; hidden folders are left out."""
    if not folder.is_dir():
        raise StorageError(f"no such folder: {folder}. Give the folder of --out; `particles run CONFIG` makes one.")
    return sorted(_below(folder), key=lambda entry: entry.path)


def _below(folder: Path) -> Iterator[Entry]:
    for place, folders, names in os.walk(folder):
        path = Path(place)
        if {PLAN, SWEEP} & set(names) or "runs" in folders:
            entry = _sweep(path)
            if entry:
                yield entry
                folders[:] = [name for name in folders if name == "earlier"]
                continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from filter(None, (_run(path / name) for name in sorted(names) if name.endswith(".h5")))


def _run(path: Path) -> Entry | None:
    """A single run's file; None for any other file."""
    try:
        attrs, status = open_attributes(path), path.stat()
    except OSError:
        return None
    state = attrs.get("status")
    if "config" not in attrs or state is None:
        return None
    return _entry(path, "run", status.st_mtime, {}, [str(state)], status.st_size)


def _sweep(folder: Path) -> Entry | None:
    """A sweep's folder; None where nothing in it says which runs there are."""
    try:
        axes, keys = _contents(folder)
    except ParticlesError:
        return None
    records = Records(folder)
    states = [_state(folder, key, records) for key in keys]
    modified, size = _extent(folder)
    return _entry(folder, "sweep", modified, axes, states, size)


def _entry(path: Path, kind: str, modified: float, axes: dict[str, list[Any]], states: list[str], size: int) -> Entry:
    return Entry(path, kind, modified, axes, len(states), states.count("finished"), states.count("diverged"), size)


def _planned(folder: Path) -> Record | None:
    """What plan.json says; None without one, or with one that cannot be read."""
    try:
        record: Record = parsed(content_of(folder / PLAN), Record)
    except (StorageError, ValueError):
        return None
    return record


def _contents(folder: Path) -> tuple[dict[str, list[Any]], list[str]]:
    """What varies, and the keys of the runs: as plan.json says, or the files that there are."""
    record = _planned(folder)
    keys = [key for key in record["runs"] if re.fullmatch(_KEY, key)] if record else []
    if record and record["config"]:
        return {axis.name: axis.values for axis in axes_in(record["config"])}, keys
    try:
        listed = listing.of_folder(folder)
    except StorageError:
        if record:  # nothing has ended yet
            return {}, keys
        raise
    return {axis.name: list(axis.values) for axis in listed.axes}, keys if record else [*listed.runs, *listed.limits]


def _state(folder: Path, key: str, records: Records) -> str:
    """How a run ended; empty where its file is missing or cannot be read."""
    path = run_file(folder, key)
    if entry := records.known(path):
        return entry.state
    try:
        return str(open_attributes(path).get("status", ""))
    except StorageError:
        return ""


def _extent(folder: Path) -> tuple[float, int]:
    """When the newest file of a sweep was written, and the bytes of all of them, without earlier sweeps' files."""
    newest, size = 0.0, 0
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name != "earlier"]
        for name in names:
            try:
                status = os.stat(os.path.join(place, name), follow_symlinks=False)
            except OSError:  # it was a temporary file
                continue
            newest, size = max(newest, status.st_mtime), size + status.st_size
    return newest, size
