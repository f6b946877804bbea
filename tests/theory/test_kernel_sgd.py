"""Averaged SGD under a fixed kernel: features, Gram matrix and very wide networks agree."""

import numpy as np
import pytest

import particles as mf
from particles.theory.spectra.eigenvalues import spectrum
from particles.theory.spectra.harmonics import fourier
from particles.theory.spectra.kernel_sgd import averaged_residual, expected_risk, feature_sgd, gram_sgd
from particles.theory.spectra.source import source_target
from particles.theory.spectra.zonal import zonal_kernel

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
    monkeypatch.setattr("particles.theory.spectra.kernel_sgd._CHUNK", chunk)
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


@pytest.mark.parametrize("degree", [1, 4])
def test_expected_risk__is_the_mean_over_many_streams(degree):
    """ReLU's kernel on the circle; the target is one of its eigenfunctions."""
    known = spectrum(zonal_kernel(mf.Network("relu"), mf.Gaussian(2)), 2, 30)
    values = np.repeat(known.values, known.counts.astype(int))
    target = source_target(known, 0.0, np.eye(degree + 1)[degree], radius=0.5)
    seen = [mf.Stream(mf.Sphere(2), target, noise=0.3, seed=seed).rows(0, 200) for seed in range(400)]
    found = feature_sgd(
        lambda x: fourier(x, 30) * np.sqrt(values),
        np.stack([one.x for one in seen]), np.stack([one.y for one in seen]), ETA, 0.02,
    )  # fmt: skip
    truth = np.zeros(61)
    truth[2 * degree - 1] = 0.5
    risks = np.sum((found.average * np.sqrt(values) - truth) ** 2, axis=1)
    expected = expected_risk(known.values, known.counts, target.coefficients, 200, ETA, 0.02, 0.3)
    error = risks.std(ddof=1) / 20
    assert abs(risks.mean() - expected) < 4 * error + 0.05 * expected  # an estimate, as it says
    residual = averaged_residual(values, 200, ETA, 0.02)[2 * degree - 1]
    mean = (found.average * np.sqrt(values))[:, 2 * degree - 1]
    assert abs(0.5 * (1 - residual) - mean.mean()) < 4 * mean.std(ddof=1) / 20


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


def test_expected_risk__counts_a_mode_that_the_kernel_does_not_see():
    """Eigenvalue 0 without weight decay, as tanh's even modes on the circle have it: this was NaN."""
    values, counts, one = np.array([1.0, 0.0]), np.ones(2), np.ones(2)
    rates = {"T": 2000, "step": 0.1, "weight_decay": 0.0, "noise": 0.0}
    assert averaged_residual(values, 2000, 0.1, 0.0)[1] == 1.0
    found = expected_risk(values, counts, one, **rates)
    assert found == pytest.approx(expected_risk(values, counts, one, **rates | {"weight_decay": 1e-14}), rel=1e-6)
    assert found > 1.0
