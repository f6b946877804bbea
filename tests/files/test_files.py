"""Files that are whole or not there, whatever happens to the writer or the disk."""

import errno
import os
import stat
import subprocess
import sys
import textwrap

import pytest

import particles as mf
from particles.errors import BusyError
from particles.files import atomic
from particles.files.atomic import clear_parts, held, sole_user, write_whole

SPACE = "Free some space, or choose another folder, and run again"


def python(code, *arguments):
    """Run code in a process of its own; it must end by itself within a minute."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_write__puts_the_content_in_place(tmp_path):
    write_whole(tmp_path / "new" / "a.bin", b"one")
    write_whole(tmp_path / "new" / "a.bin", memoryview(b"two"))
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "new").iterdir()] == [("a.bin", b"two")]


@pytest.mark.parametrize("moment", ["write", "os.fsync", "os.replace"])
def test_write__leaves_the_old_file_when_the_process_dies(tmp_path, moment):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = """
        import os, sys
        from pathlib import Path
        from particles.files import atomic

        class Deadly(bytes): ...

        moment, path = sys.argv[1], Path(sys.argv[2])
        die = lambda *a, **k: os._exit(9)
        if moment == "write":
            real = atomic.new_file
            def half(*a):
                file = real(*a)
                file.write(b"n")
                file.flush()
                die()
            atomic.new_file = half
        else:
            setattr(os, moment.partition(".")[2], die)
        atomic.write_whole(path, b"new")
    """
    assert python(code, moment, path).returncode == 9
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2  # the half-written one is there for the next run to clear
    clear_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, SPACE),
        (errno.EDQUOT, SPACE),
        (errno.EFBIG, SPACE),
        (errno.EROFS, "Choose a folder you may write to"),
        (errno.EMFILE, "Raise the number of files that may be open"),
        (errno.EIO, "Check the disk, then run again"),
    ],
)
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_write__says_what_to_do_when_it_fails(tmp_path, monkeypatch, number, remedy, moment):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, moment, fail)
    with pytest.raises(mf.StorageError) as caught:
        write_whole(path, b"new")
    assert str(caught.value).startswith(f"{path} could not be written: {os.strerror(number)}. {remedy}")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"old")]


@pytest.mark.parametrize("place", ["file/a.bin", "file/deeper/a.bin"])
def test_write__refuses_a_folder_that_is_a_file(tmp_path, place):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(mf.StorageError, match="Choose a folder you may write to"):
        write_whole(tmp_path / place, b"new")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_write__refuses_to_replace_a_folder(tmp_path):
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(mf.StorageError, match="could not be written"):
        write_whole(tmp_path / "a.bin", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_save__on_a_full_disk_leaves_what_was_there(tmp_path, cloud, samples):
    """A limit on the size of files stands in for a full disk, and the process must live."""
    run = mf.simulate(mf.Network("tanh"), cloud(M=300), samples(), mf.GradientDescent(0.1), steps=2)
    path = run.save(tmp_path / "run.h5")
    before = path.read_bytes()
    code = """
        import resource, sys
        import particles as mf
        run = mf.open_run(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            run.save(sys.argv[1])
        except mf.StorageError as error:
            print(error)
    """
    done = python(code, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{path} could not be written: File too large. {SPACE}" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]
    assert path.read_bytes() == before


def test_parts__are_cleared_and_nothing_else(tmp_path):
    for name in (".a.h5.1-2.part", ".b.0f.part", "a.h5", ".lock", "c.part"):
        (tmp_path / name).touch()
    clear_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "a.h5", "c.part"]


def test_folder__has_one_user_at_a_time(tmp_path):
    refusal = pytest.raises(mf.StorageError, match=r"is in use by another run\. Wait, or choose another folder")
    with sole_user(tmp_path), refusal, sole_user(tmp_path):
        pass
    with sole_user(tmp_path):
        pass


def test_folder__is_free_after_its_user_was_killed(tmp_path):
    code = """
        import os, signal, sys
        from pathlib import Path
        from particles.files.atomic import sole_user
        with sole_user(Path(sys.argv[1])):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert python(code, tmp_path).returncode == -9
    with sole_user(tmp_path):
        pass


def test_part__of_another_file_is_left_to_its_writer(tmp_path):
    for name in (".a.h5.1f.part", ".b.h5.2f.part"):
        (tmp_path / name).touch()
    clear_parts(tmp_path, "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == [".b.h5.2f.part"]


def test_lock__tells_a_holder_from_a_folder_that_cannot_be_written(tmp_path):
    path = tmp_path / "run.lock"
    with held(path, "run is taken"), pytest.raises(BusyError, match="run is taken"), held(path, "run is taken"):
        pass
    assert not path.exists()
    with pytest.raises(mf.StorageError, match="could not be made") as caught, held(tmp_path / "none" / "run.lock"):
        pass
    assert not isinstance(caught.value, BusyError)


def test_lock__on_a_file_that_its_holder_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """Another waits at the old file while its holder removes it: what is locked then is no file any more."""
    path, real, opened = tmp_path / "run.lock", atomic.fcntl.flock, []

    def late(file, how):
        if not opened:
            path.unlink()
        opened.append(file)
        real(file, how)

    monkeypatch.setattr(atomic.fcntl, "flock", late)
    with held(path):
        assert len(opened) == 2 and path.exists()
        with pytest.raises(BusyError), held(path):
            pass


@pytest.fixture
def failing(monkeypatch):
    """A maker of system calls that fail with an error number, in a process that has warned of nothing yet."""
    monkeypatch.setattr(atomic, "_warned", set())

    def make(module, name, number, only=lambda *_: True):
        real = getattr(module, name)

        def call(*arguments):
            if only(*arguments):
                raise OSError(number, os.strerror(number))
            return real(*arguments)

        monkeypatch.setattr(module, name, call)

    return make


NOT_SUPPORTED = [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, 524]


@pytest.mark.parametrize("number", NOT_SUPPORTED)
def test_lock__where_there_are_none_is_said_once(tmp_path, failing, number):
    failing(atomic.fcntl, "flock", number)
    with pytest.warns(UserWarning, match="has no file locks .*nothing stops a second run") as seen:
        for _ in range(2):
            with sole_user(tmp_path):
                pass
    assert len(seen) == 1 and not list(tmp_path.iterdir())


def test_lock__that_fails_otherwise_is_an_error(tmp_path, failing):
    failing(atomic.fcntl, "flock", errno.EIO)
    with pytest.raises(mf.StorageError, match="could not be locked: Input/output error"), sole_user(tmp_path):
        pass


def is_folder(handle):
    return stat.S_ISDIR(os.fstat(handle).st_mode)


@pytest.mark.parametrize("number", [*NOT_SUPPORTED, errno.EBADF, errno.EACCES])
def test_write__where_folders_cannot_be_flushed_says_so_once(tmp_path, failing, number):
    failing(os, "fsync", number, is_folder)
    with pytest.warns(UserWarning, match="cannot be flushed to disk .*a power failure may undo") as seen:
        for content in (b"one", b"two"):
            write_whole(tmp_path / "a.bin", content)
    assert len(seen) == 1 and [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"two")]


def test_write__where_nothing_can_be_flushed_says_so_once(tmp_path, failing):
    failing(os, "fsync", errno.EINVAL)
    with pytest.warns(UserWarning, match="cannot flush its files to disk") as seen:
        write_whole(tmp_path / "a.bin", b"one")
    assert len(seen) == 1 and (tmp_path / "a.bin").read_bytes() == b"one"


def test_write__where_a_folder_may_not_be_listed_says_so(tmp_path, failing):
    failing(os, "open", errno.EACCES, lambda path, *_: os.path.isdir(path))
    with pytest.warns(UserWarning, match="cannot be flushed to disk"):
        write_whole(tmp_path / "a.bin", b"one")
