"""`ds.mf`: what can be asked of a dataset of this program, of a run, a sweep, a comparison or a study.

Datasets that this package hands out have it; `import particles.xarray` gives it to all others.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from particles.errors import InputError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from particles.analysis.convergence import Exponent
    from particles.measures.measure import Measure
    from particles.storage.manifest import Event

_MARKS = {"config_hash", "study", "independent_fits"}  # attributes of runs and sweeps, of studies, of comparisons
_TIMES_ALIKE = 1e-9  # relative: sums of steps in another order differ by rounding
_CLOUD = ("position", "output_weight", "particle_weight")


class Accessor:
    """What can be asked of a dataset of this program.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> cloud = ["loss", "position", "output_weight", "particle_weight"]
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4, record=cloud)
    >>> run.dataset.mf.measure(0.5).b.shape, run.dataset.mf.config["steps"]
    ((16, 2), 4)
    """

    def __init__(self, data: xarray.Dataset) -> None:
        self._data = data

    def __repr__(self) -> str:
        asked = "config, events, limits, compare(limit), exponent(over, of), plot(name, by), measure(time)"
        return f"ds.mf: {asked}" if _MARKS & self._data.attrs.keys() else "ds.mf: no dataset of particles"

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of a run, of a sweep's first run, or the settings of a study."""
        name = "config" if "config" in self._ours().attrs else "settings"
        return dict(_attribute(self._ours(), name, {}))

    @property
    def events(self) -> "list[Event]":
        """What happened to a run on its way: faults, checkpoints left out, where it went on."""
        return list(_attribute(self._ours(), "events", []))

    @property
    def limits(self) -> dict[str, dict[str, Any]]:
        """The files of a sweep's runs of M = infinity with their settings and `nodes`, the finest last.

        They are listed by their names in the sweep's folder: that of the file which this dataset was opened from, else
        the one that `mf.open_sweep` opened.
        """
        listed: dict[str, dict[str, Any]] = _attribute(self._ours(), "limits", {})
        found = {str(self._in_folder(name)): setting for name, setting in listed.items()}
        return dict(sorted(found.items(), key=lambda item: int(item[1]["nodes"])))

    def _in_folder(self, name: str) -> Path:
        """A file of the sweep's folder, which may have been moved or copied with this dataset in it."""
        from particles.files.reading import size_of

        source = Path(str(self._data.encoding.get("source", "")))
        folders = [source, source.parent, Path(self._data.attrs.get("folder", ""))]
        places = [folder / name for folder in folders if folder.name]
        return next((place for place in places if size_of(place) is not None), places[-1] if places else Path(name))

    def compare(self, limit: xarray.Dataset | None = None, coarse: xarray.Dataset | None = None) -> xarray.Dataset:
        """The distance of predictions from the limit's at the recorded times that all share, as `mf.compare` has it.

        limit: the dataset of another run on the same samples (None: the finest limit of the sweep). coarse: the limit
        with fewer nodes, whose distance is the limit's change (None: of the sweep's own limits the next finest).
        -> distance (count, seed, time), sup_distance (count, seed), exponent with its interval.
        A sweep may have the dimensions count and seed; take one of any other (`ds.isel`) before. Of a
        sweep the runs that finished are taken.
        """
        from particles.analysis.convergence import compare

        runs = _by_count_and_seed(self._has("prediction"))
        if limit is None:
            *rest, limit = self._own_limits()
            coarse = rest[-1] if rest and coarse is None else coarse
        others = [*runs.values(), *([] if coarse is None else [coarse])]
        for data in others:
            _check_same_samples(data, limit)
        *aligned, limit = _at_shared_times([*others, limit])
        return compare(dict(zip(runs, aligned, strict=False)), limit, None if coarse is None else aligned[-1])

    def exponent(self, over: str = "count", of: str = "sup_distance") -> "Exponent":
        """The power p in `of` ~ `over`^p with its 95% interval, from the slope of a line in log-log scales.

        Of a sweep beside its limit, which holds no sup_distance itself, it is that of `compare()`. With three seeds or
        more a line is fitted to each and the interval is Student's over them; else it is the one line's. `of` may have
        the dimensions `over` and `seed`; take one of any other before.
        """
        from particles.analysis.convergence import fit_exponent

        if of == "sup_distance" and of not in self._data and self.limits:
            return Accessor(self.compare()).exponent(over, of)
        values = _only(self._has(of)[of], over, "seed").transpose(over, ...)
        places = self._numbers(over)
        table = np.asarray(values.values, dtype=float).reshape(len(places), -1)
        if len(places) < 2 or not (places > 0).all() or not (table > 0).all():
            bad = int(np.sum(~(table > 0)))
            raise InputError(
                "a power is fitted to positive numbers at two places or more",
                f"{of} with {bad} of {table.size} not positive (NaN: no run) at {len(places)} values of {over}",
                f"Select others: ds.sel({over}=...).",
            )
        return fit_exponent(places.tolist(), table)

    def plot(self, name: str, by: str | None = None, over: str = "time") -> "Figure":
        """A figure of one variable over flow time (or another dimension), a line for each value of `by`.

        Over `seed`, unless it is `by`, lines are means with the spread as a band. Take one of any other dimension
        before.
        """
        from particles.plotting.curves import lines
        from particles.storage.forms import at_own_times

        data = at_own_times(self._has(name), name)
        values = data[name]
        along = "record" if over == "time" and "time" not in values.dims and "record" in values.dims else over
        seed = () if by == "seed" else ("seed",)
        values = _only(values, along, *seed, *([by] if by else []), required=(along, *([by] if by else [])))
        places = data["time"] if along == "record" else data[over]
        return lines(values, places, along, by)

    def measure(self, time: float | None = None) -> "Measure":
        """The cloud at a recorded flow time (None: the last), of a run that recorded all its particles.

        It needs `record=("position", "output_weight", "particle_weight")` and `positions=None`.
        """
        from particles.measures.measure import Measure
        from particles.storage.forms import at_own_times

        data = at_own_times(self._has(*_CLOUD), "position")
        _only(data["position"], "time", "particle", "dim")
        times = data["time"].values
        at = -1 if time is None else int(np.argmin(np.abs(times - time)))
        if time is not None and not _close(times[at], time):
            raise InputError("`time` must be a recorded one", f"{time:g}, next to {times[at]:g}", "See ds.time.")
        # A smaller run of a sweep has NaN where the largest has more particles.
        there = data[list(_CLOUD)].isel(time=at).dropna("particle", how="all")
        cloud = Measure(*(there[name].values for name in _CLOUD))
        if not np.isclose(cloud.w.sum(), 1.0):
            raise InputError(
                "a cloud is all particles, whose weights sum to 1",
                f"{len(cloud.w)} particles with the sum {cloud.w.sum():g}",
                "Run with positions=None.",
            )
        return cloud

    def _own_limits(self) -> list[xarray.Dataset]:
        """The two finest limits of the sweep at its chosen setting, or the one there is, the finest last."""
        from particles.experiments import grid
        from particles.storage.run_file import open_run

        chosen = {str(name): value for name, value in self._data.coords.items() if value.ndim == 0}
        found = [
            path
            for path, setting in self.limits.items()
            if all(grid.coordinate(setting[name]) == chosen[name].item() for name in chosen.keys() & setting.keys())
        ]
        if not found:
            raise InputError(
                "a comparison needs a limit",
                "a dataset that lists none",
                "Give one, ds.mf.compare(limit.dataset), or run the sweep with [limit].",
            )
        return [open_run(path).dataset for path in found[-2:]]

    def _ours(self) -> xarray.Dataset:
        if not _MARKS & self._data.attrs.keys():
            raise InputError(
                "`.mf` needs a dataset of this program",
                f"attributes {sorted(map(str, self._data.attrs)) or 'none'}",
                "Take run.dataset, mf.open_run(file).dataset or mf.open_sweep(folder); "
                "xarray.set_options(keep_attrs=True) "
                "keeps the attributes in arithmetic.",
            )
        return self._data

    def _has(self, *names: str) -> xarray.Dataset:
        data = self._ours()
        for name in names:
            if name not in data.data_vars:
                raise InputError("the dataset must hold the variable", repr(name), nearest(name, map(str, data)))
        return data

    def _numbers(self, dim: str) -> np.ndarray[Any, Any]:
        values = self._data[dim].values
        if values.dtype.kind not in "iuf":
            raise InputError(f"`{dim}` must have numbers for values", f"{values[:3]}", "Choose another dimension.")
        return np.asarray(values, dtype=float)


def _attribute(data: xarray.Dataset, name: str, default: Any) -> Any:
    """What an attribute says; its schema is loaded when it is asked for, since xarray loads this file for everyone."""
    from particles.storage.attributes import attribute

    return attribute("the dataset", data.attrs, name, default)


def _only(values: xarray.DataArray, *allowed: str, required: Sequence[str] | None = None) -> xarray.DataArray:
    """The variable, if it has the required dimensions (the first allowed one) and none but those allowed."""
    lacking = [dim for dim in required or allowed[:1] if dim not in values.dims]
    if lacking:
        raise InputError(f"`{values.name}` must have the dimension {lacking[0]}", f"{values.dims}", "Choose another.")
    more = [str(dim) for dim in values.dims if dim not in allowed]
    if more:
        chosen = ", ".join(f"{dim}=0" for dim in more)
        raise InputError(
            f"`{values.name}` may have here only the dimensions {', '.join(allowed)}",
            f"also {', '.join(more)}",
            f"Take one first: ds.isel({chosen}).mf",
        )
    return values


def _close(one: float, other: float) -> bool:
    return bool(abs(one - other) <= _TIMES_ALIKE * max(abs(one), abs(other)))


def _by_count_and_seed(data: xarray.Dataset) -> dict[tuple[int, int], xarray.Dataset]:
    """The whole runs of a dataset: of one run itself, of a sweep each that finished, by count and seed."""
    along = "record" if "record" in data["prediction"].dims else "time"
    _only(data["prediction"], along, "sample", "count", "seed", required=(along, "sample"))
    names = [name for name in ("prediction", "target", "status", "time") if name in data]
    data = data[names].load()  # a sweep's files are read once
    start = _attribute(data, "config", {}).get("start", {})
    start = start if isinstance(start, dict) else {}
    sizes = {dim: data.sizes[dim] for dim in ("count", "seed") if dim in data["prediction"].dims}
    runs = {}
    for place in np.ndindex(*sizes.values()):
        one = data.isel(dict(zip(sizes, place, strict=True)))
        if "status" in one and str(one["status"].values) != "finished":
            continue
        if along == "record":
            one = one.isel(record=np.isfinite(one["time"].values)).set_coords("time").swap_dims(record="time")
        count = one.coords.get("count", start.get("count", start.get("nodes", -1)))
        seed = one.coords.get("seed", start.get("seed", data.attrs.get("seed", -1)))
        runs[_whole("count", count), _whole("seed", seed)] = one.dropna("time", how="all", subset=["prediction"])
    return runs


def _whole(name: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"`{name}` of a run must be a whole number", repr(value)[:60], "Correct it.") from error


def _check_same_samples(data: xarray.Dataset, limit: xarray.Dataset) -> None:
    """InputError unless both runs saw the same samples, as far as their files tell."""
    if "prediction" not in limit:
        raise InputError("`limit` must hold the variable prediction", f"{list(limit)}", 'Record "prediction".')
    sizes = data.sizes["sample"], limit.sizes["sample"]
    known = "target" in data and "target" in limit
    if sizes[0] != sizes[1] or (known and not np.array_equal(data["target"].values, limit["target"].values)):
        raise InputError("runs to compare need the same samples", f"{sizes[0]} and {sizes[1]}, or other targets", "")


def _at_shared_times(runs: list[xarray.Dataset]) -> list[xarray.Dataset]:
    """The runs at the flow times that all recorded, which are the last one's own numbers."""
    times = runs[-1]["time"].values
    for data in runs:
        own = data["time"].values
        times = np.array([time for time in times if len(own) and _close(own[np.argmin(np.abs(own - time))], time)])
    if not len(times):
        ends = ", ".join(f"{data.sizes['time']} up to {data['time'].values.max(initial=0):g}" for data in runs[:3])
        raise InputError("runs to compare must share recorded flow times", f"none in {ends}", "Record at equal times.")
    return [
        data.sel(time=times, method="nearest").assign_coords(time=runs[-1]["time"].sel(time=times)) for data in runs
    ]
