"""The limit of an observable with the error of its quadrature, from rules of the law whose errors are independent."""

from typing import NamedTuple

import numpy as np

from particles.measures.measure import Array, Measure
from particles.measures.quadrature import SCRAMBLES, half_width
from particles.sensitivity.starts import Starts
from particles.sensitivity.tables import integrals, variances


class Limit(NamedTuple):
    """What replicated rules say of the limit, each (E,).

    value : F_inf. scatter : half of the 95% interval of what is linear in the measure. remainder : what is not.
    second : of the first variation its variance for M = 1, with second_error; 0 without a derivative.
    """

    value: Array
    scatter: Array
    remainder: Array
    second: Array
    second_error: Array

    @property
    def error(self) -> Array:
        return np.asarray(np.hypot(self.scatter, self.remainder))


def limit_of(starts: Starts, nodes: int) -> Limit:
    """By SCRAMBLES rules of `nodes` atoms; with a derivative to first order about its run, otherwise a run of each.

    To first order a rule's value is F + int psi drule, F and psi of the run with the derivative. One run of a rule says
    how far that holds.
    """
    rules = [starts.rule(nodes, replicate) for replicate in range(SCRAMBLES)]
    if starts.control is None:
        values = [starts.measured(rule, "limit") for rule in rules]
        mean, none = np.mean(values, axis=0), np.zeros_like(values[0])
        whole = starts.measured(starts.rule(SCRAMBLES * nodes), "limit")
        return Limit(mean, half_width(values), np.abs(whole - mean), none, none)
    found = [_moments(starts.variation(rule, "limit"), rule, starts.asked.symmetric) for rule in rules]
    first = [starts.limit + one for one, _ in found]
    second = [two for _, two in found]
    remainder = np.abs(starts.measured(rules[0], "limit") - first[0])
    return Limit(np.mean(first, axis=0), half_width(first), remainder, np.mean(second, axis=0), half_width(second))


def cost(starts: Starts, nodes: int) -> float:
    """Of `limit_of`, in particle-steps."""
    runs = starts.variation_cost + 1.0 / SCRAMBLES if starts.control is not None else 2.0
    return runs * SCRAMBLES * atoms(starts, nodes) * max(1, starts.asked.steps)


def atoms(starts: Starts, nodes: int) -> int:
    """How many a rule of so many nodes has: both signs of each, unless the law has one."""
    return nodes if starts.asked.signs in ("positive", "joint") else 2 * nodes


def _moments(psi: Array, rule: Measure, symmetric: bool) -> tuple[Array, Array]:
    """The mean of psi, and M times the variance of its mean over M particles: (E, M) -> (E,), (E,)."""
    mean = integrals(psi, rule.w)
    return mean, variances(psi - mean[:, None], rule.w, symmetric)
