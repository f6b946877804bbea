"""Eigenpairs of the integral operator against closed forms and 40-digit integrals, and the targets made of them."""

import math

import mpmath
import numpy as np
import pytest
from references import stored
from support import naive
from support.daily import some

import particles as mf
from particles.theory import spectra
from particles.theory.spectra import nystrom_method as samples, source
from particles.theory.spectra.zonal import zonal_kernel

DIGITS = stored("spectrum")
DIMS = (2, 3, 5)
DEGREES = 49


def computed(name, dim, degrees=DEGREES, train=("input",)):
    return spectra.spectrum(zonal_kernel(mf.Network(name, train=train), mf.Gaussian(dim)), dim, degrees)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("both", [False, True], ids=["input", "both"])
@pytest.mark.parametrize("name", ["relu", "erf", "sin"])
def test_spectrum__is_the_integral_in_40_digits(name, both, dim):
    """ReLU to 1e-8 relative at every degree; erf and sin, which decay exponentially, or to 1e-15 of the largest."""
    found = computed(name, dim, train=("input", "output") if both else ("input",))
    truth = DIGITS[f"{name}-{'both' if both else 'input'}-{dim}"]
    away, exists = np.abs(found.values - truth), truth > 1e-30
    if name == "relu":
        assert (away[exists] <= 1e-8 * truth[exists]).all() and (found.values[~exists] == 0.0).all()
    assert (away <= 1e-8 * truth + 1e-15 * truth.max()).all()
    assert (away <= found.error).all()


def test_spectrum__of_relu_on_the_circle_is_its_closed_form():
    """(1/pi) int (pi - u) cos u cos(k u) / (2 pi) du = (k^2 + 1) / (pi (k^2 - 1))^2 for even k, 1/8 for k = 1."""
    k = np.arange(801.0)
    truth = np.where(k % 2 == 0, (k**2 + 1) / (np.pi * np.where(k == 1, 9.0, k**2 - 1)) ** 2, 0.0)
    truth[1] = 1 / 8
    found = computed("relu", 2, 800)
    np.testing.assert_allclose(found.values, truth, rtol=1e-9)
    assert (found.values[3::2] == 0.0).all()


@pytest.mark.parametrize("dim", [2, 3, 5, 8])
def test_spectrum__has_the_trace_of_the_kernel(dim):
    """sum over all harmonics = k(0) = 1/2; ReLU's rest after degree K is of order 1/K."""
    found = computed("relu", dim, 200)
    sums = [float(found.counts[: K + 1] @ found.values[: K + 1]) for K in (100, 200)]
    assert sums[0] < sums[1] < 0.5
    shrink = (100 + dim / 2) / (200 + dim / 2)
    assert (0.5 - sums[1]) / (0.5 - sums[0]) == pytest.approx(shrink, rel=2e-3)


def test_spectrum__takes_a_function_of_the_inner_product():
    by_angle = spectra.spectrum(lambda angle: np.exp(2.0 * np.cos(angle)), 4, 20)
    by_cosine = spectra.spectrum(lambda t: np.exp(2.0 * t), 4, 20, of="cosine")
    np.testing.assert_allclose(by_angle.values, by_cosine.values, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dim", [2, 3, 5, 9])
def test_multiplicity__is_the_binomial_formula(dim):
    """(2k + d - 2) / k C(k + d - 3, k - 1), and together they span the polynomials of that degree on the sphere."""
    counts = computed("sin", dim, 12).counts
    assert counts[0] == 1
    for k in range(1, 13):
        assert counts[k] == (2 * k + dim - 2) * math.comb(k + dim - 3, k - 1) // k
        assert counts[: k + 1].sum() == math.comb(k + dim - 1, dim - 1) + math.comb(k + dim - 2, dim - 1)


def test_listed__repeats_each_eigenvalue_and_falls():
    found = computed("relu", 3, 6)
    assert found.listed(9).tolist() == [*[found.values[1]] * 3, found.values[0], *[found.values[2]] * 5]


def test_fourier__is_orthonormal():
    angle = 2 * np.pi * np.arange(64) / 64
    waves = spectra.fourier(np.stack([np.cos(angle), np.sin(angle)], axis=1), 20)
    assert np.abs(waves.T @ waves / 64 - np.eye(41)).max() < 1e-13


@pytest.mark.parametrize("dim", [3, 5, 6])
def test_zonal_harmonics__are_orthonormal(dim):
    """By Gauss-Gegenbauer quadrature of the law of x.v, exact for these products."""
    from scipy.special import roots_gegenbauer

    t, w = roots_gegenbauer(40, (dim - 2) / 2)
    phi = np.sqrt([spectra.multiplicity(dim, k) for k in range(21)])[:, None] * spectra.legendre(t, 20, dim)
    assert np.abs((phi * w / w.sum()) @ phi.T - np.eye(21)).max() < 1e-11


def test_fourier__are_eigenfunctions():
    """Sigma phi = lam phi at points off the grid, the kernel by its naive mean over directions."""
    found, n = computed("erf", 2, 8), 400
    grid = 2 * np.pi * np.arange(n) / n
    x, new = (np.stack([np.cos(a), np.sin(a)], axis=1) for a in (grid, np.array([0.3, 1.9, 4.0])))
    b, w = np.polynomial.hermite_e.hermegauss(60)
    pairs = np.stack(np.meshgrid(b, b), axis=-1).reshape(-1, 2)
    weight = np.multiply.outer(w, w).ravel() / w.sum() ** 2
    at_x, at_new = (naive.SIGMA["erf"][1](p @ pairs.T) for p in (x, new))
    kernel = (at_new * weight) @ at_x.T * (new @ x.T)
    applied = kernel @ spectra.fourier(x, 8) / n
    assert np.abs(applied - spectra.fourier(new, 8) * found.values[(np.arange(17) + 1) // 2]).max() < 1e-9


@pytest.mark.parametrize("pole", [[0.0, 0.0, 1.0], [1.0, -2.0, 0.5]])
def test_zonal_harmonics__are_eigenfunctions(pole):
    """On S^2 the operator by a product rule over the sphere, for a smooth kernel that is not the paper's."""
    found = spectra.spectrum(lambda t: np.exp(t), 3, 6, of="cosine")
    points, w = mf.Sphere(3).rule(2000)
    new = mf.Sphere(3).sample(5, 0).b
    v = np.array(pole) / np.linalg.norm(pole)
    phi, there = (spectra.legendre(p @ v, 6, 3) for p in (points, new))
    assert np.abs(np.exp(new @ points.T) @ (w * phi).T - (found.values[:, None] * there).T).max() < 1e-12


@pytest.mark.parametrize("name", some(["tanh", "smooth_relu", "gelu", "erf"], "tanh", "erf"))
@pytest.mark.parametrize(
    "law", [mf.Gaussian(3, 0.8), mf.Sphere(3, 1.5), mf.Ball(3), mf.Sphere(5), mf.Ball(2)], ids=repr
)
def test_zonal_kernel__is_the_mean_over_the_law(name, law):
    """Within 4 standard errors of 200000 random directions, both layers trained."""
    kernel = zonal_kernel(mf.Network(name, train=("input", "output")), law)
    sigma, derivative = naive.SIGMA[name]
    b, angle = law.sample(200_000, 3).b, np.array([0.0, 0.4, 1.7, np.pi])
    for a, value in zip(angle, kernel(angle), strict=True):
        u, v = b[:, 0], np.cos(a) * b[:, 0] + np.sin(a) * b[:, 1]
        draws = np.cos(a) * derivative(u) * derivative(v) + sigma(u) * sigma(v)
        assert abs(draws.mean() - value) <= 4 * draws.std() / len(b) ** 0.5 + 1e-12
    assert kernel.error < 1e-9


@pytest.mark.parametrize("train", [("input",), ("output",)], ids="".join)
@pytest.mark.parametrize("name", ["erf", "sin", "relu"])
def test_zonal_kernel__with_a_bias_is_that_of_the_longer_inputs(name, train):
    kernel = zonal_kernel(mf.Network(name, bias=True, train=train), mf.Gaussian(3))
    angle = np.array([0.3, 1.0, 3.0])
    q = 1 + np.cos(angle)
    row = mf.ACTIVATIONS[name]
    two = np.full(3, 2.0)
    expected = q * row.slope_kernel(two, q, two) if train == ("input",) else row.value_kernel(two, q, two)
    assert kernel(angle) == pytest.approx(expected, rel=1e-12)


class Rotated(mf.Law):
    """A user's isotropic law: the standard Gaussian under another name."""

    dim, isotropic = 3, True

    def draw(self, random, count):
        return random.standard_normal((count, 3))

    def from_cube(self, u):
        return mf.Gaussian(3).from_cube(u)

    def rule(self, nodes):
        return mf.Gaussian(3).rule(nodes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["erf", "sin", "relu"])
def test_zonal_kernel__of_a_law_it_does_not_know_is_within_its_stated_error(name):
    net = mf.Network(name, train=("input", "output"))
    found, truth, angle = zonal_kernel(net, Rotated()), zonal_kernel(net, mf.Gaussian(3)), np.linspace(0, np.pi, 40)
    assert np.abs(found(angle) - truth(angle)).max() <= found.error + 1e-13
    assert found.error < 2e-2  # of the scatter of independent rules: ReLU's, 0.015, is far more than its true error


@pytest.mark.parametrize("law", [mf.Sphere(4, 0.7), mf.Ball(4, 0.7)], ids=repr)
def test_zonal_kernel__of_relu_has_one_form_for_every_isotropic_law(law):
    """Its slopes do not see the law, its values only the second moment."""
    angle, second = np.linspace(0, np.pi, 9), 0.49 / (4 if isinstance(law, mf.Sphere) else 6)
    found, plain = (zonal_kernel(mf.Network("relu", train=("output",)), m) for m in (law, mf.Gaussian(4)))
    assert found(angle) == pytest.approx(second * plain(angle), abs=1e-15)
    found, plain = (zonal_kernel(mf.Network("relu"), m) for m in (law, mf.Gaussian(4)))
    assert (found(angle) == plain(angle)).all()


# Where a degree's place i = k^(d-1) (1 + O(1/k)) is close to its power: the circle needs the highest degrees.
REACH = {2: (400, 1600), 3: (40, 200), 5: (40, 200)}


@pytest.mark.parametrize("dim", DIMS)
def test_decay__of_relu_is_the_papers_exponent(dim):
    """beta = 1 + 1 / (d - 1) (after Theorem 2)."""
    fit = spectra.decay(computed("relu", dim, REACH[dim][1]), *REACH[dim])
    assert abs(fit.beta - (1 + 1 / (dim - 1))) < 0.02


def test_decay__of_a_power_law_is_exact():
    fit = spectra.decay(3.0 * np.arange(1.0, 301.0) ** -1.7, 10, 300)
    assert (fit.beta, fit.coefficient, fit.used) == pytest.approx((1.7, 3.0, 291), rel=1e-10)
    # The scatter is the root of 1 - r^2, a few roundings of 1: t beta sqrt(16 eps / 289) = 1.2e-8.
    assert fit.interval == pytest.approx((1.7, 1.7), abs=1.2e-8)


def test_decay__says_how_much_the_line_bends():
    """log lam = -1.5 u - 0.1 u^2 in u = log i has the exponent 1.5 + 0.2 u, of a half's middle."""
    u = np.log(np.arange(1.0, 6.0))
    fit = spectra.decay(np.exp(-1.5 * u - 0.1 * u**2), 1, 5)
    halves = [np.polyfit(v, -1.5 * v - 0.1 * v**2, 1)[0] for v in (u[:3], u[2:])]
    assert fit.bend == pytest.approx(halves[0] - halves[1]) and fit.bend > 0.1


def test_decay__has_an_interval_that_covers():
    """95% of 400 noisy power laws, within 4 standard errors."""
    random, i = np.random.default_rng(0), np.arange(1.0, 26.0)
    hits = 0
    for _ in range(400):
        # sorted values would lose the noise's independence: steep enough that none changes places
        low, high = spectra.decay(i**-1.5 * np.exp(0.004 * random.standard_normal(25)), 1, 25).interval
        hits += low <= 1.5 <= high
    assert abs(hits / 400 - 0.95) <= 4 * (0.95 * 0.05 / 400) ** 0.5


def test_decay__leaves_out_degrees_without_an_eigenvalue():
    found = computed("relu", 3, 60)
    assert spectra.decay(found, 20, 60).used == 21


def test_effective_dimension__is_the_direct_sum():
    found = computed("relu", 3, 30)
    direct = sum(lam / (lam + 1e-4) for lam in found.listed(int(found.counts.sum())))
    value = spectra.effective_dimension(found, 1e-4)
    assert value.total == value.listed == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("weight", [1e-1, 1e-3, 1e-8])
@pytest.mark.parametrize("beta", [1.25, 2.0])
def test_effective_dimension__has_the_tail_of_its_power_law(weight, beta):
    """Against the tail's hypergeometric form in mpmath, and a sum of a million terms where that reaches far enough."""
    law = spectra.Decay(beta, (beta, beta), 0.5, 3, (1.0, 10.0))
    value = spectra.effective_dimension(0.5 * np.arange(1.0, 101.0) ** -beta, weight, law)
    z = weight / 0.5 * 100.5**beta
    tail = 100.5 / ((beta - 1) * z) * mpmath.hyp2f1(1, 1 - 1 / beta, 2 - 1 / beta, -1 / z)
    assert value.tail == pytest.approx(float(tail), rel=1e-8)
    assert value.total == value.listed + value.tail
    if beta == 2.0 and weight > 1e-4:
        lam = 0.5 * np.arange(1.0, 1e6) ** -beta
        assert value.total == pytest.approx((lam / (lam + weight)).sum(), abs=2e-3)


@pytest.mark.slow
def test_effective_dimension__with_its_tail_is_that_of_many_more_degrees():
    few, many = computed("relu", 2, 400), computed("relu", 2, 1600)
    fit = spectra.decay(few, 200, 400)
    truth = spectra.effective_dimension(many, 1e-5, spectra.decay(many, 400, 1600)).total
    value = spectra.effective_dimension(few, 1e-5, fit)
    assert value.listed < 0.97 * truth
    assert value.total == pytest.approx(truth, rel=3e-3)


def circle(n, turn=0.0):
    angle = 2 * np.pi * np.arange(n) / n + turn
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def relu_kernel(x, y):
    t = np.clip(x @ y.T, -1, 1)
    return t * (np.pi - np.arccos(t)) / (2 * np.pi)


def test_nystrom__converges_to_the_circle():
    """Equally spaced samples alias degree k with n - k, n + k, ...: order 2 as the eigenvalues fall."""
    truth = computed("relu", 2, 60).listed(7)
    errors = [np.abs(samples.nystrom(relu_kernel, circle(n), 7).values - truth).max() for n in (32, 64, 128)]
    assert (naive.order(errors) == pytest.approx(2.0, abs=0.1)) and errors[-1] < 1e-3


def test_nystrom__extends_its_eigenvectors():
    """At the samples it gives the vectors back; between them it is the circle's harmonic, up to a turn of the pair."""
    found, new = samples.nystrom(relu_kernel, circle(256), 5), circle(9, 0.1)
    assert np.abs(found.at(circle(256)) - found.vectors).max() < 1e-8
    assert np.abs((found.vectors**2).mean(axis=0) - 1).max() < 1e-12
    pair = found.at(new)[:, :2]  # the two of degree 1
    assert np.abs((pair**2).sum(axis=1) - 2.0).max() < 1e-3
    waves = spectra.fourier(new, 1)[:, 1:]
    turn = np.linalg.lstsq(waves, pair, rcond=None)[0]
    assert np.abs(waves @ turn - pair).max() < 1e-3


def test_nystrom__of_a_gram_matrix_is_that_of_its_kernel():
    x = circle(20)
    by_gram, by_kernel = samples.nystrom(relu_kernel(x, x)), samples.nystrom(relu_kernel, x)
    assert (by_gram.values == by_kernel.values).all()
    assert (by_gram.extend(relu_kernel(circle(3, 0.2), x)) == by_kernel.at(circle(3, 0.2))).all()


def test_nystrom__leaves_out_what_is_zero():
    x = np.random.default_rng(0).standard_normal((30, 2))
    assert len(samples.nystrom(x @ x.T).values) == 2


def means(target, dim, degrees, pole):
    """E[g phi_k] over the sphere of the zonal harmonics, by Gauss-Gegenbauer quadrature along the pole."""
    t, w = along_pole(dim)
    side = np.linalg.svd(pole[None, :])[2][1]
    x = np.multiply.outer(t, pole) + np.multiply.outer(np.sqrt(1 - t**2), side)
    norm = np.sqrt([spectra.multiplicity(dim, k) for k in range(degrees + 1)])
    return norm * (spectra.legendre(t, degrees, dim) @ (w * target(x)))


def along_pole(dim):
    from scipy.special import roots_chebyt, roots_gegenbauer

    t, w = roots_chebyt(200) if dim == 2 else roots_gegenbauer(200, (dim - 2) / 2)
    return t, w / w.sum()


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("r", [0.5, 0.8, 1.0])
def test_source_target__is_sigma_to_the_r_of_h(dim, r):
    found, pole = computed("relu", dim, 12), np.ones(dim) / dim**0.5
    h = np.where(found.values > 0, np.linspace(1.0, -0.4, 13), 0.0)
    target = source.source_target(found, r, h, radius=2.0, pole=3 * pole)
    expected = found.values**r * h * 2.0 / np.linalg.norm(h)
    assert means(target, dim, 12, pole) == pytest.approx(expected, abs=1e-12)
    assert target.coefficients == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dim", DIMS)
def test_source_norm__is_the_radius_of_the_ball(dim):
    found = computed("relu", dim, 40)
    target = source.source_target(found, 0.7, radius=3.0)
    assert source.source_norm(found, target.coefficients, 0.7) == pytest.approx(3.0, rel=1e-12)
    assert target.source_norm == 3.0
    assert source.source_norm(found, target.coefficients, 0.0) == pytest.approx(np.linalg.norm(target.coefficients))


def test_source_norm__is_infinite_where_sigma_is_zero():
    assert source.source_norm(computed("relu", 3, 5), [0, 0, 0, 1.0], 0.5) == math.inf
    assert source.source_norm(computed("relu", 3, 5), [0, 0, 0, 0.0], 0.5) == 0.0


def test_source_norm__adds_the_functions_of_a_degree():
    found = computed("relu", 2, 2)
    expected = math.sqrt(1.0 / found.values[1] * (3.0**2 + 4.0**2))
    assert source.source_norm(found, [[0, 0], [3.0, 4.0]], 0.5) == pytest.approx(expected)


def test_source_target__satisfies_its_condition_and_no_stronger_one():
    """By default |Sigma^-r g| is the radius; |Sigma^-(r + 0.2) g| grows with the degrees, and ever faster."""
    grown = []
    for degrees in (50, 200, 800):
        found = computed("relu", 2, degrees)
        grown.append(source.source_norm(found, source.source_target(found, 0.5).coefficients, 0.7))
    assert 1.1 < grown[1] / grown[0] < grown[2] / grown[1]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("alternate", [1.0, -1.0])
def test_source_target__is_bounded_by_1_on_request(dim, alternate):
    found = computed("relu", dim, 60)
    h = np.where(found.values > 0, alternate ** (np.arange(61) // 2), 0.0)
    target = source.source_target(found, 0.5, h, radius=50.0, bounded=True)
    angle = np.linspace(0, np.pi, 20001)
    x = np.zeros((20001, dim))
    x[:, 0], x[:, 1] = np.cos(angle), np.sin(angle)
    assert 0.995 < np.abs(target(x)).max() <= 1.0
    assert source.source_norm(found, target.coefficients, 0.5) == pytest.approx(target.source_norm, rel=1e-12)


def test_source_target__that_is_bounded_stays_as_it_is():
    found = computed("relu", 3, 8)
    plain, bounded = (source.source_target(found, 0.5, radius=0.01, bounded=b) for b in (False, True))
    assert (plain.coefficients == bounded.coefficients).all()


def test_target__is_one_for_a_stream():
    target = source.source_target(computed("relu", 3, 10), 0.5, bounded=True)
    drawn = mf.Stream(mf.Sphere(3), target, seed=1).rows(0, 4000)
    square = drawn.y**2
    assert abs(square.mean() - (target.coefficients**2).sum()) <= 4 * square.std() / 4000**0.5


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("r", [0.5, 0.75, 1.0])
def test_hardest_target__has_the_largest_bias_in_the_ball(dim, r):
    """Its bias |lam (Sigma + lam)^-1 g| is that of no random target of the ball exceeded, and of one eigenfunction."""
    found, weight, random = computed("relu", dim, 100), 1e-4, np.random.default_rng(0)
    left = weight / (weight + found.values)
    hard = source.hardest_target(found, weight, r, radius=2.0)
    bias = np.linalg.norm(left * hard.coefficients)
    assert np.count_nonzero(hard.coefficients) == 1
    assert source.source_norm(found, hard.coefficients, r) == pytest.approx(2.0)
    for _ in range(50):
        h = np.where(found.values > 0, random.standard_normal(101) * random.random(101) ** 8, 0.0)
        other = source.source_target(found, r, h, radius=2.0)
        assert np.linalg.norm(left * other.coefficients) <= bias * (1 + 1e-12)
    for degree in np.flatnonzero(found.values):
        other = source.source_target(found, r, np.eye(101)[degree], radius=2.0)
        assert np.linalg.norm(left * other.coefficients) <= bias * (1 + 1e-12)


def test_hardest_target__takes_a_filter():
    """Gradient flow for a time t leaves e^(-lam t), whose worst eigenvalue is near r / t."""
    found, t, r = computed("relu", 2, 400), 3e4, 0.5
    hard = source.hardest_target(found, 1.0, r, residual=lambda lam: np.exp(-lam * t))
    lam = found.values[np.flatnonzero(hard.coefficients)[0]]
    assert lam == pytest.approx(r / t, rel=0.05)


CIRCLE = spectra.Spectrum(2, np.array([0.5, 0.25, 0.0]), np.array([1.0, 2.0, 2.0]), np.full(3, 1e-17))
REFUSED = [
    (lambda: spectra.spectrum(np.cos, 1, 3), "`dim` must be a whole number >= 2: got 1. The circle is dim=2."),
    (lambda: spectra.spectrum(np.cos, 3, -1), "`degrees` must be a whole number >= 0"),
    (lambda: spectra.spectrum(np.cos, 3, 2, of="t"), '`of` must be "angle" or "cosine": got \'t\''),
    (lambda: spectra.spectrum(lambda t: -np.cos(t), 3, 2), "a kernel must have no eigenvalue below 0: got -0.333"),
    (lambda: spectra.spectrum(lambda t: t * np.nan, 3, 2), "`kernel` must map (n,) to finite (n,)"),
    (lambda: spectra.spectrum(lambda t: 1.0, 3, 2), "`kernel` must map (n,) to finite (n,)"),
    (lambda: spectra.fourier(np.ones((2, 3)), 1), "points of the circle must have shape (n, 2): got (2, 3)"),
    (lambda: CIRCLE.listed(6), "`count` must be a whole number from 1 to 5"),
    (lambda: spectra.decay(CIRCLE, 0, 2), "a power law needs 3 eigenvalues above their error: got 2 from 0 to 2"),
    (lambda: spectra.decay([1.0, 0.5], 0, 9), "`first` must be a whole number >= 1"),
    (lambda: spectra.effective_dimension(CIRCLE, 0.0), "`weight` must be a finite number > 0"),
    (lambda: spectra.effective_dimension([-1.0], 1.0), "eigenvalues must be finite and >= 0: got -1"),
    (
        lambda: spectra.effective_dimension(CIRCLE, 1.0, spectra.Decay(0.9, (0.9, 0.9), 1.0, 3, (1, 3))),
        "a tail is finite only for beta > 1: got 0.9",
    ),
    (lambda: zonal_kernel(mf.Network("erf"), mf.Uniform(3)), "a zonal kernel needs an isotropic law on two inputs"),
    (lambda: zonal_kernel(mf.Network("erf"), mf.Gaussian(3, mean=0.1)), "a zonal kernel needs an isotropic law"),
    (lambda: zonal_kernel(mf.Network("erf", bias=True), mf.Gaussian(2)), "a zonal kernel needs an isotropic law"),
    (lambda: samples.nystrom(relu_kernel), "a kernel function needs samples `x`"),
    (lambda: samples.nystrom(np.ones((2, 3))), "a Gram matrix must be square"),
    (lambda: samples.nystrom(np.eye(3), count=4), "`count` must be a whole number from 1 to 3"),
    (lambda: samples.nystrom(np.eye(3)).at(np.ones((1, 2))), "new points need the kernel"),
    (lambda: samples.nystrom(np.eye(3)).extend(np.ones((1, 2))), "`cross` must have shape (m, 3): got (1, 2)"),
    (lambda: source.source_target(CIRCLE, -0.5), "`r` must be a finite number >= 0"),
    (lambda: source.source_target(CIRCLE, 0.5, [0, 0, 1.0]), "`h` must be 0 where the eigenvalue is: got degree 2"),
    (lambda: source.source_target(CIRCLE, 0.5, [0.0]), "`h` must be finite, not all 0, of at most 3 degrees"),
    (lambda: source.source_target(CIRCLE, 0.5, np.ones(4)), "`h` must be finite, not all 0, of at most 3 degrees"),
    (lambda: source.source_target(CIRCLE, 0.5, pole=[0.0, 0.0]), "`pole` must be a vector of 2 numbers, not 0"),
    (lambda: source.source_target(CIRCLE, 0.5)(np.ones((4, 3))), "points must have shape (k, 2): got (4, 3)"),
    (lambda: source.source_norm(CIRCLE, np.ones(4), 0.5), "`coefficients` must be finite, at most 3 degrees"),
    (lambda: source.hardest_target(CIRCLE, 1.0, 0.5, lambda lam: lam[:1]), "`residual` must map (k,) to finite (k,)"),
]


@pytest.mark.parametrize(("make", "told"), REFUSED, ids=range(len(REFUSED)))
def test_spectrum__refuses(make, told):
    with pytest.raises(mf.InputError) as caught:
        make()
    assert told in str(caught.value)


@pytest.mark.parametrize("width", [0.4, 1.1, 2.3])
def test_spectrum__of_a_kernel_with_a_corner_is_as_exact_as_it_says(width):
    found = spectra.spectrum(lambda angle: np.maximum(1.0 - angle / width, 0.0), dim=2, degrees=60)
    k = np.arange(1, 61)
    truth = np.concatenate([[width / (2 * np.pi)], (1 - np.cos(k * width)) / (np.pi * width * k**2)])
    assert (np.abs(found.values - truth) <= found.error).all()
    assert found.error.max() < 1e-7
