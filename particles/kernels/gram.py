"""Tangent Gram matrices of any activation by blocked products, and their product with a vector without the matrix.

K_ij = <x_i, x_j> sum_r w_r s_r^2 sigma'(b_r.x_i) sigma'(b_r.x_j), and sum_r w_r sigma(b_r.x_i) sigma(b_r.x_j) on top
where the output weights train too. Block by block the features u_ir = sqrt(w_r) |s_r| sigma'(b_r.x_i) are made once and
multiplied with themselves, upper half only, in float64; every entry's sum runs over the particles in order.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from particles.kernels.compile import inlined, specialise
from particles.kernels.lanes import LANES as LANES_OF, fma, fold, load, store, zeros
from particles.kernels.output import BLOCK, samples_at_once
from particles.kernels.panels import near_bytes
from particles.kernels.product import product, product_loops

LANES = 8  # settled by `specialise`, as are the names below
feature: Any = None
sigma: Any = None
derivative: Any = None


def features(b, scale, d, x, tiles, block, first, last, u):
    """u[i, r] = scale_r feature(b_r . x_i) of one block at the samples [first, last).

    b : flat (K, BLOCK / LANES, d, LANES); scale : (BLOCK,); x : flat (n, d); u : flat (n, BLOCK), zero beyond `tiles`
    """
    few = samples_at_once(d, b.itemsize)
    z = np.empty(few * LANES, b.dtype)
    for start in range(first, last, few):
        m = min(few, last - start)
        for t in range(tiles):
            product(m, z, 0, 0, b, (block * BLOCK + t * LANES) * d, 0, x, start * d, d, 1, d, True)
            share = load(scale, t * LANES)
            for i in range(m):
                store(u, (start + i) * BLOCK + t * LANES, share * feature(load(z, i * LANES)))


def turn(u, n, count, first, last, columns):
    """columns[j, r, lane] = u[j LANES + lane, r], r < count, strips j in [first, last), zero beyond the samples."""
    for j in range(first, last):
        for r in range(count):
            for lane in range(LANES):
                i = j * LANES + lane
                columns[(j * count + r) * LANES + lane] = u[i * count + r] if i < n else 0.0


def add_products(u, m, columns, strips, first, step, symmetric, into):
    """into[j, i, lane] += sum_r u[i, r] column_(j LANES + lane)[r], strips first, first + step, ...

    u : flat (m, BLOCK); columns : flat (strips, BLOCK, LANES), as `turn` makes them; into : flat (strips, m, LANES).
    Rows up to each strip's last column only if symmetric.
    """
    few = samples_at_once(BLOCK, u.itemsize)
    for start in range(0, m, few):
        for j in range(first, strips, step):
            rows = min(start + few, m, (j + 1) * LANES if symmetric else m) - start
            if rows > 0:
                place = (j * m + start) * LANES
                product(rows, into, place, 0, columns, j * BLOCK * LANES, 0, u, start * BLOCK, BLOCK, 1, BLOCK, False)


def inner_products(x, columns, d, first, last, into):
    """into[i, j] = x_i . column_j for the rows i in [first, last), from the first input up.

    x : flat (m, d); columns : flat (strips, d, LANES), as `turn` makes them; into : (m, n)
    """
    few, n = samples_at_once(d, x.itemsize), into.shape[1]
    z = np.empty(few * LANES, x.dtype)
    for start in range(first, last, few):
        rows = min(few, last - start)
        for strip in range(-(-n // LANES)):
            product(rows, z, 0, 0, columns, strip * d * LANES, 0, x, start * d, d, 1, d, True)
            low = strip * LANES
            for i in range(rows):
                for lane in range(min(LANES, n - low)):
                    into[start + i, low + lane] = z[i * LANES + lane]


def apply_block(b, first, d, c, x, tiles, both, force, output, total):
    """total[i] = sum_r c_r (s_r sigma'(b_r . x_i) f_r . x_i + o_r sigma(b_r . x_i)) over one block.

    b : flat, the block from `first` on; c : (2, BLOCK), weight times sign and weight
    force : flat (BLOCK / LANES, d, LANES), output : (BLOCK,), used if `both`
    """
    n = x.size // d
    few = samples_at_once(d, b.itemsize)
    z, u, sums = np.empty(few * LANES, b.dtype), np.empty(few * LANES, b.dtype), np.empty(few * LANES, b.dtype)
    for start in range(0, n, few):
        m = min(few, n - start)
        for j in range(0, m * LANES, LANES):
            store(sums, j, zeros(b))
        for t in range(tiles):
            product(m, z, 0, 0, b, first + t * d * LANES, 0, x, start * d, d, 1, d, True)
            product(m, u, 0, 0, force, t * d * LANES, 0, x, start * d, d, 1, d, True)
            signed, weight = load(c[0], t * LANES), load(c[1], t * LANES) * load(output, t * LANES)
            for j in range(0, m * LANES, LANES):
                v = load(z, j)
                moved = fma(signed * derivative(v), load(u, j), load(sums, j))
                store(sums, j, fma(weight, sigma(v), moved) if both else moved)
        for i in range(m):
            total[start + i] = fold(load(sums, i * LANES))


def apply_outputs(b, first, d, a, w, x, tiles, both, force, output, total):
    """total[i k + o] = sum_r w_r (a_ro sigma'(b_r . x_i) f_r . x_i + o_ro sigma(b_r . x_i)) over one block, k > 1.

    a : flat (BLOCK / LANES, k, LANES); w : (BLOCK,); output : like a, used if `both`. The rest as in `apply_block`.
    """
    n, k = x.size // d, a.size // BLOCK
    few = samples_at_once(d + k, b.itemsize)
    z, u, sums = np.empty(few * LANES, b.dtype), np.empty(few * LANES, b.dtype), np.empty(few * k * LANES, b.dtype)
    for start in range(0, n, few):
        m = min(few, n - start)
        sums[:] = 0.0
        for t in range(tiles):
            product(m, z, 0, 0, b, first + t * d * LANES, 0, x, start * d, d, 1, d, True)
            product(m, u, 0, 0, force, t * d * LANES, 0, x, start * d, d, 1, d, True)
            weight, begin = load(w, t * LANES), t * k * LANES
            for i in range(m):
                v = load(z, i * LANES)
                moved, value = weight * derivative(v) * load(u, i * LANES), weight * sigma(v)
                for j in range(0, k * LANES, LANES):
                    place = i * k * LANES + j
                    total_of = fma(load(a, begin + j), moved, load(sums, place))
                    store(sums, place, fma(load(output, begin + j), value, total_of) if both else total_of)
        for j in range(m * k):
            total[start * k + j] = fold(load(sums, j * LANES))


class GramKernels(NamedTuple):
    """The loops of one activation in float64, compiled. `values` and `slopes` make features of sigma and of sigma'."""

    values: Any
    slopes: Any
    apply_block: Any
    apply_outputs: Any


class ProductKernels(NamedTuple):
    """The loops over features, whatever they are, compiled."""

    turn: Any
    add_products: Any
    inner_products: Any


def _settled() -> dict[str, Any]:
    lanes = LANES_OF["float64"]
    loops = product_loops(lanes, 1, specialise, inlined)
    return {"LANES": lanes, "product": loops, "samples_at_once": inlined(samples_at_once, NEAR=near_bytes())}


def gram_kernels(sigma: Any, derivative: Any) -> GramKernels:
    """The loops of one activation."""
    settled = _settled()
    return GramKernels(
        specialise(features, feature=sigma, **settled),
        specialise(features, feature=derivative, **settled),
        specialise(apply_block, sigma=sigma, derivative=derivative, **settled),
        specialise(apply_outputs, sigma=sigma, derivative=derivative, **settled),
    )


@cache
def product_kernels() -> ProductKernels:
    """The loops over features in float64."""
    settled = _settled()
    return ProductKernels(*(specialise(loop, **settled) for loop in (turn, add_products, inner_products)))
