"""What other users, or an accident, put where a file is to be written: nothing goes through it, and modes stay."""

import contextlib
import os

import h5py
import numpy as np
import pytest
from support.users import NEIGHBOUR, mode, neighbour, two_users

from particles.errors import StorageError
from particles.files import atomic
from particles.files.atomic import held, lasting_file, new_file, write_whole
from particles.storage import gram_file


@pytest.fixture
def victim(tmp_path):
    """A file of this user that nobody should write to by another name."""
    path = tmp_path / "victim"
    path.write_text("precious")
    yield path
    assert path.read_text() == "precious"


@two_users
def test_temporary_names__are_not_followed_where_a_neighbour_put_a_link(commons, victim, monkeypatch):
    """He cannot foresee the name; if he could, nothing would be written."""
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda _: "foreseen")
    assert neighbour('ln -s "$1" "$2/.a.h5.foreseen.part"', victim, commons) == (0, "")
    with pytest.raises(StorageError, match=r"a\.h5 could not be written: File exists"):
        write_whole(commons / "a.h5", b"new")
    monkeypatch.undo()
    write_whole(commons / "a.h5", b"new")
    assert (commons / "a.h5").read_bytes() == b"new"


def test_new_file__refuses_what_is_in_its_place(tmp_path, victim):
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for name in ("victim", "link", "dangling", "pipe"):
        with pytest.raises(FileExistsError):
            new_file(tmp_path / name)
    assert not (tmp_path / "none").exists()


IN_THE_WAY = {
    "link": lambda path, victim: path.symlink_to(victim),
    "dangling": lambda path, victim: path.symlink_to(victim.parent / "none"),
    "second name": lambda path, victim: path.hardlink_to(victim),
    "pipe": lambda path, victim: os.mkfifo(path),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_lock__goes_through_nothing_that_is_in_its_place(tmp_path, victim, what):
    """A pipe held the process up for ever."""
    path = tmp_path / "run.lock"
    IN_THE_WAY[what](path, victim)
    with pytest.raises(StorageError, match=r"run\.lock could not be made: .*: remove what is there"), held(path):
        pass
    assert not (tmp_path / "none").exists()


def test_lock__keeps_what_is_in_its_file(tmp_path):
    (tmp_path / "run.lock").write_text("kept")
    with lasting_file(tmp_path / "run.lock") as file:
        assert file.read() in (b"", b"kept") and os.fstat(file.fileno()).st_size == 4


@two_users
def test_lock__of_a_neighbour_is_said_and_not_taken(commons, victim):
    commons.chmod(0o777)  # else Linux itself refuses (fs.protected_symlinks)
    assert neighbour('ln -s "$1" "$2/.lock"', victim, commons) == (0, "")
    with pytest.raises(StorageError, match=r"Links are not followed: remove what is there"), atomic.sole_user(commons):
        pass


@pytest.mark.parametrize("place", [gram_file.part_of, gram_file.journal_of])
@pytest.mark.parametrize("what", ["link", "second name"])
def test_gram_file__writes_through_no_link(tmp_path, victim, place, what):
    """The journal was cut to nothing, and the part overwritten, wherever a link led."""
    path = tmp_path / "gram.h5"
    IN_THE_WAY[what](place(path), victim)
    refused = pytest.raises(StorageError, match=r"gram\.h5 could not be written")
    # Where the journal has nothing of an earlier call, the part is begun anew, in a file of its own.
    with contextlib.nullcontext() if place is gram_file.part_of else refused:
        with gram_file.growing(path, 2, 2, "asked", {}) as file:
            file.put((0, 0), np.eye(2))
            file.finish()
        assert h5py.File(path)["gram"][0, 0] == 1.0


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o444])
def test_write__keeps_the_mode_of_the_file_that_it_replaces(tmp_path, bits):
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    path.chmod(bits)
    write_whole(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", bits)


def test_write__makes_new_files_by_the_umask_and_never_opens_an_old_one_wider(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a.h5", b"new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a.h5") == 0o640


@two_users
def test_write__keeps_the_group_or_gives_another_no_more_than_all(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    os.chown(path, -1, NEIGHBOUR)
    path.chmod(0o664)
    write_whole(path, b"new")
    assert (mode(path), os.stat(path).st_gid) == (0o664, NEIGHBOUR)

    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(atomic.os, "fchown", refused)
    write_whole(path, b"newer")
    assert (mode(path), os.stat(path).st_gid) == (0o644, os.getegid())
