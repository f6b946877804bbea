"""Where a number came from: versions, machine, source state. All of it is text, for the attributes of a file."""

import hashlib
import json
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles.machine import processor

_PACKAGES = ("meanfield-particles", "numpy", "numba", "llvmlite", "scipy", "h5py", "xarray", "pandas", "ray")


def canonical(value: Any) -> str:
    """One text for one value: JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def fingerprint(value: Any) -> str:
    """A hash of a value's canonical text."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def array_hash(*arrays: NDArray[Any]) -> str:
    """A hash of arrays' shapes, types and bits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Package versions, interpreter, processor and the source's git state."""
    versions = {name: _version(name) for name in _PACKAGES}
    return {
        "package_versions": canonical(versions),
        "python": sys.version.split()[0],
        "cpu": processor().name,
        "platform": platform.platform(),
        "git": _git(Path(__file__).resolve().parents[2]),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(root: Path) -> str:
    """The commit, with "+changes" if the tree differs from it; "not a checkout" for an installed package."""
    if not (root / ".git").exists():
        return "not a checkout"

    def ask(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        return ask("rev-parse", "HEAD") + ("+changes" if ask("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
