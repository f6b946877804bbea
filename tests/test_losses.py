"""The two losses against their formulas and finite differences."""

import naive
import numpy as np
import pytest

import particles as mf
from particles.losses import LOSSES, loss

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


def test_loss__names_the_nearest_row():
    with pytest.raises(mf.InputError, match=r"one of squared, logistic: got square\. Did you mean 'squared'"):
        loss("square")
