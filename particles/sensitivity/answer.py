"""The runs of the estimator that was chosen, on starts that the pilot has not seen, and what they say."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.sensitivity import intervals
from particles.sensitivity.choice import LEAST, NAMES, PILOT, Choice

if TYPE_CHECKING:
    import xarray


class Answer(NamedTuple):
    """Values by the ending of their variables, each (E,); runs: of the answer; reason: of the estimator."""

    values: dict[str, Array]
    runs: int
    reason: str


def answer(choice: Choice) -> Answer:
    """Stein's two stages, and the intervals."""
    reason, half = _reason(choice), choice.half(choice.name)
    first_runs = max(LEAST, min(choice.runs(choice.name) // 2, choice.most))
    rows = [_run(choice, number) for number in range(first_runs)]
    first = np.array([row[0] for row in rows])
    N = intervals.runs_needed(first, half, choice.most)
    if choice.most < N:
        needed = float(np.max(choice.tolerance * intervals.stein(first, choice.most) / half))
        raise choice.too_many(float(choice.runs(choice.name)), needed)
    rows += [_run(choice, number) for number in range(first_runs, N)]
    samples, plain, shifts = (np.array(column) for column in zip(*rows, strict=True))
    values = _means(choice, samples.mean(axis=0), intervals.stein(first, N))
    known = np.zeros((2, plain.shape[1]))
    if choice.limit is not None and choice.name == "control":
        known = np.array([choice.limit.second, choice.limit.second_error]) / choice.starts.asked.M
    found = intervals.variance(plain, shifts, *known)
    values |= dict(zip(("variance", "variance_low", "variance_high"), found, strict=True))
    return Answer(values, N, reason)


def _run(choice: Choice, number: int) -> tuple[Array, Array, Array]:
    """One start: the estimator's sample, what was measured, and the mean of psi, 0 without."""
    starts, number = choice.starts, PILOT + number
    plain = starts.measured(starts.start(number), "answer", number)
    none = np.zeros_like(plain)
    if choice.name == "control":
        shift = starts.shift(number, "answer")
        return plain - shift, plain, shift
    if choice.name == "antithetic":
        return starts.bias_sample(number, plain, "answer"), plain, none
    return plain, plain, none


def _means(choice: Choice, mean: Array, half: Array) -> dict[str, Array]:
    """Mean, bias and limit with their errors, from the mean of the samples and half of its interval."""
    limit, unknown = choice.limit, np.full_like(mean, np.nan)
    found = {"limit": limit.value, "limit_error": limit.error} if limit else {"limit": unknown, "limit_error": unknown}
    if choice.name == "control":
        assert limit is not None
        total = np.hypot(half, limit.scatter)
        at = choice.starts.limit  # of the run with the derivative; the quadrature's error is the same in both means
        own = {"mean": mean + limit.value - at, "error": total, "bias": mean - at}
        return found | own | {"bias_error": np.hypot(half, limit.remainder)}
    if choice.name == "antithetic":
        assert limit is not None
        return found | {
            "mean": mean + limit.value, "error": np.hypot(half, limit.error), "bias": mean, "bias_error": half,
        }  # fmt: skip
    pilot = choice.samples.get("antithetic")
    bias, bias_error = (unknown, unknown) if pilot is None else (pilot.mean(axis=0), intervals.half_width(pilot))
    return found | {"mean": mean, "error": half, "bias": bias, "bias_error": bias_error}


def _reason(choice: Choice) -> str:
    """What each estimator would have cost, or why it could not be had."""
    sights, words = choice.sights(), list[str]()
    for name in NAMES:
        if name in choice.excluded or name in choice.refused:
            words.append(f"{name}: {choice.excluded.get(name) or choice.refused[name]}")
        elif name in sights:
            words.append(f"{name}: {sights[name].cost:.2g} particle-steps in {sights[name].runs} runs")
    return "; ".join(words)


_TEXTS = {
    "mean": "mean over starts of M particles of: {}",
    "error": "half of the 95% interval of the mean over starts of: {}",
    "variance": "variance over starts of M particles of: {}",
    "variance_low": "lower end of the 95% interval of the variance over starts of: {}",
    "variance_high": "upper end of the 95% interval of the variance over starts of: {}",
    "bias": "mean over starts of M particles less the limit, of: {}",
    "bias_error": "half of the 95% interval of the bias of: {}",
    "limit": "limit M = infinity of: {}",
    "limit_error": "half of the 95% interval of the limit of: {}",
}


def dataset_of(choice: Choice, found: Answer) -> "xarray.Dataset":
    """All that is known, with the dimensions of what is measured."""
    import xarray

    starts = choice.starts
    template, asked, sights = starts.template, starts.asked, choice.sights()
    assert template is not None
    data, row, second = dict[str, Any](), asked.row, {"equation": "3.4"}
    for ending, text in _TEXTS.items():
        units = f"{template.attrs.get('units', '1')}{'^2' if 'variance' in ending else ''}"
        label = {"long_name": text.format(row.long_name), "units": units, **second}
        data[f"{row.name}_{ending}"] = template.dims, found.values[ending].reshape(template.shape), label
    seeds = np.array([starts.seed(PILOT + number) for number in range(found.runs)])
    parts = sorted(starts.cost)
    spread = [choice.samples[name].var(axis=0, ddof=1).max() if name in choice.samples else np.nan for name in NAMES]
    sight = [sights[name].cost if name in sights else np.nan for name in NAMES]
    steps = {"units": "particle-steps", **second}
    data |= {
        "start_seed": ("run", seeds, {"long_name": "seeds of the starts of the answer", "units": "1"}),
        "cost": ("part", [starts.cost[part] for part in parts], {"long_name": "what was run", **steps}),
        "runs": ("part", [starts.runs[part] for part in parts], {"long_name": "passes over a cloud", "units": "1"}),
        "sample_variance": ("estimator", spread, {"long_name": "variance of one run, by the pilot", "units": "1"}),
        "cost_in_sight": ("estimator", sight, {"long_name": "cost from the pilot on", **steps}),
    }
    coords = {name: template.coords[name] for name in template.coords} | {"estimator": list(NAMES), "part": parts}
    attributes = {"estimator": choice.name, "reason": found.reason, "count": asked.M, "seed": asked.seed}
    return xarray.Dataset(data, coords, attributes | {"tolerance": choice.tolerance})
