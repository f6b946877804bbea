"""The command `particles`: run, show, check, doctor.

Exit codes: 0 all is well; 1 a run diverged or failed; 2 bad input; 75 stopped by SIGTERM or SIGUSR1, run again to
go on; 130 stopped by Ctrl-C, likewise.
"""

import argparse
import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from rich.console import Console

from particles.cluster.engine import Ray
from particles.errors import InputError, ParticlesError, StorageError
from particles.files import sole_user, write_whole
from particles.population import Engine, Local
from particles.study import build, doctor, placement, tables
from particles.study.config import override, read_toml
from particles.study.placement import KINDS
from particles.study.plan import Plan, plan
from particles.study.sweep import run_path, run_sweep

OK, FAILED, BAD_INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 75, 130
STOPPING = signal.SIGTERM, signal.SIGUSR1, signal.SIGINT  # batch systems send the first two before they end a job


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="particles", description="Two-layer networks as clouds of particles.")
    top.add_argument("--version", action="version", version=metadata.version("meanfield-particles"))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a configuration; run it again to go on where it stopped")
    check = commands.add_parser("check", help="check a configuration and say what it would run")
    doctor = commands.add_parser("doctor", help="what this machine and a cluster offer, and what a run would cost")
    for command in (run, check):
        command.add_argument("config", type=Path, help="a TOML file, such as configs/quickstart.toml")
    for command in (run, check, doctor):
        command.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="override, as start.count=[64,256]"
        )
    for command in (run, doctor):
        command.add_argument(
            "--ray",
            metavar="ADDRESS",
            help='a Ray cluster: host:port, "auto" (one that runs here), "local" (start one)',
        )
    doctor.add_argument("--plan", type=Path, metavar="CONFIG", help="time, traffic and memory of this configuration")
    doctor.add_argument("--nodes", type=_positive, help="plan for so many machines (default: those of --ray, or 1)")
    doctor.add_argument("--cores", type=_positive, help="plan for so many cores a machine")
    run.add_argument(
        "--engine", choices=KINDS, default="auto", help="with --ray, where runs go (default: the quickest)"
    )
    run.add_argument("--shards", type=_positive, help="with --ray, how many processes share one run's particles")
    run.add_argument("--keep", type=_positive, default=0, metavar="K", help="keep each K-th checkpoint for good")
    run.add_argument("--out", type=Path, default=Path("out"), help="where results go, in a folder NAME (default: out)")
    run.add_argument("--threads", type=_positive, help="cores to use (default: all); no result depends on it")
    run.add_argument(
        "--checkpoint", type=_seconds, default=30.0, metavar="SECONDS", help="least time between checkpoints"
    )
    run.add_argument("--no-figure", action="store_true", help="leave the figure out")
    run.add_argument("--quiet", action="store_true", help="no progress")
    show = commands.add_parser("show", help="print what a result file or folder holds")
    show.add_argument("path", type=Path)
    return top


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds >= 0")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    chosen = parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        if chosen.command == "show":
            return _show(console, chosen.path)
        if chosen.command == "doctor":
            doctor.examine(console, chosen.ray)
            if chosen.plan:
                doctor.costs(console, _plan(chosen.plan, chosen.set), chosen.ray, chosen.nodes, chosen.cores)
            return OK
        made = _plan(chosen.config, chosen.set)
        return _check(console, made) if chosen.command == "check" else _run(console, made, chosen)
    except ParticlesError as error:
        print(f"particles: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        return OK


def _plan(path: Path, settings: list[str]) -> Plan:
    raw = read_toml(path)
    override(raw, settings)
    made = plan(raw, path.resolve().parent, str(path))
    build.check_all([case.config for case in made.cases], made.folder)
    return made


def _check(console: Console, made: Plan) -> int:
    case = made.cases[0]
    objects = build.parts(case.config, made.folder)
    tables.print_line(console, f"{made.name}: {len(made.cases)} runs of {case.config.steps} steps")
    for axis in made.axes:
        tables.print_line(console, f"  {axis.name}: {', '.join(map(str, axis.values))}")
    limits = sorted({c.nodes for c in made.cases if c.nodes})
    if limits:
        tables.print_line(console, f"  limit: {' and '.join(map(str, limits))} nodes")
    tables.print_line(
        console, f"  data: {objects.train!r}, test {objects.test!r}; law: {objects.law!r}; {objects.net!r}"
    )
    tables.print_line(console, "no faults")
    return OK


def _run(console: Console, made: Plan, chosen: argparse.Namespace) -> int:
    from particles.study.progress import Ticker

    out: Path = chosen.out / made.name
    _writable(out)
    stop, caught = threading.Event(), []

    def ask_to_stop(number: int, frame: object) -> None:
        caught.append(number)
        stop.set()

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        print(f"particles: {message}", file=sys.stderr)

    before = {number: signal.signal(number, ask_to_stop) for number in STOPPING}
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
        return INTERRUPTED if caught[0] == signal.SIGINT else STOPPED
    _conclude(console, made, out, chosen.no_figure)
    bad = [outcome for outcome in outcomes if outcome.status in ("failed", "diverged")]
    if bad:
        print(f"particles: {len(bad)} of {len(outcomes)} runs failed or diverged, see above", file=sys.stderr)
    return FAILED if bad else OK


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


def _conclude(console: Console, made: Plan, out: Path, no_figure: bool) -> None:
    """The sweep's file, its tables and its figure."""
    from particles.study import figures, summary

    result = summary.write(made, out)
    if result.table.data_vars:
        tables.swept(console, result.table, f"{made.name}, at the last recorded time, seeds averaged")
    for setting, compared in result.setups:
        tables.comparison(console, setting, compared)
    written = [] if no_figure else figures.draw(made, out, result)
    for file in [result.path, *written]:
        tables.print_line(console, f"wrote {file}")


def _writable(out: Path) -> None:
    """A folder that cannot be written to is said before the work, not after."""
    probe = out / ".writable"
    write_whole(probe, b"particles")
    probe.unlink(missing_ok=True)


def _show(console: Console, path: Path) -> int:
    from particles.study.results import open_tree
    from particles.study.summary import FILE

    if path.is_dir():
        if not (path / FILE).is_file():
            raise StorageError(f"{path} holds no {FILE}. Give a sweep's folder, out/NAME, or a file under its runs/.")
        path = path / FILE
    tree = open_tree(path)
    if "config_hash" not in tree.attrs:
        raise StorageError(f"{path} is no result of this program. Give a file under runs/, a sweep.h5 or its folder.")
    tables.show(console, tree, path)
    return OK


if __name__ == "__main__":
    sys.exit(main())
