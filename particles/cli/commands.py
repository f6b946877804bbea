"""What each command does. With --json one document is on stdout, all else on stderr; `documents.py` lists its keys."""

import argparse
import os
import sys
import warnings
from pathlib import Path

from particles import machine
from particles.cli import doctor, json_output, run as running, tables
from particles.cli.json_output import Answer
from particles.cli.main import BAD_INPUT, OK
from particles.cli.parser import parser, wants_json
from particles.cli.result_file import result_at
from particles.configuration.config import ConfigError, folder_of, override, read_toml
from particles.configuration.references import module_in
from particles.console import Console
from particles.errors import ParticlesError
from particles.escapes import escaped
from particles.experiments import build, memory
from particles.experiments.plan import Plan, plan


def run(words: list[str]) -> int:
    """Run a command line; the exit code."""
    as_json = wants_json(words)
    adapts = sys.stdout.isatty() and os.environ.get("COLUMNS") != "0"  # rich believes it and prints nothing
    console = Console(stderr=as_json, width=None if adapts else 120)
    shown = warnings.showwarning
    warnings.showwarning = _tell
    try:
        answer = _answer(console, parser().parse_args(words))
    except (ParticlesError, OSError, MemoryError) as error:
        answer = _refused(error, words)
    finally:
        warnings.showwarning = shown
    if as_json:
        print(json_output.text(answer.document))
    return answer.code


def _tell(message: Warning | str, *_: object, **__: object) -> None:
    print(f"particles: {escaped(str(message))}", file=sys.stderr)


def _answer(console: Console, chosen: argparse.Namespace) -> Answer:
    match chosen.command:
        case "new":
            return _new(console, chosen)
        case "show":
            return _show(console, chosen)
        case "ls":
            return _ls(console, chosen)
        case "compare":
            return _compare(console, chosen)
        case "report":
            return _report(console, chosen)
        case "doctor":
            return _doctor(console, chosen)
        case "schema":
            return _schema(chosen.json)
    if chosen.command == "check":
        return _check(console, _planned(chosen.config, chosen))
    plan = _plan(chosen.config, chosen, chosen.command == "run" and chosen.ray is None)
    return (running.run if chosen.command == "run" else running.gather)(console, plan, chosen)


def _refused(error: ParticlesError | OSError | MemoryError, words: list[str]) -> Answer:
    """Bad input, told on stderr in a line; faults of a configuration are a line each, and then what to do next."""
    message = str(error)
    if isinstance(error, MemoryError):
        message = escaped(f"not enough memory: {message or 'an array'}. Lower the sizes, or use a larger machine.")
    elif not isinstance(error, ParticlesError):  # a path that no file can have, a disk that fails
        message = escaped(f"{error.strerror or error}: {str(error.filename or 'a file')[:200]}")
    faults = error.faults if isinstance(error, ConfigError) else []
    print(f"particles: {message}", file=sys.stderr)
    if words[:1] == ["run"] and faults and "no such file" not in message:
        print("Correct this, then check it with `particles check`.", file=sys.stderr)
    return Answer(BAD_INPUT, {"error": {"message": message, "faults": faults, "exit_code": BAD_INPUT}})


def _planned(path: Path, chosen: argparse.Namespace) -> Plan:
    raw = read_toml(path)
    override(raw, chosen.set)
    if chosen.modules:
        sys.path.insert(0, os.getcwd())  # as `python -m` does
    modules = [module_in(Path(name)) if name.endswith(".py") else name for name in chosen.modules]
    return plan(raw, folder_of(path), str(path), modules)


def _plan(path: Path, chosen: argparse.Namespace, alone: bool = False) -> Plan:
    """A plan that can be run here; alone: each run on this machine."""
    plan = _planned(path, chosen)
    memory.check(plan, alone)
    build.check_all(plan.cases, plan.folder)
    return plan


def _check(console: Console, plan: Plan) -> Answer:
    needs, here = memory.needs(plan), machine.memory()
    drawn = all(need.data <= here for need in needs)  # else the samples cannot be looked at here
    if drawn:
        build.check_all(plan.cases, plan.folder)
    case, limits = plan.cases[0], sorted({c.nodes for c in plan.cases if c.nodes})
    console.print(f"{plan.name}: {len(plan.cases)} runs of {case.config.steps} steps")
    for axis in plan.axes:
        console.print(f"  {axis.name}: {', '.join(map(str, axis.values))}")
    if limits:
        console.print(f"  limit: {' and '.join(map(str, limits))} nodes")
    if predicted := sorted({c.particles for c in plan.predictions}):
        console.print(f"  fluctuations: predicted on {', '.join(map(str, predicted))} nodes")
    for why in dict.fromkeys(plan.without.values()):
        console.print(f"  fluctuations: no prediction, {why}")
    if drawn:
        objects = build.parts(case.config, plan.folder, case.identity)
        test = f", test {objects.test!r}" if objects.test is not None else ""
        console.print(f"  data: {objects.train!r}{test}; law: {objects.law!r}; {objects.net!r}")
    top = max(needs, key=lambda need: need.total)
    small = f", but this machine has {memory.size(here)} of memory and a run needs {top}. {top.remedy}."
    console.print(f"no faults{small if top.total > here else ''}")
    document = {"name": plan.name, "runs": len(plan.cases), "steps": case.config.steps, "axes": json_output.axes(plan)}
    samples, tested, inputs = needs[0].shape
    document |= {"limit_nodes": limits, "samples": samples, "inputs": inputs, "outputs": needs[0].outputs}
    document |= {"test_samples": tested, "fluctuation_nodes": predicted}
    return Answer(OK, document | {"needed_bytes": top.total, "memory_bytes": here})


def _doctor(console: Console, chosen: argparse.Namespace) -> Answer:
    plan = _plan(chosen.plan, chosen) if chosen.plan else None
    facts = doctor.examine(console, chosen.ray)
    costs = doctor.costs(console, plan, chosen.ray, chosen.nodes, chosen.cores) if plan else None
    return Answer(OK, {"machine": facts, "plan": costs})


def _new(console: Console, chosen: argparse.Namespace) -> Answer:
    from particles.cli import new

    asked = new.Asked(chosen.y, chosen.x, chosen.drop, chosen.one_hot, chosen.missing, chosen.classes)
    started = new.write(Path(), chosen.name, chosen.data, asked, chosen.force)
    console.print(f"wrote {started.file}: {started.about}")
    command = f"particles run {started.file}"
    console.print(f"next: {command}")
    return Answer(OK, {"file": started.file, "target": started.target, "config": started.config, "next": command})


def _show(console: Console, chosen: argparse.Namespace) -> Answer:
    tree, path = result_at(chosen.path)
    tables.show(console, tree, path, plots=console.is_terminal if chosen.plots is None else chosen.plots)
    return Answer(OK, json_output.result(tree, path))


def _ls(console: Console, chosen: argparse.Namespace) -> Answer:
    from particles.cli import inventory_table
    from particles.experiments import inventory

    results = inventory.entries(chosen.folder)
    inventory_table.show(console, chosen.folder, results)
    return Answer(OK, {"folder": chosen.folder, "results": [inventory_table.plain(entry) for entry in results]})


def _compare(console: Console, chosen: argparse.Namespace) -> Answer:
    from particles.cli import comparison_tables

    first, second = (result_at(path) for path in (chosen.first, chosen.second))
    return Answer(OK, comparison_tables.show(console, first, second))


def _report(console: Console, chosen: argparse.Namespace) -> Answer:
    from particles import report

    page = report.write(chosen.path, chosen.out)
    console.print(f"wrote {page}")
    return Answer(OK, {"file": page})


def _schema(as_json: bool) -> Answer:
    from particles.configuration import json_schema

    if not as_json:
        print(json_schema.text(), end="")
    return Answer(OK, json_schema.json_schema())
