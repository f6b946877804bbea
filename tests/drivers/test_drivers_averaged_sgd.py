"""The study of Theorem 2: its intervals by hand, and the script as it is run."""

import numpy as np
import pytest
import xarray
from support.drivers import module_of, run_study

TINY = {
    "powers": "[4, 5, 6, 7]",
    "r": "[1.0]",
    "seeds": "3",
    "degree": "20",
    "spheres": "[3]",
    "sphere_powers": "[3, 4, 5]",
    "sphere_seeds": "3",
    "counts": "[16, 64]",
    "network_T": "32",
    "network_seeds": "3",
}


def run(out, *more):
    return run_study("averaged_sgd", TINY, out, *more)


@pytest.fixture(scope="module")
def driver():
    return module_of("studies/averaged_sgd")


@pytest.mark.slow
def test_averaged_sgd__writes_a_dataset_with_its_claims(tmp_path):
    done = run(tmp_path)
    assert done.returncode in (0, 1), done.stderr
    with xarray.open_dataset(tmp_path / "averaged_sgd.h5", engine="h5netcdf") as found:
        assert found["risk"].dims == ("r", "target", "T", "iterate", "seed")
        assert found["expected"].dims == ("r", "target", "T")
        assert found["risk_3"].dims == ("r", "target", "T_3", "seed_3")
        assert found["distance"].dims == ("activation", "M", "start")
        assert found["holds"].sizes == {"claim": 6 + 2 + 1 + 1}  # circle, sphere, all, networks
        assert set(found["risk"].attrs) >= {"long_name", "units", "equation"}
    assert (tmp_path / "averaged_sgd.png").is_file()


def test_averaged_sgd__refuses_seeds_too_few_for_an_interval(tmp_path):
    done = run(tmp_path, "--set", "seeds=2")
    assert done.returncode == 2
    assert "seeds: input should be greater than or equal to 3" in done.stderr


def test_quotient__covers_the_truth_as_often_as_it_says(driver):
    chance, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        common = chance.normal(1.0, 0.2, 16)  # the same streams lie under both
        _, low, high = driver.quotient(2.0 * common + chance.normal(0, 0.1, 16), common)
        inside += low < 2.0 < high
    assert abs(inside / 2000 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000) + 0.01


def test_slopes__of_a_power_are_the_power(driver):
    T = 2.0 ** np.array([3, 4, 7])
    risks = T[:, None] ** -0.8 * np.array([1.0, 2.0, 3.0])
    assert driver.slopes(risks, [3, 4, 7]) == pytest.approx(np.full((2, 3), -0.8))


def test_growth__compares_the_largest_ratios_of_both_halves(driver):
    risks = np.array(
        [[[1.0, 1.0], [3.0, 3.0], [2.0, 2.0], [1.0, 1.0]], [[2.0, 2.0], [1.0, 1.0], [6.0, 6.0], [0.0, 0.0]]]
    )
    assert driver.growth(risks, np.array([1.0, 1.0, 1.0, 2.0])) == pytest.approx((2.0, 2.0, 2.0))
