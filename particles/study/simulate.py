"""One run: a network, a start, data and a method in; a recorded dataset and the last measure out."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from particles.checkpoint import Checkpoints, Row
from particles.checks import whole
from particles.data import Batches, Dataset, Stream, checked_labels
from particles.errors import DivergedError, InputError
from particles.flow import Problem, Snapshot, flow, mean_loss
from particles.losses import Loss, loss as loss_row
from particles.measure import Measure, checked_measure
from particles.methods import Method
from particles.network import Network
from particles.observables import Observer
from particles.population import Local, Population
from particles.regularisers import NONE, Regulariser
from particles.schedules import schedule
from particles.stability import stable_step
from particles.study.provenance import array_hash, fingerprint
from particles.study.results import Run, dataset_of

DEFAULT_RECORD = ("loss", "prediction")
LOG_POINTS = 10  # recorded iterations a decade with record_every="log"
# A loss this many times its first value (plus one) will not come back; far below overflow, so the step is named early.
_HOPELESS = 1e6

# Called with (iteration, steps) as a run goes on; true asks it to stop.
Progress = Callable[[int, int], object]


def simulate(
    net: Network,
    start: Measure,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    loss: str = "squared",
    regulariser: Regulariser | None = None,
    record_every: int | str | Iterable[int] = 1,
    record: Iterable[str] = DEFAULT_RECORD,
    positions: int | None = None,
    test: Dataset | None = None,
    engine: Local | None = None,
    dtype: str = "float64",
    config: dict[str, Any] | None = None,
    checkpoints: str | Path | None = None,
    checkpoint_seconds: float = 30.0,
    progress: Progress | None = None,
) -> Run:
    """Run `steps` iterations of a method and record (3, 3.4; flow time).

    record: names from `particles.OBSERVABLES`, at every k-th iteration, at "log"arithmically spaced ones, or at those
    listed; the first and the last always. positions: how many particles "position" records, the first ones (None: all).
    test: samples for the test_ quantities. config: what is stored as the configuration (None: these arguments).
    checkpoints: a folder; if it holds a state of the same configuration the run goes on from there, with the same bits.
    checkpoint_seconds: the least time between two saves.
    progress: called with (iteration, steps) after each (one-sample SGD: every few milliseconds); a true answer stops
    the run, its state kept in `checkpoints`.

    Raises InputError for bad arguments, DivergedError (its `run` holds what was recorded) when the numbers are lost.
    Ctrl-C returns what was recorded, with status "stopped".
    """
    steps = whole("steps", steps, 0, remedy="Use 0 to look at the start only.")
    record = (record,) if isinstance(record, str) else tuple(record)
    row, rule = loss_row(loss), _one_regulariser(method, regulariser)
    train = data.holdout() if isinstance(data, Stream) else data
    if row.binary:
        checked_labels(train.y)
    inputs = net.inputs(train.x)
    start = checked_measure(start, inputs.shape[1])
    count = len(start.w) if positions is None else whole("positions", positions, 1, len(start.w))
    if test is not None and test.x.shape[1] != train.x.shape[1]:
        raise InputError(
            "`test` must have the training inputs' columns", f"{test.x.shape[1]} for {train.x.shape[1]}", ""
        )
    observer = Observer(record, net, row, rule, train, test, method.average, net.scale(start), count)
    plan = recorded_iterations(steps, record_every)
    rates = schedule(method.step)
    if config is None:
        config = describe(net, data, method, steps, loss, rule, plan, observer, dtype, start)

    population = (engine or Local()).populate(net, start, dtype, method.average, observer.anchored)
    batches = Batches(data, method.batch, method.seed)
    hopeless = _HOPELESS * (_first_loss(population, batches, net, row) + 1.0)
    problem = Problem(net, row, rule, batches, rates.sizes(steps), rates.times(steps), method.average, hopeless)
    keeper = Checkpoints(Path(checkpoints), fingerprint(config)) if checkpoints else None

    def finish(rows: list[Row], status: str) -> Run:
        targets = {"target": train.y} | ({"test_target": test.y} if test else {})
        dataset = dataset_of(rows, problem.times, observer.names(), targets, config, status)
        return Run(dataset, population.measure(), population.measure(averaged=True) if method.average else None)

    rows: list[Row] = []
    status = "finished"
    try:
        for snapshot in _kept(problem, population, observer, plan, keeper, checkpoint_seconds, rows, progress):
            status = "finished" if snapshot.iteration == steps else "stopped"
    except KeyboardInterrupt:
        status = "stopped"
    except DivergedError as error:
        told = DivergedError(
            f"the run diverged: {error}. {_cause(problem, bool(rows), stable_step(net, start, inputs, row, rule))}"
        )
        told.run = finish(rows, "diverged")
        raise told from error
    finally:
        population.close()
    return finish(rows, status)


def _cause(problem: Problem, moved: bool, safe: float) -> str:
    """The likely cause of a divergence and the remedy."""
    if not moved:
        return "No step was taken yet: the data or the start are too large for this float type. Scale them."
    return (
        f"The likely cause is the step: it starts at {problem.sizes[0]:.4g}, and gradient descent is stable at this "
        f"start below about {safe:.4g} (2 / (lam_max / n + weight decay) for the tangent kernel, 3.1; flow time). "
        f"Try step = {safe / 2:.2g}. What was recorded before is kept."
    )


def _kept(
    problem: Problem,
    population: Population,
    observer: Observer,
    plan: list[int],
    keeper: Checkpoints | None,
    seconds: float,
    rows: list[Row],
    progress: Progress | None,
) -> Iterator[Snapshot]:
    """The flow from the newest checkpoint on, its recorded rows appended to `rows`, its state saved now and then."""
    begin, saved, last, steps, asked = 0, 0, time.monotonic(), len(problem.sizes), False
    if keeper and (found := keeper.newest()):
        begin, state, before = found
        population.restore(state)
        rows.extend(before)
        saved = len(rows)
    for snapshot in flow(problem, population, observer, frozenset(plan), begin):
        asked = asked or bool(progress and progress(snapshot.iteration, steps))
        stop = asked and snapshot.whole and snapshot.iteration < steps
        due = snapshot.whole and snapshot.iteration > begin
        if keeper and due and (stop or time.monotonic() - last > seconds):
            # Before this iteration's row: a resumed run records it again.
            keeper.save(snapshot.iteration, population.state(), rows[saved:])
            saved, last = len(rows), time.monotonic()
        if snapshot.values is not None:
            rows.append((snapshot.iteration, snapshot.values))
        yield snapshot
        if stop:
            return


def recorded_iterations(steps: int, every: int | str | Iterable[int]) -> list[int]:
    """The iterations at which to record, always with 0 and `steps`."""
    if isinstance(every, str):
        if every != "log":
            raise InputError('`record_every` must be a whole number, "log", or a list of iterations', repr(every), "")
        decades = np.log10(max(steps, 1))
        points = np.unique(np.round(np.logspace(0, decades, int(decades * LOG_POINTS) + 2)).astype(int))
        return sorted({0, steps, *(int(i) for i in points if i <= steps)})
    if not isinstance(every, Iterable):
        stride = whole("record_every", every, 1, remedy="Use 1 to record every iteration.")
        return sorted({*range(0, steps + 1, stride), steps})
    listed = [whole("record_every", i, 0, steps) for i in every]
    return sorted({0, steps, *listed})


def describe(
    net: Network,
    data: Dataset | Stream,
    method: Method,
    steps: int,
    loss: str,
    rule: Regulariser,
    plan: list[int],
    observer: Observer,
    dtype: str,
    start: Measure,
) -> dict[str, Any]:
    """A configuration for a run that was started from Python: what was passed, arrays by their hash."""
    return {
        "network": repr(net),
        "data": repr(data),
        "samples": array_hash(observer.x, observer.y),
        "test": array_hash(observer.x_test, observer.y_test),
        "start": {"count": len(start.w), "hash": array_hash(*start)},
        "method": repr(method),
        "steps": steps,
        "loss": loss,
        "regulariser": repr(rule),
        "record": [row.name for row in observer.rows],
        "positions": observer.positions,
        "recorded_iterations": plan,
        "dtype": dtype,
    }


def _first_loss(population: Population, batches: Batches, net: Network, row: Loss) -> float:
    x, y = batches.at(0)
    risk = mean_loss(row, population.sum(net.inputs(x)), y)
    return risk if np.isfinite(risk) else 0.0


def _one_regulariser(method: Method, given: Regulariser | None) -> Regulariser:
    own: Regulariser | None = method.regulariser
    if own is not None and given is not None:
        raise InputError(
            f"{type(method).__name__} brings its own regulariser", repr(given), "Use its `weight_decay`, or SGD."
        )
    return own or given or NONE
