"""What makes outputs of raw inputs, besides the particles: network, loss, float type, and how the data were scaled.

In a run's file the attribute `model` has the words, and the group /scaling the means and spreads, if there are any.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import in_range, real_array
from particles.data.scaling import Scaling, Standard
from particles.errors import DamagedError, InputError, nearest
from particles.measures.measure import Array, Measure
from particles.model.activations import ACTIVATIONS
from particles.model.losses import LOSSES, Loss
from particles.model.network import Network
from particles.model.tables import described
from particles.storage import forms
from particles.storage.attributes import Model, attribute
from particles.storage.netcdf_writer import Group, Variable

if TYPE_CHECKING:
    import xarray

KINDS = ("output", "label", "probability")
_COLUMNS = {
    "exponent": "exponent e: numbers are divided by 2^e first",
    "mean": "mean, divided by 2^e",
    "rest": "what the mean is beyond its digits, divided by 2^e",
    "spread": "standard deviation, divided by 2^e; inf for a column of equal numbers",
}


class Predictor(NamedTuple):
    """net: None where a file names an activation of the user's own. model: the words of the file."""

    net: Network | None
    model: Model
    scaling: Scaling

    @classmethod
    def of(cls, net: Network, loss: Loss, dtype: str, scaling: Scaling) -> "Predictor":
        """That of a run."""
        rest = {"loss": described(loss, LOSSES), "binary": bool(loss.binary), "dtype": dtype, "scale": scaling.scale}
        return cls(net, cast(Model, _words_of(net) | rest), scaling)

    def text(self) -> str:
        """The attribute `model`."""
        return json.dumps(self.model)

    def groups(self) -> dict[str, Group]:
        """The group /scaling, where something has means and spreads."""
        variables = {}
        for what, columns in (("input", self.scaling.inputs), ("target", self.scaling.targets)):
            for name, values in columns._asdict().items() if columns else ():
                about = {"long_name": f"of the {what}s before training: {_COLUMNS[name]}", "units": "1"}
                variables[f"{what}_{name}"] = Variable((what,), values, about | {"equation": "section 2"})
        return {"/scaling": Group(variables)} if variables else {}

    def outputs(self, measure: Measure, x: ArrayLike, kind: str, net: Network | None) -> Array:
        """Outputs of a measure at raw inputs, (n, inputs) -> (n,), as `Run.predict` describes them."""
        if kind not in KINDS:
            raise InputError(f"`kind` must be one of {', '.join(KINDS)}", repr(kind), nearest(str(kind), KINDS))
        self._check_kind(kind)
        net, raw = self._network(net), real_array("inputs", x)
        inputs = measure.b.shape[1] - net.bias
        if raw.ndim != 2 or raw.shape[1] != inputs or len(raw) < 1:
            rule = f"inputs must have shape (n, {inputs}), n >= 1, with the columns that the run was trained on"
            raise InputError(rule, str(raw.shape), "Pass x[None, :]." if raw.shape == (inputs,) else "")
        scaled = self.scaling.inputs_of(raw)
        in_range("inputs", scaled, self.model["dtype"])
        g = net.predict(measure, scaled, self.model["dtype"])
        if kind == "probability":
            return np.exp(-np.logaddexp(0.0, -g))
        return np.where(g > 0.0, 1.0, -1.0) if kind == "label" else self.scaling.outputs_of(g)

    def _check_kind(self, kind: str) -> None:
        loss = self.model["loss"]
        if kind == "probability" and loss != "logistic":
            raise InputError("a probability needs the logistic loss", f"the loss {loss!r}", "Use the outputs.")
        if kind == "label" and not self.model["binary"]:
            rule, remedy = "labels need a loss of labels -1 and 1", "np.sign(run.predict(x)) has the signs of outputs."
            raise InputError(rule, f"the loss {loss!r}", remedy)

    def _network(self, given: Network | None) -> Network:
        """The run's network, or the user's, if it is the same."""
        known = {name: self.model[name] for name in ("activation", "beta", "bias", "train")}
        if given is None and self.net is None:
            remedy = "Pass the run's network: run.predict(x, net=mf.Network(...))."
            raise InputError("a file has no formulas of an activation of your own", repr(known["activation"]), remedy)
        if given is not None and (words := _words_of(given)) != known:
            remedy = "Another network has net.predict(run.measure, x), x scaled as in the run."
            raise InputError(f"`net` must be the run's network, {known}", str(words), remedy)
        network = given or self.net
        assert network is not None
        return network


def _words_of(net: Network) -> dict[str, Any]:
    activation = described(net.activation, ACTIVATIONS)
    return {"activation": activation, "beta": float(net.beta), "bias": net.bias, "train": list(net.train)}


def predictor_of(
    path: Path, attrs: Mapping[Any, Any], scaling: "xarray.Dataset | None", inputs: int
) -> Predictor | None:
    """The predictor of a run's file; None where it was written before they had one.

    inputs: of the network, a bias counted in. Raises DamagedError where its parts do not fit together.
    """
    if "model" not in attrs:
        return None
    model: Model = attribute(path, attrs, "model")
    net = None
    if model["activation"] in ACTIVATIONS:
        net = Network(model["activation"], model["beta"], model["bias"], set(model["train"]))
    columns = [_standard(path, scaling, *of) for of in (("input", inputs - model["bias"]), ("target", 1))]
    if (model["scale"] == "standard") is not (columns[0] is not None):
        raise DamagedError(f"{path} is damaged: the means and spreads of its inputs are not those of its `model`.")
    return Predictor(net, model, Scaling(model["scale"], *columns))


def _standard(path: Path, group: "xarray.Dataset | None", what: str, count: int) -> Standard | None:
    """The columns of inputs or of targets, if the file has them."""
    names = {name: f"{what}_{name}" for name in Standard._fields}
    if group is None or not any(name in group for name in names.values()):
        return None
    forms.check(path, group, {names[name]: ("i" if name == "exponent" else "f", (what,)) for name in names})
    if group.sizes[what] != count:
        raise DamagedError(f"{path} is damaged: it has means of {group.sizes[what]} {what}s, its particles of {count}.")
    columns = Standard(*(group[name].values for name in names.values()))
    if not columns.usable or (what == "target" and np.isinf(columns.spread).any()):
        raise DamagedError(f"{path} is damaged: the means and spreads of its {what}s are none that data can have.")
    return columns
