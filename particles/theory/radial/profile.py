"""The mean of an activation over directions: all that a radius of a radial cloud and a length of an input share.

If b = r times a uniform direction, then over that direction sigma(b.x) has the mean

    q(s) = E sigma(s U),    q'(s) = E U sigma'(s U),    s = r |x| / sqrt d,

U being sqrt(d) times a coordinate of a uniform point on the unit sphere in R^d: +-1 in R^1, N(0, 1) for d = infinity.
With U = sqrt(d) sin(angle) the density of the angle is cos^(d - 2), smooth and without an end that matters.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from particles.errors import DivergedError
from particles.kernels.assemble import BLOCK, LANES
from particles.measures.measure import Array
from particles.measures.quadrature import legendre
from particles.model.activations import Activation
from particles.theory.tangent.tiles import kernels_of

_TAIL = 46.0  # minus the logarithm of a density that counts as nothing
_POINTS = 16  # of the Gauss rule on a panel of the angle
_PANELS = (8, 1024)  # panels of the angle: the first try, and where to give up
_GOAL = 1e-13  # of the integrals, relative to the largest value
_FINE = 1e-11  # of the pieces: their slopes know no better than 1e-16 / width
_DEGREE = 11  # of a piece of q
_PIECES = 16  # at first
_HALVINGS = 16  # of a piece
_FARTHEST = 1e8  # s; a radius that gets there is lost


class Direction(NamedTuple):
    """The law of U: U = stretch * curve(t), t in [-end, end] with density exp(logarithm(t)) up to a factor."""

    stretch: float
    curve: Callable[[Array], Array]
    back: Callable[[Array], Array]
    end: float
    logarithm: Callable[[Array], Array]


def direction(dim: float) -> Direction:
    """U in R^dim, dim >= 2 or infinite."""
    if np.isinf(dim):
        return Direction(1.0, lambda t: t, lambda u: u, np.sqrt(2.0 * _TAIL), lambda t: -0.5 * t * t)
    power = dim - 2.0
    end = np.arccos(np.exp(-_TAIL / power)) if power else np.pi / 2.0
    return Direction(np.sqrt(dim), np.sin, np.arcsin, float(end), lambda t: power * np.log(np.cos(t)))


def means(row: Activation, dim: float, s: Array, kinks: tuple[float, ...], panels: int) -> tuple[Array, Array]:
    """q and q' at s (k,) > 0 by Gauss rules on panels, cut where s U is 0 or a kink of sigma: (k,), (k,)."""
    kernels = kernels_of(row)
    if dim == 1:
        up, down, right, left = (
            _each(make, sign * s) for make in (kernels.values, kernels.slopes) for sign in (1.0, -1.0)
        )
        return (up + down) / 2.0, (right - left) / 2.0
    law, (x, w) = direction(dim), legendre(_POINTS)
    limit = float(law.curve(np.array(law.end)))
    cuts = law.back(np.clip(np.array(kinks) / (s[:, None] * law.stretch), -limit, limit))
    even = np.broadcast_to(np.linspace(-law.end, law.end, panels + 1), (len(s), panels + 1))
    edges = np.sort(np.concatenate([even, cuts], axis=1), axis=1)
    width = np.diff(edges, axis=1)[..., None]
    t = edges[:, :-1, None] + width * x
    weight = width * w * np.exp(law.logarithm(t))
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    u = law.stretch * law.curve(t)
    v = s[:, None, None] * u
    value, slope = _each(kernels.values, v), _each(kernels.slopes, v)
    return np.sum(weight * value, axis=(1, 2)), np.sum(weight * u * slope, axis=(1, 2))


def _each(make: Any, v: Array) -> Array:
    """sigma or sigma' of every number, by a compiled loop over particles on a line and the one input 1."""
    flat = np.zeros(-(-v.size // BLOCK) * BLOCK)
    flat[: v.size] = v.ravel()
    values, one, scale = np.zeros((len(flat) // BLOCK, BLOCK)), np.ones(1), np.ones(BLOCK)
    for block, into in enumerate(values):
        make(flat, scale, 1, one, BLOCK // LANES["float64"], block, 0, 1, into)
    return values.reshape(-1)[: v.size].reshape(v.shape)


class Profile:
    """q and q' of one activation in R^dim, tabulated as far out as they are asked for, in pieces of polynomials.

    kinks: where sigma or sigma' is not smooth, other than 0. error: of q and q', estimated: by twice the panels, and at
    points that the pieces were not made from.
    """

    def __init__(self, row: Activation, dim: float, kinks: tuple[float, ...] = ()) -> None:
        self.row, self.dim, self.kinks = row, dim, (0.0, *kinks)
        self.error, self._end = 0.0, 0.0
        self._value: Any = None
        self._slope: Any = None

    def __call__(self, s: Array) -> tuple[Array, Array]:
        """q(s), an even function of s, and q'(s), of any shape. Raises DivergedError for an s beyond all measure."""
        size = np.abs(s)
        top = float(size.max(initial=0.0))
        if not top < _FARTHEST:
            raise DivergedError(f"a radius times an input's length has reached {top:.3g}: the flow is lost")
        while top >= self._end:
            self._grow(2.0 * max(top, 0.5))
        return np.asarray(self._value(size)), np.asarray(np.sign(s) * self._slope(size))

    def _grow(self, end: float) -> None:
        """Extend the table to `end`."""
        from scipy.interpolate import PPoly

        panels, off, size = self._panels(end)
        breaks, coefficients, apart = self._pieces(self._end, end, panels, max(_FINE * size, off))
        self.error = max(self.error, off + apart)
        if self._value is None:
            self._value = PPoly(coefficients, breaks)
        else:
            self._value.extend(coefficients, breaks[1:])
        self._slope, self._end = self._value.derivative(), end

    def _panels(self, end: float) -> tuple[int, float, float]:
        """How many panels settle both integrals up to `end`; their last change, and the largest value."""
        s, (count, most) = end * np.linspace(0.01, 1.0, 33), _PANELS
        before = means(self.row, self.dim, s, self.kinks, count)
        while True:
            count *= 2
            now = means(self.row, self.dim, s, self.kinks, count)
            change = max(float(np.abs(a - b).max()) for a, b in zip(now, before, strict=True))
            size = max(1.0, *(float(np.abs(a).max()) for a in now))
            if not np.isfinite(change + size):
                raise DivergedError("the activation has no finite mean at some length of the data")
            if change <= _GOAL * size or count >= most:
                return count, change, size
            before = now

    def _pieces(self, low: float, high: float, panels: int, goal: float) -> tuple[Array, Array, float]:
        """Breaks (k + 1,), coefficients (degree + 1, k) and the largest error at held-out points, refined to `goal`."""
        edges = np.linspace(low, high, _PIECES + 1)
        left, right = edges[:-1], edges[1:]
        done: list[tuple[Array, Array, Array]] = []
        worst = 0.0
        for halving in range(_HALVINGS + 1):
            coefficients, apart = self._fit(left, right, panels)
            fine = (apart <= goal) | (halving == _HALVINGS)
            worst = max(worst, float(apart[fine].max(initial=0.0)))
            done.append((left[fine], right[fine], coefficients[:, fine]))
            left, right = left[~fine], right[~fine]
            if not len(left):
                break
            middle = (left + right) / 2.0
            left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        start, stop, table = (np.concatenate(parts, axis=-1) for parts in zip(*done, strict=True))
        order = np.argsort(start)
        return np.append(start[order], stop[order[-1]]), np.ascontiguousarray(table[:, order]), worst

    def _fit(self, left: Array, right: Array, panels: int) -> tuple[Array, Array]:
        """Coefficients in powers of s - left, the highest first, (degree + 1, k); errors at held-out points, (k,)."""
        angle = np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1)
        held = np.array([0.004, 0.31, 0.77])
        place, width = np.concatenate([(1.0 - np.cos(angle)) / 2.0, held]), right - left
        s = left[:, None] + width[:, None] * place
        q, slope = (a.reshape(s.shape) for a in means(self.row, self.dim, s.ravel(), self.kinks, panels))
        powers = np.vander(place, _DEGREE + 1)
        local = np.linalg.solve(powers[: _DEGREE + 1], q[:, : _DEGREE + 1].T)
        rates = powers[_DEGREE + 1 :, 1:] * np.arange(_DEGREE, 0, -1)
        off = np.abs(powers[_DEGREE + 1 :] @ local - q[:, _DEGREE + 1 :].T)
        off_slope = np.abs(rates @ local[:-1] / width - slope[:, _DEGREE + 1 :].T)
        scale = width ** -np.arange(_DEGREE, -1, -1.0)[:, None]
        return local * scale, np.maximum(off, off_slope).max(axis=0)
