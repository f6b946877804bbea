"""How well a rule's value is known: by the scatter of independent rules of the same size.

R rules of N nodes each, whose errors are independent and alike, tell by their standard deviation s what R N nodes in
one rule are worth: no more than s / sqrt(R), times Student's quantile for R - 1 degrees of freedom. No rate of
convergence enters. How far the rule of R N nodes lies from the mean of the R is added in squares, since it shows what
all R share: a bias of second order in s where the value is not linear in the measure, and a rule that is too coarse.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from particles.measures.measure import Array

_ROUNDINGS = 64.0  # of the largest value: differences below this are the computer's, not the rule's
_RATES = (0.5, 4.0)  # of convergence in N that are believed when the next size is chosen


class Level(NamedTuple):
    """A size that was tried: nodes of all its rules together, and the error that their scatter states."""

    nodes: int
    error: float


def rate(levels: Sequence[Level], sobol: bool) -> float:
    """The power of N by which the error falls: Sobol points' is the same all along, tensor rules' that of late."""
    if len(levels) < 2:
        return _RATES[0]
    (n, error), (m, later) = levels[0 if sobol else -2], levels[-1]
    return float(np.clip(np.log(error / later) / np.log(m / n), *_RATES)) if later > 0.0 else _RATES[1]


def reachable(levels: Sequence[Level], most: int, sobol: bool, faster: float = 0.0) -> float:
    """The error to expect of `most` nodes, at the rate so far or a faster one."""
    nodes, error = levels[-1]
    return float(error * (nodes / most) ** (rate(levels, sobol) + faster))


def out_of_reach(levels: Sequence[Level], goal: float, most: int, sobol: bool) -> bool:
    """Whether `most` nodes miss the goal even at a better rate, which tensor rules may come to after a while."""
    if len(levels) < 2:
        return False
    faster = (0.5 if sobol else 2.0) / (len(levels) - 1)
    return reachable(levels, most, sobol, faster) > goal


def following(levels: Sequence[Level], nodes: int, goal: float, most: int, sobol: bool) -> int:
    """Nodes to try next: four times as many; of Sobol points, once there is a rate, up to sixteen times if it says so.

    The rate is known to about 1/4, and a level too small costs less than one too large.
    """
    doublings = int(np.log2(max(levels[-1].error / goal, 1.0)) / (rate(levels, sobol) + 0.25))
    doublings = min(doublings, 4 if sobol and nodes * 2**doublings <= most else 2) if len(levels) > 1 else 2
    return int(nodes * min(2 ** max(1, doublings), most // nodes))


def rounding_of(values: Array, dtype: str = "float64") -> float:
    """What rounding alone may change of such values."""
    return _ROUNDINGS * float(np.finfo(dtype).eps) * max(1.0, float(np.abs(values).max(initial=0.0)))
