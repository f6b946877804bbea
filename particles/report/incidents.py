"""What went wrong or was interrupted on the way: of one run, or of all runs of a sweep."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from particles.errors import DamagedError, StorageError
from particles.experiments.grid import coordinate
from particles.experiments.sweep import run_file
from particles.files.reading import size_of
from particles.report.settings import axes
from particles.report.sheets import INFINITE, Cell, Sheet, sheet
from particles.report.source import RUN, SWEEP, Source
from particles.storage.attributes import Event, attribute
from particles.storage.run_file import open_attributes

_LOOKED_AT = 2000  # runs of a sweep whose files are opened


class Alarm(NamedTuple):
    """What must be seen first: what is wrong, and what to do about it."""

    title: str
    remedy: str


class Incidents(NamedTuple):
    """Alarms; faults and resumes as a table; how the runs of a sweep ended; sentences for what was not looked at."""

    alarms: list[Alarm]
    events: Sheet | None
    runs: Sheet | None
    notes: list[str]


def incidents(source: Source) -> Incidents:
    """What happened to a result's runs, the loudest first."""
    if source.kind == RUN:
        return _of_run(source)
    return _of_sweep(source) if source.kind == SWEEP else _of_study(source)


def _of_run(source: Source) -> Incidents:
    status = str(source.attrs["status"])
    events = _events(attribute(source.path, source.attrs, "events", []))
    alarms = []
    if status == "diverged":
        step = _step(source.config)
        smaller = "Run it again with a smaller one" + (", such as --set method.step=0.1" if step else "")
        alarms.append(
            Alarm(
                "This run diverged",
                "Its numbers left what floats can hold, or its loss grew beyond hope; below is what it recorded. "
                f"The likely cause is the step{f', {step}' if step else ''}. {smaller}: a run that diverges says at "
                "which iteration, and which step theory allows.",
            )
        )
    elif status != "finished":
        alarms.append(
            Alarm(
                f"This run has not ended: {status}",
                "What it recorded until then is below. Run the same command again: it goes on from its checkpoint.",
            )
        )
    return Incidents(alarms, _event_table([("", *event) for event in events], False), None, [])


def _step(config: dict[str, Any]) -> str:
    method = config.get("method")
    return json.dumps(method["step"]) if isinstance(method, dict) and "step" in method else ""


def _events(events: list[Event]) -> list[tuple[int, str]]:
    return [(event["iteration"], event["what"]) for event in events]


def _event_table(rows: list[tuple[str, int, str]], named: bool) -> Sheet | None:
    if not rows:
        return None
    cells = [row if named else row[1:] for row in rows]
    headings = ("run", "iteration", "what happened") if named else ("iteration", "what happened")
    return sheet("Faults and resumes", headings, cells)


def _of_sweep(source: Source) -> Incidents:
    if not (source.path.parent / "runs").is_dir():
        return Incidents([], None, None, ["The runs' own files are not beside this one, so their ends are not known."])
    names, rows, events = list(axes(source)), [], []
    keys = list(source.runs)[:_LOOKED_AT]
    for key in keys:
        status, happened = _ended(run_file(source.path.parent, key))
        place = source.runs[key]
        rows.append((key, *(_where(place, name) for name in names), place["nodes"] or "", status))
        events += [(key, *event) for event in happened]
    ends = [str(row[-1]) for row in rows]
    alarms = [
        alarm for kind in ("diverged", "stopped", "missing", "damaged", "unreadable") if (alarm := _alarm(kind, ends))
    ]
    some = f"The first {len(keys)} of {len(source.runs)} runs were looked at."
    notes = [] if len(keys) == len(source.runs) else [some]
    # What did not end well comes first: a long table is cut at its end.
    rows.sort(key=lambda row: row[-1] == "finished")
    table = sheet("How each run ended", ("run", *names, "quadrature nodes", "status"), rows)
    return Incidents(alarms, _event_table(events, True), table, notes)


def _where(place: dict[str, Any], name: str) -> Any:
    """Where a run is on an axis."""
    if name == "count" and place.get("nodes"):
        return Cell("infinity", INFINITE)
    return coordinate(place.get(name, ""))


def _ended(path: Path) -> tuple[str, list[tuple[int, str]]]:
    """How a run's file says it ended, and what happened to it."""
    try:
        if size_of(path) is None:
            return "missing", []
        attrs = open_attributes(path)
        return attribute(path, attrs, "status"), _events(attribute(path, attrs, "events", []))
    except DamagedError:
        return "damaged", []
    except StorageError:
        return "unreadable", []


def _alarm(kind: str, ends: list[str]) -> Alarm | None:
    count = ends.count(kind)
    remedy = {
        "diverged": "Their numbers left what floats can hold; averages have what was recorded before. The likely cause "
        "is the step: run the sweep with a smaller one, --set method.step=0.1 say. A run that diverges says at "
        "which iteration, and which step theory allows.",
        "stopped": "Run the same command again: they go on from their checkpoints.",
        "missing": "They failed, or never began: run the same command again, which says why. What is there is kept.",
        "damaged": "Run the same command again: damaged files are written anew. Finished runs are kept.",
        "unreadable": "Their files may be whole: see to the permissions, the disk or the network, then look again.",
    }[kind]
    words = {"missing": "have no file", "damaged": "have a damaged file", "unreadable": "cannot be read now"}
    word = words.get(kind, kind)
    return Alarm(f"{count} of {len(ends)} runs {word}", remedy) if count else None


def _of_study(source: Source) -> Incidents:
    failed = [
        str(text)
        for text, holds in zip(source.root["claim_text"].values, source.root["holds"].values, strict=True)
        if not holds
    ]
    remedy = (
        f"{'; '.join(failed[:5])}{' and others' if len(failed) > 5 else ''}. See the intervals in the table; "
        "the full size, without --quick, measures more closely."
    )
    total = int(np.isfinite(source.root["holds"].values.astype(float)).sum())  # of those that could fail
    return Incidents([Alarm(f"{len(failed)} of {total} claims do not hold", remedy)] if failed else [], None, None, [])
