"""Whether the formulas of a row that a user added belong together: checked once, by difference quotients."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError
from particles.kernels.elementwise import fault

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

_FAR = 4.3 * 1.37 ** np.arange(11.0)  # to 100: a formula may have pieces beyond those of most starts
POINTS: Array = np.concatenate(
    [8.0 * ((np.arange(1.0, 41.0) * 0.6180339887498949) % 1.0) - 4.0, _FAR, -_FAR]
)  # no kinks
_STEP = 1e-4


def _one_by_one(formula: Callable[[Any], Any]) -> Function:
    """A formula of one number on arrays; NaN where Python raises what compiled code answers with NaN or inf."""

    def value(v: np.float64) -> float:
        try:
            return float(formula(v))
        except (ArithmeticError, ValueError):
            return np.nan

    return lambda points: np.array([value(v) for v in points.ravel()]).reshape(points.shape)


def _quotients(f: Function, points: Array = POINTS) -> tuple[Array, Array]:
    """Central difference quotients of f and how far they can be trusted.

    The quotients of two steps differ where f has a kink or bends sharply between them.
    """
    wide, narrow = ((f(points + h) - f(points - h)) / (2.0 * h) for h in (_STEP, 0.5 * _STEP))
    return narrow, 4.0 * np.abs(wide - narrow) + 1e-5 * (1.0 + np.abs(narrow))


def _check_derivative(rule: str, f: Function, derivative: Function) -> None:
    """InputError with `rule` if `derivative` is not that of f; points where f has no finite quotient are left out."""
    with np.errstate(all="ignore"):
        (found, error), stated = _quotients(f), derivative(POINTS)
    known = np.isfinite(found + error) & (np.isfinite(stated) | (np.abs(POINTS) <= 4.0))  # exp may overflow far out
    wrong = np.flatnonzero(known & ~(np.abs(stated - found) <= error))
    if wrong.size:
        at = wrong[0]
        got = f"{stated[at]:.6g} at {POINTS[at]:.4g}, where a difference quotient is {found[at]:.6g}"
        raise InputError(rule, got, "Correct the formula.")


def _curvature_of(slope: Function) -> Function:
    """|f''| of f with this slope, as far as quotients are sure of it."""

    def sure(points: Array) -> Array:
        found, error = _quotients(slope, points)
        return np.maximum(np.abs(found) - error, 0.0)

    return sure


def _check_bound(rule: str, stated: float, f: Function) -> None:
    """InputError with `rule` if |f| exceeds the bound by more than its quotients are sure of."""
    with np.errstate(all="ignore"):
        sizes = np.abs(f(POINTS))
    if np.nanmax(sizes, initial=0.0) > stated * (1.0 + 1e-6) + 1e-9:
        at = int(np.nanargmax(sizes))
        got = f"the bound {stated:.6g}, and {sizes[at]:.6g} at {POINTS[at]:.4g}"
        raise InputError(rule, got, "State a larger one, or that there is none (inf, False).")


def _check_expectation(rule: str, kernel: Callable[[Array, Array, Array], Array], f: Function) -> None:
    """InputError with `rule` if `kernel` is far from E f(u) f(v) at one Gaussian pair; a step costs a tenth here."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    weights = weights / weights.sum()
    q11, q12, q22 = 1.1, 0.6, 1.7
    u = np.sqrt(q11) * nodes
    v = q12 / q11 * u[:, None] + np.sqrt(q22 - q12 * q12 / q11) * nodes
    with np.errstate(all="ignore"):
        left, right = f(u), f(v)
        found = float(weights @ (left * (right @ weights)))
        scale = np.sqrt((weights @ left**2) * (weights @ (right**2 @ weights)))
        stated = float(kernel(np.array([q11]), np.array([q12]), np.array([q22]))[0])
    if np.isfinite(found) and not abs(stated - found) <= 0.15 * scale + 1e-9:
        got = f"{stated:.4g} at variances 1.1, 1.7 and covariance 0.6, where quadrature gives {found:.4g}"
        raise InputError(rule, got, "Correct the formula, or leave it out.")


@cache
def check_activation(row: Any) -> None:
    """InputError unless the formulas belong together with the bounds, as far as some sixty points tell, and compile."""
    _check_formulas(row)
    for name in ("sigma", "derivative"):
        if why := fault(getattr(row, name)):
            rule = f"`{name}` of the activation {row.name!r} must be a formula on lanes that Numba compiles"
            raise InputError(rule, why, "Write it of one number, with the functions of `math`, and pass lanewise(it).")


def _check_formulas(row: Any) -> None:
    sigma, slope = _one_by_one(row.sigma), _one_by_one(row.derivative)
    try:
        sigma(POINTS[:1]), slope(POINTS[:1])
    except (TypeError, NotImplementedError):  # written for the compiler alone
        return
    of = f"of the activation {row.name!r} must"
    _check_derivative(f"`derivative` {of} be the slope of `sigma`", sigma, slope)
    _check_bound(f"`slope_bound` {of} be at least sup |sigma'|", row.slope_bound, slope)
    _check_bound(f"`curvature_bound` {of} be at least sup |sigma''|", row.curvature_bound, _curvature_of(slope))
    if row.linear_growth:
        rule = f"`linear_growth` {of} mean |sigma(u)| <= 1 + |u|"
        _check_bound(rule, 1.0, lambda u: sigma(u) / (1.0 + np.abs(u)))
    if row.pair:
        both = [row.pair(u) for u in POINTS]
        if not np.allclose(both, np.stack([sigma(POINTS), slope(POINTS)], axis=1), rtol=1e-9, atol=1e-9):
            raise InputError(f"`pair` {of} give (sigma, sigma')", "other numbers", "Leave it out.")
    for kind, kernel, formula in (("value", row.value_kernel, sigma), ("slope", row.slope_kernel, slope)):
        if kernel:
            _check_expectation(f"`{kind}_kernel` {of} be the expectation of its products", kernel, formula)


@cache
def check_loss(row: Any) -> None:
    """InputError unless the loss's formulas and bound belong together, as far as some sixty points tell."""
    y = np.where(POINTS > 0.0, 1.0, -1.0)[::-1] if row.binary else 0.4 * POINTS[::-1]
    of = f"of the loss {row.name!r} must"

    def slope(z: Array) -> Array:
        return np.asarray(row.slope(z, y), dtype=np.float64)

    _check_derivative(f"`slope` {of} be dl/dz of `value`", lambda z: np.asarray(row.value(z, y)), slope)
    _check_bound(f"`curvature` {of} be at least sup d2l/dz2", row.curvature, _curvature_of(slope))
    _check_derivative(f"`bend` {of} be d2l/dz2 by the slope", slope, lambda z: np.asarray(row.bend(slope(z))))
