"""`mf.Ray`: the engine that puts a population's shards, or the tasks of a study, on a Ray cluster."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from particles.checks import number, whole
from particles.errors import InputError
from particles.kernels.assemble import BLOCK
from particles.machine import mixture
from particles.measures.blocks import blocks_of
from particles.population.messages import PopulationSpec
from particles.population.population import Watch
from particles.population.ray.allocation import checked_room
from particles.population.ray.connection import Node, connected, nodes
from particles.population.ray.population import RayPopulation
from particles.population.ray.tasks import processors, run_tasks
from particles.population.samples import Samples

T = TypeVar("T")


@dataclass(frozen=True)
class Ray:
    """Run on a Ray cluster, with the same numbers as on this machine.

    Parameters
    ----------
    shards
        How many processes share the particles; None, the default, is one a machine.
    threads
        Of each shard, which reserves as many cores; None, the default, is as many as fit.
    address
        Of a running cluster; "auto" looks for one here. None, the default, is the variable RAY_ADDRESS, and without it
        "local": a private cluster on this machine's loopback, with a token of its own, that ends with the run.
    patience
        Seconds without an answer after which shards must show that they are alive, 30 by default. A shard that computes
        does; one that compiles may not for some seconds, more where shards share cores.

    Raises
    ------
    InputError
        For numbers that are not above 0, and more `shards` than blocks of particles.
    ClusterError
        If there is no cluster, it lacks the cores, or faults come again and again.

    Notes
    -----
    Of a sweep or a study each run is a task on one core. A task whose process is lost is done again. If it is lost
    again and again, its result is a `ClusterError`.
    """

    shards: int | None = None
    threads: int | None = None
    address: str | None = None
    patience: float = 30.0

    def __post_init__(self) -> None:
        for name in ("shards", "threads"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), 1, remedy="Leave it out for what the cluster has.")
        number("patience", self.patience, above=0.0, remedy="Give seconds, such as 30.")

    def populate(self, spec: PopulationSpec, samples: Samples | None = None) -> RayPopulation:
        blocks = blocks_of(spec.start.count)
        if self.shards is not None and self.shards > blocks:
            raise InputError(
                "`shards` must not exceed the number of blocks",
                f"shards={self.shards} for {blocks} blocks of {BLOCK} particles",
                "Lower `shards` or raise `count`.",
            )
        with contextlib.ExitStack() as stack:
            ray = stack.enter_context(connected(self.address))
            shards, threads = checked_room(ray, self.shards, self.threads)
            population = RayPopulation(ray, spec, samples, min(shards, blocks), threads, self.patience)
            population.leave = stack.pop_all()
            return population

    def tasks(
        self, work: Callable[..., T], shared: Any, jobs: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, T]]:
        with connected(self.address) as ray:
            yield from run_tasks(ray, work, shared, jobs, watch)

    def notice(self) -> str:
        with connected(self.address) as ray:
            return mixture(processors(ray))

    @contextlib.contextmanager
    def held(self) -> Iterator[list[Node]]:
        """A connection that is kept, so that nothing inside has to connect anew.

        Returns
        -------
        context manager
            Of the list of the cluster's machines.
        """
        with connected(self.address) as ray:
            yield nodes(ray)
