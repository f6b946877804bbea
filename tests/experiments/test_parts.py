"""A sweep's folder: what another plan leaves of it, and a sweep that is made in parts."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from support.commands import called, set_
from support.configs import SMALL_TOML, planned

import particles as mf
from particles.errors import BusyError
from particles.experiments import parts
from particles.experiments.parts import part_of, work_of
from particles.files.atomic import held, sole_user
from particles.plotting.style import described
from particles.storage import run_file

SWEEP = ("start.count=[8,16]", "start.seed=[0,1]", "limit.nodes=16")
ONE = ("start.count=16", "start.seed=1")


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    """A caller of the command in a folder with small.toml: cli("run", "start.count=8", more=["--no-figure"])."""
    monkeypatch.chdir(tmp_path)
    # Printing takes the time: what a figure shows, in words, will do.
    monkeypatch.setattr(Figure, "savefig", lambda figure, page, **_: page.write(described(figure).encode()))
    (tmp_path / "small.toml").write_text(SMALL_TOML)

    def call(command, *settings, more=("--no-figure",), file="small.toml"):
        quiet = ("--quiet",) if command == "run" else ()
        return called(capsys, command, file, *set_(*settings), *quiet, *more)

    return call


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out" / "small"


def content(folder):
    return mf.open_sweep(folder).load()


def test_run__of_a_part_of_the_folder_s_sweep_leaves_it_there(cli, out):
    cli("run", *SWEEP, more=())
    whole, figure = content(out), (out / "small.png").read_bytes()
    code, printed, err = cli("run", *ONE, more=())
    assert code == 0 and err.startswith(
        f"particles: {out.relative_to(out.parents[1])} holds a sweep of 6 runs, and this is 1"
    )
    assert len(err.splitlines()) == 1 and "--out or another name" in err
    assert content(out).identical(whole) and (out / "small.png").read_bytes() == figure
    assert "out/small/sweep.h5 is up to date" in printed


def test_run__of_a_part_of_a_sweep_that_is_not_complete_fills_its_place(cli, out):
    cli("run", *SWEEP)
    whole = content(out)
    for path in (*(out / "runs").iterdir(), out / "sweep.h5"):
        path.unlink()
    assert cli("run", *ONE)[0] == 0
    part = content(out)
    assert part["status"].values.tolist() == [["missing", "missing"], ["missing", "finished"]]
    assert part["loss"].sel(count=16, seed=1).equals(whole["loss"].sel(count=16, seed=1))


@pytest.mark.slow
def test_run__of_another_plan_sets_the_earlier_sweep_aside(cli, out):
    cli("run", *SWEEP, more=())
    whole = content(out)
    code, _, err = cli("run", *SWEEP, "steps=4")
    (earlier,) = (out / "earlier").iterdir()
    assert code == 0 and f"its sweep.h5 and figure are now in out/small/earlier/{earlier.name}" in err
    folders = {"runs", "predictions"}
    assert {path.name for path in earlier.iterdir()} == {"plan.json", "sweep.h5", "small.png", "small.svg", *folders}
    assert content(earlier).drop_attrs().identical(whole.drop_attrs())
    assert content(out).sizes["time"] == 5 and not (out / "small.png").exists()
    assert cli("run", *SWEEP, more=())[0] == 0  # and back
    assert content(out).drop_attrs().identical(whole.drop_attrs())
    assert len(list((out / "earlier").iterdir())) == 2


@pytest.mark.parametrize("refused", [["--shards", "2"], ["--ray", "127.0.0.1:1"], ["--part", "1/1", "--ray", "local"]])
def test_run__that_is_refused_sets_nothing_aside(cli, out, refused):
    cli("run", *ONE)
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert cli("run", *ONE, "steps=4", more=refused)[0] == 2
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_run__of_a_larger_plan_takes_the_folder_over(cli, out):
    cli("run", *ONE)
    assert cli("run", *SWEEP)[2] == ""
    assert content(out).sizes["count"] == 2 and not (out / "earlier").exists()


def test_run__of_a_part_of_a_sweep_without_a_plan_leaves_it_there(cli, out):
    """As earlier versions left it; the whole command takes it over again."""
    cli("run", *SWEEP)
    whole = content(out)
    (out / "plan.json").unlink()
    code, _, err = cli("run", *ONE)
    assert code == 0 and "holds a sweep of 6 runs, and this is 1" in err and "(it has no plan.json)" in err
    assert content(out).identical(whole)
    assert cli("run", *SWEEP)[2] == "" and (out / "plan.json").exists()


@pytest.mark.parametrize("text", ["garbage", "[1]", "{}", '{"config": {}, "folder": ".", "runs": 1}'])
def test_run__over_a_damaged_plan_is_refused(cli, out, text):
    out.mkdir(parents=True)
    (out / "plan.json").write_text(text)
    code, _, err = cli("run", *ONE)
    assert code == 2 and "plan.json cannot be read (" in err and "Restore it, or choose another folder" in err
    assert (out / "plan.json").read_text() == text


def test_sweep__that_cannot_be_planned_again_stays_as_it_is(cli, out, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n2,3\n")
    cli("run", 'data={file=["a.csv","b.csv"]}')
    before = (out / "sweep.h5").read_bytes()
    (tmp_path / "b.csv").unlink()
    code, printed, err = cli("run", 'data={file="a.csv"}')
    assert code == 0 and "its sweep.h5 stays as it is" in err and "wrote" not in printed
    assert (out / "sweep.h5").read_bytes() == before


def test_sweep__of_changed_data_is_another(cli, out, tmp_path):
    for content_of_file in ("x,y\n1,2\n2,3\n", "x,y\n1,2\n2,4\n"):
        (tmp_path / "a.csv").write_text(content_of_file)
        code, _, err = cli("run", 'data={file="a.csv"}')
    assert code == 0 and "held another sweep" in err and len(list((out / "earlier").iterdir())) == 1


COSTS = ("start.count=[8,16,1024]", "start.seed=[0,1,2]", "limit.nodes=512", "steps=[2,3]")


@pytest.mark.parametrize("number", [1, 2, 5, 6, 40])
def test_parts__share_every_run_out_once_and_evenly(number):
    made = planned(*COSTS)
    shared = [part_of(made, part, number) for part in range(number)]
    assert sorted(case.key for part in shared for case in part) == sorted(case.key for case in made.tasks)
    loads = [sum(map(work_of, part)) for part in shared]
    assert max(loads) - min(loads) <= max(map(work_of, made.tasks))
    for part in shared:
        assert [work_of(case) for case in part] == sorted(map(work_of, part), reverse=True)
    assert part_of(made, number, number) == shared[0]  # counted from 1: the same parts


def test_parts__in_one_folder_are_the_sweep_once_the_last_has_ended(cli, out, tmp_path):
    for part, missing in (("1/3", 5), ("3/3", 4)):
        code, printed, err = cli("run", *SWEEP, more=["--part", part])
        assert (code, err) == (0, "") and f"part {part[0]} of 3: " in printed
        assert f"{missing} of 7 runs are missing" in printed
        assert not (out / "sweep.h5").exists() and not list(out.glob("*.png"))
    code, printed, err = cli("run", *SWEEP, more=["--part", "2/3"])
    assert (code, err) == (0, "") and "wrote out/small/small.png" in printed
    (out / "sweep.h5").unlink()
    code, printed, err = cli("gather", *SWEEP, more=())
    assert (code, err) == (0, "") and "wrote out/small/sweep.h5" in printed
    cli("run", *SWEEP, more=["--out", "alone"])
    alone = tmp_path / "alone" / "small"
    assert content(out).drop_attrs().identical(content(alone).drop_attrs())
    assert not [path for path in out.rglob("*") if path.name.startswith(".")], "no lock or mark is left"
    for path in (alone / "runs").iterdir():
        mine, wanted = mf.open_run(out / "runs" / path.name), mf.open_run(path)
        assert mine.dataset.identical(wanted.dataset) and mine.measure.b.tobytes() == wanted.measure.b.tobytes()


@pytest.mark.slow
def test_parts__that_run_at_once_leave_the_whole_sweep(cli, out, tmp_path):
    """Four processes in one folder, whichever ends last; and no lock or mark is left."""
    words = [
        sys.executable,
        "-m",
        "particles",
        "run",
        "small.toml",
        *set_(*SWEEP, "steps=40"),
        "--quiet",
        "--no-figure",
    ]
    tasks = [
        subprocess.Popen([*words, "--part", f"{part}/4"], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        for part in range(4)
    ]
    printed = [task.communicate(timeout=120)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0] * 4, printed
    assert any("wrote out/small/sweep.h5" in text for text in printed)
    assert (content(out)["status"] == "finished").all() and content(out).sizes["count"] == 2
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_part__leaves_the_end_to_others_that_stay(cli, out, monkeypatch):
    monkeypatch.setattr(parts, "_PATIENCE_SECONDS", 0.0)
    cli("run", *ONE)
    (out / "sweep.h5").unlink()
    with parts.beside_others(out):
        code, printed, err = cli("run", *ONE, more=["--part", "1/1"])
    assert (code, err) == (0, "") and "other tasks are at work in out/small; then: particles gather" in printed
    assert not (out / "sweep.h5").exists()


def test_gather__reads_each_run_once(cli, out, monkeypatch):
    cli("run", *SWEEP, more=("--part", "0/2"))
    cli("run", *SWEEP, more=("--part", "1/2"))
    (out / "index.json").unlink()
    paths, read = [], run_file.read
    monkeypatch.setattr(run_file, "read", lambda path, reader: [paths.append(path), read(path, reader)][1])
    assert cli("gather", *SWEEP)[0] == 0
    tasks = [*(out / "runs").glob("*.h5"), *(out / "predictions").glob("*.h5")]
    assert sorted(paths) == sorted(path.relative_to(out.parents[1]) for path in tasks)


def test_gather__names_the_runs_that_are_missing_and_writes_nothing(cli, out):
    cli("run", *SWEEP, more=["--part", "0/2"])
    code, printed, err = cli("gather", *SWEEP)
    assert (code, printed) == (1, "") and err.startswith("particles: 6 of 7 runs are missing in out/small: ")
    assert "seed=" in err and "Submit the job array again" in err and not (out / "sweep.h5").exists()
    code, printed, _ = cli("gather", *SWEEP, more=["--json"])
    told = json.loads(printed)
    assert told["status"] == "missing" and told["exit_code"] == code == 1
    assert [run["status"] for run in told["runs"]].count("missing") == 6


def test_gather__where_nothing_was_run_makes_no_folder(cli, out):
    assert cli("gather", *SWEEP)[0] == 1 and not out.exists()


@pytest.mark.parametrize("place", ["small.toml", "out"])
def test_gather__of_a_file_says_that_it_is_no_folder(cli, tmp_path, place):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "small").write_text("a file")
    code, printed, err = cli("gather", *SWEEP, more=["--out", place])
    name = {"out": "out/small"}.get(place, place)
    assert (code, printed) == (2, "")
    assert err == f"particles: {name} is no folder. Give the folder that `particles run` got as --out.\n"


def test_gather__has_the_code_of_a_run_that_diverged(cli, out):
    wild = ("method.step=1e6", 'network.activation="quadratic"', "steps=60")
    assert cli("run", *wild, more=["--part", "1/1"])[0] == 1
    assert cli("gather", *wild)[0] == 1 and (out / "sweep.h5").exists()


@pytest.mark.filterwarnings("always:.*waiting")
def test_part__waits_for_a_run_that_another_makes_and_leaves_it(cli, out, tmp_path, monkeypatch):
    cli("run", *ONE, more=["--out", "alone"])
    (made,) = (tmp_path / "alone/small/runs").iterdir()
    (out / "runs").mkdir(parents=True)
    other = contextlib.ExitStack()
    other.enter_context(held(out / "runs" / f".{made.stem}.lock"))

    def finish(seconds):
        shutil.copy(made, out / "runs" / made.name)
        other.close()

    monkeypatch.setattr(parts, "time", SimpleNamespace(sleep=finish, monotonic=time.monotonic))
    code, _, err = cli("run", *ONE, more=["--part", "1/1"])
    assert code == 0 and "is held by another process, which makes this run: waiting" in err
    assert (out / "runs" / made.name).read_bytes() == made.read_bytes()
    assert {path.name for path in (out / "runs").iterdir()} == {made.name}


def test_part__leaves_files_that_others_are_writing(cli, out):
    (out / "runs").mkdir(parents=True)
    other = out / "runs" / ".0123456789abcdef.h5.1-2.part"
    other.write_bytes(b"half")
    assert cli("run", *ONE, more=["--part", "1/1"])[0] == 0 and other.exists()
    assert cli("run", *ONE)[0] == 0 and not other.exists()


@pytest.mark.parametrize("command", ["run", "gather"])
def test_folder__is_not_taken_from_tasks_at_work(cli, out, command):
    cli("run", *ONE)
    with parts.beside_others(out) as moment, parts.beside_others(out) as another:
        for turn in (moment, another):
            with turn:
                pass
        code, _, err = cli(command, *ONE)
    assert code == 2 and "is in use by tasks of a job array" in err
    assert cli(command, *ONE)[0] == 0


def test_part__is_refused_where_one_process_has_the_folder(cli, out, monkeypatch):
    monkeypatch.setattr(parts, "_PATIENCE_SECONDS", 0.0)
    out.mkdir(parents=True)
    with sole_user(out):
        code, _, err = cli("run", *ONE, more=["--part", "1/1"])
    assert code == 2 and "is in use by another run" in err


BAD = ["3/2", "1/0", "1", "-1/2", "1/2/3", "a/2", "1.0/2", "1/9999999"]


@pytest.mark.parametrize("part", BAD)
def test_part__that_is_none_is_refused(cli, part):
    code, printed, err = cli("run", more=[f"--part={part}"])
    assert (code, printed) == (2, "") and "argument --part: must be I/N" in err


def test_part__has_no_cluster(cli):
    code, _, err = cli("run", more=["--part", "1/2", "--ray", "local"])
    assert code == 2 and "--part is for tasks that share nothing but a folder" in err


def test_wait__ends_with_the_lock_the_stop_or_the_patience(tmp_path):
    lock = tmp_path / "a.lock"
    asked = iter([False, False, True])
    with held(lock):
        with contextlib.ExitStack() as stack, pytest.warns(UserWarning, match="^waiting$") as said:
            assert not parts._wait(stack, lambda: held(lock), 0.01, lambda: next(asked), notice="waiting")
        assert len(said) == 1
        with contextlib.ExitStack() as stack, pytest.raises(BusyError):
            parts._wait(stack, lambda: held(lock), 0.01, patience=0.05)
    with contextlib.ExitStack() as stack:
        assert parts._wait(stack, lambda: held(lock), 0.01) and lock.exists()
