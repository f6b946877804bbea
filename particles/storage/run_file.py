"""Results read back: one HDF5 file a run, as `run` writes it and as plain xarray opens it as well."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from particles.errors import DamagedError, StorageError
from particles.files.hdf5_file import Hdf5File, opened
from particles.files.reading import hdf5_error, inside, size_of
from particles.measures.measure import Measure
from particles.storage import forms, netcdf
from particles.storage.attributes import attribute
from particles.storage.particle_files import check_file
from particles.storage.predictor import predictor_of
from particles.storage.run import LAST_MEASURE, Run

if TYPE_CHECKING:
    import xarray


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


def open_run(path: str | Path) -> Run:
    """Read a run back into memory.

    Parameters
    ----------
    path
        The file that `Run.save` or `particles run` wrote.

    Returns
    -------
    Run
        As it was saved.

    Raises
    ------
    StorageError
        For a file that is no run, is damaged, or cannot be read now.

    Examples
    --------
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
    if not all(name in final for name in LAST_MEASURE):
        raise StorageError(f"{path} is no run of this program: its /final lacks {', '.join(LAST_MEASURE)}.")
    _check_left(path, final.attrs, whole=True)
    measure = _measure(path, final, "")
    _check_there(path, final.attrs, data.attrs, measure)
    average = _measure(path, final, "averaged_") if "averaged_position" in final else None
    predictor = predictor_of(path, data.attrs, groups.get("/scaling"), measure)
    return Run(data, measure, average, predictor=predictor)


def _measure(path: Path, final: "xarray.Dataset", prefix: str) -> Measure:
    # The shards' files have the weights once: the average iterate's are the same.
    names = {name: f"{prefix}{name}" for name in LAST_MEASURE}
    names["weight"] = names["weight"] if names["weight"] in final else "weight"
    for name, (_, _, dims) in LAST_MEASURE.items():
        forms.check(path, final, {names[name]: ("f", forms.present(dims, final))})
    if final.sizes.get("output", 2) < 2:
        raise DamagedError(f"{path} is damaged: its particles have the dimension 'output', and one output weight each.")
    return Measure(*(final[name].values for name in names.values()))


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
        if not all(name in final for name in LAST_MEASURE):
            return None
        attrs, shapes = netcdf.attributes(file, group), [final[name].shape or () for name in LAST_MEASURE]
        count = shapes[0][0] if shapes[0] else 0
        if [len(shape) for shape in shapes] not in ([2, 1, 1], [2, 2, 1]) or any(shape[0] != count for shape in shapes):
            raise ValueError(f"its particles have the shapes {shapes}")
        measure = Measure(*(file.values(final[name], pick(count)) for name in LAST_MEASURE))
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

    value, final = read(path, reader)
    _check_left(path, final, whole=False)
    return value


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
