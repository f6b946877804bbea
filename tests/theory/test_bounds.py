"""The paper's bounds against recursions, naive kernel descent and closed forms; and what they refuse."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

import particles as mf
from particles.theory import bounds


def unit_inputs(n, d, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def relu_gram(x):
    """The arc-cosine kernel of degree 0 times the inputs' product, entry by entry."""
    inner = np.clip(x @ x.T, -1.0, 1.0)
    angle = np.arccos(inner)
    np.fill_diagonal(angle, 0.0)
    return inner * (np.pi - angle) / (2 * np.pi)


@pytest.fixture(scope="module")
def case():
    x = unit_inputs(12, 4)
    return relu_gram(x), np.random.default_rng(1).uniform(-1, 1, 12), x


def risk(r):
    return r @ r / (2 * len(r))


# Section 2


@given(strong=st.floats(0.1, 1.0), ratio=st.floats(1.0, 20.0), variance=st.floats(0.0, 5.0), begin=st.floats(0.0, 3.0))
def test_robbins_monro_bound__is_above_the_exact_error_of_a_quadratic(strong, ratio, variance, begin):
    """f = (mu u^2 + L w^2) / 2 with noise of variance V shared out: second moments obey a recursion exactly."""
    curvature = np.array([strong, strong * ratio])
    moments = np.full(2, begin)
    gap = curvature @ moments / 2
    steps = bounds.robbins_monro(strong, strong * ratio).sizes(300)
    bound = bounds.robbins_monro_bound(np.arange(301), strong, variance, strong * ratio, gap)
    for t in range(301):
        assert curvature @ moments / 2 <= bound[t] * (1 + 1e-12) + 1e-300
        if t < 300:
            moments = (1 - steps[t] * curvature) ** 2 * moments + steps[t] ** 2 * variance / 2


def test_robbins_monro_bound__is_within_four_times_the_error_it_bounds():
    """In one dimension the error tends to (c^2 mu V / 2) / (2 c mu - 1) / t = 2 V / (3 mu t), c = 2 / mu."""
    t, variance = 10**6, 1.7
    truth = 2 * variance / (3 * 0.5 * t)
    assert 1 < bounds.robbins_monro_bound(t, 0.5, variance, 0.5, 1.0) / truth < 4


def test_robbins_monro__first_step_is_one_over_smooth():
    assert bounds.robbins_monro(0.2, 3.0).sizes(1)[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("eps", [0.3, 0.01, 1e-4])
def test_sgd_evaluations__are_the_first_at_which_the_bound_is_eps(eps):
    t = bounds.sgd_evaluations(eps, 0.5, 2.0, 3.0, 1.0)
    assert bounds.robbins_monro_bound(t, 0.5, 2.0, 3.0, 1.0) <= eps * (1 + 1e-9)
    assert t == 0 or bounds.robbins_monro_bound(t - 1, 0.5, 2.0, 3.0, 1.0) > eps


@pytest.mark.parametrize(("eps", "strong"), [(0.3, 0.5), (1e-6, 0.5), (1e-3, 3.0), (5.0, 0.5)])
def test_gd_evaluations__count_the_contractions(eps, strong):
    gap, count = 2.0, 0
    while gap > eps:
        gap, count = gap * (1 - strong / 3.0), count + 1
    assert bounds.gd_evaluations(eps, strong, 3.0, 2.0, n=7) == 7 * count


def test_evaluations__grow_as_the_paper_says():
    """SGD as 1/eps and free of n, descent as n log(1/eps)."""
    few, many = (bounds.sgd_evaluations(eps, 0.5, 2.0, 3.0, 1.0) for eps in (1e-4, 1e-7))
    assert many / few == pytest.approx(1000, rel=0.01)
    few, many = (bounds.gd_evaluations(eps, 0.01, 3.0, 1.0, n=5) for eps in (1e-3, 1e-6))
    assert many / few == pytest.approx(2, rel=0.01)


# Section 3.1


@pytest.mark.parametrize("share", [0.1, 0.7, 1.0])
def test_descent_bound__holds_up_to_the_descent_step(case, share):
    gram, y, _ = case
    step = share * bounds.descent_step(gram)
    for r in (y, np.linalg.eigh(gram)[1][:, -1], np.linalg.eigh(gram)[1][:, 0]):
        assert risk(r - step * gram @ r / 12) <= bounds.descent_bound(gram, r, step) + 1e-15


def test_descent_step__is_the_largest(case):
    """Along the top eigenvector the lemma is an equality at that step and fails beyond it."""
    gram, _, _ = case
    r, step = np.linalg.eigh(gram)[1][:, -1], bounds.descent_step(gram)
    promised = lambda eta: risk(r) - eta / 2 * r @ gram @ r / 12**2  # noqa: E731
    after = lambda eta: risk(r - eta * gram @ r / 12)  # noqa: E731
    assert after(step) == pytest.approx(promised(step), abs=1e-15)
    assert bounds.descent_bound(gram, r, step) == pytest.approx(promised(step), abs=1e-15)
    assert after(1.01 * step) > promised(1.01 * step) + 1e-6


def test_descent_step__is_four_times_as_large_for_the_logistic_loss(case):
    assert bounds.descent_step(case[0], 0.25) == pytest.approx(4 * bounds.descent_step(case[0]))
    assert bounds.descent_step(np.zeros((2, 2))) == math.inf


def test_contraction__is_above_kernel_descent_and_vectorised(case):
    gram, y, _ = case
    low, step, r = np.linalg.eigvalsh(gram)[0], bounds.descent_step(gram), y.copy()
    bound = bounds.contraction(step, low, 12, np.arange(200))
    for t in range(200):
        assert risk(r) <= bound[t] * risk(y) * (1 + 1e-12)
        r = r - step * gram @ r / 12
    assert bounds.contraction(0.5, 1.0, 2, [[0, 1], [2, 3]]) == pytest.approx(0.75 ** np.array([[0, 1], [2, 3]]))


def test_theorem_1__is_its_formulas(case):
    gram, y, x = case
    found, low = bounds.theorem_1(gram, 0.01, x, y), np.linalg.eigvalsh(gram)[0]
    norm = math.sqrt(sum(v * v for v in gram.ravel()))
    assert found.step == pytest.approx(12 / norm)
    assert found.iterations == pytest.approx(norm / low * math.log(100))
    assert found.width == pytest.approx(12**6 / low**4)
    assert found.step <= found.kernel_step == pytest.approx(bounds.descent_step(gram))


def test_theorem_1__iterations_do_for_the_kernel_model(case):
    """With its step the contraction is (1 - lam / |H|_F)^t <= e^(-t lam / |H|_F): its count reaches eps L_0 surely."""
    gram, y, _ = case
    found = bounds.theorem_1(gram, 0.01)
    assert bounds.kernel_iterations(gram, y, 0.01 * risk(y)) <= found.iterations


@pytest.mark.parametrize("eps", [1.0, 0.1, 1e-3, 1e-6])
@pytest.mark.parametrize("step", [None, 5.0])
def test_kernel_iterations__are_those_of_naive_descent(case, eps, step):
    gram, y, _ = case
    r, eta, count = y.copy(), step or 12 / np.linalg.norm(gram), 0
    while risk(r) > eps:
        r, count = r - eta * gram @ r / 12, count + 1
    assert bounds.kernel_iterations(gram, y, eps, step) == count


def test_kernel_iterations__that_no_machine_makes_are_refused():
    with pytest.raises(mf.InputError, match=r"`eps` must be reached in 5e\+18 steps: got a loss of 0\.[45]"):
        bounds.kernel_iterations([[0.5, 0.0], [0.0, 0.5]], [1.0, -1.0], 0.01, step=1e-310)


def test_kernel_iterations__may_be_finite_where_the_gram_matrix_is_singular():
    gram = np.ones((2, 2))
    assert bounds.kernel_iterations(gram, [1.0, 1.0], 1e-3, 1.0) == 1  # what is in its range is learnt at once


def test_one_sample__works():
    gram = np.array([[0.5]])
    assert bounds.theorem_1(gram, 0.1, [[1.0, 0.0]], [1.0]).iterations == pytest.approx(math.log(10))
    assert bounds.arora_bound(gram, [0.5], [[0.0, 1.0]]) == pytest.approx(1.0)
    assert bounds.kernel_iterations(gram, [1.0], 1e-9) == 1


def test_arora_bound__is_that_of_the_inverse(case):
    gram, y, x = case
    expected = math.sqrt(2 * y @ np.linalg.inv(gram) @ y / 12)
    assert bounds.arora_bound(gram, y, x) == pytest.approx(expected, rel=1e-10)


def test_arora_bound__on_an_eigenvector_is_its_eigenvalue(case):
    values, vectors = np.linalg.eigh(case[0])
    for value, y in zip(values, vectors.T, strict=True):
        assert bounds.arora_bound(case[0], y) == pytest.approx(math.sqrt(2 / (value * 12)), rel=1e-9)


def test_arora_rest__is_its_formula():
    assert bounds.arora_rest(100, 0.01, 0.05) == pytest.approx(math.sqrt(math.log(2e5) / 100))


# Section 3.2


R_BETA = list(itertools.product([0.5, 0.75, 1.0], [1.1, 2.0, 5.0]))


@pytest.mark.parametrize(("r", "beta"), R_BETA)
def test_theorem_2__is_its_formulas(r, beta):
    T, power = 10**4, 2 * r * beta / (2 * r * beta + 1)
    assert bounds.weight_decay(T, r, beta) == pytest.approx(math.exp(-beta / (2 * r * beta + 1) * math.log(T)))
    assert bounds.averaged_exponent(r, beta) == pytest.approx(-power)
    curve = bounds.averaged_bound([T, 4 * T], r, beta, source_norm=2.0, factor=3.0)
    assert curve == pytest.approx([15 / T**power, 15 / (4 * T) ** power])


@pytest.mark.parametrize(("r", "beta"), R_BETA)
def test_weight_decay__balances_bias_and_variance(r, beta):
    """lam^(2 r) and the effective dimension over T, lam^(-1/beta) / T, are equal: both are the bound."""
    T = 1000
    lam = bounds.weight_decay(T, r, beta)
    assert lam ** (2 * r) == pytest.approx(lam ** (-1 / beta) / T)
    assert lam ** (2 * r) == pytest.approx(bounds.averaged_bound(T, r, beta))


@pytest.mark.parametrize("lam", [0.0, 0.1, 3.0])
def test_averaged_step__is_the_largest_that_theorem_2_allows(lam):
    assert 4 * (6 + lam) * bounds.averaged_step(lam) == pytest.approx(1.0)


def test_averaged_step_and_weight__are_the_papers_at_its_output_scale():
    net = mf.Network("smooth_relu", beta=0.5)
    assert net.paper_step(bounds.averaged_step(0.1), 4096) == bounds.averaged_step(0.1)
    assert net.paper_weight(bounds.weight_decay(100, 0.5, 2.0), 4096) == bounds.weight_decay(100, 0.5, 2.0)


@pytest.mark.parametrize("d", [2, 3, 10])
@pytest.mark.parametrize("r", [0.5, 1.0])
def test_relu_exponent__is_that_of_the_paper(r, d):
    assert bounds.relu_exponent(r, d) == pytest.approx(-2 * r * d / (2 * r * d + d - 1))


def test_relu_decay__is_two_on_the_circle():
    assert bounds.relu_decay(2) == 2.0


GOOD_1 = {"net": mf.Network("smooth_relu", beta=0.5), "x": [[0.6, 0.8]], "y": [0.5], "law": mf.Sphere(2), "r": 0.5,
          "beta": 2.0}  # fmt: skip
FAILING_1 = [
    ({"net": mf.Network("relu", beta=0.5)}, "relu lacks"),
    ({"net": mf.Network("quadratic", beta=0.5)}, "quadratic lacks"),
    ({"net": mf.Network("tanh", beta=1.0)}, "the output scale must be 1/sqrt(M)"),
    ({"net": mf.Network("tanh", beta=0.5, bias=True)}, "|x| <= 1 fails: 1.41421"),
    ({"x": [[1.0, 1.0]]}, "|x| <= 1 fails: 1.41421"),
    ({"y": [-1.5]}, "y in [-1, 1] fails: |y| = 1.5"),
    ({"r": 0.4}, "the source condition needs r in [1/2, 1]: 0.4"),
    ({"beta": 1.0}, "the eigenvalues need a decay beta > 1: 1.0"),
    ({"law": mf.Gaussian(2, std=0.01)}, "mu0 must live in the unit ball: Gaussian"),
    ({"law": mf.Sphere(2, 1.1)}, "mu0 must live in the unit ball: Sphere"),
    ({"law": mf.Ball(2, 1.1)}, "mu0 must live in the unit ball: Ball"),
    ({"law": mf.Uniform(2)}, "mu0 must live in the unit ball: Uniform"),
    ({"law": mf.Atoms([[0.0, 2.0]])}, "mu0 must live in the unit ball"),
]


@pytest.mark.parametrize(("wrong", "told"), FAILING_1, ids=[told[:30] for _, told in FAILING_1])
def test_assumption_1__says_what_fails(wrong, told):
    (found,) = bounds.assumption_1(**{**GOOD_1, **wrong})
    assert found.startswith(told)


@pytest.mark.parametrize(
    "law", [None, mf.Ball(2), mf.Uniform(2, -0.5, 0.5), mf.Atoms([[0.0, 1.0], [9.0, 0.0]], [1, 0])]
)
def test_assumption_1__has_nothing_to_say_where_it_holds(law):
    assert bounds.assumption_1(**{**GOOD_1, "law": law}) == []


# Section 3.3


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("eps", [0.1, 0.01])
def test_theorem_3__is_its_formulas_in_setting_i(eps, beta):
    M, T = eps ** (-1 / (1 - beta)), eps**-2
    paper = eps**-2 / T * M ** (2 * beta - 1)
    expected = bounds.Costs(M, T, eps**-4, paper * M ** (1 - 2 * beta), paper)
    assert bounds.theorem_3(eps, beta) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("eps", [0.1, 0.01])
def test_theorem_3__is_its_formulas_in_setting_ii(eps):
    M = eps**-1.5
    assert bounds.theorem_3(eps, setting="ii") == pytest.approx(bounds.Costs(M, 1 / eps, eps**-2, 1.0, 1 / M))


def test_theorem_3__asks_for_n_to_the_quarter_or_three_quarters_neurons():
    for setting, power in (("i", 0.25), ("ii", 0.75)):
        found = bounds.theorem_3(0.01, 0.0, setting)
        assert found.width == pytest.approx(found.samples**power)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5])
def test_theorem_3__steps_are_one_step_in_two_scales(beta):
    found = bounds.theorem_3(0.05, beta, T=3000)
    assert mf.Network("tanh", beta=beta).paper_step(found.step, found.width) == pytest.approx(found.paper_step)
    assert found.step == pytest.approx(0.05**-2 / 3000)
    assert found.iterations == 3000


GOOD_2 = {"net": mf.Network("tanh", beta=0.0), "x": [[0.6, 0.8]], "y": [-1], "law": mf.Gaussian(2)}


class Corner(mf.Law):
    """A user's own law."""

    dim = 2

    def draw(self, random, count):
        return self.from_cube(random.random((count, 2)))

    def from_cube(self, u):
        return np.where(u < 0.5, -1.0, 1.0)

    def __repr__(self):
        return "Corner()"


FAILING_2 = [
    ({"net": mf.Network("relu", beta=0.0)}, "relu lacks"),
    ({"net": mf.Network("quadratic", beta=0.0)}, "quadratic lacks"),
    ({"net": mf.Network("tanh", beta=1.0)}, "the output scale must have beta in [0, 1)"),
    ({"x": [[1.0, 1.0]]}, "|x| <= 1 fails: 1.41421"),
    ({"y": [0.5]}, "labels must be -1 or 1"),
    ({"law": Corner()}, "mu0 must be sub-Gaussian, which is not known of Corner()"),
]


@pytest.mark.parametrize(("wrong", "told"), FAILING_2, ids=[told[:30] for _, told in FAILING_2])
def test_assumption_2__says_what_fails(wrong, told):
    (found,) = bounds.assumption_2(**{**GOOD_2, **wrong})
    assert found.startswith(told)


def test_assumption_2__has_nothing_to_say_where_it_holds():
    assert bounds.assumption_2(**GOOD_2) == []


def test_assumption_1__looks_at_draws_of_an_unknown_law():
    (found,) = bounds.assumption_1(**{**GOOD_1, "law": Corner()})
    assert found == "mu0 must live in the unit ball: Corner()"


# Refusals

X, DOUBLE = unit_inputs(3, 2), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
MIRRORED = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])


def gram_of(x, name="relu"):
    return mf.tangent.gram(mf.Network(name), mf.Gaussian(x.shape[1]).sample(500, 0), x)


def test_theorem_1__takes_mirrored_inputs_of_relu():
    assert bounds.theorem_1(gram_of(MIRRORED), 0.1, MIRRORED).smallest > 0


SINGULAR = [
    (lambda: bounds.theorem_1(gram_of(DOUBLE), 0.1), r"H is singular: samples 0 and 2 have parallel gradients"),
    (lambda: bounds.arora_bound(gram_of(DOUBLE), [1, 1, 1]), r"H is singular: samples 0 and 2 have parallel"),
    (lambda: bounds.arora_bound(gram_of(DOUBLE, "tanh"), [1, 1, 1]), r"H is singular: samples 0 and 2 have parallel"),
    (
        lambda: bounds.theorem_1(gram_of(DOUBLE * [[1.0], [1.0], [3.0]]), 0.1),
        "lam_inf must be > 0.*samples 0 and 2 have parallel gradients",
    ),
    (lambda: bounds.theorem_1(gram_of(MIRRORED, "tanh"), 0.1), "H is singular: samples 0 and 1 have parallel"),
    (lambda: bounds.theorem_1(gram_of(DOUBLE * [[1.0], [0.0], [0.0]]), 0.1), "H is singular: sample 1 has no gradient"),
    (lambda: bounds.theorem_1(gram_of(unit_inputs(5, 2), "linear"), 0.1), "H is singular: rank 2 for 5 samples"),
    (lambda: bounds.theorem_1(np.zeros((2, 2)), 0.1), "H is singular: sample 0 has no gradient"),
    (lambda: bounds.theorem_1(np.diag([1.0, -1.0]), 0.1), "lam_inf must be > 0: got -1"),
    (lambda: bounds.theorem_1(np.eye(3), 0.1, DOUBLE), "no two inputs may be repeated or parallel: got rows 0 and 2"),
    (
        lambda: bounds.theorem_1(np.eye(3), 0.1, DOUBLE * [[1.0], [1.0], [3.0]]),
        "no two inputs may be repeated or parallel: got rows 0 and 2",
    ),
    (
        lambda: bounds.arora_bound(np.eye(3), np.ones(3), DOUBLE * [[1.0], [0.0], [1.0]]),
        "no input may be zero: got row",
    ),
]

REFUSED = [
    (lambda: bounds.theorem_1(np.eye(3), 0.1, 2 * X), r"inputs must have \|x_i\| = 1"),
    (lambda: bounds.theorem_1(np.eye(3), 0.1, X[:2]), r"`x` must be finite, of shape \(3, d\)"),
    (lambda: bounds.theorem_1(np.eye(3), 0.1, y=[0, 2, 0]), r"labels must have \|y_i\| <= 1 .*got 2"),
    (lambda: bounds.theorem_1(np.eye(3), 1.0), "`eps` must lie below 1"),
    (lambda: bounds.theorem_1(np.eye(3), 0.0), "`eps` must be a finite number > 0"),
    (lambda: bounds.theorem_1(np.ones((2, 3)), 0.1), "a Gram matrix must be square"),
    (lambda: bounds.arora_bound(np.eye(3), [0, 0, 1.5]), r"labels must have \|y_i\| <= 1 .*got 1.5"),
    (lambda: bounds.arora_bound(np.eye(3), [0, 1]), r"`y` must be finite, of shape \(3,\)"),
    (lambda: bounds.arora_rest(10, 0.0, 0.1), "`smallest` must be a finite number > 0"),
    (lambda: bounds.arora_rest(10, 0.1, 1.0), "`delta` must lie between 0 and 1"),
    (lambda: bounds.arora_rest(1, 9.0, 0.9), r"n / \(lam_inf delta\) must be >= 1"),
    (
        lambda: bounds.contraction(3.0, 1.0, 2, 1),
        "the contraction needs 0 < eta lam / n <= 1: got 1.5. Use a step of 2",
    ),
    (lambda: bounds.contraction(3.0, 0.0, 2, 1), "the contraction needs.*H is singular"),
    (lambda: bounds.contraction(1.0, 1.0, 2, -1), "`t` must be iterations >= 0"),
    (lambda: bounds.descent_bound(np.eye(2), [1, 1], 2.1), "the descent lemma needs `step` <= n / lam_max: got 2.1"),
    (lambda: bounds.descent_bound(np.eye(2), [1], 1.0), r"`residual` must be finite, of shape \(2,\)"),
    (lambda: bounds.descent_step(np.eye(2), 0.0), "`curvature` must be a finite number > 0"),
    (lambda: bounds.kernel_iterations(np.eye(2), [1, 1], 0.1, 2.1), "`step` must not exceed n / lam_max: got 2.1"),
    (lambda: bounds.kernel_iterations(np.eye(2), [1, 1], 0.1, 0.0), "`step` must be a finite number > 0"),
    (lambda: bounds.kernel_iterations(np.ones((2, 2)), [1, -1], 0.1), "`eps` must be above the loss .*got 0.1 and 0.5"),
    (lambda: bounds.robbins_monro(2.0, 1.0), "`strong` must not exceed `smooth`"),
    (lambda: bounds.robbins_monro(0.0, 1.0), "`strong` must be a finite number > 0"),
    (lambda: bounds.robbins_monro_bound(-1, 1.0, 1.0, 1.0, 1.0), "`t` must be iterations >= 0"),
    (lambda: bounds.robbins_monro_bound(1, 1.0, -1.0, 1.0, 1.0), "`variance` must be a finite number >= 0"),
    (lambda: bounds.sgd_evaluations(0.0, 1.0, 1.0, 1.0, 1.0), "`eps` must be a finite number > 0"),
    (lambda: bounds.gd_evaluations(0.1, 1.0, 1.0, 1.0, 0), "`n` must be a whole number >= 1"),
    (lambda: bounds.weight_decay(0, 0.5, 2.0), "`T` must be a whole number >= 1"),
    (lambda: bounds.weight_decay(10, 0.4, 2.0), "`r` must be a finite number from 0.5 to 1"),
    (lambda: bounds.averaged_exponent(0.5, 1.0), "`beta` must be a finite number > 1"),
    (lambda: bounds.averaged_step(-0.1), "`lam` must be a finite number >= 0"),
    (lambda: bounds.averaged_bound(0.5, 0.5, 2.0), "`T` must be iterations >= 1"),
    (lambda: bounds.relu_decay(1), "`d` must be a whole number >= 2"),
    (lambda: bounds.theorem_3(1.0), "`eps` must lie between 0 and 1"),
    (lambda: bounds.theorem_3(0.1, 1.0), r"Theorem 3 needs `beta` in \[0, 1\)"),
    (lambda: bounds.theorem_3(0.1, 0.5, "ii"), r"and 0 in setting ii: got beta=0.5"),
    (lambda: bounds.theorem_3(0.1, 0.5, "iii"), '`setting` must be "i" or "ii"'),
    (lambda: bounds.theorem_3(0.1, 0.0, "i", T=50), "`T` may be chosen in setting i only, from eps"),
    (lambda: bounds.theorem_3(0.1, 0.0, "ii", T=500), "`T` may be chosen in setting i only"),
    (lambda: bounds.assumption_1(mf.Network("tanh"), [[1.0]], [1.0, 2.0]), r"`y` must be finite, of shape \(1,\)"),
    (lambda: bounds.assumption_2(mf.Network("tanh"), [[np.inf]], [1.0]), "inputs must be finite"),
]


@pytest.mark.parametrize(("make", "told"), SINGULAR + REFUSED, ids=[told[:40] for _, told in SINGULAR + REFUSED])
def test_bounds__refuse(make, told):
    with pytest.raises(mf.InputError, match=told):
        make()
