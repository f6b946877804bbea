"""Integrals of exp(-V / T) over R and R^2, by quadrature in polar coordinates that is refined until it stands still.

An activation with a kink, such as ReLU, has it where b.x_i = 0: on lines through the origin. Between those angles, and
along every ray, exp(-V / T) is smooth whatever the activation, so Gauss rules between them lose nothing to the kinks.
"""

from typing import NamedTuple

import numpy as np

from particles.checks import number
from particles.errors import InputError
from particles.measures.measure import Array
from particles.measures.quadrature import legendre
from particles.model.regularisers import L2
from particles.theory.optimality.boxes import limits
from particles.theory.optimality.potential import Variation

DIM = 2  # most inputs, a bias counted in: a third would take some 10^7 nodes
_POINTS = 16  # of a Gauss rule between two radii
_ANGLES = 8  # of a Gauss rule between two kinks
_DEEP = 60.0  # V / T above its least by this much counts as nothing: e^-60 = 1e-26
_RAYS, _RADII = 64, 400  # where V is looked at to find how far that is
_FARTHER = 1.1  # each refinement reaches this much farther, so that what it changes shows the tails' part too


class Grid(NamedTuple):
    """Nodes b (K, d) and the logarithms of their weights (K,), for integrals over R^d."""

    b: Array
    log_w: Array


def checked_confinement(weight_decay: float) -> L2:
    """lam/2 |b|^2 with lam > 0."""
    remedy = "Without it exp(-V / tau) has an infinite integral: there is no Gibbs measure. Use 1e-3, say."
    return L2(number("weight_decay", weight_decay, above=0.0, remedy=remedy))


def checked_growth(V: Variation, signs: Array) -> float:
    """The steepest slope that V's data part has, where it has one: else exp(-V / T) may have no integral."""
    steepest = limits(V, 1.0, float(np.abs(signs).max())).slope
    if not np.isfinite(steepest):
        rule = "a Gibbs measure needs an activation whose slope is bounded: V must grow at infinity"
        raise InputError(rule, repr(V.net.activation.name), "Use tanh, say.")
    return steepest


def grid(V: Variation, T: float, signs: Array, level: int) -> Grid:
    """The nodes of refinement `level` = 0, 1, ..: twice as many radii and angles as the one before, for d = 1 and 2.

    How many there are at first follows from the narrowest peak that exp(-V / T) can have.
    """
    d, stiff = V.x.shape[1], V.penalty.weight / T
    bent = limits(V, 1.0, float(np.abs(signs).max())).curvature / T
    width = 1.0 / np.sqrt(stiff + (bent if np.isfinite(bent) else 0.0))
    radius = _reach(V, T, signs) * _FARTHER ** (level + 1)
    panels = int(np.clip(radius / (4.0 * width), 3, 32)) << level
    r, w = _pieces(np.linspace(0.0, radius, panels + 1), _POINTS)
    rays, share = _directions(V, int(np.clip(2.0 * np.pi * radius / width, 48, 512)) << level, 1 << level)
    b = (r[:, None, None] * rays).reshape(-1, d)
    return Grid(b, np.log(np.multiply.outer(w * r ** (d - 1), share)).reshape(-1))


def rounding(V: Variation, T: float, signs: Array, b: Array, log_z: Array) -> float:
    """How far off rounding may make log Z (signs,), of the sums in V and of the logarithms."""
    radius = float(np.sqrt(np.max(np.sum(b**2, axis=1))))
    sums = limits(V, radius, float(np.abs(signs).max())).rounding
    return sums / T + 4.0 * float(np.finfo(float).eps) * (1.0 + float(np.abs(log_z).max()))


def _directions(V: Variation, count: int, parts: int) -> tuple[Array, Array]:
    """Unit vectors (J, d) and their weights: `count` equal angles, or Gauss rules between the kinks."""
    if V.x.shape[1] == 1:
        return np.array([[1.0], [-1.0]]), np.ones(2)
    if np.isfinite(V.net.activation.curvature_bound):
        angle, share = 2.0 * np.pi * np.arange(count) / count, np.full(count, 2.0 * np.pi / count)
    else:
        # Quarter turns besides, so that no part is half a circle or more.
        across = np.arctan2(V.x[:, 0], -V.x[:, 1])[np.any(V.x != 0.0, axis=1)]
        ends = np.unique(np.mod(np.concatenate([across, across + np.pi, np.pi / 2.0 * np.arange(4)]), 2.0 * np.pi))
        ends = np.append(ends, ends[0] + 2.0 * np.pi)
        steps = np.arange(parts) / parts
        ends = np.append((ends[:-1, None] + np.diff(ends)[:, None] * steps).reshape(-1), ends[-1])
        angle, share = _pieces(ends[np.append(True, np.diff(ends) > 0.0)], _ANGLES)
    return np.column_stack([np.cos(angle), np.sin(angle)]), share


def _pieces(ends: Array, points: int) -> tuple[Array, Array]:
    """A Gauss rule on each of the intervals between consecutive `ends`."""
    x, w = legendre(points)
    lengths = np.diff(ends)[:, None]
    return (ends[:-1, None] + lengths * x).reshape(-1), (lengths * w).reshape(-1)


def _reach(V: Variation, T: float, signs: Array) -> float:
    """A radius beyond which exp(-V / T) is nothing beside its largest value.

    Beyond the bound V's pull has outgrown the data's for good; within it V is looked at along rays.
    """
    pull, d = V.penalty.weight, V.x.shape[1]
    bound = 2.0 * checked_growth(V, signs) / pull + np.sqrt(2.0 * _DEEP * T / pull)
    radii = bound * np.arange(1, _RADII + 1) / _RADII
    angle = 2.0 * np.pi * np.arange(_RAYS) / _RAYS
    rays = np.array([[1.0], [-1.0]]) if d == 1 else np.column_stack([np.cos(angle), np.sin(angle)])
    b = (radii[:, None, None] * rays).reshape(-1, d)
    farthest = 0.0
    for sign in signs:
        U = V.value(b, np.full(len(b), sign)).reshape(_RADII, -1).min(axis=1) / T
        farthest = max(farthest, float(radii[U - U.min() <= _DEEP].max()))
    return float(farthest + bound / _RADII)
