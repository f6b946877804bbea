"""Which figure a sweep gets, drawn from its files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from particles.experiments.plan import Case, Plan
from particles.experiments.summary import Summary
from particles.experiments.sweep import run_path
from particles.measures.measure import Measure, atoms_of
from particles.plotting import style
from particles.plotting.convergence import Cloud, convergence
from particles.storage.forms import at_own_times
from particles.storage.provenance import canonical
from particles.storage.run_file import open_run

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def draw(plan: Plan, out: Path, summary: Summary) -> list[Path]:
    """A figure of convergence to the limit for each setting that has one; the files written."""
    written: list[Path] = []
    for number, (setting, compared) in enumerate(summary.setups):
        name = plan.name + "".join(f"-{name}-{_safe(value)}" for name, value in setting.items())
        if out / f"{name}.png" in written:  # two settings that read alike once made safe
            name += f"-{number}"
        written += style.save(_convergence(plan, out, setting, compared, summary), out / f"{name}.png")
    return written


def _safe(value: object) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in str(value))[:40]


def _convergence(
    plan: Plan,
    out: Path,
    setting: dict[str, Any],
    compared: "xarray.Dataset",
    summary: Summary,
) -> "Figure":
    records = summary.records
    cases = [case for case in plan.cases if setting.items() <= case.coords.items()]
    limit = max((case for case in cases if case.nodes), key=lambda case: case.nodes or 0)
    finite = {(c.spec.count, c.spec.seed): c for c in cases if c.nodes is None}
    counts, seeds = [int(v) for v in compared["count"]], [int(v) for v in compared["seed"]]
    losses = limit_loss = None
    times = at_own_times(records[limit.key], "loss" if "loss" in records[limit.key] else "prediction")["time"].values
    if "loss" in records[limit.key]:
        losses = np.array([[records[finite[count, seed].key]["loss"].values for seed in seeds] for count in counts])
        limit_loss = records[limit.key]["loss"].values
    # A cloud of some hundred points can be seen; one of thousands is a stain.
    shown = min(counts, key=lambda count: abs(count - 512))
    few = finite[shown, seeds[0]]
    clouds = [
        Cloud(f"M = {shown}", _start(few), _end(out, few)),
        Cloud(r"$M = \infty$", _start(limit), _end(out, limit)),
    ]
    config = limit.config
    words = [config.data.name or config.data.file]
    words += [] if "activation" in setting else [config.network.activation]
    words += [f"{name} = {value}" for name, value in setting.items()]
    title = style.label(", ".join(map(str, words)), 100)
    predicted = summary.predicted.get(canonical(setting))
    deviation = np.asarray(predicted["loss_std"].values) if predicted is not None and "loss_std" in predicted else None
    return convergence(counts, losses, times, limit_loss, compared, clouds, title, deviation)


def _start(case: Case) -> Measure:
    start = case.spec.built(case.identity, {}).start(case.nodes)
    return start if isinstance(start, Measure) else atoms_of(start)


def _end(out: Path, case: Case) -> Measure:
    return open_run(run_path(out, case)).measure
