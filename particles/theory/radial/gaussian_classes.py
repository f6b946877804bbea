"""Two classes of Gaussian inputs about 0 that differ in their variance (Mei, Montanari, Nguyen 2018)."""

from dataclasses import dataclass

import numpy as np

from particles.checks import number, whole
from particles.errors import InputError
from particles.measures.laws import Gaussian, Law
from particles.measures.measure import Array
from particles.measures.quadrature import normal_quantile


@dataclass(frozen=True)
class TwoGaussians(Law):
    """The law of N(0, (1 + delta)^2 I) and N(0, (1 - delta)^2 I) in R^dim, half of the mass each.

    Parameters
    ----------
    dim
        Inputs; for infinitely many use `mf.theory.two_gaussians`.
    delta
        In [0, 1).

    Raises
    ------
    InputError
        For a `dim` below 1, and `delta` outside [0, 1).

    References
    ----------
    Mei, Montanari and Nguyen (2018), A mean field view of the landscape of two-layer neural networks.

    Examples
    --------
    >>> classes = mf.theory.TwoGaussians(40, delta=0.8)
    >>> stream = mf.Stream(classes, classes.label)
    >>> stream.rows(0, 6).y
    array([ 1., -1., -1.,  1.,  1., -1.])
    """

    dim: int
    delta: float

    def __post_init__(self) -> None:
        whole("dim", self.dim, 1, remedy="For infinitely many inputs use two_gaussians(delta, np.inf).")
        checked_delta(self.delta)

    @property
    def isotropic(self) -> bool:
        return True

    @property
    def cube_dim(self) -> int:
        return self.dim + 1

    @property
    def classes(self) -> tuple[Gaussian, Gaussian]:
        """The wide and the narrow one."""
        return Gaussian(self.dim, 1.0 + self.delta), Gaussian(self.dim, 1.0 - self.delta)

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self._scaled(random.standard_normal((count, self.dim)), random.random(count))

    def from_cube(self, u: Array) -> Array:
        return self._scaled(normal_quantile(u[:, 1:]), u[:, 0])

    def _scaled(self, z: Array, u: Array) -> Array:
        return np.asarray(z * np.where(u < 0.5, 1.0 + self.delta, 1.0 - self.delta)[:, None])

    def label(self, x: Array) -> Array:
        """The likelier class, 1 for the wide one: a function of `|x|`, as a `mf.Stream` takes it.

        Parameters
        ----------
        x : (k, dim)
            Inputs.

        Returns
        -------
        (k,)
            1 or -1.

        Raises
        ------
        InputError
            At `delta` = 0, where no class is likelier.
        """
        if self.delta == 0.0:
            raise InputError("at `delta` = 0 no class is likelier", "delta=0", "Use a delta above 0.")
        wide, narrow = 1.0 + self.delta, 1.0 - self.delta
        bound = 2.0 * self.dim * np.log(wide / narrow) / (narrow**-2 - wide**-2)
        return np.where(np.sum(x * x, axis=1) > bound, 1.0, -1.0)


def checked_delta(delta: float) -> float:
    return number("delta", delta, 0.0, 1.0 - 1e-9, remedy="The classes have deviations 1 + delta and 1 - delta.")
