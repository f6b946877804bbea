"""Arrays by name in NPZ, HDF5 and netCDF files, read with their conventions: packed numbers are unpacked.

xarray decodes scale_factor and add_offset. Cells are missing by _FillValue, missing_value, valid_range and the fill
value of cells that were never written, also where an attribute has another type than the array, which xarray leaves
out. A missing cell is refused by its row and column.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from particles.checks import real_array
from particles.data.labels import is_text
from particles.errors import InputError, nearest
from particles.files.npz_file import NpzFile

if TYPE_CHECKING:
    from particles.files.hdf5_file import Hdf5File

Array = NDArray[np.float64]
_NEVER_WRITTEN = 9.969209968386869e36  # what netCDF puts in cells of float variables that nobody wrote
_CONVENTIONS = (
    "scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "units", "calendar",
    "valid_min", "valid_max", "valid_range",
)  # fmt: skip
_COPY = "Copy its numbers into this file, with gzip if they must be packed."
_COUNTS = {"scale_factor": 1, "add_offset": 1, "valid_min": 1, "valid_max": 1, "valid_range": 2}  # numbers of each


class _Variable(NamedTuple):
    """An array as a file has it: the names of its dimensions, None where they have none; numbers; attributes."""

    dims: tuple[str | None, ...]
    values: NDArray[Any]
    attrs: dict[str, Any]


def read(content: bytes, path: Path, x: Any, y: Any, text: bool = False) -> tuple[Array, NDArray[Any]]:
    """Inputs (n, d) and targets (n,) or (n, k) by their names; text: the targets may be words (n,).

    Inputs whose second dimension is the targets' are transposed.
    """
    with _opened(content, path.suffix.lower() == ".npz") as variables:
        for name in (x or "x", y):
            if name not in variables:
                rule = f"{path} must hold the variables asked for"
                raise InputError(rule, f"no {name!r}", nearest(name, map(str, variables)))
        inputs, targets = (_variable(variables[name]) for name in (x or "x", y))
    a = _numbers(f"{x or 'x'!r} of {path}", inputs)
    if text and is_text(targets.values):
        return a, _words(targets.values)
    b = _numbers(f"{y!r} of {path}", targets)
    if a.ndim == 2 and b.ndim == 1 and targets.dims[0] is not None and targets.dims[0] == inputs.dims[1]:
        a = a.T
    return a, b[:, 0] if b.shape[1:] == (1,) else b


def _words(values: NDArray[Any]) -> NDArray[np.str_]:
    """Labels as NumPy's text, of NumPy's bytes and of HDF5's objects."""
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)


@contextmanager
def _opened(content: bytes, npz: bool) -> Iterator[Mapping[str, Any]]:
    """The file's variables by name, NumPy's, h5py's or SciPy's."""
    if npz:
        yield NpzFile(content)
    elif content.startswith(b"CDF"):  # netCDF 3
        from scipy.io import netcdf_file

        with netcdf_file(_Once(content), mmap=False) as file:
            yield file.variables
    else:
        from particles.files.hdf5_file import opened_bytes

        with opened_bytes(content) as file:
            yield _Arrays(file)


class _Once(io.BytesIO):
    """Bytes of which none are read twice: a netCDF 3 file may say that all its variables are in one place."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = 2 * len(content)

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError("its variables have more bytes than the file")
        return content


class _Arrays(Mapping[str, _Variable]):
    """The variables of an HDF5 file by their paths."""

    def __init__(self, file: "Hdf5File") -> None:
        self._file = file

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.links())

    def __len__(self) -> int:
        return len(self._file.links())

    def __getitem__(self, path: str) -> _Variable:
        from particles.files.hdf5_member import ForeignError

        try:
            item = self._file.member(path)
        except ForeignError as error:  # neither its numbers nor their hash would be the file's
            raise InputError(f"{path!r} must be an array of the file itself", error.got, _COPY) from error
        if item.shape is None:
            inner = [
                name for name in self._file.links(item) if len(self._file.member(f"{path}/{name}").shape or ()) == 2
            ]
            remedy = f"Name an array: {f'{path}/{inner[0]}' if inner else 'one with rows and columns'}."
            raise InputError(f"{path!r} must be an array", "a group, as pandas writes a table", remedy)
        attrs = {key: item.attribute(key) for key in _CONVENTIONS}
        dims = tuple(None if place is None else str(place) for place in item.scales())
        return _Variable(dims, self._file.values(item), {key: one for key, one in attrs.items() if one is not None})


def _variable(item: Any) -> _Variable:
    if isinstance(item, np.ndarray):
        return _Variable((None,) * item.ndim, item, {})
    if hasattr(item, "typecode"):  # netCDF 3
        attrs = {key: getattr(item, key) for key in _CONVENTIONS if hasattr(item, key)}
        return _Variable(item.dimensions, np.array(item.data), attrs)
    return cast(_Variable, item)


def _numbers(name: str, variable: _Variable) -> Array:
    """The numbers that a variable means; InputError for a missing one."""
    raw = variable.values
    attrs = {key: _attribute(name, key, value) for key, value in variable.attrs.items()}
    if " since " in str(attrs.get("units")):
        remedy = "Store days since the first, units = 'days' say."
        raise InputError(f"{name} must be an array of real numbers", f"dates or durations, {attrs['units']!r}", remedy)
    if raw.dtype.kind not in "iuf":
        return real_array(name, raw)
    if raw.dtype.kind in "iu" and attrs.get("_Unsigned") in ("true", "false"):
        raw = raw.view(f"{raw.dtype.byteorder}{'u' if attrs['_Unsigned'] == 'true' else 'i'}{raw.itemsize}")
    decoded = _unpacked(raw, attrs)
    missing = np.isnan(decoded) & ~np.isnan(raw)
    for value in (*attrs.get("_FillValue", ()), *attrs.get("missing_value", ())):
        missing |= _holds(np.equal, raw, value) | _holds(np.equal, decoded, value)
    low, high = attrs.get("valid_range", (attrs.get("valid_min", (-np.inf,))[0], attrs.get("valid_max", (np.inf,))[0]))
    for beyond, bound in ((np.less, low), (np.greater, high)):
        # A float beside packed integers is a bound of what they mean (NUG, "valid_range").
        missing |= _holds(beyond, decoded if np.asarray(bound).dtype.kind == "f" else raw, bound)
    if raw.dtype.kind == "f":
        missing |= raw == raw.dtype.type(_NEVER_WRITTEN)
    return real_array(name, np.ma.masked_array(decoded, missing))


def _unpacked(raw: NDArray[Any], attrs: Mapping[str, Any]) -> NDArray[Any]:
    """raw * scale_factor + add_offset, where there are such, in the float type that xarray chooses."""
    packing = {key: attrs[key][0] for key in ("scale_factor", "add_offset") if key in attrs}
    if not packing:
        return raw
    import xarray

    packed = xarray.Variable([f"d{k}" for k in range(raw.ndim)], raw, packing)
    return np.asarray(xarray.decode_cf(xarray.Dataset({"v": packed}))["v"].values)


def _holds(relation: np.ufunc, cells: NDArray[Any], value: Any) -> NDArray[np.bool_]:
    """Where a relation to an attribute's number holds, both in the narrower of two float types: one was rounded to it.

    Integers of one size have the sign of the cells, as -1 stands for 255 beside unsigned bytes.
    """
    one, kinds = np.asarray(value), cells.dtype.kind + np.asarray(value).dtype.kind
    if kinds == "ff":
        narrow = min(cells.dtype, one.dtype, key=lambda dtype: dtype.itemsize)
        with np.errstate(over="ignore"):  # a bound of 1e308 beside float32 is none
            cells, one = cells.astype(narrow), one.astype(narrow)
    elif kinds in ("iu", "ui") and cells.itemsize == one.itemsize:
        one = one.astype(cells.dtype)
    return np.asarray(relation(cells, one))


def _attribute(name: str, key: str, value: Any) -> Any:
    """An attribute's text, or its numbers (k,); InputError if it is neither."""
    if key in ("_Unsigned", "units", "calendar"):
        text = np.ravel(value)[0] if np.size(value) else ""
        return text.decode() if isinstance(text, bytes) else str(text)
    numbers, count = np.ravel(value), _COUNTS.get(key)
    try:
        numbers = numbers if numbers.dtype.kind in "iuf" else numbers.astype(np.float64)
    except (TypeError, ValueError):
        count = -1
    if count not in (None, numbers.size):
        rule = f"`{key}` of {name} must be {'two numbers' if key == 'valid_range' else 'a number'}"
        raise InputError(rule, repr(value)[:60], "Correct the attribute, or remove it.")
    return numbers
