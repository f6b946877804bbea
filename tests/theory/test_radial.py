"""The reduction to radii, against integrals and equations of the tests' own, and against full clouds."""

import itertools

import numpy as np
import pytest
from scipy import integrate, special, stats
from support.daily import some

import particles as mf
from particles.analysis.mean_field import mean_field
from particles.kernels.compile import inline
from particles.kernels.lanes import at_most, clamp
from particles.model.activations import ACTIVATIONS, Activation
from particles.theory.radial import IsotropicData, Shell, TwoGaussians, isotropic_data, reduction, two_gaussians
from particles.theory.radial.profile import Profile
from particles.theory.radial.radius import radius_of
from particles.theory.radial.reduction import radial_flow

INF = np.inf


def radii(*values, weights=None, signs=None):
    """A measure of radii."""
    b = np.array(values)[:, None]
    ones = np.ones(len(b))
    return mf.Measure(b, ones if signs is None else np.array(signs), ones / len(b) if weights is None else weights)


def flow(name, start, data, times, **options):
    return radial_flow(mf.Network(name), start, data, times, **options)


# q and q' of `profile`


def profile(name, d, s):
    made = Profile(ACTIVATIONS[name], d)
    return *made(np.asarray(s, dtype=float)), made


S = np.concatenate([np.linspace(0.0, 3.0, 40), [7.3, 19.9]])
CLOSED = {
    ("cos", 1): np.cos,
    ("cos", 2): lambda s: special.j0(np.sqrt(2) * s),
    ("cos", 3): lambda s: np.sinc(np.sqrt(3) * s / np.pi),
    ("cos", 40): lambda s: special.hyp0f1(20.0, -10.0 * s * s),
    ("cos", INF): lambda s: np.exp(-s * s / 2),
    **{("quadratic", d): np.square for d in (1, 2, 3, 40, 1000, INF)},
    ("relu", 1): lambda s: s / 2,
    ("relu", 3): lambda s: np.sqrt(3) * s / 4,
    ("relu", INF): lambda s: s / np.sqrt(2 * np.pi),
    ("erf", 5): np.zeros_like,
    ("softplus", 1): lambda s: (np.logaddexp(0, s) + np.logaddexp(0, -s)) / 2,
}


@pytest.mark.parametrize("case", CLOSED)
def test_profile__is_its_closed_form(case):
    s = S if case != ("cos", 40) else S[:40]  # scipy's 0F1 cancels beyond
    q, _, made = profile(*case, s)
    truth = CLOSED[case](s)
    size = max(1.0, np.abs(truth).max())
    assert np.abs(q - truth).max() <= 1e-11 * size
    assert made.error <= 1e-11 * size


@pytest.mark.parametrize(("name", "d"), [("softplus", 2), ("gelu", 7), ("smooth_relu", 7), ("softplus", INF)])
def test_profile__is_the_mean_over_directions(name, d):
    """By scipy's adaptive quadrature over the angle, or over a normal."""
    s = np.array([0.05, 0.6, 2.5, 8.0])
    q, slope, made = profile(name, d, s)
    row = ACTIVATIONS[name]
    if np.isinf(d):
        place, density, end = (lambda t: t), stats.norm.pdf, 12.0
    else:
        place, density, end = (lambda t: np.sqrt(d) * np.sin(t)), (lambda t: np.cos(t) ** (d - 2)), np.pi / 2

    def mean(f):
        edges = [-end, *np.linspace(-0.3, 0.3, 7), end]

        def total(g):
            pieces = itertools.pairwise(edges)
            return sum(
                integrate.quad(lambda t: g(place(t)) * density(t), *ab, epsabs=0, epsrel=1e-12)[0] for ab in pieces
            )

        return total(f) / total(np.ones_like)

    assert q == pytest.approx([mean(lambda u, c=c: row.sigma(np.float64(c * u))) for c in s], abs=1e-10)
    assert slope == pytest.approx([mean(lambda u, c=c: u * row.derivative(np.float64(c * u))) for c in s], abs=1e-10)
    assert made.error < 1e-10


def test_profile__is_even_and_grows_as_it_is_asked():
    made = Profile(ACTIVATIONS["cos"], INF)
    made(np.array([0.3]))
    s = np.array([[5.0, -5.0], [0.4, -0.4]])
    q, slope = made(s)
    assert (q[:, 0] == q[:, 1]).all()
    assert (slope[:, 0] == -slope[:, 1]).all()
    assert slope == pytest.approx(-s * np.exp(-s * s / 2), abs=1e-11)
    with pytest.raises(mf.DivergedError, match="the flow is lost"):
        made(np.array([np.inf]))


# The laws of radii and of data


@pytest.mark.parametrize("d", [1, 2, 5, 40, 3000])
@pytest.mark.parametrize("ball", [False, True])
def test_radius__has_the_moments_of_its_law(d, ball):
    law = mf.Ball(d, 1.5) if ball else mf.Gaussian(d, 1.5)
    made = radius_of(law)
    for p in (1, 2, 4):
        chi = 2 ** (p / 2) * np.exp(special.gammaln((d + p) / 2) - special.gammaln(d / 2))
        truth = 1.5**p * (d / (d + p) if ball else chi)
        for r, w in (made.rule(made.even(64)), made.smooth_rule(40)):
            assert w @ r**p == pytest.approx(truth, rel=1e-9)


def test_two_gaussians__has_the_lengths_of_its_classes():
    law, N = TwoGaussians(6, 0.4), 20_000
    x = law.draw(np.random.default_rng(0), N)
    squares = np.sum(x * x, axis=1) / 6
    assert abs(squares.mean() - (1.4**2 + 0.6**2) / 2) < 4 * squares.std() / N**0.5
    even = law.from_cube(np.random.default_rng(1).random((N, 7)))
    assert stats.ks_2samp(squares, np.sum(even * even, axis=1) / 6).pvalue > 1e-3


@pytest.mark.parametrize("delta", [0.1, 0.8])
def test_label__is_the_likelier_class(delta):
    law = TwoGaussians(7, delta)
    x = np.random.default_rng(0).standard_normal((500, 7)) * np.linspace(0.2, 2.0, 500)[:, None]
    wide, narrow = (stats.norm.logpdf(x, scale=scale).sum(axis=1) for scale in (1 + delta, 1 - delta))
    assert (law.label(x) == np.sign(wide - narrow)).all()


def test_stream__is_read_as_isotropic_data():
    law = TwoGaussians(40, 0.8)
    found, given = isotropic_data(mf.Stream(law, law.label)).lengths(4), two_gaussians(0.8, 40).lengths(4)
    assert found.length == pytest.approx(given.length)
    wrong = given.share[found.target != given.target].sum()  # the classes hardly overlap
    assert wrong < 1e-8
    ball = isotropic_data(mf.Stream(mf.Ball(3), lambda x: np.exp(-np.sum(x * x, axis=1)))).lengths(2)
    assert ball.target == pytest.approx(np.exp(-3 * ball.length**2))


# The flow


def gaussian_mean(f, s):
    """E f(s U), U ~ N(0, 1), by a plain trapezoidal sum."""
    u = np.linspace(-11, 11, 4401)
    return np.sum(f(s * u) * np.exp(-u * u / 2)) * (u[1] - u[0]) / np.sqrt(2 * np.pi)


def test_one_radius_at_infinite_dimension__follows_its_scalar_equation():
    """softplus, two classes: r' = -sum_c (1/2) (q(r l_c) - y_c) l_c q'(r l_c), by sums over a normal variable."""
    classes, times = ((1.7, 1.0), (0.3, -1.0)), [0.5, 2.0, 6.0]

    def slope(u):
        return u * special.expit(u)

    def value(v):
        return np.logaddexp(0, v)

    def velocity(_, r):
        pull = [(gaussian_mean(value, r[0] * c) - y) * gaussian_mean(slope, r[0] * c) / r[0] for c, y in classes]
        return [-0.5 * sum(pull)]

    truth = integrate.solve_ivp(velocity, (0, 6), [0.8], "DOP853", times, rtol=1e-10, atol=1e-11).y[0]
    found = flow("softplus", radii(0.8), two_gaussians(0.7, INF), times, tolerance=1e-7)
    assert found.radii[:, 0] == pytest.approx(truth, abs=1e-7)
    g = [[gaussian_mean(value, r * c) for c, _ in classes] for r in truth]
    assert found.predict([1.7, 0.3]) == pytest.approx(np.array(g), abs=1e-6)


def test_some_radii_in_three_dimensions__follow_their_coupled_equations():
    """Where U is uniform on [-sqrt 3, sqrt 3]; lengths by a grid of Maxwell's density, weights and signs."""
    start = radii(0.2, 0.5, 0.9, 1.4, weights=np.array([0.1, 0.4, 0.3, 0.2]), signs=[1.0, -1.0, 1.0, 1.0])
    u, w = np.polynomial.legendre.leggauss(80)
    u, w = np.sqrt(3) * u, w / 2
    x = (np.arange(160) + 0.5) / 160 * 8.0  # |x| under N(0, I)
    share = x**2 * np.exp(-x * x / 2)
    share, y = share / share.sum(), np.sin(x)

    def velocity(_, r):
        v = r[:, None, None] * (x[:, None] / np.sqrt(3) * u)
        g = (start.s * start.w) @ (np.logaddexp(0, v) @ w)
        return -start.s * ((special.expit(v) @ (w * u)) @ (share * (g - y) * x / np.sqrt(3)))

    times = [1.0, 4.0]
    truth = integrate.solve_ivp(velocity, (0, 4), start.b[:, 0], "DOP853", times, rtol=1e-10, atol=1e-11).y.T
    data = IsotropicData((Shell(1.0, mf.Gaussian(3), np.sin),))
    found = flow("softplus", start, data, times, tolerance=1e-6)
    assert found.radii == pytest.approx(truth, abs=1e-6)
    assert found.error.max() <= 1e-6


@pytest.mark.parametrize(("start", "d"), [("gaussian", 60), ("ball", 30), ("sphere", 1)])
def test_quadratic_neurons__follow_the_equation_of_their_second_moment(d, start):
    """g = m |x|^2 / d with m = E r^2, and r' = -2 c r with c = E[(g - y) |x|^2 / d]: m' = -4 m c."""
    law = {"gaussian": mf.Gaussian(d, 0.9 / d**0.5), "ball": mf.Ball(d, 1.1), "sphere": mf.Sphere(d, 0.7)}[start]
    second = {"gaussian": 0.81, "ball": 1.21 * d / (d + 2), "sphere": 0.49}[start]
    lengths, y = (1.3, 0.8), (1.0, 0.2)  # standard deviations of the two classes
    fourth = 1 + 2 / d  # of |x|^2 / d under N(0, I)

    def slope(_, m):
        return -4 * m * 0.5 * sum(m * s**4 * fourth - t * s**2 for s, t in zip(lengths, y, strict=True))

    times = np.linspace(0.0, 2.0, 5)
    truth = integrate.solve_ivp(slope, (0, 2), [second], "DOP853", times, rtol=1e-11, atol=1e-12).y[0]
    data = IsotropicData(tuple(Shell(0.5, mf.Gaussian(d, s), t) for s, t in zip(lengths, y, strict=True)))
    found = flow("quadratic", law, data, times)
    rho = np.array([0.5, 1.0, 1.5])
    assert np.abs(found.predict(rho) - np.outer(truth, rho**2)).max() < 1e-6


def test_symmetric_signs__start_from_nothing():
    data = IsotropicData((Shell(1.0, mf.Gaussian(4), 1.0),))
    found = flow("softplus", mf.Gaussian(4), data, [0.0, 1.0], signs="symmetric")
    assert (found.signs == np.repeat([1.0, -1.0], len(found.signs) // 2)).all()
    assert np.abs(found.prediction[0]).max() < 1e-12
    assert found.predict([1.0])[1] > 0.05
    assert found.loss[1] < found.loss[0] == pytest.approx(0.5)


def rings(lengths, targets, angles=36):
    """Inputs in the plane that turn by equal angles; each ring starts at an angle of its own."""
    turn = 2 * np.pi * (np.arange(angles)[None, :] + np.linspace(0, 0.7, len(lengths))[:, None]) / angles
    x = np.array(lengths)[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    return mf.Dataset(x.reshape(-1, 2), np.repeat(targets, angles))


@pytest.mark.parametrize("name", some(["softplus", "gelu"], "softplus"))
def test_full_cloud_in_the_plane__is_the_radial_flow(name):
    """Two limits: all particles of the plane by `mean_field` and Runge-Kutta, and their radii alone."""
    lengths, targets = (0.4, 1.6), (-1.0, 1.0)
    data = IsotropicData(tuple(Shell(0.5, mf.Sphere(2, r), y) for r, y in zip(lengths, targets, strict=True)))
    law = mf.Gaussian(2, 0.8)
    full = mean_field(mf.Network(name), law, rings(lengths, targets), mf.RungeKutta(0.25), steps=8, record_every=4)
    found = flow(name, law, data, full.run.dataset["time"].values)
    expected = np.repeat(found.predict(np.array(lengths) / np.sqrt(2)), 36, axis=1)
    assert np.abs(full.run.dataset["prediction"].values - expected).max() < 2e-6
    assert full.run.dataset["loss"].values == pytest.approx(found.loss, abs=1e-6)


def test_flow__loses_what_it_dissipates():
    """dL/dt = -E |v|^2, by central differences of the loss and of the radii."""
    data, t, h = two_gaussians(0.5, 10), np.array([0.5, 1.5]), 1e-3
    found = flow("softplus", mf.Gaussian(10, 0.3), data, np.sort(np.concatenate([t - h, t, t + h])), tolerance=1e-8)
    rate = (found.loss[2::3] - found.loss[::3]) / (2 * h)
    speed = ((found.radii[2::3] - found.radii[::3]) / (2 * h)) ** 2 @ found.weights
    assert rate == pytest.approx(-speed, rel=1e-5)


def test_error__tells_what_a_sharper_run_changes():
    given = "softplus", mf.Gaussian(5, 0.6), two_gaussians(0.6, 5), [0.0, 1.0, 3.0]
    rough, sharp = flow(*given, tolerance=1e-3), flow(*given, tolerance=1e-7)
    rho = np.linspace(0.2, 2.0, 7)
    assert np.abs(rough.predict(rho) - sharp.predict(rho)).max() <= rough.error.max() <= 1e-3
    assert rough.error.max() > sharp.error.max()


def relu_in_the_plane(tolerance):
    """ReLU on circles: g = r / pi at |x| = 1, r' = -(r / pi - 0.8) / pi. The run, and the error of g at its times."""
    times = np.linspace(0.0, 8.0, 5)
    found = flow("relu", mf.Sphere(2, 1.5), IsotropicData((Shell(1.0, mf.Sphere(2), 0.8),)), times, tolerance=tolerance)
    truth = 0.8 + (1.5 / np.pi - 0.8) * np.exp(-times / np.pi**2)
    return found, np.abs(found.predict([2**-0.5])[:, 0] - truth)


def test_error__covers_the_time_integration_where_its_tolerance_limits_no_step():
    """Between the ends of one step over most of the time, too."""
    found, off = relu_in_the_plane(1e-4)
    assert (off <= found.error).all()


def test_error__that_is_too_large_is_checked_by_a_sharper_integration_again(monkeypatch):
    monkeypatch.setattr(reduction, "_STEADY", 1e4)
    found, off = relu_in_the_plane(1e-10)
    assert len(found.nodes) > 2  # the first check failed
    assert (off <= found.error).all()


def test_radii_at_a_corner__stop_the_flow_and_say_so():
    """ReLU under the target -1: every radius shrinks to 0 and would have to rest there."""
    data = IsotropicData((Shell(1.0, mf.Gaussian(5), -1.0),))
    with pytest.raises(mf.DivergedError, match="stuck: a radius has come to 0"):
        flow("relu", radii(0.5), data, [5.0])


def test_time_zero__is_the_start():
    found = flow("softplus", mf.Ball(3), two_gaussians(0.5, 3), [0.0])
    assert found.weights @ found.radii[0] ** 2 == pytest.approx(3 / 5)


# Mei, Montanari, Nguyen 2018: their activation, N = 800 in R^40, delta = 0.8, starts N(0, 0.8^2 I / d), SGD


@inline
def _ramp(v):
    """-2.5 up to 0.5, 7.5 from 1.5 on, straight between."""
    return clamp(10.0 * v - 7.5, -2.5, 7.5)


@inline
def _ramp_slope(v):
    return at_most(v, 0.5, 0.0, at_most(v, 1.5, 10.0, 0.0))


@pytest.fixture
def ramp():
    return mf.Network(Activation("ramp", _ramp, _ramp_slope, 10.0, INF, False))


@pytest.mark.slow  # compiles an activation that is not in the table
def test_ramp_at_infinite_dimension__has_the_mean_of_its_two_corners(ramp):
    """E clamp = -2.5 + 10 (E max(0, v - 0.5) - E max(0, v - 1.5)), each in closed form."""
    made = Profile(ramp.activation, INF, (0.5, 1.5))
    s = np.array([0.1, 0.4, 0.8, 2.0, 6.0])

    def call(strike):
        return s * stats.norm.pdf(strike / s) - strike * stats.norm.sf(strike / s)

    assert made(s)[0] == pytest.approx(-2.5 + 10 * (call(0.5) - call(1.5)), abs=1e-10)
    assert made(s)[1] == pytest.approx(10 * (stats.norm.pdf(0.5 / s) - stats.norm.pdf(1.5 / s)), abs=1e-10)
    assert made.error < 1e-10


@pytest.mark.slow
def test_stochastic_descent__stays_with_the_radial_flow(ramp):
    """Risks on the same held-out samples, T = 10: the mean over seeds leaves the limit by no more than the scatter."""
    law, start, step = TwoGaussians(40, 0.8), mf.Gaussian(40, 0.8 / 40**0.5), 2e-4
    times = np.array([0.0, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0])
    limit = radial_flow(ramp, start, two_gaussians(0.8, 40), times, kinks=(0.5, 1.5), tolerance=1e-4)
    apart = []
    for seed in range(5):
        stream = mf.Stream(law, law.label, seed=seed)
        run = mf.simulate(ramp, start.sample(800, seed), stream, mf.SGD(step), steps=round(times[-1] / step),
                          record_every=[round(t / step) for t in times], record="prediction")  # fmt: skip
        held = stream.holdout()
        g = limit.predict(np.linalg.norm(held.x, axis=1) / 40**0.5)
        apart.append(np.mean((run.dataset["prediction"].values - held.y) ** 2 - (g - held.y) ** 2, axis=1))
    mean, scatter = np.mean(apart, axis=0), np.std(apart, axis=0, ddof=1)
    assert (np.abs(mean) <= 4 * scatter).all()
    assert np.abs(mean).max() < 0.02 * limit.loss[0] * 2
    assert 2 * limit.loss[-1] < 0.72


NET, LAW, DATA = mf.Network("tanh"), mf.Gaussian(3), two_gaussians(0.5, 3)
SHELL = Shell(1.0, mf.Gaussian(3), 1.0)
REFUSALS = {
    "tolerance": (lambda: radial_flow(NET, LAW, DATA, [1.0], tolerance=0.0), r"`tolerance` must be .* > 0: got 0.0"),
    "most": (lambda: radial_flow(NET, LAW, DATA, [1.0], most=10), r"`most` must be a whole number >= 192: got 10"),
    "reach": (
        lambda: flow("softplus", mf.Gaussian(9), two_gaussians(0.5, 9), [1.0], tolerance=1e-12, most=192),
        r"`tolerance` 1e-12 is out of reach here: got .*Ask for less",
    ),
    "beta": (lambda: radial_flow(mf.Network("tanh", beta=0.5), LAW, DATA, [1.0]), r"of the mean field, beta = 1"),
    "bias": (lambda: radial_flow(mf.Network("tanh", bias=True), LAW, DATA, [1.0]), r"without a bias: got Network"),
    "data": (
        lambda: radial_flow(NET, LAW, mf.Dataset([[1.0]], [1.0]), [1.0]),
        r"must be isotropic: got Dataset",
    ),
    "centre": (lambda: radial_flow(NET, mf.Gaussian(3, mean=1.0), DATA, [1.0]), r"no rotation changes: got Gaussian"),
    "cube": (lambda: radial_flow(NET, mf.Uniform(3), DATA, [1.0]), r"no rotation changes: got Uniform.*`mean_field`"),
    "atoms": (lambda: radial_flow(NET, mf.Atoms(np.eye(3)), DATA, [1.0]), r"no rotation changes: got Atoms"),
    "dimension": (
        lambda: radial_flow(NET, mf.Gaussian(4), DATA, [1.0]),
        r"must live in R\^3.*: got dim=4",
    ),
    "infinite": (lambda: radial_flow(NET, LAW, two_gaussians(0.5, INF), [1.0]), r"`start` must be a measure of radii"),
    "no start": (lambda: radial_flow(NET, 0.8, DATA, [1.0]), r"`start` must be a radial law .*: got 0.8"),
    "negative": (lambda: radial_flow(NET, radii(-1.0), DATA, [1.0]), r"radii must be >= 0: got -1"),
    "times": (lambda: radial_flow(NET, LAW, DATA, [1.0, 0.5]), r"`times` must be ascending"),
    "signs": (lambda: radial_flow(NET, LAW, DATA, [1.0], signs="plus"), r"`signs` must be one of"),
    "target": (
        lambda: isotropic_data(mf.Stream(mf.Gaussian(3), lambda x: x[:, 0])),
        r"`target` must depend on \|x\| alone .*: got values",
    ),
    "inputs": (
        lambda: isotropic_data(mf.Stream(mf.Uniform(3), lambda x: x[:, 0])),
        r"no rotation changes: got Uniform",
    ),
    "shape": (
        lambda: IsotropicData((Shell(1.0, mf.Gaussian(3), lambda r: 1.0),)).lengths(2),
        r"`target` must map lengths \(k,\) to finite numbers",
    ),
    "shares": (lambda: IsotropicData((SHELL, SHELL)), r"shares must sum to 1: got 2"),
    "none": (lambda: IsotropicData(()), r"at least one class"),
    "dims": (
        lambda: IsotropicData((Shell(0.5, mf.Gaussian(3), 1.0), Shell(0.5, 1.0, 1.0))),
        r"all classes must live in one dimension",
    ),
    "delta": (lambda: two_gaussians(1.0, 3), r"`delta` must be a finite number from 0 to 1: got 1.0"),
    "infinite law": (lambda: TwoGaussians(INF, 0.5), r"`dim` must be a whole number"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_radial__refuses(case):
    call, message = REFUSALS[case]
    with pytest.raises(mf.InputError, match=message):
        call()
