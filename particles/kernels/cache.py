"""Compiled kernels on disk: a file for each specialisation and argument types, a folder for each state of the sources.

Numba's own cache compares a function's bytecode and argument types, not the globals that `specialise` gives it, and
takes another folder without a word where the first cannot be written: tanh then computed ReLU's numbers.
"""

import contextlib
import hashlib
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import config as numba_config


def _source_hash() -> str:
    """One hash of all that is compiled, of what compiles it and of this CPU: an edit of any starts a new folder."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in [*sorted(here.glob("*.py")), here.parent / "activations.py"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    versions = (sys.implementation.cache_tag, numba.__version__, llvm.llvm_version_info, np.__version__)
    cpu = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    chosen = [getattr(numba_config, name, None) for name in ("CPU_NAME", "CPU_FEATURES", "OPT")]
    digest.update(repr((versions, cpu, chosen)).encode())
    return digest.hexdigest()[:16]


_SOURCE_HASH = _source_hash()


def cache_folder() -> Path | None:
    """Where compiled kernels are kept, or None: `PARTICLES_CACHE` (empty turns it off) or the user's cache folder."""
    chosen = os.environ.get("PARTICLES_CACHE")
    if chosen is None:
        import platformdirs

        with contextlib.suppress(RuntimeError):  # no HOME and no entry in the system's list of users
            chosen = platformdirs.user_cache_dir("meanfield-particles")
    return Path(chosen) / f"kernels-{_SOURCE_HASH}" if chosen else None


def can_be_written(folder: Path) -> bool:
    """Whether this user may put files there, or make the folder."""
    there = next(above for above in (folder, *folder.absolute().parents) if os.path.exists(above))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


class KernelCache:
    """What Numba's dispatcher asks of a cache, for one kernel; `identity` says all that is compiled into it.

    A folder that cannot be read or written, a full disk, a damaged file or another Numba's private functions cost a
    compilation and nothing else. Processes that fill one folder at once write the same contents under one name.
    """

    def __init__(self, name: str, identity: str) -> None:
        self.name, self.identity = name, identity

    @property
    def cache_path(self) -> str:
        return str(cache_folder() or "")

    def load_overload(self, types: Any, context: Any) -> Any:
        """The kernel for these argument types, or None."""
        try:
            context.refresh()
            key, path = self._place(types, context.codegen())
            return _unpacked(path.read_bytes(), key, context) if path else None
        except Exception:
            return None

    def save_overload(self, types: Any, compiled: Any) -> None:
        """Keep a kernel, if it can be kept."""
        with contextlib.suppress(Exception):
            key, path = self._place(types, compiled.codegen)
            if path and not compiled.lifted and not compiled.library.has_dynamic_globals:
                _write(path, _packed(compiled, key))

    def flush(self) -> None:
        """Numba asks for it before it compiles anew; the new file takes the old one's place."""

    def _place(self, types: Any, codegen: Any) -> tuple[bytes, Path | None]:
        key = hashlib.sha256(repr((self.identity, types, codegen.magic_tuple())).encode()).digest()
        folder = cache_folder()
        return key, folder and folder / f"{self.name}-{key.hex()[:32]}"


def _packed(compiled: Any, key: bytes) -> bytes:
    """A file's content: whose it is, a checksum, the kernel."""
    from numba.core.serialize import dumps

    kernel = dumps(compiled._reduce())
    return bytes(key + hashlib.sha256(kernel).digest() + kernel)


def _unpacked(content: bytes, key: bytes, context: Any) -> Any:
    """The kernel, if the file is whole and belongs to this key, whatever its name."""
    from numba.core.compiler import CompileResult

    owner, checksum, kernel = content[:32], content[32:64], content[64:]
    if owner != key or checksum != hashlib.sha256(kernel).digest():
        return None
    return CompileResult._rebuild(context, *pickle.loads(kernel))


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all. Not flushed to disk: the checksum finds what a power failure leaves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
