"""Figures. One style, colours that the colour-blind tell apart, the paper's letters on the axes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.files import write_whole
from particles.measure import Array, Measure
from particles.rules import principal_axes

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: Any = {
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "particles",  # the same figure is the same file
    "svg.fonttype": "none",
}
LIMIT = "#000000"
_DOTS = 2000  # particles drawn of a cloud


class Cloud(NamedTuple):
    """A cloud before and after, to be drawn beside the limit's."""

    label: str
    before: Measure
    after: Measure


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
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 6.6))
        axes = figure.subplots(2, 2)
        shades = matplotlib.colormaps["viridis"](np.linspace(0.85, 0.1, len(counts)))
        if losses is None or limit_loss is None:
            _curves(axes[0, 0], counts, compared["distance"].values, times, shades)
            axes[0, 0].set(ylabel=r"$\|g_M - g_\infty\|_n$", title="Distance: mean and spread over seeds")
        else:
            _curves(axes[0, 0], counts, losses, times, shades)
            axes[0, 0].plot(times, limit_loss, color=LIMIT, lw=1.6, ls="--", label=r"$M = \infty$")
            axes[0, 0].set(ylabel="training loss $L_n$", title="Loss: mean and spread over seeds")
        axes[0, 0].legend(fontsize=7)
        distances(axes[0, 1], compared, shades)
        _clouds(axes[1], clouds)
        figure.suptitle(title, fontsize=10)
        # Lay it out while the style holds.
        figure.get_layout_engine().execute(figure)  # type: ignore[union-attr]
    return figure


def _curves(axes: "Axes", counts: Sequence[int], values: Array, times: Array, shades: Any) -> None:
    """One curve for each M over flow time, with its spread over seeds; values : (counts, seeds, T)."""
    for count, of_count, shade in zip(counts, values, shades, strict=True):
        middle = of_count.mean(axis=0)
        axes.plot(times, middle, color=shade, lw=1.2, label=f"M = {count}")
        if len(of_count) > 1:
            spread = of_count.std(axis=0, ddof=1)
            axes.fill_between(times, middle - spread, middle + spread, color=shade, alpha=0.2, lw=0)
    axes.set(xlabel="flow time $t$")
    if (values > 0).all():
        axes.set_yscale("log")


def distances(axes: "Axes", compared: "xarray.Dataset", shades: Any) -> None:
    """The distance from the limit against M with the fit, theory's line and the limit's own error; shades: one a M."""
    counts, top = compared["count"].values, compared["sup_distance"].values
    for count, values, shade in zip(counts, top, shades, strict=True):
        axes.plot(np.full(len(values), count), values, "o", ms=3.5, color=shade, alpha=0.7)
    middle = np.exp(np.log(top).mean(axis=1))
    power = float(compared["exponent"])
    centre = np.exp(np.log(counts).mean()), np.exp(np.log(middle).mean())
    if np.isfinite(power):
        low, high = float(compared["exponent_low"]), float(compared["exponent_high"])
        label = rf"fit $M^{{{power:.3f}}}$, 95% [{low:.3f}, {high:.3f}]"
        axes.plot(counts, centre[1] * (counts / centre[0]) ** power, color="tab:orange", lw=1.5, label=label)
        axes.plot(
            counts, centre[1] * (counts / centre[0]) ** -0.5, color="0.4", lw=1, ls=":", label="theory $M^{-1/2}$"
        )
    error = float(compared["sup_limit_error"])
    if error > 0:
        axes.axhline(error, color=LIMIT, lw=1, ls="--", label="quadrature error of the limit")
    axes.set(xscale="log", yscale="log", xlabel="neurons $M$", ylabel=r"$\sup_t\ \|g_M - g_\infty\|_n$")
    axes.set_title("Distance of predictions from the limit")
    axes.legend(fontsize=7)


def principal_plane(limit: Cloud) -> Array:
    """The two directions in which the limit's cloud moves most: (d, 2), orthonormal, signs fixed; (1, 1) for d = 1."""
    moved = (limit.after.b - limit.before.b) * np.sqrt(limit.after.w)[:, None]
    return principal_axes(moved)[:, :2]


def _dots(measure: Measure) -> Array:
    """At most _DOTS particles, all of a small cloud, else drawn by weight: every k-th point of a Sobol sequence lies in
    one corner."""
    if len(measure.w) <= _DOTS:
        return measure.b
    return measure.b[np.random.default_rng(0).choice(len(measure.w), _DOTS, p=measure.w)]


def _clouds(axes: Sequence["Axes"], clouds: Sequence[Cloud]) -> None:
    plane = principal_plane(clouds[-1])
    for place, moment in zip(axes, ("before", "after"), strict=True):
        for cloud in reversed(clouds):  # the limit underneath
            measure: Measure = getattr(cloud, moment)
            points = _dots(measure) @ plane
            limit = cloud is clouds[-1]
            style: dict[str, Any] = (
                {"ms": 1.5, "color": "0.7"} if limit else {"ms": 3, "color": "tab:blue", "alpha": 0.6}
            )
            if points.shape[1] == 1:
                place.hist(
                    points[:, 0], bins=60, density=True, histtype="step", label=cloud.label, color=style["color"]
                )
            else:
                place.plot(points[:, 0], points[:, 1], "o", mew=0, label=cloud.label, **style)
        upward = r"$b \cdot e_2$" if plane.shape[1] > 1 else "density"
        place.set(title=f"Particles {moment}", xlabel=r"$b \cdot e_1$", ylabel=upward)
        place.legend(fontsize=7, loc="upper right", markerscale=2)
    for read in ("xlim", "ylim"):
        ends = np.array([getattr(place, f"get_{read}")() for place in axes])
        for place in axes:
            getattr(place, f"set_{read}")(ends.min(), ends.max())


def save(figure: "Figure", path: Path) -> list[Path]:
    """Write a figure as PNG and SVG beside each other: the two paths."""
    import matplotlib

    paths = [path.with_suffix(".png"), path.with_suffix(".svg")]
    for target in paths:
        page, kind = io.BytesIO(), target.suffix[1:]
        with matplotlib.rc_context(STYLE):  # the SVG's fonts and salt are settled as it is written
            figure.savefig(page, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
        write_whole(target, page.getbuffer())
    return paths
