"""The slow, obvious twin of the numerics: the paper's formulas once more, in loops over plain NumPy.

It shares no code with `particles`; of its values it only reads a regulariser's settings. Letters as in the paper:
b (M, d), s (M,), w (M,), x (n, d), y (n,), slope (n,) = l'(g_i, y_i) / n; of k outputs s (M, k), y and slope (n, k).
"""

import numpy as np
from scipy import special

SQRT_2PI = np.sqrt(2.0 * np.pi)

# sigma and sigma', from numpy and scipy.
SIGMA = {
    "relu": (lambda v: np.maximum(v, 0.0), lambda v: np.where(v > 0, 1.0, 0.0)),
    "smooth_relu": (lambda v: (v + np.hypot(v, 0.1)) / 2, lambda v: (1 + v / np.hypot(v, 0.1)) / 2),
    "sigmoid": (special.expit, lambda v: special.expit(v) * special.expit(-v)),
    "tanh": (np.tanh, lambda v: 1 / np.cosh(v) ** 2),
    "erf": (special.erf, lambda v: 2 / np.sqrt(np.pi) * np.exp(-(v**2))),
    "gelu": (lambda v: v * special.ndtr(v), lambda v: special.ndtr(v) + v * np.exp(-(v**2) / 2) / SQRT_2PI),
    "softplus": (lambda v: np.logaddexp(0.0, v), special.expit),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda v: -np.sin(v)),
    "quadratic": (np.square, lambda v: 2 * v),
    "linear": (lambda v: v, np.ones_like),
}

# l(z, y) and dl/dz; the first two of section 2.
LOSS = {
    "squared": (lambda z, y: (z - y) ** 2 / 2, lambda z, y: z - y),
    "logistic": (lambda z, y: np.log1p(np.exp(-y * z)), lambda z, y: -y / (1 + np.exp(y * z))),
    "huber": (
        lambda z, y: np.where(abs(z - y) < 1, (z - y) ** 2 / 2, abs(z - y) - 0.5),
        lambda z, y: np.where(abs(z - y) < 1, z - y, np.sign(z - y)),
    ),
    "smooth_hinge": (
        lambda z, y: np.select([y * z >= 1, y * z > 0], [0.0, (1 - y * z) ** 2 / 2], 0.5 - y * z),
        lambda z, y: np.select([y * z >= 1, y * z > 0], [0.0, -y * (1 - y * z)], -y),
    ),
    "exponential": (lambda z, y: np.exp(-y * z), lambda z, y: -y * np.exp(-y * z)),
}

# Of several outputs together: (n, k), (n, k) -> (n,), and their slope (n, k); `vector` is a user's own.
JOINT = {
    "softmax": (
        lambda z, y: np.log(np.exp(z).sum(axis=1)) - (y * z).sum(axis=1),
        lambda z, y: np.exp(z) / np.exp(z).sum(axis=1)[:, None] - y,
    ),
    "vector": (
        lambda z, y: np.sqrt(1 + ((z - y) ** 2).sum(axis=1)) - 1,
        lambda z, y: (z - y) / np.sqrt(1 + ((z - y) ** 2).sum(axis=1))[:, None],
    ),
}

LABELLED = {"logistic", "smooth_hinge", "exponential"}  # these want y = -1, 1


def network(b, s, w, x, sigma, alpha=1.0):
    """g(x_i) = alpha sum_r w_r s_r sigma(b_r . x_i): (n,), or (n, k)."""
    g = np.zeros((len(x), *s.shape[1:]))
    for i in range(len(x)):
        for r in range(len(b)):
            g[i] += alpha * w[r] * s[r] * sigma(np.dot(b[r], x[i]))
    return g


def velocity(b, s, x, slope, derivative, alpha=1.0):
    """v_r = -(1/alpha) sum_i (s_r . slope_i) sigma'(b_r . x_i) x_i: (M, d)."""
    v = np.zeros(b.shape)
    for r in range(len(b)):
        for i in range(len(x)):
            v[r] -= np.dot(s[r], slope[i]) * derivative(np.dot(b[r], x[i])) * x[i] / alpha
    return v


def velocity_s(b, x, slope, sigma, alpha=1.0):
    """The velocity of the output weights, -(1/alpha) sum_i slope_i sigma(b_r . x_i): (M,), or (M, k)."""
    return np.array([-sum(slope[i] * sigma(np.dot(row, x[i])) for i in range(len(x))) / alpha for row in b])


def shrink(u, threshold):
    """The proximal map of threshold |u|."""
    return np.sign(u) * np.maximum(np.abs(u) - threshold, 0.0)


def step(b, v, size, rule, start):
    """One step of flow time `size` of one layer under a regulariser `rule` (an L1 or L2)."""
    if type(rule).__name__ == "L1":
        return shrink(b + size * v, size * rule.weight)
    anchor = start if rule.about == "start" else np.zeros_like(b)
    return b + size * (v - rule.weight * (b - anchor))


def penalty(layers, starts, w, rule):
    """h / alpha^2: lam int |b|_1 dmu, or lam/2 int |b - anchor|^2 dmu, summed over the trained layers."""
    total = 0.0
    for layer, start in zip(layers, starts, strict=True):
        for r in range(len(w)):
            if type(rule).__name__ == "L1":
                total += w[r] * rule.weight * np.sum(np.abs(layer[r]))
            else:
                away = layer[r] - (start[r] if rule.about == "start" else 0.0)
                total += w[r] * rule.weight / 2 * np.sum(away**2)
    return total


def tree_sum(parts):
    """The sum in the tree of the row numbers: the largest power of two of rows on the left, the rest on the right."""
    if len(parts) == 1:
        return parts[0]
    half = 1
    while 2 * half < len(parts):
        half *= 2
    return tree_sum(parts[:half]) + tree_sum(parts[half:])


def order(errors):
    """The measured orders of convergence between errors at steps halved each time."""
    errors = np.asarray(errors)
    return np.log2(errors[:-1] / errors[1:])
