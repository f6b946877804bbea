"""What a user's array may be, at every door: numbers by value; masks, gaps, dates, text by place."""

import datetime
import decimal

import numpy as np
import pandas
import pytest
import scipy.sparse
import xarray

import particles as mf
from particles.checks import in_range, real_array
from particles.theory.spectra import kernel_sgd, nystrom_method, power_law

X = np.array([[0.1, 0.2], [0.3, 7.0], [0.5, 0.6]])
MASKED = np.ma.masked_equal(X, 7.0)
NET, CLOUD = mf.Network("tanh"), mf.Gaussian(2).sample(3, seed=0)


class Tensor:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach() first")


TAKEN = [
    (np.ma.masked_equal(X, 9.0), X),
    ([np.ma.array([1.0, 2.0])], [[1.0, 2.0]]),
    (X + 0j, X),
    (X.astype(">f4"), X.astype("f4")),
    (np.array([200, 255], np.uint8), [200, 255]),
    ([True, False], [1, 0]),
    (np.array([decimal.Decimal(1), 2**70, True], object), [1, 2.0**70, 1]),
    (pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]}), [[1, 0.5, 1], [2, 1.5, 0]]),
    (xarray.DataArray([1.0, 2.0]), [1, 2]),
]


@pytest.mark.parametrize(("values", "wanted"), TAKEN, ids=[type(values).__name__ for values, _ in TAKEN])
def test_real_array__takes_numbers_of_every_kind(values, wanted):
    found = real_array("x", values)
    assert found.dtype == np.float64 and np.array_equal(found, wanted)


def test_real_array__passes_float64_through():
    assert real_array("x", X) is X


REFUSED = [
    (MASKED, "x must have no missing or masked cell: got one in row 1, column 1. Fill or remove those rows."),
    (list(MASKED), "one in row 1, column 1"),
    ([1.0, np.ma.masked], "one in row 1."),
    (X + 1j * (X > 5), "x must be real: got an imaginary part in row 1, column 1."),
    (np.array(["2024-01-01"], "M8[D]"), "must be an array of real numbers: got dates or durations, datetime64[D]"),
    (np.array([3], "m8[s]"), "got dates or durations, timedelta64[s]"),
    (pandas.DataFrame({"t": [datetime.date(2024, 1, 1)], "a": [1]}), "'2024-01-01' (date) in row 0, column 0"),
    ([["1", "2"]], "got text, '1'. Encode text as numbers."),
    (np.array([[1, "2"]], object), "got '2' (str) in row 0, column 1"),
    ([1.0, None], "got 'None' (NoneType) in row 1"),
    ([10**400], "(int) in row 0"),
    ([[1.0], [1.0, 2.0]], "Rows must be of one length, entries numbers."),
    (np.zeros(2, [("a", "f8")]), "must be an array of real numbers: got [('a', '<f8')]"),
    (scipy.sparse.eye(2), "(dia_matrix) in the value"),
    (Tensor(), "call detach() first"),
    ([[1.0, 2.0], [3.0, np.inf]], "x must be finite: got NaN or inf in 1 rows, the first is row 1, column 1."),
    (pandas.DataFrame({"a": [1.0, 2.0], "dose": [1.0, np.nan]}), "the first is row 1, column 1 ('dose')."),
    (pandas.Series([1, None], dtype="Int64"), "the first is row 1."),
    (xarray.DataArray([[1.0, np.nan]]), "the first is row 0, column 1."),
    (np.float64("nan"), "x must be finite: got nan"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_real_array__refuses(values, message):
    with pytest.raises(mf.InputError) as caught:
        real_array("x", values)
    assert message in str(caught.value)


def test_real_array__leaves_numbers_that_are_not_finite_to_those_who_allow_them():
    assert np.isinf(real_array("x", [np.inf], finite=False)).all()


SQUARE = np.ma.masked_equal(np.eye(3), 1.0)
VECTOR = np.ma.masked_equal([1.0, 7.0, 1.0], 7.0)
DOORS = {
    "Dataset x": lambda: mf.Dataset(MASKED, np.zeros(3)),
    "Dataset y": lambda: mf.Dataset(X, VECTOR),
    "Stream": lambda: mf.Stream(mf.Gaussian(2), lambda x: np.ma.masked_less(x[:, 0], 9.0)).rows(0, 3),
    "Atoms": lambda: mf.Atoms(MASKED),
    "Atoms weights": lambda: mf.Atoms(X, VECTOR),
    "along": lambda: mf.Gaussian(5).quadrature(64, along=np.ma.masked_equal(np.eye(5), 1.0)),
    "inputs": lambda: NET.predict(CLOUD, MASKED),
    "measure": lambda: NET.predict(CLOUD._replace(w=np.ma.masked_less(CLOUD.w, 1.0)), X),
    "transport": lambda: mf.transport.wasserstein(CLOUD, CLOUD._replace(b=np.ma.masked_less(CLOUD.b, 9.0))),
    "tangent.gram": lambda: mf.tangent.gram(NET, CLOUD, MASKED),
    "tangent.limit": lambda: mf.tangent.limit(NET, mf.Gaussian(2), MASKED),
    "eigen": lambda: mf.tangent.eigen(SQUARE),
    "flow y": lambda: mf.tangent.flow(np.eye(3), VECTOR, [1.0]),
    "flow times": lambda: mf.tangent.flow(np.eye(3), np.ones(3), VECTOR),
    "descend": lambda: mf.tangent.descend(np.eye(3), np.ones(3), 0.1, np.ma.masked_equal([1, 7], 7)),
    "nystrom": lambda: nystrom_method.nystrom(lambda one, two: one @ two.T, MASKED),
    "kernel_sgd": lambda: kernel_sgd.gram_sgd(np.eye(3), VECTOR, 0.1),
    "decay": lambda: power_law.decay(VECTOR, 1, 3),
    "bounds": lambda: mf.theory.bounds.arora_bound(np.eye(3), VECTOR),
    "convex": lambda: mf.theory.convex_optimum(NET, (MASKED, np.ones(3)), mf.Dataset(X, np.ones(3))),
}


@pytest.mark.parametrize("door", DOORS)
def test_masked_cells__are_refused_wherever_arrays_enter(door):
    with pytest.raises(mf.InputError, match=r"must have no missing or masked cell: got one in row \d"):
        DOORS[door]()


@pytest.mark.parametrize("part", ["x", "y", "test"])
def test_simulate__refuses_numbers_that_overflow_its_type(part):
    data = {"x": X / 10, "y": np.ones(3), "test": X / 10}
    data[part] = data[part] * 1e39
    with pytest.raises(mf.InputError, match=r"must be at most 3.4e\+38 in float32: got .*e\+3\d in row [01]"):
        mf.simulate(NET, CLOUD, mf.Dataset(data["x"], data["y"]), mf.GradientDescent(0.1), steps=1, dtype="float32",
                    test=mf.Dataset(data["test"], np.ones(3)))  # fmt: skip


def test_in_range__takes_what_the_type_holds():
    in_range("x", np.array([3.4e38]), "float32")
    in_range("x", np.array([1.7e308]), "float64")


def test_dataset__refuses_labelled_arrays_whose_samples_lie_across():
    x, y = xarray.DataArray(np.eye(3), dims=("feature", "sample")), xarray.DataArray(np.ones(3), dims="sample")
    with pytest.raises(mf.InputError, match=r"x's first dimension must be y's: .* Pass x.T"):
        mf.Dataset(x, y)
    assert mf.Dataset(x.T, y).x.shape == (3, 3)
