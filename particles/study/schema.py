"""What a configuration may say: one model a section. A list where one value is expected is an axis of a sweep."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from particles.activations import ACTIVATIONS
from particles.datasets import SETS
from particles.observables import OBSERVABLES
from particles.study.simulate import DEFAULT_RECORD

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_LAW_OPTIONS = {
    "gaussian": {"std", "mean"},
    "sphere": {"radius"},
    "ball": {"radius"},
    "uniform": {"low", "high"},
    "atoms": {"file"},
}
_METHOD_OPTIONS = {
    "gradient_descent": {"step", "average"},
    "sgd": {"step", "batch", "seed", "average"},
    "averaged_sgd": {"step", "batch", "seed", "weight_decay"},
}

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _only(model: BaseModel, kind: str, options: dict[str, set[str]]) -> None:
    """Options that belong to another kind are faults, not ignored."""
    for key in model.model_fields_set - {"name"} - options[kind]:
        if any(key in other for other in options.values()):
            raise ValueError(
                f"`{key}` does not belong to {kind}: it takes {', '.join(sorted(options[kind])) or 'none'}"
            )


class DataConfig(_Model):
    """A set by name, or a file with named variables."""

    name: Literal[tuple(SETS)] | None = None  # type: ignore[valid-type]
    file: str | None = None
    x: str | list[str] | None = None
    y: str = "y"
    n: Annotated[int, Field(ge=1)] | None = None
    dim: Annotated[int, Field(ge=1)] | None = None
    noise: Weight | None = None
    seed: Seed | None = None
    positive: list[int] | None = None
    negative: list[int] | None = None
    scale: Literal["none", "standard", "unit"] = "none"
    test: Annotated[float, Field(gt=0, lt=1)] | None = None
    split_seed: Seed = 0

    @model_validator(mode="after")
    def _one_source(self) -> "DataConfig":
        if (self.name is None) == (self.file is None):
            raise ValueError("give either `name` (a known set) or `file` (your own)")
        return self

    def options(self) -> dict[str, Any]:
        """What is passed on to the set's maker."""
        keys = ("n", "dim", "noise", "seed", "positive", "negative")
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


class NetworkConfig(_Model):
    activation: Literal[tuple(ACTIVATIONS)]  # type: ignore[valid-type]
    beta: Annotated[float, Field(ge=0, le=1)] = 1.0
    bias: bool = False
    train: list[Literal["input", "output"]] = ["input"]


class LawConfig(_Model):
    name: Literal["gaussian", "sphere", "ball", "uniform", "atoms"]
    std: PositiveFloat = 1.0
    mean: Finite = 0.0
    radius: PositiveFloat = 1.0
    low: Finite = -1.0
    high: Finite = 1.0
    file: str | None = None

    @model_validator(mode="after")
    def _own_options(self) -> "LawConfig":
        _only(self, self.name, _LAW_OPTIONS)
        if self.name == "atoms" and self.file is None:
            raise ValueError("atoms need `file`, an NPZ with `points` (k, dim) and, if you like, `weights` (k,)")
        if not self.low < self.high:
            raise ValueError(f"`low` must be below `high`: got {self.low} and {self.high}")
        return self


class StartConfig(_Model):
    count: Annotated[int, Field(ge=1)]
    seed: Seed = 0
    signs: Literal["positive", "random", "symmetric"] = "positive"

    @model_validator(mode="after")
    def _even(self) -> "StartConfig":
        if self.signs == "symmetric" and self.count % 2:
            raise ValueError(f'`count` must be even with signs = "symmetric": got {self.count}. Use {self.count + 1}')
        return self


class StepConfig(_Model):
    """A step schedule, in flow time."""

    schedule: Literal["robbins_monro", "inverse_sqrt"]
    c: PositiveFloat
    t0: Weight = 0.0


class MethodConfig(_Model):
    name: Literal["gradient_descent", "sgd", "averaged_sgd"] = "gradient_descent"
    step: PositiveFloat | StepConfig
    batch: Annotated[int, Field(ge=1)] = 1
    seed: Seed = 0
    average: bool = False
    weight_decay: Weight = 0.0

    @model_validator(mode="after")
    def _own_options(self) -> "MethodConfig":
        _only(self, self.name, _METHOD_OPTIONS)
        return self


class RegulariserConfig(_Model):
    name: Literal["l1", "l2"]
    weight: Weight
    about: Literal["zero", "start"] = "zero"

    @model_validator(mode="after")
    def _about(self) -> "RegulariserConfig":
        if self.name == "l1" and "about" in self.model_fields_set:
            raise ValueError("`about` belongs to l2")
        return self


class RecordConfig(_Model):
    every: Annotated[int, Field(ge=1)] | Literal["log"] = 1
    variables: list[Literal[tuple(OBSERVABLES)]] = list(DEFAULT_RECORD)  # type: ignore[valid-type]
    positions: Annotated[int, Field(ge=1)] | None = None


class LimitConfig(_Model):
    """M = infinity: quadrature atoms; run with `nodes` and with twice as many, which tells the error."""

    nodes: Annotated[int, Field(ge=2)]


class Config(_Model):
    """One run's configuration, complete."""

    name: Annotated[str, Field(pattern=NAME)] = "run"
    steps: Annotated[int, Field(ge=0)]
    loss: Literal["squared", "logistic"] = "squared"
    dtype: Literal["float64", "float32"] = "float64"
    data: DataConfig
    network: NetworkConfig
    law: LawConfig
    start: StartConfig
    method: MethodConfig
    regulariser: RegulariserConfig | None = None
    record: RecordConfig = RecordConfig()
    limit: LimitConfig | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if self.regulariser and self.method.name == "averaged_sgd":
            raise ValueError("averaged_sgd brings its own pull to the start: use `method.weight_decay`, or sgd")
        if self.data.test is None and any(name.startswith("test_") for name in self.record.variables):
            raise ValueError("`record.variables` asks for test_ quantities: give `data.test`, a share such as 0.2")
        if self.record.positions is not None and self.record.positions > self.start.count:
            raise ValueError(f"`record.positions` must not exceed `start.count`: got {self.record.positions}")
        return self
