"""sweep.h5: each list of the configuration a dimension, and the comparison with the limit beside it."""

import json

import numpy as np
import pytest
import xarray
from support.daily import some
from support.summaries import AXES, COUNTS, LIMIT, SEEDS, summed
from support.sweeps import swept

import particles as mf
import particles.xarray
from particles.configuration.config import ConfigError
from particles.experiments import summary
from particles.experiments.sweep import run_path
from particles.storage.run_file import open_root, open_tree


def check_against_runs(made, out, table):
    """Every number of every run stands at the run's own place; NaN only after its end."""
    finite = [case for case in made.cases if case.nodes is None]
    assert finite
    for case in finite:
        run = open_root(run_path(out, case))
        at = {name: list(axis).index(case.coords[name]) for name, axis in of_axes(made)}
        rows = run.sizes["time"]
        for name in run.data_vars:
            if run[name].dims == ("time",):
                column = table[name].isel(at).values
                assert column[:rows].tobytes() == run[name].values.tobytes()
                assert np.isnan(column[rows:]).all()


def of_axes(made):
    return [(axis.name, axis.values) for axis in made.axes]


@pytest.mark.parametrize("settings", some(AXES, *AXES[::2]), ids=" ".join)
def test_table__has_every_run_at_its_place(tmp_path, settings):
    made, tree = summed(tmp_path, *settings)
    check_against_runs(made, tmp_path, tree.to_dataset())


@pytest.mark.parametrize("settings", AXES[:7], ids=" ".join)
def test_table__has_the_axes_for_dimensions(tmp_path, settings):
    made, tree = summed(tmp_path, *settings)
    assert tree["loss"].dims == (*(axis.name for axis in made.axes), "time")
    assert {name: tree[name].values.tolist() for name, _ in of_axes(made)} == dict(of_axes(made))


def test_table__keeps_each_run_s_times_where_they_differ(tmp_path):
    made, tree = summed(tmp_path, "method.step=[0.1, 0.2]", COUNTS)
    assert tree["loss"].dims == tree["time"].dims == ("count", "step", "record")
    np.testing.assert_array_equal(tree["time"].values, np.array([[np.arange(4) * h for h in (0.1, 0.2)]] * 2))
    check_against_runs(made, tmp_path, tree.to_dataset())


def test_table__has_a_diverged_run_up_to_its_end(tmp_path):
    made, tree = summed(tmp_path, "steps=40", 'network.train=["input", "output"]', "method.step=[0.1, 30.0]")
    check_against_runs(made, tmp_path, tree.to_dataset())
    assert np.isnan(tree["loss"].sel(step=30.0).values[-1])


@pytest.mark.parametrize("settings", [("start.seed=[0, 0]",), ("network.beta=[1, 1.0]",), ("limit.nodes=[16, 32]",)])
def test_table__has_no_hole_unless_the_axis_is_refused(tmp_path, settings):
    """Two places of an axis that are the same run."""
    try:
        _, tree = summed(tmp_path, *settings)
    except ConfigError:
        return
    assert not np.isnan(tree["loss"].values).any()


def test_table__lacks_what_is_not_there_yet(tmp_path):
    made, _ = swept(tmp_path, COUNTS)
    run_path(tmp_path, made.cases[0]).unlink()
    table = summary.write(made, tmp_path).table
    assert np.isnan(table["loss"].values).tolist() == [[True] * 4, [False] * 4]


WIDE = 'record.variables=["loss", "prediction", "position", "weight_moment"]'
PLAIN = [
    (COUNTS, SEEDS, LIMIT, WIDE),
    (COUNTS, "method.step=[0.1, 0.2]", WIDE),
    (COUNTS, LIMIT, 'record.variables=["prediction"]'),
    (WIDE, "steps=[2, 4]", COUNTS),
    ("steps=40", 'network.train=["input", "output"]', "method.step=[0.1, 30.0]"),
    ('data.name=["wine", "breast_cancer"]',),
    ('dtype=["float64", "float32"]',),
    ("network.bias=[true, false]",),
    (),
]


def plain(path):
    """The sweep's file as xarray itself opens it."""
    return xarray.open_dataset(path / "sweep.h5", engine="h5netcdf")


@pytest.mark.parametrize("settings", PLAIN, ids=" ".join)
def test_file__in_plain_xarray_has_every_array_of_every_run(tmp_path, settings):
    summed(tmp_path / "first", *settings)
    wanted = mf.open_sweep(tmp_path / "first").load()
    with plain((tmp_path / "first").rename(tmp_path / "moved")) as data:
        assert wanted.sizes == data.sizes and set(wanted.data_vars) == set(data.data_vars)
        for name, values in wanted.drop_vars("iteration").variables.items():
            assert data[name].variable.astype(values.dtype).identical(values)
    with xarray.open_datatree(tmp_path / "moved" / "sweep.h5", engine="h5netcdf") as tree:
        assert ("limit" in tree.children) == (LIMIT in settings)


def test_file__in_plain_xarray_compares_with_its_limits(tmp_path):
    summed(tmp_path, COUNTS, LIMIT)
    with plain(tmp_path) as data:
        xarray.testing.assert_identical(data.mf.compare(), mf.open_sweep(tmp_path).mf.compare())


def test_file__in_plain_xarray_has_nan_for_a_run_that_is_missing(tmp_path):
    made, _ = swept(tmp_path, COUNTS, WIDE)
    first, second = (run_path(tmp_path, case) for case in made.cases)
    first.unlink()
    summary.write(made, tmp_path)
    with plain(tmp_path) as data:
        assert data["status"].values.tolist() == ["missing", "finished"]
        assert np.isnan(data["position"].values).all(axis=(1, 2, 3)).tolist() == [True, False]
    second.unlink()
    with plain(tmp_path) as data:
        assert np.isnan(data["position"].values).all() and np.isfinite(data["loss"][1].values).all()


def test_file__refers_to_no_more_runs_than_a_process_may_open(tmp_path, monkeypatch):
    """HDF5 reads NaN from the files that it could not open beside the others."""
    made, _ = swept(tmp_path, COUNTS)
    monkeypatch.setattr(summary, "VIEWED", 1)
    summary.write(made, tmp_path)
    with plain(tmp_path) as data:
        assert set(data.data_vars) == {"loss"}
    assert "prediction" in mf.open_sweep(tmp_path)


def test_summary__of_no_runs_at_all_can_be_written(tmp_path):
    made, _ = swept(tmp_path, COUNTS)
    for case in made.cases:
        run_path(tmp_path, case).unlink()
    assert not open_tree(summary.write(made, tmp_path).path).data_vars


def test_summary__names_its_runs(tmp_path):
    made, tree = summed(tmp_path, COUNTS, LIMIT)
    runs = json.loads(tree.attrs["runs"])
    assert {key: (run.get("count"), run["nodes"]) for key, run in runs.items()} == {
        case.key: (case.coords.get("count"), case.nodes or 0) for case in made.cases
    }


def test_limit__stands_beside_the_table(tmp_path):
    made, tree = summed(tmp_path, COUNTS, LIMIT)
    (fine,) = [case for case in made.cases if case.nodes == 32]
    run = open_root(run_path(tmp_path, fine))
    for name in ("loss", "prediction", "target"):
        assert tree["limit"][name].values.tobytes() == run[name].values.tobytes()


def rms(one, other):
    return np.sqrt(((one["prediction"].values - other["prediction"].values) ** 2).mean(axis=1))


COMPARED = [
    (COUNTS, SEEDS),
    ("start.count=[16, 8]", "start.seed=[2, 0, 1]"),
    (COUNTS,),
    (SEEDS,),
    (COUNTS, 'record.variables=["prediction"]'),
    (COUNTS, SEEDS, 'start.signs="symmetric"', "network.bias=true", 'record.every="log"'),
]


@pytest.mark.parametrize("settings", COMPARED, ids=" ".join)
def test_comparison__is_the_distance_of_predictions_from_the_limit_s(tmp_path, settings):
    made, tree = summed(tmp_path, LIMIT, *settings)
    runs = [(case, open_root(run_path(tmp_path, case))) for case in made.cases]
    coarse, fine = (next(run for case, run in runs if case.nodes == nodes) for nodes in (16, 32))
    np.testing.assert_array_equal(tree["comparison/limit_error"], rms(coarse, fine))
    for case, run in runs:
        if case.nodes is None:
            found = tree["comparison/distance"].sel(count=case.config.start.count, seed=case.config.start.seed)
            np.testing.assert_array_equal(found, rms(run, fine))


SETTINGS = [
    ("method.step=[0.1, 0.2]", {"step": [0.1, 0.2]}),
    ("steps=[2, 4]", {"steps": [2, 4]}),
    ("network.bias=[true, false]", {"bias": [True, False]}),
    ("network.beta=[0.5, 1.0]", {"beta": [1.0]}),
    ('start.signs=["positive", "symmetric"]', {"signs": ["positive", "symmetric"]}),
    ('data.scale=["unit", "standard"]', {"scale": ["unit", "standard"]}),
]


@pytest.mark.parametrize(("setting", "wanted"), SETTINGS, ids=[setting for setting, _ in SETTINGS])
def test_comparison__is_made_for_every_setting_that_has_a_limit(tmp_path, setting, wanted):
    made, _ = swept(tmp_path, COUNTS, LIMIT, setting)
    found = [setting for setting, _ in summary.write(made, tmp_path).setups]
    ((name, values),) = wanted.items()
    assert [setting[name] for setting in found] == values


@pytest.mark.parametrize(
    "settings",
    [
        ('method.name="sgd"', "start.seed=[0, 1]", "method.seed=[0, 1]"),
        ('method.name="sgd"', "method.seed=[0, 1]"),
    ],
    ids=" ".join,
)
def test_comparison__is_made_where_the_method_s_seed_is_an_axis(tmp_path, settings):
    made, _ = swept(tmp_path, COUNTS, LIMIT, *settings)
    assert summary.write(made, tmp_path).setups


def test_comparison__leaves_out_a_count_whose_runs_are_missing(tmp_path):
    made, _ = swept(tmp_path, "start.count=[8, 16, 24]", SEEDS, LIMIT)
    for case in made.cases:
        if case.coords.get("count") == 16:
            run_path(tmp_path, case).unlink()
    tree = open_tree(summary.write(made, tmp_path).path)
    gone = np.isnan(tree["comparison"]["sup_distance"].values).all(axis=1)
    assert dict(zip([8, 16, 24], gone.tolist(), strict=True)) == {8: False, 16: True, 24: False}


def test_comparison__is_not_made_without_predictions(tmp_path):
    _, tree = summed(tmp_path, COUNTS, LIMIT, 'record.variables=["loss"]')
    assert "comparison" not in tree.children


@pytest.mark.parametrize("settings", [AXES[3], COMPARED[0], ("method.step=[0.1, 0.2]", COUNTS, LIMIT)], ids=" ".join)
def test_summary__describes_every_variable(tmp_path, settings):
    _, tree = summed(tmp_path, *settings)
    lacking = [
        f"{node.path}:{name}"
        for node in tree.subtree
        for name, variable in node.to_dataset(inherit=False).variables.items()
        if not {"long_name", "units", "equation"} <= variable.attrs.keys()
    ]
    assert lacking == []
