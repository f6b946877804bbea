"""Eigenvalues of zonal kernels by Funk and Hecke in 40 digits (`NAME-LAYERS-DIM`, degrees 0 to 49)."""

import mpmath
import numpy as np
from mpmath.calculus.quadrature import TanhSinh

DIMS = (2, 3, 5)
DEGREES = 49

# k_inf for b ~ N(0, I) and unit inputs with x.x' = t, in mpmath's numbers: t E[sigma' sigma'], and E[sigma sigma].
SLOPES = {
    "relu": lambda t, angle: t * (mpmath.pi - angle) / (2 * mpmath.pi),
    "erf": lambda t, angle: t * 4 / mpmath.pi / mpmath.sqrt(9 - 4 * t * t),
    "sin": lambda t, angle: t * mpmath.exp(-1) * mpmath.cosh(t),
}
VALUES = {
    "relu": lambda t, angle: (mpmath.sin(angle) + (mpmath.pi - angle) * t) / (2 * mpmath.pi),
    "erf": lambda t, angle: 2 / mpmath.pi * mpmath.asin(2 * t / 3),
    "sin": lambda t, angle: mpmath.exp(-1) * mpmath.sinh(t),
}


def computed() -> dict[str, np.ndarray]:
    """Tanh-sinh in the angle, Gegenbauer's own recurrence."""
    found = {}
    with mpmath.workdps(40):
        nodes = [
            (mpmath.pi * (1 + x) / 2, w)
            for degree in range(1, 8)
            for x, w in TanhSinh(mpmath.mp).calc_nodes(degree, mpmath.mp.prec)
        ]
        cosines = [mpmath.cos(angle) for angle, _ in nodes]
        for dim in DIMS:
            rows, total = _polynomials(dim, nodes, cosines)
            for name in SLOPES:
                parts = [
                    [f(t, angle) for t, (angle, _) in zip(cosines, nodes, strict=True)]
                    for f in (SLOPES[name], VALUES[name])
                ]
                kernels = {"input": parts[0], "both": [u + v for u, v in zip(*parts, strict=True)]}
                for layers, kernel in kernels.items():
                    values = [float(mpmath.fdot(kernel, row) / total) for row in rows]
                    found[f"{name}-{layers}-{dim}"] = np.array(values)
    return found


def _polynomials(dim, nodes, cosines):
    """The measure at the nodes times Gegenbauer's polynomials, value 1 at 1; on the circle Chebyshev's."""
    measure = [w * mpmath.sin(angle) ** (dim - 2) for angle, w in nodes]
    a, rows = mpmath.mpf(dim - 2) / 2, []
    now, before = [mpmath.mpf(1)] * len(nodes), [mpmath.mpf(0)] * len(nodes)
    for k in range(DEGREES + 1):
        size = mpmath.binomial(k + 2 * a - 1, k) if dim > 2 else 1
        rows.append([m * p / size for m, p in zip(measure, now, strict=True)])
        p, q = (2 * (k + a) / (k + 1), (k + 2 * a - 1) / (k + 1)) if dim > 2 else ((2 if k else 1), 1)
        now, before = [p * t * u - q * v for t, u, v in zip(cosines, now, before, strict=True)], now
    return rows, sum(measure)
