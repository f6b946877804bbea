"""Quadratic neurons on one sample: the flow, its dependence on the start and so the variance of networks.

With x = 1, sigma(v) = v^2 and the squared loss the output S = int b^2 dmu follows S' = 4 S (y - S), so that
S(t) = y / (1 + (y / S0 - 1) exp(-4 y t)): a function of the start through S0 = int b^2 dmu_1 alone. Its first variation
is S'(S0) (b^2 - S0), and for b ~ N(0, std^2) the variance of sqrt(M) S_M tends to S'(S0)^2 2 std^4.
"""

import numpy as np
import pytest

import particles as mf

NET = mf.Network("quadratic")
TIME = 0.5


def flow(S0, y, t):
    """S(t) and its derivative by S0."""
    S = y / (1.0 + (y / S0 - 1.0) * np.exp(-4.0 * y * t))
    return S, (S / S0) ** 2 * np.exp(-4.0 * y * t)


def derivative(std, y, scheme, steps, **other):
    law, data = mf.Gaussian(1, std), mf.Dataset([[1.0]], [y])
    method = mf.RungeKutta(TIME / steps, scheme=scheme)
    return law, mf.sensitivity(NET, law.quadrature(16), data, method, steps=steps, of=["prediction", "loss"],
                               by="particle", **other)  # fmt: skip


@pytest.mark.parametrize("scheme", ["classic", "dormand-prince"])
@pytest.mark.parametrize(("std", "y"), [(1.0, 2.0), (0.2, 1.0), (1.5, 0.5)], ids=["up", "saddle", "down"])
def test_variance__is_that_of_the_closed_form(std, y, scheme):
    """At every recorded time, to 1e-6: of the output, and of the loss, whose slope is S - y."""
    law, found = derivative(std, y, scheme, 100, record_every=10)
    data = found.dataset
    S, slope = flow(std**2, y, data["time"].values)
    expected = 2.0 * std**4 * slope**2
    np.testing.assert_allclose(data["prediction"].values[:, 0], S, rtol=1e-6)
    np.testing.assert_allclose(data["prediction_std"].values[:, 0] ** 2, expected, rtol=1e-6)
    np.testing.assert_allclose(data["loss_std"].values ** 2, expected * (S - y) ** 2, rtol=2e-6)
    b = law.sample(50, seed=0)
    psi = found.variation(b)["prediction_variation"].values[:, 0]
    np.testing.assert_allclose(psi, slope[:, None] * (b.b[:, 0] ** 2 - std**2), rtol=1e-5, atol=1e-7)


def test_variance__has_the_order_of_the_scheme():
    """Halved steps of the scheme of fourth order are 16 times as near."""
    _, slope = flow(1.0, 2.0, TIME)
    errors = [
        abs(derivative(1.0, 2.0, "classic", steps)[1].dataset["prediction_std"].item() / np.sqrt(2.0) - slope)
        for steps in (8, 16, 32)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.4)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(4.0, abs=0.3)


def test_variance__is_that_of_networks():
    """2000 networks whose flow is known: M Var S_M within 4 standard errors of the first order, M = 4096."""
    M, std, y = 4096, 1.0, 2.0
    S0 = np.random.default_rng(0).chisquare(M, 2000) * std**2 / M
    measured = M * flow(S0, y, TIME)[0].var(ddof=1)
    expected = derivative(std, y, "classic", 50)[1].dataset["prediction_std"].item() ** 2
    assert abs(measured / expected - 1.0) < 4.0 * np.sqrt(2.0 / 2000)
