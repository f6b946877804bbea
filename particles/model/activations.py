"""The activations, one row each: sigma, sigma', the bounds that the theorems ask for, and closed-form kernels.

To add one: write sigma and sigma' in the words of `kernels/lanes` (or as formulas of one number, with `lanewise`
around them) and append a row to `ACTIVATIONS`. `tests/model/test_activations.py` checks every row against finite
differences, its stated bounds and quadrature. A user's own is an `Activation` that is passed to `Network`.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.kernels import special
from particles.kernels.compile import inline, registered
from particles.kernels.lanes import at_most, clamp, fma, magnitude, sqrt
from particles.model.derivatives import check_activation
from particles.model.formulas import UNKNOWN, content
from particles.model.tables import described, resolved, sent

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

    >>> tanh = mf.ACTIVATIONS["tanh"]
    >>> round(tanh.curvature_bound, 3), tanh.assumption_1
    (0.77, True)
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

    def __repr__(self) -> str:
        """The same text in every session: the name, and of a user's own also a hash of its formulas."""
        return repr(described(self, ACTIVATIONS))

    def __reduce__(self) -> tuple[Any, ...]:
        """By name where it is the package's, whose kernels are in the cache; a user's own by value."""
        return sent(self, ACTIVATIONS, activation, _received)

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


def relu_slopes(left: Array) -> Array:
    """The arc-cosine kernel of degree 0 (Cho and Saul): the share of half-spaces that hold both inputs.

    left : pi minus the angle between the inputs. So measured, small values near opposite inputs keep their digits.
    """
    return left / (2.0 * np.pi)


def relu_values(left: Array) -> Array:
    """The arc-cosine kernel of degree 1 (Cho and Saul) of unit inputs; left as in `relu_slopes`."""
    found = np.asarray(np.sin(left) - left * np.cos(left))
    small = np.abs(left) < 0.5  # where the two terms cancel: t^3/3 - t^5/30 + ... to the last bit
    if small.any():
        square, series = left[small] ** 2, np.zeros(np.count_nonzero(small))
        for k in range(7, 0, -1):
            series = (-1.0) ** (k + 1) * 2.0 * k / math.factorial(2 * k + 1) + series * square
        found[small] = left[small] * square * series
    return found / (2.0 * np.pi)


def _left(q11: Array, q12: Array, q22: Array) -> tuple[Array, Array]:
    """(|u||v|, pi minus the angle between them); a zero vector counts as orthogonal to everything.

    Near parallel inputs three numbers know their angle to 1e-8 only; `theory.limit` measures it from the inputs.
    """
    size = np.sqrt(q11 * q22)
    ratio = np.divide(q12, size, out=np.zeros_like(size * q12), where=size > 0)
    return size, np.arccos(-np.clip(ratio, -1.0, 1.0))


def _relu_values(q11: Array, q12: Array, q22: Array) -> Array:
    size, left = _left(q11, q12, q22)
    return size * relu_values(left)


def _relu_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    return relu_slopes(_left(q11, q12, q22)[1])


def _erf_values(q11: Array, q12: Array, q22: Array) -> Array:
    """Williams's arc-sine kernel; as an arc tangent it keeps its digits where the sine is near 1."""
    rest = 1.0 + 2.0 * (q11 + q22) + 4.0 * (q11 * q22 - q12 * q12)
    return 2.0 / np.pi * np.arctan2(2.0 * q12, np.sqrt(rest))


def _erf_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    return 4.0 / np.pi / np.sqrt(1.0 + 2.0 * (q11 + q22) + 4.0 * (q11 * q22 - q12 * q12))


def _sin_sin(q11: Array, q12: Array, q22: Array) -> Array:
    """e^(-(q11 + q22)/2) sinh q12, written so that nothing can overflow and small q12 keep their digits."""
    return -0.5 * np.sign(q12) * np.exp(np.abs(q12) - 0.5 * (q11 + q22)) * np.expm1(-2.0 * np.abs(q12))


def _cos_cos(q11: Array, q12: Array, q22: Array) -> Array:
    return 0.5 * (np.exp(-0.5 * (q11 + q22) + q12) + np.exp(-0.5 * (q11 + q22) - q12))


def _both_below(q11: Array, q12: Array, q22: Array) -> tuple[Array, Array]:
    """(E Phi(u) Phi(v), the root of det(I + Q)): an orthant of the pair with a standard normal added to each."""
    root = np.sqrt(1.0 + q11 + q22 + (q11 * q22 - q12 * q12))
    return np.arctan2(root, -q12) / (2.0 * np.pi), root


def _gelu_values(q11: Array, q12: Array, q22: Array) -> Array:
    """E u Phi(u) v Phi(v): Stein's identity takes u and v away, and a density times a density is a density."""
    share, root = _both_below(q11, q12, q22)
    inverse = 1.0 / (1.0 + q11) + 1.0 / (1.0 + q22)
    return q12 * share + (q11 * q22 + q12 * q12 * (inverse - 1.0)) / (2.0 * np.pi * root)


def _gelu_slopes(q11: Array, q12: Array, q22: Array) -> Array:
    """E (Phi(u) + u phi(u)) (Phi(v) + v phi(v)), which is the derivative of `_gelu_values` by q12 (Price)."""
    share, root = _both_below(q11, q12, q22)
    inverse = 1.0 / (1.0 + q11) + 1.0 / (1.0 + q22) + 1.0 / (root * root)
    return share + q12 * inverse / (2.0 * np.pi * root)


def _squares(q11: Array, q12: Array, q22: Array) -> Array:
    return q11 * q22 + 2.0 * q12 * q12


_INF = math.inf
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({
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
        Activation("gelu", special.gelu, special.gelu_slope, 1.1289042092032798, 2.0 * _DENSITY_AT_0, True,
                   _gelu_values, _gelu_slopes),
        Activation("softplus", special.softplus, special.sigmoid, 1.0, 0.25, True),
        Activation("sin", special.sin, special.cos, 1.0, 1.0, True, _sin_sin, _cos_cos),
        Activation("cos", special.cos, _minus_sin, 1.0, 1.0, True, _cos_cos, _sin_sin),
        Activation("quadratic", _quadratic, _twice, _INF, 2.0, False, _squares, lambda q11, q12, q22: 4.0 * q12),
        Activation("linear", _linear, _one, 1.0, 0.0, True, lambda q11, q12, q22: q12,
                   lambda q11, q12, q22: np.ones_like(q12)),
    )
})  # fmt: skip


def activation(given: str | Activation) -> Activation:
    """The activation of that name, or the user's own, checked once."""
    return resolved("activation", given, ACTIVATIONS, check_activation)


_arrived: dict[tuple[str, ...], Activation] = {}  # a user's own in this process, by what decides their values


def _received(*parts: Any) -> Activation:
    """A user's own in another process than its maker's: Numba learns the formulas; the same one twice is one object."""
    row, key = Activation(*parts), tuple(content(parts))
    for formula in (row.sigma, row.derivative, row.pair):
        registered(formula)
    return row if any(part.startswith(UNKNOWN) for part in key) else _arrived.setdefault(key, row)
