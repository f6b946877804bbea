"""Runs as tasks of a cluster: the files of a sweep are the same, none stops another, and a stop keeps their states."""

import os
import signal

import numpy as np
import pytest
import xarray as xr
from support import own_module
from support.configs import planned, small
from support.daily import some
from support.sweeps import DIVERGING, Silent, all_contents, statuses, swept

import particles as mf
from particles.cli.main import main
from particles.cli.progress import Ticker
from particles.experiments import sweep as module
from particles.experiments.plan import plan
from particles.experiments.sweep import run_path, run_sweep
from particles.kernels.elementwise import lanewise

OWN = (
    'network.activation="{0}:swish"', 'loss="{0}:huber"', 'record.variables=["loss","{0}:worst"]',
    'law={{name="{0}:Corner",side=0.5}}', 'method={{name="{0}:SignDescent",step=0.1}}',
)  # fmt: skip
MANY = ("start.count=[300]", "limit.nodes=16")  # each run may start a process, which takes seconds of a core


def on_cluster(cluster, out, *settings, monitor=None, **more):
    monitor = monitor or Silent()
    made = planned(*settings, folder=out)
    tasks = mf.Ray(address=cluster.address)
    found = run_sweep(made, out, monitor, tasks=tasks, engine=mf.Local(1), stop=monitor.stop, **more)
    return made, {outcome.case.key: outcome for outcome in found}


def test_sweep__on_a_cluster_writes_the_same_files(three_nodes, tmp_path):
    swept(tmp_path / "here", *MANY)
    made, outcomes = on_cluster(three_nodes, tmp_path / "there", *MANY)
    assert statuses(outcomes) == ["finished"] * len(made.tasks)
    assert all_contents(tmp_path / "there") == all_contents(tmp_path / "here")
    assert not list((tmp_path / "there").glob(".seen*"))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A plan of runs whose objects are of a module of the user's own, in the working folder."""
    own_module.write(tmp_path, "own_module_on_ray")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = [text.format("own_module_on_ray") for text in OWN]
    return plan(small(*settings), tmp_path, modules=["own_module_on_ray"])


def on_tasks(cluster, made, out):
    outcomes = run_sweep(made, out, Silent(), tasks=mf.Ray(address=cluster.address), engine=mf.Local(1))
    return {outcome.status for outcome in outcomes}, outcomes[0].message


@pytest.mark.slow
def test_sweep__on_a_cluster_imports_a_module_of_ones_own(own, three_nodes, tmp_path):
    assert on_tasks(three_nodes, own, tmp_path / "there") == ({"finished"}, "")
    run_sweep(own, tmp_path / "here", Silent())
    assert all_contents(tmp_path / "there") == all_contents(tmp_path / "here")


@pytest.mark.slow
def test_sweep__on_a_cluster_refuses_a_module_that_is_another_or_is_not_there(own, three_nodes, tmp_path, monkeypatch):
    path = tmp_path / "own_module_on_ray.py"
    path.write_text(path.read_text() + "\nmore = 1\n")
    statuses, message = on_tasks(three_nodes, own, tmp_path / "out")
    assert statuses == {"failed"} and "Put the same file where all machines find it" in message
    monkeypatch.chdir(tmp_path.parent)
    statuses, message = on_tasks(three_nodes, own, tmp_path / "out")
    assert statuses == {"failed"} and "No module named 'own_module_on_ray'" in message


@pytest.mark.slow
def test_sweep__on_a_cluster_reports_what_failed_and_goes_on(three_nodes, tmp_path):
    _, outcomes = on_cluster(three_nodes, tmp_path, *DIVERGING, "start.seed=[0, 1]")
    assert statuses(outcomes) == ["diverged", "diverged", "finished", "finished"]
    for outcome in outcomes.values():
        if outcome.status == "diverged":
            assert outcome.case.coords["step"] == 30.0 and "the run diverged" in outcome.message
            assert run_path(tmp_path, outcome.case).is_file()


class Seen(Silent):
    """Keeps what it is told; asks for a stop once a run has got somewhere."""

    def __init__(self, stops):
        super().__init__()
        self.stops, self.steps = stops, []

    def step(self, case, iteration, steps):
        self.steps.append((case.key, iteration))
        if self.stops and iteration > 0:
            self.stop.set()


@pytest.mark.slow
def test_sweep__on_a_cluster_shows_progress_and_stops(three_nodes, tmp_path):
    long = ("steps=800", "start.count=[3000]", "record.every=400")
    monitor = Seen(stops=True)
    _, outcomes = on_cluster(three_nodes, tmp_path / "there", *long, monitor=monitor)
    assert statuses(outcomes) == ["stopped"]
    assert list((tmp_path / "there" / "checkpoints").rglob("checkpoint-*.json"))
    monitor = Seen(stops=False)
    with pytest.warns(UserWarning, match="went on from the checkpoint"):
        _, outcomes = on_cluster(three_nodes, tmp_path / "there", *long, monitor=monitor)
    assert statuses(outcomes) == ["finished"] and monitor.steps
    swept(tmp_path / "here", *long)
    assert all_contents(tmp_path / "there" / "runs") == all_contents(tmp_path / "here" / "runs")


@pytest.mark.slow
@pytest.mark.parametrize("shards", [None, 2])
def test_sweep__of_objects_on_a_cluster_has_the_same_files(shards, three_nodes, samples, tmp_path):
    """As tasks, and in shards; law, activation, loss and observable are such that no process there can import them."""

    class Shifted(mf.Gaussian):
        def draw(self, random, count):
            return 0.5 + super().draw(random, count)

    cube = mf.Activation("cube", lanewise(lambda v: v * v * v), lanewise(lambda v: 3.0 * v * v), np.inf, np.inf, False)
    half = mf.LOSSES["squared"]._replace(name="half", slope=lambda z, y: 1.0 * (z - y))
    worst = mf.Observable("worst", "largest error", "section 3", (), lambda at: float(np.abs(at.g - at.y).max()))
    nets, methods = [mf.Network("tanh"), mf.Network(cube)], mf.GradientDescent(0.01)
    more = {"steps": 3, "count": [300, 600], "limit": 256, "loss": half, "record": ["loss", "prediction", worst]}
    engine = mf.Ray(shards, threads=1, address=three_nodes.address)
    for out, place in (("here", None), ("there", engine)):
        found = mf.sweep(nets, Shifted(3), samples(), methods, engine=place, out=tmp_path / out, **more)
    assert found["worst"].dims == ("activation", "count", "time") and (found["status"] == "finished").all()
    assert all_contents(tmp_path / "here") == all_contents(tmp_path / "there")


def test_sweep__says_where_the_folder_is_not_shared(tmp_path, monkeypatch):
    case = planned("start.count=[8, 16]", folder=tmp_path).cases[0]
    errand = module.Errand(tmp_path / "elsewhere", mf.Local(1), 30.0, 0, ".seen-x")
    outcome = module._run_one(errand, case, lambda iteration: False)
    assert outcome.status == "failed" and "results need a shared folder" in outcome.message


@pytest.mark.parametrize("engine", some([None, "shards"], None))
def test_run__leaves_many_particles_in_files_and_refers_to_them(engine, three_nodes, small_file, tmp_path, monkeypatch):
    words = ["run", str(small_file), "--set", "start.count=[600, 700]", "--no-figure"]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    monkeypatch.setattr(module, "GATHERED", 650)
    there = ["--ray", three_nodes.address, "--engine", engine] if engine else []
    assert main([*words, "--out", str(tmp_path / "parts"), *there]) == 0
    one, two = (sorted((tmp_path / name / "small" / "runs").glob("*.h5")) for name in ("whole", "parts"))
    assert [path.name for path in one] == [path.name for path in two]
    left = list((tmp_path / "parts" / "small" / "runs").glob("*.particles/*.h5"))
    assert len(left) == (3 if engine else 1)
    for whole, parts in zip(one, two, strict=True):
        for a, b in zip(mf.open_run(whole).measure, mf.open_run(parts).measure, strict=True):
            assert a.tobytes() == b.tobytes()
    with xr.open_datatree(left[0].parents[1] / f"{left[0].parent.stem}.h5", engine="h5netcdf") as tree:
        assert tree["final"]["position"].sizes == {"atom": 700, "dim": 13}
    assert main([*words, "--out", str(tmp_path / "parts"), *there]) == 0  # finds them finished
    left[0].unlink()
    with pytest.raises(mf.StorageError, match="which is not there in full"):
        mf.open_run(left[0].parents[1] / f"{left[0].parent.stem}.h5")


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        pytest.param("shards", "in 3 shards of 3 threads", marks=pytest.mark.slow),
        pytest.param("tasks", "as tasks on 9 cores", marks=pytest.mark.exhaustive),
        pytest.param("auto", "runs go", marks=pytest.mark.exhaustive),
    ],
)
def test_run__goes_where_it_is_told_and_says_so(engine, told, three_nodes, small_file, tmp_path, capsys):
    words = ["run", str(small_file), "--set", "start.count=[600, 700]", "--no-figure"]
    assert main([*words, "--out", str(tmp_path / "here")]) == 0
    capsys.readouterr()
    code = main([*words, "--out", str(tmp_path / "there"), "--ray", three_nodes.address, "--engine", engine])
    out = capsys.readouterr().out
    assert code == 0 and told in " ".join(out.split())
    assert all_contents(tmp_path / "there") == all_contents(tmp_path / "here")


@pytest.mark.slow
def test_run__in_shards_ends_with_75_on_sigusr1_and_goes_on(three_nodes, small_file, tmp_path, monkeypatch):
    def stopped_at(ticker, case, iteration, steps):
        if iteration == 20:
            os.kill(os.getpid(), signal.SIGUSR1)

    words = ["run", str(small_file), "--set", "start.count=3000", "--set", "steps=2000", "--set", "record.every=500"]
    words += ["--no-figure", "--quiet"]
    there = [*words, "--out", str(tmp_path / "there"), "--ray", three_nodes.address, "--engine", "shards"]
    with monkeypatch.context() as patch:
        patch.setattr(Ticker, "step", stopped_at)
        assert main(there) == 75
    assert list(tmp_path.rglob("checkpoint-*.json"))
    assert main(there) == 0 and main([*words, "--out", str(tmp_path / "here")]) == 0
    assert all_contents(tmp_path / "there") == all_contents(tmp_path / "here")


@pytest.fixture
def small_file(tmp_path):
    from support.configs import SMALL_TOML

    path = tmp_path / "small.toml"
    path.write_text(SMALL_TOML)
    return path


@pytest.mark.parametrize("option", [["--shards", "2"], ["--engine", "tasks"]])
def test_run__refuses_cluster_options_without_one(option, small_file, capsys):
    assert main(["run", str(small_file), *option]) == 2
    assert "--shards and --engine need a cluster: got no --ray" in capsys.readouterr().err
