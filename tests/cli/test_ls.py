"""`particles ls` and `particles compare`: what is in a folder, and two results beside each other."""

import functools
import json
import os
import time

import h5py
import pytest
from support.commands import LIMIT, called, set_
from support.configs import SMALL_TOML

import particles as mf


@pytest.fixture
def cli(tmp_path, capsys, monkeypatch):
    """A caller of the command in a folder with small.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    return functools.partial(called, capsys)


def document(cli, *words):
    code, out, err = cli(*words, "--json")
    assert code == 0, err
    return json.loads(out)


def swept(cli, *settings, name="small", more=("--no-figure", "--quiet")):
    assert cli("run", "small.toml", *set_(f"name={name}", *settings), *more)[0] == 0


def listed(cli, *folder):
    return {entry.pop("path"): entry for entry in document(cli, "ls", *folder)["results"]}


def test_ls__counts_the_runs_of_each_sweep(cli, tmp_path):
    swept(cli, "start.count=8,16", "start.seed=[0,1,2]", "limit.nodes=16")
    swept(cli, "start.seed=0,1,2,3,4", name="half", more=("--part", "1/2"))
    results = listed(cli)
    assert results.keys() == {"out/small", "out/half"}
    whole, half = results["out/small"], results["out/half"]
    assert (whole["kind"], whole["runs"], whole["finished"]) == ("sweep", 8, 8)
    assert whole["axes"] == {"count": [8, 16], "seed": [0, 1, 2]}
    assert (half["runs"], half["finished"], half["axes"]) == (5, 2, {"seed": [0, 1, 2, 3, 4]})
    files = [path for path in (tmp_path / "out/small").rglob("*") if path.is_file()]
    assert whole["bytes"] == sum(path.stat().st_size for path in files)
    _, out, _ = cli("ls")
    assert "2 of 5" in out and "8 of 8" in out and "count: 8 16, seed: 0 1 2" in out and "seed: 5 values" in out


def test_ls__says_when_a_result_was_written_and_what_diverged(cli, tmp_path):
    wild = ("method.step=1e6", "network.activation=quadratic", "steps=60", "--no-figure")
    assert cli("run", "small.toml", *set_(*wild[:-1]), wild[-1], "--quiet")[0] == 1
    for path in (tmp_path / "out").rglob("*"):
        os.utime(path, (86400 * 365, 86400 * 365))
    entry = listed(cli)["out/small"]
    assert (entry["finished"], entry["diverged"], entry["runs"]) == (0, 1, 1)
    assert entry["modified"] == "1971-01-01T00:00:00Z"
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(86400 * 365))
    assert written in cli("ls")[1] and "0 of 1, 1 diverged" in cli("ls")[1]


def test_ls__lists_runs_and_sweeps_from_python(cli, tmp_path, samples):
    net, law, data, method = mf.Network("tanh"), mf.Gaussian(3), samples(), mf.GradientDescent(0.1)
    mf.simulate(net, law.sample(8, seed=0), data, method, steps=2).save(tmp_path / "mine" / "one.h5")
    mf.sweep(net, law, data, method, steps=2, count=[8, 16], out=tmp_path / "mine" / "sizes")
    results = listed(cli, "mine")
    assert results["mine/one.h5"]["kind"] == "run" and results["mine/one.h5"]["finished"] == 1
    assert results["mine/sizes"]["axes"] == {"count": [8, 16]} and results["mine/sizes"]["runs"] == 2
    (tmp_path / "mine" / "sizes" / "sweep.h5").unlink()  # as an interrupted call leaves it
    assert listed(cli, "mine")["mine/sizes"]["axes"] == {"count": [8, 16]}


def test_ls__leaves_out_what_is_no_result_and_takes_no_name_from_a_plan_for_a_path(cli, tmp_path):
    swept(cli)
    folder = tmp_path / "out"
    (folder / "runs").mkdir()
    (folder / "text.h5").write_text("no HDF5")
    with h5py.File(folder / "other.h5", "w") as file:
        file.attrs["title"] = "of another program"
    record = json.loads((folder / "small/plan.json").read_text())
    (folder / "small/plan.json").write_text(json.dumps(record | {"runs": [*record["runs"], "../../other"]}))
    assert {name: entry["runs"] for name, entry in listed(cli).items()} == {"out/small": 1}
    (folder / "small/plan.json").write_text("{}")  # sweep.h5 says the same
    assert {name: entry["runs"] for name, entry in listed(cli).items()} == {"out/small": 1}


def test_ls__of_an_empty_folder_and_of_none(cli, tmp_path):
    (tmp_path / "out").mkdir()
    assert cli("ls")[:2] == (0, "out holds no results. `particles run CONFIG --out out` makes them.\n")
    code, _, err = cli("ls", "none")
    assert code == 2 and err.startswith("particles: no such folder: none. ")


def test_ls__names_earlier_sweeps_of_a_folder(cli):
    swept(cli, "steps=2")
    swept(cli, "steps=4")
    results = listed(cli)
    (earlier,) = set(results) - {"out/small"}
    assert earlier.startswith("out/small/earlier/") and results[earlier]["finished"] == 1


def test_compare__has_settings_exponents_and_last_values_beside_each_other(cli, tmp_path):
    swept(cli, *LIMIT[1::2])
    swept(cli, *LIMIT[1::2], "start.count=16,24", "method.step=0.2", name="other")
    told = document(cli, "compare", "out/small", "out/other/sweep.h5")
    assert told["settings"] == [
        {"name": "start.count", "first": [8, 16], "second": [16, 24]},
        {"name": "method.step", "first": 0.1, "second": 0.2},
    ]
    shown = [document(cli, "show", f"out/{name}") for name in ("small", "other")]
    (row,) = told["exponents"]
    for side, one in zip(("first", "second"), shown, strict=True):
        assert row[side]["exponent"] == one["comparison"][0]["exponent"]
        assert row[side]["interval"] == one["comparison"][0]["interval"]
    last = {row["where"]["count"]: (row["first"], row["second"]) for row in told["last"] if row["quantity"] == "loss"}
    means = [[sum(run[-1] for run in size) / 3 for size in one["recorded"]["loss"]["values"]] for one in shown]
    wanted = {8: (means[0][0], None), 16: (means[0][1], means[1][0]), 24: (None, means[1][1])}
    assert last.keys() == wanted.keys()
    for count, pair in wanted.items():
        assert last[count] == (pytest.approx(pair[0]), pytest.approx(pair[1]))
    _, out, _ = cli("compare", "out/small", "out/other")
    assert "method.step" in out and f"{row['second']['exponent']:.3f}" in out and "out/other" in out


def test_compare__pairs_each_value_of_an_axis_that_only_one_has(cli):
    swept(cli, "start.count=8,16")
    swept(cli, "start.count=8,16", "network.beta=0.5,1.0", name="other")
    told = document(cli, "compare", "out/small", "out/other")
    places = [(row["where"]["count"], row["where"]["beta"]) for row in told["last"] if row["quantity"] == "loss"]
    assert sorted(places) == [(8, 0.5), (8, 1.0), (16, 0.5), (16, 1.0)]
    assert {row["first"] == row["second"] for row in told["last"] if row["where"]["beta"] == 1.0} == {True}


def test_compare__takes_single_runs_and_says_where_nothing_differs(cli, tmp_path):
    swept(cli)
    (run,) = (tmp_path / "out/small/runs").iterdir()
    told = document(cli, "compare", str(run), str(run))
    assert told["settings"] == [] and all(row["first"] == row["second"] for row in told["last"])
    assert "all settings are equal" in cli("compare", str(run), str(run))[1]
    code, _, err = cli("compare", str(run), "none.h5")
    assert code == 2 and "no such file: none.h5" in err
