"""Twins in the limit: who drives them, exact coupling where the limit is known, and the rate M^(-1/2)."""

import numpy as np
import pytest

import particles as mf
from particles.analysis.convergence import fit_exponent

D, LAW, NET = 2, mf.Gaussian(2), mf.Network("tanh")


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(1)
    x = random.standard_normal((15, D))
    return mf.Dataset(x, np.sin(x[:, 0]))


def coupled(data, method, counts, **more):
    settings = {"limit": LAW.quadrature(1024), "steps": 12, "record_every": 4, "engine": mf.Local(1), **more}
    return mf.coupled(NET, LAW, data, method, counts=counts, **settings)


def test_twins__leave_the_limit_alone(data):
    """The limit's predictions do not depend on who is carried along."""
    found = coupled(data, mf.GradientDescent(0.5), [3, 40])
    start = LAW.quadrature(1024)
    alone = mf.simulate(NET, start, data, mf.GradientDescent(0.5), steps=12, record_every=4).dataset
    few = mf.simulate(NET, LAW.sample(3, 0), data, mf.GradientDescent(0.5), steps=12, record_every=4).dataset
    away = np.sqrt(np.mean((few.prediction.values - alone.prediction.values) ** 2, axis=1))
    np.testing.assert_allclose(found.prediction_distance.sel(count=3), away, atol=1e-14)


def test_twins__of_a_network_that_is_the_limit_stay_with_it(data):
    """Where the limit's atoms are the network's own, nothing comes between a particle and its twin."""
    start = LAW.sample(40, 0)
    found = coupled(data, mf.Langevin(0.3, 0.05, seed=2), [40], limit=start)
    noiseless = coupled(data, mf.GradientDescent(0.3), [40], limit=start)
    assert noiseless.twin_distance.max() < 1e-13
    # The limit's own atoms have other places, so other noise: with noise only the first step is the same.
    assert found.twin_distance[0, 0] == 0.0 and found.twin_distance[0, -1] > 0.0


def test_twins__have_the_noise_of_their_particles(data):
    """Without data nothing but the noise moves them."""
    still = mf.Dataset(np.zeros((1, D)), np.zeros(1))
    found = coupled(still, mf.Langevin(0.3, 0.5, seed=2), [3, 300], limit=LAW.sample(700, 5))
    assert found.twin_distance.max() == 0.0


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(mf.GradientDescent(0.5), id="GD"),
        pytest.param(mf.Langevin(0.5, 0.02, 0.1), id="Langevin", marks=pytest.mark.slow),
    ],
)
def test_twin_distance__falls_as_the_square_root(method, data):
    counts, limit = (
        [32, 128, 512],
        LAW.quadrature(4096) if isinstance(method, mf.GradientDescent) else LAW.sample(40_000, 99),
    )
    runs = [coupled(data, method, counts, limit=limit, seed=seed, record_every=12) for seed in range(30)]
    table = np.stack([run.twin_distance.values[:, -1] for run in runs], axis=1)
    found = fit_exponent(counts, table)
    assert found.holds and found.high - found.low < 0.3


def test_coupled__refuses(data):
    with pytest.raises(mf.InputError, match="twins need beta = 1"):
        mf.coupled(
            mf.Network("tanh", beta=0.5),
            LAW,
            data,
            mf.GradientDescent(0.1),
            counts=[4],
            limit=LAW.quadrature(9),
            steps=1,
        )
    with pytest.raises(mf.InputError, match="networks that nest"):
        coupled(data, mf.GradientDescent(0.1), [4], signs="symmetric")
    with pytest.raises(mf.InputError, match="needs all samples"):
        coupled(data, mf.AveragedSGD(0.1), [4])
    with pytest.raises(mf.InputError, match="twins need beta = 1"):
        mf.coupled(
            mf.Network("tanh", train="output"), LAW, data, mf.GradientDescent(0.1), counts=[4],
            limit=LAW.quadrature(9), steps=1,
        )  # fmt: skip
    with pytest.raises(mf.InputError, match="must have as many dimensions"):
        coupled(data, mf.GradientDescent(0.1), [4], limit=mf.Gaussian(3).quadrature(9))
