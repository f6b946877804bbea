"""Whether a network, a loss and targets belong together."""

import numpy as np

from particles.data.dataset import checked_labels
from particles.errors import InputError
from particles.measures.measure import Array
from particles.model.losses import Loss
from particles.model.network import Network


def check_targets(net: Network, loss: Loss, y: Array) -> None:
    """InputError for targets of another width than the outputs, a joint loss of one output, and labels that are none."""
    check_width(net, y)
    if loss.joint and net.outputs == 1:
        rule = f"the loss {loss.name!r} needs a network of one output a class, `outputs` > 1"
        raise InputError(rule, "outputs=1", 'Two classes with one output are labels -1 and 1 and the loss "logistic".')
    if loss.binary:
        checked_labels(y)
    if loss.classes:
        checked_shares(y)


def check_width(net: Network, y: Array, name: str = "y") -> None:
    """InputError for targets of another width than the network's outputs."""
    width = 1 if y.ndim == 1 else y.shape[1]
    if width != net.outputs:
        rule = f"{name} must have as many targets a sample as the network has outputs, {net.outputs}"
        raise InputError(rule, f"{width}, shape {y.shape}", f"Use mf.Network(..., outputs={width}).")


def checked_shares(y: Array) -> None:
    """InputError unless targets are those of classes: rows that are not negative and sum to 1."""
    wrong = np.flatnonzero((y < 0.0).any(axis=1) | (np.abs(y.sum(axis=1) - 1.0) > 1e-9))
    if len(wrong):
        row = ", ".join(f"{value:g}" for value in y[wrong[0]][:5])
        raise InputError(
            "targets of classes must be rows that are not negative and sum to 1",
            f"{row} at sample {wrong[0]}",
            "Give labels: mf.Dataset(x, labels, classes=True).",
        )
