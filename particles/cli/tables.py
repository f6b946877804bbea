"""Results as tables on the terminal."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from particles.analysis import constants
from particles.analysis.convergence import by_count, over_time, verdict
from particles.cli.json_output import PROVENANCE
from particles.cli.text_plots import Scale, can_braille, chart
from particles.console import Console
from particles.experiments.summary import last_values, setups_in
from particles.storage.attributes import attribute

if TYPE_CHECKING:
    import xarray

_MOST_PLOTS = 6  # of losses: more than a screen holds


def comparison(console: Console, setting: dict[str, Any], compared: "xarray.Dataset") -> None:
    """The distance from the limit for every M, the limit's own change, and the fitted exponent beside the theory's."""
    words = ", ".join(f"{name} = {value}" for name, value in setting.items())
    seeds = compared.sizes["seed"]
    table = Table(title=f"Distance from the limit{': ' + words if words else ''}", title_justify="left")
    for heading in ("M", "sup_t |g_M - g_inf|, mean", "spread over seeds", "times sqrt(M)"):
        table.add_column(heading, justify="right")
    for count, mean, spread, scaled in by_count(compared):
        table.add_row(str(count), f"{mean:.3e}", f"{spread:.2e}" if seeds > 1 else "-", f"{scaled:.3f}")
    change = float(compared["sup_limit_error"])
    last = compared["sup_distance"].values[-1].mean()
    known = math.isfinite(change)
    theory = f"{float(compared['constant_theory']):.3f}" if "constant_theory" in compared else ""
    table.add_row("inf", f"{change:.3e}" if known else "-", "", f"theory {theory}" if theory else "")
    console.print(table)
    row = "unknown, as both limits have the same nodes. Use more nodes, or another number."
    if known:
        row = f"the limit minus that with half the nodes, {change / last:.2f} of the distance at the largest M."
    what = "root mean square over samples and outputs, largest over recorded times"
    console.print(f"{what}, {seeds} seeds. Row inf: {row}")
    if sentence := over_time(compared):
        console.print(sentence)
    console.print(verdict(compared))
    if sentence := constants.said(compared):
        console.print(sentence)


def recorded(console: Console, data: "xarray.Dataset", title: str) -> None:
    """The scalar quantities of one run at its first, middle and last recorded times."""
    names = [str(name) for name, values in data.data_vars.items() if values.dims == ("time",)]
    length = data.sizes.get("time", 0)
    table = Table(title=title, title_justify="left")
    table.add_column("quantity")
    picks = sorted({0, length // 2, length - 1}) if length else []
    for pick in picks:
        table.add_column(f"t = {float(data['time'][pick]):g}", justify="right")
    for name in names:
        table.add_row(name, *(f"{float(data[name][pick]):.5g}" for pick in picks))
    console.print(table)


def swept(console: Console, data: "xarray.Dataset", title: str) -> None:
    """The last recorded numbers over the axes of a sweep, seeds averaged."""
    axes, names, rows = last_values(data)
    table = Table(title=title, title_justify="left")
    for axis in axes:
        table.add_column(axis, justify="right")
    for name in names:
        table.add_column(f"last {name}", justify="right")
    for where, values in rows:
        table.add_row(*map(str, where), *(f"{value:.5g}" for value in values))
    console.print(table)


def _plots(console: Console, tree: "xarray.DataTree") -> None:
    """The loss against flow time, of a run or of each size; for a sweep with a limit the distance against M."""
    data = tree.to_dataset()
    braille = can_braille(console.encoding)
    if "loss" in data and "time" in data["loss"].dims and "time" in data.coords:
        loss = data["loss"].transpose(..., "time")
        if "seed" in loss.dims:
            loss = loss.mean("seed")
        for place in list(np.ndindex(loss.shape[:-1]))[:_MOST_PLOTS]:
            at = dict(zip(loss.dims[:-1], place, strict=True))
            words = ", ".join(f"{name} = {data[name].values[i]}" for name, i in at.items() if name in data.coords)
            up = Scale(f"loss{': ' + words if words else ''},", log=bool((loss[at] > 0).any()))
            for line in chart(data["time"].values, loss[at].values, Scale("flow time"), up, braille):
                console.print(line)
    for _, compared in setups_in(tree):
        means = compared["sup_distance"].mean("seed")
        across, up = Scale("M", log=True), Scale("distance from the limit", log=True)
        for line in chart(means["count"].values, means.values, across, up, braille):
            console.print(line)


def show(console: Console, tree: "xarray.DataTree", path: Path, plots: bool = False) -> None:
    """A result file: what was run, what came out, with small plots if wanted, where it came from."""
    data, attrs = tree.to_dataset(), tree.attrs
    if "status" in attrs:
        recorded(console, data, f"{path.name}: {attrs['status']}")
        for event in attribute(path, attrs, "events", []):
            console.print(f"at iteration {event['iteration']}: {event['what']}")
    elif data.data_vars:
        swept(console, data, f"{path.resolve().parent.name}, at the last recorded time, seeds averaged")
    for setting, compared in setups_in(tree):
        comparison(console, setting, compared)
    if plots:
        _plots(console, tree)
    for name in (*PROVENANCE, "config"):
        if name in attrs:
            whose = " of the first run" if name == "config" and "limits" in attrs else ""
            console.print(f"{name}{whose}: {attrs[name]}")
