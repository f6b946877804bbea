"""The mean field of a radial cloud on isotropic data: a law over r = |b| alone (Mei, Montanari, Nguyen 2018).

With q of `profile`, b = r times a uniform direction, and rho = |x| / sqrt d, in flow time

    g(rho) = int s q(r rho) dmu(s, r),    V(r) = E[(g(rho) - y) q(r rho)],    dr/dt = -s V'(r),

the expectation over the data's lengths and classes. V is the first variation of (1) at that radius, and its gradient at
b is V'(r) along b: so the cloud stays radial and this is the flow (3.4) itself, in one dimension whatever d, and
independent of M. Stated for the squared loss.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import number, numpy_settings, real_array, whole
from particles.data.dataset import Stream
from particles.errors import DivergedError, InputError
from particles.measures.laws import Atoms, Law, Sphere
from particles.measures.measure import Array, Measure, checked_measure, checked_signs
from particles.measures.quadrature import legendre
from particles.model.network import Network
from particles.theory.radial.isotropic_data import IsotropicData, Lengths, isotropic_data
from particles.theory.radial.profile import Profile
from particles.theory.radial.radius import POINTS, Radius, checked_radial, radius_of

_PANELS = 6  # of the radius, at first
_WIDTHS = (2, 64)  # panels of a class's lengths: the first try, and where to give up
_SHARE = 0.1  # of the tolerance that the lengths may cost
_STEADY = 1e-2  # of the tolerance that the integrator is given at first
_SHARPER = 0.1, 0.5  # in the last run: of its tolerance, and of its longest step
_WAYS = 4  # a panel that is too coarse is cut in so many
_RARE = 1e-6  # of the commonest length's share
_CALLS = 20_000  # velocities; a flow that asks for more is stuck


class RadialRun(NamedTuple):
    """A radial cloud's flow at the times asked for, on the finest quadrature.

    times (T,); radii (T, N), signs (N,), weights (N,): the cloud; data: the lengths rho (m,) with shares and targets;
    prediction (T, m): g at those lengths; loss (T,): the expected squared loss (1), E (g - y)^2 / 2. error (T,): an
    estimate of the largest error of a prediction. nodes: numbers of radii tried. profile: q.
    """

    times: Array
    radii: Array
    signs: Array
    weights: Array
    data: Lengths
    prediction: Array
    loss: Array
    error: Array
    nodes: tuple[int, ...]
    profile: Profile

    def predict(self, lengths: ArrayLike) -> Array:
        """g at other lengths |x| / sqrt(d): (k,) -> (T, k)."""
        rho, signed = np.atleast_1d(real_array("`lengths`", lengths)), self.signs * self.weights
        return np.array([signed @ self.profile(np.multiply.outer(r, rho))[0] for r in self.radii])


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
    """The mean-field flow of (1), squared loss, from a radial law on isotropic data: predictions right to `tolerance`.

    start: a Gaussian about 0, Sphere or Ball in R^d; or, and for d = infinity always, a measure of radii r >= 0,
    positions (N, 1). data: `IsotropicData`, or a `Stream` of that form. times (T,): ascending flow times >= 0.
    signs: as in `law.quadrature`, for a law. kinks: where sigma or its slope jumps, other than at 0.

    First the data's lengths are settled, then the first radius is cut where the flow tears (`_Problem.indicators`), and
    at last the panels and the integrator's longest step are halved and its tolerance is a tenth: what that changes is
    the stated error, with that of the lengths and of q. Raises InputError for what has no such reduction, or if `most`
    radii are not enough; DivergedError if the flow leaves the numbers, or is stuck at a radius 0 where V has a corner
    (ReLU).

    >>> data = mf.Stream(mf.Sphere(3), lambda x: 0.5 * np.linalg.norm(x, axis=1))
    >>> run = mf.theory.radial_flow(mf.Network("relu"), mf.Sphere(3), data, times=[0.0, 20.0])
    >>> run.loss.round(3), run.radii[:, 0].round(2), bool(run.error.max() < 1e-6)
    (array([0.031, 0.003]), array([1.  , 1.71]), True)
    """
    goal = number("tolerance", tolerance, above=0.0, remedy="Use 1e-6, say.")
    most = whole("most", most, 4 * _PANELS * POINTS, remedy="An error is known from finer radii only.")
    given = isotropic_data(data) if isinstance(data, Stream) else data
    _check(net, start, given)
    corners = tuple(number("kinks", kink) for kink in np.ravel(kinks).tolist())
    asked, profile = _checked_times(times), Profile(net.row, given.dim, corners)
    problem = _Problem(profile, start, None if isinstance(start, Measure) else radius_of(start), asked, signs, given)
    lengths, off = _settled_lengths(problem, goal)
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
    asked = np.atleast_1d(real_array("`times`", times, finite=False))
    fine = asked.ndim == 1 and len(asked) and np.isfinite(asked).all()
    if not fine or asked[0] < 0 or (np.diff(asked) <= 0).any():
        raise InputError("`times` must be ascending finite flow times >= 0, (T,)", str(times), "Use np.linspace.")
    return asked


class _Problem(NamedTuple):
    """What is to be followed. radius: the start's, if it is a law that has more than one."""

    profile: Profile
    start: Law | Measure
    radius: Radius | None
    times: Array
    signs: str
    data: IsotropicData

    @property
    def edges(self) -> Array:
        """The panels of the radius to begin with."""
        return self.radius.even(_PANELS) if self.radius else np.array([0.0, 1.0])

    @property
    def watched(self) -> Array:
        """The lengths at which predictions are compared: some of those that data have, rarest ones left out."""
        some = self.data.lengths(_WIDTHS[0])
        return np.asarray(some.length[some.share >= _RARE * some.share.max()])

    def cloud(self, edges: Array) -> Measure:
        """The start as weighted radii, positions (N, 1)."""
        if isinstance(self.start, Measure):
            return checked_measure(self.start, 1)
        if self.radius is None:
            assert isinstance(self.start, Sphere)
            radii, w = np.array([self.start.radius]), np.ones(1)
        else:
            radii, w = self.radius.rule(edges)
        return Atoms(radii[:, None], w).quadrature(1, checked_signs(self.signs))

    def run(self, edges: Array, lengths: Lengths, tolerance: float, longest: float = np.inf) -> tuple[RadialRun, float]:
        """The flow on one quadrature, its error not known yet, by steps of at most `longest`; the longest of them."""
        cloud = self.cloud(edges)
        radii, step = _solved(self.profile, cloud, lengths, self.times, max(tolerance, 1e-13), longest)
        nothing = np.full(len(self.times), np.inf)
        run = RadialRun(
            self.times, radii, cloud.s, cloud.w, lengths, np.empty(0), np.empty(0), nothing, (), self.profile
        )
        g = run.predict(lengths.length)
        return run._replace(prediction=g, loss=np.asarray(0.5 * (g - lengths.target) ** 2 @ lengths.share)), step

    def indicators(self, edges: Array, run: RadialRun) -> Array:
        """How unsure each panel's part of any prediction is, by how its Legendre coefficients fall off: (panels,).

        The flow tears the cloud apart where radii that grow border on radii that shrink: there, and only there, the
        final radius becomes a steep function of the first one, and panels must be cut again and again.
        """
        panels = len(edges) - 1
        if self.radius is None:
            return np.zeros(panels)
        powers = np.polynomial.legendre.legvander(2.0 * legendre(POINTS)[0] - 1.0, POINTS - 1)
        project = (2.0 * np.arange(POINTS) + 1.0)[:, None] * powers.T
        found = np.zeros(panels)
        for radii in run.radii:
            part = run.weights[:, None] * self.profile(np.multiply.outer(radii, self.watched))[0]
            size = np.abs(project @ part.reshape(-1, panels, POINTS, part.shape[1]))  # both signs, if there are two
            top, middle = size[:, :, -2:].max(axis=2), size[:, :, 2:5].max(axis=2)
            falls = np.divide(top, middle, out=np.ones_like(top), where=middle > top)
            found = np.maximum(found, (top * falls**2).max(axis=(0, 2)))
        return found


def _cut(edges: Array, some: NDArray[np.bool_], ways: int) -> Array:
    """The edges with some panels cut in equal parts."""
    inner = [np.linspace(a, b, ways + 1)[1:-1] for a, b, cut in zip(edges, edges[1:], some, strict=False) if cut]
    return np.sort(np.concatenate([edges, *inner]))


def _settled_lengths(problem: _Problem, goal: float) -> tuple[Lengths, Array]:
    """A quadrature of the lengths under which the coarsest cloud moves as under a finer one, and how far off it is."""
    panels, most = _WIDTHS
    lengths = problem.data.lengths(panels)
    before = problem.run(problem.edges, lengths, _STEADY * goal)[0].predict(problem.watched)
    while True:
        panels *= 2
        finer = problem.data.lengths(panels)
        if len(finer.length) == len(lengths.length):  # classes of one length each
            return lengths, np.zeros(len(problem.times))
        now = problem.run(problem.edges, finer, _STEADY * goal)[0].predict(problem.watched)
        change, before, lengths = np.abs(now - before).max(axis=1), now, finer
        if change.max() <= _SHARE * goal:
            return lengths, change
        if panels >= most:
            reached = f"{change.max():.3g} with {len(lengths.length)} lengths of the inputs"
            raise InputError(f"`tolerance` {goal:g} is out of reach here", reached, "Ask for less.")


def _solved(
    profile: Profile, cloud: Measure, data: Lengths, times: Array, tolerance: float, longest: float
) -> tuple[Array, float]:
    """The radii at the times: (T, N). The longest step."""
    from scipy.integrate import solve_ivp

    calls, signed, share = 0, cloud.s * cloud.w, data.share * data.length

    def velocity(_: float, r: Array) -> Array:
        nonlocal calls
        calls += 1
        if calls > _CALLS:
            raise DivergedError("the radial flow is stuck: a radius has come to 0, where the potential has a corner")
        q, slope = profile(np.multiply.outer(r, data.length))
        return np.asarray(-cloud.s * (slope @ (share * (signed @ q - data.target))))

    begin = cloud.b[:, 0]
    if times[-1] == 0.0:
        return begin[None], 0.0
    span, limits = (0.0, times[-1]), {"rtol": tolerance, "atol": tolerance, "max_step": longest}
    found: Any = solve_ivp(velocity, span, begin, "DOP853", times, dense_output=True, **limits)
    if not found.success:
        raise DivergedError(f"the radial flow could not be followed: {found.message}")
    return np.asarray(found.y.T), float(np.diff(found.sol.ts).max())
