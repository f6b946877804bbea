"""The limiting tangent kernel H = lim K_w(1) (3.1, k_inf of 3.2): the Gram matrix of the law itself, M = infinity.

In flow time k(x, x') = x.x' E sigma'(b.x) sigma'(b.x') with b ~ mu0, and E sigma(b.x) sigma(b.x') on top where the
output weights train. `pair_kernels` has the formulas; where there is none it is the tangent kernel of the law's
quadrature, refined until as good rules agree.

With k outputs a and b are independent, and so it is the Kronecker product of that kernel and E a a^T, plus that of
E sigma sigma and the identity.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import number, numpy_settings
from particles.errors import InputError
from particles.measures import quadrature
from particles.measures.laws import Law
from particles.measures.measure import Array, check_dim
from particles.measures.output_weights import checked_signs
from particles.model.network import Network
from particles.population.population import cores
from particles.theory.tangent import atoms
from particles.theory.tangent.atoms import checked_form
from particles.theory.tangent.pair_kernels import PairKernel, formula
from particles.theory.tangent.pairs import Pairs
from particles.theory.tangent.tiles import Team, tile_values

_BAND = 256  # rows at a time: what works on them holds a few such bands, not a few matrices
_NODES = (2**14, 2**16)  # of a law's quadrature: the first try, and where to give up
_COMPARED = 512  # inputs at which rules are compared, of any number
_EPS = float(np.finfo(np.float64).eps)


class Limit(NamedTuple):
    """The Gram matrix of the limit, with its error.

    Attributes
    ----------
    gram : (n, n) or (n, m)
        The matrix, in flow time; of k outputs (n k, n k) or (n k, m k).
    error
        The largest absolute error of an entry; of a quadrature, at 95% confidence.
    how
        The formula or rule that it comes from, in words.
    """

    gram: Array
    error: float
    how: str


@numpy_settings
def limit_gram(
    net: Network,
    law: Law,
    x: ArrayLike,
    other: ArrayLike | None = None,
    tolerance: float | None = None,
    signs: str = "random",
    outputs: str = "full",
) -> Array:
    """The Gram matrix of the limiting tangent kernel, as `mf.tangent.limit` computes it, alone (3.1, flow time).

    Parameters
    ----------
    net
        The network.
    law
        The initial law `mu0`, in as many dimensions as the inputs (a bias counted in).
    x : (n, d)
        Inputs.
    other : (m, d)
        Columns, if they are other inputs than the rows.
    tolerance, signs, outputs
        As in `mf.tangent.limit`.

    Returns
    -------
    (n, n), or (n, m) with `other`
        The matrix, in float64; of k outputs (n k, n k) or (n k, m k), unless `outputs` is "trace".

    Raises
    ------
    InputError
        As `mf.tangent.limit` does.

    References
    ----------
    Section 3.1, `H = lim K_w(1)`.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> mf.tangent.limit_gram(mf.Network("relu", beta=0.5), mf.Gaussian(2), x).round(4)
    array([[0.5   , 0.2114],
           [0.2114, 0.5   ]])
    """
    return limit(net, law, x, other, tolerance, signs, outputs).gram


@numpy_settings
def limit(
    net: Network,
    law: Law,
    x: ArrayLike,
    other: ArrayLike | None = None,
    tolerance: float | None = None,
    signs: str = "random",
    outputs: str = "full",
) -> Limit:
    r"""The limiting tangent kernel `H = lim K_w(1)` (3.1) as a Gram matrix, with its error (flow time).

    Parameters
    ----------
    net
        The network.
    law
        The initial law `mu0`, in as many dimensions as the inputs (a bias counted in).
    x : (n, d)
        Inputs.
    other : (m, d)
        Columns, if they are other inputs than the rows.
    tolerance
        The largest error that is accepted; by default whatever was reached.
    signs
        The output weights of k > 1 outputs, which are independent of b, as in `law.sample`; "random" by default. Of one
        output it makes no difference: s^2 has mean 1.
    outputs
        Of k > 1 outputs: "full", the default, for a row and a column an input and output, the output running fastest;
        "trace" for the mean of the k diagonal blocks.

    Returns
    -------
    Limit
        The matrix (n, n), symmetric to the bit, or (n, m) with `other`; in float64. Of k outputs (n k, n k) or (n k, m
        k), unless `outputs` is "trace".

    Raises
    ------
    InputError
        If the law is not one or is of another dimension than the inputs, if the error is above `tolerance`, and for
        `signs="joint"`.

    Notes
    -----
    .. math:: k_\infty(x, x') = x \cdot x' \, E_{b \sim \mu_0}[\sigma'(b \cdot x) \, \sigma'(b \cdot x')]

    and :math:`E \, \sigma(b \cdot x) \, \sigma(b \cdot x')` in addition where the output weights train. It comes from

    * closed forms for ReLU under any isotropic law; for relu, erf, gelu, sin, cos, linear and quadratic under a centred
      Gaussian; for linear and quadratic under a cube or another Gaussian;
    * sums for given atoms;
    * a series in the angle, to rounding, for every other activation under a Gaussian, Sphere or Ball;
    * quadrature for the rest: 1e-3 to 1e-5 where ReLU's kink or more than 3 inputs are involved, as `error` says.

    With k outputs and output weights a that are independent of b,

    .. math:: x \cdot x' \, E[\sigma'(b \cdot x) \, \sigma'(b \cdot x')] \; E[a a^T]
        + E[\sigma(b \cdot x) \, \sigma(b \cdot x')] \; I

    where :math:`E[a a^T]` is I for "random", "symmetric" and "gaussian", I / k for "unit", and all ones for "positive".
    Where it is a multiple of I the outputs do not see each other: give `mf.tangent.flow` the (n, n) matrix of
    `outputs="trace"` and targets (n, k).

    References
    ----------
    Section 3.1, `H`, and section 3.2, `k_inf`.

    Examples
    --------
    >>> limit = mf.tangent.limit(mf.Network("tanh", beta=0.5), mf.Gaussian(2), np.eye(2))
    >>> limit.gram.round(4), bool(limit.error < 1e-10)
    (array([[0.4644, 0.    ],
           [0.    , 0.4644]]), True)
    >>> mf.tangent.limit(mf.Network("relu", outputs=2), mf.Gaussian(2), [[1.0, 0.0]], signs="positive").gram
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    rows = net.inputs(x)
    columns = rows if other is None else net.inputs(other)
    _check(law, rows, columns)
    wanted = None if tolerance is None else number("tolerance", tolerance, above=0.0, remedy="Leave it out.")
    form, moment = checked_form(outputs), _second_moment(signs, net.outputs)
    if net.outputs == 1:
        gram = _of_one_output(net, law, rows, columns, wanted)
    else:
        gram = _of_outputs(net, law, rows, columns, wanted, moment, form)
    if wanted is not None and gram.error > wanted:
        remedy = f"Ask for tolerance={1.1 * gram.error:.2g}, or take it as it is without `tolerance`."
        raise InputError(f"`tolerance` {wanted:g} is out of reach here", f"{gram.error:.3g} by {gram.how}", remedy)
    return gram


def _check(law: Law, rows: Array, columns: Array) -> None:
    if not isinstance(law, Law):
        remedy = "For a measure, use tangent.gram(net, measure, x)."
        raise InputError("`law` must be an initial law, such as Gaussian(d)", type(law).__name__, remedy)
    d = rows.shape[1]
    check_dim(law.dim, d)
    if columns.shape[1] != d:
        rule = f"`other` must have as many columns as `x`, {d} with a bias counted in"
        raise InputError(rule, str(columns.shape[1]), "Give it the same inputs.")


def _second_moment(signs: str, k: int) -> Array:
    """E a a^T of output weights that are independent of b: (k, k)."""
    if checked_signs(signs) == "joint":
        remedy = 'Use tangent.gram of law.quadrature(nodes, "joint", outputs=k).'
        raise InputError("`signs` must leave the output weights independent of b", "'joint'", remedy)
    return np.ones((k, k)) if signs == "positive" else np.eye(k) / (k if signs == "unit" else 1)


def _of_outputs(
    net: Network, law: Law, rows: Array, columns: Array, wanted: float | None, moment: Array, form: str
) -> Limit:
    """The sum over layers of Kronecker products with E a a^T, or with the identity; or its mean over outputs."""
    k, gram, error, how = len(moment), np.zeros(()), 0.0, dict[str, None]()
    for layer in net.train:
        one = Network(net.activation, net.beta, net.bias, layer)
        part = _of_one_output(one, law, rows, columns, None if wanted is None else wanted / len(net.train))
        block = moment if layer == "input" else np.eye(k)
        gram = gram + np.kron(part.gram, block if form == "full" else np.atleast_2d(np.trace(block) / k))
        error, how = error + part.error, how | {part.how: None}
    return Limit(gram, error, " and ".join(how))


def _of_one_output(net: Network, law: Law, rows: Array, columns: Array, wanted: float | None) -> Limit:
    rule = formula(net, law, rows, columns)
    with Team(cores()) as team:
        return _by_atoms(net, law, rows, columns, team, wanted) if rule is None else _filled(rule, rows, columns, team)


def _filled(rule: PairKernel, rows: Array, columns: Array, team: Team) -> Limit:
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

    def rounding(matrix: Array) -> float:
        return 16.0 * _EPS * float(np.sqrt(16.0 + law.dim) * np.abs(matrix).max())

    if law.discrete:
        matrix = gram(2, rows, columns)
        return Limit(matrix, rounding(matrix), "the sum over atoms")
    count, (nodes, most), goal = law.replicates, _NODES, 1e-10 if wanted is None else wanted
    left, right = _compared(rows), _compared(columns)
    tall = rows[left]
    some = tall, tall if columns is rows else columns[right]  # one array twice where the matrix is symmetric
    while True:
        values = [gram(nodes // count, *some, replicate) for replicate in range(count)]
        width = quadrature.half_width(values).max()
        if width <= goal or nodes >= most:
            matrix = gram(nodes, rows, columns)
            apart = np.abs(matrix[np.ix_(left, right)] - np.mean(values, axis=0)).max()
            error = float(np.hypot(width, apart)) + rounding(matrix)
            if error <= goal or nodes >= most:
                return Limit(matrix, error, f"a quadrature of {nodes} nodes")
        nodes = min(4 * nodes, most)


def _compared(inputs: Array) -> NDArray[np.int64]:
    """Which inputs the error is asked at: all, or the longest ones and some of the others."""
    if len(inputs) <= _COMPARED:
        return np.arange(len(inputs))
    longest = np.argsort(-np.einsum("ik,ik->i", inputs, inputs), kind="stable")[: _COMPARED // 2]
    others = np.linspace(0, len(inputs) - 1, _COMPARED // 2).astype(np.int64)
    return np.unique(np.concatenate([longest, others]))
