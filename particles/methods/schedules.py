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
    """Step sizes in flow time: the base class of all schedules."""

    def __post_init__(self) -> None:
        check_settings(self)

    @abstractmethod
    def sizes(self, steps: int) -> Array:
        """The first step sizes.

        Parameters
        ----------
        steps
            How many.

        Returns
        -------
        (steps,)
            In flow time.
        """

    def times(self, steps: int) -> Array:
        """Flow time after each number of iterations.

        Parameters
        ----------
        steps
            The last number.

        Returns
        -------
        (steps + 1,)
            After 0, 1, ... `steps` iterations.
        """
        return np.concatenate([[0.0], np.cumsum(self.sizes(steps))])


@dataclass(frozen=True)
class Constant(Schedule):
    """The same step at every iteration; a number becomes this where a schedule may stand.

    Parameters
    ----------
    step
        Step size in flow time, above 0.

    Examples
    --------
    >>> from particles.methods.schedules import Constant
    >>> Constant(0.1).times(3).round(6)
    array([0. , 0.1, 0.2, 0.3])
    """

    step: Annotated[float, Setting("step size, in flow time", above=0.0)]

    def sizes(self, steps: int) -> Array:
        return np.full(steps, float(self.step))

    def times(self, steps: int) -> Array:
        # A product, so that it carries no rounding errors of a sum.
        return np.asarray(float(self.step) * np.arange(steps + 1), dtype=np.float64)


@dataclass(frozen=True)
class RobbinsMonro(Schedule):
    """Robbins and Monro's steps, `eta_t = c / (t + t0)` with t = 1, 2, ...

    Parameters
    ----------
    c
        The factor, in flow time, above 0.
    t0
        The shift, in iterations, 0 by default.

    Raises
    ------
    InputError
        For a `c` that is not above 0, and a negative `t0`.

    References
    ----------
    Section 2, [13].

    Examples
    --------
    >>> mf.RobbinsMonro(1.0, t0=1.0).sizes(3).round(3)
    array([0.5  , 0.333, 0.25 ])
    """

    c: Factor
    t0: Annotated[float, Setting("the shift, in iterations", least=0.0, remedy="Use 0 for c / t.")] = 0.0

    def sizes(self, steps: int) -> Array:
        return self.c / (np.arange(1.0, steps + 1.0) + self.t0)


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """Steps that decrease as `eta_t = c / sqrt(t)`, t = 1, 2, ...

    Parameters
    ----------
    c
        The factor, in flow time, above 0.

    Raises
    ------
    InputError
        For a `c` that is not above 0.

    Examples
    --------
    >>> mf.InverseSqrt(1.0).times(4).round(3)
    array([0.   , 1.   , 1.707, 2.284, 2.784])
    """

    c: Factor

    def sizes(self, steps: int) -> Array:
        return np.asarray(self.c / np.sqrt(np.arange(1, steps + 1)))


SCHEDULES: dict[str, type[Schedule]] = {"robbins_monro": RobbinsMonro, "inverse_sqrt": InverseSqrt}


def schedule(step: float | Schedule) -> Schedule:
    """A number as a constant schedule; a schedule as itself."""
    if isinstance(step, Schedule):
        return step
    if isinstance(step, bool) or not isinstance(step, int | float | np.number):
        raise InputError("`step` must be a number or a schedule", repr(step), "Use 0.1 or RobbinsMonro(c=1.0).")
    return Constant(float(step))
