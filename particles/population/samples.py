"""The samples that particles are asked about, by place, so that a step never has to carry them.

A place is an iteration (the samples of its step), "train" or "test". Whoever holds particles holds a copy of this, made
once; the same place has the same inputs everywhere.
"""

import numpy as np

from particles.data.dataset import Batches, Dataset, Stream
from particles.measures.measure import Array
from particles.model.network import Network

Place = int | str


class Samples:
    """Inputs as the network sees them, and their targets."""

    def __init__(self, net: Network, batches: Batches, train: Dataset, test: Dataset | None = None) -> None:
        self.net, self.batches = net, batches
        self.x, self.y = net.inputs(train.x), train.y
        nothing = np.empty((0, self.x.shape[1])), np.empty(0)
        self.x_test, self.y_test = (net.inputs(test.x), test.y) if test else nothing
        self._here: tuple[int, Array, Array] | None = None

    @property
    def whole(self) -> bool:
        """Whether every step is on all training samples."""
        return self.batches.batch is None

    def at(self, place: Place) -> Array:
        """The inputs at a place: (n, d); asked for again they are the same array."""
        return self._pair(place)[0]

    def targets(self, place: Place) -> Array:
        """The targets at a place: (n,)."""
        return self._pair(place)[1]

    def run(self, first: int, last: int) -> tuple[Array, Array]:
        """The samples of iterations [first, last), one after another."""
        x, y = self.batches.run(first, last)
        return self.net.inputs(x), y

    def _pair(self, place: Place) -> tuple[Array, Array]:
        if place == "train" or (self.whole and isinstance(place, int)):
            return self.x, self.y
        if not isinstance(place, int):
            assert place == "test", place
            return self.x_test, self.y_test
        if self._here is None or self._here[0] != place:
            x, y = self.batches.at(place)
            self._here = place, self.net.inputs(x), y
        return self._here[1:]

    def owned(self) -> "Samples":
        """The same with arrays that may be written to: those that were sent to another process are read-only."""
        source = self.batches.source
        if not isinstance(source, Stream):
            source = Dataset(source.x, source.y)
        mine = object.__new__(Samples)
        mine.net, mine.batches = self.net, Batches(source, self.batches.batch, self.batches.seed)
        mine.x, mine.y, mine.x_test, mine.y_test = (
            np.array(a, order="C") for a in (self.x, self.y, self.x_test, self.y_test)
        )
        mine._here = None
        return mine
