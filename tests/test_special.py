"""The special functions against 40 digits of mpmath, on lanes and on numbers, in both float types."""

import math

import mpmath
import numba
import numpy as np
import pytest

from particles.kernels import special
from particles.kernels.lanes import LANES, load, store

TRUTH = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    "sigmoid_slope": lambda v: mpmath.sech(v / 2) ** 2 / 4,
    "tanh": mpmath.tanh,
    "tanh_slope": lambda v: mpmath.sech(v) ** 2,
    "softplus": lambda v: mpmath.log1p(mpmath.exp(v)),
    "erf": mpmath.erf,
    "erf_slope": lambda v: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-v * v),
    "gelu": lambda v: v * mpmath.erfc(-v / mpmath.sqrt(2)) / 2,
    "gelu_slope": lambda v: mpmath.erfc(-v / mpmath.sqrt(2)) / 2 + v * mpmath.npdf(v),
}
# Where the true value is a normal number, and so where 2 ulp are promised: float64, float32.
TOP = dict.fromkeys(TRUTH, (708.0, 87.0)) | {
    "tanh": (708.0, 87.0),
    "tanh_slope": (354.0, 43.0),
    "erf_slope": (26.5, 9.2),
    "gelu": (37.4, 12.9),
    "gelu_slope": (37.4, 12.9),
}
ULPS = dict.fromkeys(TRUTH, 2.0)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
NAMES = pytest.mark.parametrize("name", TRUTH)
WORST = [0.3626745296484639, 0.2201837265470818, -1.1329167700861749, -0.829162, -1.86115, 0.323059, -12.8846]


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


def grid(name, dtype):
    """Dense, random, near 0 on both sides, where digits cancel; half-way points of the reduction by ln 2."""
    top = TOP[name][dtype == np.float32]
    random = np.random.default_rng(0)
    small = np.logspace(-30, 0, 91)
    halves = (np.arange(-40, 40) + 0.5) * math.log(2.0)
    parts = [
        np.linspace(-top, top, 801), random.uniform(-2, 2, 1500), random.uniform(-6, 6, 1200),
        np.linspace(0.17, 0.4, 500), halves, small, -small, WORST, [0.0],
    ]  # fmt: skip
    points = np.concatenate(parts).astype(dtype)
    return points[abs(points) <= top]


def scale(name, v, truth):
    """What an error is measured by: the value, and for gelu's slope the larger of the two terms that cancel in it."""
    if name == "gelu_slope":
        return max(abs(truth), mpmath.erfc(-v / mpmath.sqrt(2)) / 2, abs(v) * mpmath.npdf(v))
    return abs(truth)


@NAMES
@DTYPES
def test_special__is_within_two_ulp(name, dtype):
    points = grid(name, dtype)
    with mpmath.workdps(40):
        exact = [mpmath.mpf(float(v)) for v in points]
        truth = [TRUTH[name](v) for v in exact]
        ulps = [
            float(abs(mpmath.mpf(float(f)) - t) / np.spacing(dtype(float(scale(name, v, t)))))
            for f, v, t in zip(on_lanes(name, dtype)(points), exact, truth, strict=True)
        ]
    worst = int(np.argmax(ulps))
    assert ulps[worst] < ULPS[name], f"{ulps[worst]} ulp at {float(points[worst])!r}"


@NAMES
@DTYPES
def test_special__as_plain_python_is_the_same_formula(name, dtype):
    """Where nothing is compiled a multiply-add rounds twice, so only nearly (and not where gelu's slope crosses 0)."""
    points = grid(name, dtype)
    compiled, plain = on_lanes(name, dtype)(points), getattr(special, name)(points)
    near = 1e-12 if dtype == np.float64 else 1e-5
    assert plain.dtype == dtype
    zero = near if name == "gelu_slope" else near * np.finfo(dtype).tiny
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


@NAMES
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
@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_functions__are_odd_and_keep_the_sign_of_zero(name, dtype):
    f, points = on_lanes(name, dtype), np.linspace(0, 25, 301)
    assert (f(-points) == -f(points)).all()
    assert np.signbit(f([-0.0]))[0]


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_lanewise__is_the_scalar_formula_on_every_lane(name):
    points = np.linspace(-40, 40, 96)
    assert (on_lanes(name, np.float64)(points) == [getattr(math, name)(v) for v in points]).all()
