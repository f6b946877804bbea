"""The model of scale, and where it sends runs."""

import numpy as np
import pytest
from support.configs import planned

import particles as mf
from particles.cli.main import main
from particles.data.batches import Batches
from particles.experiments import placement
from particles.experiments.cost_model import Constants, Work, best, here, probed, sharded, work_of
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
    names = [name for name, observable in mf.OBSERVABLES.items() if not observable.kernel]
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


def test_doctor__says_what_is_here_and_what_a_run_would_cost(capsys):
    words = ["--set", "start.count=1000000", "--set", "data.n=1000", "--nodes", "8", "--cores", "16"]
    assert main(["doctor", "--plan", "configs/billion.toml", *words]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"{cores()} cores" in out and "1000000 particles, 1000 samples, d = 2, 1000 steps, float32" in out
    assert "8 shards of 16 threads" in out and "machine hours" in out
