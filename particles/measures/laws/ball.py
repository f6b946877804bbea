"""The uniform law in a ball."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from particles.checks import Setting
from particles.measures import quadrature
from particles.measures.laws.base import Law
from particles.measures.measure import Array


@dataclass(frozen=True)
class Ball(Law):
    """The uniform law in a ball in R^dim.

    Parameters
    ----------
    dim
        The number of inputs, a bias counted in.
    radius
        Above 0; 1 by default, as Theorem 2 assumes.

    Raises
    ------
    InputError
        For a `dim` below 1 and a `radius` that is not above 0.

    Examples
    --------
    >>> limit = mf.Ball(2).quadrature(100)
    >>> round(float(limit.w @ np.sum(limit.b**2, axis=1)), 6)
    0.5
    """

    dim: int
    radius: Annotated[float, Setting("radius", above=0.0)] = 1.0

    @property
    def isotropic(self) -> bool:
        return True

    # The first dim coordinates of a uniform point on the sphere in R^(dim + 2) are uniform in the ball.

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.radius * quadrature.unit(random.standard_normal((count, self.dim + 2)))[:, : self.dim]

    @property
    def cube_dim(self) -> int:
        return self.dim + 2

    def from_cube(self, u: Array) -> Array:
        return self.radius * quadrature.unit(quadrature.normal_quantile(u))[:, : self.dim]

    def rule(self, nodes: int) -> quadrature.Rule | None:
        gauss = quadrature.ball(self.dim, nodes)
        return gauss and (self.radius * gauss[0], gauss[1])
