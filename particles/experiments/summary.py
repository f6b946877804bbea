"""A sweep's results put side by side: each axis a dimension, and the comparison with the limit where there is one."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.analysis.convergence import compare
from particles.errors import StorageError
from particles.experiments.plan import Case, Plan
from particles.experiments.records import Records
from particles.experiments.sweep import run_file, run_path
from particles.files.atomic import write_whole
from particles.files.reading import size_of
from particles.storage import forms, netcdf_writer
from particles.storage.attributes import attribute
from particles.storage.provenance import canonical, fingerprint, provenance
from particles.storage.run_file import open_root

if TYPE_CHECKING:
    import h5py
    import xarray

    from particles.experiments import grid

FILE = "sweep.h5"
# HDF5 opens all files of a view at once, and reads NaN from those that it cannot open, without an error. Linux lets a
# process open 1024 unless told otherwise.
VIEWED = 500


def gather(plan: Plan, out: Path, known: Records | None = None) -> "dict[str, xarray.Dataset]":
    """The recorded datasets of the sweep's runs that are there, by hash; a warning for each that cannot be read.

    known: of which those that are in memory are not read.
    """
    held, records = known.datasets if known else {}, {}
    for case in plan.cases:
        path = run_path(out, case)
        try:
            if case.key in held:
                records[case.key] = forms.checked_run(path, held[case.key])
            elif size_of(path) is not None:
                records[case.key] = forms.checked_run(path, open_root(path))
        except StorageError as error:
            warnings.warn(f"a run is left out of {FILE}: {error}", stacklevel=2)
    return records


def table(plan: Plan, records: dict[str, "xarray.Dataset"]) -> tuple["xarray.Dataset", "Views | None"]:
    """Every recorded number that is one a time, over the sweep's axes; NaN where a run is missing or ended early.

    Beside it the views of all else that was recorded, where the runs are few enough for plain xarray.
    """
    import xarray

    from particles.experiments import grid

    cases = [case for case in plan.cases if case.nodes is None and case.key in records]
    if not cases:
        return xarray.Dataset(), None
    axes = axes_of(plan)
    places = {tuple(axis.values.index(case.coords[axis.name]) for axis in plan.axes): case.key for case in cases}
    whole = grid.assembled(axes, {place: grid.record_of(records[key]) for place, key in places.items()})
    last = "time" if "time" in whole.dims else "record"
    over = tuple(axis.name for axis in axes)
    names = [name for name, values in whole.data_vars.items() if values.dims == (*over, last)]
    others = [name for name in whole.data_vars if name not in names]
    data = whole.drop_vars([*others, "iteration"], errors="ignore").set_coords(["time"][: "time" in whole]).load()
    status = np.full([len(axis.values) for axis in axes], "missing", dtype=object)
    if status.size > VIEWED:
        return data, None
    for place, key in places.items():
        status[place] = records[key].attrs["status"]
    views = Views(whole.drop_vars(names), places, records)
    return data.assign_coords(status=(over, status.astype(str), grid.STATUS)), views


class Views(NamedTuple):
    """What runs recorded besides the table, for plain xarray: not read, but referred to in the runs' own files."""

    whole: "xarray.Dataset"
    places: dict[tuple[int, ...], str]
    records: dict[str, "xarray.Dataset"]

    def put(self, file: "h5py.File") -> None:
        """Write them into the root of the sweep's file."""
        for name, values in self.whole.data_vars.items():
            for dim, size in values.sizes.items():
                if str(dim) not in file:
                    netcdf_writer.put_dimension(file, str(dim), size)
            held = {key: self.records[key][name].shape for key in self.places.values() if name in self.records[key]}
            parts = [
                (str(run_file(Path(), key)), (*place, *map(slice, held[key])), held[key])
                for place, key in self.places.items()
                if key in held
            ]
            sizes = {str(dim): size for dim, size in values.sizes.items()}
            netcdf_writer.put_view(file, str(name), sizes, parts).attrs.update(values.attrs)


def axes_of(plan: Plan) -> list["grid.Axis"]:
    """The axes of a plan as dimensions."""
    from particles.experiments import grid

    return [
        grid.Axis(axis.name, [grid.coordinate(value) for value in axis.values], grid.setting(axis.path))
        for axis in plan.axes
    ]


def predictions(plan: Plan, out: Path, known: Records | None = None) -> "dict[str, xarray.Dataset]":
    """What was predicted of the fluctuations about each limit, by its setting's text; a warning where one is lost."""
    held, found = known.datasets if known else {}, {}
    for case in plan.predictions:
        path = run_path(out, case)
        try:
            if case.key in held or size_of(path) is not None:
                data = held[case.key] if case.key in held else open_root(path)
                found[canonical(case.coords)] = forms.checked_prediction(path, data)
        except StorageError as error:
            warnings.warn(f"a prediction is left out of {FILE}: {error}", stacklevel=2)
    return found


def comparisons(
    plan: Plan, records: dict[str, "xarray.Dataset"], predicted: "dict[str, xarray.Dataset]"
) -> list[tuple[dict[str, Any], "xarray.Dataset"]]:
    """The comparison with the limit for every combination of the axes other than count and seed that has one."""
    cloud = {axis.name for axis in plan.axes if axis.of_the_cloud}
    by_setting: dict[str, tuple[dict[str, Any], list[Case]]] = {}
    for case in plan.cases:
        if case.key in records and "prediction" in records[case.key]:
            setting = {name: value for name, value in case.coords.items() if name not in cloud}
            by_setting.setdefault(fingerprint(setting), (setting, []))[1].append(case)
    results = []
    for setting, cases in by_setting.values():
        whole = [case for case in cases if records[case.key].attrs["status"] == "finished"]
        limits = sorted((case for case in whole if case.nodes), key=lambda case: case.nodes or 0)
        runs = {(c.spec.count, c.spec.seed): records[c.key] for c in whole if c.nodes is None}
        seeds = {seed for _, seed in runs}
        whole_counts = {count for count, _ in runs if all((count, seed) in runs for seed in seeds)}
        if len(limits) == 2 and whole_counts:
            coarse, fine = (records[case.key] for case in limits)
            runs = {pair: data for pair, data in runs.items() if pair[0] in whole_counts}
            results.append((setting, _compared(runs, fine, coarse, predicted.get(canonical(setting)))))
            if why := plan.without.get(canonical(setting)):
                results[-1][1].attrs["no_prediction"] = why
    return results


def _compared(
    runs: "dict[tuple[int, int], xarray.Dataset]",
    fine: "xarray.Dataset",
    coarse: "xarray.Dataset",
    predicted: "xarray.Dataset | None",
) -> "xarray.Dataset":
    draws = None if predicted is None or "distance" not in predicted else forms.at_own_times(predicted, "distance")
    return compare(runs, fine, coarse, fluctuations=draws)


class Summary(NamedTuple):
    """What a sweep came to: file, table over the axes, comparisons by setting, the runs' records by hash.

    predicted: what theory says of the fluctuations, by a setting's text.
    """

    path: Path
    table: "xarray.Dataset"
    setups: list[tuple[dict[str, Any], "xarray.Dataset"]]
    records: dict[str, "xarray.Dataset"]
    predicted: "dict[str, xarray.Dataset]" = {}


def compared_in(tree: "xarray.DataTree") -> list["xarray.Dataset"]:
    """The comparisons that a sweep's file holds; the attribute `setting` says of what.

    As they were before `write` put them on the sweep's axes: without counts and seeds that were not compared.
    """
    if "comparison" not in tree.children:
        return []
    node = tree["comparison"]
    parts = [part.to_dataset() for part in (node, *node.children.values()) if "sup_distance" in part.data_vars]
    where = {"how": "all", "subset": ["sup_distance"]}
    kept = (part.dropna("count", **where).dropna("seed", **where) for part in parts)
    return [part for part in kept if part["sup_distance"].size]


def setups_in(tree: "xarray.DataTree") -> list[tuple[dict[str, Any], "xarray.Dataset"]]:
    """The same, each after its setting."""
    return [(attribute("its comparison", part.attrs, "setting", {}), part) for part in compared_in(tree)]


def _aligned(group: "xarray.Dataset", root: "xarray.Dataset") -> "xarray.Dataset":
    """The group at its parent's coordinates, NaN where it has nothing: a tree has one set of each."""
    shared = [dim for dim in group.dims if dim in root.indexes and (dim in ("count", "seed") or forms.timed(dim))]
    return group.reindex({dim: root[dim].values for dim in shared})


def _times_of(records: "dict[str, xarray.Dataset]") -> dict[str, str]:
    """The names of the times of predictions in the file, by those that a comparison has."""
    data = next(data for data in records.values() if "prediction" in data)
    dim = next(str(dim) for dim in data["prediction"].dims if forms.timed(dim))
    return {"time": dim, "iteration": dim.replace("time", "iteration", 1)} if dim != "time" else {}


def attributes_of(plan: Plan) -> dict[str, str]:
    """What a sweep's file says of it: the first configuration, the hash of all, and where its runs are on its axes.

    no_predictions: the settings whose limit predicts no fluctuations, and why.
    """
    configs = [case.identity for case in plan.cases]
    runs = {case.key: case.coords | {"nodes": case.nodes or 0} for case in plan.cases}
    about = {"config": json.dumps(configs[0]), "config_hash": fingerprint(configs), "runs": json.dumps(runs)}
    if plan.predictions:
        files = {str(run_path(Path(), case)): case.coords | {"nodes": case.nodes} for case in plan.predictions}
        about["predictions"] = json.dumps(files)
    if plan.without:
        lacking = [{"setting": json.loads(text), "why": why} for text, why in plan.without.items()]
        about["no_predictions"] = json.dumps(lacking)
    return about | provenance()


def write(plan: Plan, out: Path, known: Records | None = None) -> Summary:
    """Write sweep.h5: / the table and views of the runs, /comparison the distance from the limit, /limit its record."""
    import xarray

    records = gather(plan, out, known)
    root, views = table(plan, records)
    predicted = predictions(plan, out, known)
    setups = comparisons(plan, records, predicted)
    root.attrs |= attributes_of(plan)
    listed = {str(run_file(Path(), c.key)): c.coords | {"nodes": c.nodes} for c in plan.cases if c.nodes}
    root.attrs["limits"] = json.dumps(listed)
    groups: dict[str, xarray.Dataset] = {"/": root}
    for number, (setting, compared) in enumerate(setups):
        place = "" if len(setups) == 1 else f"/{number}"
        group = compared.assign_attrs(setting=json.dumps(setting), **compared.attrs).rename(_times_of(records))
        groups[f"/comparison{place}"] = _aligned(group, root)
    limits = [case for case in plan.cases if case.nodes and case.key in records]
    if len(limits) == 2:
        finest = records[max(limits, key=lambda case: case.nodes or 0).key].drop_vars("iteration")
        finest = finest.rename({"particle": "node"} if "particle" in finest.dims else {})  # they are as many as it has
        for about in predicted.values():  # of the one setting
            finest = finest.assign({name: about[name] for name in about.data_vars if str(name).endswith("_std")})
        groups["/limit"] = _aligned(finest, root)
        groups["/limit"].attrs = {}
    path, packed = out / FILE, {name: netcdf_writer.group_of(data) for name, data in groups.items()}
    write_whole(path, netcdf_writer.packed(packed, views and views.put))
    return Summary(path, root, setups, records, predicted)


def last_values(data: "xarray.Dataset") -> tuple[list[str], list[str], list[tuple[list[Any], list[float]]]]:
    """Axes, quantities, and for every place on the axes: where it is, and the last of each quantity, seeds averaged."""
    last = "time" if "time" in data.dims else "record"
    names = [str(name) for name in data.data_vars if last in data[name].dims and name != "time"]
    dims = dict.fromkeys(str(dim) for name in names for dim in data[name].dims)
    axes = [dim for dim in dims if dim not in (last, "seed")]
    rows = []
    for place in np.ndindex(*(data.sizes[axis] for axis in axes)):
        at = dict(zip(axes, place, strict=True))
        values = [_last(data[name].isel(at).transpose(..., last).values) for name in names]
        rows.append(([data[axis].values[i] for axis, i in at.items()], values))
    return axes, names, rows


def _last(values: NDArray[np.float64]) -> float:
    """The mean over seeds of the last recorded value; a run that ended early has NaN after it: (..., T) -> one."""
    runs = values.reshape(-1, values.shape[-1])
    ends = [run[np.isfinite(run)][-1] for run in runs if np.isfinite(run).any()]
    return float(np.mean(ends)) if ends else float("nan")
