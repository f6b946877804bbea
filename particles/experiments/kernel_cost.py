"""What recording the tangent kernel costs beside a run's steps: a Gram matrix at every recorded time, its eigenvalues.

A Gram matrix takes n^2 M products and its eigenvalues n^3, where a step takes n M: this is often many times the run.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from particles.experiments import build
from particles.experiments.memory import recorded
from particles.experiments.plan import Case, Plan
from particles.measures.laws import Gaussian
from particles.model.network import Network
from particles.population.observables import observable
from particles.population.population import Local
from particles.theory.tangent.gram_matrix import gram

_PARTICLES, _SAMPLES = 2**12, 512  # of the probes; larger matrices are counted
_NO_EIGENVALUES = {"kernel_drift", "kernel_distance"}
_ONCE = {"kernel_distance"}  # needs the kernel of the start alone


class KernelCost(NamedTuple):
    """Of all runs, on one thread: the quantities' names, how many matrices are computed, the seconds of them all."""

    names: tuple[str, ...]
    matrices: int
    seconds: float


def kernel_cost(plan: Plan, cases: Sequence[Case]) -> KernelCost:
    """What the tangent kernel's quantities cost in these runs; no seconds where none is recorded."""
    names, matrices, seconds = dict[str, None](), 0, 0.0
    for case in cases:
        mine, times = _recorded(case)
        if mine:
            parts = build.parts(case.config, plan.folder, case.identity)
            n, d = parts.train.x.shape[0], parts.train.x.shape[1] + parts.net.bias
            one, eigenvalues = _measured(parts.net, case.particles, n, d)
            seconds += times * (one + eigenvalues * bool(mine - _NO_EIGENVALUES))
            names |= dict.fromkeys(sorted(mine))
            matrices += times
    return KernelCost(tuple(names), matrices, seconds)


def _recorded(case: Case) -> tuple[set[str], int]:
    """The kernel's quantities that a run records, and how many matrices they need."""
    names, times = set[str](), 0
    for record in case.config.records:
        rows = [observable(build.named(name, case.identity)) for name in record.variables]
        mine = {row.name for row in rows if row.kernel}
        names |= mine
        times += recorded(case.config.steps, record.every) if mine - _ONCE else len(mine)
    return names, times


@lru_cache(maxsize=64)
def _measured(net: Network, M: int, n: int, d: int) -> tuple[float, float]:
    """Seconds of a Gram matrix and of its eigenvalues on one thread."""
    m, k = min(M, _PARTICLES), min(n, _SAMPLES)
    x = np.random.default_rng(0).standard_normal((k, d - net.bias))
    start = Gaussian(d).sample(m, 0)
    matrix = gram(net, start, x, engine=Local(1))  # compiled here
    one = _seconds(lambda: gram(net, start, x, engine=Local(1)))
    return one * (M / m) * (n / k) ** 2, _seconds(lambda: np.linalg.eigvalsh(matrix)) * (n / k) ** 3


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
