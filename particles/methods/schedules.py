"""Step sizes eta_t in flow time: constant, Robbins-Monro, inverse square root. Small frozen values."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from particles.checks import Setting, check_settings
from particles.errors import InputError
from particles.measures.measure import Array

Factor = Annotated[float, Setting("the factor, in flow time", above=0.0)]


class Schedule(ABC):
    """Step sizes in flow time."""

    def __post_init__(self) -> None:
        check_settings(self)

    @abstractmethod
    def sizes(self, steps: int) -> Array:
        """The first `steps` step sizes: (steps,)."""

    def times(self, steps: int) -> Array:
        """Flow time after 0, 1, ... `steps` iterations: (steps + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.sizes(steps))])


@dataclass(frozen=True)
class Constant(Schedule):
    """eta_t = step, in flow time; what a number becomes where a schedule may stand.

    >>> from particles.methods.schedules import Constant
    >>> Constant(0.1).times(3).round(6)
    array([0. , 0.1, 0.2, 0.3])
    """

    step: Annotated[float, Setting("step size, in flow time", above=0.0)]

    def sizes(self, steps: int) -> Array:
        """The first `steps` step sizes: (steps,)."""
        return np.full(steps, float(self.step))

    def times(self, steps: int) -> Array:
        """Flow time after 0, 1, ... `steps` iterations: (steps + 1,). A product, so that it carries no rounding sum."""
        return np.asarray(float(self.step) * np.arange(steps + 1), dtype=np.float64)


@dataclass(frozen=True)
class RobbinsMonro(Schedule):
    """eta_t = c / (t + t0), t = 1, 2, ... (section 2, [13]), in flow time.

    >>> mf.RobbinsMonro(1.0, t0=1.0).sizes(3).round(3)
    array([0.5  , 0.333, 0.25 ])
    """

    c: Factor
    t0: Annotated[float, Setting("the shift, in iterations", least=0.0, remedy="Use 0 for c / t.")] = 0.0

    def sizes(self, steps: int) -> Array:
        """The first `steps` step sizes: (steps,)."""
        return self.c / (np.arange(1.0, steps + 1.0) + self.t0)


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """eta_t = c / sqrt(t), t = 1, 2, ..., in flow time.

    >>> mf.InverseSqrt(1.0).times(4).round(3)
    array([0.   , 1.   , 1.707, 2.284, 2.784])
    """

    c: Factor

    def sizes(self, steps: int) -> Array:
        """The first `steps` step sizes: (steps,)."""
        return np.asarray(self.c / np.sqrt(np.arange(1, steps + 1)))


SCHEDULES: dict[str, type[Schedule]] = {"robbins_monro": RobbinsMonro, "inverse_sqrt": InverseSqrt}


def schedule(step: float | Schedule) -> Schedule:
    """A number as a constant schedule; a schedule as itself."""
    if isinstance(step, Schedule):
        return step
    if isinstance(step, bool) or not isinstance(step, int | float | np.number):
        raise InputError("`step` must be a number or a schedule", repr(step), "Use 0.1 or RobbinsMonro(c=1.0).")
    return Constant(float(step))
