"""NumPy and SciPy: the peak of a matrix product, and the symmetric product in single precision."""

import numpy as np
from scipy.linalg.blas import ssyrk


def product(dtype, size=1024):
    """A product of size^3; 2 size^3 flops."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((size, size)).astype(dtype) for _ in range(2))
    out = np.empty((size, size), dtype)

    def run():
        np.matmul(a, b, out=out)

    return run


def gram(b, x, chunk):
    """ReLU's tangent Gram matrix from patterns in single precision, by ssyrk, a chunk of particles at a time."""
    b, x = b.astype(np.float32), x.astype(np.float32)

    def run():
        total = np.zeros((len(x), len(x)), np.float32, order="F")
        for first in range(0, len(b), chunk):
            active = (b[first : first + chunk] @ x.T > 0).astype(np.float32)
            total = ssyrk(1.0, active.T, beta=1.0, c=total, overwrite_c=1)
        return np.triu(total) * (x @ x.T) / len(b)

    return run
