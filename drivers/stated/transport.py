"""Stated errors of transport on random pairs of measures, beside finer truths.

A standard error from K independent draws is compared as Student's 95% half width with K - 1 degrees. If that covers
exactly 95%, more than two of 40 problems are missed in every third trial: `--problems 200` tells more.
"""

import numpy as np
from scipy.stats import t as student

import particles as mf
from particles.measures.measure import Measure

LEVEL = 0.975  # 95% between two ends
FINE = 2**12  # directions, equally spread where D = 2


def clouds(seed, most=300, least=1):
    """Two clouds of their own sizes, weights, dimension and signs; one apart from the other by a random map."""
    random = np.random.default_rng(seed)
    d, sizes = int(random.integers(least, 7)), random.integers(20, most, 2)
    pair = []
    for size in sizes:
        b = random.standard_normal((size, d)) ** random.choice([1, 3]) * random.uniform(0.5, 2.0, d)
        s = random.choice([-1.0, 1.0], size) if seed % 2 else np.ones(size)
        w = random.dirichlet(np.full(size, random.choice([0.5, 1e6])))
        pair.append(Measure(b + random.standard_normal(d) * random.choice([0.0, 3.0]), s, w))
    return random, *pair


def fine_sliced(mu, nu, p):
    """SW_p by directions equally spread on the circle (D = 2), else by many random ones from another generator."""
    from particles.theory.transport.clouds import clouds as points
    from particles.theory.transport.line import along

    one, two = points(mu, nu, "joint")
    D = one.points.shape[1]
    random = np.random.default_rng(12345)
    if D == 2:
        angle = np.pi * (np.arange(FINE) + 0.5) / FINE
        chosen = np.column_stack([np.cos(angle), np.sin(angle)])
    else:
        chosen = random.standard_normal((FINE, D))
        chosen /= np.linalg.norm(chosen, axis=1, keepdims=True)
    return float(np.mean([along(one, two, p, theta) ** p for theta in chosen]) ** (1.0 / p))


def sliced(seed):
    random, mu, nu = clouds(seed, 60, 2)  # in one dimension there is no error but rounding
    p, K = float(random.choice([1.0, 1.5, 2.0, 4.0])), int(random.choice([64, 128, 256]))
    found = mf.transport.sliced(mu, nu, p, projections=K, seed=seed)
    return float(student.ppf(LEVEL, K - 1)) * found.error, abs(found.value - fine_sliced(mu, nu, p))


def subsampled(seed):
    """The bracket: how far W_p lies outside value - excess to value, with the value's error."""
    random, mu, nu = clouds(seed)
    p, n, R = float(random.choice([1.0, 2.0])), int(random.choice([10, 30, 100])), int(random.choice([4, 10]))
    found = mf.transport.subsampled(mu, nu, p, count=n, repeats=R, seed=seed)
    truth, half = mf.transport.wasserstein(mu, nu, p), float(student.ppf(LEVEL, R - 1)) * found.error
    return half, max(truth - found.value, found.value - found.excess - truth, 0.0)


def corrected(seed):
    """A translation at p = 2, where `corrected` is exact in expectation."""
    random, mu, _ = clouds(seed)
    R = int(random.choice([4, 10, 20]))
    shift = random.standard_normal(mu.b.shape[1]) * random.choice([0.3, 1.0, 3.0])
    found = mf.transport.subsampled(mu, mu._replace(b=mu.b + shift), 2.0, count=50, repeats=R, seed=seed)
    away = abs(found.corrected - float(np.linalg.norm(shift)))
    return float(student.ppf(LEVEL, R - 1)) * found.corrected_error, away


CHECKS = {
    "transport.sliced": sliced,
    "transport.subsampled, bracket": subsampled,
    "transport.subsampled, corrected": corrected,
}
