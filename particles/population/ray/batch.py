"""Where the head of a batch job's Ray cluster is, and proof that it is this job's.

drivers/cluster/slurm.sbatch calls `python -m particles.population.ray.batch`. The head takes a port that is free, and
its address goes to a file for this user alone. It must prove that it knows the job's token before anything joins it:
Ray alone would send the token to what listens there, and would join a head that wants none.
"""

import contextlib
import hmac
import os
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import Any

from particles.files.atomic import replacement

_TOKEN = "RAY_AUTH_TOKEN_PATH"
_LENGTH = 32  # bytes of a question and of an answer
_SECONDS = 5.0
_LISTENS = "0A"  # Linux's number for it in /proc/net/tcp


def route(host: str) -> str:
    """This machine's IPv4 address on the way to a host. (`hostname -i` may say 127.0.1.1, IPv6 or several.)"""
    there = socket.getaddrinfo(host, 9, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(there)  # sends nothing
        return str(probe.getsockname()[0])


def publish(address: str, place: str) -> None:
    """Write the head's address to a file, and that of the proof; then prove to who asks, until this process is ended.

    Only as long as what listens at the address is this user's: when the head is gone another user may take its port.
    """
    token, (host, port) = Path(os.environ[_TOKEN]).read_bytes(), _parts(address)
    with socket.create_server((host, 0)) as door:
        with replacement(Path(place), mode=0o600) as file:
            file.write(f"{address} {door.getsockname()[1]}\n".encode())
        while True:
            with contextlib.suppress(OSError), door.accept()[0] as caller:
                caller.settimeout(_SECONDS)
                question = caller.recv(_LENGTH, socket.MSG_WAITALL)
                if len(question) == _LENGTH and _owners(port) == {os.geteuid()}:
                    caller.sendall(_answer(token, question, address))


def find(place: str) -> str:
    """The head's address, once it has proved that it knows the token. OSError or ValueError until then."""
    address, port = Path(place).read_text().split()
    token, question = Path(os.environ[_TOKEN]).read_bytes(), secrets.token_bytes(_LENGTH)
    with socket.create_connection((_parts(address)[0], int(port)), timeout=_SECONDS) as call:
        call.sendall(question)
        answer = call.recv(_LENGTH, socket.MSG_WAITALL)
    if not hmac.compare_digest(answer, _answer(token, question, address)):
        raise ValueError(f"what is at {address} does not know this job's token")
    return address


def gather(place: str, count: str, seconds: str) -> str:
    """The head's address, once so many nodes have joined it; ends with a line about those that have, if time is up."""
    import ray as module

    ray: Any = module
    names: list[str] = []
    address, fault, end = "", "no head", time.monotonic() + float(seconds)
    while True:
        try:
            if not ray.is_initialized():
                address = find(place)
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            names = sorted(node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"])
        except Exception as error:
            fault = f"{type(error).__name__}: {error}".splitlines()[0]
        if len(names) >= int(count):
            return address
        if time.monotonic() > end:
            joined = f"{len(names)} of {count} nodes joined Ray{address and ' at '}{address} within {seconds} s"
            sys.exit(f"slurm.sbatch: {joined}: {' '.join(names) or fault}")
        time.sleep(0.2)


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _answer(token: bytes, question: bytes, address: str) -> bytes:
    return hmac.digest(token, question + address.encode(), "sha256")


def _owners(port: int) -> set[int]:
    """The users whose processes listen at a port of this machine."""
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path("/proc/net", table).read_text().splitlines()]
    return {int(row[7]) for row in rows if row[1].endswith(f":{port:04X}") and row[3] == _LISTENS}


if __name__ == "__main__":
    commands: dict[str, Any] = {"route": route, "publish": publish, "find": find, "gather": gather}
    print(commands[sys.argv[1]](*sys.argv[2:]))
