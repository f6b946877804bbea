"""Work on a population that is done again where a part of a cluster was lost."""

from collections.abc import Callable
from typing import TypeVar

from particles.errors import ClusterError, LostError
from particles.population.population import Population
from particles.simulation.runner import FAULTS

T = TypeVar("T")


def through_faults(population: Population, work: Callable[[], T]) -> T:
    """What `work` returns; after a loss again from the start of the run, on new shards.

    ClusterError where shards are lost too often: nothing is saved on the way, so each loss costs all of the work.
    """
    for faults in range(FAULTS + 1):
        try:
            if faults:
                population.revive()
            return work()
        except LostError as fault:
            lost = fault
    raise ClusterError(f"the work was lost {FAULTS + 1} times: {lost}. Mend the cluster (memory? a node?).") from lost
