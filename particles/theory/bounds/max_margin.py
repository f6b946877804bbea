r"""The margin (7) of section 3.3: how well the tangent features of mu0 separate two classes, with a certified gap.

.. math::

    \gamma = \max_{|v(b)| \le 1} \min_i y_i \int \partial_b \sigma(b \cdot x_i) \cdot v(b) \, d\mu_0(b)
    = \min_{p \ge 0, \sum p_i = 1} \sum_r w_r |u_r(p)|

with :math:`u_r(p) = \sum_i p_i y_i s_r \sigma'(b_r \cdot x_i) x_i` on particles b_r of weight w_r. Any field v bounds
gamma from below and any p from above. An interior-point method follows both to the optimum: it rounds the norm
:math:`|u_r|` at 0, and the simplex has a barrier.
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
from particles.theory.bounds.interior_point import ZERO, MarginProblem, Solution, sizes, solution
from particles.theory.one_output import one_output, width
from particles.theory.tangent.tiles import kernels_of

_SAFE = 3.0  # times the largest change: 1 held in 28 of 40 random problems, 3 in 38


class Margin(NamedTuple):
    """The margin (7) between two bounds, and what proves them.

    Attributes
    ----------
    lower
        What `field` reaches.
    upper
        The dual value at `weights`.
    weights : (n,)
        The samples' p.
    field : (M, d)
        The field v at the particles, `|v_r| <= 1` to rounding.
    atoms
        The measure that stood for `mu0`.
    how
        Whether (7) holds, and how far the bounds are apart.
    quadrature
        0 for a measure. The bounds prove nothing of a law, whose margin may be outside them by about this: 3 times what
        twice and four times the nodes change of the dual value at `weights`. That held in 38 of 40 random problems.
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
    r"""The largest gamma of the margin condition (7) for given samples, between certified bounds.

    Parameters
    ----------
    net
        The network; its input weights train.
    start
        A measure, where a particle's sign is its field's; or a law, of which a quadrature is taken.
    x : (n, d)
        Inputs.
    y : (n,)
        Labels, -1 or 1.
    nodes
        The smallest number of quadrature nodes for a law, 4096 by default. The bounds are those of the nodes.
    tolerance
        How near the bounds are brought, relative to the upper one; 1e-4 by default. If it is not reached `how` says
        what was (rounding stops at about 1e-12 of the best that one sample allows).

    Returns
    -------
    Margin
        The bounds and their proofs. A margin of 0 means that (7) fails; v = 0 shows that it is never less.

    Raises
    ------
    InputError
        Where labels are not -1 or 1, an input is zero, or the input layer does not train, and for more than one output.

    Notes
    -----
    On particles :math:`b_r` of weight :math:`w_r`,

    .. math::

        \gamma = \max_{|v(b)| \le 1} \min_i \; y_i \int \partial_b \sigma(b \cdot x_i) \cdot v(b) \, d\mu_0(b)
               = \min_{p} \sum_r w_r \Bigl| \sum_i p_i y_i s_r \sigma'(b_r \cdot x_i) x_i \Bigr|

    with p in the simplex. Any field bounds gamma from below and any p from above. A step of the interior-point method
    costs 2 n^2 M + 8 n M d flops, and n M numbers are held five times. No flow time is involved: (7) has no output
    scale.

    References
    ----------
    Equation (7), section 3.3, Assumption 2.

    Examples
    --------
    >>> margin = mf.theory.margin(mf.Network("relu"), mf.Gaussian(2), np.eye(2), [1.0, -1.0], nodes=400)
    >>> round(margin.lower, 3), round(margin.upper, 3)
    (0.427, 0.427)
    """
    held = width("s", start.s) if isinstance(start, Measure) else 1
    one_output("the margin (7)", net.outputs, width("y", y), held)
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
        result = _certified(net, coarse, inputs, data.y, bound)
        changes = [abs(_ceiling(net, atoms, inputs, data.y, result.weights) - result.upper) for atoms in finer]
        return result._replace(quadrature=_SAFE * max(changes))
    return _certified(net, checked_measure(start, inputs.shape[1]), inputs, data.y, bound)


def _certified(net: Network, atoms: Measure, inputs: Array, y: Array, bound: float) -> Margin:
    """The bounds on these atoms."""
    slopes = _slopes(net, atoms, inputs)
    alone = np.abs(slopes).sum(axis=1) * np.linalg.norm(inputs, axis=1)  # the margin of each sample by itself
    best = float(alone.min())
    if best <= ZERO * alone.max():
        dead = int(np.argmin(alone))
        note = f"(7) fails to rounding: sigma' is all but 0 at every atom for sample {dead}"
        return Margin(0.0, best, np.eye(len(inputs))[dead], np.zeros(atoms.b.shape), atoms, note)
    weight = atoms.w * np.abs(atoms.s) / best
    optimum = solution(MarginProblem(inputs, y, slopes / best, weight), bound)
    field = optimum.field * np.where(atoms.s < 0, -1.0, 1.0)[:, None]
    return Margin(optimum.lower * best, optimum.upper * best, optimum.weights, field, atoms, _note(optimum, bound))


def _ceiling(net: Network, atoms: Measure, inputs: Array, y: Array, p: Array) -> float:
    """F(p): no field on these atoms reaches more at every sample."""
    problem = MarginProblem(inputs, y, _slopes(net, atoms, inputs), atoms.w)
    return float(sizes(problem.fields(p), np.zeros(len(atoms.w))).sum())


def _slopes(net: Network, atoms: Measure, inputs: Array) -> Array:
    """w_r |s_r| sigma'(b_r . x_i): (n, M)."""
    cloud, kernels = blocks.pack(atoms, "float64", shared_signs=False), kernels_of(net.activation)
    n, K, flat = len(inputs), len(cloud.b), np.ascontiguousarray(inputs).reshape(-1)
    b, slopes = cloud.b.reshape(-1), np.empty((n, len(atoms.w)))
    for block in range(K):
        scale = blocks.row(cloud.w, block, K) * np.abs(blocks.row(cloud.s, block, K))
        tiles = cloud.last_tiles if block == K - 1 else BLOCK // cloud.b.shape[-1]
        part = np.zeros(n * BLOCK)
        kernels.slopes(b, scale, cloud.d, flat, tiles, block, 0, n, part)
        first = block * BLOCK
        slopes[:, first : first + BLOCK] = part.reshape(n, BLOCK)[:, : len(atoms.w) - first]
    return slopes


def _note(optimum: Solution, tolerance: float) -> str:
    apart = (optimum.upper - optimum.lower) / optimum.upper if optimum.upper else 0.0
    if optimum.upper <= ZERO:
        return "(7) fails: no field separates these samples, their margin is 0"
    if apart <= tolerance:
        return f"(7) holds: bounds {apart:.1g} apart after {optimum.steps} steps"
    holds = "(7) holds" if optimum.lower > 0 else "undecided"
    return f"{holds}: bounds still {apart:.1g} apart after {optimum.steps} steps, `tolerance` is {tolerance:g}"
