"""The methods beyond descent: declared orders, naive twins, exact laws, and the same bits however they are run."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from support.daily import some

import particles as mf
from particles.methods import runge_kutta
from particles.methods.runge_kutta import SCHEMES
from particles.methods.schedules import InverseSqrt

M, N, D = 300, 12, 3
METHODS = {
    "heun": mf.RungeKutta(0.2, "heun"),
    "adaptive": mf.RungeKutta(0.7, tolerance=1e-7),
    "langevin": mf.Langevin(0.2, 0.05, weight_decay=0.1, seed=4),
    "annealed": mf.Langevin(0.2, InverseSqrt(0.1), batch=5, seed=4),
    "dual averaging": mf.DualAveraging(0.2, 0.05, weight_decay=0.1, inner=3, seed=4),
    "Fisher-Rao": mf.FisherRao(0.2, rate=0.5),
}
EACH_METHOD = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    x = random.standard_normal((N, D))
    return mf.Dataset(x, np.sin(x[:, 0]) + 0.5 * x[:, 1])


@pytest.fixture(scope="module")
def start():
    return mf.Gaussian(D).sample(M, seed=0, signs="random")


def end(method, steps, start, data, net=None, **settings):
    settings = {"record": (), "record_every": max(steps, 1), "engine": mf.Local(1), **settings}
    return mf.simulate(net or mf.Network("tanh"), start, data, method, steps=steps, **settings).measure


def velocity(b, s, w, data, slope=None):
    """The velocity of tanh neurons, plainly."""
    v = np.tanh(b @ data.x.T)
    if slope is None:
        slope = ((w * s) @ v - data.y) / len(data.y)
    return -s[:, None] * ((1 - v**2) * slope) @ data.x, slope


def truth(time, start, data):
    """The gradient flow by an ODE solver of another make."""

    def rate(t, flat):
        return velocity(flat.reshape(start.b.shape), start.s, start.w, data)[0].reshape(-1)

    found = solve_ivp(rate, (0, time), start.b.reshape(-1), method="LSODA", rtol=1e-12, atol=1e-13)
    return found.y[:, -1].reshape(-1, D)


def distance(one, other):
    return np.sqrt(np.mean((one - other) ** 2))


@pytest.mark.parametrize(("scheme", "steps"), [("heun", 64), ("bogacki-shampine", 32), ("classic", 32)])
def test_runge_kutta__has_its_declared_order(scheme, steps, start, data):
    exact = truth(4.0, start, data)
    errors = [
        np.sqrt(np.mean((end(mf.RungeKutta(4.0 / n, scheme), n, start, data).b - exact) ** 2))
        for n in (steps, 2 * steps)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(SCHEMES[scheme].order, abs=0.1)


def test_runge_kutta__of_order_five_has_at_least_that(start, data):
    """Its leading error is so small here that the next term shows at any step above rounding."""
    exact = truth(4.0, start, data)
    errors = [distance(end(mf.RungeKutta(4 / n), n, start, data).b, exact) for n in (8, 16)]
    assert np.log2(errors[0] / errors[1]) > 4.9 and errors[1] < 2e-8


@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if row.errors])
@pytest.mark.parametrize("tolerance", [1e-5, 1e-8])
def test_runge_kutta__keeps_its_tolerance(scheme, tolerance, start, data):
    """Errors of the parts add up over the horizon: a hundred of them at most."""
    method = mf.RungeKutta(2.0, scheme, tolerance)
    assert distance(end(method, 2, start, data).b, truth(4.0, start, data)) < 100 * tolerance


def test_runge_kutta__adaptive_follows_the_flow_where_descent_is_unstable(start, data):
    """A step far above what descent bears is divided until it is safe."""
    found = end(mf.RungeKutta(100.0, tolerance=1e-7), 1, start, data)
    np.testing.assert_allclose(found.b, truth(100.0, start, data), atol=1e-4)


def noise_of(seed, iteration, count):
    """xi of one iteration, from the kernel: a step of noise alone."""
    still = mf.Dataset(np.zeros((1, D)), np.zeros(1))
    zero = mf.Measure(np.zeros((count, D)), np.ones(count), np.full(count, 1 / count))
    at = [end(mf.Langevin(0.5, 1.0, seed=seed), steps, zero, still).b for steps in (iteration, iteration + 1)]
    return at[1] - at[0]  # sqrt(2 * 0.5 * 1) = 1


def test_langevin__is_the_plain_update(start, data):
    method, b = METHODS["langevin"], start.b.copy()
    for iteration in range(4):
        v, _ = velocity(b, start.s, start.w, data)
        b += 0.2 * (v - 0.1 * b) + np.sqrt(2 * 0.2 * 0.05) * noise_of(4, iteration, M)
    np.testing.assert_allclose(end(method, 4, start, data).b, b, atol=1e-13)


def test_langevin__at_temperature_zero_is_descent(start, data):
    one, other = end(mf.Langevin(0.2, 0.0), 6, start, data), end(mf.GradientDescent(0.2), 6, start, data)
    np.testing.assert_array_equal(one.b, other.b)


def test_langevin__gives_particle_r_the_same_noise_whatever_the_cloud(data):
    still = mf.Dataset(np.zeros((1, D)), np.zeros(1))
    few, many = (end(mf.Langevin(0.2, 0.3, seed=1), 5, mf.Gaussian(D).sample(count, 2), still) for count in (10, 900))
    np.testing.assert_array_equal(few.b, many.b[:10])


def test_dual_averaging__is_the_plain_algorithm(start, data):
    method, b, slopes = METHODS["dual averaging"], start.b.copy(), []
    for iteration in range(8):
        t = iteration // 3 + 1
        if iteration % 3 == 0:
            slopes.append(velocity(b, start.s, start.w, data)[1])
        share = 2 / ((t + 2) * (t + 1))
        average = share * sum((s + 1) * slope for s, slope in enumerate(slopes))
        v, _ = velocity(b, start.s, start.w, data, average)
        decay = 0.1 * share * sum(range(1, t + 1))
        b += 0.2 * (v - decay * b) + np.sqrt(2 * 0.2 * 0.05) * noise_of(4, iteration, M)
    np.testing.assert_allclose(end(method, 8, start, data).b, b, atol=1e-13)


def test_fisher_rao__is_the_plain_update(start, data):
    b, w = start.b.copy(), start.w.copy()
    for _ in range(5):
        v, slope = velocity(b, start.s, w, data)
        potential = start.s * (np.tanh(b @ data.x.T) @ slope) + 0.03 * 0.5 * (b**2).sum(axis=1)
        w = w * np.exp(-0.2 * 0.5 * potential)
        w /= w.sum()
        b = b + 0.2 * (v - 0.03 * b)
    found = end(METHODS["Fisher-Rao"], 5, start, data, regulariser=mf.L2(0.03))
    np.testing.assert_allclose(found.b, b, atol=1e-13)
    np.testing.assert_allclose(found.w, w, rtol=1e-12)
    assert found.w.std() > 0.01 * found.w.mean()  # or else nothing was shown


@pytest.mark.parametrize("count", some([8, 64, 512], 8))
def test_langevin__of_linear_neurons_has_its_exact_stationary_law(count):
    """g = x . mean b, so the mean is an Ornstein-Uhlenbeck chain of noise 1/M and the rest one without data.

    Stationary mean (C + lam)^-1 c, and for factors rho = 1 - eta (kappa + lam) of the chains variances
    2 eta tau / (1 - rho^2), 1/M of it along the mean's eigenvectors kappa of C, Euler's corrections included.
    """
    random, eta, tau, lam = np.random.default_rng(3), 0.3, 0.2, 0.8
    x = random.standard_normal((20, 2)) * [1.0, 0.5]
    data = mf.Dataset(x, random.standard_normal(20))
    C, c = x.T @ x / 20, x.T @ data.y / 20
    every, times = 30, 400  # 30 steps forget: 0.76^30 = 3e-4
    run = mf.simulate(
        mf.Network("linear"), mf.Gaussian(2).sample(count, 0), data, mf.Langevin(eta, tau, lam, seed=count),
        steps=every * times, record=("mean_position", "position"), record_every=every, positions=1, engine=mf.Local(1),
    )  # fmt: skip
    kappa, vectors = np.linalg.eigh(C)
    mean = run.dataset.mean_position.values[3:] @ vectors
    variance = 2 * eta * tau / count / (1 - (1 - eta * (kappa + lam)) ** 2)
    wanted = vectors.T @ np.linalg.solve(C + lam * np.eye(2), c)
    n = len(mean)
    assert np.all(np.abs(mean.mean(axis=0) - wanted) < 4 * np.sqrt(variance / n))
    assert np.all(np.abs(((mean - wanted) ** 2).mean(axis=0) / variance - 1) < 4 * np.sqrt(2 / n))
    # One particle: the mean's variance and that of its way about the mean.
    one = run.dataset.position.values[3:, 0] @ vectors
    whole = variance + 2 * eta * tau * (1 - 1 / count) / (1 - (1 - eta * lam) ** 2)
    assert np.all(np.abs(((one - wanted) ** 2).mean(axis=0) / whole - 1) < 4 * np.sqrt(2 / n))


@EACH_METHOD
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_method__has_the_same_bits_on_any_threads_and_for_any_recording(method, dtype, start, data):
    big = mf.Gaussian(D).sample(900, seed=0, signs="random")
    others = [
        {"engine": mf.Local(2)},
        {"engine": mf.Local(3), "record": ("loss", "dissipation", "position"), "record_every": 2},
    ]
    wanted = end(method, 5, big, data, dtype=dtype)
    for settings in others:
        for a, b in zip(end(method, 5, big, data, dtype=dtype, **settings), wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@EACH_METHOD
def test_method__goes_on_from_a_checkpoint_with_the_same_bits(method, start, data, tmp_path):
    def stopped(iteration, steps):
        return iteration >= 4

    settings = {"record": ("loss",), "record_every": 1, "checkpoints": tmp_path}
    first = mf.simulate(mf.Network("tanh"), start, data, method, steps=8, progress=stopped, **settings)
    assert first.dataset.attrs["status"] == "stopped" and list(tmp_path.glob("checkpoint-*.json"))
    again = mf.simulate(mf.Network("tanh"), start, data, method, steps=8, **settings)
    assert "went on" in str(again.events)
    whole = mf.simulate(mf.Network("tanh"), start, data, method, steps=8, record=("loss",), record_every=1)
    np.testing.assert_array_equal(again.dataset.loss, whole.dataset.loss)
    for a, b in zip(again.measure, whole.measure, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: mf.Langevin(0.1, -1.0), "`temperature` must be a finite number >= 0"),
        (lambda: mf.Langevin(0.1, "hot"), "`temperature` must be a finite number >= 0"),
        (lambda: mf.Langevin(0.1, np.float32(-1)), "`temperature` must be a finite number >= 0"),
        (lambda: mf.Langevin(0.1, 1.0, batch=0), "`batch` must be a whole number >= 1"),
        (lambda: mf.DualAveraging(0.1, -1.0, 0.1), "`temperature` must be a finite number >= 0"),
        (lambda: mf.DualAveraging(0.1, 1.0, 0.1, inner=0), "`inner` must be a whole number >= 1"),
        (lambda: mf.FisherRao(0.1, -1.0), "`rate` must be a finite number >= 0"),
        (lambda: mf.RungeKutta(0.1, "euler"), "`scheme` must be one of heun"),
        (lambda: mf.RungeKutta(0.1, "classic", 1e-3), "`tolerance` needs a scheme that estimates its error"),
        (lambda: mf.RungeKutta(0.1, tolerance=0.0), "`tolerance` must be a finite number > 0"),
    ],
)
def test_method__refuses(make, told):
    with pytest.raises(mf.InputError, match=told):
        make()


def test_fisher_rao__bears_a_potential_far_from_zero(start, data):
    """A common offset of V moves no weight: targets of 200 give V of hundreds."""
    far = mf.Dataset(data.x, 0.0 * data.y + 200.0)
    same = mf.Measure(np.full((300, D), 0.5), np.ones(300), start.w)
    assert end(mf.FisherRao(1e-3, rate=1e4), 2, same, far, mf.Network("sigmoid")).w == pytest.approx(start.w)


def test_fisher_rao__that_loses_its_weights_names_the_rate(start, data):
    far = mf.Dataset(data.x, 0.0 * data.y + 200.0)
    with pytest.raises(mf.DivergedError, match=r"`rate` 100000 is too large for V\. Lower it, or the step\.$"):
        end(mf.FisherRao(1.0, rate=1e5), 3, start, far)


def test_noise__takes_narrow_numpy_seeds(start, data):
    one, other = (end(mf.Langevin(0.1, 0.1, seed=seed), 1, start, data).b for seed in (3, np.int32(3)))
    np.testing.assert_array_equal(one, other)


def test_method__refuses_what_it_cannot_do(start, data):
    with pytest.raises(mf.InputError, match="a pull to the start is no function"):
        end(mf.FisherRao(0.1), 1, start, data, regulariser=mf.L2(0.1, about="start"))
    with pytest.raises(mf.InputError, match="another method than gradient descent"):
        end(mf.RungeKutta(0.1), 1, start, data, record=("kernel_distance",))
    with pytest.raises(mf.InputError, match="needs a smooth regulariser"):
        end(mf.RungeKutta(0.1), 1, start, data, regulariser=mf.L1(0.1))
    with pytest.raises(mf.InputError, match="FisherRao needs beta = 1"):
        end(mf.FisherRao(0.1), 1, start, data, mf.Network("tanh", beta=0.5))


KINK = mf.Dataset([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], [-1.0, -1.0])  # ReLU's least loss is on its kink


def sliding(step=0.5, **settings):
    """One particle on b' = -(b + 1) / 2 to the kink b = 0, and pushed back to it from both sides from then on."""
    start = mf.Measure(np.array([[0.5, 0.0, 0.0]]), np.ones(1), np.ones(1))
    return mf.simulate(mf.Network("relu"), start, KINK, mf.RungeKutta(step, tolerance=1e-9), steps=9, **settings)


def test_runge_kutta__along_a_kink_ends_and_says_how_far_it_came(monkeypatch):
    monkeypatch.setattr(runge_kutta, "_PARTS", 200)
    with pytest.raises(mf.DivergedError) as caught:
        sliding()
    message, run = str(caught.value), caught.value.run
    reached = float(re.search(r"came to flow time ([\d.]*\d) in 200 parts, the last of length", message)[1])
    assert reached == pytest.approx(2 * np.log(1.5), abs=1e-3)  # where it comes to the kink
    assert "Raise `tolerance` = 1e-09, take shorter steps" in message and "Try step" not in message
    assert run.dataset.iteration.values.tolist() == [0, 1]
    assert run.measure.b[0, 0] == pytest.approx(1.5 * np.exp(-0.25) - 1, abs=1e-8)  # where the step began, not amid it


def test_runge_kutta__gives_up_a_step_for_whoever_is_told_of_its_progress(tmp_path):
    """Amid the second step the run is stopped, and what is kept is the iteration before it, once."""
    asked = []

    def progress(iteration, steps):
        asked.append(iteration)
        return asked.count(1) == 30

    run = sliding(progress=progress, checkpoints=mf.Checkpoints(tmp_path, 0.0), record=("loss",))
    assert run.status == "stopped" and asked == [0] * asked.count(0) + [1] * 30
    assert run.dataset.iteration.values.tolist() == [0, 1]
    assert run.measure.b[0, 0] == pytest.approx(1.5 * np.exp(-0.25) - 1, abs=1e-8)
    again = sliding(progress=lambda iteration, steps: True, checkpoints=tmp_path, record=("loss",))
    assert "went on" in str(again.events) and again.dataset.iteration.values.tolist() == [0, 1]


def test_runge_kutta__says_in_how_many_parts_it_went(start, data, tmp_path):
    def attributes(method, **settings):
        return mf.simulate(mf.Network("tanh"), start, data, method, steps=4, record=("loss",), **settings).dataset.attrs

    whole = attributes(mf.RungeKutta(4.0, tolerance=1e-7))
    assert whole["accepted_parts"] > 8 and whole["rejected_parts"] >= 4
    attributes(
        mf.RungeKutta(4.0, tolerance=1e-7), checkpoints=tmp_path, progress=lambda iteration, steps: iteration == 2
    )
    resumed = attributes(mf.RungeKutta(4.0, tolerance=1e-7), checkpoints=tmp_path)
    assert "went on" in resumed["events"]
    assert [resumed[name] for name in ("accepted_parts", "rejected_parts")] == [
        whole["accepted_parts"], whole["rejected_parts"]
    ]  # fmt: skip
    assert "accepted_parts" not in attributes(mf.RungeKutta(0.1))
