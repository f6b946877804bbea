"""The two loops everything stands on: sum the outputs of blocks of particles, and the gradient that pushes them.

Storage. Particles live in blocks of `BLOCK`, each stored input by input: b (K, d, BLOCK), so that the particles sit in
the vector lanes. A last block that is not full is padded with particles of weight zero. The block size is part of the
algorithm: changing it changes the last bits of every result.

Order of sums, which is what makes results repeat to the bit: inside a block, lane j adds particles j, j + LANES, ...,
then the lanes are folded in halves; blocks are added in the binary tree of their numbers. A group of 2^g consecutive
blocks is a subtree, so any division of the blocks into such groups, over any number of threads, gives the same bits.

Speed. Four samples and two inputs at a time: 8 multiply-adds for 6 loads and 4 stores, and their 8 coefficients stay in
registers. Sixteen (four inputs) spilled: 12% slower at d = 31, 25% at d = 100.

`sigma` and `derivative` are settled by `specialise`; each function here is a template.
"""

from typing import Any, NamedTuple

import numpy as np

from particles.kernels.compile import plain, specialise

BLOCK = 256
LANES = 32


def sigma(v):  # stands for the activation until specialised
    return v


def derivative(v):  # stands for its derivative
    return v


def preactivations_of_four(b, x, i, width, z):
    """z[q, r] = b_r . x_(i+q) for four samples.

    b : (d, BLOCK), x : (n, d), z : (4, BLOCK), written on the first `width` lanes
    """
    d = b.shape[0]
    for r in range(width):
        z[0, r] = 0
        z[1, r] = 0
        z[2, r] = 0
        z[3, r] = 0
    for k in range(0, d - 1, 2):
        x00, x01 = x[i, k], x[i, k + 1]
        x10, x11 = x[i + 1, k], x[i + 1, k + 1]
        x20, x21 = x[i + 2, k], x[i + 2, k + 1]
        x30, x31 = x[i + 3, k], x[i + 3, k + 1]
        for r in range(width):
            b0, b1 = b[k, r], b[k + 1, r]
            z[0, r] += x00 * b0 + x01 * b1
            z[1, r] += x10 * b0 + x11 * b1
            z[2, r] += x20 * b0 + x21 * b1
            z[3, r] += x30 * b0 + x31 * b1
    if d % 2:
        k = d - 1
        x0, x1, x2, x3 = x[i, k], x[i + 1, k], x[i + 2, k], x[i + 3, k]
        for r in range(width):
            z[0, r] += x0 * b[k, r]
            z[1, r] += x1 * b[k, r]
            z[2, r] += x2 * b[k, r]
            z[3, r] += x3 * b[k, r]


def preactivations_of_one(b, x, i, width, z):
    """z[r] = b_r . x_i; z : (BLOCK,)."""
    d = b.shape[0]
    for r in range(width):
        z[r] = 0
    for k in range(0, d - 3, 4):
        x0, x1, x2, x3 = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
        for r in range(width):
            z[r] += ((x0 * b[k, r] + x1 * b[k + 1, r]) + x2 * b[k + 2, r]) + x3 * b[k + 3, r]
    for k in range(d - d % 4, d):
        x0 = x[i, k]
        for r in range(width):
            z[r] += x0 * b[k, r]


def weighted_sum(c, z, width, lanes):
    """sum_r c_r z_r over a block, in the fixed order; lanes : (LANES,) float64 scratch."""
    for j in range(LANES):
        lanes[j] = 0.0
    for q in range(0, width, LANES):
        for j in range(LANES):
            lanes[j] += c[q + j] * z[q + j]
    half = LANES // 2
    while half > 0:
        for j in range(half):
            lanes[j] += lanes[j + half]
        half //= 2
    return lanes[0]


def sum_block(b, c, x, width, z, lanes, total):
    """total[i] = sum_r c_r sigma(b_r . x_i) over one block (3, the network's sum).

    b : (d, BLOCK), c : (BLOCK,) weight times sign, x : (n, d), total : (n,) float64
    """
    n = x.shape[0]
    for i in range(0, n - 3, 4):
        preactivations_of_four(b, x, i, width, z)
        for q in range(4):
            for r in range(width):
                z[q, r] = sigma(z[q, r])
        for q in range(4):
            total[i + q] = weighted_sum(c, z[q], width, lanes)
    for i in range(n - n % 4, n):
        preactivations_of_one(b, x, i, width, z[0])
        for r in range(width):
            z[0, r] = sigma(z[0, r])
        total[i] = weighted_sum(c, z[0], width, lanes)


def sum_groups(b, c, x, last_width, size, first, last, totals):
    """totals[j] = sum over the blocks of group j, j in [first, last), each group a subtree of `size` = 2^g blocks.

    b : (K, d, BLOCK), c : (K, BLOCK), x : (n, d), totals : (groups, n) float64

    A stack of partial sums, merged like the carries of a binary counter, adds the blocks in tree order while
    holding only g + 1 of them.
    """
    K, n = b.shape[0], x.shape[0]
    levels = 1
    while 1 << levels <= size:
        levels += 1
    stack = np.empty((levels + 1, n))
    z = np.empty((4, BLOCK), b.dtype)
    lanes = np.empty(LANES)
    for group in range(first, last):
        begin, end = group * size, min((group + 1) * size, K)
        depth = 0
        for block in range(begin, end):
            width = last_width if block == K - 1 else BLOCK
            sum_block(b[block], c[block], x, width, z, lanes, stack[depth])
            depth += 1
            done = block - begin + 1
            while done % 2 == 0:
                for i in range(n):
                    stack[depth - 2, i] += stack[depth - 1, i]
                depth -= 1
                done //= 2
        while depth > 1:  # an unfinished subtree at the end of the cloud: right to left, as the tree has it
            for i in range(n):
                stack[depth - 2, i] += stack[depth - 1, i]
            depth -= 1
        for i in range(n):
            totals[group, i] = stack[0, i]


def gradient_block(b, x, slope, width, with_output, z, force, output):
    """force[k, r] = sum_i slope_i sigma'(b_r . x_i) x_ik and, if asked, output[r] = sum_i slope_i sigma(b_r . x_i).

    b : (d, BLOCK), x : (n, d), slope : (n,), force : (d, BLOCK), output : (BLOCK,)
    """
    n, d = x.shape
    for k in range(d):
        for r in range(width):
            force[k, r] = 0
    for r in range(width):
        output[r] = 0
    for i in range(0, n - 3, 4):
        preactivations_of_four(b, x, i, width, z)
        s0, s1, s2, s3 = slope[i], slope[i + 1], slope[i + 2], slope[i + 3]
        if with_output:
            for r in range(width):
                output[r] += ((s0 * sigma(z[0, r]) + s1 * sigma(z[1, r])) + s2 * sigma(z[2, r])) + s3 * sigma(z[3, r])
        for q in range(4):
            s = slope[i + q]
            for r in range(width):
                z[q, r] = s * derivative(z[q, r])
        for k in range(0, d - 1, 2):
            x00, x10, x20, x30 = x[i, k], x[i + 1, k], x[i + 2, k], x[i + 3, k]
            x01, x11, x21, x31 = x[i, k + 1], x[i + 1, k + 1], x[i + 2, k + 1], x[i + 3, k + 1]
            for r in range(width):
                z0, z1, z2, z3 = z[0, r], z[1, r], z[2, r], z[3, r]
                force[k, r] += ((x00 * z0 + x10 * z1) + x20 * z2) + x30 * z3
                force[k + 1, r] += ((x01 * z0 + x11 * z1) + x21 * z2) + x31 * z3
        if d % 2:
            k = d - 1
            x0, x1, x2, x3 = x[i, k], x[i + 1, k], x[i + 2, k], x[i + 3, k]
            for r in range(width):
                force[k, r] += ((x0 * z[0, r] + x1 * z[1, r]) + x2 * z[2, r]) + x3 * z[3, r]
    for i in range(n - n % 4, n):
        preactivations_of_one(b, x, i, width, z[0])
        s = slope[i]
        if with_output:
            for r in range(width):
                output[r] += s * sigma(z[0, r])
        for r in range(width):
            z[0, r] = s * derivative(z[0, r])
        for k in range(d):
            x0 = x[i, k]
            for r in range(width):
                force[k, r] += x0 * z[0, r]


def velocity_blocks(b, s, x, slope, scale, train_output, last_width, first, last, v, vs):
    """The data term of the velocity, v = -scale s sum_i slope_i sigma'(b.x_i) x_i, of blocks [first, last).

    b : (K, d, BLOCK), s : (K, BLOCK), slope : (n,) = l'(g_i, y_i) / n, scale = 1 / alpha
    v : (last - first, d, BLOCK), vs : (last - first, BLOCK), the velocity of s, zero where it is not trained
    """
    K, d = b.shape[0], b.shape[1]
    z = np.empty((4, BLOCK), b.dtype)
    for block in range(first, last):
        width = last_width if block == K - 1 else BLOCK
        force, output = v[block - first], vs[block - first]
        gradient_block(b[block], x, slope, width, train_output, z, force, output)
        for k in range(d):
            for r in range(width):
                force[k, r] *= -(scale * s[block, r])
            for r in range(width, BLOCK):
                force[k, r] = 0
        for r in range(BLOCK):
            output[r] = -scale * output[r] if train_output and r < width else 0


def shrink(v, threshold):
    """The proximal map of threshold * |v|: soft thresholding."""
    size = abs(v) - threshold
    return np.copysign(size if size > 0 else 0 * size, v)


def move_blocks(b, v, anchor, anchored, step, pull, threshold, last_width, first, last):
    """b' = shrink(b + step (v - pull (b - anchor)), threshold) on blocks [first, last), in place; how many stay finite.

    b : (K, d, BLOCK), v : (last - first, d, BLOCK), anchor : like b, taken as 0 unless `anchored`. Flow time.

    Finiteness is looked at here because an infinite particle can leave every output finite: a sigmoid saturates.
    """
    K, d = b.shape[0], b.shape[1]
    finite = 0
    for block in range(first, last):
        width = last_width if block == K - 1 else BLOCK
        check = 0.0
        for k in range(d):
            for r in range(width):
                away = b[block, k, r] - (anchor[block, k, r] if anchored else 0 * pull)
                b[block, k, r] = shrink(b[block, k, r] + step * (v[block - first, k, r] - pull * away), threshold)
            for r in range(width):
                check += 0 * b[block, k, r]  # 0 for a finite b, NaN otherwise
        finite += check == 0.0
    return finite


def average_blocks(mean, b, share, first, last):
    """mean += share (b - mean) on blocks [first, last): the running average of the iterates [15]."""
    d = b.shape[1]
    for block in range(first, last):
        for k in range(d):
            for r in range(BLOCK):
                mean[block, k, r] += share * (b[block, k, r] - mean[block, k, r])


class BlockKernels(NamedTuple):
    """The loops of one activation and one float type, compiled (or plain, for the tests)."""

    sum_groups: Any
    velocity_blocks: Any
    move_blocks: Any
    average_blocks: Any


def block_kernels(sigma: Any, derivative: Any, key: str | None, dtype: str, make: Any = specialise) -> BlockKernels:
    """The loops of one activation. `key` names it in the cache (None: not kept)."""
    kept = None if key is None else f"{key}-{dtype}"
    four, one = make(preactivations_of_four, None), make(preactivations_of_one, None)
    total = make(weighted_sum, None)
    of_block = make(
        sum_block, None, preactivations_of_four=four, preactivations_of_one=one, weighted_sum=total, sigma=sigma
    )
    gradient = make(
        gradient_block, None,
        preactivations_of_four=four, preactivations_of_one=one, sigma=sigma, derivative=derivative,
    )  # fmt: skip
    return BlockKernels(
        sum_groups=make(sum_groups, kept, sum_block=of_block),
        velocity_blocks=make(velocity_blocks, kept, gradient_block=gradient),
        move_blocks=make(move_blocks, f"any-{dtype}", shrink=make(shrink, None)),
        average_blocks=make(average_blocks, f"any-{dtype}"),
    )


def plain_block_kernels(sigma: Any, derivative: Any) -> BlockKernels:
    """The same loops as ordinary Python, for the tests."""
    return block_kernels(sigma, derivative, None, "plain", make=lambda template, key, **names: plain(template, **names))
