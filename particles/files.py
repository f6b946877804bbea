"""Files that are whole or not there: written under another name, flushed to disk, renamed."""

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from particles.errors import StorageError


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Put `content` in a temporary file beside `path`, then in its place: a kill leaves the old file or the new.

    Content is made in memory first. HDF5 that meets a full disk while it writes cannot close its file, and takes the
    process down with it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        flush(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(f"{path} could not be written: {error.strerror or error}. {_remedy(error)}") from error


def flush(folder: Path) -> None:
    """Make a rename in this folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space, or choose another folder, and run again: finished runs are kept."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return "Choose a folder you may write to (--out)."
    return "Check the disk, then run again: finished runs are kept."


def make_folder(folder: Path) -> None:
    """The folder and those above it, if they can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} could not be made: {error.strerror}. {_remedy(error)}") from error


@contextlib.contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; another that wants it meanwhile is told so. The system ends the hold with it."""
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StorageError(f"{folder} is in use by another run. Wait, or choose another folder (--out).") from error
    with lock:
        yield


def clear_parts(folder: Path) -> None:
    """Remove what writers that were killed left behind in a folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)
