"""The length of a vector whose direction is uniform: its law, and quadratures of it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from particles.errors import InputError
from particles.measures.laws import Ball, Gaussian, Law, Sphere
from particles.measures.measure import Array
from particles.measures.quadrature import Rule, legendre

POINTS = 8  # of the Gauss rule on a panel
_TAIL = 42.0  # minus the logarithm of a density that counts as nothing: 6e-19


def checked_radial(law: Law) -> Law:
    """The law, if it is one whose radius is known."""
    if not isinstance(law, Gaussian | Sphere | Ball) or not law.isotropic:
        remedy = "Use a Gaussian about 0, a Sphere or a Ball; `mean_field` takes any law."
        raise InputError("the radial reduction needs a law that no rotation changes", repr(law), remedy)
    return law


class Radius(NamedTuple):
    """The law of |b|, by a variable z in [low, high] in which it is smooth: |b| = place(z), and the density of z.

    fades: whether that density is nothing at both ends.
    """

    low: float
    high: float
    fades: bool
    place: Callable[[Array], Array]
    density: Callable[[Array], Array]

    def even(self, panels: int) -> Array:
        """The edges of so many panels of one width."""
        return np.linspace(self.low, self.high, panels + 1)

    def rule(self, edges: Array) -> Rule:
        """Gauss points on the panels between these edges, `POINTS` each: |b| (k,) and weights that sum to 1."""
        x, w = legendre(POINTS)
        width = np.diff(edges)[:, None]
        z = edges[:-1, None] + width * x
        weight = (width * w * self.density(z)).ravel()
        return self.place(z).ravel(), weight / weight.sum()

    def smooth_rule(self, panels: int) -> Rule:
        """As many points for functions that are smooth all over: in equal steps if the density fades."""
        if not self.fades:
            return self.rule(self.even(panels))
        z = np.linspace(self.low, self.high, POINTS * panels)
        w = self.density(z)
        return self.place(z), w / w.sum()


def radius_of(law: Law) -> Radius | None:
    """The radius of a Gaussian or a Ball; None for a Sphere, which has but one."""
    if isinstance(law, Sphere):
        return None
    if isinstance(law, Ball):
        size, power = law.radius, law.dim - 1.0
        return Radius(
            float(np.exp(-_TAIL / law.dim)), 1.0, False, lambda z: size * z, lambda z: (power + 1.0) * z**power
        )
    assert isinstance(law, Gaussian)
    from scipy.optimize import brentq

    # |b|^2 / std^2 = dim e^z: z has the density exp(half (z - e^z)), which dies so fast that no end matters.
    half, std = law.dim / 2.0, law.std

    def excess(z: float) -> float:
        return float(np.exp(z) - z - 1.0 - _TAIL / half)

    low, high = brentq(excess, -2.0 - _TAIL / half, 0.0), brentq(excess, 0.0, 1.0 + np.sqrt(2.0 * _TAIL / half))
    scale = std * np.sqrt(2.0 * half)
    return Radius(low, high, True, lambda z: scale * np.exp(z / 2.0), lambda z: np.exp(half * (z + 1.0 - np.exp(z))))
