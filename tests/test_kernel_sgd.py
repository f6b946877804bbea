"""Averaged SGD under a fixed kernel: features, Gram matrix and very wide networks agree."""

import numpy as np
import pytest

import particles as mf
from particles.theory.kernel_sgd import feature_sgd, gram_sgd

ETA, LAM, T = 0.1, 0.3, 40


def feature(x):
    return np.stack([np.ones(len(x)), x[:, 0], x[:, 1], x[:, 0] * x[:, 1]], axis=1)


@pytest.fixture
def samples():
    chance = np.random.default_rng(0)
    return chance.standard_normal((3, T, 2)), chance.standard_normal((3, T))


def naive(x, y):
    """The recursion on functions, one stream, sample by sample: (last, mean) coefficients."""
    iterates = [np.zeros(4)]
    for point, target in zip(feature(x), y, strict=True):
        f = iterates[-1]
        iterates.append(f - ETA * (f @ point - target) * point - ETA * LAM * f)
    return iterates[-1], np.mean(iterates, axis=0)


@pytest.mark.parametrize("chunk", [1, 100, 2**22])
def test_feature_sgd__is_the_recursion(samples, chunk, monkeypatch):
    monkeypatch.setattr("particles.theory.kernel_sgd._CHUNK", chunk)
    found = feature_sgd(feature, *samples, ETA, LAM)
    for stream in range(3):
        last, mean = naive(samples[0][stream], samples[1][stream])
        assert found.last[stream] == pytest.approx(last, rel=1e-12, abs=1e-14)
        assert found.average[stream] == pytest.approx(mean, rel=1e-12, abs=1e-14)


def test_gram_sgd__is_the_same_function(samples):
    x, y = samples[0][0], samples[1][0]
    psi, new = feature(x), feature(np.random.default_rng(1).standard_normal((5, 2)))
    found = gram_sgd(psi @ psi.T, y, ETA, LAM)
    last, mean = naive(x, y)
    assert new @ psi.T @ found.last == pytest.approx(new @ last, rel=1e-11)
    assert new @ psi.T @ found.average == pytest.approx(new @ mean, rel=1e-11)


def test_networks__tend_to_it_with_their_width():
    net, law = mf.Network("tanh", beta=0.5), mf.Gaussian(2)
    stream = mf.Stream(mf.Sphere(2), lambda x: x[:, 0], noise=0.1, seed=3)
    seen, points = stream.rows(0, 64), mf.Sphere(2).sample(20, 9).b
    limit = gram_sgd(mf.tangent.limit_gram(net, law, seen.x), seen.y, ETA, LAM)
    expected = mf.tangent.limit_gram(net, law, points, seen.x) @ limit.average
    away = []
    for count in (2**10, 2**16):
        start = law.sample(count, 0, signs="symmetric")
        run = mf.simulate(net, start, stream, mf.AveragedSGD(ETA, weight_decay=LAM), steps=64, record_every=64)
        away.append(np.abs(net.predict(run.average, points) - expected).max())
    assert away[1] < away[0] / 4 < 0.05  # 8 by the law of large numbers


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: gram_sgd(np.eye(3), np.ones(2), 0.1), r"gram must be \(T, T\)"),
        (lambda: feature_sgd(feature, np.ones((3, 2)), np.ones(3), 0.1), r"x must be \(S, T, d\)"),
        (lambda: gram_sgd(np.eye(2), np.ones(2), 0.0), "`step` must be a finite number > 0"),
        (lambda: gram_sgd(np.eye(2), np.ones(2), 0.1, -1.0), "`weight_decay` must be a finite number >= 0"),
    ],
)
def test_kernel_sgd__refuses(call, told):
    with pytest.raises(mf.InputError, match=told):
        call()
