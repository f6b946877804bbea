"""What a descent under a fixed kernel starts from: targets and outputs at the samples, and other points.

A system is a vector of outputs that the matrix acts on. One output is one system of n rows. Of k outputs there is one
of n k rows, or where the matrix is (n, n), the same for each output, k of n rows.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array, vector
from particles.errors import InputError
from particles.measures.measure import Array


class Problem(NamedTuple):
    """y : (n,) or (n, k); targets, start : (systems, rows); cross : (other rows, rows); cross_start : like start."""

    y: Array
    targets: Array
    start: Array
    cross: Array | None
    cross_start: Array
    decay: float

    def rates(self, values: Array) -> Array:
        """lam_j / n + weight decay of every eigenvector."""
        return np.asarray(values / len(self.y) + self.decay)

    def outputs(self, values: Array, vectors: Array, factors: Array) -> Array:
        """factors : (T, rows), what time made of each eigenvector's (1 - e^(-rate t)) / rate -> outputs."""
        found = []
        for targets, start, cross_start in zip(self.targets, self.start, self.cross_start, strict=True):
            share = factors * (vectors.T @ (targets - start) / len(self.y))
            if self.cross is None:
                found.append(start + (share * values) @ vectors.T)
            else:
                found.append(cross_start + share @ (self.cross @ vectors).T)
        return self.shaped(np.stack(found))

    def shaped(self, found: Array) -> Array:
        """Outputs as they are returned: (systems, T, rows) -> (T, n) or (T, n, k)."""
        if self.y.ndim == 1:
            return np.asarray(found[0])
        k = self.y.shape[1]
        return np.moveaxis(found, 0, 2) if len(found) == k else found[0].reshape(found.shape[1], -1, k)


def problem_of(
    size: int,
    y: ArrayLike,
    start: ArrayLike | None,
    cross: ArrayLike | None,
    cross_start: ArrayLike | None,
    weight_decay: float,
) -> Problem:
    """The problem of a matrix with so many rows, if shapes fit."""
    targets = _targets(size, y)
    begin, decay = _outputs("start", start, targets.shape), number("weight_decay", weight_decay, 0.0)
    k = 1 if targets.ndim == 1 else targets.shape[1]
    of_input, there = size // len(targets), np.zeros((0, *targets.shape[1:]))
    other: Array | None = None
    if cross is not None:
        other = real_array("`cross`", cross)
        if other.ndim != 2 or other.shape[1] != size or len(other) % of_input:
            rows = "m" if of_input == 1 else f"m * {k}"
            raise InputError(f"`cross` must have shape ({rows}, {size})", str(other.shape), "Rows are other points.")
        there = _outputs("cross_start", cross_start, (len(other) // of_input, *targets.shape[1:]))
    elif cross_start is not None:
        raise InputError("`cross_start` belongs to the points of `cross`", "no `cross`", "Give their kernel rows.")
    wanted, first, elsewhere = (_systems(a, of_input) for a in (targets, begin, there))
    return Problem(targets, wanted, first, other, elsewhere, decay)


def _targets(size: int, y: ArrayLike) -> Array:
    """(n,), or (n, k) where the matrix has n k rows or n."""
    targets = real_array("`y`", y)
    if targets.ndim != 2:
        return vector("y", y, size)
    n, k = targets.shape
    if k < 2 or size not in (n, n * k):
        rule = f"`y` of k outputs must have shape (n, k), k > 1, with n or n k = {size}, the rows of the matrix"
        raise InputError(rule, str(targets.shape), "One output is (n,).")
    return targets


def _outputs(name: str, values: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Outputs at time 0: zeros unless given."""
    if values is None:
        return np.zeros(shape)
    if len(shape) == 1:
        return vector(name, values, shape[0])
    numbers = real_array(f"`{name}`", values)
    if numbers.shape != shape:
        raise InputError(f"`{name}` must have shape {shape}", str(numbers.shape), "One row a point, as `y` has.")
    return numbers


def _systems(outputs: Array, of_input: int) -> Array:
    """(n,) or (n, k) -> (systems, rows), where an input has so many rows."""
    return np.ascontiguousarray(outputs.T) if outputs.ndim == 2 and of_input == 1 else outputs.reshape(1, -1)
