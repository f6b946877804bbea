"""The losses against their formulas and finite differences."""

import re

import numpy as np
import pytest
from support import naive

import particles as mf
from particles.kernels.online import SLOPES
from particles.model.derivatives import check_loss
from particles.model.losses import LOSSES, loss, mean_loss, of_samples
from particles.simulation.stability import stable_step

EACH = pytest.mark.parametrize("name", naive.LOSS)
BOUNDED = sorted(set(naive.LOSS) - {"exponential"})  # its second derivative is the loss itself
FAR = {  # value and slope at z = -+1e4 for a target of size 1
    "squared": lambda z, y: ((z - y) ** 2 / 2, z - y),
    "huber": lambda z, y: (abs(z - y) - 0.5, np.sign(z)),
    "logistic": lambda z, y: (np.maximum(0.0, -y * z), np.where(y * z < 0, -y, 0.0)),
    "smooth_hinge": lambda z, y: (np.where(y * z < 0, 0.5 - y * z, 0.0), np.where(y * z < 0, -y, 0.0)),
}
Z = np.linspace(-6, 6, 49)
LABELS = pytest.mark.parametrize("label", [-1.0, 1.0])


def test_table__holds_these_rows():
    assert set(LOSSES) == set(naive.LOSS) | {"softmax"}


@EACH
@LABELS
@pytest.mark.parametrize(("part", "order"), [("value", 0), ("slope", 1)])
def test_loss__is_its_formula(name, label, part, order):
    y = np.full_like(Z, label)
    assert getattr(LOSSES[name], part)(Z, y) == pytest.approx(naive.LOSS[name][order](Z, y), rel=1e-14, abs=1e-14)


@EACH
@LABELS
def test_slope__is_the_derivative(name, label):
    z = Z + 0.01  # no kink within h
    y, h = np.full_like(z, label), 1e-5
    value = LOSSES[name].value
    assert LOSSES[name].slope(z, y) == pytest.approx((value(z + h, y) - value(z - h, y)) / (2 * h), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", BOUNDED)
def test_curvature__bounds_the_second_derivative_and_is_attained(name):
    y, h = np.ones_like(Z), 1e-5
    slope = LOSSES[name].slope
    bends = (slope(Z + h, y) - slope(Z - h, y)) / (2 * h)
    assert bends.max() == pytest.approx(LOSSES[name].curvature, abs=1e-9)


@pytest.mark.parametrize("name", BOUNDED)
@LABELS
def test_loss__does_not_overflow(name, label):
    z, y = np.array([-1e4, 1e4]), np.full(2, label)
    with np.errstate(all="raise", under="ignore"):
        value, slope = LOSSES[name].value(z, y), LOSSES[name].slope(z, y)
    expected = FAR[name](z, y)
    assert value == pytest.approx(expected[0])
    assert slope == pytest.approx(expected[1])


@EACH
def test_binary__is_a_loss_of_labels(name):
    assert LOSSES[name].binary == (name in naive.LABELLED)


@EACH
def test_row__passes_the_checks_of_a_loss_of_the_user_s(name):
    check_loss(LOSSES[name]._replace(name=f"my_{name}"))


@EACH
@LABELS
def test_compiled_slope__is_the_one_of_numpy_and_keeps_nan(name, label):
    slopes = [SLOPES[name](z, label) for z in Z]
    assert slopes == pytest.approx(LOSSES[name].slope(Z, np.full_like(Z, label)), rel=1e-14, abs=1e-14)
    assert np.isnan(SLOPES[name](np.nan, label))


# Several outputs

SOFTMAX = LOSSES["softmax"]
SHARES = np.array([[0.0, 1.0, 0.0], [0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
OUTPUTS = np.array([[0.3, -1.2, 2.0], [0.0, 0.0, 0.0], [5.0, -7.0, 1.0], [-0.4, 0.1, 0.2]])


def differences(f, z, h=1e-3):
    """df/dz_p at every sample by differences of four points: (n, ...) -> (n, ..., k)."""
    columns = []
    for p in range(z.shape[1]):
        at = {step: f(z + step * h * np.eye(z.shape[1])[p]) for step in (-2, -1, 1, 2)}
        columns.append((8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h))
    return np.stack(columns, axis=-1)


def test_softmax__is_its_formula():
    value, slope = naive.JOINT["softmax"]
    assert SOFTMAX.value(OUTPUTS, SHARES) == pytest.approx(value(OUTPUTS, SHARES), rel=1e-14)
    assert SOFTMAX.slope(OUTPUTS, SHARES) == pytest.approx(slope(OUTPUTS, SHARES), rel=1e-14, abs=1e-15)
    assert (SOFTMAX.joint, SOFTMAX.classes, SOFTMAX.binary) == (True, True, False)


def test_softmax__has_the_slope_and_the_bend_of_its_value():
    slope = SOFTMAX.slope(OUTPUTS, SHARES)
    assert slope == pytest.approx(differences(lambda z: SOFTMAX.value(z, SHARES), OUTPUTS), rel=1e-9, abs=1e-11)
    bend = SOFTMAX.bend(slope, SHARES)
    assert bend == pytest.approx(differences(lambda z: SOFTMAX.slope(z, SHARES), OUTPUTS), rel=1e-9, abs=1e-11)
    assert (bend == bend.swapaxes(1, 2)).all()


def test_softmax__bends_at_most_as_much_as_its_curvature_and_as_much_between_two_classes():
    random = np.random.default_rng(0)
    z, y = 3.0 * random.standard_normal((500, 4)), np.eye(4)[random.integers(0, 4, 500)]
    sizes = np.linalg.eigvalsh(SOFTMAX.bend(SOFTMAX.slope(z, y), y))
    assert sizes.min() > -1e-15 and sizes.max() <= SOFTMAX.curvature
    even = np.array([[0.0, 0.0]])
    assert np.linalg.eigvalsh(SOFTMAX.bend(SOFTMAX.slope(even, even + 0.5), even + 0.5)).max() == SOFTMAX.curvature


def test_softmax__does_not_overflow_and_a_common_shift_changes_nothing():
    y = np.eye(3)[[0, 1]]
    with np.errstate(all="raise", under="ignore"):
        for size in (1e4, 1e300):
            z = np.array([[-size, size, 0.0], [-size, size, 0.0]])
            assert SOFTMAX.value(z, y) == pytest.approx([2 * size, 0.0])
            assert SOFTMAX.slope(z, y) == pytest.approx(np.array([[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    assert SOFTMAX.value(OUTPUTS + 64.0, SHARES) == pytest.approx(SOFTMAX.value(OUTPUTS, SHARES), abs=1e-13)


def test_softmax__of_two_outputs_is_the_logistic_loss_of_their_difference():
    random = np.random.default_rng(1)
    z, first = random.standard_normal((20, 2)), random.integers(0, 2, 20)
    gap, label = z[:, 1] - z[:, 0], 2.0 * first - 1.0
    assert SOFTMAX.value(z, np.eye(2)[first]) == pytest.approx(LOSSES["logistic"].value(gap, label), rel=1e-13)
    slope = SOFTMAX.slope(z, np.eye(2)[first])
    assert slope[:, 1] == pytest.approx(LOSSES["logistic"].slope(gap, label), rel=1e-12)
    assert slope.sum(axis=1) == pytest.approx(np.zeros(20), abs=1e-15)


@EACH
def test_loss__of_several_outputs_is_the_sum_over_them(name):
    y = np.sign(OUTPUTS[::-1]) + (OUTPUTS[::-1] == 0)
    expected = sum(naive.LOSS[name][0](OUTPUTS[:, o], y[:, o]) for o in range(3))
    assert of_samples(LOSSES[name], OUTPUTS, y) == pytest.approx(expected, rel=1e-14)
    assert mean_loss(LOSSES[name], OUTPUTS, y) == pytest.approx(expected.mean(), rel=1e-14)


@EACH
def test_bend__is_the_derivative_of_the_slope_on_arrays_of_outputs(name):
    z = OUTPUTS + 0.013  # no kink is near
    y = np.sign(z[::-1])
    slope = LOSSES[name].slope(z, y)
    h = 1e-5
    quotient = (LOSSES[name].slope(z + h, y) - LOSSES[name].slope(z - h, y)) / (2 * h)
    assert LOSSES[name].bend(slope) == pytest.approx(quotient, rel=1e-8, abs=1e-8)


def test_training__with_the_softmax_loss_that_diverges_says_so(samples):
    """No NaN in silence: slopes are bounded, so it is the loss that shows it."""
    data = mf.Dataset(samples(n=6).x, list("abcabc"))
    net = mf.Network("tanh", train=("input", "output"), outputs=3)
    start = mf.Gaussian(3).sample(16, seed=0, signs="random", outputs=3)
    with pytest.raises(mf.DivergedError, match="run diverged") as caught:
        mf.simulate(net, start, data, mf.GradientDescent(1e9), steps=50, loss="softmax")
    assert np.isfinite(caught.value.run.dataset.loss.values).all()


def test_stable_step__of_a_loss_without_a_bound_is_the_one_at_outputs_0(samples):
    """There the exponential loss bends as the squared one."""
    net, start, x = mf.Network("tanh"), mf.Gaussian(3).sample(16, seed=0), samples().x
    assert stable_step(net, start, x, LOSSES["exponential"]) == stable_step(net, start, x, LOSSES["squared"])


def test_training__with_the_exponential_loss_that_diverges_says_so(samples):
    data = samples(loss="exponential")
    with pytest.raises(mf.DivergedError, match="run diverged"):
        mf.simulate(mf.Network("linear"), mf.Gaussian(3).sample(16, seed=0), data, mf.GradientDescent(1e4), steps=50,
                    loss="exponential")  # fmt: skip


KINKED = LOSSES["huber"]._replace(name="kinked")


def test_loss__of_the_user_s_takes_one_sample_steps():
    """Its slope is not compiled, so it takes the path of larger batches; the squared loss shows that it is the same."""
    squared = LOSSES["squared"]._replace(name="mine")
    net, start = mf.Network("tanh"), mf.Gaussian(2).sample(64, seed=0)
    data = mf.Dataset(np.array([[0.5, -1.0], [2.0, 0.3], [-1.0, -0.2]]), np.array([0.1, 0.2, -0.3]))
    mine, ours = (mf.simulate(net, start, data, mf.SGD(0.5), steps=9, loss=row) for row in (squared, "squared"))
    np.testing.assert_allclose(mine.measure.b, ours.measure.b, rtol=1e-12)


def test_loss__of_the_user_s_is_the_one_that_runs():
    net, start = mf.Network("tanh"), mf.Gaussian(2).sample(64, seed=0)
    run = mf.simulate(net, start, mf.Dataset(np.eye(2), np.array([50.0, 50.0])), mf.SGD(0.1), steps=1, loss=KINKED)
    moved = np.abs(run.measure.b - start.b).max()  # |sigma' x| <= 1, and Huber's slope is at most 1
    assert 0.0 < moved <= 0.1


@pytest.mark.parametrize("part, wrong, rule", [
    ("slope", lambda z, y: y - z, "`slope` of the loss 'kinked' must be dl/dz"),
    ("slope", lambda z, y: z - y, "`slope` of the loss 'kinked' must be dl/dz"),
    ("curvature", 0.5, "`curvature` of the loss 'kinked' must be at least"),
    ("bend", np.abs, "`bend` of the loss 'kinked' must be d2l/dz2"),
])  # fmt: skip
def test_loss__of_the_user_s_with_a_wrong_part_is_refused(part, wrong, rule):
    with pytest.raises(mf.InputError, match=re.escape(rule)):
        loss(KINKED._replace(**{part: wrong}))


def test_loss__of_the_user_s_may_have_a_kink():
    assert loss(KINKED) is KINKED


def test_loss__of_the_user_s_with_a_name_of_the_package_is_refused():
    with pytest.raises(mf.InputError, match=r"an mf.Loss of your own .* got 'squared'\. Give it another"):
        loss(KINKED._replace(name="squared"))


def test_loss__names_the_nearest_row():
    with pytest.raises(mf.InputError, match=r"an mf.Loss or the name of one: got 'square'\. Did you mean 'squared'"):
        loss("square")


@pytest.mark.parametrize("part", ["value", "slope"])
def test_exponential__overflows_without_a_warning(part):
    """The run then ends as diverged; a warning on stderr would say less."""
    assert np.isinf(getattr(LOSSES["exponential"], part)(np.array([-1e4]), np.ones(1))).all()
