"""What the flow must do whatever the numbers are: lose energy at its rate, keep symmetries, say so when it diverges."""

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest
from support import naive

import particles as mf
from particles.data.batches import Batches
from particles.kernels.elementwise import lanewise
from particles.measures.measure import source_of
from particles.methods.base import Problem
from particles.model.losses import loss as loss_row
from particles.model.regularisers import NONE
from particles.population.samples import Samples
from particles.simulation.stability import advice, rounded_down, stable_step

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


def spread(x, step, batch, pull=0.0):
    """By how much one step of SGD on linear neurons multiplies E b b^T: every batch that can be drawn, in turn."""
    n, d = x.shape
    factors = [
        np.eye(d) - step * (x[list(drawn)].T @ x[list(drawn)] / batch + pull * np.eye(d))
        for drawn in itertools.product(range(n), repeat=batch)
    ]
    return np.abs(np.linalg.eigvals(np.mean([np.kron(factor, factor) for factor in factors], axis=0))).max()


@pytest.mark.parametrize(("batch", "pull"), [(1, 0.0), (1, 0.7), (2, 0.0), (2, 0.7)])
def test_stable_step__of_batches_is_where_the_mean_square_grows(batch, pull, cloud, samples):
    net, x = mf.Network("linear"), samples(n=12).x
    safe = stable_step(net, cloud(M=9), x, loss_row("squared"), mf.L2(pull), mf.SGD(1.0, batch=batch))
    assert spread(x, 0.999 * safe, batch, pull) < 1.0 < spread(x, 1.001 * safe, batch, pull)
    assert safe < 0.8 * stable_step(net, cloud(M=9), x, loss_row("squared"), mf.L2(pull))


@pytest.mark.parametrize("batch", [1, 4])
def test_stable_step__of_gaussian_inputs_is_2b_over_d_plus_b_plus_1(batch, cloud):
    x = np.random.default_rng(0).standard_normal((4000, 5))
    safe = stable_step(mf.Network("linear"), cloud(M=9, d=5), x, loss_row("squared"), method=mf.SGD(1.0, batch=batch))
    assert safe == pytest.approx(2 * batch / (5 + batch + 1), rel=0.1)


def test_stable_step__of_many_samples_looks_at_the_longest(cloud):
    """One outlier among 5000 samples is half of the curvature."""
    x = np.full((5000, 1), 0.1)
    x[1234] = np.sqrt(50.0)
    safe = stable_step(mf.Network("linear"), cloud(M=9, d=1), x, loss_row("squared"))
    assert safe == pytest.approx(2 / 0.02, rel=1e-3)


def test_stable_step__of_dual_averaging_and_of_fisher_rao_know_their_methods(cloud, samples):
    x, net, row = samples(n=30).x, mf.Network("tanh"), loss_row("squared")
    plain = stable_step(net, cloud(), x, row)
    assert stable_step(net, cloud(), x, row, method=mf.DualAveraging(1.0, 0.1, 0.0, inner=7)) == pytest.approx(
        plain / 7
    )
    still = stable_step(net, cloud(), x, row, method=mf.FisherRao(1.0, rate=0.0))
    assert stable_step(net, cloud(), x, row, method=mf.FisherRao(1.0, rate=50.0)) < 0.5 * still == 0.5 * plain


NOISY = {
    "sgd": mf.SGD(9.0, batch=2),
    "averaged": mf.AveragedSGD(9.0, 0.1, batch=2),
    "langevin": mf.Langevin(9.0, 0.01, weight_decay=0.1, batch=2),
    "dual averaging": mf.DualAveraging(60.0, 0.01, weight_decay=0.1),
    "robbins-monro": mf.SGD(mf.RobbinsMonro(90.0, t0=9.0), batch=2),
    "inverse root": mf.SGD(mf.InverseSqrt(9.0), batch=2),
}


@pytest.mark.parametrize("method", NOISY.values(), ids=NOISY.keys())
def test_divergence__with_batches_advises_a_step_that_does_not_diverge(method):
    """The step 9 is far above what batches of 2 bear; descent on all samples is stable up to 3.5."""
    random = np.random.default_rng(2)
    data = mf.Dataset(random.standard_normal((40, 5)), random.standard_normal(40))
    start, settings = mf.Gaussian(5).sample(20, seed=0), {"record": ("loss",), "record_every": 999}
    net = mf.Network("linear")
    with pytest.raises(mf.DivergedError) as caught:
        mf.simulate(net, start, data, method, steps=400, **settings)
    name, found = re.search(r"Try (step|c) = ([\d.e+-]*\d)", str(caught.value)).groups()
    given = method.step if name == "step" else method.step.c
    advised = float(found) if name == "step" else dataclasses.replace(method.step, c=float(found))
    assert float(found) <= 0.5 * given
    run = mf.simulate(net, start, data, dataclasses.replace(method, step=advised), steps=2000, **settings)
    assert run.dataset.loss.values[-1] < 10 * run.dataset.loss.values[0]


def message_of(net, start, data, step):
    """What a run of descent at this step would be told, had it diverged."""
    samples = Samples(net, Batches(data, None, 0), data)
    problem = Problem(net, loss_row("squared"), NONE, samples, mf.GradientDescent(step), np.full(9, step), np.zeros(10))
    return advice(problem, source_of(start), moved=True)


@pytest.mark.parametrize("failed", [1e-3, 1 / 3, 0.0123456])
def test_divergence__never_advises_more_than_half_of_what_failed(failed, cloud, samples):
    """Whatever the start says: the kernel may grow on the way."""
    message = message_of(mf.Network("tanh", train=("input", "output")), cloud(), samples(), failed)
    step = float(re.search(r"Try step = ([\d.e+-]*\d)\. ", message)[1])
    assert 0.45 * failed < step <= 0.5 * failed and "The kernel has grown since." in message


def test_divergence__of_a_start_whose_kernel_overflows_advises_no_step(cloud, samples):
    data = samples()
    message = message_of(mf.Network("linear"), cloud(), mf.Dataset(1e160 * data.x, data.y), 1.0)
    assert message.endswith("are too large. Scale them.") and "Try" not in message


def test_divergence__of_an_activation_that_is_no_number_names_it_and_where(cloud, samples):
    """The data are not to blame: log is NaN at half of the numbers that any start gives it."""
    log = mf.ACTIVATIONS["tanh"]._replace(
        name="log", sigma=lanewise(math.log), derivative=lanewise(lambda v: 1.0 / v), pair=None, linear_growth=False,
        second_derivative=None, slope_bound=np.inf, curvature_bound=np.inf,
    )  # fmt: skip
    with pytest.raises(mf.DivergedError, match=r"The activation 'log' is NaN at -\d\S*, one of") as caught:
        mf.simulate(mf.Network(log), cloud(), samples(), mf.GradientDescent(0.1), steps=2)
    assert "Scale" not in str(caught.value)


def test_divergence__of_a_derivative_that_is_no_number_names_it(cloud, samples):
    """Its check looks at small numbers alone: far out NaN may be an overflow."""
    row = mf.ACTIVATIONS["tanh"]._replace(name="mine", derivative=lambda v: math.nan if abs(v) > 4.0 else 1.0)
    net = mf.Network("tanh")
    object.__setattr__(net, "activation", row)
    data = samples()
    message = message_of(net, cloud(), mf.Dataset(100.0 * data.x, data.y), 1.0)
    assert message.startswith("The derivative of the activation 'mine' is NaN at ")


@pytest.mark.parametrize("batch", [1, 3, None])
def test_divergence__before_the_first_step_blames_no_step(batch, cloud, samples):
    data = samples()
    far = mf.Dataset(data.x, np.full(len(data), 1e200))
    method = mf.SGD(0.1, batch=batch) if batch else mf.GradientDescent(0.1)
    with pytest.raises(mf.DivergedError, match=r"the loss is inf at iteration 0\. No step was taken yet"):
        mf.simulate(mf.Network("tanh"), cloud(), far, method, steps=3)


@pytest.mark.parametrize(
    ("value", "digits", "found"), [(0.0123, 1, 0.01), (0.99, 1, 0.9), (7.77, 2, 7.7), (123.0, 2, 120.0)]
)
def test_rounded_down__has_its_digits_and_is_no_more(value, digits, found):
    assert rounded_down(value, digits) == found


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
