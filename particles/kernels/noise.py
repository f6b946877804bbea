"""Gaussian noise by place: a number depends on the seed, the iteration, the particle and the coordinate alone.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011) makes 128 bits from a counter and a key, and Box and Muller's map two
independent standard normals from those. The pair goes to particles r and r + 128 of a block, so numbers do not depend
on lanes, float type, threads or shards. No libm, so the same bits wherever the rest has them.
"""

import math

import numpy as np

BLOCK = 256
HALF = BLOCK // 2
LANES = 8  # settled by `specialise`

_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_11 = np.uint64(11)
_ULP = 2.0**-53
_LN2, _TURN = math.log(2.0), 2.0 * math.pi
_SQRT_HALF = np.int64(np.float64(math.sqrt(0.5)).view(np.int64))


def philox(c0, c1, c2, c3, k0, k1):
    """Ten rounds on a counter of four words with a key of two: four words of 32 random bits, each in a uint64."""
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def log_of(u):
    """ln u for 2^-53 <= u <= 1: ln m = 2 artanh q, q = (m - 1) / (m + 1), where u = m 2^e, m in [1/sqrt 2, sqrt 2)."""
    bits = np.float64(u).view(np.int64)
    e = (bits - _SQRT_HALF) >> 52
    m = np.int64(bits - (e << 52)).view(np.float64)
    q = (m - 1.0) / (m + 1.0)
    square, total = q * q, 1.0 / 23.0
    for k in range(10, -1, -1):
        total = total * square + 1.0 / (2 * k + 1)
    return e * _LN2 + 2.0 * q * total


def turn(a):
    """(cos 2 pi a, sin 2 pi a) for 0 <= a < 1: Taylor's series within an eighth of a turn, then quarter turns."""
    quarter = np.floor(4.0 * a + 0.5)
    angle = (a - 0.25 * quarter) * _TURN
    square = angle * angle
    c, s = 1.0, 1.0
    for k in range(8, 0, -1):
        c = 1.0 - c * (square * (1.0 / ((2 * k - 1) * 2 * k)))
        s = 1.0 - s * (square * (1.0 / (2 * k * (2 * k + 1))))
    s *= angle
    odd = quarter - 2.0 * np.floor(0.5 * quarter) == 1.0
    x, y = (s, c) if odd else (c, s)
    return (-x if 1.0 <= quarter <= 2.0 else x), (-y if 2.0 <= quarter <= 3.0 else y)


def shake_blocks(b, amplitude, k0, k1, step, top, begin, coordinate, d, last_tiles, first, last):
    """b += amplitude xi on blocks [first, last), in place; xi are independent standard normals.

    b : flat (K, BLOCK / LANES, d, LANES). k0, k1 : the seed's halves. step, top : the iteration, and purpose 2^16
    with what of the iteration is beyond 2^32. begin : the first block's number in the measure. coordinate : the first.
    """
    K = b.size // (BLOCK * d)
    radius, angle = np.empty(HALF), np.empty(HALF)
    for block in range(first, last):
        place = np.uint64(begin + block)
        tiles = last_tiles if block == K - 1 else BLOCK // LANES
        for k in range(d):
            base = np.uint64((coordinate + k) * HALF)
            for j in range(HALF):
                w0, w1, w2, w3 = philox(base + np.uint64(j), place, step, top, k0, k1)
                radius[j] = (np.float64((w0 << _32 | w1) >> _11) + 1.0) * _ULP
                angle[j] = np.float64((w2 << _32 | w3) >> _11) * _ULP
            for j in range(HALF):
                r = math.sqrt(-2.0 * log_of(radius[j]))
                x, y = turn(angle[j])
                radius[j], angle[j] = r * x, r * y
            at = block * BLOCK * d + k * LANES
            for t in range(min(tiles, HALF // LANES)):
                for lane in range(LANES):
                    b[at + t * LANES * d + lane] += amplitude * b.dtype.type(radius[t * LANES + lane])
            for t in range(HALF // LANES, tiles):
                for lane in range(LANES):
                    b[at + t * LANES * d + lane] += amplitude * b.dtype.type(angle[(t * LANES + lane) - HALF])
