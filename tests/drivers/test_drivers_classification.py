"""The study of Theorem 3: its ladder's rule by hand, its labels, and the script as it is run."""

import types

import numpy as np
import pytest
import xarray
from support.drivers import module_of, run_study

import particles as mf

TINY = {
    "betas": "[0.0, 0.5]",
    "eps": "[0.45, 0.4]",
    "widths": "[8, 16]",
    "samples": "[64, 128]",
    "seeds": "3",
    "steps": "40",
    "test": "512",
    "margin_samples": "12",
}


def run(out, *more):
    return run_study("classification", TINY, out, *more)


@pytest.fixture(scope="module")
def driver():
    return module_of("studies/classification")


@pytest.mark.slow
def test_classification__writes_a_dataset_with_its_claims(tmp_path):
    done = run(tmp_path)
    assert done.returncode in (0, 1), done.stderr
    with xarray.open_dataset(tmp_path / "classification.h5", engine="h5netcdf") as found:
        assert found["error_of_M"].dims == ("beta", "M", "seed")
        assert found["error_of_T"].dims == ("beta", "seed", "iteration")
        assert found["needed_T"].dims == ("beta", "eps", "seed")
        assert found["holds"].sizes == {"claim": 3 * 3 + 2}  # two betas in (i), one in (ii), the margin, regression
        assert set(found["error_of_n"].attrs) >= {"long_name", "units", "equation"}
        # The most neurons and the most samples are one run in both tables.
        assert np.array_equal(found["error_of_M"][:, -1], found["error_of_n"][:, -1])
    assert (tmp_path / "classification.png").is_file()


def test_classification__refuses_a_gap_that_leaves_no_samples(tmp_path):
    done = run(tmp_path, "--set", "gap=0.6")
    assert done.returncode == 2
    assert "gap: input should be less than 0.5" in done.stderr


def test_least__is_the_first_rung_from_which_on_all_are_good(driver):
    good = np.array([[True, False, True], [False, True, True], [True, True, False]])
    found = driver.least([2, 4, 8], good)
    assert np.array_equal(found, [8.0, 4.0, np.nan], equal_nan=True)


def test_claims__have_no_verdict_on_a_width_beyond_all_that_were_trained(driver):
    class Settings:
        eps, widths, cases = [0.3, 0.1], [2, 4], []

    class Apart:
        lower, upper = 0.0, 0.1

    needed = np.full((3, 1, 2, 1), 4.0)
    assert [claim.holds for claim in driver.claims_of(Settings, needed, Apart, [1e20])] == [False, None]
    assert [claim.holds for claim in driver.claims_of(Settings, needed, Apart, [3.0])] == [False, False]


def test_needs__are_read_off_by_the_errors(driver):
    class Settings:
        betas, eps, seeds, widths, samples = [0.5], [0.3, 0.1], 1, [2, 4], [8, 16]

    by_M, by_n = np.array([[[0.2], [0.05]]]), np.array([[[0.4], [0.05]]])
    errors = np.array([[[0.5, 0.3, 0.05]]])  # of M = 4 and n = 16
    M, T, n = driver.needs(Settings, by_M, by_n, np.array([0, 1, 2]), errors)[:, 0, :, 0]
    assert np.array_equal(M, [2, 4]) and np.array_equal(T, [1, 2]) and np.array_equal(n, [16, 16])


def test_labelled__keeps_the_gap_and_nests(driver):
    class Settings:
        dim, gap = 4, 0.1

    many, few = driver.labelled(Settings, 200, 3), driver.labelled(Settings, 20, 3)
    form = many.x[:, 0] * many.x[:, 1] + many.x[:, 2] * many.x[:, 3]
    assert (np.abs(form) >= 0.1).all() and np.array_equal(many.y, np.sign(form))
    assert np.allclose(np.linalg.norm(many.x, axis=1), 1.0)
    assert np.array_equal(few.x, many.x[:20])


def test_labelled__ends_where_points_are_too_rare(driver, monkeypatch):
    """In 100 dimensions |q| is about 0.1, and a gap of 0.49 nine times that."""
    monkeypatch.setattr(driver, "RARE", 64)
    with pytest.raises(mf.InputError, match=r"`gap` must leave room for points: got 0\.49, 0 of 256 points outside it"):
        driver.labelled(types.SimpleNamespace(dim=100, gap=0.49), 4, 3)
