"""Which sweep a results folder holds: a plan that differs must not hide its runs.

plan.json             the configuration of the sweep that sweep.h5 and the figure show, and the keys of its runs
earlier/<id>/         the same of a sweep that was run in this folder before, with sweep.h5 and its figures
earlier/<id>/runs     a link to runs/, so that this is a sweep's folder as well; one to predictions/ likewise
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from particles.errors import ParticlesError, StorageError
from particles.experiments.plan import Plan, plan
from particles.experiments.summary import FILE as SWEEP
from particles.experiments.sweep import PREDICTIONS
from particles.files.atomic import write_whole
from particles.files.json_text import parsed
from particles.files.reading import content_of, size_of
from particles.storage.provenance import fingerprint

FILE = "plan.json"
_REMEDY = "For a folder of its own give --out or another name."


class Record(TypedDict):
    """What plan.json holds."""

    config: dict[str, Any]
    folder: str
    runs: list[str]


class Settled(NamedTuple):
    """whole: the plan that the folder's sweep.h5 is about, None where it cannot be made again; notice: what to say."""

    whole: Plan | None
    notice: str = ""


def settle(plan: Plan, out: Path) -> Settled:
    """Note in the folder that this plan is run there; what it held is kept, as the larger sweep or set aside.

    Only for who holds the folder.
    """
    mine, record = {case.key for case in plan.cases}, _read(out / FILE)
    before = set(record["runs"]) if record else _unrecorded(out)
    if mine < before:
        whole = _planned(record, plan.modules)
        changed = "its data or its folder have changed" if record.get("config") else "it was run from Python"
        why = changed if record else "it has no plan.json"
        stays = "is brought up to date" if whole else f"stays as it is ({why})"
        notice = f"{out} holds a sweep of {len(before)} runs, and this is {len(mine)} of them: its {SWEEP} {stays}"
        return Settled(whole, f"{notice}. {_REMEDY}")
    notice = ""
    if not before <= mine:
        place = _set_aside(out, plan.name, before)
        notice = (
            f"{out} held another sweep, of {len(before)} runs: its {SWEEP} and figure are now in {place}. {_REMEDY}"
        )
    if before != mine or record.get("config") != plan.raw:
        content = {"config": plan.raw, "folder": str(plan.folder), "runs": sorted(mine)}
        write_whole(out / FILE, json.dumps(content).encode())
    return Settled(plan, notice)


def _read(path: Path) -> dict[str, Any]:
    if size_of(path) is None:
        return {}
    try:
        record: dict[str, Any] = parsed(content_of(path), Record)
    except ValueError as error:
        raise StorageError(f"{path} cannot be read ({error}). Restore it, or choose another folder (--out).") from error
    return record


def _unrecorded(out: Path) -> set[str]:
    """The runs of a sweep that an earlier version left without a plan; none where no sweep was finished."""
    return {path.stem for path in (out / "runs").glob("*.h5")} if (out / SWEEP).is_file() else set()


def _planned(record: dict[str, Any], modules: tuple[str, ...]) -> Plan | None:
    """The plan of a record, if there is one and it still has the same runs."""
    if not record:
        return None
    try:
        whole = plan(record["config"], Path(record["folder"]), modules=modules)
    except ParticlesError:
        return None
    return whole if {case.key for case in whole.cases} == set(record["runs"]) else None


def _set_aside(out: Path, name: str, keys: set[str]) -> Path:
    place = out / "earlier" / fingerprint(sorted(keys))[:8]
    place.mkdir(parents=True, exist_ok=True)
    figures = [
        path for suffix in ("png", "svg") for path in (out / f"{name}.{suffix}", *out.glob(f"{name}-*.{suffix}"))
    ]
    for path in (out / FILE, out / SWEEP, out / "report.html", *figures):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, place / path.name)
    for folder in ("runs", *([PREDICTIONS] if (out / PREDICTIONS).is_dir() else [])):
        with contextlib.suppress(OSError):  # it was set aside before, or the file system has no links
            (place / folder).symlink_to(Path("..", "..", folder), target_is_directory=True)
    return place
