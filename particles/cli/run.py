"""`particles run`: a sweep from its plan to its files, told on the way; signals end it so that it can go on."""

import argparse
import contextlib
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from particles.cli import engines, json_output, tables
from particles.cli.json_output import Answer
from particles.cli.main import CODES, FAILED, OK
from particles.console import Console
from particles.errors import InputError, StorageError
from particles.experiments.folder import settle
from particles.experiments.parts import alone, beside_others, once_alone, part_of
from particles.experiments.plan import Case, Plan
from particles.experiments.records import Records
from particles.experiments.summary import FILE as SWEEP
from particles.experiments.sweep import Outcome, earlier, run_path, run_sweep
from particles.files.atomic import write_whole
from particles.population.population import Engine

if TYPE_CHECKING:
    from particles.experiments.summary import Summary

_NAMED = 5  # missing runs that are named


def run(console: Console, plan: Plan, chosen: argparse.Namespace) -> Answer:
    """Run what is not there yet and conclude; of the parts of a job array the last one does."""
    out: Path = chosen.out / plan.name
    _writable(out)
    with contextlib.ExitStack() as stack:
        todo, moment = _entered(stack, console, plan, out, chosen)
        left = engines.left_of(todo, out)
        engines.announce(console, todo, left)
        where = engines.engines_of(stack, console, todo, left, chosen)
        with moment:
            whole = _settled(plan, out)  # not before all options were found good
        records = None if chosen.part else Records(out)
        outcomes, caught = _swept(console, todo, out, chosen, where, records)
        if caught:
            console.print(f"stopped; run the same command again to continue. Results so far: {out}")
            return _answer(plan, out, outcomes, CODES[signal.Signals(caught[0])], "stopped", {})
        concluded = _conclude(console, whole, out, chosen.no_figure, records) if records else {}
    if chosen.part:
        concluded = _concluded_by_last(console, plan, out, chosen)
    return _judged(plan, out, outcomes, concluded)


def gather(console: Console, plan: Plan, chosen: argparse.Namespace) -> Answer:
    """Conclude a sweep whose runs are all there; nothing is computed."""
    out: Path = chosen.out / plan.name
    if file := next((path for path in (chosen.out, out) if path.exists() and not path.is_dir()), None):
        raise StorageError(f"{file} is no folder. Give the folder that `particles run` got as --out.")
    records = Records(out)
    outcomes = [earlier(case, out, records) or Outcome(case, "missing") for case in plan.tasks]
    missing = [outcome.case for outcome in outcomes if outcome.status == "missing"]
    if missing:
        print(f"particles: {_lacking(missing, len(outcomes), out)}", file=sys.stderr)
        return _answer(plan, out, outcomes, FAILED, "missing", {})
    _writable(out)
    with alone(out):
        concluded = _conclude(console, _settled(plan, out), out, chosen.no_figure, records)
    return _judged(plan, out, outcomes, concluded)


def _lacking(missing: list[Case], number: int, out: Path) -> str:
    names = "; ".join(map(str, missing[:_NAMED])) + (f"; and {len(missing) - _NAMED} more" * (len(missing) > _NAMED))
    remedy = "Submit the job array again, or use `particles run`: existing runs are kept."
    return f"{len(missing)} of {number} runs are missing in {out}: {names}. {remedy}"


def _entered(
    stack: contextlib.ExitStack, console: Console, plan: Plan, out: Path, chosen: argparse.Namespace
) -> tuple[Plan, contextlib.AbstractContextManager[None]]:
    """Hold the folder, or work in it beside others: the runs to make, and a hold of all of it for a moment."""
    if chosen.part is None:
        stack.enter_context(alone(out))
        return plan, contextlib.nullcontext()
    if chosen.ray is not None:
        raise InputError(
            "--part is for tasks that share nothing but a folder", "--ray as well", "Leave out one of them."
        )
    moment = stack.enter_context(beside_others(out))
    mine = part_of(plan, *chosen.part)
    runs, predictions = [case for case in mine if not case.draws], [case for case in mine if case.draws]
    todo = plan._replace(cases=runs, predictions=predictions)
    part = f"part {chosen.part.number} of {chosen.part.parts}: {len(todo.cases)} of {len(plan.cases)} runs"
    console.print(part)
    return todo, moment


def _concluded_by_last(console: Console, plan: Plan, out: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Conclude a sweep of which this was the last part to end; parts that end together take turns.

    Each part looks after it has left the folder, so that the last of them sees the runs of all.
    """
    left = sum(not run_path(out, case).is_file() for case in plan.tasks)
    if left:
        console.print(f"{left} of {len(plan.tasks)} runs are missing: the part that makes the last one writes {SWEEP}")
        return {}
    with contextlib.ExitStack() as stack:
        if not once_alone(stack, out):
            console.print(f"other tasks are at work in {out}; then: particles gather {chosen.config}")
            return {}
        records = Records(out)
        if not all(earlier(case, out, records) for case in plan.tasks):  # a file is damaged
            console.print(f"a run is missing; then: particles gather {chosen.config}")
            return {}
        return _conclude(console, _settled(plan, out), out, chosen.no_figure, records)


def _settled(plan: Plan, out: Path) -> Plan | None:
    whole, notice = settle(plan, out)
    if notice:
        print(f"particles: {notice}", file=sys.stderr)
    return whole


def _swept(
    console: Console,
    todo: Plan,
    out: Path,
    chosen: argparse.Namespace,
    where: tuple[Engine | None, Engine | None],
    records: Records | None,
) -> tuple[list[Outcome], list[int]]:
    """What became of the runs, and the signals that came meanwhile, which end them so that they can go on."""
    from particles.cli.progress import Ticker

    stop, caught = threading.Event(), []

    def ask_to_stop(number: int, frame: object) -> None:
        caught.append(number)
        stop.set()

    before = {number: signal.signal(number, ask_to_stop) for number in CODES}
    ticker, settings = Ticker(console, chosen.quiet), (chosen.threads, chosen.checkpoint, stop)
    try:
        outcomes = run_sweep(todo, out, ticker, *settings, *where, chosen.keep, bool(chosen.part), records)
    finally:
        ticker.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    return outcomes, caught


def _judged(plan: Plan, out: Path, outcomes: list[Outcome], concluded: dict[str, Any]) -> Answer:
    bad = [outcome for outcome in outcomes if outcome.status in ("failed", "diverged")]
    if bad:
        print(f"particles: {len(bad)} of {len(outcomes)} runs failed or diverged, see above", file=sys.stderr)
    return _answer(plan, out, outcomes, FAILED if bad else OK, "failed" if bad else "finished", concluded)


def _answer(
    plan: Plan, out: Path, outcomes: list[Outcome], code: int, status: str, concluded: dict[str, Any]
) -> Answer:
    document = {"name": plan.name, "folder": out, "status": status, "exit_code": code}
    document["runs"] = json_output.outcomes(outcomes, out)
    return Answer(code, document | {"files": [], "comparison": []} | concluded)


def _conclude(console: Console, plan: Plan | None, out: Path, no_figure: bool, records: Records) -> dict[str, Any]:
    """The sweep's file, its tables and its figure; nothing of a plan that cannot be made again."""
    from particles.experiments import outputs

    if plan is None:
        return {}
    result, files, written = outputs.update(plan, out, records, None if no_figure else partial(_figures, plan, out))
    if result.table.data_vars:
        tables.swept(console, result.table, f"{plan.name}, at the last recorded time, seeds averaged")
    for setting, compared in result.setups:
        tables.comparison(console, setting, compared)
    for file in files:
        console.print(f"wrote {file}" if written else f"{file} is up to date")
    return {"files": files, "comparison": [json_output.comparison(*pair) for pair in result.setups]}


def _figures(plan: Plan, out: Path, result: "Summary") -> list[Path] | None:
    """The figures that were drawn; None where one could not be."""
    from particles.plotting import style

    with style.optional("the figure"):
        from particles.experiments import figures

        return figures.draw(plan, out, result)
    return None


def _writable(out: Path) -> None:
    """A folder that cannot be written to is said before the work, not after."""
    probe = out / ".writable"
    write_whole(probe, b"particles")
    probe.unlink(missing_ok=True)
