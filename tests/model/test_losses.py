"""The two losses against their formulas and finite differences."""

import re

import numpy as np
import pytest
from support import naive

import particles as mf
from particles.model.losses import LOSSES, Loss, loss

EACH = pytest.mark.parametrize("name", naive.LOSS)
Z = np.linspace(-6, 6, 49)
LABELS = pytest.mark.parametrize("label", [-1.0, 1.0])


def test_table__holds_these_rows():
    assert set(LOSSES) == set(naive.LOSS)


@EACH
@LABELS
@pytest.mark.parametrize(("part", "order"), [("value", 0), ("slope", 1)])
def test_loss__is_its_formula(name, label, part, order):
    y = np.full_like(Z, label)
    assert getattr(LOSSES[name], part)(Z, y) == pytest.approx(naive.LOSS[name][order](Z, y), rel=1e-14, abs=1e-14)


@EACH
@LABELS
def test_slope__is_the_derivative(name, label):
    y, h = np.full_like(Z, label), 1e-5
    value = LOSSES[name].value
    assert LOSSES[name].slope(Z, y) == pytest.approx((value(Z + h, y) - value(Z - h, y)) / (2 * h), abs=1e-9)


@EACH
def test_curvature__bounds_the_second_derivative_and_is_attained(name):
    y, h = np.ones_like(Z), 1e-5
    slope = LOSSES[name].slope
    bends = (slope(Z + h, y) - slope(Z - h, y)) / (2 * h)
    assert bends.max() == pytest.approx(LOSSES[name].curvature, abs=1e-9)


@EACH
@LABELS
def test_loss__does_not_overflow(name, label):
    z, y = np.array([-1e4, 1e4]), np.full(2, label)
    with np.errstate(all="raise", under="ignore"):
        value, slope = LOSSES[name].value(z, y), LOSSES[name].slope(z, y)
    far = np.maximum(0.0, -y * z) if name == "logistic" else (z - y) ** 2 / 2
    assert value == pytest.approx(far)
    assert slope == pytest.approx(np.where(y * z < 0, -y, 0.0) if name == "logistic" else z - y)


@EACH
def test_binary__is_the_classification_loss_only(name):
    assert LOSSES[name].binary == (name == "logistic")


HUBER = Loss(
    "huber",
    lambda z, y: np.where(abs(z - y) < 1, 0.5 * (z - y) ** 2, abs(z - y) - 0.5),
    lambda z, y: np.clip(z - y, -1, 1),
    1.0,
    False,
    lambda slope: np.where(abs(slope) < 1, 1.0, 0.0),
)


def test_loss__of_the_user_s_takes_one_sample_steps():
    """Its slope is not compiled, so it takes the path of larger batches; the squared loss shows that it is the same."""
    squared = LOSSES["squared"]._replace(name="mine")
    net, start = mf.Network("tanh"), mf.Gaussian(2).sample(64, seed=0)
    data = mf.Dataset(np.array([[0.5, -1.0], [2.0, 0.3], [-1.0, -0.2]]), np.array([0.1, 0.2, -0.3]))
    mine, ours = (mf.simulate(net, start, data, mf.SGD(0.5), steps=9, loss=row) for row in (squared, "squared"))
    np.testing.assert_allclose(mine.measure.b, ours.measure.b, rtol=1e-12)


def test_loss__of_the_user_s_is_the_one_that_runs():
    net, start = mf.Network("tanh"), mf.Gaussian(2).sample(64, seed=0)
    run = mf.simulate(net, start, mf.Dataset(np.eye(2), np.array([50.0, 50.0])), mf.SGD(0.1), steps=1, loss=HUBER)
    moved = np.abs(run.measure.b - start.b).max()  # |sigma' x| <= 1, and Huber's slope is at most 1
    assert 0.0 < moved <= 0.1


@pytest.mark.parametrize("part, wrong, rule", [
    ("slope", lambda z, y: y - z, "`slope` of the loss 'huber' must be dl/dz"),
    ("slope", lambda z, y: z - y, "`slope` of the loss 'huber' must be dl/dz"),
    ("curvature", 0.5, "`curvature` of the loss 'huber' must be at least"),
    ("bend", np.abs, "`bend` of the loss 'huber' must be d2l/dz2"),
])  # fmt: skip
def test_loss__of_the_user_s_with_a_wrong_part_is_refused(part, wrong, rule):
    with pytest.raises(mf.InputError, match=re.escape(rule)):
        loss(HUBER._replace(**{part: wrong}))


def test_loss__of_the_user_s_may_have_a_kink():
    assert loss(HUBER) is HUBER


def test_loss__of_the_user_s_with_a_name_of_the_package_is_refused():
    with pytest.raises(mf.InputError, match=r"an mf.Loss of your own .* got 'squared'\. Give it another"):
        loss(HUBER._replace(name="squared"))


def test_loss__names_the_nearest_row():
    with pytest.raises(mf.InputError, match=r"an mf.Loss or the name of one: got 'square'\. Did you mean 'squared'"):
        loss("square")
