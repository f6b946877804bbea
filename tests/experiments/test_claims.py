"""The frame of the studies: verdicts, the table, files and exit codes; and a study run as a script."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from support import ROOT
from support.drivers import module_of

from particles.experiments.claims import Claim, Settings, above, at_most, below, study, table, tally, vacuous, within
from particles.plotting.style import panels

DRIVERS = ROOT / "drivers" / "studies"


class Two(Settings):
    """A study of two numbers."""

    count: int
    size: float = 1.0


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text("[full]\ncount = 3\n[quick]\ncount = 1\nsize = 2.0\n")
    return path


def test_study__has_the_settings_of_its_size(config):
    full, quick = (study("two", Two, ["--config", str(config), *more]) for more in ([], ["--quick"]))
    assert (full.settings.count, full.settings.size, full.quick) == (3, 1.0, False)
    assert (quick.settings.count, quick.settings.size, quick.quick) == (1, 2.0, True)
    assert study("two", Two, ["--config", str(config), "--set", "count=7"]).settings.count == 7


@pytest.mark.parametrize(
    "change, told",
    [
        ("cuont=3", "cuont: unknown key. Did you mean 'count'?"),
        ("count=many", "count: input should be a valid integer"),
        ("count", "must read key.path=value"),
    ],
)
def test_study__refuses(config, capsys, change, told):
    with pytest.raises(SystemExit) as ended:
        study("two", Two, ["--config", str(config), "--set", change])
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_study__says_which_size_is_missing(tmp_path, capsys):
    path = tmp_path / "none.toml"
    path.write_text("count = 3\n")
    with pytest.raises(SystemExit) as ended:
        study("two", Two, ["--config", str(path)])
    assert ended.value.code == 2 and "[full] is missing" in capsys.readouterr().err


def test_verdicts__follow_the_interval_and_the_bound():
    assert within("", "", -0.5, -0.48, -0.52, -0.44).holds and not within("", "", -0.5, -0.4, -0.45, -0.35).holds
    assert within("", "", -0.5, -0.4, -0.45, -0.35, slack=0.05).holds
    assert at_most("", "", -1.0, -1.5, -1.6, -1.4).holds and not at_most("", "", -1.0, -0.8, -0.9, -0.7).holds
    assert below("", "", 1.0, 0.9).holds and not below("", "", 1.0, 1.1).holds and not below("", "", 1.0, np.nan).holds
    assert above("", "", 1.0, 1.1).holds and not above("", "", 1.0, 0.9).holds
    assert not within("", "", -0.5, np.nan, np.nan, np.nan).holds


def test_vacuous__takes_the_verdict_from_a_claim_that_cannot_fail():
    """A bound beyond all that could be measured was counted as one that holds."""
    claim = below("width", "Theorem 1", 1e17, 64.0)
    assert claim.holds and vacuous(claim, cannot_fail=False) == claim
    assert vacuous(claim, cannot_fail=True) == claim._replace(holds=None)
    made = table("two", [vacuous(claim, cannot_fail=True)])
    assert [cell.plain for cell in made.columns[-1].cells] == ["- vacuous"]


def test_generalization_bound__has_no_verdict_where_the_bound_says_nothing():
    """Above the loss of z = 0; three of its six claims held for that."""
    driver = module_of("studies/generalization_bound")
    losses = np.array([0.1, 0.4])
    assert driver.under("", losses, np.array([2.5, 5.0])).holds is None
    assert driver.under("", losses, np.array([0.2, 5.0])).holds is True
    assert driver.under("", losses, np.array([0.05, 5.0])).holds is False


def test_tally__counts_what_could_fail():
    assert tally([True, False]) == "1 of 2 claims hold"  # as files of old have it
    assert tally([1.0, 1.0, np.nan]) == "2 of 2 claims hold, 1 is vacuous"
    assert tally([0.0, np.nan, np.nan]) == "0 of 1 claims hold, 2 are vacuous"


@pytest.mark.parametrize("holds", [True, False])
def test_finish__writes_what_was_claimed_and_tells_by_its_code(config, tmp_path, capsys, holds):
    figure, axes = panels(2)
    axes[0].plot([1, 2], [3, 4])
    claims = [
        Claim("the first [1]", "(1)", 1.0, 1.1, 0.9, 1.2, True),
        below("the second", "2", 2.0, 1.0 if holds else 3.0),
        vacuous(below("the third", "2", 1e17, 1.0), cannot_fail=True),
    ]
    asked = study("two", Two, ["--config", str(config), "--out", str(tmp_path / "out")])
    assert asked.finish(claims, xr.Dataset({"a": ("k", [1.0, 2.0])}), figure) == (0 if holds else 1)
    assert "the first [1]" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "out" / "two.h5", engine="h5netcdf") as data:
        assert data["a"].values.tolist() == [1.0, 2.0]
        np.testing.assert_array_equal(data["holds"].values, [1.0, float(holds), np.nan])
        assert data["verdict"].values.tolist() == ["holds", "holds" if holds else "does not hold", "vacuous"]
        assert data["claim_text"].values.tolist() == ["the first [1]", "the second", "the third"]
        assert '"count":3' in data.attrs["settings"] and data.attrs["size"] == "full"
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".h5", ".png", ".svg"}


def test_finish__without_its_figure_has_the_numbers_and_the_code(config, tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda *_, **options: 1 / 0)
    asked = study("two", Two, ["--config", str(config), "--out", str(tmp_path / "out")])
    with pytest.warns(UserWarning, match="the figure could not be drawn"):
        assert asked.finish([below("a", "2", 2.0, 1.0)], xr.Dataset({"a": ("k", [1.0])}), panels(1)[0]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["two.h5"]


def test_table__marks_what_does_not_hold():
    made = table("two", [below("a", "2", 1.0, 2.0), above("b", "2", 1.0, 2.0)])
    assert [cell.plain for cell in made.columns[-1].cells] == ["NO", "yes"]


# Sizes so small that claims may fail (code 1): the files are there all the same. The gate runs the quick sizes.
TINY = {
    "convex_rates": (
        ["steps=200", "seeds=3", "samples=[50, 100]", "cost_steps=200", "n=100"],
        "gap", ("method", "iteration", "seed"),
    ),
    "ntk_regression": (
        ["n=12", "counts=[64, 128]", "seeds=3", "steps=5", "samples=[5, 10]", "wide=64", "narrow=[2, 4]", "eps=0.1"],
        "kernel_drift", ("count", "seed", "iteration"),
    ),
    "generalization_bound": (
        ["samples=[20, 30]", "shares=[0.0, 1.0]", "seeds=2", "count=64", "steps=5"],
        "bound", ("n", "share", "seed"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.exhaustive) for name in TINY])
def test_study__runs_as_a_script(name, tmp_path):
    changes, variable, dims = TINY[name]
    command = [sys.executable, DRIVERS / f"{name}.py", "--quick", "--out", tmp_path]
    words = [word for change in changes for word in ("--set", change)]
    ended = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1) and "95% interval" in ended.stdout, ended.stderr
    with xr.open_dataset(tmp_path / f"{name}.h5", engine="h5netcdf") as data:
        assert data[variable].dims == dims and np.isfinite(data[variable].values).all()
        assert data.sizes["claim"] >= 5
