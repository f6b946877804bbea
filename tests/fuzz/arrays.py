"""Arrays of other types, shapes and values than the program writes."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from fuzz.bases import replaced, result
from fuzz.case import Place, family

Kind = Callable[[h5py.Group, str, tuple[int, ...]], None]


def _data(make: Callable[[tuple[int, ...]], object], **options: object) -> Kind:
    """An array of these values, which may depend on the shape that belongs there."""
    return lambda group, name, shape: group.create_dataset(name, data=make(shape), **options) and None


def _typed(dtype: object) -> Kind:
    """An array of this type and the right shape."""
    return lambda group, name, shape: group.create_dataset(name, shape, dtype) and None


def _missing(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None: ...


def _group(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    group.create_group(name)["x"] = np.zeros(3)


def _committed(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    group[name] = np.dtype("f8")


def _references(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    group.create_dataset(name, shape, h5py.ref_dtype)[...] = group.ref


def _ragged(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    item = group.create_dataset(name, (5,), h5py.vlen_dtype(np.float64))
    for place in range(5):
        item[place] = np.zeros(place)


def _longer(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros((*(n + 3 for n in shape[:1]), *shape[1:]))


KINDS: dict[str, Kind] = {
    "missing": _missing, "group": _group, "committed": _committed, "references": _references, "ragged": _ragged,
    "null": _data(lambda shape: h5py.Empty("f8")), "scalar": _data(lambda shape: 1.0),
    "rank": _data(lambda shape: np.zeros((*shape, 2))), "flat": _data(lambda shape: np.zeros(int(np.prod(shape)))),
    "longer": _data(_longer), "empty": _data(lambda shape: np.zeros((0, *shape[1:]))),
    "integers": _data(lambda shape: np.full(shape, 2**62)), "unsigned": _data(lambda shape: np.full(shape, 2**64 - 1)),
    "complex": _data(lambda shape: np.full(shape, 1j)), "booleans": _data(lambda shape: np.ones(shape, bool)),
    "half": _data(lambda shape: np.ones(shape, np.float16)), "big-endian": _data(lambda shape: np.ones(shape, ">f8")),
    "long-double": _data(lambda shape: np.ones(shape, np.longdouble)),
    "bytes": _data(lambda shape: np.full(shape, b"\xff\xfe")), "texts": _typed(h5py.string_dtype()),
    "fixed-texts": _typed(h5py.string_dtype("ascii", 3)), "compound": _typed([("a", "f8"), ("b", "i4")]),
    "enumeration": _typed(h5py.enum_dtype({"a": 0, "b": 1}, "i1")), "opaque": _typed("V7"),
    "regions": _typed(h5py.regionref_dtype), "arrays": _typed(np.dtype(("f8", (3,)))),
    "nan": _data(lambda shape: np.full(shape, np.nan)), "infinite": _data(lambda shape: np.full(shape, np.inf)),
    "huge": _data(lambda shape: np.full(shape, 1e308)), "tiny": _data(lambda shape: np.full(shape, 5e-324)),
    "negative": _data(lambda shape: -np.ones(shape)), "zero": _data(lambda shape: np.zeros(shape)),
    "falling": _data(lambda shape: -np.arange(np.prod(shape), dtype=float).reshape(shape)),
    "mixed": _data(lambda shape: np.resize([np.nan, -np.inf, 1e308, 0.0, -1.0], shape)),
}  # fmt: skip
PARTS = {
    "run": ("loss", "time", "iteration", "position", "final/position", "final/weight"),
    "classes": ("output", "output_weight", "prediction", "target", "final/sign"),
    "apart": ("final/position",),
    "sweep": ("loss", "count", "time", "comparison/sup_distance", "comparison/count", "comparison/exponent"),
    "study": ("claim_text", "holds", "measured"),
}
_FEW = ("missing", "group", "references", "scalar", "longer", "complex", "texts", "compound", "nan", "empty")
_LESS = ("missing", "group", "scalar", "texts", "nan")
_MANY = {("run", "loss"): KINDS} | dict.fromkeys(
    [
        ("run", "time"),
        ("run", "final/position"),
        ("classes", "output"),
        ("classes", "final/sign"),
        ("sweep", "loss"),
        ("sweep", "count"),
        ("study", "measured"),
    ],
    _FEW,
)
VARIANTS = [
    f"{base}-{part.replace('/', '.')}-{kind}"
    for base, parts in PARTS.items()
    for part in parts
    for kind in _MANY.get((base, part), _LESS)
]


@family("arrays", "result", VARIANTS)
def arrays(place: Place, random: np.random.Generator, variant: str) -> Path:
    name, part, kind = variant.split("-", 2)
    _, path = result(place, name)
    with h5py.File(path, "r+") as file:
        part = part.replace(".", "/")
        shape = file[part].shape if part in file else (5,)
        replaced(file, part, lambda group, last, old: KINDS[kind](group, last, shape))
    return path


@family("arrays", "data", [f"data-{part}-{kind}" for part in "xy" for kind in (KINDS if part == "y" else _LESS)])
def data_arrays(place: Place, random: np.random.Generator, variant: str) -> Path:
    """The same for a data file."""
    _, part, kind = variant.split("-", 2)
    path = place.inside / "data.h5"
    with h5py.File(path, "w") as file:
        for name, shape in {"x": (5, 2), "y": (5,)}.items():
            if name == part:
                KINDS[kind](file, name, shape)
            else:
                file[name] = np.ones(shape)
    return path
