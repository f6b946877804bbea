"""The limit M = infinity to a stated tolerance (3.4): a run on the law's quadrature, refined until it stops moving.

A run of `simulate` on N weighted atoms stands for all particles of the law as far as N goes. Here N is doubled until
the predictions, at every recorded time of the whole horizon, are known to the tolerance asked for.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from particles import rules
from particles.checks import number, numpy_settings, whole
from particles.data import Dataset, Stream
from particles.errors import InputError, nearest
from particles.laws import Atoms, Gaussian, Law, Sphere
from particles.measure import Array, Measure, checked_signs
from particles.methods import DualAveraging, Langevin, Method
from particles.network import Network
from particles.study.results import Run
from particles.study.simulate import DEFAULT_RECORD, simulate
from particles.theory.refinement import error_left, rounding_of

_FIRST = 2**8  # nodes of the first try
_TAIL = 8.5  # standard deviations; a Gaussian has 2e-17 of its mass beyond
OPTIONS = ("loss", "regulariser", "record_every", "positions", "engine", "dtype", "checkpoints", "checkpoint_seconds",
           "keep_every", "progress")  # fmt: skip


class MeanField(NamedTuple):
    """The limit's run on the finest quadrature, and how well it is known.

    error : (T,) an estimate, at every recorded time, of the largest error of a prediction. nodes: how many atoms were
    tried, the last ones in `run`. changes: the largest change of a prediction that each refinement made, one fewer.
    """

    run: Run
    error: Array
    nodes: tuple[int, ...]
    changes: tuple[float, ...]


class ToleranceError(InputError):
    """The tolerance is out of reach of the nodes that were allowed; `found` is the MeanField that was reached.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> try:
    ...     mf.mean_field(net, law, data, mf.RungeKutta(0.5), steps=4, tolerance=1e-6, most=1024)
    ... except mf.ToleranceError as error:
    ...     print(error.found.nodes, bool(error.found.error.max() < 0.01))
    (256, 529, 1024) True
    """

    found: MeanField | None = None


@numpy_settings
def mean_field(
    net: Network,
    law: Law,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    tolerance: float = 1e-6,
    signs: str = "positive",
    record: Iterable[str] = DEFAULT_RECORD,
    test: Dataset | None = None,
    most: int = 2**20,
    **options: Any,
) -> MeanField:
    """The run of the law itself, M = infinity (3.4, beta = 1), its predictions right to `tolerance` at all times.

    A quadrature of 256 nodes, then of twice as many, and so on: at least two doublings, and until `error_left` of their
    changes is below the tolerance, at all samples of the training and the test set. It is the limit of the steps as
    they are: `GradientDescent(step)` keeps its step, and `RungeKutta` goes on to the flow. The quadrature is the law's
    own, but for a Gaussian in up to three dimensions an equidistant rule (`_equidistant`).

    signs: as in `law.quadrature`. options: those of `simulate`; checkpoints are kept in a folder for each size. The
    dataset also has `limit_error` (time), `nodes` and `change` (refinement), and the attributes nodes and tolerance.

    Past three dimensions the quadrature is a Sobol sequence, whose error falls about as 1/N, unevenly: 2^14 nodes left
    3e-4 to 9e-4 in 4 to 8 dimensions, and 6e-3 on 31 measured inputs. Raises ToleranceError (its `found` has what was
    reached) if `most` nodes are not enough, InputError for beta < 1, for noisy methods, and for what has no quadrature.
    Ctrl-C returns the last run, of an unknown (infinite) error if it was stopped itself.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> limit = mf.mean_field(net, law, data, mf.RungeKutta(0.5), steps=4, tolerance=1e-6)
    >>> limit.nodes, bool(limit.error.max() < 1e-6)
    ((256, 529, 1024, 2116, 4096, 8281), True)
    """
    record = (record,) if isinstance(record, str) else tuple(record)
    goal = number("tolerance", tolerance, above=0.0, remedy="Use 1e-6, say.")
    most = whole("most", most, 4 * _FIRST, remedy="Two doublings are needed to know an error.")
    _check(net, law, method, signs, options)
    watched = ["prediction", *(["test_prediction"] if test is not None else [])]
    record = (*record, *(name for name in watched if name not in record))
    watched += [f"averaged_{name}" for name in watched if method.average]

    tried: list[int] = []
    changes: list[Array] = []
    asked, before = _FIRST, np.empty(0)
    while True:
        start = _quadrature(net, law, data, asked, signs)
        here = options | _folder(options, asked)
        run = simulate(net, start, data, method, steps=steps, record=record, test=test, **here)
        tried.append(len(start.w))
        if run.status != "finished":
            return _told(run, np.full(run.dataset.sizes.get("time", 0), np.inf), tried, changes, goal)
        now = np.concatenate([run.dataset[name].values for name in watched], axis=1)
        rounding = rounding_of(now, options.get("dtype", "float64"))
        if rounding > goal and not _exact(law):
            raise InputError("`tolerance` must be above rounding", f"{goal:g} and {rounding:.1e}", "Use float64.")
        if _exact(law):
            return _told(run, np.full(len(now), rounding), tried, changes, goal)
        if len(before):
            changes.append(np.abs(now - before).max(axis=1))
        error = error_left(changes, rounding) if changes else np.full(len(now), np.inf)
        if error.max() <= goal or 2 * asked > most:
            return _reached(_told(run, error, tried, changes, goal), goal)
        asked, before = 2 * asked, now


def _check(net: Network, law: Law, method: Method, signs: str, options: dict[str, Any]) -> None:
    if net.beta != 1.0:
        remedy = "Use beta=1; the limit at beta=1/2 is the tangent kernel's flow (tangent.limit_gram, tangent.flow)."
        raise InputError("only at `beta` = 1 does the cloud have a mean-field limit", f"beta={net.beta}", remedy)
    if not isinstance(law, Law):
        remedy = "A measure of your own is Atoms(points, weights)."
        raise InputError("`law` must be an initial law that has a quadrature", type(law).__name__, remedy)
    noisy = isinstance(method, Langevin | DualAveraging) and method.temperature != 0.0
    if noisy:
        rule = "a quadrature follows particles that move without noise of their own"
        raise InputError(rule, repr(method), "Compare large finite clouds, or set temperature=0.")
    checked_signs(signs)
    for name in options:
        if name not in OPTIONS:
            raise InputError(
                "options must be those of `simulate` that many runs can share", name, nearest(name, OPTIONS)
            )


def _quadrature(net: Network, law: Law, data: Dataset | Stream, asked: int, signs: str) -> Measure:
    x = net.inputs((data.holdout() if isinstance(data, Stream) else data).x)
    if law.dim != x.shape[1]:
        rule = f"the law must have as many dimensions as the inputs, {x.shape[1]} with a bias counted in"
        raise InputError(rule, f"dim={law.dim}", "Give the law that `dim`.")
    if isinstance(law, Gaussian) and (even := rules.tensor(_equidistant, law.dim, asked)):
        return Atoms(law.mean + law.std * even[0], even[1]).quadrature(1, signs)
    try:
        return law.quadrature(asked, signs, along=x)
    except NotImplementedError as error:
        remedy = "Give its class `rule` or `from_cube`."
        raise InputError("`law` must be an initial law that has a quadrature", repr(law), remedy) from error


def _equidistant(m: int) -> rules.Rule:
    """m equidistant points for N(0, 1), as wide as makes what is cut off and what is aliased about alike.

    As the cloud moves, a particle's place becomes a steep function of where it began, and for steep ones such a rule
    gains digits like m, where Gauss-Hermite gains them like sqrt(m). Measured for tanh in the plane, 6 steps, 2^16
    nodes: an error of 2.7e-9 in place of 2.0e-4; for ReLU on the line, 30 steps, 2^12 nodes: 4.5e-4 in place of 4.7e-3.
    """
    reach = min(_TAIL, np.sqrt(np.pi * m))
    z = reach * (2.0 * np.arange(m) + 1.0 - m) / m
    w = np.exp(-0.5 * z * z)
    return z, w / w.sum()


def _exact(law: Law) -> bool:
    """Whether the law is its atoms, so that no refinement is left."""
    return isinstance(law, Atoms) or (isinstance(law, Sphere) and law.dim == 1)


def _folder(options: dict[str, Any], asked: int) -> dict[str, Any]:
    kept = options.get("checkpoints")
    return {"checkpoints": Path(kept) / f"nodes-{asked}"} if kept is not None else {}


def _told(run: Run, error: Array, tried: list[int], changes: list[Array], goal: float) -> MeanField:
    """The run's dataset with what is known of its error."""
    peaks = tuple(float(change.max()) for change in changes)
    padded = np.array([*[np.nan] * (len(tried) - len(peaks)), *peaks])
    said = {"units": "1", "equation": "3.4"}
    dataset = run.dataset.assign(
        limit_error=(
            "time",
            error,
            {"long_name": "largest error of a prediction, estimated from two doublings", **said},
        ),
        change=("refinement", padded, {"long_name": "largest change of a prediction since half the nodes", **said}),
        nodes=("refinement", np.array(tried), {"long_name": "atoms of the quadratures that were tried", **said}),
    ).assign_attrs(nodes=tried[-1], tolerance=goal, limit_error=float(error.max(initial=0.0)))
    told = Run(dataset, run.measure, run.average, run.left)
    return MeanField(told, error, tuple(tried), peaks)


def _reached(found: MeanField, goal: float) -> MeanField:
    """The same, if it is as good as was asked for."""
    error = float(found.error.max())
    if error <= goal:
        return found
    reached = f"an error of {error:.3g} with {found.nodes[-1]} nodes"
    remedy = "Raise `most`, or ask for less."
    if np.isfinite(error):
        remedy = f"Ask for tolerance={1.1 * error:.2g}, or raise `most`."
    refused = ToleranceError(f"`tolerance` {goal:g} is out of reach here", reached, f"{remedy} `found` has the run.")
    refused.found = found
    raise refused
