"""Objects of the user's own in configurations, module:name: imported only where allowed, and the same as in Python."""

import importlib
import itertools
import sys

import numpy as np
import pytest
from support import own_module
from support.configs import SMALL_TOML, small
from support.sweeps import Silent, statuses

import particles as mf
from particles.cli.main import main
from particles.configuration.config import ConfigError
from particles.experiments import build
from particles.experiments.plan import plan
from particles.experiments.sweep import run_path, run_sweep

NUMBERS = itertools.count()
METHOD = 'method={{name="{0}:SignDescent",step=0.1,size=[1,2.5]}}'
LAW = 'law={{name="{0}:Corner",side=0.5}}'
PLACES = {
    "network.activation": 'network.activation="{0}:swish"',
    "loss": 'loss="{0}:huber"',
    "record.variables.1": 'record.variables=["loss","{0}:worst"]',
    "method.name": METHOD,
    "law.name": LAW,
}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The name of a module that was never imported, in a folder that Python looks in."""
    name = f"own_module_{next(NUMBERS)}"
    own_module.write(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def planned(own, folder, *settings, modules=None):
    return plan(small(*(text.format(own) for text in settings)), folder, modules=[own] if modules is None else modules)


def faults(own, folder, *settings, modules=None):
    with pytest.raises(ConfigError) as caught:
        planned(own, folder, *settings, modules=modules)
    return caught.value.faults


@pytest.mark.parametrize("place", PLACES)
def test_module__is_not_imported_unless_it_is_allowed(own, tmp_path, place):
    """By a configuration that names it, or that allows another."""
    for modules in ([], ["math"] if place == "loss" else []):
        (fault,) = faults(own, tmp_path, PLACES[place], modules=modules)
        assert fault.startswith(f"{place}: ") and f"Add --import {own} to the command" in fault
    assert own not in sys.modules and not list(tmp_path.glob("*.imported"))


def test_objects__give_the_bits_of_a_call(own, tmp_path):
    made = planned(own, tmp_path, *PLACES.values(), "limit.nodes=16")
    outcomes = run_sweep(made, tmp_path / "out", Silent())
    assert statuses({outcome.case.key: outcome for outcome in outcomes}) == ["finished"] * 6
    rows = importlib.import_module(own)
    data, _ = (mf.datasets.load("wine"), None)
    x = (data.x - data.x.mean(axis=0)) / data.x.std(axis=0)
    start = rows.Corner(13, 0.5).sample(8, seed=0)
    for case in made.cases:
        if case.nodes is None:
            method = rows.SignDescent(0.1, float(case.coords["size"]))
            record = ["loss", rows.worst]
            run = mf.simulate(mf.Network(rows.swish), start, mf.Dataset(x, data.y), method,
                              steps=3, loss=rows.huber, record=record)  # fmt: skip
            saved = mf.open_run(run_path(tmp_path / "out", case))
            for name in ("loss", "worst"):
                np.testing.assert_array_equal(saved.dataset[name], run.dataset[name])


TEACHER = "data={{name='teacher',dim=2,n=9,teacher={{activation='{0}:swish',count=3}}}}"


def test_teacher__may_have_an_activation_of_one_s_own(own, tmp_path):
    (fault,) = faults(own, tmp_path, TEACHER, modules=[])
    assert fault.startswith("data.teacher.activation: ") and f"Add --import {own}" in fault
    (case,) = planned(own, tmp_path, TEACHER).cases
    found, _ = build.data(case.config.data, tmp_path, case.identity)
    net = mf.Network(importlib.import_module(own).swish)
    want = mf.datasets.teacher(net, mf.Sphere(2), mf.Sphere(2), 3, n=9)
    assert found.y.tobytes() == want.y.tobytes() and set(case.identity["modules"]) == {own}


@pytest.mark.slow
def test_names__are_values_of_an_axis(own, tmp_path):
    made = planned(own, tmp_path, 'network.activation=["tanh","{0}:swish"]', 'method.name=["sgd","{0}:SignDescent"]')
    assert [axis.values for axis in made.axes] == [["tanh", f"{own}:swish"], ["sgd", f"{own}:SignDescent"]]
    assert len({case.key for case in made.cases}) == 4
    out = tmp_path / "out"
    run_sweep(made, out, Silent())
    assert sorted(mf.open_sweep(out)["activation"].values) == [f"{own}:swish", "tanh"]


WRONG = [
    ('method={{name="{0}:SignDescent",step=-1,size=0}}', ["method.step: input should be greater than 0: got -1",
                                                          "method.size: input should be greater than 0: got 0"]),
    ('method={{name="{0}:SignDescent"}}', ["method.step: missing"]),
    ('method={{name="{0}:SignDescent",step=0.1,sise=1.0}}', ["method.sise: unknown key. Did you mean 'size'?"]),
    ('method={{name="{0}:SignDescent",step=0.1,scheme="fwe"}}', ["method.scheme: must be one of all, few: got 'fwe'. "
                                                                 "Did you mean 'few'?"]),
    ('law={{name="{0}:Corner",side=5.0}}', ["law.side: input should be less than or equal to 4: got 5.0"]),
    ('law={{name="{0}:Bare"}}', ["law.name: the fields of '{0}:Bare' must be settings"]),
    ('law={{name="{0}:Cornre"}}', ["law.name: '{0}:Cornre' must name an object of "]),
    ('law={{name="{0}:swish"}}', ["law.name: '{0}:swish' must be a subclass of Law and a dataclass: got Activation."]),
    ('method={{name="{0}:Corner"}}', ["method.name: '{0}:Corner' must be a subclass of Method and a dataclass"]),
    ('loss="{0}:swish"', ["loss: '{0}:swish' must be an mf.Loss: got Activation"]),
    ('loss="{0}:bent"', ["loss: "]),
    ('loss="{0}:hubre"', ["loss: '{0}:hubre' must name an object of "]),
    ('record.variables=["{0}:worst","{0}:worst"]', ["record: `record` must name a quantity once"]),
    ('loss="{0}.huber"', ["loss: must be one of squared, logistic, huber, smooth_hinge, exponential, softmax: got "]),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "messages"), WRONG, ids=[setting[:50] for setting, _ in WRONG])
def test_settings__of_a_class_of_ones_own_are_checked_like_others(own, tmp_path, setting, messages):
    found = faults(own, tmp_path, setting)
    assert len(found) == len(messages)
    for fault, message in zip(found, messages, strict=True):
        assert fault.startswith(message.format(own)), fault


def test_key__is_another_where_the_module_is(own, tmp_path):
    """And only of the runs that name it."""
    settings = 'network.activation=["tanh","{0}:swish"]'
    tanh, mine = (case.key for case in planned(own, tmp_path, settings).cases)
    assert tanh == planned(own, tmp_path, modules=[]).cases[0].key
    again = f"{own}_again"
    own_module.write(tmp_path, again, own_module.TEXT)
    path = own_module.write(tmp_path, own, own_module.TEXT + "\nmore = 1\n")
    with pytest.raises(mf.InputError, match=r"stay as it was when it was imported: got .* Start Python again"):
        planned(own, tmp_path, settings)
    importlib.import_module("particles.configuration.references")._imported.cache_clear()
    sys.modules.pop(own)
    assert path.is_file()
    changed_tanh, changed = (case.key for case in planned(own, tmp_path, settings).cases)
    assert changed_tanh == tanh and changed != mine


BROKEN = {
    "raise ValueError('no')": "ValueError: no in .*, line 1",
    "def": "SyntaxError: ",
    "import nothing_of_that_name": "ModuleNotFoundError: No module named 'nothing_of_that_name' in .*, line 1",
    "raise SystemExit(3)": "SystemExit: 3 in .*, line 1",
}


@pytest.mark.parametrize("text", BROKEN)
def test_module__that_cannot_be_imported_says_why(own, tmp_path, text):
    own_module.write(tmp_path, own, text)
    with pytest.raises(mf.InputError, match=BROKEN[text]):
        planned(own, tmp_path)


def test_module__must_be_there_and_have_a_file(tmp_path):
    for name, reason in (
        ("no_module_of_this_name", "No module named 'no_module_of_this_name'"),
        ("sys", "have a file"),
    ):
        with pytest.raises(mf.InputError, match=reason):
            planned("", tmp_path, modules=[name])


@pytest.fixture
def command(own, tmp_path, monkeypatch):
    """The command line in the folder of the module and of a configuration of all its objects."""
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    changes = [word for text in PLACES.values() for word in ("--set", text.format(own))]
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    return lambda name, *words: main([name, "small.toml", *changes, *words])


@pytest.mark.slow
def test_command__imports_from_the_working_folder(own, command, capsys):
    assert command("check") == 2
    assert f"Add --import {own}" in capsys.readouterr().err
    assert command("check", "--import", own) == 0
    assert command("run", "--import", own, "--quiet", "--no-figure") == 0
    assert command("gather", "--import", own, "--no-figure") == 0
    assert "3 runs" not in capsys.readouterr().out


def test_command__imports_a_file_by_its_path(own, command, tmp_path, capsys):
    """From another folder than the working one; a name that another module has, and no file, are refused."""
    (tmp_path / "rows").mkdir()
    (tmp_path / f"{own}.py").rename(tmp_path / "rows" / f"{own}.py")
    assert command("check", "--import", f"rows/{own}.py") == 0
    (tmp_path / "json.py").touch()
    (tmp_path / "a-b.py").touch()
    for name, message in (("json.py", "another module"), ("none.py", "is no file"), ("a-b.py", "Rename it: letters")):
        assert command("check", "--import", name) == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_results__open_without_the_module(own, command, tmp_path, monkeypatch, capsys):
    assert command("run", "--import", own, "--quiet", "--no-figure") == 0
    monkeypatch.setitem(sys.modules, own, None)  # importing it fails
    out = tmp_path / "out" / "small"
    assert main(["show", str(out)]) == 0 and main(["report", str(out)]) == 0
    assert f"particles run small-again.toml --import {own}" in (out / "report.html").read_text()
    assert mf.open_sweep(out)["worst"].dims == ("size", "time")
    for path in (out / "runs").glob("*.h5"):
        assert mf.open_run(path).config["modules"].keys() == {own}
        assert main(["show", str(path)]) == 0 and main(["report", str(path), "--out", "run.html"]) == 0


@pytest.mark.slow
def test_plan__of_a_part_updates_the_sweep_of_the_folder(own, command, capsys):
    assert command("run", "--import", own, "--quiet", "--no-figure") == 0
    assert command("run", "--import", own, "--quiet", "--no-figure", "--set", "method.size=1") == 0
    assert (
        "holds a sweep of 2 runs, and this is 1 of them: its sweep.h5 is brought up to date" in capsys.readouterr().err
    )
