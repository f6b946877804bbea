"""The entropy from particles beside closed forms, the free energy's parts, and what has no entropy."""

import math

import numpy as np
import pytest

import particles as mf
from particles.measures.measure import Measure
from particles.theory.entropic.entropy import entropy
from particles.theory.entropic.free_energy import free_energy

NORMAL = 0.5 * math.log(2.0 * math.pi * math.e)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize(
    ("law", "wanted"),
    [(lambda d: mf.Gaussian(d, std=0.3), NORMAL + math.log(0.3)), (lambda d: mf.Uniform(d, -2.0, 3.0), math.log(5.0))],
    ids=["Gaussian", "Uniform"],
)
def test_entropy__is_the_closed_form_within_four_errors_and_its_bias(law, wanted, k, d):
    found = entropy(law(d).sample(4000, 3), k)
    assert abs(found.value - d * wanted) < 4 * found.error + found.bias


@pytest.mark.parametrize("d", [1, 2])
def test_entropy__has_the_error_it_says(d):
    """The jackknife's is not below the true one on average, and not twice as large; 200 samples tell it to 5%."""
    found = [entropy(mf.Gaussian(d).sample(500, seed)) for seed in range(200)]
    ratio = np.mean([e.error for e in found]) / np.std([e.value for e in found])
    assert 1.0 - 4 * 0.05 < ratio < 2.0
    assert abs(np.mean([e.value for e in found]) - d * NORMAL) < np.mean([e.bias for e in found])


def test_entropy__of_both_signs_is_that_of_the_joint_law():
    """1000 of + with std 2, 3000 of - with std 1: mean of the two and the entropy of (1/4, 3/4)."""
    b = np.concatenate([mf.Gaussian(1, std=2.0).sample(1000, 0).b, mf.Gaussian(1).sample(3000, 1).b])
    found = entropy(Measure(b, np.repeat([1.0, -1.0], [1000, 3000]), np.full(4000, 1 / 4000)))
    wanted = NORMAL + 0.25 * math.log(2.0) - 0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert abs(found.value - wanted) < 4 * found.error + found.bias


def test_entropy__follows_scale_and_place_exactly():
    cloud = mf.Gaussian(3).sample(300, 0)
    moved = cloud._replace(b=8.0 * cloud.b + 16.0)
    assert entropy(moved).value == pytest.approx(entropy(cloud).value + 3 * math.log(8.0), abs=1e-12)


def test_entropy__follows_a_linear_map_and_its_bias_covers_a_narrow_cloud():
    """Balls about the particles reach out of a narrow cloud: this was 1.8 too large, with error and bias of 0.5."""
    cloud, stretch = mf.Gaussian(5).sample(400, 0), np.array([1.0, 0.3, 0.1, 0.03, 0.01])
    narrow = cloud._replace(b=cloud.b * stretch)
    assert entropy(narrow).value == pytest.approx(entropy(cloud).value + np.log(stretch).sum(), abs=1e-9)
    found = entropy(narrow)
    assert abs(found.value - 5 * NORMAL - np.log(stretch).sum()) < 2 * found.error + found.bias < 1.0


def test_entropy__of_a_cloud_in_a_plane_is_finite():
    cloud = mf.Gaussian(2).sample(100, 0)
    assert math.isfinite(entropy(cloud._replace(b=cloud.b @ [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])).value)


def test_entropy__counts_the_chance_of_the_signs():
    """Signs drawn with 1/5 of one, whose particles are 100 times as far: most of the spread is that of their number."""
    found = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        s = np.where(random.random(400) < 0.2, 1.0, -1.0)
        b = random.standard_normal((400, 1)) * np.where(s > 0, 100.0, 1.0)[:, None]
        found.append(entropy(Measure(b, s, np.full(400, 1 / 400))))
    ratio = np.mean([e.error for e in found]) / np.std([e.value for e in found])
    assert 1.0 - 4 / math.sqrt(120) < ratio < 1.7


@pytest.mark.parametrize(("d", "near"), [(1, 1e-10), (2, 0.01)])
def test_entropy__jackknife_is_that_of_leaving_each_out(d, near):
    """But for the map to unit covariance, d > 1, which is held: it counts in second order."""
    cloud, left = mf.Gaussian(d).sample(60, 0), []
    for r in range(60):
        rest = np.arange(60) != r
        left.append(entropy(Measure(cloud.b[rest], cloud.s[rest], np.full(59, 1 / 59)), 3).value)
    wanted = math.sqrt(59 * np.var(left))
    assert entropy(cloud, 3).error == pytest.approx(wanted, rel=near)


def test_free_energy__is_the_sum_of_its_parts(samples):
    data, cloud, net = samples(7, 2), mf.Gaussian(2).sample(400, 0, signs="random"), mf.Network("tanh", beta=0.5)
    found = free_energy(net, cloud, data, weight_decay=0.3, temperature=0.2)
    square = 400.0  # alpha^2
    confinement = square * 0.15 * np.mean((cloud.b**2).sum(axis=1))
    g = np.sqrt(square) * np.mean(cloud.s[:, None] * np.tanh(cloud.b @ data.x.T), axis=0)
    risk = np.mean((g - data.y) ** 2) / 2
    assert found.risk == pytest.approx(risk) and found.confinement == pytest.approx(confinement)
    assert found.entropy == entropy(cloud).value
    assert found.value == pytest.approx(risk + confinement - square * 0.2 * found.entropy)


def test_free_energy__has_the_error_it_says():
    """Far from the optimum the risk's and the confinement's chances count: without them it was 0.3 of the spread."""
    random = np.random.default_rng(0)
    data, net = mf.Dataset(random.standard_normal((6, 1)), 2.0 * random.standard_normal(6)), mf.Network("tanh")
    found = [free_energy(net, mf.Gaussian(1).sample(500, seed), data, weight_decay=0.1, temperature=0.02)
             for seed in range(60)]  # fmt: skip
    ratio = np.mean([F.error for F in found]) / np.std([F.value for F in found])
    assert 1.0 - 4 / math.sqrt(120) < ratio < 1.7


def test_free_energy__does_not_depend_on_threads_or_order():
    data, cloud = mf.Dataset([[1.0]], [1.0]), mf.Gaussian(1).sample(500, 0)
    turned = Measure(cloud.b[::-1], cloud.s, cloud.w)
    one, other = (free_energy(mf.Network("tanh"), m, data, weight_decay=0.1, temperature=0.1) for m in (cloud, turned))
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_entropy__refuses():
    cloud = mf.Gaussian(2).sample(100, 0)
    twins = cloud._replace(b=np.concatenate([cloud.b[:50], cloud.b[:50]]))
    with pytest.raises(mf.InputError, match=r"must not coincide where a law with a density.*particle 0 and another"):
        entropy(twins)
    with pytest.raises(mf.InputError, match="equal particles"):
        entropy(mf.Gaussian(2).quadrature(100))
    with pytest.raises(mf.InputError, match="k=4 neighbours need 10 particles of each sign"):
        entropy(cloud._replace(s=np.where(np.arange(100) < 9, -1.0, 1.0)))
    with pytest.raises(mf.InputError, match="`k` must be a whole number"):
        entropy(cloud, 0)
    with pytest.raises(mf.InputError, match="positions must have shape"):
        entropy(cloud._replace(b=cloud.b[0]))


def test_entropy__of_a_symmetric_start_takes_no_twin_of_the_other_sign():
    """Each + lies where its - does (section 3.2), which is no coincidence within a sign."""
    found = entropy(mf.Gaussian(2).sample(4000, 0, signs="symmetric"))
    assert abs(found.value - 2 * NORMAL - math.log(2.0)) < 4 * found.error + found.bias


def test_free_energy__refuses():
    data, cloud = mf.Dataset([[1.0, 2.0]], [0.5]), mf.Gaussian(2).sample(100, 0)
    net, both = mf.Network("tanh"), mf.Network("tanh", train=("input", "output"))
    with pytest.raises(mf.InputError, match="`temperature` must be a finite number > 0"):
        free_energy(net, cloud, data, weight_decay=0.1, temperature=0.0)
    with pytest.raises(mf.InputError, match="`weight_decay` must be a finite number >= 0"):
        free_energy(net, cloud, data, weight_decay=-0.1, temperature=0.1)
    with pytest.raises(mf.InputError, match="fixed output weights"):
        free_energy(both, cloud, data, weight_decay=0.1, temperature=0.1)
    with pytest.raises(mf.InputError, match="labels must be -1 or 1"):
        free_energy(net, cloud, data, "logistic", weight_decay=0.1, temperature=0.1)
