"""The limiting tangent kernel against mpmath, against sums written out, and as the limit of finite networks."""

import itertools

import mpmath
import numpy as np
import pytest
from references import limit as digits, stored
from references.limit import products
from scipy import special, stats
from support import naive
from support.daily import some

import particles as mf
from particles.model.activations import ACTIVATIONS
from particles.theory import tangent
from particles.theory.tangent import isotropic
from particles.theory.tangent.limit_kernel import limit, limit_gram

EACH = pytest.mark.parametrize("name", sorted(ACTIVATIONS))
SOME = pytest.mark.parametrize("name", some(sorted(ACTIVATIONS), "relu", "tanh"))
SMOOTH = pytest.mark.parametrize("name", sorted({*ACTIVATIONS} - {"relu"}))
LAYERS = pytest.mark.parametrize("layer", ["input", "output"])
DIGITS = stored("limit")


def inputs(n, d, seed=0):
    """Random directions, lengths from 0.3 to 1.7."""
    random = np.random.default_rng([seed, n, d])
    x = random.standard_normal((n, d))
    return x * (random.uniform(0.3, 1.7, n) / np.linalg.norm(x, axis=1))[:, None]


PAIRS = dict(zip(digits.PAIRS, DIGITS["inputs"], strict=True))
EACH_PAIR = pytest.mark.parametrize("pair", PAIRS)


def formula(name, layer, b, w, rows, columns=None):
    """The kernel of weighted atoms, written out."""
    columns = rows if columns is None else columns
    sigma, derivative = naive.SIGMA[name]
    f = derivative if layer == "input" else sigma
    kernel = (f(rows @ b.T) * w) @ f(columns @ b.T).T
    return kernel * (rows @ columns.T) if layer == "input" else kernel


def gauss_formula(name, layer, x):
    """Two inputs under N(0, I) by the trapezoidal rule in the plane of the two, in which no angle is too small."""
    step = 0.01 if name == "smooth_relu" else 0.05
    z = step * np.arange(-np.ceil(9.5 / step), np.ceil(9.5 / step) + 1)
    w = np.exp(-z * z / 2) * step / np.sqrt(2 * np.pi)
    with mpmath.workdps(60):
        q11, q12, q22 = products(x)
        along, across = q12 / mpmath.sqrt(q11), mpmath.sqrt(max(q22 - q12**2 / q11, mpmath.mpf(0)))
        first, along, across = (float(v) for v in (mpmath.sqrt(q11), along, across))
    f = naive.SIGMA[name][layer == "input"]
    found = (w * f(first * z)) @ (f(along * z[:, None] + across * z) @ w)
    return found * (float(q12) if layer == "input" else 1.0)


def entry(name, layer, x):
    return limit_gram(mf.Network(name, train=layer), mf.Gaussian(x.shape[1]), x)[0, 1]


@SMOOTH
@LAYERS
def test_limit__has_ten_digits_of_mpmath(name, layer):
    assert entry(name, layer, PAIRS["long"]) == pytest.approx(DIGITS[f"smooth-{name}-{layer}"].item(), rel=1e-12)


@SMOOTH
@pytest.mark.slow
def test_mpmath__has_converged(name):
    """The oracle of the test above, at another step and for another pair."""
    with mpmath.workdps(34):
        coarse, fine = (digits.plane("unlike", digits.SIGMA[name][0], step) for step in (0.06, 0.045))
        assert abs(coarse / fine - 1) < 1e-24
    assert entry(name, "output", PAIRS["unlike"]) == pytest.approx(float(fine), rel=1e-12)


@EACH_PAIR
@LAYERS
def test_limit_of_relu__has_ten_digits_of_mpmath(pair, layer):
    truth = DIGITS[f"relu-{layer}"][list(PAIRS).index(pair)]
    assert entry("relu", layer, PAIRS[pair]) == pytest.approx(truth, rel=1e-11, abs=0)


@SMOOTH
@LAYERS
def test_limit__has_ten_digits_near_and_far(name, layer):
    pairs = [pair for pair in PAIRS if name != "smooth_relu" or pair in ("equal", "near 0.02", "opposite but 0.001")]
    found = [entry(name, layer, PAIRS[pair]) for pair in pairs]
    assert found == pytest.approx([gauss_formula(name, layer, PAIRS[pair]) for pair in pairs], rel=1e-11, abs=0)


@LAYERS
@pytest.mark.slow
def test_limit_of_smooth_relu__has_ten_digits_near_and_far(layer):
    found = [entry("smooth_relu", layer, x) for x in PAIRS.values()]
    expected = [gauss_formula("smooth_relu", layer, x) for x in PAIRS.values()]
    assert found == pytest.approx(expected, rel=1e-11, abs=0)


def shadow(dim, radius, x, nodes=400):
    """Atoms for the sphere in R^dim, dim >= 3, on the plane of two inputs: one Gauss-Jacobi rule inside another."""
    (t, v), (s, u) = (special.roots_jacobi(nodes, power, power) for power in ((dim - 3) / 2, (dim - 4) / 2))
    across = np.sqrt(1 - t * t)[:, None] * s
    axes = np.linalg.qr(x.T)[0]
    b = np.stack([np.broadcast_to(t[:, None], across.shape).ravel(), across.ravel()], axis=1)
    w = np.multiply.outer(v / v.sum(), u / u.sum()).ravel()
    return radius * b[:, : axes.shape[1]] @ axes.T, w


@LAYERS
@pytest.mark.parametrize("name", some(["tanh", "gelu", "smooth_relu", "quadratic"], "tanh", "smooth_relu"))
@pytest.mark.parametrize(
    "law", [mf.Sphere(3, 1.2), mf.Sphere(8), mf.Ball(1, 0.9), mf.Ball(2), mf.Ball(7, 1.2)], ids=repr
)
def test_limit__of_spheres_and_balls_has_ten_digits(name, layer, law):
    x = inputs(2, law.dim)
    dim = law.dim + 2 * isinstance(law, mf.Ball)
    found = limit(mf.Network(name, train=layer), law, x, tolerance=1e-10)
    nodes = 900 if name == "smooth_relu" else 300  # its corner is 0.1 wide, over radii to 3.4
    truth = formula(name, layer, *shadow(dim, law.radius, x, nodes), x)
    assert found.gram == pytest.approx(truth, rel=1e-11)
    oracle = 2e-12 * np.abs(truth).max()  # scipy's Gauss-Jacobi weights are that far off
    assert np.abs(found.gram - truth).max() <= found.error + oracle


@SOME
@LAYERS
def test_limit__on_the_circle_is_the_mean_over_its_angles(name, layer):
    angle = 2 * np.pi * (np.arange(4000) + 0.5) / 4000
    b, x = 1.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1), inputs(4, 2)
    found = limit_gram(mf.Network(name, train=layer), mf.Sphere(2, 1.5), x)
    truth = formula(name, layer, b, np.full(4000, 1 / 4000), x)
    corner = 2e-3 * np.abs(truth).max() if name == "relu" else 0.0  # which atoms see to one in 4000
    assert found == pytest.approx(truth, rel=1e-11, abs=corner)


@SOME
@LAYERS
@pytest.mark.parametrize(
    "law", [mf.Atoms([[0.3, -1.0, 2.0], [1.0, 0.5, 0.1]], [1.0, 3.0]), mf.Sphere(1, 1.3)], ids=["atoms", "sphere"]
)
def test_limit__of_atoms_is_their_sum(name, layer, law):
    x, y = inputs(5, law.dim), inputs(3, law.dim, seed=1)
    b, w = law.rule(2)
    for other in (None, y):
        found = limit(mf.Network(name, train=layer), law, x, other, tolerance=1e-12)
        assert found.gram == pytest.approx(formula(name, layer, b, w, x, other), rel=1e-12, abs=1e-14)
        sphere = name == "relu" and isinstance(law, mf.Sphere)
        assert found.how == ("closed form" if sphere else "the sum over atoms")


@LAYERS
@pytest.mark.parametrize("name", ["linear", "quadratic"])
@pytest.mark.parametrize("law", [mf.Uniform(2, -0.5, 2.0), mf.Gaussian(2, 0.7, mean=0.4)], ids=repr)
def test_limit__of_powers_is_a_closed_form(name, layer, law):
    """A Gauss rule of 8 x 8 points has these moments exactly."""
    x, y = inputs(5, 2), inputs(3, 2, seed=1)
    b, w = law.rule(64)
    for other in (None, y):
        found = limit(mf.Network(name, train=layer), law, x, other)
        assert found.gram == pytest.approx(formula(name, layer, b, w, x, other), rel=1e-12, abs=1e-13)
        assert found.how == "closed form"


@LAYERS
@pytest.mark.parametrize("law", [mf.Uniform(2, -1.0, 2.0), mf.Gaussian(3, 0.7, mean=0.4)], ids=repr)
def test_limit__of_a_smooth_kernel_is_exact_in_few_dimensions(layer, law):
    """Against a rule with many more nodes on an axis."""
    x = inputs(4, law.dim)
    found = limit(mf.Network("softplus", train=layer), law, x, tolerance=1e-9)
    b, w = law.rule(100**law.dim // (1 if law.dim == 2 else 2))
    truth = formula("softplus", layer, b, w, x)
    assert np.abs(found.gram - truth).max() <= found.error + 2e-12 * np.abs(truth).max()  # scipy's Gauss weights
    assert found.error <= 1e-9


def means(net, law, x, seeds, M):
    """The mean of finite Gram matrices over the seeds, and its standard error."""
    found = np.stack([tangent.gram(net, law.sample(M, seed), x) for seed in range(seeds)])
    return found.mean(axis=0), found.std(axis=0, ddof=1) / seeds**0.5


LAWS = [
    mf.Gaussian(4, 0.8),
    mf.Gaussian(4, 0.8, mean=0.3),
    mf.Sphere(4, 1.5),
    mf.Ball(4, 1.5),
    mf.Uniform(4, -1.0, 2.0),
    mf.Atoms(inputs(7, 4, seed=3)),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("bias", some([False, True], True))
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_limit__is_the_mean_of_finite_networks(law, bias, name):
    net, x = mf.Network(name, bias=bias, train=("input", "output")), inputs(4, 3 if bias else 4)
    found = limit(net, law, x)
    mean, spread = means(net, law, x, seeds=60, M=512)
    assert (np.abs(found.gram - mean) <= 4 * spread + found.error).all()


@pytest.mark.parametrize("law", [mf.Gaussian(5), mf.Sphere(5, 2.0)], ids=repr)
def test_gram_of_relu__has_the_variance_of_counting(law):
    """u^2 p (1 - p) / M, u = x.x', p the share of b that is active on both; chi-square bounds of 400 seeds."""
    M, seeds, x = 64, 400, inputs(4, 5)
    net = mf.Network("relu")
    found = np.stack([tangent.gram(net, law.sample(M, seed), x) for seed in range(seeds)])
    u = x @ x.T
    p = limit_gram(net, law, x) / u
    ratio = found.var(axis=0, ddof=1) * (seeds - 1) / (u**2 * p * (1 - p) / M)
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], seeds - 1)
    assert ((low < ratio) & (ratio < high)).all()


@EACH
def test_limit__of_both_layers_is_the_sum(name):
    law, x = mf.Gaussian(3), inputs(6, 3)
    both, one, two = (limit_gram(mf.Network(name, train=t), law, x) for t in (("input", "output"), "input", "output"))
    assert both == pytest.approx(one + two, rel=1e-13, abs=1e-15)


@EACH
def test_limit__has_the_bias_as_an_input(name):
    law, x = mf.Gaussian(4), inputs(6, 3)
    found = limit_gram(mf.Network(name, bias=True), law, x)
    assert (found == limit_gram(mf.Network(name), law, np.concatenate([x, np.ones((6, 1))], axis=1))).all()


@EACH
def test_limit__of_a_wider_gaussian_sees_longer_inputs(name):
    """E f(b.x) f(b.x') of N(0, 2^2) is that of N(0, 1) at twice the inputs; x.x' is then four times as large."""
    x = inputs(6, 3)
    wide, narrow = (
        limit_gram(mf.Network(name), law, y) for law, y in ((mf.Gaussian(3, 2.0), x), (mf.Gaussian(3), 2 * x))
    )
    assert 4 * wide == pytest.approx(narrow, rel=1e-11, abs=1e-12)


@SOME
@pytest.mark.parametrize("law", [mf.Gaussian(3), mf.Uniform(3)], ids=repr)
def test_limit__is_symmetric_to_the_bit_and_a_block_of_a_larger_one(name, law):
    net, x = mf.Network(name, train=("input", "output")), inputs(9, 3)
    square, block, one = limit(net, law, x), limit(net, law, x[:4], x[4:]), limit(net, law, x[:1])
    assert (square.gram == square.gram.T).all()
    assert np.abs(block.gram - square.gram[:4, 4:]).max() <= square.error + block.error
    assert np.abs(one.gram - square.gram[0, 0]).max() <= square.error + one.error
    assert one.gram.shape == (1, 1)


@pytest.mark.parametrize("name", some(["relu", "erf", "tanh"], "relu", "erf"))
@pytest.mark.parametrize("n", some([257, 520], 257))
def test_limit__of_many_inputs_is_that_of_each_pair(name, n):
    """Bands of rows, and for tanh interpolated lengths, a zero among them."""
    net, law, x = mf.Network(name, train=("input", "output")), mf.Gaussian(4), inputs(n, 4)
    x[17] = 0.0
    x[200] *= 1e-5
    found = limit(net, law, x)
    assert (found.gram == found.gram.T).all()
    for i, j in itertools.product((0, 17, 100, 200, 256, n - 1), repeat=2):
        alone = limit_gram(net, law, x[[i]], x[[j]])[0, 0]
        assert abs(found.gram[i, j] - alone) <= max(1e-11 * abs(alone), 1e-15)


@EACH
def test_limit__of_a_zero_input_is_the_value_at_zero(name):
    """x.x' = 0, so that only E sigma(b.x) sigma(0) stays."""
    x = np.concatenate([inputs(3, 3), np.zeros((1, 3))])
    assert (limit_gram(mf.Network(name), mf.Gaussian(3), x)[3] == 0.0).all()
    last = limit_gram(mf.Network(name, train="output"), mf.Gaussian(3), x)[3, 3]
    assert last == pytest.approx(naive.SIGMA[name][0](0.0) ** 2, abs=1e-15)


def test_limit_of_relu__has_half_the_square_on_its_diagonal():
    x = inputs(300, 40)
    found = np.diag(limit_gram(mf.Network("relu"), mf.Gaussian(40), x))
    assert found == pytest.approx((x**2).sum(axis=1) / 2, rel=1e-15)


def test_limit__takes_repeated_and_scaled_inputs_as_parallel():
    x = inputs(20, 6)
    found = limit_gram(mf.Network("relu"), mf.Gaussian(6), x, np.concatenate([x, 3 * x, -x]))
    rows = np.arange(20)
    assert found[rows, rows] == pytest.approx((x**2).sum(axis=1) / 2, rel=1e-14)
    assert found[rows, rows + 20] == pytest.approx(3 * (x**2).sum(axis=1) / 2, rel=1e-14)
    assert np.abs(found[rows, rows + 40]).max() < 1e-15


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_limit__is_positive_definite(name):
    values = np.linalg.eigvalsh(limit_gram(mf.Network(name), mf.Gaussian(8), inputs(30, 8)))
    assert values[0] > 1e-3 * values[-1]


def test_series__is_as_exact_as_it_says():
    """smooth ReLU, by lengths that were interpolated and by lengths that were not."""
    x = inputs(40, 3)
    lengths = np.linalg.norm(x, axis=1)
    net, law = mf.Network("smooth_relu"), mf.Gaussian(3)
    some = isotropic.series(net, law, lengths, True)
    assert some.between
    assert some.error < 1e-12
    few = isotropic.series(net, law, lengths[:3], True)
    cosines = np.array([[1.0, 0.3, -0.7], [0.3, 1.0, 0.99], [-0.7, 0.99, 1.0]])
    found, expected = (isotropic.summed(s, cosines, *2 * [s.heights(lengths[:3])]) for s in (some, few))
    assert not few.between
    assert found == pytest.approx(expected, rel=1e-12)


NET, LAW, X = mf.Network("relu"), mf.Gaussian(3), np.ones((2, 3))
REFUSALS = {
    "a measure": (lambda: limit(NET, LAW.sample(4, 0), X), r"`law` must be an initial law.*got Measure.*tangent.gram"),
    "dimension": (lambda: limit(NET, mf.Gaussian(4), X), r"as the inputs, 3 with a bias counted in: got dim=4"),
    "bias": (lambda: limit(mf.Network("relu", bias=True), LAW, X), r"as the inputs, 4 with a bias.*got dim=3"),
    "other": (lambda: limit(NET, LAW, X, np.ones((2, 5))), r"`other` must have as many columns as `x`, 3.*: got 5"),
    "nan": (
        lambda: limit(NET, LAW, [[1.0, 2.0, np.nan]]),
        r"inputs must be finite: got NaN or inf in 1 rows, the first is row 0, column 2",
    ),
    "tolerance": (lambda: limit(NET, LAW, X, tolerance=0.0), r"`tolerance` must be a finite number > 0: got 0.0"),
    "reach": (
        lambda: limit(NET, mf.Uniform(3), X[:1] * [1, 2, 3], tolerance=1e-12),
        r"`tolerance` 1e-12 is out of reach here: got .* nodes\. Ask for tolerance=",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_limit__refuses(case):
    call, message = REFUSALS[case]
    with pytest.raises(mf.InputError, match=message):
        call()
