"""`particles run`: a sweep from its plan to its files, told on the way; signals end it so that it can go on."""

import argparse
import contextlib
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from rich.console import Console

from particles.cluster.engine import Ray
from particles.errors import InputError
from particles.files import sole_user, write_whole
from particles.population import Engine, Local
from particles.study import documents, placement, tables
from particles.study.cli import CODES, FAILED, OK
from particles.study.documents import Answer
from particles.study.plan import Plan
from particles.study.sweep import Outcome, run_path, run_sweep


def run(console: Console, made: Plan, chosen: argparse.Namespace) -> Answer:
    """Run what is not there yet and conclude."""
    from particles.study.progress import Ticker

    out: Path = chosen.out / made.name
    _writable(out)
    stop, caught = threading.Event(), []

    def ask_to_stop(number: int, frame: object) -> None:
        caught.append(number)
        stop.set()

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        print(f"particles: {message}", file=sys.stderr)

    before = {number: signal.signal(number, ask_to_stop) for number in CODES}
    shown = warnings.showwarning
    warnings.showwarning = tell
    ticker = Ticker(console, chosen.quiet)
    try:
        with sole_user(out), contextlib.ExitStack() as stack:
            tasks, engine = _placed(stack, console, made, chosen)
            outcomes = run_sweep(made, out, ticker, chosen.threads, chosen.checkpoint, stop, tasks, engine, chosen.keep)
    finally:
        ticker.close()
        warnings.showwarning = shown
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        tables.print_line(console, f"stopped; run the same command again to go on. Results so far: {out}")
        return _answer(made, out, outcomes, CODES[signal.Signals(caught[0])], "stopped", {})
    concluded = _conclude(console, made, out, chosen.no_figure)
    bad = [outcome for outcome in outcomes if outcome.status in ("failed", "diverged")]
    if bad:
        print(f"particles: {len(bad)} of {len(outcomes)} runs failed or diverged, see above", file=sys.stderr)
    return _answer(made, out, outcomes, FAILED if bad else OK, "failed" if bad else "finished", concluded)


def _answer(
    made: Plan, out: Path, outcomes: list[Outcome], code: int, status: str, concluded: dict[str, Any]
) -> Answer:
    said = {"name": made.name, "folder": out, "status": status, "exit_code": code}
    said["runs"] = documents.outcomes(outcomes, out)
    return Answer(code, said | {"files": [], "comparison": []} | concluded)


def _placed(
    stack: contextlib.ExitStack, console: Console, made: Plan, chosen: argparse.Namespace
) -> tuple[Engine | None, Engine | None]:
    """Whose tasks the runs are, and where each one's particles go; None is this machine."""
    if chosen.ray is None:
        if chosen.shards or chosen.engine != "auto":
            raise InputError("--shards and --engine need a cluster", "no --ray", 'Add --ray ADDRESS, or --ray "local".')
        return None, None
    ray = Ray(shards=chosen.shards, address=chosen.ray)
    machines = stack.enter_context(ray.held())
    out = chosen.out / made.name
    left = [case for case in made.cases if not run_path(out, case).is_file()] or made.cases
    found = placement.place(made, left, ray, machines, chosen.threads, chosen.engine)
    where = {"here": "on this machine", "tasks": f"as tasks on {sum(m.cpus for m in machines)} cores of the cluster"}
    where["shards"] = f"in {found.shards} shards of {found.threads} threads on the cluster"
    tables.print_line(console, f"runs go {where[found.kind]}: {found.why}")
    if found.kind == "tasks":
        return ray, Local(1)
    if found.kind == "shards":
        return Local(1), Ray(found.shards, found.threads, chosen.ray)
    return None, None


def _conclude(console: Console, made: Plan, out: Path, no_figure: bool) -> dict[str, Any]:
    """The sweep's file, its tables and its figure."""
    from particles.study import figures, summary

    result = summary.write(made, out)
    if result.table.data_vars:
        tables.swept(console, result.table, f"{made.name}, at the last recorded time, seeds averaged")
    for setting, compared in result.setups:
        tables.comparison(console, setting, compared)
    written = [] if no_figure else figures.draw(made, out, result)
    files = [result.path, *written]
    for file in files:
        tables.print_line(console, f"wrote {file}")
    return {"files": files, "comparison": [documents.comparison(*pair) for pair in result.setups]}


def _writable(out: Path) -> None:
    """A folder that cannot be written to is said before the work, not after."""
    probe = out / ".writable"
    write_whole(probe, b"particles")
    probe.unlink(missing_ok=True)
