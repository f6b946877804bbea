"""The one owner of every compile option.

A kernel is written as a plain Python function (a *template*) that calls names such as `sigma`, which its own module
does not settle. `specialise` gives those names their meaning and compiles the result; `plain` does the same without
compiling, which is the twin the tests run.
"""

import hashlib
import sys
import types
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numba
import numba.extending
from numba.core.errors import TypingError
from numba.core.registry import cpu_target

from particles.kernels.cache import KernelCache

# error_model="numpy" first of all: Python's ZeroDivisionError branch keeps a division from becoming vector code.
# No fast-math flag at all: the order of every sum is written down (lanes), and a NaN must stay visible, since it is
# how a diverging run is found.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

_SOURCES = "particles.kernels.", "particles.model.activations"  # the modules that `cache` hashes

# What was settled in this process, by kind and hash, and back. Not an attribute: functools.wraps would copy it.
_known: dict[tuple[str, str], Any] = {}
_identities: dict[Any, str] = {}


def inline(function: Callable[..., Any]) -> Any:
    """A formula that kernels call: still a plain function, and compiled into every kernel that names it.

    `forceinline`: LLVM left the long ones as calls, which cost 36 ns instead of 5.
    """
    return numba.extending.register_jitable(forceinline=True, **_OPTIONS)(function)


def registered(formula: Any) -> Any:
    """The formula, known to Numba in this process with all that it names; what came from another by value is not."""
    if isinstance(formula, types.FunctionType) and not _is_known(formula):
        cells = [cell.cell_contents for cell in formula.__closure__ or ()]
        for value in (*cells, *(formula.__globals__.get(name) for name in names_of(formula.__code__))):
            if value is not formula:
                registered(value)
        inline(formula)
    return formula


def _is_known(function: Callable[..., Any]) -> bool:
    typing = cpu_target.typing_context
    typing.refresh()
    try:
        typing.resolve_value_type(function)
    except (TypingError, ValueError):  # Numba raises either
        return False
    return True


def plain(template: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """The template with `names` as its globals, as ordinary Python."""
    function = types.FunctionType(
        template.__code__, {**template.__globals__, **names}, template.__name__, template.__defaults__
    )
    function.__qualname__ = template.__qualname__
    function.__module__ = template.__module__
    return function


def inlined(template: Callable[..., Any], **names: Any) -> Any:
    """The template with `names` as its globals, to be compiled into every kernel that calls it."""
    return _once("inlined", template, names)


def specialise(template: Callable[..., Any], **names: Any) -> Any:
    """The template with `names` as its globals, compiled, and kept on disk if all of it is this package's own."""
    return _once("compiled", template, names)


def _compiled(function: Callable[..., Any], identity: str | None) -> Any:
    dispatcher = numba.njit(**_OPTIONS)(function)
    if identity and hasattr(dispatcher, "_cache"):  # Numba's own name; without it nothing is kept
        dispatcher._cache = KernelCache(function.__name__, identity)
    return dispatcher


def _once(kind: str, template: Callable[..., Any], names: dict[str, Any]) -> Any:
    """The template with `names` settled, once a process: what does not name sigma serves all activations."""
    identity = _settled(template, names)
    if identity and (kind, identity) in _known:
        return _known[kind, identity]
    function = plain(template, **names)
    if identity:  # a symbol's name: of two from other processes that share one, the linker takes the first for both
        function.__qualname__ += f"_{identity[:16]}"
    finished = inline(function) if kind == "inlined" else _compiled(function, identity)
    if identity:
        _known[kind, identity], _identities[finished] = finished, identity
    return finished


def _settled(template: Callable[..., Any], names: dict[str, Any]) -> str | None:
    """A hash of the template and of what the names in its code stand for; None if a part is not this package's."""
    used = set(names_of(template.__code__))
    parts = [template.__name__, _identity(template)]
    for name in sorted(used & names.keys()):
        parts += [name, _identity(names[name])]
    return None if None in parts else hashlib.sha256(repr(parts).encode()).hexdigest()


def is_ours(formula: Any) -> bool:
    """Whether the formula is this package's own, with all that it names."""
    return _identity(formula) is not None


def names_of(code: types.CodeType) -> Iterator[str]:
    """The global names and attributes in a function's code, and in that of the functions inside."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_of(constant)


def _identity(value: Any) -> str | None:
    """What a settled name stands for; None where that can change while the hash of the sources stays."""
    if value is None or isinstance(value, int | float | str):
        return repr(value)
    if isinstance(value, Hashable) and value in _identities:
        return _identities[value]
    module, name = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", "")
    ours = module == "math" or module.startswith(_SOURCES)
    return f"{module}.{name}" if ours and getattr(sys.modules.get(module), name, None) is value else None
