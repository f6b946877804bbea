"""What a run recorded, as one dataset over flow time, with its configuration and provenance as attributes."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from particles.data.labels import Label
from particles.escapes import escaped
from particles.population.observables import Observable, dims_of, meaning
from particles.population.reductions import MOMENTS
from particles.storage.history import History
from particles.storage.manifest import Event
from particles.storage.provenance import fingerprint, provenance

if TYPE_CHECKING:
    import xarray


def dataset_of(
    history: History,
    times: np.ndarray[Any, Any],
    names: list[tuple[str, Observable]],
    targets: dict[str, np.ndarray[Any, Any]],
    config: dict[str, Any],
    status: str,
    events: list[Event],
    classes: Sequence[Label] = (),
) -> "xarray.Dataset":
    """What was recorded as one dataset over flow time, in the same arrays; classes: those of the outputs, if any."""
    from particles.xarray import Dataset

    time = {"long_name": "flow time, the sum of the step sizes", "units": "1", "equation": "3.4"}
    step = {"long_name": "number of steps taken", "units": "1", "equation": "(3)"}
    coords: dict[str, Any] = {}
    recorded: dict[str, tuple[str, Any]] = {}
    for dim, table in history.tables.items():
        iterations = table.iterations[: table.count]
        coords |= {dim: (dim, times[iterations], time), dim.replace("time", "iteration", 1): (dim, iterations, step)}
        recorded |= {name: (dim, values) for name, values in table.recorded().items()}
    data: dict[str, Any] = {}
    outputs = targets["target"].shape[1] if targets["target"].ndim > 1 else 1
    for name, row in names:
        about = "of the average iterate: " if name.startswith("averaged_") else ""
        labels = {"long_name": about + meaning(row, outputs), "units": "1", "equation": row.equation}
        if name in recorded:
            dim, values = recorded[name]
            data[name] = ((dim, *dims_of(row, outputs)), values, labels)
    for name, values in targets.items():
        dim = "test_sample" if name.startswith("test_") else "sample"
        dims = (dim, "output")[: values.ndim]
        data[name] = (dims, values, {"long_name": "targets y_i", "units": "1", "equation": "section 2"})
    if "weight_moment" in data:
        coords["moment"] = ("moment", MOMENTS, {"long_name": "order p of the moment", "units": "1", "equation": "3.4"})
    if classes:
        of_class = {"long_name": "class of the output", "units": "1", "equation": "section 2"}
        coords["output"] = ("output", _names(classes), of_class)
    attrs: dict[str, Any] = {
        "config": json.dumps(config),
        "config_hash": fingerprint(config),
        "status": status,
        "events": json.dumps(events),
        "seed": _seed(config),
        **provenance(),
    }
    return Dataset(data, coords=coords, attrs=attrs)


def _names(classes: Sequence[Label]) -> np.ndarray[Any, Any]:
    """Classes as a coordinate: numbers where all are, else text that every file can hold."""
    if any(isinstance(label, str) for label in classes):
        return np.array([escaped(str(label)) for label in classes], dtype=object)
    return np.array(classes)


def _seed(config: dict[str, Any]) -> int:
    """The seed of the start; -1 where there is none: a quadrature, or a measure of the user's."""
    start = config.get("start")
    return int(start.get("seed", -1)) if isinstance(start, dict) else -1
