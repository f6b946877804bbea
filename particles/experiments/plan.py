"""What a sweep runs: a list in a configuration is an axis, every combination a run, named by its configuration's hash.

Where there is `limit.nodes`, M = infinity is run beside every combination of the axes that are not the start's, twice:
with that many atoms and with double. Another task predicts how finite networks fluctuate about it.
"""

import itertools
import math
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from particles.configuration.config import ConfigError, faults
from particles.configuration.extent import LISTED, brief, excess
from particles.configuration.references import Modules, imported, is_reference
from particles.configuration.schema import Config
from particles.configuration.sections import StepConfig, kinds_of
from particles.errors import InputError
from particles.experiments import build
from particles.experiments.spec import ConfigSpec, RunSpec
from particles.population.observables import OBSERVABLES
from particles.sensitivity.checks import unpredicted
from particles.storage.provenance import canonical, fingerprint

MAX_RUNS = 100_000
STARTS = (("start", "count"), ("start", "seed"))
_LOOKED_AT = 200  # runs in which faults are looked for once there is one


class Axis(NamedTuple):
    """One list in the configuration: its name in the result, its dotted path, its values."""

    name: str
    path: tuple[str, ...]
    values: list[Any]

    @property
    def of_the_cloud(self) -> bool:
        """Whether it tells finite clouds of one limit apart."""
        return self.path in STARTS


class Case(NamedTuple):
    """One task of a sweep. nodes: None for a finite network, else the quadrature nodes that stand for M = infinity.

    spec: what makes it. identity: what decides the run's numbers; key: its hash, the name of the run's file. draws: 0
    for a run; else its numbers are what theory predicts of the fluctuations about the limit, by so many draws of them.
    """

    coords: dict[str, Any]
    spec: RunSpec | ConfigSpec
    identity: dict[str, Any]
    nodes: int | None
    key: str
    draws: int = 0

    @property
    def work(self) -> int:
        """What an iteration costs, in particles: a draw moves all of them once more."""
        return self.particles * max(1, self.draws)

    @property
    def particles(self) -> int:
        """How many atoms it moves."""
        return self.nodes or self.spec.count

    @property
    def config(self) -> Config:
        """Its configuration; a run of objects has none."""
        assert isinstance(self.spec, ConfigSpec), self.key
        return self.spec.config

    def __str__(self) -> str:
        """A run by its coordinates."""
        words = [f"{name}={value}" for name, value in self.coords.items()]
        if self.nodes:
            words.insert(0, f"{'predicted fluctuations' if self.draws else 'limit'} with {self.nodes} nodes")
        return " ".join(words) or self.key


class Limits(NamedTuple):
    """The fewest nodes that stand for M = infinity, 0 for none, and those of the prediction, None for as many as do."""

    nodes: int = 0
    fluctuations: int | None = None


Run = tuple[dict[str, Any], RunSpec | ConfigSpec, build.Identity, Limits]  # its coordinates, ..., its limit
NODES = 512  # of a prediction: with 4096 the quickstart's loss_std differs by 1 to 4.3%, at 8 times the cost
DRAWS = 64  # their mean distance has a standard error of 3% there


class Plan(NamedTuple):
    """A sweep: its axes, its runs, the folder that file names in the configuration start from, and that itself.

    modules: the user's own that may be imported. predictions: of the fluctuations about each limit; without: why there
    is none, by the text that `canonical` makes of a setting.
    """

    name: str
    axes: list[Axis]
    cases: list[Case]
    folder: Path
    raw: dict[str, Any]
    modules: tuple[str, ...] = ()
    predictions: list[Case] = []
    without: dict[str, str] = {}

    @property
    def tasks(self) -> list[Case]:
        """All that is computed."""
        return [*self.cases, *self.predictions]


def plan(raw: dict[str, Any], folder: Path, source: str = "the configuration", modules: Iterable[str] = ()) -> Plan:
    """All runs of a configuration, checked; raises ConfigError with every fault.

    modules: those of the user's own that are imported, so that the configuration may name their objects.
    """
    if large := excess(raw):
        raise ConfigError(source, [large])
    axes = axes_in(raw)
    for axis in axes:
        if axis.path[0] in ("name", "limit"):
            raise ConfigError(source, [f"{'.'.join(axis.path)}: is one for the whole sweep: got {brief(axis.values)}"])
    try:
        check_axes({".".join(axis.path): axis.values for axis in axes})
    except InputError as error:
        raise ConfigError(source, [str(error)]) from error
    own = imported(modules)
    if messages := _faults((single for _, single in _combinations(raw, axes)), own):
        raise ConfigError(source, messages)
    runs = list(_runs(raw, axes, folder, own))
    cases = cases_of(runs, axes)
    return Plan(cases[0].config.name, axes, cases, folder, raw, tuple(own), *predictions_of(runs, axes))


def _runs(raw: dict[str, Any], axes: list[Axis], folder: Path, own: Modules) -> Iterator[Run]:
    hashes = dict[Path, str]()
    for coords, single in _combinations(raw, axes):
        config = Config.model_validate(single)
        limit = config.limit if config.network.beta == 1.0 else None
        limits = Limits(limit.nodes, limit.fluctuations) if limit else Limits()
        yield coords, ConfigSpec(config, folder), build.identity(config, folder, hashes, own), limits


def cases_of(runs: Iterable[Run], axes: list[Axis]) -> list[Case]:
    """The finite runs in their order, then those of the limit, each once."""
    finite, limits, limited = [], [], set()
    for coords, spec, identity, (fewest, *_) in runs:
        finite.append(Case(coords, spec, identity, None, fingerprint(identity)))
        setting = _without_start(coords, axes)
        if not fewest or (text := canonical(setting)) in limited:
            continue
        limited.add(text)
        for nodes in (fewest, 2 * fewest):
            whole = _of_limit(identity, nodes)
            limits.append(Case(setting, spec, whole, nodes, fingerprint(whole)))
    return list({case.key: case for case in [*finite, *limits]}.values())


def predictions_of(runs: Iterable[Run], axes: list[Axis]) -> tuple[list[Case], dict[str, str]]:
    """The predictions of the fluctuations about every limit, each once; of settings without one, why."""
    cases, without = dict[str, Case](), dict[str, str]()
    for coords, spec, identity, (nodes, asked) in runs:
        text = canonical(setting := _without_start(coords, axes))
        if not nodes or asked == 0 or text in cases or text in without:
            continue
        net, method, rule = spec.steps_of(identity)
        if why := unpredicted(net, method, method.rule(rule)):
            without[text] = why
            continue
        nodes = asked or min(NODES, nodes)
        whole = _of_limit(identity, nodes) | {"fluctuations": {"draws": DRAWS}}
        cases[text] = Case(setting, spec, whole, nodes, fingerprint(whole), DRAWS)
    return list(cases.values()), without


def _of_limit(identity: build.Identity, nodes: int) -> build.Identity:
    """What decides the numbers of M = infinity, with so many nodes."""
    drawn = {key: value for key, value in identity["start"].items() if key not in ("count", "seed")}
    return identity | {"start": drawn | {"nodes": nodes}}


def check_axes(values: Mapping[str, Sequence[Any]]) -> None:
    """InputError for an axis without values or with one of them twice, and for too many runs; by the axis's name."""
    for name, axis in values.items():
        if not len(axis):
            raise InputError(f"{name}: an axis of a sweep needs at least one value", "[]", "")
        if len(axis) > MAX_RUNS:
            raise InputError(f"{name}: a sweep may have {MAX_RUNS} runs", f"{len(axis)} values", "")
        if twice := _repeated(axis):
            raise InputError(f"{name}: an axis needs different values", f"{twice} twice", "")
    number = math.prod(map(len, values.values()))
    if number > MAX_RUNS:
        raise InputError(f"a sweep may have {MAX_RUNS} runs", str(number), "Shorten its lists.")


def _faults(runs: Iterable[dict[str, Any]], own: Modules) -> list[str]:
    """The faults of all runs, each once; of many runs with faults those of the first will do."""
    messages: dict[str, None] = {}
    for number, single in enumerate(runs):
        messages |= dict.fromkeys(faults(single, own))
        if len(messages) > LISTED or (messages and number > _LOOKED_AT):
            break
    return list(messages)


def _repeated(values: Sequence[Any]) -> str:
    """A value that was there before, in words; empty where all differ."""
    seen: set[Any] = set()
    for value in values:
        key = _hashable(value)
        if key in seen:
            return brief(value)
        seen.add(key)
    return ""


def _hashable(value: Any) -> Any:
    """Sections and lists as values that are equal where they are; an object that holds arrays is equal to itself."""
    if isinstance(value, dict):
        return frozenset((key, _hashable(one)) for key, one in value.items())
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _without_start(coords: dict[str, Any], axes: list[Axis]) -> dict[str, Any]:
    own = {axis.name for axis in axes if axis.of_the_cloud}
    return {name: value for name, value in coords.items() if name not in own}


def axes_in(raw: dict[str, Any]) -> list[Axis]:
    """The axes of a configuration, which need not be without faults."""
    paths = list(_lists(raw, Config, ()))
    last = [path[-1] for path, _ in paths]
    return [Axis(axis_name(path, last), path, values) for path, values in paths]


def axis_name(path: tuple[str, ...], last: list[str]) -> str:
    """The key, unless another axis or a recorded quantity has that name: `loss` the axis is `loss_setting`.

    `count` and `seed` are the start's, since results are compared along them: those of the data have another name.
    """
    if path in STARTS:
        return path[-1]
    if last.count(path[-1]) > 1 or (path[0] == "data" and path[-1] in ("count", "seed")):
        return "_".join(path)
    return f"{path[-1]}_setting" if path[-1] in OBSERVABLES else path[-1]


def _lists(raw: dict[str, Any], model: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """The lists that stand where the model wants one value."""
    names = raw.get("name")
    own = any(map(is_reference, names if isinstance(names, list) else [names]))
    for key, value in raw.items():
        if key in model.model_fields:
            kinds = kinds_of(model.model_fields[key].annotation)
        elif own:
            kinds = [float, StepConfig]  # a setting of a class of the user's own
        else:
            continue  # an unknown key is reported by the models
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if isinstance(value, dict) and inner:
            yield from _lists(value, inner, (*path, key))
        elif isinstance(value, list) and list not in [typing.get_origin(kind) or kind for kind in kinds]:
            yield (*path, key), value


def _combinations(raw: dict[str, Any], axes: list[Axis]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for values in itertools.product(*(axis.values for axis in axes)):
        single = raw
        for axis, value in zip(axes, values, strict=True):
            single = _replaced(single, axis.path, value)
        yield dict(zip([axis.name for axis in axes], values, strict=True)), single


def _replaced(raw: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    head, *rest = path
    return raw | {head: _replaced(raw[head], tuple(rest), value) if rest else value}
