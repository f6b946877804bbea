"""What stands for M = infinity: runs of `simulate` on rules of a law, of any size, and repeated on other rules."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from particles.data.dataset import Dataset, Stream
from particles.errors import InputError, nearest
from particles.measures import quadrature
from particles.measures.laws import Atoms, Gaussian, Law
from particles.measures.measure import Array, Measure, check_dim
from particles.measures.output_weights import checked_signs, own_coordinates
from particles.measures.random_streams import Purpose, generator
from particles.methods.base import Method
from particles.model.network import Network
from particles.simulation.checkpoints import checkpoints_of
from particles.simulation.record import Entry
from particles.simulation.simulate import simulate
from particles.storage.run import Run
from particles.theory.tangent.refinement import rounding_of

OPTIONS = ("loss", "regulariser", "record_every", "positions", "engine", "dtype", "checkpoints",
           "progress")  # fmt: skip


class Limit(NamedTuple):
    """What is to be run on rules of the law. watched: what is compared, beside its averages."""

    net: Network
    law: Law
    given: dict[str, Any]
    signs: str
    record: tuple[Entry, ...]
    watched: tuple[str, ...]
    options: dict[str, Any]

    def run(self, nodes: int, replicate: int | None = None) -> tuple[Run, int]:
        """The run on one rule and its atoms; those that are only compared record no more than that needs."""
        start = rule_of(self.net, self.law, self.given["data"], nodes, self.signs, replicate)
        options, record = self.options, self.record
        if replicate is not None:
            options, record = {name: v for name, v in options.items() if name != "positions"}, self.watched
        if saves := checkpoints_of(options.get("checkpoints")):
            name = f"nodes-{nodes}" if replicate is None else f"nodes-{nodes}-{replicate}"
            options = options | {"checkpoints": replace(saves, folder=Path(saves.folder) / name)}
        return simulate(self.net, start, **self.given, record=record, **options), len(start.w)

    @property
    def replicates(self) -> int:
        """How many rules of one size state an error."""
        return quadrature.SCRAMBLES if own_coordinates(self.signs, self.net.outputs) else self.law.replicates

    @property
    def exact(self) -> bool:
        """Whether one rule is the law itself."""
        return self.law.discrete and not own_coordinates(self.signs, self.net.outputs)

    def values(self, run: Run) -> Array:
        """All predictions that are compared: (T, n), or (T, n k) of k outputs."""
        names = [*self.watched, *(f"averaged_{name}" for name in self.watched if self.given["method"].average)]
        values = [run.dataset[name].values for name in names]
        return np.concatenate([g.reshape(len(g), math.prod(g.shape[1:])) for g in values], axis=1)

    def rounding(self, run: Run) -> float:
        """What rounding may change of them."""
        return rounding_of(self.values(run), self.options.get("dtype", "float64"))


def check(net: Network, law: Law, method: Method, signs: str, options: dict[str, Any]) -> None:
    """InputError for what has no limit that a quadrature follows."""
    if net.beta != 1.0:
        remedy = "Use beta=1; the limit at beta=1/2 is the tangent kernel's flow (tangent.limit_gram, tangent.flow)."
        raise InputError("only at `beta` = 1 does the cloud have a mean-field limit", f"beta={net.beta}", remedy)
    if not isinstance(law, Law):
        remedy = "A measure of your own is Atoms(points, weights)."
        raise InputError("`law` must be an initial law that has a quadrature", type(law).__name__, remedy)
    if method.noisy:
        rule = "a quadrature follows particles that move without noise of their own"
        raise InputError(rule, repr(method), "Compare large finite clouds, or set temperature=0.")
    checked_signs(signs)
    for name in options:
        if name not in OPTIONS:
            raise InputError(
                "options must be those of `simulate` that many runs can share", name, nearest(name, OPTIONS)
            )


def _check_dim(law: Law, signs: str, outputs: int, inputs: int) -> None:
    """InputError for a law that is not on the space of the particles, or on that of (s, b)."""
    if signs != "joint":
        check_dim(law.dim, inputs)
    elif law.dim != outputs + inputs:
        rule = '`signs="joint"` needs a law on R^(outputs + inputs), a bias counted in'
        got = f"dim={law.dim} for {outputs} outputs and {inputs} inputs"
        raise InputError(rule, got, f"Use a law with dim={outputs + inputs}.")


def rule_of(net: Network, law: Law, data: Dataset | Stream, nodes: int, signs: str, replicate: int | None) -> Measure:
    """The law as at least `nodes` atoms; of another rule for each `replicate`."""
    x = net.inputs((data.holdout() if isinstance(data, Stream) else data).x)
    _check_dim(law, signs, net.outputs, x.shape[1])
    tensor = law.dim <= quadrature.TENSOR_DIM and not own_coordinates(signs, net.outputs)
    if isinstance(law, Gaussian) and tensor:
        places = [0.5] * law.dim
        if replicate is not None:
            places = generator(replicate, Purpose.QUADRATURE).uniform(0.0, 1.0, law.dim).tolist()
        even = quadrature.tensor(lambda m: quadrature.equidistant(m, places.pop()), law.dim, nodes)
        assert even
        return Atoms(law.mean + law.std * even[0], even[1]).quadrature(1, signs, outputs=net.outputs)
    try:
        return law.quadrature(nodes, signs, along=x, replicate=replicate, outputs=net.outputs)
    except NotImplementedError as error:
        remedy = "Give its class `rule` or `from_cube`."
        raise InputError("`law` must be an initial law that has a quadrature", repr(law), remedy) from error
