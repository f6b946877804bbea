"""Finite networks beside their limit: the distance, and the exponent with an interval that can be trusted."""

import numpy as np
import pytest
import xarray
from support.records import record

import particles as mf
from particles.analysis.convergence import THEORY, Exponent, distance, fit_exponent, over_time, verdict

COUNTS = [64, 128, 256, 512, 1024]


def noisy(power, counts=COUNTS, seeds=8, size=0.2, seed=0):
    """Distances M^power with lognormal noise: (k, seeds)."""
    noise = np.random.default_rng(seed).standard_normal((len(counts), seeds))
    return 3.0 * np.array(counts, dtype=float)[:, None] ** power * np.exp(size * noise)


@pytest.mark.parametrize("seeds", [1, 2, 3, 8])
@pytest.mark.parametrize("power", [-0.5, -1.0, 0.0, 0.25])
def test_exponent__is_exact_without_noise(power, seeds):
    fit = fit_exponent(COUNTS, noisy(power, seeds=seeds, size=0.0))
    np.testing.assert_allclose([fit.value, fit.low, fit.high], power, atol=1e-13)


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_exponent__is_the_least_squares_line_s(seeds):
    distances = noisy(-0.5, seeds=seeds)
    x, y = np.log(np.repeat(COUNTS, seeds)), np.log(distances.ravel())
    np.testing.assert_allclose(fit_exponent(COUNTS, distances).value, np.polyfit(x, y, 1)[0], rtol=1e-12)


@pytest.mark.parametrize(("seeds", "truth"), [(1, -0.5), (2, -0.5), (3, -0.5), (10, -0.7)])
def test_exponent__has_an_interval_that_covers_the_truth_95_times_in_100(seeds, truth):
    N = 2000
    fits = [fit_exponent(COUNTS, noisy(truth, seeds=seeds, seed=[seeds, i])) for i in range(N)]
    covered = sum(fit.low <= truth <= fit.high for fit in fits)
    assert abs(covered / N - 0.95) <= 4 * (0.95 * 0.05 / N) ** 0.5


def test_exponent__has_an_interval_over_seeds_that_share_a_trend():
    """A seed's runs share their first particles: here each seed has a slope of its own, all points of one agree."""
    N, covered = 1000, 0
    for i in range(N):
        slopes = -0.5 + 0.1 * np.random.default_rng(i).standard_normal(6)
        fit = fit_exponent(COUNTS, np.array(COUNTS, dtype=float)[:, None] ** slopes)
        covered += fit.low <= -0.5 <= fit.high
    assert abs(covered / N - 0.95) <= 4 * (0.95 * 0.05 / N) ** 0.5


def test_exponent__has_intervals_that_shrink_with_seeds():
    widths = [np.ptp(fit_exponent(COUNTS, noisy(-0.5, seeds=seeds))[1:3]) for seeds in (4, 16, 64)]
    assert widths[0] > widths[1] > widths[2] > 0


@pytest.mark.parametrize(("seeds", "independent"), [(1, 0), (2, 0), (3, 3), (8, 8)])
def test_exponent__counts_its_independent_fits(seeds, independent):
    assert fit_exponent(COUNTS, noisy(-0.5, seeds=seeds)).independent == independent


@pytest.mark.parametrize("counts", [[64], [64, 64]])
def test_exponent__of_one_count_is_not_a_number(counts):
    assert np.isnan(fit_exponent(counts, noisy(-0.5, counts=counts))[:3]).all()


def test_exponent__of_two_points_has_no_interval():
    fit = fit_exponent([64, 256], noisy(-0.5, counts=[64, 256], seeds=1, size=0.0))
    np.testing.assert_allclose(fit.value, -0.5)
    assert np.isnan([fit.low, fit.high]).all()


@pytest.mark.parametrize(
    ("low", "high", "holds", "verdict"),
    [
        (-0.6, -0.4, True, "holds"),
        (-0.4, -0.3, False, "does not hold"),
        (-0.7, -0.6, False, "does not hold"),
        (-1.1, 0.1, None, "cannot tell"),  # the theory's lies in it, as half of everything does
        (np.nan, np.nan, None, "cannot tell"),
    ],
)
def test_exponent__says_whether_the_theory_s_holds(low, high, holds, verdict):
    found = Exponent((low + high) / 2, low, high, 3)
    assert found.holds is holds and found.verdict == verdict


def test_distance__is_the_root_mean_square_over_samples():
    one, two = np.random.default_rng(0).standard_normal((2, 4, 7))
    wanted = [np.sqrt(sum((one[t, i] - two[t, i]) ** 2 for i in range(7)) / 7) for t in range(4)]
    np.testing.assert_allclose(distance(record(one), record(two)), wanted, rtol=1e-14)


def test_distance__is_zero_from_itself_and_symmetric():
    one, two = np.random.default_rng(0).standard_normal((2, 4, 7))
    assert (distance(record(one), record(one)) == 0).all()
    assert (distance(record(one), record(two)) == distance(record(two), record(one))).all()


@pytest.mark.parametrize(
    "other", [record(np.zeros((4, 6))), record(np.zeros((3, 7))), record(np.zeros((4, 7)), [0.0, 1.0, 2.0, 4.0])]
)
def test_distance__refuses_other_samples_and_times(other):
    with pytest.raises(mf.InputError, match="runs to compare need the same samples and recorded times"):
        distance(record(np.zeros((4, 7))), other)


def grid(counts=(8, 16), seeds=(0, 1, 2)):
    random = np.random.default_rng(0)
    return {(count, seed): record(random.standard_normal((4, 7))) for count in counts for seed in seeds}


LIMIT = record(np.zeros((4, 7)))


@pytest.mark.parametrize("lost", [(8, 0), (16, 2)])
def test_compare__refuses_an_incomplete_grid(lost):
    runs = grid()
    del runs[lost]
    with pytest.raises(
        mf.InputError, match=rf"every count with every seed: got no run for \[\({lost[0]}, {lost[1]}\)\]"
    ):
        mf.compare(runs, LIMIT)


def test_compare__refuses_no_runs():
    with pytest.raises(mf.InputError, match="needs runs that finished: got none"):
        mf.compare({}, LIMIT)


def test_compare__is_what_its_parts_are():
    runs, coarse = grid(), record(np.full((4, 7), 0.1))
    found = mf.compare(runs, LIMIT, coarse)
    table = np.array([[distance(runs[count, seed], LIMIT) for seed in (0, 1, 2)] for count in (8, 16)])
    fit = fit_exponent([8, 16], table.max(axis=2))
    np.testing.assert_array_equal(found["distance"], table)
    np.testing.assert_array_equal(found["sup_distance"], table.max(axis=2))
    np.testing.assert_allclose(found["limit_error"], 0.1)
    assert [float(found[name]) for name in ("exponent", "exponent_low", "exponent_high")] == [*fit[:3]]
    assert float(found["exponent_theory"]) == THEORY == -0.5


def test_compare__does_not_depend_on_the_order_of_runs():
    runs = grid()
    assert mf.compare(dict(reversed(runs.items())), LIMIT).identical(mf.compare(runs, LIMIT))


def test_compare__with_two_limits_of_the_same_atoms_states_no_error():
    assert np.isnan(mf.compare(grid(), LIMIT, LIMIT)["limit_error"]).all()


def test_compare__without_a_coarse_limit_states_no_error():
    assert np.isnan(mf.compare(grid(), LIMIT)["limit_error"]).all()


def test_compare__labels_counts_and_seeds_with_their_own_values():
    found = mf.compare(grid(counts=(64, 8), seeds=(5, 3)), LIMIT)
    assert (found["count"].values.tolist(), found["seed"].values.tolist()) == ([8, 64], [3, 5])


@pytest.mark.filterwarnings("error")
def test_compare__of_networks_that_are_their_limit_has_no_exponent():
    """Every distance is zero: a start of symmetric signs before the first step."""
    same = {(count, 0): record(np.zeros((4, 7))) for count in (8, 16)}
    assert np.isnan(float(mf.compare(same, LIMIT)["exponent"]))


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (-0.49, -0.56, -0.42, "distance ~ M^-0.490, 95% interval [-0.560, -0.420]; theory -1/2: holds"),
        (-0.30, -0.35, -0.25, "theory -1/2: does not hold within this interval"),
        (-0.50, -1.10, 0.10, "theory -1/2: this interval is too wide to tell; run more seeds or sizes"),
        (-0.50, np.nan, np.nan, "no interval for the exponent: run three seeds or more"),
    ],
)
def test_verdict__says_what_the_interval_allows(value, low, high, words):
    table = xarray.Dataset({"exponent": value, "exponent_low": low, "exponent_high": high})
    assert words in verdict(table)


def table_of(distances):
    """Distances (k, seeds, time) as `compare` has them."""
    places = {"count": COUNTS[: len(distances)], "seed": range(distances.shape[1])}
    return xarray.Dataset({"distance": (("count", "seed", "time"), distances)}, places)


def test_over_time__tells_the_start_from_the_end():
    """The power at the end, of distances that are largest at the start in all runs but one."""
    last = noisy(-1.0, seeds=4, size=0.1)
    distances = np.stack([10.0 * noisy(-0.5, seeds=4, size=0.0), last], axis=-1)
    distances[1, 2, 0] = 0.5 * distances[1, 2, 1]
    fit = fit_exponent(COUNTS, last)
    expected = f"at the end distance ~ M^{fit.value:.3f}, 95% interval [{fit.low:.3f}, {fit.high:.3f}]"
    assert over_time(table_of(distances)) == f"largest at the start in 19 of 20 runs; {expected}"


@pytest.mark.parametrize("distances", [np.ones((2, 3, 1)), np.full((2, 3, 4), np.nan), np.full((2, 3, 4), np.inf)])
def test_over_time__says_nothing_of_one_time_and_of_what_is_not_finite(distances):
    assert over_time(table_of(distances)) == ""


def test_over_time__of_one_size_has_no_power():
    assert over_time(table_of(np.ones((1, 3, 2)))) == "largest at the start in 3 of 3 runs"
