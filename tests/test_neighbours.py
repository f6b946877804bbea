"""Other users of the machine: what they can see, change or put in the way.

Two users are tried where the tests run as root: root is one, and the other a number that no account has.
"""

import contextlib
import hashlib
import os
import pickle
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.batch import soon

import particles as mf
from particles import files, ownership
from particles.cluster import batch, scratch
from particles.errors import StorageError
from particles.files import held, lasting_file, new_file, write_whole
from particles.kernels import cache, compile, online
from particles.theory import gram_file

NEIGHBOUR = 65533
two_users = pytest.mark.skipif(os.geteuid() != 0, reason="two users need root: run this file as root to try them")


def neighbour(script, *words):
    """What the neighbour's shell says to a script: (exit code, output)."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", *map(str, words)], user=NEIGHBOUR, group=NEIGHBOUR, extra_groups=[], cwd="/",
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def python(code, *words, **options):
    command = [sys.executable, "-W", "error", "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture
def commons():
    """A folder where everybody may put files, as in /tmp: sticky."""
    folder = Path(tempfile.mkdtemp(prefix="mf-commons-", dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


# Ray's folder


@two_users
def test_ray__keeps_its_files_where_a_neighbour_cannot_enter():
    """Ray itself gives its folder to all; a log was replaced by a link, and root's file overwritten."""
    before = set(Path("/tmp").glob(f"{scratch._PREFIX}*"))
    with mf.Ray(address="local").held():
        (folder,) = set(Path("/tmp").glob(f"{scratch._PREFIX}*")) - before
        assert mode(folder) == 0o700
        open_to_all = [path for path in folder.rglob("*") if path.is_dir() and mode(path) & 0o002]
        assert folder / "r" in open_to_all, "Ray no longer does what this folder is for"
        for path in open_to_all:
            code, output = neighbour('ln -s /etc/passwd "$1/link"', path)
            assert code and "Permission denied" in output
        sockets = [path for path in folder.rglob("*") if path.is_socket()]
        assert sockets and max(len(str(path)) for path in sockets) < 107
    assert not folder.exists()


def test_scratch__of_a_killed_process_is_swept_by_the_next():
    code = """if 1:
        import os, signal
        from particles.cluster.scratch import scratch_folder
        with scratch_folder() as folder:
            open(folder + "/log", "w").close()
            print(folder, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    left = Path(python(code).stdout.strip())
    assert (left / "log").exists()
    with scratch.scratch_folder() as mine:
        assert not left.parent.exists()
        assert mode(Path(mine).parent) == 0o700
        with scratch.scratch_folder():
            assert Path(mine).exists(), "one that is in use was swept"
    assert not Path(mine).parent.exists()


@pytest.mark.slow
def test_scratch__of_a_killed_driver_with_ray_is_swept_by_the_next():
    code = """if 1:
        import os, signal, particles as mf
        with mf.Ray(address="local").held():
            print("up", flush=True)
            signal.pause()
    """
    before = set(Path("/tmp").glob(f"{scratch._PREFIX}*"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout.readline() == "up\n"
        driver.send_signal(signal.SIGKILL)
    left = set(Path("/tmp").glob(f"{scratch._PREFIX}*")) - before
    assert len(left) == 1
    time.sleep(3.0)  # Ray's processes end with their driver
    with mf.Ray(address="local").held():
        assert not any(folder.exists() for folder in left)
    assert set(Path("/tmp").glob(f"{scratch._PREFIX}*")) == before


@two_users
def test_scratch__sweeps_nothing_of_a_neighbour_and_follows_no_link(commons, tmp_path):
    name = f"{commons}/{scratch._PREFIX}"
    assert neighbour('mkdir "$1-his" && chmod 777 "$1-his" && ln -s "$2" "$1-link"', name, tmp_path) == (0, "")
    (tmp_path / "mine").touch()
    Path(f"{name}-mine").mkdir()
    scratch.sweep(commons)
    assert sorted(path.name for path in commons.iterdir()) == [f"{scratch._PREFIX}-his", f"{scratch._PREFIX}-link"]
    assert (tmp_path / "mine").exists()


# The kernel cache


@pytest.fixture
def kernels(commons, monkeypatch):
    """A maker of a kernel, its number right or the test fails: whether it was read from the cache in commons/mine."""
    monkeypatch.setenv("PARTICLES_CACHE", str(commons / "mine" / "cache"))
    monkeypatch.setattr(cache, "_checked", {})

    def read():
        compile._known.clear()
        kernel = compile.specialise(online.force_of, loss_slope=compile.inlined(online.squared_slope))
        assert kernel(0.2, 0.3, 1.0, 2.0) == pytest.approx(0.05, rel=1e-12)
        return sum(kernel.stats.cache_hits.values()) == 1

    return read


@pytest.fixture
def kept(kernels, commons):
    """The file of a kernel that was compiled."""
    assert not kernels()
    (file,) = (path for path in (commons / "mine").rglob("*") if path.is_file())
    cache._checked.clear()
    return file


def test_cache__is_made_for_its_user_alone(kernels, commons):
    before = os.umask(0)
    try:
        assert not kernels()
    finally:
        os.umask(before)
    made = sorted((commons / "mine").rglob("*"))
    assert [mode(commons / "mine"), *map(mode, made)] == [0o700, 0o700, 0o700, 0o644]
    assert kernels()


# The place below commons/mine, its mode, its owner and group (None: the tests' own), and whether it counts.
STATES = [
    (".", 0o755, None, None, True),
    (".", 0o777, None, None, False),
    (".", 0o1777, None, None, True),
    (".", 0o775, None, NEIGHBOUR, False),
    (".", 0o755, NEIGHBOUR, None, False),
    ("cache", 0o777, None, None, False),
    ("cache/kernels", 0o755, None, None, True),
    ("cache/kernels", 0o1777, None, None, False),
    ("cache/kernels", 0o770, None, NEIGHBOUR, False),
    ("cache/kernels", 0o700, NEIGHBOUR, None, False),
]


@two_users
@pytest.mark.parametrize(("place", "bits", "owner", "group", "counts"), STATES)
def test_cache__counts_only_where_nobody_else_may_change_it(kernels, kept, commons, place, bits, owner, group, counts):
    level = kept.parent if place == "cache/kernels" else (commons / "mine" / place)
    os.chown(level, -1 if owner is None else owner, -1 if group is None else group)
    level.chmod(bits)
    before = kept.read_bytes()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert [kernels(), kernels()] == [counts, counts]
    assert kept.read_bytes() == before and len(list(kept.parent.iterdir())) == 1
    said = [str(one.message) for one in seen]
    assert len(said) == (0 if counts else 1)
    if said:
        who = owner or ownership._name(os.geteuid())
        assert f"others may change {level} (owner {who}, mode {bits:04o})" in said[0]
        assert "`chmod go-w` it" in said[0] and "PARTICLES_CACHE" in said[0]


@two_users
@pytest.mark.parametrize(("owner", "counts"), [(None, True), (NEIGHBOUR, False)])
def test_cache__is_reached_by_links_of_its_user_alone(kernels, kept, commons, monkeypatch, owner, counts):
    """HOME is often a link on clusters."""
    (commons / "link").symlink_to("mine")
    if owner:
        os.chown(commons / "link", owner, owner, follow_symlinks=False)
    monkeypatch.setenv("PARTICLES_CACHE", str(commons / "link" / ".." / "link" / "cache"))
    with contextlib.nullcontext() if counts else pytest.warns(UserWarning, match=r"/link \(owner 65533, mode 0777\)"):
        assert kernels() == counts


class Payload:
    """What a pickle can do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


FOREIGN = {
    "owner": lambda path: os.chown(path, NEIGHBOUR, NEIGHBOUR),
    "all may write": lambda path: path.chmod(0o666),
    "a group may write": lambda path: (os.chown(path, -1, NEIGHBOUR), path.chmod(0o664)),
    "link": lambda path: (path.rename(path.parent.parent / "aside"), path.symlink_to(path.parent.parent / "aside")),
}


@two_users
@pytest.mark.parametrize("fault", FOREIGN)
def test_cache__runs_no_file_that_a_neighbour_may_have_written(kernels, kept, tmp_path, fault):
    """A neighbour's pickle was run as the owner. A file that does not count is replaced."""
    payload = pickle.dumps(Payload(tmp_path / "run"))
    kept.write_bytes(kept.read_bytes()[:32] + hashlib.sha256(payload).digest() + payload)
    FOREIGN[fault](kept)
    assert not kernels()
    assert not (tmp_path / "run").exists()
    assert (mode(kept), os.lstat(kept).st_uid) == (0o644, os.geteuid())
    assert kernels()


@two_users
def test_cache__of_root_that_is_read_only_is_read_by_all(commons):
    """Root compiles, and gives leave to read; then the process goes on as another user."""
    code = """if 1:
        import os, subprocess, sys
        from particles.kernels import cache, compile, online

        def read():
            compile._known.clear()
            kernel = compile.specialise(online.force_of, loss_slope=compile.inlined(online.squared_slope))
            assert abs(kernel(0.2, 0.3, 1.0, 2.0) - 0.05) < 1e-12
            return sum(kernel.stats.cache_hits.values())

        first = read()
        subprocess.run(["chmod", "-R", "go+rX", os.environ["PARTICLES_CACHE"]], check=True)
        os.setgroups([]), os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1]))
        print(first, read(), cache.can_be_written(cache.cache_folder()))
    """
    done = python(code, NEIGHBOUR, env={**os.environ, "PARTICLES_CACHE": str(commons / "shared")})
    assert (done.stdout.split(), done.stderr) == (["0", "1", "False"], "")


def test_cache__of_a_user_with_a_group_of_his_own_may_be_the_group_s(tmp_path, monkeypatch):
    """Where every user has a group called as he is (umask 002), his folders are 0775."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(0o775)
    for alone in (True, False):
        monkeypatch.setattr(ownership, "_own_group", lambda user, group, alone=alone: alone)
        assert (ownership.changeable_level(tmp_path / "folder") == "") == alone
    monkeypatch.setattr(ownership, "_own_group", lambda user, group: True)
    monkeypatch.setattr(os, "getxattr", lambda *_: b"more users are named")
    assert "mode 0775" in ownership.changeable_level(tmp_path / "folder")


# Temporary names and locks


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
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "foreseen")
    assert neighbour('ln -s "$1" "$2/.a.h5.foreseen.part"', victim, commons) == (0, "")
    with pytest.raises(StorageError, match=r"a\.h5 could not be written: File exists"):
        write_whole(commons / "a.h5", b"new")
    monkeypatch.undo()
    write_whole(commons / "a.h5", b"new")
    assert (commons / "a.h5").read_bytes() == b"new"


def test_temporary_names__of_kernels_are_random(kernels, kept, victim):
    """It was the process and the thread, which all can see."""
    import threading

    (kept.parent / f".{kept.name}.{os.getpid()}-{threading.get_ident()}.part").symlink_to(victim)
    kept.unlink()
    assert not kernels()
    assert kernels() and stat.S_ISREG(os.lstat(kept).st_mode)


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
    with pytest.raises(StorageError, match=r"run\.lock could not be made"), held(path):
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
    with pytest.raises(StorageError, match=r"It is a link, which is not followed: remove it"), files.sole_user(commons):
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

    monkeypatch.setattr(files.os, "fchown", refused)
    write_whole(path, b"newer")
    assert (mode(path), os.stat(path).st_gid) == (0o644, os.getegid())


# The head of a batch job


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A token, and a maker of the process that proves for an address; the file that it writes."""
    (tmp_path / "token").write_text("5" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    begun = []

    def publish(address, **environment):
        command = [sys.executable, "-m", "particles.cluster.batch", "publish", address, str(tmp_path / "head")]
        begun.append(subprocess.Popen(command, env={**os.environ, **environment}))
        soon((tmp_path / "head").exists)
        return str(tmp_path / "head")

    yield publish
    for process in begun:
        process.kill()
        process.wait()


@pytest.fixture
def head():
    """A socket that listens, in a head's stead, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door, f"127.0.0.1:{door.getsockname()[1]}"


def test_head__is_found_once_it_has_proved_that_it_knows_the_token(job, head, tmp_path):
    place = job(head[1])
    assert batch.find(place) == head[1]
    assert mode(tmp_path / "head") == 0o600
    with socket.create_connection(("127.0.0.1", int(Path(place).read_text().split()[1]))) as silent:
        silent.send(b"half a question")
        silent.shutdown(socket.SHUT_WR)
        assert silent.recv(32) == b"", "an answer to what is no question"
    assert batch.find(place) == head[1]


def test_head__with_another_token_is_not_joined(job, head, tmp_path):
    (tmp_path / "other").write_text("6" * 64)
    place = job(head[1], RAY_AUTH_TOKEN_PATH=str(tmp_path / "other"))
    with pytest.raises(ValueError, match=f"what is at {head[1]} does not know this job's token"):
        batch.find(place)


def test_head__at_another_address_than_was_proved_is_not_joined(job, head):
    place = Path(job(head[1]))
    place.write_text(place.read_text().replace(head[1], "127.0.0.1:1"))
    with pytest.raises(ValueError, match="does not know"):
        batch.find(str(place))


def test_head__that_is_gone_is_not_joined(job, head):
    place = job(head[1])
    head[0].close()
    with pytest.raises(ValueError, match="does not know"):
        batch.find(place)


@two_users
def test_head__whose_port_a_neighbour_took_is_not_joined(job, head):
    """The head dies, and another user's process listens where it was."""
    place = job(head[1])
    assert batch.find(place) == head[1]
    head[0].close()
    code = """if 1:
        import os, socket, sys, time
        os.setuid(int(sys.argv[1]))
        door = socket.create_server(("127.0.0.1", int(sys.argv[2])))
        print("up", flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", code, str(NEIGHBOUR), head[1].rpartition(":")[2]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "up\n"
            with pytest.raises(ValueError, match="does not know"):
                batch.find(place)
        finally:
            other.kill()


@pytest.mark.slow
def test_head__of_ray_without_a_token_is_not_joined(tmp_path, head):
    """A real one, which Ray alone would join, at the address that was published."""
    (tmp_path / "token").write_text("5" * 64)
    settings = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    theirs = {**settings, "RAY_AUTH_MODE": "disabled"}
    mine = {**settings, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    join = "import ray; ray.init(address={!r}, log_to_driver=False); print(len(ray.nodes()))"
    with scratch.scratch_folder() as folder:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--port=0", "--num-cpus=1"]
        options = ["--include-dashboard=false", f"--temp-dir={folder}", "--block"]
        with subprocess.Popen([*command, *options], env=theirs, stdout=subprocess.DEVNULL) as process:
            try:
                written = Path(folder, "ray_current_cluster")
                soon(written.exists, 60.0)
                address = written.read_text()
                (tmp_path / "head").write_text(f"{address} {head[1].rpartition(':')[2]}\n")
                words = [sys.executable, "-m", "particles.cluster.batch", "gather", tmp_path / "head", "1", "3"]
                done = subprocess.run(words, env=mine, capture_output=True, text=True, timeout=60)
                assert done.returncode == 1 and "0 of 1 nodes joined Ray within 3 s" in done.stderr
                bare = [sys.executable, "-c", join.format(address)]
                assert subprocess.run(bare, env=mine, capture_output=True, text=True, timeout=60).stdout == "1\n"
            finally:
                process.terminate()
                process.wait(60)
