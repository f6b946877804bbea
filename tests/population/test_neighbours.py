"""Other users of the machine: what they can see, change or put in the way.

Two users are tried where the tests run as root: root is one, and the other a number that no account has.
"""

import contextlib
import hashlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from support.users import NEIGHBOUR, mode, neighbour, two_users

from particles.cli import doctor
from particles.files import ownership
from particles.kernels import cache, compile, online
from particles.population.ray import scratch
from particles.population.ray.connection import connected


def python(code, *words, **options):
    command = [sys.executable, "-W", "error", "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def content(path):
    try:
        return path.read_bytes()
    except OSError:  # a process that has ended
        return b""


# Ray's folder


@pytest.mark.slow
@two_users
def test_ray__keeps_its_files_where_a_neighbour_cannot_enter():
    """Ray itself gives its folder to all; a log was replaced by a link, and root's file overwritten."""
    with connected("local") as ray:
        folder = Path(ray._private.worker.global_worker.node.get_temp_dir_path()).parent
        assert mode(folder) == 0o700
        open_to_all = [path for path in folder.rglob("*") if path.is_dir() and mode(path) & 0o002]
        assert folder / "r" in open_to_all, "Ray no longer does what this folder is for"
        for path in open_to_all:
            code, output = neighbour('ln -s /etc/passwd "$1/link"', path)
            assert code and "Permission denied" in output
        token = os.environ["RAY_AUTH_TOKEN"].encode()  # all may read a command line
        assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if token in content(path)]
        sockets = [path for path in folder.rglob("*") if path.is_socket()]
        assert sockets and max(len(str(path)) for path in sockets) < 107
    assert not folder.exists()


def test_scratch__of_a_killed_process_is_swept_by_the_next():
    code = """if 1:
        import os, signal
        from particles.population.ray.scratch import scratch_folder
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
        import signal
        from particles.population.ray.connection import connected
        with connected("local") as ray:
            print(ray._private.worker.global_worker.node.get_temp_dir_path(), flush=True)
            signal.pause()
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        left = Path(driver.stdout.readline().strip())
        driver.send_signal(signal.SIGKILL)
    assert left.exists()
    time.sleep(3.0)  # Ray's processes end with their driver
    with connected("local"):
        assert not left.parent.exists()


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


@pytest.mark.parametrize(
    ("place", "bits", "owner", "group", "counts"),
    [pytest.param(*state, marks=[two_users] if NEIGHBOUR in state else []) for state in STATES],
)
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


def test_doctor__says_that_a_cache_does_not_count_and_why(kept, commons):
    (commons / "mine").chmod(0o777)
    assert f"which is not used: others may change {commons / 'mine'} (owner" in doctor._kept(kept.parent)
    assert doctor._kept(commons / "another") == f"{commons / 'another'}"


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


@pytest.mark.parametrize(
    "fault", ["all may write", "link", *(pytest.param(one, marks=two_users) for one in ("owner", "a group may write"))]
)
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


def test_temporary_names__of_kernels_are_random(kernels, kept, tmp_path):
    """It was the process and the thread, which all can see."""
    (kept.parent / f".{kept.name}.{os.getpid()}-{threading.get_ident()}.part").symlink_to(tmp_path / "none")
    kept.unlink()
    assert not kernels()
    assert kernels() and not (tmp_path / "none").exists()


@two_users
def test_folder__above_which_root_has_no_number_counts(commons, monkeypatch):
    """As in a container that maps this user alone: root's folders are shown as somebody's."""
    folder = commons / "above" / "cache"
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder.parent, NEIGHBOUR, NEIGHBOUR)
    assert str(folder.parent) in ownership.changeable_level(folder)
    monkeypatch.setattr(ownership, "_without_number", lambda: NEIGHBOUR)
    assert ownership.changeable_level(folder) == ""
    assert str(folder.parent) in ownership.changeable_level(folder.parent)
