"""Finite networks beside their limit: distances of predictions, and the exponent in M beside the theory's -1/2."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.analysis.constants import check_sizes, constants
from particles.errors import InputError

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]

_TELLING = 0.5  # an interval wider than this excludes nothing of interest
THEORY = -0.5  # the law of large numbers, root mean square
HOLDS = {"holds": True, "does not hold": False, "cannot tell": None}


class Exponent(NamedTuple):
    """A fitted power of M with its 95% interval.

    Attributes
    ----------
    value
        The power.
    low
        The interval's lower end.
    high
        The interval's upper end.
    independent
        How many independent fits (one a seed) went into it; 0 for a single line.
    """

    value: float
    low: float
    high: float
    independent: int

    @property
    def verdict(self) -> str:
        """Whether the theory's -1/2 "holds", "does not hold", or one "cannot tell"."""
        return judged(self.low, self.high)

    @property
    def holds(self) -> bool | None:
        """The same as true, false or None."""
        return HOLDS[self.verdict]


def distance(one: "xarray.Dataset", other: "xarray.Dataset") -> Array:
    """Root mean square over samples and outputs of the difference of predictions, at every recorded time: (T,)."""
    a, b = one["prediction"].values, other["prediction"].values
    if a.shape != b.shape or not np.array_equal(one["time"].values, other["time"].values):
        raise InputError(
            "runs to compare need the same samples and recorded times", f"{a.shape} and {b.shape}", "Record alike."
        )
    names = [data["output"].values.tolist() for data in (one, other) if "output" in data.coords]
    if len(names) == 2 and names[0] != names[1]:
        rule = "runs to compare need the same classes, in the same order"
        raise InputError(rule, f"{str(names[0])[:60]} and {str(names[1])[:60]}", "Give both the same `classes`.")
    if not _same_targets(one, other):
        rule = "runs to compare need the same samples"
        raise InputError(
            rule, f"{len(one['target'])} and {len(other['target'])} with other targets", "Train on one set."
        )
    return rms(a - b)


def _same_targets(one: "xarray.Dataset", other: "xarray.Dataset") -> bool:
    """Whether two runs have the same targets, as far as they tell."""
    both = "target" in one and "target" in other
    return not both or np.array_equal(one["target"].values, other["target"].values)


def rms(apart: Array) -> Array:
    """The root mean square over all but the first axis, time: (T, n) or (T, n, k) -> (T,)."""
    return np.asarray(np.sqrt(np.mean(apart.reshape(len(apart), math.prod(apart.shape[1:])) ** 2, axis=1)))


def fit_exponent(counts: Sequence[float], distances: Array) -> Exponent:
    """The power p in distance ~ M^p: counts (k,), distances (k, seeds).

    With three seeds or more a line is fitted to each seed (its runs share particles, so they are not independent) and
    the interval is Student's over the seeds' slopes; with fewer, it is that of the one regression line.
    """
    from scipy.special import stdtrit

    x = np.log(np.asarray(counts, dtype=float))
    table = np.asarray(distances, dtype=float)
    if len(x) < 2 or np.ptp(x) == 0 or not (table > 0).all():  # networks that are their limit have no power
        return Exponent(np.nan, np.nan, np.nan, 0)
    centred = x - x.mean()
    y = np.log(table)
    slopes = centred @ y / (centred @ centred)
    seeds = y.shape[1]
    if seeds >= 3:
        middle = float(slopes.mean())
        half = float(stdtrit(seeds - 1, 0.975) * slopes.std(ddof=1) / np.sqrt(seeds))
        return Exponent(middle, middle - half, middle + half, seeds)
    middle = float(slopes.mean())
    rest = y - y.mean(axis=0) - middle * centred[:, None]
    freedom = y.size - seeds - 1
    if freedom < 1:
        return Exponent(middle, np.nan, np.nan, 0)
    half = float(stdtrit(freedom, 0.975) * np.sqrt((rest**2).sum() / freedom / (seeds * (centred @ centred))))
    return Exponent(middle, middle - half, middle + half, 0)


def compare(
    runs: "xarray.Dataset | Mapping[tuple[int, int], xarray.Dataset]",
    limit: "xarray.Dataset | None" = None,
    coarse: "xarray.Dataset | None" = None,
    *,
    fluctuations: "xarray.Dataset | None" = None,
) -> "xarray.Dataset":
    r"""The distance of finite networks from their limit, and the power of M by which it falls.

    Parameters
    ----------
    runs
        A sweep as `mf.open_sweep` or xarray opens it, with dimensions count and seed; the dataset of one run; or
        datasets of `mf.simulate` by (count, seed). All with "prediction" recorded.
    limit
        The dataset of the finest quadrature. None: the finest limit of the sweep.
    coarse
        The dataset of half as many nodes. Its distance from `limit` says how far the limit still changes, which is no
        bound of its error (`mf.mean_field` states one).
    fluctuations
        The dataset of `mf.fluctuations`, recorded at the same times: what theory predicts of the distance. None: that
        of the sweep, if it has one and `limit` is None.

    Returns
    -------
    xarray.Dataset
        `distance` (count, seed, time), `sup_distance` (count, seed), `limit_error` (time), `exponent` with its 95%
        interval `exponent_low` to `exponent_high`, and `exponent_theory`, -1/2. With `fluctuations` also `constant`, C
        in sup distance :math:`= C M^{-1/2}` with the power held, its 95% interval over seeds `constant_low` to
        `constant_high`, and the predicted `constant_theory` with its standard error over draws
        `constant_theory_error`; `distance_theory` (time) is predicted at every time.

    Raises
    ------
    InputError
        For runs on other samples, outputs or times, for a count that lacks a seed that another has, where there is no
        limit, and for fluctuations at other times.

    Notes
    -----
    The distance is the root mean square over samples, and outputs, of :math:`g_M - g_\infty`; the exponent is fitted to
    its largest value over time. The predicted constant is the mean of the largest distance of the Gaussian field that
    :math:`\sqrt M (g_M - g_\infty)` tends to: it is first order in :math:`M^{-1/2}`, so small M deviate from it.

    References
    ----------
    Section 3.4: `g_w` tends to `g_mu`.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> def run(start):
    ...     return mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=4).dataset
    >>> runs = {(M, seed): run(law.sample(M, seed)) for M in (16, 64, 256) for seed in range(3)}
    >>> mf.compare(runs, run(law.quadrature(400)))["exponent"].round(1).item()
    -0.6
    """
    from particles.storage.forms import at_own_times
    from particles.xarray import Dataset

    whole = isinstance(runs, Dataset) or not isinstance(runs, Mapping)
    for one in (*([runs] if whole else runs.values()), limit, coarse, fluctuations):
        if one is not None and not isinstance(one, Dataset):
            remedy = "Give run.dataset." if hasattr(one, "dataset") else "Give a sweep, or datasets by (count, seed)."
            raise InputError("runs to compare must be datasets", type(one).__name__, remedy)
    if isinstance(runs, Dataset):
        aligned: xarray.Dataset = runs.mf.compare(limit, coarse, fluctuations)
        return aligned
    if limit is None:
        raise InputError("runs by (count, seed) need a limit", "None", "Give `limit`, or the dataset of a sweep.")
    if not runs:
        raise InputError("a comparison needs runs that finished", "none", "Diverged and missing runs are left out.")
    counts = sorted({count for count, _ in runs})
    seeds = sorted({seed for _, seed in runs})
    missing = [(count, seed) for count in counts for seed in seeds if (count, seed) not in runs]
    if missing:
        raise InputError("a comparison needs every count with every seed", f"no run for {missing[:3]}", "Run them.")
    runs = {place: at_own_times(data, "prediction") for place, data in runs.items()}
    limit, coarse = at_own_times(limit, "prediction"), None if coarse is None else at_own_times(coarse, "prediction")
    table = np.array([[distance(runs[count, seed], limit) for seed in seeds] for count in counts])
    error = distance(coarse, limit) if coarse is not None else np.zeros(table.shape[-1])
    if not error.any():  # one limit alone, or two of the same atoms: a tensor rule may have no other size between
        error = np.full(table.shape[-1], np.nan)
    top = table.max(axis=2)
    slope = fit_exponent(counts, top)
    compared = Dataset(
        {
            "distance": _labelled(("count", "seed", "time"), table, "rms over samples of g_M - g_limit"),
            "sup_distance": _labelled(("count", "seed"), top, "sup over recorded times of the distance"),
            "limit_error": _labelled("time", error, "change of the limit since half the quadrature nodes"),
            "sup_limit_error": _labelled((), error.max(), "sup over recorded times of that change"),
            "exponent": _labelled((), slope.value, "fitted power of M in the sup distance"),
            "exponent_low": _labelled((), slope.low, "lower end of the exponent's 95% interval"),
            "exponent_high": _labelled((), slope.high, "upper end of the exponent's 95% interval"),
            "exponent_theory": _labelled((), THEORY, "power of M by the law of large numbers"),
        },
        coords={
            "count": ("count", counts, {"long_name": "number of neurons M", "units": "1", "equation": "section 3"}),
            "seed": ("seed", seeds, {"long_name": "seed of the start", "units": "1", "equation": "-"}),
            "time": limit["time"],
        },
        attrs={"independent_fits": slope.independent},
    )
    if fluctuations is None:
        return compared
    check_sizes(fluctuations, limit)
    return compared.assign(constants(compared, fluctuations))


def _labelled(dims: Any, values: Any, text: str) -> tuple[Any, Any, dict[str, str]]:
    return dims, values, {"long_name": text, "units": "1", "equation": "3.4"}


def by_count(table: "xarray.Dataset") -> list[tuple[int, float, float, float]]:
    """For every M the largest distance over time: M, its mean over seeds, their spread (NaN of one), mean sqrt(M)."""
    rows = []
    for count, values in zip(table["count"].values, table["sup_distance"].values, strict=True):
        mean, spread = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        rows.append((int(count), mean, spread, mean * float(np.sqrt(count))))
    return rows


_WORDS = {
    "holds": "holds",
    "does not hold": "does not hold within this interval",
    "cannot tell": "this interval is too wide to tell; run more seeds or sizes",
}


def judged(low: float, high: float) -> str:
    """Whether an exponent's interval is one that the theory's -1/2 "holds" or "does not hold" in, or "cannot tell"."""
    if not (np.isfinite(low) and np.isfinite(high)) or high - low > _TELLING:
        return "cannot tell"
    return "holds" if low <= THEORY <= high else "does not hold"


def verdict(table: "xarray.Dataset") -> str:
    """One sentence: the measured exponent beside the theory's."""
    low, high = float(table["exponent_low"]), float(table["exponent_high"])
    if not np.isfinite(low):
        return "no interval for the exponent: run three seeds or more, and two counts or more"
    word = _WORDS[judged(low, high)]
    return f"distance ~ M^{float(table['exponent']):.3f}, 95% interval [{low:.3f}, {high:.3f}]; theory -1/2: {word}"


def over_time(table: "xarray.Dataset") -> str:
    """One sentence: when the distance is largest, and its power of M at the last recorded time.

    At the start the distance is that of a sample from its law: only later ones tell of training. "" where there is one
    time, a number is not finite, or a file has no distances.
    """
    known, counts = table.get("distance"), table["count"].values
    if known is None or known.dims != ("count", "seed", "time") or known.dtype.kind != "f":
        return ""
    values = known.values
    if values.shape[-1] < 2 or not np.isfinite(values).all() or not (counts > 0).all():
        return ""
    largest = np.argmax(values, axis=-1)
    sentence = f"largest at the start in {np.sum(largest == 0)} of {largest.size} runs"
    last = fit_exponent(counts.tolist(), values[..., -1])
    if np.isfinite(last.low):
        sentence += f"; at the end distance ~ M^{last.value:.3f}, 95% interval [{last.low:.3f}, {last.high:.3f}]"
    return sentence
