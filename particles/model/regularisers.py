"""h(w) of (2), in flow time: a soft threshold, and a pull toward 0 or the start. Each has its value, gradient and prox.

A weight `lam` here is the paper's times M^(2 beta - 1); then h adds alpha^2 lam/2 int |b|^2 dmu (L2) or
alpha^2 lam int |b| dmu (L1, the paper's lam there times M^(2 beta - 1) too) to the loss.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from particles.checks import Setting, check_settings
from particles.errors import InputError
from particles.measures.measure import Array


@dataclass(frozen=True)
class Regulariser(ABC):
    """A penalty h on the trained weights, lam times a function of each coordinate.

    A step has two parts: b' = prox(b + eta (v - pull (b - start))), where prox is the soft threshold eta `threshold`.
    """

    weight: Annotated[float, Setting("its factor", least=0.0, remedy="Use 0 for none.")]  # lam

    smooth: ClassVar[bool]  # whether the gradient is all of it

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def pull(self) -> float:
        """lam of the part that enters by its gradient, lam w."""
        return self.weight if self.smooth else 0.0

    @property
    def threshold(self) -> float:
        """lam of the part that enters by its proximal map."""
        return 0.0 if self.smooth else self.weight

    @property
    def anchored(self) -> bool:
        """Whether it pulls to the start, which must then be kept."""
        return False

    def check_potential(self) -> None:
        """InputError where h depends on the start: it is then no function of the measure."""
        if self.anchored and self.weight:
            raise InputError("a pull to the start is no function of the measure", repr(self), 'Use about="zero".')

    @abstractmethod
    def value(self, w: Array, axis: int, start: Array | float = 0.0) -> Array:
        """`h / lam` of each particle.

        w : the trained weights, whose coordinates lie along `axis`; start : those at the start
        """

    @abstractmethod
    def gradient(self, slope: Array, w: Array, start: Array | float = 0.0) -> Array:
        """The gradient of the data term, `slope`, with that of h added; the smallest in norm where h has several."""

    def prox(self, w: Array, step: Array | float) -> Array:
        """Where a step from w ends, as far as h enters by its proximal map."""
        return soft_threshold(w, step * self.threshold)


def soft_threshold(w: Array, size: Array | float) -> Array:
    """sign(w) (|w| - size)_+, the proximal map of size |.|."""
    return np.asarray(np.sign(w) * np.maximum(np.abs(w) - size, 0.0))


@dataclass(frozen=True)
class L1(Regulariser):
    """The regulariser `lam |w|_1` of (2), by its proximal map: a soft threshold at step * lam after each step.

    Parameters
    ----------
    weight
        `lam` in flow time, >= 0.

    Raises
    ------
    InputError
        For a negative `weight`.

    References
    ----------
    Equation (2).

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> descent, sparse = mf.GradientDescent(0.5), mf.L1(0.2)
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, descent, steps=20, regulariser=sparse)
    >>> float(np.mean(run.measure.b == 0.0))
    0.5625
    """

    smooth = False

    def value(self, w: Array, axis: int, start: Array | float = 0.0) -> Array:
        return np.asarray(np.abs(w).sum(axis=axis))

    def gradient(self, slope: Array, w: Array, start: Array | float = 0.0) -> Array:
        size = self.weight  # a coordinate that is 0 moves only if |slope| exceeds it
        return np.where(w == 0.0, soft_threshold(slope, size), slope + size * np.sign(w))


@dataclass(frozen=True)
class L2(Regulariser):
    """The regulariser `lam/2 |w|^2` of (2), or the pull to the start of section 3.2.

    Parameters
    ----------
    weight
        `lam` in flow time, >= 0.
    about
        "zero", the default, or "start" for `lam/2 |w - w1|^2` with w1 the weights at the start.

    Raises
    ------
    InputError
        For a negative `weight` and another `about`.

    References
    ----------
    Equation (2); section 3.2.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> descent, pull, record = mf.GradientDescent(0.5), mf.L2(0.1, about="start"), ["loss", "objective"]
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, descent, steps=20, regulariser=pull, record=record)
    >>> bool(run.dataset["objective"][-1] > run.dataset["loss"][-1])
    True
    """

    about: Annotated[str, Setting("about 0, or about where the particle began", choices=("zero", "start"))] = "zero"

    smooth = True

    @property
    def anchored(self) -> bool:
        return self.about == "start"

    def value(self, w: Array, axis: int, start: Array | float = 0.0) -> Array:
        return np.asarray(0.5 * np.square(w - start if self.anchored else w).sum(axis=axis))

    def gradient(self, slope: Array, w: Array, start: Array | float = 0.0) -> Array:
        return np.asarray(slope + self.weight * (w - start if self.anchored else w))


NONE = L2(0.0)
REGULARISERS: dict[str, type[Regulariser]] = {"l1": L1, "l2": L2}
