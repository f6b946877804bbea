"""One run: a network, a start, data and a method in; a recorded dataset and the last measure out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from particles.checks import numpy_settings
from particles.data.dataset import Dataset, Stream
from particles.errors import DivergedError, InputError
from particles.measures.measure import Measure, Source
from particles.methods.base import Method
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.population import Engine, Local
from particles.simulation.arguments import prepared
from particles.simulation.bar import watched
from particles.simulation.checkpoints import Checkpoints, checkpoints_of
from particles.simulation.record import DEFAULT_RECORD, Entry
from particles.simulation.runner import Progress, Runner, own_files
from particles.simulation.stability import advice
from particles.storage import checkpoint
from particles.storage.predictor import Predictor
from particles.storage.provenance import fingerprint
from particles.storage.run import Run
from particles.storage.run_dataset import dataset_of


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
        net, start, data, method, steps, loss, regulariser, record_every, record, positions, test, dtype, engine
    )
    problem, plan, observer = ready.problem, ready.plan, ready.observer
    config = ready.config() if config is None else config
    key = fingerprint(config)
    saves = checkpoints_of(checkpoints)
    keeper = checkpoint.CheckpointFolder(Path(saves.folder).absolute(), key, saves.keep) if saves else None
    last = Path(final).absolute() if final else None
    if keeper and last == keeper.folder:
        raise InputError("`final` and `checkpoints` must be two folders", f"{last} for both", "Name another.")
    history = ready.history()
    population = (engine or Local()).populate(ready.spec, problem.samples)
    try:
        with watched(progress) as callback:
            seconds = saves.every if saves else 0.0
            given = problem, population, observer, plan.iterations, history
            runner = Runner(*given, keeper, seconds, callback, last, key)
            with own_files(keeper, last, key):
                outcome = runner.run()
    finally:
        population.close()
    targets = {"target": problem.samples.y} | ({"test_target": problem.samples.y_test} if test else {})
    recorded = history, problem.times, observer.names(), targets, config, outcome.status, runner.events
    dataset = dataset_of(*recorded, getattr(data, "classes", ()))
    if "parts" in runner.memory:
        dataset.attrs |= dict(zip(("accepted_parts", "rejected_parts"), runner.memory["parts"].tolist(), strict=True))
    predictor = Predictor.of(problem.net, problem.loss, ready.spec.dtype, data)
    dataset.attrs["model"] = predictor.text()
    run = Run(dataset, outcome.measure, outcome.average, outcome.left, predictor)
    if outcome.error:
        remedy = outcome.error.remedy or advice(problem, ready.spec.start, history.begun)
        diverged = DivergedError(f"the run diverged: {outcome.error}. {remedy}", outcome.error.iteration, remedy)
        diverged.run = run
        raise diverged from outcome.error
    return run
