"""A run: what was recorded, as one dataset over flow time, with the last measure; and how it is saved.

    /        what was recorded: dims time, sample, particle, dim; coords time (flow), iteration
    /final   the last measure: position, sign, weight (and the average iterate's)

Every variable carries long_name, units and the equation it comes from; the root's attributes carry the configuration,
its hash and where the numbers came from.
"""

import html
import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from particles.errors import InputError
from particles.escapes import escaped
from particles.files.atomic import write_whole
from particles.measures.measure import Measure
from particles.population.observables import MOMENTS, Observable
from particles.storage import forms
from particles.storage.attributes import attribute
from particles.storage.history import History
from particles.storage.manifest import Event
from particles.storage.netcdf_writer import Group, Variable, group_of, packed
from particles.storage.provenance import fingerprint, provenance
from particles.storage.virtual_dataset import StoredMeasure, create_virtual

if TYPE_CHECKING:
    import xarray

LAST_MEASURE = {
    "position": ("particle positions b_r after the last iteration", "section 3", ("atom", "dim")),
    "sign": ("signs or trained output weights s_r", "section 3", ("atom",)),
    "weight": ("weights w_r of the atoms of mu", "3.4", ("atom",)),
}


@dataclass
class Run:
    """One run: what was recorded, and the measure after the last iteration.

    Attributes
    ----------
    dataset
        What was recorded, over flow time `time`; the configuration and the provenance are its attributes.
    last
        The measure after the last iteration; None where `measure` raises.
    average
        The average iterate of a method that keeps one, else None.
    left
        The shards' files with both measures, where `mf.simulate` was given `final`; else None.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4)
    >>> run.status, run.measure.b.shape, run.dataset["time"].values
    ('finished', (16, 2), array([0. , 0.5, 1. , 1.5, 2. ]))
    """

    dataset: "xarray.Dataset"
    last: Measure | None
    average: Measure | None = None
    left: StoredMeasure | None = None

    @property
    def measure(self) -> Measure:
        """The measure after the last iteration. Where the run does not have it, an `InputError` has the reason."""
        if self.last is not None:
            return self.last
        if self.left is not None:
            reason, remedy = f"its particles are in {self.left.folder}", "Save the run, then mf.open_run reads them."
        else:
            reason, remedy = "the run ended inside an iteration", "Run again with the same `checkpoints` to go on."
        raise InputError("`measure` must be there to be used", reason, remedy)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return dict(attribute("the run", self.dataset.attrs, "config"))

    @property
    def status(self) -> str:
        """How it ended, "finished", "stopped" (by the user) or "diverged"."""
        return str(self.dataset.attrs["status"])

    @property
    def events(self) -> list[Event]:
        """What happened to the run, such as faults, checkpoints left out, and where it went on."""
        return list(attribute("the run", self.dataset.attrs, "events", []))

    def save(self, path: str | Path) -> Path:
        """Write the run to one HDF5 file, whole or not at all.

        Parameters
        ----------
        path
            The file. A run with `left` must be saved beside or above the folder of its particles; both move together.

        Returns
        -------
        Path
            `path`.

        Raises
        ------
        InputError
            For another place of a run with `left`.
        StorageError
            If the file cannot be written.

        Examples
        --------
        >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
        >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
        >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4)
        >>> run.save("run.h5").name
        'run.h5'
        """
        path, groups = Path(path), {"/": group_of(self.dataset)}
        if self.left is None:
            groups["/final"] = _measure_group(self)
        elif not self.left.folder.absolute().is_relative_to(path.absolute().parent):
            raise InputError(
                "a run's file must be beside or above the folder of its particles, and moves with it",
                f"{path} for {self.left.folder}",
                f"Save it as {self.left.folder.parent / path.name}.",
            )
        write_whole(path, packed(groups, partial(_refer, self.left, path) if self.left else None))
        return path

    def __repr__(self) -> str:
        """How it ended, what there is of it, what to do next: arrays are no answer at a prompt."""
        data = self.dataset
        rows = data.sizes.get("time", 0)
        lines = [f"Run: {self.status}, nothing recorded"]
        if rows:
            last, steps = float(data["time"][-1]), int(data["iteration"][-1])
            lines = [f"Run: {self.status} after {steps} steps at flow time {last:g}, {rows} times recorded"]
        for name, measure in (("measure", self.last), ("average", self.average)):
            if measure is not None:
                lines.append(f"  {name}   M = {len(measure.b)} particles on R^{measure.b.shape[1]}")
        if self.left is not None:
            lines.append(f"  left      M = {self.left.atoms} particles in {self.left.folder}")
        names = [str(name) for name, values in data.data_vars.items() if any(map(forms.timed, values.dims))]
        lines.append(f"  recorded  {', '.join(names) or 'nothing'}")
        if self.events:
            lines.append(f"  events    {len(self.events)}, see run.events")
        plain = [name for name in names if data[name].dims == ("time",)]
        nexts = {
            "finished": (f'run.dataset.mf.plot("{plain[0]}"), ' if plain else "") + 'run.save("run.h5")',
            "stopped": "call mf.simulate again with the same `checkpoints` to go on; run.dataset has what was recorded",
            "diverged": "a smaller step; run.dataset has what was recorded before",
        }
        return "\n".join(map(escaped, [*lines, f"  next      {nexts.get(self.status, 'run.dataset')}"]))

    def _repr_html_(self) -> str:
        """In a notebook: the same, and below it what was recorded, to unfold."""
        return f"<pre>{html.escape(repr(self))}</pre>{self.dataset._repr_html_()}"


def dataset_of(
    history: History,
    times: np.ndarray[Any, Any],
    names: list[tuple[str, Observable]],
    targets: dict[str, np.ndarray[Any, Any]],
    config: dict[str, Any],
    status: str,
    events: list[Event],
) -> "xarray.Dataset":
    """What was recorded as one dataset over flow time, in the same arrays."""
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
    for name, row in names:
        about = "of the average iterate: " if name.startswith("averaged_") else ""
        labels = {"long_name": about + row.long_name, "units": "1", "equation": row.equation}
        if name in recorded:
            dim, values = recorded[name]
            data[name] = ((dim, *row.dims), values, labels)
    for name, values in targets.items():
        dim = "test_sample" if name.startswith("test_") else "sample"
        data[name] = (dim, values, {"long_name": "targets y_i", "units": "1", "equation": "section 2"})
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
    return Dataset(data, coords=coords, attrs=attrs)


def _seed(config: dict[str, Any]) -> int:
    """The seed of the start; -1 where there is none: a quadrature, or a measure of the user's."""
    start = config.get("start")
    return int(start.get("seed", -1)) if isinstance(start, dict) else -1


def _refer(left: StoredMeasure, path: Path, file: h5py.File) -> None:
    """/final by reference to the shards' files, found from where `path` is."""
    folder = os.path.relpath(left.folder.absolute(), path.absolute().parent)
    files = {segment: os.path.join(folder, segment.file) for segment in left.segments}
    group = file.require_group("final")
    create_virtual(group, left.format, left.atoms, files)
    group.attrs["files"] = json.dumps([[files[part], part.bytes, part.sha256] for part in left.segments])


def _measure_group(run: Run) -> Group:
    variables = {}
    for prefix, measure in (("", run.last), ("averaged_", run.average)):
        for values, (name, (text, equation, dims)) in zip(measure or (), LAST_MEASURE.items(), strict=False):
            about = {"long_name": text, "units": "1", "equation": equation}
            variables[prefix + name] = Variable(dims, values, about)
    return Group(variables)
