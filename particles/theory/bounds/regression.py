"""Section 3.1 as numbers, Theorem 1 and (6): the squared loss where the tangent kernel stays."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, numpy_settings, real_array, share, vector, whole
from particles.errors import InputError
from particles.measures.measure import Array
from particles.theory.tangent.kernel_flow import checked_gram, eigen

_EXACT = 1e-9  # how far a norm, a label or an inner product may be off by rounding
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
        For a step above `mf.theory.descent_step`.

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
    matrix = checked_gram(gram)
    n, r = len(matrix), vector("residual", residual, len(matrix))
    step, most = number("step", step, 0.0), descent_step(matrix)
    if step > most * (1.0 + _EXACT):
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
    shrink, asked = step * smallest / whole("n", n, 1), real_array("`t`", t, finite=False)
    if not 0.0 < shrink <= 1.0:
        rule, remedy = "the contraction needs 0 < eta lam / n <= 1", "At lam = 0 nothing contracts: H is singular."
        raise InputError(rule, f"{shrink:g}", remedy if shrink <= 0 else f"Use a step of {n / smallest:g} or less.")
    if not np.isfinite(asked).all() or (asked < 0).any():
        raise InputError("`t` must be iterations >= 0", str(t), "Give np.arange(100), say.")
    return np.asarray(np.power(1.0 - shrink, asked))


class Theorem1(NamedTuple):
    """Rates of Theorem 1 [16], with constants 1.

    Attributes
    ----------
    step : flow time
        `n / |H|_F`.
    iterations
        `|H|_F / lam_inf log(1/eps)`.
    width
        Neurons, `n^6 / lam_inf^4`.
    kernel_step : flow time
        `n / lam_max`, the condition of descent under the fixed kernel.
    smallest
        `lam_inf`.
    norm
        `|H|_F`.
    """

    step: float
    iterations: float
    width: float
    kernel_step: float
    smallest: float
    norm: float


def theorem_1(gram: ArrayLike, eps: float, x: ArrayLike | None = None, y: ArrayLike | None = None) -> Theorem1:
    """The step, iterations and width of Theorem 1 [16], with constants 1.

    Parameters
    ----------
    gram : (n, n)
        `H`, the limiting Gram matrix (`mf.tangent.limit_gram`).
    eps
        The loss to reach, in (0, 1).
    x : (n, d)
        Inputs as the network sees them; if given, `|x_i| = 1` and distinct directions are checked.
    y : (n,)
        Targets; if given, `|y_i| <= 1` is checked, which stands for y = O(1).

    Returns
    -------
    Theorem1
        Rates: the theorem's Theta, O and Omega hide constants.

    Raises
    ------
    InputError
        If `lam_inf` > 0 or a checked condition fails; the message names the samples that make H singular.

    Notes
    -----
    The theorem is for ReLU. Its `eta = Theta(1 / |H|_F)` is for the sum of the losses, so here, for the mean, it is
    `n / |H|_F`, which never exceeds `n / lam_max`.

    References
    ----------
    Section 3.1, Theorem 1.

    Examples
    --------
    >>> H = mf.tangent.limit_gram(mf.Network("relu", beta=0.5), mf.Gaussian(2), np.eye(2))
    >>> rates = mf.theory.theorem_1(H, eps=0.01, x=np.eye(2), y=[1.0, -1.0])
    >>> round(rates.step, 3), round(rates.iterations, 2), round(rates.width)
    (2.828, 6.51, 1024)
    """
    matrix, values = _positive(gram, x, y)
    eps, n = number("eps", eps, above=0.0), len(matrix)
    if eps >= 1.0:
        raise InputError("`eps` must lie below 1, where log(1/eps) is a count", eps, "Use 0.01, say.")
    norm, low = float(np.linalg.norm(matrix)), float(values[0])
    return Theorem1(n / norm, norm / low * math.log(1.0 / eps), n**6 / low**4, n / float(values[-1]), low, norm)


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
        For a step above `n / lam_max`, and where eps is never reached: a part of y is where the kernel is zero.

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
    matrix, eps = checked_gram(gram), number("eps", eps, above=0.0)
    n, pairs = len(matrix), eigen(matrix)
    most, norm = descent_step(matrix), float(np.linalg.norm(matrix)) or 1.0
    step = n / norm if step is None else number("step", step, above=0.0)
    if step > most * (1.0 + _EXACT):
        raise InputError("`step` must not exceed n / lam_max", f"{step:g}", f"Use {most:g} or less.")
    share = (pairs.vectors.T @ vector("y", y, n)) ** 2 / (2.0 * n)
    null = pairs.values <= _floor(pairs.values)
    stays = float(share[null].sum())
    if stays * (1.0 + _EXACT) >= eps:
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


def arora_bound(gram: ArrayLike, y: ArrayLike, x: ArrayLike | None = None) -> float:
    """The first term of (6) [3], `sqrt(2 y^T H^-1 y / n)`, by Cholesky.

    Parameters
    ----------
    gram : (n, n)
        `H`, the limiting Gram matrix (`mf.tangent.limit_gram`).
    y : (n,)
        Targets, `|y_i| <= 1`.
    x : (n, d)
        Inputs as the network sees them; if given, `|x_i| = 1` and distinct directions are checked.

    Returns
    -------
    float
        The term, a bound of the expected squared loss but for the second term.

    Raises
    ------
    InputError
        If a condition of (6) fails; a singular H has no inverse, and the message names the samples that make it so.

    References
    ----------
    Equation (6), section 3.1.

    Examples
    --------
    >>> round(mf.theory.arora_bound([[0.5, 0.0], [0.0, 0.5]], y=[1.0, -1.0]), 6)
    2.0
    """
    from scipy.linalg import cho_factor, cho_solve

    matrix, _ = _positive(gram, x, y)
    targets = vector("y", y, len(matrix))
    solved = cho_solve(cho_factor(matrix, lower=True), targets)
    return math.sqrt(2.0 * float(targets @ solved) / len(matrix))


def arora_rest(n: int, smallest: float, delta: float) -> float:
    """The rate of the second term of (6) [3], `sqrt(log(n / (lam_inf delta)) / n)`.

    Parameters
    ----------
    n
        Samples.
    smallest
        `lam_inf`, > 0.
    delta
        The probability that (6) fails, in (0, 1).

    Returns
    -------
    float
        The rate, with constant 1: the paper does not state its constant.

    Raises
    ------
    InputError
        Where the logarithm is negative: there O(.) says nothing.

    References
    ----------
    Equation (6), section 3.1.

    Examples
    --------
    >>> round(mf.theory.arora_rest(n=1000, smallest=0.1, delta=0.05), 3)
    0.11
    """
    n, smallest = whole("n", n, 1), number("smallest", smallest, above=0.0, remedy="At lam_inf = 0 (6) does not hold.")
    inside = n / (smallest * share("delta", delta))
    if inside < 1.0:
        raise InputError("n / (lam_inf delta) must be >= 1", f"{inside:g}", "Lower `delta`.")
    return math.sqrt(math.log(inside) / n)


def _floor(values: Array) -> float:
    """An eigenvalue up to this is 0 but for rounding."""
    return float(len(values) * np.finfo(np.float64).eps * np.abs(values).max())


def _positive(gram: ArrayLike, x: ArrayLike | None, y: ArrayLike | None) -> tuple[Array, Array]:
    """The Gram matrix and its eigenvalues, ascending, if the assumptions of Theorem 1 and (6) hold."""
    matrix = checked_gram(gram)
    if x is not None:
        _distinct(real_array("`x`", x, finite=False), len(matrix))
    if y is not None and np.abs(vector("y", y, len(matrix))).max() > 1.0 + _EXACT:
        largest = float(np.abs(real_array("`y`", y)).max())
        raise InputError("labels must have |y_i| <= 1 (Theorem 1, (6))", f"{largest:g}", "Divide them by the largest.")
    values = np.asarray(np.linalg.eigvalsh(matrix), dtype=np.float64)
    if values[0] <= _floor(values):
        raise InputError("lam_inf must be > 0", f"{values[0]:.3g}", f"H is singular: {_cause(matrix, values)}")
    return matrix, values


def _distinct(x: Array, n: int) -> None:
    """Inputs are n unit vectors, no two of them the same: else ReLU's H is singular, or the theorem another one."""
    if x.ndim != 2 or len(x) != n or not np.isfinite(x).all():
        raise InputError(f"`x` must be finite, of shape ({n}, d)", str(x.shape), "Give the inputs of the Gram matrix.")
    size = np.linalg.norm(x, axis=1)
    if not size.all():
        told, remedy = f"row {int(np.argmin(size))}", "It makes H singular: remove it, or add a bias."
        raise InputError("no input may be zero", told, remedy)
    units = x / size[:, None]
    for i in range(n - 1):
        apart = np.abs(units[i + 1 :] - units[i]).max(axis=1)
        if apart.min() <= _EXACT:
            told, remedy = f"rows {i} and {i + 1 + int(np.argmin(apart))}", "They make H singular: keep one of them."
            raise InputError("no two inputs may be repeated or parallel", told, remedy)
    off = int(np.argmax(np.abs(size - 1.0)))
    if abs(size[off] - 1.0) > _EXACT:
        raise InputError(
            "inputs must have |x_i| = 1 (Theorem 1, (6))", f"{size[off]:g} in row {off}", "Normalise them."
        )


def _cause(matrix: Array, values: Array) -> str:
    """Why a Gram matrix is singular, from its entries alone: whatever the activation, features that are parallel."""
    own = np.diag(matrix)
    if own.min() <= _floor(values):
        return f"sample {int(np.argmin(own))} has no gradient, as a zero input or a dead ReLU has none."
    cosine = np.abs(matrix) / np.sqrt(np.multiply.outer(own, own))
    np.fill_diagonal(cosine, 0.0)
    i, j = sorted(divmod(int(np.argmax(cosine)), len(matrix)))
    if cosine[i, j] >= 1.0 - _EXACT:
        return f"samples {i} and {j} have parallel gradients, as repeated or parallel inputs have. Keep one of them."
    rank = int(np.sum(values > _floor(values)))
    return f"rank {rank} for {len(matrix)} samples. Take more particles or inputs, or another activation."
