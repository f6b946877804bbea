"""A radial cloud followed on one quadrature, and what says where that is too coarse."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import real_array
from particles.errors import DivergedError, InputError
from particles.measures.laws import Atoms, Law, Sphere
from particles.measures.measure import Array, Measure, checked_measure
from particles.measures.output_weights import checked_fixed_signs
from particles.measures.quadrature import legendre
from particles.theory.radial.isotropic_data import IsotropicData, Lengths
from particles.theory.radial.profile import Profile
from particles.theory.radial.radius import POINTS, Radius

PANELS = 6  # of the radius, at first
_WIDTHS = (2, 64)  # panels of a class's lengths: the first try, and where to give up
_SHARE = 0.1  # of the tolerance that the lengths may cost
_RARE = 1e-6  # of the commonest length's share
_CALLS = 20_000  # velocities; a flow that asks for more is stuck


class RadialRun(NamedTuple):
    """The flow of a radial cloud at the given times, on the finest quadrature.

    Attributes
    ----------
    times : (T,)
        Flow times.
    radii : (T, N)
        The particles' lengths `|b|`.
    signs : (N,)
        Their signs.
    weights : (N,)
        Their weights.
    data
        The lengths `|x| / sqrt(d)` (m,), with shares and targets.
    prediction : (T, m)
        `g` at those lengths.
    loss : (T,)
        The expected squared loss (1), `E (g - y)^2 / 2`.
    error : (T,)
        An estimate of the largest error of a prediction.
    nodes
        Numbers of radii that were tried.
    profile
        The mean of the activation over directions, `q`.
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
        """`g` at other lengths.

        Parameters
        ----------
        lengths : (k,)
            `|x| / sqrt(d)`.

        Returns
        -------
        (T, k)
            The outputs at every time.
        """
        rho, signed = np.atleast_1d(real_array("`lengths`", lengths)), self.signs * self.weights
        return np.array([signed @ self.profile(np.multiply.outer(r, rho))[0] for r in self.radii])


class RadialProblem(NamedTuple):
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
        return self.radius.even(PANELS) if self.radius else np.array([0.0, 1.0])

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
        return Atoms(radii[:, None], w).quadrature(1, checked_fixed_signs(self.signs))

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
        indicators = np.zeros(panels)
        for radii in run.radii:
            part = run.weights[:, None] * self.profile(np.multiply.outer(radii, self.watched))[0]
            size = np.abs(project @ part.reshape(-1, panels, POINTS, part.shape[1]))  # both signs, if there are two
            top, middle = size[:, :, -2:].max(axis=2), size[:, :, 2:5].max(axis=2)
            falls = np.divide(top, middle, out=np.ones_like(top), where=middle > top)
            indicators = np.maximum(indicators, (top * falls**2).max(axis=(0, 2)))
        return indicators


def settled_lengths(problem: RadialProblem, goal: float, tolerance: float) -> tuple[Lengths, Array]:
    """A quadrature of the lengths under which the coarsest cloud moves as under a finer one, and how far off it is."""
    panels, most = _WIDTHS
    lengths = problem.data.lengths(panels)
    before = problem.run(problem.edges, lengths, tolerance)[0].predict(problem.watched)
    while True:
        panels *= 2
        finer = problem.data.lengths(panels)
        if len(finer.length) == len(lengths.length):  # classes of one length each
            return lengths, np.zeros(len(problem.times))
        now = problem.run(problem.edges, finer, tolerance)[0].predict(problem.watched)
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
    solution: Any = solve_ivp(velocity, span, begin, "DOP853", times, dense_output=True, **limits)
    if not solution.success:
        raise DivergedError(f"the radial flow could not be followed: {solution.message}")
    return np.asarray(solution.y.T), float(np.diff(solution.sol.ts).max())
