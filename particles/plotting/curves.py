"""Curves over time or another dimension, drawn alike in a sweep's figure, by `ds.mf.plot` and in a report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.plotting import style as plots

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

SYMBOLS = {"time": "t", "count": "M", "beta": r"\beta", "step": r"\eta", "temperature": r"\tau", "moment": "p"}
# Titles of axes, of a few words; what is not here has its name.
TITLES = {
    "time": "flow time $t$",
    "count": "neurons $M$",
    "beta": r"output scale $\beta$",
    "step": r"step $\eta$",
    "temperature": r"temperature $\tau$",
    "moment": "order $p$",
    "loss": "training loss",
    "prediction": r"prediction $g(x_i)$",
    "distance": r"$\|g_M - g_\infty\|_n$",
    "sup_distance": r"$\sup_t\ \|g_M - g_\infty\|_n$",
    "displacement_rms": "displacement, rms",
    "displacement_max": "displacement, largest",
    "lambda_min": r"$\lambda_{\min}$ of the kernel",
    "lambda_max": r"$\lambda_{\max}$ of the kernel",
}
_SIZE = 5.4, 3.8  # inches
_NAMED = 12  # lines up to which each has its name in the legend
_FEW = 12  # points up to which each is marked


class Curve(NamedTuple):
    """One line: label, where (T,), value (T,), its spread over seeds (T,) or None; limit: whether M is infinite."""

    label: str
    place: Array
    value: Array
    spread: Array | None = None
    limit: bool = False


def mean_of(label: str, place: Array, runs: Array) -> Curve:
    """The mean over runs, those that got there, with its spread if there are more than one; runs : (S, T)."""
    with np.errstate(invalid="ignore", over="ignore"):  # runs that diverged
        there = ~np.isnan(runs)
        many = there.sum(axis=0)
        mean = np.where(many > 0, np.where(there, runs, 0.0).sum(axis=0) / np.maximum(many, 1), np.nan)
        off = np.where(there, (runs - mean) ** 2, 0.0).sum(axis=0)
    return Curve(label, place, mean, np.sqrt(off / np.maximum(many - 1, 1)) if len(runs) > 1 else None)


def draw(axes: "Axes", curves: Sequence[Curve], colours: Any = None) -> None:
    """Curves with their spreads; logarithmic where positive values span a decade.

    colours: of the finite networks' curves; None for shades from light to dark.
    """
    finite = [curve for curve in curves if not curve.limit]
    shades = iter(plots.shades_of(len(finite)) if colours is None else colours)
    for curve in curves:
        style = plots.LIMIT if curve.limit else {"color": next(shades)}
        seen = np.isfinite(curve.value) & np.isfinite(curve.place)
        if not seen.any():
            continue  # no run at this value
        place, value = curve.place[seen], curve.value[seen]
        axes.plot(place, value, marker="o" if len(place) <= _FEW else None, label=curve.label, **style)
        if curve.spread is not None:
            spread = curve.spread[seen]
            plots.band(axes, place, value - spread, value + spread, style["color"])
    if plots.spans_decades(np.concatenate([curve.value for curve in curves])):
        axes.set_yscale("log")


def lines(
    values: "xarray.DataArray", places: "xarray.DataArray", over: str, by: str | None, ax: "Axes | None" = None
) -> "Axes":
    """values : dims `over`, with `by` and "seed" if they have them; places: where along `over` they stand.

    In `ax` the user's own style holds, but for the colours.
    """
    return plots.in_panel(ax, _SIZE, lambda panel: _lines(panel, values, places, over, by))


def _lines(axes: "Axes", values: "xarray.DataArray", places: "xarray.DataArray", over: str, by: str | None) -> None:
    picks: list[dict[str, int]] = [{by: i} for i in range(values.sizes[by])] if by else [{}]
    earlier, title = len(axes.lines), axis_title(str(values.name), values.attrs)
    colours = [plots.series(earlier)["color"]] if earlier and not by else None
    if by == "output" and len(picks) <= _NAMED:
        colours = plots.class_colours(len(picks))[: len(picks)]
    draw(axes, [_curve(values, places.isel(pick, missing_dims="ignore"), over, by, pick) for pick in picks], colours)
    before = axes.get_ylabel() if earlier else ""  # of another variable in the same axes
    ylabel = before if title in before else ", ".join(filter(None, [before, title]))
    axes.set(xlabel=axis_title("time" if over == "record" else over), ylabel=ylabel)
    if over not in ("time", "record") and plots.spans_decades(places.values):
        axes.set_xscale("log")
    if len(picks) <= _NAMED and (by or earlier):
        axes.legend()
    elif by:
        _bar(axes, values[by])
    if "seed" in values.dims and by != "seed":
        axes.set_title(f"mean and spread over {values.sizes['seed']} seeds")


def _curve(
    values: "xarray.DataArray", places: "xarray.DataArray", over: str, by: str | None, pick: dict[str, int]
) -> Curve:
    """One line; over seeds, where there are some, the mean with the spread as a band."""
    chosen = values.isel(pick).transpose(over, ...).values
    table = chosen.reshape(len(chosen), -1).astype(float)
    where = places.transpose(over, ...).values.reshape(len(table), -1)[:, 0]
    return mean_of(_valued(values, by, pick[by]) if by else axis_title(str(values.name)), where, table.T)


def _bar(axes: "Axes", named: "xarray.DataArray") -> None:
    """Colours of many lines beside the axes, as far as their values are numbers."""
    import matplotlib

    if named.dtype.kind in "iuf":
        ends = matplotlib.colors.Normalize(float(named.min()), float(named.max()))
        shades = matplotlib.colors.ListedColormap(plots.shades_of(len(named)))
        bar = matplotlib.cm.ScalarMappable(ends, shades)
        axes.figure.colorbar(bar, ax=axes, label=axis_title(str(named.name)))


def _valued(values: "xarray.DataArray", by: str, at: int) -> str:
    value = values[by].values[at]
    shown = f"{value:g}" if isinstance(value, float) else plots.label(value)
    return f"${SYMBOLS[by]}$ = {shown}" if by in SYMBOLS else f"{plots.label(by)} = {shown}"


def axis_title(name: str, about: Mapping[str, Any] | None = None) -> str:
    """The title of an axis, of a few words: the variable's name with its symbol, and its unit if it has one."""
    units = plots.label((about or {}).get("units", "1"))
    return TITLES.get(name, plots.label(name).replace("_", " ")) + (f" [{units}]" if units != "1" else "")
