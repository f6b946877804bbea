"""Attributes that are not what they should be: what holds JSON, what names things, what ties arrays to dimensions."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from fuzz.bases import from_here, result
from fuzz.case import Place, family

KEY = "0123456789abcdef"
_DEEP = "[" * 100_000
# Of any attribute: values of other types, and text that is no JSON or another JSON.
VALUES: dict[str, object] = {
    "number": 5, "float": np.nan, "list": np.arange(3), "nothing": h5py.Empty("f8"), "empty": "",
    "bytes": np.bytes_(b"\xff\xfe{"), "texts": np.array([b"a", b"b"]), "null": "null", "word": "tru", "five": "5",
    "braces": "{}", "brackets": "[]", "cut": '{"start": {"count": [1, ', "deep": _DEEP,
    "deep-objects": '{"a":' * 50_000,
    "nan": '{"a": NaN, "b": [Infinity, -Infinity, 1e999]}', "digits": "9" * 10_000, "surrogate": '"\\ud800"',
    "twice": '{"a": 1, "a": {"a": 2}}', "long": json.dumps({str(k): k for k in range(3000)}), "mark": "\ufeff{}",
    "compound": np.zeros((), [("a", "f8")]), "complex": 1j,
}  # fmt: skip
_FEW = ("number", "nothing", "bytes", "null", "brackets", "cut", "deep", "nan", "digits", "surrogate")
_LESS = ("nothing", "bytes", "null", "deep")
MISSING = object()
# Of one attribute: JSON that is well formed and means nothing, or something else.
OWN: dict[str, dict[str, object]] = {
    "run:config": {
        "missing": MISSING, "sections": {"start": 5, "data": [], "network": None, "method": "x",
        "record": {"every": {}}},
        "types": {"start": {"count": "many", "seed": {}}, "law": {"name": [1]}, "data": {"file": 5}},
        "seeds": {"start": {"count": 8, "seed": 10**40}}, "nodes": {"start": {"nodes": "x"}},
        "keys": {"": {"": {"": 1}}, "a.b": [[[{}]]], "x" * 5000: 1},
        "file": {"data": {"file": "../../outside/secret.csv", "sha256": 5}, "start": {"count": 8}},
        "none": {"data": None, "start": {"count": None, "nodes": None}, "record": None},
    },
    "run:status": {"missing": MISSING, "other": "on its way", "lists": np.array([["a", "b"]], dtype=object)},
    "run:events": {
        "missing": MISSING, "numbers": [1, 2], "empty": [{}], "object": {"iteration": 0, "what": "x"},
        "texts": ["iteration"], "types": [{"iteration": [], "what": {"a": 1}}], "null": [None],
        "many": [{"iteration": k, "what": "x" * 50} for k in range(900)],
        "huge": [{"iteration": 10**400, "what": "x"}],
    },
    "run:config_hash": {"missing": MISSING}, "run:seed": {}, "run:package_versions": {}, "run:git": {},
    "apart:final/files": {
        "missing": MISSING, "names": ["a", "b"], "short": [["a", 1]], "types": [[5, "x", None]], "object": {"a": 1},
        "parent": [["../../outside/secret.h5", "SIZE", "0" * 64]], "absolute": [["ABSOLUTE", "SIZE", "0" * 64]],
        "device": [["/dev/zero", 0, "0" * 64]], "huge": [["particles", 10**400, "0" * 64]],
        "empty": [["", 0, ""]], "nul": [["a\x00b", 1, "x"]], "long": [["a" * 5000, 1, "x"]],
        "nan": [["a", float("nan"), ""]],
        "folder": [["particles", 4096, "0" * 64]], "many": [[f"f{k}", 1, "x"] for k in range(1000)],
    },
    "sweep:runs": {
        "missing": MISSING, "numbers": {KEY: 5}, "lists": {KEY: []}, "nodes": {KEY: {"nodes": "x", "count": 4}},
        "no-nodes": {KEY: {"count": 4, "seed": 0}}, "parent": {"../../../outside/secret": {"nodes": 0, "count": 4}},
        "uneven": {KEY: {"nodes": 0, "count": 4}, KEY[::-1]: {"nodes": 0, "seed": 1}},
        "values": {KEY: {"nodes": 0, "count": [1], "seed": {"a": 1}}, KEY[::-1]: {"nodes": 0, "count": None,
        "seed": 0}},
        "huge": {KEY: {"nodes": 10**400, "count": 10**400}}, "negative": {KEY: {"nodes": -1, "count": -4, "seed": 0}},
        "truth": {KEY: {"nodes": True, "count": False, "seed": 0}}, "empty-names": {KEY: {"": 0, "nodes": 0}},
        "only-limits": {KEY: {"nodes": 4}}, "mixed": {KEY: {"nodes": 0, "count": 4}, KEY[::-1]: {"nodes": 0,
        "count": "4"}},
        "dims": {KEY: {"nodes": 0, "time": 1, "sample": 2, "loss": 3, "status": 4}},
        "many": {f"{k:016x}": {"nodes": 0, "count": k, "seed": 0} for k in range(600)},
        "wide": {f"{k:016x}": {"nodes": 0} | {f"a{j}": (k >> j) & 1 for j in range(60)} for k in range(8)},
    },
    "sweep:config": {"missing": MISSING, "sections": {"start": 5, "data": [], "network": None}},
    "sweep:comparison/setting": {"missing": MISSING, "nested": {"a": {"b": [1, {"c": None}]}}, "list": [1]},
    "study:study": {"missing": MISSING, "path": "../../outside/secret", "huge": "x" * 50_000},
    "study:settings": {"missing": MISSING, "none": {"a": None, "b": [None]},
    "keys": {"": 1, "a\nb": [[]], "x" * 5000: 1}},
}  # fmt: skip
_MANY = {"run:config": VALUES, "sweep:runs": VALUES} | dict.fromkeys(
    ["run:events", "run:status", "apart:final/files", "sweep:config", "study:settings"], _FEW
)
VARIANTS = {
    f"{owner.replace(':', '-').replace('/', '.')}-{name}": (owner, value)
    for owner, own in OWN.items()
    for name, value in ({key: VALUES[key] for key in _MANY.get(owner, _LESS)} | own).items()
}


def put(item: h5py.Group | h5py.Dataset, name: str, value: object) -> None:
    """An attribute of this value, JSON where it is a dictionary or a list; none where it is MISSING."""
    if name in item.attrs:
        del item.attrs[name]
    if value is not MISSING:
        item.attrs[name] = json.dumps(value) if isinstance(value, dict | list) else value


@family("attributes", "result", VARIANTS)
def attributes(place: Place, random: np.random.Generator, variant: str) -> Path:
    owner, value = VARIANTS[variant]
    name, _, where = owner.partition(":")
    group, _, attribute = where.rpartition("/")
    _, path = result(place, name)
    if isinstance(value, list) and attribute == "files":
        value = _named(value, place, path)
    with h5py.File(path, "r+", libver="latest") as file:  # long attributes need the newer format
        put(file[group or "/"], attribute, value)
    return path


def _named(value: list, place: Place, path: Path) -> list:
    """The same list with the secret's size, and its place."""
    secret = place.outside / "secret.h5"
    known = {"SIZE": secret.stat().st_size, "ABSOLUTE": str(secret), "../../outside/secret.h5": from_here(secret, path)}
    known_in = lambda one: known.get(one, one) if isinstance(one, str) else one  # noqa: E731
    return [[known_in(part) for part in entry] if isinstance(entry, list) else entry for entry in value]


def _dimension_list(file: h5py.File, value: object) -> None:
    file["loss"].attrs["DIMENSION_LIST"] = value


TIES: dict[str, Callable[[h5py.File], None]] = {
    "list-missing": lambda file: file["loss"].attrs.__delitem__("DIMENSION_LIST"),
    "list-number": lambda file: _dimension_list(file, 5),
    "list-texts": lambda file: _dimension_list(file, "time"),
    "scale-is-group": lambda file: _tied(file, file["final"].ref),
    "scale-is-array": lambda file: _tied(file, file["loss"].ref),
    "scale-is-nothing": lambda file: _tied(file, h5py.Reference()),
    "scale-is-inner": lambda file: _tied(file, file["final/weight"].ref),
    "class-missing": lambda file: file["time"].attrs.__delitem__("CLASS"),
    "class-everywhere": lambda file: put(file["prediction"], "CLASS", np.bytes_(b"DIMENSION_SCALE")),
    "name-number": lambda file: put(file["time"], "NAME", 5),
    "name-bytes": lambda file: put(file["time"], "NAME", np.bytes_(b"\xff\xfe")),
    "name-bare": lambda file: put(file["time"], "NAME", "This is a netCDF dimension but not a netCDF variable."),
    "coordinates-number": lambda file: put(file["loss"], "coordinates", 5),
    "coordinates-all": lambda file: put(file["loss"], "coordinates", "loss time prediction position nothing"),
    "fill": lambda file: put(file["loss"], "_FillValue", "x"),
    "units": lambda file: put(file["loss"], "units", {"a": 1}),
    "long-name": lambda file: put(file["loss"], "long_name", np.arange(4)),
    "equation": lambda file: put(file["loss"], "equation", h5py.Empty("S1")),
    "time-units": lambda file: put(file["time"], "units", "days since 2000-01-01"),
    "scale-factor": lambda file: put(file["loss"], "scale_factor", "x"),
    "reserved": lambda file: put(file, "_NCProperties", 5),
    "netcdf4": lambda file: put(file["time"], "_Netcdf4Dimid", "x"),
}


def _tied(file: h5py.File, reference: h5py.Reference) -> None:
    """What the loss lies along is this."""
    kind = h5py.vlen_dtype(h5py.ref_dtype)
    del file["loss"].attrs["DIMENSION_LIST"]
    item = file["loss"].attrs
    value = np.empty(1, dtype=object)
    value[0] = np.array([reference], dtype=h5py.ref_dtype)
    item.create("DIMENSION_LIST", value, (1,), kind)


@family("dimensions", "result", TIES)
def dimensions(place: Place, random: np.random.Generator, variant: str) -> Path:
    _, path = result(place, "run")
    with h5py.File(path, "r+") as file:
        TIES[variant](file)
    return path
