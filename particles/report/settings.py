"""What was run and where its numbers came from, as tables."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from particles.configuration.config import by_path
from particles.configuration.schema import Config
from particles.report.sheets import Sheet, sheet
from particles.report.source import STUDY, SWEEP, Source
from particles.storage.attributes import attribute

_ORIGIN = {
    "status": "how the run ended",
    "config_hash": "hash of the configuration",
    "seed": "seed of the start",
    "git": "commit of the source",
    "python": "Python",
    "cpu": "processor",
    "platform": "operating system",
    "size": "size of the study",
}
_ALWAYS = {
    "loss", "steps", "data.name", "network.activation", "network.beta", "law.name", "start.count", "start.seed",
    "method.name", "method.step",
}  # fmt: skip


def axes(source: Source) -> dict[str, tuple[str, list[Any]]]:
    """Of a sweep, each axis by its name: the dotted path of its setting, and its values as they were given."""
    by_name: dict[str, tuple[str, list[Any]]] = {}
    prefix, suffix = "setting ", " of the configuration"
    for dim in source.root.dims:
        meaning = str(source.root[dim].attrs.get("long_name", "")) if dim in source.root.coords else ""
        if meaning.startswith(prefix) and meaning.endswith(suffix):
            values: list[Any] = []
            for place in source.runs.values():
                if dim in place and place[str(dim)] not in values:
                    values.append(place[str(dim)])
            by_name[str(dim)] = meaning.removeprefix(prefix).removesuffix(suffix), values
    return by_name


def settings(source: Source) -> Sheet:
    """The settings that play a part, by their dotted paths; an axis of a sweep with all of its values."""
    swept = dict(axes(source).values())
    rows = []
    for path, value in _relevant(source):
        if path not in swept and not any(path.startswith(f"{axis}.") for axis in swept):
            rows.append((path, _plain(value)))
    # The axes first: they are what the sweep is about.
    rows = [(path, f"{', '.join(map(_plain, values))} (an axis)") for path, values in swept.items()] + rows
    if source.kind == SWEEP and (nodes := sorted({place.get("nodes") or 0 for place in source.runs.values()} - {0})):
        rows.append(("limit.nodes", f"{' and '.join(map(str, nodes))} quadrature nodes for M = infinity"))
    what = {SWEEP: "Settings of the sweep", STUDY: "Settings of the study"}.get(source.kind, "Settings of the run")
    return sheet(what, ("setting", "value"), rows)


def _relevant(source: Source) -> Iterator[tuple[str, Any]]:
    """What was set, and of the defaults those that say which problem it is; of a study and of Python all."""
    config = copy.deepcopy(source.config)
    for section, key in (("start", "nodes"), ("data", "sha256"), ("law", "sha256")):  # what a run adds
        if isinstance(config.get(section), dict):
            config[section].pop(key, None)
    config.pop("modules", None)
    given = without_defaults(config) if isinstance(config.get("network"), dict) else None
    wanted = None if given is None else {path for path, _ in by_path(given)} | _ALWAYS
    for path, value in by_path(source.config):
        if value is not None and (wanted is None or path in wanted):
            yield path, value


def without_defaults(config: dict[str, Any]) -> dict[str, Any] | None:
    """What a person would have written; None where this version does not take the configuration."""
    try:
        return Config.model_validate(config).model_dump(exclude_defaults=True, exclude_none=True)
    except ValidationError:
        return None


def _plain(value: Any) -> str:
    """A value as a person would write it."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def origin(source: Source) -> Sheet:
    """Where the numbers came from: versions, machine, source state, seed, hashes."""
    attrs = source.attrs
    rows = [("file", source.shown)]
    rows += [(words, str(attrs[name])) for name, words in _ORIGIN.items() if name in attrs and name != "seed"]
    if "seed" in attrs:
        seed = str(attrs["seed"])
        rows.append((_ORIGIN["seed"], "none: a quadrature, or a measure that was given" if seed == "-1" else seed))
    versions = attribute(source.path, attrs, "package_versions", {})
    rows += [(f"version of {name}", version) for name, version in versions.items()]
    return sheet("Where the numbers came from", ("what", "value"), rows)


def contents(source: Source) -> Sheet:
    """Every array of the file: its shape by dimension, what it is, and the equation it comes from."""
    rows = []
    for name, values in source.root.data_vars.items():
        shape = " x ".join(f"{dim} {size}" for dim, size in values.sizes.items()) or "one number"
        attributes = values.attrs
        if source.kind == STUDY and values.dims == ("claim",):
            continue  # these are the table of claims
        rows.append((str(name), shape, str(attributes.get("long_name", "")), str(attributes.get("equation", ""))))
    return sheet("Arrays in the file", ("name", "shape", "meaning", "equation"), rows, formulas=True)
