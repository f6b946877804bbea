"""A variable over a dimension as a figure: a line for each value of another, in the house's style."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from particles.study.plots import STYLE

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SYMBOLS = {"time": "t", "count": "M", "beta": r"\beta", "step": r"\eta", "temperature": r"\tau", "moment": "p"}
_WIDE = 10.0  # positive values that span this factor are drawn on a logarithmic scale
_LABEL = 44  # letters of a label on one line
_NAMED = 12  # lines up to which each has its name in the legend


def lines(values: "xarray.DataArray", places: "xarray.DataArray", over: str, by: str | None) -> "Figure":
    """values : dims `over`, with `by` and "seed" if they have them; places: where along `over` they stand."""
    import matplotlib
    from matplotlib.figure import Figure

    picks: list[dict[str, int]] = [{by: i} for i in range(values.sizes[by])] if by else [{}]
    shades = shades_of(len(picks))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.8))
        axes = figure.subplots()
        for pick, shade in zip(picks, shades, strict=True):
            label = _valued(values, by, pick[by]) if by else None
            _line(axes, values.isel(pick), places.isel(pick, missing_dims="ignore"), over, color=shade, label=label)
        axes.set(xlabel=_said(places, "time" if over == "record" else over), ylabel=_said(values))
        _scale(axes, values.values, places.values, over)
        if by and len(picks) <= _NAMED:
            axes.legend(fontsize=7)
        elif by:
            _bar(figure, axes, values[by])
        if "seed" in values.dims and by != "seed":
            axes.set_title(f"mean and spread over {values.sizes['seed']} seeds", fontsize=9)
        figure.get_layout_engine().execute(figure)  # type: ignore[union-attr]
    return figure


def shades_of(count: int) -> Any:
    """Colours of so many lines, from light to dark."""
    import matplotlib

    return matplotlib.colormaps["viridis"](np.linspace(0.85 if count > 1 else 0.3, 0.1, count))


def _line(axes: "Axes", values: "xarray.DataArray", places: "xarray.DataArray", over: str, **style: Any) -> None:
    """One line; over seeds, where there are some, the mean with the spread as a band."""
    table = values.transpose(over, ...).values.reshape(values.sizes[over], -1)
    where = places.transpose(over, ...).values.reshape(len(table), -1)[:, 0]
    have = np.isfinite(table).any(axis=1) & np.isfinite(where)
    table, where = table[have], where[have]
    if not len(table):
        return  # no run at this value
    middle = np.nanmean(table, axis=1)
    axes.plot(where, middle, lw=1.2, marker="o" if len(where) <= 12 else None, ms=3, **style)
    if table.shape[1] > 1:
        runs = np.isfinite(table).sum(axis=1)
        spread = np.sqrt(np.nansum((table - middle[:, None]) ** 2, axis=1) / np.maximum(runs - 1, 1))
        axes.fill_between(where, middle - spread, middle + spread, color=style["color"], alpha=0.2, lw=0)


def _scale(axes: "Axes", values: Any, places: Any, over: str) -> None:
    """Logarithmic where positive values span a decade; time stays linear."""
    axes.set_yscale("log" if spans_decades(values) else "linear")
    axes.set_xscale("log" if over not in ("time", "record") and spans_decades(places) else "linear")


def spans_decades(values: Any) -> bool:
    """Whether finite values are positive and far enough apart for a logarithmic axis."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > _WIDE * finite.min())


def _bar(figure: "Figure", axes: "Axes", named: "xarray.DataArray") -> None:
    """Colours of many lines beside the axes, as far as their values are numbers."""
    import matplotlib

    if named.dtype.kind in "iuf":
        ends = matplotlib.colors.Normalize(float(named.min()), float(named.max()))
        shades = matplotlib.colors.ListedColormap(shades_of(len(named)))
        figure.colorbar(matplotlib.cm.ScalarMappable(ends, shades), ax=axes, label=_said(named, str(named.name)))


def _valued(values: "xarray.DataArray", by: str, at: int) -> str:
    value = values[by].values[at]
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"${SYMBOLS[by]}$ = {shown}" if by in SYMBOLS else f"{by} = {shown}"


def _said(values: "xarray.DataArray", name: str = "") -> str:
    """A label from what the variable says of itself, its symbol and its units."""
    if name == "time":
        return "flow time $t$"
    text = str(values.attrs.get("long_name", values.name))
    units = str(values.attrs.get("units", "1"))
    symbol = f" ${SYMBOLS[name]}$" if name in SYMBOLS and not text.endswith(f" {SYMBOLS[name]}") else ""
    return textwrap.fill(text + symbol + (f" [{units}]" if units != "1" else ""), _LABEL)
