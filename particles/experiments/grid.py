"""Runs put side by side on one grid: each axis of a sweep a dimension, read when it is asked for.

A run that is missing, ended early or is smaller than another (fewer particles) has NaN where it has no number.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from particles.storage.forms import timed

Array = NDArray[np.float64]
Window = tuple[slice, ...]


class Form(NamedTuple):
    """What is known of a variable before it is read."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attrs: dict[str, Any]


class Record(NamedTuple):
    """One run: its variables, its coordinates as read, and how a window of a variable is read."""

    forms: Mapping[str, Form]
    coords: Mapping[str, Array]
    read: Callable[[str, Window], Array]


class Axis(NamedTuple):
    """A dimension of the grid: its name, its values, what is said of it."""

    name: str
    values: Sequence[Any]
    attrs: dict[str, Any]


STATUS = {"long_name": "how each run ended, or that its file is missing or damaged", "units": "1", "equation": "-"}
Records = Mapping[tuple[int, ...], Record]  # by place on the grid


def setting(path: Sequence[str]) -> dict[str, str]:
    """What is said of an axis that is a setting of the configuration."""
    return {"long_name": f"setting {'.'.join(path)} of the configuration", "units": "1", "equation": "-"}


def setting_in(attrs: Mapping[Any, Any]) -> str:
    """The dotted path of the setting that an axis is; empty for another dimension."""
    words = str(attrs.get("long_name", "")).split()
    return words[1] if len(words) == 5 and words[0] == "setting" else ""


def coordinate(value: Any) -> Any:
    """A setting as a value on an axis: a table or a list is its text."""
    return json.dumps(value) if isinstance(value, dict | list) or value is None else value


def record_of(data: xarray.Dataset) -> Record:
    """A run in memory."""
    forms = {str(name): Form(_names(v.dims), v.shape, v.attrs) for name, v in data.variables.items()}
    coords = {str(name): values.values for name, values in data.coords.items()}
    return Record(forms, coords, lambda name, window: np.asarray(data[name].values[window]))


def _names(dims: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(map(str, dims))


def assembled(axes: Sequence[Axis], records: Records) -> xarray.Dataset:
    """All variables of the runs over the axes; nothing but coordinates is read yet.

    Time is one coordinate where all runs share it, as far as each went. Step sizes as an axis give each run its own:
    then the recorded numbers lie along `record`, and `time` is a variable over the grid; `record_NAME` and `time_NAME`
    of what has a cadence of its own.
    """
    forms = {name: form for record in records.values() for name, form in record.forms.items()}
    places = {axis.name: (axis.name, list(axis.values), axis.attrs) for axis in axes}
    if not records:
        return xarray.Dataset(coords=places)
    shape = tuple(len(axis.values) for axis in axes)
    sizes: dict[str, int] = {}
    for record in records.values():
        for form in record.forms.values():
            sizes |= {dim: max(size, sizes.get(dim, 0)) for dim, size in zip(form.dims, form.shape, strict=True)}
    coords = {name for record in records.values() for name in record.coords}
    own = {dim: dim.replace("time", "record", 1) for dim in sizes if timed(dim) and not _alike(dim, records)}
    data: dict[str, Any] = {}
    for name, form in forms.items():
        if name in coords and name in form.dims and not timed(name) and not _alike(name, records):
            continue  # such as classes of other data: the dimension then has no coordinate
        if name in coords and _alike(name, records) and not own.keys() & form.dims:
            longest = max(records.values(), key=lambda record: np.size(record.coords.get(name, ())))
            places[name] = form.dims, longest.coords[name], form.attrs  # type: ignore[assignment]
            continue
        dims = tuple(own.get(dim, dim) for dim in form.dims)
        stack = Stack(name, (*shape, *(sizes[dim] for dim in form.dims)), len(shape), records)
        data[name] = (tuple(places)[: len(shape)] + dims, _cached(stack), form.attrs)
    return xarray.Dataset({name: xarray.Variable(*parts) for name, parts in data.items()}, coords=places)


def _cached(array: BackendArray) -> Any:
    """The array as a dataset's own, read on first use and then kept, as xarray has those of a file."""
    lazy: Any = indexing.LazilyIndexedArray(array)
    return indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy))  # type: ignore[no-untyped-call]


def _alike(name: str, records: Records) -> bool:
    """Whether all runs have the same values of a coordinate, as far as each goes."""
    coordinates = [record.coords[name] for record in records.values() if name in record.coords]
    longest = max(coordinates, key=len, default=np.empty(0))
    return all(np.array_equal(longest[: len(values)], values) for values in coordinates)


class Stack(BackendArray):
    """One variable of all runs as one array, of which an index reads what it covers."""

    def __init__(self, name: str, shape: tuple[int, ...], axes: int, records: Records) -> None:
        self.name, self.shape, self.axes, self.records = name, shape, axes, records
        self.dtype = np.dtype(np.float64)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> Array:
        picked = [np.arange(size)[part] for size, part in zip(self.shape, key, strict=True)]
        flat = [np.atleast_1d(part) for part in picked]
        values = np.full([len(part) for part in flat], np.nan)
        for at in np.ndindex(*values.shape[: self.axes]):
            record = self.records.get(tuple(int(part[i]) for part, i in zip(flat, at, strict=False)))
            if record is not None and self.name in record.forms:
                self._fill(values[(*at, ...)], record, flat[self.axes :])
        return values.reshape([len(part) for part in picked if part.ndim])

    def _fill(self, target: Array, record: Record, picked: list[NDArray[np.intp]]) -> None:
        """One run's numbers: the smallest window around what is asked for is read, and out of it what is."""
        sizes = record.forms[self.name].shape
        there = [np.flatnonzero(part < size) for part, size in zip(picked, sizes, strict=True)]
        if not all(map(len, there)):
            return
        chosen = [part[inside] for part, inside in zip(picked, there, strict=True)]
        window = tuple(slice(int(part.min()), int(part.max()) + 1) for part in chosen)
        numbers = record.read(self.name, window)
        target[np.ix_(*there)] = numbers[np.ix_(*(part - part.min() for part in chosen))]
