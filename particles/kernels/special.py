"""Branch-free special functions on lanes (or single numbers), float64 and float32, errors below 2 ulp.

Numba has no vector math library: a loop over `math.exp` costs 5 ns an element and over `math.tanh` 15. These cost 1 to
3, need no libm (so the same bits on every machine of a CPU family), let NaN pass and saturate at +-inf.

Every exponential is p e^r, p a power of two and |r| <= ln(2)/2, put together as late as can be. The
polynomials are Chebyshev fits in 50 digits (mpmath.chebyfit), highest power first; the stated errors are theirs.
"""

import math

from particles.kernels.compile import inline
from particles.kernels.elementwise import lanewise
from particles.kernels.lanes import (
    at_most,
    by_type,
    capped,
    clamp,
    even_part,
    fma,
    leading,
    low_bits_power,
    magnitude,
    odd_part,
    polynomial,
    with_sign,
)

_LOG2E = 1.0 / math.log(2.0)
# ln 2 in two pieces (Cody and Waite), the first with enough trailing zero bits that n times it is exact.
_LN2_HI, _LN2_HI_32 = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.62e4p-1")
_LN2_LO, _LN2_LO_32 = float.fromhex("0x1.a39ef35793c76p-33"), math.log(2.0) - float.fromhex("0x1.62e4p-1")
# 1.5 * 2^52 (2^23) + the exponent's bias: adding it rounds to an integer, whose low bits then are an exponent.
_ROUND, _ROUND_32 = 1.5 * 2.0**52 + 1023.0, 1.5 * 2.0**23 + 127.0
# Arguments are held where e^v is a normal number.
_TOP, _TOP_32 = 708.0, 87.0
_SQRT_HALF = math.sqrt(0.5)
_DENSITY_AT_0 = 1.0 / math.sqrt(2.0 * math.pi)
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


def _hex(*words: str) -> tuple[float, ...]:
    return tuple(float.fromhex(word) for word in words)


# (e^r - 1 - r) / r^2, |r| <= ln(2)/2: 1.1e-16, 6.5e-8
_EXP = _hex(
    "0x1.af38a9b0ec855p-26", "0x1.289185613a3d6p-22", "0x1.71de0dae63bb3p-19", "0x1.a019b90d2ae7ap-16",
    "0x1.a01a01a7c41d5p-13", "0x1.6c16c1788bd90p-10", "0x1.11111111109b3p-7", "0x1.5555555553d63p-5",
    "0x1.5555555555556p-3", "0x1.0000000000001p-1",
)  # fmt: skip
_EXP_32 = (0.0013926184037700295, 0.008363178931176662, 0.041666556149721146, 0.16666576266288757, 0.5)
# log(1 + e) / e, 0 <= e <= 1: 1.7e-18, 5.2e-9
_LOG1P = _hex(
    "-0x1.0cc64e91b8745p-16", "0x1.956569bb68299p-13", "-0x1.22d14be88b9f2p-10", "0x1.0946fb1ce4ee5p-8",
    "-0x1.5bd286de89760p-7", "0x1.606fc4b32e031p-6", "-0x1.2310e9937c018p-5", "0x1.9a3bf844ccce4p-5",
    "-0x1.01965f46f9127p-4", "0x1.2c324b8581570p-4", "-0x1.502a5940104acp-4", "0x1.72ea81f4306bfp-4",
    "-0x1.99470de1e7dfcp-4", "0x1.c70e13a2c5d8ep-4", "-0x1.fffe16d429dd8p-4", "0x1.2492310403ad0p-3",
    "-0x1.555553a360d3bp-3", "0x1.999999851ab6dp-3", "-0x1.ffffffff675f0p-3", "0x1.555555555426cp-2",
    "-0x1.fffffffffffe2p-2", "0x1.0000000000000p+0",
)  # fmt: skip
_LOG1P_32 = (
    -0.0031760570127516985, 0.019542526453733444, -0.056373611092567444, 0.10543623566627502, -0.1526966691017151,
    0.1966327428817749, -0.24951615929603577, 0.33329710364341736, -0.49999892711639404, 1.0,
)  # fmt: skip
# erf(v) / v in v^2, |v| <= 1: 7.4e-18, 1.2e-9; the last coefficient and what it was rounded by apart
_ERF = _hex(
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
_TAIL = _hex(
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
def _held(v):
    top = by_type(v, _TOP, _TOP_32)
    return clamp(v, -top, top)


@inline
def _reduced(v):
    """(p, r, lost): v = n ln 2 + r + lost, p = 2^n, |r| <= ln(2)/2, `lost` what r was rounded by; v is held."""
    shift = by_type(v, _ROUND, _ROUND_32)
    shifted = fma(v, _LOG2E, shift)
    n = shifted - shift
    low = by_type(v, _LN2_LO, _LN2_LO_32)
    rough = fma(n, -by_type(v, _LN2_HI, _LN2_HI_32), v)
    r = fma(n, -low, rough)
    return low_bits_power(shifted), r, fma(n, -low, rough - r)


@inline
def _beyond_linear(r):
    """(e^r - 1 - r) / r^2; even and odd powers apart, which halves the wait of one step for the last."""
    square = r * r
    return fma(odd_part(square, _EXP, _EXP_32), r, even_part(square, _EXP, _EXP_32))


@inline
def _less_one(r):
    """e^r - 1."""
    return fma(r * r, _beyond_linear(r), r)


@inline
def exp(v):
    """e^v; the argument is held within +-708 (float32: 87), where the result is a normal number."""
    p, r, _ = _reduced(_held(v))
    return fma(p, _less_one(r), p)


@inline
def expm1(v):
    """e^v - 1 without cancellation near 0; the argument is held as exp's."""
    p, r, lost = _reduced(_held(v))
    first, second = p - 1.0, p * r
    total = first + second
    left = second - (total - first)  # what the sum lost; without it 2.2 ulp
    return total + fma(p, fma(r * r, _beyond_linear(r), lost), left)


@inline
def _falling(v):
    """(e, rest) with e^-|v| = e + rest, to a quarter of e's last bit."""
    p, r, _ = _reduced(-capped(magnitude(v), by_type(v, _TOP, _TOP_32)))
    s = _less_one(r)
    e = fma(p, s, p)
    return e, fma(p, s, p - e)


@inline
def sigmoid(v):
    """1 / (1 + e^-v)."""
    return 1.0 / (1.0 + exp(-v))


@inline
def sigmoid_slope(v):
    """e / (1 + e)^2, e = e^-|v|; its slope in e, by which `rest` counts, is near enough to (1 - e)^2."""
    e, rest = _falling(v)
    left = 1.0 - e
    return fma(rest, left * left, e / fma(e, 2.0 + e, 1.0))


@inline
def sigmoid_pair(v):
    """(sigmoid, its slope) from one exponential, for loops that need both."""
    e, rest = _falling(v)
    left, d = 1.0 - e, 1.0 + e
    value = fma(at_most(v, 0.0, rest, 0.0), left, at_most(v, 0.0, e, 1.0) / d)
    return value, fma(rest, left * left, e / fma(e, 2.0 + e, 1.0))


@inline
def tanh(v):
    """-m / (m + 2), m = e^-2|v| - 1."""
    m = expm1(-capped(magnitude(2.0 * v), by_type(v, _TOP, _TOP_32)))
    d = m + 2.0
    r = 1.0 / d
    t = m * r
    left = fma(-t, d, m) - t * (m - (d - 2.0))  # m - t (m + 2), with what rounding took from m + 2
    return with_sign(fma(left, r, t), v)


@inline
def tanh_slope(v):
    """1 / cosh(v)^2, the sigmoid's slope at 2v four times over."""
    return 4.0 * sigmoid_slope(2.0 * v)


@inline
def softplus(v):
    """log(1 + e^v) = max(v, 0) + log(1 + e), e = e^-|v|."""
    e, rest = _falling(v)
    ratio = polynomial(e, _LOG1P, _LOG1P_32)
    return fma(e, ratio, fma(rest, ratio, at_most(v, 0.0, 0.0, v)))


@inline
def _gaussian_parts(v, c):
    """(p, r, s) with e^(-c v^2) = p (1 + r + s), c a power of two; v^2 is split so that its rounding does not show."""
    h = leading(v)
    p, r, lost = _reduced(-c * (h * h))
    low = lost - c * ((v - h) * (v + h))
    whole = r + low
    return p, whole, fma(whole * whole, _beyond_linear(whole), low - (whole - r))


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


sin = lanewise(math.sin)
cos = lanewise(math.cos)
