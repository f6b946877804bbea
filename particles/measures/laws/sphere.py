"""The uniform law on a sphere."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from particles.checks import Setting
from particles.measures import quadrature
from particles.measures.laws.base import Law
from particles.measures.measure import Array


@dataclass(frozen=True)
class Sphere(Law):
    """The uniform law on a sphere in R^dim.

    Parameters
    ----------
    dim
        The number of inputs, a bias counted in.
    radius
        Above 0; 1 by default.

    Raises
    ------
    InputError
        For a `dim` below 1 and a `radius` that is not above 0.

    Examples
    --------
    >>> np.linalg.norm(mf.Sphere(3, radius=2.0).sample(4, seed=0).b, axis=1).round(6)
    array([2., 2., 2., 2.])
    """

    dim: int
    radius: Annotated[float, Setting("radius", above=0.0)] = 1.0

    @property
    def isotropic(self) -> bool:
        return True

    @property
    def discrete(self) -> bool:
        return self.dim == 1

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.radius * quadrature.unit(random.standard_normal((count, self.dim)))

    def from_cube(self, u: Array) -> Array:
        return self.radius * quadrature.unit(quadrature.normal_quantile(u))

    def rule(self, nodes: int) -> quadrature.Rule | None:
        gauss = quadrature.sphere(self.dim, nodes)
        return gauss and (self.radius * gauss[0], gauss[1])
