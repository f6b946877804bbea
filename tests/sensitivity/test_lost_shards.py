"""Work that was lost is done again from the start of the run, and given up after too many losses."""

import pytest

from particles.errors import ClusterError, LostError
from particles.sensitivity.faults import through_faults
from particles.simulation.runner import FAULTS


class Fragile:
    """A population whose work, or whose new shards, are lost so many times."""

    def __init__(self, lost, lost_shards=0):
        self.lost, self.lost_shards, self.calls = lost, lost_shards, []

    def revive(self):
        self.calls.append("revive")
        if self.lost_shards:
            self.lost_shards -= 1
            raise LostError("no machine has room")

    def work(self):
        self.calls.append("work")
        if self.lost:
            self.lost -= 1
            raise LostError("a shard was lost")
        return "done"


@pytest.mark.parametrize(
    ("lost", "lost_shards", "calls"),
    [
        (0, 0, ["work"]),
        (1, 0, ["work", "revive", "work"]),
        (1, 1, ["work", "revive", "revive", "work"]),
        (FAULTS, 0, ["work", *["revive", "work"] * FAULTS]),
    ],
)
def test_lost_work__is_done_again_on_new_shards(lost, lost_shards, calls):
    population = Fragile(lost, lost_shards)
    assert through_faults(population, population.work) == "done"
    assert population.calls == calls


def test_work_that_is_lost_again_and_again__is_an_error_with_its_cause():
    population = Fragile(lost=FAULTS + 1)
    with pytest.raises(ClusterError, match=f"lost {FAULTS + 1} times: a shard was lost") as caught:
        through_faults(population, population.work)
    assert isinstance(caught.value.__cause__, LostError) and population.calls.count("work") == FAULTS + 1
