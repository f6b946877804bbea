"""The ends of a Gram matrix's spectrum: dense, or by Lanczos from products with vectors alone."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.tangent.kernel_flow import checked_gram

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

_SUBSPACE = 256  # Lanczos vectors: with 128 the crowded lower end took a fifth more products at n = 5000
_RESTARTS = 300
_SEED = 0  # of the first vector, so that a call repeats itself


class Extremes(NamedTuple):
    """The ends of a Gram matrix's spectrum.

    Attributes
    ----------
    smallest
        `lam_min`, as computed: it may be below 0 by rounding.
    largest
        `lam_max`.
    error
        A residual: an eigenvalue is within this of each.
    """

    smallest: float
    largest: float
    error: float


def extremes(gram: "ArrayLike | LinearOperator", tolerance: float = 1e-10) -> Extremes:
    """The smallest and the largest eigenvalue of a Gram matrix (3.1, flow time).

    Parameters
    ----------
    gram : (n, n)
        A matrix, or a `mf.tangent.operator` that never forms it.
    tolerance
        Of Lanczos, for residuals relative to `lam_max`; 1e-10 by default.

    Returns
    -------
    Extremes
        Both eigenvalues, and their error.

    Raises
    ------
    InputError
        Where the tolerance is not reached.

    References
    ----------
    Section 3.1, `lam_w` and `lam_inf`.

    Examples
    --------
    >>> ends = mf.tangent.extremes([[2.0, 1.0], [1.0, 2.0]])
    >>> round(ends.smallest, 6), round(ends.largest, 6)
    (1.0, 3.0)
    """
    from scipy.sparse.linalg import LinearOperator

    number("tolerance", tolerance, above=0.0)
    if not isinstance(gram, LinearOperator):
        values = np.linalg.eigvalsh(checked_gram(gram))
        return Extremes(float(values[0]), float(values[-1]), float(len(values) * np.finfo(float).eps * abs(values[-1])))
    n = gram.shape[0]
    if n <= _SUBSPACE:
        return extremes(gram @ np.eye(n), tolerance)
    largest, error = _end(gram, tolerance)
    # Shifted by lam_max the lower end is the one of largest size, and the tolerance is relative to that.
    turned = LinearOperator(
        gram.shape, matvec=lambda v: largest * np.ravel(v) - gram.matvec(np.ravel(v)), dtype=np.float64
    )
    top, below = _end(turned, tolerance)
    return Extremes(largest - top, largest, max(error, below))


def _end(gram: "LinearOperator", tolerance: float) -> tuple[float, float]:
    """One eigenvalue at an end, and the length of its residual."""
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    n = gram.shape[0]
    begin: Array = np.random.default_rng(_SEED).standard_normal(n)
    try:
        values, vectors = eigsh(
            gram, k=1, which="LA", ncv=min(n - 1, _SUBSPACE), tol=tolerance, v0=begin, maxiter=_RESTARTS
        )
    except ArpackNoConvergence as error:
        rule = f"Lanczos must come within {tolerance:g} of an eigenvalue"
        raise InputError(rule, str(error), "Raise `tolerance`, or use the matrix.") from error
    rest = gram.matvec(vectors[:, 0]) - values[0] * vectors[:, 0]
    return float(values[0]), float(np.linalg.norm(rest))
