"""`particles new`: a configuration for a file of one's own that runs as it is, and nothing written elsewhere."""

import json
import tomllib

import h5py
import numpy as np
import pandas
import pytest
from support.commands import called
from support.daily import some

import particles as mf
from particles.configuration.config import read_toml
from particles.experiments import build
from particles.experiments.plan import plan


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with some data files, the current one."""
    folder = tmp_path / "inner" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    x = np.random.default_rng(0).standard_normal((24, 2))
    tables = {"two": x[:, 0] > 0, "many": 1e5 * x[:, 0] + 3e5, "few": x[:, 0].round()}
    for name, y in tables.items():
        text = "a,b,target\n" + "".join(f"{p},{q},{float(v)}\n" for (p, q), v in zip(x, y, strict=True))
        (folder / f"{name}.csv").write_text(text)
    return folder


@pytest.mark.parametrize(("data", "loss"), [("two", "logistic"), ("many", "squared"), ("few", "squared")])
def test_new__chooses_the_loss_by_the_targets(here, capsys, data, loss):
    code, out, err = called(capsys, "new", "mine", "--data", f"{data}.csv")
    assert (code, err) == (0, "") and "next: particles run mine.toml" in out
    raw = tomllib.loads((here / "mine.toml").read_text())
    assert raw["loss"] == loss and raw["data"]["file"] == f"{data}.csv" and raw["data"]["y"] == "target"
    assert raw["start"]["count"] == [64, 256, 1024] and "limit" in raw


@pytest.mark.parametrize("data", some(["two", "many"], "two"))
def test_new__writes_what_check_and_run_take(here, capsys, data):
    called(capsys, "new", "mine", "--data", f"{data}.csv")
    assert called(capsys, "check", "mine.toml")[0] == 0
    few = ("--set", "steps=4", "--set", "record.every=2", "--set", "limit.nodes=64", "--set", "start.count=[8,16]")
    code, out, _ = called(capsys, "run", "mine.toml", *few)
    assert code == 0 and "Distance from the limit" in out
    assert (here / "out/mine/mine.png").stat().st_size > 10_000
    with h5py.File(here / "out/mine/sweep.h5") as file:
        assert (file["loss"][..., -1] < file["loss"][..., 0]).all()


def test_new__takes_names_in_quotes_as_spreadsheets_write_them(here, capsys):
    rows = "".join(f"0.{k},{k},1{k}\n" for k in range(1, 9))
    (here / "quoted.csv").write_text('"a,b","say ""x""","<b>y</b>"\n' + rows, encoding="utf-8")
    assert called(capsys, "new", "mine", "--data", "quoted.csv", "--y", "<b>y</b>")[0] == 0
    code, _, error = called(capsys, "new", "mine", "--data", "quoted.csv", "--y", "a", "--force")
    assert code == 2 and """It has a,b, say "x", <b>y</b>""" in error
    assert called(capsys, "check", "mine.toml")[0] == 0


def test_new__scales_targets_by_the_training_part(here, capsys):
    """NumPy on the file's own column, whose mean is far from 0."""
    called(capsys, "new", "mine", "--data", "many.csv")
    made = plan(read_toml(here / "mine.toml"), here)
    train, test = build.data(made.cases[0].config.data, here, made.cases[0].identity)
    assert abs(train.y.mean()) < 1e-12 and train.y.std() == pytest.approx(1.0)
    y = np.loadtxt("many.csv", delimiter=",", skiprows=1)[:, 2]
    both = np.sort(np.concatenate([train.y, test.y]))
    slope, shift = np.polyfit(both, np.sort(y), 1)
    np.testing.assert_allclose(slope * both + shift, np.sort(y), rtol=1e-10)


def class_table(kind, n=36):
    """A table of two inputs and a target of several values, each of which stands in many rows."""
    columns = {
        "words": ("colour", ["red", "green, # 2", 'blue "x"']),
        "numbers": ("class", [7, 3, 12]),
        "numbered": ("target", [0, 1, 2]),
        "counts": ("y", [0, 1, 2]),
        "halves": ("class", [0.5, 1.0, 2.0]),
        "gaps": ("target", [0, 1, 3]),
    }
    name, values = columns[kind]
    rows = [{"a": k % 7, "b": k % 5, name: values[k % 3]} for k in range(n)]
    return name, [str(value) for value in sorted(values)], pandas.DataFrame(rows)


@pytest.mark.parametrize("kind", ["words", "numbers", "numbered"])
def test_new__gives_each_of_several_classes_an_output(here, capsys, kind):
    name, classes, table = class_table(kind)
    table.to_csv(here / "own.csv", index=False)
    code, out, err = called(capsys, "new", "own.csv", "--y", name)
    about = f"36 samples, 2 inputs, target '{name}', 3 classes, softmax loss, tanh"
    assert (code, err) == (0, "") and about in " ".join(out.split())
    raw = tomllib.loads((here / "own.toml").read_text())
    assert (raw["loss"], raw["data"]["classes"], raw["start"]["signs"]) == ("softmax", True, "random")
    assert raw["record"]["variables"][:4] == ["loss", "test_loss", "accuracy", "test_accuracy"]
    assert ("say loss =" in (here / "own.toml").read_text()) == (kind != "words")
    case = plan(raw, here).cases[0]
    train, _ = build.data(case.config.data, here, case.identity)
    assert [str(label) for label in train.classes] == (classes if kind == "words" else sorted(classes, key=int))
    assert called(capsys, "check", "own.toml")[0] == 0


@pytest.mark.parametrize("kind", ["counts", "halves", "gaps"])
def test_new__leaves_numbers_as_they_are_unless_told(here, capsys, kind):
    _, _, table = class_table(kind)
    table.to_csv(here / "own.csv", index=False)
    assert called(capsys, "new", "own.csv")[0] == 0
    raw = tomllib.loads((here / "own.toml").read_text())
    assert raw["loss"] == "squared" and "classes" not in raw["data"] and raw["data"]["target_scale"] == "standard"
    assert called(capsys, "new", "own.csv", "--classes", "--force")[0] == 0
    raw = tomllib.loads((here / "own.toml").read_text())
    assert raw["loss"] == "softmax" and raw["data"]["classes"] is True and "target_scale" not in raw["data"]


def test_new__takes_two_classes_as_two_outputs_if_told(here, capsys):
    assert called(capsys, "new", "two.csv", "--classes")[0] == 0
    raw = tomllib.loads((here / "two.toml").read_text())
    assert raw["loss"] == "softmax" and raw["data"]["classes"] is True and "positive" not in raw["data"]


def test_new__takes_several_targets_of_arrays(here, capsys):
    x = np.random.default_rng(0).standard_normal((24, 4))
    np.savez(here / "arrays.npz", x=x[:, :2], y=x[:, 2:])
    assert called(capsys, "new", "arrays.npz")[0] == 0
    raw = tomllib.loads((here / "arrays.toml").read_text())
    assert raw["loss"] == "squared" and raw["data"]["target_scale"] == "standard"
    assert called(capsys, "check", "arrays.toml")[0] == 0


@pytest.mark.slow
def test_new__learns_the_classes_of_a_table(here, capsys):
    """The shares of the words that the table has, against a rule that two inputs show."""
    x = np.random.default_rng(0).standard_normal((90, 2))
    table = pandas.DataFrame(x, columns=["a", "b"])
    table["class"] = np.array(["low", "middle", "high"])[np.digitize(x[:, 0], [-0.5, 0.5])]
    table.to_csv(here / "own.csv", index=False)
    called(capsys, "new", "own.csv")
    few = ("--set", "start.count=[64]", "--set", "start.seed=[0]", "--set", "limit.nodes=64")
    assert called(capsys, "run", "own.toml", *few, "--no-figure", "--quiet")[0] == 0
    raw = plan(read_toml(here / "own.toml") | {"limit": {"nodes": 64}}, here)
    run = mf.open_run(here / "out/own/runs" / f"{raw.cases[0].key}.h5")
    assert np.mean(run.predict(x, "label") == table["class"]) > 0.85


NAMES = [
    "../../x",
    "..",
    ".x",
    "",
    "/tmp/x",
    "<script>",
    'a"b',
    "a'b",
    "a b",
    "x\n",
    "a" * 65,
    "con",
    "NUL.x",
    "ü",
    "-",
]


@pytest.mark.parametrize("name", NAMES)
def test_new__refuses_a_name_that_is_none(here, tmp_path, capsys, name):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = called(capsys, "new", "--data", "two.csv", "--", name)
    assert (code, out) == (2, "")
    assert err.startswith("particles: NAME must") and err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_new__does_not_write_over_a_file_unless_told(here, capsys):
    (here / "mine.toml").write_text("precious")
    code, _, err = called(capsys, "new", "mine", "--data", "two.csv")
    assert code == 2 and "--force" in err and (here / "mine.toml").read_text() == "precious"
    assert called(capsys, "new", "mine", "--data", "two.csv", "--force")[0] == 0
    assert "precious" not in (here / "mine.toml").read_text()


@pytest.mark.parametrize("name", ['a "b".csv', "a  # b.csv", "a\\b.csv", "ü [x] {y}.csv", "a\nb.csv", "'''.csv"])
def test_new__names_any_file(here, capsys, name):
    (here / "two.csv").rename(here / name)
    assert called(capsys, "new", "mine", "--data", name)[0] == 0
    assert tomllib.loads((here / "mine.toml").read_text())["data"]["file"] == name


def test_new__finds_data_elsewhere(here, capsys):
    (here.parent / "data").mkdir()
    (here / "two.csv").rename(here.parent / "data/two.csv")
    assert called(capsys, "new", "mine", "--data", "../data/two.csv")[0] == 0
    assert called(capsys, "check", "mine.toml")[0] == 0


def test_new__takes_two_classes_of_text(here, capsys):
    rows = [f"{i % 7},{i % 5},{'malignant' if i % 3 else 'benign'}" for i in range(40)]
    (here / "tumours.csv").write_text("\n".join(["a,b,class", *rows]))
    assert called(capsys, "new", "mine", "--data", "tumours.csv")[0] == 0
    raw = tomllib.loads((here / "mine.toml").read_text())
    assert raw["data"]["positive"] == ["malignant"] and raw["data"]["negative"] == ["benign"]
    assert raw["loss"] == "logistic"
    assert called(capsys, "check", "mine.toml")[0] == 0


TABLES = [
    ("Länge;Güte\n1,5;2,5\n2,5;1\n3;4\n", ("--y", "Güte")),
    ("sep=;\na;y\n1,5;2,5\n2,5;1\n", ()),
    ("# Spectrometer\n# of May, 2024\na,b,y\n1,2,3\n4,5,7\n", ()),
    ("a,is_north,y\n1,True,3\n4,False,7\n", ()),
    ("date,a,y\n2024-01-01,2,3\n2024-01-02,5,7\n", ("--x", "a")),
    ("id,a b,c,y\n#1,2,3,4\n#2,5,7,8\n", ("--x", "a b", "c")),
]


@pytest.mark.parametrize(("text", "options"), TABLES, ids=[repr(text) for text, _ in TABLES])
def test_new__writes_what_reads_the_table_again(here, capsys, text, options):
    (here / "table.csv").write_text(text, encoding="utf-8")
    assert called(capsys, "new", "mine", "--data", "table.csv", *options)[0] == 0
    assert called(capsys, "check", "mine.toml")[0] == 0
    assert tomllib.loads((here / "mine.toml").read_text(encoding="utf-8"))["data"].get("x", ["a", "b"])[0][0] == "a"


GERMAN = ";".join(["Länge", "Breite", "Güte"]) + "\n" + "".join(
    f"{k / 7:.3f};{(k * k % 11) / 3:.3f};{k % 5 + 0.25}\n".replace(".", ",") for k in range(30)
)  # fmt: skip
LABORATORY = "# lab 7\n# May\nid,a,b,y\n" + "".join(
    f"p{k},{k % 7}.5,{'' if k % 10 == 3 else k % 4},{'NA' if k == 5 else k % 3}\n" for k in range(30)
)
CATEGORIES = "sex,colour,a,outcome\n" + "".join(
    f"{'mf'[k % 2]},{('red', 'blue', 'green')[k % 3]},{k % 5},{'yes' if k % 7 < 3 else 'no'}\n" for k in range(42)
)
OWN = {
    "german": (GERMAN, ("--y", "Güte"), "30 samples, 2 inputs, target 'Güte', squared loss", {}),
    "dropped": (LABORATORY, ("--drop", "id", "--missing", "drop"), "26 samples, 2 inputs, target 'y', 4 rows with a "
                "missing cell left out, squared loss", {"drop": ["id"], "missing": "drop"}),
    "means": (LABORATORY, ("--x", "a,b", "--missing", "mean"), "29 samples, 2 inputs, target 'y', 4 rows with a "
              "missing cell filled with means, squared loss", {"x": ["a", "b"], "missing": "mean"}),
    "categories": (CATEGORIES, (), "42 samples, 6 inputs, target 'outcome', text in sex, colour, logistic loss",
                   {"one_hot": ["sex", "colour"], "positive": ["yes"]}),
}  # fmt: skip


def test_new__lists_the_inputs_where_text_becomes_several(here, capsys):
    """In the order of the arrays, which `predict` needs."""
    (here / "own.csv").write_text(CATEGORIES)
    assert called(capsys, "new", "own.csv")[0] == 0
    text = (here / "own.toml").read_text(encoding="utf-8")
    order = "sex = f", "sex = m", "colour = blue", "colour = green", "colour = red", "a"
    assert f"as `predict` takes them: {', '.join(map(json.dumps, order))}\n" in text
    x = mf.datasets.read("own.csv", y="outcome", positive=["yes"], negative=["no"], one_hot=["sex", "colour"]).x
    k = np.arange(len(x))
    columns = k % 2 == 1, k % 2 == 0, k % 3 == 1, k % 3 == 2, k % 3 == 0, k % 5
    np.testing.assert_array_equal(x, np.column_stack(columns))


@pytest.mark.parametrize("kind", some(OWN, "categories"))
def test_new__takes_own_tables_from_the_shell_to_the_report(here, capsys, kind):
    text, options, about, keys = OWN[kind]
    (here / "own.csv").write_text(text, encoding="utf-8")
    code, out, _ = called(capsys, "new", "own.csv", *options)
    assert code == 0 and about in " ".join(out.split())
    raw = tomllib.loads((here / "own.toml").read_text(encoding="utf-8"))
    assert raw["data"] | keys == raw["data"] and raw["record"]["variables"][-2:] == ["position", "output_weight"]
    assert called(capsys, "check", "own.toml")[0] == 0
    few = ("--set", "steps=4", "--set", "record.every=2", "--set", "limit.nodes=64", "--set", "start.count=[8,16]")
    assert called(capsys, "run", "own.toml", *few, "--no-figure", "--quiet")[0] == 0
    assert called(capsys, "report", "out/own")[0] == 0
    page = (here / "out/own/report.html").read_text(encoding="utf-8")
    assert "To see the cloud move, record it" not in page and 'id="film' in page.replace("'", '"')


@pytest.mark.parametrize(("inputs", "line"), [(2, None), (40, 256)])
def test_new__records_some_hundred_paths_where_all_take_much_room(here, capsys, inputs, line):
    x = np.random.default_rng(1).standard_normal((30, inputs + 1))
    names = ",".join([*(f"c{k}" for k in range(inputs)), "y"])
    np.savetxt("wide.csv", x, delimiter=",", header=names, comments="")
    assert called(capsys, "new", "wide.csv")[0] == 0
    assert tomllib.loads((here / "wide.toml").read_text())["record"].get("positions") == line
    assert called(capsys, "check", "wide.toml")[0] == 0


def test_new__needs_a_data_file(here, capsys):
    code, _, err = called(capsys, "new", "mine")
    assert code == 2 and "`new` needs a data file: got 'mine'. Say --data FILE" in err


def test_new__takes_names_with_commas_as_they_are(here, capsys):
    (here / "own.csv").write_text('"a,b",c,d,y\n1,2,3,4\n2,3,4,6\n')
    assert called(capsys, "new", "own.csv", "--x", "a,b", "c,d")[0] == 0
    assert tomllib.loads((here / "own.toml").read_text())["data"]["x"] == ["a,b", "c", "d"]


def test_new__takes_arrays_by_other_names(here, capsys):
    np.savez(here / "arrays.npz", features=np.eye(4), labels=np.arange(4.0))
    assert "Choose one of: features, labels." in called(capsys, "new", "mine", "--data", "arrays.npz")[2]
    options = ("--x", "features", "--y", "labels")
    assert called(capsys, "new", "mine", "--data", "arrays.npz", *options)[0] == 0
    assert called(capsys, "check", "mine.toml")[0] == 0


DATA = [
    (
        "a,y\n1,red\n2,green\n3,blue\n",
        (),
        "or 2 to 100 classes of two rows or more: got 3 kinds of text, 'blue', 'green', 'red', in 'y' of ",
    ),
    ("a,y\n1,red\n2,red\n", (), "got 1 kinds of text, 'red', in 'y' of"),
    ("a,y\n1,red\n2,red\n", ("--classes",), "classes need at least two of them: got only 'red'"),
    ("a,y\n1,3\n2,3\n", ("--classes",), "classes need at least two of them: got only 3"),
    ("a,b,class\n1,2,0\n2,x,1\n", (), "'x' in line 3, column 'b'"),
    ("a,b\n1,2\n", (), "none that say so: a, b. Add --y COLUMN"),
    ("y,label\n1,2\n", (), "several that say so"),
    ("a,b\n1,2\n", ("--y", "c"), "--y must name a column"),
    ("y\n1\n2\n", (), "two columns or more"),
    ("a y\n1 2\n", (), "separated by commas, semicolons, tabs or bars: got 'a y' in bad.csv"),
    ("t,a,y\n2024-01-01,1,2\n", (), "leave out its column (--drop COLUMN ...), or write days"),
    ("t,a,y\nred,1,2\n", (), "of the text (--one-hot COLUMN ...), or leave out its column (--drop COLUMN ...)."),
    ("t,a,y\n,1,2\n", (), "use the column's mean (--missing drop, --missing mean)."),
    (
        "a,b,y\n1,?,2\nx,2,\n",
        (),
        "got '?' in line 2, column 'b'; 'x' in line 3, column 'a'; '' in line 3, column 'y' of ",
    ),
    ("t,a,y\n3,1,2\n", ("--drop", "tt"), "must hold the variables asked for: got no 'tt'. Did you mean 't'?"),
    ("t,a,y\n3,1,2\n", ("--drop", "t", "--x", "t,a"), "`drop` must not name the target or a column of `x`: got 't'"),
    ("t,a,y\nred,1,2\n", ("--x", "b"), "must hold the variables asked for: got no 'b'."),
    ("a,y\n" + "1,2\n0,1\n" * 9 + "1e30,3\n", (), "x to be scaled must be of one size: got 1e+30 in row 18, column 0"),
    ("", (), "two columns or more"),
    ("a,y\n", (), "at least one row"),
    ("a,y\n1,red\n", (), "red"),
    ("a,y\nnan,1\n2,3\n", (), "must be finite"),
    ("a,y\n1,inf\n2,3\n", (), "must be finite"),
    ("a,a,y\n1,2,3\n", (), "name each column once"),
    ("a,y\n1,2,3\n", (), "every row must have"),
]


@pytest.mark.parametrize(("text", "options", "message"), DATA, ids=[repr(text) for text, _, _ in DATA])
def test_new__says_what_is_wrong_with_data_and_writes_nothing(here, capsys, text, options, message):
    (here / "bad.csv").write_text(text)
    code, out, err = called(capsys, "new", "mine", "--data", "bad.csv", *options)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1
    assert not (here / "mine.toml").exists()


def test_run__writes_nothing_outside_out_whatever_the_name(here, tmp_path, capsys):
    called(capsys, "new", "mine", "--data", "two.csv")
    text = (here / "mine.toml").read_text()
    for name in ("../../x", "/tmp/x", "a/b", "..", ""):
        (here / "bad.toml").write_text(text.replace('name = "mine"', f'name = "{name}"'))
        before = sorted(tmp_path.rglob("*"))
        code, _, err = called(capsys, "run", "bad.toml", "--out", "results")
        assert code == 2 and "name: " in err
        assert sorted(tmp_path.rglob("*")) == before
