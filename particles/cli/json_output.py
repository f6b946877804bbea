"""What `--json` prints: one document a command, of plain values with stable keys. NaN and infinities are null.

    any      {"error": {"message", "faults", "exit_code"}} where it ends in bad input
    new      file, target, config, next
    check    name, runs, steps, axes, limit_nodes, fluctuation_nodes, samples, test_samples, inputs, outputs,
             needed_bytes (of memory, by a run, at least), memory_bytes (what this machine has)
    run      name, folder, status, exit_code, runs, files, comparison; gather likewise
    show     path, kind ("run" or "sweep"), status, events, axes, time, recorded, comparison, provenance, config
    ls       folder, results: path, kind, modified, axes, runs, finished, diverged, bytes of each
    compare  first, second (files), settings and exponents (name, first, second), last (where, quantity, first, second)
    report   file
    doctor   machine, plan (null without --plan)
    schema   the JSON schema itself

axes: {name: values}. A run: key, coords, nodes (null for a finite network), status ("finished", "kept" from before,
"diverged", "stopped", "failed", "missing"), message, file (null where there is none). A comparison: setting, counts,
sup_distance (seeds averaged), limit_error (how far the limit moved since half the nodes), exponent, interval, theory,
verdict ("holds", "does not hold", "cannot tell") and the same as holds: true, false, null, constant (of M^(-1/2):
measured, interval, theory, standard_error of it; null without a prediction). Recorded: {name: dims,
values, units, equation}. An event: iteration, what.
"""

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.analysis.convergence import HOLDS, THEORY, judged
from particles.experiments.plan import Plan
from particles.experiments.summary import setups_in
from particles.experiments.sweep import Outcome, run_path
from particles.storage.attributes import attribute
from particles.storage.forms import CONSTANTS

if TYPE_CHECKING:
    import xarray

PROVENANCE = ("config_hash", "seed", "git", "cpu", "python", "package_versions")


class Answer(NamedTuple):
    """How a command ends: its exit code, and what it has to say as plain values."""

    code: int
    document: dict[str, Any]


def text(document: dict[str, Any]) -> str:
    """The document as JSON of ASCII letters, which any terminal and pipe takes."""
    return json.dumps(plain(document), allow_nan=False)


def plain(value: Any) -> Any:
    """Arrays, NumPy's numbers and paths as what JSON has; what is not finite as None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.longdouble):  # `tolist` leaves it as it is
        return plain(float(value))
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def outcomes(runs: list[Outcome], out: Path) -> list[dict[str, Any]]:
    """What became of every run, and where its file is."""
    entries = []
    for outcome in runs:
        if outcome.case.draws:  # a prediction is no run
            continue
        case, path = outcome.case, run_path(out, outcome.case)
        file = path if os.path.isfile(path) else None  # of one that may not be looked at, none
        entries.append({"key": case.key, "coords": case.coords, "nodes": case.nodes, "status": outcome.status}
                    | {"message": outcome.message, "file": file})  # fmt: skip
    return entries


def axes(plan: Plan) -> dict[str, Any]:
    """A sweep's axes by name."""
    return {axis.name: axis.values for axis in plan.axes}


def comparison(setting: dict[str, Any], compared: "xarray.Dataset") -> dict[str, Any]:
    """The distance from the limit for every M, and the fitted exponent beside the theory's."""
    low, high = float(compared["exponent_low"]), float(compared["exponent_high"])
    word = judged(low, high)
    return {
        "setting": setting,
        "counts": compared["count"].values,
        "sup_distance": compared["sup_distance"].mean("seed").values,
        "limit_error": float(compared["sup_limit_error"]),
        "exponent": float(compared["exponent"]),
        "interval": [low, high],
        "theory": THEORY,
        "verdict": word,
        "holds": HOLDS[word],
        "constant": _constant(compared),
    }


def _constant(compared: "xarray.Dataset") -> dict[str, Any] | None:
    """C of distance = C M^(-1/2), measured and predicted; None without a prediction."""
    if any(name not in compared for name in CONSTANTS):
        return None
    value, low, high, theory, error = (float(compared[name]) for name in CONSTANTS)
    return {"measured": value, "interval": [low, high], "theory": theory, "standard_error": error}


def result(tree: "xarray.DataTree", path: Path) -> dict[str, Any]:
    """A result file: every quantity that is one number a time, over the axes of a sweep."""
    data, attrs = tree.to_dataset(), tree.attrs
    kind = "run" if "status" in attrs else "sweep"
    last = "time" if "time" in data.dims else "record"
    recorded = {
        str(name): {"dims": list(values.dims), "values": values.values}
        | {key: values.attrs.get(key) for key in ("units", "equation")}
        for name, values in data.data_vars.items()
        if (kind == "sweep" and last in values.dims) or values.dims == ("time",)
    }
    return {
        "path": path,
        "kind": kind,
        "status": attrs.get("status"),
        "events": attribute(path, attrs, "events", []),
        "axes": {
            str(dim): data[dim].values for dim in data.dims if kind == "sweep" and dim in data.coords and dim != last
        },
        "time": data["time"].values if "time" in data.coords else None,
        "recorded": recorded,
        "comparison": [comparison(*pair) for pair in setups_in(tree)],
        "provenance": {name: attrs[name] for name in PROVENANCE if name in attrs},
        "config": attribute(path, attrs, "config", None),
    }
