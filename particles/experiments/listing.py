"""Which runs a sweep's folder has, and where they are on its axes: as its file says, its plan, or the runs."""

import json
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from particles.errors import DamagedError, StorageError
from particles.experiments import grid
from particles.experiments.plan import Plan, axis_name
from particles.experiments.summary import FILE, attributes_of, axes_of
from particles.files.hdf5_file import Hdf5File
from particles.files.reading import names_in, size_of
from particles.storage import netcdf
from particles.storage.attributes import attribute
from particles.storage.provenance import canonical
from particles.storage.run_file import read


class Listing(NamedTuple):
    """What a folder says of its runs: axes; the finite ones' settings by hash, then the limits', with `nodes`."""

    axes: list[grid.Axis]
    runs: dict[str, dict[str, Any]]
    limits: dict[str, dict[str, Any]]
    attrs: dict[str, Any]


def of_folder(folder: Path) -> Listing:
    """As its file says, or else the runs that it has."""
    return of_runs(folder) if size_of(folder / FILE) is None else of_file(folder)


def of_file(folder: Path) -> Listing:
    """As sweep.h5 says: it lists every run that was planned, so also those that are missing."""
    path = folder / FILE

    def look(file: Hdf5File) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        members = netcdf.members(file, file.root)
        return netcdf.attributes(file), {name: netcdf.attributes(file, item) for name, item in members.items()}

    attrs, about = read(path, look)
    if "runs" not in attrs:
        raise StorageError(f"{path} names no runs: it is no sweep of this program.")
    return _of_attributes(path, attrs, about)


def of_plan(plan: Plan, folder: Path) -> Listing:
    """As a plan says."""
    axes = {axis.name: axis.attrs for axis in axes_of(plan)}
    return _of_attributes(folder, attributes_of(plan), axes)


def _of_attributes(path: Path, attrs: dict[str, Any], about: dict[str, dict[str, Any]]) -> Listing:
    """A sweep by its attributes; about: what is said of each axis."""
    listed = attribute(path, attrs, "runs")
    attrs = {name: value for name, value in attrs.items() if name != "runs"}
    runs = {key: setting for key, setting in listed.items() if not setting["nodes"]}
    names = [name for name in next(iter(runs.values()), {}) if name != "nodes"]
    axes = [grid.Axis(name, _distinct(runs, name), about.get(name, {})) for name in names]
    return Listing(axes, runs, {key: setting for key, setting in listed.items() if setting["nodes"]}, attrs)


def of_runs(folder: Path) -> Listing:
    """As the runs' own configurations say: an axis is what they differ in."""
    configs = {}
    runs_folder = folder / "runs"
    for name in sorted(name for name in names_in(runs_folder) if name.endswith(".h5") and not name.startswith(".")):
        try:
            configs[name.removesuffix(".h5")] = read(runs_folder / name, partial(_config, runs_folder / name))
        except DamagedError:
            continue  # nobody knows which run it was
        except StorageError as error:
            warnings.warn(f"a run is left out of the dataset: {error}", stacklevel=2)
    if not configs:
        raise StorageError(f"{folder}/runs holds no run that can be read. Run the sweep, or give another folder.")
    if not all("modules" in config for config in configs.values()):  # only runs with objects of a user's module have it
        configs = {key: {name: config[name] for name in config if name != "modules"} for key, config in configs.items()}
    limited = {key for key, config in configs.items() if "nodes" in _start(config)}
    finite = [key for key in configs if key not in limited] or list(configs)
    varying = list(_differing([configs[key] for key in finite], ()))
    names = {path: axis_name(path, [path[-1] for path in varying]) for path in varying}
    runs = {key: {name: _at(configs[key], path) for path, name in names.items()} for key in finite}
    axes = [
        grid.Axis(name, sorted(_distinct(runs, name), key=_order), grid.setting(path)) for path, name in names.items()
    ]
    limits = {
        key: {name: _at(config, path) for path, name in names.items() if path[0] != "start"}
        | {"nodes": config["start"]["nodes"]}
        for key, config in configs.items()
        if key not in runs
    }
    first = configs[finite[0]]
    return Listing(axes, runs, limits, {"config": json.dumps(first), "config_hash": ""})


def _config(path: Path, file: Hdf5File) -> dict[str, Any]:
    return dict(attribute(path, {"config": file.root.attribute("config")}, "config"))


def _start(config: dict[str, Any]) -> dict[str, Any]:
    start = config.get("start")
    return start if isinstance(start, dict) else {}


def _differing(values: list[Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The innermost settings in which configurations differ; one whose own keys differ is one setting."""
    if all(isinstance(value, dict) and value.keys() == values[0].keys() for value in values):
        for key in values[0]:
            yield from _differing([value[key] for value in values], (*path, key))
    elif len({canonical(value) for value in values}) > 1:
        yield path


def _at(config: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        config = config[key]
    return config


def _distinct(runs: dict[str, dict[str, Any]], name: str) -> list[Any]:
    """The values of an axis in the order in which the runs have them."""
    return list(dict.fromkeys(grid.coordinate(setting[name]) for setting in runs.values()))


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value
