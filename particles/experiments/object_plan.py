"""What a sweep of objects runs: a list among the arguments is an axis, named as the same list in a configuration is."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from particles.checks import whole
from particles.configuration.extent import brief
from particles.configuration.sections import MOST
from particles.data.dataset import Dataset, Stream
from particles.errors import InputError
from particles.experiments.plan import Axis, Limits, Plan, Run, axis_name, cases_of, check_axes, predictions_of
from particles.experiments.spec import RunSpec
from particles.measures.laws import Law, Sample
from particles.measures.measure import Measure
from particles.measures.random_streams import ROWS
from particles.methods.base import Method
from particles.model.network import Network
from particles.model.tables import stated
from particles.simulation.arguments import prepared
from particles.storage.provenance import array_hash

# The arguments that may be lists, in the order of the axes, and the settings that they are in a configuration.
PATHS: dict[str, tuple[str, ...]] = {
    "steps": ("steps",),
    "loss": ("loss",),
    "dtype": ("dtype",),
    "data": ("data",),
    "net": ("network",),
    "law": ("law",),
    "count": ("start", "count"),
    "seed": ("start", "seed"),
    "signs": ("start", "signs"),
    "method": ("method",),
    "regulariser": ("regulariser",),
}
_KINDS: dict[str, tuple[type, ...]] = {
    "net": (Network,),
    "law": (Law, Measure, Sample),
    "data": (Dataset, Stream),
    "method": (Method,),
}
SETTINGS = ("loss", "dtype", "regulariser", "record", "record_every", "positions", "test")  # what `simulate` calls them


class Listed(NamedTuple):
    """An argument that is a list: its axis, whose values are plain, and the objects themselves."""

    argument: str
    axis: Axis
    objects: Sequence[Any]


def object_plan(name: str, limit: int | None, arguments: dict[str, Any], fluctuations: int | None = None) -> Plan:
    """All runs of a call of `sweep`, checked; InputError for the first fault."""
    listed = _listed(arguments)
    values = {argument: [arguments[argument]] for argument in PATHS} | {
        argument: objects for argument, _, objects in listed
    }
    for argument, kinds in _KINDS.items():
        for value in values[argument]:
            _check_kind(argument, value, kinds)
    if limit is not None:
        _check_limit(whole("limit", limit, 2, MOST, remedy="Give quadrature nodes."), values)
    if fluctuations is not None:
        whole("fluctuations", fluctuations, 0, MOST, remedy="Give quadrature nodes, 0 for no prediction.")
        if limit is None:
            rule, remedy = "`fluctuations` are predicted beside a limit", "Give `limit` as well, or leave it out."
            raise InputError(rule, f"fluctuations={fluctuations} and limit=None", remedy)
    axes = [axis for _, axis, _ in listed]
    runs = list(_runs(arguments, listed, limit, fluctuations))
    cases = cases_of(runs, axes)
    if sum(case.nodes is None for case in cases) < np.prod([len(axis.values) for axis in axes], dtype=int):
        rule = "the runs of a sweep must differ in what their arguments say"
        raise InputError(rule, "two that are alike", "Give objects of your own a `__repr__` that tells them apart.")
    return Plan(name, axes, cases, Path(), {}, (), *predictions_of(runs, axes))


def is_list(value: Any) -> bool:
    """Whether a value is several: a list, a tuple that is no measure or row of a table, a range, an array."""
    many = isinstance(value, list | tuple | range) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return many and not hasattr(value, "_fields")


def _listed(arguments: dict[str, Any]) -> list[Listed]:
    given = {argument: arguments[argument] for argument in PATHS}
    for argument, value in given.items():
        flat = isinstance(value, str) or hasattr(value, "_fields") or not isinstance(value, Iterable)
        if not (flat or is_list(value)) or getattr(value, "ndim", 1) > 1:
            rule = f"`{argument}` must be one value, or a list, a tuple, a range or an array of rank 1"
            raise InputError(rule, brief(value), "Make a list of its values.")
    lists = {argument: value for argument, value in given.items() if is_list(value)}
    check_axes({f"`{argument}`": values for argument, values in lists.items()})
    objects = {argument: [_scalar(value) for value in values] for argument, values in lists.items()}
    paths = {argument: PATHS[argument] + differing(values) for argument, values in objects.items()}
    last = [path[-1] for path in paths.values()]
    return [
        Listed(argument, Axis(axis_name(path, last), path, _coordinates(path[len(PATHS[argument]) :], values)), values)
        for (argument, values), path in zip(objects.items(), paths.values(), strict=True)
    ]


def _scalar(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def differing(values: Sequence[Any]) -> tuple[str, ...]:
    """The field in which settings of one class differ, if there is exactly one and its values can be written."""
    kind = type(values[0])
    if not is_dataclass(kind) or any(type(value) is not kind for value in values):
        return ()
    names = [one.name for one in fields(kind) if len({repr(getattr(value, one.name)) for value in values}) > 1]
    return (names[0],) if len(names) == 1 else ()


def _coordinates(field: tuple[str, ...], values: Sequence[Any]) -> list[Any]:
    """Plain values that tell objects apart: those of the field, or texts."""
    for name in field:
        values = [getattr(value, name) for value in values]
    texts = [label(value) for value in values]
    numbered = [f"{text} {place}" for place, text in enumerate(texts)]
    return texts if len(set(map(str, texts))) == len(texts) else numbered


def label(value: Any) -> Any:
    """A number or a text as it is, of an object its name or what it says of itself."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return list(value)
    if isinstance(name := getattr(value, "name", None), str):
        return name
    text = repr(value)
    return type(value).__name__ if hasattr(value, "_fields") or " object at 0x" in text else text


def _check_kind(argument: str, value: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        known = " or ".join(f"mf.{kind.__name__}" for kind in kinds if kind is not Sample)
        raise InputError(f"`{argument}` must be an {known}, or a list of them", brief(value), "")


def _check_limit(nodes: int, values: dict[str, Sequence[Any]]) -> None:
    """InputError where there is no limit, or no quadrature of it."""
    for law in values["law"]:
        if not isinstance(law, Law):
            raise InputError("`limit` needs the law of the start", label(law), "Give a law, or leave out `limit`.")
    if all(net.beta != 1.0 for net in values["net"]):
        rule = "`limit` is the mean field's, of networks with beta=1"
        raise InputError(rule, f"beta={values['net'][0].beta:g}", "Leave it out, or use beta=1.")
    for method in values["method"]:
        if method.noisy:
            rule = "`limit` is computed by a quadrature, which integrates no noise of the particles"
            raise InputError(rule, repr(method), "Leave it out, or take many particles.")


def _runs(
    arguments: dict[str, Any], listed: Sequence[Listed], limit: int | None, fluctuations: int | None
) -> Iterator[Run]:
    """Every combination of the axes; what does not depend on count and seed is checked and described once."""
    known: dict[tuple[int, ...], tuple[dict[str, Any], int | None]] = {}
    for places in itertools.product(*(range(len(one.objects)) for one in listed)):
        chosen = list(zip(listed, places, strict=True))
        now = arguments | {one.argument: one.objects[at] for one, at in chosen}
        settings = {name: now[name] for name in SETTINGS}
        start = _start(now)
        same = tuple(at for one, at in chosen if not one.axis.of_the_cloud)
        if same not in known:
            known[same] = _described(now, start, settings)
        identity, recorded = known[same]
        seed = -1
        if isinstance(now["law"], Law):
            drawn, seed = {name: getattr(start, name) for name in ("count", "seed", "signs")}, start.seed
            identity = identity | {"start": identity["start"] | drawn, "positions": recorded}
            whole("positions", recorded or 1, 1, start.count)
        spec = RunSpec(
            now["net"], now["law"], now["data"], now["method"], now["steps"],
            identity["start"]["count"], seed, now["signs"], settings,
        )  # fmt: skip
        coords = {one.axis.name: one.axis.values[at] for one, at in chosen}
        yield coords, spec, identity, Limits(limit or 0, fluctuations) if spec.net.beta == 1.0 else Limits()


def _start(now: dict[str, Any]) -> Any:
    """The start of a run: a sample of the law, or the user's own."""
    law, count, seed, signs = (now[name] for name in ("law", "count", "seed", "signs"))
    if isinstance(law, Law):
        if count is None:
            raise InputError("a law needs `count`, the number of particles", "None", "Give M, or a list of them.")
        return law.sample(count, seed, signs, lazy=True, outputs=now["net"].outputs)
    if (count, seed, signs) != (None, 0, "positive"):
        got = f"count={count}, seed={seed}, signs={signs!r}"
        raise InputError("`law` is a start already, which nothing is drawn for", got, "Leave them out, or give a law.")
    return law


def _described(now: dict[str, Any], start: Any, settings: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The checked description of runs that differ in count and seed only, and how many particles they record."""
    ready = prepared(now["net"], start, now["data"], now["method"], now["steps"], **settings)
    config, law = ready.config(), now["law"]
    if isinstance(law, Law):
        config["start"] = {"law": stated(law), "hash": array_hash(law.rows(0, 0, ROWS))}
    return config, ready.plan.particles
