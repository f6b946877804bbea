"""What a sweep runs: a list in a configuration is an axis, every combination a run, named by its configuration's hash.

Where there is `limit.nodes`, M = infinity is run beside every combination of the axes that are not the start's, twice:
with that many atoms and with double.
"""

import itertools
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from particles.experiments import build
from particles.experiments.config import ConfigError, faults
from particles.experiments.extent import LISTED, brief, excess
from particles.experiments.references import Modules, imported, is_reference
from particles.experiments.schema import Config
from particles.experiments.sections import StepConfig, kinds_of
from particles.population.observables import OBSERVABLES
from particles.storage.provenance import fingerprint

MAX_RUNS = 100_000
_LOOKED_AT = 200  # runs in which faults are looked for once there is one


class Axis(NamedTuple):
    """One list in the configuration: its name in the result, its dotted path, its values."""

    name: str
    path: tuple[str, ...]
    values: list[Any]

    @property
    def of_the_cloud(self) -> bool:
        """Whether it tells finite clouds of one limit apart."""
        return self.path in (("start", "count"), ("start", "seed"))


class Case(NamedTuple):
    """One run of a sweep. nodes: None for a finite network, else the quadrature atoms that stand for M = infinity.

    identity: what decides the run's numbers; key: its hash, the name of the run's file.
    """

    coords: dict[str, Any]
    config: Config
    identity: dict[str, Any]
    nodes: int | None
    key: str

    @property
    def particles(self) -> int:
        """How many atoms it moves."""
        return self.nodes or self.config.start.count


class Plan(NamedTuple):
    """A sweep: its axes, its runs, the folder that file names in the configuration start from, and that itself.

    modules: the user's own that may be imported.
    """

    name: str
    axes: list[Axis]
    cases: list[Case]
    folder: Path
    raw: dict[str, Any]
    modules: tuple[str, ...] = ()


def plan(raw: dict[str, Any], folder: Path, source: str = "the configuration", modules: Iterable[str] = ()) -> Plan:
    """All runs of a configuration, checked; raises ConfigError with every fault.

    modules: those of the user's own that are imported, so that the configuration may name their objects.
    """
    if large := excess(raw):
        raise ConfigError(source, [large])
    axes = _axes(raw)
    number = 1
    for axis in axes:
        dotted = ".".join(axis.path)
        if not axis.values:
            raise ConfigError(source, [f"{dotted}: an axis of a sweep needs at least one value: got []"])
        if axis.path[0] in ("name", "limit"):
            raise ConfigError(source, [f"{dotted}: is one for the whole sweep: got {brief(axis.values)}"])
        if len(axis.values) > MAX_RUNS:
            raise ConfigError(source, [f"{dotted}: a sweep may have {MAX_RUNS} runs: got {len(axis.values)} values"])
        if twice := _repeated(axis.values):
            raise ConfigError(source, [f"{dotted}: an axis needs different values: got {twice} twice"])
        number *= len(axis.values)
    if number > MAX_RUNS:
        raise ConfigError(source, [f"a sweep may have {MAX_RUNS} runs: got {number}. Shorten its lists."])
    own = imported(modules)
    if found := _faults((single for _, single in _combinations(raw, axes)), own):
        raise ConfigError(source, found)
    finite, limits, hashes = [], {}, dict[Path, str]()
    for coords, single in _combinations(raw, axes):
        config = Config.model_validate(single)
        identity = build.identity(config, folder, hashes, own)
        finite.append(Case(coords, config, identity, None, fingerprint(identity)))
        if config.limit is not None and config.network.beta == 1.0:
            for nodes in (config.limit.nodes, 2 * config.limit.nodes):
                start = {"nodes": nodes, "signs": config.start.signs}
                whole = identity | {"start": start}
                case = Case(_without_start(coords, axes), config, whole, nodes, fingerprint(whole))
                limits[case.key] = case
    repeated = {case.key: case for case in [*finite, *limits.values()]}
    return Plan(finite[0].config.name, axes, list(repeated.values()), folder, raw, tuple(own))


def _faults(runs: Iterable[dict[str, Any]], own: Modules) -> list[str]:
    """The faults of all runs, each once; of many runs with faults those of the first will do."""
    found: dict[str, None] = {}
    for number, single in enumerate(runs):
        found |= dict.fromkeys(faults(single, own))
        if len(found) > LISTED or (found and number > _LOOKED_AT):
            break
    return list(found)


def _repeated(values: list[Any]) -> str:
    """A value that was there before, in words; empty where all differ."""
    seen: set[Any] = set()
    for value in values:
        key = _hashable(value)
        if key in seen:
            return brief(value)
        seen.add(key)
    return ""


def _hashable(value: Any) -> Any:
    """Sections and lists as values that are equal where they are."""
    if isinstance(value, dict):
        return frozenset((key, _hashable(one)) for key, one in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _without_start(coords: dict[str, Any], axes: list[Axis]) -> dict[str, Any]:
    own = {axis.name for axis in axes if axis.of_the_cloud}
    return {name: value for name, value in coords.items() if name not in own}


def _axes(raw: dict[str, Any]) -> list[Axis]:
    paths = list(_lists(raw, Config, ()))
    last = [path[-1] for path, _ in paths]
    return [Axis(axis_name(path, last), path, values) for path, values in paths]


def axis_name(path: tuple[str, ...], last: list[str]) -> str:
    """The key, unless another axis or a recorded quantity has that name: `loss` the axis is `loss_setting`."""
    if last.count(path[-1]) > 1:
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
