"""E f(b.x) f(b.x') under a law that no rotation changes, as a cosine series in the angle of two inputs of any length.

In the plane of x and x' such a b has a radius R and a uniform direction, so with the Fourier coefficients of
f(a cos phi) = c_0(a) + 2 sum_m c_m(a) cos(m phi) the mean over the direction is an autocorrelation:

    E f(b.x) f(b.x') = sum_m G_m(|x|, |x'|) cos(m angle),    G_m(r, r') = (2 - [m = 0]) E c_m(r R) c_m(r' R).

c_m is smooth in log r: the poles of the smooth activations, on the imaginary axis, stay pi/2 away whatever their width.
So a few lengths stand for all (Chebyshev interpolation), and the radii are a trapezoidal rule in log R.
"""

from typing import NamedTuple

import numpy as np

from particles.kernels.assemble import BLOCK
from particles.measures import blocks, quadrature
from particles.measures.laws import Ball, Gaussian, Law, Sphere
from particles.measures.measure import Array, Measure
from particles.measures.quadrature import Rule
from particles.model.network import Network
from particles.theory.tangent.tiles import kernels_of

_GOAL = 1e-14  # changes below this, relative to the whole series, are rounding
_ANGLES = (256, 8192)  # directions on the half circle: the first try, and where to give up
_STEPS = (0.4, 0.05)  # of the trapezoidal rule, likewise
_SHADOW = 512.0  # atoms of a law that is known by its quadrature, times the step
_LENGTHS = (24, 192)  # interpolated, likewise; fewer than the first are taken as they are
_EQUAL = 1e-14  # lengths that differ by less, relative to the longest, are one
_CHUNK = 2**22  # numbers held at a time while a table is made
_TILE = (64, 512)  # pairs at a time in a sum of the series: six arrays of them stay near the core
# Products of this size OpenBLAS leaves to the thread that asks. Larger ones, asked for by two threads at once, were
# measured up to ten times slower: its own threads then wait for each other.
_PRODUCT = 2**18


class Series(NamedTuple):
    """The coefficients of E f(b.x) f(b.x').

    table : (m, k, k), G_m at some lengths. nodes : (k,) those lengths, Chebyshev points in their logarithm if
    `between` (a zero among the inputs' comes first and stands for itself). error : an estimate of the largest.
    """

    nodes: Array
    table: Array
    between: bool
    error: float

    def heights(self, lengths: Array) -> Array:
        """The weights that turn values at the nodes into values at these lengths: (n,) -> (n, k)."""
        return heights(self.nodes, lengths, self.between)


def series(net: Network, law: Law, lengths: Array, slopes: bool) -> Series:
    """The series of f = sigma' (slopes) or sigma for inputs of these lengths; the law a Gaussian, Sphere or Ball."""
    known = np.unique(np.round(lengths / (lengths.max() * _EQUAL or 1.0))) * (lengths.max() * _EQUAL)
    ends = np.unique([*known[known > 0.0][:1], known[-1]])
    count, step, total, error = _resolution(net, law, ends, slopes)
    rule = radii(law, step)
    if len(known) <= _LENGTHS[0]:
        nodes, between = known, False
        table, _ = _table(net, rule, nodes, count, slopes)
    else:
        size, between = _LENGTHS[0], True
        while True:
            nodes = _nodes(known, size)
            table, apart = _table(net, rule, nodes, count, slopes, held_out=_nodes(known, 7)[-7:])
            if apart <= 10.0 * _GOAL * total or size >= _LENGTHS[1]:
                break
            size *= 2
        error += apart
    tail = np.cumsum(np.abs(table).max(axis=(1, 2))[::-1])[::-1]
    kept = max(1, int(np.count_nonzero(tail > 0.01 * _GOAL * total)))
    return Series(nodes, np.ascontiguousarray(table[:kept]), between, error + float(tail[kept:].max(initial=0.0)))


def summed(series: Series, cosines: Array, left: Array, right: Array) -> Array:
    """The series for every row and column: cosines (m, n), heights left (m, k) and right (n, k) -> (m, n)."""
    sums, (tall, wide) = np.empty_like(cosines), _TILE
    tall = max(1, min(tall, _PRODUCT // len(series.nodes) ** 2))
    wide = max(1, min(wide, _PRODUCT // (tall * len(series.nodes))))
    for i in range(0, len(left), tall):
        rows = np.matmul(left[i : i + tall], series.table)
        for j in range(0, len(right), wide):
            place = slice(i, i + tall), slice(j, j + wide)
            sums[place] = _clenshaw(rows, np.ascontiguousarray(right[j : j + wide].T), cosines[place])
    return sums


def _clenshaw(rows: Array, columns: Array, cosines: Array) -> Array:
    """sum_m (rows_m columns) cos(m angle): rows (terms, m, k), columns (k, n), cosines (m, n) -> (m, n)."""
    twice, now, after, room = 2.0 * cosines, np.zeros_like(cosines), np.zeros_like(cosines), np.empty_like(cosines)
    for row in rows[:0:-1]:
        np.multiply(twice, now, out=room)
        room -= after
        after, now, room = now, room, after
        np.matmul(row, columns, out=room)
        now += room
    return np.asarray(rows[0] @ columns + cosines * now - after)


def radii(law: Law, step: float, replicate: int | None = None) -> Rule:
    """The length of b's shadow on a plane: (k,) radii and weights that sum to 1. replicate: of a user's law alone."""
    if isinstance(law, Gaussian):
        s = step * np.arange(np.floor(-46.0 / step), np.ceil(4.5 / step))
        weight = np.exp(s - np.exp(s))  # R^2 / 2 = e^s is exponential
        return _kept(law.std * np.sqrt(2.0 * np.exp(s)), weight)
    if not isinstance(law, Sphere | Ball):  # one of the user's own
        atoms = law.quadrature(int(_SHADOW / step), replicate=replicate)
        return np.hypot(atoms.b[:, 0], atoms.b[:, 1]), atoms.w
    dim = law.dim + 2 * isinstance(law, Ball)  # a ball is the shadow of a sphere two dimensions up
    if dim == 2:
        return np.array([law.radius]), np.ones(1)
    # (R / radius)^2 = t has the density (1 - t)^(dim / 2 - 2), and s = log(t / (1 - t)).
    s = step * np.arange(np.floor((-46.0 - np.log(dim)) / step), np.ceil(92.0 / step))
    weight = np.exp(s - 0.5 * dim * np.logaddexp(0.0, s))
    return _kept(law.radius * np.exp(-0.5 * np.logaddexp(0.0, -s)), weight)


def _kept(radius: Array, weight: Array) -> Rule:
    some = weight > 1e-20 * weight.max()
    return radius[some], weight[some] / weight[some].sum()


def _resolution(net: Network, law: Law, ends: Array, slopes: bool) -> tuple[int, float, float, float]:
    """Directions and step that settle the series at the shortest and longest input; its size, and its last changes."""
    (count, most), (step, least) = _ANGLES, _STEPS
    table, directions, radial = _table(net, radii(law, step), ends, count, slopes)[0], np.inf, np.inf
    while True:
        count *= 2
        finer, _ = _table(net, radii(law, step), ends, count, slopes)
        table, directions, total = finer, _change(table, finer), _change(finer[:0], finer)
        if directions <= _GOAL * total or count >= most:
            break
    while len(radii(law, step)[0]) > 1:
        step /= 2.0
        finer, _ = _table(net, radii(law, step), ends, count, slopes)
        table, radial = finer, _change(table, finer)
        if radial <= _GOAL * total or step <= least:
            break
    if not isinstance(law, Gaussian | Sphere | Ball):
        radial = _scatter(net, law, step, table, ends, slopes)
    return count, step, total, directions + (radial if np.isfinite(radial) else 0.0)


def _scatter(net: Network, law: Law, step: float, table: Array, ends: Array, slopes: bool) -> float:
    """The error of a table whose radii are a user's law's quadrature, by the scatter of rules of that size."""
    count = min(len(table), _ANGLES[0])  # what the radii do to the first terms, they do to all
    rest = [radii(law, step, replicate) for replicate in range(law.replicates)]
    tables = [_table(net, rule, ends, count, slopes)[0] for rule in rest]
    open_still = quadrature.half_width(tables) + np.abs(table[:count] - np.mean(tables, axis=0))
    return float(open_still.sum(axis=0).max())


def _change(coarse: Array, fine: Array) -> float:
    """The most that a sum of the series can have moved at the lengths of the tables."""
    apart = fine.copy()
    apart[: len(coarse)] -= coarse
    return float(np.abs(apart).sum(axis=0).max())


def _table(
    net: Network, rule: Rule, nodes: Array, count: int, slopes: bool, held_out: Array | None = None
) -> tuple[Array, float]:
    """G_m at the nodes, (count, k, k), and how far the interpolated series is off at lengths between them."""
    others = np.empty(0) if held_out is None else held_out
    k, lengths = len(nodes), np.concatenate([nodes, others])
    between = heights(nodes, others, True) if len(others) else np.empty((0, k))
    table, size, off = np.zeros((count, k, k)), np.zeros(len(lengths)), np.zeros(len(others))
    room = max(1, _CHUNK // (len(lengths) * count))
    for first in range(0, len(rule[0]), room):
        radius, weight = (a[first : first + room] for a in rule)
        c = _coefficients(net, np.multiply.outer(lengths, radius), count, slopes) * np.sqrt(weight)[:, None]
        part = np.ascontiguousarray(c[:k].transpose(2, 0, 1))
        table += part @ part.transpose(0, 2, 1)
        size += np.square(c).sum(axis=(1, 2))
        if len(others):
            off += np.square(c[k:] - np.tensordot(between, c[:k], axes=1)).sum(axis=(1, 2))
    # By Cauchy and Schwarz, twice for the two inputs, and 2 c_m^2 each.
    return table, float(4.0 * np.sqrt(off.max(initial=0.0) * size.max()))


def _coefficients(net: Network, a: Array, count: int, slopes: bool) -> Array:
    """c_m(a) for m < count, times sqrt 2 where m > 0: (k, j) -> (k, j, count)."""
    from scipy.fft import dct

    kernels = kernels_of(net.activation)
    make = kernels.slopes if slopes else kernels.values
    points = np.cos(np.pi * (np.arange(count) + 0.5) / count)  # as particles on a line, and the a's as inputs
    cloud = blocks.pack(Measure(points[:, None], np.ones(count), np.full(count, 1.0 / count)), "float64")
    flat, scale, tiles = np.ascontiguousarray(a).reshape(-1), np.ones(BLOCK), BLOCK // cloud.b.shape[-1]
    values, into = np.empty((flat.size, count)), np.zeros(flat.size * BLOCK)
    for block in range(count // BLOCK):
        make(cloud.b.reshape(-1), scale, 1, flat, tiles, block, 0, flat.size, into)
        values[:, block * BLOCK : (block + 1) * BLOCK] = into.reshape(flat.size, BLOCK)
    coefficients = dct(values, type=2, axis=1, overwrite_x=True) / (2.0 * count)
    coefficients[:, 1:] *= np.sqrt(2.0)
    return np.asarray(coefficients.reshape(*a.shape, count))


def _nodes(known: Array, size: int) -> Array:
    """Chebyshev points in the logarithm of the lengths, zero before them if it is one of the lengths."""
    low, high = np.log(known[known > 0.0][[0, -1]])
    points = np.cos(np.pi * (np.arange(size) + 0.5) / size)[::-1]
    return np.concatenate([known[known == 0.0], np.exp((low + high) / 2.0 + (high - low) / 2.0 * points)])


def heights(nodes: Array, lengths: Array, between: bool) -> Array:
    """The weights that turn values at the nodes into values at these lengths: (n,) -> (n, k)."""
    if not between:
        nearest = np.abs(lengths[:, None] - nodes).argmin(axis=1)
        return np.asarray(np.eye(len(nodes))[nearest])
    zero, size = nodes == 0.0, np.count_nonzero(nodes)
    angle = np.pi * (np.arange(size) + 0.5) / size
    weight = ((-1.0) ** np.arange(size) * np.sin(angle))[::-1]
    away = np.log(np.where(lengths > 0.0, lengths, nodes[-1]))[:, None] - np.log(nodes[~zero])
    hit = away == 0.0
    parts = np.where(hit.any(axis=1, keepdims=True), hit, weight / np.where(hit, 1.0, away))
    weights = np.zeros((len(lengths), len(nodes)))
    weights[:, ~zero] = parts / parts.sum(axis=1, keepdims=True)
    weights[lengths == 0.0] = zero
    return weights
