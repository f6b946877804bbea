"""Files that are whole or not there: written under another name, flushed to disk, renamed. Locks between processes.

Some file systems have no locks (Lustre, NFS) or cannot flush a folder (CIFS, FUSE). There the program goes on and says
once what is not guarded. Where others may write to the folder as well, they may have put a link or a pipe where a file
is to be: nothing is written through one. `particles/files/reading.py` is the other direction.
"""

import contextlib
import errno
import fcntl
import fnmatch
import os
import secrets
import stat
import warnings
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import IO, Any, BinaryIO

from particles.errors import BusyError, StorageError

_BUSY = {errno.EWOULDBLOCK, errno.EACCES}  # NFS may answer as fcntl's locks do
# 524 is Linux's own ENOTSUPP, which some network file systems let through.
_NOT_SUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, 524}
_warned: set[str] = set()  # what this process has said is not guarded


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Put `content` in a temporary file beside `path`, then in its place: a kill leaves the old file or the new.

    Content is made in memory first. HDF5 that meets a full disk while it writes cannot close its file, and takes the
    process down with it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as file:
            file.write(content)
            file.flush()
            sync(file.fileno(), path.parent)
        flush(path.parent)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}. {_remedy(error)}") from error


@contextlib.contextmanager
def replacement(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A new file that takes `path`'s place at the end of the block; an error in the block leaves what was there.

    mode: its mode, without the bits of the umask; None: that of the file that was there, if any.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")  # nobody can foresee it
    before = _status_of(path) if mode is None else None
    try:
        with new_file(part, 0o600 if before else mode or 0o666) as file:
            if before:
                _copy_mode(before, file.fileno())
            yield file
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def new_file(path: Path, mode: int = 0o666) -> BinaryIO:
    """A file that did not exist, open for writing; what is in its place is neither opened nor followed."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, mode))


def lasting_file(path: Path) -> FileIO:
    """A file that stays (a lock, a journal), open for reading and appending, made if it is missing, never cut short.

    A link is not followed; a file that has another name as well, a pipe or a device is refused (OSError).
    """
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    file = FileIO(path, "a+", opener=lambda name, how: os.open(name, how | flags, 0o666))
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        file.close()
        raise OSError(errno.ELOOP, "a pipe, a device or a second name of a file is in its place")
    return file


def _status_of(path: Path) -> os.stat_result | None:
    """Owner and mode of the file at `path`, if there is one; not of what a link leads to."""
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(path)
        return status if stat.S_ISREG(status.st_mode) else None
    return None


def _copy_mode(before: os.stat_result, handle: int) -> None:
    """Give an open file the mode of an older one, and its group; another group may do what all may do."""
    mode = before.st_mode & 0o777
    with contextlib.suppress(OSError):  # file systems without modes
        if before.st_gid != os.fstat(handle).st_gid:
            try:
                os.fchown(handle, -1, before.st_gid)
            except OSError:
                mode = mode & 0o707 | (mode & 0o007) << 3
        os.fchmod(handle, mode)


def sync(handle: int, folder: Path) -> None:
    """Flush an open file in this folder to the disk, where the file system can."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        _warn_once(f"{folder} cannot flush its files to disk", error, "a power failure may undo what was written last")


def flush(folder: Path) -> None:
    """Make a rename in this folder last, where the file system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED | {errno.EBADF, errno.EACCES}:  # EACCES: it may be written, not listed
            raise
        _warn_once(f"{folder} cannot be flushed to disk", error, "a power failure may undo what was written last")


def _warn_once(what: str, error: OSError, risk: str) -> None:
    """Say once a process which guard the file system lacks; `risk` is what it guards against."""
    if risk not in _warned:
        _warned.add(risk)
        warnings.warn(f"{what} ({error.strerror}): {risk}. All else works.", stacklevel=4)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space, or choose another folder, and run again: finished runs are kept."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return "Choose a folder you may write to (--out)."
    if error.errno == errno.ELOOP:
        return "Links are not followed: remove what is there, or choose another folder (--out)."
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "Raise the number of files that may be open (ulimit -n), then run again: finished runs are kept."
    return "Check the disk, then run again: finished runs are kept."


def make_folder(folder: Path) -> None:
    """The folder and those above it, if they can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} could not be made: {error.strerror}. {_remedy(error)}") from error


@contextlib.contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; BusyError where another run has it."""
    with held(folder / ".lock", f"{folder} is in use by another run. Wait, or choose another folder (--out)."):
        yield


@contextlib.contextmanager
def held(path: Path, message: str = "") -> Iterator[None]:
    """Hold the lock file `path`, which is made for it and removed afterwards; BusyError(message) where another has it.

    The system ends the hold with the process, however that ends.
    """
    with _locked(path, message or f"{path} is held by another process. Wait for its end."):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # a lock file that stays is no lock
                path.unlink(missing_ok=True)


def _locked(path: Path, message: str) -> FileIO:
    """The lock file, open and locked."""
    while True:
        try:
            file = lasting_file(path)
        except OSError as error:
            raise StorageError(f"{path} could not be made: {error.strerror}. {_remedy(error)}") from error
        try:
            lock(file, path.parent, message)
            if os.path.samestat(os.fstat(file.fileno()), os.lstat(path)):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()  # its last holder has removed it: what is locked there is no file any more


def lock(file: IO[Any], folder: Path, message: str) -> None:
    """Lock an open file for as long as it is open; BusyError(message) where another process has it locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            raise BusyError(message) from error
        if error.errno not in _NOT_SUPPORTED:
            raise StorageError(f"{folder} could not be locked: {error.strerror}. {_remedy(error)}") from error
        _warn_once(f"{folder} has no file locks", error, "nothing stops a second run from writing the same files")


def clear_parts(folder: Path, name: str = "*") -> None:
    """Remove what writers of files called `name` (a pattern) left behind when they were killed.

    Only who holds those files' lock may: a part may be another process's that is writing it.
    """
    names: list[str] = []
    with contextlib.suppress(OSError):  # it is not there, or nobody may look
        names = [part for part in os.listdir(folder) if part.endswith(".part")]
    for part in fnmatch.filter(names, f".{name}.*.part") if names else ():  # to compile a pattern takes 0.2 ms
        remove(folder / part)


def remove(path: Path) -> None:
    """Remove a file that is of no more use; one that cannot be removed now stays, and that is said."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"{path} could not be removed: {error.strerror}. It may be deleted.", stacklevel=3)
