"""Files and sets of classes: one output a class, several columns of targets, and what is refused."""

import h5py
import numpy as np
import pandas
import pytest

import particles as mf

ROWS = ["1,red", "2,green", "3,blue", "4,red"]
ONE_HOT = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]  # blue, green, red


@pytest.fixture
def table(tmp_path):
    def write(rows=ROWS, header="a,kind", name="table.csv"):
        (tmp_path / name).write_text("\n".join([header, *rows]))
        return tmp_path / name

    return write


def test_read__gives_text_an_output_for_each_word(table):
    data = mf.datasets.read(table(), y="kind", classes=True)
    assert (data.classes, data.outputs, data.y.tolist()) == (("blue", "green", "red"), 3, ONE_HOT)


@pytest.mark.parametrize("kind", ["npz", "fixed.h5", "h5", "parquet", "tsv"])
def test_read__takes_labels_of_every_kind_of_file(tmp_path, kind):
    words, x, path = np.array(["red", "green", "blue", "red"]), np.arange(8.0).reshape(4, 2), tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, x=x, y=words)
    elif kind.endswith("h5"):
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = x, words.astype("S") if kind == "fixed.h5" else words.tolist()
    elif kind == "parquet":
        pytest.importorskip("pyarrow")
        pandas.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": words}).to_parquet(path)
    else:
        pandas.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": words}).to_csv(path, sep="\t", index=False)
    data = mf.datasets.read(path, classes=True)
    assert (data.classes, data.y.tolist(), data.x.tolist()) == (("blue", "green", "red"), ONE_HOT, x.tolist())


def test_read__keeps_numbers_as_classes_and_the_order_that_is_given(table):
    path = table(["1,7", "2,3", "3,12", "4,7"])
    assert mf.datasets.read(path, y="kind", classes=True).classes == (3, 7, 12)
    data = mf.datasets.read(path, y="kind", classes=[12, 7, 3])
    assert (data.classes, data.y.argmax(axis=1).tolist()) == ((12, 7, 3), [1, 2, 0, 1])


def test_read__names_classes_of_text_by_numbers_too(table):
    """A column with a word in it is text, so that its 1 is "1"."""
    assert mf.datasets.read(table(["1,1", "2,none so", "3,1"]), y="kind", classes=[1, "none so"]).classes == (
        "1",
        "none so",
    )


def test_read__leaves_out_rows_without_a_label(table):
    path = table([*ROWS, "5,NA", "6,red"])
    data = mf.datasets.read(path, y="kind", classes=True, missing="drop")
    assert data.x[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0, 6.0] and data.outputs == 3


def test_read__takes_several_columns_of_targets(table):
    path = table(["1,2,3", "4,5,6", "7,,9"], "a,b,c")
    data = mf.datasets.read(path, y=["c", "b"], missing="drop")
    assert (data.x.tolist(), data.y.tolist()) == ([[1.0], [4.0]], [[3.0, 2.0], [6.0, 5.0]])
    assert mf.datasets.read(path, y=["c"], x="a").y.tolist() == [3.0, 6.0, 9.0]


def test_read__takes_decimal_commas_in_every_column_of_targets(table):
    data = mf.datasets.read(table(["1;2;3,5", "4;5,25;6"], "a;b;c"), y=["b", "c"])
    assert data.y.tolist() == [[2.0, 3.5], [5.25, 6.0]]


def test_read__scales_every_column_of_targets(table):
    path = table(["1,2,30", "4,5,60", "7,9,10"], "a,b,c")
    y = mf.datasets.read(path, y=["b", "c"], target_scale="standard").y
    np.testing.assert_allclose([y.mean(axis=0), y.std(axis=0)], [[0.0, 0.0], [1.0, 1.0]], atol=1e-14)


REFUSALS = [
    ({"classes": ["red", "blue"]}, "labels must be classes: got green, none of red, blue."),
    ({"classes": ["red"]}, "classes need at least two of them: got only 'red'"),
    ({"classes": ["red", "red"]}, "`classes` must name every class once"),
    ({"classes": "red"}, "`classes` must be True or a list of classes: got 'red'. Give True for all."),
    ({"classes": True, "positive": ["red"], "negative": ["blue"]}, "are one output for two groups: got both."),
    ({"positive": ["red"]}, "a file's classes need both `positive` and `negative`: got one of them"),
    ({}, "For one output a class say `classes`."),
    ({"y": ["a", "kind"], "x": "b", "classes": True}, "classes must be in one column: got 2 of targets."),
    ({"y": ["a", "a"]}, "`y` must name each column of targets once: got ['a', 'a']"),
    ({"y": []}, "`y` must name each column of targets once: got []"),
    ({"y": ["b", "kind"]}, "'red' in line 2, column 'kind' (and 3 more in this column)"),
    ({"y": ["b", "kin"]}, "must hold the variables asked for: got no 'kin'. Did you mean 'kind'?"),
    ({"y": ["a", "b"], "x": ["b", "kind"]}, "`x` must name each column once, and not the target's: got 'b'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS, ids=[str(options) for options, _ in REFUSALS])
def test_read__refuses_classes_that_are_none(table, options, message):
    path = table([f"{k}.5,{row}" for k, row in enumerate(ROWS)], "b,a,kind")
    with pytest.raises(mf.InputError) as caught:
        mf.datasets.read(path, **{"y": "kind"} | options)
    assert message in str(caught.value)


def test_read__refuses_a_single_class(table):
    with pytest.raises(mf.InputError, match="classes need at least two of them: got only 'red'"):
        mf.datasets.read(table(["1,red", "2,red"]), y="kind", classes=True)


def test_read__refuses_lists_and_words_of_arrays(tmp_path):
    np.savez(path := tmp_path / "a.npz", x=np.eye(3), y=np.eye(3), z=np.array(["a", "b", "a"]))
    assert mf.datasets.read(path).outputs == 3
    with pytest.raises(mf.InputError, match=r"`y` must be one array's name here: got \['y', 'z'\]"):
        mf.datasets.read(path, y=["y", "z"])
    with pytest.raises(mf.InputError, match=r"'z' of .* must be an array of real numbers"):
        mf.datasets.read(path, y="z")
    with pytest.raises(mf.InputError, match="x and y must have one row a sample each: got 2 and 3"):
        np.savez(path, x=np.eye(2), y=np.array(["a", "b", "a"]))
        mf.datasets.read(path, classes=True)


def test_read__has_no_output_for_each_of_a_million_numbers(tmp_path):
    """A column of measurements by mistake: 8 TB of zeros."""
    np.savez(path := tmp_path / "a.npz", x=np.zeros((10**6, 1)), y=np.arange(10**6) / 7)
    with pytest.raises(mf.StorageError, match=r"one output for each of 1000000 classes needs 8e\+03 GB of memory"):
        mf.datasets.read(path, classes=True)


@pytest.mark.parametrize(("name", "k"), [("digits", 10), ("wine", 3), ("iris", 3), ("breast_cancer", 2)])
def test_load__has_an_output_for_every_class(name, k):
    """The counts that scikit-learn states of its sets."""
    import sklearn.datasets

    data = mf.datasets.load(name, classes=True)
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    assert data.classes == tuple(range(k)) and (data.y.argmax(axis=1) == y).all() and (data.x == x).all()
    assert (data.y.sum(axis=1) == 1.0).all()
    again = mf.datasets.load(name, classes=list(range(k))[::-1])
    assert (again.y == data.y[:, ::-1]).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digits", {"classes": [1, 2]}, "labels must be classes: got 0, 3, 4, 5, 6, ..., none of 1, 2"),
        ("iris", {"classes": True, "positive": [1]}, "are one output for two groups: got both"),
        ("circle", {"classes": True}, "data set 'circle' takes only its own options: got 'classes'"),
        ("diabetes", {"classes": True}, "data set 'diabetes' takes only its own options: got 'classes'. It takes none"),
    ],
)
def test_load__refuses_classes_that_are_none(name, options, message):
    with pytest.raises(mf.InputError) as caught:
        mf.datasets.load(name, **options)
    assert message in str(caught.value)


def test_load__has_two_groups_of_iris_unless_told():
    data = mf.datasets.load("iris")
    assert (data.outputs, int(data.y.sum())) == (1, 50 - 100)
    assert len(mf.datasets.load("iris", positive=[0], negative=[1])) == 100
