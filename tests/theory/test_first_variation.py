"""The first variation: the plain formula, its gradient by finite differences, what it refuses, convexity in mu."""

import numpy as np
import pytest

import particles as mf
from particles.model.regularisers import L1, L2
from particles.theory.optimality.potential import first_variation

RULES = [L2(0.0), L2(0.1), L1(0.05)]


@pytest.fixture
def problem():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((7, 3)), random.choice([-1.0, 1.0], 7)
    return mf.Dataset(x, y), mf.Gaussian(3).sample(600, 0, signs="random"), random


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("loss", "beta"), [("squared", 1.0), ("logistic", 1.0), ("squared", 0.5)])
def test_first_variation__is_the_plain_formula(rule, loss, beta, problem):
    data, measure, random = problem
    net = mf.Network("tanh", beta=beta)
    b, s = random.standard_normal((700, 3)), random.choice([-1.0, 1.0], 700)
    alpha = 600 ** (1.0 - beta)
    g = net.predict(measure, data.x)
    slope = (g - data.y if loss == "squared" else -data.y / (1.0 + np.exp(data.y * g))) / 7
    size = 0.5 * (b**2).sum(axis=1) if isinstance(rule, L2) else np.abs(b).sum(axis=1)
    wanted = alpha * s * (np.tanh(b @ data.x.T) @ slope) + alpha**2 * rule.weight * size
    found = first_variation(net, measure, data, loss, rule).value(b, s)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.parametrize("rule", RULES)
def test_first_variation__gradient_is_that_of_its_values(rule, problem):
    data, measure, random = problem
    V = first_variation(mf.Network("sigmoid"), measure, data, regulariser=rule)
    b, s, h = random.standard_normal((300, 3)), random.choice([-1.0, 1.0], 300), 1e-6
    _, gradient = V.both(b, s)
    for k, axis in enumerate(np.eye(3)):
        slope = (V.value(b + h * axis, s) - V.value(b - h * axis, s)) / (2 * h)
        np.testing.assert_allclose(gradient[:, k], slope, atol=1e-8)


def test_first_variation__is_the_derivative_of_the_loss_along_mixtures(problem):
    data, measure, _ = problem
    net, other, h = mf.Network("tanh"), mf.Gaussian(3, std=2.0).sample(300, 5, signs="random"), 1e-5
    V = first_variation(net, measure, data)

    def risk(share):
        g = (1 - share) * net.predict(measure, data.x) + share * net.predict(other, data.x)
        return np.mean((g - data.y) ** 2) / 2

    wanted = other.w @ V.value(other.b, other.s) - measure.w @ V.value(measure.b, measure.s)
    assert (risk(h) - risk(-h)) / (2 * h) == pytest.approx(wanted, rel=1e-8)


def test_first_variation__refuses(problem):
    data, measure, _ = problem
    with pytest.raises(mf.InputError, match="the first variation is defined on"):
        first_variation(mf.Network("tanh", train=("input", "output")), measure, data)
    with pytest.raises(mf.InputError, match="no function of the measure"):
        first_variation(mf.Network("tanh"), measure, data, regulariser=L2(0.1, about="start"))
    with pytest.raises(mf.InputError, match="positions must have shape"):
        first_variation(mf.Network("tanh"), measure, data).value(np.ones((2, 2)), np.ones(2))
    with pytest.raises(mf.InputError, match="labels"):
        first_variation(mf.Network("tanh"), measure, mf.Dataset(data.x, (data.y + 1) / 2), "logistic")
