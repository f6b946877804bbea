"""What a type checker makes of a user's script: the face is typed, and no Any leaks from its main names."""

import subprocess
import sys
from pathlib import Path

import pytest

import particles as mf

SCRIPT = """
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import xarray
from numpy.typing import NDArray

import particles as mf

Array = NDArray[np.float64]

law = mf.Gaussian(dim=31, std=1.0)
net = mf.Network("tanh", beta=1.0, bias=True)
data = mf.datasets.load("breast_cancer", scale="standard")
start = law.sample(64, seed=0)
run = mf.simulate(net, start, data, mf.GradientDescent(step=0.5), steps=5, record=("loss",), engine=mf.Local(2))
assert_type(mf.__version__, str)
assert_type(data, mf.Dataset)
assert_type(data.x, Array)
assert_type(mf.datasets.read("mine.csv", y="label", positive=["yes"], negative=["no"]), mf.Dataset)
assert_type(mf.datasets.read("mine.csv", drop=["id"], one_hot="sex", missing="mean"), mf.Dataset)
assert_type(mf.datasets.teacher(net, law, mf.Gaussian(30), 4, n=10), mf.Dataset)
assert_type(start, mf.Measure)
assert_type(law.quadrature(16), mf.Measure)
assert_type(start.b, Array)
assert_type(start.s, Array)
assert_type(start.w, Array)
assert_type(net.predict(start, data.x), Array)
assert_type(run, mf.Run)
assert_type(run.dataset, xarray.Dataset)
assert_type(run.measure, mf.Measure)
assert_type(run.status, str)
assert_type(run.config, dict[str, Any])
assert_type(run.save("run.h5"), Path)
assert_type(mf.open_run("run.h5"), mf.Run)
assert_type(mf.open_sweep("out/quickstart"), xarray.Dataset)
assert_type(mf.compare({(64, 0): run.dataset}, run.dataset), xarray.Dataset)
assert_type(mf.mean_field(net, law, data, mf.GradientDescent(0.5), steps=5), mf.MeanField)
found = mf.sensitivity(net, law.quadrature(16), data, mf.GradientDescent(0.5), steps=5, of=("loss",), by="step")
assert_type(found, mf.Sensitivity)
assert_type(found.dataset, xarray.Dataset)
assert_type(found.predict(start), xarray.Dataset)
assert_type(mf.fluctuations(net, law.quadrature(16), data, mf.SGD(0.5), steps=5, draws=4), xarray.Dataset)
assert_type(mf.tangent.gram(net, start, data.x), Array)
assert_type(mf.tangent.limit_gram(net, law, data.x), Array)
assert_type(mf.tangent.flow(np.eye(2), [0.0, 1.0], times=[0.0]), Array)
assert_type(mf.theory.arora_bound(np.eye(2), [0.0, 1.0]), float)
assert_type(mf.transport.wasserstein(start, start, p=2), float)
stream = mf.Stream(inputs=mf.Sphere(dim=2), target=lambda x: x[:, 0], noise=0.1, seed=1)
for method in (mf.SGD(0.1), mf.AveragedSGD(0.1, 1e-3), mf.Langevin(mf.RobbinsMonro(0.1), 0.01), mf.RungeKutta(0.1)):
    lazy = law.sample(100, seed=0, lazy=True)
    mf.simulate(net, lazy, stream, method, steps=1, regulariser=mf.L2(0.1), progress=print)
own = mf.Activation("mine", mf.lanewise(lambda v: v), mf.lanewise(lambda v: 1.0), 1.0, 0.0, linear_growth=True)
half = mf.Loss("half", lambda z, y: (z - y) ** 2 / 4, lambda z, y: (z - y) / 2, 0.5, False, lambda s: 0.5 + 0.0 * s)
share = mf.Reduction(lambda block: np.atleast_1d(np.sum(block.w)), "sum")
mass = mf.Observable("mass", "int dmu", "3.4", (), lambda at: at.integral[share][0], (share,))
assert_type(mf.Network(own, train="output").activation, mf.Activation)
first = mf.Observable("first", "g(x_1)", "3.4", (), lambda at: float(at.g[0]),
                      differential=lambda at, index: mf.Differential(train=np.eye(len(at.g))[0]))
mf.sensitivity(net, start, data, mf.GradientDescent(0.5), steps=5, of=first, by=["step"], record_every=[0, 5])
mf.simulate(mf.Network(own), start, data, mf.SGD(0.1), steps=1, loss=half, record=["loss", mass, mf.Record(mass)])
try:
    mf.simulate(net, start, data, mf.GradientDescent(1e9), steps=100)
except mf.DivergedError as error:
    assert_type(error.iteration, int | None)
"""
WRONG = """
import particles as mf

mf.Gaussian(dim="two")
mf.simulate(mf.Network("tanh"), None, mf.datasets.load("circle"), mf.SGD(0.1), steps=1)
mf.datasets.load("circle").z
mf.Gausian(2)
"""


def checked(tmp_path, text):
    """mypy's exit code and lines for a script that stands elsewhere, strictly; the package is as one installed."""
    home = Path(mf.__file__).parents[1]
    where = "" if home.name == "site-packages" else f"mypy_path = {home}\n"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = True\n{where}[mypy-particles.*]\nfollow_imports = silent\n")
    (tmp_path / "script.py").write_text(text)
    words = [sys.executable, "-m", "mypy", "--no-error-summary", "script.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_face__is_typed_to_the_last_name(tmp_path):
    assert checked(tmp_path, SCRIPT) == (0, "")


@pytest.mark.slow
def test_face__refuses_wrong_types(tmp_path):
    code, told = checked(tmp_path, WRONG)
    lines = [line.split(":")[1] for line in told.splitlines() if ": error:" in line]
    assert code == 1 and lines == ["4", "5", "6", "7"], told
