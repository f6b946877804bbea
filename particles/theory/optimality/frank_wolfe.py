"""The best measure of all (3.4), atoms and weights: the method of Frank and Wolfe with fully corrective weights.

L is convex in mu and its linear part is V, which is smallest at a single atom: that atom joins, and all weights are
optimised anew. Every round proves itself, L(mu) - L(nu) <= int V dmu - min V.
"""

from collections.abc import Sequence

import numpy as np

from particles.checks import number, whole
from particles.data.dataset import Dataset
from particles.measures.measure import Array, Measure
from particles.measures.random_streams import checked_seed
from particles.model.losses import Loss, loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import NONE, Regulariser
from particles.population.population import cores
from particles.theory.optimality.certificates import checked_radius, checked_signs
from particles.theory.optimality.convex_program import Optimum, checked_program, columns_of, optimum
from particles.theory.optimality.envelope import begun, least_over_weights, weights
from particles.theory.optimality.minimum import least
from particles.theory.optimality.potential import Variation

_NEW = 24  # atoms a round may bring


def frank_wolfe(
    net: Network,
    data: Dataset,
    loss: str | Loss = "squared",
    regulariser: Regulariser = NONE,
    *,
    radius: float | None = None,
    signs: Sequence[float] = (1.0, -1.0),
    alpha: float | None = None,
    starts: int = 32,
    seed: int = 0,
    tolerance: float = 1e-6,
    rounds: int = 100,
) -> Optimum:
    """The measure with the smallest L on a ball and given signs (3.4), by the fully corrective Frank-Wolfe method.

    Parameters
    ----------
    net
        The network.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    regulariser
        An L1 or L2 pull to zero; none by default.
    radius
        Of the ball; by default all of R^d, as in `mf.theory.certificates.gap`.
    signs
        The signs that particles may have; 1 and -1 by default. Of k outputs, where output weights are found with the
        positions, their largest length.
    alpha
        The output scale, 1 for beta = 1; needed for beta < 1.
    starts
        Random starts for each sign in a round; 32 by default.
    seed
        Of the random starts.
    tolerance
        The gap to reach; 1e-6 by default.
    rounds
        The largest number of rounds; 100 by default.

    Returns
    -------
    Optimum
        The best measure, with a gap of at most `tolerance` or after `rounds`.

    Raises
    ------
    InputError
        As `mf.theory.certificates.gap` and `mf.theory.convex_optimum` do.

    Notes
    -----
    Each round finds minima of V by descent from the starts and from the present particles, adds them as particles, and
    optimises all weights anew. Nothing moves along a flow: the result is an estimate of the smallest L that does not
    depend on gradient descent of a network.

    References
    ----------
    Section 3.4.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> best = mf.theory.frank_wolfe(net, data, regulariser=mf.L2(0.1), signs=[1.0])
    >>> round(best.objective, 4), bool(best.gap < 1e-6)
    (0.0229, True)
    """
    scale, tolerance = checked_program(net, data, loss, regulariser, alpha), number("tolerance", tolerance, above=0.0)
    starts, rounds, seed = whole("starts", starts, 1), whole("rounds", rounds, 1), checked_seed(seed)
    ends, x, row = checked_signs(signs, net.outputs > 1), net.inputs(data.x), loss_row(loss)
    s = ends if net.outputs == 1 else np.zeros((1, net.outputs))
    measure = Measure(np.zeros((len(s), x.shape[1])), s, np.full(len(s), 1.0 / len(s)))
    for round_ in range(1, rounds + 1):
        solution = optimum(net, measure, data, loss, regulariser, scale, 0.1 * tolerance)
        b, s, w = measure = Measure(*(a[solution.measure.w > 0] for a in solution.measure))
        slope = scale * row.slope(net.shaped(columns_of(net, measure, x, scale) @ w), data.y) / len(x)
        V = Variation(net, x, slope, regulariser, scale**2, cores())
        U = least_over_weights(V)
        R = checked_radius(U, radius, ends, float(np.linalg.norm(b, axis=1).max()))
        lowest, mean = least(U, R, ends, starts, seed + round_, (b, begun(s, ends))), float(w @ V.value(b, s))
        best = Optimum(measure, solution.objective, mean - lowest.value, round_)
        if best.gap <= tolerance:
            break
        new_b, size = _lowest(*lowest.ends, mean, R)
        new_s = weights(U, new_b, size)
        measure = Measure(np.concatenate([b, new_b]), np.concatenate([s, new_s]), np.zeros(len(s) + len(new_s)))
    return best


def _lowest(b: Array, s: Array, value: Array, mean: float, radius: float) -> tuple[Array, Array]:
    """The lowest ends of descent that are apart from one another: (k, d), (k,)."""
    kept: list[int] = []
    for r in np.argsort(value, kind="stable"):
        if value[r] >= mean or len(kept) == _NEW:
            break
        apart = np.linalg.norm(b[kept] - b[r], axis=1) > 1e-7 * radius
        if (apart | (s[kept] != s[r])).all():
            kept.append(int(r))
    return b[kept], s[kept]
