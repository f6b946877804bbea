"""Clouds on panels: what is drawn once, and what is drawn anew at every time (section 3.4)."""

import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from particles.measures.measure import Array
from particles.plotting import style as plots
from particles.plotting.clouds import Graph, Hue, Reel, Track
from particles.plotting.density import BINS, density, edges, shade

INK = 3600.0  # points^2 that all dots of a cloud have together ...
DOT = 40.0  # ... and what one has at most, on average
_LETTERS = 19  # of a caption, to the inch
_LEGEND_LETTERS = 16  # of a legend, to the inch
_ALIKE = 3.0  # axes whose ranges differ by less get one scale
_TRAILS = 200  # trajectories of a cloud; more are a stain


class Screen(NamedTuple):
    """A figure and its panels, row by row. density: of each track whose density is drawn, else None."""

    figure: Figure
    panels: list[Axes]
    density: list[Array | None]


def kinds(shown: Reel) -> int:
    """How many panels a time has: one a track, and one for the functions g."""
    return len(shown.tracks) + (shown.graph is not None)


def screen(shown: Reel, size: tuple[float, float], times: int | None = None, caption: bool = True) -> Screen:
    """A figure of `size` inches, dressed and empty: a row of panels for one time (None), or a column for each."""
    with plots.house_style():
        rows, columns = (1, kinds(shown)) if times is None else (kinds(shown), times)
        figure = Figure(figsize=size)
        if caption:
            words = textwrap.fill(description(shown), int(_LETTERS * size[0]))
            figure.supxlabel(words, fontsize=7, x=0.01, ha="left")
        drawing = Screen(figure, list(figure.subplots(rows, columns, squeeze=False).ravel()), densities(shown))
        for place, panel in enumerate(drawing.panels):
            dress(panel, shown, place // columns if times else place, drawing)
        if legend_width(shown):
            figure.legend(handles=keys(shown.bars), loc="outside right upper", fontsize=7)
    return drawing


def keys(hues: Iterable[Hue]) -> list[Line2D]:
    """Colours as a legend has them."""
    return [Line2D([], [], marker="o", ls="", color=hue.colour, label=hue.words) for hue in hues]


def legend_width(shown: Reel) -> float:
    """Inches beside the panels for the names of classes; signs are in the caption."""
    seen = shown.graph is not None or any(track.hue is not None for track in shown.tracks)
    return 0.35 + max(len(hue.words) for hue in shown.bars) / _LEGEND_LETTERS if shown.of_outputs and seen else 0.0


def densities(shown: Reel) -> list[Array | None]:
    """Of each track the density at every time, where it is drawn."""
    return [density(track, shown.box, len(shown.bars)) if track.binned else None for track in shown.tracks]


def paint(drawing: Screen, shown: Reel, at: int, place: int, kind: int) -> list[Artist]:
    """Draw time `at` of track `kind`, or of the functions g, on one panel: what was drawn, to be removed again."""
    panel = drawing.panels[place]
    with plots.house_style():
        if kind == len(shown.tracks):
            return _functions(panel, shown, at)
        return [*paint_track(drawing, shown, at, place, kind), *rays(panel, shown)]


def paint_track(drawing: Screen, shown: Reel, at: int, place: int, kind: int) -> list[Artist]:
    """A cloud: its density, or its dots over their trajectories."""
    panel, height = drawing.panels[place], drawing.density[kind]
    if height is not None:
        return _binned(panel, shown, height[at])
    trails = [_trails(panel, shown.tracks[kind], at)] if shown.trails else []
    return [*trails, _dots(panel, shown, kind, at)]


def rays(panel: Axes, shown: Reel) -> list[Artist]:
    """The given directions: rays from the origin in a plane, places on a line."""
    if shown.box.shape[1] == 1:
        return [panel.axvline(place, **plots.THEORY) for place in shown.plane.rays[:, 0]]
    reach = 2.0 * float(np.abs(shown.box).max())  # beyond the panel
    drawn: list[Artist] = []
    for ray in shown.plane.rays[np.abs(shown.plane.rays).max(axis=1) > 0]:
        end = reach * ray / np.abs(ray).max()
        drawn += panel.plot([0.0, end[0]], [0.0, end[1]], scalex=False, scaley=False, **plots.THEORY)
    return drawn


def settle(drawing: Screen) -> None:
    """Lay the figure out now, and never again: what moves in a movie is the cloud alone."""
    with plots.house_style():
        drawing.figure.get_layout_engine().execute(drawing.figure)  # type: ignore[union-attr]
        drawing.figure.set_layout_engine("none")


def dress(panel: Axes, shown: Reel, kind: int, drawing: Screen) -> None:
    """Limits, labels and title, the same at every time."""
    panel.set_axisbelow(True)  # the grid is under the dots, whether they are drawn with it or after it
    if kind == len(shown.tracks):
        assert shown.graph is not None
        x, y, g = shown.graph
        values = np.concatenate([*(one.ravel() for one in g), [] if y is None else y.ravel()])
        room = np.ptp(values) or 1.0  # the legend stands above what it names
        panel.set(ylim=(values.min() - 0.05 * room, values.max() + 0.6 * room), xlabel="input", title="$g$")
        margin = 0.03 * (x[-1] - x[0]) or 0.5
        panel.set(xlim=(x[0] - margin, x[-1] + margin))
        for column, colour in _targets(shown, y):
            panel.plot(x, column, "o", ms=2.0, mew=0, color=colour, label="targets")
        return
    low, high = shown.box
    panel.set(xlim=(low[0], high[0]), xlabel=shown.plane.names[0], title=shown.tracks[kind].label)
    if len(low) == 1:
        panel.set(ylim=(0.0, 1.05 * _most(drawing)), ylabel="density")
        return
    panel.set(ylim=(low[1], high[1]), ylabel=shown.plane.names[1])
    wide, tall = high - low
    if max(wide, tall) < _ALIKE * min(wide, tall):
        panel.set_aspect("equal")


def _targets(shown: Reel, y: Array | None) -> list[tuple[Array, str]]:
    """Targets with their colours, of each output; of classes those of a sample's own, which are 1."""
    if y is None or y.ndim == 1:
        return [] if y is None else [(y, "0.6")]
    own = np.where(y == 1.0, y, np.nan) if np.isin(y, (0.0, 1.0)).all() else y
    return [(column, _colour(shown, o)) for o, column in enumerate(own.T)]


def _colour(shown: Reel, output: int) -> str:
    return shown.hues[min(output, len(shown.hues) - 1)].colour


def _dots(panel: Axes, shown: Reel, kind: int, at: int) -> Artist:
    track = shown.tracks[kind]
    colour: Any = plots.UNSIGNED
    if track.hue is not None:
        colour = np.array([hue.colour for hue in shown.hues])[track.hue[at]]
    x, y = track.points[at].T
    return panel.scatter(x, y, s=areas(shown, track)[at], c=colour, lw=0, alpha=0.6)


def areas(shown: Reel, track: Track) -> Array:
    """The areas of a track's dots (T, k), points^2: one scale for all tracks and times."""
    most = max(float(each.size.sum(axis=1).max()) for each in shown.tracks) or 1.0
    return np.asarray(min(INK, DOT * track.size.shape[1]) / most * track.size)


def _trails(panel: Axes, track: Track, at: int) -> Artist:
    """The trajectories of some particles from the first time to this one, straight between those shown."""
    k = track.points.shape[1]
    some = np.sort(np.random.default_rng(0).permutation(k)[:_TRAILS])
    lines = track.points[: at + 1, some].transpose(1, 0, 2)
    return panel.add_collection(LineCollection(list(lines), colors="0.35", lw=0.5, alpha=0.5, zorder=0.95))


def _most(drawing: Screen) -> float:
    """The highest density of any track at any time."""
    return max(float(each.max()) for each in drawing.density if each is not None)


def _binned(panel: Axes, shown: Reel, height: Array) -> list[Artist]:
    if shown.box.shape[1] == 2:
        return [shade(panel, height, shown.box)]
    colours = [plots.UNSIGNED] if len(height) == 1 else [hue.colour for hue in shown.bars]
    (bins,) = edges(shown.box)
    pairs = zip(height, colours, strict=True)
    return [panel.stairs(of_hue, bins, fill=True, color=colour, alpha=0.6) for of_hue, colour in pairs]


def _functions(panel: Axes, shown: Reel, at: int) -> list[Artist]:
    assert shown.graph is not None
    count = len(shown.tracks)
    if shown.of_outputs:
        return [line for kind in range(count) for line in _outputs(panel, shown, shown.graph, kind, at)]
    shades = [*matplotlib.colormaps["viridis"](np.linspace(0.4, 0.75, max(count - 1, 1)))]
    drawn: list[Artist] = []
    for kind, (track, g) in enumerate(zip(shown.tracks, shown.graph.g, strict=True)):
        limit = count > 1 and kind == count - 1
        style: dict[str, Any] = plots.LIMIT if limit else {"color": shades[kind]}
        drawn += panel.plot(shown.graph.x, g[at], label=track.label or "g", **style)
    drawn.append(panel.legend(fontsize=7, loc="upper right"))
    return drawn


def _outputs(panel: Axes, shown: Reel, graph: Graph, kind: int, at: int) -> list[Artist]:
    """The outputs of one run, each in its colour; dashed but for the last run."""
    drawn: list[Artist] = []
    for o, g in enumerate(graph.g[kind][at].T):
        dashes = "-" if kind == len(shown.tracks) - 1 else "--"
        drawn += panel.plot(graph.x, g, color=_colour(shown, o), ls=dashes)
    return drawn


def titles(shown: Reel) -> list[str]:
    """Each time in words, with as many digits as tell them apart."""
    units = "" if shown.units in ("", "1") else f" {plots.label(shown.units)}"
    for digits in range(3, 18):
        numbers = [np.format_float_positional(t, digits, unique=False, fractional=False) for t in shown.times]
        if len(set(numbers)) == len(numbers):
            break
    return [f"flow time t = {words.rstrip('.')}{units}" for words in numbers]


def description(shown: Reel) -> str:
    """What the picture shows, in words: which particles, what size and colour say, on which axes."""
    signed = all(track.hue is not None for track in shown.tracks)
    which = "; ".join((f"{track.label}: " if track.label else "") + track.note for track in shown.tracks)
    if shown.of_outputs:
        colour = "colour the output with the largest weight" if signed else "output weights not recorded"
    else:
        colour = "blue s > 0, orange s < 0" if signed else "signs not recorded"
    looks = []
    if len(shown.box[0]) == 1:
        looks.append(f"Weighted histogram, {BINS} bins, {colour}")
    else:
        if not all(track.binned for track in shown.tracks):
            looks.append(f"Dots: area by {'w |s|' if signed else 'w'}, {colour}")
        if any(track.binned for track in shown.tracks):
            both = "all outputs" if shown.of_outputs else "both signs"
            looks.append(f"Grey: weighted kernel density, {both} together")
        if shown.trails:
            looks.append(f"Lines: trajectories of up to {_TRAILS} particles since t = {shown.times[0]:g}")
    if shown.of_outputs and shown.graph is not None and len(shown.tracks) > 1:
        looks.append(f"g: a line an output, dashed but for {shown.tracks[-1].label}")
    lost = max(float(_outside(shown, track)) for track in shown.tracks)
    tails = f"Up to {100.0 * lost:.1g}% of the weight lies outside" if lost > 0 else ""
    return ". ".join(part for part in (which, *looks, shown.plane.words, tails) if part) + "."


def _outside(shown: Reel, track: Track) -> Array:
    """The largest part of the weight that is outside the box at any time."""
    out = ((track.points < shown.box[0]) | (track.points > shown.box[1])).any(axis=2)
    return np.asarray((np.where(out, track.share, 0.0).sum(axis=1) / track.share.sum(axis=1)).max())
