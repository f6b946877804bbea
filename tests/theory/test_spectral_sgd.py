"""Averaged SGD in Fourier modes: the recursion by hand, other code for the same, finite networks, and its noise."""

import numpy as np
import pytest

import particles as mf
from particles.kernels.compile import plain
from particles.theory.spectra import spectral_sgd
from particles.theory.spectra.eigenvalues import spectrum
from particles.theory.spectra.harmonics import fourier
from particles.theory.spectra.kernel_sgd import gram_sgd
from particles.theory.spectra.source import source_target
from particles.theory.spectra.spectral_sgd import Theorem2, circle_sgd
from particles.theory.spectra.zonal import zonal_kernel

ETA, LAM, NET = 0.04, 0.05, mf.Network("relu", beta=0.5)


@pytest.fixture(scope="module")
def known():
    return spectrum(zonal_kernel(NET, mf.Sphere(2)), 2, 24)


def drawn(T, S, noise=0.3, seed=0):
    chance = np.random.default_rng(seed)
    return chance.uniform(-np.pi, np.pi, (T, S)), noise * chance.standard_normal((T, S))


def naive(values, goal, angle, noise):
    """One stream: functions on 1, sqrt2 cos k, sqrt2 sin k as vectors, the update written out."""
    degrees = np.arange(1, len(values))
    size = np.concatenate([[values[0]], np.repeat(values[1:], 2)])
    truth = np.zeros(len(size))
    truth[0], truth[1::2] = goal[0], goal[1:]
    iterates = [np.zeros(len(size))]
    for theta, extra in zip(angle, noise, strict=True):
        wave = np.sqrt(2) * np.stack([np.cos(degrees * theta), np.sin(degrees * theta)], axis=1).ravel()
        wave = np.concatenate([[1.0], wave])
        f = iterates[-1]
        iterates.append(f - ETA * (f @ wave - truth @ wave - extra) * size * wave - ETA * LAM * f)
    return iterates[-1], np.mean(iterates, axis=0)


@pytest.mark.parametrize("python", [False, True])
def test_circle_sgd__is_the_recursion(known, python, monkeypatch):
    if python:
        monkeypatch.setattr(spectral_sgd, "_loop", lambda: plain(spectral_sgd.descend))
    goal = np.random.default_rng(1).standard_normal(25)  # also on degrees that the kernel does not see
    angle, noise = drawn(60, 3)
    found = circle_sgd(known, goal, angle, noise, ETA, LAM)
    for s in range(3):
        last, average = naive(known.values, goal, angle[:, s], noise[:, s])
        assert found.last[s] == pytest.approx(last, rel=1e-11, abs=1e-13)
        assert found.average[s] == pytest.approx(average, rel=1e-11, abs=1e-13)


def test_circle_sgd__is_the_same_function_by_the_gram_matrix(known):
    """The Gram matrix has all modes; what 24 degrees leave out is of the kernel's tail."""
    target = source_target(known, 0.5)
    angle, noise = drawn(80, 1)
    x, around = (np.stack([np.cos(a), np.sin(a)], axis=1) for a in (angle[:, 0], np.linspace(0, 6, 50)))
    found = fourier(around, 24) @ circle_sgd(known, target.coefficients, angle, noise, ETA, LAM).average[0]
    y = target(x) + noise[:, 0]
    c = gram_sgd(mf.tangent.limit_gram(NET, mf.Sphere(2), x), y, ETA, LAM).average
    expected = mf.tangent.limit_gram(NET, mf.Sphere(2), around, x) @ c
    trace = mf.tangent.limit_gram(NET, mf.Sphere(2), x[:1])[0, 0]
    tail = trace - known.counts @ known.values
    assert np.abs(found - expected).max() < ETA * tail * np.abs(y).sum()
    assert np.abs(expected).max() > 5 * np.abs(found - expected).max()


def test_circle_sgd__streams_do_not_know_of_each_other(known):
    goal = source_target(known, 0.5).coefficients
    angle, noise = drawn(50, 9)
    together = circle_sgd(known, goal, angle, noise, ETA, LAM)
    for s in (0, 8):
        alone = circle_sgd(known, goal, angle[:, s : s + 1], noise[:, s : s + 1], ETA, LAM)
        assert alone.average[0] == pytest.approx(together.average[s], rel=1e-12, abs=1e-15)


def test_circle_sgd__wide_networks_tend_to_it(known):
    target, T = source_target(known, 1.0), 128
    stream = mf.Stream(mf.Sphere(2), target, noise=0.2, seed=4)
    seen = stream.rows(0, T)
    angle, noise = np.arctan2(seen.x[:, 1], seen.x[:, 0]), seen.y - target(seen.x)
    limit = circle_sgd(known, target.coefficients, angle[:, None], noise[:, None], ETA, LAM).average[0]
    around = 2 * np.pi * np.arange(200) / 200
    grid, away = np.stack([np.cos(around), np.sin(around)], axis=1), []
    for count in (2**8, 2**16):
        start = mf.Sphere(2).sample(count, 0, signs="symmetric")
        run = mf.simulate(NET, start, stream, mf.AveragedSGD(ETA, weight_decay=LAM), steps=T, record_every=T)
        away.append(np.abs(NET.predict(run.average, grid) - fourier(grid, 24) @ limit).max())
    assert away[1] < away[0] / 4  # 16 by the law of large numbers


def test_theorem_2__last_risk_is_the_mean_over_streams(known):
    theory, T, r = Theorem2(known, 0.3), 4096, 0.75
    goal = theory.target(T, r, True).coefficients
    truth = np.zeros(49)
    truth[0], truth[1::2] = goal[0], goal[1:]
    found = circle_sgd(known, goal, *drawn(T, 256), *theory.rates(T, r))
    risks = np.sum((found.last - truth) ** 2, axis=1)
    expected = theory.last_risk(T, r)
    assert abs(risks.mean() - expected) < 4 * risks.std(ddof=1) / 16 + 0.03 * expected


def test_theorem_2__rates_are_the_papers(known):
    eta, lam = Theorem2(known, 0.0).rates(1024, 0.5)
    assert lam == pytest.approx(1024 ** (-2 / 3)) and 4 * (6 + lam) * eta == pytest.approx(1.0)


def test_theorem_2__no_target_of_the_ball_leaves_more_bias(known):
    """Bias alone: without labels' noise and at a T where it dwarfs the samples' own."""
    theory, T, r = Theorem2(known, 0.0), 64, 0.5
    eta, lam = theory.rates(T, r)
    angle, noise = drawn(T, 512, 0.0, seed=2)

    def left(goal):
        """|g - E f|^2 along g."""
        mean = circle_sgd(known, goal, angle, noise, eta, lam).average.mean(axis=0)
        return np.sum((goal - np.concatenate([mean[:1], mean[1::2]])) ** 2)

    hardest = left(theory.target(T, r, True).coefficients)
    others = [left(np.sqrt(known.values[k]) * np.eye(25)[k]) for k in np.flatnonzero(known.values)]
    assert hardest == pytest.approx(max(others), rel=1e-12)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"spectrum": 3}, "the spectrum must have dim=2: got 3"),
        ({"coefficients": np.ones(26)}, "`coefficients` must be one row of at most 25 degrees"),
        ({"noise": np.ones((4, 3))}, r"`angle` and `noise` must both be \(T, S\)"),
        ({"step": 0.0}, "`step` must be a finite number > 0"),
        ({"weight_decay": -1.0}, "`weight_decay` must be a finite number >= 0"),
    ],
)
def test_circle_sgd__refuses(known, change, told):
    if "spectrum" in change:
        change = {"spectrum": known._replace(dim=3)}
    good = {"spectrum": known, "coefficients": np.ones(3), "angle": np.ones((4, 2)), "noise": np.ones((4, 2))}
    with pytest.raises(mf.InputError, match=told):
        circle_sgd(**{**good, "step": 0.1, **change})
