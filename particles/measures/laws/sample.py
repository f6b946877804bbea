"""A sample of a law as a source of particles: none is created before it is needed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from particles.measures.measure import Array
from particles.measures.random_streams import ROWS, Purpose, generator, rows_of

if TYPE_CHECKING:
    from particles.measures.laws.base import Law


@dataclass(frozen=True)
class Sample:
    """The particles of (law, seed), any part of them on request (`Law.sample(lazy=True)`)."""

    law: "Law"
    count: int
    seed: int
    signs: str

    @property
    def dim(self) -> int:
        return self.law.dim

    @property
    def equal_signs(self) -> bool:
        return self.signs == "positive"

    @property
    def equal_weights(self) -> bool:
        return True

    def weights(self, first: int, last: int) -> Array:
        """w (last - first,): equal ones."""
        return np.full(last - first, 1.0 / self.count)

    def cut(self, first: int, last: int) -> "Sample":
        """The sample itself: a law and a seed are small."""
        return self

    def part(self, first: int, last: int) -> tuple[Array, Array]:
        """b (last - first, dim) and s (last - first,) of the particles [first, last)."""
        if self.signs == "symmetric":
            half = self.count // 2
            runs = [(first, min(last, half)), (max(first, half) - half, last - half)]
            b = np.concatenate([self.law.rows(self.seed, *run) for run in runs if run[0] < run[1]])
            return b, np.where(np.arange(first, last) < half, 1.0, -1.0)
        s: Array = np.ones(last - first)
        if self.signs == "random":
            bits = rows_of(lambda block: generator(self.seed, Purpose.SIGN, block).integers(0, 2, ROWS), first, last)
            s = np.asarray(2.0 * bits - 1.0)
        return self.law.rows(self.seed, first, last), s
