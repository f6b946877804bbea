"""Which estimator of `mf.estimate` is the cheapest: by the variances of a pilot, and by what every run costs."""

from typing import NamedTuple

import numpy as np

from particles.errors import InputError
from particles.measures.measure import Array
from particles.measures.quadrature import SCRAMBLES
from particles.sensitivity import intervals, limit_error, nested
from particles.sensitivity.limit_error import Limit
from particles.sensitivity.starts import Starts

PILOT = 16  # starts that choose, and count for nothing else
# Runs of the answer, at least. The residual of the control variate is a sum of squares, and as skewed; an interval of
# Student's needs so many for its 95%.
LEAST = 64
SHARE = 0.5  # of the tolerance that the limit's error may take
_MOST_NODES = 2**20
NAMES = "plain", "control", "antithetic"


class Sight(NamedTuple):
    """What an estimator would cost from here on, in particle-steps, and the runs of the answer."""

    cost: float
    runs: int


class Choice:
    """The pilot, and the limit as far as it is needed. excluded: why an estimator cannot be had, by name."""

    def __init__(
        self, starts: Starts, tolerance: float, forced: str | None, excluded: dict[str, str], nodes: int, most: int
    ) -> None:
        self.starts, self.tolerance, self.excluded, self.nodes, self.most = starts, tolerance, excluded, nodes, most
        self.open = [name for name in NAMES if name not in excluded and forced in (None, name)]
        self.samples = dict[str, Array]()
        self.limit: Limit | None = None
        self.level = max(1, nodes // SCRAMBLES)  # nodes of the rules that state the limit's error
        self.name = ""
        self.refused = dict[str, str]()

    def make(self) -> None:
        """Run the pilot, choose, and make the limit as exact as the estimator needs it."""
        starts = self.starts
        plain = np.array([starts.measured(starts.start(number), "pilot", number) for number in range(PILOT)])
        self.samples["plain"] = plain
        if "antithetic" not in self.excluded:
            each = enumerate(plain)
            self.samples["antithetic"] = np.array([starts.bias_sample(number, one, "pilot") for number, one in each])
        if "control" in self.open and self._derivative_pays():
            starts.derive(self.nodes)
            shifts = [starts.shift(number, "pilot") for number in range(PILOT)]
            self.samples["control"] = plain - np.array(shifts)
        self._check_reach()
        while True:
            sights = self.sights()
            self.name = min(sights, key=lambda name: (sights[name].cost, NAMES.index(name)))
            if self._settled(self.name):
                return
            self._refine()

    def sights(self) -> dict[str, Sight]:
        """What every estimator that is open would cost."""
        return {name: self._sight(name) for name in self.open if name in self.samples}

    def half(self, name: str) -> Array:
        """What the runs' own interval may be, (E,): of the tolerance, what the limit's error leaves."""
        taken = np.minimum(self._error(name), SHARE * self.tolerance)
        return np.sqrt(self.tolerance**2 - taken**2)

    def run_cost(self, name: str) -> float:
        """Of one run of the answer, in particle-steps."""
        runs = {"plain": 1.0, "control": 1.0 + self.starts.variation_cost, "antithetic": float(nested.COST)}[name]
        return runs * self.starts.asked.M * max(1, self.starts.asked.steps)

    def runs(self, name: str) -> int:
        """Of the answer, as the pilot sees it."""
        return max(LEAST, intervals.runs_needed(self.samples[name], self.half(name), 2**53))

    def _check_reach(self) -> None:
        """InputError where every estimator needs far more runs than there may be: the runs up to `most` tell no more.

        Far more is twice as many: the pilot's variance is known to a third.
        """
        pilots = {name: self.samples[name] for name in self.open if name in self.samples}
        whole = np.full(self.starts.entries, self.tolerance)
        runs = min(intervals.runs_needed(pilot, whole, 2**53) for pilot in pilots.values())
        if runs > 2 * self.most:
            needed = min(float(np.max(intervals.stein(pilot, self.most))) for pilot in pilots.values())
            raise self.too_many(float(runs), needed / np.sqrt(1.0 - SHARE**2))

    def too_many(self, runs: float, needed: float) -> InputError:
        """What says that the tolerance needs so many runs, and for which one `most` are enough."""
        rule = f"`tolerance` {self.tolerance:g} needs more runs than `most`={self.most}"
        return InputError(rule, f"{runs:.3g} in sight", f"Ask for tolerance={1.1 * needed:.2g}.")

    def _sight(self, name: str) -> Sight:
        runs = self.runs(name)
        cost = runs * self.run_cost(name)
        if name != "plain" and not self._settled(name):
            cost += limit_error.cost(self.starts, self.level)
        return Sight(cost, runs)

    def _derivative_pays(self) -> bool:
        """Whether the limit with its derivative and the fewest runs are cheaper than the best estimator without."""
        starts, T = self.starts, max(1, self.starts.asked.steps)
        others = [sight.cost for name, sight in self.sights().items() if name != "control"]
        if self.open == ["control"]:
            return True
        limit = starts.derivative_cost * limit_error.atoms(starts, self.nodes) * T
        scatter = starts.variation_cost * SCRAMBLES * limit_error.atoms(starts, self.level) * T
        pilot = PILOT * starts.variation_cost * starts.asked.M * T
        least = limit + scatter + pilot + LEAST * self.run_cost("control")
        if least < min(others):
            return True
        self.refused["control"] = f"the limit alone costs {least:.2g} particle-steps"
        return False

    def _error(self, name: str) -> Array:
        """Of the limit in the estimator's mean: the control variate needs what is linear only."""
        if name == "plain":
            return np.zeros(self.starts.entries)
        if self.limit is None:
            return np.full(self.starts.entries, SHARE * self.tolerance)
        return self.limit.scatter if name == "control" else self.limit.error

    def _settled(self, name: str) -> bool:
        known = name == "plain" or self.limit is not None
        return known and bool((self._error(name) <= SHARE * self.tolerance).all())

    def _refine(self) -> None:
        """Rules of this level. Sobol points' error falls like 1/nodes, or nearly: so many has the next level.

        Past the most nodes the estimator is given up.
        """
        self.limit = limit_error.limit_of(self.starts, self.level)
        if self._settled(self.name):
            return
        error = float(self._error(self.name).max())
        following = self.level * 2 ** max(1, int(np.ceil(np.log2(error / (SHARE * self.tolerance)))))
        if SCRAMBLES * following <= _MOST_NODES:
            self.level = following
            return
        self.open.remove(self.name)
        self.refused[self.name] = f"the limit's error is {error:.2g} with {SCRAMBLES * self.level} nodes"
        if not self.open:
            rule = f"`tolerance` {self.tolerance:g} is out of reach"
            raise InputError(rule, self.refused[self.name], f"Ask for tolerance={3.0 * error:.2g}.")
