"""Results: one HDF5 file a run, which plain xarray opens as well.

    /        what was recorded: dims time, sample, particle, dim; coords time (flow), iteration
    /final   the last measure: position, sign, weight (and the average iterate's)

Every variable carries long_name, units and the equation it comes from; the root's attributes carry the configuration,
its hash and where the numbers came from.
"""

import html
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import h5py
import numpy as np

from particles.errors import DamagedError, InputError, StorageError
from particles.escapes import escaped
from particles.files.atomic import write_whole
from particles.files.hdf5_file import Hdf5File, opened
from particles.files.reading import hdf5_error, inside, size_of
from particles.measures.measure import Measure
from particles.population.observables import MOMENTS, Observable
from particles.storage import forms, netcdf
from particles.storage.attributes import attribute
from particles.storage.checkpoint import Event, Row
from particles.storage.provenance import fingerprint, provenance
from particles.storage.segments import check_file
from particles.storage.views import Left, virtual

if TYPE_CHECKING:
    import xarray

_FINAL = {
    "position": ("particle positions b_r after the last iteration", "section 3", ("atom", "dim")),
    "sign": ("signs or trained output weights s_r", "section 3", ("atom",)),
    "weight": ("weights w_r of the atoms of mu", "3.4", ("atom",)),
}


@dataclass
class Run:
    """What `simulate` returns: `dataset` as recorded, the last `measure`, the `average` iterate where one is kept.

    last: the last measure, None where `measure` raises. left: the files in which the shards left both measures, where
    `simulate` was given `final`.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4)
    >>> run.status, run.measure.b.shape, run.dataset["time"].values
    ('finished', (16, 2), array([0. , 0.5, 1. , 1.5, 2. ]))
    """

    dataset: "xarray.Dataset"
    last: Measure | None
    average: Measure | None = None
    left: Left | None = None

    @property
    def measure(self) -> Measure:
        """The measure after the last iteration. Raises InputError where the run does not have it, with the reason."""
        if self.last is not None:
            return self.last
        if self.left is not None:
            reason, remedy = f"its particles are in {self.left.folder}", "Save the run, then mf.open_run reads them."
        else:
            reason, remedy = "the run ended inside an iteration", "Run again with the same `checkpoints` to go on."
        raise InputError("`measure` must be there to be used", reason, remedy)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return dict(attribute("the run", self.dataset.attrs, "config"))

    @property
    def status(self) -> str:
        """ "finished", "stopped" (by the user) or "diverged"."""
        return str(self.dataset.attrs["status"])

    @property
    def events(self) -> list[Event]:
        """What happened to the run on its way: faults, checkpoints left out, where it went on."""
        return list(attribute("the run", self.dataset.attrs, "events", []))

    def save(self, path: str | Path) -> Path:
        """Write the run to one HDF5 file, whole or not at all: the path. Raises StorageError if it cannot be written.

        >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
        >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
        >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4)
        >>> run.save("run.h5").name
        'run.h5'
        """
        path, groups = Path(path), {"/": self.dataset}
        if self.left is None:
            groups["/final"] = _measure_dataset(self)
        elif not self.left.folder.absolute().is_relative_to(path.absolute().parent):
            raise InputError(
                "a run's file must be beside or above the folder of its particles, and moves with it",
                f"{path} for {self.left.folder}",
                f"Save it as {self.left.folder.parent / path.name}.",
            )
        write_whole(path, netcdf.packed(groups, partial(_refer, self.left, path) if self.left else None))
        return path

    def __repr__(self) -> str:
        """How it ended, what there is of it, what to do next: arrays are no answer at a prompt."""
        data = self.dataset
        rows = data.sizes.get("time", 0)
        lines = [f"Run: {self.status}, nothing recorded"]
        if rows:
            last, steps = float(data["time"][-1]), int(data["iteration"][-1])
            lines = [f"Run: {self.status} after {steps} steps at flow time {last:g}, {rows} times recorded"]
        for name, measure in (("measure", self.last), ("average", self.average)):
            if measure is not None:
                lines.append(f"  {name}   M = {len(measure.b)} particles on R^{measure.b.shape[1]}")
        if self.left is not None:
            lines.append(f"  left      M = {self.left.atoms} particles in {self.left.folder}")
        names = [str(name) for name, values in data.data_vars.items() if any(map(forms.timed, values.dims))]
        lines.append(f"  recorded  {', '.join(names) or 'nothing'}")
        if self.events:
            lines.append(f"  events    {len(self.events)}, see run.events")
        plain = [name for name in names if data[name].dims == ("time",)]
        nexts = {
            "finished": (f'run.dataset.mf.plot("{plain[0]}"), ' if plain else "") + 'run.save("run.h5")',
            "stopped": "call mf.simulate again with the same `checkpoints` to go on; run.dataset has what was recorded",
            "diverged": "a smaller step; run.dataset has what was recorded before",
        }
        return "\n".join(map(escaped, [*lines, f"  next      {nexts.get(self.status, 'run.dataset')}"]))

    def _repr_html_(self) -> str:
        """In a notebook: the same, and below it what was recorded, to unfold."""
        return f"<pre>{html.escape(repr(self))}</pre>{self.dataset._repr_html_()}"


def dataset_of(
    rows: list[Row],
    times: np.ndarray[Any, Any],
    names: list[tuple[str, Observable]],
    targets: dict[str, np.ndarray[Any, Any]],
    config: dict[str, Any],
    status: str,
    events: list[Event],
    dims: Mapping[str, str] = MappingProxyType({}),
) -> "xarray.Dataset":
    """The recorded rows as one dataset over flow time; dims: the time dimensions of those that have their own."""
    from particles.xarray import Dataset

    own = set(dims) | {f"averaged_{name}" for name in dims}
    over = {"time": np.array([at for at, values in rows if not values or not own >= set(values)], dtype=np.int64)}
    for name, dim in dims.items():
        over[dim] = np.array([at for at, values in rows if name in values], dtype=np.int64)
    data: dict[str, Any] = {}
    for name, row in names:
        about = "of the average iterate: " if name.startswith("averaged_") else ""
        said = {"long_name": about + row.long_name, "units": "1", "equation": row.equation}
        if rows:
            dim = dims.get(row.name, "time")
            data[name] = ((dim, *row.dims), np.stack([values[name] for _, values in rows if name in values]), said)
    for name, values in targets.items():
        dim = "test_sample" if name.startswith("test_") else "sample"
        data[name] = (dim, values, {"long_name": "targets y_i", "units": "1", "equation": "section 2"})
    time = {"long_name": "flow time, the sum of the step sizes", "units": "1", "equation": "3.4"}
    step = {"long_name": "number of steps taken", "units": "1", "equation": "(3)"}
    coords: dict[str, Any] = {}
    for dim, iterations in over.items():
        coords |= {dim: (dim, times[iterations], time), dim.replace("time", "iteration", 1): (dim, iterations, step)}
    if "weight_moment" in data:
        coords["moment"] = ("moment", MOMENTS, {"long_name": "order p of the moment", "units": "1", "equation": "3.4"})
    attrs: dict[str, Any] = {
        "config": json.dumps(config),
        "config_hash": fingerprint(config),
        "status": status,
        "events": json.dumps(events),
        "seed": _seed(config),
        **provenance(),
    }
    return Dataset(data, coords=coords, attrs=attrs)


def _seed(config: dict[str, Any]) -> int:
    """The seed of the start; -1 where there is none: a quadrature, or a measure of the user's."""
    start = config.get("start")
    return int(start.get("seed", -1)) if isinstance(start, dict) else -1


def _refer(left: Left, path: Path, file: h5py.File) -> None:
    """/final by reference to the shards' files, found from where `path` is."""
    folder = os.path.relpath(left.folder.absolute(), path.absolute().parent)
    files = {segment: os.path.join(folder, segment.file) for segment in left.segments}
    group = file.require_group("final")
    virtual(group, left.shape, left.atoms, files)
    group.attrs["files"] = json.dumps([[files[part], part.bytes, part.sha256] for part in left.segments])


def _check_left(path: Path, final: Mapping[str, Any], whole: bool) -> None:
    """DamagedError unless the files that a run's file refers to are there in full; whole: their contents too."""
    for file in attribute(path, final, "files", []):
        place = inside(path.parent, file.name)
        if size_of(place) != file.bytes:
            raise DamagedError(f"{path} refers to {place}, which is not there in full: they belong together.")
        if whole:
            check_file(path.parent, *file)


def _check_there(path: Path, final: Mapping[Any, Any], attrs: Mapping[Any, Any], measure: Measure) -> None:
    """StorageError where a finished run's particles are NaN: HDF5 says nothing of a file that it could not open."""
    finite = all(np.isfinite(values).all() for values in measure)
    if "files" in final and attrs.get("status") == "finished" and not finite:
        raise StorageError(
            f"{path} cannot be read now: a file that it refers to could not be opened. It may be whole and stays as it "
            "is. Check the disk and the number of files that may be open (ulimit -n), then try again."
        )


def _measure_dataset(run: Run) -> "xarray.Dataset":
    import xarray

    data: dict[str, Any] = {}
    for prefix, measure in (("", run.last), ("averaged_", run.average)):
        for values, (name, (text, equation, dims)) in zip(measure or (), _FINAL.items(), strict=False):
            data[prefix + name] = (dims, values, {"long_name": text, "units": "1", "equation": equation})
    return xarray.Dataset(data)


def open_run(path: str | Path) -> Run:
    """Read a run back, into memory. Raises StorageError for a file that is no run, or cannot be read.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4)
    >>> mf.open_run(run.save("run.h5")).dataset.identical(run.dataset)
    True
    """
    path = Path(path)
    groups = read(path, netcdf.everything)  # no tree: its nodes refer to each other, and so keep the memory of a run
    data, final = groups["/"], groups.get(netcdf.FINAL)
    if final is None or "config" not in data.attrs:
        raise StorageError(f"{path} is no run of this program: it lacks the group /final. Give a file under runs/.")
    forms.checked_run(path, data)
    if not final.data_vars and data.attrs["status"] == "stopped":  # inside an iteration: there is no last measure
        return Run(data, None)
    if not all(name in final for name in _FINAL):
        raise StorageError(f"{path} is no run of this program: its /final lacks {', '.join(_FINAL)}.")
    _check_left(path, final.attrs, whole=True)
    measure = _measure(path, final, "")
    _check_there(path, final.attrs, data.attrs, measure)
    return Run(data, measure, _measure(path, final, "averaged_") if "averaged_position" in final else None)


def _measure(path: Path, final: "xarray.Dataset", prefix: str) -> Measure:
    forms.check(path, final, {f"{prefix}{name}": ("f", dims) for name, (_, _, dims) in _FINAL.items()})
    return Measure(*(final[f"{prefix}{name}"].values for name in _FINAL))


def open_tree(path: Path) -> "xarray.DataTree":
    """A file of this program as a tree in memory, checksums verified; an error that names it if it cannot be read."""
    import xarray

    return read(path, lambda file: xarray.DataTree.from_dict(netcdf.everything(file)))


def open_root(path: Path) -> "xarray.Dataset":
    """What a run recorded, without its last measure."""
    return read(path, netcdf.dataset)


def open_attributes(path: Path) -> dict[str, Any]:
    """What a file says of itself, without any of its arrays."""
    return read(path, netcdf.attributes)


def open_final(path: Path, pick: Callable[[int], Any]) -> tuple[Measure, int] | None:
    """Those atoms of a run's last measure that `pick` chooses of M, and M; None where the file has no last measure."""

    def reader(file: Hdf5File) -> tuple[Measure, int] | None:
        group = file.members().get("final")
        if group is None or group.shape is not None:
            return None
        final = file.members(group, virtual=True)
        if not all(name in final for name in _FINAL):
            return None
        attrs, shapes = netcdf.attributes(file, group), [final[name].shape or () for name in _FINAL]
        count = shapes[0][0] if shapes[0] else 0
        if [len(shape) for shape in shapes] != [2, 1, 1] or any(shape[0] != count for shape in shapes):
            raise ValueError(f"its particles have the shapes {shapes}")
        measure = Measure(*(file.values(final[name], pick(count)) for name in _FINAL))
        _check_left(path, attrs, whole=False)
        _check_there(path, attrs, netcdf.attributes(file), measure)
        return measure, count

    return read(path, reader)


T = TypeVar("T")


def verified(path: Path, look: Callable[[Hdf5File], T]) -> T:
    """What `look` finds, after every array was read and passed its checksum; files that it refers to are there."""

    def reader(file: Hdf5File) -> tuple[T, dict[str, Any]]:
        netcdf.verify(file)
        final = netcdf.attributes(file, file.member("final")) if "final" in file.links() else {}
        return look(file), final

    found, final = read(path, reader)
    _check_left(path, final, whole=False)
    return found


def read(path: Path, reader: Callable[[Hdf5File], T]) -> T:
    """What `reader` finds in a result; DamagedError where the file is to blame that it cannot."""
    size = size_of(path)
    if size is None:
        raise StorageError(f"no such file: {path}. Give the path of a result that `particles run` or `run.save` wrote.")
    try:
        with opened(path, size, path.parent) as file:
            return reader(file)
    except StorageError:
        raise
    except Exception as error:  # HDF5, h5py and xarray have all kinds of words for a file that is not as it should be
        raise hdf5_error(path, error) from error
