"""The law of given points."""

from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import real_array
from particles.errors import InputError
from particles.measures import quadrature
from particles.measures.laws.base import Law
from particles.measures.measure import Array


class Atoms(Law):
    """The law of your own weighted points.

    Parameters
    ----------
    points : (k, dim)
        The points, finite, k >= 1.
    weights : (k,)
        Not negative and not all 0; they are divided by their sum. Equal by default.

    Raises
    ------
    InputError
        For points or weights that are not as above.

    Notes
    -----
    Its quadrature is the points themselves, whatever `nodes` is.

    Examples
    --------
    >>> mf.Atoms([[0.0, 1.0], [1.0, 0.0]], weights=[0.25, 0.75]).quadrature(2).w
    array([0.25, 0.75])
    """

    def __init__(self, points: ArrayLike, weights: ArrayLike | None = None) -> None:
        self.points = np.array(real_array("`points`", points))
        if self.points.ndim != 2 or self.points.size == 0:
            raise InputError("`points` must be finite, of shape (k, dim), k >= 1", str(self.points.shape), "")
        count = len(self.points)
        given = np.full(count, 1.0 / count) if weights is None else weights
        self.weights = np.array(real_array("`weights`", given, finite=False))
        total = self.weights.sum()
        if self.weights.shape != (count,) or not (self.weights >= 0).all() or not 0 < total < np.inf:
            got = f"shape {self.weights.shape}, sum {total:g}"
            raise InputError("`weights` must be finite and >= 0, one a point, not all zero", got, "")
        self.weights /= self.weights.sum()
        self.dim = self.points.shape[1]

    def __repr__(self) -> str:
        """By its contents, since a run's configuration is told apart by this."""
        digest = blake2b(self.points.tobytes() + self.weights.tobytes(), digest_size=6).hexdigest()
        return f"Atoms({len(self.points)} points, dim={self.dim}, {digest})"

    @property
    def cube_dim(self) -> int:
        return 1

    def from_cube(self, u: Array) -> Array:
        edges = np.cumsum(self.weights)
        edges[-1] = 1.0
        return self.points[np.searchsorted(edges, u[:, 0], side="right")]

    def draw(self, random: np.random.Generator, count: int) -> Array:
        return self.from_cube(random.random((count, 1)))

    @property
    def discrete(self) -> bool:
        return True

    def rule(self, nodes: int) -> quadrature.Rule | None:
        return self.points, self.weights
