"""Branch-free exponentials for scalar code in vector lanes.

Numba has no vector math library, so a loop over `math.exp` costs 5 ns an element and over `math.tanh` 15. These cost
1 to 3, need no libm (so the same bits on every machine of a CPU family), let NaN pass and saturate at +-inf. Errors
stay below 2 ulp, but for tanh.
"""

import math

import numpy as np

from particles.kernels.compile import inline

_LOG2E = 1.0 / math.log(2.0)
# ln 2 in two pieces (Cody and Waite): the first has 21 trailing zero bits, so n * _LN2_HI is exact for |n| < 2^21.
_LN2_HI = float.fromhex("0x1.62e42fee00000p-1")
_LN2_LO = float.fromhex("0x1.a39ef35793c76p-33")
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which then sits in the low bits

# (expm1(r) - r) / r^2 on |r| <= ln(2)/2, Chebyshev fit of degree 9 in 40 digits: absolute error 1.1e-16.
_C9 = float.fromhex("0x1.af38a9b0ec855p-26")
_C8 = float.fromhex("0x1.289185613a3d6p-22")
_C7 = float.fromhex("0x1.71de0dae63bb3p-19")
_C6 = float.fromhex("0x1.a019b90d2ae7ap-16")
_C5 = float.fromhex("0x1.a01a01a7c41d5p-13")
_C4 = float.fromhex("0x1.6c16c1788bd90p-10")
_C3 = float.fromhex("0x1.11111111109b3p-7")
_C2 = float.fromhex("0x1.5555555553d63p-5")
_C1 = float.fromhex("0x1.5555555555556p-3")
_C0 = float.fromhex("0x1.0000000000001p-1")


@inline
def _reduced(v):
    """(2^n, r, w) with v = n ln 2 + r, |r| <= ln(2)/2 and e^r - 1 = r + w, for |v| <= 708."""
    shifted = v * _LOG2E + _ROUND
    n = shifted - _ROUND
    rough = v - n * _LN2_HI
    r = rough - n * _LN2_LO
    rest = (rough - r) - n * _LN2_LO  # what r lost to rounding
    q = _C9
    q = q * r + _C8
    q = q * r + _C7
    q = q * r + _C6
    q = q * r + _C5
    q = q * r + _C4
    q = q * r + _C3
    q = q * r + _C2
    q = q * r + _C1
    q = q * r + _C0
    exponent = np.float64(shifted).view(np.int64) + np.int64(1023)
    power = np.int64(exponent << np.int64(52)).view(np.float64)
    return power, r, (r * r) * q + rest


@inline
def exp(v):
    """e^v; the argument is held within +-708, where the result is a normal number."""
    v = np.float64(v)
    v = 708.0 if v > 708.0 else v
    v = -708.0 if v < -708.0 else v
    power, r, w = _reduced(v)
    return power + power * (r + w)


@inline
def expm1(v):
    """e^v - 1 without cancellation near 0; the argument is held within +-708."""
    v = np.float64(v)
    v = 708.0 if v > 708.0 else v
    v = -708.0 if v < -708.0 else v
    power, r, w = _reduced(v)
    first, second = power - 1.0, power * r
    total = first + second
    lost = second - (total - first)  # exactly what the sum lost; without it expm1 is off by 2.2 ulp
    return total + (lost + power * w)


@inline
def sigmoid(v):
    """1 / (1 + e^-v)."""
    return 1.0 / (1.0 + exp(-v))


@inline
def tanh(v):
    """(e^2v - 1) / (e^2v + 1), from expm1 of |2v| so that small v keep their digits; 2.3 ulp at |v| = 0.2."""
    size = abs(np.float64(v))
    size = 20.0 if size > 20.0 else size  # tanh(20) is 1 to the last bit
    e = expm1(2.0 * size)
    return math.copysign(e / (e + 2.0), v)
