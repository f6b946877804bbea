"""What makes outputs of raw inputs besides the particles: network, loss, float type, classes; how data were scaled.

In a run's file the attribute `model` has the words, and the group /scaling the means and spreads, if there are any.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particles.checks import in_range, real_array
from particles.data.dataset import Dataset, Stream
from particles.data.scaling import UNSCALED, Scaling, Standard
from particles.errors import DamagedError, InputError, nearest
from particles.measures.measure import Measure, outputs_of
from particles.model.activations import ACTIVATIONS
from particles.model.losses import LOSSES, Loss, softmax
from particles.model.network import Network
from particles.model.tables import described
from particles.storage import forms
from particles.storage.attributes import Model, attribute
from particles.storage.netcdf_writer import Group, Variable

if TYPE_CHECKING:
    import xarray

KINDS = ("output", "label", "probability")
SOFTMAX = LOSSES["softmax"].name
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
    def of(cls, net: Network, loss: Loss, dtype: str, data: Dataset | Stream) -> "Predictor":
        """That of a run."""
        scaling, classes = (data.scaling, data.classes) if isinstance(data, Dataset) else (UNSCALED, ())
        rest = {"loss": described(loss, LOSSES), "binary": bool(loss.binary), "dtype": dtype, "scale": scaling.scale}
        more = {"classes": list(classes)} if classes else {}
        return cls(net, cast(Model, _words_of(net) | rest | more), scaling)

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

    def outputs(self, measure: Measure, x: ArrayLike, kind: str, net: Network | None) -> NDArray[Any]:
        """Outputs of a measure at raw inputs, (n, inputs) -> (n,) or (n, k), as `Run.predict` describes them."""
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
            return softmax(g) if self.model["loss"] == SOFTMAX else np.exp(-np.logaddexp(0.0, -g))
        if kind == "label" and not self.model["binary"]:
            return np.asarray(self._classes()[self.scaling.outputs_of(g).argmax(axis=1)])
        return np.where(g > 0.0, 1.0, -1.0) if kind == "label" else self.scaling.outputs_of(g)

    def _check_kind(self, kind: str) -> None:
        loss = self.model["loss"]
        if kind == "probability" and loss not in ("logistic", SOFTMAX):
            rule = "a probability needs the logistic or the softmax loss"
            raise InputError(rule, f"the loss {loss!r}", "Use the outputs.")
        if kind == "label" and not (self.model["binary"] or loss == SOFTMAX or "classes" in self.model):
            rule = "labels need a loss of labels -1 and 1, or data of classes"
            raise InputError(rule, f"the loss {loss!r}", "np.sign(run.predict(x)) has the signs of outputs.")

    def _classes(self) -> NDArray[Any]:
        """The classes of the outputs, (k,); their numbers where the data had shares in place of labels."""
        return np.array(self.model.get("classes", range(self.model.get("outputs", 1))))

    def _network(self, given: Network | None) -> Network:
        """The run's network, or the user's, if it is the same."""
        words = ("activation", "beta", "bias", "train", "outputs")
        known = {name: self.model[name] for name in words if name in self.model}  # type: ignore[literal-required]
        if given is None and self.net is None:
            remedy = "Pass the run's network: run.predict(x, net=mf.Network(...))."
            raise InputError("a file has no formulas of an activation of your own", repr(known["activation"]), remedy)
        if given is not None and (own := _words_of(given)) != known:
            remedy = "Another network has net.predict(run.measure, x), x scaled as in the run."
            raise InputError(f"`net` must be the run's network, {known}", str(own), remedy)
        network = given or self.net
        assert network is not None
        return network


def _words_of(net: Network) -> dict[str, Any]:
    activation = described(net.activation, ACTIVATIONS)
    words = {"activation": activation, "beta": float(net.beta), "bias": net.bias, "train": list(net.train)}
    return words | ({"outputs": net.outputs} if net.outputs > 1 else {})


def predictor_of(
    path: Path, attrs: Mapping[Any, Any], scaling: "xarray.Dataset | None", measure: Measure
) -> Predictor | None:
    """The predictor of a run's file; None where it was written before they had one.

    measure: whose particles it is for. Raises DamagedError where its parts do not fit together.
    """
    if "model" not in attrs:
        return None
    model: Model = attribute(path, attrs, "model")
    net, k, inputs = None, model.get("outputs", 1), measure.b.shape[1] - model["bias"]
    if k != outputs_of(measure):
        raise DamagedError(f"{path} is damaged: its `model` has {k} outputs, its particles {outputs_of(measure)}.")
    if len(set(classes := model.get("classes", range(k)))) != len(classes) or len(classes) != k:
        raise DamagedError(f"{path} is damaged: its `model` has {k} outputs, and other classes: {str(classes)[:60]}.")
    if model["activation"] in ACTIVATIONS:
        net = Network(model["activation"], model["beta"], model["bias"], set(model["train"]), k)
    columns = [_standard(path, scaling, *of) for of in (("input", inputs), ("target", k))]
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
