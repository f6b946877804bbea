"""The paper's own update, in the paper's own parameters, against `simulate`.

Here neuron r has an output weight a_r = c_r / M^beta and the update is (3): every weight minus eta_paper times its
partial derivative of the regularised loss (2). Nothing of flow time appears but the two conversions under test.
"""

import numpy as np
import pytest
from support import naive

import particles as mf
from particles.data.batches import Batches

M, STEPS, STEP, WEIGHT = 6, 5, 0.4, 0.2
BETAS = pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
LOSSES = pytest.mark.parametrize("loss", ["squared", "logistic"])
TRAINS = pytest.mark.parametrize("train", ["input", "output", ("input", "output")], ids=["input", "output", "both"])
RULES = pytest.mark.parametrize(
    "rule", [None, mf.L1(WEIGHT), mf.L2(WEIGHT), mf.L2(WEIGHT, about="start")], ids=["none", "L1", "L2", "start"]
)


def regularised_step(weight, gradient, first, eta, lam, rule):
    """One step of (3) for one array of weights: L1 by its proximal map, L2 by its gradient."""
    if isinstance(rule, mf.L1):
        return naive.shrink(weight - eta * gradient, eta * lam)
    if rule is None:
        return weight - eta * gradient
    anchor = first if rule.about == "start" else 0.0
    return weight - eta * (gradient + lam * (weight - anchor))


def papers_descent(start, net, batches, loss, rule, eta, lam, train):
    """The iterates (b, c) of gradient descent on L_n, from t = 1 to STEPS + 1, with explicit sums."""
    sigma, derivative = np.tanh, lambda v: 1 / np.cosh(v) ** 2
    first_b, first_c = start.b, start.s
    iterates = [(first_b, first_c)]
    for x, y in batches:
        b, c = iterates[-1]
        a, n = c / M**net.beta, len(y)
        gradient_b, gradient_c = np.zeros_like(b), np.zeros_like(c)
        for i in range(n):
            g = sum(a[r] * sigma(b[r] @ x[i]) for r in range(M))
            slope = naive.LOSS[loss][1](g, y[i])
            for r in range(M):
                gradient_b[r] += slope * a[r] * derivative(b[r] @ x[i]) * x[i] / n
                gradient_c[r] += slope * M**-net.beta * sigma(b[r] @ x[i]) / n
        moved_b = regularised_step(b, gradient_b, first_b, eta, lam, rule)
        moved_c = regularised_step(c, gradient_c, first_c, eta, lam, rule)
        iterates.append((moved_b if "input" in train else b, moved_c if "output" in train else c))
    return iterates


def same(measure, iterate):
    for found, expected in zip((measure.b, measure.s), iterate, strict=True):
        assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


@BETAS
@LOSSES
@RULES
@TRAINS
def test_gradient_descent__is_the_papers_update(beta, loss, rule, train, cloud, samples):
    net, start, data = mf.Network("tanh", beta=beta, train=train), cloud(M), samples(loss=loss)
    eta, lam = net.paper_step(STEP, M), net.paper_weight(WEIGHT, M)
    expected = papers_descent(start, net, [(data.x, data.y)] * STEPS, loss, rule, eta, lam, train)
    method = mf.GradientDescent(STEP)
    run = mf.simulate(net, start, data, method, steps=STEPS, loss=loss, regulariser=rule, record=())
    same(run.measure, expected[-1])


@BETAS
@pytest.mark.parametrize("batch", [1, 3])
def test_sgd__is_the_papers_update_on_each_batch(beta, batch, cloud, samples):
    net, start, data = mf.Network("tanh", beta=beta), cloud(M), samples()
    drawn = Batches(data, batch, seed=9)
    each = [drawn.at(t) for t in range(STEPS)]
    expected = papers_descent(start, net, each, "squared", None, net.paper_step(STEP, M), 0.0, "input")
    run = mf.simulate(net, start, data, mf.SGD(STEP, batch=batch, seed=9), steps=STEPS, record=())
    same(run.measure, expected[-1])


@BETAS
@TRAINS
def test_averaged_sgd__is_section_3_2(beta, train, cloud):
    """w' = w - eta d l_t - eta lam (w - w1), and wbar_(T+1) = the mean of w_1 .. w_(T+1)."""
    net, start = mf.Network("tanh", beta=beta, train=train), cloud(M)
    stream = mf.Stream(inputs=mf.Sphere(3), target=lambda x: np.sin(3 * x[:, 0]), noise=0.1, seed=2)
    each = [(sample.x, sample.y) for sample in (stream.rows(t, t + 1) for t in range(STEPS))]
    eta, lam = net.paper_step(STEP, M), net.paper_weight(WEIGHT, M)
    expected = papers_descent(start, net, each, "squared", mf.L2(WEIGHT, about="start"), eta, lam, train)
    run = mf.simulate(net, start, stream, mf.AveragedSGD(STEP, weight_decay=WEIGHT), steps=STEPS, record=())
    same(run.measure, expected[-1])
    mean = [np.mean([iterate[part] for iterate in expected], axis=0) for part in (0, 1)]
    assert len(expected) == STEPS + 1
    same(run.average, mean)


@pytest.mark.parametrize("method", [mf.GradientDescent(STEP, average=True), mf.SGD(STEP, seed=9, average=True)])
def test_average__is_the_mean_of_all_iterates(method, cloud, samples):
    run = mf.simulate(mf.Network("tanh"), cloud(M), samples(), method, steps=STEPS, record=("position",))
    same(run.average, (run.dataset.position.values.mean(axis=0), cloud(M).s))


@BETAS
def test_first_steps__do_not_depend_on_the_width_in_function_space(beta, cloud, samples):
    """The point of flow time: the same cloud repeated moves g by the same amount, at any M and beta.

    From g = 0 the change of g in one step is -eta n^-1 sum_j k(x, x_j) l'(0, y_j), with k the mean over particles.
    """
    data, few = samples(), mf.Gaussian(3).sample(4, 1, "symmetric")
    many = mf.Measure(np.tile(few.b, (50, 1)), np.tile(few.s, 50), np.full(200, 1 / 200))
    size, net = 1e-7, mf.Network("tanh", beta=beta)
    x = data.x
    slopes = 1 / np.cosh(x @ few.b.T) ** 2
    kernel = (slopes @ slopes.T / 4) * (x @ x.T)
    for start in (few, many):
        run = mf.simulate(net, start, data, mf.GradientDescent(size), steps=1)
        change = np.diff(run.dataset.prediction.values, axis=0)[0] / size
        assert change == pytest.approx(kernel @ data.y / len(data), abs=1e-5)
