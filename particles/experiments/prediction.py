"""What theory predicts of the networks about a limit, to first order in M^(-1/2): one more task of a sweep (3.4)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from particles.errors import DivergedError
from particles.experiments.spec import KnownData
from particles.files.atomic import write_whole
from particles.measures.measure import Array
from particles.population.observables import Observable
from particles.population.population import Engine, engine_for
from particles.sensitivity.fluctuations import along, distances
from particles.sensitivity.sensitivity import sensitivity
from particles.simulation.arguments import Prepared, prepared
from particles.storage import netcdf_writer
from particles.storage.forms import at_own_times, checked_prediction
from particles.storage.provenance import provenance
from particles.storage.run_file import open_root

if TYPE_CHECKING:
    import xarray

    from particles.experiments.plan import Case

SEED = 0  # of the draws
TIMES = 20  # of a cadence, at most, at which standard deviations are computed: each is a pass back of its own


def write(
    case: "Case", path: Path, known: KnownData, engine: Engine, note: Callable[[int], bool]
) -> "tuple[str, str, xarray.Dataset | None]":
    """The prediction in its file: how it ended, "finished", "diverged" or "stopped", what there is to say, its numbers.

    note: told each iteration, says whether to stop. Nothing is kept of a prediction that was stopped.
    """
    status, message = "finished", ""
    try:
        data = predicted(case, known, engine, note)
    except DivergedError as error:
        import xarray

        data, status, message = xarray.Dataset(), "diverged", str(error)
    if data is None:
        return "stopped", "", None
    about = {"status": status, "config": json.dumps(case.identity), "config_hash": case.key} | provenance()
    data = data.assign_attrs(about)
    write_whole(path, netcdf_writer.packed({"/": netcdf_writer.group_of(data)}))
    return status, message, data


def predicted(case: "Case", known: KnownData, engine: Engine, note: Callable[[int], bool]) -> "xarray.Dataset | None":
    """`F_std` of every recorded scalar F, and draws of the distance of predictions; None where it was stopped.

    Dimensions of time are the runs' own: `time_NAME` of what has a cadence for itself. `F_std` is NaN at times at which
    it was not computed.
    """
    import xarray

    spec = case.spec.built(case.identity, known)
    arguments = {"record_every": 1, "positions": None} | spec.arguments(case.nodes)
    arguments["start"] = spec.start(case.nodes, tensor=False)  # first variations are steep
    symmetric = spec.signs == "symmetric"
    ready = prepared(**arguments, engine=engine)
    engine = engine_for(engine, ready.spec.start.count)
    data, coords = dict[str, Any](), dict[str, Any]()
    for dim, (iterations, rows) in ready.plan.groups.items():
        if "prediction" in [row.name for row in rows]:
            draws = _distances(ready, case.draws, symmetric, engine, iterations, note)
            if draws is None:
                return None
            data |= _of_distances(draws, dim)
        scalars = [row for row in rows if not row.dims and row.differential]
        if note(0):
            return None
        if scalars:
            data |= _deviations(arguments, symmetric, engine, (dim, iterations), scalars)
        coords[dim] = dim, ready.problem.times[iterations], {"long_name": "flow time t", "units": "1"}
    return xarray.Dataset(data, coords)


def _distances(
    ready: Prepared, draws: int, symmetric: bool, engine: Engine, iterations: list[int], note: Callable[[int], bool]
) -> Array | None:
    """The distance of every draw at the recorded iterations: (draws, T); None where it was stopped."""
    rows = along(
        ready, draws, SEED, symmetric, engine, iterations, lambda response: distances(response.changes("train")), note
    )
    return np.stack(rows, axis=1) if len(rows) == len(iterations) else None


def _of_distances(draws: Array, dim: str) -> dict[str, Any]:
    label = {"units": "1", "equation": "3.4"}
    words = "draw from the limit of sqrt(M) times the distance of predictions, rms over samples"
    top = {"long_name": "sup over recorded times of distance", **label}
    return {
        "distance": (("draw", dim), draws, {"long_name": words, **label}),
        "sup_distance": ("draw", draws.max(axis=1), top),
    }


def _deviations(
    arguments: dict[str, Any], symmetric: bool, engine: Engine, group: tuple[str, list[int]], rows: list[Observable]
) -> dict[str, Any]:
    """`F_std` of scalars over the recorded times of their cadence."""
    dim, iterations = group
    some = [iterations[place] for place in thinned(len(iterations))]
    options = {name: value for name, value in arguments.items() if name not in ("record", "record_every", "positions")}
    found = sensitivity(
        options.pop("net"), options.pop("start"), options.pop("data"), options.pop("method"), **options,
        of=rows, by="particle", record_every=some, symmetric=symmetric, engine=engine,
    ).dataset  # fmt: skip
    variables = {}
    for row in rows:
        values = np.full(len(iterations), np.nan)
        values[np.isin(iterations, some)] = found[f"{row.name}_std"].values
        variables[f"{row.name}_std"] = dim, values, found[f"{row.name}_std"].attrs
    return variables


def thinned(count: int) -> list[int]:
    """At most `TIMES` of so many places, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, TIMES))})


def of_file(path: Path) -> "xarray.Dataset | None":
    """A prediction's draws of distances over `time`, with what else is at these times; None without them."""
    data = at_own_times(checked_prediction(path, open_root(path)), "distance")
    return data if "distance" in data else None
