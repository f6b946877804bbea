"""The mean field of a radial cloud on isotropic data: a law over r = |b| alone (Mei, Montanari, Nguyen 2018).

With q of `profile`, b = r times a uniform direction, and rho = |x| / sqrt d, in flow time

    g(rho) = int s q(r rho) dmu(s, r),    V(r) = E[(g(rho) - y) q(r rho)],    dr/dt = -s V'(r),

the expectation over the data's lengths and classes. V is the first variation of (1) at that radius, and its gradient at
b is V'(r) along b: so the cloud stays radial and this is the flow (3.4) itself, in one dimension whatever d, and
independent of M. Stated for the squared loss.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import number, numpy_settings, real_array, whole
from particles.data.dataset import Stream
from particles.errors import InputError
from particles.measures.laws import Law
from particles.measures.measure import Array, Measure, checked_measure
from particles.model.network import Network
from particles.theory.one_output import one_output, width
from particles.theory.radial.isotropic_data import IsotropicData, isotropic_data
from particles.theory.radial.profile import Profile
from particles.theory.radial.radial_problem import PANELS, RadialProblem, RadialRun, settled_lengths
from particles.theory.radial.radius import POINTS, checked_radial, radius_of

_STEADY = 1e-2  # of the tolerance that the integrator is given at first
_SHARPER = 0.1, 0.5  # in the last run: of its tolerance, and of its longest step
_WAYS = 4  # a panel that is too coarse is cut in so many


@numpy_settings
def radial_flow(
    net: Network,
    start: Law | Measure,
    data: IsotropicData | Stream,
    times: ArrayLike,
    *,
    tolerance: float = 1e-6,
    signs: str = "positive",
    kinks: tuple[float, ...] = (),
    most: int = 2**12,
) -> RadialRun:
    r"""The mean-field flow of (1), squared loss, from a radial law on isotropic data, for any d (3.4, flow time).

    Parameters
    ----------
    net
        The network: beta = 1, input weights without a bias.
    start
        A Gaussian about 0, a Sphere or a Ball in R^d; or a measure of radii r >= 0, positions (N, 1), which it must be
        for d = infinity.
    data
        `mf.theory.IsotropicData`, or a `mf.Stream` of that form.
    times : (T,)
        Ascending flow times >= 0.
    tolerance
        The error of predictions to reach; 1e-6 by default.
    signs
        "positive", "random" or "symmetric", as in `law.quadrature`, for a law.
    kinks
        Where sigma or its slope jumps, other than at 0.
    most
        The largest number of radii, 4096 by default.

    Returns
    -------
    RadialRun
        The cloud, its predictions and their error.

    Raises
    ------
    InputError
        For what has no such reduction, more than one output, and if `most` radii are not enough.
    DivergedError
        If a radius is no longer finite, or stays at 0 where V has a kink (ReLU).

    Notes
    -----
    With q(s) the mean of the activation over directions and :math:`\rho = |x| / \sqrt{d}`,

    .. math::

        g(\rho) = \int s \, q(r \rho) \, d\mu(s, r), \qquad V(r) = E[(g(\rho) - y) \, q(r \rho)], \qquad
        \frac{dr}{dt} = -s V'(r)

    the expectation over the data. First the quadrature of the data's lengths is refined, then the start's radii are
    divided where the flow separates them. At last the panels and the integrator's longest step are halved and its
    tolerance is divided by ten: what that changes is the stated error, with that of the lengths and of q.

    References
    ----------
    Section 3.4. Mei, Montanari and Nguyen (2018), A mean field view of the landscape of two-layer neural networks.

    Examples
    --------
    >>> data = mf.Stream(mf.Sphere(3), lambda x: 0.5 * np.linalg.norm(x, axis=1))
    >>> run = mf.theory.radial_flow(mf.Network("relu"), mf.Sphere(3), data, times=[0.0, 20.0])
    >>> run.loss.round(3), run.radii[:, 0].round(2), bool(run.error.max() < 1e-6)
    (array([0.031, 0.003]), array([1.  , 1.71]), True)
    """
    goal = number("tolerance", tolerance, above=0.0, remedy="Use 1e-6, say.")
    most = whole("most", most, 4 * PANELS * POINTS, remedy="An error is known from finer radii only.")
    one_output("the radial reduction", net.outputs, width("s", start.s) if isinstance(start, Measure) else 1)
    given = isotropic_data(data) if isinstance(data, Stream) else data
    _check(net, start, given)
    corners = tuple(number("kinks", kink) for kink in np.ravel(kinks).tolist())
    flow_times, profile = _checked_times(times), Profile(net.activation, given.dim, corners)
    radius = None if isinstance(start, Measure) else radius_of(start)
    problem = RadialProblem(profile, start, radius, flow_times, signs, given)
    lengths, off = settled_lengths(problem, goal, _STEADY * goal)
    floor = float(np.max(off)) + profile.error
    if floor > goal:
        remedy = "Name where sigma jumps in `kinks`, or ask for less."
        raise InputError(
            f"`tolerance` {goal:g} is out of reach here", f"{floor:.3g} in integrals over the data", remedy
        )
    edges, steady, longest = problem.edges, _STEADY * goal, np.inf
    (rough, step), error = problem.run(edges, lengths, steady), np.zeros(1)
    tried = [len(rough.weights)]
    while True:
        unsure = problem.indicators(edges, rough)
        coarse = unsure > max(0.5 * goal / len(unsure), 1e-15)
        checks = not coarse.any()
        edges = _cut(edges, np.ones_like(coarse) if checks else coarse, 2 if checks else _WAYS)
        if POINTS * (len(edges) - 1) > most:
            reached = f"{max(unsure.sum(), error.max()):.3g} with {tried[-1]} radii"
            raise InputError(f"`tolerance` {goal:g} is out of reach here", reached, "Raise `most`, or ask for less.")
        if checks:
            # A tolerance alone does not shorten a step that the interval or its own growth has limited.
            steady, longest = steady * _SHARPER[0], step * _SHARPER[1]
        fine, step = problem.run(edges, lengths, steady, longest)
        tried.append(len(fine.weights))
        change = np.abs(fine.predict(problem.watched) - rough.predict(problem.watched)).max(axis=1)
        error = change + off + profile.error
        if checks and error.max() <= goal:
            return fine._replace(error=error, nodes=tuple(tried))
        rough = fine


def _check(net: Network, start: Law | Measure, data: IsotropicData) -> None:
    if not isinstance(data, IsotropicData):
        remedy = "Use two_gaussians(delta, dim), Shells, or a Stream of isotropic inputs."
        raise InputError("`data` must be isotropic", type(data).__name__, remedy)
    if net.beta != 1.0 or net.bias or net.train != ("input",):
        rule = "the radial reduction is of the mean field, beta = 1, of input weights without a bias"
        raise InputError(rule, repr(net), "Use Network(activation, beta=1.0).")
    if isinstance(start, Measure):
        checked_measure(start, 1)
        if (start.b < 0.0).any():
            raise InputError("radii must be >= 0", f"{start.b.min():g}", "A measure of radii is that of |b|.")
        return
    if np.isinf(data.dim):
        remedy = "N(0, k^2 I / d) is the one radius k: Measure(b=[[k]], s=[1.0], w=[1.0])."
        raise InputError("for d = infinity `start` must be a measure of radii", type(start).__name__, remedy)
    if not isinstance(start, Law):
        raise InputError("`start` must be a radial law or a measure of radii", repr(start), "Use Gaussian(d).")
    checked_radial(start)
    if start.dim != data.dim:
        raise InputError(
            f"the law must live in R^{data.dim:g}, as the data do", f"dim={start.dim}", "Give it that `dim`."
        )


def _checked_times(times: ArrayLike) -> Array:
    flow_times = np.atleast_1d(real_array("`times`", times, finite=False))
    fine = flow_times.ndim == 1 and len(flow_times) and np.isfinite(flow_times).all()
    if not fine or flow_times[0] < 0 or (np.diff(flow_times) <= 0).any():
        raise InputError("`times` must be ascending finite flow times >= 0, (T,)", str(times), "Use np.linspace.")
    return flow_times


def _cut(edges: Array, some: NDArray[np.bool_], ways: int) -> Array:
    """The edges with some panels cut in equal parts."""
    inner = [np.linspace(a, b, ways + 1)[1:-1] for a, b, cut in zip(edges, edges[1:], some, strict=False) if cut]
    return np.sort(np.concatenate([edges, *inner]))
