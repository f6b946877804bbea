"""The exponential function and what is made of it: sigmoid, tanh, softplus.

Every exponential is p e^r, p a power of two and |r| <= ln(2)/2, put together as late as can be.
"""

import math

from particles.kernels.compile import inline
from particles.kernels.lanes import (
    at_most,
    by_type,
    capped,
    clamp,
    even_part,
    fma,
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
TOP, TOP_32 = 708.0, 87.0


def from_hex(*words: str) -> tuple[float, ...]:
    return tuple(float.fromhex(word) for word in words)


# (e^r - 1 - r) / r^2, |r| <= ln(2)/2: 1.1e-16, 6.5e-8
_EXP = from_hex(
    "0x1.af38a9b0ec855p-26", "0x1.289185613a3d6p-22", "0x1.71de0dae63bb3p-19", "0x1.a019b90d2ae7ap-16",
    "0x1.a01a01a7c41d5p-13", "0x1.6c16c1788bd90p-10", "0x1.11111111109b3p-7", "0x1.5555555553d63p-5",
    "0x1.5555555555556p-3", "0x1.0000000000001p-1",
)  # fmt: skip
_EXP_32 = (0.0013926184037700295, 0.008363178931176662, 0.041666556149721146, 0.16666576266288757, 0.5)
# log(1 + e) / e, 0 <= e <= 1: 1.7e-18, 5.2e-9
LOG1P = from_hex(
    "-0x1.0cc64e91b8745p-16", "0x1.956569bb68299p-13", "-0x1.22d14be88b9f2p-10", "0x1.0946fb1ce4ee5p-8",
    "-0x1.5bd286de89760p-7", "0x1.606fc4b32e031p-6", "-0x1.2310e9937c018p-5", "0x1.9a3bf844ccce4p-5",
    "-0x1.01965f46f9127p-4", "0x1.2c324b8581570p-4", "-0x1.502a5940104acp-4", "0x1.72ea81f4306bfp-4",
    "-0x1.99470de1e7dfcp-4", "0x1.c70e13a2c5d8ep-4", "-0x1.fffe16d429dd8p-4", "0x1.2492310403ad0p-3",
    "-0x1.555553a360d3bp-3", "0x1.999999851ab6dp-3", "-0x1.ffffffff675f0p-3", "0x1.555555555426cp-2",
    "-0x1.fffffffffffe2p-2", "0x1.0000000000000p+0",
)  # fmt: skip
LOG1P_32 = (
    -0.0031760570127516985, 0.019542526453733444, -0.056373611092567444, 0.10543623566627502, -0.1526966691017151,
    0.1966327428817749, -0.24951615929603577, 0.33329710364341736, -0.49999892711639404, 1.0,
)  # fmt: skip


@inline
def _held(v):
    top = by_type(v, TOP, TOP_32)
    return clamp(v, -top, top)


@inline
def reduced(v):
    """(p, r, lost): v = n ln 2 + r + lost, p = 2^n, |r| <= ln(2)/2, `lost` what r was rounded by; v is held."""
    shift = by_type(v, _ROUND, _ROUND_32)
    shifted = fma(v, _LOG2E, shift)
    n = shifted - shift
    low = by_type(v, _LN2_LO, _LN2_LO_32)
    rough = fma(n, -by_type(v, _LN2_HI, _LN2_HI_32), v)
    r = fma(n, -low, rough)
    return low_bits_power(shifted), r, fma(n, -low, rough - r)


@inline
def beyond_linear(r):
    """(e^r - 1 - r) / r^2; even and odd powers apart, which halves the wait of one step for the last."""
    square = r * r
    return fma(odd_part(square, _EXP, _EXP_32), r, even_part(square, _EXP, _EXP_32))


@inline
def less_one(r):
    """e^r - 1."""
    return fma(r * r, beyond_linear(r), r)


@inline
def exp(v):
    """e^v; the argument is held within +-708 (float32: 87), where the result is a normal number."""
    p, r, _ = reduced(_held(v))
    return fma(p, less_one(r), p)


@inline
def expm1(v):
    """e^v - 1 without cancellation near 0; the argument is held as exp's."""
    p, r, lost = reduced(_held(v))
    first, second = p - 1.0, p * r
    total = first + second
    left = second - (total - first)  # what the sum lost; without it 2.2 ulp
    return total + fma(p, fma(r * r, beyond_linear(r), lost), left)


@inline
def _falling(v):
    """(e, rest) with e^-|v| = e + rest, to a quarter of e's last bit."""
    p, r, _ = reduced(-capped(magnitude(v), by_type(v, TOP, TOP_32)))
    s = less_one(r)
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
    m = expm1(-capped(magnitude(2.0 * v), by_type(v, TOP, TOP_32)))
    d = m + 2.0
    r = 1.0 / d
    t = m * r
    left = fma(-t, d, m) - t * (m - (d - 2.0))  # m - t (m + 2), with what rounding took from m + 2
    return with_sign(fma(left, r, t), v)


@inline
def tanh_slope(v):
    """1 / cosh(v)^2, four times the sigmoid's slope at 2v."""
    return 4.0 * sigmoid_slope(2.0 * v)


@inline
def softplus(v):
    """log(1 + e^v) = max(v, 0) + log(1 + e), e = e^-|v|."""
    e, rest = _falling(v)
    ratio = polynomial(e, LOG1P, LOG1P_32)
    return fma(e, ratio, fma(rest, ratio, at_most(v, 0.0, 0.0, v)))
