"""Eigenpairs of `Sigma f = E[f(X) k(X, .)]` (section 3.2) from n samples of X: those of K / n (Nystrom)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import real_array, whole
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.tangent.kernel_flow import checked_gram


class Nystrom(NamedTuple):
    """Eigenpairs of `Sigma` (3.2) from n samples: those of `K / n`.

    Attributes
    ----------
    values : (k,)
        Eigenvalues, descending.
    vectors : (n, k)
        Eigenfunctions at the samples, of mean square 1.
    kernel
        The kernel function that made the Gram matrix, if one was given.
    x : (n, d)
        The samples, if a kernel function was given.
    """

    values: Array
    vectors: Array
    kernel: Callable[[Array, Array], ArrayLike] | None = None
    x: Array | None = None

    def extend(self, cross: ArrayLike) -> Array:
        """The eigenfunctions at points whose kernel against the samples is known.

        Parameters
        ----------
        cross : (m, n)
            The kernel between m points and the n samples.

        Returns
        -------
        (m, k)
            The eigenfunctions there.

        Raises
        ------
        InputError
            If `cross` has another number of columns.
        """
        rows = real_array("`cross`", cross)
        if rows.ndim != 2 or rows.shape[1] != len(self.vectors):
            rule = f"`cross` must have shape (m, {len(self.vectors)})"
            raise InputError(rule, str(rows.shape), "Rows are new points.")
        return np.asarray(rows @ (self.vectors / (len(self.vectors) * self.values)))

    def at(self, points: ArrayLike) -> Array:
        """The eigenfunctions at new points.

        Parameters
        ----------
        points : (m, d)
            Where they are evaluated.

        Returns
        -------
        (m, k)
            The eigenfunctions there.

        Raises
        ------
        InputError
            If no kernel function was given.
        """
        if self.kernel is None or self.x is None:
            raise InputError("new points need the kernel", "a Gram matrix", "Give its rows there to `extend`.")
        return self.extend(self.kernel(real_array("`points`", points), self.x))


def nystrom(
    kernel: ArrayLike | Callable[[Array, Array], ArrayLike], x: ArrayLike | None = None, count: int | None = None
) -> Nystrom:
    """Eigenpairs of `Sigma` (3.2) from samples of X: of the Gram matrix divided by n (Nystrom's method).

    Parameters
    ----------
    kernel : (n, n), or a function
        The Gram matrix, or a function of (m, d) and (n, d) -> (m, n).
    x : (n, d)
        The samples; needed with a function.
    count
        The largest number of pairs to return; all by default.

    Returns
    -------
    Nystrom
        Eigenvalues and eigenfunctions. Pairs that are zero up to rounding are left out, since nothing extends them.

    Raises
    ------
    InputError
        For a function without samples, or a matrix that is not square, finite and symmetric.

    References
    ----------
    Section 3.2, `Sigma_inf`.

    Examples
    --------
    >>> x = mf.Sphere(2).sample(200, seed=0).b
    >>> mf.theory.spectra.nystrom(lambda one, two: one @ two.T, x).values.round(1)
    array([0.5, 0.5])
    """
    known: Array | None = None
    if callable(kernel):
        if x is None:
            raise InputError("a kernel function needs samples `x`", "None", "Give them, (n, d).")
        known = real_array("`x`", x)
        matrix = checked_gram(kernel(known, known))
    else:
        matrix = checked_gram(kernel)
    from scipy.linalg import eigh

    n = len(matrix)
    most = n if count is None else whole("count", count, 1, n)
    lam, vectors = eigh(matrix, subset_by_index=(n - most, n - 1), check_finite=False)
    lam, vectors = lam[::-1] / n, vectors[:, ::-1]
    kept = lam > n * np.finfo(float).eps * max(float(lam[0]), 0.0)
    return Nystrom(lam[kept], vectors[:, kept] * np.sqrt(n), kernel if callable(kernel) else None, known)
