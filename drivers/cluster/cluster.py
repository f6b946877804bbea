"""What a Ray cluster costs and gives on this machine, each figure beside its rival in one run.

overhead   a step of tiny work beside Ray's bare round trip of the same messages   (claim: at most 1.5 times)
step       a full-batch step at M = 10^6, n = 1000, d = 10 on 2 shards beside 2 threads   (at most 1.05 times)
sweep      64 runs as tasks beside the best schedule of the same runs on the same cores   (at most 1.15 times)
gram       the Gram matrix of 20 000 samples to a file, with the most memory of a process   (below 2 GiB)
model      the model of scale beside measured steps   (within 25 %)

python drivers/cluster/cluster.py [--only overhead step sweep gram model]
"""

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import psutil

import particles as mf
from particles.configuration.config import override, read_toml
from particles.data.batches import Batches
from particles.experiments.cost_model import Work, here, probed, sharded
from particles.experiments.plan import plan
from particles.experiments.sweep import run_sweep
from particles.model.losses import loss
from particles.model.regularisers import L2, NONE
from particles.population.messages import Drift, OnlineRun, Update, population_spec
from particles.population.population import cores
from particles.population.samples import Samples

SQUARED = loss("squared")


def samples_of(net, n, d, batch=None):
    chance = np.random.default_rng(0)
    data = mf.Dataset(chance.standard_normal((n, d)), chance.standard_normal(n))
    return Samples(net, Batches(data, batch, 0), data)


def stepper(engine, net, M, samples, averaged=False):
    """A population and a function that takes one full-batch step of it."""
    start = mf.Gaussian(samples.x.shape[1]).sample(M, 0, lazy=True)
    population = engine.populate(population_spec(net, start, averaged=averaged, anchored=averaged), samples)
    update = None

    def step():
        nonlocal update
        g, _ = population.advance(update, "train", keep=True)
        update = Update(Drift("train", SQUARED.slope(g, samples.y) / len(g), NONE), 1e-3)

    step(), step()
    return population, step


def seconds(work, times):
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        durations.append(time.perf_counter() - began)
    return durations


def overhead(engine):
    import ray

    @ray.remote(num_cpus=1)
    class Echo:
        def call(self, out, back):
            return np.zeros(back)

    net, rows = mf.Network("relu"), []
    for n in (1, 100, 1000):
        echoes = [Echo.remote() for _ in range(2)]
        out = np.zeros(n)
        bare = lambda echoes=echoes, out=out, n=n: ray.get([one.call.remote(out, n) for one in echoes])  # noqa: E731
        bare()
        ours, theirs = [], []
        trip = seconds(bare, 300)
        for one in echoes:
            ray.kill(one)
        population, step = stepper(engine, net, 512, samples_of(net, n, 2))
        ours = seconds(step, 300)
        population.close()
        here_, step = stepper(mf.Local(1), net, 512, samples_of(net, n, 2))
        theirs = seconds(step, 300)
        here_.close()
        rows.append((n, median(ours), median(trip), median(theirs)))
        print(f"  n = {n:5d}: {median(ours) * 1e3:.2f} ms a step, bare round trip {median(trip) * 1e3:.2f} ms, "
              f"one thread here {median(theirs) * 1e3:.3f} ms")  # fmt: skip
    worst = max(ours / trip for _, ours, trip, _ in rows)
    return "a step of tiny work / Ray's bare round trip", "<= 1.5", worst, worst <= 1.5


def step(engine):
    net, n, d, M = mf.Network("tanh"), 1000, 10, 10**6
    samples = samples_of(net, n, d)
    ratios = []
    for _ in range(3):
        there, far = stepper(engine, net, M, samples)
        one = median(seconds(far, 4))
        there.close()
        near, close = stepper(mf.Local(2), net, M, samples)
        two = median(seconds(close, 4))
        near.close()
        ratios.append(one / two)
        print(f"  2 shards {one:.3f} s, 2 threads {two:.3f} s: {one / two:.3f}")
    return "a step at M = 10^6: time with 2 shards / with 2 threads", "<= 1.05", median(ratios), median(ratios) <= 1.05


def sweep(engine):
    raw = read_toml(Path(__file__).parents[2] / "configs" / "quickstart.toml")
    override(
        raw, ["start.count=[512, 1024, 2048, 4096]", f"start.seed={list(range(16))}", "steps=120", "limit.nodes=64"]
    )
    raw.pop("limit")
    runs = plan(raw, Path())
    each = {}

    class Clock:
        def begin(self, cases, todo): ...
        def step(self, case, iteration, steps): ...
        def end(self, outcome):
            assert outcome.status == "finished", outcome

    with tempfile.TemporaryDirectory() as folder:
        # The best possible schedule: what the runs take one after another on one thread, divided by the cores.
        for case in runs.cases:
            began = time.perf_counter()
            run_sweep(runs._replace(cases=[case]), Path(folder) / "alone", Clock(), threads=1)
            each[case.key] = time.perf_counter() - began
        ideal = max(sum(each.values()) / cores(), max(each.values()))
        began = time.perf_counter()
        run_sweep(runs, Path(folder) / "local", Clock())
        threads = time.perf_counter() - began
        began = time.perf_counter()
        run_sweep(runs, Path(folder) / "tasks", Clock(), tasks=engine, engine=mf.Local(1))
        took = time.perf_counter() - began
    print(f"  64 runs: {took:.1f} s as tasks; one after another on one thread {sum(each.values()):.1f} s, so at best "
          f"{ideal:.1f} s on {cores()} cores; this machine's threads {threads:.1f} s")  # fmt: skip
    return "a sweep of 64 runs: time / time of the best schedule", "<= 1.15", took / ideal, took / ideal <= 1.15


def gram(engine):
    chance = np.random.default_rng(0)
    x = chance.standard_normal((20_000, 10))
    most, going = {}, True

    def watch():
        while going:
            for process in [psutil.Process(), *psutil.process_iter()]:
                try:
                    words = " ".join(process.cmdline())
                    if process.pid == psutil.Process().pid or "ray::" in words:
                        memory = process.memory_full_info().uss
                        most[process.pid] = max(most.get(process.pid, 0), memory)
                except psutil.Error:
                    continue
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        mf.tangent.write_gram(
            mf.Network("relu"), mf.Gaussian(10).sample(2**16, 0, lazy=True), x, Path(folder) / "gram.h5", engine
        )
        took = time.perf_counter() - began
    going = False
    watcher.join()
    top = max(most.values()) / 2**30
    print(f"  n = 20 000, M = 65 536: {took:.0f} s; memory of its own that a process had at most: {top:.2f} GiB")
    return "GiB a process of the Gram matrix of 20 000 samples", "< 2", top, top < 2.0


def model(engine):
    worst = 0.0
    for name, M, n, d, shards in [
        ("tanh", 10**5, 1000, 10, 2), ("relu", 10**6, 200, 2, 2), ("sigmoid", 20_000, 5000, 30, 2),
        ("tanh", 2048, 1000, 5, 2), ("tanh", 512, 100, 3, 1), ("relu", 4096, 20_000, 3, 2),
    ]:  # fmt: skip
        net = mf.Network(name)
        work = Work(M, n, d, 1, "float64", 1, False)
        known = probed(net, work, engine)
        samples = samples_of(net, n, d)
        for where, wanted in ((mf.Local(cores()), here(work, known, cores()).step),
                              (replace(engine, shards=shards), sharded(work, known, shards, 1).step)):  # fmt: skip
            population, one = stepper(where, net, M, samples)
            measured = float(np.quantile(seconds(one, 30 if wanted < 0.1 else 5), 0.25))
            population.close()
            error = wanted / measured - 1.0
            worst = max(worst, abs(error))
            place = f"{shards} shards" if isinstance(where, mf.Ray) else f"{cores()} threads"
            print(f"  {name:8s} M = {M:8d} n = {n:6d} d = {d:3d} {place:10s}: predicted {wanted * 1e3:8.2f} ms, "
                  f"measured {measured * 1e3:8.2f} ms ({error:+.0%})")  # fmt: skip
    one_sample(engine)
    return "the model's largest error", "<= 0.25", worst, worst <= 0.25


def one_sample(engine):
    """Where one machine is faster: an iteration of one-sample SGD waits for every shard."""
    net = mf.Network("tanh")
    for M in (10**3, 10**4, 10**5, 10**6):
        samples, took = samples_of(net, 1000, 10, batch=1), []
        for where in (mf.Local(cores()), engine):
            population = where.populate(
                population_spec(net, mf.Gaussian(10).sample(M, 0, lazy=True), averaged=True, anchored=True), samples
            )
            run = OnlineRun(0, 60, np.full(60, 1e-3), "squared", L2(1e-3, about="start"), 1)
            population.sweep(run)
            took.append(median(seconds(lambda population=population, run=run: population.sweep(run), 3)) / 60)
            population.close()
        print(f"  one sample a step, M = {M:7d}: {took[0] * 1e6:8.1f} us here, {took[1] * 1e6:8.1f} us on 2 shards")


PARTS = {part.__name__: part for part in (overhead, step, sweep, gram, model)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    engine, rows = mf.Ray(shards=2, threads=1, address="local"), []
    with engine.held() as machines:
        print(f"{len(machines)} machine of {machines[0].cpus} cores")
        for name in chosen.only:
            print(name)
            rows.append(PARTS[name](engine))
    print(f"\n{'claim':50s} {'asked':>8s} {'measured':>9s}  holds")
    for claim, bound, measured, holds in rows:
        print(f"{claim:50s} {bound:>8s} {measured:9.3f}  {holds}")
    return 0 if all(holds for *_, holds in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
