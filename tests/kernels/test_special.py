"""The special functions against 40 digits, on lanes and on numbers, in both float types."""

import functools
import math

import numba
import numpy as np
import pytest
import scipy.special
from references import stored
from references.special import TOP, grid

from particles.kernels import special
from particles.kernels.elementwise import lanewise
from particles.kernels.lanes import LANES, load, store

ROOT_TAU = math.sqrt(2 * math.pi)
# By scipy in float64: good to 1e-7 of float32's ulp.
DOUBLE = {
    "exp": np.exp,
    "expm1": np.expm1,
    "sigmoid": scipy.special.expit,
    "sigmoid_slope": lambda v: np.cosh(v / 2) ** -2 / 4,
    "tanh": np.tanh,
    "tanh_slope": lambda v: np.cosh(v) ** -2,
    "softplus": lambda v: np.log1p(np.exp(v)),
    "erf": scipy.special.erf,
    "erf_slope": lambda v: 2 / math.sqrt(math.pi) * np.exp(-v * v),
    "gelu": lambda v: v * scipy.special.ndtr(v),
    "gelu_slope": lambda v: scipy.special.ndtr(v) + v * np.exp(-v * v / 2) / ROOT_TAU,
    "sin": np.sin,
    "cos": np.cos,
}
# Where the true value is a normal number of float32.
TOP_SINGLE = dict.fromkeys(DOUBLE, 87.0) | {"tanh_slope": 43.0, "erf_slope": 9.2, "gelu": 12.9, "gelu_slope": 12.9}
TOP_SINGLE |= {"sin": 256.0, "cos": 256.0}
CROSSES_ZERO = "gelu_slope", "sin", "cos"
ULPS = 2.0
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
NAMES = pytest.mark.parametrize("name", DOUBLE)


@functools.cache
def on_lanes(name, dtype):
    """The function on an array whose length is a multiple of the lanes."""
    f, lanes = getattr(special, name), LANES[np.dtype(dtype).name]

    @numba.njit(error_model="numpy")
    def run(a, out):
        for j in range(0, a.size, lanes):
            store(out, j, f(load(a, j)))

    def whole(points):
        a = np.zeros(-(-len(points) // lanes) * lanes, dtype)
        a[: len(points)] = points
        out = np.empty_like(a)
        run(a, out)
        return out[: len(points)]

    return whole


@functools.cache
def digits():
    return stored("special")


def points_of(name, dtype):
    if dtype == np.float64:
        return grid(digits()["points"], TOP[name])
    points = grid(digits()["points"], TOP_SINGLE[name]).astype(dtype)
    return points[abs(points) <= TOP_SINGLE[name]]


def scale(name, v, truth):
    """What an error is measured by: the value, and for gelu's slope the larger of the two terms that cancel in it."""
    if name != "gelu_slope":
        return np.abs(truth)
    terms = scipy.special.ndtr(v), np.abs(v) * np.exp(-v * v / 2) / ROOT_TAU
    return np.maximum.reduce([np.abs(truth), *terms])


def ulps(name, dtype, found, points, truth, rest):
    """How far from `truth + rest` the values are; the difference of two close numbers is exact."""
    v = points.astype(np.float64)
    return np.abs((found.astype(np.float64) - truth) - rest) / np.spacing(scale(name, v, truth).astype(dtype))


@NAMES
@DTYPES
def test_special__is_within_two_ulp(name, dtype):
    points = points_of(name, dtype)
    if dtype == np.float64:
        truth = digits()[name]
        rest = digits()[f"{name}_rest"] * np.spacing(truth)
    else:
        truth, rest = DOUBLE[name](points.astype(np.float64)), 0.0
    away = ulps(name, dtype, on_lanes(name, dtype)(points), points, truth, rest)
    worst = int(np.argmax(away))
    assert away[worst] < ULPS, f"{away[worst]} ulp at {float(points[worst])!r}"


@NAMES
@DTYPES
def test_special__as_plain_python_is_the_same_formula(name, dtype):
    """Where nothing is compiled a multiply-add rounds twice, so only nearly (and not where a function crosses 0)."""
    points = points_of(name, dtype)
    compiled, plain = on_lanes(name, dtype)(points), getattr(special, name)(points)
    near = 1e-12 if dtype == np.float64 else 1e-5
    assert plain.dtype == dtype
    zero = near if name in CROSSES_ZERO else near * np.finfo(dtype).tiny
    np.testing.assert_allclose(plain, compiled, rtol=near, atol=zero)


@NAMES
def test_special__on_a_number_has_the_bits_of_a_lane(name):
    f = getattr(special, name)
    number, points = numba.njit(error_model="numpy")(lambda v: f(v)), np.linspace(-5, 5, 64)
    assert np.array([number(v) for v in points]).tobytes() == on_lanes(name, np.float64)(points).tobytes()


@NAMES
@DTYPES
def test_special__lets_nan_pass(name, dtype):
    assert np.isnan(on_lanes(name, dtype)([math.nan])).all()


# Values at -inf and inf; "small" stands for the least normal number's neighbourhood.
ENDS = {
    "exp": ("small", "large"), "expm1": (-1.0, "large"), "sigmoid": ("small", 1.0), "sigmoid_slope": ("small", "small"),
    "tanh": (-1.0, 1.0), "tanh_slope": ("small", "small"), "softplus": ("small", math.inf), "erf": (-1.0, 1.0),
    "erf_slope": ("small", "small"), "gelu": ("small", math.inf), "gelu_slope": ("small", 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
@DTYPES
def test_special__saturates_at_infinity(name, dtype):
    found = on_lanes(name, dtype)([-math.inf, math.inf, -1e30, 1e30])
    tiny, huge = 1e5 * np.finfo(dtype).tiny, np.finfo(dtype).max / 1e2
    for value, end in zip(found[:2], ENDS[name], strict=True):
        if end == "small":
            assert abs(value) < tiny
        elif end == "large":
            assert huge < value < math.inf
        else:
            assert value == end
    assert np.isfinite(found[2])
    assert found[3] == (dtype(1e30) if ENDS[name][1] == math.inf else found[1])


@DTYPES
@pytest.mark.parametrize("name", ["tanh", "erf", "sin"])
def test_odd_functions__are_odd_and_keep_the_sign_of_zero(name, dtype):
    f, points = on_lanes(name, dtype), np.linspace(0, 25, 301)
    assert (f(-points) == -f(points)).all()
    assert np.signbit(f([-0.0]))[0]


@DTYPES
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sin_and_cos__far_from_zero_are_libms_on_the_lanes_that_are_there(name, dtype):
    random = np.random.default_rng(0)
    near, far = random.uniform(-200, 200, 64).astype(dtype), random.uniform(2e6, 1e12, 64).astype(dtype)
    mixed = np.stack([near, far], axis=1).reshape(-1)
    values = on_lanes(name, dtype)(mixed)
    assert values[::2].tobytes() == on_lanes(name, dtype)(near).tobytes()
    np.testing.assert_allclose(values[1::2], DOUBLE[name](far.astype(np.float64)), rtol=0, atol=np.finfo(dtype).eps)
    assert np.isnan(on_lanes(name, dtype)([math.inf, -math.inf])).all()


@pytest.mark.parametrize("name", ["sin", "log1p"])
def test_lanewise__is_the_scalar_formula_on_every_lane(name):
    f, points = lanewise(getattr(math, name)), np.linspace(0, 40, 96)

    @numba.njit
    def run(a, out):
        for j in range(0, a.size, 8):
            store(out, j, f(load(a, j)))

    values = np.empty_like(points)
    run(points, values)
    assert (values == [getattr(math, name)(v) for v in points]).all()
