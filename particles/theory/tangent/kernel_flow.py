"""Descent in the space of functions, where the tangent kernel stays what it is: the flow and its discrete recursion.

For the mean squared loss and residuals r = f - y at the n samples, in flow time (3.1):

    f' = -K r / n    and    f_(t+1) = f_t - eta K r_t / n

and at other points the same with their rows of the kernel. A pull lam (w - w1) to the start (3.2) adds -lam (f - f_0).
Both are solved in the eigenvectors of K, exactly at any time, and without dividing by an eigenvalue that may be zero.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, numpy_settings, real_array, vector
from particles.errors import InputError
from particles.measures.measure import Array
from particles.methods.schedules import Constant, Schedule, schedule


class Eigen(NamedTuple):
    """The eigenpairs of a Gram matrix.

    Attributes
    ----------
    values : (n,)
        Eigenvalues, ascending, as computed.
    vectors : (n, n)
        Eigenvectors, as columns.
    """

    values: Array
    vectors: Array


def eigen(gram: ArrayLike) -> Eigen:
    """The eigenpairs of a Gram matrix: give them to `mf.tangent.flow` and `mf.tangent.descend` to compute them once.

    Parameters
    ----------
    gram : (n, n)
        A symmetric matrix.

    Returns
    -------
    Eigen
        Eigenvalues and eigenvectors.

    Raises
    ------
    InputError
        For a matrix that is not square, finite and symmetric.

    Examples
    --------
    >>> mf.tangent.eigen([[2.0, 1.0], [1.0, 2.0]]).values.round(6)
    array([1., 3.])
    """
    from scipy.linalg import eigh

    return Eigen(*eigh(checked_gram(gram), driver="evr", check_finite=False))


def checked_gram(gram: ArrayLike) -> Array:
    """The matrix in float64, if it is one that a kernel can have."""
    matrix = real_array("a Gram matrix", gram, finite=False)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise InputError("a Gram matrix must be square", str(matrix.shape), "Use tangent.gram or tangent.limit_gram.")
    if not np.isfinite(matrix).all():
        raise InputError("a Gram matrix must be finite", "NaN or inf in it", "Look at the inputs and the particles.")
    scale = float(np.abs(matrix).max())
    apart = max(float(np.abs(matrix[first : first + 256] - matrix[:, first : first + 256].T).max())
                for first in range(0, len(matrix), 256))  # fmt: skip
    if apart > 1e-9 * scale:
        raise InputError("a Gram matrix must be symmetric", f"entries {apart:.3g} apart", "Give (K + K.T) / 2.")
    return matrix


@numpy_settings
def flow(
    gram: ArrayLike | Eigen,
    y: ArrayLike,
    times: ArrayLike,
    start: ArrayLike | None = None,
    cross: ArrayLike | None = None,
    cross_start: ArrayLike | None = None,
    weight_decay: float = 0.0,
) -> Array:
    r"""The kernel gradient flow of the mean squared loss, exact at every given time (3.1, flow time).

    Parameters
    ----------
    gram : (n, n), or an `Eigen`
        The Gram matrix at the samples.
    y : (n,)
        Targets.
    times : (T,)
        Flow times >= 0.
    start : (n,)
        Outputs at the samples at time 0; zeros by default.
    cross : (m, n)
        The kernel at m other points against the samples; the outputs there are then returned.
    cross_start : (m,)
        Outputs at those points at time 0; zeros by default.
    weight_decay
        The pull `lam` to the start, in flow time (3.2); 0 by default.

    Returns
    -------
    (T, n), or (T, m) with `cross`
        The outputs at every time.

    Raises
    ------
    InputError
        For times below 0, and for shapes that do not fit.

    Notes
    -----
    The solution of

    .. math:: \frac{df}{dt} = -\frac{1}{n} K (f - y) - \lambda (f - f_0)

    in the eigenvectors of K. Nothing is divided by an eigenvalue that may be 0.

    References
    ----------
    Section 3.1: as M -> infinity gradient descent approaches gradient descent in the RKHS of `k_w(1)`.

    Examples
    --------
    >>> mf.tangent.flow([[2.0, 0.0], [0.0, 0.5]], y=[1.0, -1.0], times=[0.0, 1.0, 10.0]).round(3)
    array([[ 0.   ,  0.   ],
           [ 0.632, -0.221],
           [ 1.   , -0.918]])
    """
    flow_times = np.atleast_1d(real_array("`times`", times, finite=False))
    if flow_times.ndim != 1 or not np.isfinite(flow_times).all() or (flow_times < 0).any():
        raise InputError("`times` must be finite flow times >= 0, (T,)", str(times), "A step eta takes time eta.")
    problem = _problem(gram, y, start, cross, cross_start, weight_decay)
    rate, t = problem.rates, flow_times[:, None]
    return problem.outputs(np.divide(-np.expm1(-rate * t), rate, out=t + 0.0 * rate, where=rate != 0.0))


@numpy_settings
def descend(
    gram: ArrayLike | Eigen,
    y: ArrayLike,
    step: float | Schedule,
    iterations: ArrayLike,
    start: ArrayLike | None = None,
    cross: ArrayLike | None = None,
    cross_start: ArrayLike | None = None,
    weight_decay: float = 0.0,
) -> Array:
    r"""Gradient descent (3) with a fixed kernel, after each given number of iterations (3.1, flow time).

    Parameters
    ----------
    gram : (n, n), or an `Eigen`
        The Gram matrix at the samples.
    y : (n,)
        Targets.
    step : flow time
        `eta`, a number or a schedule. A step above `2 n / lam_max` diverges.
    iterations : (T,)
        Whole numbers >= 0.
    start : (n,)
        Outputs at the samples before the first iteration; zeros by default.
    cross : (m, n)
        The kernel at m other points against the samples; the outputs there are then returned.
    cross_start : (m,)
        Outputs at those points before the first iteration; zeros by default.
    weight_decay
        The pull `lam` to the start, in flow time (3.2); 0 by default.

    Returns
    -------
    (T, n), or (T, m) with `cross`
        The outputs after each number of iterations.

    Raises
    ------
    InputError
        For iterations that are not whole numbers >= 0, and for shapes that do not fit.

    Notes
    -----
    .. math:: f_{t+1} = f_t - \frac{\eta}{n} K (f_t - y) - \eta \lambda (f_t - f_0)

    It tends to `mf.tangent.flow` as the step goes to zero.

    References
    ----------
    Equation (3) and section 3.1.

    Examples
    --------
    >>> mf.tangent.descend([[2.0, 0.0], [0.0, 0.5]], y=[1.0, -1.0], step=0.5, iterations=[0, 2, 20]).round(3)
    array([[ 0.   ,  0.   ],
           [ 0.75 , -0.234],
           [ 1.   , -0.931]])
    """
    real_array("`iterations`", iterations)
    counts = np.atleast_1d(np.asarray(iterations))
    if counts.ndim != 1 or not np.issubdtype(counts.dtype, np.integer) or (counts < 0).any():
        raise InputError("`iterations` must be whole numbers >= 0, (T,)", str(iterations), "Give np.arange(100), say.")
    problem = _problem(gram, y, start, cross, cross_start, weight_decay)
    steps, rates = schedule(step), problem.rates
    if isinstance(steps, Constant):
        return problem.outputs(_geometric(steps.step, rates, counts))
    factors, left, total = np.empty((len(counts), len(rates))), np.ones(len(rates)), np.zeros(len(rates))
    sizes = steps.sizes(int(counts.max(initial=0)))
    for iteration in range(len(sizes) + 1):
        factors[counts == iteration] = total
        if iteration < len(sizes):
            total = total + sizes[iteration] * left  # (1 - left) / rate, without the division
            left = left * (1.0 - sizes[iteration] * rates)
    return problem.outputs(factors)


def _geometric(step: float, rates: Array, iterations: Array) -> Array:
    """(1 - (1 - eta rate)^t) / rate for every t and rate: (T, n)."""
    t, shrink = iterations[:, None].astype(np.float64), step * rates
    slow = shrink < 0.5
    with np.errstate(over="ignore"):
        left = np.power(1.0 - shrink, t)  # good to t roundings of the base, so only where little is left
        reached = np.where(slow, -np.expm1(t * np.log1p(-np.where(slow, shrink, 0.0))), 1.0 - left)
    return np.divide(reached, rates, out=step * t + 0.0 * rates, where=rates != 0.0)


class _Problem(NamedTuple):
    """The samples in eigenvectors. rates : (n,) lam_j / n + weight decay; weights of v_j in (y - start) / n."""

    values: Array
    vectors: Array
    rates: Array
    weights: Array
    start: Array
    cross: Array | None
    cross_start: Array

    def outputs(self, factors: Array) -> Array:
        """factors : (T, n), what time made of each eigenvector's (1 - e^(-rate t)) / rate -> outputs (T, n or m)."""
        share = factors * self.weights
        if self.cross is None:
            return np.asarray(self.start + (share * self.values) @ self.vectors.T)
        return np.asarray(self.cross_start + share @ (self.cross @ self.vectors).T)


def _problem(
    gram: ArrayLike | Eigen,
    y: ArrayLike,
    start: ArrayLike | None,
    cross: ArrayLike | None,
    cross_start: ArrayLike | None,
    weight_decay: float,
) -> _Problem:
    values, vectors = gram if isinstance(gram, Eigen) else eigen(gram)
    n = len(values)
    targets, begin = vector("y", y, n), _outputs("start", start, n)
    decay = number("weight_decay", weight_decay, 0.0)
    other: Array | None = None
    if cross is not None:
        other = real_array("`cross`", cross)
        if other.ndim != 2 or other.shape[1] != n:
            raise InputError(f"`cross` must have shape (m, {n})", str(other.shape), "Rows are other points.")
    elif cross_start is not None:
        raise InputError("`cross_start` belongs to the points of `cross`", "no `cross`", "Give their kernel rows.")
    there = _outputs("cross_start", cross_start, 0 if other is None else len(other))
    return _Problem(values, vectors, values / n + decay, vectors.T @ (targets - begin) / n, begin, other, there)


def _outputs(name: str, values: ArrayLike | None, n: int) -> Array:
    """Outputs at time 0: zeros unless given."""
    return np.zeros(n) if values is None else vector(name, values, n)
