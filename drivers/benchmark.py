"""How fast the loops are, beside the best that JAX, PyTorch and BLAS do, in one run.

Everything is timed in turns (ours, peer, ours, ...), so that a machine that slows down slows all alike; told are
medians, and medians of ratios. Roofline: the flops of a step / the peak of a matrix product measured here, plus
the activation and its slope applied to numbers in the L1, also measured here, on as many threads.

    pip install ".[peers]"
    python drivers/benchmark.py [--quick] [--only PART ...] [--cases TEXT] [--out FOLDER]

Kept are FOLDER/PROCESSOR.h5 and, of the full-batch step, a picture: one pair for each family of processors.
"""

import argparse
import datetime
import itertools
import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numba
import numpy as np
import xarray as xr
from numba.core.codegen import get_host_cpu_features
from peers import blas_peer, jax_peer, torch_peer
from threadpoolctl import threadpool_limits

import particles as mf
from particles.kernels import panels
from particles.kernels.compile import specialise
from particles.kernels.lanes import LANES, join, load, lower, store, upper
from particles.machine import processor
from particles.model.losses import loss
from particles.model.regularisers import L2, NONE
from particles.plotting.style import PALETTE, THEORY, save, styled
from particles.population.messages import Drift, OnlineRun, Update, population_spec
from particles.population.population import cores

N = 1000
SHAPES = [(102400, 2), (102400, 10), (51200, 50), (20480, 200), (10240, 784)]
TYPES = "float64", "float32"
SWEEPS = [(1000, 10, 3000), (10000, 10, 1200), (100000, 10, 120), (1000, 50, 3000)]
GRAMS = [(1000, 2**18), (4000, 2**17)]
MANY = 10000, 1797, 64, 10  # M, n, d and outputs: digits


def race(contestants, rounds, patience=30.0):
    """Median seconds of each; those far behind after the first turn are left out, so are those that cannot run here."""
    seconds = {}
    for name, run in contestants.items():
        try:
            run()  # compiles, and warms the caches
            began = time.perf_counter()
            run()
            seconds[name] = [time.perf_counter() - began]
        except Exception as error:
            print(f"    {name} does not run here: {str(error).splitlines()[0][:80]}")
    best = min(times[0] for times in seconds.values())
    inside = [name for name, times in seconds.items() if times[0] < 3 * best or name.startswith("ours")]
    began = time.perf_counter()
    for _ in range(rounds):
        for name in inside:
            start = time.perf_counter()
            contestants[name]()
            seconds[name].append(time.perf_counter() - start)
        if time.perf_counter() - began > patience:
            break
    return {name: times[1:] or times for name, times in seconds.items()}


def against(seconds, mine="ours"):
    """The best peer's name, and the median ratio of its time to ours in the same round."""
    peers = {name: median(times) for name, times in seconds.items() if not name.startswith("ours")}
    best = min(peers, key=peers.get)
    return best, median(a / b for a, b in zip(seconds[best], seconds[mine], strict=False))


def our_step(name, dtype, b, x, y, threads=None, a=None):
    """A full-batch step of our population, as the time loop takes it; of both layers with a, (M,) or (M, k)."""
    net, squared = mf.Network(name), loss("squared")
    if a is not None:
        net = mf.Network(name, train=("input", "output"), outputs=a[:1].size)
    M = len(b)
    start = mf.Measure(b.astype(float), np.ones(M) if a is None else a.astype(float), np.full(M, 1 / M))
    population = mf.Local(threads).populate(population_spec(net, start, dtype))
    x, update = x.astype(float), None

    def run():
        nonlocal update
        g, _ = population.advance(update, x, keep=True)
        update = Update(Drift(x, squared.slope(g, y) / len(y), NONE), 0.1)

    run()  # from here on there is an update to make
    return run


def _apply(a, out, reps):
    """A formula on numbers that stay in the L1, two vectors at a time, as the kernels apply it."""
    for _ in range(reps):
        for j in range(0, a.size, 2 * WIDTH):
            both = formula(join(load(a, j), load(a, j + WIDTH)))
            store(out, j, lower(both))
            store(out, j + WIDTH, upper(both))


formula, WIDTH = None, 8


def elementwise(name, dtype, pool_size):
    """Seconds a number for sigma and sigma' together, all cores at it."""
    row, random = mf.ACTIVATIONS[name], np.random.default_rng(0)
    total = 0.0
    for f in (row.sigma, row.derivative):
        kernel = specialise(_apply, formula=f, WIDTH=LANES[dtype])
        arrays = [(random.standard_normal(1024).astype(dtype), np.empty(1024, dtype)) for _ in range(pool_size)]
        kernel(*arrays[0], 1)
        best = np.inf
        for _ in range(7):
            began = time.perf_counter()
            together([lambda a=a, out=out, kernel=kernel: kernel(a, out, 2000) for a, out in arrays])
            best = min(best, time.perf_counter() - began)
        total += best / (2000 * 1024 * pool_size)
    return total


def together(works):
    """Run all at once, a thread each."""
    import threading

    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def peak(dtype):
    """Flops a second of a BLAS product on all cores, the best of several."""
    run = blas_peer.product(dtype)
    run()
    times = []
    for _ in range(15):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 2 * 1024**3 / min(times)


def steps(quick, rounds, cases):
    """The full-batch step at every shape, activation and float type."""
    rows = []
    for dtype, name, (M, d) in itertools.product(TYPES, ("sigmoid", "relu", "tanh", "gelu"), SHAPES):
        case = f"{dtype} {name} d={d}"
        if not cases.search(case) or (quick and (dtype, name) != ("float64", "sigmoid")):
            continue
        random = np.random.default_rng(0)
        b, x = random.standard_normal((M, d)).astype(dtype), random.standard_normal((N, d)).astype(dtype) / d**0.5
        x, y = x.astype(dtype), random.standard_normal(N)
        contestants = {
            "ours": our_step(name, dtype, b, x, y),
            "jax, chunks of 512": jax_peer.step(name, b, x, y.astype(dtype), 512, keep=False),
            "jax, chunks of 1024": jax_peer.step(
                name, b, x, y.astype(dtype), 1024 if M % 2048 == 0 else 256, keep=False
            ),
            "torch": torch_peer.step(name, b, x, y.astype(dtype), 512, compiled=False),
            "torch, compiled": torch_peer.step(name, b, x, y.astype(dtype), 512, compiled=True),
            "torch, kept": torch_peer.kept_step(name, b, x, y.astype(dtype), M),
            "torch, kept in chunks": torch_peer.kept_step(name, b, x, y.astype(dtype), 512),
        }
        if d > 64:
            contestants["jax, kept"] = jax_peer.step(name, b, x, y.astype(dtype), 512, keep=True)
        seconds = race(contestants, rounds)
        ours, (best, ratio) = median(seconds["ours"]), against(seconds)
        itemsize = np.dtype(dtype).itemsize
        kept = min(1.0, 2**28 / (M * N * itemsize)) if d >= panels.keep_from(name) else 0.0
        flops = (6 - 2 * kept) * d
        roof = flops / peak(dtype) + elementwise(name, dtype, cores())
        mine = ours / (M * N)
        rows.append((case, mine * 1e9, ratio, roof / mine, best))
        summary = f"{mine * 1e9:7.3f} ns   {ratio:5.2f} x {best:20s} {100 * roof / mine:4.0f}% of the roofline"
        print(f"  {rows[-1][0]:24s} {summary}")
    return rows


def outputs(quick, rounds, cases):
    """The full-batch step of both layers with 10 outputs, beside peers and beside its share of the step with one."""
    rows, (M, n, d, k) = [], MANY
    for dtype, name in itertools.product(TYPES, ("sigmoid", "relu", "tanh")):
        case = f"{dtype} {name} k={k} d={d}"
        if not cases.search(case) or (quick and rows):
            continue
        random = np.random.default_rng(0)
        b, a = random.standard_normal((M, d)).astype(dtype), random.standard_normal((M, k)).astype(dtype)
        x, y = (random.standard_normal((n, d)) / d**0.5).astype(dtype), random.standard_normal((n, k)).astype(dtype)
        contestants = {
            "ours": our_step(name, dtype, b, x, y.astype(float), a=a),
            "ours, one output": our_step(name, dtype, b, x, y[:, 0].astype(float), a=a[:, 0]),
        }
        for chunk, kept in itertools.product((250, 500, 1000), (False, True)):
            how = f"chunks of {chunk}{', kept' if kept else ''}"
            contestants[f"torch, {how}"] = torch_peer.many_outputs_step(name, b, a, x, y, chunk, kept)
            contestants[f"jax, {how}"] = jax_peer.many_outputs_step(name, b, a, x, y, chunk, kept)
        seconds = race(contestants, rounds)
        best, ratio = against(seconds)
        ours, one = median(seconds["ours"]), median(seconds["ours, one output"])
        share = ours / one / ((d + k) / (d + 1))
        rows.append((case, ours / (M * n) * 1e9, ratio, share, best))
        print(f"  {case:28s} {rows[-1][1]:7.3f} ns   {ratio:5.2f} x {best:28s} {share:.2f} of its share")
    return rows


def online(quick, rounds, cases):
    """One-sample averaged SGD with the pull to the start."""
    rows = []
    for dtype, (M, d, T) in itertools.product(TYPES, SWEEPS):
        case = f"{dtype} M={M} d={d}"
        if not cases.search(case) or (quick and rows):
            continue
        random = np.random.default_rng(0)
        b, x, y = random.standard_normal((M, d)), random.standard_normal((T, d)), random.standard_normal(T)
        start = mf.Measure(b, np.ones(M), np.full(M, 1 / M))
        contestants = {}
        for label, threads in (("ours", None), ("ours, one thread", 1)):
            cloud = population_spec(mf.Network("sigmoid"), start, dtype, averaged=True, anchored=True)
            population = mf.Local(threads).populate(cloud)
            run = OnlineRun(x, y, np.full(T, 0.1), "squared", L2(0.01, about="start"), 1)
            contestants[label] = lambda population=population, run=run: population.sweep(run)
        theirs = [a.astype(dtype) for a in (b, x, y)]
        contestants["jax, (M, d)"] = jax_peer.online(*theirs, rows=True)
        contestants["jax, (d, M)"] = jax_peer.online(*theirs, rows=False)
        contestants["torch"] = torch_peer.online(*theirs)
        seconds = race(contestants, rounds)
        best, ratio = against(seconds)
        ours, alone = (median(seconds[name]) / T * 1e6 for name in ("ours", "ours, one thread"))
        spread = median(seconds["ours"]) / min(seconds["ours"])
        rows.append((case, ours, ratio, spread, best))
        summary = f"{ours:8.2f} us ({alone:.2f} on one thread, median / minimum {spread:.2f})   {ratio:5.2f} x {best}"
        print(f"  {case:24s} {summary}")
    return rows


def grams(quick, rounds, cases):
    """ReLU's tangent Gram matrix, from weights and inputs."""
    rows = []
    for n, M in GRAMS[:1] if quick else GRAMS:
        if not cases.search(f"n={n} M={M}"):
            continue
        random = np.random.default_rng(0)
        b, x = random.standard_normal((M, 10)), random.standard_normal((n, 10))
        measure, net = mf.Measure(b, np.ones(M), np.full(M, 1 / M)), mf.Network("relu")
        few = b[: M // 64]
        trial = {
            "jax, float32": jax_peer.gram(few, x, 4096 // 2),
            "torch, int8": torch_peer.gram(few, x, len(few), 1),
            "torch, int8 by blocks": torch_peer.gram(few, x, len(few), 4),
            "ssyrk": blas_peer.gram(few, x, len(few)),
        }
        short = {name: median(times) for name, times in race(trial, 1).items()}
        print("   ", ", ".join(f"{name} {seconds * 64:.2f} s" for name, seconds in short.items()), "(a 64th, times 64)")
        contestants = {"ours": lambda measure=measure, net=net, x=x: mf.tangent.gram(net, measure, x)}
        if short["jax, float32"] < 3 * min(short.values()):
            contestants["jax, float32"] = jax_peer.gram(b, x, 8192)
        if min(short["torch, int8"], short["torch, int8 by blocks"]) < 3 * min(short.values()):
            contestants["torch, int8 by blocks"] = torch_peer.gram(b, x, 8192, 4)
        contestants["ssyrk"] = blas_peer.gram(b, x, 8192)
        seconds = race(contestants, rounds)
        best, ratio = against(seconds)
        over_syrk = median(a / b for a, b in zip(seconds["ssyrk"], seconds["ours"], strict=False))
        rate = n * n * M / median(seconds["ours"]) / 1e9
        rows.append((f"n={n} M={M}", rate, ratio, over_syrk, best))
        print(f"  {rows[-1][0]:24s} {rate:6.0f} G pairs/s   {ratio:5.2f} x {best}, {over_syrk:.1f} x ssyrk")
    return rows


def sensitivities(quick, rounds, cases):
    """The loss after 10 steps and its gradient by all particles of the start: value and reverse mode together."""
    rows, (M, n, T) = [], (10240, N, 10)
    for d in (10, 50):
        case = f"tanh M={M} d={d}"
        if not cases.search(case) or (quick and rows):
            continue
        random = np.random.default_rng(0)
        b, x, y = random.standard_normal((M, d)), random.standard_normal((n, d)) / d**0.5, random.standard_normal(n)
        net, data, method = mf.Network("tanh"), mf.Dataset(x, y), mf.GradientDescent(0.1)
        start = mf.Measure(b, np.ones(M), np.full(M, 1 / M))
        contestants = {
            "ours": lambda net=net, start=start, data=data, method=method: mf.sensitivity(
                net, start, data, method, steps=T, by="position"
            ),
            "ours, the run alone": lambda net=net, start=start, data=data, method=method: mf.simulate(
                net, start, data, method, steps=T, record=["loss"], record_every=T
            ),
            "torch, by hand": torch_peer.derivative(b, x, y, T, 512),
            "jax": jax_peer.derivative("tanh", b, x, y, T, M, inner=False),
            "jax, chunks of 512": jax_peer.derivative("tanh", b, x, y, T, 512, inner=False),
            "jax, chunks made again": jax_peer.derivative("tanh", b, x, y, T, 512, inner=True),
        }
        expected = contestants["ours"]().dataset["loss_by_position"].values.reshape(M, d)
        for name, run in contestants.items():
            if not name.startswith("ours"):
                np.testing.assert_allclose(run()[1], expected, rtol=0, atol=1e-10 * np.abs(expected).max())
        seconds = race(contestants, rounds)
        best, ratio = against(seconds)
        over = median(seconds["ours"]) / median(seconds["ours, the run alone"])
        whole = jax_peer.derivative("tanh", b, x, y, T, M, inner=False, checkpoint=False).memory / 2**30
        rows.append((case, median(seconds["ours"]), ratio, over, whole, best))
        others = ", ".join(f"{name} {median(times):.2f} s" for name, times in seconds.items())
        print(f"  {case:24s} {others}: {ratio:.2f} x {best}, {over:.2f} runs; jax without checkpoints {whole:.1f} GiB")
    return rows


def thread_gain(quick, rounds, cases):
    """All cores compared with one, on the full-batch step and on multiply-adds in registers: what the machine gives."""
    rows = []
    for M, d in SHAPES:
        random = np.random.default_rng(0)
        b, x, y = random.standard_normal((M, d)), random.standard_normal((N, d)), random.standard_normal(N)
        seconds = race(
            {f"ours {threads}": our_step("sigmoid", "float64", b, x, y, threads) for threads in (1, cores())}, rounds
        )
        gain = median(a / b for a, b in zip(seconds["ours 1"], seconds[f"ours {cores()}"], strict=True))
        rows.append((f"d={d}", gain))
    spin = numba.njit(nogil=True)(_spin)
    spin(10)
    seconds = race({f"ours {k}": lambda k=k: together([lambda: spin(3 * 10**8)] * k) for k in (1, cores())}, rounds)
    rows.append(("the machine's own", cores() * median(seconds["ours 1"]) / median(seconds[f"ours {cores()}"])))
    for label, gain in rows:
        print(f"  {label:24s} {gain:.2f} x on {cores()} threads")
    return rows


def _spin(count):
    a = b = c = d = 1.0
    for _ in range(count):
        a, b, c, d = a * 0.999999 + 1e-9, b * 0.999998 + 1e-9, c * 0.999997 + 1e-9, d * 0.999996 + 1e-9
    return a + b + c + d


def costs(quick, rounds, cases):
    """The exponents of cost in M, n and d in two decades; ReLU, so that the products are what costs.

    In d twice: below about 100 inputs pre-activations are made again for the push (6 d flops), above slopes are kept
    (4 d).
    """
    sizes = [("M", (10240, 102400, 1024000)), ("n", (1000, 10000, 100000))]
    sizes += [("d", (10, 100, 1000)), ("d", (100, 1000, 10000))]
    rows = []
    for key, values in sizes:
        base = {"M": 2560 if key == "d" else 10240, "n": 1000, "d": 10}
        contestants = {}
        for value in values:
            M, n, d = ({**base, key: value}[name] for name in ("M", "n", "d"))
            random = np.random.default_rng(0)
            b, x, y = random.standard_normal((M, d)), random.standard_normal((n, d)), random.standard_normal(n)
            # As many steps as make all contestants equally long.
            step, times = our_step("relu", "float64", b, x, y), values[-1] // value
            contestants[f"ours {value}"] = lambda step=step, times=times: [
                step() for _ in range(times)
            ]  # as long as any
        medians = [median(times) for times in race(contestants, rounds).values()]
        seconds = [whole * value / values[-1] for whole, value in zip(medians, values, strict=True)]
        slope = np.polyfit(np.log(values), np.log(seconds), 1)[0]
        rows.append((key, slope))
        print(f"  cost ~ {key}^{slope:.3f}   ({', '.join(f'{s:.3g} s' for s in seconds)} at {values})")
    return rows


LARGE = """
import sys, time
from pathlib import Path
import numpy as np
import particles as mf
from particles.population.messages import Drift, Update, population_spec
from particles.model.regularisers import NONE
count = int(sys.argv[1])
random = np.random.default_rng(0)
x, y = random.standard_normal((10, 2)), random.standard_normal(10)
start = mf.Gaussian(dim=2).sample(count, seed=0, lazy=True)
population = mf.Local().populate(population_spec(mf.Network("sigmoid"), start, "float32"))
times, update = [], None
for _ in range(4):
    began = time.perf_counter()
    g, _ = population.advance(update, x, keep=True)
    update = Update(Drift(x, (g - y) / 10, NONE), 0.1)
    times.append(time.perf_counter() - began)
# Not getrusage: its peak remembers the process that started this one.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024, min(times[1:]))
"""


def memory(quick, rounds, cases):
    """Peak memory of a process that takes steps with very many particles, divided by the particles' own."""
    count = 10**7 if quick else 10**8
    for size in (1000, count):  # first a small one, which compiles
        words = [sys.executable, "-c", LARGE, str(size)]
        output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    bytes_peak, seconds = (float(word) for word in output.split())
    own = 2 * 4 * count
    summary = f"{seconds:.2f} s a step, peak {bytes_peak / own:.2f} x their {own / 1e9:.1f} GB"
    print(f"  {count:.0e} particles, d = 2, float32: {summary}")
    return [(f"{count} particles", bytes_peak / own, seconds)]


@styled
def draw(results, path):
    """One picture: the ratio to the best peer and the share of the roofline at every shape."""
    from matplotlib.figure import Figure

    rows = results["step"]
    figure = Figure(figsize=(11, 0.28 * len(rows) + 1.4))
    left, right = figure.subplots(1, 2, sharey=True)
    places = range(len(rows))[::-1]
    left.barh(places, [row[2] - 1.0 for row in rows], left=1.0, color=PALETTE[0])
    left.axvline(1.0, **THEORY)
    left.set(xlabel="how many times as fast as the best peer (log)", xscale="log", yticks=list(places))
    left.set_yticklabels([row[0] for row in rows], fontsize=8)
    right.barh(places, [100 * row[3] for row in rows], color=PALETTE[1])
    right.axvline(100.0, **THEORY)
    right.set(xlabel="share of the roofline (%)")
    save(figure, path)


def machine():
    """What the figures are of: processor, vectors and panels of its loops, libraries, the day."""
    held = getattr(numba.config, "CPU_FEATURES", None)  # Numba may be held to fewer than there are
    features = (held or get_host_cpu_features()).split(",")
    return {
        "processor": processor().name,
        "family": processor().family,
        "cores": cores(),
        "vector_bits": 512 if "+avx512f" in features else 256 if "+avx2" in features else 128,
        "panel": f"{panels.tiles_here()} x {panels.ROWS}",
        "near_bytes": panels.near_bytes(),
        "numba": numba.__version__,
        "day": datetime.date.today().isoformat(),
    }


PARTS = {"step": steps, "outputs": outputs, "online": online, "gram": grams, "threads": thread_gain, "costs": costs}
PARTS |= {"memory": memory, "sensitivity": sensitivities}


def main():
    """Run the parts that were asked for, print them, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer shapes and rounds: two minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--cases",
        type=re.compile,
        default=re.compile(""),
        help="of step, outputs, online and gram those in whose name this is found, such as 'float64 .* d=784'",
    )
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--json", action="store_true", help="print the results once more, as one line of JSON")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark"))
    args = parser.parse_args()
    rounds = args.rounds or (3 if args.quick else 7)
    results, about = {}, machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    for part in args.only:
        print(part + ":", PARTS[part].__doc__.splitlines()[0])
        with threadpool_limits(cores()):
            if rows := PARTS[part](args.quick, rounds, args.cases):  # none where `--cases` finds no case
                results[part] = rows
    args.out.mkdir(parents=True, exist_ok=True)
    arrays, stem = {}, args.out / about["family"].split()[0]
    for part, rows in results.items():
        arrays[part] = (
            (f"{part}_case", f"{part}_figure"),
            np.array([[v for v in row[1:] if not isinstance(v, str)] for row in rows]),
        )
        arrays[f"{part}_name"] = ((f"{part}_case",), np.array([row[0] for row in rows]))
    about |= {"peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    xr.Dataset(arrays, attrs=about).to_netcdf(stem.with_suffix(".h5"), engine="h5netcdf")
    if "step" in results:
        draw(results, stem)
    print(f"kept in {args.out}")
    if args.json:
        print(json.dumps({"machine": about, **results}))


if __name__ == "__main__":
    main()
