"""The one-sample sweep of several outputs against the same iterations one by one; its bits over tiles and threads."""

import numpy as np
import pytest
from support.daily import some

import particles as mf
from particles.kernels import many_online
from particles.kernels.compile import plain
from particles.kernels.window import WINDOW
from particles.measures import blocks
from particles.model.activations import ACTIVATIONS
from particles.model.losses import LOSSES
from particles.population.messages import OnlineRun, population_spec
from particles.population.online import sweep_blocks
from particles.population.shard import Shard

SIZE = 0.4
RULES = [mf.L2(0.0), mf.L2(0.3), mf.L2(0.3, about="start")]
FORMULAS = {"tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2), "relu": (lambda z: np.maximum(z, 0.0), lambda z: z > 0)}
FORMULAS["sigmoid"] = (lambda z: 1.0 / (1.0 + np.exp(-z)), lambda z: np.exp(-z) / (1.0 + np.exp(-z)) ** 2)


def problem(M, d, k, T, loss):
    """A measure of unequal weights, samples, and targets that the loss takes."""
    random = np.random.default_rng(M + k)
    w = random.uniform(0.5, 1.5, M)
    measure = mf.Measure(random.standard_normal((M, d)), random.standard_normal((M, k)), w / w.sum())
    x, y = random.standard_normal((T, d)) / np.sqrt(d), np.eye(k)[random.integers(0, k, T)]
    return measure, x, 2.0 * y - 1.0 if LOSSES[loss].binary else y


def one_by_one(measure, x, y, name, loss, rule):
    """b, its average over the iterates, and g (T, k) before each step."""
    (sigma, derivative), b = FORMULAS[name], measure.b.copy()
    mean, g, anchor = b.copy(), np.zeros(y.shape), measure.b if rule.about == "start" else 0.0
    for t in range(len(y)):
        z = b @ x[t]
        g[t] = (measure.w * sigma(z)) @ measure.s
        slope = LOSSES[loss].slope(g[t : t + 1], y[t : t + 1])[0]
        v = -(measure.s @ slope * derivative(z))[:, None] * x[t] - rule.weight * (b - anchor)
        b = b + SIZE * v
        mean += (b - mean) / (t + 2)
    return b, mean, g


def swept(kernel, measure, dtype, x, y, rule):
    """b, its average and g by a kernel, all blocks in one call."""
    (T, d), cloud = x.shape, blocks.pack(measure, dtype, shared_weights=False)
    K, real, k = len(cloud.b), cloud.b.dtype, cloud.outputs
    b, mean, anchor, g = cloud.b.reshape(-1), cloud.b.copy().reshape(-1), cloud.b.copy().reshape(-1), np.zeros(T * k)
    assert kernel(
        b, mean, anchor, rule.about == "start", True, cloud.s.reshape(-1), cloud.w.astype(real).reshape(-1), d,
        x.astype(real).reshape(-1), y.reshape(-1), np.full(T, SIZE), rule.weight, 1.0, 1.0, cloud.last_tiles, 0, K,
        np.zeros(K * 256 * WINDOW, real), np.zeros((2, K * k)), g, np.zeros(1, dtype=np.int64), 1,
    )  # fmt: skip
    averaged = blocks.unpack(mean.reshape(cloud.b.shape), len(measure.b))
    return blocks.unpack(cloud.b, len(measure.b)), averaged, g.reshape(T, k)


def kernel_of(name, loss, dtype="float64", tiles=None, **how):
    row = ACTIVATIONS[name]
    return many_online.online_kernel(row.sigma, row.derivative, row.pair, dtype, loss, tiles=tiles, **how)


PLAIN = [("sigmoid", 4, 5, "softmax"), ("tanh", 1, 2, "squared"), ("relu", 4, 9, "softmax"), ("tanh", 1, 3, "logistic")]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize(("name", "tiles", "k", "loss"), PLAIN)
def test_sweep__as_plain_python_is_one_sample_sgd(name, tiles, k, loss, rule):
    measure, x, y = problem(40, 3, k, WINDOW + 2, loss)
    kernel = kernel_of(name, loss, tiles=tiles, make=plain, join=plain)
    expected = one_by_one(measure, x, y, name, loss, rule)
    for found, truth in zip(swept(kernel, measure, "float64", x, y, rule), expected, strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("loss", some([*LOSSES], "softmax", "squared"))
def test_sweep__compiled_is_one_sample_sgd(loss):
    for M, d, k, T in ((300, 5, 10, 2 * WINDOW + 3), (1, 1, 2, 1), (700, 3, 4, WINDOW)):
        (measure, x, y), rule = problem(M, d, k, T, loss), RULES[2]
        expected = one_by_one(measure, x, y, "tanh", loss, rule)
        for found, truth in zip(swept(kernel_of("tanh", loss), measure, "float64", x, y, rule), expected, strict=True):
            np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", some(["float64", "float32"], "float64"))
def test_sweep__has_the_same_bits_whatever_the_tiles_of_a_panel(dtype):
    kernels = [kernel_of("tanh", "softmax", dtype, tiles) for tiles in (1, 4)]
    for M, d, k in ((257, 5, 3), (300, 2, 10), (5, 1, 2)):
        measure, x, y = problem(M, d, k, 2 * WINDOW + 3, "softmax")
        one, four = (swept(kernel, measure, dtype, x, y, RULES[2]) for kernel in kernels)
        assert [a.tobytes() for a in one] == [a.tobytes() for a in four]


def test_sweep__has_the_same_bits_on_any_threads():
    measure, x, y = problem(2000, 4, 10, 2 * WINDOW + 1, "softmax")
    found = []
    for threads in (1, 2, 3):
        net = mf.Network("tanh", outputs=10)
        shard = Shard(population_spec(net, measure, "float64", True, True), threads)
        g, finite = sweep_blocks(shard, OnlineRun(x, y, np.full(len(x), SIZE), "softmax", RULES[2], 1))
        found.append([g.tobytes(), *(a.tobytes() for a in (shard.measure().b, shard.measure(averaged=True).b))])
        assert finite
        shard.close()
    assert found[0] == found[1] == found[2]


def test_softmax_slopes__keep_a_nan_and_do_not_overflow():
    slopes = np.zeros(3)
    many_online.softmax_slopes(np.array([1000.0, 0.0, -1000.0]), np.array([0.0, 1.0, 0.0]), 0, slopes)
    np.testing.assert_allclose(slopes, [1.0, -1.0, 0.0], atol=1e-300)  # exp goes no further down than e^-708
    many_online.softmax_slopes(np.array([0.0, np.nan, 1.0]), np.zeros(3), 0, slopes)
    assert np.isnan(slopes).all()
