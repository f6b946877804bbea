"""Intervals and nested clouds, on numbers whose law is known."""

import numpy as np
import pytest

import particles as mf
from particles.sensitivity import intervals, nested

REPEATS = 2000


def test_stein__covers_gaussian_means_as_it_says():
    """Within three standard errors of 95%; the width is never above what was asked."""
    random, half, hits = np.random.default_rng(0), np.array([0.4]), 0
    for _ in range(REPEATS):
        first = random.standard_normal((8, 1))
        N = intervals.runs_needed(first, half, 10**6)
        mean = np.concatenate([first, random.standard_normal((N - 8, 1))]).mean()
        width = intervals.stein(first, N)
        assert width <= half * (1 + 1e-12)
        hits += abs(mean) <= width
    assert abs(hits / REPEATS - 0.95) < 3 * np.sqrt(0.95 * 0.05 / REPEATS)


def test_runs_needed__is_of_the_worst_entry_and_bounded():
    first = np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    t, deviation = 12.7062047, np.sqrt(2.0)
    assert intervals.runs_needed(first, np.full(3, 1.0), 10**6) == int(np.ceil((t * deviation) ** 2))
    assert intervals.runs_needed(first, np.full(3, 1e-9), 50) == 51
    assert intervals.runs_needed(np.zeros((5, 1)), np.array([1e-300]), 50) == 5


def test_variance__with_a_control_that_is_the_value_is_known():
    values = np.random.default_rng(1).standard_normal((20, 3))
    known = np.array([1.0, 2.0, 3.0])
    for found in intervals.variance(values, values, known, np.zeros(3)):
        np.testing.assert_allclose(found, known, rtol=1e-14)


def test_degrees__are_n_minus_1_of_gaussians_and_few_of_their_squares():
    """2 n / (kurtosis - 1): of a chi square with one degree the kurtosis is 15."""
    values = np.random.default_rng(3).standard_normal((10_000, 4))
    np.testing.assert_allclose(intervals.degrees(values), 9999.0, rtol=0.1)
    np.testing.assert_allclose(intervals.degrees(values**2), 2 * 10_000 / 14, rtol=0.25)
    assert (intervals.degrees(np.ones((5, 2))) <= 4.0).all()


def test_variance__of_gaussians_covers_95_percent():
    """64 runs; 94.5% by 4000 repetitions."""
    values = np.random.default_rng(2).standard_normal((64, 10_000))
    none = np.zeros(10_000)
    found, low, high = intervals.variance(values, np.zeros_like(values), none, none)
    np.testing.assert_allclose(found, values.var(axis=0, ddof=1), rtol=1e-12)
    hits = np.mean((low <= 1.0) & (high >= 1.0))
    assert abs(hits - 0.945) < 3 * np.sqrt(0.945 * 0.055 / 10_000)


@pytest.mark.parametrize("signs", ["random", "symmetric"])
@pytest.mark.parametrize("count", [2, 4])
def test_pieces__are_starts_whose_mean_is_the_whole(signs, count):
    start = mf.Gaussian(3).sample(32, seed=1, signs=signs)
    parts = nested.pieces(start, count, signs == "symmetric")
    assert [len(part.w) for part in parts] == [32 // count] * count
    whole = start.w @ (start.s[:, None] * np.sin(start.b))
    np.testing.assert_allclose(np.mean([p.w @ (p.s[:, None] * np.sin(p.b)) for p in parts], axis=0), whole, atol=1e-15)
    if signs == "symmetric":
        for part in parts:
            half = len(part.w) // 2
            assert (part.b[:half] == part.b[half:]).all() and (part.s[:half] == -part.s[half:]).all()


def test_bias_sample__keeps_what_it_says_of_one_over_m():
    """7/M - 300/M^2 comes back, a term in 1/M^3 does not, and what is linear in the measure is gone."""
    start = mf.Gaussian(2).sample(64, seed=0)

    def measured(part):
        M = len(part.w)
        return np.array([5.0 + 7.0 / M - 300.0 / M**2 + part.w @ part.b[:, 0], 1.0 / M**3])

    found = nested.bias_sample(measured, start, measured(start), False)
    assert found[0] == pytest.approx(7.0 / 64 - 300.0 / 64**2, abs=1e-14)
    assert found[1] * 64**3 == pytest.approx((5 * 7 - 56) / 3, rel=1e-12)
