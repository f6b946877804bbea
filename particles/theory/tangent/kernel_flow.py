"""Descent in the space of functions, where the tangent kernel stays what it is: the flow and its discrete recursion.

For the mean squared loss and residuals r = f - y at the n samples, in flow time (3.1):

    f' = -K r / n    and    f_(t+1) = f_t - eta K r_t / n

and at other points the same with their rows of the kernel. A pull lam (w - w1) to the start (3.2) adds -lam (f - f_0).
Both are solved in the eigenvectors of K, exactly at any time, and without dividing by an eigenvalue that may be zero.
With another loss its slope stands for r, and the recursion is done step by step, the flow by a Runge-Kutta method.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import numpy_settings, real_array
from particles.errors import InputError
from particles.measures.measure import Array
from particles.methods.schedules import Constant, Schedule, schedule
from particles.model.losses import Loss, loss as loss_row
from particles.theory.tangent.kernel_problem import problem_of
from particles.theory.tangent.kernel_steps import descended, followed


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
    loss: str | Loss = "squared",
) -> Array:
    r"""The kernel gradient flow of a mean loss, for the squared one exact at every given time (3.1, flow time).

    Parameters
    ----------
    gram : (n, n), or an `Eigen`
        The Gram matrix at the samples. Of k outputs (n k, n k), or (n, n) where it is the same for each output and
        these do not see each other.
    y : (n,)
        Targets, (n, k) of k outputs.
    times : (T,)
        Flow times >= 0.
    start : (n,), or (n, k)
        Outputs at the samples at time 0; zeros by default.
    cross : (m, n), or (m k, n k)
        The kernel at m other points against the samples; the outputs there are then returned.
    cross_start : (m,), or (m, k)
        Outputs at those points at time 0; zeros by default.
    weight_decay
        The pull `lam` to the start, in flow time (3.2); 0 by default.
    loss
        A name of `mf.LOSSES` or an `mf.Loss`; "squared" by default.

    Returns
    -------
    (T, n), or (T, m) with `cross`
        The outputs at every time; (T, n, k) or (T, m, k) of k outputs.

    Raises
    ------
    InputError
        For times below 0, for shapes that do not fit, and for targets that the loss does not take.

    Notes
    -----
    The solution of

    .. math:: \frac{df}{dt} = -\frac{1}{n} K (f - y) - \lambda (f - f_0)

    in the eigenvectors of K. Nothing is divided by an eigenvalue that may be 0. Of another loss its slope stands for
    :math:`f - y`, and the solution is that of a Runge-Kutta method of order 8 with local errors of 1e-12.

    References
    ----------
    Section 3.1: as M -> infinity gradient descent approaches gradient descent in the RKHS of `k_w(1)`.

    Examples
    --------
    >>> mf.tangent.flow([[2.0, 0.0], [0.0, 0.5]], y=[1.0, -1.0], times=[0.0, 1.0, 10.0]).round(3)
    array([[ 0.   ,  0.   ],
           [ 0.632, -0.221],
           [ 1.   , -0.918]])

    Two classes with an output each, under a kernel that is the same for both:

    >>> mf.tangent.flow([[2.0, 0.0], [0.0, 0.5]], y=np.eye(2), times=[10.0], loss="softmax").round(3)
    array([[[ 1.448, -1.448],
            [-0.752,  0.752]]])
    """
    flow_times = np.atleast_1d(real_array("`times`", times, finite=False))
    if flow_times.ndim != 1 or not np.isfinite(flow_times).all() or (flow_times < 0).any():
        raise InputError("`times` must be finite flow times >= 0, (T,)", str(times), "A step eta takes time eta.")
    row = loss_row(loss)
    if row.name != "squared":
        matrix = _matrix(gram)
        problem = problem_of(len(matrix), y, start, cross, cross_start, weight_decay)
        return followed(problem, matrix, row, flow_times)
    values, vectors = gram if isinstance(gram, Eigen) else eigen(gram)
    problem = problem_of(len(values), y, start, cross, cross_start, weight_decay)
    rate, t = problem.rates(values), flow_times[:, None]
    factors = np.divide(-np.expm1(-rate * t), rate, out=t + 0.0 * rate, where=rate != 0.0)
    return problem.outputs(values, vectors, factors)


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
    loss: str | Loss = "squared",
) -> Array:
    r"""Gradient descent (3) with a fixed kernel, after each given number of iterations (3.1, flow time).

    Parameters
    ----------
    gram : (n, n), or an `Eigen`
        The Gram matrix at the samples. Of k outputs (n k, n k), or (n, n) where it is the same for each output and
        these do not see each other.
    y : (n,)
        Targets, (n, k) of k outputs.
    step : flow time
        `eta`, a number or a schedule. A step above `2 n / lam_max` diverges.
    iterations : (T,)
        Whole numbers >= 0.
    start : (n,), or (n, k)
        Outputs at the samples before the first iteration; zeros by default.
    cross : (m, n), or (m k, n k)
        The kernel at m other points against the samples; the outputs there are then returned.
    cross_start : (m,), or (m, k)
        Outputs at those points before the first iteration; zeros by default.
    weight_decay
        The pull `lam` to the start, in flow time (3.2); 0 by default.
    loss
        A name of `mf.LOSSES` or an `mf.Loss`; "squared" by default.

    Returns
    -------
    (T, n), or (T, m) with `cross`
        The outputs after each number of iterations; (T, n, k) or (T, m, k) of k outputs.

    Raises
    ------
    InputError
        For iterations that are not whole numbers >= 0, for shapes that do not fit, and for targets that the loss does
        not take.

    Notes
    -----
    .. math:: f_{t+1} = f_t - \frac{\eta}{n} K (f_t - y) - \eta \lambda (f_t - f_0)

    It tends to `mf.tangent.flow` as the step goes to zero. Of another loss than the squared one its slope stands for
    :math:`f_t - y`, and the time grows with the number of iterations.

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
    row, steps = loss_row(loss), schedule(step)
    if row.name != "squared":
        matrix, sizes = _matrix(gram), steps.sizes(int(counts.max(initial=0)))
        problem = problem_of(len(matrix), y, start, cross, cross_start, weight_decay)
        return descended(problem, matrix, row, sizes, counts)
    values, vectors = gram if isinstance(gram, Eigen) else eigen(gram)
    problem = problem_of(len(values), y, start, cross, cross_start, weight_decay)
    return problem.outputs(values, vectors, _factors(steps, problem.rates(values), counts))


def _matrix(gram: ArrayLike | Eigen) -> Array:
    """The matrix itself."""
    return np.asarray((gram.vectors * gram.values) @ gram.vectors.T) if isinstance(gram, Eigen) else checked_gram(gram)


def _factors(steps: Schedule, rates: Array, counts: NDArray[np.integer]) -> Array:
    """(1 - product of (1 - eta_t rate)) / rate for every number of iterations and rate: (T, n)."""
    if isinstance(steps, Constant):
        return _geometric(steps.step, rates, counts)
    factors, left, total = np.empty((len(counts), len(rates))), np.ones(len(rates)), np.zeros(len(rates))
    sizes = steps.sizes(int(counts.max(initial=0)))
    for iteration in range(len(sizes) + 1):
        factors[counts == iteration] = total
        if iteration < len(sizes):
            total = total + sizes[iteration] * left  # (1 - left) / rate, without the division
            left = left * (1.0 - sizes[iteration] * rates)
    return factors


def _geometric(step: float, rates: Array, iterations: NDArray[np.integer]) -> Array:
    """(1 - (1 - eta rate)^t) / rate for every t and rate: (T, n)."""
    t, shrink = iterations[:, None].astype(np.float64), step * rates
    slow = shrink < 0.5
    with np.errstate(over="ignore"):
        left = np.power(1.0 - shrink, t)  # good to t roundings of the base, so only where little is left
        reached = np.where(slow, -np.expm1(t * np.log1p(-np.where(slow, shrink, 0.0))), 1.0 - left)
    return np.divide(reached, rates, out=step * t + 0.0 * rates, where=rates != 0.0)
