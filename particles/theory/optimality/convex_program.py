"""The best weights on given atoms (3.4), by a convex program.

On atoms (s_j, b_j) the objective is a function of their weights alone,

    F(w) = (1/n) sum_i l((A w)_i, y_i) + p.w      A_ij = alpha s_j sigma(b_j.x_i),  p_j the regulariser's pull

(of q outputs s_j and (A w)_i are in R^q, and A has n q rows, the outputs of a sample one after another),
convex on the simplex, and its gradient is V at the atoms. F(w) - min F <= w.grad F - min_j (grad F)_j: the same
certificate, with a minimum over a list.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array
from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.measure import Array, Measure, checked_measure
from particles.model.losses import Loss, loss as loss_row, of_samples
from particles.model.network import Network
from particles.model.regularisers import NONE, Regulariser
from particles.population.targets import check_targets
from particles.theory.optimality.boxes import pull
from particles.theory.tangent.tiles import kernels_of

_STEPS = 300  # 15 to 40 are usual
_FASTER = 0.1  # how much the barrier falls once its own problem is solved
_SMALL = tuple(10.0**-k for k in range(3, 14))  # of the largest weight: what may be left out as small


class Optimum(NamedTuple):
    """The best measure of a convex program (3.4).

    Attributes
    ----------
    measure
        Its particles and weights.
    objective
        L there.
    gap
        A duality gap: `L(measure) - L(nu) <= gap` for every `nu` on the given particles (`mf.theory.convex_optimum`) or
        in the ball (`mf.theory.frank_wolfe`, as far as the minima of V that gave it are global).
    rounds
        Steps of the method.
    """

    measure: Measure
    objective: float
    gap: float
    rounds: int


class Program(NamedTuple):
    """F of the weights: columns A (n, k), or (n q, k) of q outputs, p (k,), y (n,) or (n, q), the loss."""

    columns: Array
    pull: Array
    y: Array
    loss: Loss

    def value(self, w: Array) -> float:
        """F at weights (k,)."""
        return float(np.mean(of_samples(self.loss, self.outputs(w), self.y)) + self.pull @ w)

    def outputs(self, w: Array) -> Array:
        """g at the samples, like y."""
        return np.asarray((self.columns @ w).reshape(self.y.shape))

    def slope(self, w: Array) -> Array:
        """l'(g_i, y_i) / n, like y."""
        return np.asarray(self.loss.slope(self.outputs(w), self.y) / len(self.y))

    def gradient(self, w: Array) -> Array:
        """V at the atoms: (k,)."""
        return np.asarray(self.slope(w).reshape(-1) @ self.columns + self.pull)

    def hessian(self, w: Array) -> Array:
        """Of F: (k, k)."""
        n, slope = len(self.y), len(self.y) * self.slope(w)
        if self.loss.joint:  # a (q, q) block a sample
            bent = (self.loss.bend(slope, self.y) / n) @ self.columns.reshape(*self.y.shape, -1)
            return np.asarray(self.columns.T @ bent.reshape(self.columns.shape))
        return np.asarray((self.columns.T * (self.loss.bend(slope) / n).reshape(-1)) @ self.columns)


def convex_optimum(
    net: Network,
    atoms: Measure | tuple[ArrayLike, ArrayLike],
    data: Dataset,
    loss: str | Loss = "squared",
    regulariser: Regulariser = NONE,
    *,
    alpha: float | None = None,
    tolerance: float = 1e-10,
) -> Optimum:
    """The weights of given particles that minimise L (3.4).

    Parameters
    ----------
    net
        The network.
    atoms
        A measure, or positions (k, d) and signs (k,), of several outputs output weights (k, outputs); their own weights
        play no part.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    regulariser
        An L1 or L2 pull to zero; none by default.
    alpha
        The output scale, 1 for beta = 1; needed for beta < 1.
    tolerance
        The duality gap in L to reach; 1e-10 by default.

    Returns
    -------
    Optimum
        The best weights and their duality gap.

    Raises
    ------
    InputError
        Where the gap is not reached (rounding of L is the limit), for beta < 1 without `alpha`, and for particles of
        another number of outputs.

    Notes
    -----
    A primal-dual interior-point method, of which a step costs k^3/3 + n k^2 flops.

    References
    ----------
    Section 3.4: `L_n` is convex in mu.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> best = mf.theory.convex_optimum(net, law.sample(64, seed=0), data)
    >>> round(best.objective, 6), bool(best.gap < 1e-9)
    (0.0, True)
    """
    scale, tolerance = checked_program(net, data, loss, regulariser, alpha), number("tolerance", tolerance, above=0.0)
    x = net.inputs(data.x)
    b, s = (real_array(f"`{name}`", a, finite=False) for name, a in zip("bs", atoms[:2], strict=True))
    equal = np.full(len(b), 1.0 / len(b)) if b.ndim == 2 and len(b) else np.ones(1)
    given = checked_measure(Measure(b, s, equal), x.shape[1], net.outputs)
    best = optimum(net, given, data, loss, regulariser, scale, tolerance)
    if best.gap > tolerance:
        rule = f"the duality gap must come to {tolerance:g}"
        raise InputError(rule, f"{best.gap:.2g} after {best.rounds} steps", "Raise `tolerance`, or scale the targets.")
    return best


def checked_program(net: Network, data: Dataset, loss: str | Loss, rule: Regulariser, alpha: float | None) -> float:
    """The output scale, if all of these can make a convex program."""
    check_targets(net, loss_row(loss), data.y)
    if net.train != ("input",):
        raise InputError("the program is defined on (s, b)", f"train={net.train}", 'Use train="input".')
    if alpha is None and net.beta < 1.0:
        raise InputError("for beta < 1 the scale is a number of neurons", f"beta={net.beta:g}", "Give `alpha`.")
    return 1.0 if alpha is None else number("alpha", alpha, above=0.0)


def columns_of(net: Network, atoms: Measure, x: Array, alpha: float) -> Array:
    """A_ij = alpha s_j sigma(b_j . x_i): (n, k), or (n q, k) of q outputs."""
    cloud, kernels = blocks.pack(atoms, "float64", shared_signs=False), kernels_of(net.activation)
    n, K, flat, b = len(x), len(cloud.b), np.ascontiguousarray(x).reshape(-1), cloud.b.reshape(-1)
    columns = np.empty((n, len(atoms.s)))
    for block in range(K):
        tiles = cloud.last_tiles if block == K - 1 else BLOCK // cloud.b.shape[-1]
        part, first = np.zeros(n * BLOCK), block * BLOCK
        kernels.values(b, np.full(BLOCK, alpha), cloud.d, flat, tiles, block, 0, n, part)
        columns[:, first : first + BLOCK] = part.reshape(n, BLOCK)[:, : len(atoms.s) - first]
    return columns * atoms.s if atoms.s.ndim == 1 else (columns[:, None] * atoms.s.T).reshape(-1, len(atoms.s))


def optimum(
    net: Network, atoms: Measure, data: Dataset, loss: str | Loss, rule: Regulariser, alpha: float, tolerance: float
) -> Optimum:
    """The best weights of these atoms, which are checked; its gap may be above the tolerance."""
    columns = columns_of(net, atoms, net.inputs(data.x), alpha)
    program = Program(columns, pull(rule, alpha**2, atoms.b), data.y, loss_row(loss))
    w, steps = _solved(program, tolerance)
    w, gap = _sparse(program, w, tolerance)
    return Optimum(Measure(atoms.b, atoms.s, w), program.value(w), gap, steps)


def _sparse(program: Program, w: Array, tolerance: float) -> tuple[Array, float]:
    """The weights without as many of the small ones as the tolerance allows, and the gap: the path has no zeros."""
    start_gap = _gap(program.gradient(w), w)
    for share in _SMALL:
        kept = np.where(w > share * w.max(), w, 0.0)
        kept /= kept.sum()
        gap = _gap(program.gradient(kept), kept)
        if gap <= max(tolerance, start_gap):
            return kept, gap
    return w, start_gap


def _gap(gradient: Array, w: Array) -> float:
    return float(w @ (gradient - gradient.min()))


def _solved(program: Program, tolerance: float) -> tuple[Array, int]:
    """The weights (k,) of the smallest duality gap, and after how many Newton steps.

    z are the multipliers of w >= 0, kept near the central path z w = barrier: the barrier's own Hessian is no guide to
    the weights that end at 0, nor is a step that only z asks for.
    """
    k = program.columns.shape[1]
    w = best = np.full(k, 1.0 / k)
    gradient = program.gradient(w)
    least_gap = _gap(gradient, w)
    barrier = least_gap / k
    z = barrier / w
    for step in range(_STEPS):
        if least_gap <= tolerance or k == 1:
            return best, step
        move = _newton(program.hessian(w), z / w, barrier / w - (gradient - w @ gradient))
        length = _length(program, w, move, barrier, gradient)
        turn = barrier / w - z - z / w * move
        z = z + _room(z, turn) * turn
        w = w + length * move
        w = w / w.sum()
        z = np.clip(z, 0.01 * barrier / w, 100.0 * barrier / w)
        gradient = program.gradient(w)
        gap = _gap(gradient, w)
        if gap < least_gap:
            best, least_gap = w, gap
        if gap <= 3.0 * k * barrier:  # k barrier once this barrier's own problem is solved
            barrier *= _FASTER
    return best, _STEPS


def _newton(hessian: Array, diagonal: Array, down: Array) -> Array:
    """The step (k,) with sum 0 that solves (hessian + diagonal) step = down + level."""
    from scipy.linalg import cho_factor, cho_solve

    own = np.sqrt(np.diag(hessian) + diagonal)  # from 1e-6 to 1e6: weights that stay, weights that go
    scaled, across = hessian / np.multiply.outer(own, own), 1.0 / own
    across /= np.linalg.norm(across)
    # It acts on sums only; without it the matrix is nearly singular along the weights, and rounding of the two
    # solutions drowned the step at gaps of 1e-8.
    scaled += np.multiply.outer(across, across)
    scaled[np.diag_indices(len(own))] += diagonal / own**2 + 1e-15
    factor = cho_factor(scaled, check_finite=False)
    level, fall = cho_solve(factor, across), cho_solve(factor, down / own)
    step = fall - level * ((across @ fall) / (across @ level))
    return np.asarray((step - across * (across @ step)) / own)


def _room(values: Array, move: Array) -> float:
    """The share of a move, 1 at most, that keeps the values positive."""
    falling = move < 0
    return min(1.0, 0.99 * float(np.min(values[falling] / -move[falling], initial=np.inf)))


def _length(program: Program, w: Array, move: Array, barrier: float, gradient: Array) -> float:
    """The share of a step after which F with its barrier does not rise much: slopes keep their digits to the end, while
    differences of values drown in rounding.
    """
    length, begin = _room(w, move), float((gradient - barrier / w) @ move)
    while length > 1e-8:
        there = w + length * move
        if float((program.gradient(there) - barrier / there) @ move) <= -0.25 * begin:
            break
        length *= 0.5
    return length
