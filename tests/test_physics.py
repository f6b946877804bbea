"""What the flow must do whatever the numbers are: lose energy at its rate, keep symmetries, say so when it diverges."""

import re

import naive
import numpy as np
import pytest

import particles as mf
from particles.losses import loss as loss_row
from particles.stability import stable_step

BETAS = pytest.mark.parametrize("beta", [0.5, 1.0])
LOSSES = pytest.mark.parametrize("loss", ["squared", "logistic"])
RULES = pytest.mark.parametrize("rule", [None, mf.L2(0.5)], ids=["none", "L2"])


@BETAS
@LOSSES
@RULES
@pytest.mark.parametrize("train", ["input", ("input", "output")], ids=["input", "both"])
def test_dissipation__is_the_rate_of_descent_to_first_order(beta, loss, rule, train, cloud, samples):
    """dL/dt = -alpha^2 E|v|^2."""
    net, start, data = mf.Network("tanh", beta=beta, train=train), cloud(M=20), samples(loss=loss)

    def error(size):
        run = mf.simulate(
            net, start, data, mf.GradientDescent(size), steps=1, loss=loss, regulariser=rule,
            record=("objective", "dissipation"),
        )  # fmt: skip
        before, after = run.dataset.objective.values
        return abs((after - before) / size + run.dataset.dissipation.values[0])

    assert naive.order([error(0.02 / 2**k) for k in range(4)]) == pytest.approx(1.0, abs=0.1)


@LOSSES
def test_duplicated_particles__leave_the_mean_field_run_unchanged(loss, cloud, samples):
    start, data, net = cloud(M=150), samples(loss=loss), mf.Network("tanh")
    twice = mf.Measure(np.repeat(start.b, 2, axis=0), np.repeat(start.s, 2), np.repeat(start.w, 2) / 2)
    once, again = (
        mf.simulate(net, measure, data, mf.GradientDescent(0.5), steps=30, loss=loss) for measure in (start, twice)
    )
    assert again.dataset.loss.values == pytest.approx(once.dataset.loss.values, rel=1e-12)
    for half in (0, 1):
        assert again.measure.b[half::2] == pytest.approx(once.measure.b, rel=1e-11, abs=1e-12)


def test_symmetric_start__keeps_pairs_apart_by_the_sign_of_their_force(samples):
    """From g = 0 the first step moves the two particles of a pair by opposite amounts."""
    start = mf.Gaussian(3).sample(10, 0, "symmetric")
    run = mf.simulate(mf.Network("tanh", beta=0.5), start, samples(), mf.GradientDescent(0.1), steps=1)
    moved = run.measure.b - start.b
    assert moved[:5] == pytest.approx(-moved[5:], abs=1e-15)


def test_rotation__of_inputs_and_particles_turns_the_whole_run(cloud, samples):
    start, data, net = cloud(M=20), samples(), mf.Network("tanh")
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    method = mf.GradientDescent(0.5)
    run, turned = (
        mf.simulate(net, start._replace(b=start.b @ q), mf.Dataset(data.x @ q, data.y), method, steps=20)
        for q in (np.eye(3), turn)
    )
    assert turned.dataset.loss.values == pytest.approx(run.dataset.loss.values, rel=1e-12)
    assert turned.measure.b == pytest.approx(run.measure.b @ turn, abs=1e-12)


def diverging():
    """The error of a ReLU network at a step far too large, and a runner of the same problem at another."""
    random = np.random.default_rng(0)
    data = mf.Dataset(random.standard_normal((20, 3)), random.standard_normal(20))
    start = mf.Gaussian(3).sample(50, seed=0)

    def run(size, steps=60):
        return mf.simulate(mf.Network("relu"), start, data, mf.GradientDescent(size), steps=steps)

    with pytest.raises(mf.DivergedError) as caught:
        run(200.0)
    return caught.value, run


def suggested(error):
    return float(re.search(r"Try step = ([\d.e+-]+)\. ", str(error))[1])


def test_divergence__names_the_iteration():
    error, _ = diverging()
    lost = int(re.search(r"at iteration (\d+)", str(error))[1])
    assert error.run.dataset.iteration.values.tolist() == list(range(lost))


def test_divergence__keeps_what_was_recorded():
    error, run = diverging()
    kept = error.run.dataset
    assert error.run.status == kept.attrs["status"] == "diverged"
    before = run(200.0, steps=len(kept.time) - 1).dataset
    assert kept.loss.values.tolist() == before.loss.values.tolist()
    assert kept.prediction.values.tolist() == before.prediction.values.tolist()


def test_divergence__suggests_a_step_that_descends():
    error, run = diverging()
    losses = run(suggested(error)).dataset.loss.values
    assert losses[-1] < 0.6 * losses[0]


def test_divergence__suggests_a_smaller_step_where_weight_decay_is_the_cause(cloud, samples):
    """Under a pull lam alone a step above 2 / lam overshoots further each time."""
    with pytest.raises(mf.DivergedError) as caught:
        method = mf.GradientDescent(0.1)
        mf.simulate(mf.Network("tanh"), cloud(), samples(), method, steps=400, regulariser=mf.L2(300.0))
    assert suggested(caught.value) < 2 / 300


def test_divergence__is_found_in_particles_that_outputs_do_not_show(cloud, samples):
    """A saturated tanh hides an infinite particle from the loss."""
    far = mf.Dataset(samples().x, samples().y * 1e10)
    with pytest.raises(mf.DivergedError, match="a particle is no longer finite after iteration 1"):
        mf.simulate(mf.Network("tanh"), cloud(M=20), far, mf.GradientDescent(1e300), steps=3)


@pytest.mark.parametrize(("loss", "curvature"), [("squared", 1.0), ("logistic", 0.25)])
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_stable_step__of_a_linear_network_is_2n_over_the_largest_eigenvalue(loss, curvature, beta, cloud, samples):
    """There K = X X^T: the largest squared singular value of X."""
    x = samples(n=30).x
    found = stable_step(mf.Network("linear", beta=beta), cloud(M=9), x, loss_row(loss))
    assert found == pytest.approx(2 * 30 / (curvature * np.linalg.svd(x)[1][0] ** 2), rel=1e-12)


@pytest.mark.parametrize(("factor", "grows"), [(0.99, False), (1.01, True)])
def test_stable_step__is_where_a_linear_network_turns(factor, grows, cloud, samples):
    """With beta = 1 and signs +1 the outputs follow the linearised descent exactly, so the bound is sharp."""
    start, data, net = cloud(M=9)._replace(s=np.ones(9)), samples(n=30), mf.Network("linear")
    step = factor * stable_step(net, start, data.x, loss_row("squared"))
    losses = mf.simulate(net, start, data, mf.GradientDescent(step), steps=200).dataset.loss.values
    assert (losses[-1] > losses[-2]) == grows


def test_simulate__does_not_depend_on_numpy_s_error_settings():
    """Losses of far outputs underflow on purpose."""
    data = mf.Dataset(3000.0 * np.eye(2), np.ones(2))

    def losses():
        start = mf.Gaussian(2).sample(64, seed=0)
        run = mf.simulate(mf.Network("relu"), start, data, mf.GradientDescent(1e-9), steps=2, loss="logistic")
        return run.dataset["loss"].values.tolist()

    with np.errstate(all="raise"):
        strict = losses()
    assert strict == losses()
