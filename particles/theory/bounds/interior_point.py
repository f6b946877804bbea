"""The margin (7) by an interior-point method: bounds from both sides, brought together by Newton steps.

    min over p in the simplex of F(p) = sum_r w_r |u_r(p)|

|u_r| is rounded at its tip, the simplex has a barrier, and both are made smaller as the steps succeed.
"""

from typing import NamedTuple

import numpy as np

from particles.measures.measure import Array

_STEPS = 200  # 15 to 40 are usual
ZERO = 1e-9  # of the best margin that one sample allows: less than this is rounding of a margin of 0
_FASTER = 0.1  # how much the barrier falls once its own problem is solved
_TINY = 1e-300
_LIGHT = 1e-140  # below, squares underflow


class MarginProblem(NamedTuple):
    """x (n, d), y (n,), slopes (n, M) with the atoms' weights in them, and those weights (M,)."""

    x: Array
    y: Array
    slopes: Array
    weight: Array

    def fields(self, p: Array) -> Array:
        """w_r u_r(p): (M, d), linear in p (n,)."""
        return np.asarray(self.slopes.T @ ((p * self.y)[:, None] * self.x))

    def margins(self, v: Array) -> Array:
        """What v (M, d) reaches at every sample, (n,)."""
        return np.asarray(self.y * np.sum(self.x * (self.slopes @ v), axis=1))

    def hessian(self, v: Array, tilt: Array, size: Array) -> Array:
        """Of sum_r size_r, size_r = sqrt(|u_r|^2 + rounding^2) and tilt = u / size, if v = tilt: (n, n)."""
        share = self.slopes / np.sqrt(size)
        curvature = (self.x @ self.x.T) * (share @ share.T)
        cross = (share * (self.x @ v.T)) @ (share * (self.x @ tilt.T)).T
        return np.asarray((curvature - 0.5 * (cross + cross.T)) * np.multiply.outer(self.y, self.y))


class Solution(NamedTuple):
    lower: float
    upper: float
    weights: Array
    field: Array
    steps: int


def solution(problem: MarginProblem, tolerance: float) -> Solution:
    """The bounds after as many Newton steps as they need.

    The field v is a variable of its own, as in Chan, Golub and Mulet (1999): v size = u is linearised as it is. With
    v = u / size instead, 200 steps were not enough where u_r = 0 for many atoms (M d near n).
    """
    n, p = len(problem.y), np.full(len(problem.y), 1.0 / len(problem.y))
    barrier, u = 0.1 / n, problem.fields(p)
    z, v = barrier / p, np.zeros_like(u)
    best = Solution(0.0, np.inf, p, v, 0)
    for step in range(1, _STEPS + 1):
        rounding = n * barrier * problem.weight / problem.weight.sum()
        size = sizes(u, rounding)
        light = size < _LIGHT
        size[light] = np.maximum(np.hypot(np.hypot.reduce(u[light], axis=1), rounding[light]), _TINY)
        tilt = u / size[:, None]
        v = v if step > 1 else tilt
        reached, upper = problem.margins(tilt), float(sizes(u, 0.0 * rounding).sum())
        best = _better(best, reached, tilt, upper, p, step)
        best = _better(best, problem.margins(v), v, upper, p, step)
        if best.upper <= ZERO or best.upper - best.lower <= tolerance * best.upper:
            break
        away = reached - barrier / p
        move = _newton(problem.hessian(v, tilt, size), z / p, away)
        toward = problem.fields(move)
        length = _length(u, toward, rounding, p, move, barrier, -float(away @ move))
        v = _turned(v, tilt, toward / size[:, None])
        z = _moved(z, barrier / p - z - z / p * move)
        p, u = p + length * move, u + length * toward
        p, u = p / p.sum(), u / p.sum()
        z = np.clip(z, 0.01 * barrier / p, 100.0 * barrier / p)  # near the path, else its curvature misleads
        if best.upper - best.lower <= 3.0 * n * barrier:  # 1.3 once this barrier's own problem is solved
            barrier *= _FASTER
    return best


def _turned(v: Array, tilt: Array, change: Array) -> Array:
    """The field (M, d) that solves v size = u to first order, put back into the unit ball."""
    turned = tilt + change - v * np.sum(tilt * change, axis=1)[:, None]
    return np.asarray(turned / np.maximum(np.linalg.norm(turned, axis=1), 1.0)[:, None])


def _moved(z: Array, move: Array) -> Array:
    return z + _room(z, move) * move


def _better(best: Solution, reached: Array, v: Array, upper: float, p: Array, step: int) -> Solution:
    lower = float(reached.min())
    if lower > best.lower:
        best = best._replace(lower=lower, field=v)
    if upper < best.upper:
        best = best._replace(upper=upper, weights=p)
    return best._replace(steps=step)


def sizes(u: Array, rounding: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("rk,rk->r", u, u) + rounding**2))


def _newton(hessian: Array, diagonal: Array, away: Array) -> Array:
    """The step (n,) that solves (hessian + diagonal) step = level - away, its sum 0."""
    from scipy.linalg import cho_solve

    own = np.sqrt(np.diag(hessian) + diagonal)  # samples may be of very different size
    scaled, across = hessian / np.multiply.outer(own, own), 1.0 / own
    across /= np.linalg.norm(across)
    scaled += np.multiply.outer(across, across)  # acts on sums only; without it this is nearly singular along p
    scaled[np.diag_indices(len(own))] += diagonal / own**2
    factor = _factor(scaled)
    level, back = cho_solve(factor, across), cho_solve(factor, away / own)
    step = level * ((across @ back) / (across @ level)) - back
    return np.asarray((step - across * (across @ step)) / own)


def _factor(matrix: Array) -> tuple[Array, bool]:
    """A Cholesky factor; where rounding has made the matrix indefinite a little is added: steps are shorter for it."""
    from scipy.linalg import LinAlgError, cho_factor

    identity = np.eye(len(matrix))
    for little in (1e-15, 1e-13, 1e-11):
        try:
            return cho_factor(matrix + little * identity, check_finite=False)  # type: ignore[no-any-return]
        except LinAlgError:
            continue
    return cho_factor(matrix + 1e-9 * identity, check_finite=False)  # type: ignore[no-any-return]


def _room(values: Array, move: Array) -> float:
    """The share of a move, 1 at most, that keeps the values positive."""
    down = move < 0
    return min(1.0, 0.99 * float(np.min(values[down] / -move[down], initial=np.inf)))


def _length(u: Array, toward: Array, rounding: Array, p: Array, move: Array, barrier: float, fall: float) -> float:
    """The share of the Newton step that lowers the rounded F with its barrier by what the slope promises."""

    def height(length: float) -> float:
        away = sizes(u + length * toward, rounding)
        return float(away.sum() - barrier * np.log(p + length * move).sum())

    length, begin = _room(p, move), height(0.0)
    while height(length) > begin - 1e-4 * length * fall and length > 1e-8:
        length *= 0.5
    return length
