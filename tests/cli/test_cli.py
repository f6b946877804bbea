"""The command line: what it prints, what it writes, and the code it ends with."""

import functools
import io
import json

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from support.commands import LIMIT, called, set_
from support.configs import SMALL_TOML, planned

from particles.cli import progress
from particles.cli.progress import Ticker
from particles.console import Console, duration
from particles.experiments.sweep import Outcome
from particles.files.atomic import sole_user


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    """A caller of the command in a folder with small.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    return functools.partial(called, capsys)


def test_run__writes_its_files_and_names_them(cli, tmp_path):
    code, out, err = cli("run", "small.toml", *LIMIT)
    assert (code, err) == (0, "")
    folder = tmp_path / "out" / "small"
    for name in ("sweep.h5", "small.png", "small.svg"):
        assert f"wrote out/small/{name}" in out
    assert {path.name for path in folder.iterdir()} >= {"runs", "sweep.h5", "small.png", "small.svg"}
    assert len(list((folder / "runs").iterdir())) == 8
    assert imread(folder / "small.png").shape == (900, 1080, 4)
    assert "distance ~ M^" in out


def test_run__draws_nothing_where_no_figure_is_wanted(cli, tmp_path):
    assert cli("run", "small.toml", *LIMIT, "--no-figure")[0] == 0
    assert not [*tmp_path.rglob("*.png"), *tmp_path.rglob("*.svg")]


def fail_to_print(figure, page, **options):
    raise RuntimeError("no latex\nand what it said")


@pytest.mark.filterwarnings("always:.*could not be drawn")
def test_run__whose_figure_fails_has_its_numbers_and_its_code(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", fail_to_print)
    code, out, err = cli("run", "small.toml", *LIMIT)
    assert (code, err) == (0, "particles: the figure could not be drawn (RuntimeError: no latex)\n")
    assert "wrote out/small/sweep.h5" in out and not list(tmp_path.rglob("*.png"))
    code, out, err = cli("report", "out/small")
    lines = err.splitlines()
    assert code == 0 and len(lines) > 1 and all(line.startswith("particles: ") for line in lines)
    page = (tmp_path / "out/small/report.html").read_text()
    assert "the distance from the limit could not be drawn (RuntimeError: no latex)." in page


def test_run__again_finds_all_finished(cli):
    cli("run", "small.toml", *set_("start.count=[8,16]"))
    code, out, err = cli("run", "small.toml", *set_("start.count=[8,16,24]"))
    assert (code, err) == (0, "")
    assert "3 runs, 2 finished before" in out


@pytest.mark.parametrize(("options", "folder"), [((), "out/small"), (("--out", "a b/ü", *set_("name=c")), "a b/ü/c")])
def test_run__puts_results_in_out_and_name(cli, tmp_path, options, folder):
    cli("run", "small.toml", *options)
    assert (tmp_path / folder / "sweep.h5").is_file()


def test_set__overrides_the_file(cli, tmp_path):
    cli("run", "small.toml", *set_("steps=5", "start.seed=7", "record.every=2"))
    (path,) = (tmp_path / "out/small/runs").iterdir()
    with h5py.File(path) as file:
        assert file["iteration"][()].tolist() == [0, 2, 4, 5]
        assert json.loads(file.attrs["config"])["start"]["seed"] == 7


@pytest.mark.parametrize(("options", "lines"), [((), True), (("--quiet",), False)])
def test_run__logs_its_progress_where_there_is_no_terminal(cli, monkeypatch, options, lines):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    _, out, _ = cli("run", "small.toml", *options)
    assert ("particle-steps/s" in out) == lines
    assert ("1 runs" in out) == lines


CHECKED = ("start.count=[8,16]", "start.seed=[0,1,2]", "network.beta=[0.5,1.0]", "limit.nodes=16")


def test_check__says_what_would_run(cli, tmp_path):
    code, out, err = cli("check", "small.toml", *set_(*CHECKED))
    assert (code, err) == (0, "")
    for words in (
        "small: 14 runs of 3 steps",
        "count: 8, 16",
        "seed: 0, 1, 2",
        "beta: 0.5, 1.0",
        "16 and 32 nodes",
        "no faults",
    ):
        assert words in out
    assert "None" not in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.toml"]


BAD_DATA = [
    (['data.name="diabetes"', 'loss="logistic"'], "labels must be -1 or 1 here"),
    (['data.name="diabetes"', 'record.variables=["misclassification"]'], "labels must be -1 or 1 here"),
    (["data.n=10"], "data set 'wine' takes only its own options: got 'n'"),
    (['data.name=["circle","wine"]', "data.n=10"], "data set 'wine' takes only its own options: got 'n'"),
    (["network.train=[]"], '`train` must name "input", "output" or both'),
    (["data.test=0.001"], "both parts of a split need a sample"),
    (['data={file="bad.csv"}'], "must be finite"),
    (['data={file="none.csv"}'], "no such file"),
    (['law={name="atoms",file="bad.csv"}'], "cannot be read as atoms"),
    (['data={name="wine",x="a"}'], "`x`"),
]


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(("settings", "message"), BAD_DATA, ids=[" ".join(settings) for settings, _ in BAD_DATA])
def test_command__finds_bad_data_before_it_begins(cli, tmp_path, command, settings, message):
    (tmp_path / "bad.csv").write_text("a,y\n1,2\nnan,3\n")
    code, out, err = cli(command, "small.toml", *set_(*settings))
    assert (code, out) == (2, "")
    assert err.startswith("particles: ") and message in err


BAD = [
    (["run", "none.toml"], "no such file"),
    (["run", "bad.toml"], "not valid TOML"),
    (["run", "small.toml", "--set", "step=1"], "step: unknown key. Did you mean 'steps'?"),
    (["run", "small.toml", "--set", "foo-bar=1"], "foo-bar: unknown key"),
    (["run", "small.toml", "--set", "steps"], "must read key.path=value"),
    (["run", "small.toml", "--set", "start.count=[]"], "at least one value"),
    (["run", "small.toml", "--set", "name=../../x"], "name: "),
    (["run", "small.toml", "--set", "steps=-1", "--set", "loss=a"], "has 2 faults"),
    (["run", "small.toml", "--out", "small.toml"], "Choose a folder you may write to (--out)"),
    (["run", "small.toml", "--out", "taken"], "runs"),
    (["run", "small.toml", "--threads", "0"], "argument --threads: must be at least 1"),
    (["run", "small.toml", "--checkpoint", "soon"], "argument --checkpoint"),
    (["run", "small.toml", "--checkpoint", "nan"], "argument --checkpoint"),
    (["run", "small.toml", "--checkpoint", "-1"], "argument --checkpoint"),
    (["run"], "required: config"),
    (["rnu", "small.toml"], "invalid choice"),
    ([], "required: COMMAND"),
    (["show", "none.h5"], "no such file: none.h5"),
    (["show", "."], "holds no sweep.h5"),
    (["show", "small.toml"], "small.toml is no result of this program"),
    (["show", "other.h5"], "other.h5"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words) or "nothing" for words, _ in BAD])
def test_command__ends_with_2_and_says_why(cli, tmp_path, words, message):
    (tmp_path / "bad.toml").write_text("steps = ")
    (tmp_path / "taken/small").mkdir(parents=True)
    (tmp_path / "taken/small/runs").write_text("mine")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["title"] = "of another program"
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.splitlines()[0].startswith(("particles: ", "usage: "))


def test_run__waits_for_no_other_run_in_its_folder(cli, tmp_path):
    (tmp_path / "out/small").mkdir(parents=True)
    with sole_user(tmp_path / "out/small"):
        code, _, err = cli("run", "small.toml")
    assert code == 2 and "is in use by another run" in err


@pytest.fixture
def finished(cli, tmp_path):
    """The paths of a finished sweep: its folder, its file, one of its runs."""
    assert cli("run", "small.toml", *LIMIT, "--no-figure")[0] == 0
    folder = tmp_path / "out/small"
    return folder, folder / "sweep.h5", next((folder / "runs").iterdir())


@pytest.mark.parametrize(
    ("which", "words"),
    [
        (0, ["Distance from the limit", "last loss", "distance ~ M^", "package_versions"]),
        (1, ["Distance from the limit", "last loss", "distance ~ M^", "config_hash"]),
        (2, ["finished", "loss", "t = 0", "seed", "config_hash", "git"]),
    ],
    ids=["folder", "sweep", "run"],
)
def test_show__prints_what_a_result_holds(cli, finished, which, words):
    code, out, err = cli("show", str(finished[which]))
    assert (code, err) == (0, "")
    assert [word for word in words if word not in out] == []


def test_show__prints_the_numbers_of_the_file(cli, finished):
    with h5py.File(finished[2]) as file:
        first, last = file["loss"][0], file["loss"][-1]
    out = cli("show", str(finished[2]))[1]
    assert f"{first:.5g}" in out and f"{last:.5g}" in out


@pytest.mark.parametrize(("option", "words"), [("--version", "0.1.0"), ("--help", "COMMAND")])
def test_command__tells_about_itself(cli, option, words):
    code, out, _ = cli(option)
    assert code == 0 and words in out


def ticked(terminal, outcome=None):
    """What a ticker prints of one run."""
    page = io.StringIO()
    (case,) = planned('data.scale="unit"').cases
    ticker = Ticker(Console(file=page, force_terminal=terminal, width=150))
    ticker.begin([case], [case])
    ticker.step(case, 2, 3)
    ticker.end(outcome or Outcome(case, "finished"))
    ticker.close()
    return page.getvalue()


def test_progress__is_a_bar_on_a_terminal():
    assert "━" in ticked(terminal=True)


class Clock:
    """A clock that goes on by so many seconds at each look."""

    def __init__(self, seconds):
        self.seconds, self.at = seconds, 0.0

    def monotonic(self):
        self.at += self.seconds
        return self.at


def test_progress__counts_runs_done_and_never_says_that_nothing_is_left(monkeypatch):
    monkeypatch.setattr(progress, "time", Clock(10.0))
    page, cases = io.StringIO(), planned("start.seed=0,1", "steps=100").cases
    ticker = Ticker(Console(file=page, force_terminal=False, width=150))
    ticker.begin(cases, cases)
    for case in cases:
        for iteration in (1, 50, 100):
            ticker.step(case, iteration, 100)
        ticker.end(Outcome(case, "finished"))
    lines = page.getvalue().splitlines()[1:]
    assert "left" not in lines[0] and lines[0].endswith("(0%)")  # too little to say
    assert lines[1].startswith("0 of 2 runs done, 1 min left, ") and lines[1].endswith("(25%)")
    assert lines[-1].startswith("1 of 2 runs done, ") and " 0 s" not in page.getvalue()


def test_progress__has_the_rate_of_the_last_minute(monkeypatch):
    """A resumed run begins at iteration 9000 of 10000, and does one a second."""
    monkeypatch.setattr(progress, "time", Clock(10.0))
    page, (case,) = io.StringIO(), planned("steps=10000").cases
    ticker = Ticker(Console(file=page, force_terminal=False, width=150))
    ticker.begin([case], [case])
    for iteration in range(9000, 9100, 10):
        ticker.step(case, iteration, 10000)
    assert "15 min 10 s left, 8.00e+00 particle-steps/s (91%)" in page.getvalue().splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"), (42.4, "42 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"),
        (3599, "59 min 59 s"), (7190, "1 h 59 min"), (8000, "2 h 13 min"), (200000, "2 d 7 h"),
    ],
)  # fmt: skip
def test_duration__has_two_units_at_most(seconds, words):
    assert duration(seconds) == words


def test_progress__takes_nothing_of_a_run_for_markup():
    """A setting and a message with square brackets."""
    (case,) = planned().cases
    case = case._replace(coords={"file": "[/bold]a.csv", "other": "[red]"})
    out = ticked(terminal=False, outcome=Outcome(case, "failed", "[/] no [b]"))
    for words in ("[/bold]a.csv", "[red]", "[/] no [b]"):
        assert words in out


def test_table__of_a_sweep_averages_over_seeds(cli, tmp_path):
    _, out, _ = cli("run", "small.toml", *set_("start.seed=[0,1,2]", "start.count=[8]"))
    with h5py.File(tmp_path / "out/small/sweep.h5") as file:
        mean = np.mean(file["loss"][0, :, -1])
    assert f"{mean:.5g}" in out
