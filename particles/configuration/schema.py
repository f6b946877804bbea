"""What a configuration may say: one model a section. A list where one value is expected is an axis of a sweep.

The sections of laws, methods, schedules and regularisers are made from the settings of their classes (`sections`);
`[[record]]`, a list of sections, is several cadences and no axis.
Which values fit together is in `consistency`; `config.faults` looks at both.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, create_model

from particles.configuration.sections import DRAWN_LAWS, LAWS, MOST, Section, name_in, or_own, own_section, section
from particles.data.classes import Grouped
from particles.data.columns import Choice, choice_of
from particles.data.datasets import TEACHER, TEACHER_SIGNS
from particles.data.known_sets import SETS
from particles.errors import InputError
from particles.measures.output_weights import SIGNS
from particles.methods.registry import METHODS
from particles.model.activations import ACTIVATIONS
from particles.model.losses import LOSSES
from particles.model.network import LAYERS, Network
from particles.model.regularisers import REGULARISERS
from particles.population.messages import DTYPES
from particles.population.observables import OBSERVABLES
from particles.simulation.record import DEFAULT_RECORD

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Names = Annotated[list[str], Field(fail_fast=True)]
Classes = Annotated[list[int | str], Field(fail_fast=True)]
OUTPUTS = 2**16  # more is a slip of the finger


DrawnLawConfig = section(
    "DrawnLawConfig",
    "The law of a teacher's neurons or of its inputs.",
    DRAWN_LAWS,
    Field(description="which law"),
    module=__name__,
)


class TeacherConfig(Section):
    """The network that gives the targets of the set `teacher`."""

    activation: name_in(ACTIVATIONS) = Field(description="sigma")  # type: ignore[valid-type]
    count: Annotated[int, Field(ge=1, le=2**32)] = Field(description="the number of its neurons")
    law: DrawnLawConfig = Field(  # type: ignore[valid-type]
        default=DrawnLawConfig(name="sphere"), description="the law of its neurons; the unit sphere if left out"
    )
    beta: Annotated[float, Field(ge=0, le=1)] = Field(1.0, description="its output's scale count^-beta")
    bias: bool = Field(False, description="whether its inputs have a constant 1")
    signs: Literal[TEACHER_SIGNS] = Field(  # type: ignore[valid-type]
        default="positive", description="its output weights: all 1, drawn from -1 and 1, or standard normal"
    )
    outputs: Annotated[int, Field(ge=1, le=OUTPUTS)] | None = Field(
        None, description="how many outputs it has; 1 if left out"
    )


class DataConfig(Section):
    """A set by name, or a file with named variables."""

    name: Literal[(*SETS, TEACHER)] | None = Field(None, description="a known set")  # type: ignore[valid-type]
    file: str | None = Field(
        None, description="your own CSV (with a header), TSV, Parquet, NPZ or HDF5; relative to this file's folder"
    )
    x: str | Names | None = Field(None, description="of a file: the inputs' columns, or array; all others if left out")
    y: str = Field("y", description="of a file: the targets' column, or array")
    drop: Names | None = Field(None, description="of a table: columns that are no inputs")
    one_hot: Names | None = Field(
        None, description="of a table: columns of text; each of their values becomes a column of 0 and 1"
    )
    missing: Literal["drop", "mean"] | None = Field(
        None, description="of a table: leave out rows with a missing cell, or use the column's mean; left out: refuse"
    )
    teacher: TeacherConfig | None = Field(None, description="of the set teacher: the network that gives the targets")
    inputs: DrawnLawConfig | None = Field(  # type: ignore[valid-type]
        None, description="of the set teacher: the law of the inputs; the unit sphere if left out"
    )
    n: Annotated[int, Field(ge=1, le=2**32)] | None = Field(None, description="of a drawn set: number of samples")
    dim: Annotated[int, Field(ge=1)] | None = Field(None, description="of a drawn set: number of inputs d")
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="of a drawn set: standard deviation of the noise on the targets"
    )
    seed: Seed | None = Field(None, description="of a drawn set: seed of the samples")
    positive: Classes | None = Field(
        None, description="classes whose label is 1, of digits, wine or a file; text in a table"
    )
    negative: Classes | None = Field(
        None, description="classes whose label is -1, of digits, wine or a file; text in a table"
    )
    classes: Literal[True] | Classes | None = Field(
        None, description="one output a class: true for all labels that there are, or the classes in their order"
    )
    scale: Literal["none", "standard", "unit"] = Field(
        "none", description="inputs as they are, of mean 0 and variance 1 a column, or of length 1"
    )
    target_scale: Literal["standard"] | None = Field(
        None, description="targets of mean 0 and variance 1 in the training part; left out: as they are"
    )
    test: Annotated[float, Field(gt=0, lt=1)] | None = Field(None, description="share of the samples held out, 0 to 1")
    split_seed: Seed = Field(0, description="seed of the choice of held-out samples")

    def choice(self) -> Choice:
        """Which columns of a table are used, and how."""
        return choice_of(self.x, self.y, self.drop, self.one_hot, self.missing)

    @property
    def labels(self) -> Grouped:
        """How the classes of a file become targets."""
        return Grouped(self.positive, self.negative, self.classes)

    def options(self) -> dict[str, Any]:
        """What is passed on to the set's maker."""
        keys = ("n", "dim", "noise", "seed", "positive", "negative", "classes")
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


class NetworkConfig(Section):
    """g(x) = M^-beta sum_r s_r sigma(b_r . x)."""

    activation: name_in(ACTIVATIONS) = Field(description="sigma")  # type: ignore[valid-type]
    beta: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="the output's scale M^-beta: 1 is the mean field, 0.5 the tangent kernel's"
    )
    bias: bool = Field(False, description="whether a constant input 1 is added")
    train: Annotated[list[Literal[LAYERS]], Field(fail_fast=True)] = Field(  # type: ignore[valid-type]
        default=["input"], description="which layers move"
    )
    outputs: Annotated[int, Field(ge=1, le=OUTPUTS)] | None = Field(
        None, description="k, how many outputs; if left out, as many as the data have classes or targets a sample"
    )

    def network(self, activation: Any, outputs: int) -> Network:
        """The network itself, of this activation: a name, or the user's object; outputs: those of the data."""
        if self.outputs not in (None, outputs):
            rule = f"`network.outputs` must be the number of targets a sample, {outputs}"
            remedy = "Leave it out, or give `data.classes`." if outputs == 1 else "Leave it out."
            raise InputError(rule, self.outputs, remedy)
        return Network(activation, self.beta, self.bias, tuple(self.train), outputs)


LawConfig = section(
    "LawConfig", "mu0, the law that neurons are drawn from.", LAWS, Field(description="which law"), module=__name__
)


class StartConfig(Section):
    """The network before the first step."""

    count: Annotated[int, Field(ge=1, le=MOST)] = Field(description="M, the number of neurons")
    seed: Seed = Field(0, description="seed of the draw")
    signs: Literal[SIGNS] = Field(  # type: ignore[valid-type]
        default="positive",
        description="output weights s_r: all 1, drawn from -1 and 1, or each neuron twice with both; unit vectors or "
        "standard normal, for several outputs; joint: the first coordinates of the law",
    )


MethodConfig = section(
    "MethodConfig",
    "How the particles move.",
    METHODS,
    Field("gradient_descent", description="which method"),
    module=__name__,
)
RegulariserConfig = section(
    "RegulariserConfig",
    "A penalty on the input weights.",
    REGULARISERS,
    Field(description="which norm"),
    module=__name__,
)


class RecordConfig(Section):
    """What is kept of a run, and when."""

    every: Annotated[int, Field(ge=1)] | Literal["log"] = Field(
        default=1, description='iterations between records, or "log": evenly in their logarithm'
    )
    variables: Annotated[list[name_in(OBSERVABLES)], Field(fail_fast=True)] = Field(  # type: ignore[valid-type]
        default=list(DEFAULT_RECORD),
        description="quantities to record; `prediction` is what the limit is compared by",
    )
    positions: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="how many particles' paths are kept, at most; all if left out"
    )


_ONE = Annotated[RecordConfig, Tag("one")]
_SEVERAL = Annotated[list[RecordConfig], Field(min_length=1, fail_fast=True), Tag("several")]
_WHICH = Discriminator(lambda value: "several" if isinstance(value, list) else "one")


class LimitConfig(Section):
    """M = infinity: quadrature nodes; run with `nodes` and with twice as many, which tells how far it moves."""

    nodes: Annotated[int, Field(ge=2, le=MOST)] = Field(description="quadrature nodes that stand for M = infinity")
    fluctuations: Annotated[int, Field(ge=0, le=MOST)] | None = Field(
        None,
        description="quadrature nodes on which networks' fluctuations about it are predicted: 512 if left out, or "
        "`nodes` if fewer; 0 for no prediction",
    )


class Config(Section):
    """One run's configuration, complete."""

    name: Annotated[str, Field(pattern=NAME)] = Field("run", description="the folder of the results, out/NAME")
    steps: Annotated[int, Field(ge=0, le=10**9)] = Field(description="number of iterations")
    loss: name_in(LOSSES) = Field(  # type: ignore[valid-type]
        default="squared",
        description="logistic, smooth_hinge and exponential ask for labels -1 and 1, softmax for one output a class",
    )
    dtype: Literal[DTYPES] = Field(  # type: ignore[valid-type]
        default="float64", description="precision of particles and sums"
    )
    data: DataConfig
    network: NetworkConfig
    law: or_own(LawConfig)  # type: ignore[valid-type]
    start: StartConfig
    method: or_own(MethodConfig)  # type: ignore[valid-type]
    regulariser: RegulariserConfig | None = None  # type: ignore[valid-type]
    record: Annotated[_ONE | _SEVERAL, _WHICH] = RecordConfig()
    limit: LimitConfig | None = None

    @property
    def records(self) -> list[RecordConfig]:
        """What is recorded, at each cadence."""
        return self.record if isinstance(self.record, list) else [self.record]


@lru_cache(maxsize=64)
def config_of(own: tuple[tuple[str, str, Hashable], ...]) -> type[Config]:
    """The same with the settings of classes of the user's own: (section, reference, class) of each."""
    fields: Any = {part: (own_section(name, kind), Field()) for part, name, kind in own}
    return create_model("Config", __base__=Config, **fields) if own else Config
