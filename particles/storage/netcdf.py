"""Groups of xarray datasets as one HDF5 file, in memory and back: dimension scales and attributes as netCDF-4 has them.

xarray opens such a file itself (`open_datatree(path, engine="h5netcdf")`), and that is how a user reads it. Through the
same layers, writing a run took 120 ms here and reading it 95: a sweep of a hundred runs waited longer for its files
than for its numbers. This takes 20 and 17, and verifies checksums without building anything.
"""

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5ds, h5p, h5s, h5t

from particles.files.hdf5_file import Hdf5File
from particles.files.hdf5_member import Member

if TYPE_CHECKING:
    import xarray
    from numpy.typing import NDArray

# What marks a dimension without coordinate, and what these layers add to the attributes; xarray hides both.
_BARE = "This is a netCDF dimension but not a netCDF variable."
_INTERNAL = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_FillValue", "coordinates", "_NCProperties"}
FINAL = "/final"
_ONE_CHUNK = 2**13  # bytes up to which h5py as well makes one chunk of an array
_TEXT, _TEXT_HERE = (h5t.py_create(h5py.string_dtype(), logical=stored) for stored in (True, False))
_ONE = h5s.create(h5s.SCALAR)
Part = tuple[str, tuple[Any, ...], tuple[int, ...]]  # of a view: a file's name, where it goes, its shape
_RUN_FILE = re.compile(r"runs/[0-9a-f]{16}\.h5")
_KNOWN = re.compile(r"/(final|limit|comparison(/\d+)?)")


def packed(groups: Mapping[str, "xarray.Dataset"], more: "Callable[[h5py.File], None] | None" = None) -> memoryview:
    """The bytes of an HDF5 file that holds these datasets, by group path; arrays carry checksums.

    more: what else is put into the file.
    """
    page = io.BytesIO()
    with h5py.File(page, "w") as file:
        for path, data in groups.items():
            _put(file.require_group(path), data)
        if more:
            more(file)
    return page.getbuffer()


def _put(group: h5py.Group, data: "xarray.Dataset") -> None:
    put_attributes(group, data.attrs)
    extra = " ".join(str(name) for name in data.coords if name not in data.dims)
    if extra and not data.data_vars:
        put_attributes(group, {"coordinates": extra})
    named = {"coordinates": extra} if extra else {}
    items: dict[str, h5py.Dataset] = {}
    for name, variable in data.variables.items():
        item = items[str(name)] = _put_array(group, str(name), variable.values)
        put_attributes(item, variable.attrs | (named if name in data.data_vars else {}))
    for dim, size in data.sizes.items():
        if dim in items:
            h5ds.set_scale(items[str(dim)].id, str(dim).encode())
        else:
            items[str(dim)] = put_dimension(group, str(dim), size)
    for name, variable in data.variables.items():
        for axis, dim in enumerate(variable.dims):
            if name != dim:
                h5ds.attach_scale(items[str(name)].id, items[str(dim)].id, axis)


def _put_array(group: h5py.Group, name: str, array: "NDArray[Any]") -> h5py.Dataset:
    """An array with a checksum, where it has more than one number.

    h5py's own function takes twice as long, and is needed where an array is more than one chunk.
    """
    if array.dtype.kind in "OU":
        return group.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
    checked = bool(array.ndim and array.size)
    if not checked or array.nbytes > _ONE_CHUNK or array.dtype.kind not in "iuf":
        return group.create_dataset(name, data=array, fletcher32=checked or None)
    plan = _plan()
    plan.set_chunk(array.shape)
    plan.set_fletcher32()
    item = h5d.create(group.id, name.encode(), h5t.py_create(array.dtype), h5s.create_simple(array.shape), plan)
    item.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array))
    return h5py.Dataset(item)


def _plan() -> h5p.PropDCID:
    """How an array is to lie, as h5py has it: no times, and numbers that are never written take no room."""
    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_obj_track_times(False)
    plan.set_fill_time(h5d.FILL_TIME_IFSET)
    return plan


def put_attributes(item: h5py.Group | h5py.Dataset, values: Mapping[Any, Any]) -> None:
    """Give an object attributes that it does not have yet. Most are texts, for which h5py takes three times as long."""
    for name, value in values.items():
        if isinstance(value, str):
            h5a.create(item.id, str(name).encode(), _TEXT, _ONE).write(np.array(value, object), _TEXT_HERE)
        else:
            item.attrs[name] = value


def put_dimension(group: h5py.Group, name: str, size: int) -> h5py.Dataset:
    """A dimension without coordinate."""
    item = h5d.create(group.id, name.encode(), h5t.IEEE_F32BE, h5s.create_simple((size,)), _plan())
    h5ds.set_scale(item, f"{_BARE}{size:10d}".encode())
    return h5py.Dataset(item)


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


def everything(file: Hdf5File) -> dict[str, "xarray.Dataset"]:
    """All groups of a result as datasets in memory, by path."""
    return {group.path: _dataset(file, group, members) for group, members in _groups(file, file.root)}


def dataset(file: Hdf5File) -> "xarray.Dataset":
    """The root as a dataset in memory."""
    return _dataset(file, file.root, members(file, file.root))


def members(file: Hdf5File, group: Member) -> dict[str, Member]:
    """What a group of a result holds. A sweep's views of its own runs are for other programs, and are left out."""
    sweep = group.path == "/" and group.has_attribute("runs")
    return file.members(group, virtual=group.path == FINAL, ignored=_RUN_FILE if sweep else None)


def _groups(file: Hdf5File, group: Member) -> Iterator[tuple[Member, dict[str, Member]]]:
    """The groups of a result with what they hold; ValueError for one that no result has."""
    held = members(file, group)
    yield group, held
    for member in held.values():
        if member.shape is None:
            if not _KNOWN.fullmatch(member.path):
                raise ValueError(f"it has the group {member.path!r}, and a result has no such group")
            yield from _groups(file, member)


def _dataset(file: Hdf5File, group: Member, members: Mapping[str, Member]) -> "xarray.Dataset":
    from particles.xarray import Dataset

    data: dict[str, Any] = {}
    coords = set(_words(file, group))
    for name, item in members.items():
        dims = dims_of(file, name, item)
        if dims is None:
            continue
        if item.array.is_scale:
            coords.add(name)
        coords.update(_words(file, item))
        data[name] = (dims, file.values(item), attributes(file, item))
    dataset = Dataset(data, attrs=attributes(file, group))
    return dataset.set_coords([name for name in coords if name in data])


def _words(file: Hdf5File, item: Member) -> list[str]:
    """The coordinates that a group or an array names."""
    return str(item.attribute("coordinates", "")).split()


def dims_of(file: Hdf5File, name: str, item: Member) -> tuple[str, ...] | None:
    """The dimensions of an array; None for a group, and for what marks a dimension without coordinate."""
    if item.shape is None or str(item.attribute("NAME", "")).startswith(_BARE):
        return None
    if item.array.is_scale:
        return (name,)
    names = file.beside(item)
    places = item.scales()
    if not all(place in names for place in places):
        raise ValueError(f"{item.path!r} lies along a dimension that its group does not name")
    return tuple(names[place] for place in places if place is not None)


def attributes(file: Hdf5File, item: Member | None = None) -> dict[str, Any]:
    """The user's attributes of a group or an array."""
    item = item or file.root
    names = [name for name in item.attribute_names() if name not in _INTERNAL and not name.startswith("_Netcdf4")]
    return {name: item.attribute(name) for name in names}


def verify(file: Hdf5File) -> None:
    """Read every array, so that it passes its checksum."""
    for _, members in _groups(file, file.root):
        for item in members.values():
            if item.shape is not None and not item.array.is_virtual and _written(item):
                file.values(item)


def _written(item: Member) -> bool:
    """Whether an array takes room; one number for 10^9 atoms does not."""
    return bool(item.id.get_storage_size()) or not math.prod(item.shape or ())
