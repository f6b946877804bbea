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
    """The largest eta with L(w') <= L(w) - (eta / 2) |grad L|^2 where the kernel stays: n / (l'' lam_max) (3.1).

    gram : (n, n). curvature: sup l'' of the loss, 1 for the squared one and 1/4 for the logistic. inf where K = 0.

    >>> mf.theory.descent_step([[2.0, 0.0], [0.0, 0.5]])
    1.0
    """
    matrix, curvature = checked_gram(gram), number("curvature", curvature, above=0.0)
    top = float(np.linalg.eigvalsh(matrix)[-1])
    return len(matrix) / (curvature * top) if top > 0 else math.inf


@numpy_settings
def descent_bound(gram: ArrayLike, residual: ArrayLike, step: float) -> float:
    """The descent lemma's bound on L_n(w'), L_n - (eta / 2) n^-2 r^T K r, L_n = |r|^2 / (2 n) (3.1, flow time).

    gram : (n, n), residual : (n,) r = g - y. Raises InputError for a step above `descent_step`.

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
    """L_n(w_t) / L_n(w_0) is at most (1 - eta lam / n)^t (3.1, flow time): t's shape.

    smallest: lam > 0, of every Gram matrix on the way. Raises InputError unless 0 < eta lam / n <= 1.

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
    """Rates of Theorem 1 [16], constants 1: `step` n / |H|_F, `iterations`, `width` n^6 / lam_inf^4.

    kernel_step: n / lam_max, the kernel model's own condition. smallest, norm: lam_inf and |H|_F.
    """

    step: float
    iterations: float
    width: float
    kernel_step: float
    smallest: float
    norm: float


def theorem_1(gram: ArrayLike, eps: float, x: ArrayLike | None = None, y: ArrayLike | None = None) -> Theorem1:
    """Theorem 1 [16] for H = gram (n, n) and a loss of eps in (0, 1): rates, since Theta, O and Omega hide constants.

    The theorem's eta = Theta(1 / |H|_F) is for the sum of the losses, so here it is n / |H|_F, never above kernel_step.
    Assumes ReLU, |x_i| = 1 (with x (n, d), the inputs as the network sees them), y = O(1) (with y (n,), read as
    |y_i| <= 1) and lam_inf > 0. Raises InputError where these fail, and names the samples that make H singular.

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
    """The exact number of steps after which kernel descent from outputs 0 has L_n <= eps (3.1, flow time).

    L_n after t steps is (1/2n) sum_j (1 - eta lam_j / n)^(2t) (v_j . y)^2. step: n / |H|_F without, at most
    n / lam_max. Raises InputError where eps is never reached: a part of y lies where K is zero.

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
    """The first term of (6) [3], sqrt(2 y^T H^-1 y / n), by Cholesky: gram (n, n), y (n,).

    Assumes what `theorem_1` does, |y_i| <= 1 and, with x, |x_i| = 1. Raises InputError otherwise; a singular H has no
    inverse, and the message says which samples make it so.

    >>> round(mf.theory.arora_bound([[0.5, 0.0], [0.0, 0.5]], y=[1.0, -1.0]), 6)
    2.0
    """
    from scipy.linalg import cho_factor, cho_solve

    matrix, _ = _positive(gram, x, y)
    targets = vector("y", y, len(matrix))
    solved = cho_solve(cho_factor(matrix, lower=True), targets)
    return math.sqrt(2.0 * float(targets @ solved) / len(matrix))


def arora_rest(n: int, smallest: float, delta: float) -> float:
    """The rate of the second term of (6), sqrt(log(n / (lam_inf delta)) / n); the paper does not state its constant.

    delta in (0, 1): the chance that (6) fails. Raises InputError where the logarithm is negative: O(.) says nothing.

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
