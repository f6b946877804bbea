"""Copies of the valid files, and how one array of them is replaced."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py

from fuzz.case import Place


class Base(NamedTuple):
    """A valid result. copied: what of the valid folder; path: the result in it; its names for parts of each kind."""

    copied: str
    path: str
    array: str
    coordinate: str
    group: str
    inner: str


BASES = {
    "run": Base("run.h5", "run.h5", "loss", "time", "final", "final/position"),
    "classes": Base("classes.h5", "classes.h5", "prediction", "output", "final", "final/sign"),
    "apart": Base("apart", "apart/run.h5", "loss", "time", "final", "final/position"),
    "sweep": Base("sweep", "sweep/out/small/sweep.h5", "loss", "count", "comparison", "comparison/sup_distance"),
    "study": Base("study", "study/study.h5", "measured", "holds", "more", "predicted"),
}


def copied(place: Place, what: str) -> Path:
    """A file or a folder of the valid ones, among what the user was given."""
    target = place.inside / what
    if (place.valid / what).is_dir():
        shutil.copytree(place.valid / what, target)
    else:
        shutil.copyfile(place.valid / what, target)
    return target


def result(place: Place, name: str) -> tuple[Base, Path]:
    """A copy of a valid result."""
    base = BASES[name]
    copied(place, base.copied)
    return base, place.inside / base.path


def from_here(path: Path, file: Path) -> str:
    """The relative path from a file's folder."""
    return os.path.relpath(path, file.parent)


def replaced(file: h5py.File, name: str, make: Callable[[h5py.Group, str, h5py.Dataset | None], None]) -> None:
    """Have another item under an array's name, on the same dimensions and with the same attributes."""
    group, last = file.require_group(os.path.dirname(name) or "/"), os.path.basename(name)
    old = group.get(last)
    if not isinstance(old, h5py.Dataset):
        if last in group:
            del group[last]
        make(group, last, None)
        return
    scales = [dim[0] if len(dim) else None for dim in old.dims]
    attributes = {key: value for key, value in old.attrs.items() if key in ("long_name", "units", "equation")}
    scale = old.attrs.get("NAME") if old.is_scale else None
    del group[last]
    make(group, last, old)
    item = group.get(last, getlink=True)
    if not isinstance(item, h5py.HardLink) or not isinstance(group[last], h5py.Dataset):
        return
    item = group[last]
    item.attrs.update(attributes)
    if scale is not None:
        item.make_scale(last)
        _attached_again(file, item, old)
    for axis, dim in enumerate(scales[: item.ndim]):
        if dim is not None:
            item.dims[axis].attach_scale(dim)


def _attached_again(file: h5py.File, scale: h5py.Dataset, old: h5py.Dataset) -> None:
    """What lay along the old scale lies along the new one."""

    def attach(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not item.is_scale:
            for dim in item.dims:
                if len(dim) and dim[0] == old:
                    dim.detach_scale(old)
                    dim.attach_scale(scale)

    if old.id.valid:
        file.visititems(attach)
