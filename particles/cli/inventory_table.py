"""`particles ls`: the results in a folder as a table."""

import time
from pathlib import Path
from typing import Any

from rich.table import Table

from particles.configuration.extent import brief
from particles.console import Console
from particles.experiments.inventory import Entry
from particles.experiments.memory import size

_SHOWN = 4  # values of an axis that are listed


def show(console: Console, folder: Path, results: list[Entry]) -> None:
    """Name, when, what varies, how many runs are finished, size: a row for each result."""
    if not results:
        console.print(f"{folder} holds no results. `particles run CONFIG --out {folder}` makes them.")
        return
    table = Table("name", "written", "varies")
    table.add_column("finished", justify="right")
    table.add_column("size", justify="right")
    for entry in results:
        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.modified))
        name = str(entry.path.relative_to(folder)) if entry.path != folder else entry.path.absolute().name
        table.add_row(name, written, _varies(entry), _finished(entry), size(entry.bytes))
    console.print(table)


def _varies(entry: Entry) -> str:
    if entry.kind == "run":
        return "(one run)"
    return ", ".join(
        f"{name}: {' '.join(map(brief, values)) if len(values) <= _SHOWN else f'{len(values)} values'}"
        for name, values in entry.axes.items()
    )


def _finished(entry: Entry) -> str:
    diverged = f", {entry.diverged} diverged" if entry.diverged else ""
    return f"{entry.finished} of {entry.runs}{diverged}"


def plain(entry: Entry) -> dict[str, Any]:
    """The same for JSON; `modified` in ISO 8601, UTC."""
    modified = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.modified))
    return entry._asdict() | {"modified": modified}
