"""Whether the weights of a convex program are optimal, by another solver and by the program's conditions."""

import numpy as np
import pytest
from scipy import optimize


def check_optimum(found, value, slope):
    """value, slope : of the objective, as functions of the weights of the atoms."""
    count = len(found.measure.w)
    sums = {"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: np.ones(count)}
    other = optimize.minimize(value, np.full(count, 1 / count), jac=slope, method="SLSQP", bounds=[(0, 1)] * count,
                              constraints=sums, options={"ftol": 1e-15, "maxiter": 500})  # fmt: skip
    assert found.objective == pytest.approx(other.fun, abs=1e-8)
    assert found.objective <= other.fun + 1e-10
    w, V = found.measure.w, slope(found.measure.w)
    assert (w >= 0).all() and w.sum() == pytest.approx(1.0, abs=1e-14)
    assert w @ (V - V.min()) <= 1e-10 * 1.01  # every atom with weight has the least V
    assert found.objective == pytest.approx(value(w), abs=1e-13)
