r"""Certificates of global optimality in the mean field (3.4): how far a measure can be from the best one.

The objective L (loss and regulariser) is convex in mu, and V = dL/dmu. So for every measure nu on the same signs and in
the same ball, whatever its number of neurons,

.. math:: L(\mu) - L(\nu) \le \int V d\mu - \int V d\nu \le \int V d\mu - \min V.

The right side needs nothing but the smallest value of one function of d inputs. Of k outputs the other measures have
output weights in a ball of R^k, and that function is `envelope.Envelope`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from particles.checks import number, real_array, whole
from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.measures.measure import Array, Measure, checked_measure
from particles.measures.random_streams import checked_seed
from particles.model.losses import Loss, loss as loss_row, of_samples
from particles.model.network import Network
from particles.model.regularisers import NONE, Regulariser
from particles.population.targets import check_width
from particles.theory.optimality.boxes import floor, limits, pull
from particles.theory.optimality.envelope import Potential, begun, least_over_weights, sizes, weights
from particles.theory.optimality.minimum import Least, least
from particles.theory.optimality.potential import first_variation

_BOXED = 4  # inputs up to which boxes are tried: each more multiplies them
_SHARE = 1e-3  # of the gap to which the floor is brought, if there are boxes enough
_SIZE = 1e-12  # of the radius: rounding that a particle may lie outside by


class Certificate(NamedTuple):
    """`L(mu)` is within `gap` of the smallest L over all measures on these signs and the ball of this radius.

    Of k outputs the signs are all output weights in R^k up to a length.

    Attributes
    ----------
    objective
        `L(mu)`.
    gap
        `mean - least`, no more certain than that `least` is the global minimum.
    mean
        `int V dmu`.
    least
        The lowest V met, an upper estimate of `min V`.
    b : (d,)
        The position where it was met.
    s
        Its sign, or its output weights (k,).
    radius
        The ball's.
    starts
        Starts of the descent on V.
    reached
        How many of them ended in the lowest minimum.
    unseen
        The estimated probability that a further start ends in a minimum not met yet.
    bound
        A proven lower bound of V, None where there is none: then `mean - bound` is a theorem.
    boxes
        How many boxes proved it.

    References
    ----------
    Section 3.4: `L` is convex in mu. Boender and Rinnooy Kan (1987) for `unseen`.
    """

    objective: float
    gap: float
    mean: float
    least: float
    b: Array
    s: float | Array
    radius: float
    starts: int
    reached: int
    unseen: float
    bound: float | None
    boxes: int

    @property
    def proven(self) -> float | None:
        """L(mu) - L(nu) is at most this for every nu, rounding of mu's own outputs apart; None without a bound."""
        return None if self.bound is None else self.mean - self.bound


def gap(
    net: Network,
    measure: Measure,
    data: Dataset,
    loss: str | Loss = "squared",
    regulariser: Regulariser = NONE,
    *,
    radius: float | None = None,
    starts: int = 64,
    seed: int = 0,
    signs: Sequence[float] | None = None,
    boxes: int = 2**18,
) -> Certificate:
    r"""How far `L(mu)` can be above that of any other measure: `int V dmu - min V` (3.4).

    Parameters
    ----------
    net
        The network.
    measure
        `mu`, with positions (M, d) in the ball. Its output scale `alpha` is also that of the measures it is compared
        with: for beta < 1 they may weigh neurons differently, but not rescale their sum.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    regulariser
        An L1 or L2 pull to zero; none by default.
    radius
        Of the ball. By default all of R^d, where an L2 pull and a bounded `sigma'` keep the minimum within
        `2 sup |grad data| / (alpha^2 lam)`.
    starts
        Random starts for each sign, beside the particles themselves; 64 by default.
    seed
        Of the random starts.
    signs
        Those that the other measures may use; by default the ones in `mu`. V is linear in `s`, so the smallest and the
        largest are enough. Of k outputs the lengths of output weights: others may use all that are no longer than the
        largest, by default than the longest in `mu`.
    boxes
        The most boxes that may prove a lower bound of V; 0 for none. Tried for at most 4 inputs, a bias counted in; a
        million take about a second.

    Returns
    -------
    Certificate
        The gap, what it was computed from, and the proven one.

    Raises
    ------
    InputError
        For a particle outside the ball or of another sign, no ball where there must be one, and as
        `mf.theory.first_variation` does.

    Notes
    -----
    L is convex in the measure, with first variation V, so for every measure :math:`\nu` on the signs and the ball

    .. math:: L(\mu) - L(\nu) \le \int V \, d\mu - \int V \, d\nu \le \int V \, d\mu - \min V

    Descent finds minima of V, not the global one for certain: where it misses it, `gap` is too small. `proven` never
    is, as far as the bounds in the activation's row are true.

    References
    ----------
    Section 3.4.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> certificate = mf.theory.certificates.gap(net, law.sample(64, seed=0), data, radius=4.0)
    >>> bool(certificate.gap > 0.0), bool(certificate.gap <= certificate.proven)
    (True, True)

    Of two outputs the best place for a particle comes with its output weights:

    >>> net, start = mf.Network("tanh", outputs=2), law.sample(64, seed=0, signs="unit", outputs=2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], ["cat", "dog"])
    >>> certificate = mf.theory.certificates.gap(net, start, data, "softmax", radius=4.0)
    >>> certificate.s.shape, bool(certificate.gap <= certificate.proven)
    ((2,), True)
    """
    starts, seed = whole("starts", starts, 1, remedy="Use 64, say."), checked_seed(seed)
    boxes = whole("boxes", boxes, 0, remedy="Use 0 for no floor.")
    V = first_variation(net, measure, data, loss, regulariser)
    measure = checked_measure(measure, V.x.shape[1], net.outputs)
    held = measure.w > 0
    b, s, w = measure.b[held], measure.s[held], measure.w[held]
    U, ends = least_over_weights(V), _ends(s, signs)
    R = checked_radius(U, radius, ends, float(np.linalg.norm(b, axis=1).max()))
    mean, lowest = float(w @ V.value(b, s)), least(U, R, ends, starts, seed, (b, begun(s, ends)))
    lowest, bound, used = _floored(U, R, ends, mean, lowest, boxes)
    L, sure = objective(net, measure, data, loss, regulariser), (lowest.starts, lowest.reached, lowest.unseen)
    sign = lowest.s if net.outputs == 1 else weights(U, lowest.b[None], np.array([lowest.s]))[0]
    return Certificate(L, mean - lowest.value, mean, lowest.value, lowest.b, sign, R, *sure, bound, used)


def _ends(s: Array, signs: Sequence[float] | None) -> Array:
    """The ends of the given signs, or of those of the particles, which must be among them."""
    many, size = s.ndim > 1, sizes(s)
    ends = checked_signs(np.unique(size) if signs is None else signs, many)
    if (not many and size.min() < ends[0]) or size.max() > ends[-1] * (1.0 + many * _SIZE):  # lengths have rounding
        got = f"{size.min():g} to {size.max():g} for signs {ends[0]:g} to {ends[-1]:g}"
        raise InputError("the particles' signs must be among `signs`", got, "Leave `signs` out.")
    return ends


def _floored(
    V: Potential, radius: float, signs: Array, mean: float, lowest: Least, boxes: int
) -> tuple[Least, float | None, int]:
    """The minimum, a lower one if the boxes met it; the floor, if it can be had; the boxes that it took."""
    bounds = limits(V, radius)
    scale = min(bounds.slope * radius, bounds.curvature * radius**2)
    if not boxes or V.x.shape[1] > _BOXED or not np.isfinite(scale):
        return lowest, None, 0
    below = floor(V, radius, signs, _SHARE * max(mean - lowest.value, np.finfo(float).eps * scale), boxes)
    if below.met < lowest.value:
        better = least(V, radius, signs, 1, 0, (below.b[None], np.array([below.s])))
        # None of the starts reached it.
        lowest = better._replace(starts=lowest.starts + 1, reached=1, unseen=1.0)
    return lowest, below.value, below.boxes


def objective(
    net: Network, measure: Measure, data: Dataset, loss: str | Loss = "squared", regulariser: Regulariser = NONE
) -> float:
    r"""`L(mu)`: the mean loss plus the regulariser (3.4).

    Parameters
    ----------
    net
        The network.
    measure
        `mu`.
    data
        The samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    regulariser
        An L1 or L2 pull to zero; none by default.

    Returns
    -------
    float
        The objective.

    Raises
    ------
    InputError
        For a pull to the start, which is no function of the measure, and targets of another width than the outputs.

    Notes
    -----
    .. math:: L(\mu) = \frac{1}{n} \sum_i l(g_\mu(x_i), y_i) + \alpha^2 \frac{\lambda}{2} \int |b|^2 \, d\mu

    for L2, and :math:`\alpha^2 \lambda \int |b|_1 \, d\mu` for L1.

    References
    ----------
    Equation (2) and section 3.4.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> zero = mf.Measure(np.zeros((1, 2)), np.ones(1), np.ones(1))
    >>> mf.theory.certificates.objective(net, zero, data)
    0.125
    """
    check_width(net, data.y)
    fit = float(np.mean(of_samples(loss_row(loss), net.predict(measure, data.x), data.y)))
    return fit + float(measure.w @ pull(regulariser, net.scale(measure) ** 2, measure.b))


def checked_signs(signs: Sequence[float] | Array, many: bool) -> Array:
    """The smallest and the largest of the signs, or the one there is; of several outputs the largest length alone."""
    distinct = np.unique(real_array("`signs`", signs, finite=False))
    if not len(distinct) or not np.isfinite(distinct).all():
        raise InputError("`signs` must be finite numbers, at least one", repr(signs), "Use (1, -1).")
    if many:
        return np.array([np.abs(distinct).max()])
    return distinct[[0, -1]] if len(distinct) > 1 else distinct


def checked_radius(V: Potential, radius: float | None, signs: Array, farthest: float) -> float:
    """The ball's radius, if the particles lie in it; for None one that holds the smallest V of all R^d."""
    if radius is not None:
        R = number("radius", radius, above=0.0, remedy="Use one that holds all particles.")
        if farthest > R * (1.0 + _SIZE):
            got = f"|b| = {farthest:.6g} for radius={R:g}"
            raise InputError("the particles must lie in the ball", got, f"Use radius={1.01 * farthest:.3g} or more.")
        return R
    size = V.penalty.pull
    steepest = limits(V, 1.0, float(np.abs(signs).max())).slope
    if not size or not np.isfinite(steepest):
        rule = "without a radius V must grow at infinity: an L2 pull, and sigma' bounded"
        raise InputError(rule, f"{V.rule!r} and {V.net.activation.name}", "Give `radius`.")
    return max(2.0 * steepest / size, farthest, 1e-3)  # any larger ball holds it too
