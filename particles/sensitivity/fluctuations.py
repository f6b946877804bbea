"""`mf.fluctuations`: the Gaussian field that sqrt(M) (g_M - g_infinity) tends to, by draws from it (3.4)."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from particles.checks import numpy_settings, whole
from particles.data.dataset import Dataset, Stream
from particles.measures.measure import Array, Measure, Source
from particles.measures.random_streams import checked_seed
from particles.methods.base import Method
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.population import Engine, Local
from particles.sensitivity.checks import check_differentiable, check_method, check_pairs, warn_of_kinks
from particles.sensitivity.faults import through_faults
from particles.sensitivity.response import Response
from particles.sensitivity.trajectory import Trajectory
from particles.simulation.arguments import Prepared, prepared

if TYPE_CHECKING:
    import xarray

T = TypeVar("T")


@numpy_settings
def fluctuations(
    net: Network,
    limit: Measure | Source,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    draws: int = 64,
    seed: int = 0,
    record_every: int | str | Iterable[int] = 1,
    loss: str | Loss = "squared",
    regulariser: Regulariser | None = None,
    test: Dataset | None = None,
    symmetric: bool = False,
    engine: Engine | None = None,
    dtype: str = "float64",
) -> "xarray.Dataset":
    r"""Draws from the Gaussian field that :math:`\sqrt M (g_M - g_\infty)` tends to along a run (3.4).

    Parameters
    ----------
    net
        The network, as for `mf.sensitivity`.
    limit
        The measure that stands for the law at the start, `law.quadrature(nodes)`.
    data, method, steps
        As in `mf.sensitivity`.
    draws
        How many, 64 by default.
    seed
        Of the draws.
    record_every
        When the field is drawn, as in `mf.simulate`; at every iteration by default.
    loss, regulariser
        As in `mf.sensitivity`.
    test
        Samples at which the field is drawn too.
    symmetric
        Whether networks start from `law.sample(..., signs="symmetric")`: the second half of the particles, here as
        there, repeats the first with the other sign.
    engine, dtype
        As in `mf.simulate`.

    Returns
    -------
    xarray.Dataset
        `fluctuation` (draw, time, sample), with several outputs (..., output), `test_fluctuation` with `test`,
        `distance` (draw, time), its root mean square over the samples and outputs, and `sup_distance` (draw).

    Raises
    ------
    InputError
        For methods and regularisers without a derivative.
    DivergedError
        When a value is no longer finite.

    Notes
    -----
    A draw changes the weights of the atoms by :math:`\sqrt{w_r} \, \xi_r`, with independent normal :math:`\xi_r`, less
    their mean, and carries that change forward through the derivative of every step. So draws are exact in the steps;
    only their number and the quadrature are finite.

    The kinks of ReLU are as in `mf.sensitivity`.

    References
    ----------
    Section 3.4; Sirignano and Spiliopoulos (2020), Rotskoff and Vanden-Eijnden (2022): the limit of the fluctuations.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> field = mf.fluctuations(net, law.quadrature(400), data, mf.GradientDescent(0.5), steps=4, draws=256)
    >>> field["distance"].mean("draw").values.round(2)
    array([0.58, 0.51, 0.46, 0.41, 0.37])
    """
    ready = prepared(
        net, limit, data, method, steps, loss, regulariser, record_every, "prediction", None, test, dtype, engine
    )
    check_method(ready.problem)
    if symmetric:
        check_pairs(ready.spec.start)
    check_differentiable(ready)
    warn_of_kinks(net)
    count, start = whole("draws", draws, 1), checked_seed(seed)
    names = ["train", *(["test"] if test is not None else [])]
    at = ready.plan.iterations
    rows = along(
        ready, count, start, symmetric, engine or Local(), at, lambda one: [one.changes(name) for name in names]
    )
    return _dataset(
        ready, {name: np.stack(parts, axis=1) for name, parts in zip(names, zip(*rows, strict=True), strict=True)}
    )


def along(
    ready: Prepared,
    draws: int,
    seed: int,
    symmetric: bool,
    engine: Engine,
    iterations: Sequence[int],
    look: Callable[[Response], T],
    stop: Callable[[int], bool] = lambda iteration: False,
) -> list[T]:
    """What `look` finds in the draws at each of these iterations.

    stop: asked after every step; it ends the run early, with what was found up to then.
    """
    population = engine.populate(ready.spec, ready.problem.samples)

    def attempt() -> list[T]:
        trajectory, found = Trajectory(ready.problem, population), list[T]()
        trajectory.begin()
        trajectory.keep(0)
        trajectory.advance(trajectory.steps)
        trajectory.restore(0)
        response = Response(trajectory, draws, seed, symmetric)
        for iteration in iterations:
            while trajectory.here < iteration:
                response.advance()
                if stop(trajectory.here):
                    return found
            found.append(look(response))
        return found

    try:
        return through_faults(population, attempt)
    finally:
        population.close()


def distances(changes: Array) -> Array:
    """The root mean square over samples and outputs of each draw: (draws, n) or (draws, n, k) -> (draws,)."""
    return np.asarray(np.sqrt(np.mean(changes.reshape(len(changes), -1) ** 2, axis=1)))


def _dataset(ready: Prepared, fields: dict[str, Array]) -> "xarray.Dataset":
    import xarray

    more = ("output",) if ready.problem.net.outputs > 1 else ()
    iterations = ready.plan.iterations
    label = {"units": "1", "equation": "3.4"}
    field = fields["train"]
    distance = np.stack([distances(field[:, at]) for at in range(field.shape[1])], axis=1)
    words = "draw from the limit of sqrt(M) (g_M - g_inf) at the samples"
    data = {
        "fluctuation": (("draw", "time", "sample", *more), field, {"long_name": words, **label}),
        "distance": (("draw", "time"), distance, {"long_name": "rms of the fluctuation over samples", **label}),
        "sup_distance": ("draw", distance.max(axis=1), {"long_name": "sup over recorded times of distance", **label}),
    }
    if "test" in fields:
        text = {"long_name": words.replace("samples", "test samples"), **label}
        data["test_fluctuation"] = ("draw", "time", "test_sample", *more), fields["test"], text
    flow_time = {"long_name": "flow time, the sum of the step sizes", **label}
    taken = {"long_name": "number of steps taken", "units": "1", "equation": "(3)"}
    coords = {
        "time": ("time", ready.problem.times[iterations], flow_time),
        "iteration": ("time", np.array(iterations), taken),
    }
    return xarray.Dataset(data, coords)
