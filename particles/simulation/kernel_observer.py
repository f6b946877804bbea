"""The tangent kernel during a run (3.1): its eigenvalues, how far it drifted, and what it would have done by itself."""

from functools import cached_property

import numpy as np

from particles.errors import InputError
from particles.measures.measure import Array, Source, atoms_of
from particles.methods.schedules import Schedule
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.population import Local, Population, measure_of
from particles.population.samples import Samples
from particles.population.scene import Scene
from particles.theory.tangent.gram_matrix import gram
from particles.theory.tangent.kernel_flow import descend, eigen


class KernelObserver:
    """The Gram matrices of a run at its training samples; those of the start are made when first asked for.

    iterations: those that will be asked for. All particles are gathered on this machine each time.
    """

    def __init__(
        self,
        net: Network,
        start: Source,
        samples: Samples,
        loss: Loss,
        rule: Regulariser,
        steps: Schedule,
        iterations: list[int],
        engine: Local,
    ) -> None:
        self.net, self.start, self.samples, self.loss, self.rule = net, start, samples, loss, rule
        self.steps, self.iterations, self.engine = steps, iterations, engine

    def check(self, descends: bool = True) -> None:
        """InputError unless the run can be compared with descent under a fixed kernel; descends: by Euler's steps."""
        if not self.samples.whole or not descends:
            got = "another method than gradient descent" if self.samples.whole else "batches of samples"
            rule = "kernel_distance compares with descent under a fixed kernel: all samples a step"
            raise InputError(rule, got, "Leave it out of `record`.")
        if self.rule.weight and not self.rule.anchored:
            rule = "kernel_distance knows no regulariser but the pull to the start"
            raise InputError(rule, repr(self.rule), "Leave it out of `record`.")

    def __call__(self, at: Scene) -> "KernelSnapshot":
        return KernelSnapshot(self, at)

    @cached_property
    def first(self) -> Array:
        """K_w1."""
        return gram(self.net, atoms_of(self.start), self._inputs, engine=self.engine)

    @property
    def _inputs(self) -> Array:
        x = self.samples.x  # as the network sees them; `gram` appends the bias itself
        return x[:, :-1] if self.net.bias else x

    def now(self, population: Population) -> Array:
        """K_w of the particles as they are."""
        return gram(self.net, measure_of(population), self._inputs, engine=self.engine)

    @cached_property
    def alone(self) -> dict[int, Array]:
        """The outputs at the samples after each recorded iteration, if the kernel stayed what it was."""
        begin, y = self.net.predict(atoms_of(self.start), self._inputs), self.samples.y
        kernel = eigen(self.first) if self.loss.name == "squared" else self.first
        predictions = descend(
            kernel, y, self.steps, self.iterations, begin, weight_decay=self.rule.pull, loss=self.loss
        )
        return dict(zip(self.iterations, predictions, strict=True))


class KernelSnapshot:
    """The kernel at one recorded time."""

    def __init__(self, observer: KernelObserver, at: Scene) -> None:
        self._observer, self._at = observer, at

    @cached_property
    def _gram(self) -> Array:
        return self._observer.now(self._at.population)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        values = np.linalg.eigvalsh(self._gram)
        return float(values[0]), float(values[-1])

    @property
    def smallest(self) -> float:
        return self._ends[0]

    @property
    def largest(self) -> float:
        return self._ends[1]

    @property
    def drift(self) -> float:
        first = self._observer.first
        return float(np.linalg.norm(self._gram - first) / np.linalg.norm(first))

    @property
    def distance(self) -> float:
        return float(np.sqrt(np.mean((self._at.g - self._observer.alone[self._at.iteration]) ** 2)))
