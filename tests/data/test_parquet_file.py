"""Parquet files: the samples of the same table as CSV, faults by row, and what is said without pyarrow."""

import sys

import numpy as np
import pandas
import pytest

import particles as mf

TABLE = {
    "id": ["s1", "s2", "s3", None],
    "n": [1, 2, 3, 2**40],
    "f": [0.1, None, 0.3, 1e-300],
    "kind": ["u", "v", None, "u"],
    "north": [True, False, True, True],
    "y": [1.0, 2.5, 3.0, 4.0],
}


def written(folder, table=TABLE, **columns):
    """The table as Parquet and as CSV."""
    frame = pandas.DataFrame(table).astype(columns)
    frame.to_parquet(folder / "a.parquet")
    frame.to_csv(folder / "a.csv", index=False)
    return frame


def test_read__refuses_parquet_without_pyarrow(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(mf.InputError, match=r"need the package pyarrow: got .*a.parquet without it. Run `pip install"):
        mf.datasets.read(tmp_path / "a.parquet")


@pytest.mark.parametrize("missing", ["drop", "mean"])
@pytest.mark.parametrize("columns", [{}, {"kind": "category", "n": "Int64"}], ids=["plain", "categories"])
def test_read__gives_the_samples_of_the_same_csv(tmp_path, missing, columns):
    pytest.importorskip("pyarrow")
    written(tmp_path, **columns)
    one, two = (
        mf.datasets.read(tmp_path / name, drop=["id"], one_hot=["kind"], missing=missing)
        for name in ("a.parquet", "a.csv")
    )
    assert (one.x.tobytes(), one.y.tobytes()) == (two.x.tobytes(), two.y.tobytes())
    assert one.x.shape == ({"drop": 2, "mean": 4}[missing], 5)


def test_read__leaves_out_the_index_that_pandas_adds(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "y": [3.0, 4.0]}, index=[7, 9])
    frame.to_parquet(tmp_path / "a.parquet")
    assert mf.datasets.read(tmp_path / "a.parquet").x.tolist() == [[1.0], [2.0]]


def test_read__names_every_fault_of_parquet_by_row(tmp_path):
    pytest.importorskip("pyarrow")
    written(tmp_path, TABLE | {"day": pandas.to_datetime(["2024-01-01"] * 4)})
    with pytest.raises(mf.InputError) as caught:
        mf.datasets.read(tmp_path / "a.parquet")
    for text in (
        "'s1' in row 0, column 'id' (and 3 more in this column)",
        "'nan' in row 1, column 'f'",
        "A date is no number",
    ):
        assert text in str(caught.value)


def test_read__takes_classes_of_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    written(tmp_path)
    data = mf.datasets.read(tmp_path / "a.parquet", "n", "kind", positive=["u"], negative=["v"], missing="drop")
    np.testing.assert_array_equal(data.y, [1.0, -1.0, 1.0])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_read__refuses_what_is_no_parquet(tmp_path, content):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(mf.StorageError, match=r"a\.parquet cannot be read"):
        mf.datasets.read(tmp_path / "a.parquet")


def test_read__refuses_two_columns_of_one_name_in_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import Table, array, parquet

    table = Table.from_arrays([array([1.0, 2.0]), array([3.0, 4.0]), array([5.0, 6.0])], names=["a", "a", "y"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(mf.InputError, match="a header must name each column once: got 'a' again"):
        mf.datasets.read(tmp_path / "a.parquet")
