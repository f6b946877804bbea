"""The tangent kernel's quantities of a run with k outputs: those of the block matrix."""

import numpy as np
import pytest

import particles as mf
from particles.experiments import kernel_cost

K, NAMES = 3, ("lambda_min", "lambda_max", "kernel_drift", "kernel_distance")


def run(loss, pull=0.0, bias=False, steps=3, **settings):
    """A run that records its kernel; its network, start and data."""
    chance = np.random.default_rng(2)
    y = chance.standard_normal((7, K)) if loss == "squared" else np.eye(K)[chance.integers(0, K, 7)]
    data, net = mf.Dataset(chance.standard_normal((7, 3)), y), mf.Network(
        "tanh", beta=0.5, bias=bias, train=("input", "output"), outputs=K
    )  # fmt: skip
    start = mf.Gaussian(3 + bias).sample(200, 0, "gaussian", outputs=K)
    rule = mf.L2(pull, about="start") if pull else None
    done = mf.simulate(
        net, start, data, mf.GradientDescent(0.5), steps=steps, loss=loss, regulariser=rule, record=NAMES, **settings
    )
    return done, net, start, data


def test_kernel__is_that_of_the_block_matrix():
    done, net, start, data = run("softmax")
    first, last = (mf.tangent.gram(net, measure, data.x) for measure in (start, done.measure))
    values = np.linalg.eigvalsh(last)
    found = {name: float(done.dataset[name][-1]) for name in NAMES}
    assert found["lambda_min"] == pytest.approx(values[0], rel=1e-9)
    assert found["lambda_max"] == pytest.approx(values[-1], rel=1e-12)
    assert found["kernel_drift"] == pytest.approx(np.linalg.norm(last - first) / np.linalg.norm(first), rel=1e-9)


@pytest.mark.parametrize("loss", ["squared", "softmax"])
@pytest.mark.parametrize(("pull", "bias"), [(0.0, False), (0.2, True)])
def test_kernel_distance__is_from_descent_under_the_first_kernel(loss, pull, bias):
    done, net, start, data = run(loss, pull, bias)
    kernel, begin = mf.tangent.gram(net, start, data.x), net.predict(start, data.x)
    f = begin
    for _ in range(3):
        slope = mf.LOSSES[loss].slope(f, data.y)
        f = f - 0.5 * ((kernel @ slope.ravel()).reshape(7, K) / 7 + pull * (f - begin))
    expected = np.sqrt(np.mean((net.predict(done.measure, data.x) - f) ** 2))
    assert done.dataset["kernel_distance"].values[-1] == pytest.approx(expected, rel=1e-9)
    assert expected > 1e-6  # and so not of rounding


def test_kernel_distance__of_one_output_knows_every_loss(samples):
    data, net = samples(7, loss="logistic"), mf.Network("tanh", beta=0.5)
    start = mf.Gaussian(3).sample(200, 0)
    done = mf.simulate(
        net, start, data, mf.GradientDescent(0.5), steps=3, loss="logistic", record=("kernel_distance",)
    )  # fmt: skip
    f = mf.tangent.descend(
        mf.tangent.gram(net, start, data.x), data.y, 0.5, [3], net.predict(start, data.x), loss="logistic"
    )
    expected = np.sqrt(np.mean((net.predict(done.measure, data.x) - f[0]) ** 2))
    assert done.dataset["kernel_distance"].values[-1] == pytest.approx(expected, rel=1e-9)


def test_kernel_cost__has_a_row_an_output(monkeypatch):
    """With 4 outputs a matrix of 128 samples has the 512 rows that are measured; one of 256 is counted."""
    rows = []
    monkeypatch.setattr(kernel_cost, "_seconds", lambda work: float(rows.append(len(work())) or 1.0))
    net = mf.Network("tanh", outputs=4)
    assert kernel_cost._measured(net, 64, 128, 3) == (1.0, 1.0)
    assert kernel_cost._measured(net, 64, 256, 3) == (4.0, 8.0)
    assert rows == [512] * 4
