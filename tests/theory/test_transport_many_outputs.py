"""Distances of measures of k outputs: particles are points (b, s) of R^(d + k), and what `signs` makes of them."""

import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import particles as mf
from particles.theory import transport

D, K = 2, 3
DISTANCES = {
    "wasserstein": lambda mu, nu, **more: transport.wasserstein(mu, nu, **more),
    "sliced": lambda mu, nu, **more: transport.sliced(mu, nu, projections=16, **more).value,
    "max_sliced": lambda mu, nu, **more: transport.max_sliced(mu, nu, starts=4, **more).value,
    "mmd": lambda mu, nu, **more: transport.mmd(mu, nu, bandwidth=1.5, **more).value,
    "subsampled": lambda mu, nu, **more: transport.subsampled(mu, nu, count=20, repeats=3, **more).corrected,
}


def cloud(seed, count=60, signs="gaussian"):
    return mf.Gaussian(D).sample(count, seed, signs, outputs=K)


def as_positions(measure):
    """The same particles as points of R^(d + k) with one equal sign."""
    return mf.Measure(np.column_stack([measure.b, measure.s]), np.ones(len(measure.w)), measure.w)


@pytest.mark.parametrize("distance", DISTANCES)
def test_distance__is_that_of_points_with_their_output_weights(distance):
    of, (mu, nu) = DISTANCES[distance], (cloud(0), cloud(1, 50))
    assert of(mu, nu) == of(as_positions(mu), as_positions(nu)) > 0.0


@pytest.mark.parametrize("distance", DISTANCES)
def test_distance__that_ignores_signs_is_that_of_positions(distance):
    of, (mu, nu) = DISTANCES[distance], (cloud(0), cloud(1))
    plain = [m._replace(s=np.ones(len(m.w))) for m in (mu, nu)]
    assert of(mu, nu, signs="ignored") == of(*plain) != of(mu, nu)


@pytest.mark.parametrize("distance", DISTANCES)
def test_distance__has_no_further_dimensions_where_all_output_weights_are_the_same(distance):
    of, same = DISTANCES[distance], [cloud(seed)._replace(s=np.tile([0.3, -1.0, 2.0], (60, 1))) for seed in (0, 1)]
    assert of(*same) == of(*same, signs="ignored")


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_wasserstein__of_equal_atoms_is_the_best_assignment(p):
    mu, nu = cloud(0), cloud(1)
    cost = sum((mu.b[:, None, i] - nu.b[None, :, i]) ** 2 for i in range(D))
    cost = (cost + sum((mu.s[:, None, o] - nu.s[None, :, o]) ** 2 for o in range(K))) ** (p / 2.0)
    wanted = cost[linear_sum_assignment(cost)].mean() ** (1.0 / p)
    assert transport.wasserstein(mu, nu, p) == pytest.approx(wanted, rel=1e-12)


def test_wasserstein__apart_goes_between_particles_of_the_same_output_weights():
    s, random = np.repeat(np.eye(K), [10, 20, 30], axis=0), np.random.default_rng(0)
    mu, nu = cloud(0)._replace(s=s), cloud(1)._replace(s=s[random.permutation(60)])
    parts = []
    for axis in np.eye(K):
        one, two = (m.b[(m.s == axis).all(axis=1)] for m in (mu, nu))
        cost = np.sum((one[:, None] - two[None]) ** 2, axis=2)
        parts.append(cost[linear_sum_assignment(cost)].sum())
    wanted = math.sqrt(sum(parts) / 60)
    assert transport.wasserstein(mu, nu, signs="apart") == pytest.approx(wanted, rel=1e-12)
    assert transport.wasserstein(mu, nu) <= wanted
    assert transport.wasserstein(cloud(0), cloud(1), signs="apart") == math.inf


@pytest.mark.parametrize("distance", DISTANCES)
def test_distance__refuses_measures_of_other_outputs(distance):
    with pytest.raises(mf.InputError, match="as many output weights a particle: got 3 and 1"):
        DISTANCES[distance](cloud(0), mf.Gaussian(D).sample(60, 1))
    with pytest.raises(mf.InputError, match="as many output weights a particle: got 3 and 2"):
        DISTANCES[distance](cloud(0), mf.Gaussian(D).sample(60, 1, "random", outputs=2), signs="ignored")
