"""Datasets as one HDF5 file in memory: dimension scales and attributes as netCDF-4 has them.

Through xarray's own layers writing a run takes twenty times as long: a sweep would wait longer for its files than for
its numbers.
"""

import io
import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5s, h5t

from particles.storage.netcdf import BARE

if TYPE_CHECKING:
    import xarray
    from numpy.typing import NDArray

Part = tuple[str, tuple[Any, ...], tuple[int, ...]]  # of a view: a file's name, where it goes, its shape
_TEXTS, _PLAIN = "OU", "iuf"  # kinds of arrays, as NumPy has them
_TEXT, _TEXT_HERE = (h5t.py_create(h5py.string_dtype(), logical=stored) for stored in (True, False))
_ONE = h5s.create(h5s.SCALAR)


class Variable(NamedTuple):
    """An array that is written, with the names of its dimensions."""

    dims: tuple[str, ...]
    values: "NDArray[Any]"
    attrs: Mapping[Any, Any]


class Group(NamedTuple):
    """A dataset as what is written of it. To make one of xarray's takes as long as to write it."""

    variables: Mapping[str, Variable]
    coords: frozenset[str] = frozenset()
    attrs: Mapping[Any, Any] = {}


def group_of(data: "xarray.Dataset") -> Group:
    """What is written of a dataset of xarray."""
    variables = {
        str(name): Variable(tuple(map(str, item.dims)), item.values, item.attrs)
        for name, item in data.variables.items()
    }
    return Group(variables, frozenset(map(str, data.coords)), data.attrs)


class _Array(NamedTuple):
    """An array without its numbers; kind: its type, "O" for text. about: those of its attributes that are texts."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    kind: str
    coordinate: bool
    about: tuple[tuple[str, str], ...]


class _Layout(NamedTuple):
    """A group without its numbers and its own attributes."""

    path: str
    arrays: tuple[_Array, ...]
    sizes: tuple[tuple[str, int], ...]


def packed(groups: Mapping[str, Group], more: "Callable[[h5py.File], None] | None" = None) -> memoryview:
    """The bytes of an HDF5 file that holds these groups, by path; arrays carry checksums.

    more: what else is put into the file. The runs of a sweep differ in little but their numbers: they go into a copy of
    a file without any, which takes a quarter of the time.
    """
    page = io.BytesIO(_empty(tuple(_layout(path, data) for path, data in groups.items())))
    with h5py.File(page, "r+") as file:
        for path, data in groups.items():
            group = file[path]
            _put_attributes(group, data.attrs)
            for name, variable in data.variables.items():
                _fill(group, name, variable)
        if more:
            more(file)
    return page.getbuffer()


def _layout(path: str, data: Group) -> _Layout:
    arrays, sizes = [], dict[str, int]()
    for name, (dims, values, attrs) in data.variables.items():
        about = tuple((key, value) for key, value in attrs.items() if isinstance(value, str))
        kind = "O" if values.dtype.kind in _TEXTS else values.dtype.str
        arrays.append(_Array(name, dims, values.shape, kind, name in data.coords, about))
        sizes |= zip(dims, values.shape, strict=True)
    return _Layout(path, tuple(arrays), tuple(sizes.items()))


@lru_cache(maxsize=16)
def _empty(layouts: tuple[_Layout, ...]) -> bytes:
    """A file that has no numbers yet."""
    page = io.BytesIO()
    with h5py.File(page, "w") as file:
        for layout in layouts:
            _put(file.require_group(layout.path), layout)
    return page.getvalue()


def _put(group: h5py.Group, layout: _Layout) -> None:
    sizes = dict(layout.sizes)
    extra = " ".join(array.name for array in layout.arrays if array.coordinate and array.name not in sizes)
    if extra and all(array.coordinate for array in layout.arrays):
        group.attrs["coordinates"] = extra
    for array in layout.arrays:
        text = array.kind == "O"
        item = group.create_dataset(
            array.name,
            array.shape,
            h5py.string_dtype() if text else array.kind,
            fletcher32=None if text or 0 in array.shape or not array.shape else True,
        )
        item.attrs.update(array.about)
        if extra and not array.coordinate:
            item.attrs["coordinates"] = extra
    for dim, size in layout.sizes:
        if dim in group:
            group[dim].make_scale(dim)
        else:
            put_dimension(group, dim, size)
    for array in layout.arrays:
        for axis, dim in enumerate(array.dims):
            if array.name != dim:
                group[array.name].dims[axis].attach_scale(group[dim])


def _fill(group: h5py.Group, name: str, variable: Variable) -> None:
    """Put an array's numbers, and the attributes that are no texts, into a file without any."""
    array, item = variable.values, h5py.Dataset(h5d.open(group.id, name.encode()))
    _put_attributes(item, {key: value for key, value in variable.attrs.items() if not isinstance(value, str)})
    if array.dtype.kind in _PLAIN and array.size:
        item.id.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array))
    elif array.size:
        item[...] = array.astype(object) if array.dtype.kind in _TEXTS else array


def _put_attributes(item: h5py.Group | h5py.Dataset, values: Mapping[Any, Any]) -> None:
    """Give an object attributes that it does not have yet. Most are texts, for which h5py takes three times as long."""
    for name, value in values.items():
        if isinstance(value, str):
            h5a.create(item.id, str(name).encode(), _TEXT, _ONE).write(np.array(value, object), _TEXT_HERE)
        else:
            item.attrs[name] = value


def put_dimension(group: h5py.Group, name: str, size: int) -> None:
    """A dimension without coordinate."""
    group.create_dataset(name, shape=(size,), dtype=">f4").make_scale(f"{BARE}{size:10d}")


def put_view(
    group: h5py.Group, name: str, dims: Mapping[str, int], parts: "Iterable[Part]", dtype: str = "float64"
) -> h5py.Dataset:
    """The array of this name in other files as one virtual array over dimensions of the group, NaN between its parts.

    Names of files are relative to the folder of the file that holds the view.
    """
    layout = h5py.VirtualLayout(shape=tuple(dims.values()), dtype=dtype)
    for file, place, shape in parts:
        layout[place] = h5py.VirtualSource(file, name, shape=shape, dtype=dtype)
    item = group.create_virtual_dataset(name, layout, fillvalue=math.nan)
    for axis, dim in enumerate(dims):
        item.dims[axis].attach_scale(group[dim])
    return item
