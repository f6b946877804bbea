"""Recorded clouds on one clock and one scale, ready to be drawn: what `movies.py` shows of runs (section 3.4)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import real_array, vector
from particles.errors import InputError, nearest
from particles.measures.measure import Array, Measure
from particles.plotting import style
from particles.plotting.view import Camera, Plane, picked, plane_of
from particles.storage.attributes import attribute
from particles.storage.forms import at_own_times
from particles.storage.run import Run

if TYPE_CHECKING:
    import xarray

    Runs = Run | xarray.Dataset | Mapping[str, Run | xarray.Dataset]
    Tables = dict[str, xarray.Dataset]

MOST_RUNS = 4  # panels beside each other that can still be read
_MARGIN = 0.05  # of the range of the positions, on either side
_SMOOTH = 256  # particles of which a density can be drawn: of fewer recorded ones it shows the kernel
_TAIL = 1e-4  # of a cloud's weight that may lie beyond either end: the outer nodes of a Gauss rule weigh nothing


class Hue(NamedTuple):
    """A colour of particles, and which these are."""

    colour: str
    words: str


SIGNS = Hue(style.POSITIVE, "$s > 0$"), Hue(style.NEGATIVE, "$s < 0$"), Hue(style.UNSIGNED, "$s = 0$")


class Track(NamedTuple):
    """One run's cloud through T frames.

    points : (T, k, 1 or 2); hue : (T, k), the place of each particle's colour in the reel's, or None where output
    weights were not recorded; share : (T, k), the weights w, 1 in all at the start; size : (T, k), w |s|; note: which
    particles these are; binned: a density is drawn instead of dots
    """

    label: str
    points: Array
    hue: NDArray[np.intp] | None
    share: Array
    size: Array
    note: str
    binned: bool


class Graph(NamedTuple):
    """The functions g over one coordinate of the inputs: x : (n,) in order, y : (n,) or None; g : (T, n), one a run.

    With several outputs y is (n, outputs), and g (T, n, outputs).
    """

    x: Array
    y: Array | None
    g: list[Array]


class Reel(NamedTuple):
    """Tracks on one clock: times : (T,), flow time; ticks : (T,), for how many frames each stays in sight.

    box : (2, 1 or 2), the corners between which the clouds stay; trails: whether trajectories are drawn; hues: the
    colours of the signs of s, or of the outputs where a network has several
    """

    tracks: list[Track]
    times: Array
    ticks: Array
    units: str
    box: Array
    plane: Plane
    graph: Graph | None
    trails: bool
    hues: tuple[Hue, ...] = SIGNS

    @property
    def of_outputs(self) -> bool:
        """Whether a colour stands for the output with the largest weight, and not for a sign."""
        return self.hues is not SIGNS

    @property
    def bars(self) -> tuple[Hue, ...]:
        """The colours of histograms and of legends: particles with s = 0 are counted with the negative ones."""
        return self.hues if self.of_outputs else self.hues[:2]


def reel(
    runs: "Runs",
    camera: Camera,
    frames: int,
    weights: Mapping[str, ArrayLike] | None = None,
    inputs: ArrayLike | None = None,
) -> Reel:
    """The clouds of one to four runs by label, the limit last, at the recorded times nearest to `frames` even ticks.

    weights: by label, (M,), or (T, M) where they move; a `Run` has its own, a dataset's particles weigh the same if
    nothing is said. inputs : (n,), one coordinate of the training inputs, over which g is drawn.

    Raises InputError for runs without positions, of different dimension or times, and for arrays that do not fit.
    """
    named = _named(runs)
    if not 1 <= len(named) <= MOST_RUNS:
        raise InputError(f"a picture shows one to {MOST_RUNS} runs", len(named), "Choose some of them.")
    weights = {} if weights is None else weights
    if not isinstance(weights, Mapping):
        raise InputError("`weights` must be arrays by the runs' labels", type(weights).__name__, 'Give {"": w}, say.')
    for label in weights:
        if label not in named:
            raise InputError("`weights` are named as the runs are", repr(label), nearest(str(label), named))
    tables = {
        label: at_own_times(run.dataset if isinstance(run, Run) else run, "position") for label, run in named.items()
    }
    _check(tables)
    last = list(tables.values())[-1]
    picks, ticks = picked(last["time"].values, camera.clock, frames)
    weighted = {label: _weights(label, run, tables[label], weights.get(label)) for label, run in named.items()}
    plane = plane_of(camera, list(tables)[-1], last, list(weighted.values())[-1][0])
    binned = _binned(camera, plane, tables)
    tracks = [
        _track(label, table, *weighted[label], picks, plane.axes, None if label in binned else camera.dots)
        for label, table in tables.items()
    ]
    graph = None if inputs is None else _graph(tables, inputs, picks)
    times, units, hues = last["time"].values[picks], str(last["time"].attrs.get("units", "")), _hues(last, tracks)
    return Reel(tracks, times, ticks, units, _box(tracks), plane, graph, camera.trajectories, hues)


def _named(runs: "Runs") -> "dict[str, Run | xarray.Dataset]":
    """Runs by label; one alone has none."""
    import xarray

    if isinstance(runs, Run | xarray.Dataset):  # a dataset is a mapping too
        return {"": runs}
    if not isinstance(runs, Mapping):
        raise InputError("`runs` must be a run, or runs by label", type(runs).__name__, 'Give {"M = 64": run}, say.')
    named = cast("Mapping[str, Run | xarray.Dataset]", runs)
    return {str(label): run for label, run in named.items()}


def _check(tables: "Tables") -> None:
    """InputError unless every run recorded positions, all of one dimension and at the same times."""
    for label, table in tables.items():
        if not table.sizes.get("time", 0):
            raise InputError("a picture needs recorded times", f"none in {label or 'the run'!r}", "Record some.")
        if "position" not in table:
            raise InputError(
                "a picture of particles needs recorded positions",
                f"{', '.join(map(str, table.data_vars)) or 'nothing'} in {label or 'the run'!r}",
                'Run it with record=("position", "output_weight", "prediction").',
            )
        if "output_weight" in table and table["output_weight"].dims != _dims(table, "particle"):
            rule = f"output weights must be over {', '.join(_dims(table, 'particle'))}"
            raise InputError(rule, ", ".join(map(str, table["output_weight"].dims)), "Record them, or leave them out.")
        if not np.isfinite(table["position"].values).all():
            raise InputError("positions must be finite", f"NaN or inf in {label!r}", "Cut the run before that time.")
    first = next(iter(tables.values()))
    for label, table in tables.items():
        if table.sizes["dim"] != first.sizes["dim"]:
            got = f"{first.sizes['dim']}, and {table.sizes['dim']} in {label!r}"
            raise InputError("runs in one picture need one dimension", got, "Run them on the same data.")
        if table.sizes.get("output") != first.sizes.get("output"):
            got = f"{first.sizes.get('output', 1)}, and {table.sizes.get('output', 1)} in {label!r}"
            raise InputError("runs in one picture need one number of outputs", got, "Draw them apart.")
        if not np.array_equal(table["time"].values, first["time"].values):
            got = " and ".join(f"{len(t)} up to t = {t.values[-1]:g}" for t in (first["time"], table["time"]))
            raise InputError(
                "runs in one picture need the same recorded times", f"{got} in {label!r}", "Record them alike."
            )


def _dims(table: "xarray.Dataset", of: str) -> tuple[str, ...]:
    """The dimensions of what each particle, or sample, has an output of."""
    return "time", of, *(["output"] if "output" in table.dims else [])


def _weights(
    label: str, run: "Run | xarray.Dataset", table: "xarray.Dataset", given: ArrayLike | None
) -> tuple[Array, str]:
    """The particles' weights at every recorded time (T, k), or all along (1, k), and which particles these are."""
    T, k = table["position"].shape[:2]
    measure = run.last if isinstance(run, Run) else None
    if given is None and "particle_weight" in table:
        given = table["particle_weight"].values
    elif given is None and _weighing(table):
        got = f"FisherRao in {label or 'the run'!r}"
        remedy = 'Record "particle_weight", or give `weights`.'
        raise InputError("weights that move must be recorded or given", got, remedy)
    if given is None:
        w = np.ones((1, k)) if measure is None else measure.w[None, :k]
    else:
        w = np.atleast_2d(real_array("`weights`", given, finite=False))
        if w.ndim != 2 or len(w) not in (1, T) or w.shape[1] < k:
            raise InputError(f"`weights` must have shape ({k},) or ({T}, {k})", str(np.shape(given)), "One a particle.")
        w = w[:, :k]
    if not (np.isfinite(w.sum(axis=1)).all() and (w >= 0).all() and (w.sum(axis=1) > 0).all()):
        raise InputError(
            "`weights` must be finite and >= 0, not all 0", f"others for {label!r}", "Use `run.measure.w`."
        )
    M = k if measure is None else len(measure.w)
    note = f"{k} particles" if k == M else f"the first {k} of {M} particles"
    return w / w[0].sum(), note + (", weights taken as equal" if given is None and measure is None else "")


def _binned(camera: Camera, plane: Plane, tables: "Tables") -> set[str]:
    """The runs whose density is drawn: on a line all, in a plane the limit's where the camera leaves it open."""
    if camera.density is not None or plane.axes.shape[1] == 1:
        return set(tables) if camera.density or plane.axes.shape[1] == 1 else set()
    count = {label: table.sizes["particle"] for label, table in tables.items()}
    *others, last = tables
    largest = others and all(count[last] > count[label] for label in others)
    limits = {label for label, table in tables.items() if "nodes" in _part(table, "start")}
    return {label for label in limits | ({last} if largest else set()) if count[label] >= _SMOOTH}


def _part(table: "xarray.Dataset", name: str) -> dict[str, Any]:
    """A section of the run's configuration; empty where it has none."""
    part = attribute("the run", table.attrs, "config", {}).get(name, {})
    return part if isinstance(part, dict) else {}


def _weighing(table: "xarray.Dataset") -> bool:
    """Whether the run's method moves weights: its name in a configuration, or its repr."""
    method = attribute("the run", table.attrs, "config", {}).get("method", "")
    name = method.get("name", "") if isinstance(method, dict) else str(method)
    return name.startswith(("fisher_rao", "FisherRao", "birth_death", "BirthDeath"))  # the latter two in older files


def _track(
    label: str, table: "xarray.Dataset", w: Array, note: str, picks: Array, axes: Array, dots: int | None
) -> Track:
    """One run at the picked times; of more than `dots` particles as many, drawn once by weight at the start.

    Not the first ones: the first nodes of a tensor rule lie in one corner of the law.
    """
    b = table["position"].values[picks]
    s = table["output_weight"].values[picks] if "output_weight" in table else None
    share = np.broadcast_to(w if len(w) == 1 else w[picks], b.shape[:2])
    if dots is not None and b.shape[1] > dots:
        chosen = np.sort(np.random.default_rng(0).choice(b.shape[1], dots, p=w[0]))
        b, s = b[:, chosen], None if s is None else s[:, chosen]
        share = share[:, chosen] / w[0, chosen] / dots
        note = f"{dots} drawn by weight of {note.removeprefix('the ')}"
    size = share if s is None else share * (np.abs(s) if s.ndim == 2 else np.linalg.norm(s, axis=2))
    return Track(label, b @ axes, None if s is None else _hue(s), share, size, note, dots is None)


def _hue(s: Array) -> NDArray[np.intp]:
    """The place of each particle's colour: of its sign, s : (T, k), or its largest output weight, (T, k, outputs)."""
    if s.ndim == 2:
        return np.where(s > 0, 0, np.where(s < 0, 1, 2))
    return style.class_of(s)


def _hues(table: "xarray.Dataset", tracks: list[Track]) -> tuple[Hue, ...]:
    """The colours of particles, with the names of classes where the run has them; the last one where it is needed."""
    outputs = table.sizes.get("output", 1)
    if outputs == 1:
        return SIGNS
    names, known = table["output"].values[: style.MOST_CLASSES], "output" in table.coords
    words = [name if isinstance(name, str) else f"{'class' if known else 'output'} {name}" for name in names]
    words = [*(style.label(word, 20) for word in words), "several" if len(words) == outputs else "others"]
    most = max((int(track.hue.max()) for track in tracks if track.hue is not None), default=0)
    return tuple(map(Hue, style.class_colours(outputs), words))[: max(most + 1, len(words) - 1)]


def _graph(tables: "Tables", inputs: ArrayLike, picks: Array) -> Graph:
    for label, table in tables.items():
        if "prediction" not in table:
            raise InputError("`inputs` draw g, which must be recorded", f"no prediction in {label!r}", "Record it.")
        if table["prediction"].dims != _dims(table, "sample"):
            rule = f"predictions must be over {', '.join(_dims(table, 'sample'))}"
            raise InputError(rule, ", ".join(map(str, table["prediction"].dims)), "Record them.")
    n = {table.sizes["sample"] for table in tables.values()}
    if len(n) > 1:
        raise InputError("runs in one picture need the same samples", f"{sorted(n)}", "Run them on the same data.")
    x = vector("inputs", np.ravel(inputs), n.pop())
    order = np.argsort(x, kind="stable")
    last = list(tables.values())[-1]
    y = last["target"].values[order] if "target" in last else None
    return Graph(x[order], y, [table["prediction"].values[picks][:, order] for table in tables.values()])


def at_once(measure: Measure) -> "xarray.Dataset":
    """A measure as the record of one time."""
    from xarray import Dataset

    b, s, w = measure
    dims = ("time", "particle", "output")
    parts = {
        "position": ((*dims[:2], "dim"), b[None]),
        "output_weight": (dims[: s.ndim + 1], s[None]),
        "particle_weight": (dims[:2], w[None]),
    }
    return Dataset(parts, {"time": [0.0]})


def _box(tracks: list[Track]) -> Array:
    """Corners (2, 1 or 2) that hold every cloud at every time, but for tails of weight, with a margin."""
    ends = np.stack([_ends(track) for track in tracks])
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    margin = np.where(high > low, _MARGIN * (high - low), 0.5)  # a cloud that is one point has a range as well
    return np.stack([low - margin, high + margin])


def _ends(track: Track) -> Array:
    """The lowest and the highest position on each axis (2, 1 or 2) at any time, tails left out."""
    order = np.argsort(track.points, axis=1)
    position = np.take_along_axis(track.points, order, axis=1)
    share = np.take_along_axis(track.share[:, :, None], order, axis=1)
    share = share / share.sum(axis=1, keepdims=True)
    below, above = np.cumsum(share, axis=1), np.cumsum(share[:, ::-1], axis=1)[:, ::-1]
    low = np.where(below > _TAIL, position, np.inf).min(axis=(0, 1))
    high = np.where(above > _TAIL, position, -np.inf).max(axis=(0, 1))
    return np.stack([low, high])
