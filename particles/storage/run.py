"""A run: what was recorded, as one dataset over flow time, with the last measure; and how it is saved.

    /        what was recorded: dims time, sample, particle, dim, output; coords time (flow), iteration, and output
             where outputs have the names of classes
    /final   the last measure: position, sign, weight (and the average iterate's)
    /scaling where data were scaled: means and spreads of inputs and targets

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
from numpy.typing import ArrayLike, NDArray

from particles.checks import numpy_settings
from particles.errors import InputError
from particles.escapes import escaped
from particles.files.atomic import write_whole
from particles.measures.measure import Measure
from particles.model.network import Network
from particles.storage import forms
from particles.storage.attributes import attribute
from particles.storage.manifest import Event
from particles.storage.netcdf_writer import Group, Variable, group_of, packed
from particles.storage.predictor import Predictor
from particles.storage.virtual_dataset import StoredMeasure, create_virtual

if TYPE_CHECKING:
    import xarray

LAST_MEASURE = {  # the dimension `output` is left out where the network has one
    "position": ("particle positions b_r after the last iteration", "section 3", ("atom", "dim")),
    "sign": ("signs or trained output weights s_r", "section 3", ("atom", "output")),
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
    predictor
        What `predict` needs besides the measure; None for a file that was written before it was stored.

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
    predictor: Predictor | None = None

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

    @numpy_settings
    def predict(
        self, x: ArrayLike, kind: str = "output", *, average: bool = False, net: Network | None = None
    ) -> NDArray[Any]:
        r"""What the trained network gives at new inputs: raw inputs in, outputs in the units of raw targets out.

        Parameters
        ----------
        x : (n, inputs)
            Inputs as the data had them before any `scale`, the same columns in the same order. n >= 1.
        kind
            "output", the default: g(x), with the `target_scale` of the data undone. "label": 1 where g(x) > 0, else -1;
            of data of classes the class of the largest output. "probability": of the label 1 under the logistic loss;
            of every class under the softmax loss.
        average
            Of the average iterate, for a method that keeps one; by default of the last measure.
        net
            The run's network. Only a run from a file whose activation is your own needs it: a file has no code.

        Returns
        -------
        (n,)
            One number for each input; of a network of k outputs (n, k), but for the classes (n,): text, or numbers.

        Raises
        ------
        InputError
            For other columns; a `kind` that the loss does not have; another network; a run without a last measure; and
            a file of an earlier version, which has no network.

        Notes
        -----
        The numbers are those of the observable "prediction", with the targets' scaling undone. The logistic loss's
        probability is :math:`1 / (1 + e^{-g(x)})`, the softmax loss's :math:`e^{g_o(x)} / \sum_p e^{g_p(x)}`. Where
        data had shares of classes in place of labels, a class is the number of its output, from 0.

        References
        ----------
        Section 3, `g_w`; section 2 for the losses.

        Examples
        --------
        >>> data = mf.Dataset([[10.0, 0.0], [0.0, 10.0], [20.0, 10.0]], [300.0, 100.0, 200.0])
        >>> net, start = mf.Network("relu", bias=True), mf.Gaussian(3).sample(64, seed=0, signs="random")
        >>> descent = mf.GradientDescent(0.5)
        >>> run = mf.simulate(net, start, data.scaled("standard", "standard"), descent, steps=200)
        >>> run.predict([[10.0, 0.0], [0.0, 10.0]]).round(3)
        array([300., 100.])
        >>> again = mf.open_run(run.save("run.h5"))
        >>> bool((again.predict(data.x) == run.predict(data.x)).all())
        True
        """
        if average and self.average is None:
            remedy = "Leave `average` out, or train with mf.AveragedSGD."
            raise InputError("`average` needs a method that keeps an average iterate", "none in this run", remedy)
        measure = self.average if average and self.average is not None else self.measure
        if self.predictor is None:
            remedy = "Use net.predict(run.measure, x) with the run's network, x scaled as in the run."
            raise InputError("`predict` needs the run's network", "none: an earlier version wrote the file", remedy)
        return self.predictor.outputs(measure, x, kind, net)

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
        groups |= self.predictor.groups() if self.predictor else {}
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
                lines.append(f"  {name}   M = {len(measure.b)} particles on R^{measure.b.shape[1]}{_outputs(measure)}")
        if self.left is not None:
            lines.append(f"  left      M = {self.left.atoms} particles in {self.left.folder}")
        names = [str(name) for name, values in data.data_vars.items() if any(map(forms.timed, values.dims))]
        lines.append(f"  recorded  {', '.join(names) or 'nothing'}")
        if self.events:
            lines.append(f"  events    {len(self.events)}, see run.events")
        plots = [f'run.dataset.mf.plot("{name}")' for name in names if data[name].dims == ("time",)][:1]
        nexts = {
            "finished": ", ".join([*plots, *(["run.predict(x)"] if self.last else []), 'run.save("run.h5")']),
            "stopped": "call mf.simulate again with the same `checkpoints` to go on; run.dataset has what was recorded",
            "diverged": "a smaller step; run.dataset has what was recorded before",
        }
        return "\n".join(map(escaped, [*lines, f"  next      {nexts.get(self.status, 'run.dataset')}"]))

    def _repr_html_(self) -> str:
        """In a notebook: the same, and below it what was recorded, to unfold."""
        return f"<pre>{html.escape(repr(self))}</pre>{self.dataset._repr_html_()}"


def _outputs(measure: Measure) -> str:
    return "" if measure.s.ndim == 1 else f", {measure.s.shape[1]} outputs"


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
            variables[prefix + name] = Variable(dims[: values.ndim], values, about)
    return Group(variables)
