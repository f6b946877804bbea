"""A sweep's folder as one dataset: every array of every run at its place, read when asked for."""

import errno
import json
import shutil

import h5py
import numpy as np
import pytest
import xarray
from support.daily import some
from support.summaries import AXES, COUNTS, LIMIT, SEEDS, summed

import particles as mf
from particles.experiments import grid, sweep_dataset
from particles.experiments.sweep import run_path
from particles.storage.run_file import open_root

WIDE = 'record.variables=["loss", "prediction", "position", "weight_moment"]'


def check_against_runs(made, out, data):
    """Every number of every finite run stands at its place, and nothing but NaN around it."""
    for case in (case for case in made.cases if case.nodes is None):
        run = open_root(run_path(out, case))
        at = {axis.name: axis.values.index(case.coords[axis.name]) for axis in made.axes if axis.name in data.dims}
        for name, wanted in run.data_vars.items():
            found = data[name].isel(at).values
            inside = tuple(map(slice, wanted.shape))
            assert found[inside].tobytes() == wanted.values.tobytes()
            assert np.isfinite(found).sum() == np.isfinite(wanted.values).sum()


RAGGED = [(COUNTS, WIDE), (WIDE, "steps=[2, 4]", COUNTS), ()]


@pytest.mark.parametrize("settings", some([*AXES, *RAGGED], *AXES[1::2], *RAGGED), ids=" ".join)
@pytest.mark.parametrize("whole", some([True, False], True), ids=["with sweep.h5", "without"])
def test_sweep__has_every_array_of_every_run_at_its_place(tmp_path, settings, whole):
    made, _ = summed(tmp_path, *settings)
    if not whole:
        (tmp_path / "sweep.h5").unlink()
    data = mf.open_sweep(tmp_path)
    assert (data["status"] == "finished").sum() == sum(case.nodes is None for case in made.cases)
    names = {axis.name for axis in made.axes}
    if whole:
        assert set(data["status"].dims) == names
    plain = not any(isinstance(value, dict) for axis in made.axes for value in axis.values)
    if whole or (plain and names == set(data["status"].dims) and all(a.values == sorted(a.values) for a in made.axes)):
        check_against_runs(made, tmp_path, data)


@pytest.mark.parametrize("settings", [(COUNTS, SEEDS), (COUNTS, "method.step=[0.1, 0.2]"), ("steps=[2, 4]",)])
def test_sweep__and_its_table_say_the_same(tmp_path, settings):
    _, tree = summed(tmp_path, *settings)
    data, table = mf.open_sweep(tmp_path), tree.to_dataset()
    for name in table.variables:
        more = data[name].coords.keys() - table[name].coords.keys()
        assert more <= {"status", "iteration", "time"}
        xarray.testing.assert_identical(data[name].drop_vars(more), table[name])


def test_sweep__reads_only_what_is_asked_for(tmp_path, monkeypatch):
    made, _ = summed(tmp_path, COUNTS, SEEDS, WIDE)
    data = mf.open_sweep(tmp_path)
    seen = []
    real = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, key, **more: seen.append((self.file.filename, key)) or real(self, key)
    )
    part = data["prediction"].sel(count=16, seed=[0, 2]).isel(time=-1, sample=slice(2, 9))
    assert seen == []
    found = part.values
    wanted = {str(run_path(tmp_path, c)) for c in made.cases if c.coords["count"] == 16 and c.coords["seed"] != 1}
    assert {file for file, _ in seen} == wanted
    assert all(key == (slice(3, 4), slice(2, 9)) for _, key in seen)
    monkeypatch.undo()
    np.testing.assert_array_equal(found, data["prediction"].values[1, [0, 2], -1, 2:9])


@pytest.mark.parametrize(
    "key", [(0, 1), (slice(None, None, -1), [2, 0]), ([], 0), (slice(1), slice(0, 0)), (-1, [1, 1, 0]), (..., 0)]
)
def test_stack__indexes_as_numpy_does(key):
    random = np.random.default_rng(0)
    runs = {(i, j): random.standard_normal((3 + i, 4)) for i in range(2) for j in range(3)}
    records = {
        at: grid.record_of(xarray.Dataset({"v": (("time", "k"), values)}, {"time": np.arange(3.0 + at[0])}))
        for at, values in runs.items()
    }
    axes = [grid.Axis("a", [1, 2], {}), grid.Axis("b", [1, 2, 3], {})]
    whole = np.full((2, 3, 4, 4), np.nan)
    for (i, j), values in runs.items():
        whole[i, j, : 3 + i] = values
    found = grid.assembled(axes, records)["v"]
    np.testing.assert_array_equal(found.values, whole)
    np.testing.assert_array_equal(found.transpose("b", ...)[{"time": [3, 0], "k": 2}].values.shape, (3, 2, 2))
    np.testing.assert_array_equal(found[key].values, whole[key])


def test_sweep__pads_smaller_clouds_with_nan(tmp_path):
    summed(tmp_path, COUNTS, WIDE)
    position = mf.open_sweep(tmp_path)["position"].isel(dim=0, time=0)
    assert position.dims == ("count", "particle")
    assert np.isnan(position.values).tolist() == [[False] * 8 + [True] * 8, [False] * 16]


def test_sweep__names_runs_that_are_missing_damaged_or_diverged(tmp_path):
    made, _ = summed(
        tmp_path, "start.count=[8, 16, 24]", "method.step=[1e-3, 1e6]", 'network.activation="quadratic"', "steps=20"
    )
    paths = {(case.coords["count"], case.coords["step"]): run_path(tmp_path, case) for case in made.cases}
    paths[8, 1e-3].unlink()
    paths[16, 1e-3].write_bytes(b"nothing of ours")
    data = mf.open_sweep(tmp_path)
    assert data["status"].values.tolist() == [
        ["missing", "diverged"],
        ["damaged", "diverged"],
        ["finished", "diverged"],
    ]
    assert np.isnan(data["loss"].sel(step=1e-3).values).all(axis=1).tolist() == [True, True, False]


def test_sweep__names_runs_that_cannot_be_read_now(tmp_path, unreadable):
    """With sweep.h5 the run keeps its place; without, nobody knows of it, and that is said."""
    made, _ = summed(tmp_path, COUNTS)
    with unreadable(errno.EIO, lambda path: path == run_path(tmp_path, made.cases[0])):
        assert mf.open_sweep(tmp_path)["status"].values.tolist() == ["unreadable", "finished"]
        (tmp_path / "sweep.h5").unlink()
        with pytest.warns(UserWarning, match="left out of the dataset: .* cannot be read now: Input/output error"):
            assert mf.open_sweep(tmp_path)["status"].values == "finished"


def test_sweep__is_numbers_and_coordinates(tmp_path):
    """So that arithmetic is arithmetic with what was recorded; times are no numbers to be doubled."""
    summed(tmp_path, COUNTS, "method.step=[0.1, 0.2]")
    data = mf.open_sweep(tmp_path)
    twice = data * 2
    np.testing.assert_array_equal(twice["loss"].values, 2 * data["loss"].values)
    np.testing.assert_array_equal(twice["time"].values, data["time"].values)
    assert twice["status"].identical(data["status"])
    assert data.sel(count=8, step=0.1)["status"].item() == "finished"


@pytest.mark.parametrize("kept", ["folder", "file in it"])
def test_sweep__that_was_moved_compares_with_its_own_limits(tmp_path, kept):
    summed(tmp_path / "first", COUNTS, LIMIT)
    wanted = mf.open_sweep(tmp_path / "first")
    if kept == "file in it":
        wanted.to_netcdf(tmp_path / "first" / "all.nc", engine="h5netcdf")
    distance = wanted.mf.compare()["distance"].values
    moved = (tmp_path / "first").rename(tmp_path / "second")
    with (
        xarray.open_dataset(moved / "all.nc", engine="h5netcdf")
        if kept == "file in it"
        else mf.open_sweep(moved) as data
    ):
        assert all(str(moved) in file for file in data.mf.limits)
        np.testing.assert_array_equal(data.mf.compare()["distance"].values, distance)


def test_limits__of_a_dataset_kept_elsewhere_are_those_of_its_sweep_s_folder(tmp_path):
    summed(tmp_path / "sweep", COUNTS, LIMIT)
    data = mf.open_sweep(tmp_path / "sweep")
    data.to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "all.nc", engine="h5netcdf") as kept:
        assert kept.mf.limits == data.mf.limits == data.isel(count=[1, 0]).mf.limits


def test_sweep__says_which_file_fails_its_checksum(tmp_path):
    made, _ = summed(tmp_path, COUNTS)
    data = mf.open_sweep(tmp_path)
    path = run_path(tmp_path, made.cases[1])
    with h5py.File(path) as file:
        at = file["loss"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert np.isfinite(data["loss"].isel(count=0).values).all()
    with pytest.raises(mf.StorageError, match=path.name):
        _ = data["loss"].values


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"is no sweep's folder: it lacks runs/. Give out/NAME"),
        (lambda path: (path / "runs").mkdir(), "holds no run that can be read"),
        (lambda path: [(path / "runs").mkdir(), (path / "sweep.h5").write_text("?")], "is no result of this program"),
    ],
)
def test_sweep__refuses_a_folder_without_runs(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(mf.StorageError, match=message):
        mf.open_sweep(tmp_path)


def test_sweep__can_be_named_by_its_file(tmp_path):
    summed(tmp_path, COUNTS)
    xarray.testing.assert_identical(mf.open_sweep(tmp_path / "sweep.h5"), mf.open_sweep(str(tmp_path)))


def test_limits__are_the_files_of_the_limit_the_finest_last(tmp_path):
    made, _ = summed(tmp_path, COUNTS, LIMIT)
    wanted = {str(run_path(tmp_path, case)): case.nodes for case in made.cases if case.nodes}
    for _ in range(2):  # with sweep.h5, then without
        found = mf.open_sweep(tmp_path).mf.limits
        assert {file: setting["nodes"] for file, setting in found.items()} == wanted
        assert [setting["nodes"] for setting in found.values()] == [16, 32]
        (tmp_path / "sweep.h5").unlink(missing_ok=True)


def thousand(folder, listed):
    """A sweep of 20 sizes and 50 seeds as it is on disk, of one tiny run written a thousand times."""
    data = mf.Dataset(np.eye(3), np.arange(3.0))
    step, record = mf.GradientDescent(step=0.1), ("loss", "prediction", "position", "gradient_norm")
    (folder / "runs").mkdir()
    runs = {}
    for count in range(1, 21):
        start = mf.Gaussian(3).sample(count, seed=0)
        run = mf.simulate(mf.Network("tanh"), start, data, step, steps=10, record=record)
        made = run.save(folder / "one.h5")
        for seed in range(50):
            key = f"{count:08d}{seed:08d}"
            path = shutil.copyfile(made, folder / "runs" / f"{key}.h5")
            if not listed:
                with h5py.File(path, "r+") as file:
                    file.attrs["config"] = json.dumps({"start": {"count": count, "seed": seed}})
            runs[key] = {"count": count, "seed": seed, "nodes": 0}
    if listed:
        with h5py.File(folder / "sweep.h5", "w") as file:
            file.attrs.update({"config": "{}", "config_hash": "", "runs": json.dumps(runs)})


@pytest.mark.slow
@pytest.mark.parametrize("listed", [True, False], ids=["with sweep.h5", "without"])
def test_sweep__of_a_thousand_runs_opens_without_reading_them(tmp_path, listed, monkeypatch):
    thousand(tmp_path, listed)
    reads = []
    window = sweep_dataset._window
    monkeypatch.setattr(sweep_dataset, "_window", lambda *args: reads.append(args) or window(*args))
    data = mf.open_sweep(tmp_path)
    assert dict(data.sizes) == {"count": 20, "seed": 50, "time": 11, "sample": 3, "particle": 20, "dim": 3}
    assert not reads
    assert np.isfinite(data["prediction"].values).all()
    assert len(reads) == 1000
