"""Propagation of chaos, particle by particle: each network's particles beside their twins in the mean field (3.4).

A twin starts where its particle does and is driven by the same noise, but moves in the velocity of the limit instead of
its network's own. In the computation it is an atom of weight zero beside the atoms that stand for the limit. Networks
of one seed are nested, so the twins of the largest serve all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from particles.analysis.convergence import rms
from particles.checks import whole
from particles.data.dataset import Dataset, Stream
from particles.errors import InputError
from particles.measures.laws import Law
from particles.measures.measure import Array, Measure, checked_measure
from particles.measures.random_streams import checked_seed
from particles.methods.base import Method
from particles.methods.descent import SGD, AveragedSGD, GradientDescent
from particles.methods.langevin import Langevin
from particles.model.network import Network
from particles.simulation.simulate import simulate
from particles.storage.run import Run

if TYPE_CHECKING:
    import xarray


def coupled(
    net: Network,
    law: Law,
    data: Dataset | Stream,
    method: Method,
    *,
    counts: Sequence[int],
    limit: Measure,
    steps: int,
    seed: int = 0,
    signs: str = "positive",
    record_every: int | str | Iterable[int] = 1,
    **settings: Any,
) -> "xarray.Dataset":
    r"""Propagation of chaos: networks of one seed beside the limit, each particle with its twin there (3.4).

    Parameters
    ----------
    net
        The network, with beta = 1; only its input weights train.
    law
        The initial law `mu0`.
    data
        The training samples.
    method
        How the networks move. A limit of SGD (4) moves by gradient descent (3) with the same steps.
    counts
        Sizes M of the networks, which are nested.
    limit
        The measure that stands for the limit at the start: `law.quadrature(nodes, signs)`, or for a noisy method, whose
        noise no quadrature integrates, `law.sample(N, another_seed, signs)` with N far above the counts; for several
        outputs with `outputs`.
    steps
        Iterations.
    seed
        Of the particles, the noise and the samples.
    signs
        As in `law.sample`, but not "symmetric", whose sizes do not nest.
    record_every
        As in `mf.simulate`.
    **settings
        What else `mf.simulate` takes: loss, regulariser, test, engine.

    Returns
    -------
    xarray.Dataset
        `twin_distance`, `twin_distance_max` and `prediction_distance`, all (count, time).

    Raises
    ------
    InputError
        For beta < 1, which has no such limit, signs that do not nest, and methods whose limit needs more samples than
        there are.
    KeyboardInterrupt
        If a run was stopped.

    Notes
    -----
    A twin starts where its particle does and is driven by the same noise, but moves in the velocity of the limit. With
    :math:`b_r^\infty` the twin of particle r,

    .. math:: \left( \frac{1}{M} \sum_r |b_r - b_r^\infty|^2 \right)^{1/2}, \quad \max_r |b_r - b_r^\infty|

    are `twin_distance` and `twin_distance_max`; `prediction_distance` is the root mean square over the samples, and
    outputs, of the difference of predictions. Output weights do not move: a twin has its particle's.

    References
    ----------
    Section 3.4.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> method, limit = mf.GradientDescent(0.5), law.quadrature(400)
    >>> twins = mf.coupled(net, law, data, method, counts=[16, 64], limit=limit, steps=4)
    >>> twins["twin_distance"].isel(time=-1).values.round(3)
    array([0.187, 0.048])
    """
    sizes = sorted({whole("counts", count, 1) for count in np.ravel(counts).tolist()})
    if net.beta != 1.0 or net.train != ("input",) or not sizes:
        got = f"beta={net.beta:g}, train={net.train}, {counts}"
        raise InputError("twins need beta = 1, input weights that train alone, and `counts`", got, "")
    if signs == "symmetric":
        rule = '`signs` must not be "symmetric" for networks that nest'
        raise InputError(rule, signs, 'Use "positive" or "random", say.')
    smooth = _smooth(method, data)
    start = law.sample(sizes[-1], checked_seed(seed), signs, outputs=net.outputs)
    limit = checked_measure(limit, start.b.shape[1], net.outputs)
    twins = Measure(
        np.concatenate([start.b, limit.b]),
        np.concatenate([start.s, limit.s]),
        np.concatenate([np.zeros(len(start.w)), limit.w]),
    )
    settings |= {"record": ("prediction", "position"), "record_every": record_every, "steps": steps}
    there = _finished(simulate(net, twins, data, smooth, positions=sizes[-1], **settings))
    apart, farthest, outputs = ([], [], [])
    for count in sizes:
        begin = Measure(start.b[:count], start.s[:count], np.full(count, 1.0 / count))
        here = _finished(simulate(net, begin, data, method, **settings))
        away = np.sum((here["position"].values - there["position"].values[:, :count]) ** 2, axis=2)
        apart.append(np.sqrt(away.mean(axis=1)))
        farthest.append(np.sqrt(away.max(axis=1)))
        outputs.append(rms(here["prediction"].values - there["prediction"].values))
    return _dataset(sizes, there, apart, farthest, outputs)


def _smooth(method: Method, data: Dataset | Stream) -> Method:
    """What moves the limit: the method without its sampling."""
    if isinstance(method, AveragedSGD) or (isinstance(data, Stream) and not isinstance(method, GradientDescent)):
        remedy = "Use SGD or another method on a Dataset."
        raise InputError("the limit of this method needs all samples", f"{method} on {data!r}", remedy)
    if isinstance(method, SGD):
        return GradientDescent(method.step)
    return replace(method, batch=None) if isinstance(method, Langevin) else method


def _finished(run: Run) -> "xarray.Dataset":
    if run.status != "finished":  # Ctrl-C: half of a comparison is none
        raise KeyboardInterrupt
    return run.dataset


def _dataset(
    counts: list[int], limit: "xarray.Dataset", apart: list[Array], farthest: list[Array], outputs: list[Array]
) -> "xarray.Dataset":
    import xarray

    meanings = {
        "twin_distance": "(1/M sum_r |b_r - twin_r|^2)^(1/2)",
        "twin_distance_max": "max_r |b_r - twin_r|",
        "prediction_distance": "rms over samples of g - g_limit",
    }
    return xarray.Dataset(
        {
            name: (("count", "time"), np.array(values), {"long_name": text, "units": "1", "equation": "3.4"})
            for (name, text), values in zip(meanings.items(), (apart, farthest, outputs), strict=True)
        },
        coords={
            "count": ("count", counts, {"long_name": "number of particles M", "units": "1"}),
            "time": limit["time"],
            "iteration": limit["iteration"],
        },
    )
