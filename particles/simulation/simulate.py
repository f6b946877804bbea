"""One run: a network, a start, data and a method in; a recorded dataset and the last measure out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from particles.checks import in_range, numpy_settings, whole
from particles.data.dataset import Batches, Dataset, Stream, checked_labels
from particles.errors import DivergedError, InputError
from particles.measures.measure import Given, Measure, Source, check_dim, checked_measure, source_of
from particles.methods.base import Method, Problem
from particles.methods.descent import GradientDescent
from particles.methods.schedules import schedule
from particles.model.losses import LOSSES, Loss, loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.model.tables import described
from particles.population.messages import PopulationSpec, population_spec
from particles.population.observables import OBSERVABLES
from particles.population.observer import Observer
from particles.population.population import Engine, Local
from particles.population.samples import Samples
from particles.simulation.bar import watched
from particles.simulation.checkpoints import Checkpoints, checkpoints_of
from particles.simulation.kernel_observer import KernelObserver
from particles.simulation.record import DEFAULT_RECORD, Cadences, Entry, planned
from particles.simulation.runner import Progress, Runner, own_files
from particles.simulation.stability import advice
from particles.storage import checkpoint
from particles.storage.provenance import array_hash, fingerprint
from particles.storage.run import Run, dataset_of

_HASHED = 4096  # atoms of a start that is not in memory


@numpy_settings
def simulate(
    net: Network,
    start: Measure | Source,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    loss: str | Loss = "squared",
    regulariser: Regulariser | None = None,
    record_every: int | str | Iterable[int] = 1,
    record: Entry | Iterable[Entry] = DEFAULT_RECORD,
    positions: int | None = None,
    test: Dataset | None = None,
    engine: Engine | None = None,
    dtype: str = "float64",
    config: dict[str, Any] | None = None,
    checkpoints: Checkpoints | str | Path | None = None,
    progress: Progress | bool | None = None,
    final: str | Path | None = None,
) -> Run:
    r"""Run a method for some iterations and record what happens, in flow time.

    Parameters
    ----------
    net
        The network.
    start
        A measure: M random particles, or a quadrature for M = infinity. Or `law.sample(M, seed, lazy=True)`, whose
        particles are created on the worker that owns them.
    data
        The training samples: n of them, or a stream of fresh ones.
    method
        How the particles move, with its step in flow time.
    steps
        Iterations, >= 0.
    loss
        A name from `mf.LOSSES`, "squared" by default, or an `mf.Loss` of your own.
    regulariser
        h of (2), an `mf.L1` or `mf.L2`; None, the default, for none. Methods with a `weight_decay` bring their own.
    record_every
        When plain names of `record` are recorded: at every k-th iteration (1 by default), at "log" ten a decade, or at
        the iterations that are listed; the first and the last always.
    record
        Names from `mf.OBSERVABLES`, "loss" and "prediction" by default. An `mf.Observable` of your own and an
        `mf.Record`, which has a cadence of its own, may be among them.
    positions
        How many particles "position" records, the first ones; None, the default, for all.
    test
        Samples for the quantities whose names begin with `test_`.
    engine
        Where it runs: `mf.Local(threads)`, the default, or `mf.Ray(shards)`. The numbers are the same.
    dtype
        "float64", the default, or "float32" of the particles and of the loops over them. Sums over blocks are float64.
    config
        What is stored as the configuration; by default these arguments.
    checkpoints
        A folder, or `mf.Checkpoints(folder, every=seconds)`. If it holds a state of the same configuration, the run
        goes on from there with the same bits.
    progress
        A function, called with (iteration, steps) after each iteration (one-sample SGD: every few milliseconds; a
        divided step: after each part). A true answer stops the run, its state kept in `checkpoints`. True shows a bar
        on a terminal or in a notebook, and nothing elsewhere.
    final
        A folder in which each shard writes its own particles of the last measure instead of sending them here. The file
        that the run is saved to refers to the folder, and `mf.open_run` reads both.

    Returns
    -------
    Run
        What was recorded, and the last measure.

    Raises
    ------
    InputError
        For arguments that do not fit together.
    DivergedError
        When a value is no longer finite or the loss diverges; its `run` has what was recorded.
    StorageError
        For a checkpoint that cannot be written, or not be read now. The checkpoint stays, and nothing begins anew.
    KeyboardInterrupt
        If Ctrl-C is pressed twice. The checkpoints are what is left.

    Notes
    -----
    Descent under an L2 regulariser of weight lam moves each particle by `eta v`, with

    .. math:: v(s, b) = -\frac{s}{\alpha} E[l'(g, y) \, \sigma'(b \cdot x) \, x] - \lambda b

    so that runs of different M share the time axis `t = eta * iteration`.

    Ctrl-C ends the run after the iteration under way, and what was recorded is returned with the status "stopped". Of a
    step that a tolerance divides only the part under way is finished, and the step is undone.

    References
    ----------
    Equations (2), (3), (4); section 3.4.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(64, seed=0), data, mf.GradientDescent(0.5), steps=20, record_every=10)
    >>> run.dataset["loss"].values.round(3)
    array([0.108, 0.011, 0.002])
    """
    ready = prepared(
        net, start, data, method, steps, loss, regulariser, record_every, record, positions, test, engine, dtype
    )
    problem, plan, observer = ready.problem, ready.plan, ready.observer
    config = ready.config() if config is None else config
    key = fingerprint(config)
    saves = checkpoints_of(checkpoints)
    keeper = checkpoint.Checkpoints(Path(saves.folder).absolute(), key, saves.keep) if saves else None
    last = Path(final).absolute() if final else None
    if keeper and last == keeper.folder:
        raise InputError("`final` and `checkpoints` must be two folders", f"{last} for both", "Name another.")
    population = (engine or Local()).populate(ready.spec, problem.samples)
    try:
        with watched(progress) as told:
            seconds = saves.every if saves else 0.0
            runner = Runner(problem, population, observer, plan.iterations, keeper, seconds, told, last, key)
            with own_files(keeper, last, key):
                outcome = runner.run()
    finally:
        population.close()
    targets = {"target": problem.samples.y} | ({"test_target": problem.samples.y_test} if test else {})
    dataset = dataset_of(
        runner.rows, problem.times, observer.names(), targets, config, outcome.status, runner.events, plan.groups
    )
    if "parts" in runner.memory:
        dataset.attrs |= dict(zip(("accepted_parts", "rejected_parts"), runner.memory["parts"].tolist(), strict=True))
    run = Run(dataset, outcome.measure, outcome.average, outcome.left)
    if outcome.error:
        remedy = outcome.error.remedy or advice(problem, ready.spec.start, bool(runner.rows))
        diverged = DivergedError(f"the run diverged: {outcome.error}. {remedy}", outcome.error.iteration, remedy)
        diverged.run = run
        raise diverged from outcome.error
    return run


class Prepared(NamedTuple):
    """The arguments of a run, checked; nothing is computed yet."""

    problem: Problem
    spec: PopulationSpec
    plan: Cadences
    observer: Observer
    data: Dataset | Stream

    def config(self) -> dict[str, Any]:
        """A configuration for a run that was started from Python: what was passed, arrays by their hash."""
        problem, start, groups = self.problem, self.spec.start, self.plan.groups
        samples = problem.samples
        cadences = {dim: (at, [described(row, OBSERVABLES) for row in rows]) for dim, (at, rows) in groups.items()}
        return {
            "network": repr(problem.net),
            "data": repr(self.data),
            "samples": array_hash(samples.x, samples.y),
            "test": array_hash(samples.x_test, samples.y_test),
            "start": {"count": start.count, "hash": _start_hash(start)},
            "method": repr(problem.method),
            "steps": len(problem.sizes),
            "loss": described(problem.loss, LOSSES),
            "regulariser": repr(problem.regulariser),
            "record": [described(row, OBSERVABLES) for row in self.observer.rows],
            "positions": self.observer.positions,
            "recorded_iterations": self.plan.iterations,
            "dtype": self.spec.dtype,
        } | ({"cadences": cadences} if len(groups) > 1 else {})


def prepared(
    net: Network,
    start: Measure | Source,
    data: Dataset | Stream,
    method: Method,
    steps: int,
    loss: str | Loss = "squared",
    regulariser: Regulariser | None = None,
    record_every: int | str | Iterable[int] = 1,
    record: Entry | Iterable[Entry] = DEFAULT_RECORD,
    positions: int | None = None,
    test: Dataset | None = None,
    engine: Engine | None = None,
    dtype: str = "float64",
) -> Prepared:
    """What the arguments of `simulate` come to; InputError where one of them is wrong."""
    steps = whole("steps", steps, 0, remedy="Use 0 to look at the start only.")
    plan = planned(record, record_every, positions, steps)
    if not isinstance(regulariser, Regulariser | None):
        rule_of = "`regulariser` must be an mf.L1 or mf.L2, or a subclass"
        raise InputError(rule_of, repr(regulariser), "The kernels know no other.")
    row, rule = loss_row(loss), method.rule(regulariser)
    method.check(net, rule)
    samples = _samples(net, data, method, test)
    if row.binary:
        checked_labels(samples.y)
    source = _checked_source(start, samples.x.shape[1])
    count = source.count if plan.particles is None else whole("positions", plan.particles, 1, source.count)
    rates = schedule(method.step)
    here = engine if isinstance(engine, Local) else Local()
    kernel = KernelObserver(net, source, samples, row, rule, rates, plan.iterations, here)
    if "kernel_distance" in plan.names:
        kernel.check(isinstance(method, GradientDescent))
    observer = Observer(plan.due, net, row, rule, samples, method.average, count, kernel)
    spec = population_spec(net, source, dtype, method.average, observer.anchored, method.weighing)
    for name, values in (("x", samples.x), ("y", samples.y), ("`test`", samples.x_test)):
        in_range(name, values, dtype)
    problem = Problem(net, row, rule, samples, method, rates.sizes(steps), rates.times(steps))
    return Prepared(problem, spec, plan, observer, data)


def _samples(net: Network, data: Dataset | Stream, method: Method, test: Dataset | None) -> Samples:
    """The samples of a run as its network sees them."""
    train = data.holdout() if isinstance(data, Stream) else data
    if test is not None and test.x.shape[1] != train.x.shape[1]:
        raise InputError(
            "`test` must have the training inputs' columns", f"{test.x.shape[1]} for {train.x.shape[1]}", ""
        )
    return Samples(net, Batches(data, method.batch, method.seed), train, test)


def _checked_source(start: Measure | Source, dim: int) -> Source:
    """The start as a source of particles on R^dim."""
    if isinstance(start, Given):
        start = start.measure
    if isinstance(start, Measure):
        return source_of(checked_measure(start, dim))
    check_dim(start.dim, dim)
    return start


def _start_hash(start: Source) -> str:
    """What tells starts apart: all atoms of a measure; of one that is made as needed, its first atoms."""
    if isinstance(start, Given):
        return array_hash(*start.measure)
    first = min(start.count, _HASHED)
    return array_hash(*start.part(0, first), *start.part(start.count - 1, start.count))
