"""The special functions at many points: each value as a double, and its rest to 40 digits in ulp (`NAME_rest`)."""

import math

import mpmath
import numpy as np

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
    "sin": mpmath.sin,
    "cos": mpmath.cos,
}
# Where the true value is a normal number of float64, and so where 2 ulp are promised.
TOP = dict.fromkeys(TRUTH, 708.0) | {"tanh_slope": 354.0, "erf_slope": 26.5, "gelu": 37.4, "gelu_slope": 37.4}
TOP |= {"sin": 2.0**20, "cos": 2.0**20}  # as far as they are ours
WORST = [0.3626745296484639, 0.2201837265470818, -1.1329167700861749, -0.829162, -1.86115, 0.323059, -12.8846]


def points() -> np.ndarray:
    """Random ones, near 0 on both sides, where digits cancel; half-way points of the reduction by ln 2; multiples
    of pi/4.
    """
    random = np.random.default_rng(0)
    exponents = np.linspace(-30, 0, 91)
    small = np.array([float(mpmath.mpf(10) ** e) for e in exponents.tolist()])  # NumPy's pow depends on the processor
    halves = (np.arange(-40, 40) + 0.5) * math.log(2.0)
    parts = [random.uniform(-2, 2, 1500), random.uniform(-6, 6, 1200), np.linspace(0.17, 0.4, 500),
             halves, np.arange(-200, 200) * (math.pi / 4), small, -small, WORST, [0.0]]  # fmt: skip
    return np.concatenate(parts)


def grid(points: np.ndarray, top: float) -> np.ndarray:
    """The points up to `top`, and a dense row of them up to there."""
    dense = np.arange(-400, 401) * (top / 400)
    return np.concatenate([dense, points[abs(points) <= top]])


def computed() -> dict[str, np.ndarray]:
    few = points()
    found = {"points": few}
    with mpmath.workdps(40):
        for name, f in TRUTH.items():
            exact = [f(mpmath.mpf(v)) for v in grid(few, TOP[name]).tolist()]
            found[name] = near = np.array([float(v) for v in exact])
            rest = [
                float((v - mpmath.mpf(a)) / mpmath.mpf(b))
                for v, a, b in zip(exact, near.tolist(), np.spacing(near).tolist(), strict=True)
            ]
            found[f"{name}_rest"] = np.array(rest, np.float32)
    return found
