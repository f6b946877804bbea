"""Arrays in NPZ, HDF5 and netCDF: conventions decoded, missing cells refused, dimensions put in their places."""

import h5py
import numpy as np
import pytest
import xarray

import particles as mf

X = 280.0 + np.round(np.random.default_rng(0).uniform(-20, 20, (6, 2)), 1)
Y = np.arange(6.0)
PACKED = {"dtype": "int16", "scale_factor": 0.1, "add_offset": 280.0, "_FillValue": -32767}
ENGINES = [("h5netcdf", "NETCDF4"), ("scipy", "NETCDF3_64BIT")]


def netcdf(path, engine="h5netcdf", form="NETCDF4", encoding=None, x=X, dims=("sample", "feature")):
    data = xarray.Dataset({"x": (dims, x), "y": ("sample", Y)})
    data.to_netcdf(path, engine=engine, format=form, encoding=encoding or {})
    return path


@pytest.mark.parametrize(("engine", "form"), ENGINES)
def test_read__unpacks_numbers(tmp_path, engine, form):
    data = mf.datasets.read(netcdf(tmp_path / "a.nc", engine, form, {"x": PACKED}))
    np.testing.assert_allclose(data.x, X, rtol=1e-15)
    assert (data.y == Y).all()


@pytest.mark.parametrize(("engine", "form"), ENGINES)
@pytest.mark.parametrize("kind", [PACKED, {"dtype": "float32", "_FillValue": 1e20}, {"missing_value": -9999.0}, {}])
def test_read__refuses_a_missing_cell_by_its_place(tmp_path, engine, form, kind):
    gaps = X.copy()
    gaps[3, 1] = np.nan
    netcdf(tmp_path / "a.nc", engine, form, {"x": kind}, gaps)
    with pytest.raises(mf.InputError, match=r"'x' of .*a.nc must .*row 3, column 1"):
        mf.datasets.read(tmp_path / "a.nc")


@pytest.mark.parametrize(("engine", "form"), ENGINES)
@pytest.mark.parametrize("d", [6, 2])
def test_read__puts_samples_first_by_the_names_of_dimensions(tmp_path, engine, form, d):
    """Also where x is square, and shapes tell nothing."""
    x = np.arange(6.0 * d).reshape(d, 6)
    data = mf.datasets.read(netcdf(tmp_path / "a.nc", engine, form, x=x, dims=("feature", "sample")))
    assert (data.x == x.T).all()


VARIABLES = [  # of HDF5: values, attributes, what they mean or the message
    (np.array([[200], [255]], np.uint8), {}, [200, 255]),
    (np.array([[-56], [-1]], np.int8), {"_Unsigned": "true"}, [200, 255]),
    (np.array([[True], [False]]), {}, [1, 0]),
    (np.ones((2, 1), ">f4"), {"units": "days", "scale_factor": [2.0]}, [2, 2]),
    (np.ones((2, 1)), {"valid_range": [0.0, 1.0], "units": b"K"}, [1, 1]),
    (np.ones((2, 1), "i4"), {"valid_range": [2, 9]}, "one in row 0, column 0"),
    (np.ones((2, 1)), {"valid_max": 0.5}, "one in row 0, column 0"),
    (np.ones((2, 1), "i2"), {"valid_min": np.int16(2), "scale_factor": 9.0}, "one in row 0, column 0"),
    (np.array([[1], [9.969209968386869e36]], "f4"), {}, "one in row 1, column 0"),
    (np.array([[1.0], [1e20]], "f4"), {"missing_value": 1e20}, "one in row 1, column 0"),
    (np.array([[1.0], [-99.9]], "f4"), {"_FillValue": np.float64(-99.9)}, "one in row 1, column 0"),
    (np.array([[1.0], [-99.9]]), {"_FillValue": np.float32(-99.9)}, "one in row 1, column 0"),
    (np.array([[1.0], [-8.0]]), {"missing_value": [-9.0, -8.0]}, "one in row 1, column 0"),
    (np.array([[1], [-999]], "i2"), {"missing_value": "-999"}, "one in row 1, column 0"),
    (np.array([[1], [-999]], "i2"), {"missing_value": -99.9, "scale_factor": 0.1}, "one in row 1, column 0"),
    (
        np.array([[-56], [-1]], np.int8),
        {"_Unsigned": "true", "valid_range": np.array([0, -6], "i1")},
        "row 1, column 0",
    ),
    (np.array([[-56], [-6]], np.int8), {"_Unsigned": "true", "valid_range": np.array([0, 250], "u1")}, [200, 250]),
    (np.array([[-56], [-1]], np.int8), {"_Unsigned": "true", "_FillValue": np.int8(-1)}, "one in row 1, column 0"),
    (np.array([[1000], [20]], "i2"), {"scale_factor": 0.5, "valid_max": 500.0}, [500, 10]),
    (np.array([[1000], [20]], "i2"), {"scale_factor": 0.5, "valid_min": 15.0}, "one in row 1, column 0"),
    (np.array([[0.3], [0.1]], "f4"), {"valid_min": 0.1, "valid_max": 1e308}, np.float32([0.3, 0.1]).tolist()),
    (np.ones((2, 1)), {"valid_range": 5.0}, "must be two numbers: got"),
    (np.ones((2, 1)), {"scale_factor": "ten"}, "must be a number: got 'ten'. Correct the attribute"),
    (np.ones((2, 1)), {"units": "days since 2000-01-01"}, "dates or durations, 'days since"),
    (np.ones((2, 1)), {"units": "days since 1850-1-1", "calendar": "360_day"}, "dates or durations"),
    (np.ones((2, 1)) + 1j, {}, "an imaginary part in row 0, column 0"),
    (np.array([[b"a"]] * 2), {}, "Encode text as numbers"),
]


@pytest.mark.parametrize(("x", "attrs", "meaning"), VARIABLES)
def test_read__takes_a_variable_as_it_is_meant(tmp_path, x, attrs, meaning):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = x, Y[:2]
        file["x"].attrs.update(attrs)
    if isinstance(meaning, list):
        assert mf.datasets.read(tmp_path / "a.h5").x[:, 0].tolist() == meaning
        return
    with pytest.raises(mf.InputError) as caught:
        mf.datasets.read(tmp_path / "a.h5")
    assert meaning in str(caught.value) and "'x' of " in str(caught.value)


def test_read__names_the_array_inside_a_group(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x/axis0"], file["x/block0_values"], file["y"] = np.array([b"a", b"b"]), X, Y
    with pytest.raises(mf.InputError, match=r"got a group, .*Name an array: x/block0_values\."):
        mf.datasets.read(tmp_path / "a.h5")
    assert (mf.datasets.read(tmp_path / "a.h5", x="x/block0_values").x == X).all()


def test_read__refuses_numbers_that_lie_in_another_file(tmp_path):
    """They would read as fill values, and no hash would tell that they changed."""
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = X
    layout = h5py.VirtualLayout(X.shape, X.dtype)
    layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "x", X.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
        file["y"] = Y
    with pytest.raises(mf.InputError, match="must be an array of the file itself: got a view of other files"):
        mf.datasets.read(tmp_path / "a.h5")


def test_read__takes_targets_in_a_column(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y[:, None])
    assert (mf.datasets.read(tmp_path / "a.npz").y == Y).all()


def test_read__says_that_arrays_are_transposed(tmp_path):
    np.savez(tmp_path / "a.npz", x=X.T, y=Y)
    with pytest.raises(mf.InputError, match=r"one row a sample each: got 2 and 6. Pass x.T"):
        mf.datasets.read(tmp_path / "a.npz")


def test_read__refuses_objects_and_says_how_to_save_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([[1, 2], [3, 4]], dtype=object), y=[1.0, 2.0])
    with pytest.raises(mf.StorageError, match=r"Object arrays cannot be loaded.*np.asarray\(x, dtype=float\)"):
        mf.datasets.read(tmp_path / "a.npz")
