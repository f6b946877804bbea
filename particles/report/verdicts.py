"""Predicted beside measured: the claims of a study, and a sweep's distance from its limit."""

from typing import TYPE_CHECKING, Any

import numpy as np

from particles.analysis import constants
from particles.analysis.convergence import THEORY, by_count, judged, over_time, verdict
from particles.experiments.claims import VERDICTS, tally
from particles.experiments.summary import last_values
from particles.report.sheets import INFINITE, Cell, Sheet, judgement, sheet
from particles.report.source import STUDY, SWEEP, Source

if TYPE_CHECKING:
    import xarray


def verdicts(source: Source) -> list[Sheet]:
    """The tables of a result that say whether what theory predicts was measured; none for a single run."""
    if source.kind == STUDY:
        return [_claims(source.root)]
    return [_exponents(source.setups)] if source.setups else []


def distances_by_count(source: Source) -> list[Sheet]:
    """Of each setting of a sweep, the distance from the limit for every M."""
    return [_distances(*setup) for setup in source.setups]


def summary(source: Source) -> str:
    """The verdicts in a sentence; empty where there are none."""
    if source.kind == STUDY:
        return tally(source.root["holds"].values) + "."
    if len(source.setups) == 1:
        return verdict(source.setups[0][1]) + "."
    words = [judged(*_interval(compared)) for _, compared in source.setups]
    counts = [f"it {word} in {words.count(word)}" for word in dict.fromkeys(words)]
    return f"Of {len(words)} settings with the exponent -1/2, {', '.join(counts)}." if words else ""


def _claims(data: "xarray.Dataset") -> Sheet:
    names = ("claim_text", "claim_equation", "predicted", "measured", "measured_low", "measured_high", "holds")
    rows = []
    for text, equation, predicted, measured, low, high, holds in zip(*(data[n].values for n in names), strict=True):
        word = VERDICTS[None if np.isnan(float(holds)) else bool(holds)]
        row = (text, equation, _predicted(str(predicted)), float(measured), _between(low, high), judgement(word))
        rows.append(row)
    headings = ("claim", "equation", "predicted", "measured", "95% interval", "verdict")
    return sheet("What theory predicts beside what was measured", headings, rows, formulas=True)


def _predicted(text: str) -> Cell:
    """A prediction, sorted by its number: "<= 1e-06" by 1e-06."""
    try:
        number = float(text.rsplit(" ", 1)[-1])
    except ValueError:
        return Cell(text)
    shown = [*text.rsplit(" ", 1)[:-1], f"{number:.5g}"]
    return Cell(" ".join(shown), number if np.isfinite(number) else None)


def _between(low: float, high: float) -> Cell:
    if np.isnan(low) or np.isnan(high):
        return Cell("")
    return Cell(f"[{low:.4g}, {high:.4g}]", float(low) if np.isfinite(low) else None)


def _interval(compared: "xarray.Dataset") -> tuple[float, float]:
    return float(compared["exponent_low"]), float(compared["exponent_high"])


def _exponents(setups: "list[tuple[dict[str, Any], xarray.Dataset]]") -> Sheet:
    rows = []
    for setting, compared in setups:
        low, high = _interval(compared)
        row = (
            _words(setting),
            Cell("-1/2", THEORY),
            float(compared["exponent"]),
            _between(low, high),
            judgement(judged(low, high)),
        )
        rows.append((*row, float(compared["sup_limit_error"])))
    headings = ("setting", "predicted", "measured", "95% interval", "verdict", "change of the limit")
    note = "The limit's change is its distance from the one with half the nodes."
    return sheet("Power of M in the distance from the limit: sup_t |g_M - g_inf| ~ M^p", headings, rows, note, True)


def _distances(setting: dict[str, Any], compared: "xarray.Dataset") -> Sheet:
    rows: list[tuple[Any, ...]] = list(by_count(compared))
    rows.append((Cell("infinity", INFINITE), float(compared["sup_limit_error"]), Cell(""), Cell("")))
    seeds = compared.sizes["seed"]
    note = (
        "Root mean square over samples and outputs, largest over recorded times, "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}. Row infinity: the limit's change since half the nodes."
    )
    if sentence := over_time(compared):
        note += f" The distance is {sentence}."
    if sentence := constants.said(compared):
        note += f" {sentence[0].upper()}{sentence[1:]}."
    caption = "Distance of predictions from the limit" + (f": {_words(setting)}" if setting else "")
    return sheet(caption, ("M", "distance, mean", "spread over seeds", "times sqrt(M)"), rows, note)


def _words(setting: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in setting.items()) or "all"


def outcome(source: Source) -> Sheet:
    """The recorded numbers: of a run or study at the first and the last time, of a sweep the last over its axes."""
    data = source.root
    return _over_axes(data) if source.kind == SWEEP else _first_and_last(data)


def _first_and_last(data: "xarray.Dataset") -> Sheet:
    rows = []
    for name, values in data.data_vars.items():
        if values.dims == ("time",) and values.size and values.dtype.kind in "fiub":
            about = str(values.attrs.get("long_name", "")), str(values.attrs.get("equation", ""))
            rows.append((str(name), *about, float(values[0]), float(values[-1])))
    ends = (
        [f"at t = {float(data['time'][k]):.5g}" for k in (0, -1)]
        if rows and "time" in data.coords
        else ["first", "last"]
    )
    return sheet("Recorded quantities", ("quantity", "meaning", "equation", *ends), rows, formulas=True)


def _over_axes(data: "xarray.Dataset") -> Sheet:
    axes, names, places = last_values(data)
    headings = [*axes, *(f"last {name}" for name in names)]
    rows = [[*where, *values] for where, values in places] if names else []
    return sheet("Recorded quantities at the last time, seeds averaged", headings, rows)
