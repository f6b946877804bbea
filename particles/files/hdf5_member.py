"""What a group of an HDF5 file holds under a name: its attributes, dimensions and chunks, if they are the file's."""

import math
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5t

# HDF5's own, and h5py's LZF. To ask HDF5 whether it has another one would load it.
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
Filter = tuple[int, int, tuple[int, ...], bytes]  # its number, flags, values and name
_WORDS = 64  # texts in one attribute
NUMBERS = "biufcS"
# Types that are looked up at once, with what memory has for them: to derive both takes as long as to read a row.
_TEXT = h5t.py_create(h5py.string_dtype())
_PLAIN = ((h5t.NATIVE_DOUBLE, np.dtype(np.float64)), (h5t.NATIVE_INT64, np.dtype(np.int64)), (_TEXT, _TEXT.dtype))
_LIST = b"DIMENSION_LIST"


class ForeignError(ValueError):
    """An object that is not the file's own. path, got: which, and what it is instead."""

    def __init__(self, path: str, got: str) -> None:
        super().__init__(f"{path!r} is {got}")
        self.path, self.got = path, got


def type_of(item: h5d.DatasetID | h5a.AttrID) -> tuple[np.dtype[Any], h5t.TypeID | None]:
    """The NumPy type of an array or an attribute, and HDF5's name for that where it is one of the common ones."""
    stored = item.get_type()
    for known, kind in _PLAIN:
        if stored.equal(known):
            return kind, known
    return item.dtype, None


class Member(NamedTuple):
    """What a group holds under a name: an array with its shape, or a group, of shape None. plan: how an array lies."""

    path: str
    id: Any
    shape: tuple[int, ...] | None
    plan: Any = None

    @property
    def array(self) -> h5py.Dataset:
        return h5py.Dataset(self.id)

    def attribute(self, name: str, default: Any = None) -> Any:
        """One attribute: text, a number, or numbers."""
        word = name.encode()
        if not h5a.exists(self.id, word):
            return default
        about = h5a.open(self.id, word)
        shape, (kind, stored) = about.shape, type_of(about)
        text = h5py.check_string_dtype(kind)
        if shape is None and text is not None:
            return ""
        if shape is None or (kind.kind not in NUMBERS and text is None):
            raise ValueError(f"the attribute {name!r} of {self.path!r} is neither numbers nor text")
        if text is not None and text.length is None and math.prod(shape) > _WORDS:
            raise ValueError(f"the attribute {name!r} of {self.path!r} is more than {_WORDS} texts")
        values = np.empty(shape, kind)
        about.read(values, stored)
        if text is None:
            return values[()]
        try:
            words = [one.decode() for one in values.ravel()]
        except UnicodeDecodeError as error:
            raise ValueError(f"the attribute {name!r} of {self.path!r} is no text: {error}") from error
        return np.array(words, object).reshape(shape) if shape else words[0]

    def scales(self) -> list[int | None]:
        """Where in the file that lies which an array's dimensions are named by; None for one without a name.

        HDF5 takes the attribute that lists them for references whatever it is, which ends the process; and to name what
        a reference leads to it walks through all groups, which does so where they are deep.
        """
        if h5a.exists(self.id, _LIST):
            kind = h5a.open(self.id, _LIST).get_type()
            if not isinstance(kind, h5t.TypeVlenID) or not kind.get_super().equal(h5t.STD_REF_OBJ):
                raise ValueError(f"the attribute {_LIST.decode()!r} of {self.path!r} is no list of references")
        return [h5o.get_info(dim[0].id).addr if len(dim) else None for dim in self.array.dims]

    def has_attribute(self, name: str) -> bool:
        """Whether there is an attribute of this name, without reading any."""
        return bool(h5a.exists(self.id, name.encode()))

    def attribute_names(self) -> list[str]:
        """The names of a group's or an array's attributes."""
        names: list[bytes] = []
        h5a.iterate(self.id, lambda name, *_: names.append(name))
        return [name.decode() for name in names]

    def filters(self) -> list[Filter]:
        """What packs an array's chunks; ForeignError for a filter that is not built in."""
        pipeline: list[Filter] = [self.plan.get_filter(k) for k in range(self.plan.get_nfilters())]
        for number, *_ in pipeline:
            if number not in _FILTERS:
                known = ", ".join(_FILTERS.values())
                raise ForeignError(self.path, f"behind the filter {number}; built in are {known}")
        return pipeline

    def chunk(self) -> int:
        """The numbers of an array that are unpacked together; 0 for one that is not in chunks."""
        return math.prod(self.plan.get_chunk()) if self.plan.get_layout() == h5d.CHUNKED else 0
