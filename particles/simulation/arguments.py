"""The arguments of a run, checked before anything is computed, and the configuration that tells it from others."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from particles.checks import in_range, whole
from particles.data.batches import Batches
from particles.data.dataset import Dataset, Stream
from particles.errors import InputError
from particles.measures.laws import Law
from particles.measures.measure import Given, Measure, Source, check_dim, checked_measure, source_of
from particles.methods.base import Method, Problem, Stepper
from particles.methods.descent import GradientDescent
from particles.methods.schedules import schedule
from particles.model.losses import LOSSES, Loss, loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.model.tables import described, stated
from particles.population.messages import PopulationSpec, population_spec
from particles.population.observables import OBSERVABLES
from particles.population.observer import Observer
from particles.population.population import Engine, Local
from particles.population.samples import Samples
from particles.population.targets import check_targets, check_width, checked_shares
from particles.simulation.kernel_observer import KernelObserver
from particles.simulation.record import Cadences, Entry, planned
from particles.storage.history import History, Table
from particles.storage.provenance import array_hash

_HASHED = 4096  # atoms of a start that is not in memory


class Prepared(NamedTuple):
    """The arguments of a run, checked; nothing is computed yet."""

    problem: Problem
    spec: PopulationSpec
    plan: Cadences
    observer: Observer
    data: Dataset | Stream

    def history(self) -> History:
        """Where what is recorded goes, by cadence."""
        names, groups = self.observer.names(), self.plan.groups
        return History(
            {dim: Table(at, [name for name, row in names if row in rows]) for dim, (at, rows) in groups.items()}
        )

    def config(self) -> dict[str, Any]:
        """A configuration for a run that was started from Python: what was passed, arrays by their hash."""
        problem, start, groups = self.problem, self.spec.start, self.plan.groups
        samples = problem.samples
        classes = list(getattr(self.data, "classes", ()))
        cadences = {dim: (at, [described(row, OBSERVABLES) for row in rows]) for dim, (at, rows) in groups.items()}
        return (
            {
                "network": repr(problem.net),
                "data": repr(self.data),
                "samples": array_hash(samples.x, samples.y),
                "test": array_hash(samples.x_test, samples.y_test),
                "start": {"count": start.count, "hash": _start_hash(start)},
                "method": stated(problem.method),
                "steps": len(problem.sizes),
                "loss": described(problem.loss, LOSSES),
                "regulariser": repr(problem.regulariser),
                "record": [described(row, OBSERVABLES) for row in self.observer.rows],
                "positions": self.observer.positions,
                "recorded_iterations": self.plan.iterations,
                "dtype": self.spec.dtype,
            }
            | ({"cadences": cadences} if len(groups) > 1 else {})
            | ({"classes": classes} if classes else {})
        )


def prepared(
    net: Network,
    start: Measure | Source,
    data: Dataset | Stream,
    method: Method,
    steps: int,
    loss: str | Loss,
    regulariser: Regulariser | None,
    record_every: int | str | Iterable[int],
    record: Entry | Iterable[Entry],
    positions: int | None,
    test: Dataset | None,
    dtype: str,
    engine: Engine | None = None,
) -> Prepared:
    """What the arguments of `simulate` come to; InputError where one of them is wrong."""
    steps = whole("steps", steps, 0, remedy="Use 0 to look at the start only.")
    plan = planned(record, record_every, positions, steps)
    if not isinstance(regulariser, Regulariser | None):
        rule_of = "`regulariser` must be an mf.L1 or mf.L2, or a subclass"
        raise InputError(rule_of, repr(regulariser), "The kernels know no other.")
    check_parts(net, data, test)
    check_engine(engine)
    _check_method(method)
    row, rule = loss_row(loss), method.rule(regulariser)
    method.check(net, rule)
    samples = _samples(net, data, method, test)
    check_targets(net, row, samples.y)
    if test is not None:
        check_width(net, samples.y_test, "`test`'s y")
        if row.classes:
            checked_shares(samples.y_test)
    source = _checked_source(start, samples.x.shape[1])
    count = source.count if plan.particles is None else whole("positions", plan.particles, 1, source.count)
    rates = schedule(method.step)
    here = engine if isinstance(engine, Local) else Local()
    kernel = KernelObserver(net, source, samples, row, rule, rates, plan.iterations, here)
    if "kernel_distance" in plan.names:
        kernel.check(isinstance(method, GradientDescent))
    observer = Observer(plan.due, net, row, rule, samples, method.average, count, kernel)
    spec = population_spec(net, source, dtype, method.average, observer.anchored, method.weighing)
    _check_told_apart(net, source)
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
    if test is not None and test.classes and train.classes and test.classes != train.classes:
        got, here = (", ".join(map(str, each.classes[:5])) for each in (test, train))
        remedy = "Give both the same `classes`, or split one data set."
        raise InputError("`test` must have the training data's classes, in their order", f"{got} for {here}", remedy)
    return Samples(net, Batches(data, method.batch, method.seed), train, test)


def check_parts(net: object, data: object, test: object) -> None:
    """InputError for what is no network and no samples."""
    if not isinstance(net, Network):
        raise InputError("`net` must be an mf.Network", repr(net), 'Give mf.Network("tanh"), say.')
    if not isinstance(data, Dataset | Stream):
        raise InputError("`data` must be an mf.Dataset or an mf.Stream", type(data).__name__, "Give mf.Dataset(x, y).")
    if not isinstance(test, Dataset | None):
        raise InputError("`test` must be an mf.Dataset, or None", type(test).__name__, "Give mf.Dataset(x, y).")


def check_engine(engine: object) -> None:
    """InputError for what holds no population: a number of threads, say."""
    if engine is not None and not hasattr(engine, "populate"):
        raise InputError("`engine` must be an mf.Local or an mf.Ray", repr(engine), "Give mf.Local(threads=2), say.")


def _check_method(method: object) -> None:
    """InputError for what is no method's settings."""
    if not isinstance(method, Method):
        got = f"the class {method.__name__}" if isinstance(method, type) else repr(method)
        raise InputError("`method` must be an mf.Method with its settings", got, "Give mf.GradientDescent(0.1), say.")
    if not issubclass(getattr(method, "stepper", type(None)), Stepper):
        rule = f"the method {type(method).__name__} must have a `stepper`, a subclass of mf.Stepper"
        raise InputError(rule, repr(getattr(method, "stepper", None)), "docs/extending.md has an example.")


def _checked_source(start: Measure | Source, dim: int) -> Source:
    """The start as a source of particles on R^dim."""
    check_start(start)
    if isinstance(start, Given):
        start = start.measure
    if isinstance(start, Measure):
        return source_of(checked_measure(start, dim))
    check_dim(start.dim, dim)
    return start


def check_start(start: object) -> None:
    """InputError for what is no particles: a law, or their positions alone."""
    if isinstance(start, Law) or not (isinstance(start, Measure) or hasattr(start, "part")):
        got = repr(start) if isinstance(start, Law) else type(start).__name__
        remedy = "Draw it: law.sample(M, seed=0)."
        raise InputError("`start` must be a measure, or a lazy sample", got, remedy)


def _check_told_apart(net: Network, start: Source) -> None:
    """InputError for several outputs that would stay one: equal weights to all of them, which do not train."""
    if net.outputs == 1 or "output" in net.train:
        return
    _, s = start.part(0, min(start.count, _HASHED))
    if (s == s[:, :1]).all():
        rule = "output weights that do not train must tell the outputs apart"
        remedy = 'Use the `signs` "random", "unit" or "gaussian" where they are drawn.'
        raise InputError(rule, "the same weight to all outputs at every particle", remedy)


def _start_hash(start: Source) -> str:
    """What tells starts apart: all atoms of a measure; of one that is made as needed, its first atoms."""
    if isinstance(start, Given):
        return array_hash(*start.measure)
    first = min(start.count, _HASHED)
    return array_hash(*start.part(0, first), *start.part(start.count - 1, start.count))
