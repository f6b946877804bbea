"""The largest step that is stable at the start, and what a run that diverged advises.

Near the start the residuals of n samples follow a linear recursion of the tangent kernel (3.1). With phi_i the gradient
of g(x_i), l'' in it, and Sigma = E phi phi^T, whose eigenvalues are those of l'' K_w / n:

    descent                 b' = b - eta (Sigma + lam) b             stable below 2 / (lam_max(Sigma) + lam)
    batches of B samples    Sigma is a mean of B draws, and the second moment A of b follows
                            A' = A - eta L(A) + eta^2 S(A)           stable below 1 / lam_max(L^-1 S)
        L(A) = (Sigma + lam) A + A (Sigma + lam)
        S(A) = (E phi phi^T A phi phi^T - Sigma A Sigma) / B + (Sigma + lam) A (Sigma + lam)

(Mulayoff and Michaeli 2024, exact for the squared loss.) For Gaussian inputs and linear neurons: 2 B / (d + B + 1).
With k outputs phi_i has k columns.
"""

import math

import numpy as np

from particles.measures.measure import Array, Measure, Source, source_of
from particles.methods.base import Method, Problem
from particles.methods.schedules import InverseSqrt, RobbinsMonro
from particles.model.derivatives import one_by_one
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import NONE, Regulariser

_SAMPLES, _LONGEST, _PARTICLES = 256, 32, 4096
_ROWS, _FEWEST = 512, 8  # of several outputs: rows of the kernel, k a sample, and samples; 2 s with batches
_NOTHING = 1e-12  # of the largest eigenvalue
_ROUNDS, _SETTLED = 200, 1e-5  # of the power iteration; the advice is half of what it finds


def stable_step(
    net: Network,
    start: Measure | Source,
    x: Array,
    loss: Loss,
    rule: Regulariser = NONE,
    method: Method | None = None,
) -> float:
    """Beyond it the linearised iteration grows, in mean square with batches; flow time. 0 where the kernel overflows.

    Of a loss without a bound on its second derivative the linearisation is the one at outputs 0. A joint loss counts in
    every direction as in the one where it bends most.

    method: None is gradient descent. Estimated from at most 256 samples, fewer of more than 2 outputs, the longest
    inputs among them, and the first 4096 particles of the start; inputs as the network sees them.
    """
    few, share = _chosen(x, net.outputs)
    with np.errstate(all="ignore"):  # this is called when a run has overflowed
        gram = _bend(loss, net.outputs) * _gram(net, start, few, method.rate if method else 0.0)
        root = np.sqrt(np.repeat(share, net.outputs))
        gram = root[:, None] * gram * root
    if not np.isfinite(gram).all():
        return 0.0
    values, vectors = np.linalg.eigh(gram)
    pull = rule.pull
    top = float(values[-1])
    if method is not None:
        top *= method.inner  # so many steps follow one slope
    rate = 0.5 * (top + pull)
    if method is not None and method.batch is not None and top > 0.0:
        some = values > _NOTHING * top
        rate = max(rate, _noisy_rate(values[some], vectors[:, some], share, pull, method.batch))
    return 1.0 / rate if rate > 0.0 else np.inf


def _bend(loss: Loss, k: int) -> float:
    """The largest second derivative of a loss, or the one at an output of 0 if there is none."""
    if np.isfinite(loss.curvature):
        return loss.curvature
    if loss.joint:
        y = np.eye(1, k)
        return float(np.linalg.eigvalsh(loss.bend(loss.slope(np.zeros((1, k)), y), y)).max())
    return float(loss.bend(loss.slope(np.zeros(1), np.ones(1)))[0])


def _chosen(x: Array, outputs: int = 1) -> tuple[Array, Array]:
    """At most 256 inputs and their shares of the mean: the longest, which alone can make a step too large, and others.

    x : (n, d) -> (m, d), (m,)
    """
    n, few = len(x), min(_SAMPLES, max(_FEWEST, _ROWS // outputs))
    if n <= few:
        return x, np.full(n, 1.0 / n)
    most = few - min(_LONGEST, few // 2)
    with np.errstate(all="ignore"):
        order = np.argsort(np.einsum("ik,ik->i", x, x), kind="stable")
    longest, others = order[n - few + most :], np.sort(order[: n - few + most])
    others = others[:: -(-len(others) // most)]
    shares = np.concatenate([np.full(few - most, 1.0), np.full(len(others), (n - few + most) / len(others))]) / n
    return x[np.concatenate([longest, others])], shares


def _gram(net: Network, start: Measure | Source, x: Array, growth: float) -> Array:
    """K_w at the start, with the kernel of weights that grow: x (m, d) -> (m k, m k), outputs next to each other."""
    start = source_of(start) if isinstance(start, Measure) else start
    first = min(_PARTICLES, start.count)
    (b, s), w = start.part(0, first), start.weights(0, first)
    if not w.any():  # passengers alone: take them for the measure
        w = np.ones(len(w))
    w = w / w.sum()
    k = net.outputs
    gram = np.zeros((len(x) * k, len(x) * k))
    if "input" in net.train:
        slope = _times(one_by_one(net.activation.derivative)(x @ b.T), s)
        gram += (slope * w) @ slope.T * np.kron(x @ x.T, np.ones((k, k)))
    if "output" in net.train or growth:
        value = one_by_one(net.activation.sigma)(x @ b.T)
        gram += np.kron((value * w) @ value.T * ("output" in net.train), np.eye(k))
        moved = _times(value, s)
        apart = moved - (moved @ w)[:, None]
        gram += growth * (apart * w) @ apart.T
    return gram


def _times(features: Array, s: Array) -> Array:
    """Features times output weights: (m, M), (M,) -> (m, M), or with (M, k) -> (m k, M)."""
    return features * s if s.ndim == 1 else (features[:, None] * s.T).reshape(-1, len(s))


def _noisy_rate(values: Array, vectors: Array, share: Array, pull: float, batch: int) -> float:
    """lam_max(L^-1 S) by powers of L^-1/2 S L^-1/2, whose norms rise; Sigma's pairs (r,), (m k, r), shares (m,)."""
    phi = vectors * np.sqrt(values)  # times share^-1/2
    both = values + pull
    mean = np.multiply.outer(both, both) - np.multiply.outer(values, values) / batch
    scale = 1.0 / np.sqrt(np.add.outer(both, both))
    A, rate = np.eye(len(values)) / math.sqrt(len(values)), 0.0
    for _ in range(_ROUNDS):
        inner = scale * A
        A = scale * (_noise(phi, inner, batch * share) + mean * inner)
        before, rate = rate, float(np.linalg.norm(A))
        A /= rate
        if rate - before <= _SETTLED * rate:
            break
    return rate


def _noise(phi: Array, A: Array, share: Array) -> Array:
    """The sum of phi_i phi_i^T A phi_i phi_i^T over samples, over their shares: rows of phi (m k, r), A (r, r)."""
    if len(phi) == len(share):
        return np.asarray((phi.T * (np.sum((phi @ A) * phi, axis=1) / share)) @ phi)
    rows = phi.reshape(len(share), -1, len(A))
    inner = (phi @ A).reshape(rows.shape) @ rows.transpose(0, 2, 1) / share[:, None, None]
    return np.asarray(phi.T @ (inner @ rows).reshape(phi.shape))


def advice(problem: Problem, start: Source, moved: bool) -> str:
    """The likely cause of a divergence and the remedy; never a step above half of the one that failed."""
    if where := _undefined(problem.net, start, problem.samples.x):
        return f"{where}. Give one that is finite at every number, or other data or another start."
    if not moved:
        return "No step was taken yet: the data or the start are too large for this float type. Scale them."
    method, failed = problem.method, float(problem.sizes[0])
    safe = stable_step(problem.net, start, problem.samples.x, problem.loss, problem.regulariser, method)
    if safe == 0.0:
        return "The tangent kernel overflows at the start: the data or the start are too large. Scale them."
    step = rounded_down(min(safe, failed) / 2.0, 2)
    who, why = "gradient descent is stable", "2 / (lam_max / n + weight decay) for the tangent kernel, 3.1; flow time"
    if method.batch is not None:
        who, why = f"batches of {method.batch} are stable in mean square", "for the tangent kernel, 3.1; flow time"
    elif method.inner > 1:
        who = f"{method.inner} steps under one slope are stable"
        why = f"2 / ({method.inner} lam_max / n + weight decay) for the tangent kernel, 3.1; flow time"
    grown = " The kernel has grown since." if safe > failed else ""
    return (
        f"The likely cause is the step: it starts at {failed:.4g}, and {who} at this start below about {safe:.4g} "
        f"({why}).{grown} Try {_setting(method, step)}. What was recorded before is kept."
    )


def _undefined(net: Network, start: Source, x: Array) -> str:
    """Where the activation or its derivative is NaN at a number that the start gives it, in words; empty if nowhere."""
    with np.errstate(all="ignore"):
        u = _chosen(x)[0] @ start.part(0, min(_SAMPLES, start.count))[0].T
    u = u[np.isfinite(u)]
    row = net.activation
    for what, formula in (("The activation", row.sigma), ("The derivative of the activation", row.derivative)):
        bad = np.isnan(one_by_one(formula)(u))
        if bad.any():
            return f"{what} {row.name!r} is NaN at {u[bad][0]:.4g}, one of the numbers b.x at the start"
    return ""


def _setting(method: Method, step: float) -> str:
    """How a method is told to begin with this step."""
    given = method.step
    if isinstance(given, RobbinsMonro):
        return f"c = {rounded_down(step * (1.0 + given.t0), 2):g}, which begins with a step of about {step:g}"
    return f"c = {step:g}" if isinstance(given, InverseSqrt) else f"step = {step:g}"


def rounded_down(value: float, digits: int) -> float:
    """So many significant digits, never more than `value`, which is finite and positive."""
    size = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return float(f"{math.floor(value / size) * size:.{digits}g}")
