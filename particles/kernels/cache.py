"""Compiled kernels on disk: a file for each specialisation and argument types, a folder for each state of the sources.

Numba's own cache compares a function's bytecode and argument types, not the globals that `specialise` gives it, and
takes another folder without a word where the first cannot be written: tanh then computed ReLU's numbers.

The files are code: whoever can write one can have it run by whoever reads it. So a folder counts only where nobody but
this user and root can change anything on the way to it, and a file only where nobody else can change that.
"""

import contextlib
import hashlib
import os
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import config as numba_config

from particles.files.atomic import replacement
from particles.files.ownership import changeable_level, make_private, trusted_content


def _source_hash() -> str:
    """One hash of all that is compiled, of what compiles it and of this CPU: an edit of any starts a new folder."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in [*sorted((package / "kernels").rglob("*.py")), package / "model" / "activations.py"]:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
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


_checked: dict[tuple[Path, int], bool] = {}  # folders and users that this process has looked at: nobody else may write


def trusted_folder() -> Path | None:
    """The cache's folder, or None, with one warning, where another user may change what is in it."""
    try:
        folder = cache_folder()
        folder = folder and folder.absolute()
        return folder if folder and _is_trusted(folder, os.geteuid()) else None
    except OSError:  # then it cannot be read either
        return None


def _is_trusted(folder: Path, user: int) -> bool:
    if (folder, user) not in _checked:
        exists, level = os.path.lexists(folder), changeable_level(folder)
        if not exists and not level:
            return True  # to be looked at again once it is there
        _checked[folder, user] = not level
        if level:
            warnings.warn(f"compiled kernels are neither read nor kept: {mistrust(level)}", stacklevel=2)
    return _checked[folder, user]


def mistrust(level: str) -> str:
    """Why a folder does not count, and what to do."""
    return (
        f"others may change {level} on the way to them, and they are code. If it is yours, `chmod go-w` it; or name a "
        "folder of your own (PARTICLES_CACHE)."
    )


def can_be_written(folder: Path) -> bool:
    """Whether this user may put files there, or make the folder."""
    there = next(above for above in (folder, *folder.absolute().parents) if os.path.exists(above))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


class KernelCache:
    """What Numba's dispatcher asks of a cache, for one kernel; `identity` says all that is compiled into it.

    A folder that cannot be read or written, a full disk, a damaged file or another Numba's private functions cost a
    compilation and nothing else; a folder that others may change costs a warning as well. Processes that fill one
    folder at once write the same contents under one name.
    """

    def __init__(self, name: str, identity: str) -> None:
        self.name, self.identity = name, identity

    @property
    def cache_path(self) -> str:
        return str(cache_folder() or "")

    def load_overload(self, types: Any, context: Any) -> Any:
        """The kernel for these argument types, or None."""
        folder = trusted_folder()
        try:
            context.refresh()
            key, name = self._place(types, context.codegen())
            return _unpacked(trusted_content(folder / name), key, context) if folder else None
        except Exception:
            return None

    def save_overload(self, types: Any, compiled: Any) -> None:
        """Keep a kernel, if it can be kept."""
        folder = trusted_folder()
        with contextlib.suppress(Exception):
            key, name = self._place(types, compiled.codegen)
            if folder and not compiled.lifted and not compiled.library.has_dynamic_globals:
                make_private(folder)
                _write(folder / name, _packed(compiled, key))

    def flush(self) -> None:
        """Numba asks for it before it compiles anew; the new file takes the old one's place."""

    def _place(self, types: Any, codegen: Any) -> tuple[bytes, str]:
        """The key, and the name of the file in the folder."""
        key = hashlib.sha256(repr((self.identity, types, codegen.magic_tuple())).encode()).digest()
        return key, f"{self.name}-{key.hex()[:32]}"


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
    """Whole or not at all. Not flushed to disk: the checksum finds what a power failure leaves.

    For others to read, where they may enter the folder, and never to write.
    """
    with replacement(path, mode=0o644) as file:
        file.write(content)
