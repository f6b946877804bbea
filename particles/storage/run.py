"""A run: what was recorded, as one dataset over flow time, with the last measure."""

import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from particles.escapes import escaped
from particles.measures.measure import Measure
from particles.population.observables import MOMENTS, Observable
from particles.storage.attributes import attribute
from particles.storage.checkpoint import Row
from particles.storage.manifest import Event
from particles.storage.provenance import fingerprint, provenance
from particles.storage.virtual_dataset import StoredMeasure

if TYPE_CHECKING:
    import xarray


@dataclass
class Run:
    """What `simulate` returns: `dataset` as recorded, the last `measure`, the `average` iterate where one is kept.

    left: the files in which the shards left both, if they were told to; then they are None here.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4)
    >>> run.status, run.measure.b.shape, run.dataset["time"].values
    ('finished', (16, 2), array([0. , 0.5, 1. , 1.5, 2. ]))
    """

    dataset: "xarray.Dataset"
    measure: Measure | None
    average: Measure | None = None
    left: StoredMeasure | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return dict(attribute("the run", self.dataset.attrs, "config"))

    @property
    def status(self) -> str:
        """ "finished", "stopped" (by the user) or "diverged"."""
        return str(self.dataset.attrs["status"])

    @property
    def events(self) -> list[Event]:
        """What happened to the run on its way: faults, checkpoints left out, where it went on."""
        return list(attribute("the run", self.dataset.attrs, "events", []))

    def __repr__(self) -> str:
        """How it ended, what there is of it, what to do next: arrays are no answer at a prompt."""
        data = self.dataset
        rows = data.sizes.get("time", 0)
        lines = [f"Run: {self.status}, nothing recorded"]
        if rows:
            last, steps = float(data["time"][-1]), int(data["iteration"][-1])
            lines = [f"Run: {self.status} after {steps} steps at flow time {last:g}, {rows} times recorded"]
        for name, measure in (("measure", self.measure), ("average", self.average)):
            if measure is not None:
                lines.append(f"  {name}   M = {len(measure.b)} particles on R^{measure.b.shape[1]}")
        if self.left is not None:
            lines.append(f"  left      M = {self.left.atoms} particles in {self.left.folder}")
        names = [str(name) for name, values in data.data_vars.items() if "time" in values.dims]
        lines.append(f"  recorded  {', '.join(names) or 'nothing'}")
        if self.events:
            lines.append(f"  events    {len(self.events)}, see run.events")
        plain = [name for name in names if data[name].dims == ("time",)]
        nexts = {
            "finished": (f'run.dataset.mf.plot("{plain[0]}"), ' if plain else "") + 'mf.save(run, "run.h5")',
            "stopped": "call mf.simulate again with the same `checkpoints` to go on; run.dataset has what was recorded",
            "diverged": "a smaller step; run.dataset has what was recorded before",
        }
        return "\n".join(map(escaped, [*lines, f"  next      {nexts.get(self.status, 'run.dataset')}"]))

    def _repr_html_(self) -> str:
        """In a notebook: the same, and below it what was recorded, to unfold."""
        return f"<pre>{html.escape(repr(self))}</pre>{self.dataset._repr_html_()}"


def dataset_of(
    rows: list[Row],
    times: np.ndarray[Any, Any],
    names: list[tuple[str, Observable]],
    targets: dict[str, np.ndarray[Any, Any]],
    config: dict[str, Any],
    status: str,
    events: list[Event],
) -> "xarray.Dataset":
    """The recorded rows as one dataset over flow time."""
    import xarray

    iterations = np.array([at for at, _ in rows], dtype=np.int64)
    data: dict[str, Any] = {}
    for name, row in names:
        about = "of the average iterate: " if name.startswith("averaged_") else ""
        about_row = {"long_name": about + row.long_name, "units": "1", "equation": row.equation}
        if rows:
            data[name] = (("time", *row.dims), np.stack([values[name] for _, values in rows]), about_row)
    for name, values in targets.items():
        dim = "test_sample" if name.startswith("test_") else "sample"
        data[name] = (dim, values, {"long_name": "targets y_i", "units": "1", "equation": "section 2"})
    time = {"long_name": "flow time, the sum of the step sizes", "units": "1", "equation": "3.4"}
    step = {"long_name": "number of steps taken", "units": "1", "equation": "(3)"}
    coords: dict[str, Any] = {"time": ("time", times[iterations], time), "iteration": ("time", iterations, step)}
    if "weight_moment" in data:
        coords["moment"] = ("moment", MOMENTS, {"long_name": "order p of the moment", "units": "1", "equation": "3.4"})
    attrs: dict[str, Any] = {
        "config": json.dumps(config),
        "config_hash": fingerprint(config),
        "status": status,
        "events": json.dumps(events),
        "seed": _seed(config),
        **provenance(),
    }
    return xarray.Dataset(data, coords=coords, attrs=attrs)


def _seed(config: dict[str, Any]) -> int:
    """The seed of the start; -1 where there is none: a quadrature, or a measure of the user's."""
    start = config.get("start")
    return int(start.get("seed", -1)) if isinstance(start, dict) else -1
