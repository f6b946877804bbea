"""Clouds on panels: what is drawn once, and what is drawn anew at every time (section 3.4)."""

import textwrap
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from particles.measures.measure import Array
from particles.plotting import style as plots
from particles.plotting.clouds import Reel, Track

BINS = 60  # of a histogram; as many as `convergence.py` has
CELLS = 40  # of a density in a plane, on each axis
INK = 3600.0  # points^2 that all dots of a cloud have together ...
DOT = 40.0  # ... and what one has at most, on average
_LETTERS = 19  # of a caption, to the inch
_ALIKE = 3.0  # axes whose ranges differ by less get one scale


class Screen(NamedTuple):
    """A figure and its panels, row by row. density: of each track, (T, signs, bins) or (T, bins, bins), where drawn."""

    figure: Figure
    panels: list[Axes]
    density: list[Array]


def screen(shown: Reel, size: tuple[float, float], times: int | None = None) -> Screen:
    """Panels of `size` inches each, dressed and empty: a row for one time (None), or a column for each of `times`."""
    with plots.house_style():
        kinds = len(shown.tracks) + (shown.graph is not None)
        rows, columns = (1, kinds) if times is None else (kinds, times)
        figure = Figure(figsize=(size[0] * columns, size[1] * rows))
        caption = textwrap.fill(description(shown), int(_LETTERS * figure.get_figwidth()))
        figure.supxlabel(caption, fontsize=7, x=0.01, ha="left")
        panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
        drawing = Screen(figure, panels, [density(shown, track) for track in shown.tracks if shown.binned])
        for place, panel in enumerate(panels):
            _dress(panel, shown, place // columns if times else place, drawing)
    return drawing


def paint(drawing: Screen, shown: Reel, at: int, place: int, kind: int) -> list[Artist]:
    """Draw time `at` of track `kind`, or of the functions g, on one panel: what was drawn, to be removed again."""
    panel = drawing.panels[place]
    with plots.house_style():
        if kind == len(shown.tracks):
            return _functions(panel, shown, at)
        if drawing.density:
            return _binned(panel, shown, drawing.density[kind][at], drawing)
        return [_dots(panel, shown, kind, at)]


def settle(drawing: Screen) -> None:
    """Lay the figure out now, and never again: what moves in a movie is the cloud alone."""
    with plots.house_style():
        drawing.figure.get_layout_engine().execute(drawing.figure)  # type: ignore[union-attr]
        drawing.figure.set_layout_engine("none")


def _dress(panel: Axes, shown: Reel, kind: int, drawing: Screen) -> None:
    """Limits, labels and title, the same at every time."""
    panel.set_axisbelow(True)  # the grid is under the dots, whether they are drawn with it or after it
    if kind == len(shown.tracks):
        assert shown.graph is not None
        x, y, g = shown.graph
        values = np.concatenate([*(one.ravel() for one in g), [] if y is None else y])
        room = np.ptp(values) or 1.0  # the legend stands above what it names
        panel.set(ylim=(values.min() - 0.05 * room, values.max() + 0.6 * room), xlabel="input", title="$g$")
        margin = 0.03 * (x[-1] - x[0]) or 0.5
        panel.set(xlim=(x[0] - margin, x[-1] + margin))
        if y is not None:
            panel.plot(x, y, "o", ms=2.0, mew=0, color="0.6", label="targets")
        return
    low, high = shown.box
    panel.set(xlim=(low[0], high[0]), xlabel=shown.plane.names[0], title=shown.tracks[kind].label)
    if len(low) == 1:
        panel.set(ylim=(0.0, 1.05 * max(each.max() for each in drawing.density)), ylabel="density")
        return
    panel.set(ylim=(low[1], high[1]), ylabel=shown.plane.names[1])
    wide, tall = high - low
    if max(wide, tall) < _ALIKE * min(wide, tall):
        panel.set_aspect("equal")


def _dots(panel: Axes, shown: Reel, kind: int, at: int) -> Artist:
    track = shown.tracks[kind]
    colour: Any = plots.UNSIGNED
    if track.sign is not None:
        by_sign = np.array([plots.UNSIGNED, plots.POSITIVE, plots.NEGATIVE])  # 0, 1 and -1, the last
        colour = by_sign[track.sign[at].astype(int)]
    x, y = track.points[at].T
    return panel.scatter(x, y, s=areas(shown, track)[at], c=colour, lw=0, alpha=0.6)


def areas(shown: Reel, track: Track) -> Array:
    """The areas of a track's dots (T, k), points^2: one scale for all tracks and times."""
    most = max(float(each.size.sum(axis=1).max()) for each in shown.tracks) or 1.0
    return np.asarray(min(INK, DOT * track.size.shape[1]) / most * track.size)


def _binned(panel: Axes, shown: Reel, height: Array, drawing: Screen) -> list[Artist]:
    edges = _edges(shown)
    if len(edges) == 2:
        most = max(each.max() for each in drawing.density)
        seen = np.ma.masked_equal(height.T, 0.0)
        return [panel.pcolormesh(*edges, seen, cmap="viridis_r", vmin=0.0, vmax=most)]
    colours = [plots.UNSIGNED] if len(height) == 1 else [plots.POSITIVE, plots.NEGATIVE]
    pairs = zip(height, colours, strict=True)
    return [panel.stairs(of_sign, edges[0], fill=True, color=colour, alpha=0.6) for of_sign, colour in pairs]


def _functions(panel: Axes, shown: Reel, at: int) -> list[Artist]:
    assert shown.graph is not None
    count = len(shown.tracks)
    shades = [*matplotlib.colormaps["viridis"](np.linspace(0.4, 0.75, max(count - 1, 1)))]
    drawn: list[Artist] = []
    for kind, (track, g) in enumerate(zip(shown.tracks, shown.graph.g, strict=True)):
        limit = count > 1 and kind == count - 1
        style: dict[str, Any] = plots.LIMIT if limit else {"color": shades[kind]}
        drawn += panel.plot(shown.graph.x, g[at], label=track.label or "g", **style)
    drawn.append(panel.legend(fontsize=7, loc="upper right"))
    return drawn


def _edges(shown: Reel) -> list[Array]:
    cells = BINS if shown.box.shape[1] == 1 else CELLS
    return [np.linspace(low, high, cells + 1) for low, high in shown.box.T]


def density(shown: Reel, track: Track) -> Array:
    """The density of the measure over the cells: (T, signs, bins) on a line, (T, bins, bins) on a plane, both signs."""
    edges = _edges(shown)
    area = np.prod([edge[1] - edge[0] for edge in edges])
    T, _, dim = track.points.shape
    parts: list[Any] = [np.ones_like(track.share)]
    if dim == 1 and track.sign is not None:
        parts = [track.sign > 0, track.sign <= 0]
    masses = [
        [np.histogramdd(track.points[at], bins=edges, weights=track.share[at] * part[at])[0] for part in parts]
        for at in range(T)
    ]
    whole = np.asarray(masses) / area
    return np.asarray(whole if dim == 1 else whole[:, 0])


def titles(shown: Reel) -> list[str]:
    """Each time in words, with as many digits as tell them apart."""
    units = {"": "", "1": " (dimensionless)"}.get(shown.units, f" {plots.label(shown.units)}")
    for digits in range(3, 18):
        numbers = [np.format_float_positional(t, digits, unique=False, fractional=False) for t in shown.times]
        if len(set(numbers)) == len(numbers):
            break
    return [f"flow time t = {words.rstrip('.')}{units}" for words in numbers]


def description(shown: Reel) -> str:
    """What the picture shows, in words: which particles, what size and colour say, on which axes."""
    signed = all(track.sign is not None for track in shown.tracks)
    which = "; ".join((f"{track.label}: " if track.label else "") + track.note for track in shown.tracks)
    colour = "blue s > 0, orange s < 0" if signed else "signs not recorded"
    if not shown.binned:
        look = f"Dots: area by {'w |s|' if signed else 'w'}, {colour}"
    elif len(shown.box[0]) == 1:
        look = f"Weighted histogram, {BINS} bins, {colour}"
    else:
        look = f"Weighted density, {CELLS} x {CELLS} cells, both signs together"
    lost = max(float(_outside(shown, track)) for track in shown.tracks)
    tails = f"Up to {100.0 * lost:.1g}% of the weight lies outside" if lost > 0 else ""
    return ". ".join(part for part in (which, look, shown.plane.words, tails) if part) + "."


def _outside(shown: Reel, track: Track) -> Array:
    """The largest part of the weight that is outside the box at any time."""
    out = ((track.points < shown.box[0]) | (track.points > shown.box[1])).any(axis=2)
    return np.asarray((np.where(out, track.share, 0.0).sum(axis=1) / track.share.sum(axis=1)).max())
