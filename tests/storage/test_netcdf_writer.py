"""Datasets written as HDF5 in memory: what was in them, the same bytes for the same contents, one layout for many."""

import io

import h5py
import numpy as np
import pytest
import xarray

from particles.storage import netcdf_writer
from particles.storage.netcdf_writer import group_of

R = np.random.default_rng(0)


def recorded(rows=3, seed=0, text="a run"):
    """A dataset with every kind of array and of attribute."""
    random = np.random.default_rng(seed)
    about = {"long_name": "loss", "units": "1"}
    return xarray.Dataset(
        {
            "loss": ("time", random.standard_normal(rows), about),
            "position": (("time", "particle"), random.standard_normal((rows, 4)).astype(np.float32), {"order": 2}),
            "number": ((), 2.5 + seed, {}),
            "text": ("claim", np.array(["first", "sécond, longer"][: 1 + seed % 2] * 2, dtype=object), about),
            "fixed": ("claim", np.array(["a", "bc"] * (1 + seed % 2)), {"weights": np.arange(3.0) + seed}),
            "holds": ("particle", random.random(4) > 0.5, {"share": 0.5}),
            "none": (("time", "empty"), np.empty((rows, 0)), {}),
            "wide": (("time", "sample"), np.asfortranarray(random.standard_normal((rows, 5000))), {}),
        },
        coords={"time": ("time", np.arange(rows) * 0.5, about), "iteration": ("time", np.arange(rows), {})},
        attrs={"config": text, "seed": seed, "empty": "", "parts": np.arange(2) + seed},
    )


def packed(groups, more=None):
    return netcdf_writer.packed({path: group_of(data) for path, data in groups.items()}, more)


@pytest.fixture(autouse=True)
def forgotten():
    """No layout is known from another test."""
    netcdf_writer._empty.cache_clear()


def opened(content, group="/"):
    return xarray.load_dataset(io.BytesIO(content), engine="h5netcdf", group=group)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("rows", [1, 3])
def test_packed__is_what_plain_xarray_reads(rows, seed):
    first, second = recorded(rows, seed), xarray.Dataset({"b": ("atom", R.random(300))})
    content = packed({"/": first, "/final": second})
    xarray.testing.assert_identical(opened(content), first.assign_coords())
    xarray.testing.assert_identical(opened(content, "/final"), second)


def test_packed__has_nothing_of_the_file_before():
    """Which had the same layout, but other numbers and texts."""
    packed({"/": recorded(seed=2, text="another, of which the text is longer")})
    xarray.testing.assert_identical(opened(packed({"/": recorded()})), recorded())
    assert netcdf_writer._empty.cache_info().hits == 1


def test_packed__is_the_same_bytes_whatever_was_written_before():
    alone = bytes(packed({"/": recorded()}))
    packed({"/": recorded(seed=4)})
    packed({"/": recorded(rows=5)})
    assert bytes(packed({"/": recorded()})) == alone


def test_packed__makes_one_layout_for_all_runs_of_one_shape():
    for seed in range(0, 20, 2):
        packed({"/": recorded(seed=seed, text=f"run {seed}")})
    assert netcdf_writer._empty.cache_info().misses == 1


def test_packed__holds_no_numbers_in_a_layout():
    packed({"/": recorded(rows=40)})
    (layout,) = [netcdf_writer._layout("/", group_of(recorded(rows=40)))]
    assert recorded(rows=40).nbytes > 10**6 > 20 * len(netcdf_writer._empty((layout,)))


def test_packed__gives_every_array_of_numbers_a_checksum():
    with h5py.File(io.BytesIO(packed({"/": recorded()}))) as file:
        checked = {name for name, item in file.items() if item.fletcher32}
    assert checked == {"loss", "position", "holds", "wide", "time", "iteration"}


def test_packed__takes_more_from_its_caller():
    content = packed({"/": recorded()}, lambda file: file.create_dataset("more", data=[1.0, 2.0]))
    with h5py.File(io.BytesIO(content)) as file:
        assert file["more"][()].tolist() == [1.0, 2.0]
