"""Reading files, and what may be said of one that cannot be read.

DamagedError is for contents that are not what was written. A file that cannot be read now (no permission, no memory, a
disk or a network that fails, too many open files) may be whole: that is a plain StorageError, and the file stays.

Only regular files are read: a pipe may never end or never begin, and a device has any number of bytes.
"""

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from particles.errors import DamagedError, MissingError, StorageError
from particles.machine import free_memory

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CHUNK = 2**20
_ERRNO = re.compile(r"errno = ([1-9]\d*)")  # HDF5's text has it where h5py raises no OSError
_SMALL = 2**26  # bytes for which nobody asks how much memory is free
_RATIO = 100  # pictures of ink and paper, and columns of few ones, pack to a hundredth
_ROOM = 2**28  # bytes that a file may be beyond that, unpacked: 2^28 zeros take 2^18
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def size_of(path: Path) -> int | None:
    """The bytes of a file; None where there is no file. Raises StorageError as `status_of`."""
    status = status_of(path)
    return None if status is None else status.st_size


def status_of(path: Path) -> os.stat_result | None:
    """What the system says of a file; None where there is no file.

    Raises StorageError where that cannot be known now, and for a pipe, a socket or a device.
    """
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _not_now(path, error.errno) from error
    except ValueError as error:  # a name with a zero byte
        raise StorageError(f"{path!r} is no file's name: {error}.") from error
    if kind := _KINDS.get(stat.S_IFMT(about.st_mode)):
        raise StorageError(f"{path} is no file: it is {kind}. Give a regular file.")
    return None if stat.S_ISDIR(about.st_mode) else about


def content_of(path: Path, remedy: str = "") -> bytes:
    """The bytes of a file that must be there: MissingError, with this remedy, where it is not."""
    with _opened(path, remedy) as (file, size):
        check_room(str(path), size)
        content = file.read(size + 1)
        if len(content) > size:
            raise StorageError(f"{path} cannot be read: it grew meanwhile. Wait until it is written, then try again.")
        return content


def digest_of(path: Path, remedy: str = "") -> str:
    """The SHA-256 of a file's bytes, which are never in memory all at once."""
    with _opened(path, remedy) as (file, _):
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _opened(path: Path, remedy: str) -> Iterator[tuple[BufferedReader, int]]:
    """A regular file and its size; StorageError for anything that goes wrong with it while it is open."""
    size = size_of(path)
    if size is None:
        raise MissingError(f"no such file: {path}{' (it is a folder)' if path.is_dir() else ''}. {remedy}".rstrip())
    try:
        with path.open("rb") as file:
            yield file, size
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise MissingError(f"no such file: {path}. {remedy}".rstrip()) from error
    except (OSError, MemoryError) as error:
        raise _not_now(path, getattr(error, "errno", errno.ENOMEM)) from error


def check_room(name: str, size: int) -> None:
    """StorageError unless so many bytes of memory are free."""
    if size > _SMALL and size > (free := free_memory()):
        raise StorageError(
            f"{name} needs {size / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are free. Free some memory, or use a "
            "machine that has more."
        )


def unpacked_at_most(size: int) -> int:
    """The bytes of memory that a packed file of this size is taken to stand for."""
    return _ROOM + _RATIO * size


def inside(folder: Path, name: str) -> Path:
    """The file of that name in a folder; DamagedError unless the name is relative and stays in the folder.

    Links are followed: a folder that came from others may hold links to any file.
    """
    path = folder / name
    if not name or "\0" in name or os.path.isabs(name) or ".." in Path(name).parts:
        raise DamagedError(f"{folder} refers to {name!r}: a name must be relative and stay in the folder.")
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise DamagedError(f"{path} is a link that leads out of {folder}. Put the file itself there.")
    return path


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
    if isinstance(error, MemoryError) or "allocation failed" in text:  # HDF5 has no number for it
        number = errno.ENOMEM
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
    if number == errno.ENOMEM:
        return "Free some memory, then try again."
    return "Check the disk, then try again."
