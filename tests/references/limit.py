"""Entries of the limiting tangent kernel for two inputs, from 30 digits and more.

`smooth-NAME-LAYER`: under N(0, I), the inputs of the pair "long". `relu-LAYER`: for each of the pairs, in their order.
`inputs`: the pairs themselves, whose bits come from LAPACK.
"""

import functools

import mpmath
import numpy as np

# sigma and sigma' once more, in mpmath.
SIGMA = {
    "smooth_relu": (
        lambda v: (v + mpmath.sqrt(v**2 + mpmath.mpf(0.1) ** 2)) / 2,
        lambda v: (1 + v / mpmath.sqrt(v**2 + mpmath.mpf(0.1) ** 2)) / 2,
    ),
    "sigmoid": (lambda v: 1 / (1 + mpmath.exp(-v)), lambda v: mpmath.sech(v / 2) ** 2 / 4),
    "tanh": (mpmath.tanh, lambda v: mpmath.sech(v) ** 2),
    "erf": (mpmath.erf, lambda v: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-v * v)),
    "gelu": (lambda v: v * mpmath.ncdf(v), lambda v: mpmath.ncdf(v) + v * mpmath.npdf(v)),
    "softplus": (lambda v: mpmath.log1p(mpmath.exp(v)), lambda v: 1 / (1 + mpmath.exp(-v))),
    "sin": (mpmath.sin, mpmath.cos),
    "cos": (mpmath.cos, lambda v: -mpmath.sin(v)),
    "quadratic": (lambda v: v * v, lambda v: 2 * v),
    "linear": (lambda v: v, lambda v: mpmath.mpf(1)),
}


def turned(angle, long=1.7, short=0.3):
    """Two inputs in R^3 at this angle, along no axis."""
    axes = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    return np.stack([long * axes[0], short * (np.cos(angle) * axes[0] + np.sin(angle) * axes[1])])


PAIRS = {
    "long": turned(0.9, 1.7, 1.6),
    "unlike": turned(1.2),
    "wide": turned(2.5, 1.2, 1.1),
    "equal": turned(0.0, 1.3, 1.3),
    **{f"near {gap}": turned(gap) for gap in (0.02, 1e-3, 1e-6, 1e-9)},
    **{f"opposite but {gap}": turned(np.pi - gap, 0.8, 1.7) for gap in (0.02, 1e-3)},
}


def products(x):
    """(|x|^2, x.x', |x'|^2) of two inputs, exactly."""
    rows = [[mpmath.mpf(float(v)) for v in row] for row in x]
    return tuple(
        mpmath.fsum(a * b for a, b in zip(*two, strict=True)) for two in ((rows[0],) * 2, rows, (rows[1],) * 2)
    )


@functools.cache
def density(pair, step=0.06):
    """Points sinh(t) / 10 on both axes, and the weight of (b.x, b.x') there, 30 digits: the trapezoidal rule in t.

    In t all poles of the activations are at least 0.7 away, and the Gaussian dies like one of e^|t|.
    """
    with mpmath.workdps(34):
        q11, q12, q22 = products(PAIRS[pair])
        rest = q11 * q22 - q12**2
        t = [mpmath.mpf(step) * k for k in range(-int(6.1 / step), int(6.1 / step) + 1)]
        point, speed = [mpmath.sinh(v) / 10 for v in t], [mpmath.cosh(v) / 10 * mpmath.mpf(step) for v in t]
        scale = 1 / (2 * mpmath.pi * mpmath.sqrt(rest))
        alone = [[mpmath.exp(-q * v * v / (2 * rest)) for v in point] for q in (q22, q11)]
        joint = [[a * b * c * e * scale * mpmath.exp(q12 / rest * u * v)
                  for v, b, e in zip(point, alone[1], speed, strict=True)]
                 for u, a, c in zip(point, alone[0], speed, strict=True)]  # fmt: skip
        return point, joint


def plane(pair, f, step=0.06):
    """E f(b.x) f(b.x') to about 30 digits."""
    point, joint = density(pair, step)
    with mpmath.workdps(34):
        values = [f(v) for v in point]
        return mpmath.fsum(a * mpmath.fdot(row, values) for a, row in zip(values, joint, strict=True))


def relu_kernel(x, layer):
    """60 digits. sigma': the other input's half-line given b.x, the rest by quadrature; sigma: over angles."""
    with mpmath.workdps(60):
        q11, q12, q22 = products(x)
        size, rest = mpmath.sqrt(q11 * q22), mpmath.sqrt(max(q11 * q22 - q12**2, mpmath.mpf(10) ** -58))
        if layer == "output":
            angle = mpmath.atan2(rest, q12)
            edges = mpmath.linspace(angle - mpmath.pi / 2, mpmath.pi / 2, 3)
            return size / mpmath.pi * mpmath.quad(lambda t: mpmath.cos(t) * mpmath.cos(t - angle), edges)
        bend = rest / abs(q12)  # b.x over |x| there: where the half-line's share moves
        edges = sorted({mpmath.mpf(0), *(v for k in (1, 3, 6, 12, 25) if (v := k * bend) < 20), *range(1, 21, 2)})
        return q12 * mpmath.quad(lambda z: mpmath.npdf(z) * mpmath.ncdf(z * q12 / rest), edges)


def computed() -> dict[str, np.ndarray]:
    found = {"inputs": np.stack(list(PAIRS.values()))}
    for layer in ("input", "output"):
        for name, formulas in SIGMA.items():
            truth = plane("long", formulas[layer == "input"])
            found[f"smooth-{name}-{layer}"] = np.array(
                float(truth * products(PAIRS["long"])[1] if layer == "input" else truth)
            )
        found[f"relu-{layer}"] = np.array([float(relu_kernel(x, layer)) for x in PAIRS.values()])
    return found
