"""The limit M = infinity to a stated tolerance (3.4): runs on rules of the law, refined until their scatter is small.

A run of `simulate` on N weighted atoms stands for all particles of the law as far as N goes. Several rules of one size,
whose errors are independent, tell how far that is (`theory.refinement`); then one run on all their nodes is the answer.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from particles.analysis.limit_runs import Limit, check
from particles.checks import number, numpy_settings, whole
from particles.data.dataset import Dataset, Stream
from particles.errors import InputError, nearest
from particles.measures import quadrature
from particles.measures.laws import Law
from particles.measures.measure import Array
from particles.methods.base import Method
from particles.model.network import Network
from particles.simulation.record import DEFAULT_RECORD, Entry, entries
from particles.storage.run import Run
from particles.theory.tangent.refinement import Level, following, out_of_reach, reachable

_FIRST = 2**10  # nodes of the first level, of all its rules together
NORMS = ("max", "rms")


class MeanField(NamedTuple):
    """The limit's run on the finest quadrature, and its error.

    Attributes
    ----------
    run
        The run.
    error : (T,)
        At every recorded time the largest error of a prediction over the samples, and outputs, with 95% confidence at
        each time.
    nodes
        How many nodes were tried, all rules of a level together; the last are those of `run`.
    errors
        What each level stated, the largest over time, in the norm that `mf.mean_field` was given; the last is that of
        `run`.
    rms : (T,)
        As `error`, for the root mean square over the samples, and outputs.
    """

    run: Run
    error: Array
    nodes: tuple[int, ...]
    errors: tuple[float, ...]
    rms: Array


class ToleranceError(InputError):
    """The tolerance is out of reach of the nodes that were allowed.

    Attributes
    ----------
    result
        The `MeanField` that was reached.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> try:
    ...     mf.mean_field(net, law, data, mf.RungeKutta(0.5), steps=4, tolerance=1e-6, most=1024)
    ... except mf.ToleranceError as error:
    ...     print(error.result.nodes, bool(error.result.error.max() < 0.01))
    (1024,) True
    """

    result: MeanField | None = None


@numpy_settings
def mean_field(
    net: Network,
    law: Law,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    tolerance: float = 1e-6,
    norm: str = "max",
    signs: str = "positive",
    record: Entry | Iterable[Entry] = DEFAULT_RECORD,
    test: Dataset | None = None,
    most: int = 2**20,
    **options: Any,
) -> MeanField:
    """The run of the law itself, M = infinity (3.4, beta = 1), with an error of its predictions below `tolerance`.

    Parameters
    ----------
    net
        The network, with beta = 1.
    law
        The initial law `mu0`.
    data
        The training samples, or a stream.
    method
        The method; noisy ones have no such run. It is the limit of the steps as they are: `mf.GradientDescent(step)`
        keeps its step, and `mf.RungeKutta` goes on to the flow.
    steps
        Iterations.
    tolerance
        The error to reach at every recorded time, 1e-6 by default.
    norm
        Which error: "max" or "rms" over the samples of the training and the test set, and over the outputs where there
        are several. Both are stated.
    signs
        As in `law.quadrature`. Output weights of "unit" and "gaussian", and those of several outputs other than
        "positive" and "joint", are further dimensions of the rules, which are then Sobol points.
    record
        Observables, as in `mf.simulate`.
    test
        A test set.
    most
        The most nodes of the answer, 2^20 by default; the rules that it is compared with have as many together.
    **options
        Those of `mf.simulate`; checkpoints are in a folder for each run.

    Returns
    -------
    MeanField
        The run and its error. The dataset also has `limit_error` and `limit_rms` (time), `nodes` and `refinement_error`
        (refinement), and the attributes nodes, tolerance and limit_error. After Ctrl-C it is the last run, with an
        infinite error only if it was of the very first rules.

    Raises
    ------
    ToleranceError
        If `most` nodes are not enough; its `result` has what was reached.
    InputError
        For beta < 1, for noisy methods, and for what has no quadrature.

    Notes
    -----
    Eight independent Sobol scrambles of N nodes are run (in up to three dimensions four shifted or turned tensor
    rules), and N grows until Student's 95% interval of their mean is narrow enough. The answer is one run on all their
    nodes in one rule, its error that interval; no rate of convergence is assumed. From the second level on the rate is
    measured, to choose the next N and to tell early what `most` nodes can reach.

    References
    ----------
    Section 3.4: `g_mu(x) = E_{b~mu}[sigma(b.x)]`, of k outputs `E_{(a, b)~mu}[a sigma(b.x)]`, and the flow of `mu`.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> limit = mf.mean_field(net, law, data, mf.RungeKutta(0.5), steps=4, tolerance=1e-6)
    >>> limit.nodes, bool(limit.error.max() < 1e-6)
    ((1024, 4096, 16384), True)

    Of two classes with an output each, whose output weights are one of the law's random directions:

    >>> labels = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], ["cat", "dog"])
    >>> net, options = mf.Network("tanh", outputs=2), {"steps": 4, "loss": "softmax", "signs": "unit"}
    >>> limit = mf.mean_field(net, law, labels, mf.GradientDescent(0.5), tolerance=0.01, **options)
    >>> limit.run.dataset["prediction"].dims, bool(limit.error.max() < 0.01)
    (('time', 'sample', 'output'), True)
    """
    record = entries(record)
    goal = number("tolerance", tolerance, above=0.0, remedy="Use 1e-6, say.")
    most = whole("most", most, _FIRST, remedy="Several rules are needed to know an error.")
    if norm not in NORMS:
        raise InputError(f"`norm` must be one of {', '.join(NORMS)}", repr(norm), nearest(str(norm), NORMS))
    check(net, law, method, signs, options)
    watched = ["prediction", *(["test_prediction"] if test is not None else [])]
    known = [getattr(entry, "name", entry) for entry in record]
    record = (*record, *(name for name in watched if name not in known))
    given = {"data": data, "method": method, "steps": steps, "test": test}
    limit = Limit(net, law, given, signs, record, tuple(watched), options)
    if limit.exact:
        run, atoms = limit.run(1)
        rounding = np.full((2, run.dataset.sizes.get("time", 0)), limit.rounding(run))
        return _known(run, atoms, rounding, [], goal)
    return _refined(limit, goal, NORMS.index(norm), most)


def _refined(limit: Limit, goal: float, norm: int, most: int) -> MeanField:
    """Levels of growing size until the scatter of one is small enough, then one run on as many nodes."""
    count, nodes, levels = limit.replicates, _FIRST, list[Level]()
    sobol = count == quadrature.SCRAMBLES
    width = np.empty((2, 0))  # of the mean of a level, in both norms
    while True:
        values: list[Array] = []
        for replicate in range(count):
            run, atoms = limit.run(nodes // count, replicate)
            if run.status != "finished":
                return _known(run, atoms, _single(run, values, width * np.sqrt(count)), levels, goal)
            values.append(limit.values(run))
        if (rounding := limit.rounding(run)) > goal:
            raise InputError("`tolerance` must be above rounding", f"{goal:g} and {rounding:.1e}", "Use float64.")
        width = _norms(quadrature.half_width(values)) + rounding
        levels.append(Level(nodes, float(width[norm].max())))
        lost = 2 * nodes > most or out_of_reach(levels, goal, most, sobol)
        if lost or levels[-1].error <= goal:
            run, atoms = limit.run(nodes)
            error = _both(width, limit.values(run), values)
            levels[-1] = Level(nodes, float(error[norm].max(initial=0.0)))
            reached = _known(run, atoms, error, levels, goal)
            if run.status != "finished" or levels[-1].error <= goal:
                return reached
            if lost or out_of_reach(levels, goal, most, sobol):
                raise _refused(reached, levels, goal, most, sobol)
        nodes = following(levels, nodes, goal, most, sobol)


def _norms(apart: Array) -> Array:
    """The largest and the root mean square over samples and outputs: (T, n k) -> (2, T)."""
    return np.stack([np.abs(apart).max(axis=1), np.sqrt(np.mean(apart**2, axis=1))])


def _both(width: Array, answer: Array, values: list[Array]) -> Array:
    """The interval's width with the answer's distance from the mean of the rules, in squares, as far as it went."""
    T = len(answer)
    return np.hypot(width[:, :T], _norms(answer - np.mean(values, axis=0)[:T]))


def _single(run: Run, values: list[Array], before: Array) -> Array:
    """The error of a run on one rule that was stopped: by the other rules of its size, or by the level before."""
    T = run.dataset.sizes.get("time", 0)
    if len(values) > 1:
        before = _norms(quadrature.half_width(values) * np.sqrt(len(values)))
    return before[:, :T] if before.size else np.full((2, T), np.inf)


def _known(run: Run, atoms: int, error: Array, levels: list[Level], goal: float) -> MeanField:
    """The run's dataset with what is known of its error: (2, T), in both norms."""
    tried = (*(level.nodes for level in levels[:-1]), atoms)
    errors = tuple(level.error for level in levels)
    labels = {"units": "1", "equation": "3.4"}
    padded = np.array([*errors, *[np.nan] * (len(tried) - len(errors))])
    largest = "error of a prediction over the samples, 95% confidence, largest"
    mean = "error of predictions over the samples, 95% confidence, root mean square"
    level = "error stated with so many nodes, largest over time"
    dataset = run.dataset.assign(
        limit_error=("time", error[0], {"long_name": largest, **labels}),
        limit_rms=("time", error[1], {"long_name": mean, **labels}),
        refinement_error=("refinement", padded, {"long_name": level, **labels}),
        nodes=("refinement", np.array(tried), {"long_name": "atoms of the rules that were tried", **labels}),
    ).assign_attrs(nodes=atoms, tolerance=goal, limit_error=float(error[0].max(initial=0.0)))
    known = replace(run, dataset=dataset)
    return MeanField(known, error[0], tried, errors, error[1])


def _refused(result: MeanField, levels: list[Level], goal: float, most: int, sobol: bool) -> ToleranceError:
    """What was reached, and what the last rate promises of all nodes that are allowed."""
    nodes, error = levels[-1]
    reached, ask = f"an error of {error:.3g} with {nodes} nodes", 1.1 * error
    if 4 * nodes <= most:
        ask = reachable(levels, most, sobol)
        reached += f", about {ask:.2g} in sight with {most}"
    remedy = f"Ask for tolerance={1.1 * ask:.2g}, or raise `most`."
    refused = ToleranceError(f"`tolerance` {goal:g} is out of reach here", reached, f"{remedy} `result` has the run.")
    refused.result = result
    return refused
