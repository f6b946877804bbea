"""A sweep's own files, sweep.h5 and its figures: written anew where a run has changed, else left as they are."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from particles.errors import StorageError
from particles.experiments import summary
from particles.experiments.plan import Plan
from particles.experiments.records import Records, stamp_of
from particles.experiments.summary import Summary
from particles.experiments.sweep import run_path
from particles.storage import forms
from particles.storage.attributes import attribute
from particles.storage.provenance import fingerprint
from particles.storage.run_file import open_tree

_DRAWN = " and figures"  # of what files were made of where the figures are among them


def update(
    plan: Plan, out: Path, records: Records, draw: Callable[[Summary], list[Path] | None] | None = None
) -> tuple[Summary, list[Path], bool]:
    """The sweep's file and what `draw` makes of it, and whether they were written: not where no run has changed.

    draw: gives the files that it wrote; None where it could not.
    """
    path, origin = out / summary.FILE, _origin(plan, out, records)
    for state in (origin + _DRAWN, *([] if draw else [origin])) if origin else ():
        if path in (files := records.made_of(state)):
            with contextlib.suppress(StorageError):  # then it is written anew
                return _read(path), files if draw else [path], False
    result = summary.write(plan, out, records)
    figures = draw(result) if draw else None
    files = [path, *(figures or [])]
    if len(result.records) < len(plan.cases):  # a run could not be read now
        origin = ""
    for file in files:
        records.note(file, origin + _DRAWN * (figures is not None), stamp_of(file))
    records.save()
    return result, files, True


def _origin(plan: Plan, out: Path, records: Records) -> str:
    """A hash of all that a sweep's file is made of; empty where a run's file is not known to be whole."""
    entries = [records.known(run_path(out, case)) for case in plan.tasks]
    return fingerprint([summary.attributes_of(plan), entries]) if all(entries) else ""


def _read(path: Path) -> Summary:
    """What a sweep came to, as its file has it, without the runs' records."""
    tree = open_tree(path)
    parts = [forms.checked_comparison(path, part) for part in summary.compared_in(tree)]
    setups = [(attribute(path, part.attrs, "setting"), part) for part in parts]
    return Summary(path, forms.checked_sweep(path, tree.to_dataset()), setups, {})
