"""--json: one document on stdout, keys that stay, null for what is not finite."""

import json
import math

import h5py
import numpy as np
import pytest
from support.commands import LIMIT, called
from support.configs import SMALL_TOML

from particles.analysis.convergence import judged
from particles.cli.json_output import plain


@pytest.fixture
def ran(tmp_path, monkeypatch, capsys):
    """The document of a finished sweep with its limit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    code, out, err = called(capsys, "run", "small.toml", *LIMIT, "--no-figure", "--json")
    assert code == 0 and "Distance from the limit" in err
    return json.loads(out)


def test_run__tells_runs_files_and_comparison(ran, tmp_path):
    assert list(ran) == ["name", "folder", "status", "exit_code", "runs", "files", "comparison"]
    assert (ran["name"], ran["status"], ran["exit_code"]) == ("small", "finished", 0)
    assert sorted(run["nodes"] or 0 for run in ran["runs"]) == [0] * 6 + [16, 32]
    for run in ran["runs"]:
        with h5py.File(tmp_path / run["file"]) as file:
            assert file.attrs["config_hash"] == run["key"] and run["status"] == file.attrs["status"] == "finished"
    (compared,) = ran["comparison"]
    low, high = compared["interval"]
    assert low <= compared["exponent"] <= high and compared["verdict"] == judged(low, high)
    assert compared["holds"] is {"holds": True, "does not hold": False, "cannot tell": None}[compared["verdict"]]
    with h5py.File(tmp_path / ran["files"][0]) as file:
        np.testing.assert_allclose(compared["sup_distance"], file["comparison/sup_distance"][()].mean(axis=1))


def test_show__tells_the_numbers_of_the_file(ran, tmp_path, capsys):
    said = json.loads(called(capsys, "show", "out/small", "--json")[1])
    assert said["kind"] == "sweep" and said["axes"] == {"count": [8, 16], "seed": [0, 1, 2]}
    assert said["comparison"] == ran["comparison"]
    with h5py.File(tmp_path / "out/small/sweep.h5") as file:
        assert said["recorded"]["loss"]["values"] == file["loss"][()].tolist()
        assert said["time"] == file["time"][()].tolist()
    one = json.loads(called(capsys, "show", ran["runs"][0]["file"], "--json")[1])
    assert one["kind"] == "run" and one["status"] == "finished" and len(one["recorded"]["loss"]["values"]) == 4


def test_show__leaves_out_what_was_not_compared(ran, tmp_path, capsys):
    """A size of which a run diverged has no distance: in the file it is NaN, on the sweep's axes."""
    with h5py.File(tmp_path / "out/small/sweep.h5", "r+") as file:
        file["comparison/sup_distance"][0] = math.nan
    said = json.loads(called(capsys, "show", "out/small", "--json")[1])
    (compared,) = said["comparison"]
    assert compared["counts"] == [16] and compared["sup_distance"] == ran["comparison"][0]["sup_distance"][1:]
    _, out, _ = called(capsys, "show", "out/small", "--plots")
    table = out[out.index("Distance from the limit") :]
    assert "nan" not in table[: table.index("distance ~ M^")] and "3 seeds" in table


def test_run__again_says_kept(ran, capsys):
    again = json.loads(called(capsys, "run", "small.toml", *LIMIT, "--no-figure", "--json")[1])
    assert {run["status"] for run in again["runs"]} == {"kept"} and again["comparison"] == ran["comparison"]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (
            ["check", "small.toml"],
            ["name", "runs", "steps", "axes", "limit_nodes", "samples", "inputs", "outputs", "test_samples"],
        ),
        (["doctor"], ["machine", "plan"]),
        (["schema"], ["$schema", "title"]),
        (["doctor", "--plan", "small.toml"], ["machine", "plan"]),
    ],
)
def test_command__prints_one_document(tmp_path, monkeypatch, capsys, words, keys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    code, out, _ = called(capsys, *words, "--json")
    assert code == 0 and list(json.loads(out))[: len(keys)] == keys
    assert out.isascii() and out.count("\n") == 1


def test_plain__has_no_number_that_json_has_not():
    odd = {1: np.array([[1.0, math.nan], [-math.inf, 2.0]]), "b": (np.int64(3), np.bool_(True), np.float32("nan"))}
    assert plain(odd) == {"1": [[1.0, None], [None, 2.0]], "b": [3, True, None]}
    assert json.loads(json.dumps(plain(odd), allow_nan=False)) == plain(odd)
