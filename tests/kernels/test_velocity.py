"""The velocity is minus the derivative of the objective: finite differences of the naive twin."""

import numpy as np
import pytest
from support import naive
from support.daily import some

import particles as mf

SIZE, H = 0.25, 1e-5
ACTIVATIONS = pytest.mark.parametrize("activation", some(naive.SIGMA, "relu", "tanh"))
LOSSES = pytest.mark.parametrize("loss", naive.LOSS)
BETAS = pytest.mark.parametrize("beta", [0.5, 1.0])
RULES = pytest.mark.parametrize("rule", [mf.L1(0.1), mf.L2(0.3), mf.L2(0.3, about="start")], ids=repr)


def objective(layers, starts, w, data, activation, alpha, loss, rule):
    """L_n of (2): the mean loss plus h."""
    g = naive.network(*layers, w, data.x, naive.SIGMA[activation][0], alpha)
    return np.mean(naive.LOSS[loss][0](g, data.y)) + alpha**2 * naive.penalty(layers, starts, w, rule)


def downhill(layers, layer, w, alpha, of):
    """-alpha^-2 w_r^-1 d objective / d(layer of particle r), by central differences."""
    v = np.empty_like(layers[layer])
    for place in np.ndindex(v.shape):
        values = []
        for h in (H, -H):
            moved = [a.copy() for a in layers]
            moved[layer][place] += h
            values.append(of(moved))
        v[place] = -(values[0] - values[1]) / (2 * H) / (w[place[0]] * alpha**2)
    return v


def check(activation, loss, rule, beta, start, data):
    """The second of two steps, (b_3 - b_2) / step, against the derivatives at b_2: the pull to b_1 acts there."""
    net = mf.Network(activation, beta=beta, train=("input", "output"))
    record = ("position", "output_weight")
    size = SIZE / 64 if loss == "exponential" else SIZE  # with quadratic neurons it overflows in two larger steps
    run = mf.simulate(net, start, data, mf.GradientDescent(size), steps=2, loss=loss, regulariser=rule, record=record)
    first, now, after = (tuple(run.dataset[name].values[t] for name in record) for t in range(3))
    alpha = len(start.w) ** (1 - beta)

    def of(layers):
        return objective(layers, first, start.w, data, activation, alpha, loss, rule)

    for layer in (0, 1):
        found = (after[layer] - now[layer]) / size
        assert found == pytest.approx(downhill(now, layer, start.w, alpha, of), rel=1e-7, abs=1e-8)


@ACTIVATIONS
@LOSSES
@BETAS
def test_velocity__descends_the_loss(activation, loss, beta, cloud, samples):
    check(activation, loss, mf.L2(0.0), beta, cloud(M=4), samples(n=5, loss=loss))


@RULES
@LOSSES
@BETAS
def test_velocity__descends_the_regularised_loss(rule, loss, beta, cloud, samples):
    start = cloud(M=4)
    away = start._replace(b=start.b + np.copysign(0.5, start.b))  # so that no particle crosses the kink of |b|
    check("tanh", loss, rule, beta, away, samples(n=5, loss=loss))


@LOSSES
def test_velocity__descends_on_a_weighted_measure(loss, cloud, samples):
    check("tanh", loss, mf.L2(0.3, about="start"), 1.0, cloud(M=4, equal=False), samples(n=5, loss=loss))
