"""Names in an HDF5 file that lead elsewhere: out of the file, in circles, or along more ways than can be walked."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from fuzz.bases import BASES, Base, from_here, result
from fuzz.case import Place, family

Kind = Callable[[h5py.File, Base, Path, Place], None]


def _external(part: str, target: str = "outside/secret.h5", inside: str | None = None, absolute: bool = False) -> Kind:
    """One of the result's names is a link to another file."""

    def make(file: h5py.File, base: Base, path: Path, place: Place) -> None:
        name = getattr(base, part, part)
        root = place.inside.parent / target
        there = inside or "/" + name.rsplit("/", 1)[-1] if part != "group" else "/final"
        if name in file:
            del file[name]
        file[name] = h5py.ExternalLink(str(root) if absolute else from_here(root, path), there)

    return make


def _to(where: str) -> Kind:
    """The array is a link to something that is no HDF5 file."""

    def make(file: h5py.File, base: Base, path: Path, place: Place) -> None:
        if where == "fifo":
            os.mkfifo(path.parent / "fifo")
        del file[base.array]
        file[base.array] = h5py.ExternalLink({"itself": path.name}.get(where, where), f"/{base.array}")

    return make


def _chain(file: h5py.File, base: Base, path: Path, place: Place) -> None:
    with h5py.File(path.parent / "between.h5", "w") as between:
        between[base.array] = h5py.ExternalLink(from_here(place.outside / "secret.h5", path), "/loss")
    del file[base.array]
    file[base.array] = h5py.ExternalLink("between.h5", f"/{base.array}")


def _soft(name: str, target: str) -> Kind:
    def make(file: h5py.File, base: Base, path: Path, place: Place) -> None:
        own = getattr(base, name, name)
        if own in file:
            del file[own]
        file[own] = h5py.SoftLink(target.format(array=base.array, own=own))

    return make


def _pair(file: h5py.File, base: Base, path: Path, place: Place) -> None:
    file["one"], file["other"] = h5py.SoftLink("/other"), h5py.SoftLink("/one")


def _tree(soft: bool, levels: int = 60) -> Kind:
    """Two names a level for the same group: 2^60 ways."""

    def make(file: h5py.File, base: Base, path: Path, place: Place) -> None:
        here = file
        for _ in range(levels):
            below = here.create_group("a")
            here["b"] = h5py.SoftLink("a") if soft else below
            here = below
        here["x"] = np.zeros(2)

    return make


def _circle(file: h5py.File, base: Base, path: Path, place: Place) -> None:
    group = file.require_group(base.group)
    group["again"], group["up"] = group, file


def _often(file: h5py.File, base: Base, path: Path, place: Place) -> None:
    """One array of 16 MiB, compressed to nothing, under 1000 names: 16 GiB once they are read."""
    item = file.create_dataset("n0", data=np.zeros(2**21), chunks=(2**18,), compression="gzip")
    for number in range(1, 1000):
        file[f"n{number}"] = item


KINDS: dict[str, Kind] = {
    "external-array": _external("array"),
    "external-absolute": _external("array", absolute=True),
    "external-coordinate": _external("coordinate", inside="/time"),
    "external-group": _external("group"),
    "external-inner": _external("inner", inside="/final/position"),
    "external-more": _external("more", inside="/"),
    "external-root": _external("array", inside="/"),
    "external-chain": _chain,
    "external-itself": _to("itself"),
    "external-fifo": _to("fifo"),
    "external-device": _to("/dev/zero"),
    "external-folder": _to("."),
    "external-missing": _to("missing.h5"),
    "soft-itself": _soft("array", "/{own}"),
    "soft-missing": _soft("array", "/nothing"),
    "soft-other": _soft("more", "/{array}"),
    "soft-root": _soft("more", "/"),
    "soft-group": _soft("group", "/"),
    "soft-pair": _pair,
    "soft-tree": _tree(True),
    "hard-tree": _tree(False),
    "hard-circle": _circle,
    "hard-often": _often,
}
_FEWER = ("external-array", "external-group", "external-fifo", "soft-root", "soft-tree", "hard-circle", "hard-often")
VARIANTS = [
    *(f"{base}-{kind}" for base in ("run", "sweep") for kind in KINDS),
    *(f"{base}-{kind}" for base in ("apart", "study") for kind in _FEWER),
]


@family("links", "result", VARIANTS)
def links(place: Place, random: np.random.Generator, variant: str) -> Path:
    name, _, kind = variant.partition("-")
    base, path = result(place, name)
    with h5py.File(path, "r+") as file:
        KINDS[kind](file, base, path, place)
    return path


@family("links", "data", [f"data-{kind}" for kind in ("array", "coordinate", "absolute", "fifo", "soft", "tree")])
def data_links(place: Place, random: np.random.Generator, variant: str) -> Path:
    """The same in a data file, whose arrays are x and y."""
    path = place.inside / "data.h5"
    secret = place.outside / "secret.h5"
    with h5py.File(path, "w") as file:
        file.update({"x": np.ones((5, 2)), "y": np.ones(5)})
        name = "y" if variant == "data-coordinate" else "x"
        del file[name]
        if variant == "data-fifo":
            os.mkfifo(place.inside / "fifo")
            file[name] = h5py.ExternalLink("fifo", "/x")
        elif variant in ("data-soft", "data-tree"):
            _tree(True)(file, BASES["run"], path, place)
            file[name] = h5py.SoftLink("/x" if variant == "data-soft" else "/a/b/a/b")
        else:
            where = str(secret) if variant == "data-absolute" else from_here(secret, path)
            file[name] = h5py.ExternalLink(where, "/position" if name == "x" else "/loss")
    return path
