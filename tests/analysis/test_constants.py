"""The constant of M^(-1/2), measured and predicted."""

import numpy as np
import pytest
from scipy import stats
from support.records import record

import particles as mf
from particles.analysis.constants import fit_constant, said

NET, LAW, METHOD = mf.Network("tanh"), mf.Gaussian(2), mf.GradientDescent(0.5)
DATA = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])


def runs(counts=(16, 64), seeds=range(3), steps=4):
    def run(start):
        return mf.simulate(NET, start, DATA, METHOD, steps=steps).dataset

    return {(M, s): run(LAW.sample(M, s)) for M in counts for s in seeds}, run(LAW.quadrature(400))


def field(steps=4, **options):
    return mf.fluctuations(NET, LAW.quadrature(400), DATA, METHOD, steps=steps, **options)


def test_constant__is_exact_without_noise():
    counts = np.array([16.0, 64.0, 1024.0])
    assert np.allclose(fit_constant(counts, 0.7 * counts[:, None] ** -0.5 * np.ones(4)), 0.7, rtol=1e-14)


def test_constant__has_the_interval_of_the_seeds_means():
    counts, random = np.array([16.0, 64.0]), np.random.default_rng(0)
    table = np.abs(random.standard_normal((2, 5))) / np.sqrt(counts)[:, None]
    means = (np.sqrt(counts)[:, None] * table).mean(axis=0)
    wanted = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
    assert np.allclose(fit_constant(counts, table)[1:], wanted, rtol=1e-12)


def test_constant__of_two_seeds_has_no_interval():
    found = fit_constant(np.array([16.0, 64.0]), np.ones((2, 2)))
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()


def test_compare__with_fluctuations_has_the_constants_beside_the_rest():
    networks, limit = runs()
    draws = field()
    plain, both = mf.compare(networks, limit), mf.compare(networks, limit, fluctuations=draws)
    assert both[list(plain)].identical(plain)
    assert both["constant_theory"].item() == draws["sup_distance"].mean().item()
    assert said(both) == (
        f"distance = {both['constant']:.3f} M^-1/2, 95% interval [{both['constant_low']:.3f}, "
        f"{both['constant_high']:.3f}]; theory {both['constant_theory']:.3f} (+- {both['constant_theory_error']:.3f})"
    )
    assert said(plain) == ""


def test_compare__takes_the_draws_at_its_own_times():
    networks, limit = runs()
    sparse = field(record_every=2)
    with pytest.raises(mf.InputError, match=r"flow times at which runs are compared: got none at t=0\.5"):
        mf.compare(networks, limit, fluctuations=sparse)
    rare = {at: data.isel(time=[0, 2, 4]) for at, data in networks.items()}
    found = mf.compare(rare, limit.isel(time=[0, 2, 4]), fluctuations=field())
    assert found["constant_theory"].item() == sparse["sup_distance"].mean().item()


def test_compare__refuses_what_are_no_fluctuations():
    networks, limit = runs()
    with pytest.raises(mf.InputError, match=r"`fluctuations` must be a dataset of `mf\.fluctuations`"):
        mf.compare(networks, limit, fluctuations=limit)
    with pytest.raises(mf.InputError, match=r"runs to compare must be datasets"):
        mf.compare(networks, limit, fluctuations=1.0)


def test_compare__refuses_fluctuations_on_other_samples():
    networks, limit = runs()
    one = mf.fluctuations(NET, LAW.quadrature(16), mf.Dataset(DATA.x[:1], DATA.y[:1]), METHOD, steps=4)
    with pytest.raises(mf.InputError, match="must be on the samples of the runs: got 1 for"):
        mf.compare(networks, limit, fluctuations=one)


def test_compare__of_exactly_known_draws_has_their_mean():
    times = np.linspace(0.0, 1.0, 3)
    networks = {(M, s): record(np.full((3, 7), M**-0.5), times) for M in (4, 16) for s in range(3)}
    draws = field(steps=2, draws=2)[["distance"]].assign_coords(time=times)
    draws["distance"][:] = [[1.0, 2.0, 0.5], [4.0, 0.0, 0.0]]
    found = mf.compare(networks, record(np.zeros((3, 7)), times), fluctuations=draws)
    assert [found[name].item() for name in ("constant", "constant_theory", "constant_theory_error")] == [1.0, 3.0, 1.0]
    assert found["distance_theory"].values.tolist() == [2.5, 1.0, 0.25]
