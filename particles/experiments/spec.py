"""What makes one run of a sweep: objects, or a configuration that they are built from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from particles.data.dataset import Dataset, Stream
from particles.experiments import build
from particles.experiments.schema import Config
from particles.measures.laws import Law
from particles.measures.measure import Measure, Source
from particles.methods.base import Method
from particles.model.network import Network

KnownData = dict[str, build.Data]  # samples that were read before, by `build.data_key`


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
        """It is built."""
        return self

    def start(self, nodes: int | None) -> Measure | Source:
        """The first measure: M particles made where they are needed, or at least `nodes` quadrature atoms."""
        if not isinstance(self.law, Law):
            return self.law
        if nodes is None:
            return self.law.sample(self.count, self.seed, self.signs, lazy=True)
        train = self.data.holdout() if isinstance(self.data, Stream) else self.data
        return self.law.quadrature(nodes, self.signs, along=self.net.inputs(train.x))

    def arguments(self, nodes: int | None) -> dict[str, Any]:
        """What `simulate` takes for this run."""
        positions = self.settings["positions"]
        return self.settings | {
            "net": self.net,
            "start": self.start(nodes),
            "data": self.data,
            "method": self.method,
            "steps": self.steps,
            "positions": positions and min(positions, nodes or self.count),
        }


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

    def built(self, identity: build.Identity, known: KnownData) -> RunSpec:
        """The objects, of files whose hashes are those in the identity, and of samples that are known."""
        config = self.config
        objects = build.parts(config, self.folder, identity, known.get(build.data_key(config)))
        settings = {
            "loss": config.loss,
            "regulariser": objects.regulariser,
            "record_every": config.record.every,
            "record": config.record.variables,
            "positions": config.record.positions,
            "test": objects.test,
            "dtype": config.dtype,
        }
        start = config.start
        return RunSpec(
            objects.net, objects.law, objects.train, objects.method, config.steps,
            start.count, start.seed, start.signs, settings,
        )  # fmt: skip
