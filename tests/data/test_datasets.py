"""Ready-made sets and the user's own files: shapes, scales, and what is said of files that will not do."""

import pickle

import h5py
import numpy as np
import pytest
import sklearn.datasets
import xarray

import particles as mf

SETS = [  # name, n, d, whether the targets are labels
    ("circle", 256, 2, False),
    ("sphere", 256, 5, False),
    ("gaussian", 256, 5, False),
    ("digits", 1797, 64, True),
    ("breast_cancer", 569, 30, True),
    ("iris", 150, 4, True),
    ("wine", 178, 13, True),
    ("diabetes", 442, 10, False),
]
EACH_SET = pytest.mark.parametrize(("name", "n", "d", "labels"), SETS, ids=[name for name, *_ in SETS])


@EACH_SET
def test_load__has_the_set_s_shape(name, n, d, labels):
    data = mf.datasets.load(name)
    assert (data.x.shape, data.y.shape) == ((n, d), (n,))


@EACH_SET
def test_load__gives_labels_where_the_set_has_classes(name, n, d, labels):
    assert (set(mf.datasets.load(name).y) == {-1.0, 1.0}) == labels


@EACH_SET
def test_load__repeats_its_bits(name, n, d, labels):
    one, two = mf.datasets.load(name), mf.datasets.load(name)
    assert (one.x.tobytes(), one.y.tobytes()) == (two.x.tobytes(), two.y.tobytes())


@pytest.mark.parametrize("name", ["circle", "sphere", "gaussian"])
def test_load__draws_other_samples_for_another_seed(name):
    assert not np.isin(mf.datasets.load(name, seed=1).x, mf.datasets.load(name, seed=0).x).any()


@pytest.mark.parametrize("name", ["circle", "sphere"])
def test_load__puts_inputs_on_the_sphere(name):
    np.testing.assert_allclose(np.linalg.norm(mf.datasets.load(name, n=50).x, axis=1), 1.0, rtol=1e-15)


def test_load__adds_noise_of_the_size_asked_for():
    z = (mf.datasets.load("sphere", n=10_000, noise=0.5).y - mf.datasets.load("sphere", n=10_000).y) / 0.5
    assert abs(z.mean()) <= 4 / 10_000**0.5
    assert abs((z**2).mean() - 1) <= 4 * (2 / 10_000) ** 0.5


def test_load__takes_the_classes_named():
    classes = sklearn.datasets.load_digits().target
    data = mf.datasets.load("digits", positive=[3], negative=[8, 9])
    assert ((data.y == 1).sum(), (data.y == -1).sum()) == ((classes == 3).sum(), np.isin(classes, [8, 9]).sum())


def test_load__gives_diabetes_with_mean_0_and_variance_1():
    y = mf.datasets.load("diabetes").y
    np.testing.assert_allclose([y.mean(), y.var()], [0.0, 1.0], atol=1e-14)


LOAD_REFUSALS = [
    ({"name": "whine"}, "`name` must be a known data set: got 'whine'. Did you mean 'wine'?"),
    (
        {"name": "wine", "n": 10},
        "data set 'wine' takes only its own options: got 'n'. Choose one of: classes, negative, positive",
    ),
    ({"name": "circle", "dimm": 2}, "data set 'circle' takes only its own options: got 'dimm'"),
    ({"name": "diabetes", "seed": 1}, "data set 'diabetes' takes only its own options: got 'seed'. It takes none."),
    ({"name": "wine", "positive": [7]}, "`positive` and `negative` must name classes of the set: got [7]"),
    ({"name": "wine", "positive": [1]}, "`positive` and `negative` must not share a class: got [1]"),
    ({"name": "wine", "scale": "standrad"}, "got 'standrad'. Did you mean 'standard'?"),
    ({"name": "circle", "seed": -1}, "`seed` must be a whole number"),
    ({"name": "circle", "n": 2.5}, "`n` must be a whole number"),
    ({"name": "gaussian", "dim": 0}, "`dim` must be a whole number >= 1: got 0"),
    ({"name": "sphere", "noise": -1.0}, "`noise` must be a finite number >= 0: got -1.0"),
]


@pytest.mark.parametrize(("options", "message"), LOAD_REFUSALS, ids=[str(options) for options, _ in LOAD_REFUSALS])
def test_load__refuses(options, message):
    with pytest.raises(mf.InputError) as caught:
        mf.datasets.load(**options)
    assert message in str(caught.value)


def write_csv(path, x, y):
    lines = [",".join(map(repr, map(float, [*row, target]))) for row, target in zip(x, y, strict=True)]
    path.write_text("\n".join(["a,b,c,y", *lines]))


def write_hdf5(path, x, y):
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = x, y


WRITERS = {
    "csv": write_csv,
    "npz": lambda path, x, y: np.savez(path, x=x, y=y),
    "h5": write_hdf5,
    "hdf5": write_hdf5,
    "nc": lambda path, x, y: xarray.Dataset({"x": (("n", "d"), x), "y": ("n", y)}).to_netcdf(path, engine="h5netcdf"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_read__gives_the_same_samples_from_every_kind_of_file(kind, tmp_path, samples):
    data, path = samples(n=20), tmp_path / f"mine.{kind}"
    WRITERS[kind](path, data.x, data.y)
    got = mf.datasets.read(path)
    assert (got.x.tobytes(), got.y.tobytes()) == (data.x.tobytes(), data.y.tobytes())


@pytest.mark.parametrize(("x", "rows"), [(None, [[1, 2]]), ("b", [[2]]), (["b", "a"], [[2, 1]])])
def test_read__takes_the_columns_named(tmp_path, x, rows):
    (tmp_path / "mine.csv").write_text("a,b,y\n1,2,3\n")
    assert mf.datasets.read(tmp_path / "mine.csv", x).x.tolist() == rows


TUMOURS = "radius,name,kind\n1,x,benign\n2,y,malignant\n3,z,unknown\n4,w, benign\n"


def test_read__takes_the_classes_named_of_a_column_of_text(tmp_path):
    (tmp_path / "a.csv").write_text(TUMOURS)
    data = mf.datasets.read(tmp_path / "a.csv", x="radius", y="kind", positive=["malignant"], negative=["benign"])
    assert (data.x.tolist(), data.y.tolist()) == ([[1.0], [2.0], [4.0]], [-1.0, 1.0, -1.0])


@pytest.mark.parametrize("classes", [([2, 3], [0]), (["2", "3"], ["0"])], ids=str)
@pytest.mark.parametrize("odd", ["7", "other"])
def test_read__takes_classes_that_are_numbers_or_partly_words(tmp_path, classes, odd):
    (tmp_path / "a.csv").write_text(f"a,y\n1,0\n2,2\n3,3\n4,{odd}\n")
    positive, negative = classes
    if odd == "7" and positive == ["2", "3"]:
        with pytest.raises(mf.InputError, match=r"must name classes of the set: got .'2', '3'.. It has 0, 2, 3, 7"):
            mf.datasets.read(tmp_path / "a.csv", positive=positive, negative=negative)
        return
    data = mf.datasets.read(tmp_path / "a.csv", positive=positive, negative=negative)
    assert (data.x[:, 0].tolist(), data.y.tolist()) == ([1.0, 2.0, 3.0], [-1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"positive": ["malign"], "negative": ["benign"]}, "got ['malign']. It has 'benign', 'malignant', 'unknown'."),
        ({"positive": ["benign"], "negative": ["benign"]}, "must not share a class: got ['benign']"),
        ({"positive": [], "negative": ["benign"]}, "must name classes of the set: got []"),
        ({"positive": ["benign"]}, "a file's classes need both `positive` and `negative`"),
    ],
)
def test_read__refuses_classes(tmp_path, classes, message):
    (tmp_path / "a.csv").write_text(TUMOURS)
    with pytest.raises(mf.InputError) as caught:
        mf.datasets.read(tmp_path / "a.csv", x="radius", y="kind", **classes)
    assert message in str(caught.value)


def test_read__refuses_a_class_that_is_missing(tmp_path):
    (tmp_path / "a.csv").write_text("a,y\n1,benign\n2,malignant\n3,\n")
    with pytest.raises(mf.InputError, match=r"got '' in line 4, column 'y' of .*Fill in missing cells"):
        mf.datasets.read(tmp_path / "a.csv", positive=["malignant"], negative=["benign"])


BAD_FILES = [  # name, contents, error, message
    ("a.npz", {"xx": np.ones((2, 1)), "y": np.ones(2)}, mf.InputError, "got no 'x'. Did you mean 'xx'?"),
    ("a.npz", {"x": np.ones((2, 1)), "y": np.ones(3)}, mf.InputError, "one row a sample each: got 2 and 3"),
    ("a.npz", {"x": np.array([[None]]), "y": np.ones(1)}, mf.StorageError, "Object arrays cannot be loaded"),
    ("a.npz", pickle.dumps({"x": 1}), mf.StorageError, "a.npz cannot be read: "),
    ("a.npz", b"", mf.StorageError, "a.npz cannot be read: "),
    ("a.h5", b"no HDF5", mf.StorageError, "a.h5 cannot be read: "),
    ("a.txt", "1 2 3", mf.InputError, "a data file must end in .csv, .tsv, "),
]


@pytest.mark.parametrize(("name", "content", "error", "message"), BAD_FILES)
def test_read__refuses(tmp_path, name, content, error, message):
    path = tmp_path / name
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error) as caught:
        mf.datasets.read(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["h5", "nc", "npz"])
def test_read__names_the_variable_nearest_to_a_missing_one(tmp_path, samples, kind):
    WRITERS[kind](tmp_path / f"mine.{kind}", samples().x, samples().y)
    with pytest.raises(mf.InputError, match=r"got no 'yy'\. Did you mean 'y'\?"):
        mf.datasets.read(tmp_path / f"mine.{kind}", y="yy")


def test_read__does_not_take_a_list_of_columns_of_arrays(tmp_path, samples):
    WRITERS["npz"](tmp_path / "mine.npz", samples().x, samples().y)
    with pytest.raises(mf.InputError, match="`x` must be one array's name here"):
        mf.datasets.read(tmp_path / "mine.npz", x=["a", "b"])


def test_read__says_that_there_is_no_such_file(tmp_path):
    with pytest.raises(mf.StorageError, match=r"no such file: .*none.csv"):
        mf.datasets.read(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(mf.StorageError, match=r"folder.csv \(it is a folder\)"):
        mf.datasets.read(tmp_path / "folder.csv")


def test_read__never_unpickles(tmp_path):
    """A pickle that leaves a mark when it is loaded."""
    mark = tmp_path / "mark"

    class Marks:
        def __reduce__(self):
            return (open, (str(mark), "w"))

    (tmp_path / "a.npz").write_bytes(pickle.dumps(Marks()))
    np.savez(tmp_path / "b.npz", x=np.array([[Marks()]], dtype=object), y=np.ones(1))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(mf.StorageError):
            mf.datasets.read(tmp_path / name)
    assert not mark.exists()


def test_logistic__refuses_targets_that_are_no_labels(samples, cloud):
    with pytest.raises(mf.InputError, match="labels must be -1 or 1 here"):
        mf.simulate(mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(0.1), steps=1, loss="logistic")
