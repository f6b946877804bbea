"""`mf.sensitivity`: the derivative of what a run measures, by every particle of its start and by its settings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from particles.checks import numpy_settings, whole
from particles.data.dataset import Dataset, Stream
from particles.measures.measure import Array, Measure, Source
from particles.methods.base import Method
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.observables import Observable
from particles.population.population import Engine, Local
from particles.sensitivity.checks import (
    check_differentiable,
    check_method,
    check_names,
    check_pairs,
    checked_by,
    warn_of_kinks,
)
from particles.sensitivity.faults import through_faults
from particles.sensitivity.linearised import Linearised, first_variation
from particles.sensitivity.memory import Wanted
from particles.sensitivity.reverse import Group, Reverse
from particles.sensitivity.tables import dataset_of, integrals, means_of, values_of, variables
from particles.simulation.arguments import prepared

if TYPE_CHECKING:
    import xarray

MEMORY = 2**30  # bytes, of what is kept besides the particles


@dataclass(frozen=True, eq=False)
class Sensitivity:
    r"""The derivative of a run, by every particle of its start and by its settings.

    Attributes
    ----------
    dataset
        For each observable F that was asked for, at each recorded time: `F`, its value; `F_variation` (particle), the
        first variation psi at every particle, whose mean is 0; `F_std`, the square root of the variance of psi, so that
        the standard deviation of F for M random particles is about `F_std / sqrt(M)`; `F_by_position`,
        `F_by_output_weight`, `F_by_step`, `F_by_weight_decay`, `F_by_target` and `F_by_sample`, as far as `by` asked
        for them; and `particle_weight`.
    linearised
        What `variation` and `predict` need besides the particles: the run's outputs and slopes at every step.

    Examples
    --------
    The deviation of 64 networks of 1024 particles each, predicted before they are run:

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> found = mf.sensitivity(net, law.quadrature(400), data, mf.GradientDescent(0.5), steps=4)
    >>> drawn = [found.predict(law.sample(1024, seed=seed))["loss"].item() for seed in range(64)]
    >>> bool(0.7 < np.std(drawn) / (found.dataset["loss_std"].item() / 32) < 1.3)
    True
    """

    dataset: "xarray.Dataset"
    linearised: Linearised

    def __repr__(self) -> str:
        return f"Sensitivity of {', '.join(dict.fromkeys(one.row.name for one in self.linearised.measured))}"

    @numpy_settings
    def variation(self, particles: Measure | Source) -> "xarray.Dataset":
        """The first variation at other particles: where they would go in this run's velocity, and what they would do.

        Parameters
        ----------
        particles
            Of a finite network, say. Their weights do not count.

        Returns
        -------
        xarray.Dataset
            `F_variation` (time, ..., particle) of every observable F.

        Raises
        ------
        InputError
            For particles on another space, and for beta < 1 where their number is another one.

        Notes
        -----
        Nothing is summed: with the run's slopes known, each particle goes forward and back by itself.
        """
        return self._variables({"variation": first_variation(self.linearised, particles)})

    @numpy_settings
    def predict(self, start: Measure | Source) -> "xarray.Dataset":
        r"""What a network of these particles will measure, to first order, before it is run.

        Parameters
        ----------
        start
            The particles at the start.

        Returns
        -------
        xarray.Dataset
            Every observable F, :math:`F + \int \psi \, d\mu_M` at each recorded time. For M particles drawn from the
            law its error is O(1/M).

        Raises
        ------
        InputError
            As `variation`.
        """
        psi = first_variation(self.linearised, start)
        w = start.w if isinstance(start, Measure) else start.weights(0, start.count)
        shifts = integrals(psi, np.asarray(w, dtype=np.float64))
        return self._variables({"": values_of(self.linearised.measured) + shifts})

    def _variables(self, found: dict[str, Array]) -> "xarray.Dataset":
        return variables(self.linearised.ready.problem, self.linearised.measured, found)


@numpy_settings
def sensitivity(
    net: Network,
    start: Measure | Source,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    of: str | Observable | Iterable[str | Observable] = "loss",
    by: str | Iterable[str] | None = None,
    record_every: int | str | Iterable[int] | None = None,
    loss: str | Loss = "squared",
    regulariser: Regulariser | None = None,
    test: Dataset | None = None,
    symmetric: bool = False,
    engine: Engine | None = None,
    dtype: str = "float64",
    memory: int = MEMORY,
) -> Sensitivity:
    r"""The derivative of what a run measures, by every particle of its start and by its settings (3.4).

    Parameters
    ----------
    net
        The network. Its activation has a `second_derivative`.
    start
        The measure at the start: `law.quadrature(nodes)` for the limit M = infinity, or M particles.
    data
        The training samples. With `mf.SGD` the derivative is that of the steps on the samples that were drawn.
    method
        `mf.GradientDescent`, `mf.SGD`, or `mf.RungeKutta` without a tolerance.
    steps
        Iterations.
    of
        What is measured: names of observables that have a differential, or `mf.Observable` of your own with one.
        Outputs at points of your own are "test_prediction" with a `test` set of them.
    by
        What the derivative is by: "particle" (the first variation and its standard deviation), "position" and
        "output_weight" (the gradient of the first variation at each particle), "step" (the step size of each iteration,
        flow time), "weight_decay" (the weight of the L2 regulariser, flow time), "target" (of each training sample,
        where the loss has a derivative by targets) and "sample" (each training sample's weight in the loss, relative to
        the one that it has; the loss that is measured keeps its weights). None, the default: all but "position" and
        "output_weight", and without "target" and "sample" where iterations use other samples, as those of SGD.
    record_every
        When it is measured, as in `mf.simulate`; None, the default, at the end only.
    loss, regulariser, test
        As in `mf.simulate`. The regulariser is smooth, an `mf.L2`.
    symmetric
        Whether networks start from `law.sample(..., signs="symmetric")`: the second half of the particles, here as
        there, repeats the first with the other sign. `F_std` is then that of independent pairs.
    engine, dtype
        As in `mf.simulate`.
    memory
        Bytes for what is kept besides the particles, 1 GiB by default: states of the run, from which stretches of it
        are made again, and the derivatives under way. The result does not depend on it.

    Returns
    -------
    Sensitivity
        Its `dataset`, and the first variation anywhere else.

    Raises
    ------
    InputError
        For methods, regularisers and observables without a derivative, and what no derivative is by.
    DivergedError
        When a value is no longer finite.

    Notes
    -----
    An observable F of a run is a function of the measure :math:`\mu_1` at its start. With the first variation
    :math:`\psi = dF/d\mu_1`, at M independent particles of the law

    .. math:: F_M = F_\infty + \frac{1}{M} \sum_r \psi(b_r) - \int \psi \, d\mu_1 + O(1/M), \qquad
              M \operatorname{Var} F_M \to \operatorname{Var}_{\mu_1} \psi

    The pass back is the exact derivative of the steps, not of the flow. It is again a sum over particles, n numbers,
    and a push of each particle by itself, so it has the same bits for any number of threads and shards.

    At kinks, such as that of ReLU, the derivative of a finite network is exact at almost every start. As a function of
    the law it lacks what particles contribute that cross a kink while they train: `F_std` and `predict` are then fair
    early in a run and wrong late, unless only output weights train. A warning says so.

    References
    ----------
    Section 3.4; Griewank and Walther (2000), Algorithm 799: revolve, for the states that are kept.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> limit, method = law.quadrature(400), mf.GradientDescent(0.5)
    >>> found = mf.sensitivity(net, limit, data, method, steps=4, of=["loss", "prediction"])
    >>> found.dataset["loss_std"].round(3).item()
    0.087
    """
    check_names(of)
    ready = prepared(
        net, start, data, method, steps, loss, regulariser, 1 if record_every is None else record_every, of, None,
        test, dtype, engine,
    )  # fmt: skip
    check_method(ready.problem)
    asked = checked_by(ready.problem, by)
    if symmetric:
        check_pairs(ready.spec.start)
    check_differentiable(ready)
    if "particle" in asked:
        warn_of_kinks(net)
    anchor = ready.observer.anchored and ("position" in asked or "output_weight" in asked)
    decay = "weight_decay" in asked or ("step" in asked and ready.problem.regulariser.pull > 0.0)
    wanted = Wanted("position" in asked, "output_weight" in asked, anchor, decay)
    memory = whole("memory", memory, 1, remedy="Bytes.")
    due = frozenset(ready.plan.iterations if record_every is not None else ready.plan.iterations[-1:])
    engine = engine or Local()
    population = engine.populate(ready.spec, ready.problem.samples)

    def there_and_back() -> tuple[Reverse, Sequence[Group]]:
        run = Reverse(ready, population, wanted, memory, due.__contains__)
        run.forward()
        return run, run.groups()

    try:
        run, groups = through_faults(population, there_and_back)
    finally:
        population.close()
    w = ready.spec.start.weights(0, ready.spec.start.count)
    linearised = Linearised(
        ready, engine, memory, tuple(run.measured), tuple(run.trajectory.points),
        tuple((group.functionals, group.changes) for group in groups), means_of(groups, w),
    )  # fmt: skip
    return Sensitivity(dataset_of(ready.problem, run.measured, groups, w, asked, symmetric), linearised)
