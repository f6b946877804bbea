"""What tests of the loops of one step compare."""

from particles.kernels.assemble import BLOCK, LANES


def everything(problem):
    """All bits that the loops of one step make, with what is kept and without."""
    K, parts = len(problem.cloud.b), [*problem.velocities(True)]
    padded = LANES[problem.dtype] * len(problem.x) * (BLOCK // LANES[problem.dtype] - problem.cloud.last_tiles)
    for values in (False, True):
        totals, kept = problem.sums(K, values)
        parts += [totals, *problem.velocities(values, kept, values)]
        parts += list(kept.reshape(K, -1)[:, : kept.size // K - padded])
    return [a.tobytes() for a in (problem.sums()[0], *parts)]
