"""The normal law N(mean, std^2 I)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from particles.checks import Setting
from particles.measures import quadrature
from particles.measures.laws.base import Law
from particles.measures.measure import Array


@dataclass(frozen=True)
class Gaussian(Law):
    """The normal law `N(mean, std^2 I)` on R^dim.

    Parameters
    ----------
    dim
        The number of inputs, a bias counted in.
    std
        Standard deviation of a coordinate, above 0; 1 by default.
    mean
        Mean of every coordinate, 0 by default. Only then the law is isotropic.

    Raises
    ------
    InputError
        For a `dim` below 1 and a `std` that is not above 0.

    Examples
    --------
    >>> round(float(mf.Gaussian(2, std=3.0).sample(4096, seed=0).b.std()), 1)
    3.0
    >>> limit = mf.Gaussian(2, std=3.0).quadrature(100)
    >>> len(limit.w), round(float(limit.w @ limit.b[:, 0] ** 2), 6)
    (100, 9.0)
    """

    dim: int
    std: Annotated[float, Setting("standard deviation of a coordinate", above=0.0)] = 1.0
    mean: Annotated[float, Setting("mean of every coordinate")] = 0.0

    @property
    def isotropic(self) -> bool:
        return self.mean == 0.0

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.mean + self.std * random.standard_normal((count, self.dim))

    def from_cube(self, u: Array) -> Array:
        return self.mean + self.std * quadrature.normal_quantile(u)

    def rule(self, nodes: int) -> quadrature.Rule | None:
        gauss = quadrature.tensor(quadrature.hermite, self.dim, nodes)
        return gauss and (self.mean + self.std * gauss[0], gauss[1])

    def replicated(self, nodes: int, replicate: int, random: np.random.Generator) -> quadrature.Rule | None:
        gauss = quadrature.tensor(quadrature.hermite, self.dim, quadrature.larger(nodes, self.dim, replicate))
        return gauss and (self.mean + self.std * gauss[0] @ quadrature.rotation(self.dim, random), gauss[1])
