"""The exponentials of our own against 40 digits of mpmath."""

import math

import mpmath
import numpy as np
import pytest

from particles.kernels import special

TRUTH = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    "tanh": mpmath.tanh,
}
LARGEST = {"exp": 708.0, "expm1": 708.0, "sigmoid": 708.0, "tanh": 25.0}
WORST = [0.3626745296484639, 0.2201837265470818, -1.1329167700861749]
FORMS = pytest.mark.parametrize("form", ["compiled", "plain"])
NAMES = pytest.mark.parametrize("name", TRUTH)


def function(name, form):
    compiled = getattr(special, name)
    return compiled if form == "compiled" else compiled.py_func


def grid(name):
    """Dense, random, and near 0 on both sides, where digits cancel; half-way points of the reduction by ln 2."""
    top = LARGEST[name]
    small = np.logspace(-300, 0, 151)
    halves = (np.arange(-40, 40) + 0.5) * math.log(2.0)
    # Where one ln 2 has just been taken off, expm1 and tanh of it lose most: the worst of 10^5 random points.
    inside = np.concatenate([np.random.default_rng(0).uniform(-2.0, 2.0, 2000), np.linspace(0.17, 0.4, 2000), WORST])
    return np.concatenate([np.linspace(-top, top, 1501), halves[abs(halves) < top], inside, small, -small, [0.0]])


@FORMS
@NAMES
def test_special__is_within_its_stated_error(name, form):
    f, points = function(name, form), grid(name)
    with mpmath.workdps(40):
        truth = [TRUTH[name](mpmath.mpf(v)) for v in points]
        ulps = [abs(f(v) - t) / np.spacing(abs(float(t))) for v, t in zip(points, truth, strict=True)]
    worst = int(np.argmax(ulps))
    assert ulps[worst] <= (2.5 if name == "tanh" else 2.0), f"{float(ulps[worst])} ulp at {points[worst]!r}"


@FORMS
@NAMES
def test_special__lets_nan_pass(name, form):
    assert math.isnan(function(name, form)(math.nan))


@FORMS
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("exp", math.exp(-708), math.exp(708)),
        ("expm1", -1.0, math.expm1(708)),
        ("sigmoid", math.exp(-708), 1.0),
        ("tanh", -1.0, 1.0),
    ],
)
def test_special__saturates_at_infinity(name, low, high, form):
    f = function(name, form)
    assert f(-math.inf) == f(-1e300) == pytest.approx(low, rel=1e-15)
    assert f(math.inf) == f(1e300) == pytest.approx(high, rel=1e-15)


@FORMS
def test_tanh__is_odd_and_keeps_the_sign_of_zero(form):
    f = function("tanh", form)
    points = np.linspace(0, 25, 301)
    assert [f(-v) for v in points] == [-f(v) for v in points]
    assert math.copysign(1.0, f(-0.0)) == -1.0
