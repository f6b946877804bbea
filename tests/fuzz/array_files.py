"""NPZ and netCDF files that unpack to more than they hold, run what they hold, or lie about it."""

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import netcdf_file

from fuzz.case import Place, family
from fuzz.sizes import zeros

_X, _Y = np.ones((5, 2)), np.ones(5)


class Payload:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.system, (f"touch {self.canary}",)


def npy(values: np.ndarray) -> bytes:
    page = io.BytesIO()
    np.save(page, values)
    return page.getvalue()


def headed(header: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An NPY file of this header, whatever it says."""
    text = header.encode("latin-1") + b"\n"
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + body


def _header(descr: str = "'<f8'", shape: str = "(5,)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def _pickled(canary: Path) -> bytes:
    page = io.BytesIO()
    np.save(page, np.array([Payload(canary)] * 5, dtype=object), allow_pickle=True)
    return page.getvalue()


ARRAYS: dict[str, Callable[[Path], bytes]] = {
    "pickle": _pickled, "pickle-plain": lambda canary: pickle.dumps(Payload(canary)),
    "pickle-header": lambda canary: headed(_header("'|O'", "(1,)"), pickle.dumps([Payload(canary)])),
    "pickle-field": lambda canary: headed(_header("[('a', '|O')]", "(1,)"), pickle.dumps([Payload(canary)])),
    "code": lambda canary: headed(f"{{'descr': __import__('os').system('touch {canary}'), 'shape': ()}}"),
    "declared": lambda canary: headed(_header(shape="(1099511627776,)")),
    "declared-matrix": lambda canary: headed(_header(shape="(2147483648, 2147483648)")),
    "overflow": lambda canary: headed(_header(shape="(4294967296, 4294967296)")),
    "negative": lambda canary: headed(_header(shape="(-5,)"), bytes(40)),
    "short": lambda canary: headed(_header(), bytes(8)), "shape-text": lambda canary: headed(_header(shape="'x'")),
    "shape-float": lambda canary: headed(_header(shape="(5.0,)"), bytes(40)),
    "shape-huge": lambda canary: headed(_header(shape=f"({'9' * 4000},)")),
    "ranks": lambda canary: headed(_header(shape="(1,) * 40")), "rank-many": lambda canary: headed(
        _header(shape="(" + "1," * 200 + ")"), bytes(8)),
    "type-wrong": lambda canary: headed(_header("'<f99'")), "type-list": lambda canary: headed(_header("[5]")),
    "type-deep": lambda canary: headed(_header("[('a', " * 2000 + "'<f8'" + ")]" * 2000)),
    "type-wide": lambda canary: headed(_header("'|V2147483647'", "(5,)")),
    "type-empty": lambda canary: headed(_header("'|V0'", "(1099511627776,)")),
    "header-deep": lambda canary: headed("(" * 9000), "header-deep-long": lambda canary: headed(
        "[" * 200_000, version=b"\x02\x00"), "header-empty": lambda canary: headed(""),
    "header-number": lambda canary: headed("5"), "header-long": lambda canary: b"\x93NUMPY\x02\x00\xff\xff\xff\x7f",
    "header-latin": lambda canary: headed("\xff\xfe"), "version": lambda canary: b"\x93NUMPY\x09\x09" + bytes(80),
    "magic": lambda canary: b"\x93NUM", "empty": lambda canary: b"", "text": lambda canary: b"1,2,3\n",
    "texts": lambda canary: npy(np.array(["\x1b[2J"] * 5)), "dates": lambda canary: npy(np.zeros(5, "M8[s]")),
    "complex": lambda canary: npy(np.full(5, 1j)), "compound": lambda canary: npy(np.zeros(5, [("\x1b[2J", "f8")])),
    "booleans": lambda canary: npy(np.ones(5, bool)), "scalar": lambda canary: npy(np.float64(1)),
    "nan": lambda canary: npy(np.full(5, np.nan)), "longer": lambda canary: npy(np.ones(9)),
    "none": lambda canary: npy(np.ones((0, 5))), "half": lambda canary: npy(np.ones(5, np.float16)),
    "huge-number": lambda canary: npy(np.full(5, 1e308)), "long-double": lambda canary: npy(np.ones(5, np.longdouble)),
}  # fmt: skip
_ZIPS = ("bomb", "bomb-wide", "names", "twice", "encrypted", "method", "size-lie", "directory", "members", "nested",
         "comment", "slip", "name-control", "crc")  # fmt: skip


def _zip(path: Path, kind: str, x: str = "x", y: str = "y") -> None:
    """An archive with two arrays that is odd as an archive."""
    good = {f"{x}.npy": npy(_X), f"{y}.npy": npy(_Y)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in good.items():
            if name == f"{x}.npy" or kind not in ("bomb", "bomb-wide", "names"):
                archive.writestr(name, content)
        if kind.startswith("bomb"):
            _put_bomb(archive, f"{y}.npy", _header(shape="(5,)" if kind == "bomb-wide" else f"({64 * 2**23},)"))
        elif kind == "names":
            archive.writestr("../../outside/y.npy", npy(_Y))
            archive.writestr("/y.npy", npy(_Y))
        elif kind == "members":
            for number in range(30_000):
                archive.writestr(f"n{number}.npy", b"")
        elif kind == "nested":
            archive.writestr("y", b"PK\x03\x04")
        elif kind == "comment":
            archive.comment = b"\x1b[2J" * 1000
        elif kind == "slip":
            archive.writestr("..\\..\\y.npy", npy(_Y))
        elif kind == "name-control":
            archive.writestr("\x1b[2J\u202e.npy", npy(_Y))
        elif kind == "directory":
            archive.writestr("z.npy/", b"")
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x01\x02")
    local = content.rfind(b"PK\x03\x04")
    if kind == "encrypted":
        content[end + 8] |= 1
        content[local + 6] |= 1
    elif kind == "method":
        content[end + 10] = content[local + 8] = 99
    elif kind == "size-lie":
        content[end + 24 : end + 28] = struct.pack("<I", 2**31)
    elif kind == "crc":
        content[end + 16] ^= 0xFF
    elif kind == "twice":
        content = content + content
    path.write_bytes(content)


def _put_bomb(archive: zipfile.ZipFile, name: str, header: str) -> None:
    """An array of 4 GiB of zeros, written as it is packed."""
    packed = zeros(64)[2:-4]  # zlib's frame taken off
    head = headed(header)
    start = struct.pack("<BHH", 0, len(head), 0xFFFF ^ len(head)) + head  # a stored block before
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_STORED
    archive.writestr(info, start + packed)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size, info.CRC = 2**32 - 2, 0


@family("npz", "data", [*ARRAYS, *(f"zip-{kind}" for kind in _ZIPS)])
def npz(place: Place, random: np.random.Generator, variant: str) -> Path:
    path = place.inside / "data.npz"
    if variant.startswith("zip-"):
        _zip(path, variant.removeprefix("zip-"))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(_X))
        archive.writestr("y.npy", ARRAYS[variant](place.canary))
    return path


_LAWS = ("pickle", "code", "declared", "declared-matrix", "negative", "short", "type-wide", "header-deep", "texts",
         "complex", "nan", "none", "scalar", "longer", "huge-number", "rank-many", "compound", "empty")  # fmt: skip


@family("npz", "law", [f"law-{part}-{kind}" for part in ("points", "weights") for kind in _LAWS])
@family("npz", "law", ["law-zip-bomb", "law-zip-encrypted", "law-csv", "law-plain-pickle", "law-negative", "law-zero"])
def laws(place: Place, random: np.random.Generator, variant: str) -> Path:
    """Files of atoms: points (k, 2) and weights (k,)."""
    path = place.inside / "atoms.npz"
    _, part, kind = (*variant.split("-", 2), "")[:3]
    if part == "zip":
        _zip(path, kind, "weights", "points")
    elif part in ("points", "weights"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, values in {"points": _X, "weights": _Y / 5}.items():
                archive.writestr(f"{name}.npy", ARRAYS[kind](place.canary) if name == part else npy(values))
    elif part == "csv":
        path.write_text("a,b\n1,2\n")
    elif part == "plain":
        path.write_bytes(pickle.dumps(Payload(place.canary)))
    else:
        np.savez(path, points=_X, weights=-_Y if part == "negative" else 0 * _Y)
    return path


def _field(content: bytearray, old: bytes, new: bytes) -> bytearray:
    at = content.find(old)
    content[at : at + len(new)] = new
    return content


NETCDF: dict[str, Callable[[bytearray], bytes | bytearray]] = {
    "records": lambda content: content[:4] + b"\x7f\xff\xff\xff" + content[8:],
    "records-negative": lambda content: content[:4] + b"\xff\xff\xff\xff" + content[8:],
    "records-huge": lambda content: content[:4] + b"\x80\x00\x00\x00" + content[8:],
    "version": lambda content: content[:3] + b"\x09" + content[4:], "magic": lambda content: content[:3],
    "dimension-huge": lambda content: _field(content, b"sample\x00\x00", b"sample\x00\x00\x7f\xff\xff\xff"),
    "dimension-negative": lambda content: _field(content, b"sample\x00\x00", b"sample\x00\x00\xff\xff\xff\xff"),
    "dimension-none": lambda content: _field(content, b"sample\x00\x00", b"sample\x00\x00\x00\x00\x00\x00"),
    "count-huge": lambda content: content[:12] + b"\x7f\xff\xff\xff" + content[16:],
    "tag": lambda content: content[:8] + b"\x00\x00\x00\x0f" + content[12:], "head": lambda content: content[:40],
    "name-long": lambda content: content[:16] + b"\x7f\xff\xff\xff" + content[20:],
    "ones": lambda content: content[:20] + b"\xff" * (len(content) - 20),
    "zeros": lambda content: content[:20] + bytes(len(content) - 20), "twice": lambda content: content * 2,
}  # fmt: skip
_CONVENTIONS: dict[str, dict[str, object]] = {
    "scale-text": {"scale_factor": b"x"}, "scale-nan": {"scale_factor": np.nan},
    "scale-many": {"scale_factor": [1.0, 2.0]},
    "missing-text": {"missing_value": b"x"}, "units-dates": {"units": b"days since \x1b[2J"},
    "range": {"valid_range": [5.0]},
    "range-huge": {"valid_range": [-1e308, 1e308]}, "unsigned": {"_Unsigned": b"\xff"},
    "units-bytes": {"units": b"\xff\xfe"},
}  # fmt: skip


@family("netcdf", "data", [*NETCDF, *_CONVENTIONS])
def netcdf(place: Place, random: np.random.Generator, variant: str) -> Path:
    path = place.inside / "data.nc"
    with netcdf_file(path, "w") as file:
        for name, size in (("sample", 5), ("dim", 2)):
            file.createDimension(name, size)
        for name, values, dims in (("x", _X, ("sample", "dim")), ("y", _Y, ("sample",))):
            item = file.createVariable(name, "f8", dims)
            item[:] = values
            for key, value in _CONVENTIONS.get(variant, {}).items() if name == "y" else ():
                setattr(item, key, np.array(value) if isinstance(value, list) else value)
    if variant in NETCDF:
        path.write_bytes(NETCDF[variant](bytearray(path.read_bytes())))
    return path
