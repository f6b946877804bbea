"""xarray datasets from an HDF5 file of ours: dimension scales and attributes as netCDF-4 has them.

xarray opens such a file itself (`open_datatree(path, engine="h5netcdf")`), and that is how a user reads it. Through its
layers reading a run takes five times as long. Here checksums are verified without building anything.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from particles.files.hdf5_file import Hdf5File
from particles.files.hdf5_member import Member

if TYPE_CHECKING:
    import xarray

# What marks a dimension without coordinate, and what these layers add to the attributes; xarray hides both.
BARE = "This is a netCDF dimension but not a netCDF variable."
_INTERNAL = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_FillValue", "coordinates", "_NCProperties"}
FINAL = "/final"
_RUN_FILE = re.compile(r"runs/[0-9a-f]{16}\.h5")
_KNOWN = re.compile(r"/(final|scaling|limit|comparison(/\d+)?)")


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
    if item.shape is None or str(item.attribute("NAME", "")).startswith(BARE):
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
