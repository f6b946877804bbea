"""What the command line understands, and how it says that it does not."""

import argparse
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import shtab

from particles.data.columns import HOW
from particles.errors import ParticlesError
from particles.experiments.placement import KINDS

_CODES = """\
exit codes:
  0    success
  1    a run diverged or failed; gather: or is missing
  2    bad input: an option, a configuration, a file
  75   stopped by SIGTERM or SIGUSR1; the same command again continues
  130  stopped by Ctrl-C; the same command again continues

first steps:
  particles new mine --data my.csv    a configuration for your own data
  particles run mine.toml             run it; results go to out/mine
  particles show out/mine             tables and plots
  particles ls                        all results in out/
  particles report out/mine           one HTML page with everything
"""


class UsageError(ParticlesError):
    """Words on the command line that make no command."""


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose faults are one line and a way on, raised like every other."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See: {self.prog} --help")


class _Completion(argparse.Action):
    """Print the completion of a shell and end."""

    def __call__(self, parser: argparse.ArgumentParser, space: object, values: Any, option: str | None = None) -> None:
        print(shtab.complete(parser, values))
        parser.exit()


def parser() -> Parser:
    """The command line."""
    top = Parser(
        prog="particles",
        description="Two-layer networks as clouds of particles.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=metadata.version("meanfield-particles"))
    top.add_argument(
        "--print-completion", action=_Completion, choices=shtab.SUPPORTED_SHELLS, help="print a completion script"
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="write a configuration for a data file of your own")
    run = commands.add_parser("run", help="run a configuration; run it again to continue where it stopped")
    gather = commands.add_parser("gather", help="combine the runs of a job array whose last task could not")
    check = commands.add_parser("check", help="check a configuration and list what it would run")
    show = commands.add_parser("show", help="print the content of a result file or folder")
    ls = commands.add_parser("ls", help="list the results in a folder")
    compare = commands.add_parser("compare", help="print two results beside each other, and the settings that differ")
    report = commands.add_parser("report", help="write a run, a sweep or a study as one HTML page")
    doctor = commands.add_parser("doctor", help="resources of this machine and of a cluster, and the cost of a run")
    schema = commands.add_parser("schema", help="print the JSON schema of configurations, for editors")
    _new(new)
    for command in (run, gather, check):
        _path(command, "config", help="a TOML file, such as configs/quickstart.toml")
    for command in (run, gather, check, doctor):
        _changes(command)
    for command in (run, doctor):
        command.add_argument(
            "--ray",
            metavar="ADDRESS",
            help='a Ray cluster: host:port, "auto" (one that is running here), "local" (start one)',
        )
    _path(doctor, "--plan", metavar="CONFIG", help="estimate time, traffic and memory of this configuration")
    doctor.add_argument("--nodes", type=_positive, help="machines in the plan (default: those of --ray, or 1)")
    doctor.add_argument("--cores", type=_positive, help="cores of each machine in the plan")
    for command in (run, gather):
        _path(command, "--out", default=Path("out"), help="results go to NAME in this folder (default: out)")
        command.add_argument("--no-figure", action="store_true", help="draw no figure")
    _run(run)
    _path(show, "path")
    _path(ls, "folder", nargs="?", default=Path("out"), help="a folder with results (default: out)")
    for name in ("first", "second"):
        _path(compare, name, help="a sweep's folder, its sweep.h5, or a file under runs/")
    _path(report, "path", help="a file under runs/, a sweep's folder, or a study's file")
    _path(report, "--out", metavar="FILE", help="file of the page (default: report.html beside the result)")
    show.add_argument(
        "--plots", action=argparse.BooleanOptionalAction, help="small plots (default: on a terminal, not in a pipe)"
    )
    for command in (new, run, gather, check, show, ls, compare, report, doctor, schema):
        command.add_argument("--json", action="store_true", help="one JSON document on stdout, the rest on stderr")
    return top


def _changes(command: argparse.ArgumentParser) -> None:
    several: dict[str, Any] = {"action": "append", "default": []}
    command.add_argument("--set", metavar="KEY=VALUE", help="override a value: start.count=64,256", **several)
    text = "import your own module or file.py, whose objects the configuration names as MODULE:NAME"
    command.add_argument("--import", dest="modules", metavar="MODULE", help=text, **several)


def _new(new: argparse.ArgumentParser) -> None:
    new.add_argument("name", metavar="NAME", help="writes NAME.toml here; or your data file, which then names it")
    _path(new, "--data", metavar="FILE", help="your data: CSV with a header, TSV, Parquet, NPZ, HDF5 or netCDF")
    new.add_argument(
        "--y", metavar="COLUMN", help="the targets' column (default: y, target, label, ... if there is one)"
    )
    several: dict[str, Any] = {"nargs": "+", "metavar": "COLUMN", "default": []}
    new.add_argument("--x", help="the inputs' columns, A B or A,B (default: all others)", **several)
    new.add_argument("--drop", help="columns that are no inputs, such as an identifier", **several)
    text = "columns of which each value becomes a column of 0 and 1 (text of few values: without asking)"
    new.add_argument("--one-hot", help=text, **several)
    new.add_argument("--missing", choices=HOW, help="leave out rows with a missing cell, or use the column's mean")
    text = "one output a class, by the softmax loss (words, and the numbers in a column `class`: without asking)"
    new.add_argument("--classes", action="store_true", help=text)
    new.add_argument("--force", action="store_true", help="replace an existing NAME.toml")


def _run(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--engine", choices=KINDS, default="auto", help="with --ray: where the runs go (default: the fastest)"
    )
    run.add_argument("--shards", type=_positive, help="with --ray: processes that share the particles of one run")
    run.add_argument("--keep", type=_positive, default=0, metavar="K", help="never delete each K-th checkpoint")
    run.add_argument("--part", type=_part, metavar="I/N", help="make only part I of N of the runs, I from 0 or from 1")
    run.add_argument("--threads", type=_positive, help="number of cores (default: all); results do not depend on it")
    run.add_argument(
        "--checkpoint", type=_seconds, default=30.0, metavar="SECONDS", help="minimal time between checkpoints"
    )
    run.add_argument("--quiet", action="store_true", help="print no progress")


class Part(NamedTuple):
    """Which of how many parts of a sweep."""

    number: int
    parts: int


def _part(text: str) -> Part:
    number, _, parts = text.partition("/")
    plain = all(word.isascii() and word.isdigit() and len(word) < 7 for word in (number, parts))
    if not plain or not 0 <= int(number) <= int(parts) or int(parts) < 1:
        raise argparse.ArgumentTypeError(f"must be I/N, I from 0 to N, such as 2/6: got {text[:40]!r}")
    return Part(int(number), int(parts))


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line that may not be understood asks for JSON."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _path(command: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """An argument that names a file, which shells complete."""
    command.add_argument(name, type=Path, **options).complete = shtab.FILE  # type: ignore[attr-defined]


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, a whole number below 10^9: got {text[:40]!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds >= 0: got {text[:40]!r}")
    return value
