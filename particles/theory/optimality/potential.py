r"""The first variation of the loss over measures: the potential in which every particle of the mean field moves (3.4).

.. math::

    V(s, b) = \frac{dL}{d\mu}(s, b) = \frac{\alpha s}{n} \sum_i l'(g_\mu(x_i), y_i) \, \sigma(b \cdot x_i)
    + \frac{\alpha^2 \lambda}{2} |b|^2

Of k outputs s and the slope l' are in R^k, and their product is the inner one. The velocity of a particle in flow time
is :math:`v = -\nabla V / \alpha^2`. L is convex in mu, so
:math:`L(\mu) - L(\nu) \le \int V d\mu - \int V d\nu` for every nu.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import real_array
from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.measures.measure import Array, Measure, checked_measure
from particles.model.losses import Loss, loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import NONE, Regulariser
from particles.population.messages import Drift, population_spec
from particles.population.population import Local, cores
from particles.population.shard import Shard
from particles.population.targets import check_targets


class Variation(NamedTuple):
    """The first variation V of one measure on one dataset (3.4).

    Attributes
    ----------
    net
        The network.
    x : (n, d)
        Inputs as the particles see them.
    slope : (n,), or (n, outputs) of several
        `alpha l'(g, y) / n`.
    rule
        The regulariser.
    scale
        `alpha^2`, the regulariser's factor.
    threads
        That compute it.
    """

    net: Network
    x: Array
    slope: Array
    rule: Regulariser
    scale: float  # alpha^2, the regulariser's factor
    threads: int

    @property
    def penalty(self) -> Regulariser:
        """The regulariser as it stands in V, its weight times alpha^2."""
        return replace(self.rule, weight=self.scale * self.rule.weight)

    def value(self, b: ArrayLike, s: ArrayLike) -> Array:
        """V at given positions and signs.

        Parameters
        ----------
        b : (m, d)
            Positions.
        s : (m,), or (m, outputs) of several
            Signs, or output weights.

        Returns
        -------
        (m,)
            `V`.

        Raises
        ------
        InputError
            For shapes that do not fit.
        """
        return self.both(b, s)[0]

    def both(self, b: ArrayLike, s: ArrayLike) -> tuple[Array, Array]:
        """V and its gradient in b at given positions and signs.

        Parameters
        ----------
        b : (m, d)
            Positions.
        s : (m,), or (m, outputs) of several
            Signs, or output weights.

        Returns
        -------
        value : (m,)
            `V`.
        gradient : (m, d)
            For L1 the least-norm subgradient where a coordinate is 0.

        Raises
        ------
        InputError
            For shapes that do not fit.
        """
        points, signs, each = real_array("`b`", b), real_array("`s`", s), self.slope.shape[1:]
        fitting = points.ndim == 2 and points.shape[1] == self.x.shape[1] and signs.shape == (len(points), *each)
        if not fitting or not len(points):
            of_one = f"output weights (m, {each[0]})" if each else "signs (m,)"
            rule = f"positions must have shape (m, {self.x.shape[1]}) and {of_one}, m >= 1"
            raise InputError(rule, f"{points.shape} and {signs.shape}", "A bias is a coordinate of its own.")
        v, vs = velocities(self, points, signs)
        moved, gradient, penalty = signs * vs, -v, self.penalty
        value = -(moved.sum(axis=1) if each else moved)
        if not penalty.weight:
            return value, gradient
        return value + penalty.weight * penalty.value(points, 1), penalty.gradient(gradient, points)


def velocities(V: Variation, b: Array, s: Array) -> tuple[Array, Array]:
    """-sum_i s.slope_i sigma'(b.x_i) x_i, minus the gradient of V's data part, and -sum_i slope_i sigma(b.x_i).

    b : (m, d), s : (m,) or (m, k) -> (m, d) and like s

    The velocities of a cloud of these points, both of whose layers move.
    """
    cloud = Measure(b, s, np.full(len(s), 1.0 / len(s)))
    net = Network(V.net.activation, beta=1.0, train=("input", "output"), outputs=V.net.outputs)
    shard = Shard(population_spec(net, cloud), V.threads)
    try:
        return shard.velocities(Drift(V.x, V.slope, NONE))
    finally:
        shard.close()


def first_variation(
    net: Network,
    measure: Measure,
    data: Dataset,
    loss: str | Loss = "squared",
    regulariser: Regulariser = NONE,
    engine: Local | None = None,
) -> Variation:
    r"""The first variation `V = dL/dmu` at a measure: the potential in which the particles move (3.4).

    Parameters
    ----------
    net
        The network; only its input weights train.
    measure
        `mu`.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    regulariser
        An L1 or L2 pull to zero; none by default.
    engine
        Its threads do the work; by default `mf.Local()`.

    Returns
    -------
    Variation
        V as a function of position and sign.

    Raises
    ------
    InputError
        For a network whose output layer trains (its particles are not (sign, position) any more), targets that do not
        fit the network and the loss, and a pull to the start.

    Notes
    -----
    .. math::

        V(s, b) = \frac{\alpha s}{n} \sum_i l'(g_\mu(x_i), y_i) \, \sigma(b \cdot x_i) + \frac{\alpha^2 \lambda}{2}
        |b|^2

    where of k outputs s and l' are in R^k and their product is the inner one. The velocity of a particle in flow time
    is :math:`-\nabla_b V / \alpha^2`.

    References
    ----------
    Section 3.4.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> V = mf.theory.first_variation(net, law.sample(64, seed=0), data)
    >>> V.value(b=np.eye(2), s=np.ones(2)).round(3)
    array([-0.196,  0.156])
    """
    if net.train != ("input",):
        raise InputError("the first variation is defined on (s, b)", f"train={net.train}", 'Use train="input".')
    regulariser.check_potential()
    row, x = loss_row(loss), net.inputs(data.x)
    check_targets(net, row, data.y)
    measure, alpha = checked_measure(measure, x.shape[1], net.outputs), net.scale(measure)
    slope = alpha * row.slope(net.predict(measure, data.x), data.y) / len(x)
    threads = (engine.threads if engine else None) or cores()
    return Variation(net, x, slope, regulariser, alpha**2, threads)
