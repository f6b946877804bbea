"""Two measures as weighted points of one Euclidean space, so that they can be compared: what a particle's place is.

The particles of a network of k outputs are pairs (s, b), so its measure lives on R^d x R^k (section 3.4). What a
distance between two of them should make of s is the user's choice, `signs`:

    "joint"    the law of (b, s) in R^(d+k): |(b, s) - (b', s')|^2 = |b - b'|^2 + |s - s'|^2, a flip of a sign costs 2
    "ignored"  the law of b alone

Where all s of both measures are the same the sign adds nothing, and points are those of R^d.
"""

import math
from typing import NamedTuple

import numpy as np

from particles.checks import number
from particles.errors import InputError, nearest
from particles.measures.measure import Array, Measure, checked_measure, outputs_of


class Cloud(NamedTuple):
    """Weighted points. points : (M, D), w : (M,) positive, which sums to 1."""

    points: Array
    w: Array


def checked_pair(mu: Measure, nu: Measure) -> tuple[Measure, Measure]:
    """Two measures on one R^d, d >= 1, of as many outputs, any number of atoms each; InputError otherwise."""
    dims = []
    for measure in (mu, nu):
        if not isinstance(measure, tuple) or len(measure) != 3:
            remedy = "Take law.sample(M, seed) or law.quadrature(nodes)."
            raise InputError("transport compares two measures (b, s, w)", type(measure).__name__, remedy)
        shape = np.shape(measure[0])
        if len(shape) != 2 or not shape[0] or not shape[1]:
            raise InputError("positions must have shape (M, d), M and d >= 1", str(shape), "One row a particle.")
        dims.append(shape[1])
    if dims[0] != dims[1]:
        remedy = "A bias is a coordinate of its own: both must have it."
        raise InputError("both measures must live on one R^d", f"d = {dims[0]} and d = {dims[1]}", remedy)
    mu, nu = checked_measure(mu, dims[0]), checked_measure(nu, dims[1])
    if outputs_of(mu) != outputs_of(nu):
        got = f"{outputs_of(mu)} and {outputs_of(nu)}"
        raise InputError("both measures must have as many output weights a particle", got, "Compare like networks.")
    return mu, nu


def checked_choice(signs: str, choices: tuple[str, ...]) -> str:
    """What to make of the signs, if it is one of the choices."""
    if signs not in choices:
        rule = f"`signs` must be one of {', '.join(choices)}"
        raise InputError(rule, repr(signs), nearest(str(signs), choices))
    return signs


def checked_order(p: float) -> float:
    """The order p of a Wasserstein distance."""
    return number("p", p, 1.0, remedy="Below 1 it is no distance; p = 1 and p = 2 are the usual ones.")


def clouds(mu: Measure, nu: Measure, signs: str) -> tuple[Cloud, Cloud]:
    """Both measures in the space that `signs`, "joint" or "ignored", says; atoms of weight 0 are left out."""
    mu, nu = checked_pair(mu, nu)
    checked_choice(signs, ("joint", "ignored"))
    seen = np.concatenate((mu.s[mu.w > 0], nu.s[nu.w > 0]))
    plain = signs == "ignored" or bool((seen == seen[0]).all())
    return cloud(mu, plain), cloud(nu, plain)


def cloud(measure: Measure, plain: bool) -> Cloud:
    """The atoms that weigh something, without (plain) or with their output weights as the last coordinates."""
    b, s, w = measure
    if not w.all():
        b, s, w = b[w > 0], s[w > 0], w[w > 0]
    return Cloud(b if plain else np.column_stack((b, s)), w / w.sum())


def power_mean(values: Array, weights: Array, p: float) -> float:
    """(sum_k weights_k values_k^p)^(1/p) of values >= 0; no power of a large or small value overflows on the way."""
    top = float(values.max())
    if top == 0.0:
        return 0.0
    # A sum, not a dot product: BLAS adds up otherwise on another number of threads.
    return top * math.pow(float(np.sum(weights * (values / top) ** p)), 1.0 / p)


def standard_error(values: Array, mean: float, p: float) -> float:
    """The standard error of the power mean of K independent values, by the delta method."""
    if mean == 0.0:
        return 0.0
    powers = (values / mean) ** p  # of mean 1
    return mean * float(powers.std(ddof=1)) / (p * math.sqrt(len(values)))
