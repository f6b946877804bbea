"""`mf.sensitivity`: the derivative of what a run measures, by every particle of its start and by its settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from particles.checks import numpy_settings, whole
from particles.data.dataset import Dataset, Stream
from particles.errors import ClusterError, InputError, LostError
from particles.measures.measure import Array, Measure, Source
from particles.methods.base import Method
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.messages import population_spec
from particles.population.observables import Observable
from particles.population.population import Engine, Local
from particles.sensitivity.adjoint import Adjoint
from particles.sensitivity.checks import check_differentiable, check_method, check_pairs
from particles.sensitivity.reverse import Group, Measured, Reverse, Wanted, back
from particles.sensitivity.tables import dataset_of, variables
from particles.sensitivity.trajectory import Point, Trajectory
from particles.simulation.arguments import Prepared, prepared

if TYPE_CHECKING:
    import xarray

MEMORY = 2**30  # bytes, of what is kept besides the particles
_FAULTS = 3


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The derivative of a run, by every particle of its start.

    Attributes
    ----------
    dataset
        For each observable F that was asked for, at each recorded time: `F`, its value; `F_variation` (particle), the
        first variation psi at every particle, whose mean is 0; `F_std`, the square root of its variance, so that the
        standard deviation of F for M random particles is about `F_std / sqrt(M)`; and what else `by` named.
    """

    dataset: "xarray.Dataset"
    _ready: Prepared
    _measured: tuple[Measured, ...]
    _groups: tuple[Group, ...]
    _points: tuple[tuple[Point, ...], ...]
    _means: Array
    _engine: Engine
    _wanted: Wanted

    def __repr__(self) -> str:
        return f"Sensitivity of {', '.join(dict.fromkeys(one.row.name for one in self._measured))}"

    def variation(self, particles: Measure) -> "xarray.Dataset":
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
        return variables(self._ready.problem, self._measured, {"variation": self._values(particles)})

    def predict(self, start: Measure) -> "xarray.Dataset":
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
        shifts = self._values(start) @ np.asarray(start.w, dtype=np.float64)
        return variables(self._ready.problem, self._measured, {"": self._numbers + shifts})

    @property
    def _numbers(self) -> Array:
        return np.concatenate([one.value.reshape(-1) for one in reversed(self._measured)])

    def _values(self, particles: Measure) -> Array:
        """psi at particles: (functionals, M), the latest iterations first."""
        ready, net = self._ready, self._ready.problem.net
        spec = population_spec(net, particles, ready.spec.dtype, False, ready.spec.anchored)
        if spec.start.dim != ready.spec.start.dim:
            raise InputError("particles must be on the run's space", f"dim={spec.start.dim}", "")
        if net.beta < 1.0 and spec.start.count != ready.spec.start.count:
            rule = "with beta < 1 other particles must be as many as the run's, since alpha is M^(1 - beta)"
            raise InputError(rule, f"{spec.start.count} for {ready.spec.start.count}", "Use beta=1.")
        population = self._engine.populate(spec, ready.problem.samples)
        try:
            trajectory = Trajectory(ready.problem, population, list(self._points))
            found = []
            for group in self._groups:
                adjoint = Adjoint(trajectory, group.functionals, group.changes)
                wanted = self._wanted._replace(position=False, output_weight=False)
                slots = wanted.slots(ready, population.count)
                found.append(back(trajectory, adjoint, wanted, False, slots, False)[0])
        finally:
            population.close()
        return np.concatenate(found) - self._means[:, None]


@numpy_settings
def sensitivity(
    net: Network,
    start: Measure | Source,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    of: str | Observable | Iterable[str | Observable] = "loss",
    by: str | Iterable[str] = ("particle", "step", "weight_decay", "target", "sample"),
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
        The training samples. With SGD, the derivative is that of the steps on the samples that were drawn.
    method
        `mf.GradientDescent`, `mf.SGD`, or `mf.RungeKutta` without a tolerance.
    steps
        Iterations.
    of
        What is measured: names of observables that have a differential, or `mf.Observable` of your own with one.
        Outputs at points of your own are "test_prediction" with a `test` set of them.
    by
        What the derivative is by: "particle" (the first variation and its standard deviation), "position" and
        "output_weight" (the gradient of the first variation at each particle), "step", "weight_decay", "target" (of
        the training samples, where the loss has a derivative by them) and "sample" (each sample's weight in the loss).
    record_every
        When it is measured, as in `mf.simulate`; None, the default, at the end only.
    loss, regulariser, test, engine, dtype
        As in `mf.simulate`. The regulariser is smooth, an `mf.L2`.
    symmetric
        Whether networks start from `law.sample(..., signs="symmetric")`: the second half of the particles, here as
        there, repeats the first with the other sign. `F_std` is then that of independent pairs.
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
        For methods, regularisers and observables without a derivative.
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

    ReLU's kinks: for a finite network the derivative is exact at almost every start. For the limit it lacks what the
    particles do that cross a kink while they train, and is no prediction there, unless output weights train alone.

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
    0.045
    """
    ready = prepared(
        net, start, data, method, steps, loss, regulariser, 1 if record_every is None else record_every, of, None,
        test, dtype, engine,
    )  # fmt: skip
    asked = (by,) if isinstance(by, str) else tuple(by)
    check_method(ready.problem)
    if symmetric:
        check_pairs(ready.spec.start)
    check_differentiable(ready, asked)
    wanted = Wanted("position" in asked, "output_weight" in asked, whole("memory", memory, 1, remedy="Bytes."))
    due = ready.plan.iterations if record_every is not None else [ready.plan.iterations[-1]]
    here = engine or Local()
    population = here.populate(ready.spec, ready.problem.samples)
    try:
        faults = 0
        while True:
            try:
                pass_back = Reverse(ready, population, wanted, frozenset(due).__contains__)
                pass_back.forward()
                groups = pass_back.groups()
                break
            except LostError as fault:
                faults += 1
                if faults > _FAULTS:
                    raise ClusterError(f"shards were lost {faults} times: {fault}. Mend the cluster.") from fault
                population.revive()
    finally:
        population.close()
    w = ready.spec.start.weights(0, ready.spec.start.count)
    means = np.concatenate([group.variation @ w for group in groups])
    dataset = dataset_of(ready, pass_back.measured, groups, means, w, asked, symmetric)
    points = tuple(pass_back.trajectory.points)
    lean = tuple(
        group._replace(variation=np.empty(0), position=np.empty(0), output_weight=np.empty(0)) for group in groups
    )
    return Sensitivity(dataset, ready, tuple(pass_back.measured), lean, points, means, here, wanted)
