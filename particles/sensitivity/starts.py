"""What is measured of finite networks by their starts, and of the limit: the numbers of `mf.estimate`."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.data.dataset import Dataset, Stream
from particles.measures.laws import Law
from particles.measures.measure import Array, Measure
from particles.measures.random_streams import SEEDS, Purpose, generator
from particles.methods.base import Method
from particles.model.network import Network
from particles.population.observables import Observable
from particles.sensitivity import nested
from particles.sensitivity.sensitivity import Sensitivity, sensitivity
from particles.simulation.simulate import simulate

if TYPE_CHECKING:
    import xarray

# Of the first variation at other particles, in runs of as many particles: measured 1.7 for one functional, 12.4 for 30.
_AGAIN, _EACH = 1.3, 0.4
# Of the limit's run with its derivative: measured 3.5 for one functional.
_DERIVATIVE = 3.0


class Asked(NamedTuple):
    """The arguments of `mf.estimate`. options: those of `simulate` and `sensitivity`, by name."""

    net: Network
    law: Law
    data: Dataset | Stream
    method: Method
    steps: int
    row: Observable
    M: int
    seed: int
    signs: str
    record_every: Any
    options: dict[str, Any]

    @property
    def symmetric(self) -> bool:
        return self.signs == "symmetric"


class Starts:
    """Networks of M particles by the number of their start, and rules of the law; what they cost adds up.

    cost : in particle-steps, by what they were for. control : the limit's derivative, once it is there.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.template: xarray.DataArray | None = None  # what is measured, with its dimensions
        self.control: Sensitivity | None = None
        self.cost, self.runs = Counter[str](), Counter[str]()

    @property
    def entries(self) -> int:
        """How many numbers are measured of a run."""
        return 1 if self.template is None else self.template.size

    def seed(self, number: int) -> int:
        """The seed of a start; no two starts share a random number."""
        return int(generator(self.asked.seed, Purpose.START, number).integers(SEEDS))

    def start(self, number: int) -> Measure:
        asked = self.asked
        return asked.law.sample(asked.M, self.seed(number), asked.signs, outputs=asked.net.outputs)

    def rule(self, nodes: int, replicate: int | None = None) -> Measure:
        """The limit: Sobol points, which follow what a long run makes of the start better than tensor rules."""
        asked = self.asked
        x = asked.net.inputs((asked.data.holdout() if isinstance(asked.data, Stream) else asked.data).x)
        given = nodes, asked.signs, x, replicate, asked.net.outputs
        return asked.law.quadrature(*given, tensor=False)

    def measured(self, start: Measure, what: str, number: int = 0) -> Array:
        """The observable of one run: (E,), all recorded times one after another; number: of the start, for noise."""
        asked = self.asked
        end_only = asked.record_every is None
        # a mean over noise as well: every start has noise of its own
        method = replace(asked.method, seed=self.seed(number)) if asked.method.noisy else asked.method  # type: ignore[type-var]
        every = max(1, asked.steps) if end_only else asked.record_every
        run = simulate(
            asked.net, start, asked.data, method, steps=asked.steps, record=asked.row, record_every=every,
            **asked.options,
        )  # fmt: skip
        values = run.dataset[asked.row.name]
        if self.template is None:
            self.template = values[-1:] if end_only else values
        self._paid(what, len(start.w), 1.0)
        return np.asarray(values.values[-1:] if end_only else values.values, dtype=np.float64).reshape(-1)

    def _paid(self, what: str, particles: int, runs: float) -> None:
        self.cost[what] += round(runs * particles * max(1, self.asked.steps))
        self.runs[what] += 1

    def bias_sample(self, number: int, whole: Array, what: str) -> Array:
        """E F_M - F_inf by the parts of one start."""
        return nested.bias_sample(lambda m: self.measured(m, what), self.start(number), whole, self.asked.symmetric)

    def derive(self, nodes: int) -> None:
        """The limit's run with its derivative."""
        asked, rule = self.asked, self.rule(nodes)
        self.control = sensitivity(
            asked.net, rule, asked.data, asked.method, steps=asked.steps, of=asked.row, by="particle",
            record_every=asked.record_every, symmetric=asked.symmetric, **asked.options,
        )  # fmt: skip
        self._paid("limit", len(rule.w), self.derivative_cost)

    @property
    def limit(self) -> Array:
        """What was measured of the limit's run with its derivative: (E,)."""
        assert self.control is not None
        return np.asarray(self.control.dataset[self.asked.row.name].values, dtype=np.float64).reshape(-1)

    @property
    def derivative_cost(self) -> float:
        """Of the limit's run with its derivative, in runs."""
        return _DERIVATIVE + _EACH * self.entries

    @property
    def variation_cost(self) -> float:
        """Of the first variation at other particles, in runs of as many."""
        return _AGAIN + _EACH * self.entries

    def variation(self, particles: Measure, what: str) -> Array:
        """psi at particles: (E, M)."""
        assert self.control is not None
        self._paid(what, len(particles.w), self.variation_cost)
        found = self.control.variation(particles)[f"{self.asked.row.name}_variation"].values
        return np.asarray(found).reshape(-1, len(particles.w))

    def shift(self, number: int, what: str) -> Array:
        """The mean of psi over the particles of a start, (E,)."""
        start = self.start(number)
        return np.asarray(self.variation(start, what) @ start.w)
