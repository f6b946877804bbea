"""The connection to Ray: what is there is used, and where nothing is, a private cluster on this machine is made.

Private means: loopback only, a token that nobody else has (in this process's environment, not in a file), no dashboard,
no usage statistics, a folder that nobody else may enter, removed at the end. What was changed in the environment is
put back.
"""

import contextlib
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from particles.errors import ClusterError, InputError
from particles.population.population import cores
from particles.population.ray.scratch import scratch_folder

ADDRESS = "RAY_ADDRESS"
PRIVATE = "local"
_KNOCK_SECONDS = 10.0
_STORE_BYTES = 2**28  # of a private cluster: data are put once, and messages are small
_STATISTICS, _MODE, _TOKEN = "RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
_BREAKPOINT = "PYTHONBREAKPOINT"  # which Ray sets for its debugger when it connects
# Ray's switch between 127.0.0.1 and every interface, which it reads when it is imported.
_EVERYWHERE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


class Node(NamedTuple):
    """One machine of the cluster that takes work."""

    id: str
    cpus: int


@lru_cache(maxsize=1)
def _own_token() -> str:
    return secrets.token_hex(32)


@contextlib.contextmanager
def environment(private: bool, loopback: bool) -> Iterator[None]:
    """What Ray must find in the environment, where the user has not set it; as it was afterwards."""
    values = {_STATISTICS: "0", "RAY_task_oom_retries": "3"}  # of tasks ended for memory; without it for ever
    if loopback:
        values[_EVERYWHERE] = "0"
    if private and not any(name in os.environ for name in (_MODE, _TOKEN, "RAY_AUTH_TOKEN_PATH")):
        values[_TOKEN] = _own_token()  # with a token there, Ray asks for it by itself, and writes none to HOME
    before = {name: os.environ.get(name) for name in (*values, _MODE, _BREAKPOINT)}
    os.environ.update({name: value for name, value in values.items() if name not in os.environ})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def on_loopback(ray: Any, switch: bool) -> Iterator[None]:
    """The same switch for a Ray that was imported before it was set."""
    constants: Any = getattr(getattr(ray, "_private", None), "ray_constants", None)
    if not switch or not hasattr(constants, "ENABLE_RAY_CLUSTER"):
        yield
        return
    before, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def reread_authentication() -> None:
    """Ray reads how to authenticate once, when it is imported; again, for one that was imported with other settings.

    Else a process that tried an address without tokens could start no private cluster afterwards.
    """
    from ray import _raylet

    config, tokens = getattr(_raylet, "Config", None), getattr(_raylet, "AuthenticationTokenLoader", None)
    if config and tokens:  # Ray's own names
        config.initialize("")
        tokens.instance().reset_cache()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Ray's own words about how it starts."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """The module `ray`, connected: to what this process is connected to already, to `address`, to RAY_ADDRESS, or to a
    private cluster, in this order. A connection made here ends here.
    """
    address = None if address == PRIVATE else address or os.environ.get(ADDRESS) or None
    here = address is None or address.rpartition(":")[0] in ("127.0.0.1", "localhost")
    with environment(address is None, here):
        import ray

        if ray.is_initialized():
            yield ray
            return
        with scratch_folder() if address is None else contextlib.nullcontext() as folder:
            try:
                with on_loopback(ray, here), quiet(), _signals():
                    reread_authentication()
                    _start(ray, address, folder)
                yield ray
            finally:
                ray.shutdown(wait_for_processes=True)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it connects; the handler that was there gets it back."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _start(ray: Any, address: str | None, folder: str | None) -> None:
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address is None:
        settings |= {
            "address": "local", "num_cpus": cores(), "include_dashboard": False, "_temp_dir": folder,
            "object_store_memory": _STORE_BYTES,
        }  # fmt: skip
    else:
        settings["address"] = address
        _knock(address)
    try:
        ray.init(**settings)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if address is None:
            raise ClusterError(f"Ray could not be started on this machine: {reason}. Use the local engine.") from error
        raise _no_cluster(address, reason) from error


def _knock(address: str) -> None:
    """Ask whether anything listens there, since Ray itself would ask for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from error


def _no_cluster(address: str, reason: str) -> InputError:
    return InputError(
        "`address` must name a running Ray cluster that this process may join",
        f"{address} ({reason})",
        "Start one (`ray start --head`), check RAY_AUTH_TOKEN_PATH, or leave `address` out.",
    )


def nodes(ray: Any) -> list[Node]:
    """The machines that are up, those that joined first coming first."""
    machines = [
        Node(str(node["NodeID"]), int(node["Resources"].get("CPU", 0)))
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    return sorted(machines)


def short(error: BaseException) -> str:
    """The first line of what Ray says, which says much."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
