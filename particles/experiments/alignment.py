"""Runs of a dataset beside each other: one by one, of the same samples, at the flow times that all recorded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray

from particles.errors import InputError

_TIMES_ALIKE = 1e-9  # relative: sums of steps in another order differ by rounding


def attribute_of(data: xarray.Dataset, name: str, default: Any) -> Any:
    """What an attribute says; its schema is loaded when it is asked for, since xarray loads this file for everyone."""
    from particles.storage.attributes import attribute

    return attribute("the dataset", data.attrs, name, default)


def only(values: xarray.DataArray, *allowed: str, required: Sequence[str] | None = None) -> xarray.DataArray:
    """The variable, if it has the required dimensions (the first allowed one) and none but those allowed."""
    lacking = [dim for dim in required or allowed[:1] if dim not in values.dims]
    if lacking:
        raise InputError(f"`{values.name}` must have the dimension {lacking[0]}", f"{values.dims}", "Choose another.")
    more = [str(dim) for dim in values.dims if dim not in allowed]
    if more:
        chosen = ", ".join(f"{dim}=0" for dim in more)
        raise InputError(
            f"`{values.name}` may have here only the dimensions {', '.join(allowed)}",
            f"also {', '.join(more)}",
            f"Take one first: ds.isel({chosen}).mf",
        )
    return values


def close(one: float, other: float) -> bool:
    return bool(abs(one - other) <= _TIMES_ALIKE * max(abs(one), abs(other)))


def by_count_and_seed(data: xarray.Dataset) -> dict[tuple[int, int], xarray.Dataset]:
    """The whole runs of a dataset: of one run itself, of a sweep each that finished, by count and seed."""
    along = "record" if "record" in data["prediction"].dims else "time"
    only(data["prediction"], along, "sample", "output", "count", "seed", required=(along, "sample"))
    names = [name for name in ("prediction", "target", "status", "time") if name in data]
    data = data[names].load()  # a sweep's files are read once
    start = attribute_of(data, "config", {}).get("start", {})
    start = start if isinstance(start, dict) else {}
    sizes = {dim: data.sizes[dim] for dim in ("count", "seed") if dim in data["prediction"].dims}
    runs = {}
    for place in np.ndindex(*sizes.values()):
        one = data.isel(dict(zip(sizes, place, strict=True)))
        if "status" in one and str(one["status"].values) != "finished":
            continue
        if along == "record":
            one = one.isel(record=np.isfinite(one["time"].values)).set_coords("time").swap_dims(record="time")
        count = one.coords.get("count", start.get("count", start.get("nodes", -1)))
        seed = one.coords.get("seed", start.get("seed", data.attrs.get("seed", -1)))
        for dim in ("time", "sample", "output"):  # NaN where a larger run of the sweep has more
            one = one.dropna(dim, how="all", subset=["prediction"]) if dim in one["prediction"].dims else one
        runs[_whole("count", count), _whole("seed", seed)] = one
    return runs


def _whole(name: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"`{name}` of a run must be a whole number", repr(value)[:60], "Correct it.") from error


def check_same_samples(data: xarray.Dataset, limit: xarray.Dataset) -> None:
    """InputError unless both runs saw the same samples, as far as their files tell."""
    if "prediction" not in limit:
        raise InputError("`limit` must hold the variable prediction", f"{list(limit)}", 'Record "prediction".')
    sizes = data.sizes["sample"], limit.sizes["sample"]
    known = "target" in data and "target" in limit
    if sizes[0] != sizes[1] or (known and not np.array_equal(data["target"].values, limit["target"].values)):
        raise InputError("runs to compare need the same samples", f"{sizes[0]} and {sizes[1]}, or other targets", "")


def at_shared_times(runs: list[xarray.Dataset]) -> list[xarray.Dataset]:
    """The runs at the flow times that all recorded, which are the last one's own numbers."""
    times = runs[-1]["time"].values
    for data in runs:
        own = data["time"].values
        times = np.array([time for time in times if len(own) and close(own[np.argmin(np.abs(own - time))], time)])
    if not len(times):
        ends = ", ".join(f"{data.sizes['time']} up to {data['time'].values.max(initial=0):g}" for data in runs[:3])
        raise InputError("runs to compare must share recorded flow times", f"none in {ends}", "Record at equal times.")
    return [
        data.sel(time=times, method="nearest").assign_coords(time=runs[-1]["time"].sel(time=times)) for data in runs
    ]
