"""The uniform law on a cube."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from particles.checks import Setting
from particles.errors import InputError
from particles.measures import quadrature
from particles.measures.laws.base import Law
from particles.measures.measure import Array


@dataclass(frozen=True)
class Uniform(Law):
    """The uniform law on the cube [low, high]^dim.

    Parameters
    ----------
    dim
        The number of inputs, a bias counted in.
    low
        Least coordinate, -1 by default.
    high
        Greatest coordinate, 1 by default.

    Raises
    ------
    InputError
        For a `dim` below 1 and a `low` that is not below `high`.

    Examples
    --------
    >>> limit = mf.Uniform(2).quadrature(100)
    >>> round(float(limit.w @ limit.b[:, 0] ** 2), 6)
    0.333333
    """

    dim: int
    low: Annotated[float, Setting("smallest coordinate")] = -1.0
    high: Annotated[float, Setting("greatest coordinate")] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise InputError("`low` must be below `high`", f"{self.low} and {self.high}", "Swap or widen them.")

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.low + (self.high - self.low) * random.random((count, self.dim))

    def from_cube(self, u: Array) -> Array:
        return self.low + (self.high - self.low) * u

    def rule(self, nodes: int) -> quadrature.Rule | None:
        gauss = quadrature.tensor(quadrature.legendre, self.dim, nodes)
        return gauss and (self.low + (self.high - self.low) * gauss[0], gauss[1])

    def replicated(self, nodes: int, replicate: int, random: np.random.Generator) -> quadrature.Rule | None:
        cuts = iter(random.uniform(0.25, 0.75, self.dim))
        gauss = quadrature.tensor(lambda m: quadrature.legendre_parts(m, next(cuts)), self.dim, nodes)
        return gauss and (self.low + (self.high - self.low) * gauss[0], gauss[1])
