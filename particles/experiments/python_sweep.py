"""`mf.sweep`: the runs of a configuration's lists, from a call with objects."""

import atexit
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from numpy.typing import NDArray

from particles.checks import numpy_settings
from particles.data.dataset import Dataset, Stream
from particles.experiments import outputs
from particles.experiments.folder import settle
from particles.experiments.object_plan import object_plan
from particles.experiments.parts import alone, work_of
from particles.experiments.plan import Case
from particles.experiments.records import Records
from particles.experiments.sweep import Outcome, run_sweep
from particles.experiments.sweep_dataset import open_planned
from particles.files.atomic import make_folder
from particles.measures.laws import Law
from particles.measures.measure import Measure, Source
from particles.methods.base import Method
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.population import Engine, Local
from particles.population.ray.engine import Ray
from particles.simulation.arguments import check_engine
from particles.simulation.bar import is_shown
from particles.simulation.interrupt import interruptible
from particles.simulation.record import DEFAULT_RECORD, Entry, entries

if TYPE_CHECKING:
    import xarray

T = TypeVar("T")
OneOrMany: TypeAlias = T | Sequence[T] | NDArray[Any]


@numpy_settings
def sweep(
    net: OneOrMany[Network],
    law: OneOrMany[Law | Measure | Source],
    data: OneOrMany[Dataset | Stream],
    method: OneOrMany[Method],
    *,
    steps: OneOrMany[int],
    count: OneOrMany[int] | None = None,
    seed: OneOrMany[int] = 0,
    signs: OneOrMany[str] = "positive",
    limit: int | None = None,
    fluctuations: int | None = None,
    loss: OneOrMany[str | Loss] = "squared",
    regulariser: OneOrMany[Regulariser | None] = None,
    record_every: int | str | Iterable[int] = 1,
    record: Entry | Iterable[Entry] = DEFAULT_RECORD,
    positions: int | None = None,
    test: Dataset | None = None,
    dtype: OneOrMany[str] = "float64",
    out: str | Path | None = None,
    engine: Engine | None = None,
    progress: bool = False,
) -> "xarray.Dataset":
    r"""Run every combination of the arguments that are lists, and open the results as one dataset.

    Parameters
    ----------
    net, law, data, method
        A network, the law of its start, the samples and the method. `law` may also be a measure, or a lazy sample, to
        start from.
    steps
        Iterations of each run.
    count
        The number of particles M. It is needed with a law.
    seed, signs
        Of the start, as `law.sample` takes them.
    limit
        Quadrature nodes for M = infinity. Beside the finite networks with `beta=1` the limit is run twice, with this
        many nodes and with double. None: it is not run.
    fluctuations
        Quadrature nodes on which theory's prediction is computed of how networks fluctuate about their limit, with
        `mf.sensitivity` and 64 draws of `mf.fluctuations`; 0 for none. None, the default: 512, or `limit` if that is
        less. There is none for what has no derivative, and for ReLU with moving inputs; the comparison then says why.
    loss, regulariser, record_every, record, positions, test, dtype
        As in `simulate`.
    out
        A folder for the results. Each run has its own file; finished runs are kept, so that the same call goes on
        after an interruption, and a call with more values runs only what is new. None: a temporary folder, which is
        removed when the program ends.
    engine
        `Local(threads)`: the runs share the threads. `Ray()`: each run is a task on one core of the cluster, whose
        machines must all see the folder `out`. `Ray(shards)`: the runs one after another, each in so many shards.
    progress
        Show a bar on a terminal or in a notebook.

    Returns
    -------
    xarray.Dataset
        As `open_sweep(out)` has it: each list is a dimension, and `status` says how each run ended. `ds.mf.exponent()`
        and `ds.mf.compare()` find the limit.

        A warning names each run that diverged (its values are there up to then) or failed ("missing"). Ctrl-C stops
        runs after the iteration under way ("missing"), and what is there is returned.

    Raises
    ------
    InputError
        For arguments that a run would refuse, before the first run; for a list that is empty or has a value twice; for
        more than 100 000 runs; and for a limit where there is none: with noise, or with no network of `beta=1`.
    StorageError
        Where the folder cannot be written, or another process uses it.

    Notes
    -----
    Lists, tuples, ranges and arrays of rank 1 are axes, but not those of `record`, `record_every`, `positions`, `test`,
    `limit` and `fluctuations`. Where objects in a list differ in exactly one field the axis has the name of that field
    and its values: `method=[mf.GradientDescent(0.1), mf.GradientDescent(0.5)]` is the axis `step`. Otherwise it has the
    name of the section in a configuration (`network`, `law`, `data`, `method`, `regulariser`), and texts for values.
    Axes are in a configuration's order: steps, loss, dtype, data, network, law, start, method, regulariser.

    The result is that of the same lists in a configuration, to the bit. Only the attributes `config`, `config_hash`,
    `folder` and `limits` differ: here a configuration has arrays by their hashes, and files are named by it.

    Examples
    --------
    >>> net, law, method = mf.Network("tanh"), mf.Gaussian(2), mf.GradientDescent(0.5)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> ds = mf.sweep(net, law, data, method, steps=4, count=[16, 64, 256], seed=range(3), limit=400)
    >>> ds["loss"].dims, round(ds.mf.exponent().value, 1)
    (('count', 'seed', 'time'), -0.6)
    """
    folder = None if out is None else Path(out).absolute()
    if isinstance(record_every, Iterable) and not isinstance(record_every, str):
        record_every = tuple(record_every)
    arguments = {
        "net": net, "law": law, "data": data, "method": method, "steps": steps, "count": count, "seed": seed,
        "signs": signs, "loss": loss, "regulariser": regulariser, "record_every": record_every,
        "record": entries(record), "positions": positions, "test": test, "dtype": dtype,
    }  # fmt: skip
    check_engine(engine)
    plan = object_plan(folder.name if folder else "sweep", limit, arguments, fluctuations)
    threads, tasks, particles = _engines(engine)
    folder = folder or _temporary()
    make_folder(folder)
    with alone(folder):
        whole, notice = settle(plan, folder)
        if notice:
            warnings.warn(notice, stacklevel=2)
        records = Records(folder)
        held = engine.held() if isinstance(engine, Ray) else nullcontext()
        with held, _Bar(progress) as bar, interruptible() as stop:
            outcomes = run_sweep(plan, folder, bar, threads, stop=stop, tasks=tasks, engine=particles, records=records)
        _warn(outcomes)
        if whole and not stop.is_set():
            outputs.update(whole, folder, records)
    return open_planned(plan, folder)


def _warn(outcomes: list[Outcome]) -> None:
    """Say which runs did not finish."""
    for outcome in outcomes:
        if outcome.status in ("diverged", "failed"):
            warnings.warn(f"{outcome.case} {outcome.status}: {outcome.message}", stacklevel=3)
    if stopped := sum(outcome.status == "stopped" for outcome in outcomes):
        remedy = "The same call goes on from their checkpoints if `out` is a folder."
        warnings.warn(f"{stopped} of {len(outcomes)} runs were stopped. {remedy}", stacklevel=3)


def _engines(engine: Engine | None) -> tuple[int | None, Engine | None, Engine | None]:
    """The threads of this machine, whose tasks the runs are, and where each one's particles go."""
    if engine is None or isinstance(engine, Local):
        return None if engine is None else engine.threads, None, None
    if isinstance(engine, Ray) and engine.shards:
        return None, Local(1), engine
    return None, engine, Local(1)


def _temporary() -> Path:
    folder = tempfile.mkdtemp(prefix="particles-sweep-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class _Bar:
    """tqdm's bar over all runs, in particle-steps, so that large runs weigh more; nothing unless it is shown.

    Its words are the runs done and the time left.
    """

    def __init__(self, shown: bool) -> None:
        self.shown, self.lock = shown and is_shown(), threading.Lock()
        self.bar: Any = None
        self.at: dict[str, int] = {}
        self.runs = self.ended = 0

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def begin(self, cases: list[Case], todo: list[Case]) -> None:
        if self.shown:
            from tqdm import tqdm

            self.runs = len(todo)
            words = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}, {remaining} left, {rate_fmt}]"
            unit = {"unit": " particle-steps", "unit_scale": True}
            self.bar = tqdm(total=sum(map(work_of, todo)), **unit, bar_format=words, dynamic_ncols=True)
            self.bar.set_description_str(self._done())

    def _done(self) -> str:
        return f"sweep, {self.ended} of {self.runs} runs done"

    def step(self, case: Case, iteration: int, steps: int) -> None:
        """A run has taken another step; called from its thread."""
        if self.bar is not None:
            done = case.work * iteration
            with self.lock:
                self.bar.update(done - self.at.get(case.key, 0))
                self.at[case.key] = done

    def end(self, outcome: Outcome) -> None:
        if self.bar is not None:
            with self.lock:
                self.ended += 1
                self.bar.set_description_str(self._done())
