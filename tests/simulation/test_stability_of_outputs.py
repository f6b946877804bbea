"""The largest stable step for k outputs, against linear networks, whose descent is known, and every batch in turn."""

import itertools

import numpy as np
import pytest

import particles as mf
from particles.model.losses import loss as loss_row
from particles.simulation.stability import stable_step

LINEAR = mf.Network("linear", outputs=2)
SQUARED = loss_row("squared")


def problem(n, d=3, M=9, k=2):
    """Inputs, equal atoms with any output weights, and E a a^T of these."""
    random = np.random.default_rng([n, d, k])
    measure = mf.Measure(random.standard_normal((M, d)), random.standard_normal((M, k)), np.full(M, 1 / M))
    return random.standard_normal((n, d)), measure, measure.s.T @ measure.s / M


@pytest.mark.parametrize(("loss", "bend"), [("squared", 1.0), ("logistic", 0.25), ("softmax", 0.5)])
def test_stable_step__of_a_linear_network_is_that_of_a_kronecker_product(loss, bend):
    """There K = X X^T (x) E a a^T."""
    x, measure, moment = problem(30)
    found = stable_step(LINEAR, measure, x, loss_row(loss))
    top = np.linalg.svd(x)[1][0] ** 2 * np.linalg.eigvalsh(moment)[-1]
    assert found == pytest.approx(2 * 30 / (bend * top), rel=1e-12)


@pytest.mark.parametrize("train", [("input",), ("output",), ("input", "output")], ids="+".join)
def test_stable_step__is_two_n_over_the_largest_eigenvalue_of_the_gram_matrix(train):
    x, measure, _ = problem(30)
    net = mf.Network("tanh", train=train, outputs=2)
    top = np.linalg.eigvalsh(mf.tangent.gram(net, measure, x))[-1]
    assert stable_step(net, measure, x, SQUARED) == pytest.approx(2 * 30 / top, rel=1e-12)


def spread(features, step, batch, pull):
    """By how much one step of SGD multiplies E b b^T: every batch of features phi_i phi_i^T, in turn."""
    p = len(features[0])
    factors = [
        np.eye(p) - step * (sum(features[i] for i in drawn) / batch + pull * np.eye(p))
        for drawn in itertools.product(range(len(features)), repeat=batch)
    ]
    return np.abs(np.linalg.eigvals(np.mean([np.kron(factor, factor) for factor in factors], axis=0))).max()


@pytest.mark.parametrize(("batch", "pull"), [(1, 0.0), (2, 0.7)])
def test_stable_step__of_batches_is_where_the_mean_square_grows(batch, pull):
    x, measure, moment = problem(8)
    features = [np.kron(np.outer(row, row), moment) for row in x]
    safe = stable_step(LINEAR, measure, x, SQUARED, mf.L2(pull), mf.SGD(1.0, batch=batch))
    assert spread(features, 0.999 * safe, batch, pull) < 1.0 < spread(features, 1.001 * safe, batch, pull)
    assert safe < 0.9 * stable_step(LINEAR, measure, x, SQUARED, mf.L2(pull))


def test_stable_step__of_weights_that_grow_has_the_variance_of_every_output():
    """The kernel of Fisher-Rao's weights, the covariance of g over particles, on top of that of positions."""
    x, measure, _ = problem(20)
    net, rate = mf.Network("tanh", outputs=2), 3.0
    moved = (np.tanh(x @ measure.b.T)[:, None] * measure.s.T).reshape(40, -1)
    kernel = mf.tangent.gram(net, measure, x) + rate * np.cov(moved, bias=True)
    found = stable_step(net, measure, x, SQUARED, method=mf.FisherRao(1.0, rate=rate))
    assert found == pytest.approx(2 * 20 / np.linalg.eigvalsh(kernel)[-1], rel=1e-12)


@pytest.mark.parametrize("k", [10, 100])
def test_stable_step__of_many_outputs_looks_at_the_longest_of_many_samples(k):
    """One outlier among 5000 samples is half of the curvature."""
    x = np.full((5000, 1), 0.1)
    x[1234] = np.sqrt(50.0)
    s = np.random.default_rng(0).choice([-1.0, 1.0], (4 * k, k))
    start = mf.Measure(np.ones((4 * k, 1)), s, np.full(4 * k, 0.25 / k))
    top = np.linalg.eigvalsh(s.T @ s / (4 * k))[-1]
    found = stable_step(mf.Network("linear", outputs=k), start, x, SQUARED)
    assert found == pytest.approx(2 / (0.02 * top), rel=1e-3)


def test_stable_step__of_a_joint_loss_without_a_bound_is_the_one_at_outputs_0():
    """There softmax with k = 2 bends by 1/2, which is its bound as well."""
    x, measure, _ = problem(30)
    free = loss_row("softmax")._replace(name="mine", curvature=np.inf)
    assert stable_step(LINEAR, measure, x, free) == pytest.approx(
        stable_step(LINEAR, measure, x, loss_row("softmax")), rel=1e-12
    )


def test_divergence__of_three_outputs_advises_a_step_that_is_stable():
    x, measure, _ = problem(30, k=3)
    net, data = mf.Network("linear", outputs=3), mf.Dataset(x, np.random.default_rng(0).standard_normal((30, 3)))
    with pytest.raises(mf.DivergedError, match="The likely cause is the step") as caught:
        mf.simulate(net, measure, data, mf.GradientDescent(1e3), steps=400)
    step = float(str(caught.value).split("Try step = ")[1].split(". What")[0])
    losses = mf.simulate(net, measure, data, mf.GradientDescent(step), steps=50).dataset.loss.values
    assert losses[-1] < losses[0]
