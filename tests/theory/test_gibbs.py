"""The optimum of the free energy beside closed forms, plain integrals and Langevin; the duality gap as a bound."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from support.daily import some
from support.naive import LABELLED, LOSS

import particles as mf
from particles.measures.measure import Measure
from particles.theory.entropic.duality import duality_gap
from particles.theory.entropic.gibbs import gibbs, shares
from particles.theory.entropic.proximal import proximal_gibbs

NET = mf.Network("tanh")
SETTINGS = {"weight_decay": 0.1, "temperature": 0.05}
LINE = np.linspace(-12.0, 12.0, 24001)  # 1e-3 apart: the trapezoidal rule is exact to rounding on smooth densities
STEP = LINE[1] - LINE[0]


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    x = random.standard_normal((12, 1))
    return mf.Dataset(x, np.sin(2.0 * x[:, 0]))


def on_line(densities, shares, data, weight_decay, temperature):
    """F, and V for each sign, of densities on the line (signs, K), plainly."""
    values = np.tanh(np.multiply.outer(LINE, data.x[:, 0]))
    joint = np.array(list(shares.values()))[:, None] * densities
    g = STEP * sum(sign * row @ values for sign, row in zip(shares, joint, strict=True))
    pull = 0.5 * weight_decay * LINE**2
    with np.errstate(divide="ignore", invalid="ignore"):
        negentropy = np.where(joint > 0, joint * np.log(joint), 0.0).sum() * STEP
    F = np.mean((g - data.y) ** 2) / 2 + (joint * pull).sum() * STEP + temperature * negentropy
    V = np.array([sign * values @ (g - data.y) / len(g) + pull for sign in shares])
    return F, V


def random_mixture(random, signs):
    """Gaussian mixtures (signs, K) on the line with their samplers' parts: means, stds, weights (signs, 3)."""
    means, stds = random.normal(0, 1.5, (signs, 3)), random.uniform(0.3, 1.5, (signs, 3))
    weights = random.dirichlet(np.ones(3), signs)
    z = (LINE - means[..., None]) / stds[..., None]
    return np.sum(weights[..., None] / stds[..., None] * np.exp(-0.5 * z**2), axis=1) / math.sqrt(2 * math.pi), (
        means,
        stds,
        weights,
    )


def kl(densities, V, shares, temperature):
    """KL(q | p_q) given the signs, and log Z of each."""
    log_z = logsumexp(-V / temperature, axis=1) + math.log(STEP)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(densities > 0, densities * (np.log(densities) + V / temperature + log_z[:, None]), 0.0)
    return float(np.array(list(shares.values())) @ terms.sum(axis=1)) * STEP, log_z


@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize("d", [1, 2])
def test_gibbs__of_linear_neurons_is_their_gaussian(d, beta):
    """V is linear but for its pull: N(s m, tau/lam I) with g = alpha m.x, (C + lam) m = c / alpha for any signs."""
    random, lam, tau, alpha = np.random.default_rng(1), 0.3, 0.2, 1.0 if beta == 1.0 else 3.0
    x = random.standard_normal((10, d))
    data = mf.Dataset(x, random.standard_normal(10))
    net = mf.Network("linear", beta=beta)
    found = gibbs(net, data, weight_decay=lam, temperature=tau, signs={1.0: 0.3, -1.0: 0.7}, alpha=alpha)
    mean = np.linalg.solve(x.T @ x / 10 + lam * np.eye(d), x.T @ data.y / 10) / alpha
    b, s, w = found.measure
    np.testing.assert_allclose(found.prediction, alpha * x @ mean, atol=1e-10)
    for sign in (1.0, -1.0):
        given = w * (s == sign) / w[s == sign].sum()
        np.testing.assert_allclose(given @ b, sign * mean, atol=1e-9)
        away = b - sign * mean
        np.testing.assert_allclose((away.T * given) @ away, tau / lam * np.eye(d), atol=1e-9)
    entropy = d / 2 * math.log(2 * math.pi * math.e * tau / lam) - 0.3 * math.log(0.3) - 0.7 * math.log(0.7)
    confinement = alpha**2 * (0.5 * lam * mean @ mean + 0.5 * tau * d)
    risk = np.mean((alpha * x @ mean - data.y) ** 2) / 2
    assert found.free_energy.entropy == pytest.approx(entropy, abs=1e-9)
    assert found.free_energy.value == pytest.approx(risk + confinement - alpha**2 * tau * entropy, abs=1e-9)


def test_gibbs__is_the_fixed_point_and_the_least_by_plain_integrals(data):
    """Its density on a fine line, from its slopes alone: the same g and F, and F is larger for any mixture."""
    fractions = {-1.0: 0.4, 1.0: 0.6}
    found = gibbs(NET, data, **SETTINGS, signs=fractions)
    assert found.residual <= 1e-10 and found.error <= 1e-10 and found.free_energy.error <= 1e-10
    values = np.tanh(np.multiply.outer(LINE, data.x[:, 0]))
    slopes = (found.prediction - data.y) / len(data)
    V = np.array([sign * values @ slopes + 0.05 * LINE**2 for sign in fractions])
    p = np.exp(-V / 0.05 - logsumexp(-V / 0.05, axis=1, keepdims=True)) / STEP
    F, again = on_line(p, fractions, data, 0.1, 0.05)
    assert pytest.approx(found.free_energy.value, abs=1e-9) == F
    np.testing.assert_allclose(again, V, atol=1e-10)
    random = np.random.default_rng(2)
    assert all(on_line(random_mixture(random, 2)[0], fractions, data, 0.1, 0.05)[0] > F for _ in range(50))


@pytest.mark.parametrize("activation", ["relu", "sin", "tanh"])
@pytest.mark.parametrize("loss", LOSS)
def test_gibbs__holds_in_the_plane_with_a_bias(activation, loss):
    """Against sums over a plain square grid with the slopes at its own outputs; ReLU's kinks cost that grid digits."""
    random = np.random.default_rng(3)
    x = random.standard_normal((6, 1))
    y = np.sin(3.0 * x[:, 0])
    data, net = mf.Dataset(x, np.sign(y) if loss in LABELLED else y), mf.Network(activation, bias=True)
    found = gibbs(net, data, loss, weight_decay=0.2, temperature=0.1, signs="random")
    axis = np.linspace(-9.0, 9.0, 601)
    b = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    sigma = {"relu": lambda v: np.maximum(v, 0.0), "sin": np.sin, "tanh": np.tanh}[activation]
    values, g = sigma(b @ net.inputs(x).T), found.prediction
    slopes = LOSS[loss][1](g, data.y) / 6
    wanted = np.zeros(6)
    for sign in (1.0, -1.0):
        p = -(sign * values @ slopes + 0.1 * (b**2).sum(axis=1)) / 0.1
        wanted += 0.5 * sign * np.exp(p - logsumexp(p)) @ values
    np.testing.assert_allclose(g, wanted, atol=1e-4 if activation == "relu" else 1e-9)
    assert found.residual <= 1e-10 and found.error <= 1e-9
    np.testing.assert_allclose(net.predict(found.measure, x), g, atol=1e-12)


def test_duality_gap__bounds_the_distance_to_the_optimum(data):
    """T KL(q | p_q) >= F(q) - F(mu*) for mixtures known exactly, equal to P - D, and what particles estimate."""
    random, tau = np.random.default_rng(4), SETTINGS["temperature"]
    far = []
    for trial in range(12):
        fractions = {-1.0: 0.25, 1.0: 0.75} if trial % 2 else {1.0: 1.0}
        best = gibbs(NET, data, **SETTINGS, signs=fractions).free_energy
        q, (means, stds, weights) = random_mixture(random, len(fractions))
        F, V = on_line(q, fractions, data, **SETTINGS)
        exact, log_z = kl(q, V, fractions, tau)
        assert tau * exact >= F - best.value > 0
        masses = np.array(list(fractions.values()))
        residual = (V - 0.05 * LINE**2) / np.array(list(fractions))[:, None]  # sum_i u_i sigma(b x_i) / n
        slopes = np.linalg.lstsq(np.tanh(np.multiply.outer(LINE, data.x[:, 0])), residual[0], rcond=None)[0] * len(data)
        dual = -tau * masses @ (log_z - np.log(masses)) - np.mean(slopes**2 / 2 + slopes * data.y)
        assert tau * exact == pytest.approx(F - dual, abs=1e-8)
        counts = np.round(4000 * masses).astype(int)
        s = np.repeat(list(fractions), counts)
        which = [random.choice(3, count, p=w) for count, w in zip(counts, weights, strict=True)]
        b = np.concatenate([random.normal(m[j], v[j]) for m, v, j in zip(means, stds, which, strict=True)])
        particles = Measure(b[:, None], s, np.full(4000, 1 / 4000))
        found = duality_gap(NET, particles, data, **SETTINGS)
        far.append((found.gap - tau * exact) / (found.error + found.bias))
    assert np.max(np.abs(far)) < 4.0


@pytest.mark.parametrize(
    ("activation", "loss", "sampling"),
    [("relu", "squared", None), ("relu", "logistic", None), ("tanh", "squared", True)],
)
def test_duality_gap__has_the_error_it_says_far_from_the_optimum(activation, loss, sampling):
    """There the particles' slopes count at order M^(-1/2): without them it was 0.4 to 0.6 of the spread over seeds."""
    x, net = np.random.default_rng(2).standard_normal((6, 1)), mf.Network(activation)
    data = mf.Dataset(x, np.sign(x[:, 0]))
    settings = {"weight_decay": 0.1, "temperature": 0.02, "sampling": sampling, "draws": 2**13}
    found = [duality_gap(net, mf.Gaussian(1).sample(500, seed), data, loss, **settings) for seed in range(60)]
    ratio = np.mean([G.error for G in found]) / np.std([G.gap for G in found])
    assert 1.0 - 4 / math.sqrt(120) < ratio < 1.7


def test_duality_gap__of_the_optimum_is_0_within_its_error(data):
    """mu* itself at a low temperature: the slopes' order 1/M is most of what the particles show."""
    settings = {"weight_decay": 0.1, "temperature": 0.01}
    best = gibbs(NET, data, **settings)
    values = np.tanh(np.multiply.outer(LINE, data.x[:, 0]))
    logs = -(values @ (best.prediction - data.y) / len(data) + 0.05 * LINE**2) / 0.01
    total, random = np.cumsum(np.exp(logs - logs.max())), np.random.default_rng(0)
    found = []
    for _ in range(20):
        at = np.searchsorted(total, random.random(300) * total[-1])
        b = LINE[at] + STEP * (random.random(300) - 0.5)
        found.append(duality_gap(NET, Measure(b[:, None], np.ones(300), np.full(300, 1 / 300)), data, **settings))
    assert all(abs(G.gap) < 3 * G.error + G.bias for G in found)
    assert np.mean([G.gap for G in found]) < np.mean([G.bias for G in found])


def test_errors_of_quadratures__count_rounding():
    """A doubling of the nodes may change next to nothing: 4e-16 was called the error of a log Z of 2."""
    random, settings = np.random.default_rng(2), {"weight_decay": 1.0, "temperature": 0.5}
    data = mf.Dataset(random.standard_normal((3, 1)), random.standard_normal(3))
    found, best = proximal_gibbs(NET, mf.Gaussian(1).sample(50, 0), data, **settings), gibbs(NET, data, **settings)
    assert all(1e-15 < error < 1e-10 for error in (*found.error, best.error, best.free_energy.error))


@pytest.mark.parametrize("d", some([1, 2, 5], 1, 2))
def test_proximal_gibbs__has_the_normaliser_of_linear_neurons(d):
    """log Z = d/2 log(2 pi tau/lam) + |slopes x|^2 / (2 lam tau), by quadrature and by sampling."""
    random, lam, tau = np.random.default_rng(5), 0.5, 0.1
    x = random.standard_normal((8, d)) / math.sqrt(d)
    data, cloud = mf.Dataset(x, random.standard_normal(8)), mf.Gaussian(d).sample(300, 0, signs="random")
    net = mf.Network("linear")
    pull = x.T @ (net.predict(cloud, x) - data.y) / 8
    wanted = d / 2 * math.log(2 * math.pi * tau / lam) + pull @ pull / (2 * lam * tau)
    for sampling in (True, None):
        found = proximal_gibbs(net, cloud, data, weight_decay=lam, temperature=tau, sampling=sampling, seed=1)
        assert np.all(np.abs(found.log_normaliser - wanted) < 4 * found.error + 1e-12)
    assert (found.error.max() < 1e-9) == (d < 3)


def test_proximal_gibbs__has_a_density(data):
    cloud = mf.Gaussian(1).sample(300, 0, signs="random")
    p = proximal_gibbs(NET, cloud, data, **SETTINGS)
    mass = [np.exp(p.log_density(LINE[:, None], np.full(len(LINE), s))).sum() * STEP for s in (-1.0, 1.0)]
    np.testing.assert_allclose(mass, [np.mean(cloud.s < 0), np.mean(cloud.s > 0)], rtol=1e-10)
    with pytest.raises(mf.InputError, match="`s` must be signs of the measure"):
        p.log_density([[0.0]], [2.0])


def test_proximal_gibbs__of_the_optimum_is_the_optimum(data):
    best = gibbs(NET, data, **SETTINGS, signs="random")
    p, (b, s, w) = proximal_gibbs(NET, best.measure, data, **SETTINGS), best.measure
    assert -(w @ p.log_density(b, s)) == pytest.approx(best.free_energy.entropy, abs=1e-9)


def stationary(data, step, times=50, M=4096):
    """Moments given the signs and g, (times, 4 + n), each 8 flow times after the last."""
    start = mf.Gaussian(1).sample(M, 0, signs="symmetric")
    every = round(8.0 / step)
    run = mf.simulate(
        NET, start, data, mf.Langevin(step, 0.2, 0.8, seed=1), steps=every * (times + 2), record_every=every,
        record=("position", "prediction"), engine=mf.Local(1),
    )  # fmt: skip
    b = run.dataset.position.values[2:, :, 0].reshape(-1, 2, M // 2)
    return np.hstack([b.mean(axis=2), (b**2).mean(axis=2), run.dataset.prediction.values[2:]])


@pytest.mark.slow
def test_langevin__comes_to_the_optimum(data):
    """lam = 0.8: 8 flow times forget e^-6. Two steps, extrapolated, take Euler's first-order bias away."""
    best = gibbs(NET, data, weight_decay=0.8, temperature=0.2, signs="symmetric")
    b, s, w = best.measure
    moments = [2 * w[s == sign] @ b[s == sign, 0] ** power for power in (1, 2) for sign in (1.0, -1.0)]
    coarse, fine = stationary(data, 0.2), stationary(data, 0.1)
    wanted = np.array([*moments, *best.prediction])
    found = 2 * fine.mean(axis=0) - coarse.mean(axis=0)
    error = np.sqrt((4 * fine.var(axis=0) + coarse.var(axis=0)) / (len(fine) - 1))
    assert np.all(np.abs(found - wanted) < 4 * error)
    # As many particles see the bias itself, 7% of the second moments: they are no blunt instrument.
    assert np.all((coarse.mean(axis=0) - wanted)[2:4] > 4 * np.sqrt(coarse.var(axis=0) / (len(coarse) - 1))[2:4])


def test_duality_gap__falls_to_nothing_along_langevin(data):
    settings, start = {"weight_decay": 0.8, "temperature": 0.2}, mf.Gaussian(1, mean=2.0).sample(2**14, 0, "random")
    gaps = []
    for steps in (0, 10, 30, 200):
        run = mf.simulate(NET, start, data, mf.Langevin(0.1, 0.2, 0.8, seed=1), steps=steps, record=())
        gaps.append(duality_gap(NET, run.measure, data, **settings))
    values = [found.gap for found in gaps]
    assert values[0] > 3 * values[1] > 9 * values[2]
    assert abs(values[-1]) < 4 * gaps[-1].error + gaps[-1].bias < 0.01 * values[0]


def test_shares__are_those_of_the_signs():
    np.testing.assert_array_equal(shares("symmetric"), [[-1.0, 1.0], [0.5, 0.5]])
    np.testing.assert_array_equal(shares("positive"), [[1.0], [1.0]])
    measure = Measure(np.zeros((3, 1)), np.array([2.0, -1.0, 2.0]), np.array([0.25, 0.5, 0.25]))
    np.testing.assert_array_equal(shares(measure), [[-1.0, 2.0], [0.5, 0.5]])
    for bad, told in (({1.0: 0.4}, "must sum to 1"), ({}, "must sum to 1"), ("half", "`signs` must be one of"),
                      (3, "shares by sign, or a measure"), ({1.0: -1.0}, "`share` must be")):  # fmt: skip
        with pytest.raises(mf.InputError, match=told):
            shares(bad)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"temperature": 0.0}, "`temperature` must be a finite number > 0"),
        ({"weight_decay": 0.0}, "there is no Gibbs measure"),
        ({"net": mf.Network("quadratic")}, "slope is bounded"),
        ({"net": mf.Network("tanh", train=("input", "output"))}, "fixed output weights"),
        ({"loss": "logistic"}, "labels must be -1 or 1"),
    ],
)
def test_gibbs__and_the_gap_refuse(change, told, data):
    given = {"net": NET, "loss": "squared", **SETTINGS, **change}
    cloud = mf.Gaussian(1).sample(100, 0)
    with pytest.raises(mf.InputError, match=told):
        gibbs(data=data, **given)
    with pytest.raises(mf.InputError, match=told):
        duality_gap(measure=cloud, data=data, **given)


def test_gibbs__says_its_limits(data, samples):
    with pytest.raises(mf.InputError, match=r"at most 2 inputs: got 3 inputs.*mf\.Langevin"):
        gibbs(NET, samples(5, 3), **SETTINGS)
    with pytest.raises(mf.InputError, match=r"Give `alpha`"):
        gibbs(mf.Network("tanh", beta=0.5), data, **SETTINGS)
    with pytest.raises(mf.InputError, match="a quadrature has at most 2 inputs"):
        duality_gap(NET, mf.Gaussian(3).sample(100, 0), samples(5, 3), **SETTINGS, sampling=False)
    twins = mf.Gaussian(1).sample(100, 0)
    with pytest.raises(mf.InputError, match="must not coincide"):
        duality_gap(NET, twins._replace(b=np.repeat(twins.b[:50], 2, axis=0)), data, **SETTINGS)
    with pytest.raises(mf.InputError, match="importance sampling must be worth 100 draws"):
        x = np.random.default_rng(0).standard_normal((20, 5))
        far = mf.Gaussian(5).sample(200, 0)
        proximal_gibbs(NET, far, mf.Dataset(x, 3.0 * x[:, 0]), weight_decay=0.02, temperature=0.001)
