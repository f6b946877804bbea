"""The activations, one row each: sigma, sigma', the bounds that the theorems ask for, and closed-form kernels.

To add one: write sigma and sigma' in the words of `kernels/lanes` (or as formulas of one number, with `lanewise`
around them) and append a row to `ACTIVATIONS`. `tests/model/test_activations.py` checks every row against finite
differences, its stated bounds and quadrature. A user's own is an `Activation` that is passed to `Network`.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from particles.kernels import special
from particles.kernels.compile import inline, registered
from particles.kernels.lanes import at_most, clamp, fma, magnitude, sqrt
from particles.model import gaussian_pairs as pairs
from particles.model.derivatives import check_activation
from particles.model.formulas import UNKNOWN, content
from particles.model.gaussian_pairs import PairExpectation
from particles.model.tables import described, reduced, resolved

SMOOTH_RELU_WIDTH = 0.1
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
_DENSITY_AT_0 = 1.0 / math.sqrt(2.0 * math.pi)


class Activation(NamedTuple):
    """An activation and what the theory needs of it.

    Parameters
    ----------
    name
        The name in files and messages; none that the package has.
    sigma
        sigma, a formula on lanes: of one number with `lanewise` around it, or in the functions of
        `particles.kernels.lanes`.
    derivative
        sigma', a formula on lanes.
    slope_bound
        `sup |sigma'|`: K1 of Assumption 2.
    curvature_bound
        `sup |sigma''|`: C of Assumption 1, K2 of Assumption 2; inf where there is none.
    linear_growth
        Whether `|sigma(u)| <= 1 + |u|`.
    value_kernel
        `E[sigma(u) sigma(v)]` for Gaussian u, v as a function of the variances q11, q22 and the covariance q12, called
        as (q11, q12, q22); None where no closed form is known.
    slope_kernel
        `E[sigma'(u) sigma'(v)]` in the same way.
    pair
        (sigma, sigma') in one formula where that is cheaper than both.
    second_derivative
        sigma'', a formula on lanes, which the derivative of a run needs (`mf.sensitivity`); None where it is not known.

    Raises
    ------
    InputError
        From `mf.Network`, which checks formulas and bounds once by difference quotients, and that Numba compiles them.

    Notes
    -----
    With b ~ N(0, I) the arguments are `q11 = |x|^2`, `q22 = |x'|^2` and `q12 = x.x'`; the limiting tangent kernel is
    x.x' times the slope kernel.

    References
    ----------
    Section 3, sigma; Assumption 1 (3.2) and Assumption 2 (3.3).

    Examples
    --------
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
    value_kernel: PairExpectation | None = None
    slope_kernel: PairExpectation | None = None
    pair: Any = None
    second_derivative: Any = None

    def __repr__(self) -> str:
        """The same text in every session: the name, and of a user's own also a hash of its formulas."""
        return repr(described(self, ACTIVATIONS))

    def __reduce__(self) -> tuple[Any, ...]:
        """By name where it is the package's, whose kernels are in the cache; a user's own by value."""
        return reduced(self, ACTIVATIONS, activation, _received)

    @property
    def assumption_1(self) -> bool:
        """Whether sigma satisfies Assumption 1, `|sigma''|` bounded, `|sigma'| <= 2` and `|sigma(u)| <= 1 + |u|`."""
        return math.isfinite(self.curvature_bound) and self.slope_bound <= 2.0 and self.linear_growth

    @property
    def assumption_2(self) -> bool:
        """Whether sigma satisfies Assumption 2, `|sigma'| <= K1` and `|sigma''| <= K2`."""
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
def _smooth_relu_curvature(v):
    """w^2 / (2 (v^2 + w^2)^(3/2))."""
    held = clamp(v, -1e6, 1e6)  # its cube stays finite in float32
    size = sqrt(fma(held, held, SMOOTH_RELU_WIDTH * SMOOTH_RELU_WIDTH))
    return 0.5 * SMOOTH_RELU_WIDTH * SMOOTH_RELU_WIDTH / (size * size * size)


@inline
def _sigmoid_curvature(v):
    """sigma' (1 - 2 sigma) = -sigma' tanh(v / 2)."""
    return -special.sigmoid_slope(v) * special.tanh(0.5 * v)


@inline
def _tanh_curvature(v):
    return -2.0 * special.tanh(v) * special.tanh_slope(v)


@inline
def _erf_curvature(v):
    return -2.0 * clamp(v, -1e6, 1e6) * special.erf_slope(v)


@inline
def _gelu_curvature(v):
    """phi(v) (2 - v^2), phi the normal density."""
    held = clamp(v, -1e6, 1e6)
    return special.density(v) * fma(-held, held, 2.0)


@inline
def _minus_sin(v):
    return -special.sin(v)


@inline
def _minus_cos(v):
    return -special.cos(v)


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


@inline
def _two(v):
    return 0.0 * v + 2.0


@inline
def _zero(v):
    return 0.0 * v


_INF = math.inf
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({
    row.name: row
    for row in (
        Activation("relu", _relu, _relu_slope, 1.0, _INF, True, pairs.relu_pair_values, pairs.relu_pair_slopes,
                   second_derivative=_zero),
        Activation("smooth_relu", _smooth_relu, _smooth_relu_slope, 1.0, 0.5 / SMOOTH_RELU_WIDTH, True,
                   second_derivative=_smooth_relu_curvature),
        Activation("sigmoid", special.sigmoid, special.sigmoid_slope, 0.25, 1.0 / (6.0 * math.sqrt(3.0)), True,
                   pair=special.sigmoid_pair, second_derivative=_sigmoid_curvature),
        Activation("tanh", special.tanh, special.tanh_slope, 1.0, 4.0 / (3.0 * math.sqrt(3.0)), True,
                   second_derivative=_tanh_curvature),
        Activation("erf", special.erf, special.erf_slope, _TWO_OVER_SQRT_PI,
                   2.0 * math.sqrt(2.0 / (math.pi * math.e)), True, pairs.erf_values, pairs.erf_slopes,
                   second_derivative=_erf_curvature),
        # sup |sigma'| = Phi(sqrt 2) + sqrt 2 phi(sqrt 2), at v = sqrt 2; sup |sigma''| = 2 phi(0), at v = 0
        Activation("gelu", special.gelu, special.gelu_slope, 1.1289042092032798, 2.0 * _DENSITY_AT_0, True,
                   pairs.gelu_values, pairs.gelu_slopes, second_derivative=_gelu_curvature),
        Activation("softplus", special.softplus, special.sigmoid, 1.0, 0.25, True,
                   second_derivative=special.sigmoid_slope),
        Activation("sin", special.sin, special.cos, 1.0, 1.0, True, pairs.sin_sin, pairs.cos_cos,
                   second_derivative=_minus_sin),
        Activation("cos", special.cos, _minus_sin, 1.0, 1.0, True, pairs.cos_cos, pairs.sin_sin,
                   second_derivative=_minus_cos),
        Activation("quadratic", _quadratic, _twice, _INF, 2.0, False, pairs.squares, lambda q11, q12, q22: 4.0 * q12,
                   second_derivative=_two),
        Activation("linear", _linear, _one, 1.0, 0.0, True, lambda q11, q12, q22: q12,
                   lambda q11, q12, q22: np.ones_like(q12), second_derivative=_zero),
    )
})  # fmt: skip


def activation(given: str | Activation) -> Activation:
    """The activation of that name, or the user's own, checked once."""
    return resolved("activation", given, ACTIVATIONS, check_activation)


_arrived: dict[tuple[str, ...], Activation] = {}  # a user's own in this process, by what decides their values


def _received(*parts: Any) -> Activation:
    """A user's own in another process than its maker's: Numba learns the formulas; the same one twice is one object."""
    row, key = Activation(*parts), tuple(content(parts))
    for formula in (row.sigma, row.derivative, row.pair, row.second_derivative):
        registered(formula)
    return row if any(part.startswith(UNKNOWN) for part in key) else _arrived.setdefault(key, row)
