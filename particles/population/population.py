"""A population: all blocks of a measure, wherever they live. `Local` has them on this machine's threads.

What a population adds to its shards is small: it adds their branches in the one tree of sums, and multiplies by alpha.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np

from particles import machine
from particles.checks import whole
from particles.measures.blocks import blocks_of, tree_sum
from particles.measures.measure import Array, Measure
from particles.population.fold import fold_with
from particles.population.messages import Drift, OnlineRun, PopulationSpec, Reduction, Update
from particles.population.online import sweep_blocks
from particles.population.samples import Samples, Which
from particles.population.shard import Shard

P = ParamSpec("P")
T = TypeVar("T")


class Population(Protocol):
    """All blocks of a measure, wherever they live: what the flow needs of them.

    advance : an update, if there is one, then g at the next inputs, (n,), or (n, k) of several outputs; and whether all
    particles are still finite
    sum : g at inputs. fold : reductions over all blocks. sweep : a stretch of one-sample iterations
    each : work(shard, ...) on every shard, in the order of their blocks
    notice : a warning about the machines, such as processors of several families; or empty
    revive : after a LostError, all shards anew, at the start of the run
    """

    count: int
    alpha: float
    notice: str

    def advance(self, update: Update | None, which: Which, keep: bool = False) -> tuple[Array, bool]: ...
    def sum(self, which: Which, averaged: bool = False) -> Array: ...
    def sweep(self, run: OnlineRun) -> tuple[Array, bool]: ...
    def fold(self, reductions: Sequence[Reduction], drift: Drift | None) -> list[Array]: ...
    def each(self, work: Callable[Concatenate[Shard, P], T], *args: P.args, **named: P.kwargs) -> list[T]: ...
    def revive(self) -> None: ...
    def close(self) -> None: ...


class Watch(NamedTuple):
    """How running tasks are observed: seen(number, note) gets a task's notes; stop() says to begin no further task."""

    seen: Callable[[int, Any], None]
    stop: Callable[[], bool]


class Engine(Protocol):
    """Where particles live and runs are made: `Local` or `Ray`.

    Notes
    -----
    `populate(spec, samples)` is the population that a specification describes.

    `tasks(work, shared, jobs, watch)` calls `work(shared, job)` for every job, in any order, and yields the number of
    the job and what it returned, as each ends. With a `watch` it calls `work(shared, job, note)`, where `note(value)`
    says whether to stop.

    `notice()` is a warning about the machines that tasks run on, such as processors of several families; or empty.
    """

    def populate(self, spec: PopulationSpec, samples: Samples | None = None) -> Population: ...
    def tasks(
        self, work: Callable[..., T], shared: Any, jobs: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, T]]: ...
    def notice(self) -> str: ...


def cores() -> int:
    """How many cores this process may use."""
    return machine.cores()


@dataclass(frozen=True)
class Local:
    """Run on this machine.

    Parameters
    ----------
    threads
        None, the default, takes every core that this process may use. The result does not depend on it.

    Raises
    ------
    InputError
        For `threads` below 1.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> start, method = law.sample(512, seed=0), mf.GradientDescent(0.5)
    >>> one, two = (mf.simulate(net, start, data, method, steps=4, engine=mf.Local(k)) for k in (1, 2))
    >>> bool((one.measure.b == two.measure.b).all())
    True
    """

    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None:
            whole("threads", self.threads, 1, remedy="Leave it out to use all cores.")

    def populate(self, spec: PopulationSpec, samples: Samples | None = None) -> "LocalPopulation":
        return LocalPopulation(Shard(spec, self.threads or cores(), samples))

    def tasks(
        self, work: Callable[..., T], shared: Any, jobs: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, T]]:
        size = self.threads or cores()
        pool = ThreadPoolExecutor(size)

        def call(number: int, job: Any) -> T:
            return work(shared, job, partial(_note, watch, number)) if watch else work(shared, job)

        waiting: dict[Future[T], int] = {}
        following = iter(enumerate(jobs))
        try:
            while True:
                # No more at once than can begin soon: what ended is handed on before more is begun.
                for number, job in itertools.islice(following, size + 1 - len(waiting)):
                    waiting[pool.submit(call, number, job)] = number
                if not waiting:
                    return
                ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for done in ended:
                    yield waiting.pop(done), done.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def notice(self) -> str:
        return ""


def engine_for(engine: Engine, count: int) -> Engine:
    """The engine, or this machine: a few particles need no cluster, and have no more shards than blocks."""
    return Local() if blocks_of(count) < (getattr(engine, "shards", None) or 1) else engine


def _note(watch: Watch, number: int, value: Any) -> bool:
    watch.seen(number, value)
    return watch.stop()


class LocalPopulation:
    """One shard that holds every block."""

    def __init__(self, shard: Shard) -> None:
        self.shard, self.count, self.alpha = shard, shard.count, shard.alpha
        self.notice = ""

    def advance(self, update: Update | None, which: Which, keep: bool = False) -> tuple[Array, bool]:
        finite = update is None or self.shard.move(update)
        return self._outputs(self.shard.sums(which, keep=keep)), finite

    def sum(self, which: Which, averaged: bool = False) -> Array:
        return self._outputs(self.shard.sums(which, averaged))

    def _outputs(self, sums: Array) -> Array:
        return self.shard.net.shaped(self.alpha * tree_sum(sums))

    def sweep(self, run: OnlineRun) -> tuple[Array, bool]:
        return sweep_blocks(self.shard, run)

    def fold(self, reductions: Sequence[Reduction], drift: Drift | None) -> list[Array]:
        return fold_with(tree_sum, self.shard, reductions, drift)

    def each(self, work: Callable[Concatenate[Shard, P], T], *args: P.args, **named: P.kwargs) -> list[T]:
        return [work(self.shard, *args, **named)]

    def revive(self) -> None:
        """Nothing: no shard of this process is ever lost."""

    def close(self) -> None:
        self.shard.close()


def measure_of(population: Population, averaged: bool = False, last: bool = False) -> Measure:
    """All particles as one measure in float64, gathered here; or the average of their iterates.

    last: the population is not used again, so that its memory may become the measure's.
    """
    return _together(population.each(Shard.measure, averaged, last))


def positions_of(population: Population, first: int) -> Measure:
    """The first particles, with the weights they have in the measure."""
    return _together(population.each(Shard.positions, first))


def _together(parts: list[Measure]) -> Measure:
    """One measure of the shards' parts."""
    return parts[0] if len(parts) == 1 else Measure(*map(np.concatenate, zip(*parts, strict=True)))
