"""Text from files reaches a terminal, a log, a page or a figure as text: no control sequence, no markup, no formula."""

import io
import json
import pickle
import re
import sys
import tomllib
import warnings

import h5py
import numpy as np
import pytest
import xarray
from rich.progress import Progress
from support.commands import called
from support.configs import SMALL_TOML

import particles as mf
from particles import report
from particles.cli import commands
from particles.cli.streams import standard_streams
from particles.console import Console
from particles.errors import BusyError, ClusterError, DivergedError, InputError, LostError, ParticlesError, StorageError
from particles.escapes import escaped
from particles.plotting import curves

INVISIBLE = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA1)),
    *"\u00ad\u061c\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff",
    "\U000e0001",
    "\ud800",
]
# Red, the screen cleared by one letter, a line and a cell taken back, a right-to-left override, a new line.
HOSTILE = "a\x1b[31m\x9b2J\rb\x7f\u202ec\u2066d\u2028e\u200bf\nparticles: g"
MARKUP = "[red]h[/red] [link=file:///etc/passwd]i[/link] :bomb:"
SHOWN = r"a\u001b[31m\u009b2J\rb\u007f\u202ec\u2066d\u2028e\u200bf\nparticles: g"


def check_visible(text):
    """Every line is text alone."""
    assert [letter for line in text.split("\n") for letter in line if not letter.isprintable()] == []


@pytest.mark.parametrize("letter", INVISIBLE, ids=ascii)
def test_escaped__shows_what_is_not_visible(letter):
    shown = escaped(f"x{letter}y")
    assert shown.isprintable() and shown == escaped(shown) and re.fullmatch(r"x\\[\\nrtuU0-9a-f]+y", shown)
    if letter != "\ud800":  # no letter of a text in TOML
        assert tomllib.loads(f'a = "{shown}"') == {"a": f"x{letter}y"}
    assert escaped(f"x{letter}y", keep=letter) == f"x{letter}y"


@pytest.mark.parametrize("text", ["", "plain", "größer ∞ 数 \U0001f600 שלום", "back\\slash [red]"])
def test_escaped__leaves_visible_text_alone(text):
    assert escaped(text) == text


@pytest.mark.parametrize("kind", [ParticlesError, StorageError, BusyError, DivergedError, LostError, ClusterError])
def test_error__quotes_names_as_text(kind):
    error = kind(f"no variable {HOSTILE}")
    assert str(error) == f"no variable {SHOWN}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_input_error__quotes_names_as_text():
    error = InputError("a column", HOSTILE, "It has \x1b[2J.")
    assert str(error) == f"a column: got {SHOWN}. It has \\u001b[2J."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.fixture
def hostile(tmp_path, monkeypatch, cloud, samples):
    """A run's file all of whose texts are hostile, in the current folder."""
    monkeypatch.chdir(tmp_path)
    run = mf.simulate(mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(0.1), steps=3)
    path = run.save("run.h5")
    text = HOSTILE + MARKUP
    with h5py.File(path, "r+") as file:
        file.move("loss", text.replace("/", "|"))
        file[text.replace("/", "|")].attrs.update({"long_name": text, "equation": text})
        config = {"network": {text: text}, "method": {"step": text}, "data": {"file": text}}
        told = {"status": text, "git": text, "cpu": text, "config": json.dumps(config)}
        file.attrs.update(told | {"events": json.dumps([{"iteration": 1, "what": text}])})
    return path


def test_show__prints_a_files_text_as_text(hostile, capsys):
    code, out, err = called(capsys, "show", "run.h5", "--plots")
    assert (code, err) == (0, "")
    check_visible(out)
    assert SHOWN.replace("\\n", "") in out.replace("\\n", "") and "[red]h" in out and ":bomb:" in out
    assert not [line for line in out.splitlines() if line.startswith("particles: ")]


def test_show__has_letters_in_json_that_are_visible(hostile, capsys):
    code, out, _ = called(capsys, "show", "run.h5", "--json")
    check_visible(out)
    assert code == 0 and json.loads(out)["status"] == HOSTILE + MARKUP


def test_report__has_visible_text(hostile, capsys):
    code, out, err = called(capsys, "report", "run.h5")
    assert code == 0
    check_visible(out + err)
    page = (hostile.parent / "report.html").read_text(encoding="utf-8")
    check_visible(page.replace("\t", ""))
    assert SHOWN in page


def test_run__prints_itself_as_text(hostile):
    check_visible(repr(mf.open_run(hostile)))


CONFIGS = {
    "key": '"\\u001b[2J" = 1' + SMALL_TOML,
    "two lines": '"x[2J\\nparticles: no faults" = 1' + SMALL_TOML,
    "value": SMALL_TOML.replace("tanh", "\\u001b[2J\\u202e"),
    "file": SMALL_TOML.replace('name = "wine"', 'file = "\\u001b[2J\\u202e.csv"'),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_check__quotes_keys_and_values_as_text(tmp_path, capsys, case):
    path = tmp_path / "a.toml"
    path.write_text(CONFIGS[case])
    code, out, err = called(capsys, "check", str(path))
    assert (code, out) == (2, "") and "[2J" in err
    check_visible(err)
    assert not [line for line in err.splitlines()[1:] if line.startswith("particles: ")]


@pytest.mark.parametrize("column", ["a\x1b[2Jb", "a\u202eb", "a\x7fb"])
def test_new__names_columns_in_visible_letters(tmp_path, monkeypatch, capsys, column):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(f"{column},y\n" + "1,2\n2,1\n3,5\n" * 9, encoding="utf-8")
    code, out, err = called(capsys, "new", "mine", "--data", "mine.csv", "--x", column)
    assert code == 0
    check_visible(out + err)
    text = (tmp_path / "mine.toml").read_text(encoding="utf-8")
    check_visible(text)
    assert tomllib.loads(text)["data"]["x"] == [column]


def test_stream__prints_text_and_lets_the_console_colour(capsys):
    with standard_streams():
        print(HOSTILE, file=sys.stderr)
        Console(stderr=True, force_terminal=True, color_system="standard", width=200).print(HOSTILE, style="red")
    _, err = capsys.readouterr()
    first, second, third = err.split("\n", 2)
    assert [first, second] == SHOWN.replace("\\n", "\n").split("\n")
    assert third == f"\x1b[31m{SHOWN}\x1b[0m\n"


def test_console__takes_no_markup():
    page = io.StringIO()
    Console(file=page, force_terminal=True, width=200).print(MARKUP + " 1.5")
    assert page.getvalue() == MARKUP + " 1.5\n"


def test_console__prints_as_text_what_others_print_beside_a_bar():
    page = io.StringIO()
    console = Console(file=page, force_terminal=True, width=200)
    with Progress(console=console, auto_refresh=False, disable=False):
        print("one \x1b]8;;file:///etc/passwd\x07two\x1b]8;;\x07 \x9b2J\u202e")
    assert "one" in page.getvalue() and r"\u009b2J\u202e" in page.getvalue()
    assert not re.search("\x1b]|[\x07\x9b\u202e]", page.getvalue())


def recorded(name, **attrs):
    value = ("time", "\x1b[1m$"), np.arange(6.0).reshape(3, 2), attrs
    return xarray.Dataset({name: value}, coords={"time": [0.0, 1.0, 2.0], "\x1b[1m$": ["$\\a$", "\u202e\x07"]})


@pytest.mark.parametrize("attrs", [{"long_name": "$\\frac{$ \x00\u202e"}, {"units": "$\\nothing$\x1b"}, {}], ids=str)
def test_figure__has_no_formula_from_a_file(attrs):
    data = recorded("$\\frac{$", **attrs)
    axes = curves.lines(data["$\\frac{$"], data["time"], "time", "\x1b[1m$")
    page = io.BytesIO()
    axes.figure.savefig(page, format="svg")
    words = re.findall(r"<!-- (.*?) -->", page.getvalue().decode())
    check_visible("".join(words))
    assert any("$" in word for word in words)


def test_report__draws_a_cloud_whose_size_and_units_are_formulas(tmp_path, cloud, samples):
    run = mf.simulate(mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(0.1), steps=3, record=["position"])
    path = run.save(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["time"].attrs["units"] = "$\\frac{$\x1b"
    page = report.write(path).read_text(encoding="utf-8")
    check_visible(page.replace("\t", ""))
    assert "could not be drawn" not in page


@pytest.mark.filterwarnings("always:left out")
def test_warning__is_one_line_of_text(capsys, monkeypatch):
    def warn(*_):
        warnings.warn(f"left out: {HOSTILE}", stacklevel=1)
        raise InputError("no", "more", "")

    monkeypatch.setattr(commands, "_answer", warn)
    _, _, err = called(capsys, "show", "x")
    assert err.splitlines() == [f"particles: left out: {SHOWN}", "particles: no: got more."]
