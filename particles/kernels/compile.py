"""The one owner of every compile option, and of where compiled code is kept.

A kernel is written as a plain Python function (a *template*) that calls names such as `sigma`, which its own module
does not settle. `specialise` gives those names their meaning and compiles the result; `plain` does the same without
compiling, which is the twin the tests run.
"""

import contextlib
import hashlib
import os
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.extending
from numba import config as numba_config

# error_model="numpy" first of all: Python's ZeroDivisionError branch keeps a division from becoming vector code.
# No fast-math flag at all: the order of every sum is written down (lanes.py), and a NaN must stay visible, since it is
# how a diverging run is found.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

_lock = threading.Lock()


def inline(function: Callable[..., Any]) -> Any:
    """A formula that kernels call: still a plain function, and compiled into every kernel that names it.

    `forceinline`: LLVM left the long ones as calls, which cost 36 ns instead of 5.
    """
    return numba.extending.register_jitable(forceinline=True, **_OPTIONS)(function)


def _source_hash() -> str:
    """One hash of all that is compiled, the Numba version and this CPU: an edit of any of them starts a new folder.

    Numba's own check looks at one file only and returned stale code after an edit in another.
    """
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in [*sorted(here.glob("*.py")), here.parent / "activations.py"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    import llvmlite.binding as llvm

    cpu = (numba.__version__, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    chosen = [getattr(numba_config, name, None) for name in ("CPU_NAME", "CPU_FEATURES", "OPT")]
    digest.update(repr((cpu, chosen)).encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Where compiled kernels are kept, or None: `PARTICLES_CACHE` (empty turns it off) or the user's cache folder."""
    chosen = os.environ.get("PARTICLES_CACHE")
    if chosen == "":
        return None
    if chosen is None:
        import platformdirs

        chosen = platformdirs.user_cache_dir("meanfield-particles")
    folder = Path(chosen) / f"kernels-{_SOURCE_HASH}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home: compile anew each time rather than fail
        return None
    return folder


_SOURCE_HASH = _source_hash()


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
    return inline(plain(template, **names))


class _Forgiving:
    """Numba's cache of one kernel, where a damaged file or a full disk costs a compilation and nothing else."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return self._cache.load_overload(signature, context)
        except Exception:  # whatever unpacking half a file raises
            with contextlib.suppress(Exception):
                self._cache.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        with contextlib.suppress(Exception):
            self._cache.save_overload(signature, compiled)


def specialise(template: Callable[..., Any], key: str | None, **names: Any) -> Any:
    """The template with `names` as its globals, compiled. `key` names this specialisation in the cache; None: not kept.

    Each specialisation has a folder of its own. Two processes that fill one cache at once then write the same
    contents (Numba numbers the files of a shared folder; a race there can pair one kernel's index with another's code).
    """
    function = plain(template, **names)
    folder = cache_folder() if key is not None else None
    if folder is None:
        return numba.njit(**_OPTIONS)(function)
    with _lock:  # the dispatcher reads CACHE_DIR once, here; other users of Numba in this process keep theirs
        settings: Any = numba_config
        before = settings.CACHE_DIR
        settings.CACHE_DIR = str(folder / str(key))
        try:
            dispatcher = numba.njit(cache=True, **_OPTIONS)(function)
        finally:
            settings.CACHE_DIR = before
    # `_cache` is Numba's own; should it go one day, its cache works as it comes.
    if hasattr(dispatcher, "_cache"):
        dispatcher._cache = _Forgiving(dispatcher._cache)
    return dispatcher
