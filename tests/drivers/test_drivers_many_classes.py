"""The study of many outputs: its teacher, its measures by hand, its claims, and the script as it is run."""

import types

import numpy as np
import pytest
import xarray
from support.drivers import module_of, run_study

import particles as mf

TINY = {
    "counts": "[16, 64]",
    "lazy_counts": "[16, 32]",
    "lazy_steps": "2",
    "seeds": "3",
    "nodes": "64",
    "steps": "6",
    "dim": "4",
    "samples": "48",
    "test": "64",
    "patience": "2",
    "epochs": "2",
}


@pytest.fixture(scope="module")
def driver():
    return module_of("studies/many_classes")


@pytest.mark.slow
def test_many_classes__writes_a_dataset_with_its_claims(tmp_path):
    done = run_study("many_classes", TINY, tmp_path)
    assert done.returncode in (0, 1), done.stderr
    with xarray.open_dataset(tmp_path / "many_classes.h5", engine="h5netcdf") as found:
        assert found["distance"].dims == ("problem", "count", "seed")
        assert found["lazy_distance"].dims == ("problem", "lazy_count", "seed")
        assert found["accuracy"].dims == ("problem", "beta", "seed", "iteration")
        assert found["final_accuracy"].dims == ("problem", "model")
        assert found["holds"].sizes == {"claim": 13}
        assert set(found["distance"].attrs) >= {"long_name", "units", "equation"}
        assert ((found["final_accuracy"] >= 0.0) & (found["final_accuracy"] <= 1.0)).all()
        np.testing.assert_array_equal(found["accuracy"].mean("seed")[:, 0, -1], found["final_accuracy"][:, 0])
    assert (tmp_path / "many_classes.png").is_file()


def test_taught__classes_are_those_of_the_largest_input(driver):
    settings = types.SimpleNamespace(dim=5, samples=200, test=100)
    train, test = driver.taught(settings)
    for data in (train, test):
        assert data.classes == (0, 1, 2)
        np.testing.assert_array_equal(data.y.argmax(axis=1), np.abs(data.x[:, :3]).argmax(axis=1))


def test_right_and_apart__by_hand(driver):
    g = np.array([[[2.0, 1.0], [0.0, 3.0]], [[1.0, 2.0], [0.0, 3.0]]])
    y = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert driver.right(g, y).tolist() == [1.0, 0.5]
    assert driver.apart(g, g[0]).tolist() == [0.0, np.sqrt(0.5)]


def test_along_class__is_one_of_particles_on_the_axis_of_their_class(driver):
    b, s = np.array([[2.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.array([[3.0, 1.0], [-1.0, 0.5]])
    assert driver.along_class(mf.Measure(b, s, np.full(2, 0.5))) == 1.0
    assert driver.along_class(mf.Measure(b, s[:, ::-1], np.full(2, 0.5))) == 0.0


def test_kernel__is_the_flow_of_a_wide_network(driver):
    """At beta = 1/2 networks stay within O(M^-1/2) of the descent, so four times as wide is twice as near."""
    settings = types.SimpleNamespace(dim=3, samples=24, test=24, step=0.2, steps=20, lazy_steps=20, nodes=64, seeds=8,
                                     patience=1)  # fmt: skip
    problem = driver.Problem(settings, "teacher")
    end, curve, best = problem.kernel()
    ends, _, _ = problem.networks(0.5, [256, 4096], 20)
    near = driver.apart(ends, end).mean(axis=1)
    assert near[1] < 0.04 and 0.15 < near[1] / near[0] < 0.4
    assert curve.shape == (len(problem.looks),) and best == curve.max()


def test_claims__fail_for_networks_that_guess(driver):
    settings = types.SimpleNamespace(counts=[16, 64, 256], lazy_counts=[16, 64, 256], dim=3)
    far = np.outer([1.0, 0.9, 0.8], np.ones(3)) * np.array([1.0, 1.01, 1.02])
    cloud = mf.Measure(np.eye(3), np.roll(np.eye(3), 1, axis=1), np.full(3, 1 / 3))
    table = np.array([0.3, 0.5, 0.3, 0.3, 0.4, 0.9, 0.8])
    parts = ((far, far), np.zeros((2, 3, 1)), np.zeros(1), np.zeros(1), table, cloud)
    claims = driver.claims_of(settings, {"digits": parts, "teacher": parts})
    assert [claim.text for claim in claims if claim.holds] == []
