"""Every recorded number that is one a time, drawn against flow time: one figure each."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from particles.plotting import style
from particles.plotting.curves import Curve, draw, mean_of
from particles.report.pictures import Picture, drawn
from particles.report.source import SWEEP, Source

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]
FIGURES = 24  # quantities that are drawn
CURVES = 10  # of a figure: more cannot be told apart
_POINTS = 400  # of a curve: more than the figure has dots across
_HUGE = 1e100  # what is larger is on its way to overflow, and flattens all the rest


def curves(source: Source) -> tuple[list[Picture], list[str]]:
    """A figure for every quantity, and what was thinned or left out, in sentences."""
    pictures, notes = [], []
    names = [str(name) for name, values in source.root.data_vars.items() if _is_scalar(source, values)]
    for name in names[:FIGURES]:
        lines = _swept(source, name) if source.kind == SWEEP else [_single(source.root, name)]
        lines = [line for line in map(_readable, lines) if np.isfinite(line.value).any()]
        kept = _some(lines)
        if len(kept) < len(lines):
            notes.append(f"{name}: {len(kept)} of {len(lines)} curves are drawn.")
        if kept:
            with style.optional(name, notes):
                pictures.append(_picture(name, source.root[name].attrs, kept))
        else:
            notes.append(f"{name}: no finite number was recorded, so it is not drawn.")
    if len(names) > FIGURES:
        notes.append(f"The first {FIGURES} of {len(names)} quantities are drawn.")
    return pictures, notes


def _is_scalar(source: Source, values: "xarray.DataArray") -> bool:
    last = "time" if "time" in source.root.dims else "record"
    timed = "time" in source.root.variables and source.root["time"].dtype.kind in "fiu"
    shape = last in values.dims if source.kind == SWEEP else values.dims == ("time",)
    return timed and shape and values.name != "time" and values.dtype.kind in "fiub" and values.size > 0


def _single(data: "xarray.Dataset", name: str) -> Curve:
    return Curve("", data["time"].values.astype(float), data[name].values.astype(float))


def _swept(source: Source, name: str) -> list[Curve]:
    """A curve for every place on the axes but the seed's, over which it is the mean, and the limit's."""
    data, curves = source.root, []
    last = "time" if "time" in data.dims else "record"
    axes = [str(dim) for dim in data[name].dims if dim not in (last, "seed")]
    for place in np.ndindex(*(data.sizes[axis] for axis in axes)):
        at = dict(zip(axes, place, strict=True))
        runs = _rows(data[name].isel(at), last)
        times = _rows(data["time"].isel({axis: k for axis, k in at.items() if axis in data["time"].dims}), last)
        words = ", ".join(f"{'M' if axis == 'count' else axis} = {data[axis].values[k]}" for axis, k in at.items())
        curves.append(mean_of(words, times[0], runs))
    if source.limit is not None and name in source.limit and len(axes) <= 1 and "time" in source.limit.variables:
        curves.append(Curve("M infinite", source.limit["time"].values, source.limit[name].values, None, True))
    return curves


def _rows(values: "xarray.DataArray", last: str) -> Array:
    array = values.transpose(..., last).values.astype(float)
    return np.asarray(array.reshape(-1, array.shape[-1]))


def _readable(line: Curve) -> Curve:
    """A curve of few enough points, without what would flatten it."""
    keep = np.unique(np.linspace(0, len(line.place) - 1, min(_POINTS, len(line.place))).round().astype(int))
    place, value = line.place[keep], line.value[keep].copy()
    value[~(np.abs(value) < _HUGE)] = np.nan
    return line._replace(place=place, value=value, spread=None if line.spread is None else line.spread[keep])


def _some(lines: list[Curve]) -> list[Curve]:
    """Of many curves some, evenly, the first and the last among them."""
    return [lines[k] for k in np.unique(np.linspace(0, len(lines) - 1, min(CURVES, len(lines))).round().astype(int))]


@style.styled
def _picture(name: str, attributes: dict[str, Any], curves: list[Curve]) -> Picture:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.1))
    axes = figure.subplots()
    draw(axes, [curve._replace(label=style.label(curve.label)) for curve in curves])
    axes.set(xlabel="flow time $t$", ylabel=style.label(name, 30))
    if len(curves) > 1:
        axes.legend()
    meaning = str(attributes.get("long_name", ""))
    equation = str(attributes.get("equation", ""))
    caption = meaning + (f" [{equation}]" if equation else "")
    return drawn(figure, name, _description(name, curves), caption)


def _description(name: str, lines: list[Curve]) -> str:
    """What the curves show, in words: where each begins and ends."""
    parts = []
    for line in lines:
        seen = np.flatnonzero(np.isfinite(line.value))
        ends = f"from {line.value[seen[0]]:.3g} at t = {line.place[seen[0]]:.3g}"
        ends += f" to {line.value[seen[-1]]:.3g} at t = {line.place[seen[-1]]:.3g}"
        parts.append(f"{line.label}: {ends}" if line.label else ends)
    return f"{name} against flow time, {'; '.join(parts)}."
