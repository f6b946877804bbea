"""`mf.sweep`: the sweep of a configuration's lists, from objects."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from support.configs import planned
from support.sweeps import Silent, all_contents

import particles as mf
from particles import report
from particles.cli.main import main
from particles.experiments import summary
from particles.experiments.sweep import run_sweep
from particles.kernels.elementwise import lanewise

NET, LAW, METHOD = mf.Network("tanh"), mf.Gaussian(13), mf.GradientDescent(0.1)
OWN = (
    "config",
    "config_hash",
    "folder",
    "limits",
    "predictions",
)  # attributes that name files or hold the configuration


@pytest.fixture(scope="module")
def wine():
    return mf.datasets.load("wine", scale="standard")


def same(found, wanted):
    """Whether two sweeps are equal to the bit: dimensions, coordinates, attributes; limits by their settings."""
    limits = [sorted(json.dumps(at, sort_keys=True) for at in data.mf.limits.values()) for data in (found, wanted)]
    found, wanted = found.load().copy(), wanted.load().copy()
    for data in (found, wanted):
        data.attrs = {name: value for name, value in data.attrs.items() if name not in OWN}
    xr.testing.assert_identical(found, wanted)
    return limits[0] == limits[1]


BOTH = {
    "count and seed beside the limit": (
        ["start.count=[8, 16]", "start.seed=[0, 1, 2]", "limit.nodes=16"],
        {"count": [8, 16], "seed": range(3), "limit": 16},
    ),
    "beta, where one has a limit": (
        ["network.beta=[0.5, 1.0]", "limit.nodes=16"],
        {"net": [mf.Network("tanh", beta=0.5), NET], "limit": 16},
    ),
    "activation and signs": (
        ['network.activation=["tanh", "relu"]', 'start.signs=["positive", "symmetric"]', "limit.nodes=16"],
        {"net": [NET, mf.Network("relu")], "signs": ["positive", "symmetric"], "limit": 16},
    ),
    "law": (["law.std=[1.0, 2.0]"], {"law": [LAW, mf.Gaussian(13, std=2.0)]}),
    "step": (["method.step=[0.1, 0.2]"], {"method": [METHOD, mf.GradientDescent(0.2)]}),
    "two seeds": (
        ['method.name="sgd"', "start.seed=[0, 1]", "method.seed=[5, 6]"],
        {"method": [mf.SGD(0.1, seed=5), mf.SGD(0.1, seed=6)], "seed": (0, 1)},
    ),
    "regulariser": (
        ['regulariser={name="l2",weight=[0.0, 0.1]}'],
        {"regulariser": [mf.L2(0.0), mf.L2(0.1)]},
    ),
    "steps": (
        ["steps=[2, 4]", "start.count=[8, 16]", "limit.nodes=16"],
        {"steps": np.array([2, 4]), "count": np.array([8, 16]), "limit": 16},
    ),
    "steps and dtype": (
        ["steps=[2, 4]", 'dtype=["float64", "float32"]'],
        {"steps": range(2, 5, 2), "dtype": ["float64", "float32"]},
    ),
    "record": (
        [
            "record.every=2",
            'record.variables=["position", "loss"]',
            "record.positions=3",
            "start.count=[8]",
            "limit.nodes=2",
        ],
        {"record_every": 2, "record": iter(["position", "loss"]), "positions": 3, "count": [8], "limit": 2},
    ),
}


@pytest.mark.parametrize("name", BOTH)
def test_sweep__is_that_of_the_same_lists_in_a_configuration(name, wine, tmp_path):
    settings, more = BOTH[name]
    made = planned(*settings, folder=tmp_path)
    run_sweep(made, tmp_path / "toml", Silent())
    summary.write(made, tmp_path / "toml")
    plain = {"net": NET, "law": LAW, "method": METHOD, "steps": 3, "count": 8}
    found = mf.sweep(data=wine, out=tmp_path / "python", **plain | more)
    wanted = mf.open_sweep(tmp_path / "toml")
    assert same(found, wanted)
    if "seed" in more and "limit" in more:
        xr.testing.assert_identical(found.mf.compare(), wanted.mf.compare())
        assert found.mf.exponent() == wanted.mf.exponent()


def test_sweep__has_the_loss_as_an_axis(samples):
    data = samples(loss="logistic")
    found = mf.sweep(NET, mf.Gaussian(3), data, METHOD, steps=2, count=8, loss=["squared", "logistic"])
    assert found["loss"].dims == ("loss_setting", "time")
    for loss in ("squared", "logistic"):
        alone = mf.simulate(NET, mf.Gaussian(3).sample(8, seed=0), data, METHOD, steps=2, loss=loss)
        assert (found["loss"].sel(loss_setting=loss).values == alone.dataset["loss"].values).all()


def swept(data, /, **more):
    plain = {"net": NET, "law": mf.Gaussian(3), "data": data, "method": METHOD, "steps": 3, "count": [8, 16]}
    return mf.sweep(**plain | more)


AXES = [
    ({"method": [METHOD, mf.SGD(0.1)]}, "method", [repr(METHOD), repr(mf.SGD(0.1))]),
    ({"method": [METHOD, mf.GradientDescent(0.2, average=True)]}, "method",
     [repr(METHOD), "GradientDescent(step=0.2, average=True)"]),
    ({"method": [METHOD, mf.GradientDescent(mf.InverseSqrt(1.0))]}, "step", ["0.1", "InverseSqrt(c=1.0)"]),
    ({"method": [mf.Langevin(0.1, temperature) for temperature in (0.0, 0.1)]}, "temperature", [0.0, 0.1]),
    ({"regulariser": [None, mf.L1(0.1)]}, "regulariser", ["None", "L1(weight=0.1)"]),
    ({"law": [mf.Gaussian(3), mf.Sphere(3)]}, "law", [repr(mf.Gaussian(3)), repr(mf.Sphere(3))]),
    ({"law": [mf.Gaussian(3).sample(8, seed=k) for k in (0, 1)], "count": None}, "law", ["Measure 0", "Measure 1"]),
    ({"law": [mf.Gaussian(3).sample(8, seed=k, lazy=True) for k in (3, 5)], "count": None}, "seed", [3, 5]),
    ({"net": [NET]}, "network", [repr(NET)]),
    ({"seed": np.arange(2)}, "seed", [0, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("more", "name", "values"), AXES, ids=[f"{name} {k}" for k, (_, name, _) in enumerate(AXES)])
def test_axis__is_named_by_the_one_field_that_differs_or_else_by_the_argument(more, name, values, samples):
    found = swept(samples(), **{"count": 8} | more)
    assert list(found["loss"].dims) == [name, "time" if "time" in found.dims else "record"]
    assert found[name].values.tolist() == values
    assert (found["status"] == "finished").all()


STEPS = {"method": [METHOD, mf.GradientDescent(0.2)]}  # then times are numbers over the grid


@pytest.mark.parametrize(("more", "own"), [(STEPS, "record_position"), ({"seed": [0, 1]}, "time_position")])
def test_record__may_have_a_cadence_of_its_own(more, own, samples, tmp_path):
    record = ["loss", mf.Record("position", every=2, particles=4)]
    found = swept(samples(), count=8, steps=4, record=record, out=tmp_path, **more)
    assert found["position"].dims[1:] == (own, "particle", "dim")
    for place in (0, 1):
        seed, method = more.get("seed", [0, 0])[place], more.get("method", [METHOD] * 2)[place]
        start = mf.Gaussian(3).sample(8, seed)
        run = mf.simulate(NET, start, samples(), method, steps=4, record=record).dataset
        one = found.isel({found["position"].dims[0]: place})
        for name in ("time_position", "iteration_position", "position"):
            assert (one[name].values == run[name].values).all(), name
    plain = xr.open_dataset(tmp_path / "sweep.h5", engine="h5netcdf")
    assert (plain["position"].values == found["position"].values).all()


def test_axis__of_data_holds_each_one_s_targets(samples):
    data = [samples(seed=0), samples(seed=1)]
    found = swept(data, count=8)
    assert found["data"].values.tolist() == ["Dataset(n=7, d=3) 0", "Dataset(n=7, d=3) 1"]
    assert (found["target"].values == [one.y for one in data]).all()


def test_sweep__takes_a_stream_beside_its_limit():
    stream = mf.Stream(mf.Sphere(3), lambda x: x[:, 0] * x[:, 1])
    found = swept(stream, method=mf.SGD(0.1, batch=4), limit=64)
    start = mf.Gaussian(3).quadrature(128, along=stream.holdout().x)
    limit = mf.simulate(NET, start, stream, mf.SGD(0.1, batch=4), steps=3)
    finest = mf.open_run(list(found.mf.limits)[-1])
    assert (finest.dataset["loss"].values == limit.dataset["loss"].values).all()


def test_sweep__is_what_its_folder_opens_as(samples, tmp_path, capsys):
    found = swept(samples(), seed=range(3), limit=64, out=tmp_path / "mine")
    xr.testing.assert_identical(found, mf.open_sweep(tmp_path / "mine"))
    (tmp_path / "mine" / "sweep.h5").rename(tmp_path / "table.h5")
    again = mf.open_sweep(tmp_path / "mine")  # its axes are what the runs' configurations differ in
    assert (again["loss"].values == found["loss"].values).all() and again.mf.limits.keys() == found.mf.limits.keys()


def test_sweep__can_be_shown_and_reported(samples, tmp_path, capsys):
    swept(samples(), seed=range(3), limit=64, out=tmp_path / "mine")
    assert main(["show", str(tmp_path / "mine")]) == 0
    assert "distance ~ M^" in capsys.readouterr().out
    text = report.write(tmp_path / "mine").read_text()
    assert "The run was started from Python" in text and "Gaussian(dim=3, std=1.0, mean=0.0)" in text
    (run,) = list((tmp_path / "mine" / "runs").glob("*.h5"))[:1]
    assert main(["show", str(run)]) == 0 and report.write(run).is_file()


def test_sweep__keeps_finished_runs(samples, tmp_path):
    swept(samples(), out=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.h5")}
    found = swept(samples(), count=[8, 16, 24], out=tmp_path)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.h5")}
    assert before.items() <= after.items() and len(after) == 3 and found.sizes["count"] == 3


def test_sweep__of_a_part_of_a_folder_gives_that_part(samples, tmp_path):
    whole = swept(samples(), out=tmp_path)
    with pytest.warns(UserWarning, match="its sweep.h5 stays as it is .it was run from Python"):
        part = swept(samples(), count=[16], out=tmp_path)
    xr.testing.assert_equal(part, whole.isel(count=[1]))
    xr.testing.assert_identical(mf.open_sweep(tmp_path), whole)


def test_sweep__of_other_data_sets_the_first_aside(samples, tmp_path):
    first = swept(samples(seed=0), out=tmp_path).load()
    with pytest.warns(UserWarning, match="held another sweep"):
        second = swept(samples(seed=1), out=tmp_path)
    xr.testing.assert_identical(second, mf.open_sweep(tmp_path))
    (place,) = (tmp_path / "earlier").iterdir()
    xr.testing.assert_equal(mf.open_sweep(place), first)


def test_sweep__with_no_folder_leaves_none(samples):
    code = """
import particles as mf, numpy as np, os
data = mf.Dataset(np.eye(3), np.ones(3))
ds = mf.sweep(mf.Network("tanh"), mf.Gaussian(3), data, mf.GradientDescent(0.1), steps=2, count=[8, 16])
print(ds.attrs["folder"], os.path.isdir(ds.attrs["folder"]), float(ds["loss"][0, 0]) > 0)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    folder, there, read = done.stdout.split()
    assert (there, read) == ("True", "True")
    assert subprocess.run(["test", "-e", folder]).returncode == 1


def test_sweep__warns_of_runs_that_diverge_and_goes_on(samples, tmp_path):
    methods = [mf.GradientDescent(step) for step in (0.1, 1e4)]
    more = {"method": methods, "count": 8, "steps": 100, "regulariser": mf.L2(1.0), "out": tmp_path}
    with pytest.warns(UserWarning, match=r"^step=10000.0 diverged: the run diverged"):
        found = swept(samples(), **more)
    assert found["status"].values.tolist() == ["finished", "diverged"]
    with pytest.warns(UserWarning, match="step=10000.0 diverged: it diverged before"):
        swept(samples(), **more)


class Broken(mf.Gaussian):
    """A law that fails once it has given more than a block of rows."""

    def rows(self, seed, first, last, *more):
        if seed == 1 and last > 8:
            raise mf.StorageError("no such file: rows.npz")
        return super().rows(seed, first, last, *more)


def test_sweep__warns_of_runs_that_fail_and_goes_on(samples):
    with pytest.warns(UserWarning, match=r"^count=16 seed=1 failed: no such file: rows.npz"):
        found = swept(samples(), law=Broken(3), seed=[0, 1])
    assert found["status"].values.tolist() == [["finished", "finished"], ["finished", "missing"]]


def test_sweep__stopped_by_ctrl_c_gives_what_is_there_and_goes_on(tmp_path):
    pressed = []

    def target(x):
        """Is called for every 8 iterations."""
        pressed.append(None)
        if len(pressed) == 50:
            os.kill(os.getpid(), signal.SIGINT)
        return x[:, 0]

    stream = mf.Stream(mf.Sphere(3), target)
    more = {"method": mf.SGD(0.1, batch=512), "steps": 2000, "record_every": 500, "engine": mf.Local(1)}
    with pytest.warns(UserWarning, match="2 of 2 runs were stopped. The same call goes on"):
        found = swept(stream, out=tmp_path / "parts", **more)
    assert found["status"].values.tolist() == ["missing", "missing"]
    assert list((tmp_path / "parts" / "checkpoints").rglob("checkpoint-*.json"))
    found = swept(stream, out=tmp_path / "parts", **more)
    events = [mf.open_run(path).events for path in (tmp_path / "parts" / "runs").glob("*.h5")]
    assert [{"iteration": 0, "what": "went on from the checkpoint"}] not in events and any(events)
    xr.testing.assert_equal(found, swept(stream, out=tmp_path / "whole", **more))


class Corner(mf.Law):
    """A law of a user's, whose repr tells nothing."""

    def __init__(self, dim, shift):
        self.dim, self.shift = dim, shift

    def draw(self, random, count):
        return self.shift + random.random((count, self.dim))

    def from_cube(self, u):
        return self.shift + u


def test_sweep__tells_a_user_s_laws_apart_by_what_they_draw(samples):
    found = swept(samples(), law=[Corner(3, 0.0), Corner(3, 1.0)], count=8)
    assert found["law"].values.tolist() == ["Corner 0", "Corner 1"]
    assert found["loss"][0, 0] != found["loss"][1, 0]


@pytest.mark.slow
def test_sweep__takes_a_user_s_activation_loss_and_observable(samples):
    own = [mf.Activation("own", lanewise(f), lanewise(g), 1.0, 1.0, True) for f, g in
           [(lambda v: 0.5 * v, lambda v: 0.0 * v + 0.5), (lambda v: 0.25 * v, lambda v: 0.0 * v + 0.25)]]  # fmt: skip
    half = mf.LOSSES["squared"]._replace(name="half", value=lambda z, y: 0.25 * (z - y) ** 2,
                                         slope=lambda z, y: 0.5 * (z - y), curvature=0.5,
                                         bend=lambda slope: np.full_like(slope, 0.5))  # fmt: skip
    worst = mf.Observable("worst", "largest error", "section 3", (), lambda at: float(np.abs(at.g - at.y).max()))
    nets = [mf.Network(row) for row in own]
    found = swept(samples(), net=nets, count=8, loss=["squared", half], record=["loss", worst])
    assert found["worst"].dims == ("loss_setting", "activation", "time")
    assert found["activation"].values.tolist() == ["own 0", "own 1"]
    assert found["loss_setting"].values.tolist() == ["squared", "half"]
    alone = mf.simulate(nets[1], mf.Gaussian(3).sample(8, 0), samples(), METHOD, steps=3, loss=half, record=worst)
    assert (found["worst"][1, 1].values == alone.dataset["worst"].values).all()


def test_sweep__refuses_runs_that_it_cannot_tell_apart(samples):
    with pytest.raises(mf.InputError, match="must differ in what their arguments say: got two that are alike"):
        swept(samples(), law=[Corner(3, 0.0), Corner(3, 0.0)], count=8)


@pytest.mark.parametrize("threads", [1, 2])
def test_sweep__has_the_same_bits_for_any_threads(threads, samples, tmp_path):
    for out, engine in ((tmp_path / "a", None), (tmp_path / "b", mf.Local(threads))):
        swept(samples(), count=[300, 600], engine=engine, out=out)
    assert all_contents(tmp_path / "a" / "runs") == all_contents(tmp_path / "b" / "runs")


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self): ...

    def isatty(self):
        return True


def test_progress__is_a_bar_on_a_terminal_that_ends_full(samples, monkeypatch):
    there = Terminal()
    monkeypatch.setattr(sys, "stderr", there)
    swept(samples(), progress=True)
    assert "runs done: 100%" in there.text and "sweep, 0 of " in there.text
    there.text = ""
    swept(samples())
    assert there.text == ""


REFUSED = [
    ({"count": 8, "engine": 2}, "`engine` must be an mf.Local or an mf.Ray: got 2."),
    ({"count": []}, "`count`: an axis of a sweep needs at least one value: got []"),
    ({"count": [8, 16, 8]}, "`count`: an axis needs different values: got 8 twice"),
    ({"net": [NET, NET]}, "`net`: an axis needs different values: got Network"),
    ({"seed": range(10**7)}, "`seed`: a sweep may have 100000 runs: got 10000000 values"),
    ({"seed": range(90000)}, "a sweep may have 100000 runs: got 180000. Shorten its lists."),
    ({"count": 8.0}, "`count` must be a whole number >= 1: got 8.0"),
    ({"count": [8, 16.0]}, "`count` must be a whole number >= 1: got 16.0"),
    ({"count": None}, "a law needs `count`, the number of particles: got None. Give M, or a list of them."),
    ({"count": (k for k in (8, 16))}, "`count` must be one value, or a list, a tuple, a range or an array of rank 1"),
    ({"seed": {0, 1}}, "`seed` must be one value, or a list"),
    ({"seed": np.zeros((2, 2), int)}, "`seed` must be one value, or a list"),
    ({"seed": -1}, "`seed` must be a whole number from 0"),
    ({"signs": ["positive", "both"]}, "random, symmetric, unit, gaussian, joint: got 'both'"),
    ({"count": [8, 9], "signs": "symmetric"}, '`count` must be even with signs="symmetric"'),
    ({"steps": [2, -1]}, "`steps` must be a whole number >= 0: got -1"),
    ({"net": "tanh"}, "`net` must be an mf.Network, or a list of them: got 'tanh'"),
    ({"law": NET}, "`law` must be an mf.Law or mf.Measure, or a list of them: got Network"),
    ({"data": (np.eye(3), np.ones(3))}, "`data` must be an mf.Dataset or mf.Stream, or a list of them"),
    ({"loss": ["squared", "absolute"]}, "`loss` must be an mf.Loss or the name of one: got 'absolute'"),
    ({"regulariser": ["l2"]}, "`regulariser` must be an mf.L1 or mf.L2"),
    ({"dtype": ["float64", "float16"]}, "`dtype` must be float64 or float32: got float16"),
    ({"law": [mf.Gaussian(3), mf.Gaussian(4)]}, "particles must have as many dimensions as the inputs, 3"),
    ({"positions": 12}, "`positions` must be a whole number from 1 to 8: got 12"),
    ({"positions": 12, "count": [16, 8]}, "`positions` must be a whole number from 1 to 8: got 12"),
    ({"record": ["loss", "los"]}, "Did you mean 'loss'?"),
    ({"limit": 64.0}, "`limit` must be a whole number from 2"),
    ({"limit": [64, 128]}, "`limit` must be a whole number from 2"),
    ({"limit": 64, "net": mf.Network("tanh", beta=0.5)}, "`limit` is the mean field's, of networks with beta=1"),
    ({"limit": 64, "method": mf.Langevin(0.1, 0.1)}, "`limit` is computed by a quadrature, which integrates no noise"),
    ({"limit": 64, "law": mf.Gaussian(3).sample(8, seed=0), "count": None}, "`limit` needs the law of the start"),
    ({"law": mf.Gaussian(3).sample(8, seed=0)}, "`law` is a start already, which nothing is drawn for"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "message"), REFUSED, ids=[str(k) for k in range(len(REFUSED))])
def test_sweep__refuses_before_anything_is_run(more, message, samples, tmp_path):
    with pytest.raises(mf.InputError) as caught:
        swept(samples(), out=tmp_path / "new", **more)
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()
