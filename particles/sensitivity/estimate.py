"""`mf.estimate`: mean, variance and bias over starts of what a finite network measures, to a tolerance (3.4)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from particles.checks import number, numpy_settings, whole
from particles.data.dataset import Dataset, Stream
from particles.errors import InputError, nearest
from particles.measures.laws import Law
from particles.measures.measure import Array
from particles.measures.output_weights import checked_count
from particles.measures.quadrature import SCRAMBLES
from particles.measures.random_streams import checked_seed
from particles.methods.base import Method
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.observables import Observable, observable
from particles.population.population import Engine
from particles.sensitivity.answer import answer, dataset_of
from particles.sensitivity.choice import NAMES, Choice
from particles.sensitivity.excluded import excluded
from particles.sensitivity.starts import Asked, Starts
from particles.simulation.arguments import check_parts

if TYPE_CHECKING:
    import xarray


class Estimate(NamedTuple):
    """What finite networks measure over their starts, with 95% intervals, each entry by itself.

    A number, or an array (time, ...) with the dimensions of the observable; the time only with `record_every`.

    Attributes
    ----------
    mean
        E F_M, over independent starts of M particles.
    error
        Half of its interval, at most the tolerance.
    variance
        Var F_M.
    variance_interval
        Its lower and its upper end.
    bias
        E F_M - F_inf, how far the mean is from the limit's; NaN where there is no limit, or M has no quarters.
    bias_error
        Half of its interval.
    estimator
        "plain", "control" or "antithetic".
    reason
        Why: what each would have cost, or why it could not be had.
    dataset
        All of it with coordinates, as `F_mean`, `F_error`, `F_variance`, ... of the observable F; `F_limit` and
        `F_limit_error`; `start_seed` (run), of the starts of the answer; `cost` (part), in particle-steps, and `runs`
        (part) of the "pilot", the "limit" and the "answer"; `sample_variance` (estimator), the largest of the pilot,
        and `cost_in_sight` (estimator), from the pilot on.
    """

    mean: float | Array
    error: float | Array
    variance: float | Array
    variance_interval: tuple[float | Array, float | Array]
    bias: float | Array
    bias_error: float | Array
    estimator: str
    reason: str
    dataset: "xarray.Dataset"


@numpy_settings
def estimate(
    net: Network,
    law: Law,
    data: Dataset | Stream,
    method: Method,
    *,
    steps: int,
    count: int,
    tolerance: float,
    of: str | Observable = "loss",
    signs: str = "positive",
    seed: int = 0,
    estimator: str | None = None,
    record_every: int | str | Iterable[int] | None = None,
    loss: str | Loss = "squared",
    regulariser: Regulariser | None = None,
    test: Dataset | None = None,
    engine: Engine | None = None,
    dtype: str = "float64",
    nodes: int = 2**12,
    most: int = 100_000,
) -> Estimate:
    r"""The mean over starts of what networks of M particles measure, to a tolerance, with its variance and bias (3.4).

    Parameters
    ----------
    net
        The network.
    law
        The initial law `mu0`.
    data
        The training samples.
    method
        The method. The samples that SGD draws are those of its seed, the same for every start: the mean is over starts
        alone. A method with noise has noise of its own at every start, and the mean is over noise as well.
    steps
        Iterations.
    count
        M, the particles of a network.
    tolerance
        What half of the 95% interval of the mean may be, at every recorded time and entry; in the units of `of`.
    of
        What is measured: a name from `mf.OBSERVABLES`, or an `mf.Observable` of your own. With a differential the
        control variate can be had.
    signs
        As in `law.sample`.
    seed
        Of the starts. The same seed gives the same bits, on any number of threads and shards.
    estimator
        "plain", "control" or "antithetic"; None, the default, for the cheapest.
    record_every
        When it is measured, as in `mf.simulate`; None, the default, at the end only.
    loss, regulariser, test, engine, dtype
        As in `mf.simulate`.
    nodes
        Of the quadrature whose run has the derivative, 4096 by default: Sobol points in every dimension. The interval
        holds for any number; few nodes make the control variate worse.
    most
        The most runs of the answer, 100 000 by default.

    Returns
    -------
    Estimate
        Mean, variance and bias with their intervals, and what was run.

    Raises
    ------
    InputError
        For an estimator that cannot be had, and for a tolerance that needs more runs or nodes than are allowed.

    Notes
    -----
    Three estimators of :math:`E F_M`, with :math:`\psi` the first variation of the limit (`mf.sensitivity`):

    * plain, the mean of :math:`F_M` over starts, of variance :math:`\operatorname{Var} \psi / M` a run;
    * control, the mean of :math:`F_M - \frac{1}{M} \sum_r \psi(b_r)`, of variance :math:`O(M^{-2})`, plus
      :math:`\int \psi \, d\mu_1`, which is 0 up to the quadrature's error;
    * antithetic, :math:`F_\infty` plus the bias, by nested clouds of one start: with :math:`a_1` the mean of its halves
      less the whole, and :math:`a_2` the mean of its quarters less that of its halves, :math:`(5 a_1 - a_2) / 3` has
      the mean :math:`E F_M - F_\infty + O(M^{-3})` and the variance :math:`O(M^{-2})`. It needs no derivative.

    The control variate's coefficient is 1, so that the limit's error cancels in the bias
    :math:`E [F_M - \bar\psi] - F_\infty` to first order. The variance is estimated with :math:`\bar\psi^2` as control
    variate, whose mean :math:`\operatorname{Var} \psi / M` the limit gives.

    Sixteen starts are a pilot. It chooses the estimator with the lowest cost from there on, in particle-steps: the
    limit and its derivative count, and the derivative is not made where it alone costs more than another estimator. The
    pilot's starts are not in the answer, except in the bias of a plain estimate. The answer has Stein's two stages:
    the first, 64 runs or half of what the pilot expects, gives the variance, that gives the number of runs, and the
    interval is by the first stage's variance and the mean of all. The limit's error is the Student interval of eight
    independent scrambles of the Sobol points, whose number grows until it is below half of the tolerance, and adds to
    the interval in squares.

    With beta < 1 only plain means remain: alpha grows with M, so no measure is the limit, and halves of a cloud are
    networks of another alpha. A limit lacks what ReLU's particles do at the kinks, so there is no control variate
    unless output weights train alone; the antithetic estimate remains.

    References
    ----------
    Section 3.4; Stein (1945), A two-sample test for a linear hypothesis whose power is independent of the variance;
    Giles and Szpruch (2014), Antithetic multilevel Monte Carlo estimation.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> found = mf.estimate(net, law, data, mf.GradientDescent(0.5), steps=4, count=256, tolerance=1e-5)
    >>> found.estimator, found.error < 1e-5
    ('control', True)
    """
    goal = number("tolerance", tolerance, above=0.0, remedy="In the units of what is measured.")
    if estimator is not None and estimator not in NAMES:
        rule = f"`estimator` must be one of {', '.join(NAMES)}, or None"
        raise InputError(rule, repr(estimator), nearest(str(estimator), NAMES))
    if not isinstance(law, Law):
        raise InputError("`law` must be an mf.Law", type(law).__name__, "Give mf.Gaussian(dim), say.")
    check_parts(net, data, test)
    options = {"loss": loss, "regulariser": regulariser, "test": test, "engine": engine, "dtype": dtype}
    given = net, law, data, method, whole("steps", steps, 0), observable(of, "of"), checked_count(count, signs)
    asked = Asked(*given, checked_seed(seed), signs, record_every, options)
    starts = Starts(asked)
    out = excluded(asked, starts)
    if estimator in out:
        raise InputError(f'estimator="{estimator}" cannot be had', out[estimator], "Leave `estimator` out.")
    limits = whole("nodes", nodes, SCRAMBLES), whole("most", most, 1)
    choice = Choice(starts, goal, estimator, out, *limits)
    choice.make()
    found = answer(choice)
    dataset = dataset_of(choice, found)
    row = asked.row.name

    def of_entry(ending: str) -> float | Array:
        values = dataset[f"{row}_{ending}"].values
        values = values[0] if record_every is None else values
        return values.item() if values.ndim == 0 else values

    interval = of_entry("variance_low"), of_entry("variance_high")
    mean, error, variance, bias, bias_error = map(of_entry, ("mean", "error", "variance", "bias", "bias_error"))
    return Estimate(mean, error, variance, interval, bias, bias_error, choice.name, found.reason, dataset)
