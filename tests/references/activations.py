"""sigma (`NAME`), sigma' (`NAME_slope`) and sigma'' (`NAME_curvature`) of every activation at some points.

From 30 digits.
"""

import mpmath
import numpy as np

TRUTH = {
    "relu": lambda v: max(v, mpmath.mpf(0)),
    "smooth_relu": lambda v: (v + mpmath.sqrt(v**2 + mpmath.mpf(0.1) ** 2)) / 2,
    "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "gelu": lambda v: v * mpmath.ncdf(v),
    "softplus": lambda v: mpmath.log(1 + mpmath.exp(v)),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "quadratic": lambda v: v**2,
    "linear": lambda v: v,
}
# 0 is left out: ReLU has no slope there.
POINTS = np.concatenate([np.linspace(-30, 30, 122), np.linspace(-2, 2, 80), [-1e-9, 1e-9]])


def computed() -> dict[str, np.ndarray]:
    found = {"points": POINTS}
    with mpmath.workdps(30):
        exact = [mpmath.mpf(v) for v in POINTS.tolist()]
        for name, f in TRUTH.items():
            found[name] = np.array([float(f(v)) for v in exact])
            found[f"{name}_slope"] = np.array([float(mpmath.diff(f, v, h=1e-12)) for v in exact])
            found[f"{name}_curvature"] = np.array([float(mpmath.diff(f, v, 2, h=1e-12)) for v in exact])
    return found
