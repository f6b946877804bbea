"""What a configuration may say: one model a section. A list where one value is expected is an axis of a sweep.

Which values fit together is in `relations.py`; `config.faults` looks at both.
"""

import types
import typing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from particles.activations import ACTIVATIONS
from particles.datasets import SETS
from particles.methods import SCHEMES
from particles.observables import OBSERVABLES
from particles.study.relations import METHOD_OPTIONS
from particles.study.simulate import DEFAULT_RECORD

MOST = 2**40  # particles; more is a slip of the finger
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DataConfig(_Model):
    """A set by name, or a file with named variables."""

    name: Literal[tuple(SETS)] | None = None  # type: ignore[valid-type]
    file: str | None = None
    x: str | list[str] | None = None
    y: str = "y"
    n: Annotated[int, Field(ge=1, le=2**32)] | None = None
    dim: Annotated[int, Field(ge=1)] | None = None
    noise: Weight | None = None
    seed: Seed | None = None
    positive: list[int] | None = None
    negative: list[int] | None = None
    scale: Literal["none", "standard", "unit"] = "none"
    test: Annotated[float, Field(gt=0, lt=1)] | None = None
    split_seed: Seed = 0

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


class StartConfig(_Model):
    count: Annotated[int, Field(ge=1, le=MOST)]
    seed: Seed = 0
    signs: Literal["positive", "random", "symmetric"] = "positive"


class StepConfig(_Model):
    """A step schedule, in flow time."""

    schedule: Literal["robbins_monro", "inverse_sqrt"]
    c: PositiveFloat
    t0: Weight = 0.0


class MethodConfig(_Model):
    name: Literal[tuple(METHOD_OPTIONS)] = "gradient_descent"  # type: ignore[valid-type]
    step: PositiveFloat | StepConfig
    batch: Annotated[int, Field(ge=1, le=MOST)] | None = None
    seed: Seed = 0
    average: bool = False
    weight_decay: Weight = 0.0
    scheme: Literal[tuple(SCHEMES)] = "dormand-prince"  # type: ignore[valid-type]
    tolerance: PositiveFloat | None = None
    temperature: Weight | StepConfig = 0.0
    inner: Annotated[int, Field(ge=1)] = 10
    rate: Weight = 1.0


class RegulariserConfig(_Model):
    name: Literal["l1", "l2"]
    weight: Weight
    about: Literal["zero", "start"] = "zero"


class RecordConfig(_Model):
    every: Annotated[int, Field(ge=1)] | Literal["log"] = 1
    variables: list[Literal[tuple(OBSERVABLES)]] = list(DEFAULT_RECORD)  # type: ignore[valid-type]
    positions: Annotated[int, Field(ge=1)] | None = None


class LimitConfig(_Model):
    """M = infinity: quadrature atoms; run with `nodes` and with twice as many, which tells the error."""

    nodes: Annotated[int, Field(ge=2, le=MOST)]


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


def kinds_of(annotation: Any) -> list[Any]:
    """The alternatives of a type: those of a union, or itself."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return [kind for part in typing.get_args(annotation) for kind in kinds_of(part)]
    if typing.get_origin(annotation) is typing.Annotated:
        return kinds_of(typing.get_args(annotation)[0])
    return [annotation]
