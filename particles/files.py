"""Files that are whole or not there: written under another name, flushed to disk, renamed."""

import errno
import os
import tempfile
from pathlib import Path

from particles.errors import StorageError


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Put `content` in a temporary file beside `path`, then in its place: a kill leaves the old file or the new.

    Content is made in memory first. HDF5 that meets a full disk while it writes cannot close its file, and takes the
    process down with it.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(name, path)
        _flush(path.parent)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise StorageError(f"{path} could not be written: {error.strerror or error}. {_remedy(error)}") from error


def _flush(folder: Path) -> None:
    """Make a rename in this folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space, or choose another folder, and run again: finished runs are kept."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return "Choose a folder you may write to (--out)."
    return "Check the disk, then run again: finished runs are kept."


def clear_parts(folder: Path) -> None:
    """Remove what writers that were killed left behind in a folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
