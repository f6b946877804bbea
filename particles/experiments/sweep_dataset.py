"""The folder of a sweep as one dataset over its axes, opened without reading what the runs recorded."""

import json
import math
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from particles.errors import DamagedError, ParticlesError, StorageError
from particles.experiments import grid
from particles.experiments.summary import FILE
from particles.experiments.sweep import run_file
from particles.files.hdf5_file import Hdf5File
from particles.files.hdf5_member import Member
from particles.files.reading import names_in, size_of
from particles.storage import netcdf
from particles.storage.attributes import attribute
from particles.storage.provenance import canonical
from particles.storage.run_file import read
from particles.xarray import Dataset

_UNKNOWN = grid.Form((), (), {})
_PLACES = 10**7  # of a grid, with and without runs


class Sweep(NamedTuple):
    """What a folder says of its runs: axes; the finite ones' settings by hash, then the limits', with `nodes`."""

    axes: list[grid.Axis]
    runs: dict[str, dict[str, Any]]
    limits: dict[str, dict[str, Any]]
    attrs: dict[str, Any]


def open_sweep(path: str | Path) -> Dataset:
    """All runs of a sweep's folder as one dataset: each axis is a dimension, and arrays are read when they are needed.

    Parameters
    ----------
    path
        The folder `out/NAME`, or its file sweep.h5.

    Returns
    -------
    xarray.Dataset
        The recorded variables over the axes and `time`, with the coordinate `status`: "finished", "diverged",
        "stopped", "missing", "damaged", or "unreadable" (now: it may be whole).

    Raises
    ------
    StorageError
        For a folder that holds no runs, and when an array is read that fails its checksum.

    Notes
    -----
    Runs of different M share the dimensions `particle` and `sample`, padded with NaN to the largest. A run that is
    missing or ended early is NaN from there on. Where runs record at different flow times (step sizes as an axis) their
    rows lie along `record`, and `time` is a coordinate over the grid. The runs of the limit are not on the grid;
    `ds.mf.limits` lists their files.

    The axes are those of sweep.h5. In a folder that has none yet they are what the runs' configurations differ in;
    settings that go together are then an axis each, with holes.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> for M in (16, 64):
    ...     config = {"network": "tanh", "start": {"count": M}}
    ...     run = mf.simulate(net, law.sample(M, seed=0), data, mf.GradientDescent(0.5), steps=4, config=config)
    ...     path = run.save(f"out/mine/runs/{M}.h5")
    >>> sweep = mf.open_sweep("out/mine")
    >>> sweep["loss"].dims, sweep["status"].values
    (('count', 'time'), array(['finished', 'finished'], dtype='<U8'))
    """
    folder = Path(path).absolute()
    folder = folder.parent if folder.name == FILE else folder
    if not (folder / "runs").is_dir():
        raise StorageError(f"{folder} is no sweep's folder: it lacks runs/. Give out/NAME as `particles run` wrote it.")
    try:
        return _side_by_side(folder, _found(folder) if size_of(folder / FILE) is None else _listed(folder))
    except ParticlesError:
        raise
    except Exception as error:  # xarray has all kinds of words for axes and dimensions that do not fit together
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise DamagedError(f"the runs of {folder} cannot be put side by side: {reason}") from error


def _side_by_side(folder: Path, sweep: Sweep) -> Dataset:
    shape = [len(axis.values) for axis in sweep.axes]
    if math.prod(shape) > _PLACES:
        raise DamagedError(
            f"the axes of {folder} have {' x '.join(map(str, shape))} places for {len(sweep.runs)} runs."
        )
    status = np.full(shape, "missing", dtype=object)
    known: dict[str, grid.Form | None] = {}
    records: dict[tuple[int, ...], grid.Record] = {}
    for key, setting in sweep.runs.items():
        place = tuple(axis.values.index(grid.coordinate(setting[axis.name])) for axis in sweep.axes)
        path = run_file(folder, key)
        try:
            status[place], records[place] = read(path, partial(_header, path, known))
        except DamagedError:
            status[place] = "damaged"
        except StorageError:
            status[place] = "unreadable" if _there(path) else "missing"
    data = grid.assembled(sweep.axes, records)
    # Coordinates, so that arithmetic with the dataset is arithmetic with what was recorded.
    coords = {"status": (tuple(axis.name for axis in sweep.axes), status.astype(str), grid.STATUS)}
    data = data.assign_coords(coords).set_coords([name for name in ("time", "iteration") if name in data])
    limits = {str(run_file(Path(), key)): setting for key, setting in sweep.limits.items()}
    return data.assign_attrs(sweep.attrs, folder=str(folder), limits=json.dumps(limits))


def _there(path: Path) -> bool:
    """Whether there may be a file."""
    try:
        return size_of(path) is not None
    except StorageError:
        return True


def _header(path: Path, known: dict[str, grid.Form | None], file: Hdf5File) -> tuple[str, grid.Record]:
    """How a run ended, and its record; `known` remembers dims and attributes, which all runs have alike."""
    status = file.root.attribute("status")
    if not isinstance(status, str):  # what has none is no run
        raise ValueError("it does not say how it ended")
    forms, coords = {}, {}
    for name, link in file.links().items():
        if known.get(name, _UNKNOWN) is None:  # to open it would take as long as all else
            continue
        item = file.open(file.root, name, link)
        form = known[name] if name in known else _form(file, name, item)
        if form is not None and len(item.shape or ()) != len(form.dims):
            raise ValueError(f"{name!r} is of shape {item.shape}, and its dimensions are {form.dims}")
        known[name] = form
        if form is None or item.shape is None:
            continue
        forms[name] = form._replace(shape=item.shape)
        if name in form.dims or name == "iteration":
            coords[name] = _numbers(file, item)
    return status, grid.Record(forms, coords, partial(_window, path))


def _form(file: Hdf5File, name: str, item: Member) -> grid.Form | None:
    dims = netcdf.dims_of(file, name, item)
    return None if dims is None else grid.Form(dims, (), netcdf.attributes(file, item))


def _numbers(file: Hdf5File, item: Member, window: grid.Window = ()) -> grid.Array:
    values = np.asarray(file.values(item, window))
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{item.path!r} holds {values.dtype}, not numbers")
    return values


def _window(path: Path, name: str, window: grid.Window) -> grid.Array:
    return read(path, lambda file: _numbers(file, file.member(name), window))


def _listed(folder: Path) -> Sweep:
    """As sweep.h5 says: it lists every run that was planned, so also those that are missing."""
    path = folder / FILE

    def look(file: Hdf5File) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        members = netcdf.members(file, file.root)
        return netcdf.attributes(file), {name: netcdf.attributes(file, item) for name, item in members.items()}

    attrs, about = read(path, look)
    if "runs" not in attrs:
        raise StorageError(f"{path} names no runs: it is no sweep of this program.")
    listed = attribute(path, attrs, "runs")
    del attrs["runs"]
    runs = {key: setting for key, setting in listed.items() if not setting["nodes"]}
    names = [name for name in next(iter(runs.values()), {}) if name != "nodes"]
    axes = [grid.Axis(name, _distinct(runs, name), about.get(name, {})) for name in names]
    return Sweep(axes, runs, {key: setting for key, setting in listed.items() if setting["nodes"]}, attrs)


def _found(folder: Path) -> Sweep:
    """As the runs' own configurations say: an axis is what they differ in."""
    from particles.experiments.plan import axis_name

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
    return Sweep(axes, runs, limits, {"config": json.dumps(first), "config_hash": ""})


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
