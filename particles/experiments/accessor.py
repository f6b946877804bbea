"""`ds.mf`: what a dataset of this program can compute and draw; of a run, a sweep, a comparison or a study.

Datasets of this package have it; `import particles.xarray` gives it to all others.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from particles.errors import InputError, nearest
from particles.experiments.alignment import (
    at_shared_times,
    attribute_of,
    by_count_and_seed,
    check_same_samples,
    close,
    only,
)
from particles.population.observables import OBSERVABLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from particles.analysis.convergence import Exponent
    from particles.measures.measure import Measure
    from particles.storage.manifest import Event
    from particles.storage.run import Run

_MARKS = {"config_hash", "study", "independent_fits"}  # attributes of runs and sweeps, of studies, of comparisons
_CLOUD = ("position", "output_weight", "particle_weight")


class Accessor:
    """What a dataset of this program can compute and draw.

    Parameters
    ----------
    data
        The dataset.

    Examples
    --------
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
        members = "config, events, limits, run(), compare(limit), exponent(over, of), plot(name, by), measure(time)"
        return f"ds.mf: {members}" if _MARKS & self._data.attrs.keys() else "ds.mf: no dataset of particles"

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of a run, of a sweep's first run, or the settings of a study."""
        name = "config" if "config" in self._ours().attrs else "settings"
        return dict(attribute_of(self._ours(), name, {}))

    @property
    def events(self) -> "list[Event]":
        """What happened to a run, such as faults, checkpoints left out, and where it went on."""
        return list(attribute_of(self._ours(), "events", []))

    @property
    def limits(self) -> dict[str, dict[str, Any]]:
        """The files of a sweep's runs of M = infinity with their settings and `nodes`, the finest last.

        A file is looked up in the sweep's folder: that of the file which this dataset was opened from, else the one
        that `mf.open_sweep` opened.
        """
        listed: dict[str, dict[str, Any]] = attribute_of(self._ours(), "limits", {})
        settings = {str(self._in_folder(name)): setting for name, setting in listed.items()}
        return dict(sorted(settings.items(), key=lambda item: int(item[1]["nodes"])))

    def run(self) -> "Run":
        """The run of a sweep at one place of its axes, from its file.

        Returns
        -------
        Run
            As `mf.open_run` reads it: `ds.sel(count=64, seed=0).mf.run().predict(x)`.

        Raises
        ------
        InputError
            For a dataset of no sweep, and where an axis has several values: choose one first (`ds.sel`).
        StorageError
            For a run that is missing, or cannot be read.
        """
        from particles.experiments import grid, listing
        from particles.storage.run_file import open_run

        if "limits" not in self._ours().attrs:
            raise InputError("`run` needs the dataset of a sweep", "another one", "Open a file of one: mf.open_run.")
        folder = self._in_folder("runs")
        listed, chosen = listing.of_folder(folder.parent), self._data.coords
        names = [axis.name for axis in listed.axes]
        if open_axes := [name for name in names if name not in chosen or chosen[name].size != 1]:
            remedy = f"Choose one place: ds.sel({', '.join(f'{name}=...' for name in open_axes)})."
            raise InputError("a run is at one place of each axis", f"several of {', '.join(open_axes)}", remedy)
        place = {name: chosen[name].item() for name in names}
        for key, setting in listed.runs.items():
            if all(grid.coordinate(setting[name]) == value for name, value in place.items()):
                return open_run(folder / f"{key}.h5")
        raise InputError("a sweep must have the run", f"none at {place} in {folder}", "`ds.status` lists them.")

    def _in_folder(self, name: str) -> Path:
        """A file of the sweep's folder, which may have been moved or copied with this dataset in it."""
        from particles.files.reading import size_of

        source = Path(str(self._data.encoding.get("source", "")))
        folders = [source, source.parent, Path(self._data.attrs.get("folder", ""))]
        places = [folder / name for folder in folders if folder.name]
        return next((place for place in places if size_of(place) is not None), places[-1] if places else Path(name))

    def compare(
        self,
        limit: xarray.Dataset | None = None,
        coarse: xarray.Dataset | None = None,
        fluctuations: xarray.Dataset | None = None,
    ) -> xarray.Dataset:
        """The distance of predictions from the limit's, as `mf.compare` computes it.

        Parameters
        ----------
        limit
            The dataset of another run on the same samples. By default it is the finest limit of the sweep.
        coarse
            The limit with fewer nodes, whose distance is the limit's change. By default it is the next finest of the
            sweep's own limits.
        fluctuations
            The dataset of `mf.fluctuations`. By default what the sweep predicted itself, beside its own limit.

        Returns
        -------
        xarray.Dataset
            `distance` (count, seed, time), `sup_distance` (count, seed), and the exponent with its interval, at the
            recorded times that all share; where there is a prediction, the measured constant beside the predicted one,
            and where there is none of a sweep's own limit, the attribute `no_prediction` says why.

        Raises
        ------
        InputError
            Without a limit, for other samples, for no shared times, and for a dimension besides count and seed: take
            one of it first (`ds.isel`).

        Notes
        -----
        Of a sweep the runs that finished are taken.
        """
        from particles.analysis.convergence import compare
        from particles.storage.forms import at_own_times

        runs = by_count_and_seed(at_own_times(self._has("prediction"), "prediction"))
        if own := limit is None:
            *rest, limit = self._own_limits()
            coarse = rest[-1] if rest and coarse is None else coarse
            fluctuations = self._own_prediction() if fluctuations is None else fluctuations
        others = [*runs.values(), *([] if coarse is None else [coarse])]
        for data in others:
            check_same_samples(data, limit)
        *aligned, limit = at_shared_times([at_own_times(data, "prediction") for data in (*others, limit)])
        last = None if coarse is None else aligned[-1]
        compared = compare(dict(zip(runs, aligned, strict=False)), limit, last, fluctuations=fluctuations)
        why = self._no_prediction() if own and fluctuations is None else ""
        return compared.assign_attrs(no_prediction=why) if why else compared

    def exponent(self, over: str = "count", of: str = "sup_distance") -> "Exponent":
        """The power p in `of ~ over^p` with its 95% interval, from the slope of a line in log-log scales.

        Parameters
        ----------
        over
            A dimension with positive numbers, "count" by default.
        of
            A variable, "sup_distance" by default. A sweep has none itself; it is then that of `compare()`.

        Returns
        -------
        Exponent
            With three seeds or more a line is fitted to each, and the interval is Student's over them; else it is the
            one line's.

        Raises
        ------
        InputError
            For fewer than two places, numbers that are not positive, and a dimension besides `over` and `seed`: take
            one of it first (`ds.isel`).
        """
        from particles.analysis.convergence import fit_exponent

        if of == "sup_distance" and of not in self._data and self.limits:
            return Accessor(self.compare()).exponent(over, of)
        values = only(self._has(of)[of], over, "seed").transpose(over, ...)
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

    def plot(self, name: str, by: str | None = None, over: str = "time", ax: "Axes | None" = None) -> "Axes":
        """A figure of one variable against flow time or another dimension.

        Parameters
        ----------
        name
            The variable.
        by
            A dimension with a line for each of its values; None, the default, for one line.
        over
            The dimension along the x axis, "time" by default.
        ax
            Matplotlib's axes to draw in, with the style that they have. By default a new figure.

        Returns
        -------
        Axes
            Matplotlib's, in `ax.figure`, which pyplot knows if it was imported before, and in notebooks. Over `seed`,
            unless it is `by`, lines are means with the spread as a band.

        Raises
        ------
        InputError
            For an unknown variable, and a dimension besides these: take one of it first (`ds.isel`).
        """
        from particles.plotting.curves import lines
        from particles.storage.forms import at_own_times

        data = at_own_times(self._has(name), name)
        values = data[name]
        along = "record" if over == "time" and "time" not in values.dims and "record" in values.dims else over
        seed = () if by == "seed" else ("seed",)
        values = only(values, along, *seed, *([by] if by else []), required=(along, *([by] if by else [])))
        places = data["time"] if along == "record" else data[over]
        return lines(values, places, along, by, ax)

    def measure(self, time: float | None = None) -> "Measure":
        """The cloud at a recorded flow time, of a run that recorded all its particles.

        Parameters
        ----------
        time
            A recorded one; None, the default, is the last.

        Returns
        -------
        Measure
            All particles.

        Raises
        ------
        InputError
            For another time, and a run without `record=["position", "output_weight", "particle_weight"]` of all
            particles.
        """
        from particles.measures.measure import Measure
        from particles.storage.forms import at_own_times

        data = at_own_times(self._has(*_CLOUD), "position")
        only(data["position"], "time", "particle", "dim")
        times = data["time"].values
        at = -1 if time is None else int(np.argmin(np.abs(times - time)))
        if time is not None and not close(times[at], time):
            raise InputError("`time` must be a recorded one", f"{time:g}, next to {times[at]:g}", "See ds.time.")
        # A smaller run of a sweep has NaN where the largest has more particles, or outputs.
        there = data[list(_CLOUD)].isel(time=at).dropna("particle", how="all")
        if "output" in there.dims:
            there = there.dropna("output", how="all", subset=["output_weight"])
        cloud = Measure(*(there[name].values for name in _CLOUD))
        if not np.isclose(cloud.w.sum(), 1.0):
            raise InputError(
                "a cloud is all particles, whose weights sum to 1",
                f"{len(cloud.w)} particles with the sum {cloud.w.sum():g}",
                "Run with positions=None.",
            )
        return cloud

    def _own_prediction(self) -> xarray.Dataset | None:
        """What was predicted of the fluctuations about the sweep's limit at its chosen setting; None without it."""
        from particles.experiments.prediction import of_file
        from particles.files.reading import size_of

        listed: dict[str, dict[str, Any]] = attribute_of(self._ours(), "predictions", {})
        paths = self._chosen({str(self._in_folder(name)): setting for name, setting in listed.items()})
        return of_file(Path(paths[-1])) if paths and size_of(Path(paths[-1])) is not None else None

    def _no_prediction(self) -> str:
        """Why the sweep's limit at its chosen setting predicts no fluctuations; empty where it does."""
        listed: list[dict[str, Any]] = attribute_of(self._ours(), "no_predictions", [])
        places = self._chosen({str(place): entry["setting"] for place, entry in enumerate(listed)})
        return str(listed[int(places[0])]["why"]) if places else ""

    def _chosen(self, files: dict[str, dict[str, Any]]) -> list[str]:
        """Those files whose settings are the ones that are chosen of the axes."""
        from particles.experiments import grid

        chosen = {str(name): value for name, value in self._data.coords.items() if value.ndim == 0}
        return [
            path
            for path, setting in files.items()
            if all(grid.coordinate(setting[name]) == chosen[name].item() for name in chosen.keys() & setting.keys())
        ]

    def _own_limits(self) -> list[xarray.Dataset]:
        """The two finest limits of the sweep at its chosen setting, or the one there is, the finest last."""
        from particles.storage.run_file import open_run

        paths = self._chosen(self.limits)
        if not paths:
            raise InputError(
                "a comparison needs a limit",
                "a dataset that lists none",
                "Give one, ds.mf.compare(limit.dataset), or run the sweep with [limit].",
            )
        return [open_run(path).dataset for path in paths[-2:]]

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
        if absent := [name for name in names if name not in data.data_vars]:
            missing = ", ".join(f"no {name!r}" for name in absent)
            remedy = nearest(absent[0], map(str, data)) if data.data_vars else "It has none: no run has recorded any."
            if data.data_vars and all(name in OBSERVABLES for name in absent):
                remedy = f"Record {', '.join(absent)}, or take one of: {', '.join(map(str, data))}."
            raise InputError("the dataset must have the variables asked for", missing, remedy)
        return data

    def _numbers(self, dim: str) -> np.ndarray[Any, Any]:
        values = self._data[dim].values
        if values.dtype.kind not in "iuf":
            raise InputError(f"`{dim}` must have numbers for values", f"{values[:3]}", "Choose another dimension.")
        return np.asarray(values, dtype=float)
