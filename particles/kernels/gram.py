"""Tangent Gram matrices of any activation by blocked products, and their product with a vector without the matrix.

K_ij = <x_i, x_j> sum_r w_r s_r^2 sigma'(b_r.x_i) sigma'(b_r.x_j), and sum_r w_r sigma(b_r.x_i) sigma(b_r.x_j) on top
where the output weights train too. Block by block the features u_ir = sqrt(w_r) |s_r| sigma'(b_r.x_i) are made once and
multiplied with themselves, upper half only, in float64; every entry's sum runs over the particles in order.
"""

from typing import Any, NamedTuple

import numpy as np

from particles.kernels.compile import inlined, specialise
from particles.kernels.forward import BLOCK, samples_at_once
from particles.kernels.lanes import LANES as LANES_OF, fma, fold, load, store, zeros
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
            product(m, z, 0, b, (block * BLOCK + t * LANES) * d, x, start * d, d, 1, d, True)
            share = load(scale, t * LANES)
            for i in range(m):
                store(u, (start + i) * BLOCK + t * LANES, share * feature(load(z, i * LANES)))


def turn(u, n, first, last, columns):
    """columns[j, r, lane] = u[j LANES + lane, r] for the strips j in [first, last), zero beyond the samples."""
    for j in range(first, last):
        for r in range(BLOCK):
            for lane in range(LANES):
                i = j * LANES + lane
                columns[(j * BLOCK + r) * LANES + lane] = u[i * BLOCK + r] if i < n else 0.0


def add_products(u, n, columns, first, step, into):
    """into[j, i, lane] += sum_r u[i, r] u[j LANES + lane, r], strips first, first + step, ... and i up to them."""
    for j in range(first, -(-n // LANES), step):
        rows = min(n, (j + 1) * LANES)
        product(rows, into, j * n * LANES, columns, j * BLOCK * LANES, u, 0, BLOCK, 1, BLOCK, False)


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
            product(m, z, 0, b, first + t * d * LANES, x, start * d, d, 1, d, True)
            product(m, u, 0, force, t * d * LANES, x, start * d, d, 1, d, True)
            signed, weight = load(c[0], t * LANES), load(c[1], t * LANES) * load(output, t * LANES)
            for j in range(0, m * LANES, LANES):
                v = load(z, j)
                found = fma(signed * derivative(v), load(u, j), load(sums, j))
                store(sums, j, fma(weight, sigma(v), found) if both else found)
        for i in range(m):
            total[start + i] = fold(load(sums, i * LANES))


class GramKernels(NamedTuple):
    """The loops of one activation in float64, compiled. `values` and `slopes` make features of sigma and of sigma'."""

    values: Any
    slopes: Any
    turn: Any
    add_products: Any
    apply_block: Any


def gram_kernels(sigma: Any, derivative: Any, key: str | None) -> GramKernels:
    """The loops of one activation. `key` names it in the cache (None: not kept)."""
    lanes = LANES_OF["float64"]
    settled: dict[str, Any] = {"LANES": lanes, "product": product_loops(lanes, specialise, inlined)}
    settled["samples_at_once"] = inlined(samples_at_once)
    values, slopes = (None if key is None else f"{key}-{kind}" for kind in ("values", "slopes"))
    return GramKernels(
        specialise(features, values, feature=sigma, **settled),
        specialise(features, slopes, feature=derivative, **settled),
        specialise(turn, "any-float64", **settled),
        specialise(add_products, "any-float64", **settled),
        specialise(apply_block, key, sigma=sigma, derivative=derivative, **settled),
    )
