"""The samples of a run, which every shard holds, so that a step names its inputs and never has to carry them.

Which samples is said in one way, everywhere: an iteration (the samples of its step), "train", "test", or the inputs
themselves. The same name has the same inputs in every process.
"""

import numpy as np

from particles.data.batches import Batches
from particles.data.dataset import Dataset, Stream
from particles.measures.measure import Array
from particles.model.network import Network

Which = int | str | Array  # an iteration, "train", "test"; or inputs (n, d) as the network sees them


class Samples:
    """Inputs as the network sees them, and their targets."""

    def __init__(self, net: Network, batches: Batches, train: Dataset, test: Dataset | None = None) -> None:
        self.net, self.batches = net, batches
        self.whole = batches.batch is None  # every step is on all training samples
        self.x, self.y = net.inputs(train.x), train.y
        nothing = np.empty((0, self.x.shape[1])), np.empty((0, *self.y.shape[1:]))
        self.x_test, self.y_test = (net.inputs(test.x), test.y) if test else nothing
        # Of the last iteration and the last run of iterations that were asked for.
        self._last: tuple[int, Array, Array] | None = None
        self._run: tuple[tuple[int, int], Array, Array] | None = None

    def inputs(self, which: int | str) -> Array:
        """The inputs, (n, d); the same array each time."""
        return self._pair(which)[0]

    def targets(self, which: int | str) -> Array:
        """The targets, (n,), or (n, k) of k outputs."""
        return self._pair(which)[1]

    def run(self, first: int, last: int) -> tuple[Array, Array]:
        """The samples of iterations [first, last), one after another."""
        if self._run is None or self._run[0] != (first, last):
            x, y = self.batches.run(first, last)
            self._run = (first, last), self.net.with_bias(x), y
        return self._run[1:]

    def _pair(self, which: int | str) -> tuple[Array, Array]:
        if which == "train" or (self.whole and isinstance(which, int)):
            return self.x, self.y
        if not isinstance(which, int):
            assert which == "test", which
            return self.x_test, self.y_test
        if self._last is None or self._last[0] != which:
            x, y = self.batches.at(which)
            self._last = which, self.net.with_bias(x), y
        return self._last[1:]

    def owned(self) -> "Samples":
        """The same with arrays that may be written to: those that were sent to another process are read-only."""
        source = self.batches.source
        if not isinstance(source, Stream):
            source = Dataset(source.x, source.y)
        mine = object.__new__(Samples)
        mine.net, mine.batches = self.net, Batches(source, self.batches.batch, self.batches.seed)
        mine.whole = self.whole
        mine.x, mine.y, mine.x_test, mine.y_test = (
            np.array(a, order="C") for a in (self.x, self.y, self.x_test, self.y_test)
        )
        mine._last = mine._run = None
        return mine
