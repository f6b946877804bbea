"""Ctrl-C: what was recorded comes back, no iteration is cut in two, and pressed twice it is KeyboardInterrupt."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import particles as mf
from particles.population.population import LocalPopulation
from particles.population.shard import Shard

NET, STEPS = mf.Network("tanh", beta=1.0), 200
METHODS = {
    "GD": (mf.GradientDescent(0.1), "push"),
    "SGD": (mf.SGD(0.05), "sweep"),
    "averaged SGD": (mf.AveragedSGD(0.05, 0.01), "sweep"),
    "SGD in batches": (mf.SGD(0.05, batch=3), "push"),
    "Langevin": (mf.Langevin(0.05, temperature=0.01), "push"),
    "dual averaging": (mf.DualAveraging(0.05, temperature=0.01, weight_decay=0.1), "push"),
    "Runge-Kutta": (mf.RungeKutta(0.1), "push"),
    "Runge-Kutta to a tolerance": (mf.RungeKutta(0.1, "dormand-prince", tolerance=1e-6), "probe"),
    "Fisher-Rao": (mf.FisherRao(0.05, rate=0.1), "push"),
}


@pytest.fixture
def simulate(cloud, samples):
    """A run of one of the methods, three blocks of particles on two threads."""

    def make(method, steps=STEPS, **settings):
        return mf.simulate(NET, cloud(M=600), samples(n=9), METHODS[method][0], steps=steps, engine=mf.Local(2),
                           record_every=7, **settings)  # fmt: skip

    return make


def pressed(monkeypatch, part, times=1, at=3):
    """Ctrl-C inside the work on the particles, before the `at`-th call of it has done anything."""
    owner = LocalPopulation if part == "sweep" else Shard
    work, calls = getattr(owner, part), []

    def hit(self, *args):
        calls.append(part)
        if len(calls) == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return work(self, *args)

    monkeypatch.setattr(owner, part, hit)


@pytest.mark.parametrize("method", METHODS)
def test_interrupt__ends_the_run_between_iterations(method, simulate, monkeypatch, tmp_path, capsys):
    with monkeypatch.context() as patch:
        pressed(patch, METHODS[method][1])
        run = simulate(method, steps=4096, checkpoints=mf.Checkpoints(tmp_path, 1e9))
    (state,) = tmp_path.glob("checkpoint-*.json")
    last = int(state.name.split("-")[1])
    assert run.status == "stopped" and 0 < last < 4096
    assert "Ctrl-C again ends it now" in capsys.readouterr().err
    again = mf.open_run(run.save(tmp_path / "run.h5"))
    assert again.dataset["iteration"].values.tolist() == list(range(0, last + 1, 7))
    for mine, wanted in zip(again.measure, simulate(method, steps=last).measure, strict=True):
        assert mine.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_interrupt__loses_nothing(method, simulate, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        pressed(patch, METHODS[method][1])
        assert simulate(method, checkpoints=mf.Checkpoints(tmp_path, 1e9)).status == "stopped"
    resumed, whole = simulate(method, checkpoints=tmp_path), simulate(method)
    assert "went on from the checkpoint" in {event["what"] for event in resumed.events}
    pairs = [(resumed.measure, whole.measure)] + ([(resumed.average, whole.average)] if whole.average else [])
    for mine, wanted in pairs:
        assert [a.tobytes() for a in mine] == [a.tobytes() for a in wanted]


def test_interrupt__amid_the_parts_of_a_step_goes_back_to_where_it_began(cloud, samples, monkeypatch, tmp_path):
    def go(steps=4, **settings):
        method = mf.RungeKutta(5.0, tolerance=1e-7)
        return mf.simulate(NET, cloud(M=20), samples(n=9), method, steps=steps, record="loss", **settings)

    parts = [sum(go(steps).dataset.attrs[f"{kind}_parts"] for kind in ("accepted", "rejected")) for steps in (1, 2)]
    with monkeypatch.context() as patch:
        pressed(patch, "probe", at=parts[0] + 3)
        run = go(checkpoints=tmp_path)
    assert parts[1] > parts[0] + 4 and run.status == "stopped" and run.dataset["iteration"].values.tolist() == [0, 1]
    assert run.measure.b.tobytes() == go(1).measure.b.tobytes()
    resumed, whole = go(checkpoints=tmp_path), go()
    assert resumed.dataset["loss"].equals(whole.dataset["loss"]) and "went on" in str(resumed.events)
    assert resumed.measure.b.tobytes() == whole.measure.b.tobytes()


@pytest.mark.parametrize("method", ["GD", "SGD", "Runge-Kutta", "Fisher-Rao"])
def test_interrupt__twice_is_keyboardinterrupt_and_spoils_nothing(method, simulate, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        pressed(patch, METHODS[method][1], times=2, at=4)
        with pytest.raises(KeyboardInterrupt):
            simulate(method, checkpoints=mf.Checkpoints(tmp_path, 0.0))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, whole = simulate(method, checkpoints=tmp_path), simulate(method)
    assert resumed.measure.b.tobytes() == whole.measure.b.tobytes()


def test_interrupt__leaves_the_handler_as_it_was(simulate, monkeypatch):
    simulate("GD", steps=3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    pressed(monkeypatch, "push")
    simulate("GD")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interrupt__is_left_to_a_handler_of_another_s(simulate, monkeypatch):
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        pressed(monkeypatch, "push")
        assert simulate("GD", steps=9).status == "finished" and heard == [1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupt__by_a_handler_of_another_s_has_no_measure_of_half_an_iteration(simulate, monkeypatch, tmp_path):
    def raises(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, raises)
    try:
        pressed(monkeypatch, "push", at=9)
        run = simulate("GD")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (run.status, run.last) == ("stopped", None)
    again = mf.open_run(run.save(tmp_path / "run.h5"))
    assert again.last is None and again.dataset["iteration"].values.tolist() == [0, 7]
    with pytest.raises(mf.InputError, match="ended inside an iteration"):
        _ = again.measure
    assert "stopped" in repr(again)


def test_runs__in_threads_have_no_handler(simulate):
    """Python takes signals in the main thread alone."""
    found = []
    thread = threading.Thread(target=lambda: found.append(simulate("GD", steps=2).status))
    thread.start()
    thread.join()
    assert found == ["finished"]


def test_interrupt__inside_a_long_iteration_leaves_whole_particles(samples, cloud):
    """Truly from outside, while threads are at work on the particles."""
    data, seen, hit = samples(n=1000, d=10), [], []

    def go(steps, progress=None):
        return mf.simulate(NET, cloud(M=60_000, d=10), data, mf.GradientDescent(0.5), steps=steps, record="loss",
                           engine=mf.Local(2), progress=progress)  # fmt: skip

    def strike():
        hit.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def press(iteration, steps):
        seen.append(time.monotonic())
        if iteration == 3:  # the first iterations may be longer: kernels are loaded
            threading.Timer(0.4 * (seen[3] - seen[2]), strike).start()

    run = go(50, press)
    last = len(seen) - 1
    assert run.status == "stopped" and run.dataset["iteration"].values.tolist() == list(range(last + 1))
    assert seen[last - 1] < hit[0] < seen[last], "it was not met inside an iteration, but while it was being told of"
    np.testing.assert_array_equal(run.measure.b, go(last).measure.b)


SCRIPT = """
import sys, numpy as np, particles as mf
data = mf.Dataset(np.eye(3), np.arange(3.0))
def told(iteration, steps):
    if iteration == 5:
        print("begun", flush=True)
run = mf.simulate(mf.Network("tanh"), mf.Gaussian(3).sample(64, seed=0), data, mf.GradientDescent(0.01),
                  steps=10**8, record_every=10**6, record="loss", progress=told)
run.save(sys.argv[1])
print(run.status)
"""


@pytest.mark.slow
def test_interrupt__of_a_script_lets_it_go_on(tmp_path):
    words = ["env", "--default-signal=INT", sys.executable, "-c", SCRIPT, str(tmp_path / "run.h5")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "stopped\n"), err
    assert mf.open_run(tmp_path / "run.h5").dataset["iteration"].values.tolist() == [0]
