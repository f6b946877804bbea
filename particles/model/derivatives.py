"""Whether the formulas of a row that a user added belong together: checked once, by difference quotients."""

import contextlib
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
_ROUNDING = 2.0**-50  # of a value: 4 units in the last place


def one_by_one(formula: Callable[[Any], Any]) -> Function:
    """A formula of one number on arrays; NaN, or inf of an overflow, where Python raises and compiled code does not."""

    def value(v: np.float64) -> float:
        try:
            return float(formula(v))
        except OverflowError:
            return np.inf
        except (ArithmeticError, ValueError):
            return np.nan

    return lambda points: np.array([value(v) for v in points.ravel()]).reshape(points.shape)


def _quotients(f: Function, points: Array = POINTS, terms: float = 0.0) -> tuple[Array, Array]:
    """Central difference quotients of f and how far they can be trusted; terms: how large those of f may be.

    The quotients of two steps differ where f has a kink or bends sharply between them. A small f has small errors: 1e-5
    of its largest slope about 0, or of 1, and what rounding makes of its values.
    """
    high, low = f(points + 0.5 * _STEP), f(points - 0.5 * _STEP)
    wide, narrow = (f(points + _STEP) - f(points - _STEP)) / (2.0 * _STEP), (high - low) / _STEP
    near = np.abs(narrow[(np.abs(points) <= 4.0) & np.isfinite(narrow)])
    rounding = _ROUNDING * (np.abs(high) + np.abs(low) + terms) / _STEP
    error = 1e-5 * (min(1.0, near.max(initial=0.0)) + np.abs(narrow)) + rounding
    return narrow, 4.0 * np.abs(wide - narrow) + error


def check_derivative(rule: str, f: Function, derivative: Function, terms: float = 0.0) -> None:
    """InputError with `rule` if `derivative` is not that of f; points where f has no finite quotient are left out."""
    with np.errstate(all="ignore"):
        (quotient, error), stated = _quotients(f, terms=terms), derivative(POINTS)
    known = np.isfinite(quotient + error) & (np.isfinite(stated) | (np.abs(POINTS) <= 4.0))  # exp may overflow far out
    wrong = np.flatnonzero(known & ~(np.abs(stated - quotient) <= error))
    if wrong.size:
        at = wrong[0]
        got = f"{stated[at]:.6g} at {POINTS[at]:.4g}, where a difference quotient is {quotient[at]:.6g}"
        raise InputError(rule, got, "Correct the formula.")


def _curvature_of(slope: Function) -> Function:
    """|f''| of f with this slope, as far as quotients are sure of it."""

    def sure(points: Array) -> Array:
        quotient, error = _quotients(slope, points)
        return np.maximum(np.abs(quotient) - error, 0.0)

    return sure


def check_bound(rule: str, stated: float, f: Function) -> None:
    """InputError with `rule` if |f| exceeds the bound by more than its quotients are sure of."""
    with np.errstate(all="ignore"):
        values = f(POINTS)
    sizes = np.where(np.isfinite(values), np.abs(values), 0.0)  # exp may overflow far out
    at = int(sizes.argmax())
    if sizes[at] > stated * (1.0 + 1e-6):
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
        expected = float(weights @ (left * (right @ weights)))
        scale = np.sqrt((weights @ left**2) * (weights @ (right**2 @ weights)))
        stated = float(kernel(np.array([q11]), np.array([q12]), np.array([q22]))[0])
    if np.isfinite(expected) and not abs(stated - expected) <= 0.15 * scale:
        got = f"{stated:.4g} at variances 1.1, 1.7 and covariance 0.6, where quadrature gives {expected:.4g}"
        raise InputError(rule, got, "Correct the formula, or leave it out.")


@cache
def check_activation(row: Any) -> None:
    """InputError unless the formulas belong together with the bounds, as far as some sixty points tell, and compile."""
    names = "sigma", "derivative", *(["second_derivative"] if row.second_derivative is not None else [])
    for name in names:
        if not callable(formula := getattr(row, name)):
            rule, got = f"`{name}` of the activation {row.name!r} must be a function", repr(formula)
            raise InputError(rule, got, "Write it of one number, and pass mf.lanewise(it).")
    _check_formulas(row)
    for name in names:
        if why := fault(getattr(row, name)):
            rule = f"`{name}` of the activation {row.name!r} must be a formula on lanes that Numba compiles"
            raise InputError(
                rule, why, "Write it of one number, with the functions of `math`, and pass mf.lanewise(it)."
            )


def _check_formulas(row: Any) -> None:
    sigma, slope = one_by_one(row.sigma), one_by_one(row.derivative)
    try:
        sigma(POINTS[:1]), slope(POINTS[:1])
    except (TypeError, NotImplementedError):  # written for the compiler alone
        return
    of = f"of the activation {row.name!r} must"
    check_derivative(f"`derivative` {of} be the slope of `sigma`", sigma, slope)
    check_bound(f"`slope_bound` {of} be at least sup |sigma'|", row.slope_bound, slope)
    check_bound(f"`curvature_bound` {of} be at least sup |sigma''|", row.curvature_bound, _curvature_of(slope))
    if row.second_derivative is not None:
        curvature = one_by_one(row.second_derivative)
        with contextlib.suppress(TypeError, NotImplementedError):  # as above
            curvature(POINTS[:1])
            # A slope that is small far out may be the difference of two terms as large as it is elsewhere.
            terms = float(np.abs(slope(POINTS[np.abs(POINTS) <= 4.0])).max())
            rule = f"`second_derivative` {of} be the slope of `derivative`"
            check_derivative(rule, slope, curvature, terms if np.isfinite(terms) else 0.0)
    if row.linear_growth:
        rule = f"`linear_growth` {of} mean |sigma(u)| <= 1 + |u|"
        check_bound(rule, 1.0, lambda u: sigma(u) / (1.0 + np.abs(u)))
    if row.pair:
        both, apart = np.array([row.pair(u) for u in POINTS]), np.stack([sigma(POINTS), slope(POINTS)], axis=1)
        scale = np.abs(apart[np.abs(POINTS) <= 4.0]).max(initial=0.0)
        if not np.allclose(both, apart, rtol=1e-9, atol=1e-9 * min(1.0, scale)):
            raise InputError(f"`pair` {of} give (sigma, sigma')", "other numbers", "Leave it out.")
    for kind, kernel, formula in (("value", row.value_kernel, sigma), ("slope", row.slope_kernel, slope)):
        if kernel:
            _check_expectation(f"`{kind}_kernel` {of} be the expectation of its products", kernel, formula)


@cache
def check_loss(row: Any) -> None:
    """InputError unless the loss's formulas and bound belong together, as far as some sixty points tell.

    Of a joint one they are known once there is a number of outputs (`outputs_of_losses`).
    """
    if row.joint:
        return
    y = np.where(POINTS > 0.0, 1.0, -1.0)[::-1] if row.binary else 0.4 * POINTS[::-1]
    of = f"of the loss {row.name!r} must"

    def slope(z: Array) -> Array:
        return mapped(f"`slope` {of}", row.slope, z.shape, z, y)

    def bend(z: Array) -> Array:
        return mapped(f"`bend` {of}", row.bend, z.shape, slope(z))

    def value(z: Array) -> Array:
        return mapped(f"`value` {of}", row.value, z.shape, z, y)

    check_derivative(f"`slope` {of} be dl/dz of `value`", value, slope)
    check_bound(f"`curvature` {of} be at least sup d2l/dz2", row.curvature, _curvature_of(slope))
    check_derivative(f"`bend` {of} be d2l/dz2 by the slope", slope, bend)


_SHAPES = {1: "(n,)", 2: "(n, k)", 3: "(n, k, k)"}


def mapped(what: str, function: Callable[..., Any], shape: tuple[int, ...], *arrays: Array) -> Array:
    """What a function makes of arrays; InputError unless it is one of this shape."""
    rule = f"{what} map arrays {_SHAPES[arrays[0].ndim]} to an array {_SHAPES[len(shape)]}"
    remedy = "Write it with NumPy's functions."
    try:
        values = np.asarray(function(*arrays), dtype=np.float64)
    except Exception as error:  # whatever it raises for an array
        raise InputError(rule, f"{type(error).__name__}: {error}", remedy) from error
    if values.shape != shape:
        raise InputError(rule, f"shape {values.shape} for {arrays[0].shape}", remedy)
    return values
