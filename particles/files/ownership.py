"""Who may change a file or a folder: what is run as code must be this user's, or root's, alone."""

import functools
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

_MOST_LINKS = 40  # Linux's own limit on the links of one path
_ACCESS_LIST = "system.posix_acl_access"


def changeable_level(path: Path) -> str:
    """The first level of a folder's path that another user may change, with its owner and mode; "" if there is none.

    Levels are the folders and links from the root to `path`, as far as they exist. Each must belong to this user or to
    root, and no folder may be writable by others. Those above `path` may where they are sticky, as /tmp is: there
    nobody can move what another owns. Those above may also be of users without a number, where root has none itself.
    """
    for level, status, last in _levels(path):
        link = stat.S_ISLNK(status.st_mode)
        sticky = bool(status.st_mode & stat.S_ISVTX) and not last
        if _foreign(status, above=not last) or (not link and not sticky and _writable_by_others(level, status)):
            return f"{level} (owner {_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def trusted_content(path: Path) -> bytes:
    """A file's bytes; PermissionError where it is another user's, or others may write to it. A link is not followed."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe in its place must not hold the process up
    with open(path, "rb", opener=lambda name, how: os.open(name, how | flags)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or _foreign(status) or _writable_by_others(file.fileno(), status):
            raise PermissionError(f"{path} may be changed by others")
        return file.read()


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _levels(path: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """What the system goes through on the way to `path`, links as themselves; whether it is the last."""
    path, links = path.absolute(), 0
    here, rest = Path(path.anchor), [*reversed(path.parts[1:])]
    yield here, os.lstat(here), not rest
    while rest:
        name = rest.pop()
        if name == "..":
            here = here.parent
            continue
        level = here / name
        try:
            status = os.lstat(level)
        except (FileNotFoundError, NotADirectoryError):
            return
        link = stat.S_ISLNK(status.st_mode)
        yield level, status, not rest and not link
        if link and links < _MOST_LINKS:
            links, target = links + 1, Path(os.readlink(level))
            here = Path(target.anchor) if target.anchor else here
            rest += reversed(target.parts[1:] if target.anchor else target.parts)
        elif not link:
            here = level


def _foreign(status: os.stat_result, above: bool = False) -> bool:
    return status.st_uid not in (0, os.geteuid()) and not (above and status.st_uid == _without_number())


@functools.lru_cache
def _without_number() -> int | None:
    """The user whom this container shows in root's place, and in that of all it has no number for (Apptainer)."""
    try:
        ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
        known = any(first <= 0 < first + count for first, _, count in ranges)
        return None if known else int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return None


def _writable_by_others(file: Path | int, status: os.stat_result) -> bool:
    """Others than the owner and his own group: where every user has a group of his own, new folders are mode 0775."""
    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP:
        return False
    return not _own_group(status.st_uid, status.st_gid) or _has_access_list(file)


@functools.lru_cache
def _own_group(user: int, group: int) -> bool:
    """Whether a group is that of one user alone: his first, called as he is, without other members."""
    try:
        owner, members = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return (owner.pw_gid, owner.pw_name) == (group, members.gr_name) and set(members.gr_mem) <= {owner.pw_name}


def _has_access_list(file: Path | int) -> bool:
    """Whether more users are named than the mode shows (Linux): then its group's part is what they may do."""
    try:
        return bool(os.getxattr(file, _ACCESS_LIST))
    except (AttributeError, OSError):
        return False


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
