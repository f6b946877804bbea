"""The population that shards on Ray actors make up: one call a step, one number a sample back.

Nothing is mended here: a LostError goes up to whoever knows how to do the lost work again, and `revive` sets up new
shards, on the machines that are left.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from particles.errors import ClusterError, LostError
from particles.machine import mixture, processor
from particles.measures.blocks import blocks_of, root
from particles.measures.measure import Array
from particles.population.fold import combined
from particles.population.messages import Drift, OnlineRun, PopulationSpec, Reduction, Update
from particles.population.ray.actor import Order, actor_class
from particles.population.ray.allocation import particles_of, spans
from particles.population.ray.connection import Node, nodes, short
from particles.population.ray.serialization import explained, sending
from particles.population.samples import Samples, Which
from particles.population.shard import Shard

P = ParamSpec("P")
T = TypeVar("T")

# A larger message goes to the object store once; below, it travels inside each call, up to Ray's own 100 KiB.
INLINE_BYTES = 95_000
START_SECONDS = 120.0  # for an actor's process to come up: Python, Numba and a loaded machine


@dataclass
class RayPopulation:
    """All blocks of a measure on shards of a Ray cluster.

    patience: seconds without an answer before pulses are felt. leave: what ends with the population.
    """

    ray: Any
    spec: PopulationSpec
    samples: Samples | None
    shards: int
    threads: int
    patience: float
    leave: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    alpha: float = 0.0
    count: int = 0
    notice: str = ""
    blocks: int = 0
    _epoch: int = 0
    _number: int = 0
    _actors: list[Any] = field(default_factory=list)
    _homes: list[str] = field(default_factory=list)
    _shunned: set[str] = field(default_factory=set)
    _put: Any = None

    def __post_init__(self) -> None:
        self.alpha, self.count = self.spec.alpha, self.spec.start.count
        self.blocks = blocks_of(self.count)
        self._put = self._stored(self.samples)  # the data, once
        try:
            self._set_up(self._homes_for(self.shards))
        except LostError:  # a machine that went away a moment ago may still be listed
            self.revive()

    # Setting up

    def _homes_for(self, limit: int) -> list[Node]:
        """A machine for each of at most `limit` shards, spread out; fewer shards where cores are missing."""
        up = [node for node in nodes(self.ray) if node.id not in self._shunned]
        room = {node: node.cpus // self.threads for node in up}
        homes: list[Node] = []
        while len(homes) < limit and any(room.values()):
            for node in up:
                if room[node] and len(homes) < limit:
                    homes.append(node)
                    room[node] -= 1
        return sorted(homes, key=up.index)

    def _set_up(self, homes: list[Node]) -> None:
        """New shards, at the start of the run."""
        if not homes:
            raise LostError("no machine of the cluster is up")
        self._epoch, self._number = self._epoch + 1, 0
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        kind = self.ray.remote(
            num_cpus=self.threads, max_restarts=0, max_task_retries=0, concurrency_groups={"pulse": 1}
        )(actor_class(self.ray))
        self._homes = [home.id for home in homes]
        self._actors = [kind.options(scheduling_strategy=On(home.id, soft=False)).remote(self._epoch) for home in homes]
        self._feel(START_SECONDS, "did not start (are its cores taken by another job?)")
        # This process counts: it adds up what the shards send, and computes the slopes.
        self.notice = mixture([processor(), *self._answers([actor.processor.remote() for actor in self._actors])])
        runs = spans(self.blocks, len(homes))
        self._number += 1
        stamp = (self._epoch, self._number)
        parts = [self.spec._replace(start=self.spec.start.cut(*particles_of(run, self.count))) for run in runs]
        # The data's reference stands for the data only as an argument of its own.
        with sending():
            refs = [
                actor.build.remote(stamp, Order(part, self.threads, run), self._put)
                for actor, part, run in zip(self._actors, parts, runs, strict=True)
            ]
        self._answers(refs)

    def revive(self) -> None:
        """New shards after a loss, on the machines that answer; as many as there is room for."""
        self._end_actors()
        self._shunned |= self._silent()
        deadline = time.monotonic() + max(30.0, 3 * self.patience)
        while not (homes := self._homes_for(self.shards)):
            if time.monotonic() > deadline:
                self._shunned.clear()
                raise LostError("no machine of the cluster has room for a shard")
            time.sleep(0.5)
        self._set_up(homes)

    def _silent(self) -> set[str]:
        """The machines that do not begin a small task in time, though the cluster still lists them."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        homes = [node.id for node in nodes(self.ray) if node.id not in self._shunned]
        ask = self.ray.remote(num_cpus=0, max_retries=0)(_here)
        probes = {ask.options(scheduling_strategy=On(home, soft=False)).remote(): home for home in homes}
        answered, _ = self.ray.wait(list(probes), num_returns=len(probes), timeout=max(5.0, self.patience))
        fine = set()
        for ref in answered:
            with contextlib.suppress(self.ray.exceptions.RayError):
                self.ray.get(ref)
                fine.add(probes[ref])
        # What was not answered is not cancelled: Ray 2.60 ends the driver if a cancelled task answers after all.
        return set(homes) - fine if fine else set()

    def close(self) -> None:
        """End the actors, and the connection if it was made here."""
        with contextlib.suppress(Exception):
            self._end_actors()
        self.leave.close()

    def _end_actors(self) -> None:
        for actor in self._actors:
            with contextlib.suppress(Exception):
                self.ray.kill(actor)
        self._actors = []

    # Asking

    def _all(self, name: str, *args: Any) -> list[Any]:
        """One call to every shard; what they answer, in the order of their blocks."""
        self._number += 1
        stamp, message = (self._epoch, self._number), args
        if _bytes(args) > INLINE_BYTES and len(self._actors) > 1:
            message = self._stored(args)
        with sending():
            refs = [actor.call.remote(stamp, name, message) for actor in self._actors]
        return self._answers(refs)

    def _stored(self, value: Any) -> Any:
        try:
            with sending():
                return self.ray.put(value)
        except self._full as error:
            raise self._no_room(error) from error

    @property
    def _full(self) -> tuple[type[Exception], ...]:
        return self.ray.exceptions.ObjectStoreFullError, self.ray.exceptions.OutOfDiskError

    def _no_room(self, error: Exception) -> ClusterError:
        return ClusterError(
            f"Ray's object store has no room for the samples or slopes ({short(error)}). Start Ray with a larger "
            "--object-store-memory, free the disk that it spills to, or use fewer samples a step."
        )

    def _answers(self, refs: list[Any]) -> list[Any]:
        """What the calls return. Without an answer for long, those that owe one must show a pulse."""
        problems = self.ray.exceptions
        while True:
            try:
                return list(self.ray.get(refs, timeout=self.patience))
            except problems.GetTimeoutError:
                self._feel(self.patience, f"shows no pulse for {self.patience:g} s (frozen, or cut off)")
            except self._full as error:
                raise self._no_room(error) from error
            except problems.RayTaskError as error:
                cause = explained(error.cause)
                if isinstance(cause, self._full):
                    raise self._no_room(cause) from error
                if isinstance(cause, Exception) and not isinstance(cause, problems.RayError):
                    raise cause from None
                raise LostError(f"a shard was lost: {short(cause or error)}") from error
            except (problems.RayError, ConnectionError) as error:
                raise LostError(f"a shard was lost: {short(error)}") from error

    def _feel(self, seconds: float, else_: str) -> None:
        """LostError unless every shard shows a pulse; the machines of those that do not are shunned."""
        pulses = [actor.pulse.remote() for actor in self._actors]
        felt, still = self.ray.wait(pulses, num_returns=len(pulses), timeout=seconds)
        lost = [place for place, ref in enumerate(pulses) if ref in set(still)]
        if lost:
            away = sorted({self._homes[place] for place in lost})
            self._shunned |= set(away)
            names = ", ".join(home[:8] for home in away)
            raise LostError(f"{len(lost)} of {len(pulses)} shards on node {names} {else_}")
        try:
            self.ray.get(felt)
        except (self.ray.exceptions.RayError, ConnectionError) as error:
            raise LostError(f"a shard was lost: {short(error)}") from error

    # What the flow asks

    def advance(self, update: Update | None, which: Which, keep: bool = False) -> tuple[Array, bool]:
        answers = self._all("advance", update, which, keep)
        g = self.alpha * root([part for part, _ in answers], self.blocks)
        return self.spec.net.shaped(g), all(finite for _, finite in answers)

    def sum(self, which: Which, averaged: bool = False) -> Array:
        return self.spec.net.shaped(self.alpha * root(self._all("sum", which, averaged), self.blocks))

    def sweep(self, run: OnlineRun) -> tuple[Array, bool]:
        """Iterations one by one: each waits for every shard, a round trip where threads take microseconds."""
        outputs = np.zeros((len(run.sizes), self.spec.net.outputs))
        parts = self._all("begin_sweep", run)
        for t in range(len(outputs)):
            if t:
                parts = self._all("sums", outputs[t - 1])
            outputs[t] = self.alpha * root(parts, self.blocks)
        finite = all(self._all("close", outputs[-1]))
        return self.spec.net.shaped(outputs.reshape(-1)), finite

    def fold(self, reductions: Sequence[Reduction], drift: Drift | None) -> list[Array]:
        return combined(self._all("fold", list(reductions), drift), self.blocks)

    def each(self, work: Callable[Concatenate[Shard, P], T], *args: P.args, **named: P.kwargs) -> list[T]:
        return self._all("each", work, args, named)


def _here() -> bool:
    return True


def _bytes(value: Any) -> int:
    """About how large a message is: its arrays."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, Samples):
        return sum(_bytes(a) for a in (value.x, value.y, value.x_test, value.y_test))
    return sum(_bytes(part) for part in value) if isinstance(value, tuple | list) else 0
