"""A sample of a law as a source of particles: none is created before it is needed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from particles.measures import output_weights
from particles.measures.measure import Array

if TYPE_CHECKING:
    from particles.measures.laws.base import Law


@dataclass(frozen=True)
class Sample:
    """The particles of (law, seed), any part of them on request (`Law.sample(lazy=True)`)."""

    law: "Law"
    count: int
    seed: int
    signs: str
    outputs: int = 1

    @property
    def dim(self) -> int:
        return self.law.dim - (self.outputs if self.signs == "joint" else 0)

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
        """b (last - first, dim) and s (last - first,) of the particles [first, last); s (.., outputs) of several."""
        if self.signs == "joint":
            return output_weights.split(self.law.rows(self.seed, first, last), self.outputs)
        if self.signs == "symmetric":
            half = self.count // 2
            runs = [(first, min(last, half)), (max(first, half) - half, last - half)]
            runs = [run for run in runs if run[0] < run[1]]
            # One output takes +1 in the first half. Several equal ones would stay equal, so they are random there.
            of = "positive" if self.outputs == 1 else "random"
            s = np.concatenate([output_weights.drawn(of, self.outputs, self.seed, *run) for run in runs])
            s[max(0, half - first) :] *= -1.0
            return np.concatenate([self.law.rows(self.seed, *run) for run in runs]), s
        s = output_weights.drawn(self.signs, self.outputs, self.seed, first, last)
        return self.law.rows(self.seed, first, last), s
