"""Stated errors of entropy, free energy, Gibbs measure and duality gap on random problems, beside plain quadrature.

Of an estimate from M particles `error` is a standard error and `bias` a rough size of what more particles would change:
2 error + bias is what is compared. Of a quadrature `error` is compared as it is.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import root
from scipy.special import expit, logsumexp

import particles as mf
from particles.measures.measure import Measure
from particles.theory.optimality.convex_program import columns_of

SMOOTH, ALL = ("tanh", "sigmoid", "erf", "sin"), ("tanh", "sigmoid", "erf", "sin", "relu", "softplus")
FINE = 72  # panels of a ray: digits to rounding, where what is compared has them too


class Problem(NamedTuple):
    """A random problem of the free energy: shares of the signs 1 and -1, and what `gibbs` and its friends take."""

    net: mf.Network
    data: mf.Dataset
    loss: str
    signs: np.ndarray
    shares: np.ndarray
    settings: dict

    def slope(self, g):
        return g - self.data.y if self.loss == "squared" else -self.data.y * expit(-self.data.y * g)

    def risk(self, g):
        y = self.data.y
        return np.mean((g - y) ** 2 / 2 if self.loss == "squared" else np.logaddexp(0.0, -y * g))


class Nodes(NamedTuple):
    """A quadrature of R^d: b (K, d), log weights (K,), sigma(b.x_i) (n, K), the pull lam/2 |b|^2 (K,)."""

    b: np.ndarray
    log_w: np.ndarray
    columns: np.ndarray
    pull: np.ndarray


def problem(random, d, activations):
    n, signs = int(random.integers(2, 8)), random.choice(["one", "two"])
    loss = random.choice(["squared", "logistic"])
    x = random.standard_normal((n, d)) * random.uniform(0.5, 1.5)
    y = random.standard_normal(n)
    data = mf.Dataset(x, np.sign(y) if loss == "logistic" else y)
    share = random.uniform(0.2, 0.8)
    settings = {"weight_decay": 10.0 ** random.uniform(-1.0, 0.0), "temperature": 10.0 ** random.uniform(-1.7, -0.3)}
    net = mf.Network(random.choice(activations))
    pair = ([1.0], [1.0]) if signs == "one" else ([1.0, -1.0], [share, 1.0 - share])
    return Problem(net, data, str(loss), *map(np.array, pair), settings)


def pieces(ends, points):
    x, w = np.polynomial.legendre.leggauss(points)
    lengths = np.diff(ends)[:, None] / 2.0
    return (ends[:-1, None] + lengths * (x + 1.0)).ravel(), (lengths * w).ravel()


def nodes_of(problem, panels):
    """Gauss rules in polar coordinates between the kinks, as far as exp(-V / tau) reaches at any slopes at hand."""
    x, lam, tau = problem.data.x, problem.settings["weight_decay"], problem.settings["temperature"]
    d, steep = x.shape[1], np.linalg.norm(x, axis=1).mean() * (2.0 + np.abs(problem.data.y).max())
    R = steep / lam + np.sqrt((steep / lam) ** 2 + 100.0 * tau / lam)
    r, w = pieces(np.linspace(0.0, R, panels + 1), 16)
    if d == 1:
        b, w = np.concatenate([r, -r])[:, None], np.concatenate([w, w])
    else:
        kinks = np.arctan2(x[:, 0], -x[:, 1])
        ends = np.unique(np.concatenate([kinks, kinks + np.pi, np.arange(4) * np.pi / 2]) % (2.0 * np.pi))
        ends = np.append(ends, ends[0] + 2.0 * np.pi)
        ends = np.unique(np.concatenate([ends, np.linspace(ends[0], ends[-1], panels)]))
        angle, share = pieces(ends, 12)
        b = (r[:, None, None] * np.column_stack([np.cos(angle), np.sin(angle)])).reshape(-1, 2)
        w = np.multiply.outer(w * r, share).ravel()
    return at(problem, b, w)


def at(problem, b, w):
    ones = Measure(b, np.ones(len(b)), np.full(len(b), 1.0 / len(b)))
    pull = problem.settings["weight_decay"] / 2.0 * np.sum(b**2, axis=1)
    return Nodes(b, np.log(w), columns_of(problem.net, ones, problem.data.x, 1.0), pull)


def tilt(problem, nodes, slopes):
    """log densities (signs, K) of exp(-V / tau) / Z for slopes u (n,), log Z (signs,) and its g (n,)."""
    V = np.multiply.outer(problem.signs, slopes @ nodes.columns / len(slopes)) + nodes.pull
    logs = -V / problem.settings["temperature"]
    log_z = logsumexp(logs + nodes.log_w, axis=1)
    logs -= log_z[:, None]
    g = nodes.columns @ ((problem.shares * problem.signs) @ np.exp(logs + nodes.log_w))
    return logs, log_z, g


def optimum(problem, nodes, begin=None):
    """g of mu*, a fixed point, and its slopes."""
    begin = np.zeros(len(problem.data.y)) if begin is None else begin
    g = root(lambda z: tilt(problem, nodes, problem.slope(z))[2] - z, begin, tol=1e-14).x
    return g, problem.slope(g)


def parts(problem, nodes, logs, g):
    """Risk, confinement and entropy of densities (signs, K)."""
    p = problem.shares[:, None] * np.exp(logs + nodes.log_w)
    return problem.risk(g), float((p @ nodes.pull).sum()), float(-(p * (logs + np.log(problem.shares)[:, None])).sum())


def law(random, problem, nodes):
    """Slopes of a law of known density, exp(-V / tau): from the optimum's (1 in 4) to far ones."""
    slopes = optimum(problem, nodes)[1]
    far = random.choice([0.0, 0.1, 1.0, 3.0])
    return slopes + far * random.standard_normal(len(slopes)) * np.abs(slopes).max()


def sample(random, problem, reach, slopes, count):
    """count particles of that law, by a density that is constant on each of many cells of |b|_inf <= reach."""
    d, numbers = problem.data.x.shape[1], np.round(problem.shares * count).astype(int)
    edge = np.linspace(-reach, reach, 2**14 + 1 if d == 1 else 401)
    middle = (edge[1:] + edge[:-1]) / 2.0
    cells = middle[:, None] if d == 1 else np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    logs = tilt(problem, at(problem, cells, np.ones(len(cells))), slopes)[0]
    b = []
    for row, number in zip(logs, numbers, strict=True):
        total = np.cumsum(np.exp(row - row.max()))
        which = np.searchsorted(total, random.random(number) * total[-1], side="right")
        b.append(cells[which] + (edge[1] - edge[0]) * (random.random((number, d)) - 0.5))
    s = np.repeat(problem.signs, numbers)
    return Measure(np.concatenate(b), s, np.full(len(s), 1.0 / len(s)))


def drawn(seed):
    """A problem with the signs' shares that its particles have, nodes, particles, and their law's log density and g."""
    random, one, nodes = line_or_plane(seed)
    slopes = law(random, one, nodes)
    logs = tilt(one, nodes, slopes)[0]
    reach = 1.05 * np.abs(nodes.b[(logs > logs.max() - 30.0).any(axis=0)]).max()
    cloud = sample(random, one, reach, slopes, int(2 ** random.uniform(8.0, 12.0)))
    one = one._replace(shares=np.array([np.mean(cloud.s == sign) for sign in one.signs]))
    return one, nodes, cloud, logs, tilt(one, nodes, slopes)[2]


def line_or_plane(seed, activations=SMOOTH, panels=24):
    random = np.random.default_rng(seed)
    one = problem(random, int(random.integers(1, 3)), activations)
    return random, one, nodes_of(one, panels)


def entropy(seed):
    """Products of Gaussian, Laplace, logistic or uniform laws, d = 1 to 5, stretched; other signs, another scale."""
    random = np.random.default_rng(seed)
    d, count = int(random.integers(1, 6)), int(2 ** random.uniform(7.0, 12.0))
    name, own = [("normal", 0.5 * np.log(2.0 * np.pi * np.e)), ("laplace", 1.0 + np.log(2.0)), ("logistic", 2.0),
                 ("uniform", 0.0)][seed % 4]  # fmt: skip
    turn = random.standard_normal((d, d))
    share, ratio = random.choice([0.5, 0.8]), random.choice([1.0, 4.0])
    s = np.where(random.random(count) < share, 1.0, -1.0)
    b = getattr(random, name)(size=(count, d)) @ turn * np.where(s > 0, 1.0, ratio)[:, None]
    found = mf.theory.entropy(Measure(b, s, np.full(count, 1.0 / count)))
    signs = -share * np.log(share) - (1.0 - share) * np.log(1.0 - share) + (1.0 - share) * d * np.log(ratio)
    truth = d * own + np.linalg.slogdet(turn)[1] + signs
    return 2.0 * found.error + found.bias, abs(found.value - truth)


def free_energy(seed):
    one, nodes, cloud, logs, g = drawn(seed)
    risk, confinement, entropy = parts(one, nodes, logs, g)
    found = mf.theory.free_energy(one.net, cloud, one.data, one.loss, **one.settings)
    truth = risk + confinement - one.settings["temperature"] * entropy
    return 2.0 * found.error + getattr(found, "bias", 0.0), abs(found.value - truth)


def gap_of(seed, sampling):
    one, nodes, cloud, logs, g = drawn(seed)
    proximal = tilt(one, nodes, one.slope(g))[0]
    p = one.shares[:, None] * np.exp(logs + nodes.log_w)
    truth = one.settings["temperature"] * float((p * (logs - proximal)).sum())
    found = mf.theory.duality_gap(one.net, cloud, one.data, one.loss, **one.settings, sampling=sampling, seed=seed)
    return 2.0 * found.error + found.bias, abs(found.gap - truth)


def duality_gap(seed):
    return gap_of(seed, None)


def duality_gap_sampled(seed):
    return gap_of(seed, True)


def proximal_of(seed, activations, sampling):
    """log Z of one of the signs."""
    random, one, nodes = line_or_plane(seed, activations, 24 if sampling else FINE)
    cloud = mf.Gaussian(one.data.x.shape[1], std=random.uniform(0.3, 2.0)).sample(200, seed)
    cloud = cloud._replace(s=np.resize(one.signs, 200))
    found = mf.theory.proximal_gibbs(
        one.net, cloud, one.data, one.loss, **one.settings, sampling=sampling, draws=2**14, seed=seed
    )
    slopes, last = one.slope(one.net.predict(cloud, one.data.x)), len(found.signs) - 1
    log_z = tilt(one._replace(signs=found.signs[last:], shares=found.shares[last:]), nodes, slopes)[1]
    return float(found.error[last]) * (2.0 if sampling else 1.0), abs(float(found.log_normaliser[last] - log_z[0]))


def proximal_gibbs(seed):
    return proximal_of(seed, ALL, False)


def proximal_gibbs_sampled(seed):
    return proximal_of(seed, SMOOTH, True)


def optimum_of(seed):
    _, one, nodes = line_or_plane(seed, ALL, FINE)
    shares = dict(zip(one.signs.tolist(), one.shares.tolist(), strict=True))
    found = mf.theory.gibbs(one.net, one.data, one.loss, **one.settings, signs=shares, tolerance=1e-9)
    return found, one, nodes, optimum(one, nodes, found.prediction)


def gibbs(seed):
    found, *_, (g, _) = optimum_of(seed)
    return found.error, float(np.abs(found.prediction - g).max())


def gibbs_free_energy(seed):
    found, one, nodes, (g, slopes) = optimum_of(seed)
    risk, confinement, entropy = parts(one, nodes, tilt(one, nodes, slopes)[0], g)
    truth = risk + confinement - one.settings["temperature"] * entropy
    return found.free_energy.error, abs(found.free_energy.value - truth)


CHECKS = {
    "theory.entropy": entropy,
    "theory.free_energy": free_energy,
    "theory.duality_gap": duality_gap,
    "theory.duality_gap, sampling=True": duality_gap_sampled,
    "theory.proximal_gibbs": proximal_gibbs,
    "theory.proximal_gibbs, sampling=True": proximal_gibbs_sampled,
    "theory.gibbs.prediction": gibbs,
    "theory.gibbs.free_energy": gibbs_free_energy,
}
