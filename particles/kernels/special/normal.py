"""The normal distribution's functions: erf and GELU with their slopes. phi is its density, Phi its distribution."""

import math

from particles.kernels.compile import inline
from particles.kernels.lanes import at_most, by_type, capped, clamp, fma, leading, magnitude, polynomial, with_sign
from particles.kernels.special.exponential import beyond_linear, exp, from_hex, reduced

_DENSITY_AT_0 = 1.0 / math.sqrt(2.0 * math.pi)
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
# erf(v) / v in v^2, |v| <= 1: 7.4e-18, 1.2e-9; the last coefficient and what it was rounded by apart
_ERF = from_hex(
    "-0x1.ac9585a44fe29p-31", "0x1.d76af6ca49787p-27", "-0x1.5c131500d3f88p-23", "0x1.b981d78881a5dp-20",
    "-0x1.f4ca838adb73bp-17", "0x1.f9a2be4f731a1p-14", "-0x1.c02db0665e53dp-11", "0x1.565bccfa44156p-8",
    "-0x1.b82ce31203772p-6", "0x1.ce2f21a040f66p-4", "-0x1.812746b0379c1p-2",
)  # fmt: skip
_ERF_32 = (
    7.875874871388078e-05, -0.000801686430349946, 0.005189087241888046, -0.02685421146452427, 0.11283594369888306,
    -0.3761262595653534,
)  # fmt: skip
_ERF_END, _ERF_END_32 = _TWO_OVER_SQRT_PI, float.fromhex("0x1.20dd74p+0")
_ERF_LO, _ERF_LO_32 = 7.975362179473361e-18, 5.9326744500713584e-08
# (a + 4) Phi(-a) e^(a^2/2), a >= 0, in t = (a - 4) / (a + 4): 8.9e-18, 1.6e-9. Phi is the normal distribution function.
_TAIL = from_hex(
    "0x1.828df1c3afaadp-32", "-0x1.0236305d3fd38p-33", "-0x1.04ffdbe7bdef2p-28", "-0x1.4b02181dd18fdp-31",
    "0x1.7329462b6b607p-26", "0x1.33354e7ae3599p-26", "-0x1.763bb001aa685p-24", "-0x1.5739b1a22c213p-23",
    "0x1.24d40b9cf1122p-22", "0x1.1319f41c90a11p-20", "-0x1.523a2fde9b829p-21", "-0x1.8d64fadf80ed1p-18",
    "0x1.80ca2044c09bdp-21", "0x1.26d193750d626p-15", "-0x1.001f7d33a2ff5p-19", "-0x1.e4a431b3465b0p-13",
    "0x1.17a4aec9fa29ap-13", "0x1.ab825ff09481bp-10", "-0x1.c81719d60dcdbp-9", "-0x1.ee2761054e5e1p-8",
    "0x1.eec4cc3e4db3ep-5", "-0x1.7dff2bff68052p-3", "0x1.8c6dbf2cfc2afp-2", "-0x1.373e3a893c28cp-1",
)  # fmt: skip
_TAIL_32 = (
    2.1979043594910763e-05, -1.7259923197343596e-06, -0.00021777107031084597, 0.00013364042388275266,
    0.0016242476413026452, -0.003479942912235856, -0.007538688834756613, 0.060396645218133926, -0.1865219920873642,
    0.38713738322257996, -0.607896625995636,
)  # fmt: skip
# The last coefficient, and what it was rounded by in either float type; the same for the normal density at 0.
_TAIL_END = float.fromhex("0x1.82b4bb8c94dcep-1")
_TAIL_LO, _TAIL_LO_32 = -2.2175033409973908e-17, -1.3347600031005459e-08
_DENSITY_LO, _DENSITY_LO_32 = -2.49232720227773e-17, -1.133517010526318e-08


@inline
def _gaussian_parts(v, c):
    """(p, r, s) with e^(-c v^2) = p (1 + r + s), c a power of two; v^2 is split so that its rounding does not show."""
    h = leading(v)
    p, r, lost = reduced(-c * (h * h))
    low = lost - c * ((v - h) * (v + h))
    whole = r + low
    return p, whole, fma(whole * whole, beyond_linear(whole), low - (whole - r))


@inline
def _tail(a):
    """(ratio, lost, r) with Phi(-a) e^(a^2/2) = (ratio + lost) r and r = 1 / (a + 4)."""
    r = 1.0 / (a + 4.0)
    t = fma(r, -8.0, 1.0)
    rest = polynomial(t, _TAIL, _TAIL_32)
    end = by_type(a, _TAIL_END, _TAIL_END)
    ratio = fma(t, rest, end)
    return ratio, fma(t, rest, end - ratio) + by_type(a, _TAIL_LO, _TAIL_LO_32), r


@inline
def _lower_tail(a):
    """(p, s, t, tail, rest) with e^(-a^2/2) = p (1 + s + t) and Phi(-a) = p (tail + rest), a >= 0."""
    ratio, lost, r = _tail(a)
    d = a + 4.0
    tail = ratio * r
    off = fma(-d, r, 1.0) - r * (a - (d - 4.0))  # r (1 + off) = 1 / (a + 4)
    moved = d * fma(-a, tail, _DENSITY_AT_0)  # the tail's change with r, from (Phi(-a) e^(a^2/2))' = a (...) - phi(0)
    left = fma(off, moved, fma(ratio, r, -tail) + lost * r)
    p, s, t = _gaussian_parts(a, 0.5)
    return p, s, t, tail, fma(tail, s, fma(tail, t, fma(left, s, left)))


@inline
def erf(v):
    """The error function: a polynomial below 1, 1 - erfc above."""
    a = capped(magnitude(v), 6.0)
    square = a * a
    ratio, _, r = _tail(a * math.sqrt(2.0))
    large = 1.0 - 2.0 * (ratio * r) * exp(-square)
    rest = fma(square, polynomial(square, _ERF, _ERF_32), by_type(v, _ERF_LO, _ERF_LO_32))
    return with_sign(at_most(a, 1.0, fma(a, by_type(v, _ERF_END, _ERF_END_32), a * rest), large), v)


@inline
def erf_slope(v):
    """2 / sqrt(pi) e^(-v^2)."""
    top = by_type(v, 26.6, 9.3)
    p, s, t = _gaussian_parts(clamp(v, -top, top), 1.0)
    return p * fma(s + t, _TWO_OVER_SQRT_PI, _TWO_OVER_SQRT_PI)


@inline
def density(v):
    """phi(v) = e^(-v^2/2) / sqrt(2 pi), in the arithmetic that gelu has of it."""
    p, s, t = _gaussian_parts(capped(magnitude(v), by_type(v, 37.5, 13.1)), 0.5)
    return p * fma(s + t, _DENSITY_AT_0, _DENSITY_AT_0)


@inline
def gelu(v):
    """v Phi(v) = max(v, 0) - a Phi(-a), a = |v|."""
    a = capped(magnitude(v), by_type(v, 37.5, 13.1))
    p, _, _, tail, rest = _lower_tail(a)
    below = a * tail
    return at_most(v, 0.0, 0.0, v) - p * (below + fma(a, rest, fma(a, tail, -below)))


@inline
def gelu_slope(v):
    """Phi(v) + v phi(v), phi the normal density; put together before the common e^(-v^2/2), where the two cancel."""
    a = capped(magnitude(v), by_type(v, 37.5, 13.1))
    p, s, t, tail, rest = _lower_tail(a)
    density = by_type(v, _DENSITY_AT_0, _DENSITY_AT_0)
    c = a * density
    lost = fma(a, density, -c) + a * by_type(v, _DENSITY_LO, _DENSITY_LO_32)
    below = p * ((tail - c) + (rest - fma(c, s, fma(c, t, fma(lost, s, lost)))))
    return at_most(v, 0.0, below, 1.0 - below)
