"""CSV files: as spreadsheets and programs write them, and what is said by line and column of those that will not do."""

import csv
import gzip
import random
import struct
import tracemalloc

import numpy as np
import pytest

import particles as mf
from particles.data import table_file
from particles.data.columns import Cells
from particles.files import gzip_bytes


def read(tmp_path, text, **columns):
    path = tmp_path / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return mf.datasets.read(path, **columns)


SPREADSHEETS = [
    "a,b,y\r\n1,2,3\r\n",
    "\ufeffy,a,b\n3,1,2\n",
    " a , b ,y\n 1, 2 ,3",
    "y,a,b\n3,1,2\n",
    '\ufeff"a", "b","y"\r\n"1","2","3"\r\n',
    "a,b,y\r1,2,3\r",
    "\na,b,y\n\n# measured twice\n1e0,+2,3.\n\n",
    "a;b;y\n1;2;3\n",
    "a\tb\ty\n1\t2\t3\n",
    "a|b|y\n1|2|3\n",
    "sep=;\na;b;y\n1,0;2;3\n",
    '\ufeff"sep=,"\r\na,b,y\r\n1,2,3\r\n',
    '# exported, by X\n# 5" disc, "old\na,b,y\n1,2,3\n',
    "# a,b,y\n1,2,3\n",
    "a,b,y\n# twice, see the notes\n1,2,3\n",
    "a,b,y\n,,\n1,2,3\n,,\n\n",
    "a,b,y\r# old Mac\r1,2,3\r",
    "a;x,b,y\n1,2,3\n",
    "Width, mm;b;y\n1,0;2,0;3\n",
    "a,b,y\nTRUE,2,3\n",
    "a,b,y,note\n1,2,3,\n",
]


@pytest.mark.parametrize("text", SPREADSHEETS)
def test_read__takes_csv_as_spreadsheets_write_it(tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    data = mf.datasets.read(path, x=None if "note" not in text or "notes" in text else ["a", "b"])
    assert (data.x.tolist(), data.y.tolist()) == ([[1.0, 2.0]], [3.0])


def test_read__rounds_every_number_as_python_does(tmp_path):
    draw = random.Random(3)
    bits = [struct.unpack("d", draw.randbytes(8))[0] for _ in range(500)]
    long = [f"{draw.getrandbits(90)}.{draw.getrandbits(150)}e{draw.randint(-330, 250)}" for _ in range(500)]
    words = [word for word in [*map(repr, bits), *long, "1e-400", "007", "+.5e1"] if np.isfinite(float(word))]
    data = read(tmp_path, "a,y\n" + "".join(f"{word},0\n" for word in words))
    assert data.x[:, 0].tolist() == [float(word) for word in words]


def test_read__has_no_row_lost_that_begins_with_a_mark_of_comments(tmp_path):
    data = read(tmp_path, "id,a,y\ns1,1,2\n#2,3,4\n# a note\n#3,5,6\n", x=["a"])
    assert (data.x.tolist(), data.y.tolist()) == ([[1.0], [3.0], [5.0]], [2.0, 4.0, 6.0])


@pytest.mark.parametrize("separator", ";\t|")
def test_read__takes_decimal_commas(tmp_path, separator):
    text = "a;b;y\n12,5;-3,25;1\n-1,5;1,234;2\n0,001;7;3,5e1\n".replace(";", separator)
    data = read(tmp_path, text)
    assert data.x.tolist() == [[12.5, -3.25], [-1.5, 1.234], [0.001, 7.0]] and data.y.tolist() == [1.0, 2.0, 35.0]


def test_read__takes_decimal_commas_beside_classes(tmp_path):
    data = read(tmp_path, "a;y\n1,5;x\n2;z\n", positive=["x"], negative=["z"])
    assert (data.x.tolist(), data.y.tolist()) == ([[1.5], [2.0]], [1.0, -1.0])


def test_read__takes_true_and_false_as_1_and_0_and_as_names_of_classes(tmp_path):
    text = "a,b,y\nTrue,1,False\nfalse,2,True\n"
    assert read(tmp_path, text).x.tolist() == [[1.0, 1.0], [0.0, 2.0]] and read(tmp_path, text).y.tolist() == [0.0, 1.0]
    assert read(tmp_path, text, positive=["True"], negative=["False"]).y.tolist() == [-1.0, 1.0]


def naive(text, separator):
    """The csv module, cell by cell."""
    rows = list(csv.reader(text.splitlines(), delimiter=separator))[1:]
    table = np.array([[float(cell.replace(",", ".")) for cell in row] for row in rows])
    return table[:, :-1], table[:, -1]


@pytest.mark.parametrize("separator", ",;\t|")
@pytest.mark.parametrize("seed", range(3))
def test_read__agrees_with_a_naive_reader(tmp_path, separator, seed):
    draw = random.Random(seed)
    mark = "." if separator == "," else draw.choice(".,")
    forms = ["{:.3f}", "{:g}", "{:.0f}", "{:e}", '"{:.2f}"', "+{:.17g}"]

    def cell():
        return draw.choice(forms).format(abs(draw.gauss(0, 9))).replace(".", mark)

    rows = [separator.join(["12" + mark + "5", *(cell() for _ in range(3))]) for _ in range(30)]
    text = "\n".join([separator.join("abcy"), *rows]) + "\n"
    data = read(tmp_path, text)
    x, y = naive(text, separator)
    assert (data.x == x).all() and (data.y == y).all()


BAD_TABLES = [
    ("a,b,y\n1,nan,3\n", mf.InputError, "cells must be finite numbers: got 'nan' in line 2, column 'b' of "),
    ("a,b,y\n1,2,inf\n", mf.InputError, "finite numbers: got 'inf' in line 2, column 'y' of "),
    (
        "a,b,y\n1,NA,3\n",
        mf.InputError,
        "a.csv. Fill in missing cells, or leave out their rows or use the column's mean (`missing`).",
    ),
    ("a,sex,y\n1,male,3\n", mf.InputError, "each value of the text (`one_hot`), or leave out its column (`drop`)."),
    ("a,y\n1,0\n2,benign\n", mf.InputError, "got 'benign' in line 3, column 'y' of "),
    ("a,y\n1,benign\n", mf.InputError, "which is 1 and which -1: `positive` and `negative`"),
    ('a,y\n1,"two\nlines"\n', mf.InputError, "in line 3, column 'y'"),
    ("1,2,3\n4,5,6\n", mf.InputError, "the first line must name the columns: got numbers, 1, 2, 3, in "),
    (",a,y\n0,1,2\n", mf.InputError, "a header must name each column: got none for column 1 of "),
    ("a,y,\n1,2,\n", mf.InputError, "a header must name each column: got none for column 3 of "),
    ("a,b,y\n", mf.InputError, "a data file needs at least one row"),
    ("a,b,y\n\n\n", mf.InputError, "a data file needs at least one row"),
    ("", mf.InputError, "a data file needs at least one row"),
    ("a,b,y\n1,2,3\n4,5\n", mf.InputError, "the header's columns: got 2 for 3 in line 3 of "),
    ("a,b,y\n1,2\n4,5\n", mf.InputError, "every row must have the header's columns: got 2 for 3"),
    ("a,b,y\r\n\r\n1,2,3\r\n4,5,6,7\r\n", mf.InputError, "the header's columns: got 4 for 3 in line 4 of "),
    ("a,b,y\n1,,3\n", mf.InputError, "cells must be finite numbers: got '' in line 2, column 'b' of "),
    ("a,b,yy\n1,2,3\n", mf.InputError, "must hold the variables asked for: got no 'y'. Did you mean 'yy'?"),
    ("y\n1\n", mf.InputError, "input"),
    ("a,a,y\n1,2,3\n", mf.InputError, "a header must name each column once: got 'a' again in "),
    (b"\xff\xfe\x00", mf.StorageError, "a.csv cannot be read as CSV: "),
    ("größe,y\n1,2\n".encode("latin-1"), mf.StorageError, "Save it as UTF-8 text."),
    ("a;b;y\n1,5;2;3\n1.5;2;3\n", mf.InputError, "got '1.5' in line 3, column 'a' of "),
    ("a;b;y\n1.234,5;2;3\n", mf.InputError, "Write 1.5 for a fraction and 1234 for a thousand, in every cell."),
    ("a;b;y\n1.234,5;2,5;3\n", mf.InputError, "Write 1,5 for a fraction and 1234 for a thousand, in every cell."),
    ("a;b;y\n1,234;2;3\n", mf.InputError, "a decimal comma must be one: got '1,234' in "),
    ('a,b,y\n1,"2,5",3\n', mf.InputError, "got '2,5' in line 2, column 'b' of "),
    ("a,b,y\n1,5,2,3\n", mf.InputError, "With decimal commas columns need another separator, such as ;."),
    (
        "a,b,y\n1\n1,2,3\n4,5\n6,7,8,9\n",
        mf.InputError,
        "1 for 3 in line 2; 2 for 3 in line 4; 4 for 3 in line 5 of ",
    ),
    ("a,y\n" + "1\n" * 9, mf.InputError, "1 for 2 in line 6, and 4 more lines of "),
    ("a;b,y\n1;2,3\n", mf.InputError, "one separator must split a table: got ',' or ';' in "),
    ("t,a,y\n2024-01-1,1,2\n", mf.InputError, "A date is no number: leave out its column (`drop`), or write days"),
    ("a,y\n1,03.04.2024 10:15\n", mf.InputError, "A date is no number: write days since a day."),
    ("# c\n\nid,a,y\n1,2,3\n#2,3\n", mf.InputError, "the header's columns: got 2 for 3 in line 5 of "),
    ("a,b,y,note\n1,2,3,x\n4,5,6\n", mf.InputError, "the header's columns: got 3 for 4 in line 3 of "),
    ("a,b,y\n1,2,3\n4,5,6,7,8\n", mf.InputError, "the header's columns: got 5 for 3 in line 3 of "),
    ("# c\n\na,b,y\n\n# d\n,,\n1,2,3\n1,x,3\n", mf.InputError, "got 'x' in line 8, column 'b' of "),
    ('a,b,y\n# x, "\n1,2,3\n# z, "\n4,5,6\n', mf.InputError, "got a quotation mark without an end before line 4 of "),
    ("a;y\n99999999999999999999;x\n", mf.InputError, "got 'x' in line 2, column 'y' of "),
    ("t,a,y\n03.04.2024,1,2\n", mf.InputError, "A date is no number"),
    ('a,b,y\n1,2,"3\n', mf.StorageError, "a.csv cannot be read as CSV: "),
    ("a,b,y\n1,2\0,3\n", mf.InputError, "in line 2, column 'b' of "),
]


@pytest.mark.parametrize(("content", "error", "message"), BAD_TABLES)
def test_read__refuses(tmp_path, content, error, message):
    with pytest.raises(error) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["sep=;\n# c\nä;b\n", "ä,b\r\n1,2\r\n", "\ufeffä\tb\n1,5\t2", "# ä,b\n1,2\n"])
def test_header__is_found(text, tmp_path):
    assert table_file.header(text.encode(), tmp_path / "a.csv") == ["ä", "b"]


@pytest.mark.parametrize("x", [["a", "y"], ["a", "a"], "y"])
def test_read__refuses_a_column_twice_and_the_target_as_an_input(tmp_path, x):
    (tmp_path / "a.csv").write_text("a,b,y\n1,2,3\n4,5,6\n")
    with pytest.raises(mf.InputError, match="`x` must name each column once, and not the target's"):
        mf.datasets.read(tmp_path / "a.csv", x=x)


def test_read__names_every_column_that_has_a_fault(tmp_path):
    text = "a,b,c,y\n1,x,3,4\n?,z,3,5\n1,2,inf,6\n1,2,3,\n"
    with pytest.raises(mf.InputError) as caught:
        read(tmp_path, text)
    found = (
        "'x' in line 2, column 'b' (and 1 more in this column); '?' in line 3, column 'a'; 'inf' in line 4, column 'c'"
    )
    assert f"got {found}; '' in line 5, column 'y' of " in str(caught.value)
    names = ",".join(f"c{k}" for k in range(50))
    with pytest.raises(mf.InputError, match=r"column 'c7'; and others in 42 more columns of "):
        read(tmp_path, f"{names},y\n{'x,' * 50}1\n", y="y")


OWN = "id,a,sex,y\ns1,1,m,3\ns2,,f,4\ns3,9,m,5\ns4,2,,7\ns5,3,f,NA\n"


def test_read__leaves_out_rows_with_a_missing_cell(tmp_path):
    data = read(tmp_path, OWN, drop=["id"], one_hot=["sex"], missing="drop")
    assert (data.x.tolist(), data.y.tolist()) == ([[1.0, 0.0, 1.0], [9.0, 0.0, 1.0]], [3.0, 5.0])


def test_read__fills_missing_inputs_with_means_and_leaves_out_rows_without_a_target(tmp_path):
    """Of a column of text the mean is the share of each value."""
    data = read(tmp_path, OWN, drop="id", one_hot="sex", missing="mean")
    third = 1.0 / 3.0
    rows = [[1.0, 0.0, 1.0], [4.0, 1.0, 0.0], [9.0, 0.0, 1.0], [2.0, third, 1.0 - third]]
    np.testing.assert_allclose(data.x, rows, rtol=1e-15)
    assert data.y.tolist() == [3.0, 4.0, 5.0, 7.0]


def test_read__leaves_out_rows_without_a_class(tmp_path):
    for missing in ("drop", "mean"):
        data = read(tmp_path, "a,y\n1,b\n2,\n3,c\n", positive=["b"], negative=["c"], missing=missing)
        assert (data.x.tolist(), data.y.tolist()) == ([[1.0], [3.0]], [1.0, -1.0])


def test_read__has_a_column_for_each_value_also_of_numbers_and_none(tmp_path):
    data = read(tmp_path, "pool,month,y\nnone,2,1\nbig,12,2\nnone,2,3\n", one_hot=["month", "pool"])
    assert data.x.tolist() == [[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]


@pytest.mark.parametrize("separator", ";\t|")
def test_read__takes_decimal_commas_beside_text_and_missing_cells(tmp_path, separator):
    text = "a;kind;y\n1,5;x;2\n;z;1,25\n2,5;x;\n".replace(";", separator)
    data = read(tmp_path, text, one_hot="kind", missing="drop")
    assert (data.x.tolist(), data.y.tolist()) == ([[1.5, 1.0, 0.0]], [2.0])


BAD_CHOICES = [
    ({"drop": ["idd", "k"]}, "must hold the variables asked for: got no 'idd', no 'k'. Did you mean 'id'?"),
    ({"drop": "y"}, "`drop` must not name the target or a column of `x`: got 'y'"),
    ({"drop": "a", "x": ["a"]}, "`drop` must not name the target or a column of `x`: got 'a'"),
    ({"one_hot": "y"}, "`one_hot` must name columns of inputs: got 'y'"),
    ({"one_hot": "id", "x": ["a"]}, "`one_hot` must name columns of inputs: got 'id'"),
    ({"missing": "median"}, '`missing` must be "drop" or "mean": got \'median\''),
    ({"x": ["a"], "missing": "mean"}, "got 'x' in line 2, column 'a' of "),
]


@pytest.mark.parametrize(("columns", "message"), BAD_CHOICES, ids=[message for _, message in BAD_CHOICES])
def test_read__refuses_a_choice_of_columns(tmp_path, columns, message):
    with pytest.raises(mf.InputError) as caught:
        read(tmp_path, "id,a,y\ns1,x,3\ns2,2,4\n", **columns)
    assert message in str(caught.value)


def test_read__refuses_text_of_too_many_values_and_tables_without_a_whole_row(tmp_path):
    with pytest.raises(mf.InputError, match=r"may have 100 different values: got 101 in column 'id' of .*`drop`"):
        read(tmp_path, "id,y\n" + "".join(f"s{k},1\n" for k in range(101)), one_hot="id")
    with pytest.raises(mf.InputError, match="needs a row without a missing cell"):
        read(tmp_path, "a,b,y\n1,,3\n,2,3\n", missing="drop")
    with pytest.raises(mf.InputError, match="a column needs a cell that is not missing: got none in 'b' of"):
        read(tmp_path, "a,b,y\n1,,3\n2,,3\n", missing="mean")


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_read__takes_no_short_row_for_one_with_missing_cells(tmp_path, missing):
    with pytest.raises(mf.InputError, match="2 for 3 in line 3 of"):
        read(tmp_path, "a,b,y\n1,2,3\n4,5\n", missing=missing)


@pytest.mark.parametrize("name", ["a.tsv", "A.TSV", "a.csv.gz", "a.tsv.gz"])
def test_read__takes_tabs_and_packed_tables(tmp_path, name):
    tabbed = ".tsv" in name.lower()
    text = ("a\tx,b;c\ty\n1\t2\t3\n" if tabbed else "a,b,y\n1,2,3\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    data = mf.datasets.read(tmp_path / name)
    assert (data.x.tolist(), data.y.tolist()) == ([[1.0, 2.0]], [3.0])


PACKED = gzip.compress(b"a,y\n1,2\n")
BAD_PACKED = [
    (PACKED[:-3], "cannot be read as gzip: Compressed file ended"),
    (b"a,y\n1,2\n", "cannot be read as gzip: Not a gzipped file"),
    (PACKED[:12] + b"\xff" + PACKED[13:], "cannot be read as gzip: "),
    (gzip.compress(bytes(10**5)), "unpacks to more than 0 MB"),
]


@pytest.mark.parametrize(("content", "message"), BAD_PACKED, ids=[message for _, message in BAD_PACKED])
def test_read__refuses_packed_tables_that_are_none(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(gzip_bytes, "unpacked_at_most", lambda size: 10**4)
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(mf.StorageError, match=message):
        mf.datasets.read(tmp_path / "a.csv.gz")


def test_read__takes_one_class_for_a_list_of_one(tmp_path):
    content = "a,y\n1,yes\n2,no\n3,no\n"
    assert read(tmp_path, content, positive="yes", negative="no").y.tolist() == [1.0, -1.0, -1.0]
    assert read(tmp_path, "a,y\n1,7\n2,3\n", positive=7, negative=3).y.tolist() == [1.0, -1.0]


def test_read__needs_no_room_for_the_longest_text_in_every_row(tmp_path):
    """An array of NumPy's texts would have 20 000 rows of 100 000 characters, 8 GB."""
    content = "s,y\n" + "x" * 100_000 + ",1\n" + "short,2\n" * 20_000
    tracemalloc.start()
    data = read(tmp_path, content, one_hot="s")
    assert tracemalloc.get_traced_memory()[1] < 2e8
    tracemalloc.stop()
    assert data.x[:2].tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_read__looks_up_the_columns_of_a_wide_table_once(tmp_path, monkeypatch):
    """20 000 genes took two minutes."""
    calls = []
    places = Cells.places.fget
    monkeypatch.setattr(Cells, "places", property(lambda cells: calls.append(1) or places(cells)))
    names = [f"c{k}" for k in range(500)]
    data = read(tmp_path, ",".join([*names, "y"]) + "\n" + ",".join(map(str, range(501))) + "\n")
    assert data.x[0].tolist() == list(range(500)) and len(calls) <= 2
