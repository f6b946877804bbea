"""Arrays whose bytes are not in their file: external storage, and views of other files (virtual datasets)."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from fuzz.bases import Base, from_here, replaced, result
from fuzz.case import Place, family

Kind = Callable[[h5py.Group, str, h5py.Dataset | None, Path, Place], None]


def _shape(old: h5py.Dataset | None) -> tuple[int, ...]:
    return old.shape if old is not None and old.id.valid and old.shape else (5,)


def _external(where: str) -> Kind:
    def make(group: h5py.Group, name: str, old: h5py.Dataset | None, path: Path, place: Place) -> None:
        if where == "fifo":
            os.mkfifo(path.parent / "fifo")
        target = {
            "relative": from_here(place.outside / "secret.raw", path),
            "absolute": str(place.outside / "secret.raw"),
            "itself": path.name,
        }.get(where, where)
        shape = _shape(old)
        size = int(np.prod(shape)) * 8
        group.create_dataset(name, shape, "f8", external=[(target, 0, size)])

    return make


def _virtual(where: str) -> Kind:
    def make(group: h5py.Group, name: str, old: h5py.Dataset | None, path: Path, place: Place) -> None:
        shape = _shape(old)
        if where == "pair":  # of which each is a view of the other
            with h5py.File(path.parent / "other.h5", "w") as other:
                back = h5py.VirtualLayout(shape, "f8")
                back[...] = h5py.VirtualSource(path.name, f"{group.name.rstrip('/')}/{name}", shape)
                other.create_virtual_dataset("loss", back)
        if where == "fifo":
            os.mkfifo(path.parent / "fifo")
        target, inner = {
            "relative": (from_here(place.outside / "secret.h5", path), "/loss"),
            "absolute": (str(place.outside / "secret.h5"), "/loss"),
            "itself": (".", f"{group.name.rstrip('/')}/{name}"),
            "named": (path.name, f"{group.name.rstrip('/')}/{name}"),
            "pair": ("other.h5", "/loss"),
            "missing": ("missing.h5", "/loss"),
        }.get(where, (where, "/loss"))
        layout = h5py.VirtualLayout(shape, "f8")
        source = shape if where in ("itself", "named", "pair", "missing") else (5,)
        cut = tuple(slice(0, min(a, b)) for a, b in zip(shape, source, strict=False))
        view = h5py.VirtualSource(target, inner, source)
        if len(shape) == len(source):
            layout[cut] = view[cut]
        else:
            layout[tuple(slice(0, 1) for _ in shape)] = view[0:1]
        group.create_virtual_dataset(name, layout, fillvalue=np.nan)

    return make


def _huge(group: h5py.Group, name: str, old: h5py.Dataset | None, path: Path, place: Place) -> None:
    """10^12 numbers of a file that is not there."""
    layout = h5py.VirtualLayout((10**12,), "f8")
    layout[:5] = h5py.VirtualSource("missing.h5", "loss", (5,))
    group.create_virtual_dataset(name, layout)


def _pattern(group: h5py.Group, name: str, old: h5py.Dataset | None, path: Path, place: Place) -> None:
    """As many files as there are, by a pattern of names that leads outside."""
    space = h5py.h5s.create_simple((4,), (h5py.h5s.UNLIMITED,))
    space.select_hyperslab((0,), (h5py.h5s.UNLIMITED,), (4,), (4,))
    source = h5py.h5s.create_simple((4,))
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_virtual(space, f"{from_here(place.outside, path)}/secret%b.h5".encode(), b"/loss", source)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F64LE, space, layout)


KINDS: dict[str, Kind] = {
    "external-relative": _external("relative"), "external-absolute": _external("absolute"),
    "external-itself": _external("itself"), "external-fifo": _external("fifo"),
    "external-device": _external("/dev/zero"), "external-environment": _external("/proc/self/environ"),
    "virtual-relative": _virtual("relative"), "virtual-absolute": _virtual("absolute"),
    "virtual-itself": _virtual("itself"), "virtual-named": _virtual("named"), "virtual-pair": _virtual("pair"),
    "virtual-missing": _virtual("missing"), "virtual-fifo": _virtual("fifo"), "virtual-device": _virtual("/dev/zero"),
    "virtual-huge": _huge, "virtual-pattern": _pattern,
}  # fmt: skip
PLACES = {"run-array": 1, "run-inner": 1, "apart-inner": 1, "sweep-array": 1, "run-coordinate": 0, "study-array": 0}
_FEWER = ("external-relative", "external-fifo", "virtual-relative", "virtual-itself")


@family(
    "storage",
    "result",
    [f"{place}-{kind}" for place, all_ in PLACES.items() for kind in (KINDS if all_ else _FEWER)],
)
def storage(place: Place, random: np.random.Generator, variant: str) -> Path:
    name, part, kind = variant.split("-", 2)
    base, path = result(place, name)
    with h5py.File(path, "r+") as file:
        replaced(file, _name(base, part), lambda group, last, old: KINDS[kind](group, last, old, path, place))
    return path


def _name(base: Base, part: str) -> str:
    return str(getattr(base, part))


@family("storage", "data", [f"data-{kind}" for kind in KINDS])
def data_storage(place: Place, random: np.random.Generator, variant: str) -> Path:
    """The same for the targets of a data file."""
    path = place.inside / "data.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones((5, 2))
        KINDS[variant.removeprefix("data-")](file, "y", None, path, place)
    return path
