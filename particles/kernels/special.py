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
# erf(v) / v in v^2, |v| <= 1: 7.4e-18, 4.1e-8
_ERF = _hex(
    "-0x1.ac9585a44fe29p-31", "0x1.d76af6ca49787p-27", "-0x1.5c131500d3f88p-23", "0x1.b981d78881a5dp-20",
    "-0x1.f4ca838adb73bp-17", "0x1.f9a2be4f731a1p-14", "-0x1.c02db0665e53dp-11", "0x1.565bccfa44156p-8",
    "-0x1.b82ce31203772p-6", "0x1.ce2f21a040f66p-4", "-0x1.812746b0379c1p-2", "0x1.20dd750429b6dp+0",
)  # fmt: skip
_ERF_32 = (
    -0.0005648059886880219, 0.004921761807054281, -0.026715055108070374, 0.11280316859483719, -0.37612342834472656,
    1.1283791065216064,
)  # fmt: skip
# (a + 4) Phi(-a) e^(a^2/2), a >= 0, in t = (a - 4) / (a + 4): 5.1e-17, 2.2e-8. Phi is the normal distribution function.
_TAIL = _hex(
    "-0x1.4874e789a59e0p-33", "-0x1.cf67053034ba3p-30", "-0x1.cb51b78dca140p-32", "0x1.13c53094db786p-26",
    "0x1.2b421f6ab58dep-26", "-0x1.52372e506f9d9p-24", "-0x1.55cd8d091dbfep-23", "0x1.1c33f02dee055p-22",
    "0x1.12f1061407889p-20", "-0x1.4f7f8c9d1911ep-21", "-0x1.8d5efa48bf5ddp-18", "0x1.7fa329ba4af4ap-21",
    "0x1.26d1498deb702p-15", "-0x1.000afdb2de1fdp-19", "-0x1.e4a42d219fe7cp-13", "0x1.17a4a056623bcp-13",
    "0x1.ab825fda78128p-10", "-0x1.c81719be0075fp-9", "-0x1.ee276104d751ep-8", "0x1.eec4cc3e3903cp-5",
    "-0x1.7dff2bff682a2p-3", "0x1.8c6dbf2cfc38ep-2", "-0x1.373e3a893c28ap-1", "0x1.82b4bb8c94dcdp-1",
)  # fmt: skip
_TAIL_32 = (
    -1.6733154097892111e-06, -0.00015712155436631292, 0.0001335102424491197, 0.001563337049447, -0.0034798309206962585,
    -0.007511891890317202, 0.06039660423994064, -0.1865268051624298, 0.38713741302490234, -0.6078963875770569,
    0.7552851438522339,
)  # fmt: skip


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
def sigmoid(v):
    """1 / (1 + e^-v)."""
    return 1.0 / (1.0 + exp(-v))


@inline
def _falling(v):
    """(e, rest) with e^-|v| = e + rest, to a quarter of e's last bit."""
    p, r, _ = _reduced(-capped(magnitude(v), by_type(v, _TOP, _TOP_32)))
    s = _less_one(r)
    e = fma(p, s, p)
    return e, fma(p, s, p - e)


@inline
def sigmoid_slope(v):
    """e / (1 + e)^2, e = e^-|v|; `rest` counts 1 / (1 + e)^2 times, for which 1 - 3/4 e will do."""
    e, rest = _falling(v)
    return fma(rest, fma(e, -0.75, 1.0), e / fma(e, 2.0 + e, 1.0))


@inline
def tanh(v):
    """m / (m + 2), m = e^2|v| - 1."""
    m = expm1(2.0 * magnitude(v))
    d = m + 2.0
    r = 1.0 / d
    t = m * r
    left = fma(-t, d, m) - t * (m - (d - 2.0))  # m - t (m + 2), with what rounding took from m + 2
    return with_sign(fma(left, r, t), v)


@inline
def tanh_slope(v):
    """1 / cosh(v)^2 = 4 e / (1 + e)^2, e = e^-2|v|."""
    return 4.0 * sigmoid_slope(2.0 * v)


@inline
def softplus(v):
    """log(1 + e^v) = max(v, 0) + log(1 + e), e = e^-|v|."""
    e, rest = _falling(v)
    ratio = polynomial(e, _LOG1P, _LOG1P_32)
    return at_most(v, 0.0, 0.0, v) + fma(e, ratio, rest * ratio)


@inline
def _gaussian_parts(v, c):
    """(p, s) with e^(-c v^2) = p (1 + s), c a power of two; v^2 is split so that its rounding does not show."""
    h = leading(v)
    p, r, _ = _reduced(-c * (h * h))
    return p, _less_one(r - c * ((v - h) * (v + h)))


@inline
def _tail(a):
    """(ratio, r) with Phi(-a) e^(a^2/2) = ratio * r and r = 1 / (a + 4), to a few ulp."""
    r = 1.0 / (a + 4.0)
    return polynomial(fma(r, -8.0, 1.0), _TAIL, _TAIL_32), r


@inline
def _lower_tail(a):
    """(p, tail, rest) with Phi(-a) = p (tail + rest), a >= 0."""
    ratio, r = _tail(a)
    d = a + 4.0
    tail = ratio * r
    off = fma(-d, r, 1.0) - r * (a - (d - 4.0))  # r (1 + off) = 1 / (a + 4)
    moved = d * fma(-a, tail, _DENSITY_AT_0)  # the tail's change with r, from (Phi(-a) e^(a^2/2))' = a (...) - phi(0)
    p, s = _gaussian_parts(a, 0.5)
    return p, tail, fma(tail, s, fma(off, moved, fma(ratio, r, -tail)))


@inline
def erf(v):
    """The error function: a polynomial below 1, 1 - erfc above."""
    a = capped(magnitude(v), 6.0)
    square = a * a
    ratio, r = _tail(a * math.sqrt(2.0))
    large = 1.0 - 2.0 * (ratio * r) * exp(-square)
    return with_sign(at_most(a, 1.0, a * polynomial(square, _ERF, _ERF_32), large), v)


@inline
def erf_slope(v):
    """2 / sqrt(pi) e^(-v^2)."""
    top = by_type(v, 26.6, 9.3)
    p, s = _gaussian_parts(clamp(v, -top, top), 1.0)
    return p * fma(s, _TWO_OVER_SQRT_PI, _TWO_OVER_SQRT_PI)


@inline
def gelu(v):
    """v Phi(v) = max(v, 0) - a Phi(-a), a = |v|."""
    a = capped(magnitude(v), by_type(v, 37.5, 13.1))
    p, tail, rest = _lower_tail(a)
    below = a * tail
    return at_most(v, 0.0, 0.0, v) - p * (below + fma(a, rest, fma(a, tail, -below)))


@inline
def gelu_slope(v):
    """Phi(v) + v phi(v), phi the normal density; where the two nearly cancel (v = -0.75), to 2 ulp of either."""
    top = by_type(v, 37.5, 13.1)
    held = clamp(v, -top, top)
    a = magnitude(held)
    p, tail, rest = _lower_tail(a)
    below = p * (tail + rest)
    q, s = _gaussian_parts(a, 0.5)
    c = held * _DENSITY_AT_0
    return at_most(v, 0.0, below, 1.0 - below) + q * fma(c, s, c)


sin = lanewise(math.sin)
cos = lanewise(math.cos)
