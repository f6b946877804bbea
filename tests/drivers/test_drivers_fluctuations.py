"""The study of fluctuations: its intervals and tests by hand, its claims, and the script as it is run."""

import types

import numpy as np
import pytest
import xarray
from support.drivers import module_of, run_study

import particles as mf

TINY = {
    "n": "20",
    "counts": "[8, 16]",
    "seeds": "8",
    "predicted": "8",
    "nodes": "64",
    "steps": "8",
    "width": "16",
    "trials": "8",
    "samples": "4",
    "long": "8",
    "kernel_counts": "[8, 16]",
    "kernel_seeds": "8",
}


@pytest.fixture(scope="module")
def driver():
    return module_of("studies/fluctuations")


@pytest.mark.slow
def test_fluctuations__writes_a_dataset_with_its_claims(tmp_path):
    done = run_study("fluctuations", TINY, tmp_path)
    assert done.returncode in (0, 1), done.stderr
    with xarray.open_dataset(tmp_path / "fluctuations.h5", engine="h5netcdf") as found:
        assert found["variance_ratio"].dims == ("activation", "count", "time", "quantity")
        assert found["predicted_deviation"].dims == found["deviation"].dims == ("activation", "scalar", "count", "seed")
        assert found["holds"].sizes == {"claim": 28}
        assert set(found["variance_ratio"].attrs) >= {"long_name", "units", "equation"}
        assert np.isfinite(found["variance_ratio"]).all()
    assert (tmp_path / "fluctuations.png").is_file()


def test_spread__covers_the_variance_as_often_as_it_says(driver):
    F = np.random.default_rng(0).normal(0.0, 0.1, (200, 4000))
    ratio, low, high = driver.interval(*driver.spread(F, 100))
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    inside = np.mean((low < 1.0) & (high > 1.0))
    assert abs(inside - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000) + 0.01


def test_distance_from_normal__tells_another_spread_and_another_law(driver):
    normal = np.random.default_rng(1).standard_normal((400, 3))
    assert driver.distance_from_normal(normal, np.ones(3)) < 1.68
    assert driver.distance_from_normal(normal, np.full(3, 1.5)) > 1.68
    assert driver.distance_from_normal(normal**2 / np.sqrt(2.0), np.ones(3)) > 1.68


def test_power_of_mean__is_the_power_with_an_interval(driver):
    chance = np.random.default_rng(2)
    rows = np.array([3.0 / M * (1.0 + chance.normal(0.0, 0.5, 100)) for M in (64, 256, 1024)])
    power, low, high = driver.power_of_mean([64, 256, 1024], rows)
    assert low < -1.0 < high and power == pytest.approx(-1.0, abs=0.05)
    assert driver.power_of_mean([64, 256], np.array([[4.0, 4.0], [1.0, 1.0]]))[0] == pytest.approx(-1.0)


def test_part__is_a_network_of_its_own_whose_mean_is_the_whole(driver):
    start, x = mf.Gaussian(2).sample(8, seed=0, signs="random"), np.eye(2)
    halves = [mf.Network("tanh").predict(driver.part(start, *at), x) for at in ((0, 4), (4, 8))]
    np.testing.assert_allclose(np.mean(halves, axis=0), mf.Network("tanh").predict(start, x), atol=1e-15)


def test_saddle__is_the_closed_form(driver):
    _, std, exact = driver.saddle()
    np.testing.assert_allclose(std, exact, rtol=1e-6)
    assert std[0] == pytest.approx(np.sqrt(2.0) * 0.01)


def test_kernel_scale__starts_from_what_descent_predicts(driver):
    """After no step to speak of the variance is that of outputs at the start, E sigma^2, for any M."""
    settings = types.SimpleNamespace(
        n=20, samples=4, step=1e-9, steps=1, nodes=512, kernel_counts=[8], kernel_seeds=400
    )
    found, variance = driver.kernel_scale(settings)
    squares = found["spread"][0]
    assert abs(squares.mean() - variance) < 4.0 * squares.std(ddof=1) / np.sqrt(400)
    assert found["drift"].max() < 1e-6 and found["of_limit"].max() < 1e-6


def claims_that_hold(driver, scale):
    """Of made-up networks whose deviations are `scale` times as large as predicted."""
    chance, counts, seeds = np.random.default_rng(3), [16, 64, 256], 400
    starts = chance.standard_normal((3, seeds))
    F = np.array([row / np.sqrt(M) for M, row in zip(counts, starts, strict=True)])
    second = np.array([row / M for M, row in zip(counts, chance.standard_normal((3, seeds)), strict=True)])
    F = np.repeat((scale * F + 0.2 * second)[..., None, None], 7, axis=3)
    parts = [driver.spread(f, M) for f, M in zip(F, counts, strict=True)]
    one = types.SimpleNamespace(
        F=F, std=np.ones((1, 7)), foreseen=np.stack([starts / np.sqrt(counts)[:, None]] * 2),
        bias=0.2 * np.abs(second)[..., None, None],
        ratios=lambda: (np.array(parts)[:, 0], np.array(parts)[:, 1]),
        deviations=lambda: np.moveaxis(F[:, :, -1, :2], -1, 0),
    )  # fmt: skip
    settings = types.SimpleNamespace(counts=counts)
    return [claim.holds for claim in driver.claims_of_networks(settings, "made up", one)]


def test_claims__hold_for_what_is_predicted_and_fail_for_more(driver):
    assert all(claims_that_hold(driver, 1.0))
    variance, test_variance, outputs, normal, _, residual, _ = claims_that_hold(driver, 1.5)
    assert not any((variance, test_variance, outputs, normal, residual))
