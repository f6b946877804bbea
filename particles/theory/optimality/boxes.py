"""A proven floor of the first variation V (3.4) on a ball: branch and bound over boxes, for few inputs.

On the part of a box that lies in the ball, with p the projection of its centre and r half its diagonal, |b - p| <= r:

    V(b) >= data(p) - G r + (the least pull in the box)                      G >= sup |grad data|
    V(b) >= V(p) - |grad V(p) without its outward part| r - H r^2 / 2        H >= sup |second derivative of data|

where data is V without its regulariser, which is convex. Around a smooth minimum the first would need r of the size of
the error, the second only of its root; where sigma has kinks there is only the first, and it is enough at a sharp tip.

Of k outputs V is the envelope, data = -|D| with D in R^k, and H + G^2 / |D(p)| takes the place of H, since
|D + J e| <= |D| + D.J e / |D| + |J e|^2 / (2 |D|).
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.measures.measure import Array
from particles.model.regularisers import Regulariser
from particles.theory.optimality.envelope import Potential, sizes
from particles.theory.optimality.minimum import project

_BATCH = 4096  # boxes split at a time
_ROUNDING = 4.0 * np.finfo(float).eps  # of all that is summed, once a term of the two sums


class Floor(NamedTuple):
    """V >= value on the whole ball for all the signs; the lowest V met, and where: (d,) and a sign."""

    value: float
    met: float
    b: Array
    s: float
    boxes: int


class Limits(NamedTuple):
    """Of V's data part: slope >= sup |grad|, curvature >= sup |second derivative|, either may be infinite; turn: what
    an envelope has beside curvature, times |D|, 0 for one output; rounding: how far off its sums may be.
    """

    slope: float
    curvature: float
    turn: float
    rounding: float


def limits(V: Potential, radius: float, sign: float = 1.0) -> Limits:
    """How steep and how bent V's data part is where |b| <= radius, for signs up to `sign`.

    With c_i = |slope_i|, K1 >= |sigma'| and K2 >= |sigma''|: |sum_i c_i sigma' x_i| is at most K1 times sum_i c_i |x_i|
    and times sqrt(sum_i c_i |S|), S = sum_i c_i x_i x_i^T; the second derivative is at most K2 |S|.
    """
    row, c, k = V.net.activation, sign * np.abs(sizes(V.slope)), V.net.outputs
    size = np.linalg.norm(V.x, axis=1)
    spread = float(np.linalg.norm((V.x * c[:, None]).T @ V.x, 2)) * (1.0 + 1e-12)
    steep = min(float(c @ size), float(np.sqrt(c.sum() * spread)))
    # |sigma(u)| is no more than 1 + K1 |u| for all our rows, or 1 + K2 u^2 where sigma' has no bound.
    far = radius * size
    reach = far * (row.slope_bound if np.isfinite(row.slope_bound) else row.curvature_bound * far)
    rounding = _ROUNDING * (len(c) + V.x.shape[1]) * float(c @ (1.0 + reach))
    slope, curvature = _times(row.slope_bound, steep), _times(row.curvature_bound, spread)
    if k == 1:
        return Limits(slope, curvature, 0.0, rounding)
    # |D| is off by as much again where it divides, and its norm adds up k squares.
    return Limits(slope, curvature if np.isfinite(slope) else np.inf, slope**2, (2.0 + k / len(c)) * rounding)


def _times(bound: float, size: float) -> float:
    """bound * size; no bound is none for a perfect fit, too, where size is 0."""
    return bound * size if np.isfinite(bound) else np.inf


class _Boxes(NamedTuple):
    """Cubes: centre (k, d), half their side, sign and floor (k,)."""

    centre: Array
    half: Array
    s: Array
    low: Array

    def take(self, which: NDArray[Any]) -> "_Boxes":
        return _Boxes(*(a[which] for a in self))

    def joined(self, other: "_Boxes") -> "_Boxes":
        return _Boxes(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def split(self) -> "_Boxes":
        """All 2^d children of each."""
        d = self.centre.shape[1]
        corners = np.array(list(itertools.product((-1.0, 1.0), repeat=d)))
        half, s, low = (np.repeat(a, len(corners)) for a in (self.half / 2.0, self.s, self.low))
        centre = (self.centre[:, None, :] + 0.5 * self.half[:, None, None] * corners).reshape(-1, d)
        return _Boxes(centre, half, s, low)

    def edge(self) -> Array:
        """The point of each nearest to 0, coordinate by coordinate without its sign: (k, d)."""
        return np.asarray(np.maximum(np.abs(self.centre) - self.half[:, None], 0.0))


def floor(V: Potential, radius: float, signs: Array, within: float, most: int) -> Floor:
    """The floor of V over |b| <= radius and the signs, to `within` of the smallest V met or after `most` boxes."""
    k, bounds = len(signs), limits(V, radius, float(np.abs(signs).max()))
    boxes = _Boxes(
        np.zeros((k, V.x.shape[1])), np.full(k, radius), np.asarray(signs, dtype=np.float64), np.full(k, -np.inf)
    )
    lowest = Floor(np.inf, np.inf, boxes.centre[0], float(signs[0]), 0)
    settled: float = np.inf  # the lowest floor of boxes that need no more splitting
    while len(boxes.low) and lowest.boxes < most:
        order = np.argsort(boxes.low, kind="stable")
        parts = boxes.take(order[:_BATCH]).split()
        parts = parts.take(np.linalg.norm(parts.edge(), axis=1) <= radius)
        places = project(parts.centre, radius)
        value, lower = _bounded(V, bounds, parts, places, radius)
        if value.min() < lowest.met:
            at = int(np.argmin(value))
            lowest = lowest._replace(met=float(value[at]), b=places[at], s=float(parts.s[at]))
        parts = parts._replace(low=np.maximum(parts.low, lower))
        boxes = boxes.take(order[_BATCH:]).joined(parts)
        done = boxes.low >= lowest.met - within
        settled = float(np.min(boxes.low[done], initial=settled))
        boxes, lowest = boxes.take(~done), lowest._replace(boxes=lowest.boxes + len(parts.low))
    return lowest._replace(value=float(np.min(boxes.low, initial=settled) - bounds.rounding))


def _bounded(V: Potential, bounds: Limits, parts: _Boxes, places: Array, radius: float) -> tuple[Array, Array]:
    """V at the centres' projections `places`, and a floor of V on each box where it meets the ball: (k,), (k,)."""
    value, gradient = V.both(places, parts.s)
    r, edge = parts.half * np.sqrt(places.shape[1]), parts.edge()
    here, least = (pull(V.rule, V.scale, b) for b in (places, edge))
    lower = value - here - bounds.slope * r + least
    if not np.isfinite(bounds.curvature):
        return value, lower
    # On the sphere the ball lies inward, and V that falls outward rises there: that part of its slope costs nothing.
    length = np.linalg.norm(places, axis=1)
    along = np.where(length >= radius * (1.0 - 1e-12), np.sum(gradient * places, axis=1), 0.0)
    outward = np.minimum(along, 0.0) / np.maximum(length, radius * 1e-300) ** 2
    left = np.linalg.norm(gradient - outward[:, None] * places, axis=1)
    with np.errstate(over="ignore"):  # where D is 0 the envelope has a tip, and only its slope bounds it
        curvature = bounds.curvature + bounds.turn / np.maximum(here - value, np.finfo(float).tiny)
        return value, np.asarray(np.maximum(lower, value - left * r - 0.5 * curvature * r**2))


def pull(rule: Regulariser, scale: float, b: Array) -> Array:
    """What the regulariser adds to V at positions b (k, d): (k,). scale: alpha^2. It must not depend on the start."""
    rule.check_potential()
    return scale * rule.weight * rule.value(b, 1)
