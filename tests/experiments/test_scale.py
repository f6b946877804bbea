"""The model of scale, and where it sends runs."""

import json

import numpy as np
import pytest
from support.configs import SMALL_TOML, planned

import particles as mf
from particles.cli.main import main
from particles.data.batches import Batches
from particles.experiments import kernel_cost, placement
from particles.experiments.cost_model import Constants, Work, best, here, probed, sharded, work_of
from particles.experiments.memory import needs
from particles.experiments.placement import Placement, quickest, work_in
from particles.model.losses import loss as loss_row
from particles.model.regularisers import NONE
from particles.population.messages import population_spec
from particles.population.observer import Observer
from particles.population.population import cores
from particles.population.ray.allocation import spans
from particles.population.samples import Samples
from particles.population.shard import Shard
from particles.simulation import flow

KNOWN = Constants(particle_sample=1e-9, step=1e-4, meet=1e-4, trip=1e-3, shard=5e-4, byte=1e-8)
LARGE = Work(M=10**7, n=1000, d=4, steps=10, dtype="float32", copies=2, one_sample=False)


def test_here__is_the_arithmetic_over_the_threads():
    cost = here(LARGE, KNOWN, 4)
    assert cost.arithmetic == pytest.approx(10**7 * 1000 * 1e-9 / 4)
    assert cost.step == pytest.approx(cost.arithmetic + 2e-4)
    assert cost.memory == 10**7 * 4 * 4 * 2


@pytest.mark.parametrize("M", [256, 3000, 10**6])
@pytest.mark.parametrize("shards", [1, 2, 5])
def test_sharded__counts_the_bytes_that_travel(M, shards):
    n, work = 7, Work(M, 7, 2, 1, "float64", 1, False)
    if shards > -(-M // 256):
        shards = 1
    start, sent = mf.Gaussian(2).sample(M, 0, lazy=True), 0
    for span in spans(-(-M // 256), shards):
        shard = Shard(population_spec(mf.Network("relu"), start), 1, span=span)
        sent += sum(values.nbytes for values in shard.branches(np.ones((n, 2))).values())
    assert sharded(work, KNOWN, shards, 1).traffic == sent + 8 * n * shards


def test_best__uses_the_machines_where_the_work_is_large_and_one_where_it_is_small():
    assert best(LARGE, KNOWN, 64, 1).shards == 64
    assert best(LARGE._replace(M=512, n=10), KNOWN, 64, 1).shards == 1
    steps = [best(LARGE, KNOWN, machines, 8).step for machines in (1, 2, 8, 32)]
    assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize(
    ("method", "batch", "copies", "one"),
    [
        (mf.GradientDescent(0.1), 30, 1, False),
        (mf.SGD(0.1), 1, 1, True),
        (mf.AveragedSGD(0.1), 1, 3, True),  # the start, for its pull
        (mf.RungeKutta(0.1), 30, 1 + 7, False),
        (mf.RungeKutta(0.1, tolerance=1e-6), 30, 1 + 8 + 1, False),
    ],
)
def test_work__is_that_of_the_method(method, batch, copies, one, samples):
    rule = method.regulariser or NONE
    work = work_of(mf.Network("tanh", bias=True), 100, samples(n=30), method, rule, 5)
    assert (work.M, work.n, work.d, work.copies, work.one_sample) == (100, batch, 4, copies, one)


BOTH = ("input", "output")
ONE_SAMPLE = {
    "SGD": (mf.SGD(0.1), ("input",), NONE),
    "averaged": (mf.AveragedSGD(0.1), ("input",), None),
    "L2": (mf.SGD(0.1), ("input",), mf.L2(0.1)),
    "L1": (mf.SGD(0.1), ("input",), mf.L1(0.1)),
    "both layers": (mf.SGD(0.1), BOTH, NONE),
    "two samples": (mf.SGD(0.1, batch=2), ("input",), NONE),
    "langevin": (mf.Langevin(0.1, 0.1, batch=1), ("input",), None),
    "descent": (mf.GradientDescent(0.1), ("input",), NONE),
}


@pytest.mark.parametrize(("method", "train", "rule"), ONE_SAMPLE.values(), ids=ONE_SAMPLE.keys())
def test_work__is_a_one_sample_sweep_where_the_flow_makes_one(method, train, rule, cloud, samples, monkeypatch):
    def swept(*_):
        raise RuntimeError("swept")

    net, one = mf.Network("tanh", train=train), False
    monkeypatch.setattr(flow, "_sweeps", swept)
    monkeypatch.setattr(flow, "_steps", lambda *_: iter(()))
    try:
        mf.simulate(net, cloud(), samples(), method, steps=1, regulariser=rule)
    except RuntimeError:
        one = True
    assert work_of(net, 5, samples(), method, rule or method.regulariser, 1).one_sample == one


def test_work__has_the_start_beside_it_for_all_that_look_at_it(cloud, samples):
    """Where the start is not kept it is NaN."""
    net, data, row = mf.Network("tanh"), samples(loss="logistic"), loss_row("squared")
    looked = Samples(net, Batches(data, None, 0), data, data)
    names = [name for name, row in mf.OBSERVABLES.items() if not (row.kernel or row.classes)]
    observer = Observer({mf.OBSERVABLES[name]: {0} for name in names}, net, row, NONE, looked, False, 5)
    population = mf.Local(1).populate(population_spec(net, cloud()), looked)
    found = observer.measure(0, population, None)
    population.close()
    moved = {name for name in names if np.isnan(found[name]).any()} | {"pattern_flips"}  # NaN is no flip
    assert {
        name for name in names if work_of(net, 5, data, mf.GradientDescent(0.1), NONE, 1, record=[name]).copies > 1
    } == moved


def test_probe__finds_positive_constants():
    known = probed(mf.Network("relu"), Work(4096, 100, 2, 1, "float64", 1, False))
    assert 0 < known.particle_sample < 1e-6 and 0 < known.step < 0.1 and known.meet >= 0


AWAY = Placement("shards", 4, 8, "")


@pytest.mark.parametrize(
    ("settings", "mine", "cluster", "step", "kind"),
    [
        (["start.count=[8, 16]"], 2, 64, 1e-3, "here"),
        (["start.count=1000000", f"start.seed={list(range(20))}", "steps=1000"], 2, 64, 5e-2, "tasks"),
        (["start.count=10000000", "steps=1000"], 2, 64, 5e-2, "shards"),
        (["start.count=10000000", "steps=1000"], 64, 64, 5e-2, "here"),
    ],
)
def test_placement__is_the_quickest(settings, mine, cluster, step, kind):
    made = planned(*settings)
    found = quickest(made, made.cases, KNOWN, mine, cluster, AWAY, step)
    assert found.kind == kind and found.why.startswith("expected: here ")


def test_placement__puts_in_shards_what_no_machine_holds(monkeypatch):
    monkeypatch.setattr(placement, "memory_here", lambda: 2**20)
    made = planned("start.count=100000")
    found = quickest(made, made.cases, KNOWN, 2, 64, AWAY, 1.0)
    assert found.kind == "shards" and "do not fit this machine" in found.why


def test_work_in__counts_the_start_where_it_is_kept():
    made = planned('record.variables=["loss"]')
    assert work_in(made, made.cases[0])[1].copies == 1
    for name in ("displacement_rms", "pattern_flips"):
        made = planned(f'record.variables=["{name}"]')
        assert work_in(made, made.cases[0])[1].copies == 2


def test_works__are_those_of_each_run():
    made = planned("start.count=8,16", "start.seed=0,1", "steps=3,4", "network.bias=false,true", "limit.nodes=32")
    assert placement.works_in(made, made.cases) == [work_in(made, case)[1] for case in made.cases]


def test_seconds__are_shared_among_threads_and_at_least_the_largest_run():
    small = Work(M=256, n=1000, d=2, steps=100, dtype="float64", copies=1, one_sample=False)
    each = here(small, KNOWN, 1).step * 100
    assert placement.seconds_here([small] * 8, KNOWN, 4) == pytest.approx(2 * each)
    assert placement.seconds_here([small], KNOWN, 4) == pytest.approx(each)


def test_cluster__of_this_machine_s_cores_is_not_started_for_small_runs(monkeypatch):
    monkeypatch.setattr(placement, "probed", lambda *_: KNOWN)
    monkeypatch.setattr(placement, "cores", lambda: 8)
    small, large = planned("start.count=[8, 16]"), planned("start.count=1000000", "start.seed=0,1,2,3", "steps=1000")
    why = placement.not_worth_starting(small, small.cases, None)
    assert why.startswith("expected: ") and "which is not started" in why
    assert placement.not_worth_starting(large, large.cases, None)  # no more cores than the threads here
    assert not placement.not_worth_starting(large, large.cases, 1)


def test_run__says_that_no_cluster_is_started(tmp_path, monkeypatch, capsys):
    def held(*_):
        raise AssertionError("Ray was started")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    monkeypatch.setattr(mf.Ray, "held", held)
    assert main(["run", "small.toml", "--ray", "local", "--no-figure"]) == 0
    assert "runs go on this machine: expected: " in capsys.readouterr().out


def test_kernel_cost__counts_matrices_and_grows_with_samples(monkeypatch):
    monkeypatch.setattr(kernel_cost, "_measured", lambda net, M, n, d: (1e-9 * M * n**2, 1e-3 * n))
    made = planned('record.variables=["loss", "lambda_min"]', "steps=100", "record.every=50", "start.seed=0,1")
    n = mf.datasets.load("wine").x.shape[0]
    cost = kernel_cost.kernel_cost(made, made.cases)
    assert (cost.names, cost.matrices) == (("lambda_min",), 6)
    assert cost.seconds == pytest.approx(6 * (1e-9 * 8 * n**2 + 1e-3 * n))
    drift = planned('record.variables=["kernel_drift"]', "steps=100", "record.every=50")
    assert kernel_cost.kernel_cost(drift, drift.cases).seconds == pytest.approx(3 * 1e-9 * 8 * n**2)
    none = planned()
    assert kernel_cost.kernel_cost(none, none.cases) == ((), 0, 0.0)


def test_kernel_cost__is_measured_and_scaled():
    one, eigenvalues = kernel_cost._measured(mf.Network("tanh"), 100, 64, 2)
    assert one > 0 and eigenvalues > 0
    assert kernel_cost._measured(mf.Network("tanh"), 2**13, 1024, 2)[0] > 4 * one


@pytest.mark.parametrize(("seconds", "words"), [(1e6, True), (1e-3, False)])
def test_run__announces_a_kernel_that_costs_many_times_the_steps(seconds, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    monkeypatch.setattr(kernel_cost, "_measured", lambda *_: (seconds, 0.0))
    change = 'record.variables=["loss", "lambda_min"]'
    assert main(["run", "small.toml", "--set", change, "--no-figure", "--quiet"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    told = "recording lambda_min: 4 Gram matrices take 46 d 7 h of one thread, "
    assert (told in out) == words and ("times as long as all steps" in out) == words


def test_doctor__plans_the_whole_sweep(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_TOML)
    words = ["doctor", "--plan", "small.toml", "--set", "start.seed=0,1,2", "--set", "limit.nodes=64", "--json"]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)["plan"]
    assert (facts["runs"], facts["where"], facts["kernel_seconds"]) == (5, "here", 0.0)
    assert facts["needed_bytes"] == max(need.total for need in needs(planned("start.seed=0,1,2", "limit.nodes=64")))
    assert facts["seconds"] >= 5 * 0.02
    large = ["--set", "start.count=1000000", "--set", "steps=1000", "--nodes", "64", "--cores", "16"]
    assert main([*words, *large]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["where"] in ("tasks", "shards")


def test_doctor__says_what_is_here_and_what_a_run_would_cost(capsys):
    words = ["--set", "start.count=1000000", "--set", "data.n=1000", "--nodes", "8", "--cores", "16"]
    assert main(["doctor", "--plan", "configs/billion.toml", *words]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"{cores()} cores" in out and "1000000 particles, 1000 samples, d = 2, 1000 steps, float32" in out
    assert "8 shards of 16 threads" in out and "machine hours" in out


def test_doctor__marks_this_machine_where_it_is_the_fastest(capsys):
    assert (
        main(["doctor", "--plan", "configs/quickstart.toml", "--set", "start.count=64", "--set", "limit.nodes=64"]) == 0
    )
    out = capsys.readouterr().out
    (marked,) = [line for line in out.splitlines() if "<- fastest" in line]
    assert "this machine" in marked and "fastest: this machine" in out and "1 shard of" in out
