"""Gram matrices that Theorem 1 and (6) hold for: positive definite, of distinct unit inputs; why one is not."""

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import real_array, vector
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.tangent.kernel_flow import checked_gram

EXACT = 1e-9  # how far a norm, a label or an inner product may be off by rounding


def floor(values: Array) -> float:
    """An eigenvalue up to this is 0 but for rounding."""
    return float(len(values) * np.finfo(np.float64).eps * np.abs(values).max())


def positive_definite(gram: ArrayLike, x: ArrayLike | None, y: ArrayLike | None) -> tuple[Array, Array]:
    """The Gram matrix and its eigenvalues, ascending, if the assumptions of Theorem 1 and (6) hold."""
    matrix = checked_gram(gram)
    if x is not None:
        _distinct(real_array("`x`", x, finite=False), len(matrix))
    if y is not None and np.abs(vector("y", y, len(matrix))).max() > 1.0 + EXACT:
        largest = float(np.abs(real_array("`y`", y)).max())
        raise InputError("labels must have |y_i| <= 1 (Theorem 1, (6))", f"{largest:g}", "Divide them by the largest.")
    values = np.asarray(np.linalg.eigvalsh(matrix), dtype=np.float64)
    if values[0] <= floor(values):
        raise InputError("lam_inf must be > 0", f"{values[0]:.3g}", f"H is singular: {_cause(matrix, values)}")
    return matrix, values


def _distinct(x: Array, n: int) -> None:
    """Inputs are n unit vectors, no two of them the same: else ReLU's H is singular, or the theorem another one."""
    if x.ndim != 2 or len(x) != n or not np.isfinite(x).all():
        raise InputError(f"`x` must be finite, of shape ({n}, d)", str(x.shape), "Give the inputs of the Gram matrix.")
    size = np.linalg.norm(x, axis=1)
    if not size.all():
        row, remedy = f"row {int(np.argmin(size))}", "It makes H singular: remove it, or add a bias."
        raise InputError("no input may be zero", row, remedy)
    units = x / size[:, None]
    for i in range(n - 1):
        apart = np.abs(units[i + 1 :] - units[i]).max(axis=1)
        if apart.min() <= EXACT:
            rows, remedy = f"rows {i} and {i + 1 + int(np.argmin(apart))}", "They make H singular: keep one of them."
            raise InputError("no two inputs may be repeated or parallel", rows, remedy)
    off = int(np.argmax(np.abs(size - 1.0)))
    if abs(size[off] - 1.0) > EXACT:
        raise InputError(
            "inputs must have |x_i| = 1 (Theorem 1, (6))", f"{size[off]:g} in row {off}", "Normalise them."
        )


def _cause(matrix: Array, values: Array) -> str:
    """Why a Gram matrix is singular, from its entries alone: whatever the activation, features that are parallel."""
    own = np.diag(matrix)
    if own.min() <= floor(values):
        return f"sample {int(np.argmin(own))} has no gradient, as a zero input or a dead ReLU has none."
    cosine = np.abs(matrix) / np.sqrt(np.multiply.outer(own, own))
    np.fill_diagonal(cosine, 0.0)
    i, j = sorted(divmod(int(np.argmax(cosine)), len(matrix)))
    if cosine[i, j] >= 1.0 - EXACT:
        return f"samples {i} and {j} have parallel gradients, as repeated or parallel inputs have. Keep one of them."
    rank = int(np.sum(values > floor(values)))
    return f"rank {rank} for {len(matrix)} samples. Take more particles or inputs, or another activation."
