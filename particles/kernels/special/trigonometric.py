"""Sine and cosine: v = n pi/2 + r + lost, |r| <= pi/4, then one of two polynomials in r^2 and a sign, by n's last bits.

Beyond `_TOP` the three pieces of pi/2 no longer suffice: those lanes, if there are any, take libm's value.
"""

import math

from particles.kernels.compile import inline
from particles.kernels.elementwise import lanewise
from particles.kernels.lanes import any_beyond, at_most, by_bit, by_type, fma, magnitude, polynomial
from particles.kernels.special.exponential import from_hex

_TWO_OVER_PI = 2.0 / math.pi
# 1.5 * 2^52 (2^23): adding it rounds to an integer, whose low bits are the sum's.
_ROUND, _ROUND_32 = 1.5 * 2.0**52, 1.5 * 2.0**23
# pi/2 in three pieces (Cody and Waite), the first with enough trailing zero bits that n times it is exact.
_HIGH, _HIGH_32 = from_hex("0x1.921fb54400000p+0", "0x1.921e000000000p+0")
_MIDDLE, _MIDDLE_32 = from_hex("0x1.0b4611a626331p-34", "0x1.b544420000000p-16")
_LOW, _LOW_32 = from_hex("0x1.1701b839a2520p-88", "0x1.a308d20000000p-41")
_TOP, _TOP_32 = 2.0**20, 2.0**8
# (sin r - r) / r^3 in r^2, |r| <= pi/4: 2.0e-17, 2.0e-8
_SIN = from_hex(
    "0x1.5e0af186af739p-33", "-0x1.ae600a926c89ap-26", "0x1.71de37961e4c6p-19", "-0x1.a01a019e8357dp-13",
    "0x1.1111111110bb1p-7", "-0x1.5555555555555p-3",
)  # fmt: skip
_SIN_32 = from_hex("-0x1.9ac96b052ede0p-13", "0x1.110c282749f3ap-7", "-0x1.555552a43b210p-3")
# (cos r - 1 + r^2 / 2) / r^4 in r^2: 1.3e-18, 2.0e-9
_COS = from_hex(
    "-0x1.907d7aebd5e3dp-37", "0x1.1eeb68b109173p-29", "-0x1.27e4fa17a41b4p-22", "0x1.a01a019f4e867p-16",
    "-0x1.6c16c16c16966p-10", "0x1.5555555555555p-5",
)  # fmt: skip
_COS_32 = from_hex("0x1.9bd86445fb99bp-16", "-0x1.6c12d2887c343p-10", "0x1.555554414e3a6p-5")

_libm_sin, _libm_cos = lanewise(math.sin), lanewise(math.cos)


@inline
def _reduced(v):
    """(n, r, lost) with v = n pi/2 + r + lost; n in the low bits of a sum's fraction."""
    shift = by_type(v, _ROUND, _ROUND_32)
    shifted = fma(v, _TWO_OVER_PI, shift)
    n = shifted - shift
    middle, low = by_type(v, _MIDDLE, _MIDDLE_32), by_type(v, _LOW, _LOW_32)
    rough = fma(-n, by_type(v, _HIGH, _HIGH_32), v)
    part = n * middle
    r = rough - part
    back = rough - r
    # What the difference and the product lost: either of rough and part may be the larger.
    left = (rough - (back + r)) + (back - part)
    return shifted, r, left - fma(n, low, fma(n, middle, -part))


@inline
def _sin_near(r, lost):
    """sin(r + lost), |r| <= pi/4."""
    square = r * r
    near = r + fma(square * r, polynomial(square, _SIN, _SIN_32), fma(-0.5 * square, lost, lost))
    return at_most(square, 0.0, r, near)  # with the sign of zero


@inline
def _cos_near(r, lost):
    """cos(r + lost), |r| <= pi/4."""
    square = r * r
    half = 0.5 * square
    first = 1.0 - half
    rest = fma(square * square, polynomial(square, _COS, _COS_32), -(r * lost))
    return first + (((1.0 - first) - half) + rest)


@inline
def _turned(n, r, lost):
    """sin(n pi/2 + r + lost), n in the low bits of a sum's fraction."""
    near = by_bit(n, 0, _cos_near(r, lost), _sin_near(r, lost))
    return by_bit(n, 1, -near, near)


@inline
def sin(v):
    """The sine."""
    n, r, lost = _reduced(v)
    value, top = _turned(n, r, lost), by_type(v, _TOP, _TOP_32)
    return at_most(magnitude(v), top, value, _libm_sin(v)) if any_beyond(v, top) else value


@inline
def cos(v):
    """The cosine: the sine a quarter further on; the sum's last bit is 1, so nothing is rounded."""
    n, r, lost = _reduced(v)
    value, top = _turned(n + 1.0, r, lost), by_type(v, _TOP, _TOP_32)
    return at_most(magnitude(v), top, value, _libm_cos(v)) if any_beyond(v, top) else value
