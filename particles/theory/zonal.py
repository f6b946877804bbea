"""The limiting tangent kernel of section 3.2 on unit inputs, as a function of the angle between them.

In flow time k(theta) = cos theta E[sigma'(b.x) sigma'(b.x')] + E[sigma(b.x) sigma(b.x')], the terms of the layers that
train. It depends on the angle alone where mu0 is isotropic. In the angle the kernels are smooth on [0, pi], also those
with a square root of 1 - x.x' in them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from particles import blocks, rules
from particles.activations import OURS
from particles.errors import InputError
from particles.kernels.blocks import BLOCK
from particles.laws import Ball, Gaussian, Law, Sphere
from particles.measure import Array, Measure
from particles.network import Network
from particles.theory.tiles import kernels_of

AngleKernel = Callable[[Array], Array]

# Where there is no closed form: radii and half-circle angles of the quadrature in the plane of x and x'.
_RADII, _ANGLES = 48, 512
# A Gaussian's radius is cut where e^(-r^2 / 2) is below 1e-20.
_REACH = 9.6


class ZonalKernel(NamedTuple):
    """A kernel of the angle: values, (n,) angles in [0, pi] -> (n,); error, an estimate of its largest, 0 if exact."""

    values: AngleKernel
    error: float

    def __call__(self, angle: Array) -> Array:
        return self.values(angle)


def zonal_kernel(net: Network, law: Law) -> ZonalKernel:
    """k_inf (3.2) between unit inputs as a function of their angle, flow time; with a bias, of the angle before it.

    Closed forms for a centred Gaussian, and for ReLU under any isotropic law; otherwise products in Fourier series
    over the plane of the two inputs, with the change at half the nodes as the error. Raises InputError if a
    rotation changes the law.
    """
    if not law.isotropic or law.dim - net.bias < 2:
        rule = "a zonal kernel needs an isotropic law on two inputs or more"
        raise InputError(rule, repr(law), "Use a centred Gaussian, a Sphere or a Ball.")
    size = 2.0 if net.bias else 1.0
    terms = []
    if "input" in net.train:
        terms.append((_expectation(net, law, size, slopes=True), True))
    if "output" in net.train:
        terms.append((_expectation(net, law, size, slopes=False), False))

    def values(angle: Array) -> Array:
        between = np.asarray(angle, dtype=np.float64)
        if net.bias:  # the appended 1s bring the inputs together: 2 cos(between) = 1 + cos(angle)
            between = 2.0 * np.arcsin(np.sin(between / 2.0) / np.sqrt(2.0))
        return np.asarray(sum(k.values(between) * (size * np.cos(between) if slope else 1.0) for k, slope in terms))

    return ZonalKernel(values, sum(k.error * (size if slope else 1.0) for k, slope in terms))


def _expectation(net: Network, law: Law, size: float, slopes: bool) -> ZonalKernel:
    """E[sigma' sigma'] or E[sigma sigma] by the angle of two inputs of squared length `size`."""
    row = net.row
    if row is OURS["relu"]:
        if slopes:
            return ZonalKernel(lambda t: (np.pi - t) / (2.0 * np.pi), 0.0)
        second, error = _second_moment(law)
        # The arc-cosine kernel of degree 1; of b's law it sees the second moment alone.
        return ZonalKernel(
            lambda t: size * second * (np.sin(t) + (np.pi - t) * np.cos(t)) / (2.0 * np.pi), size * error
        )
    closed = row.slope_kernel if slopes else row.value_kernel
    if closed is not None and isinstance(law, Gaussian):
        q = np.float64(size * law.std**2)
        return ZonalKernel(lambda t: closed(np.full_like(t, q), q * np.cos(t), np.full_like(t, q)), 0.0)
    coarse, fine = (_series(net, law, np.sqrt(size), slopes, level) for level in (1, 2))
    return ZonalKernel(_cosines(fine), float(np.abs(fine - np.pad(coarse, (0, len(fine) - len(coarse)))).sum()))


def _cosines(coefficients: Array) -> AngleKernel:
    return lambda t: np.asarray(np.polynomial.chebyshev.chebval(np.cos(t), coefficients))


def _series(net: Network, law: Law, length: float, slopes: bool, level: int) -> Array:
    """Coefficients of cos(m theta) in E[f(b.x) f(b.x')]: half the squares of those of f(r cos phi), over the radii.

    In the plane of x and x' an isotropic b has a radius r and a uniform angle, so the mean over the angle is the
    autocorrelation of f(r cos phi).
    """
    from scipy.fft import dct

    radius, weight = _plane_radii(law, level)
    count = _ANGLES * level
    angle = np.pi * np.arange(count + 1) / count
    series = dct(_applied(net, length * np.multiply.outer(radius, np.cos(angle)), slopes), type=1, axis=1) / count
    series[:, [0, -1]] /= 2.0
    squares = weight @ series**2
    squares[1:] /= 2.0
    kept = np.flatnonzero(squares > 1e-18 * squares.max())
    return np.asarray(squares[: kept[-1] + 1 if len(kept) else 1])


def _applied(net: Network, v: Array, slopes: bool) -> Array:
    """sigma'(v) or sigma(v), any shape, by the loops that make features: particles at v, and the input 1."""
    make = kernels_of(net.row).slopes if slopes else kernels_of(net.row).values
    cloud = blocks.pack(Measure(v.reshape(-1, 1), np.ones(v.size), np.full(v.size, 1.0 / v.size)), "float64")
    K, b, scale, one = len(cloud.b), cloud.b.reshape(-1), np.ones(BLOCK), np.ones(1)
    found = np.zeros((K, BLOCK))
    for block in range(K):
        tiles = cloud.last_tiles if block == K - 1 else BLOCK // cloud.b.shape[-1]
        make(b, scale, 1, one, tiles, block, 0, 1, found[block])
    return found.ravel()[: v.size].reshape(v.shape)


def _plane_radii(law: Law, level: int) -> rules.Rule:
    """The length of b's shadow on a plane, (k,) radii and weights that sum to 1."""
    if isinstance(law, Gaussian):
        u, w = rules.legendre(2 * _RADII * level)
        r = _REACH * u
        w = w * r * np.exp(-r * r / 2.0)
        return law.std * r, w / w.sum()
    if isinstance(law, Sphere | Ball):
        dim = law.dim + 2 * isinstance(law, Ball)  # a ball is the shadow of a sphere two dimensions up
        if dim == 2:
            return np.array([law.radius]), np.ones(1)
        u, w = rules.legendre(_RADII * level)
        # r = radius sin psi: smooth in psi for every dimension, as it is not in r
        w = w * np.sin(np.pi / 2.0 * u) * np.cos(np.pi / 2.0 * u) ** (dim - 3)
        return law.radius * np.sin(np.pi / 2.0 * u), w / w.sum()
    atoms = law.quadrature(1024 * level)
    return np.hypot(atoms.b[:, 0], atoms.b[:, 1]), atoms.w


def _second_moment(law: Law) -> tuple[float, float]:
    """E b_1^2 and the error of that."""
    if isinstance(law, Gaussian):
        return law.std**2, 0.0
    if isinstance(law, Sphere | Ball):
        return law.radius**2 / (law.dim + 2 * isinstance(law, Ball)), 0.0
    coarse, fine = (float(w @ r**2) / 2.0 for r, w in (_plane_radii(law, level) for level in (1, 2)))
    return fine, abs(fine - coarse)
