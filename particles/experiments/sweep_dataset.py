"""The folder of a sweep as one dataset over its axes, opened without reading what the runs recorded."""

import json
import math
from functools import partial
from pathlib import Path

import numpy as np

from particles.errors import DamagedError, ParticlesError, StorageError
from particles.experiments import grid, listing
from particles.experiments.plan import Plan
from particles.experiments.summary import FILE
from particles.experiments.sweep import run_file
from particles.files.hdf5_file import Hdf5File
from particles.files.hdf5_member import Member
from particles.files.reading import size_of
from particles.storage import netcdf
from particles.storage.forms import timed
from particles.storage.run_file import read
from particles.xarray import Dataset

_UNKNOWN = grid.Form((), (), {})
_PLACES = 10**7  # of a grid, with and without runs


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
        return _side_by_side(folder, listing.of_folder(folder))
    except ParticlesError:
        raise
    except Exception as error:  # xarray has all kinds of words for axes and dimensions that do not fit together
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise DamagedError(f"the runs of {folder} cannot be put side by side: {reason}") from error


def open_planned(plan: Plan, folder: Path) -> Dataset:
    """The runs of a plan in its folder as `open_sweep` has them, also where the folder has those of a larger one."""
    return _side_by_side(folder, listing.of_plan(plan, folder))


def _side_by_side(folder: Path, sweep: listing.Listing) -> Dataset:
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
    data = data.assign_coords(coords).set_coords([name for name in data.variables if timed(name, counted=True)])
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
        forms[name] = grid.Form(form.dims, item.shape, form.attrs)
        if name in form.dims or timed(name, counted=True):
            coords[name] = _numbers(file, item, kinds="biufO" if name == "output" else "biuf")  # names of classes
    return status, grid.Record(forms, coords, partial(_window, path))


def _form(file: Hdf5File, name: str, item: Member) -> grid.Form | None:
    dims = netcdf.dims_of(file, name, item)
    return None if dims is None else grid.Form(dims, (), netcdf.attributes(file, item))


def _numbers(file: Hdf5File, item: Member, window: grid.Window = (), kinds: str = "biuf") -> grid.Array:
    values = np.asarray(file.values(item, window))
    if values.dtype.kind not in kinds:
        raise ValueError(f"{item.path!r} holds {values.dtype}, not numbers")
    return values


def _window(path: Path, name: str, window: grid.Window) -> grid.Array:
    return read(path, lambda file: _numbers(file, file.member(name), window))
