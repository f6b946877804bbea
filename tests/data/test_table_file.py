"""CSV files: as spreadsheets and programs write them, and what is said by line and column of those that will not do."""

import csv
import random
import struct

import numpy as np
import pytest

import particles as mf
from particles.data import table_file


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
    ("a,b,y\n1,NA,3\n", mf.InputError, "a.csv. Fill it in, or remove the row."),
    ("a,sex,y\n1,male,3\n", mf.InputError, "Name the inputs' columns (`x`), or encode the text as numbers."),
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
    ("a;b;y\n1,234;2;3\n", mf.InputError, "a decimal comma must be one: got '1,234' in "),
    ('a,b,y\n1,"2,5",3\n', mf.InputError, "got '2,5' in line 2, column 'b' of "),
    ("a,b,y\n1,5,2,3\n", mf.InputError, "With decimal commas columns need another separator, such as ;."),
    ("a;b,y\n1;2,3\n", mf.InputError, "one separator must split a table: got ',' or ';' in "),
    ("t,a,y\n2024-01-1,1,2\n", mf.InputError, "A date is no number: name the inputs' columns without it (`x`)"),
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
