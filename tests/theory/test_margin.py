"""The margin (7): closed cases, a support vector machine, its two bounds, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.integrate import quad
from scipy.optimize import linprog, minimize
from support import naive

import particles as mf
from particles.theory.bounds.max_margin import margin


def problem(n, d, M, seed=0):
    """Inputs, labels and a weighted measure with output weights of either sign."""
    random = np.random.default_rng([seed, n, d, M])
    w = random.random(M) + 0.1
    measure = mf.Measure(random.standard_normal((M, d)), random.standard_normal(M), w / w.sum())
    return random.standard_normal((n, d)), random.choice([-1.0, 1.0], n), measure


def reached(name, measure, x, y, v):
    """y_i sum_r w_r s_r sigma'(b_r . x_i) x_i . v_r: (n,)."""
    slopes = naive.SIGMA[name][1](x @ measure.b.T)
    return y * np.einsum("ir,r,ik,rk->i", slopes, measure.w * measure.s, x, v)


def ceiling(name, measure, x, y, p):
    """sum_r w_r |sum_i p_i y_i s_r sigma'(b_r . x_i) x_i|."""
    slopes = naive.SIGMA[name][1](x @ measure.b.T)
    u = np.einsum("i,ir,r,ik->rk", p * y, slopes, measure.s, x)
    return measure.w @ np.linalg.norm(u, axis=1)


NAMES = pytest.mark.parametrize("name", ["relu", "smooth_relu", "tanh", "sin", "quadratic"])
# Many atoms; about as many numbers in v as samples, where most |u_r| are at their tip; fewer.
SIZES = pytest.mark.parametrize(("n", "d", "M"), [(30, 4, 500), (40, 2, 19), (60, 10, 7), (6, 1, 3)])


@NAMES
@SIZES
def test_margin__bounds_are_what_its_field_and_weights_prove(name, n, d, M):
    x, y, measure = problem(n, d, M)
    found = margin(mf.Network(name), measure, x, y)
    assert np.linalg.norm(found.field, axis=1).max() <= 1 + 1e-14
    assert found.weights.min() >= 0 and found.weights.sum() == pytest.approx(1.0, abs=1e-13)
    scale = ceiling(name, measure, x, y, np.full(n, 1 / n))
    assert reached(name, measure, x, y, found.field).min() == pytest.approx(found.lower, abs=1e-12 * scale)
    assert ceiling(name, measure, x, y, found.weights) == pytest.approx(found.upper, abs=1e-12 * scale)


@NAMES
@SIZES
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-7])
def test_margin__is_as_close_as_asked(name, n, d, M, tolerance):
    x, y, measure = problem(n, d, M)
    found = margin(mf.Network(name), measure, x, y, tolerance=tolerance)
    scale = ceiling(name, measure, x, y, np.full(n, 1 / n))  # sin's two-dimensional margin is 1e-7 of it
    if found.how.startswith("(7) fails"):
        assert found.lower == 0.0 and found.upper <= 1e-9 * scale
    else:
        assert found.upper - found.lower <= tolerance * found.upper + 1e-11 * scale


def test_margin__of_one_sample_is_the_mean_slope_times_its_length():
    x = np.array([[0.6, -0.3]])
    found = margin(mf.Network("tanh"), mf.Gaussian(2), x, [-1], tolerance=1e-9)
    size = np.linalg.norm(x)
    mean = quad(lambda z: np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / np.cosh(size * z) ** 2, -12, 12)[0]
    assert found.upper == pytest.approx(mean * size, rel=1e-8)


def test_margin__of_two_orthogonal_samples_is_half_the_mean_length_of_their_slopes():
    """By symmetry p = (1/2, 1/2); both ReLUs are active in a quarter of the plane, one in a half."""
    found = margin(mf.Network("relu"), mf.Gaussian(2), np.eye(2), [1, -1], tolerance=1e-9)
    assert found.weights == pytest.approx([0.5, 0.5], abs=1e-6)
    assert found.upper == pytest.approx((np.sqrt(2) + 2) / 8, rel=1e-8)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_margin__of_the_linear_activation_is_the_support_vector_machine(bias, seed):
    random = np.random.default_rng(seed)
    x, plane = random.standard_normal((25, 3)), random.standard_normal(3)
    y, seen = np.sign(x @ plane), np.concatenate([x, np.ones((25, 1))], axis=1) if bias else x
    found = margin(mf.Network("linear", bias=bias), mf.Gaussian(seen.shape[1]), x, y, tolerance=1e-8)
    rows, begin = y[:, None] * seen, np.append(plane, 0.0)[: seen.shape[1]] / np.linalg.norm(plane)
    # The most t with y_i x_i . w >= t and |w| <= 1.
    svm = minimize(lambda v: -v[-1], np.append(begin, (rows @ begin).min()), method="SLSQP", options={"ftol": 1e-12},
                   constraints=[{"type": "ineq", "fun": lambda v: rows @ v[:-1] - v[-1]},
                                {"type": "ineq", "fun": lambda v: 1 - v[:-1] @ v[:-1]}])  # fmt: skip
    assert svm.success
    assert found.upper == pytest.approx(svm.x[-1], rel=1e-6)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_margin__of_one_input_is_a_linear_program(name):
    """In one dimension |v_r| <= 1 are intervals: maximise gamma over the box by HiGHS."""
    x, _, measure = problem(12, 1, 40)
    y = np.sign(x[:, 0])
    features = y[:, None] * naive.SIGMA[name][1](x @ measure.b.T) * (measure.w * measure.s) * x
    rows = np.concatenate([-features, np.ones((12, 1))], axis=1)
    box = [(-1, 1)] * 40 + [(None, None)]
    truth = linprog(np.append(np.zeros(40), -1.0), rows, np.zeros(12), bounds=box)
    found = margin(mf.Network(name), measure, x, y, tolerance=1e-8)
    assert found.upper == pytest.approx(-truth.fun, rel=1e-7)


@given(seed=st.integers(0, 10**6), name=st.sampled_from(["relu", "tanh", "sin"]))
def test_margin__no_field_is_above_it_and_no_weights_below(seed, name):
    x, y, measure = problem(8, 3, 20)
    found, random = margin(mf.Network(name), measure, x, y), np.random.default_rng(seed)
    v = random.standard_normal((20, 3))
    v /= np.maximum(np.linalg.norm(v, axis=1), 1.0)[:, None]
    near = found.field + 0.05 * v
    near /= np.maximum(np.linalg.norm(near, axis=1), 1.0)[:, None]
    for field in (v, near):
        assert reached(name, measure, x, y, field).min() <= found.upper * (1 + 1e-12)
    p = random.dirichlet(np.ones(8))
    for weights in (p, 0.95 * found.weights + 0.05 * p):
        assert ceiling(name, measure, x, y, weights) >= found.lower * (1 - 1e-12)


@NAMES
def test_margin__does_not_depend_on_the_order_of_samples_and_atoms(name):
    x, y, measure = problem(20, 3, 200)
    random = np.random.default_rng(1)
    i, r = random.permutation(20), random.permutation(200)
    one = margin(mf.Network(name), measure, x, y, tolerance=1e-7)
    other = margin(mf.Network(name), mf.Measure(*(a[r] for a in measure)), x[i], y[i], tolerance=1e-7)
    assert other.upper == pytest.approx(one.upper, rel=3e-7)
    assert other.weights == pytest.approx(one.weights[i], abs=1e-3)


def test_margin__scales_with_the_inputs_of_relu():
    x, y, measure = problem(20, 3, 200)
    one, ten = (margin(mf.Network("relu"), measure, size * x, y, tolerance=1e-8) for size in (1.0, 10.0))
    assert ten.upper == pytest.approx(10 * one.upper, rel=3e-8)


def test_margin__takes_the_signs_of_atoms_into_the_field():
    x, y, measure = problem(10, 3, 50)
    found = margin(mf.Network("tanh"), measure, x, y)
    plain = margin(mf.Network("tanh"), measure._replace(s=np.abs(measure.s)), x, y)
    assert (found.lower, found.upper) == (plain.lower, plain.upper)
    assert (found.field == plain.field * np.sign(measure.s)[:, None]).all()


def test_margin__of_repeated_samples_is_that_of_one_copy():
    x, y, measure = problem(10, 3, 50)
    net, twice = mf.Network("relu"), (np.concatenate([x, x]), np.concatenate([y, y]))
    one, two = margin(net, measure, x, y, tolerance=1e-7), margin(net, measure, *twice, tolerance=1e-7)
    assert two.upper == pytest.approx(one.upper, rel=3e-7)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_margin__is_zero_for_parallel_relu_inputs_of_two_classes(factor):
    x = np.array([[1.0, 0.5], [-0.3, 1.0], [factor, 0.5 * factor]])
    found = margin(mf.Network("relu"), mf.Gaussian(2), x, [1, 1, -1])
    assert found.how.startswith("(7) fails: no field separates")
    assert found.lower == 0.0 and found.upper < 1e-9
    assert (found.field == 0).all()


def test_margin__names_a_sample_without_slopes():
    atoms = mf.Measure(np.array([[1.0, 0.0]]), np.ones(1), np.ones(1))
    found = margin(mf.Network("relu"), atoms, [[1.0, 0.0], [-1.0, 0.0]], [1, 1])
    assert (found.lower, found.upper) == (0.0, 0.0)
    assert found.how.startswith("(7) fails") and "sample 1" in found.how
    assert found.weights.tolist() == [0.0, 1.0]


def test_margin__says_that_it_holds():
    assert margin(mf.Network("relu"), mf.Gaussian(2), np.eye(2), [1, -1]).how.startswith("(7) holds: bounds ")


def test_margin__of_a_law_is_that_of_its_quadrature():
    x, y, _ = problem(10, 2, 1)
    law = mf.Gaussian(2)
    found = margin(mf.Network("tanh"), law, x, y, nodes=100)
    again = margin(mf.Network("tanh"), law.quadrature(100), x, y)
    assert (found.lower, found.upper) == (again.lower, again.upper)
    assert (found.atoms.b == law.quadrature(100).b).all()


def test_margin__of_samples_of_a_law_is_the_laws_within_4_standard_errors():
    """The law's p bounds the sample's margin from above, and its field u / |u| from below: means over atoms."""
    x, y, _ = problem(6, 2, 1)
    net, law, M = mf.Network("tanh"), mf.Gaussian(2), 4000
    limit, cloud = margin(net, law, x, y, tolerance=1e-7), law.sample(M, 3)
    slopes = naive.SIGMA["tanh"][1](x @ cloud.b.T)
    u = np.einsum("i,ir,ik->rk", limit.weights * y, slopes, x)
    sizes = np.linalg.norm(u, axis=1)
    shares = y[:, None] * slopes * (x @ (u / sizes[:, None]).T)
    found = margin(net, cloud, x, y, tolerance=1e-7)
    assert found.lower <= limit.upper + 4 * sizes.std() / M**0.5
    assert found.upper >= limit.lower - 4 * shares.std(axis=1).max() / M**0.5 - 1e-4 * limit.lower


REFUSED = [
    ({"y": [1, 0]}, "labels must be -1 or 1"),
    ({"y": [1, 0.5]}, "labels must be -1 or 1"),
    ({"y": [1]}, "x and y must have one row a sample each"),
    ({"x": [[1.0, 0.0], [0.0, 0.0]]}, r"the margin \(7\) is 0 where an input is zero: got row 1"),
    ({"x": [[1.0, np.nan], [0.0, 1.0]]}, "x must be finite"),
    ({"x": np.empty((0, 2)), "y": []}, "a data set needs at least one sample"),
    ({"start": mf.Gaussian(3)}, "as many dimensions as the inputs, 2 with"),
    ({"start": mf.Gaussian(5)}, "as many dimensions as the inputs, 2 with"),
    ({"net": mf.Network("relu", train=("output",))}, r"the margin \(7\) is that of trained input weights"),
    ({"tolerance": 0.0}, "`tolerance` must be a finite number > 0"),
    ({"nodes": 0}, "`nodes` must be a whole number >= 1"),
]


@pytest.mark.parametrize(("wrong", "told"), REFUSED, ids=range(len(REFUSED)))
def test_margin__refuses(wrong, told):
    good = {"net": mf.Network("relu"), "start": mf.Gaussian(2), "x": np.eye(2), "y": [1, -1]}
    with pytest.raises(mf.InputError, match=told):
        margin(**{**good, **wrong})


def test_margin__of_a_zero_input_with_a_bias_is_no_error():
    assert margin(mf.Network("tanh", bias=True), mf.Gaussian(3), [[0.0, 0.0]], [1]).lower > 0


def test_margin__is_soon_found_at_the_size_of_a_study():
    """200 samples of an XOR in ten dimensions: few steps, for a step costs 2 n^2 M."""
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 10))
    found = margin(mf.Network("relu"), mf.Gaussian(10), x, np.sign(x[:, 0] * x[:, 1]))
    assert found.upper - found.lower <= 1e-4 * found.upper
    assert int(found.how.split(" after ")[1].split()[0]) <= 20


def test_margin__of_a_law_says_how_far_its_quadrature_may_be_off():
    """The bounds prove the margin of the atoms: 16 times as many nodes lie 7e-4 outside bounds 1e-5 apart."""
    random = np.random.default_rng(19)
    x, y, net, law = (
        random.standard_normal((6, 3)),
        np.array([1.0, -1, 1, 1, -1, -1]),
        mf.Network("tanh"),
        mf.Ball(3, 2.0),
    )
    found = margin(net, law, x, y, nodes=200)
    finer = margin(net, law, x, y, nodes=3200)
    assert found.upper < finer.lower or found.lower > finer.upper
    assert abs(finer.lower - found.lower) < found.quadrature < 0.5 * found.upper
    assert margin(net, law.quadrature(100), x, y).quadrature == 0.0


def test_margin__bears_atoms_of_next_to_no_weight():
    """Squares of slopes of 1e-170 underflow: the field was 1e130 there, and the steps ended in a ValueError."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((5, 2)), np.array([-1.0, -1, 1, 1, -1])
    b, w = random.standard_normal((300, 2)), np.full(300, 1.0 / 300)
    light = mf.Measure(np.concatenate([b, b[:50]]), np.ones(350), np.concatenate([w, np.full(50, 1e-170)]))
    found, plain = (
        margin(mf.Network("softplus"), m, x, y, tolerance=1e-5) for m in (light, mf.Measure(b, np.ones(300), w))
    )
    assert (
        found.lower == pytest.approx(plain.lower, rel=2e-5) and (np.linalg.norm(found.field, axis=1) <= 1 + 1e-9).all()
    )
