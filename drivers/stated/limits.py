"""Stated errors of quadrature: the mean-field limit, the limiting tangent kernel, means under a law.

The truths are means over rules that no answer has used, with many times the nodes.
"""

from functools import cache
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import particles as mf
from particles.analysis.limit_runs import rule_of
from particles.measures.laws import Law
from particles.theory.radial import profile

FINE = range(4, 8), 2**13  # in up to three dimensions: rules of the truth, and their nodes
SCRAMBLES = range(100, 108), 2**12  # beyond
ROUNDING = 1e-11  # of the truths themselves: sums over a million atoms, tables of a profile


class Problem(NamedTuple):
    """A random problem in one to six dimensions."""

    net: mf.Network
    law: Law
    data: mf.Dataset
    given: dict[str, Any]
    tolerance: float


def law_of(random: np.random.Generator, d: int) -> Law:
    """A random law on R^d, d > 1 if it is a sphere."""
    size, low = random.uniform(0.5, 2.0), -random.uniform(0.5, 2.0)
    laws = (
        mf.Gaussian(d, size),
        mf.Gaussian(d, size, random.uniform(-0.5, 0.5)),
        mf.Uniform(d, low, size),
        mf.Ball(d, 2.0 * size),
        mf.Sphere(d, 2.0 * size),
    )
    return laws[int(random.integers(5 if d > 1 else 4))]


def problem(seed: int) -> Problem:
    """Dimension, law, activation, data, loss, method and tolerance, all random."""
    random = np.random.default_rng([18, seed])
    d, n, loss = 1 + seed % 6, int(random.integers(4, 10)), str(random.choice(["squared", "logistic"]))
    x = random.standard_normal((n, d))
    y = np.sin(2.0 * x[:, 0]) + 0.3 * random.standard_normal(n)
    step = float(random.uniform(0.1, 0.4))
    method = mf.GradientDescent(step) if random.random() < 0.6 else mf.RungeKutta(2.0 * step, "heun")
    given = {"method": method, "record_every": 2, "steps": int(random.integers(6, 13)), "loss": loss,
             "signs": str(random.choice(["positive", "symmetric"]))}  # fmt: skip
    net = mf.Network(str(random.choice(["relu", "tanh", "sigmoid"])))
    tolerance = 10.0 ** random.uniform(-2.6, -1.6)
    return Problem(net, law_of(random, d), mf.Dataset(x, np.sign(y) if loss == "logistic" else y), given, tolerance)


def true_limit(p: Problem) -> np.ndarray:
    """Predictions (T, n) by many more nodes."""
    numbers, nodes = SCRAMBLES if p.law.dim > 3 else FINE
    nodes //= 4 if p.law.dim == 1 else 1  # Gauss rules on the line are slow to find
    signs, rest = p.given["signs"], {name: value for name, value in p.given.items() if name not in ("signs", "method")}
    runs = [
        mf.simulate(p.net, rule_of(p.net, p.law, p.data, nodes, signs, k), p.data, p.given["method"], **rest)
        for k in numbers
    ]
    return np.mean([run.dataset["prediction"].values for run in runs], axis=0)


@cache
def limit_errors(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Stated and true (2, T): the largest over samples, and the root mean square."""
    p = problem(seed)
    found = mf.mean_field(p.net, p.law, p.data, tolerance=p.tolerance, **p.given)
    off = found.run.dataset["prediction"].values - true_limit(p)
    return np.stack([found.error, found.rms]), np.stack([np.abs(off).max(axis=1), np.sqrt((off**2).mean(axis=1))])


def limit(seed: int) -> tuple[float, float]:
    """The largest error over samples and times."""
    stated, true = limit_errors(seed)
    return float(stated[0].max()), float(true[0].max())


def limit_rms(seed: int) -> tuple[float, float]:
    """The largest over times of the root mean square over samples."""
    stated, true = limit_errors(seed)
    return float(stated[1].max()), float(true[1].max())


def limit_each_time(seed: int) -> tuple[float, float]:
    """The time at which the error is worst beside what is stated there."""
    stated, true = limit_errors(seed)
    worst = int(np.argmax(true[0] / stated[0]))
    return float(stated[0, worst]), float(true[0, worst])


def kernel(seed: int) -> tuple[float, float]:
    """The tangent kernel's Gram matrix where only quadrature knows it, and by a series for a law of the user's own."""
    random = np.random.default_rng([19, seed])
    d, own = 1 + seed % 6, seed % 20 == 5
    size, shift = random.uniform(0.5, 2.0), random.uniform(0.1, 0.5)
    known = (mf.Gaussian(d, size, shift), mf.Uniform(d, -size, size + shift))[int(random.integers(2))]
    law: Any = mf.theory.TwoGaussians(d, 0.5) if own else known
    layers = ("input", "output") if random.random() < 0.5 else "input"
    net = mf.Network("tanh" if own else str(random.choice(["relu", "tanh", "softplus"])), train=layers)
    x = random.standard_normal((5, d))
    if own:  # one length is enough for a series, and cheap
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = mf.tangent.limit(net, law, x)
    if own:
        truth = np.mean([mf.tangent.limit_gram(net, one, x) for one in law.classes], axis=0)
        return found.error, max(float(np.abs(found.gram - truth).max()) - ROUNDING, 0.0)
    if d == 1:  # equal shares of the law
        b = law.from_cube(((np.arange(2**20) + 0.5) / 2**20)[:, None])
        fine = [mf.Measure(b, np.ones(2**20), np.full(2**20, 2.0**-20))]
    else:
        numbers, nodes = (FINE[0], 2**18) if law.replicates == 4 else (SCRAMBLES[0], 2**15)
        fine = [law.quadrature(nodes, replicate=k) for k in numbers]
    truth = np.mean([mf.tangent.gram(net, rule, x) for rule in fine], axis=0)
    return found.error, max(float(np.abs(found.gram - truth).max()) - ROUNDING, 0.0)


def mean_of_a_function(seed: int) -> tuple[float, float]:
    """A function with corners or without, by few nodes."""
    random = np.random.default_rng([20, seed])
    d = 1 + seed % 6
    law, a, corner = law_of(random, d), random.standard_normal((d, 3)), bool(random.integers(2))
    shift = random.uniform(-1.0, 1.0, 3)

    def function(b: np.ndarray) -> np.ndarray:
        return np.maximum(b @ a + shift, 0.0) if corner else np.tanh(b @ a + shift) ** 2

    def mean(nodes: int, replicate: int | None) -> np.ndarray:
        rule = law.quadrature(nodes, replicate=replicate)
        return rule.w @ function(rule.b)

    nodes = int(random.integers(30, 1000))
    numbers, many = FINE if law.replicates == 4 else (range(100, 116), 2**13)
    many //= 4 if d == 1 else 1
    truth = np.mean([mean(many, k) for k in numbers], axis=0)
    return law.quadrature_error(nodes, function), float(np.abs(mean(nodes, None) - truth).max())


def eigenvalues(seed: int) -> tuple[float, float]:
    """The circle's triangle kernel, which has a corner: the degree whose error is largest beside the stated one."""
    width = float(np.random.default_rng([21, seed]).uniform(0.3, 3.0))
    found = mf.theory.spectra.spectrum(lambda angle: np.maximum(1.0 - angle / width, 0.0), dim=2, degrees=40)
    k = np.arange(1, 41)
    truth = np.concatenate([[width / (2.0 * np.pi)], (1.0 - np.cos(k * width)) / (np.pi * width * k**2)])
    off = np.abs(found.values - truth)
    worst = int(np.argmax(off / found.error))
    return float(found.error[worst]), float(off[worst])


def radial(seed: int) -> tuple[float, float] | None:
    """The radial flow, against itself to a much smaller tolerance and by a finer table of q."""
    random = np.random.default_rng([22, seed])
    d, slope = int(random.integers(2, 8)), float(random.uniform(0.2, 1.0))
    law = (mf.Gaussian(d, random.uniform(0.3, 1.5)), mf.Ball(d, 2.0), mf.Sphere(d, 1.5))[int(random.integers(3))]
    data = mf.Stream(mf.Sphere(d) if seed % 2 else mf.Gaussian(d, 0.5), lambda x: slope * np.linalg.norm(x, axis=1))
    net = mf.Network(str(random.choice(["relu", "tanh", "softplus", "gelu"])))
    times, goal = np.linspace(0.0, 8.0, 5), 10.0 ** random.uniform(-7.0, -3.0)
    try:
        found = mf.theory.radial_flow(net, law, data, times, tolerance=goal)
        with mock.patch.object(profile, "_PIECES", 80):
            finer = mf.theory.radial_flow(net, law, data, times, tolerance=1e-9)
    except mf.DivergedError:  # stuck at a corner: no answer
        return None
    lengths = np.sqrt(np.sum(data.rows(0, 50).x ** 2, axis=1))
    off = np.abs(found.predict(lengths) - finer.predict(lengths)).max(axis=1)
    worst = int(np.argmax(off / found.error))
    return float(found.error[worst]), float(off[worst])


def ends_of_a_spectrum(seed: int) -> tuple[float, float]:
    """Lanczos on an operator, against the dense matrix; `error` is a bound."""
    from scipy.sparse.linalg import aslinearoperator

    random = np.random.default_rng([23, seed])
    x = random.standard_normal((300, 4))  # fewer than 257 are solved densely
    gram = mf.tangent.limit_gram(mf.Network("relu"), mf.Gaussian(4), x)
    found, exact = mf.tangent.extremes(aslinearoperator(gram), tolerance=1e-4), np.linalg.eigvalsh(gram)
    off = [np.abs(exact - value).min() for value in (found.smallest, found.largest)]
    return found.error, max(float(max(off)) - 1e-13, 0.0)  # the dense solver's own rounding


CHECKS = {
    "mean_field": limit,
    "mean_field rms": limit_rms,
    "mean_field at its worst time": limit_each_time,
    "tangent.limit": kernel,
    "Law.quadrature_error": mean_of_a_function,
    "spectrum.spectrum": eigenvalues,
    "theory.radial_flow": radial,
    "tangent.extremes": ends_of_a_spectrum,
}
