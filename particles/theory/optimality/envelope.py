r"""The first variation of k outputs, least over the output weights of a length: a function of position alone (3.4).

V is linear in s: with :math:`F(b) = \frac{\alpha}{n} \sum_i l'(g(x_i), y_i) \, \sigma(b \cdot x_i)` in R^k it is
:math:`s \cdot F(b)` and the regulariser. So

.. math:: U(\rho, b) = \min_{|s| \le \rho} V(s, b) = -\rho |F(b)| + \frac{\alpha^2 \lambda}{2} |b|^2,

which takes the place of V where one output has its signs: `s` is then the length rho.
"""

from typing import NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.theory.optimality.potential import Variation, velocities


class Envelope(NamedTuple):
    """U of a variation V of k > 1 outputs, whose fields these are; s (m,) are lengths."""

    net: Network
    x: Array
    slope: Array
    rule: Regulariser
    scale: float
    threads: int

    @property
    def penalty(self) -> Regulariser:
        """The regulariser as it stands in V."""
        return Variation(*self).penalty

    def weights(self, b: Array, s: Array) -> Array:
        """The output weights of least V at positions b (m, d), of lengths s (m,): (m, k); 0 where none is lower."""
        down = velocities(Variation(*self), b, np.ones((len(b), self.net.outputs)))[1]  # -F
        size = np.linalg.norm(down, axis=1, keepdims=True)
        return np.asarray(s[:, None] * np.divide(down, size, out=np.zeros_like(down), where=size > 0.0))

    def value(self, b: Array, s: Array) -> Array:
        """U: (m,)."""
        return self.both(b, s)[0]

    def both(self, b: Array, s: Array) -> tuple[Array, Array]:
        """U and its gradient in b, that of V at the best output weights: (m,), (m, d)."""
        return Variation(*self).both(b, self.weights(b, s))


Potential = Variation | Envelope


def least_over_weights(V: Variation) -> Potential:
    """What is searched for its smallest value: V itself of one output, where signs are tried, else its envelope."""
    return V if V.net.outputs == 1 else Envelope(*V)


def sizes(s: Array) -> Array:
    """Output weights as a potential of `least_over_weights` takes them: signs, or lengths of (m, k)."""
    return s if s.ndim == 1 else np.asarray(np.linalg.norm(s, axis=1))


def begun(s: Array, ends: Array) -> Array:
    """Those of starts at particles with output weights s: their own signs, or the largest length, where U is least."""
    return s if s.ndim == 1 else np.full(len(s), ends[-1])


def weights(U: Potential, b: Array, s: Array) -> Array:
    """The output weights that such a potential stands for at b: (m,) or (m, k)."""
    return U.weights(b, s) if isinstance(U, Envelope) else s
