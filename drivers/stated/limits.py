"""Stated errors of quadrature: the mean-field limit, the limiting tangent kernel, means under a law.

The truths are means over rules that no answer has used, with many times the nodes.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

import particles as mf
from particles.laws import Law
from particles.study.mean_field import _quadrature

FINE = range(4, 8), 2**13  # in up to three dimensions: rules of the truth, and their nodes
SCRAMBLES = range(100, 108), 2**12  # beyond


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
        mf.simulate(p.net, _quadrature(p.net, p.law, p.data, nodes, signs, k), p.data, p.given["method"], **rest)
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


CHECKS = {"mean_field": limit, "mean_field rms": limit_rms, "mean_field at its worst time": limit_each_time}
