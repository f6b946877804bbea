"""Distances of measures: linear programs, closed forms and POT as oracles, the axioms of a metric, what is refused."""

import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment, linprog
from scipy.special import gamma
from scipy.stats import special_ortho_group, wasserstein_distance

import particles as mf
from particles.theory import transport
from particles.theory.optimality.potential import first_variation
from particles.theory.transport import exact, slices
from particles.theory.transport.exact import root_of

with warnings.catch_warnings():  # of its own source, when it is compiled
    warnings.simplefilter("ignore")
    import ot


ORDERS = [1.0, 1.5, 2.0, 3.0]


def measure(points, s=None, w=None):
    """A measure of points (M, d); equal weights and positive signs unless given."""
    b = np.asarray(points, dtype=float)
    w = np.full(len(b), 1.0) if w is None else np.asarray(w, dtype=float)
    return mf.Measure(b, np.ones(len(b)) if s is None else np.asarray(s, dtype=float), w / w.sum())


@st.composite
def measures(draw, count=2, dim=None):
    """`count` small measures on one R^d with coarse coordinates (so that ties happen), weights and signs."""
    d = dim or draw(st.integers(1, 3))
    made = []
    for _ in range(count):
        M = draw(st.integers(1, 6))
        grid = st.integers(-8, 8).map(lambda k: k / 4)
        b = draw(st.lists(st.lists(grid, min_size=d, max_size=d), min_size=M, max_size=M))
        s = draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=M, max_size=M))
        made.append(measure(b, s, draw(st.lists(st.integers(1, 5), min_size=M, max_size=M))))
    return made


def rounding(p, diameter=10.0):
    """What masses that are off by some 1e-15 can do to W_p."""
    return diameter * (1e-14) ** (1.0 / p)


def program(one, two, w, v, p):
    """W_p by the definition: a linear program over all couplings."""
    distances = np.linalg.norm(one[:, None] - two[None], axis=2)
    M, N = distances.shape
    marginals = np.concatenate((np.kron(np.eye(M), np.ones(N)), np.kron(np.ones(M), np.eye(N))))
    found = linprog((distances**p).ravel(), A_eq=marginals, b_eq=np.concatenate((w, v)), method="highs")
    return max(found.fun, 0.0) ** (1.0 / p)


def joint(m):
    return np.column_stack((m.b, m.s))


@settings(max_examples=25)
@given(measures(), st.sampled_from(ORDERS))
def test_wasserstein__is_the_linear_program(pair, p):
    mu, nu = pair
    for signs, place in (("joint", joint), ("ignored", lambda m: m.b)):
        wanted = program(place(mu), place(nu), mu.w, nu.w, p)
        assert transport.wasserstein(mu, nu, p, signs) == pytest.approx(wanted, rel=1e-8, abs=rounding(p))


@given(measures(dim=1))
def test_wasserstein__on_the_line_is_scipys(pair):
    mu, nu = (m._replace(s=np.ones(len(m.w))) for m in pair)
    wanted = wasserstein_distance(mu.b[:, 0], nu.b[:, 0], mu.w, nu.w)
    assert transport.wasserstein(mu, nu, p=1) == pytest.approx(wanted, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(("M", "N"), [(100_000, 100_000), (100_000, 70_000)])
def test_wasserstein__on_the_line_takes_any_number_of_weighted_atoms(M, N):
    random = np.random.default_rng(0)
    mu = measure(random.standard_normal((M, 1)), w=random.random(M))
    nu = measure(random.standard_normal((N, 1)) + 1, w=random.random(N))
    wanted = wasserstein_distance(mu.b[:, 0], nu.b[:, 0], mu.w, nu.w)
    assert transport.wasserstein(mu, nu, p=1) == pytest.approx(wanted, rel=1e-11)
    wanted = ot.wasserstein_1d(mu.b[:, 0], nu.b[:, 0], mu.w, nu.w, p=2)
    assert transport.wasserstein(mu, nu) == pytest.approx(math.sqrt(wanted), rel=1e-9)


@pytest.mark.parametrize("p", ORDERS)
def test_wasserstein__of_equal_atoms_is_the_best_assignment(p):
    mu, nu = (mf.Gaussian(4).sample(60, seed, signs="random") for seed in (0, 1))
    cost = np.linalg.norm(joint(mu)[:, None] - joint(nu)[None], axis=2) ** p
    wanted = cost[linear_sum_assignment(cost)].mean() ** (1.0 / p)
    assert transport.wasserstein(mu, nu, p) == pytest.approx(wanted, rel=1e-12)


def test_wasserstein__squares_to_emd2():
    random = np.random.default_rng(0)
    mu = measure(random.standard_normal((40, 3)), random.choice([-1, 1], 40), random.random(40))
    nu = measure(random.standard_normal((55, 3)), random.choice([-1, 1], 55), random.random(55))
    wanted = ot.emd2(mu.w, nu.w, ot.dist(joint(mu), joint(nu)))
    assert transport.wasserstein(mu, nu) ** 2 == pytest.approx(wanted, rel=1e-12)


def test_wasserstein__has_the_value_of_pots_example():
    # emd_1d's: 2 and 0 go to 3 and 0.
    assert transport.wasserstein(measure([[2.0], [0.0]]), measure([[0.0], [3.0]])) == pytest.approx(math.sqrt(0.5))


@given(measures(), st.sampled_from(ORDERS))
def test_wasserstein__is_symmetric_and_zero_for_the_same_measure(pair, p):
    mu, nu = pair
    forth, back = transport.wasserstein(mu, nu, p), transport.wasserstein(nu, mu, p)
    assert forth == pytest.approx(back, rel=1e-10, abs=rounding(p))
    assert transport.wasserstein(mu, mu, p) == 0.0


@settings(max_examples=25)
@given(measures(count=3), st.sampled_from(ORDERS))
def test_wasserstein__obeys_the_triangle_inequality(three, p):
    a, b, c = three
    way = transport.wasserstein(a, b, p) + transport.wasserstein(b, c, p)
    assert transport.wasserstein(a, c, p) <= way + rounding(p)


@settings(max_examples=25)
@given(measures(), st.randoms(use_true_random=False), st.sampled_from(["joint", "ignored"]))
def test_wasserstein__does_not_see_the_order_of_atoms_or_how_they_are_split(pair, random, signs):
    mu, nu = pair
    wanted = transport.wasserstein(mu, nu, signs=signs)
    order = random.sample(range(len(mu.w)), len(mu.w))
    turned = mf.Measure(*(a[order] for a in mu))
    split = mf.Measure(np.r_[mu.b, mu.b], np.r_[mu.s, mu.s], np.r_[0.3 * mu.w, 0.7 * mu.w])
    idle = mf.Measure(np.r_[mu.b, 9 + mu.b], np.r_[mu.s, -mu.s], np.r_[mu.w, 0 * mu.w])
    for same in (turned, split, idle):
        assert transport.wasserstein(same, nu, signs=signs) == pytest.approx(wanted, rel=1e-8, abs=rounding(2))


@given(measures(dim=3), st.integers(0, 99), st.sampled_from([1e-150, 1e-6, 0.5, 1e8, 1e150]))
def test_wasserstein__turns_and_scales_with_positions(pair, seed, scale):
    mu, nu = pair
    wanted = transport.wasserstein(mu, nu, signs="ignored")
    turn = scale * special_ortho_group.rvs(3, random_state=seed)
    moved = (m._replace(b=m.b @ turn) for m in (mu, nu))
    found = transport.wasserstein(*moved, signs="ignored")
    assert found == pytest.approx(scale * wanted, rel=1e-8, abs=scale * rounding(2))


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("signs", ["joint", "ignored", "apart"])
def test_wasserstein__of_a_translate_is_the_length_of_the_way(p, signs):
    mu = mf.Gaussian(3).sample(100, 0, signs="symmetric")
    nu = mu._replace(b=mu.b + np.array([0.3, -0.4, 1.2]))
    assert transport.wasserstein(mu, nu, p, signs) == pytest.approx(1.3, rel=1e-9)


def test_wasserstein__of_gaussians_on_the_line_is_the_closed_form():
    wanted = math.hypot(1.0, 0.5)
    found = [
        transport.wasserstein(
            mf.Gaussian(1).sample(20_000, k), measure(1 + 1.5 * mf.Gaussian(1).sample(20_000, k + 50).b)
        )
        for k in range(20)
    ]
    # The bias, of order log(M) / M, is far below the standard error, of order 1 / sqrt(20 M).
    assert abs(np.mean(found) - wanted) < 4 * np.std(found, ddof=1) / math.sqrt(20)


def test_wasserstein__of_flipped_signs_is_two_and_infinite_apart():
    mu = mf.Gaussian(2).sample(50, 0)
    nu = mu._replace(s=-mu.s)
    assert transport.wasserstein(mu, nu) == pytest.approx(2.0)
    assert transport.wasserstein(mu, nu, signs="ignored") == 0.0
    assert transport.wasserstein(mu, nu, signs="apart") == math.inf
    assert transport.wasserstein(mu, mu, signs="apart") == 0.0


@settings(max_examples=25)
@given(measures())
def test_wasserstein__apart_is_that_of_either_sign_and_never_less(pair):
    mu, nu = pair
    share = [float(m.w[m.s > 0].sum()) for m in pair]
    assume(0.0 < share[0] < 1.0 and 0.0 < share[1] < 1.0)
    apart = transport.wasserstein(mu, nu, signs="apart")
    assert (apart < math.inf) == (abs(share[0] - share[1]) < 1e-9)
    same = nu._replace(w=nu.w * np.where(nu.s > 0, share[0] / share[1], (1 - share[0]) / (1 - share[1])))
    apart = transport.wasserstein(mu, same, signs="apart")
    each = [
        program(mu.b[mu.s == s], same.b[same.s == s], mu.w[mu.s == s] / mass, same.w[same.s == s] / mass, 2)
        for s, mass in ((1, share[0]), (-1, 1 - share[0]))
    ]
    assert apart**2 == pytest.approx(share[0] * each[0] ** 2 + (1 - share[0]) * each[1] ** 2, rel=1e-8, abs=1e-12)
    plain, both = (transport.wasserstein(mu, same, signs=signs) for signs in ("ignored", "joint"))
    assert plain <= both + rounding(2)
    assert both <= apart + rounding(2)


def test_wasserstein__is_the_way_of_a_small_step_of_the_flow(samples):
    """W_2(mu_t, mu_(t+h)) = h sqrt(E |v|^2): the flow's speed in the metric of its space (section 3.4)."""
    data, start, h = samples(n=9, d=3), mf.Gaussian(3).sample(80, 0, signs="random"), 1e-4
    _, gradient = first_variation(mf.Network("tanh"), start, data).both(start.b, start.s)
    moved, speed = start._replace(b=start.b - h * gradient), math.sqrt((gradient**2).sum(axis=1).mean())
    for signs in ("joint", "apart"):
        assert transport.wasserstein(start, moved, signs=signs) == pytest.approx(h * speed, rel=1e-9)


def test_wasserstein__falls_as_samples_of_one_law_grow():
    """In d = 3 as M^(-1/3) (Fournier and Guillin 2015), within four standard errors of the slope over M = 64 to 512."""
    sizes, random = np.array([64, 128, 256, 512]), np.random.default_rng(0)
    rows = []
    for _ in range(12):
        pairs = [(measure(random.random((M, 3))), measure(random.random((M, 3)))) for M in sizes]
        rows.append(np.polyfit(np.log(sizes), [math.log(transport.wasserstein(*pair)) for pair in pairs], 1)[0])
    slope, error = np.mean(rows), np.std(rows, ddof=1) / math.sqrt(12)
    assert abs(slope + 1 / 3) < 4 * error
    assert error < 0.02


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_sliced__is_pots_on_the_same_directions(p, weighted):
    random = np.random.default_rng(0)
    mu, nu = (
        measure(random.standard_normal((M, 3)), random.choice([-1, 1], M)) for M in ((50, 50), (70, 50))[weighted]
    )
    if weighted:
        mu = mu._replace(w=random.dirichlet(np.ones(len(mu.w))))
    ways = slices.directions(4, 128, slices.generator(5, slices.Purpose.TRANSPORT, step=0))
    wanted = ot.sliced_wasserstein_distance(joint(mu), joint(nu), mu.w, nu.w, projections=ways.T, p=p)
    assert transport.sliced(mu, nu, p, seed=5).value == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("dim", [2, 5, 30])
def test_sliced__of_a_translate_is_the_mean_over_the_sphere(dim):
    mu = mf.Gaussian(dim).sample(30, 0)
    nu = mu._replace(b=mu.b + np.r_[3.0, np.zeros(dim - 1)])
    for p, wanted in ((1, 3 * gamma(dim / 2) / math.sqrt(math.pi) / gamma((dim + 1) / 2)), (2, 3 / math.sqrt(dim))):
        found = transport.sliced(mu, nu, p, projections=1000)
        assert abs(found.value - wanted) < 4 * found.error
        assert found.error < 0.05 * wanted


def test_sliced__states_the_error_it_has():
    mu, nu = mf.Gaussian(4).sample(40, 0), mf.Gaussian(4, std=2.0).sample(30, 1)
    found = [transport.sliced(mu, nu, projections=20, seed=seed) for seed in range(100)]
    spread = np.std([f.value for f in found], ddof=1)
    # The standard deviation of 100 values is known to 1 / sqrt(200).
    assert abs(spread / np.mean([f.error for f in found]) - 1) < 4 / math.sqrt(200)


@settings(max_examples=12)
@given(measures(), st.sampled_from(ORDERS))
def test_sliced__lies_below_the_largest_and_that_below_wasserstein(pair, p):
    mu, nu = pair
    exact, found = transport.wasserstein(mu, nu, p), transport.max_sliced(mu, nu, p, starts=2)
    assert transport.sliced(mu, nu, p, projections=16).value <= found.value + rounding(p)
    assert found.value <= exact + rounding(p)
    assert np.linalg.norm(found.direction) == pytest.approx(1.0)


def test_sliced__has_the_same_bits_for_any_number_of_threads(monkeypatch):
    mu, nu = mf.Gaussian(6).sample(3000, 0, signs="random"), mf.Gaussian(6).sample(2000, 1, signs="random")
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(slices, "cores", lambda threads=threads: threads)
        found.append((transport.sliced(mu, nu), transport.max_sliced(mu, nu, starts=2)))
    assert found[0][0] == found[1][0]
    assert found[0][1].value == found[1][1].value


def test_sliced__on_the_line_is_wasserstein_without_error():
    mu, nu = mf.Gaussian(1).sample(30, 0), mf.Gaussian(1).sample(20, 1)
    wanted = transport.wasserstein(mu, nu)
    assert transport.sliced(mu, nu) == (wanted, 0.0)
    assert transport.max_sliced(mu, nu).value == wanted


@pytest.mark.parametrize(("M", "p"), [(6, 1), (6, 2), (40, 2), (40, 3)])
def test_max_sliced__is_the_largest_of_a_fine_grid(M, p):
    random = np.random.default_rng(M)
    mu, nu = measure(random.standard_normal((M, 2))), measure(random.standard_normal((M + 3, 2)) * [1, 1.5])
    angles = np.linspace(0, math.pi, 3001)
    grid = [
        ot.wasserstein_1d(mu.b @ [c, s], nu.b @ [c, s], p=p)
        for c, s in zip(np.cos(angles), np.sin(angles), strict=True)
    ]
    # The grid may miss the top by its spacing, 1e-3, times a slope of order one.
    assert 1 - 1e-5 < transport.max_sliced(mu, nu, p).value / max(grid) ** (1 / p) < 1 + 1e-3


def test_max_sliced__finds_the_way_of_a_translate():
    mu, way = mf.Gaussian(20).sample(100, 0, signs="random"), np.random.default_rng(1).standard_normal(20)
    found = transport.max_sliced(mu, mu._replace(b=mu.b + way))
    assert found.value == pytest.approx(np.linalg.norm(way), rel=1e-9)
    assert abs(found.direction[:20] @ way) == pytest.approx(np.linalg.norm(way), rel=1e-9)


@pytest.mark.parametrize("signs", ["joint", "ignored"])
def test_mmd__is_the_double_sum(signs, cloud):
    mu, nu = cloud(M=700, d=3, equal=False), cloud(M=600, d=3, equal=False, seed=1)
    one, two = ((joint(m) if signs == "joint" else m.b) for m in (mu, nu))
    both, w = np.r_[one, two], np.r_[mu.w, -nu.w]
    K = np.exp(-((both[:, None] - both[None]) ** 2).sum(axis=2) / (2 * 0.7**2))
    found = transport.mmd(mu, nu, bandwidth=0.7, signs=signs)
    assert found.value**2 == pytest.approx(w @ K @ w, rel=1e-10)
    own = [(v @ k @ v - v @ v) / (1 - v @ v) for v, k in ((mu.w, K[:700, :700]), (nu.w, K[700:, 700:]))]
    assert found.unbiased == pytest.approx(sum(own) - 2 * mu.w @ K[:700, 700:] @ nu.w, rel=1e-10)


def test_mmd__unbiased_is_the_closed_form_of_gaussians_on_average():
    dim, h = 3, 1.3

    def mean(variance, shift):
        return (h**2 / (h**2 + variance)) ** (dim / 2) * math.exp(-(shift**2) / (2 * (h**2 + variance)))

    wanted = mean(2.0, 0.0) + mean(2 * 0.25, 0.0) - 2 * mean(1.25, 0.5)
    found = []
    for k in range(40):
        nu = mf.Gaussian(dim, std=0.5).sample(150, k + 100)
        nu = nu._replace(b=nu.b + np.array([0.5, 0.0, 0.0]))
        found.append(transport.mmd(mf.Gaussian(dim).sample(200, k), nu, bandwidth=h).unbiased)
    assert abs(np.mean(found) - wanted) < 4 * np.std(found, ddof=1) / math.sqrt(40)


def test_mmd__of_two_points_is_known_near_and_far():
    for r, h in ((1.0, 1.0), (1e-3, 1.0), (1e6, 1.0), (3e6, 1e6)):
        found = transport.mmd(measure([[5e3, r]]), measure([[5e3, 0.0]]), bandwidth=h)
        assert found.value == pytest.approx(math.sqrt(2 - 2 * math.exp(-(r**2) / (2 * h**2))), rel=1e-6)
        assert math.isnan(found.unbiased)


def test_mmd__takes_the_median_distance_and_scales_with_it():
    mu, nu = mf.Gaussian(4).sample(300, 0), mf.Gaussian(4, std=2.0).sample(400, 1)
    found, far = (transport.mmd(*(m._replace(b=scale * m.b) for m in (mu, nu))) for scale in (1.0, 1e5))
    pooled = np.r_[mu.b[:300], nu.b[:300]]
    median = np.median(np.linalg.norm(pooled[:, None] - pooled[None], axis=2)[np.triu_indices(600, 1)])
    assert found.bandwidth == pytest.approx(median, rel=0.05)  # it draws 500 of each
    assert far.bandwidth == pytest.approx(1e5 * found.bandwidth)
    assert far.value == pytest.approx(found.value, rel=1e-9)


@settings(max_examples=25)
@given(measures())
def test_mmd__is_symmetric_zero_for_the_same_and_blind_to_splits(pair):
    mu, nu = pair
    found = transport.mmd(mu, nu, bandwidth=1.0)
    assert transport.mmd(nu, mu, bandwidth=1.0).value == pytest.approx(found.value, abs=1e-7)
    split = mf.Measure(np.r_[mu.b, mu.b], np.r_[mu.s, mu.s], np.r_[0.3 * mu.w, 0.7 * mu.w])
    assert transport.mmd(split, nu, bandwidth=1.0).value == pytest.approx(found.value, abs=1e-7)
    assert transport.mmd(mu, mu, bandwidth=1.0).value == 0.0


def bures(S, T):
    """W_2 of centred Gaussians with these covariances."""
    root = sqrtm(S).real
    return math.sqrt(np.trace(S + T - 2 * sqrtm(root @ T @ root).real))


def test_subsampled__brackets_the_closed_form_of_gaussians():
    random = np.random.default_rng(0)
    A, B = random.standard_normal((2, 3, 3))
    mu, nu = (measure(random.standard_normal((50_000, 3)) @ root.T) for root in (A, B))
    wanted, found = bures(A @ A.T, B @ B.T), transport.subsampled(mu, nu, count=400)
    assert found.value - found.excess - 4 * found.error < wanted < found.value + 4 * found.error


def test_subsampled__corrected_is_right_for_translates():
    mu = mf.Gaussian(5).sample(20_000, 0)
    nu = mf.Gaussian(5).sample(20_000, 1)
    for size in (0.5, 2.0):
        moved = nu._replace(b=nu.b + np.r_[size, np.zeros(4)])
        found = transport.subsampled(mu, moved, count=200, repeats=20)
        # Means of 20 000 points are themselves 1 / 100 away.
        assert abs(found.corrected - size) < 4 * math.hypot(found.corrected_error, 0.01)
        assert found.value > size + 4 * found.error


def test_subsampled__draws_by_weight():
    mu = measure([[0.0, 0.0], [1.0, 0.0]], w=[0.9, 0.1])
    nu = measure([[0.0, 0.0]])
    found = transport.subsampled(mu, nu, p=1, count=100, repeats=60)
    assert abs(found.value - 0.1) < 4 * found.error
    assert found.error == pytest.approx(math.sqrt(0.1 * 0.9 / 100 / 60), rel=4 / math.sqrt(120))


def test_transport__repeats_with_the_seed_and_changes_with_it():
    mu, nu = mf.Gaussian(3).sample(60, 0), mf.Gaussian(3).sample(50, 1)
    for distance in (transport.sliced, lambda *a, seed: transport.subsampled(*a, count=20, seed=seed), transport.mmd):
        assert distance(mu, nu, seed=3) == distance(mu, nu, seed=3) != distance(mu, nu, seed=4)


DISTANCES = [transport.wasserstein, transport.sliced, transport.max_sliced, transport.mmd, transport.subsampled]


@pytest.mark.parametrize("distance", DISTANCES)
def test_transport__refuses_what_is_no_pair_of_measures(distance):
    good = mf.Gaussian(2).sample(4, 0)
    for bad, match in (
        (mf.Gaussian(3).sample(4, 0), "both measures must live on one R\\^d: got d = 2 and d = 3"),
        (mf.Gaussian(2), "compares two measures"),
        (mf.Measure(np.ones((0, 2)), np.ones(0), np.ones(0)), "positions must have shape"),
        (mf.Measure(np.ones(3), np.ones(3), np.full(3, 1 / 3)), "positions must have shape"),
        (good._replace(b=good.b * np.nan), "a measure must be finite"),
        (good._replace(w=2 * good.w), "sum to 1"),
        (good._replace(s=np.ones(3)), "one entry a particle"),
    ):
        with pytest.raises(mf.InputError, match=match):
            distance(good, bad)


def test_transport__refuses_numbers_out_of_range():
    mu = mf.Gaussian(2).sample(4, 0)
    for distance in (transport.wasserstein, transport.sliced, transport.max_sliced, transport.subsampled):
        for p in (0.5, math.inf, math.nan, "2"):
            with pytest.raises(mf.InputError, match="`p` must be a finite number >= 1"):
                distance(mu, mu, p=p)
    for distance, named, match in (
        (transport.wasserstein, {"signs": "appart"}, "`signs` must be one of joint, ignored, apart.*'apart'"),
        (transport.sliced, {"signs": "apart"}, "`signs` must be one of joint, ignored"),
        (transport.sliced, {"projections": 1}, "`projections` must be a whole number >= 2"),
        (transport.sliced, {"seed": -1}, "seed"),
        (transport.max_sliced, {"starts": 0}, "`starts`"),
        (transport.mmd, {"bandwidth": 0.0}, "`bandwidth` must be a finite number > 0"),
        (transport.subsampled, {"count": 0}, "`count`"),
        (transport.subsampled, {"repeats": 1}, "`repeats`"),
    ):
        with pytest.raises(mf.InputError, match=match):
            distance(mu, mu, **named)


def test_wasserstein__refuses_too_many_atoms_and_names_what_else_there_is(monkeypatch):
    mu = mf.Gaussian(2).sample(20_000, 0)
    with pytest.raises(mf.InputError, match=r"at most 1e\+08 pairs of atoms: got 4.00e\+08. `subsampled`.*`sliced`"):
        transport.wasserstein(mu, mu)
    monkeypatch.setattr(exact, "PIVOTS", 1)
    with pytest.raises(mf.InputError, match="must come to its optimum: got numItermax"):
        transport.wasserstein(mf.Gaussian(2).sample(200, 0), mf.Gaussian(2).sample(200, 1))


def test_transport__imports_pot_only_for_exact_distances():
    code = (
        "import sys, particles as mf; from particles.theory import transport as t; m = mf.Gaussian(2).sample(9, 0);"
        "t.sliced(m, m), t.mmd(m, m, 1.0), t.max_sliced(m, m); assert 'ot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("distance", [transport.wasserstein, lambda a, b: transport.sliced(a, b).value])
def test_distance__leaves_out_what_weighs_nothing_whatever_its_sign(distance):
    mu, nu = mf.Gaussian(2).sample(50, 0), mf.Gaussian(2).sample(60, 1)
    more = mf.Measure(np.vstack([mu.b, [[9.0, 9.0]]]), np.append(mu.s, -1.0), np.append(mu.w, 0.0))
    assert distance(more, nu) == distance(mu, nu)


def test_distance__of_huge_and_of_tiny_positions():
    mu, nu = mf.Gaussian(2).sample(40, 0), mf.Gaussian(2).sample(40, 1)
    plain = transport.wasserstein(mu, nu)
    for size in (1e200, 1e-200):
        scaled = (m._replace(b=size * m.b) for m in (mu, nu))
        assert transport.wasserstein(*scaled) / size == pytest.approx(plain, rel=1e-9)
    with pytest.raises(mf.InputError, match="must be finite"):
        transport.mmd(*(m._replace(b=1e200 * m.b) for m in (mu, nu)))


def test_mmd__of_one_atom_that_weighs_all_but_a_rounding():
    mu = mf.Measure(np.eye(2), np.ones(2), np.array([1.0, 1e-20]))
    assert np.isnan(transport.mmd(mu, mf.Gaussian(2).sample(9, 0), 1.0).unbiased)


@pytest.mark.slow
def test_distance__has_the_same_bits_on_any_number_of_blas_threads():
    code = (
        "import particles as mf; t = mf.transport; m, n = (mf.Gaussian(2).sample(20000, k) for k in (0, 1));"
        "a, b = (mf.Gaussian(1).sample(20000, k) for k in (0, 1));"
        "print(t.sliced(m, n, projections=8).value.hex(), t.max_sliced(m, n, starts=1).value.hex(),"
        " t.wasserstein(a, b, p=1).hex())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "OPENBLAS_NUM_THREADS": n}
        ).stdout
        for n in ("1", "2")
    }
    assert len(said) == 1


def test_root_of__has_an_interval_that_reaches_zero_where_the_mean_is_noise():
    """The delta method alone has half of it there: the root is steep at 0."""
    values = np.array([1.0, -0.5, 2.0, 0.5, -1.0, 1.5, 0.0, 2.5, -0.5, 0.5])
    mean, spread, quantile = values.mean(), values.std(ddof=1) / np.sqrt(10), 2.262157
    assert spread < mean < quantile * spread
    root, error = root_of(values, 2.0)
    assert root == pytest.approx(np.sqrt(mean)) and quantile * error >= root * (1.0 - 1e-6)
    root, error = root_of(values - mean - 10.0 * spread, 2.0)  # the whole interval is below 0
    assert root == 0.0 and (quantile * error) ** 2 == pytest.approx(quantile * spread)
    root, error = root_of(values + 100.0, 2.0)  # far from 0 it is the delta method's
    assert error == pytest.approx(spread / (2.0 * root), rel=0.01)
