"""Which samples each iteration uses: all of a data set, or a batch drawn from it or from a stream."""

import numpy as np

from particles.data.dataset import Dataset, Stream
from particles.errors import InputError
from particles.measures.measure import Array
from particles.measures.random_streams import Purpose, generator


class Batches:
    """The samples of each iteration, drawn for some iterations at a time.

    Iteration t's batch depends on (seed, t) for a data set and on the stream's own seed for a stream.
    """

    def __init__(self, source: Dataset | Stream, batch: int | None, seed: int) -> None:
        if batch is None and isinstance(source, Stream):
            raise InputError("full-batch descent needs a finite data set", "a Stream", "Use SGD, or a Dataset.")
        self.source, self.batch, self.seed = source, batch, seed
        self._span = max(1, 4096 // batch) if batch else 1
        self._chunk = -1
        self._x = self._y = np.empty(0)

    def at(self, iteration: int) -> tuple[Array, Array]:
        """x (batch, d), y (batch,) of this iteration."""
        if self.batch is None:
            assert isinstance(self.source, Dataset)
            return self.source.x, self.source.y
        chunk, place = divmod(iteration, self._span)
        if chunk != self._chunk:
            self._x, self._y = self._draw(chunk, self._span * self.batch)
            self._chunk = chunk
        rows = slice(place * self.batch, (place + 1) * self.batch)
        return self._x[rows], self._y[rows]

    def run(self, first: int, last: int) -> tuple[Array, Array]:
        """The samples of iterations [first, last), batch after batch."""
        assert self.batch is not None
        parts = []
        while first < last:
            self.at(first)
            end = min(last, (self._chunk + 1) * self._span)
            rows = slice((first % self._span) * self.batch, ((end - 1) % self._span + 1) * self.batch)
            parts.append((self._x[rows], self._y[rows]))
            first = end
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])

    def _draw(self, chunk: int, count: int) -> tuple[Array, Array]:
        if isinstance(self.source, Stream):
            drawn = self.source.rows(chunk * count, (chunk + 1) * count)
            return drawn.x, drawn.y
        picks = generator(self.seed, Purpose.BATCH, chunk).integers(0, len(self.source), count)
        return self.source.x[picks], self.source.y[picks]
