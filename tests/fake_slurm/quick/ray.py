"""A stand-in for the module ray: the nodes are those that the stand-in `ray start` left as files and that still run."""

import os
import socket
import sys
from pathlib import Path

import jobs

sys.modules["ray.job_submission"] = jobs

_connected = []


def is_initialized():
    return bool(_connected)


def init(address, **_):
    if address != "auto":
        host, port = address.split(":")
        socket.create_connection((host, int(port)), timeout=1.0).close()
    _connected.append(address)


def nodes():
    found = Path(os.environ["FAKE_SLURM"], "nodes").glob("*")
    return [{"NodeManagerHostname": one.read_text(), "Alive": Path("/proc", one.name).exists()} for one in found]


def shutdown():
    _connected.clear()
