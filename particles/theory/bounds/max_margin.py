"""The margin (7) of section 3.3: how well the tangent features of mu0 separate two classes, with a certified gap.

    gamma = max over |v(b)| <= 1 of min_i y_i int d_b sigma(b.x_i).v(b) dmu0(b)
          = min over p in the simplex of F(p) = sum_r w_r |u_r(p)|,   u_r(p) = sum_i p_i y_i s_r sigma'(b_r.x_i) x_i

on atoms b_r of weight w_r. Any field v bounds gamma from below and any p from above: a pair of them is its own proof.
Both are followed to the optimum by an interior-point method: |u_r| is rounded at its tip, the simplex has a barrier.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, numpy_settings, whole
from particles.data.dataset import Dataset, checked_labels
from particles.errors import InputError
from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.laws import Law
from particles.measures.measure import Array, Measure, checked_measure
from particles.model.network import Network
from particles.theory.tangent.tiles import kernels_of

_STEPS = 200  # 15 to 40 are usual
_ZERO = 1e-9  # of the best margin that one sample allows: less than this is rounding of a margin of 0
_FASTER = 0.1  # how much the barrier falls once its own problem is solved
_TINY = 1e-300
_LIGHT = 1e-140  # below, squares underflow
_SAFE = 3.0  # over the largest change: 1 held in 28 of 40 random problems, 3 in 38


class Margin(NamedTuple):
    """The margin (7) of `atoms` between two bounds, and what proves them.

    lower: what `field` (M, d) reaches, |field_r| <= 1 to rounding; upper: F at `weights` (n,), the samples' p.
    atoms: the measure that stood for mu0. how: whether (7) holds, and how far the bounds are apart.
    quadrature: 0 for a measure. The bounds prove nothing of a law, whose margin may lie outside by about this: 3 times
    what twice and four times the nodes change of F at `weights`; that held in 38 of 40 random problems.
    """

    lower: float
    upper: float
    weights: Array
    field: Array
    atoms: Measure
    how: str
    quadrature: float = 0.0


@numpy_settings
def margin(
    net: Network, start: Law | Measure, x: ArrayLike, y: ArrayLike, nodes: int = 4096, tolerance: float = 1e-4
) -> Margin:
    """The largest gamma of (7) for these samples: x (n, d), y (n,) labels -1 or 1 -> its bounds and their proofs.

    start: a measure, an atom's sign is its v's; or a law, of which at least `nodes` quadrature atoms are taken: the
    bounds are those of the atoms, and `quadrature` is how far the law's margin may be from them. They are brought
    within `tolerance` of the upper one, or `how` says what was reached (rounding stops them at about 1e-12 of the best
    that one sample allows).
    A margin of 0 means that (7) fails; v = 0 shows that it is never less. A step costs 2 n^2 M + 8 n M d flops, and
    n M numbers are held five times. No flow time is in it: (7) has no output scale.

    Raises InputError where labels are not -1 or 1, an input is zero, or the input layer is not trained.

    >>> found = mf.theory.margin(mf.Network("relu"), mf.Gaussian(2), np.eye(2), [1.0, -1.0], nodes=400)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.427, 0.427)
    """
    data = Dataset(x, y)
    checked_labels(data.y)
    inputs, bound = net.inputs(data.x), number("tolerance", tolerance, above=0.0)
    if "input" not in net.train:
        raise InputError('the margin (7) is that of trained input weights, `train` with "input"', repr(net.train), "")
    size = np.linalg.norm(inputs, axis=1)
    if not size.all():
        rule, remedy = "the margin (7) is 0 where an input is zero", "Remove it, or use bias=True."
        raise InputError(rule, f"row {int(np.argmin(size))}", remedy)
    if isinstance(start, Law):
        nodes, along = whole("nodes", nodes, 1), inputs if start.isotropic and start.dim == inputs.shape[1] else None
        coarse, *finer = (checked_measure(start.quadrature(k * nodes, along=along), inputs.shape[1]) for k in (1, 2, 4))
        found = _certified(net, coarse, inputs, data.y, bound)
        changes = [abs(_ceiling(net, atoms, inputs, data.y, found.weights) - found.upper) for atoms in finer]
        return found._replace(quadrature=_SAFE * max(changes))
    return _certified(net, checked_measure(start, inputs.shape[1]), inputs, data.y, bound)


def _certified(net: Network, atoms: Measure, inputs: Array, y: Array, bound: float) -> Margin:
    """The bounds on these atoms."""
    slopes = _slopes(net, atoms, inputs)
    alone = np.abs(slopes).sum(axis=1) * np.linalg.norm(inputs, axis=1)  # the margin of each sample by itself
    best = float(alone.min())
    if best <= _ZERO * alone.max():
        dead = int(np.argmin(alone))
        told = f"(7) fails to rounding: sigma' is all but 0 at every atom for sample {dead}"
        return Margin(0.0, best, np.eye(len(inputs))[dead], np.zeros(atoms.b.shape), atoms, told)
    weight = atoms.w * np.abs(atoms.s) / best
    found = _solved(_Problem(inputs, y, slopes / best, weight), bound)
    field = found.field * np.where(atoms.s < 0, -1.0, 1.0)[:, None]
    return Margin(found.lower * best, found.upper * best, found.weights, field, atoms, _told(found, bound))


def _ceiling(net: Network, atoms: Measure, inputs: Array, y: Array, p: Array) -> float:
    """F(p): no field on these atoms reaches more at every sample."""
    problem = _Problem(inputs, y, _slopes(net, atoms, inputs), atoms.w)
    return float(_sizes(problem.fields(p), np.zeros(len(atoms.w))).sum())


def _slopes(net: Network, atoms: Measure, inputs: Array) -> Array:
    """w_r |s_r| sigma'(b_r . x_i): (n, M)."""
    cloud, kernels = blocks.pack(atoms, "float64", shared_signs=False), kernels_of(net.row)
    n, K, flat = len(inputs), len(cloud.b), np.ascontiguousarray(inputs).reshape(-1)
    b, found = cloud.b.reshape(-1), np.empty((n, len(atoms.w)))
    for block in range(K):
        scale = blocks.row(cloud.w, block, K) * np.abs(blocks.row(cloud.s, block, K))
        tiles = cloud.last_tiles if block == K - 1 else BLOCK // cloud.b.shape[-1]
        part = np.zeros(n * BLOCK)
        kernels.slopes(b, scale, cloud.d, flat, tiles, block, 0, n, part)
        first = block * BLOCK
        found[:, first : first + BLOCK] = part.reshape(n, BLOCK)[:, : len(atoms.w) - first]
    return found


class _Problem(NamedTuple):
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
        found = (self.x @ self.x.T) * (share @ share.T)
        cross = (share * (self.x @ v.T)) @ (share * (self.x @ tilt.T)).T
        return np.asarray((found - 0.5 * (cross + cross.T)) * np.multiply.outer(self.y, self.y))


class _Found(NamedTuple):
    lower: float
    upper: float
    weights: Array
    field: Array
    steps: int


def _solved(problem: _Problem, tolerance: float) -> _Found:
    """The bounds after as many Newton steps as they need.

    The field v is a variable of its own, as in Chan, Golub and Mulet (1999): v size = u is linearised as it is. With
    v = u / size instead, 200 steps were not enough where u_r = 0 for many atoms (M d near n).
    """
    n, p = len(problem.y), np.full(len(problem.y), 1.0 / len(problem.y))
    barrier, u = 0.1 / n, problem.fields(p)
    z, v = barrier / p, np.zeros_like(u)
    best = _Found(0.0, np.inf, p, v, 0)
    for step in range(1, _STEPS + 1):
        rounding = n * barrier * problem.weight / problem.weight.sum()
        size = _sizes(u, rounding)
        light = size < _LIGHT
        size[light] = np.maximum(np.hypot(np.hypot.reduce(u[light], axis=1), rounding[light]), _TINY)
        tilt = u / size[:, None]
        v = v if step > 1 else tilt
        reached, upper = problem.margins(tilt), float(_sizes(u, 0.0 * rounding).sum())
        best = _better(best, reached, tilt, upper, p, step)
        best = _better(best, problem.margins(v), v, upper, p, step)
        if best.upper <= _ZERO or best.upper - best.lower <= tolerance * best.upper:
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


def _better(best: _Found, reached: Array, v: Array, upper: float, p: Array, step: int) -> _Found:
    lower = float(reached.min())
    if lower > best.lower:
        best = best._replace(lower=lower, field=v)
    if upper < best.upper:
        best = best._replace(upper=upper, weights=p)
    return best._replace(steps=step)


def _sizes(u: Array, rounding: Array) -> Array:
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
        away = _sizes(u + length * toward, rounding)
        return float(away.sum() - barrier * np.log(p + length * move).sum())

    length, begin = _room(p, move), height(0.0)
    while height(length) > begin - 1e-4 * length * fall and length > 1e-8:
        length *= 0.5
    return length


def _told(found: _Found, tolerance: float) -> str:
    apart = (found.upper - found.lower) / found.upper if found.upper else 0.0
    if found.upper <= _ZERO:
        return "(7) fails: no field separates these samples, their margin is 0"
    if apart <= tolerance:
        return f"(7) holds: bounds {apart:.1g} apart after {found.steps} steps"
    holds = "(7) holds" if found.lower > 0 else "undecided"
    return f"{holds}: bounds still {apart:.1g} apart after {found.steps} steps, `tolerance` is {tolerance:g}"
