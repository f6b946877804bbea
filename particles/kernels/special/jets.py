"""An activation with its first and second derivative at once, where they come from one exponential.

Each by itself is within 2 units in the last place; here errors are up to 4, of a loop that needs all three.
"""

from particles.kernels.compile import inline
from particles.kernels.lanes import at_most, by_type, capped, fma, magnitude, polynomial, with_sign
from particles.kernels.special import exponential
from particles.kernels.special.exponential import less_one, reduced


@inline
def _falling(v):
    """(e, m, r) with e = e^-|v|, m = e - 1 and r = 1 / (1 + e), each to its own last bits."""
    p, rest, _ = reduced(-capped(magnitude(v), by_type(v, exponential.TOP, exponential.TOP_32)))
    s = less_one(rest)
    m = fma(p, s, p - 1.0)
    return fma(p, s, p), m, 1.0 / (m + 2.0)


@inline
def sigmoid_jet(v):
    """(sigmoid, its slope s, -s tanh(v/2))."""
    e, m, r = _falling(v)
    slope = e * r * r
    return at_most(v, 0.0, e, 1.0) * r, slope, -slope * with_sign(m * r, v)


@inline
def tanh_jet(v):
    """(tanh, its slope s, -2 s tanh)."""
    e, m, r = _falling(2.0 * v)
    value, slope = with_sign(m * r, v), 4.0 * e * r * r
    return value, slope, -2.0 * value * slope


@inline
def softplus_jet(v):
    """(softplus, the sigmoid, its slope)."""
    e, _, r = _falling(v)
    ratio = polynomial(e, exponential.LOG1P, exponential.LOG1P_32)
    return fma(e, ratio, at_most(v, 0.0, 0.0, v)), at_most(v, 0.0, e, 1.0) * r, e * r * r


JETS = {exponential.sigmoid: sigmoid_jet, exponential.tanh: tanh_jet, exponential.softplus: softplus_jet}
