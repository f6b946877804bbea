"""The limiting tangent kernel H = lim K_w(1) (3.1, k_inf of 3.2): the Gram matrix of the law itself, M = infinity.

In flow time k(x, x') = x.x' E sigma'(b.x) sigma'(b.x') with b ~ mu0, and E sigma(b.x) sigma(b.x') on top where the
output weights train. A kernel of two inputs comes from one of the `_by_...` below, the first that knows the law and the
activation; what no formula knows is the tangent kernel of the law's quadrature, refined until as good rules agree.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import number, numpy_settings
from particles.errors import InputError
from particles.measures import quadrature
from particles.measures.laws import Ball, Gaussian, Law, Sphere, Uniform
from particles.measures.measure import Array
from particles.model.activations import OURS, relu_slopes, relu_values
from particles.model.network import Network
from particles.population.population import cores
from particles.theory.tangent import atoms, isotropic
from particles.theory.tangent.isotropic import Pairs, cosines, supplement
from particles.theory.tangent.refinement import exact
from particles.theory.tangent.tiles import Team, tile_values

_BAND = 256  # rows at a time: what works on them holds a few such bands, not a few matrices
_NODES = (2**14, 2**16)  # of a law's quadrature: the first try, and where to give up
_COMPARED = 512  # inputs at which rules are compared, of any number
_EPS = float(np.finfo(np.float64).eps)


class Limit(NamedTuple):
    """gram : (n, n) or (n, m). error : the largest absolute one; of quadrature, at 95% confidence. how : by what."""

    gram: Array
    error: float
    how: str


class Rule(NamedTuple):
    """The kernel of pairs, with an estimate of its error beside rounding."""

    kernel: Callable[[Pairs], Array]
    how: str
    error: float = 0.0


@numpy_settings
def limit_gram(
    net: Network, law: Law, x: ArrayLike, other: ArrayLike | None = None, tolerance: float | None = None
) -> Array:
    """The Gram matrix of the limit, as `limit` finds it, alone: x (n, d) -> (n, n), or other (m, d) -> (n, m).

    >>> x = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> mf.tangent.limit_gram(mf.Network("relu", beta=0.5), mf.Gaussian(2), x).round(4)
    array([[0.5   , 0.2114],
           [0.2114, 0.5   ]])
    """
    return limit(net, law, x, other, tolerance).gram


@numpy_settings
def limit(
    net: Network, law: Law, x: ArrayLike, other: ArrayLike | None = None, tolerance: float | None = None
) -> Limit:
    """The Gram matrix of H = lim K_w(1) (3.1), flow time, float64: x (n, d) -> (n, n), or other (m, d) -> (n, m).

    Symmetric to the bit without `other`. Closed forms for ReLU under any isotropic law, for relu, erf, gelu, sin, cos,
    linear and quadratic under a centred Gaussian, for linear and quadratic under a cube or another Gaussian; sums for
    given atoms. Every other activation under a Gaussian, Sphere or Ball goes by a series in the angle, to rounding.
    The rest is quadrature: 1e-3 to 1e-5 where ReLU's corner or more than 3 inputs are in it, as `error` tells.

    tolerance: InputError if the error is above it. Without one, whatever was reached is returned.
    Raises InputError if the law is not one, or lives in another dimension than the inputs (a bias counted in).

    >>> found = mf.tangent.limit(mf.Network("tanh", beta=0.5), mf.Gaussian(2), np.eye(2))
    >>> found.gram.round(4), bool(found.error < 1e-10)
    (array([[0.4644, 0.    ],
           [0.    , 0.4644]]), True)
    """
    rows = net.inputs(x)
    columns = rows if other is None else net.inputs(other)
    _check(law, rows, columns)
    wanted = None if tolerance is None else number("tolerance", tolerance, above=0.0, remedy="Leave it out.")
    rule = _rule(net, law, rows, columns)
    with Team(cores()) as team:
        found = _by_atoms(net, law, rows, columns, team, wanted) if rule is None else _filled(rule, rows, columns, team)
    if wanted is not None and found.error > wanted:
        remedy = f"Ask for tolerance={1.1 * found.error:.2g}, or take it as it is without `tolerance`."
        raise InputError(f"`tolerance` {wanted:g} is out of reach here", f"{found.error:.3g} by {found.how}", remedy)
    return found


def _check(law: Law, rows: Array, columns: Array) -> None:
    if not isinstance(law, Law):
        remedy = "For a measure, use tangent.gram(net, measure, x)."
        raise InputError("`law` must be an initial law, such as Gaussian(d)", type(law).__name__, remedy)
    d = rows.shape[1]
    if law.dim != d:
        rule = f"the law must have as many dimensions as the inputs, {d} with a bias counted in"
        raise InputError(rule, f"dim={law.dim}", "Give the law that `dim`.")
    if columns.shape[1] != d:
        rule = f"`other` must have as many columns as `x`, {d} with a bias counted in"
        raise InputError(rule, str(columns.shape[1]), "Give it the same inputs.")


def _rule(net: Network, law: Law, rows: Array, columns: Array) -> Rule | None:
    """The kernel by a formula, or None where there is none."""
    if net.row is OURS["relu"] and law.isotropic and (_second(law) is not None or "output" not in net.train):
        return Rule(_by_angle(net, _second(law) or 0.0), "closed form")
    if isinstance(law, Gaussian) and law.isotropic and net.row.slope_kernel and net.row.value_kernel:
        return Rule(_by_closed_kernels(net, law.std**2), "closed form")
    if isinstance(law, Gaussian | Uniform) and net.row in (OURS["linear"], OURS["quadratic"]):
        return Rule(_by_moments(net, law), "closed form")
    if law.isotropic and (_plane(law) > 1 if isinstance(law, Sphere | Ball) else law.dim > 1):
        return _by_series(net, law, rows, columns)
    return None


def _plane(law: Sphere | Ball) -> int:
    """The dimension of the sphere that casts this law as its shadow: in a plane if it is two or more."""
    return law.dim + 2 * isinstance(law, Ball)


def _second(law: Law) -> float | None:
    """E b_1^2 of an isotropic law."""
    if isinstance(law, Gaussian):
        return law.std**2
    return law.radius**2 / _plane(law) if isinstance(law, Sphere | Ball) else None


def _combined(net: Network, pairs: Pairs, slopes: Callable[[], Array], values: Callable[[], Array]) -> Array:
    """k = x.x' E sigma' sigma' + E sigma sigma, of the layers that train."""
    if "input" not in net.train:
        return values()
    found = slopes()
    found *= pairs.inner
    if "output" in net.train:
        found += values()
    return found


def _by_angle(net: Network, second: float) -> Callable[[Pairs], Array]:
    """The arc-cosine kernels: ReLU sees the direction of b, and its length by the second moment alone."""

    def kernel(pairs: Pairs) -> Array:
        left = supplement(pairs)
        size = pairs.left * pairs.right
        return _combined(net, pairs, lambda: relu_slopes(left), lambda: second * size * relu_values(left))

    return kernel


def _by_closed_kernels(net: Network, variance: float) -> Callable[[Pairs], Array]:
    """The activation's own formulas, for a centred Gaussian."""
    slopes, values = net.row.slope_kernel, net.row.value_kernel
    assert slopes and values

    def kernel(pairs: Pairs) -> Array:
        q = variance * pairs.left**2, variance * pairs.inner, variance * pairs.right**2
        return _combined(net, pairs, lambda: np.array(slopes(*q)), lambda: np.array(values(*q)))

    return kernel


def _by_moments(net: Network, law: Gaussian | Uniform) -> Callable[[Pairs], Array]:
    """Linear and quadratic, where the coordinates of b are independent, alike and symmetric about their mean."""
    if isinstance(law, Gaussian):
        mean, v, excess = law.mean, law.std**2, 0.0
    else:
        mean, v = (law.low + law.high) / 2.0, (law.high - law.low) ** 2 / 12.0
        excess = -1.2 * v * v  # the fourth moment about the mean less 3 v^2: 9/5 - 3

    def kernel(pairs: Pairs) -> Array:
        # b.x = mean sum(x) + a with a centred, and so for x'
        a, b = (mean * inputs.sum(axis=1) for inputs in (pairs.rows, pairs.columns))
        product = np.multiply.outer(a, b) + v * pairs.inner
        if net.activation == "linear":
            return _combined(net, pairs, lambda: np.ones_like(product), lambda: product)

        def values() -> Array:
            spread = (a * a)[:, None] + v * pairs.left**2, b * b + v * pairs.right**2
            found = spread[0] * spread[1] + 2.0 * v * pairs.inner * (product + np.multiply.outer(a, b))
            return np.asarray(found + excess * (pairs.rows**2 @ (pairs.columns**2).T))

        return _combined(net, pairs, lambda: 4.0 * product, values)

    return kernel


def _by_series(net: Network, law: Law, rows: Array, columns: Array) -> Rule:
    """The two expectations as series in the angle (`isotropic`)."""
    longest = [float(np.linalg.norm(inputs, axis=1).max()) for inputs in (rows, columns)]
    lengths = np.concatenate([np.linalg.norm(inputs, axis=1) for inputs in (rows, columns)])
    asked = [layer == "input" for layer in net.train]
    known = {slopes: isotropic.series(net, law, lengths, slopes) for slopes in asked}

    def kernel(pairs: Pairs) -> Array:
        between = cosines(pairs)

        def expectation(slopes: bool) -> Array:
            left, right = (known[slopes].heights(a.ravel()) for a in (pairs.left, pairs.right))
            return isotropic.summed(known[slopes], between, left, right)

        return _combined(net, pairs, lambda: expectation(True), lambda: expectation(False))

    error = sum(s.error * (longest[0] * longest[1] if slopes else 1.0) for slopes, s in known.items())
    return Rule(kernel, f"a cosine series of {max(len(s.table) for s in known.values())} terms", error)


def _filled(rule: Rule, rows: Array, columns: Array, team: Team) -> Limit:
    """The matrix band by band: products by BLAS, then the kernel in their place, then the mirror image."""
    (m, d), n, same = rows.shape, len(columns), columns is rows
    left = np.sqrt(np.einsum("ik,ik->i", rows, rows))[:, None]
    right = left.T if same else np.sqrt(np.einsum("ik,ik->i", columns, columns))[None]
    gram, peak = np.empty((m, n)), 0.0
    for first in range(0, m, _BAND):
        last, begin = min(first + _BAND, m), first if same else 0
        band, among = gram[first:last, begin:], columns[begin:]
        np.matmul(rows[first:last], among.T, out=band)
        if same:  # an input is at angle 0 with itself to the bit
            np.fill_diagonal(band, left[first:last, 0] ** 2)

        def work(i: int, j: int, first: int = first, begin: int = begin, band: Array = band) -> None:
            some = slice(first + i, first + j)
            band[i:j] = rule.kernel(Pairs(rows[some], columns[begin:], band[i:j], left[some], right[:, begin:]))

        team.runs(work, 0, last - first)
        peak = max(peak, float(band.max()), -float(band.min()))
        if same:
            corner = np.triu(gram[first:last, first:last])
            gram[first:last, first:last] = corner + np.triu(corner, 1).T
            gram[last:, first:last] = gram[first:last, last:].T
    # A dot product's last bits: of an angle that is not measured from the inputs they make 11 times as much.
    return Limit(gram, rule.error + 16.0 * _EPS * np.sqrt(16.0 + d) * peak, rule.how)


def _by_atoms(net: Network, law: Law, rows: Array, columns: Array, team: Team, wanted: float | None) -> Limit:
    """The tangent kernel of the law's quadrature, refined until the scatter of rules is below `wanted`."""

    def gram(nodes: int, left: Array, right: Array, replicate: int | None = None) -> Array:
        measure = law.quadrature(nodes, along=rows, replicate=replicate)
        return tile_values(net, atoms.atoms_of(measure, law.dim), left, right, team)

    def rounding(found: Array) -> float:
        return 16.0 * _EPS * float(np.sqrt(16.0 + law.dim) * np.abs(found).max())

    if exact(law):
        found = gram(2, rows, columns)
        return Limit(found, rounding(found), "the sum over atoms")
    count, (nodes, most), goal = law.replicates, _NODES, 1e-10 if wanted is None else wanted
    left, right = _compared(rows), _compared(columns)
    tall = rows[left]
    some = tall, tall if columns is rows else columns[right]  # one array twice where the matrix is symmetric
    while True:
        values = [gram(nodes // count, *some, replicate) for replicate in range(count)]
        width = quadrature.half_width(values).max()
        if width <= goal or nodes >= most:
            found = gram(nodes, rows, columns)
            apart = np.abs(found[np.ix_(left, right)] - np.mean(values, axis=0)).max()
            error = float(np.hypot(width, apart)) + rounding(found)
            if error <= goal or nodes >= most:
                return Limit(found, error, f"a quadrature of {nodes} nodes")
        nodes = min(4 * nodes, most)


def _compared(inputs: Array) -> NDArray[np.int64]:
    """Which inputs the error is asked at: all, or the longest ones and some of the others."""
    if len(inputs) <= _COMPARED:
        return np.arange(len(inputs))
    longest = np.argsort(-np.einsum("ik,ik->i", inputs, inputs), kind="stable")[: _COMPARED // 2]
    others = np.linspace(0, len(inputs) - 1, _COMPARED // 2).astype(np.int64)
    return np.unique(np.concatenate([longest, others]))
