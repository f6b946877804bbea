"""The activations, one row each: sigma, sigma', the bounds that the theorems ask for, and closed-form kernels.

To add one: write sigma and sigma' in the words of `kernels/lanes.py` (or as formulas of one number, with `lanewise`
around them) and append a row to `ACTIVATIONS`; `tests/test_activations.py` checks every row against finite differences,
its stated bounds and quadrature.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError, nearest
from particles.kernels import special
from particles.kernels.compile import inline
from particles.kernels.lanes import at_most, clamp, fma, magnitude, sqrt

Array = NDArray[np.float64]
# A Gaussian pair (u, v) with variances q11, q22 and covariance q12 -> an expectation over it.
PairKernel = Callable[[Array, Array, Array], Array]

SMOOTH_RELU_WIDTH = 0.1
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
_DENSITY_AT_0 = 1.0 / math.sqrt(2.0 * math.pi)


class Activation(NamedTuple):
    """One activation and what the theory asks about it.

    sigma, derivative: formulas on lanes. slope_bound = sup |sigma'|, curvature_bound = sup |sigma''| (inf where
    there is none): K1, K2 of Assumption 2 and C of Assumption 1. linear_growth: |sigma(u)| <= 1 + |u|.
    value_kernel, slope_kernel: E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] for Gaussian (u, v), where a closed form
    is known; with b ~ N(0, I), q11 = |x|^2, q22 = |x'|^2, q12 = x.x', and the tangent kernel is x.x' times the second.
    pair: (sigma, sigma') in one formula where that is cheaper than both.
    """

    name: str
    sigma: Any
    derivative: Any
    slope_bound: float
    curvature_bound: float
    linear_growth: bool
    value_kernel: PairKernel | None = None
    slope_kernel: PairKernel | None = None
    pair: Any = None

    @property
    def assumption_1(self) -> bool:
        """Whether Assumption 1's conditions on sigma hold: |sigma''| bounded, |sigma'| <= 2, |sigma(u)| <= 1 + |u|."""
        return math.isfinite(self.curvature_bound) and self.slope_bound <= 2.0 and self.linear_growth

    @property
    def assumption_2(self) -> bool:
        """Whether Assumption 2's conditions on sigma hold: |sigma'| <= K1 and |sigma''| <= K2."""
        return math.isfinite(self.curvature_bound) and math.isfinite(self.slope_bound)


@inline
def _relu(v):
    return at_most(v, 0.0, 0.0, v)  # this way round, NaN passes


@inline
def _relu_slope(v):
    return at_most(v, 0.0, 0.0, 1.0)


@inline
def _smooth_relu(v):
    """(v + sqrt(v^2 + w^2)) / 2: ReLU rounded over a width w, all derivatives bounded; no cancelling for v < 0."""
    far = sqrt(fma(v, v, SMOOTH_RELU_WIDTH * SMOOTH_RELU_WIDTH)) + magnitude(v)
    return at_most(v, 0.0, 0.5 * SMOOTH_RELU_WIDTH * SMOOTH_RELU_WIDTH / far, 0.5 * far)


@inline
def _smooth_relu_slope(v):
    held = clamp(v, -1e18, 1e18)  # its square stays finite
    return 0.5 + 0.5 * held / sqrt(fma(held, held, SMOOTH_RELU_WIDTH * SMOOTH_RELU_WIDTH))


@inline
def _minus_sin(v):
    return -special.sin(v)


@inline
def _quadratic(v):
    return v * v


@inline
def _twice(v):
    return 2.0 * v


@inline
def _linear(v):
    return v


@inline
def _one(v):
    return 0.0 * v + 1.0


def _cosine(q11: Array, q12: Array, q22: Array) -> tuple[Array, Array]:
    """(|u||v|, the angle between them); a zero vector counts as orthogonal to everything."""
    size = np.sqrt(q11 * q22)
    ratio = np.divide(q12, size, out=np.zeros_like(size * q12), where=size > 0)
    return size, np.arccos(np.clip(ratio, -1.0, 1.0))


def _relu_values(q11: Array, q12: Array, q22: Array) -> Array:
    """The arc-cosine kernel of degree 1 (Cho and Saul)."""
    size, angle = _cosine(q11, q12, q22)
    return size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2.0 * np.pi)


def _relu_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    """The arc-cosine kernel of degree 0 (Cho and Saul): the share of half-spaces that hold both inputs."""
    _, angle = _cosine(q11, q12, q22)
    return (np.pi - angle) / (2.0 * np.pi)


def _erf_values(q11: Array, q12: Array, q22: Array) -> Array:
    """Williams's arc-sine kernel."""
    return 2.0 / np.pi * np.arcsin(2.0 * q12 / np.sqrt((1.0 + 2.0 * q11) * (1.0 + 2.0 * q22)))


def _erf_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    return 4.0 / np.pi / np.sqrt((1.0 + 2.0 * q11) * (1.0 + 2.0 * q22) - 4.0 * q12 * q12)


def _sin_sin(q11: Array, q12: Array, q22: Array) -> Array:
    """(e^(-|u-v|^2/2) - e^(-|u+v|^2/2)) / 2, written so that neither exponential can overflow."""
    return 0.5 * (np.exp(-0.5 * (q11 + q22) + q12) - np.exp(-0.5 * (q11 + q22) - q12))


def _cos_cos(q11: Array, q12: Array, q22: Array) -> Array:
    return 0.5 * (np.exp(-0.5 * (q11 + q22) + q12) + np.exp(-0.5 * (q11 + q22) - q12))


def _squares(q11: Array, q12: Array, q22: Array) -> Array:
    return q11 * q22 + 2.0 * q12 * q12


_INF = math.inf
ACTIVATIONS: dict[str, Activation] = {
    row.name: row
    for row in (
        Activation("relu", _relu, _relu_slope, 1.0, _INF, True, _relu_values, _relu_slopes),
        Activation("smooth_relu", _smooth_relu, _smooth_relu_slope, 1.0, 0.5 / SMOOTH_RELU_WIDTH, True),
        Activation("sigmoid", special.sigmoid, special.sigmoid_slope, 0.25, 1.0 / (6.0 * math.sqrt(3.0)), True,
                   pair=special.sigmoid_pair),
        Activation("tanh", special.tanh, special.tanh_slope, 1.0, 4.0 / (3.0 * math.sqrt(3.0)), True),
        Activation("erf", special.erf, special.erf_slope, _TWO_OVER_SQRT_PI,
                   2.0 * math.sqrt(2.0 / (math.pi * math.e)), True, _erf_values, _erf_slopes),
        # sup |sigma'| = Phi(sqrt 2) + sqrt 2 phi(sqrt 2), at v = sqrt 2; sup |sigma''| = 2 phi(0), at v = 0
        Activation("gelu", special.gelu, special.gelu_slope, 1.1289042092032798, 2.0 * _DENSITY_AT_0, True),
        Activation("softplus", special.softplus, special.sigmoid, 1.0, 0.25, True),
        Activation("sin", special.sin, special.cos, 1.0, 1.0, True, _sin_sin, _cos_cos),
        Activation("cos", special.cos, _minus_sin, 1.0, 1.0, True, _cos_cos, _sin_sin),
        Activation("quadratic", _quadratic, _twice, _INF, 2.0, False, _squares, lambda q11, q12, q22: 4.0 * q12),
        Activation("linear", _linear, _one, 1.0, 0.0, True, lambda q11, q12, q22: q12,
                   lambda q11, q12, q22: np.ones_like(q12)),
    )
}  # fmt: skip

OURS = dict(ACTIVATIONS)  # the rows of this file; a user's come later


def activation(name: str) -> Activation:
    """The row called `name`."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise InputError("`activation` must be one of the table's rows", repr(name), nearest(str(name), ACTIVATIONS))
    return ACTIVATIONS[name]
