"""What decides the value of a formula, as text: it tells formulas apart that have one name, in every session alike."""

import hashlib
import sys
import sysconfig
import types
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import partial
from typing import Any

import numpy as np

from particles.kernels.compile import names_of

UNKNOWN = "?"  # begins the text of a part that has none which is the same in every session
_RUN = ("__call__", "__post_init__")  # of the special methods of a class, those that a formula may be in
_STDLIB = sysconfig.get_paths()["stdlib"]
_PLAIN = bool | int | float | complex | str | bytes | None | types.EllipsisType | np.generic | np.ufunc


def content(value: Any, above: tuple[Any, ...] = ()) -> Iterator[str]:
    """What decides the value of a formula, piece by piece: bytecode, numbers, and what it names, all the way down.

    What other packages define counts by its name. `above`: the values that this one is a part of.
    """
    level = next((k for k, one in enumerate(above) if one is value), None)
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif level is not None:
        yield f"above {level}"
    elif _is_library(value):
        yield _reference(value)
    elif isinstance(value, types.FunctionType):
        cells = tuple(cell.cell_contents for cell in value.__closure__ or ())
        named = {name: value.__globals__[name] for name in names_of(value.__code__) if name in value.__globals__}
        for part in (value.__code__, value.__defaults__, value.__kwdefaults__, cells, named):
            yield from content(part, (*above, value))
    elif isinstance(value, types.CodeType):
        yield f"code {value.co_code.hex()} {value.co_names} {value.co_argcount}"
        yield from content(value.co_consts, above)
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"array {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    elif (parts := _parts(value)) is not None:
        yield f"{type(value).__name__} {len(parts)}"
        for part in parts:
            yield from content(part, (*above, value))
    else:
        yield _reference(value) or f"{UNKNOWN} {type(value).__qualname__}"


def _parts(value: Any) -> tuple[Any, ...] | None:
    """What a container, a class, a method, a compiled or cached function, or a callable object is made of."""
    if isinstance(value, type) and _has_source(value):
        own = {name: part for name, part in vars(value).items() if not name.startswith(("__", "_abc_")) or name in _RUN}
        return value.__qualname__, value.__bases__, own
    if isinstance(value, property | staticmethod | classmethod):
        return tuple(getattr(value, name, None) for name in ("fget", "__func__"))
    if isinstance(value, tuple | list):
        return tuple(value)
    if isinstance(value, dict):
        return tuple(part for item in value.items() for part in item)
    if isinstance(value, set | frozenset):
        return tuple(sorted(value, key=repr))
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, types.MethodType):
        return value.__func__, value.__self__
    for name in ("py_func", "__wrapped__"):  # of numba.njit and functools.cache
        if not isinstance(value, types.FunctionType) and isinstance(getattr(value, name, None), types.FunctionType):
            return (getattr(value, name),)
    call = vars(type(value)).get("__call__")
    if isinstance(call, types.FunctionType) or (is_dataclass(value) and not isinstance(value, type)):
        return type(value), call, getattr(value, "__dict__", None)
    return None


def _has_source(kind: type) -> bool:
    """Whether a class is written in Python."""
    return kind.__module__ == "__main__" or hasattr(sys.modules.get(kind.__module__), "__file__")


def _is_library(value: Any) -> bool:
    """Whether its name says what it computes: it is this package's, an installed one's or Python's own."""
    module = str(getattr(value, "__module__", None))
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    installed = file.startswith(_STDLIB) or "site-packages" in file or "dist-packages" in file
    return (installed or module.startswith("particles.")) and _reference(value) != ""


def _reference(value: Any) -> str:
    """The module and name under which a value can be imported; "" where it cannot."""
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", getattr(value, "__name__", None))
    there = getattr(sys.modules.get(str(module)), str(name), None)
    return f"{module}.{name}" if there is value else ""
