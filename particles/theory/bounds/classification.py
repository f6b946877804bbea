"""Section 3.3 as numbers, Theorem 3: what descent on the logistic loss takes to classify."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, share, vector
from particles.errors import InputError
from particles.measures.laws import Atoms, Ball, Gaussian, Law, Sphere, Uniform
from particles.model.network import Network

_EXACT = 1e-9  # how far a norm or a count may be off by rounding


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

    >>> mf.theory.theorem_3_powers(beta=0.5).width, mf.theory.theorem_3_powers(setting="ii").width
    (2.0, 1.5)
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

    >>> costs = mf.theory.theorem_3(0.1, beta=0.5)
    >>> round(costs.width), round(costs.iterations), round(costs.samples)
    (100, 100, 10000)
    """
    eps, powers = share("eps", eps), theorem_3_powers(beta, setting)
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
    """What fails of Assumption 2 and Theorem 3's setting but for the margin (7), a sentence each: see `margin`.

    >>> mf.theory.assumption_2(mf.Network("tanh", beta=0.5), np.eye(2), [1.0, -1.0], law=mf.Gaussian(2))
    []
    >>> mf.theory.assumption_2(mf.Network("tanh"), np.eye(2), [1.0, -1.0])
    ['the output scale must have beta in [0, 1): 1 is the mean field']
    """
    row, largest = net.row, float(np.linalg.norm(net.inputs(x), axis=1).max())
    labels = vector("y", y, len(net.inputs(x)))
    known = law is None or isinstance(law, Gaussian | Sphere | Ball | Uniform | Atoms)
    checks = [
        (row.assumption_2, f"{row.name} lacks |sigma'| <= K1 or |sigma''| <= K2"),
        (largest <= 1.0 + _EXACT, f"|x| <= 1 fails: {largest:g} (a bias counts)"),
        (bool((np.abs(labels) == 1.0).all()), "labels must be -1 or 1"),
        (net.beta < 1.0, "the output scale must have beta in [0, 1): 1 is the mean field"),
        (known, f"mu0 must be sub-Gaussian, which is not known of {law!r}"),
    ]
    return [told for good, told in checks if not good]
