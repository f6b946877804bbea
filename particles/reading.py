"""Reading files, and what may be said of one that cannot be read.

DamagedError is for contents that are not what was written. A file that cannot be read now (no permission, a disk or a
network that fails, too many open files) may be whole: that is a plain StorageError, and the file stays as it is.
"""

import errno
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from particles.errors import DamagedError, StorageError

if TYPE_CHECKING:
    import h5py

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CHUNK = 2**20
_ERRNO = re.compile(r"errno = ([1-9]\d*)")  # HDF5's text has it where h5py raises no OSError


def open_hdf5(path: Path) -> "h5py.File":
    """An HDF5 file, open for reading without a lock: files are put in place whole, so there is nothing to wait for."""
    import h5py

    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")  # this process has it open already, and HDF5 wants both opened alike


def size_of(path: Path) -> int | None:
    """The bytes of a file; None where there is no file. Raises StorageError where that cannot be known now."""
    try:
        about = path.stat()
        return None if stat.S_ISDIR(about.st_mode) else about.st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _not_now(path, error.errno) from error


def content_of(path: Path) -> bytes:
    """The bytes of a file that must be there: DamagedError where it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing") from error
    except OSError as error:
        raise _not_now(path, error.errno) from error


def names_in(folder: Path) -> list[str]:
    """The names of a folder's files; `Path.glob` is silent where it cannot look."""
    try:
        return os.listdir(folder)
    except OSError as error:
        raise _not_now(folder, error.errno) from error


def hdf5_error(path: Path, error: Exception) -> StorageError:
    """What to say of an HDF5 file of which reading ended in `error`.

    It is damaged if the disk gives all its bytes, now as when it was read.
    """
    text = str(error)
    number = getattr(error, "errno", None) or next(map(int, _ERRNO.findall(text)), None)
    head = b""
    try:
        with path.open("rb") as file:
            head = file.read(len(_SIGNATURE))
            while number is None and file.read(_CHUNK):
                pass
    except OSError as failed:
        number = number or failed.errno
    if number is not None:
        return _not_now(path, number)
    if head and head != _SIGNATURE:
        return DamagedError(
            f"{path} is no result of this program: it is no HDF5 file. Give the path of a result that `particles run` "
            "or `save` wrote."
        )
    reason = text.splitlines()[0] if text else type(error).__name__
    return DamagedError(
        f"{path} cannot be read as a result ({reason}). If a run of this program wrote it, delete it and run again."
    )


def _not_now(path: Path, number: int | None) -> StorageError:
    reason = os.strerror(number) if number else "unknown error"
    return StorageError(f"{path} cannot be read now: {reason}. It may be whole and stays as it is. {_remedy(number)}")


def _remedy(number: int | None) -> str:
    if number in (errno.EACCES, errno.EPERM):
        return "Ask its owner for the permission to read it."
    if number in (errno.EMFILE, errno.ENFILE):
        return "Raise the number of files that may be open (ulimit -n)."
    if number in (errno.EAGAIN, errno.EBUSY, errno.ETXTBSY):
        return "Another program has it locked: wait, then try again."
    return "Check the disk, then try again."
