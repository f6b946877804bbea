"""What happens to every particle by itself: the step, a stage of one, and the running average of the iterates."""

from particles.kernels.lanes import at, at_most, fma, fold, load, magnitude, store, with_sign, zeros

BLOCK = 256
LANES = 8  # settled by `specialise`


def shrink(v, threshold):
    """The proximal map of threshold * |v|: soft thresholding."""
    size = magnitude(v) - threshold
    return with_sign(at_most(size, 0.0, 0.0, size), v)


def move_blocks(b, v, anchor, anchored, step, pull, threshold, d, last_tiles, first, last):
    """b' = shrink(b + step (v - pull (b - anchor)), threshold) on blocks [first, last), in place; how many stay finite.

    b, anchor : flat (K, BLOCK / LANES, d, LANES), the anchor taken as 0 unless `anchored`; v : the same of these blocks
    alone. Flow time.

    Finiteness is looked at here because an infinite particle can leave every output finite: a sigmoid saturates.
    """
    K = b.size // (BLOCK * d)
    finite = 0
    for block in range(first, last):
        check = zeros(b)
        begin, to = block * BLOCK * d, (block - first) * BLOCK * d
        for j in range(0, (last_tiles * LANES if block == K - 1 else BLOCK) * d, LANES):
            here = load(b, begin + j)
            away = here - load(anchor, begin + j) if anchored else here
            moved = shrink(fma(load(v, to + j) - pull * away, step, here), threshold)
            store(b, begin + j, moved)
            check = fma(moved, 0.0, check)  # 0 for a finite b, NaN otherwise
        finite += fold(check) == 0.0
    return finite


def stage_blocks(b, base, v, anchor, anchored, stages, number, weights, pull, d, last_tiles, first, last):
    """k_number = v - pull (b - anchor), then b' = base + sum_i<=number weights_i k_i on blocks [first, last), in place.

    The base is taken at stage 0. stages : flat (stages, K, BLOCK / LANES, d, LANES), the k_i; weights hold the step.
    The rest, and what is returned, as in `move_blocks`.
    """
    K = b.size // (BLOCK * d)
    finite = 0
    for block in range(first, last):
        check = zeros(b)
        begin, to = block * BLOCK * d, (block - first) * BLOCK * d
        for j in range(0, (last_tiles * LANES if block == K - 1 else BLOCK) * d, LANES):
            here = load(b, begin + j)
            if number == 0:
                store(base, begin + j, here)
            away = here - load(anchor, begin + j) if anchored else here
            k = load(v, to + j) - pull * away
            store(stages, number * b.size + begin + j, k)
            moved = load(base, begin + j)
            for i in range(number):
                moved = fma(load(stages, i * b.size + begin + j), at(weights, i), moved)
            moved = fma(k, at(weights, number), moved)
            store(b, begin + j, moved)
            check = fma(moved, 0.0, check)
        finite += fold(check) == 0.0
    return finite


def average_blocks(mean, b, share, d, first, last):
    """mean += share (b - mean) on blocks [first, last): the running average of the iterates [15]."""
    for j in range(first * BLOCK * d, last * BLOCK * d, LANES):
        old = load(mean, j)
        store(mean, j, fma(load(b, j) - old, share, old))
