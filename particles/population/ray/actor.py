"""A shard in a process of its own, as a Ray actor.

Every call carries (epoch, number). An actor answers only its own epoch and the number that follows, so neither a blank
one nor one that was given up for lost can slip a number in.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from particles.errors import LostError
from particles.machine import Processor, processor
from particles.population.online import Walk
from particles.population.ray.rows import adopt
from particles.population.samples import Samples
from particles.population.shard import Shard
from particles.population.updates import Field, Leg, Move, Partial, Recipe, Where


class Order(NamedTuple):
    """What an actor is told to make: its part of a population's recipe, with the blocks that it is."""

    recipe: Recipe
    rows: bytes  # the activation, if it is the user's own
    threads: int
    span: tuple[int, int]


class ShardActor:
    """A shard in a process of its own."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self.number = epoch, 0
        self.shard: Shard | None = None
        self.walk: Walk | None = None

    def call(self, stamp: tuple[int, int], name: str, args: tuple[Any, ...]) -> Any:
        """One of the methods below, if this is the call that is due."""
        self.number += 1
        if stamp != (self.epoch, self.number):
            raise LostError(f"a shard is out of step: it was asked for {stamp} at {(self.epoch, self.number)}")
        return getattr(self, f"_{name}")(*args)

    def _build(self, order: Order, samples: Samples | None) -> None:
        adopt(order.rows)
        self.shard = Shard(order.recipe, order.threads, samples and samples.owned(), order.span)

    def _advance(self, move: Move | None, where: Where, keep: bool) -> Any:
        assert self.shard is not None
        return self.shard.advance(move, where, keep)

    def _sum(self, where: Where, averaged: bool) -> Any:
        assert self.shard is not None
        return self.shard.branches(where, averaged)

    def _fold(self, partials: Sequence[Partial], field: Field | None) -> Any:
        assert self.shard is not None
        return self.shard.fold(partials, field)

    def _each(self, work: Callable[..., Any], args: Any, named: Any) -> Any:
        return work(self.shard, *args, **named)

    def _walk(self, leg: Leg) -> Any:
        assert self.shard is not None
        self.walk = Walk(self.shard, leg)
        return self.walk.sums(None)

    def _sums(self, g: float) -> Any:
        assert self.walk is not None
        return self.walk.sums(g)

    def _close(self, g: float) -> bool:
        assert self.walk is not None
        walk, self.walk = self.walk, None
        return walk.close(g)


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
