"""Cross-validation (section 3): the activation and M are chosen by the loss on held-out samples after optimisation.

Every model is trained once for each fold, on the samples outside it, and its loss is measured on those inside. The runs
are an engine's tasks: threads here, or processes of a Ray cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.checks import real_array, whole
from particles.data.dataset import Dataset
from particles.errors import DivergedError, InputError
from particles.measures.laws import Gaussian
from particles.measures.measure import Array
from particles.measures.random_streams import Purpose, checked_seed, generator
from particles.methods.base import Method
from particles.model.activations import Activation
from particles.model.losses import Loss
from particles.model.network import Network
from particles.population.population import Engine, Local
from particles.simulation.simulate import simulate


class Model(NamedTuple):
    """What is chosen: an activation, by name or as an object, and M."""

    activation: str | Activation
    neurons: int


@dataclass(frozen=True)
class Training:
    """How every model is trained: on standardised inputs with a bias, from N(0, std^2 I) with random signs."""

    method: Method
    steps: int
    loss: str | Loss = "squared"
    beta: float = 1.0
    std: float = 1.0

    def held_out_loss(self, model: Model, train: Dataset, held: Dataset, seed: int) -> float:
        """The loss on `held` after the last step, inf if the run diverged: scaled by the training part alone."""
        inside = train.scaled("standard")
        start = Gaussian(train.x.shape[1] + 1, std=self.std).sample(
            model.neurons, seed, signs="random", outputs=train.outputs
        )
        net = Network(model.activation, beta=self.beta, bias=True, outputs=train.outputs)
        try:
            run = simulate(
                net,
                start,
                inside,
                self.method,
                steps=self.steps,
                loss=self.loss,
                record=("test_loss",),
                record_every=[],
                test=held.scaled_like(inside),
                engine=Local(1),
            )
        except DivergedError:
            return float("inf")
        return float(run.dataset["test_loss"].values[-1])


class Part(NamedTuple):
    """One way to hold samples out, by row numbers; `seed` is of the starts."""

    train: NDArray[np.intp]
    held: NDArray[np.intp]
    seed: int


def folds(n: int, count: int, seed: int = 0) -> list[Part]:
    """`count` parts that hold out every one of n samples once, in random order; sizes differ by one at most."""
    n = whole("n", n, 2)
    count = whole("count", count, 2, n, "A fold needs a sample: use 5 or 10.")
    order = generator(checked_seed(seed), Purpose.SPLIT).permutation(n)
    held = [np.sort(rows) for rows in np.array_split(order, count)]
    return [Part(np.setdiff1d(order, rows), rows, seed * count + k) for k, rows in enumerate(held)]


class Errand(NamedTuple):
    """What every task shares."""

    training: Training
    data: Dataset


def losses(
    training: Training, data: Dataset, models: Sequence[Model], parts: Sequence[Part], engine: Engine | None = None
) -> Array:
    """The held-out loss of every model on every part: (models, parts). All models of a part start with its seed."""
    jobs = [(model, part) for model in models for part in parts]
    heavy = sorted(range(len(jobs)), key=lambda job: -jobs[job][0].neurons)  # so that no core waits at the end
    scores = np.empty(len(jobs))
    tasks = (engine or Local()).tasks(_one, Errand(training, data), [jobs[job] for job in heavy])
    for number, result in tasks:
        if isinstance(result, Exception):  # a cluster's task hands back what it raised
            raise result
        scores[heavy[number]] = result
    return scores.reshape(len(models), len(parts))


def _one(errand: Errand, job: tuple[Model, Part]) -> float:
    (model, part), data = job, errand.data
    train, held = (Dataset(data.x[rows], data.y[rows]) for rows in (part.train, part.held))
    return errand.training.held_out_loss(model, train, held, part.seed)


class Choice(NamedTuple):
    """The model chosen and the one of the smallest loss, by number; each model's mean loss and standard error."""

    chosen: int
    best: int
    mean: Array
    error: Array


def choose(models: Sequence[Model], held_out: Array) -> Choice:
    """The one-standard-error rule: of the models whose mean loss is within the best one's standard error, the smallest.

    held_out : (models, folds). Smallest is the smallest M; of several, the one of the smallest loss. Raises InputError
    for a table of another shape, fewer than two folds, or where every model diverged.
    """
    table = real_array("`held_out`", held_out, finite=False)
    if table.ndim != 2 or len(table) != len(models) or table.shape[1] < 2 or np.isnan(table).any():
        rule = f"`held_out` must be numbers of shape ({len(models)}, folds), folds >= 2"
        raise InputError(rule, str(table.shape), "Give what `losses` returns.")
    mean = table.mean(axis=1)
    finite = np.isfinite(mean)
    if not finite.any():
        raise InputError("a model must be left whose runs did not diverge", "none", "Lower the step.")
    error = np.full(len(table), np.inf)
    error[finite] = table[finite].std(axis=1, ddof=1) / np.sqrt(table.shape[1])
    best = int(np.argmin(mean))
    close = np.flatnonzero(mean <= mean[best] + error[best]).tolist()
    chosen = min(close, key=lambda at: (models[at].neurons, mean[at]))
    return Choice(chosen, best, mean, error)
