"""A cluster of several nodes on this machine's loopback, and ways to hurt it: for tests and drivers/cluster/faults.py.

Needs the extra `test` (psutil).
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from particles.population.ray.connection import environment, on_loopback, quiet, reread_authentication
from particles.population.ray.scratch import scratch_folder

_STORE = 80 * 2**20


class LocalCluster:
    """Nodes of a Ray cluster as processes of this machine."""

    def __init__(self, cluster: Any, nodes: int, cpus: int, settings: dict[str, str]) -> None:
        self._cluster, self._nodes, self._cpus, self._settings = cluster, nodes, cpus, settings

    @property
    def address(self) -> str:
        """Where the cluster is reached."""
        return str(self._cluster.address)

    def add(self) -> None:
        """One node more."""
        import ray

        with _settings(self._settings), on_loopback(ray, switch=True), quiet():
            self._cluster.add_node(num_cpus=self._cpus, object_store_memory=_STORE)

    def remove(self, choice: int) -> None:
        """A node goes away without a word."""
        node = self._victim(choice)
        for process in _family(node):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._cluster.remove_node(node, allow_graceful=False)

    @contextlib.contextmanager
    def frozen(self, choice: int) -> Iterator[None]:
        """A node that neither works nor answers; it goes away afterwards."""
        node = self._victim(choice)
        family = _family(node)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        try:
            yield
        finally:
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self._cluster.remove_node(node, allow_graceful=False)

    def mend(self) -> None:
        """As many nodes as at first."""
        while 1 + len(self._others()) < self._nodes:
            self.add()

    def _others(self) -> list[Any]:
        return sorted(self._cluster.worker_nodes, key=lambda node: node.node_id)

    def _victim(self, choice: int) -> Any:
        """A node that is neither the head nor the one that this process joined: Ray ends a driver with its node."""
        import ray

        mine = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
        left = [node for node in self._others() if node.node_id != mine]
        return left[choice % len(left)]


def _family(node: Any) -> list[psutil.Process]:
    """The processes of a node: its own and all that they started."""
    family = []
    for info in [one for kind in node.all_processes.values() for one in kind]:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(info.process.pid)
            family += [process, *process.children(recursive=True)]
    return family


def actors() -> list[psutil.Process]:
    """The processes that hold shards on the nodes that this process started."""
    shards: list[psutil.Process] = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if (process.cmdline() or [""])[0].startswith("ray::Actor"):
                shards.append(process)
    return shards


@contextlib.contextmanager
def cluster(nodes: int, cpus: int, **ray_settings: str) -> Iterator[LocalCluster]:
    """A cluster that ends with the block: no process, file in HOME or shared memory stays.

    ray_settings: of the nodes, as Ray's own environment variables RAY_<name> have them.
    """
    settings = {f"RAY_{name}": value for name, value in ray_settings.items()}
    # Only `ray.init` asks for tokens by itself; nodes that are started one by one must be told to.
    with environment(private=True, loopback=True), _settings({"RAY_AUTH_MODE": "token"}), scratch_folder() as folder:
        import ray
        from ray.cluster_utils import Cluster

        first = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": _STORE, "temp_dir": folder}
        with on_loopback(ray, switch=True), quiet(), _settings(settings):
            reread_authentication()
            started = Cluster(initialize_head=True, head_node_args=first)
        try:
            whole = LocalCluster(started, nodes, cpus, settings)
            whole.mend()
            yield whole
        finally:
            started.shutdown()  # type: ignore[no-untyped-call,unused-ignore]


@contextlib.contextmanager
def _settings(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})


@contextlib.contextmanager
def memory_guarded(room: int) -> Iterator[LocalCluster]:
    """A cluster whose nodes end their largest worker when this machine's memory in use grows by more than `room`."""
    memory = psutil.virtual_memory()
    limit = (memory.total - memory.available + room) / memory.total
    watch = {"memory_usage_threshold": f"{limit:.4f}", "memory_monitor_refresh_ms": "50"}
    with cluster(nodes=2, cpus=2, **watch) as guarded:
        yield guarded


def fill_memory(size: int, seconds: float = 20.0) -> None:
    """Take so much memory until a shard is gone for it, in a thread."""

    def hog() -> None:
        before, end = {process.pid for process in actors()}, time.monotonic() + seconds
        taken = bytearray(size)
        taken[::4096] = b"1" * len(taken[::4096])
        while before <= {process.pid for process in actors()} and time.monotonic() < end:
            time.sleep(0.02)

    threading.Thread(target=hog).start()
