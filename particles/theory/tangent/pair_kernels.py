"""Formulas for the limiting tangent kernel of pairs of inputs: the first that holds for the law and the activation."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from particles.measures.laws import Ball, Gaussian, Law, Sphere, Uniform
from particles.measures.measure import Array
from particles.model.gaussian_pairs import relu_slopes, relu_values
from particles.model.network import Network
from particles.theory.tangent import isotropic
from particles.theory.tangent.pairs import Pairs, cosines, supplement


class PairKernel(NamedTuple):
    """The kernel of pairs, with an estimate of its error beside rounding."""

    kernel: Callable[[Pairs], Array]
    how: str
    error: float = 0.0


def formula(net: Network, law: Law, rows: Array, columns: Array) -> PairKernel | None:
    """The kernel by a formula, or None where there is none."""
    row = net.activation
    if row.name == "relu" and law.isotropic and (_second(law) is not None or "output" not in net.train):
        return PairKernel(_by_angle(net, _second(law) or 0.0), "closed form")
    if isinstance(law, Gaussian) and law.isotropic and row.slope_kernel and row.value_kernel:
        return PairKernel(_by_closed_kernels(net, law.std**2), "closed form")
    if isinstance(law, Gaussian | Uniform) and row.name in ("linear", "quadratic"):
        return PairKernel(_by_moments(net, law), "closed form")
    if law.isotropic and (_plane(law) > 1 if isinstance(law, Sphere | Ball) else law.dim > 1):
        return _by_series(net, law, rows, columns)
    return None


def _plane(law: Sphere | Ball) -> int:
    """The dimension of the sphere that casts this law as its shadow: in a plane if it is two or more."""
    return law.dim + 2 * isinstance(law, Ball)


def _second(law: Law) -> float | None:
    """E b_1^2 of an isotropic law."""
    if isinstance(law, Gaussian):
        return law.std**2
    return law.radius**2 / _plane(law) if isinstance(law, Sphere | Ball) else None


def _combined(net: Network, pairs: Pairs, slopes: Callable[[], Array], values: Callable[[], Array]) -> Array:
    """k = x.x' E sigma' sigma' + E sigma sigma, of the layers that train."""
    if "input" not in net.train:
        return values()
    gram = slopes()
    gram *= pairs.inner
    if "output" in net.train:
        gram += values()
    return gram


def _by_angle(net: Network, second: float) -> Callable[[Pairs], Array]:
    """The arc-cosine kernels: ReLU sees the direction of b, and its length by the second moment alone."""

    def kernel(pairs: Pairs) -> Array:
        left = supplement(pairs)
        size = pairs.left * pairs.right
        return _combined(net, pairs, lambda: relu_slopes(left), lambda: second * size * relu_values(left))

    return kernel


def _by_closed_kernels(net: Network, variance: float) -> Callable[[Pairs], Array]:
    """The activation's own formulas, for a centred Gaussian."""
    slopes, values = net.activation.slope_kernel, net.activation.value_kernel
    assert slopes and values

    def kernel(pairs: Pairs) -> Array:
        q = variance * pairs.left**2, variance * pairs.inner, variance * pairs.right**2
        return _combined(net, pairs, lambda: np.array(slopes(*q)), lambda: np.array(values(*q)))

    return kernel


def _by_moments(net: Network, law: Gaussian | Uniform) -> Callable[[Pairs], Array]:
    """Linear and quadratic, where the coordinates of b are independent, alike and symmetric about their mean."""
    if isinstance(law, Gaussian):
        mean, v, excess = law.mean, law.std**2, 0.0
    else:
        mean, v = (law.low + law.high) / 2.0, (law.high - law.low) ** 2 / 12.0
        excess = -1.2 * v * v  # the fourth moment about the mean minus 3 v^2: 9/5 - 3

    def kernel(pairs: Pairs) -> Array:
        # b.x = mean sum(x) + a with a centred, and so for x'
        a, b = (mean * inputs.sum(axis=1) for inputs in (pairs.rows, pairs.columns))
        product = np.multiply.outer(a, b) + v * pairs.inner
        if net.activation.name == "linear":
            return _combined(net, pairs, lambda: np.ones_like(product), lambda: product)

        def values() -> Array:
            spread = (a * a)[:, None] + v * pairs.left**2, b * b + v * pairs.right**2
            gaussian = spread[0] * spread[1] + 2.0 * v * pairs.inner * (product + np.multiply.outer(a, b))
            return np.asarray(gaussian + excess * (pairs.rows**2 @ (pairs.columns**2).T))

        return _combined(net, pairs, lambda: 4.0 * product, values)

    return kernel


def _by_series(net: Network, law: Law, rows: Array, columns: Array) -> PairKernel:
    """The two expectations as series in the angle (`isotropic`)."""
    longest = [float(np.linalg.norm(inputs, axis=1).max()) for inputs in (rows, columns)]
    lengths = np.concatenate([np.linalg.norm(inputs, axis=1) for inputs in (rows, columns)])
    needed = [layer == "input" for layer in net.train]
    known = {slopes: isotropic.series(net, law, lengths, slopes) for slopes in needed}

    def kernel(pairs: Pairs) -> Array:
        between = cosines(pairs)

        def expectation(slopes: bool) -> Array:
            left, right = (known[slopes].heights(a.ravel()) for a in (pairs.left, pairs.right))
            return isotropic.summed(known[slopes], between, left, right)

        return _combined(net, pairs, lambda: expectation(True), lambda: expectation(False))

    error = sum(s.error * (longest[0] * longest[1] if slopes else 1.0) for slopes, s in known.items())
    return PairKernel(kernel, f"a cosine series of {max(len(s.table) for s in known.values())} terms", error)
