"""What makes one run of a sweep: objects, or a configuration that they are built from."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from particles.configuration.schema import Config
from particles.data.dataset import Dataset, Stream
from particles.experiments import build
from particles.measures.laws import Law
from particles.measures.measure import Measure, Source
from particles.methods.base import Method
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.simulation.record import Entry, Record, entries

# What runs share: samples that were read before, by `build.data_key`, and the objects that `Shared` stands for.
KnownData = dict[str | int, Any]
Steps = tuple[Network, Method, Regulariser | None]


class Shared(NamedTuple):
    """In the place of an object that runs share: its number in `KnownData`."""

    number: int


@dataclass(frozen=True)
class RunSpec:
    """A run as objects: `settings` are the arguments of `simulate` by keyword, `law` what its start is drawn from.

    law: or the start itself, which has then no use for count, seed and signs.
    """

    net: Network
    law: Law | Measure | Source
    data: Dataset | Stream
    method: Method
    steps: int
    count: int
    seed: int
    signs: str
    settings: dict[str, Any] = field(default_factory=dict)

    def built(self, identity: build.Identity, known: KnownData) -> "RunSpec":
        """With the objects that it shares with other runs."""
        return self.replaced(lambda value: known[value.number] if isinstance(value, Shared) else value)

    def replaced(self, change: Callable[[Any], Any]) -> "RunSpec":
        """The run with other objects for those that may hold many numbers."""
        settings = self.settings | {"test": change(self.settings.get("test"))}
        return replace(self, law=change(self.law), data=change(self.data), settings=settings)

    def steps_of(self, identity: build.Identity) -> Steps:
        """What its steps are: the network, the method, the run's own penalty."""
        return self.net, self.method, self.settings.get("regulariser")

    def start(self, nodes: int | None, tensor: bool = True) -> Measure | Source:
        """The first measure: M particles made where they are needed, or at least `nodes` quadrature nodes.

        tensor: as in `Law.quadrature`.
        """
        if not isinstance(self.law, Law):
            return self.law
        if nodes is None:
            return self.law.sample(self.count, self.seed, self.signs, lazy=True, outputs=self.net.outputs)
        train = self.data.holdout() if isinstance(self.data, Stream) else self.data
        x, k = self.net.inputs(train.x), self.net.outputs
        return self.law.quadrature(nodes, self.signs, along=x, outputs=k, tensor=tensor)

    def arguments(self, nodes: int | None) -> dict[str, Any]:
        """What `simulate` takes for this run."""
        M = nodes or self.count
        record = [_of_at_most(M, entry) for entry in entries(self.settings["record"])]
        positions = self.settings.get("positions")
        return self.settings | {
            "net": self.net,
            "start": self.start(nodes),
            "data": self.data,
            "method": self.method,
            "steps": self.steps,
            "record": record,
            "positions": positions and min(positions, M),
        }


def _of_at_most(M: int, entry: Entry) -> Entry:
    """What is recorded, of no more particles than there are."""
    if isinstance(entry, Record) and entry.particles:
        return replace(entry, particles=min(entry.particles, M))
    return entry


@dataclass(frozen=True)
class ConfigSpec:
    """A run as its configuration; folder: where file names in it start."""

    config: Config
    folder: Path

    @property
    def steps(self) -> int:
        return self.config.steps

    @property
    def count(self) -> int:
        return self.config.start.count

    @property
    def seed(self) -> int:
        return self.config.start.seed

    def steps_of(self, identity: build.Identity) -> Steps:
        """What its steps are, without its data: the network as if they had one target a sample."""
        config = self.config
        section = config.network.model_copy(update={"outputs": None})
        net = section.network(build.named(section.activation, identity), 1)
        return net, build.method_of(config, identity), build.regulariser_of(config)

    def built(self, identity: build.Identity, known: KnownData) -> RunSpec:
        """The objects, of files whose hashes are those in the identity, and of samples that are known."""
        config = self.config
        objects = build.parts(config, self.folder, identity, known.get(build.data_key(config)))
        settings = {
            "loss": build.named(config.loss, identity),
            "regulariser": objects.regulariser,
            "record": build.records(config, identity),
            "test": objects.test,
            "dtype": config.dtype,
        }
        start = config.start
        return RunSpec(
            objects.net, objects.law, objects.train, objects.method, config.steps,
            start.count, start.seed, start.signs, settings,
        )  # fmt: skip
