"""Certified gaps of the noiseless optimum and of the margin on random problems, beside dense grids and finer programs.

A certificate is a bound: it is compared as it is.
"""

import numpy as np

import particles as mf
from particles.theory import certificates

SMOOTH, ALL = ("tanh", "sigmoid", "erf", "sin"), ("tanh", "sigmoid", "erf", "sin", "relu", "softplus")


def problem(seed, activations=ALL, dims=(1, 2)):
    """Network, data, loss, a pull and a random measure in a ball of radius R."""
    random = np.random.default_rng(seed)
    d, n, R = int(random.choice(dims)), int(random.integers(2, 9)), float(random.uniform(0.5, 5.0))
    loss, rule = str(random.choice(["squared", "logistic"])), [mf.L2(0.1), mf.L1(0.05), mf.L2(0.0)][seed % 3]
    x, y = random.standard_normal((n, d)), random.standard_normal(n)
    data = mf.Dataset(x, np.sign(y) if loss == "logistic" else y)
    M = int(random.choice([1, 5, 50]))
    cloud = mf.Ball(d, R).sample(M, seed, signs="random")
    cloud = cloud._replace(s=np.resize([1.0, -1.0], M)) if M > 1 else cloud
    return random, mf.Network(str(random.choice(activations))), data, loss, rule, cloud, R


def grid(d, R, count):
    """Points of the ball: (K, d)."""
    axis = np.linspace(-R, R, count)
    b = axis[:, None] if d == 1 else np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return b[np.linalg.norm(b, axis=1) <= R]


def deepest(net, data, loss, rule, cloud, R):
    """The smallest V of a dense grid, and of descent from its lowest points."""
    from particles.theory.optimality.minimum import descend
    from particles.theory.optimality.potential import first_variation

    V, d = first_variation(net, cloud, data, loss, rule), data.x.shape[1]
    lowest = np.inf
    for sign in np.unique(cloud.s):
        b = grid(d, R, 4001 if d == 1 else 301)
        values = V.value(b, np.full(len(b), sign))
        start = b[np.argsort(values)[:20]]
        lowest = min(lowest, values.min(), descend(V, start, np.full(len(start), sign), R, 500)[1].min())
    return lowest


def gap(seed):
    """By descent: its gap is short of the largest one that a dense grid shows."""
    _, net, data, loss, rule, cloud, R = problem(seed)
    found = certificates.gap(net, cloud, data, loss, rule, radius=R, boxes=0)
    truth = found.mean - deepest(net, data, loss, rule, cloud, R)
    return found.gap * (1.0 + 1e-9) + 1e-15, truth


def proven(seed):
    _, net, data, loss, rule, cloud, R = problem(seed)
    found = certificates.gap(net, cloud, data, loss, rule, radius=R, boxes=2**16)
    return found.proven, found.mean - deepest(net, data, loss, rule, cloud, R)


def convex_optimum(seed):
    """Against the same atoms to a gap 10^4 times smaller."""
    random, net, data, loss, rule, _, R = problem(seed, dims=(1, 2, 4))
    atoms = mf.Ball(data.x.shape[1], R).sample(int(random.integers(3, 80)), seed, signs="random")
    found = mf.theory.convex_optimum(net, atoms, data, loss, rule, tolerance=10.0 ** random.uniform(-9.0, -3.0))
    finer = mf.theory.convex_optimum(net, atoms, data, loss, rule, tolerance=1e-12)
    return found.gap, found.objective - finer.objective


def frank_wolfe(seed):
    """Against a gap a thousand times smaller."""
    _, net, data, loss, rule, _, R = problem(seed, SMOOTH)
    found = mf.theory.frank_wolfe(net, data, loss, rule, radius=R, tolerance=1e-3, starts=8)
    finer = mf.theory.frank_wolfe(net, data, loss, rule, radius=R, tolerance=1e-7, starts=32, seed=1)
    return found.gap, found.objective - finer.objective


def objective(net, data, loss, rule, cloud):
    return certificates.objective(net, cloud, data, loss, rule)


def gap_of_the_objective(seed):
    """L of a random measure above the least L that Frank and Wolfe find on its signs and ball: at most `proven`."""
    _, net, data, loss, rule, cloud, R = problem(seed, SMOOTH)
    signs = np.unique(cloud.s)
    best = mf.theory.frank_wolfe(net, data, loss, rule, radius=R, signs=signs, tolerance=1e-4, starts=8)
    found = certificates.gap(net, cloud, data, loss, rule, radius=R, boxes=2**14)
    return found.proven, found.objective - best.objective


def margin(seed):
    """On atoms: how far the margin to 10^-9 is outside the bounds to a random tolerance; half their distance else."""
    random, net, data, *_ = problem(seed, dims=(1, 2, 3))
    x, y = data.x, np.sign(data.y)
    atoms = mf.Gaussian(x.shape[1]).sample(int(random.integers(5, 200)), seed, signs="random")
    found = mf.theory.margin(net, atoms, x, y, tolerance=10.0 ** random.uniform(-4.0, -1.0))
    finer = mf.theory.margin(net, atoms, x, y, tolerance=1e-9)
    middle = (found.upper + found.lower) / 2.0
    return (found.upper - found.lower) / 2.0, abs((finer.upper + finer.lower) / 2.0 - middle) - (
        finer.upper - finer.lower) / 2.0  # fmt: skip


def margin_of_a_law(seed):
    """How far the margin on 8 times as many nodes is outside the bounds, half their distance added."""
    _, net, data, *_ = problem(seed, dims=(1, 2, 3, 4, 5))
    x, y, d = data.x, np.sign(data.y), data.x.shape[1]
    law = [mf.Gaussian(d), mf.Ball(d, 2.0), mf.Uniform(d, -1.0, 1.0)][seed % 3]
    found = mf.theory.margin(net, law, x, y, nodes=512, tolerance=1e-4)
    finer = mf.theory.margin(net, law, x, y, nodes=4096, tolerance=1e-4)
    middle, half = (found.upper + found.lower) / 2.0, (found.upper - found.lower) / 2.0
    return half + found.quadrature, abs((finer.upper + finer.lower) / 2.0 - middle)


CHECKS = {
    "certificates.gap": gap,
    "certificates.gap.proven, of V": proven,
    "certificates.gap.proven, of L": gap_of_the_objective,
    "theory.convex_optimum": convex_optimum,
    "theory.frank_wolfe": frank_wolfe,
    "margin.margin, measure": margin,
    "margin.margin, law": margin_of_a_law,
}
