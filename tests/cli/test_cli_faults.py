"""Bad words, files and numbers: one clear line, exit code 2, no traceback, and nothing written."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from support.commands import called
from support.configs import SMALL_TOML

from particles.cli import commands, main

HERE = ("run", "small.toml", "--out", "results")
FILE = 'data={file="%s.csv",y="y"}'
BAD = {
    "no command": ([], "required: COMMAND"),
    "command with a slip": (["rnu", "small.toml"], "invalid choice"),
    "unknown option": ([*HERE, "--frobnicate"], "unrecognized arguments: --frobnicate"),
    "no configuration": (["run"], "required: config"),
    "missing file": (["run", "none.toml"], "no such file"),
    "folder": (["run", "folder"], "it is a folder"),
    "binary": (["run", "binary.toml"], "not valid TOML"),
    "not to be read": (["run", "/proc/self/mem"], "cannot be read"),
    "empty": (["run", "empty.toml"], "steps: missing"),
    "lists without end": (["run", "deep.toml"], "lists in lists"),
    "name of no file": (["run", "a" * 5000], "File name too long"),
    "unknown key": ([*HERE, "--set", "stpes=1"], "Did you mean 'steps'?"),
    "unknown section": ([*HERE, "--set", "network.depth=1"], "network.depth: unknown key"),
    "wrong type": ([*HERE, "--set", 'steps="many"'], "steps: "),
    "NaN step": ([*HERE, "--set", "method.step=nan"], "method.step: "),
    "negative step": ([*HERE, "--set", "method.step=-1"], "method.step: "),
    "count 0": ([*HERE, "--set", "start.count=0"], "start.count: "),
    "mixed list": ([*HERE, "--set", 'start.count=[8,"16",0.5]'], "start.count: "),
    "empty list": ([*HERE, "--set", "start.count=[]"], "at least one value"),
    "huge list": ([*HERE, "--set", f"start.seed={list(range(100_001))}"], "a sweep may have 100000 runs"),
    "set without =": ([*HERE, "--set", "steps"], "must read key.path=value"),
    "set without a key": ([*HERE, "--set", "=3"], "must read key.path=value"),
    "set below a value": ([*HERE, "--set", "steps.a=3"], "is a value, not a section"),
    "name with a path": ([*HERE, "--set", "name=../../x"], "name: "),
    "missing data": ([*HERE, "--set", FILE % "none"], "no such file"),
    "no rows": ([*HERE, "--set", FILE % "rows"], "at least one row"),
    "text cells": ([*HERE, "--set", FILE % "text"], "red"),
    "NaN cells": ([*HERE, "--set", FILE % "nan"], "must be finite"),
    "one column": ([*HERE, "--set", FILE % "one"], "column of inputs"),
    "one class": ([*HERE, "--set", 'data={file="good.csv",positive=[1]}'], "need both"),
    "no such class": ([*HERE, "--set", 'data={file="good.csv",positive=[1],negative=[7]}'], "must name classes"),
    "constant targets": ([*HERE, "--set", 'data={file="flat.csv",target_scale="standard"}'], "must differ"),
    "out is a file": (["run", "small.toml", "--out", "small.toml"], "Choose a folder you may write to (--out)"),
    "out below a file": (["run", "small.toml", "--out", "small.toml/x"], "Choose a folder you may write to (--out)"),
    "threads 0": ([*HERE, "--threads", "0"], "argument --threads: must be at least 1"),
    "threads in words": ([*HERE, "--threads", "two"], "argument --threads: must be at least 1"),
    "threads without end": ([*HERE, "--threads", "9" * 5000], "argument --threads: must be at least 1"),
    "checkpoint -1": ([*HERE, "--checkpoint", "-1"], "argument --checkpoint: must be a number of seconds"),
    "checkpoint in words": ([*HERE, "--checkpoint", "soon"], "argument --checkpoint: must be a number of seconds"),
    "shards 0": ([*HERE, "--shards", "0"], "argument --shards: must be at least 1"),
    "shards without ray": ([*HERE, "--shards", "2"], "need a cluster"),
    "engine without ray": ([*HERE, "--engine", "shards"], "need a cluster"),
    "engine unknown": ([*HERE, "--engine", "gpu"], "invalid choice: 'gpu'"),
    "show nothing": (["show", "none.h5"], "no such file: none.h5"),
    "show text": (["show", "small.toml"], "is no result of this program"),
    "show a table": (["show", "good.csv"], "is no result of this program"),
    "report text": (["report", "small.toml"], "is no result of this program"),
    "show half a file": (["show", "half.h5"], "cannot be read as a result"),
    "show a folder": (["show", "folder"], "holds no sweep.h5"),
    "show another's": (["show", "other.h5"], "is no result of this program"),
    "doctor plan": (["doctor", "--plan", "none.toml"], "no such file"),
    "doctor nodes": (["doctor", "--nodes", "0"], "argument --nodes"),
    "new without data": (["new", "mine"], "`new` needs a data file: got 'mine'"),
    "new over a file": (["new", "small", "--data", "good.csv"], "exists and is not overwritten"),
    "new from nothing": (["new", "mine", "--data", "none.csv"], "no such file"),
    "new from a folder": (["new", "mine", "--data", "folder"], "must end in .csv"),
    "new from bytes": (["new", "mine", "--data", "binary.csv", "--y", "y"], "cannot be read as CSV"),
    "shell unknown": (["--print-completion", "cmd"], "invalid choice: 'cmd'"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with files of every wrong kind."""
    monkeypatch.chdir(tmp_path)
    tables = {"rows": "a,y\n", "text": "a,y\n1,red\n", "nan": "a,y\n1,2\nnan,1\n", "one": "y\n1\n2\n"}
    tables |= {"good": "a,y\n1,1\n2,0\n", "flat": "a,y\n1,1\n2,1\n"}
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "deep.toml").write_text("steps = " + "[" * 100_000)
    for name in ("binary.toml", "binary.csv"):
        (tmp_path / name).write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = list(range(1000))
    (tmp_path / "half.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:3000])
    return tmp_path


@pytest.mark.parametrize("case", BAD)
def test_command__says_what_is_wrong_in_a_line(folder, capsys, case):
    words, message = BAD[case]
    before = {path: path.stat().st_size for path in folder.rglob("*") if path.name not in ("results", ".lock", "small")}
    code, out, err = called(capsys, *words)
    assert (code, out) == (2, "")
    assert message in err and err.startswith("particles: ") and "Traceback" not in err
    assert [line for line in err.splitlines() if not line.startswith(("  ", "Correct this"))] == [err.splitlines()[0]]
    assert len(err) < 1000 + len(" ".join(words))
    after = {path: path.stat().st_size for path in folder.rglob("*") if path.name not in ("results", ".lock", "small")}
    assert after == before


@pytest.mark.parametrize("case", ["no command", "missing file", "count 0", "show half a file", "new over a file"])
def test_fault__is_one_document_with_json(folder, capsys, case):
    words, message = BAD[case]
    code, out, err = called(capsys, *words, "--json")
    said = json.loads(out)
    assert list(said) == ["error"] and list(said["error"]) == ["message", "faults", "exit_code"]
    assert said["error"]["exit_code"] == code == 2
    assert message in said["error"]["message"] and err.startswith("particles: ")


def test_help__lists_every_exit_code(capsys):
    code, out, _ = called(capsys, "--help")
    assert code == 0
    listed = [line.split()[0] for line in out.split("exit codes:")[1].split("\n\n")[0].splitlines() if line.strip()]
    assert listed == ["0", "1", "2", "75", "130"]


def test_command__that_diverges_ends_with_1(folder, capsys):
    words = ("run", "small.toml", "--no-figure", "--set", "method.step=1e6", "--set", "network.activation=quadratic")
    code, out, err = called(capsys, *words, "--set", "steps=60", "--json")
    said = json.loads(out)
    assert code == said["exit_code"] == 1 and said["status"] == "failed" and "diverged" in err
    assert said["runs"][0]["status"] == "diverged" and "step" in said["runs"][0]["message"]
    file = next(Path("out/small/runs").glob("*.h5"))
    (event,) = json.loads(called(capsys, "show", str(file), "--json")[1])["events"]
    assert event["what"].startswith("diverged: ") and 0 < event["iteration"] < 60
    assert f"iteration {event['iteration']}" in event["what"] and event["what"][10:] in said["runs"][0]["message"]
    assert f"at iteration {event['iteration']}: diverged: " in called(capsys, "show", str(file))[1]


@pytest.mark.filterwarnings("default")
def test_run__whose_result_cannot_be_read_now_ends_with_1_and_leaves_it(folder, capsys, unreadable):
    words = ("run", "small.toml", "--no-figure", "--quiet", "--set", "start.seed=[0,1]")
    assert called(capsys, *words)[0] == 0
    path = min(Path("out/small/runs").glob("*.h5"))
    before = path.read_bytes()
    os.utime(path)  # else it would not be read
    with unreadable(errno.EIO, lambda other: other.name == path.name):
        code, out, err = called(capsys, *words, "--json")
        said = json.loads(out)
        assert (code, said["status"], path.read_bytes()) == (1, "failed", before)
        assert sorted(run["status"] for run in said["runs"]) == ["failed", "kept"]
        assert f"{path.name} cannot be read now: Input/output error. It may be whole and stays as it is" in err
        code, out, err = called(capsys, "show", str(path))
        assert (code, out) == (2, "") and "cannot be read now" in err and "delete" not in err


COMPLETED = [("particles ru", ["run"]), ("particles run --thr", ["--threads"]), ("particles show --pl", ["--plots"])]


@pytest.mark.parametrize(("line", "wanted"), COMPLETED)
def test_completion__of_bash_completes(folder, capsys, line, wanted):
    """bash itself, told what was typed as its line editor would."""
    code, script, _ = called(capsys, "--print-completion", "bash")
    assert code == 0
    ask = 'source /dev/stdin <<<"$SCRIPT"; read -ra COMP_WORDS <<<"$LINE"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n'
    ask += (
        'f=$(complete -p particles | sed "s/.*-F \\([^ ]*\\).*/\\1/"); $f particles; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask], env=os.environ | {"SCRIPT": script, "LINE": line}, capture_output=True, text=True
    )
    assert done.stdout.split() == wanted, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_completion__names_every_command(capsys, shell):
    out = called(capsys, "--print-completion", shell)[1]
    assert [word for word in ("new", "run", "check", "show", "doctor", "schema") if word not in out] == []


@pytest.mark.slow
def test_show__draws_in_letters_where_braille_cannot_be_written(folder, capsys):
    assert called(capsys, "run", "small.toml", "--quiet", "--no-figure")[0] == 0
    words = [sys.executable, "-m", "particles.cli.main", "show", "out/small", "--plots"]
    for encoding, mark in (("ascii", "*"), ("utf-8", "⣀")):
        env = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(words, env=env, capture_output=True)
        assert done.returncode == 0, done.stderr
        text = done.stdout.decode(encoding)
        assert "loss" in text and any(ord(letter) - 0x2800 in range(1, 256) for letter in text) == (mark != "*")


class Failing(io.StringIO):
    """A standard stream whose every write fails."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))


LOST = [(errno.EPIPE, 0, ""), (errno.ENOSPC, 2, "particles: stdout could not be written: No space left on device\n")]


@pytest.mark.parametrize(("number", "wanted", "message"), LOST)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_run__goes_on_where_its_words_cannot_be_written(folder, capsys, monkeypatch, number, wanted, message, options):
    monkeypatch.setattr(sys, "stdout", Failing(number))
    code, _, err = called(capsys, *HERE, "--no-figure", "--quiet", *options)
    assert code == wanted and err.endswith(message)
    assert len(list(folder.glob("results/small/runs/*.h5"))) == 1 and (folder / "results/small/sweep.h5").is_file()


def test_fault__has_its_code_where_nobody_reads_stderr(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Failing(errno.EPIPE))
    assert called(capsys, "run", "none.toml")[0] == 2


@pytest.mark.slow
def test_module__runs_with_all_streams_closed(folder):
    """Each of its files would get the number of a standard stream."""
    words = f"exec {sys.executable} -m particles run small.toml --no-figure <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", words]).returncode == 0
    with h5py.File(folder / "out/small/sweep.h5") as file:
        assert "loss" in file


def test_words__that_the_terminal_cannot_encode_are_escaped(folder, capsys, monkeypatch):
    page = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", page)
    assert called(capsys, "run", "small.toml", "--out", "ü", "--no-figure", "--quiet")[0] == 0
    assert b"wrote \\xfc/small/sweep.h5" in page.buffer.getvalue()


def test_words__are_there_on_a_terminal_of_no_width(folder, capsys, monkeypatch):
    page = io.StringIO()
    page.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", page)
    monkeypatch.setenv("COLUMNS", "0")
    assert called(capsys, "check", "small.toml")[0] == 0
    assert "no faults" in page.getvalue()


ENDED = [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)]


@pytest.mark.parametrize(("number", "wanted"), ENDED)
def test_signal__while_the_program_loads_is_its_exit_code(folder, capsys, monkeypatch, number, wanted):
    class Strike:
        """A finder: what happens when `commands` is imported."""

        def find_spec(self, name, path=None, target=None):
            if name == "particles.cli.commands":
                signal.raise_signal(number)

    def leave(code):
        raise SystemExit(code)  # the process would be gone

    monkeypatch.delitem(sys.modules, "particles.cli.commands")
    monkeypatch.delattr("particles.cli.commands")
    monkeypatch.setattr(sys, "meta_path", [Strike(), *sys.meta_path])
    monkeypatch.setattr(os, "_exit", leave)
    before = signal.getsignal(number)
    assert called(capsys, "run", "small.toml") == (wanted, "", "")
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("number", "wanted"), ENDED)
@pytest.mark.parametrize("command", ["check", "run"])
def test_signal__before_a_run_begins_is_its_exit_code(folder, capsys, monkeypatch, command, number, wanted):
    monkeypatch.setattr(commands, "read_toml", lambda path: signal.raise_signal(number))
    assert called(capsys, command, "small.toml") == (wanted, "", "")


def test_signal__that_is_ignored_stays_ignored(folder, capsys, monkeypatch):
    """A command in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with main.ended_by(pytest.fail):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_configuration__may_come_through_a_pipe(folder, capsys):
    """File names in it start from the current folder."""
    reading, writing = os.pipe()
    os.write(writing, SMALL_TOML.replace('name = "wine"', 'file = "good.csv"').encode())
    os.close(writing)
    code, out, err = called(capsys, "check", f"/dev/fd/{reading}")
    os.close(reading)
    assert (code, err) == (0, "") and "n=2" in out


def test_configuration__without_end_is_refused(folder, capsys):
    code, out, err = called(capsys, "check", "/dev/zero")
    assert (code, out) == (2, "") and "no configuration: larger than" in err
