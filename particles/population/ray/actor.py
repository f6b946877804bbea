"""A shard in a process of its own, as a Ray actor.

Every call carries (epoch, number). An actor answers only its own epoch and the number that follows, so neither a blank
one nor one that was given up for lost can slip a number in.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from particles.errors import LostError
from particles.machine import Processor, processor
from particles.measures.measure import Array
from particles.population.fold import fold_blocks
from particles.population.messages import Drift, OnlineRun, PopulationSpec, Reduction, Update
from particles.population.online import ShardSweep
from particles.population.samples import Samples, Which
from particles.population.shard import Shard


class Order(NamedTuple):
    """What an actor is told to make: its part of a population's spec, with the blocks that it is."""

    spec: PopulationSpec
    threads: int
    span: tuple[int, int]


class ShardActor:
    """A shard in a process of its own."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self.number = epoch, 0
        self.shard: Shard | None = None
        self.sweep: ShardSweep | None = None

    def call(self, stamp: tuple[int, int], name: str, args: tuple[Any, ...]) -> Any:
        """One of the methods below, if this is the call that is due."""
        self.number += 1
        if stamp != (self.epoch, self.number):
            raise LostError(f"a shard is out of step: it was asked for {stamp} at {(self.epoch, self.number)}")
        return getattr(self, f"_{name}")(*args)

    def _build(self, order: Order, samples: Samples | None) -> None:
        self.shard = Shard(order.spec, order.threads, samples and samples.owned(), order.span)

    def _advance(self, update: Update | None, which: Which, keep: bool) -> Any:
        assert self.shard is not None
        finite = update is None or self.shard.move(update)
        return self.shard.branches(which, keep=keep), finite

    def _sum(self, which: Which, averaged: bool) -> Any:
        assert self.shard is not None
        return self.shard.branches(which, averaged)

    def _fold(self, reductions: Sequence[Reduction], drift: Drift | None) -> Any:
        assert self.shard is not None
        return fold_blocks(self.shard, reductions, drift)

    def _each(self, work: Callable[..., Any], args: Any, named: Any) -> Any:
        return work(self.shard, *args, **named)

    def _begin_sweep(self, run: OnlineRun) -> Any:
        assert self.shard is not None
        self.sweep = ShardSweep(self.shard, run)
        return self.sweep.sums(None)

    def _sums(self, g: Array) -> Any:
        assert self.sweep is not None
        return self.sweep.sums(g)

    def _close(self, g: Array) -> bool:
        assert self.sweep is not None
        sweep, self.sweep = self.sweep, None
        return sweep.close(g)


def actor_class(ray: Any) -> type:
    """The actor's class as Ray wants it: `pulse` beside the rest."""

    class Actor(ShardActor):
        @ray.method(concurrency_group="pulse")  # type: ignore[untyped-decorator,unused-ignore]
        def pulse(self) -> bool:
            """Answered beside whatever the shard is computing."""
            return True

        def processor(self) -> Processor:
            return processor()

        def build(self, stamp: tuple[int, int], order: Order, samples: Samples | None) -> None:
            self.call(stamp, "build", (order, samples))

    return Actor
