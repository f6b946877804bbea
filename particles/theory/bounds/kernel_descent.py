"""Descent under a fixed kernel as numbers: its largest step, its rate, and the steps that it needs (section 3.1)."""

import math

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, numpy_settings, real_array, vector, whole
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.bounds.definite_gram import EXACT, floor
from particles.theory.one_output import one_output, width
from particles.theory.tangent.kernel_flow import checked_gram, eigen

_MOST = 2**62  # steps; more than any machine makes


def descent_step(gram: ArrayLike, curvature: float = 1.0) -> float:
    """The largest step of the descent lemma under a fixed kernel: `eta = n / (l'' lam_max)` (3.1, flow time).

    Parameters
    ----------
    gram : (n, n)
        The Gram matrix.
    curvature
        `sup l''` of the loss: 1 for the squared one, 1/4 for the logistic.

    Returns
    -------
    float
        The largest `eta` with `L(w') <= L(w) - (eta / 2) |grad L|^2`; infinite where K = 0.

    Raises
    ------
    InputError
        For a matrix that is not square, finite and symmetric.

    References
    ----------
    Section 3.1, the descent inequality.

    Examples
    --------
    >>> mf.theory.descent_step([[2.0, 0.0], [0.0, 0.5]])
    1.0
    """
    matrix, curvature = checked_gram(gram), number("curvature", curvature, above=0.0)
    top = float(np.linalg.eigvalsh(matrix)[-1])
    return len(matrix) / (curvature * top) if top > 0 else math.inf


@numpy_settings
def descent_bound(gram: ArrayLike, residual: ArrayLike, step: float) -> float:
    r"""The descent lemma's bound of the squared loss `L_n(w')` after one step (3.1, flow time).

    Parameters
    ----------
    gram : (n, n)
        The Gram matrix.
    residual : (n,)
        `r = g - y` before the step.
    step : flow time
        `eta`, at most `mf.theory.descent_step`.

    Returns
    -------
    float
        The bound.

    Raises
    ------
    InputError
        For a step above `mf.theory.descent_step`, and for more than one output.

    Notes
    -----
    .. math:: L_n(w') \le L_n(w) - \frac{\eta}{2 n^2} r^T K r, \qquad L_n(w) = \frac{|r|^2}{2 n}

    References
    ----------
    Section 3.1, the descent inequality.

    Examples
    --------
    >>> mf.theory.descent_bound([[2.0, 0.0], [0.0, 0.5]], residual=[1.0, 1.0], step=1.0)
    0.1875
    """
    one_output("the descent inequality", width("residual", residual))
    matrix = checked_gram(gram)
    n, r = len(matrix), vector("residual", residual, len(matrix))
    step, most = number("step", step, 0.0), descent_step(matrix)
    if step > most * (1.0 + EXACT):
        raise InputError("the descent lemma needs `step` <= n / lam_max", f"{step:g}", f"Use {most:g} or less.")
    return float(r @ r / (2.0 * n) - step / 2.0 * (r @ matrix @ r) / n**2)


@numpy_settings
def contraction(step: float, smallest: float, n: int, t: ArrayLike) -> Array:
    """The bound `(1 - eta lam / n)^t` of `L_n(w_t) / L_n(w_0)` (3.1, flow time).

    Parameters
    ----------
    step : flow time
        `eta`.
    smallest
        `lam` > 0, a lower bound of the eigenvalues of every Gram matrix on the way.
    n
        Samples.
    t
        Iterations >= 0, an array of any shape.

    Returns
    -------
    array
        The bound, of the shape of `t`.

    Raises
    ------
    InputError
        Unless 0 < eta lam / n <= 1.

    References
    ----------
    Section 3.1: `L_n(w') <= (1 - eta lam_w / n) L_n(w)`.

    Examples
    --------
    >>> mf.theory.contraction(step=1.0, smallest=0.5, n=2, t=[0, 1, 2])
    array([1.    , 0.75  , 0.5625])
    """
    step, smallest = number("step", step, above=0.0), number("smallest", smallest)
    shrink, iterations = step * smallest / whole("n", n, 1), real_array("`t`", t, finite=False)
    if not 0.0 < shrink <= 1.0:
        rule, remedy = "the contraction needs 0 < eta lam / n <= 1", "At lam = 0 nothing contracts: H is singular."
        raise InputError(rule, f"{shrink:g}", remedy if shrink <= 0 else f"Use a step of {n / smallest:g} or less.")
    if not np.isfinite(iterations).all() or (iterations < 0).any():
        raise InputError("`t` must be iterations >= 0", str(t), "Give np.arange(100), say.")
    return np.asarray(np.power(1.0 - shrink, iterations))


@numpy_settings
def kernel_iterations(gram: ArrayLike, y: ArrayLike, eps: float, step: float | None = None) -> int:
    r"""The exact number of steps until descent under a fixed kernel, from outputs 0, has `L_n <= eps` (3.1, flow time).

    Parameters
    ----------
    gram : (n, n)
        The Gram matrix.
    y : (n,)
        Targets.
    eps
        The loss to reach, > 0.
    step : flow time
        `eta`, at most `n / lam_max`; by default `n / |H|_F`.

    Returns
    -------
    int
        The number of steps.

    Raises
    ------
    InputError
        For a step above `n / lam_max`, for more than one output, and where eps is never reached: a part of y is where
        the kernel is zero.

    Notes
    -----
    .. math:: L_n(w_t) = \frac{1}{2 n} \sum_j (1 - \eta \lambda_j / n)^{2 t} (v_j \cdot y)^2

    References
    ----------
    Section 3.1.

    Examples
    --------
    >>> mf.theory.kernel_iterations([[0.5, 0.0], [0.0, 0.5]], y=[1.0, -1.0], eps=0.01, step=1.0)
    7
    """
    one_output("the number of steps to a loss", width("y", y))
    matrix, eps = checked_gram(gram), number("eps", eps, above=0.0)
    n, pairs = len(matrix), eigen(matrix)
    most, norm = descent_step(matrix), float(np.linalg.norm(matrix)) or 1.0
    step = n / norm if step is None else number("step", step, above=0.0)
    if step > most * (1.0 + EXACT):
        raise InputError("`step` must not exceed n / lam_max", f"{step:g}", f"Use {most:g} or less.")
    share = (pairs.vectors.T @ vector("y", y, n)) ** 2 / (2.0 * n)
    null = pairs.values <= floor(pairs.values)
    stays = float(share[null].sum())
    if stays * (1.0 + EXACT) >= eps:
        rule = "`eps` must be above the loss that the kernel cannot lower (H is singular)"
        raise InputError(rule, f"{eps:g} and {stays:g}", "Take a larger `eps`, or drop repeated inputs.")
    # A factor of 0 in one step is taken for one of 1e-16, whose logarithm is finite.
    rates = np.where(null, 0.0, np.log1p(-np.minimum(step * np.maximum(pairs.values, 0.0) / n, 1.0 - 2.0**-53)))

    def loss(t: int) -> float:
        return float(share @ np.exp(2.0 * t * rates))

    last = 1
    while loss(last) > eps:
        last *= 2
        if last > _MOST:
            raise InputError(
                f"`eps` must be reached in {_MOST:.0e} steps", f"a loss of {loss(last):g}", "Raise `step`."
            )
    first = -1
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (middle, last) if loss(middle) > eps else (first, middle)
    return last
