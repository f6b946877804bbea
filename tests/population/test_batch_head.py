"""The head of a batch job's Ray cluster: nothing joins one that does not know the job's token."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.batch import soon
from support.users import NEIGHBOUR, mode, two_users

from particles.population.ray import batch, scratch


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A token, and a maker of the process that proves for an address; the file that it writes."""
    (tmp_path / "token").write_text("5" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    begun = []

    def publish(address, **environment):
        command = [sys.executable, "-m", "particles.population.ray.batch", "publish", address, str(tmp_path / "head")]
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
                words = [sys.executable, "-m", "particles.population.ray.batch", "gather", tmp_path / "head", "1", "3"]
                done = subprocess.run(words, env=mine, capture_output=True, text=True, timeout=60)
                assert done.returncode == 1 and "0 of 1 nodes joined Ray within 3 s" in done.stderr
                bare = [sys.executable, "-c", join.format(address)]
                assert subprocess.run(bare, env=mine, capture_output=True, text=True, timeout=60).stdout == "1\n"
            finally:
                process.terminate()
                process.wait(60)
