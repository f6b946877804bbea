"""The windowed one-sample sweep against the same iterations one by one; no bit depends on threads or stops."""

import itertools
import threading

import numpy as np
import pytest
from support import naive
from support.daily import some

import particles as mf
from particles.kernels import online
from particles.kernels.online import plain_online_kernel
from particles.kernels.window import WINDOW
from particles.measures import blocks
from particles.model.activations import ACTIVATIONS
from particles.population.messages import OnlineRun, population_spec
from particles.population.online import sweep_blocks
from particles.population.shard import Shard

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
SIZE = 0.4
RULES = [mf.L2(0.0), mf.L2(0.3), mf.L2(0.3, about="start")]
# (activation, M, d, T): blocks and windows not full, one particle, more than one window.
CASES = [
    ("sigmoid", 300, 10, 2 * WINDOW + 3),
    ("tanh", 1, 1, 1),
    ("relu", 700, 3, WINDOW),
    ("sigmoid", 1100, 2, WINDOW),
    ("tanh", 257, 31, WINDOW + 1),
]


def samples(T, d, loss):
    random = np.random.default_rng(T + d)
    x, y = random.standard_normal((T, d)) / np.sqrt(d), random.standard_normal(T)
    return x, np.where(y > 0, 1.0, -1.0) if loss in naive.LABELLED else y


def start(M, d):
    random = np.random.default_rng(M)
    signs = random.choice([-1.0, 1.0], M) if M < 1000 else np.ones(M)  # equal ones are kept once
    return mf.Measure(random.standard_normal((M, d)), signs, np.full(M, 1.0 / M))


def one_by_one(measure, x, y, name, loss, rule, alpha, sizes):
    """b, its average over the iterates, and g before each step."""
    sigma, derivative = naive.SIGMA[name]
    b, mean, g = measure.b.copy(), measure.b.copy(), np.zeros(len(y))
    for t in range(len(y)):
        here = x[t : t + 1]
        g[t] = naive.network(b, measure.s, measure.w, here, sigma, alpha)[0]
        slope = np.array([naive.LOSS[loss][1](g[t], y[t])])
        v = naive.velocity(b, measure.s, here, slope, derivative, alpha)
        b = naive.step(b, v, sizes[t], rule, measure.b)
        mean += (b - mean) / (t + 2)
    return b, mean, g


def populated(measure, name, dtype, threads=1, averaged=True):
    net = mf.Network(name, beta=0.5)
    return Shard(population_spec(net, measure, dtype, averaged, anchored=True), threads)


def combinations():
    """Every case; those whose kernel differs from one that is compiled anyway in more than one respect are slow."""
    for dtype, loss, case in itertools.product(TOLERANCE, naive.LOSS, CASES):
        apart = (dtype == "float32") + (loss != "squared") + (case[0] != "tanh")
        name = "-".join(map(str, (dtype, loss, *case)))
        yield pytest.param(case, loss, dtype, id=name, marks=[pytest.mark.slow] if apart > 1 else [])


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize(("case", "loss", "dtype"), list(combinations()))
def test_sweep__is_one_sample_sgd(case, rule, loss, dtype):
    name, M, d, T = case
    (x, y), measure = samples(T, d, loss), start(M, d)
    sizes = SIZE / np.sqrt(np.arange(1, T + 1))
    x = x.astype(dtype).astype(float)
    measure = measure._replace(b=measure.b.astype(dtype).astype(float))
    population = populated(measure, name, dtype)
    g, finite = sweep_blocks(population, OnlineRun(x, y, sizes, loss, rule, 1))
    expected = one_by_one(measure, x, y, name, loss, rule, M**0.5, sizes)
    for found, truth in zip((population.measure().b, population.measure(averaged=True).b, g), expected, strict=True):
        assert np.abs(found - truth).max() <= TOLERANCE[dtype] * max(1.0, np.abs(truth).max())
    assert finite
    population.close()


def swept(kernel, measure, dtype, x, y, rule):
    """b, its average and g by a kernel, all blocks in one call."""
    (T, d), cloud = x.shape, blocks.pack(measure, dtype, shared_signs=False, shared_weights=False)
    K, real = len(cloud.b), cloud.b.dtype
    b, mean, anchor, g = cloud.b.reshape(-1), cloud.b.copy().reshape(-1), cloud.b.copy().reshape(-1), np.zeros(T)
    weights = (cloud.s * cloud.w).astype(real)
    assert kernel(
        b, mean, anchor, rule.about == "start", True, cloud.s.reshape(-1), weights.reshape(-1), d,
        x.astype(real).reshape(-1), y, np.full(T, SIZE), rule.weight, 1.0, 1.0, cloud.last_tiles, 0, K,
        np.zeros(K * 256 * WINDOW, real), np.zeros((2, K)), g, np.zeros(1, dtype=np.int64), 1,
    )  # fmt: skip
    return blocks.unpack(cloud.b, len(measure.b)), blocks.unpack(mean.reshape(cloud.b.shape), len(measure.b)), g


@pytest.mark.parametrize(("name", "tiles"), [("sigmoid", 4), ("tanh", 1)])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_sweep__as_plain_python_is_one_sample_sgd(name, tiles, rule, monkeypatch):
    monkeypatch.setattr(online, "tiles_here", lambda: tiles)
    M, d, T = 40, 3, WINDOW + 2
    (x, y), measure, row = samples(T, d, "squared"), start(M, d), ACTIVATIONS[name]
    kernel = plain_online_kernel(row.sigma, row.derivative, row.pair, "float64", "squared")
    expected = one_by_one(measure, x, y, name, "squared", rule, 1.0, np.full(T, SIZE))
    for found, truth in zip(swept(kernel, measure, "float64", x, y, rule), expected, strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", some(TOLERANCE, "float64"))
def test_sweep__has_the_same_bits_whatever_the_tiles_of_a_panel(dtype, monkeypatch):
    row, kernels = ACTIVATIONS["sigmoid"], []
    for tiles in (1, 4):
        monkeypatch.setattr(online, "tiles_here", lambda tiles=tiles: tiles)
        kernels.append(online.online_kernel(row.sigma, row.derivative, row.pair, dtype, "squared"))
    for M, d in ((257, 5), (300, 2), (5, 1)):  # of the last block one tile, or not a whole panel
        x, y = samples(2 * WINDOW + 3, d, "squared")
        one, four = (swept(kernel, start(M, d), dtype, x, y, RULES[2]) for kernel in kernels)
        assert [a.tobytes() for a in one] == [a.tobytes() for a in four]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("M", [5, 300, 1100])
def test_sweep__reads_particles_from_the_beginning_of_a_cache_line(M, dtype):
    (x, y), population = samples(1, 3, "squared"), populated(start(M, 3), "tanh", dtype)
    sweep_blocks(population, OnlineRun(x, y, np.full(1, SIZE), "squared", mf.L2(0.0), 1))
    arrays = [population.cloud.b, population.mean_b, population.start_b, *population.scratch.values()]
    assert len(arrays) == 6
    assert {a.ctypes.data % 64 for a in arrays} == {0}
    population.close()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sweep__has_the_same_bits_on_any_threads_and_with_any_stop(dtype):
    M, d, T = 3000, 5, 40 * WINDOW + 5
    (x, y), measure = samples(T, d, "squared"), start(M, d)
    found = set()
    for threads, stops in ((1, [T]), (2, [T]), (3, [T]), (2, [WINDOW, 4 * WINDOW, T]), (3, [20 * WINDOW, T])):
        population, begin, outputs = populated(measure, "tanh", dtype, threads), 0, []
        for stop in stops:
            sizes = np.full(stop - begin, SIZE)
            rule = mf.L2(0.1, about="start")
            g, _ = sweep_blocks(population, OnlineRun(x[begin:stop], y[begin:stop], sizes, "squared", rule, begin + 1))
            outputs.append(g)
            begin = stop
        state = population.state()
        found.add((state.b.tobytes(), state.mean_b.tobytes(), np.concatenate(outputs).tobytes()))
        population.close()
    assert len(found) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_sweep__tells_of_particles_that_are_lost(bad):
    (x, y), measure = samples(WINDOW, 2, "squared"), start(600, 2)
    population = populated(measure, "sigmoid", "float64", threads=2)
    population.cloud.b[1, 3, 1, 2] = bad
    _, finite = sweep_blocks(population, OnlineRun(x, y, np.full(WINDOW, SIZE), "squared", mf.L2(0.0), 1))
    assert not finite
    population.close()


def test_sgd__refuses_threads_that_cannot_be_started(monkeypatch):
    """Threads of a sweep wait for each other: with one missing the others would wait for ever."""
    begin, begun = threading.Thread.start, []

    def start_one(thread):
        begun.append(thread)
        if len(begun) > 1:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with pytest.raises(mf.InputError, match="`threads` must be as many as the system starts: got 2"):
        populated(start(1100, 2), "sigmoid", "float64", threads=2)


def test_sgd__of_one_sample_is_the_same_run_swept_or_stepped():
    """An L1 rule is stepped, as its threshold has no closed form over a window; with weight 0 it does nothing else."""
    data, measure = mf.Dataset(*samples(50, 4, "squared")), start(500, 4)
    runs = [
        mf.simulate(mf.Network("tanh"), measure, data, mf.SGD(0.2), steps=100, record_every=7, regulariser=rule)
        for rule in (mf.L2(0.0), mf.L1(0.0))
    ]
    swept, stepped = (run.dataset.prediction.values for run in runs)
    np.testing.assert_allclose(swept, stepped, rtol=1e-11, atol=1e-13)


def test_sgd__that_diverges_in_a_sweep_says_where():
    data, measure = mf.Dataset(*samples(50, 4, "squared")), start(500, 4)
    with pytest.raises(mf.DivergedError, match=r"the run diverged: the loss is .* at iteration \d+"):
        mf.simulate(mf.Network("relu"), measure, data, mf.SGD(300.0), steps=400, record=("loss",), record_every=400)
