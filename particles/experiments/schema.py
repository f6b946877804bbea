"""What a configuration may say: one model a section. A list where one value is expected is an axis of a sweep.

Which values fit together is in `relations.py`; `config.faults` looks at both.
"""

import types
import typing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from particles.data.datasets import SETS
from particles.experiments.consistency import LAW_OPTIONS, METHOD_OPTIONS
from particles.measures.laws import Gaussian, Sphere, Uniform
from particles.measures.measure import SIGNS
from particles.methods.dual_averaging import DualAveraging
from particles.methods.fisher_rao import FisherRao
from particles.methods.runge_kutta import SCHEMES, RungeKutta
from particles.methods.schedules import RobbinsMonro
from particles.model.activations import ACTIVATIONS
from particles.model.losses import LOSSES
from particles.model.network import LAYERS
from particles.population.messages import DTYPES
from particles.population.observables import OBSERVABLES
from particles.simulation.simulate import DEFAULT_RECORD

MOST = 2**40  # particles; more is a slip of the finger
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Classes = Annotated[list[int | str], Field(fail_fast=True)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DataConfig(_Model):
    """A set by name, or a file with named variables."""

    name: Literal[tuple(SETS)] | None = Field(default=None, description="a known set")  # type: ignore[valid-type]
    file: str | None = Field(
        default=None, description="your own CSV (with a header), NPZ or HDF5; relative to this file's folder"
    )
    x: str | Annotated[list[str], Field(fail_fast=True)] | None = Field(
        default=None, description="of a file: the inputs' columns, or array; all others if left out"
    )
    y: str = Field(default="y", description="of a file: the targets' column, or array")
    n: Annotated[int, Field(ge=1, le=2**32)] | None = Field(
        default=None, description="of a drawn set: number of samples"
    )
    dim: Annotated[int, Field(ge=1)] | None = Field(default=None, description="of a drawn set: number of inputs d")
    noise: Weight | None = Field(
        default=None, description="of a drawn set: standard deviation of the noise on the targets"
    )
    seed: Seed | None = Field(default=None, description="of a drawn set: seed of the samples")
    positive: Classes | None = Field(
        default=None, description="classes whose label is 1, of digits, wine or a file; text in a CSV"
    )
    negative: Classes | None = Field(
        default=None, description="classes whose label is -1, of digits, wine or a file; text in a CSV"
    )
    scale: Literal["none", "standard", "unit"] = Field(
        default="none", description="inputs as they are, of mean 0 and variance 1 a column, or of length 1"
    )
    target_scale: Literal["standard"] | None = Field(
        default=None, description="targets of mean 0 and variance 1 in the training part; left out: as they are"
    )
    test: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="share of the samples held out, 0 to 1"
    )
    split_seed: Seed = Field(default=0, description="seed of the choice of held-out samples")

    def options(self) -> dict[str, Any]:
        """What is passed on to the set's maker."""
        keys = ("n", "dim", "noise", "seed", "positive", "negative")
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


class NetworkConfig(_Model):
    """g(x) = M^-beta sum_r s_r sigma(b_r . x)."""

    activation: Literal[tuple(ACTIVATIONS)] = Field(description="sigma")  # type: ignore[valid-type]
    beta: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0, description="the output's scale M^-beta: 1 is the mean field, 0.5 the tangent kernel's"
    )
    bias: bool = Field(default=False, description="whether a constant input 1 is added")
    train: Annotated[list[Literal[LAYERS]], Field(fail_fast=True)] = Field(  # type: ignore[valid-type]
        default=["input"], description="which layers move"
    )


class LawConfig(_Model):
    """mu0, the law that neurons are drawn from."""

    name: Literal[tuple(LAW_OPTIONS)] = Field(description="which law")  # type: ignore[valid-type]
    std: PositiveFloat = Field(default=Gaussian.std, description="of gaussian: standard deviation of a coordinate")
    mean: Finite = Field(default=Gaussian.mean, description="of gaussian: mean of every coordinate")
    radius: PositiveFloat = Field(default=Sphere.radius, description="of sphere and ball: radius")
    low: Finite = Field(default=Uniform.low, description="of uniform: least coordinate")
    high: Finite = Field(default=Uniform.high, description="of uniform: greatest coordinate")
    file: str | None = Field(
        default=None, description="of atoms: an NPZ with points (k, dim) and, if wanted, weights (k,)"
    )


class StartConfig(_Model):
    """The network before the first step."""

    count: Annotated[int, Field(ge=1, le=MOST)] = Field(description="M, the number of neurons")
    seed: Seed = Field(default=0, description="seed of the draw")
    signs: Literal[SIGNS] = Field(  # type: ignore[valid-type]
        default="positive", description="output weights s_r: all 1, drawn from -1 and 1, or each neuron twice with both"
    )


class StepConfig(_Model):
    """A step schedule, in flow time."""

    schedule: Literal["robbins_monro", "inverse_sqrt"] = Field(
        description="c / (t + t0), or c / sqrt(t); t = 1, 2, ..."
    )
    c: PositiveFloat = Field(description="the factor, in flow time")
    t0: Weight = Field(default=RobbinsMonro.t0, description="of robbins_monro: the shift, in iterations")


class MethodConfig(_Model):
    """How the particles move."""

    name: Literal[tuple(METHOD_OPTIONS)] = Field(  # type: ignore[valid-type]
        default="gradient_descent",
        description="which method",
    )
    step: PositiveFloat | StepConfig = Field(description="step size in flow time, the same for every M; or a schedule")
    batch: Annotated[int, Field(ge=1, le=MOST)] | None = Field(
        default=None, description="samples a step; all if left out, one for the SGDs"
    )
    seed: Seed = Field(default=0, description="seed of the batches and of the noise")
    average: bool = Field(default=False, description="keep the Polyak average of the iterates as well")
    weight_decay: Weight = Field(default=0.0, description="strength of the method's own quadratic regulariser")
    scheme: Literal[tuple(SCHEMES)] = Field(  # type: ignore[valid-type]
        default=RungeKutta.scheme,
        description="of runge_kutta: which scheme",
    )
    tolerance: PositiveFloat | None = Field(
        default=None, description="of runge_kutta: error allowed a step; the step adapts"
    )
    temperature: Weight | StepConfig = Field(default=0.0, description="of langevin and dual_averaging: units of V")
    inner: Annotated[int, Field(ge=1, le=10**9)] = Field(
        default=DualAveraging.inner, description="of dual_averaging: Langevin steps an outer step"
    )
    rate: Weight = Field(
        default=FisherRao.rate,
        description="of fisher_rao: how fast weights change, dw/dt = -rate w (V - mean V); 0 is plain descent",
    )


class RegulariserConfig(_Model):
    """A penalty on the input weights."""

    name: Literal["l1", "l2"] = Field(description="which norm")
    weight: Weight = Field(description="its factor")
    about: Literal["zero", "start"] = Field(
        default="zero", description="of l2: about 0, or about where the particle began"
    )


class RecordConfig(_Model):
    """What is kept of a run, and when."""

    every: Annotated[int, Field(ge=1)] | Literal["log"] = Field(
        default=1, description='iterations between records, or "log": evenly in their logarithm'
    )
    variables: Annotated[list[Literal[tuple(OBSERVABLES)]], Field(fail_fast=True)] = Field(  # type: ignore[valid-type]
        default=list(DEFAULT_RECORD),
        description="quantities to record; `prediction` is what the limit is compared by",
    )
    positions: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="how many particles' paths are kept"
    )


class LimitConfig(_Model):
    """M = infinity: quadrature atoms; run with `nodes` and with twice as many, which tells how far it moves."""

    nodes: Annotated[int, Field(ge=2, le=MOST)] = Field(description="quadrature atoms that stand for M = infinity")


class Config(_Model):
    """One run's configuration, complete."""

    name: Annotated[str, Field(pattern=NAME)] = Field(default="run", description="the folder of the results, out/NAME")
    steps: Annotated[int, Field(ge=0, le=10**9)] = Field(description="number of iterations")
    loss: Literal[tuple(LOSSES)] = Field(  # type: ignore[valid-type]
        default="squared", description="logistic asks for labels -1 and 1"
    )
    dtype: Literal[DTYPES] = Field(  # type: ignore[valid-type]
        default="float64", description="precision of particles and sums"
    )
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
