"""Where a Ray cluster keeps its sockets and logs: a folder that only this user may enter.

Ray gives its own folder and those below to everybody (mode 0777), so it gets one inside a folder of mode 0700. That one
is locked for as long as this process lives: the next process removes those of processes that were killed.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "mf-ray-"


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder for Ray, removed after the block. Its name is short: sockets lie 66 letters below, of 107 in all."""
    base = Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir())
    sweep(base)
    outer, hold = _new_folder(base)
    try:
        inner = outer / "r"
        inner.mkdir()
        yield str(inner)
    finally:
        shutil.rmtree(outer, ignore_errors=True)
        os.close(hold)


def sweep(base: Path) -> None:
    """Remove this user's folders whose process is gone. Links and what others own stay."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            hold = _opened(folder)
            try:
                if os.fstat(hold).st_uid == os.geteuid():
                    fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(hold)


def _new_folder(base: Path) -> tuple[Path, int]:
    """A new folder, and what holds it: open and locked, where the file system has locks (else nothing is swept)."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        with contextlib.suppress(FileNotFoundError):  # swept before it was locked
            hold = _opened(folder)
            with contextlib.suppress(OSError):
                fcntl.flock(hold, fcntl.LOCK_EX)
            if folder.exists():
                return folder, hold
            os.close(hold)


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
