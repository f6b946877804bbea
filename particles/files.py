"""Files that are whole or not there: written under another name, flushed to disk, renamed."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from particles.errors import StorageError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place: a kill leaves the old or the new."""
    handle, name = -1, ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        write(Path(name))
        _flush(Path(name), os.O_RDWR)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
        _flush(path.parent, os.O_RDONLY)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise StorageError(f"{path} could not be written: {_reason(error)}. {_remedy(error)}") from error


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _reason(error: OSError) -> str:
    return error.strerror or str(error).splitlines()[0]


def _remedy(error: OSError) -> str:
    # HDF5 passes the system's errno on in most cases; where it does not, its text names it.
    code, text = error.errno, str(error).lower()
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "no space" in text or "file too large" in text:
        return "Free some space, or choose another folder, and run again: finished runs are kept."
    if code in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return "Choose a folder you may write to (--out)."
    return "Check the disk, then run again: finished runs are kept."


def clear_parts(folder: Path) -> None:
    """Remove what writers that were killed left behind in a folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
