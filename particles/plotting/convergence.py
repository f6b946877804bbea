"""The figure of a sweep that has its limit: the loss, the distance from the limit against M, the cloud."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.measures.measure import Array, Measure
from particles.measures.quadrature import principal_axes
from particles.plotting import style as plots
from particles.plotting.curves import Curve, draw, mean_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
) -> "Figure":
    """Loss against flow time for every M and the limit; distance against M with the fit; the cloud before and after.

    losses : (counts, seeds, T), times : (T,), limit_loss : (T,); clouds: the finite one, then the limit's. Without
    losses the first panel has the distance from the limit over time.
    """
    figure, axes = plots.panels(4)
    limit: list[Curve] = []
    if losses is None or limit_loss is None:
        shown = compared["distance"].values
        axes[0].set(ylabel=r"$\|g_M - g_\infty\|_n$", title="Distance: mean and spread over seeds")
    else:
        shown, limit = losses, [Curve(r"$M = \infty$", times, limit_loss, None, True)]
        axes[0].set(ylabel="training loss $L_n$", title="Loss: mean and spread over seeds")
    draw(axes[0], [*(mean_of(f"M = {M}", times, runs) for M, runs in zip(counts, shown, strict=True)), *limit])
    axes[0].set(xlabel="flow time $t$", yscale="log" if (shown > 0).all() else "linear")
    axes[0].legend()
    distances(axes[1], compared)
    _clouds(axes[2:], clouds)
    figure.suptitle(title)
    plots.settle(figure)
    return figure


def distances(axes: "Axes", compared: "xarray.Dataset") -> None:
    """The distance from the limit against M with the fit and its interval, theory's line and the limit's own change."""
    counts, top = compared["count"].values, compared["sup_distance"].values
    for count, values, shade in zip(counts, top, plots.shades_of(len(counts)), strict=True):
        axes.plot(np.full(len(values), count), values, "o", color=shade, alpha=0.7)
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
        plots.theory(axes, counts, centre[1] * (counts / centre[0]) ** -0.5, "theory $M^{-1/2}$")
    error = float(compared["sup_limit_error"])
    if error > 0:
        axes.axhline(error, color=plots.LIMIT["color"], lw=1, ls=":", label="change of the limit since half the nodes")
    axes.set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel=r"$\sup_t\ \|g_M - g_\infty\|_n$")
    axes.set_title("Distance of predictions from the limit")
    plots.legend(axes, 0.2, loc="upper right")


def principal_plane(limit: Cloud) -> Array:
    """The two directions in which the limit's cloud moves most: (d, 2), orthonormal, signs fixed; (1, 1) for d = 1."""
    moved = (limit.after.b - limit.before.b) * np.sqrt(limit.after.w)[:, None]
    return principal_axes(moved)[:, :2]


def _clouds(axes: Sequence["Axes"], clouds: Sequence[Cloud]) -> None:
    plane = principal_plane(clouds[-1])
    for place, moment in zip(axes, ("before", "after"), strict=True):
        for cloud in reversed(clouds):  # the limit underneath
            measure: Measure = getattr(cloud, moment)
            points = measure.b[plots.dots(len(measure.w), measure.w)] @ plane
            limit = cloud is clouds[-1]
            style: dict[str, Any] = (
                {"ms": 1.5, "color": "0.7"} if limit else {"ms": 3, "color": plots.PALETTE[0], "alpha": 0.6}
            )
            if points.shape[1] == 1:
                place.hist(
                    points[:, 0], bins=60, density=True, histtype="step", label=cloud.label, color=style["color"]
                )
            else:
                place.plot(points[:, 0], points[:, 1], "o", mew=0, label=cloud.label, **style)
        upward = r"$b \cdot e_2$" if plane.shape[1] > 1 else "density"
        place.set(title=f"Particles {moment}", xlabel=r"$b \cdot e_1$", ylabel=upward)
    for read in ("xlim", "ylim"):
        ends = np.array([getattr(place, f"get_{read}")() for place in axes])
        for place in axes:
            getattr(place, f"set_{read}")(ends.min(), ends.max())
    for place in axes:
        plots.legend(place, 0.15, loc="upper right", markerscale=2)
