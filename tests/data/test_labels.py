"""Class labels: text and numbers to targets of one output a class, and every bad one its message."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import particles as mf
from particles.population.targets import check_targets

X = np.arange(12.0).reshape(6, 2)
TEXT = ["dog", "ant", "cat", "dog", "ant", "cat"]
ROWS = np.eye(3)[[2, 0, 1, 2, 0, 1]]  # sorted: ant, cat, dog


@pytest.mark.parametrize(
    "labels",
    [
        TEXT,
        tuple(TEXT),
        np.array(TEXT),
        np.array(TEXT, dtype=object),
        np.array(TEXT, dtype="S"),
        np.array([word.encode() for word in TEXT], dtype=object),
        pd.Series(TEXT),
        pd.Series(TEXT, dtype="category"),
        pd.Series(TEXT, dtype="string"),
        xr.DataArray(TEXT, dims="sample"),
    ],
    ids=lambda labels: f"{type(labels).__name__}-{getattr(labels, 'dtype', '')}",
)
def test_text__is_labels_of_sorted_classes(labels):
    data = mf.Dataset(X, labels)
    assert data.classes == ("ant", "cat", "dog") and all(type(label) is str for label in data.classes)
    assert (data.y == ROWS).all() and data.outputs == 3 and repr(data) == "Dataset(n=6, d=2, classes=3)"


@pytest.mark.parametrize(
    "labels",
    [
        [7, -1, 2, 7, -1, 2],
        np.array([7.0, -1.0, 2.0, 7.0, -1.0, 2.0], dtype="float32"),
        np.array([7, -1, 2, 7, -1, 2], dtype=object),
        pd.Series([7, -1, 2, 7, -1, 2], dtype="Int64"),
    ],
    ids=lambda labels: f"{type(labels).__name__}-{getattr(labels, 'dtype', '')}",
)
def test_numbers__are_labels_where_classes_are_asked_for(labels):
    data = mf.Dataset(X, labels, classes=True)
    assert data.classes == (-1, 2, 7) and all(type(label) is int for label in data.classes)
    assert (data.y == ROWS).all()
    assert mf.Dataset(X, labels).outputs == 1 and mf.Dataset(X, labels, classes=False).classes == ()


def test_large_whole_numbers__stay_apart():
    assert mf.Dataset(X, [2**60, 2**60 + 1] * 3, classes=True).classes == (2**60, 2**60 + 1)
    assert mf.Dataset(X, [0.5, 1.0] * 3, classes=True).classes == (0.5, 1)


@pytest.mark.parametrize("classes", [["dog", "cat", "bee", "ant"], np.array(["dog", "cat", "bee", "ant"])], ids=type)
def test_classes__say_the_order_of_the_outputs_and_may_have_no_sample(classes):
    data = mf.Dataset(X, TEXT, classes=classes)
    assert data.classes == ("dog", "cat", "bee", "ant") and all(type(label) is str for label in data.classes)
    assert (data.y == np.eye(4)[[0, 3, 1, 0, 3, 1]]).all()


def test_split_and_scaled_data__keep_their_classes_and_outputs():
    data = mf.Dataset(X, [*TEXT[:5], "rare"])
    for part in (*data.split(0.2, seed=3), data.scaled("standard"), data.split(0.5)[1].scaled_like(data.scaled())):
        assert part.classes == data.classes and part.y.shape[1] == 4
        assert (part.y.sum(axis=1) == 1.0).all()
    train, test = data.split(0.5)
    rows = np.concatenate([np.column_stack([part.x, part.y]) for part in (train, test)])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, np.column_stack([data.x, data.y])))


def test_targets_of_several_outputs__are_scaled_column_by_column_and_back():
    random = np.random.default_rng(0)
    raw = random.standard_normal((6, 3)) * [1.0, 100.0, 1e-3] + [0.0, 5.0, 2.0]
    data = mf.Dataset(X, raw).scaled("standard", target_scale="standard")
    assert data.y.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert data.y.std(axis=0) == pytest.approx(np.ones(3), abs=1e-12)
    assert data.scaling.outputs_of(data.y) == pytest.approx(raw, rel=1e-12)


def masked(labels):
    return np.ma.array(labels, mask=[False, False, True, False, False, False])


NUMBERS = [1, 2, 3, 1, 2, 3]
BAD = {  # labels, classes, what is told
    "one class": (["dog"] * 6, None, "classes need at least two of them: got only 'dog'"),
    "one number": ([4.0] * 6, True, "classes need at least two of them: got only 4"),
    "one named": (["dog"] * 6, ["dog"], "classes need at least two of them: got only 'dog'"),
    "none named": (TEXT, [], "`classes` must have shape (n,), n >= 1: got (0,)"),
    "strange": (TEXT, ["dog", "cat"], "labels must be classes: got ant, none of dog, cat. Name every class"),
    "six strange": (list("abcdef"), ["x", "y"], "labels must be classes: got a, b, c, d, e, ..., none of x, y"),
    "named twice": (TEXT, ["dog", "cat", "dog", "ant"], "`classes` must name every class once"),
    "classes of another kind": (TEXT, [1, 2, 3], "labels and `classes` must both be text, or both be numbers"),
    "numbers as text": (NUMBERS, ["1", "2", "3"], "labels and `classes` must both be text, or both be numbers"),
    "classes are a word": (TEXT, "dog", "`classes` must have shape (n,), n >= 1: got ()"),
    "classes are a number": (NUMBERS, 3, "`classes` must have shape (n,), n >= 1: got ()"),
    "classes are nested": (TEXT, [["dog"], ["cat"]], "`classes` must have shape (n,), n >= 1: got (2, 1)"),
    "a class is none": (TEXT, ["dog", "cat", None], "`classes` must be text or finite numbers: got None (NoneType)"),
    "mixed list": (["dog", 1, "cat", 2, "ant", 1], None, "labels must be text or numbers, not both: got 'dog' and 1"),
    "mixed array": (np.array(["dog", 1] * 3, dtype=object), None, "labels must be text or numbers, not both"),
    "NaN": ([1, 2, np.nan, 1, 2, 3], True, "labels must be text or finite numbers: got nan (float) in row 2. Fill"),
    "inf": ([1, 2, np.inf, 1, 2, 3], True, "labels must be text or finite numbers: got inf (float) in row 2"),
    "NaN in text": (["dog", "ant", np.nan, *TEXT[3:]], None, "got nan (float) in row 2"),
    "None in text": (["dog", "ant", None, *TEXT[3:]], None, "got None (NoneType) in row 2"),
    "NA": (pd.Series([*TEXT[:5], None], dtype="string"), None, "got <NA> (NAType) in row 5"),
    "masked": (masked(NUMBERS), True, "labels must have no missing or masked cell: got one in row 2"),
    "masked text": (masked(TEXT), None, "labels must have no missing or masked cell: got one in row 2"),
    "a large integer": (
        [1, 2**63] * 3,
        True,
        "whole numbers must be of 64 bits: got 9223372036854775808",
    ),
    "a large number": ([1.0, 1e300] * 3, True, "must be of 64 bits: got 1e+300 in row 1. Turn them into text."),
    "complex": ([1j, 2] * 3, True, "labels must be text or finite numbers: got 1j (complex) in row 0"),
    "dates": (np.array(["2020", "2021"] * 3, "M8[ns]"), True, "labels must be text or finite numbers"),
    "no text": (np.array([b"\xff", b"a"] * 3), None, "labels must be text or finite numbers"),
    "empty": ([], True, "labels must have shape (n,), n >= 1: got (0,)"),
    "empty text": (np.array([], str), None, "labels must have shape (n,), n >= 1: got (0,)"),
    "a column": (np.array(TEXT)[:, None], None, "labels must have shape (n,), n >= 1: got (6, 1). Give one label"),
    "rows with classes": (ROWS, TEXT[:3], "labels must have shape (n,), n >= 1: got (6, 3)"),
    "too few": (TEXT[:5], None, "x and y must have one row a sample each: got 6 and 5"),
    "ragged": ([["dog"], ["dog", "cat"]], None, "y must be an array of real numbers"),
    "column of targets": (np.ones((6, 1)), None, "got (6, 2) and (6, 1). Pass y[:, 0]."),
    "no targets": (np.ones((6, 0)), None, "y shape (n,), or (n, k) with k > 1: got (6, 2) and (6, 0)"),
    "three axes": (np.ones((6, 2, 2)), None, "y shape (n,), or (n, k) with k > 1: got (6, 2) and (6, 2, 2)"),
    "NaN targets": ([[1.0, np.nan]] * 6, None, "y must be finite"),
}


@pytest.mark.parametrize(("labels", "classes", "message"), BAD.values(), ids=BAD)
def test_dataset__refuses_labels(labels, classes, message):
    with pytest.raises(mf.InputError) as caught:
        mf.Dataset(X, labels, classes=classes)
    assert message in str(caught.value)


def test_dataset__refuses_targets_whose_samples_are_their_second_axis():
    """With as many outputs as samples no shape would show it."""
    x, y = xr.DataArray(X, dims=("sample", "input")), xr.DataArray(np.eye(6), dims=("output", "sample"))
    with pytest.raises(mf.InputError, match=r"x's first dimension must be y's: .*Pass y\.T\."):
        mf.Dataset(x, y)
    assert mf.Dataset(x, y.T).outputs == 6


NET = mf.Network("tanh", outputs=3)
START = mf.Gaussian(2).sample(8, seed=0, signs="random", outputs=3)
CLASSES = mf.Dataset(X, TEXT)
RUNS = {  # network, data, settings, what is told
    "softmax of one output": (mf.Network("tanh"), mf.Dataset(X, X[:, 0]), {},
                              "the loss 'softmax' needs a network of one output a class, `outputs` > 1: got outputs=1"),
    "too narrow": (mf.Network("tanh"), CLASSES, {}, "as the network has outputs, 1: got 3, shape (6, 3)"),
    "too wide": (mf.Network("tanh", outputs=4), CLASSES, {}, "outputs, 4: got 3, shape (6, 3). Use mf.Network(..., ou"),
    "one target": (NET, mf.Dataset(X, X[:, 0]), {"loss": "squared"}, "the network has outputs, 3: got 1, shape (6,)"),
    "no shares": (NET, mf.Dataset(X, np.ones((6, 3))), {},
                  "targets of classes must be rows that are not negative and sum to 1: got 1, 1, 1 at sample 0"),
    "negative": (NET, mf.Dataset(X, ROWS - [1, 0, -1] * (X[:, :1] > 5)), {},
                 "not negative and sum to 1: got -1, 0, 2 at sample 3"),
    "labels of 1 and -1": (NET, CLASSES, {"loss": "logistic"}, "labels must be -1 or 1 here"),
    "test of another width": (NET, CLASSES, {"test": mf.Dataset(X, X[:, 0])}, "`test`'s y must have as many targets"),
    "test without shares": (NET, CLASSES, {"test": mf.Dataset(X, np.ones((6, 3)))}, "targets of classes must be rows"),
    "noise on shares": (NET, mf.Stream(mf.Gaussian(2), lambda x: np.eye(3)[(x[:, 0] > 0).astype(int)], noise=0.1),
                        {"method": mf.SGD(0.1)}, "targets of classes must be rows"),
}  # fmt: skip


@pytest.mark.parametrize(("net", "data", "settings", "message"), RUNS.values(), ids=RUNS)
def test_simulate__refuses_targets_that_do_not_fit(net, data, settings, message):
    start = START if net.outputs == 3 else mf.Gaussian(2).sample(8, seed=0, signs="random", outputs=net.outputs)
    settings = {"method": mf.GradientDescent(0.1), "loss": "softmax", "steps": 1, **settings}
    with pytest.raises(mf.InputError) as caught:
        mf.simulate(net, start, data, **settings)
    assert message in str(caught.value)


def test_check_targets__takes_shares_of_classes_that_are_no_ones():
    """Soft labels, and rows that sum to 1 up to rounding."""
    check_targets(NET, mf.LOSSES["softmax"], np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3]]))
    check_targets(NET, mf.LOSSES["squared"], np.ones((2, 3)))
