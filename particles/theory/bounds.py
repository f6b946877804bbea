"""The paper's bounds and rates as numbers: sections 2, 3.1, 3.2 and 3.3, a function each, with what each assumes.

Everything is in flow time (the mean squared loss; a step multiplies residuals by I - eta K / n) unless its name begins
with `paper_`. Constants that the paper does not state are taken as 1: such values are rates, good for slopes, ratios.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, whole
from particles.errors import InputError
from particles.laws import Atoms, Ball, Gaussian, Law, Sphere, Uniform
from particles.measure import Array
from particles.network import Network
from particles.schedules import RobbinsMonro
from particles.theory.kernel_flow import checked_gram, eigen

_EXACT = 1e-9  # how far a norm, a label or an inner product may be off by rounding


def robbins_monro(strong: float, smooth: float) -> RobbinsMonro:
    """Steps 2 / (mu (t + t0)), t0 = 2 L / mu - 1, for a mu-strongly convex, L-smooth objective (section 2, [13])."""
    strong, smooth = _convexity(strong, smooth)
    return RobbinsMonro(2.0 / strong, 2.0 * smooth / strong - 1.0)


def robbins_monro_bound(t: ArrayLike, strong: float, variance: float, smooth: float, start_gap: float) -> Array:
    """E[f(w) - f*] after t of the steps of `robbins_monro` is at most this: O(1/t) (section 2, [14]), t's shape.

    variance: E|noise|^2 <= V of an unbiased gradient. max(2 L V / mu^2, (2 L / mu) gap) / (t + 2 L / mu): smoothness
    gives e' <= (1 - mu eta) e + L V eta^2 / 2 while L eta <= 1, and induction the rest (Bottou, Curtis, Nocedal 2018,
    theorem 4.7). Raises InputError unless 0 < mu <= L.
    """
    (strong, smooth), asked = _convexity(strong, smooth), np.asarray(t, dtype=np.float64)
    if not np.isfinite(asked).all() or (asked < 0).any():
        raise InputError("`t` must be iterations >= 0", str(t), "Give np.arange(100), say.")
    variance, gap = number("variance", variance, 0.0), number("start_gap", start_gap, 0.0)
    first = 2.0 * smooth / strong
    return np.asarray(max(first * variance / strong, first * gap) / (asked + first))


def sgd_evaluations(eps: float, strong: float, variance: float, smooth: float, start_gap: float) -> int:
    """Gradient evaluations after which `robbins_monro_bound` is eps: O(1/eps), whatever n is (section 2)."""
    eps, start = number("eps", eps, above=0.0), robbins_monro_bound(0.0, strong, variance, smooth, start_gap)
    return max(0, math.ceil(2.0 * smooth / strong * (float(start) / eps - 1.0) - _EXACT))


def gd_evaluations(eps: float, strong: float, smooth: float, start_gap: float, n: int) -> int:
    """Gradient evaluations of descent with eta = 1/L on n samples until the gap is eps: O(n log(1/eps)) (section 2).

    n times the smallest t with (1 - mu / L)^t gap <= eps.
    """
    (strong, smooth), n = _convexity(strong, smooth), whole("n", n, 1)
    eps, gap = number("eps", eps, above=0.0), number("start_gap", start_gap, 0.0)
    if gap <= eps:
        return 0
    return n * (1 if strong == smooth else math.ceil(math.log(gap / eps) / -math.log1p(-strong / smooth) - _EXACT))


def descent_step(gram: ArrayLike, curvature: float = 1.0) -> float:
    """The largest eta with L(w') <= L(w) - (eta / 2) |grad L|^2 where the kernel stays: n / (l'' lam_max) (3.1).

    gram : (n, n). curvature: sup l'' of the loss, 1 for the squared one and 1/4 for the logistic. inf where K = 0.
    """
    matrix, curvature = checked_gram(gram), number("curvature", curvature, above=0.0)
    top = float(np.linalg.eigvalsh(matrix)[-1])
    return len(matrix) / (curvature * top) if top > 0 else math.inf


def descent_bound(gram: ArrayLike, residual: ArrayLike, step: float) -> float:
    """The descent lemma's bound on L_n(w'), L_n - (eta / 2) n^-2 r^T K r, L_n = |r|^2 / (2 n) (3.1, flow time).

    gram : (n, n), residual : (n,) r = g - y. Raises InputError for a step above `descent_step`.
    """
    matrix = checked_gram(gram)
    n, r = len(matrix), _vector("residual", residual, len(matrix))
    step, most = number("step", step, 0.0), descent_step(matrix)
    if step > most * (1.0 + _EXACT):
        raise InputError("the descent lemma needs `step` <= n / lam_max", f"{step:g}", f"Use {most:g} or less.")
    return float(r @ r / (2.0 * n) - step / 2.0 * (r @ matrix @ r) / n**2)


def contraction(step: float, smallest: float, n: int, t: ArrayLike) -> Array:
    """L_n(w_t) / L_n(w_0) is at most (1 - eta lam / n)^t (3.1, flow time): t's shape.

    smallest: lam > 0, of every Gram matrix on the way. Raises InputError unless 0 < eta lam / n <= 1.
    """
    step, smallest = number("step", step, above=0.0), number("smallest", smallest)
    shrink, asked = step * smallest / whole("n", n, 1), np.asarray(t, dtype=np.float64)
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
    """
    matrix, values = _positive(gram, x, y)
    eps, n = number("eps", eps, above=0.0), len(matrix)
    if eps >= 1.0:
        raise InputError("`eps` must lie below 1, where log(1/eps) is a count", eps, "Use 0.01, say.")
    norm, low = float(np.linalg.norm(matrix)), float(values[0])
    return Theorem1(n / norm, norm / low * math.log(1.0 / eps), n**6 / low**4, n / float(values[-1]), low, norm)


def kernel_iterations(gram: ArrayLike, y: ArrayLike, eps: float, step: float | None = None) -> int:
    """The exact number of steps after which kernel descent from outputs 0 has L_n <= eps (3.1, flow time).

    L_n after t steps is (1/2n) sum_j (1 - eta lam_j / n)^(2t) (v_j . y)^2. step: n / |H|_F without, at most
    n / lam_max. Raises InputError where eps is never reached: a part of y lies where K is zero.
    """
    matrix, eps = checked_gram(gram), number("eps", eps, above=0.0)
    n, pairs = len(matrix), eigen(matrix)
    most, norm = descent_step(matrix), float(np.linalg.norm(matrix)) or 1.0
    step = n / norm if step is None else number("step", step, above=0.0)
    if step > most * (1.0 + _EXACT):
        raise InputError("`step` must not exceed n / lam_max", f"{step:g}", f"Use {most:g} or less.")
    share = (pairs.vectors.T @ _vector("y", y, n)) ** 2 / (2.0 * n)
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
    first = -1
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (middle, last) if loss(middle) > eps else (first, middle)
    return last


def arora_bound(gram: ArrayLike, y: ArrayLike, x: ArrayLike | None = None) -> float:
    """The first term of (6) [3], sqrt(2 y^T H^-1 y / n), by Cholesky: gram (n, n), y (n,).

    Assumes what `theorem_1` does, |y_i| <= 1 and, with x, |x_i| = 1. Raises InputError otherwise; a singular H has no
    inverse, and the message says which samples make it so.
    """
    from scipy.linalg import cho_factor, cho_solve

    matrix, _ = _positive(gram, x, y)
    targets = _vector("y", y, len(matrix))
    solved = cho_solve(cho_factor(matrix, lower=True), targets)
    return math.sqrt(2.0 * float(targets @ solved) / len(matrix))


def arora_rest(n: int, smallest: float, delta: float) -> float:
    """The rate of the second term of (6), sqrt(log(n / (lam_inf delta)) / n); the paper does not state its constant.

    delta in (0, 1): the chance that (6) fails. Raises InputError where the logarithm is negative: O(.) says nothing.
    """
    n, smallest = whole("n", n, 1), number("smallest", smallest, above=0.0, remedy="At lam_inf = 0 (6) does not hold.")
    inside = n / (smallest * _share("delta", delta))
    if inside < 1.0:
        raise InputError("n / (lam_inf delta) must be >= 1", f"{inside:g}", "Lower `delta`.")
    return math.sqrt(math.log(inside) / n)


def weight_decay(T: int, r: float, beta: float) -> float:
    """lam = T^(-beta / (2 r beta + 1)) of Theorem 2 [8]; flow time and paper agree at its output scale, beta = 1/2.

    r in [1/2, 1]: the source condition. beta > 1: the decay lam_i = Theta(i^-beta), not the output scale.
    """
    return float(whole("T", T, 1) ** (averaged_exponent(r, beta) / (2.0 * r)))


def averaged_step(lam: float) -> float:
    """The largest eta of Theorem 2 [8], 4 (6 + lam) eta = 1; flow time and paper agree at its output scale, 1/2."""
    return 1.0 / (4.0 * (6.0 + number("lam", lam, 0.0)))


def averaged_exponent(r: float, beta: float) -> float:
    """The exponent of T in Theorem 2 [8], -2 r beta / (2 r beta + 1), which is minimax [17]."""
    r, beta = number("r", r, 0.5, 1.0), number("beta", beta, above=1.0, remedy="lam_i must be summable.")
    return -2.0 * r * beta / (2.0 * r * beta + 1.0)


def averaged_bound(T: ArrayLike, r: float, beta: float, source_norm: float = 0.0, factor: float = 1.0) -> Array:
    """Theorem 2 [8] without its eps: alpha T^(-2 r beta / (2 r beta + 1)) (1 + |Sigma^-r g_rho|^2), T's shape.

    factor: the paper's alpha, which it does not state.
    """
    asked = np.asarray(T, dtype=np.float64)
    if not np.isfinite(asked).all() or (asked < 1).any():
        raise InputError("`T` must be iterations >= 1", str(T), "Give np.arange(1, 100), say.")
    size = number("factor", factor, above=0.0) * (1.0 + number("source_norm", source_norm, 0.0) ** 2)
    return np.asarray(size * asked ** averaged_exponent(r, beta))


def relu_decay(d: int) -> float:
    """beta = 1 + 1/(d - 1): the eigenvalue decay of smoothed ReLU on the sphere in R^d (Theorem 2, d >= 2)."""
    return 1.0 + 1.0 / (whole("d", d, 2, remedy="The sphere in R^1 is two points.") - 1)


def relu_exponent(r: float, d: int) -> float:
    """The exponent of T there, -2 r d / (2 r d + d - 1)."""
    return averaged_exponent(r, relu_decay(d))


def assumption_1(
    net: Network, x: ArrayLike, y: ArrayLike, law: Law | None = None, r: float | None = None, beta: float | None = None
) -> list[str]:
    """What fails of Assumption 1 and of the start of section 3.2, a sentence each; nothing fails in an empty list.

    x (n, d) and y (n,) as the network is given them; r and beta as in `weight_decay`, looked at where given.
    """
    row, largest = net.row, float(np.linalg.norm(net.inputs(x), axis=1).max())
    targets = _vector("y", y, len(net.inputs(x)))
    checks = [
        (row.assumption_1, f"{row.name} lacks |sigma''| <= C, |sigma'| <= 2 or |sigma(u)| <= 1 + |u|"),
        (largest <= 1.0 + _EXACT, f"|x| <= 1 fails: {largest:g} (a bias counts)"),
        (float(np.abs(targets).max()) <= 1.0 + _EXACT, f"y in [-1, 1] fails: |y| = {np.abs(targets).max():g}"),
        (r is None or 0.5 <= r <= 1.0, f"the source condition needs r in [1/2, 1]: {r}"),
        (beta is None or beta > 1.0, f"the eigenvalues need a decay beta > 1: {beta}"),
        (net.beta == 0.5, f"the output scale must be 1/sqrt(M), beta = 1/2: {net.beta:g}"),
        (law is None or _in_unit_ball(law), f"mu0 must live in the unit ball: {law!r}"),
    ]
    return [told for good, told in checks if not good]


class Costs(NamedTuple):
    """Theorem 3's M, T and n, and its step, in flow time and in the paper's parameters."""

    width: float
    iterations: float
    samples: float
    step: float
    paper_step: float


def theorem_3_powers(beta: float = 0.0, setting: str = "i") -> Costs:
    """How Theorem 3's quantities grow: the powers k of (1/eps)^k, logarithms left out ([7], T at its least).

    beta: the output scale. Setting "i" has beta in [0, 1), "ii" beta = 0. eta_paper = eta M^(2 beta - 1), so the flow
    steps eps^-2 / T of (i) and Theta(1/M) M of (ii) are both of order 1.
    """
    if setting not in ("i", "ii"):
        raise InputError('`setting` must be "i" or "ii"', repr(setting), "")
    beta = number("beta", beta, 0.0, 1.0, remedy="1 is the mean field, not Theorem 3's.")
    if beta == 1.0 or (setting == "ii" and beta != 0.0):
        rule = "Theorem 3 needs `beta` in [0, 1), and 0 in setting ii"
        raise InputError(rule, f"beta={beta:g} in setting {setting}", "Use beta=0.")
    if setting == "ii":
        return Costs(1.5, 1.0, 2.0, 0.0, -1.5)
    width = 1.0 / (1.0 - beta)
    return Costs(width, 2.0, 4.0, 0.0, (2.0 * beta - 1.0) * width)


def theorem_3(eps: float, beta: float = 0.0, setting: str = "i", T: float | None = None) -> Costs:
    """Theorem 3 [7] at constants 1: what P[Y g(X) <= 0] <= eps takes. Rates: Theta, Omega hide constants and logs.

    T: more iterations than the least in setting "i", where the flow step is eps^-2 / T. Assumption 2 is looked at by
    `assumption_2` and `margin`.
    """
    eps, powers = _share("eps", eps), theorem_3_powers(beta, setting)
    found = Costs(*(eps**-power for power in powers))
    if T is None:
        return found
    T = number("T", T, above=0.0)
    if setting == "ii" or found.iterations * (1.0 - _EXACT) > T:
        rule = f"`T` may be chosen in setting i only, from eps^-2 = {eps**-2:g} on"
        raise InputError(rule, f"T={T:g} in setting {setting}", "Leave it out for the least.")
    slower = found.iterations / T
    return found._replace(iterations=T, step=found.step * slower, paper_step=found.paper_step * slower)


def assumption_2(net: Network, x: ArrayLike, y: ArrayLike, law: Law | None = None) -> list[str]:
    """What fails of Assumption 2 and Theorem 3's setting but for the margin (7), a sentence each: see `margin`."""
    row, largest = net.row, float(np.linalg.norm(net.inputs(x), axis=1).max())
    labels = _vector("y", y, len(net.inputs(x)))
    known = law is None or isinstance(law, Gaussian | Sphere | Ball | Uniform | Atoms)
    checks = [
        (row.assumption_2, f"{row.name} lacks |sigma'| <= K1 or |sigma''| <= K2"),
        (largest <= 1.0 + _EXACT, f"|x| <= 1 fails: {largest:g} (a bias counts)"),
        (bool((np.abs(labels) == 1.0).all()), "labels must be -1 or 1"),
        (net.beta < 1.0, "the output scale must have beta in [0, 1): 1 is the mean field"),
        (known, f"mu0 must be sub-Gaussian, which is not known of {law!r}"),
    ]
    return [told for good, told in checks if not good]


def _convexity(strong: float, smooth: float) -> tuple[float, float]:
    strong, smooth = number("strong", strong, above=0.0), number("smooth", smooth, above=0.0)
    if strong > smooth:
        raise InputError(
            "`strong` must not exceed `smooth`: mu <= f'' <= L", f"{strong:g} and {smooth:g}", "Swap them."
        )
    return strong, smooth


def _share(name: str, value: float) -> float:
    if number(name, value, above=0.0) >= 1.0:
        raise InputError(f"`{name}` must lie between 0 and 1", value, "Use 0.05, say.")
    return float(value)


def _vector(name: str, values: ArrayLike, n: int) -> Array:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (n,) or not np.isfinite(vector).all():
        raise InputError(f"`{name}` must be finite, of shape ({n},)", str(vector.shape), "One number a sample.")
    return vector


def _in_unit_ball(law: Law) -> bool:
    """Whether the support is in the unit ball; of a law that we do not know, whether 4096 draws are."""
    if isinstance(law, Gaussian):
        return False
    if isinstance(law, Uniform):
        return math.sqrt(law.dim) * max(abs(law.low), abs(law.high)) <= 1.0 + _EXACT
    points = law.points[law.weights > 0] if isinstance(law, Atoms) else law.rows(0, 0, 4096)
    radius = law.radius if isinstance(law, Ball | Sphere) else float(np.linalg.norm(points, axis=1).max())
    return radius <= 1.0 + _EXACT


def _floor(values: Array) -> float:
    """An eigenvalue up to this is 0 but for rounding."""
    return float(len(values) * np.finfo(np.float64).eps * np.abs(values).max())


def _positive(gram: ArrayLike, x: ArrayLike | None, y: ArrayLike | None) -> tuple[Array, Array]:
    """The Gram matrix and its eigenvalues, ascending, if the assumptions of Theorem 1 and (6) hold."""
    matrix = checked_gram(gram)
    if x is not None:
        _distinct(np.asarray(x, dtype=np.float64), len(matrix))
    if y is not None and np.abs(_vector("y", y, len(matrix))).max() > 1.0 + _EXACT:
        largest = float(np.abs(np.asarray(y)).max())
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
