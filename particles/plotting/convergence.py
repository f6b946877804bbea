"""The figure of a sweep that has its limit: the loss and the distance from the limit's, against t and M; the cloud."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.measures.measure import Array, Measure
from particles.measures.quadrature import principal_axes
from particles.plotting import style as plots
from particles.plotting.curves import draw, mean_of
from particles.plotting.density import BINS, shade, smoothed

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_WORDS = (
    r"$e_1$, $e_2$: the two directions in which the limit's particles move most. "
    r"$\|\cdot\|_n$: root mean square over the training samples"
)
_OF_CLASSES = " and the outputs.\nColours: the output with the largest weight, grey where several have it."
_OF_THEORY = (
    "\nDashed: theory's mean, to first order. Bands: two standard errors of a mean over the seeds about it, "
    "smallest and largest $M$."
)
_FOLDED = np.sqrt(np.pi / 2 - 1)  # standard deviation of |N(0, 1)|, divided by its mean
LIMIT_SHADE = "0.7"  # of the limit's density in a legend
_TICKS = 8  # widths up to which each has its tick


class Cloud(NamedTuple):
    """A cloud before and after, to be drawn beside the limit's."""

    label: str
    before: Measure
    after: Measure


@plots.styled
def convergence(
    counts: Sequence[int],
    losses: Array | None,
    times: Array,
    limit_loss: Array | None,
    compared: "xarray.Dataset",
    clouds: Sequence[Cloud],
    title: str,
    deviation: Array | None = None,
) -> "Figure":
    """Loss minus the limit's against flow time; distance against M with the fit; the cloud at the start and the end.

    losses : (counts, seeds, T), times : (T,), limit_loss : (T,); clouds: the finite one, then the limit's. Without
    losses the first panel has the distance from the limit over time. deviation : (T,), sqrt(M) times the predicted
    standard deviation of the loss, NaN where it is not known.
    """
    figure, axes = plots.panels(4)
    if losses is None or limit_loss is None:
        shown = compared["distance"].values
        axes[0].set(ylabel=r"$\|g_M - g_\infty\|_n$", title="Distance from the limit, mean over seeds")
        known = compared.get("distance_theory")
        mean = None if known is None else np.asarray(known.values)
    else:
        shown = np.abs(losses - limit_loss)
        axes[0].set(ylabel="|loss - limit's loss|", title="Loss minus the limit's, mean over seeds")
        mean = None if deviation is None else deviation * np.sqrt(2 / np.pi)  # of |N(0, deviation^2)|
    means = [mean_of(f"M = {M}", times, runs)._replace(spread=None) for M, runs in zip(counts, shown, strict=True)]
    log = any((curve.value > 0).any() for curve in means)
    if log:  # symmetric starts have the limit's outputs at first, 0: a line to it would be a wall
        means = [curve._replace(value=_positive(curve.value)) for curve in means]
        mean = None if mean is None else _positive(mean)
    draw(axes[0], means)
    if mean is not None:
        _predicted(axes[0], counts, times, mean, _FOLDED / np.sqrt(shown.shape[1]) if deviation is not None else 0.0)
    axes[0].set(xlabel="flow time $t$", yscale="log" if log else "linear")
    plots.legend(axes[0], 0.25, loc="upper right", ncols=2)
    distances(axes[1], compared)
    _clouds(axes[2:], clouds)
    figure.suptitle(title)
    words = _WORDS + (_OF_CLASSES if clouds[0].after.s.ndim > 1 else ".")
    figure.supxlabel(words + (_OF_THEORY if deviation is not None and losses is not None else ""), fontsize=7.5)
    plots.settle(figure)
    return figure


def _positive(values: Array) -> Array:
    """NaN for what a logarithmic axis cannot show."""
    return np.where(values > 0.0, values, np.nan)


def _predicted(axes: "Axes", counts: Sequence[int], times: Array, mean: Array, error: float) -> None:
    """What theory predicts for each M, mean / sqrt(M); a tube of two standard errors at the smallest and the largest.

    error : of a mean over the seeds, as a factor of the mean; 0 where it is not known.
    """
    known, colours = np.isfinite(mean), plots.shades_of(len(counts))
    times, mean = times[known], mean[known]
    for place in {0, len(counts) - 1} if error else ():
        middle = mean / np.sqrt(counts[place])
        plots.band(axes, times, middle * max(1 - 2 * error, 0.0), middle * (1 + 2 * error), colours[place])
    for M, colour in zip(counts, colours, strict=True):
        plots.theory(axes, times, mean / np.sqrt(M), color=colour)
    axes.plot([], [], label="theory", **plots.THEORY)


def distances(axes: "Axes", compared: "xarray.Dataset") -> None:
    """The distance from the limit against M with the fit and its interval, theory's line and the limit's own change."""
    counts, top = compared["count"].values, compared["sup_distance"].values
    for count, values, color in zip(counts, top, plots.shades_of(len(counts)), strict=True):
        axes.plot(np.full(len(values), count), values, "o", color=color, alpha=0.7)
    middle = np.exp(np.log(top).mean(axis=1))
    power = float(compared["exponent"])
    centre = np.exp(np.log(counts).mean()), np.exp(np.log(middle).mean())
    if np.isfinite(power):
        low, high = float(compared["exponent_low"]), float(compared["exponent_high"])
        label = rf"fit $M^{{{power:.3f}}}$, 95% [{low:.3f}, {high:.3f}]"
        axes.plot(counts, centre[1] * (counts / centre[0]) ** power, color=plots.PALETTE[1], label=label)
        if np.isfinite([low, high]).all():
            ends = [centre[1] * (counts / centre[0]) ** each for each in (low, high)]
            plots.band(axes, counts, np.minimum(*ends), np.maximum(*ends), plots.PALETTE[1])
        _theory(axes, compared, centre)
    error = float(compared["sup_limit_error"])
    if error > 0:
        axes.axhline(error, color=plots.LIMIT["color"], lw=1, ls=":", label="change of the limit since half the nodes")
    axes.set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel=r"$\sup_t\ \|g_M - g_\infty\|_n$")
    if len(counts) <= _TICKS:
        plots.ticks(axes, counts)
    axes.set_title("Distance of predictions from the limit")
    plots.legend(axes, 0.34, loc="upper right")


def _theory(axes: "Axes", compared: "xarray.Dataset", centre: tuple[float, float]) -> None:
    """Theory's line: with its own constant where there is a prediction, else through the centre of the fit."""
    counts = compared["count"].values
    if "constant_theory" in compared:
        constant = float(compared["constant_theory"])
        words = rf"theory ${constant:.3f}\, M^{{-1/2}}$, measured {float(compared['constant']):.3f}"
        plots.theory(axes, counts, constant * counts**-0.5, words)
    else:
        plots.theory(axes, counts, centre[1] * (counts / centre[0]) ** -0.5, "theory $M^{-1/2}$")


def principal_plane(limit: Cloud) -> Array:
    """The two directions in which the limit's cloud moves most: (d, 2), orthonormal, signs fixed; (1, 1) for d = 1."""
    moved = (limit.after.b - limit.before.b) * np.sqrt(limit.after.w)[:, None]
    return principal_axes(moved)[:, :2]


def _clouds(axes: Sequence["Axes"], clouds: Sequence[Cloud]) -> None:
    """The finite cloud as dots over the limit's density, before and after, on one scale."""
    plane, moments = principal_plane(clouds[-1]), ("before", "after")
    seen = np.concatenate([_points(cloud, moment, plane) for cloud in clouds for moment in moments])
    margin = 0.05 * np.where(np.ptp(seen, axis=0) > 0, np.ptp(seen, axis=0), 1.0)
    box = np.stack([seen.min(axis=0) - margin, seen.max(axis=0) + margin])
    for place, moment, words in zip(axes, moments, ("at the start", "at the end"), strict=True):
        for cloud in reversed(clouds):  # the limit underneath
            _draw_cloud(place, cloud, getattr(cloud, moment), plane, box, cloud is clouds[-1])
        upward = r"$b \cdot e_2$" if plane.shape[1] > 1 else "density"
        place.set(title=f"Particles {words}", xlabel=r"$b \cdot e_1$", ylabel=upward, xlim=box[:, 0])
        if plane.shape[1] > 1:
            place.set_ylim(*box[:, 1])
    top = max(place.get_ylim()[1] for place in axes)
    for place in axes:
        place.set_ylim(top=top)
        plots.legend(place, 0.15, loc="upper right", markerscale=2)


def _points(cloud: Cloud, moment: str, plane: Array) -> Array:
    """A cloud on the plane, of a large one 2000 particles by weight: none of the far nodes that weigh nothing."""
    measure: Measure = getattr(cloud, moment)
    return np.asarray(measure.b[plots.dots(len(measure.w), measure.w)] @ plane)


def _draw_cloud(place: "Axes", cloud: Cloud, measure: Measure, plane: Array, box: Array, limit: bool) -> None:
    points = measure.b @ plane
    if plane.shape[1] == 1:
        color = LIMIT_SHADE if limit else plots.PALETTE[0]
        place.hist(
            points[:, 0], bins=BINS, weights=measure.w, density=True, histtype="step", label=cloud.label, color=color
        )
    elif limit:
        shade(place, smoothed(points, measure.w, box), box)
        place.fill([], [], color=LIMIT_SHADE, label=cloud.label)  # what the legend shows
    else:
        some, dots = plots.dots(len(measure.w), measure.w), dict[str, Any](marker="o", ls="", mew=0, ms=3)
        colours, of = [plots.PALETTE[0]], np.zeros(len(points), dtype=int)
        if measure.s.ndim > 1:
            colours, of = plots.class_colours(measure.s.shape[1]), plots.class_of(measure.s)
        for output, colour in enumerate(colours):
            shown = points[some][of[some] == output]
            place.plot(*shown.T, color=colour, alpha=0.6, label="" if len(colours) > 1 else cloud.label, **dots)
        if len(colours) > 1:
            place.plot([], [], color=plots.UNSIGNED, label=cloud.label, **dots)
