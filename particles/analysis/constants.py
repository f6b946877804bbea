"""The constant C of distance = C M^(-1/2): measured over seeds, and predicted by the limit's fluctuations (3.4)."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]

_ALIKE = 1e-9  # relative, of flow times: sums of steps in another order differ by rounding


class Constant(NamedTuple):
    """A constant with its 95% interval, NaN where it has none."""

    value: float
    low: float
    high: float


def fit_constant(counts: Array, distances: Array) -> Constant:
    """C in distance = C M^(-1/2), the power held: counts (k,), distances (k, seeds).

    Mean over the counts of sqrt(M) times the distance, for each seed, since runs of one seed share particles. With
    three seeds or more the interval is Student's over them.
    """
    from scipy.special import stdtrit

    each = np.mean(np.sqrt(counts)[:, None] * distances, axis=0)
    middle, seeds = float(each.mean()), len(each)
    if seeds < 3:
        return Constant(middle, np.nan, np.nan)
    half = float(stdtrit(seeds - 1, 0.975) * each.std(ddof=1) / np.sqrt(seeds))
    return Constant(middle, middle - half, middle + half)


def constants(compared: "xarray.Dataset", fluctuations: "xarray.Dataset") -> dict[str, Any]:
    """The measured constant of the largest distance beside the predicted one, as variables of the comparison.

    compared: with `distance` and `sup_distance`; fluctuations: of `mf.fluctuations`, whose times include those.
    """
    draws = _at(fluctuations, compared["time"].values)
    top = draws.max(axis=1)
    error = float(top.std(ddof=1) / np.sqrt(len(top))) if len(top) > 1 else np.nan
    measured = fit_constant(compared["count"].values.astype(float), compared["sup_distance"].values)
    label = {"units": "1", "equation": "3.4"}
    texts = {
        "constant": (measured.value, "C of sup distance = C M^(-1/2), mean over counts and seeds"),
        "constant_low": (measured.low, "lower end of the constant's 95% interval over seeds"),
        "constant_high": (measured.high, "upper end of the constant's 95% interval over seeds"),
        "constant_theory": (float(top.mean()), "predicted C: sqrt(M) times the mean sup distance, for M large"),
        "constant_theory_error": (error, "standard error of the predicted C over its draws"),
    }
    mean = "predicted sqrt(M) times the mean distance, for M large"
    variables: dict[str, Any] = {
        name: ((), value, {"long_name": text, **label}) for name, (value, text) in texts.items()
    }
    return variables | {"distance_theory": ("time", draws.mean(axis=0), {"long_name": mean, **label})}


def check_sizes(fluctuations: "xarray.Dataset", limit: "xarray.Dataset") -> None:
    """InputError for draws on other samples or outputs than the limit's, as far as their number tells."""
    if "fluctuation" not in fluctuations:  # a sweep keeps the distances alone
        return
    of_draws, of_runs = fluctuations["fluctuation"].sizes, limit["prediction"].sizes
    for dim in ("sample", "output"):
        if of_draws.get(dim, 1) != of_runs.get(dim, 1):
            rule, got = f"`fluctuations` must be on the {dim}s of the runs", f"{of_draws.get(dim, 1)}"
            raise InputError(rule, f"{got} for {of_runs.get(dim, 1)}", "Draw them with the same net and data.")


def _at(fluctuations: "xarray.Dataset", times: Array) -> Array:
    """The distances of the draws at these flow times: (draws, T)."""
    if "distance" not in fluctuations or fluctuations["distance"].dims != ("draw", "time"):
        rule, got = "`fluctuations` must be a dataset of `mf.fluctuations`", str(list(fluctuations))[:60]
        raise InputError(rule, got, "Give what it returned, with all its draws.")
    own = fluctuations["time"].values
    places = np.abs(own[:, None] - times).argmin(axis=0)
    if not np.allclose(own[places], times, rtol=_ALIKE, atol=0.0):
        apart = times[~np.isclose(own[places], times, rtol=_ALIKE, atol=0.0)]
        rule = "`fluctuations` must have the flow times at which runs are compared"
        raise InputError(rule, f"none at t={apart[0]:g}", "Record at the same iterations (`record_every`).")
    return np.asarray(fluctuations["distance"].values[:, places])


def said(compared: "xarray.Dataset") -> str:
    """One sentence: the measured constant beside the predicted one; "" where there is no prediction.

    Where there could be none, why.
    """
    if "constant_theory" not in compared:
        why = str(compared.attrs.get("no_prediction", ""))
        return f"no prediction of the constant: {why}" if why else ""
    numbers = ("constant", "constant_low", "constant_high", "constant_theory", "constant_theory_error")
    value, low, high, theory, error = (float(compared[name]) for name in numbers)
    interval = f"95% interval [{low:.3f}, {high:.3f}]" if np.isfinite(low) else "no interval, of fewer than 3 seeds"
    beside = f" (+- {error:.3f})" if np.isfinite(error) else ""
    return f"distance = {value:.3f} M^-1/2, {interval}; theory {theory:.3f}{beside}"
