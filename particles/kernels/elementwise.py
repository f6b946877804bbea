"""A formula of one number as a formula on lanes: any function Numba can compile, a lane at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from particles.kernels.compile import inlined, is_ours, registered, specialise
from particles.kernels.lanes import fma, load, put, store, take, width_of


def formula(v):  # stands for the formula until specialised
    return v


def _each_lane(v):
    found = v
    for j in range(width_of(v)):
        found = put(found, j, formula(take(v, j)))
    return found


def lanewise(formula: Callable[[float], float]) -> Any:
    """A formula of one number as one that kernels call, for an `Activation` of your own.

    Parameters
    ----------
    formula
        A function of one number that Numba compiles, with the functions of `math` and others of your own.

    Returns
    -------
    Callable
        The formula for all lanes of a vector, one after the other: 5 to 15 ns a number where it calls `math`.

    Examples
    --------
    >>> cube = mf.lanewise(lambda v: v**3)
    >>> row = mf.Activation("cube", cube, mf.lanewise(lambda v: 3 * v**2), np.inf, np.inf, linear_growth=False)
    >>> mf.Network(row).predict(mf.Measure(np.array([[2.0]]), np.ones(1), np.ones(1)), [[1.0]])
    array([8.])
    """
    return inlined(_each_lane, formula=registered(formula))


def _on_lanes(v):
    store(v, 0, fma(load(v, 0), formula(load(v, 0)), load(v, 0)))


def fault(formula: Any) -> str:
    """Why kernels cannot call the formula, in Numba's words; empty if they can."""
    if is_ours(formula):
        return ""
    try:
        specialise(_on_lanes, formula=registered(formula))(np.zeros(16))
    except (NumbaError, AssertionError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reasons = [line for line in lines if line.startswith((">>> ", "Cannot")) or "Error: " in line]
        inner = [line for line in reasons if "Failed in nopython" not in line]  # the last is the innermost call's
        return (inner or lines)[-1 if inner else 0].replace(">>> ", "no compiled ")[:120]
    return ""
