"""The recorded cloud as a film that the page plays: numbers for its canvas; its first and last time as a picture."""

import base64
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError, StorageError
from particles.experiments.sweep import run_file
from particles.measures.measure import Measure
from particles.measures.quadrature import principal_axes
from particles.plotting import movies, style
from particles.plotting.cloud_panels import areas, densities, description, titles
from particles.plotting.clouds import Reel, Track, at_once, reel
from particles.plotting.density import CELLS, shades
from particles.plotting.view import Camera
from particles.report.pictures import Picture, drawn
from particles.report.source import RUN, STUDY, SWEEP, Source
from particles.storage.forms import at_own_times
from particles.storage.run_file import open_final, open_root

if TYPE_CHECKING:
    import xarray

FRAMES = 60  # of a film
DOTS = 600  # of a cloud in a film
_LEVELS = 65534  # of a coordinate; one more says that the particle is out of sight
_SEEN = 512  # particles of the run that is shown of a sweep: a cloud of some hundred can be seen
_HOW = (
    'To see the cloud move, record it: "position" (and "output_weight") among the variables of [record], or '
    'record=("loss", "position", "output_weight") from Python.'
)


class Film(NamedTuple):
    """What the page plays. data: for its script; still: the first and the last time; caption: what is drawn."""

    data: dict[str, Any]
    still: Picture
    caption: str


class Clouds(NamedTuple):
    """The particles of a result: a film, or a picture of what is there, and what must be said."""

    film: Film | None
    pictures: list[Picture]
    notes: list[str]


def clouds(source: Source) -> Clouds:
    """The moving cloud where positions were recorded, else the last one, and how to record them."""
    notes: list[str] = []
    try:
        tables, weights, notes = _recorded(source)
        if tables:
            return Clouds(_film(tables, weights), [], notes)
        notes.append("This study keeps no cloud in its file." if source.kind == STUDY else _HOW)
    except (InputError, StorageError) as error:  # said on the page: a report of the rest is better than none
        notes = [f"The moving cloud is left out: {error}"]
    try:
        return Clouds(None, _last(source), notes)
    except (InputError, StorageError) as error:
        return Clouds(None, [], [*notes, f"The last cloud is left out: {error}"])


def _recorded(source: Source) -> "tuple[dict[str, xarray.Dataset], dict[str, NDArray[Any]], list[str]]":
    """The runs that can be shown by label, the limit last, their weights, and what was cut."""
    tables: dict[str, xarray.Dataset] = {}
    weights: dict[str, NDArray[Any]] = {}
    notes: list[str] = []
    for label, path, whole_record in _candidates(source):
        data = at_own_times(whole_record, "position")
        if "time" not in data.coords or "position" not in data or not data["position"].size:
            continue
        if data["position"].dims != ("time", "particle", "dim") or data["position"].dtype.kind != "f":
            continue  # a user's own variable of this name
        finite = np.isfinite(data["position"].values).all(axis=(1, 2))
        whole = len(finite) if finite.all() else int(np.argmin(finite))
        if whole < len(finite):
            notes.append(f"The cloud is shown up to the last of its {whole} recorded times at which it is finite.")
        if whole == 0 or (tables and not _alike(next(iter(tables.values())), data.isel(time=slice(whole)))):
            continue
        tables[label] = data.isel(time=slice(whole))
        if not notes and (where := _setting(source.runs.get(path.stem, {}))):
            notes.append(f"The cloud is that of {', '.join(f'{name} = {value}' for name, value in where.items())}.")
        shown = data.sizes["particle"]
        final = open_final(path, _first(shown)) if source.kind != STUDY else None
        if final and "particle_weight" not in data and final[0].w.sum() > 0:
            weights[label] = final[0].w
            if final[1] > shown:
                notes.append(f"{label or 'The film'}: the first {shown} of {final[1]} particles were recorded.")
    return tables, weights, notes


def _first(shown: int) -> Callable[[int], slice]:
    return lambda count: slice(0, shown)


def _candidates(source: Source) -> "list[tuple[str, Any, xarray.Dataset]]":
    """The result itself, or of a sweep a finite run that can be seen well and the limit."""
    if source.kind != SWEEP:
        return [("", source.path, source.root)]
    folder = source.path.parent
    there = {key: place for key, place in source.runs.items() if os.path.isfile(run_file(folder, key))}
    finite = [key for key, place in there.items() if not place.get("nodes")]
    if not finite:
        return []
    key = min(finite, key=lambda key: abs(_number(there[key].get("count")) - _SEEN))
    chosen = [(style.label(f"M = {there[key]['count']}") if "count" in there[key] else "M finite", key)]
    limits = [other for other, place in there.items() if place.get("nodes") and _setting(place) == _setting(there[key])]
    if limits:
        chosen.append(("M infinite", max(limits, key=lambda key: _number(there[key]["nodes"]))))
    files = [(label, run_file(folder, key)) for label, key in chosen]
    return [(label, file, open_root(file)) for label, file in files]


def _setting(place: dict[str, Any]) -> dict[str, Any]:
    """Where a run is on the axes that its limit shares."""
    return {name: value for name, value in place.items() if name not in ("count", "seed", "nodes")}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _alike(one: "xarray.Dataset", other: "xarray.Dataset") -> bool:
    return one.sizes["dim"] == other.sizes["dim"] and np.array_equal(one["time"].values, other["time"].values)


def _film(tables: "dict[str, xarray.Dataset]", weights: dict[str, NDArray[Any]]) -> Film:
    camera = Camera(dots=DOTS)
    shown = reel(tables, camera, FRAMES, weights)
    ends = reel(tables, camera, 2, weights)
    words = titles(shown)
    times = f"{words[0]} and {words[-1]}" if len(words) > 1 else words[0]
    alt = f"The particles at {times}. {description(shown)}"
    still = drawn(movies.strip(ends), "The cloud, first and last", alt, "", True)
    return Film(_numbers(shown, words), still, description(shown).replace("$", ""))


def _numbers(shown: Reel, words: list[str]) -> dict[str, Any]:
    """A reel for the page's script: coordinates in 16 bits between the corners of its box."""
    names = [name.strip("$").replace(r"\cdot", "·").replace("_1", "₁").replace("_2", "₂") for name in shown.plane.names]
    heights = densities(shown)
    line = shown.box.shape[1] == 1
    top = max((float(each.max()) for each in heights if each is not None), default=1.0) or 1.0
    panels = [_panel(shown, track) for track in shown.tracks]
    for panel, height in zip(panels, heights, strict=True):
        if height is not None and line:
            panel["heights"] = _packed(height / top * _LEVELS, "<u2")
            panel["kinds"], panel["bins"] = height.shape[1], height.shape[2]
        elif height is not None:
            panel["shades"], panel["cells"] = _packed(255.0 * shades(height), "u1"), CELLS
    return {
        "titles": words,
        "ticks": [int(tick) for tick in shown.ticks],
        "box": shown.box.tolist(),
        "names": names if len(names) > 1 else [*names, "density"],
        "top": top,
        "colours": [hue.colour for hue in shown.hues],
        "classes": [hue.words.replace(r"\$", "$") for hue in shown.hues] if shown.of_outputs else [],
        "panels": panels,
    }


def _panel(shown: Reel, track: Track) -> dict[str, Any]:
    panel: dict[str, Any] = {"label": track.label, "count": track.points.shape[1]}
    if not track.binned:
        low, high = shown.box
        place = (track.points - low) / (high - low)
        inside = ((place >= 0) & (place <= 1)).all(axis=2, keepdims=True)
        panel["points"] = _packed(np.where(inside, place * _LEVELS, _LEVELS + 1), "<u2")
        # A dot's area says its share; radii in sixteenths of a pixel.
        panel["radii"] = _packed(np.clip(8.0 * np.sqrt(areas(shown, track)), 8, 255), "u1")
        if track.hue is not None:
            panel["hues"] = _packed(track.hue, "u1")
    return panel


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(np.round(values).astype(kind)).tobytes()).decode()


def _last(source: Source) -> list[Picture]:
    """The last measure of a run, on the two axes along which it is most spread."""
    if source.kind != RUN:
        return []
    final = open_final(source.path, style.dots)
    if final is None or not final[0].b.size or not all(np.isfinite(part).all() for part in final[0]):
        return []
    measure, count = final
    record = at_once(measure)
    if "output" in source.root.coords and record.sizes.get("output") == source.root.sizes["output"]:
        record = record.assign_coords(output=source.root["output"])
    return [_still(record, measure, count)]


def _still(record: "xarray.Dataset", measure: Measure, count: int) -> Picture:
    """One time of a reel, on the axes along which this cloud itself is most spread."""
    b, _, w = measure
    dim, camera = b.shape[1], Camera(dots=len(w))
    if dim > 2:
        spread = principal_axes((b - np.average(b, axis=0, weights=w)) * np.sqrt(w)[:, None])
        camera = Camera(dots=len(w), axes=spread[:, :2])
    figure = movies.strip(reel(record, camera, 1), (4.6, 3.8))
    figure.axes[0].set_title("")  # the last iteration, which need not be a recorded time
    some = f"{len(w)} of {count} particles" if len(w) < count else f"{count} particles"
    where = f", in R^{dim}, on the two axes along which they are most spread" if dim > 2 else ""
    alt = f"The cloud of {some} after the last iteration{where}."
    return drawn(figure, "The particles at the end", alt, f"{some}{where}")
