"""Whether the formulas of a loss that a user added are those of k outputs: checked once, by difference quotients."""

from functools import cache
from typing import Any

import numpy as np

from particles.errors import InputError
from particles.model.derivatives import POINTS, Array, Function, check_bound, check_derivative, mapped

_DIRECTIONS = 3  # of k outputs, along which a loss is looked at
_BESIDE = 0.06180339887  # no difference of two targets, where a loss of classes may have a kink


@cache
def check_outputs_of_loss(row: Any, k: int) -> None:
    """InputError unless the loss works on k > 1 outputs: one by one, or together as its formulas say."""
    if not row.joint:
        _check_entries(row)
        return
    y = _targets(row, k)
    for near in (False, True):
        for o in range(min(k, _DIRECTIONS)):
            _check_direction(row, y, _outputs_beside(k, o, near), o)


def _check_entries(row: Any) -> None:
    """InputError unless the formulas of an elementwise loss make of a matrix what they make of its columns."""
    z = np.stack([np.roll(POINTS, 7 * o) for o in range(_DIRECTIONS)], axis=1)
    y = np.where(z > 0.0, -1.0, 1.0)
    given: tuple[Array, ...] = z, y
    for name in ("value", "slope", "bend"):
        what, formula = f"`{name}` of the loss {row.name!r} must", getattr(row, name)
        with np.errstate(all="ignore"):
            whole = mapped(what, formula, z.shape, *given)
            columns = [mapped(what, formula, POINTS.shape, *(a[:, o] for a in given)) for o in range(_DIRECTIONS)]
        if not np.allclose(whole, np.stack(columns, axis=1), rtol=1e-9, equal_nan=True):
            rule = f"{what} make of (n, k) numbers what it makes of each column, unless the loss is `joint`"
            raise InputError(rule, "other numbers", "Write it entry by entry: the sum over outputs is not its part.")
        given = (whole,) if name == "slope" else given


def _targets(row: Any, k: int) -> Array:
    """Targets (n, k) that a joint loss takes: of classes one-hot rows and shares."""
    places = np.add.outer(np.arange(len(POINTS)), np.arange(k))
    if row.classes:
        shares = 1.0 + places % 5
        y = np.where((places[:, :1] % 2) == 0, places % k == 0, shares / shares.sum(axis=1, keepdims=True))
        return np.asarray(y, dtype=np.float64)
    return np.where(places % 3 == 0, 1.0, -1.0) if row.binary else 0.4 * POINTS[(7 * places) % len(POINTS)]


def _outputs_beside(k: int, o: int, near: bool) -> Array:
    """Outputs (n, k) around the one that varies. near: the next one is almost it, the others are far below.

    There a loss of classes bends most.
    """
    apart = _BESIDE * np.arange(1.0, k + 1.0)
    if not near:
        return np.stack([np.roll(POINTS, 11 * (j + 1)) for j in range(k)], axis=1) + apart
    z = -np.abs(POINTS)[:, None] - apart
    z[:, (o + 1) % k] = POINTS + _BESIDE
    return z


def _part(f: Function, *at: int) -> Function:
    """One entry of what a function gives at every point."""
    index: tuple[Any, ...] = ..., *at
    return lambda points: np.asarray(f(points)[index])


def _check_direction(row: Any, y: Array, beside: Array, o: int) -> None:
    """InputError unless slope, bend and bound of a joint loss are those of its value as output o varies."""
    of, k = f"of the loss {row.name!r} must", y.shape[1]

    def outputs(points: Array) -> Array:
        z = beside.copy()
        z[:, o] = points
        return z

    def value(points: Array) -> Array:
        return mapped(f"`value` {of}", row.value, points.shape, outputs(points), y)

    def slope(points: Array) -> Array:
        return mapped(f"`slope` {of}", row.slope, y.shape, outputs(points), y)

    def bend(points: Array) -> Array:
        return mapped(f"`bend` {of}", row.bend, (len(y), k, k), slope(points), y)

    def largest(points: Array) -> Array:
        matrices = bend(points)
        finite = np.isfinite(matrices).all(axis=(1, 2), keepdims=True)
        return np.asarray(np.linalg.eigvalsh(np.where(finite, matrices, 0.0))[:, -1])

    check_derivative(f"`slope` {of} be dl/dz of `value`", value, _part(slope, o))
    for j in range(min(k, _DIRECTIONS)):
        check_derivative(f"`bend` {of} be d2l/dz2 by the slope and the target", _part(slope, j), _part(bend, j, o))
    matrices = bend(POINTS)
    if not np.allclose(matrices, matrices.transpose(0, 2, 1), rtol=1e-9, atol=1e-12, equal_nan=True):
        raise InputError(f"`bend` {of} be symmetric in the outputs", "matrices that are not", "Correct the formula.")
    check_bound(f"`curvature` {of} be at least the largest eigenvalue of d2l/dz2", row.curvature, largest)
