"""How to get the same numbers again: a command, and the configuration it needs."""

import json
import re
import shlex
from typing import Any, NamedTuple

import tomli_w

from particles.configuration.references import is_reference
from particles.configuration.schema import NAME
from particles.report.settings import axes, without_defaults
from particles.report.source import STUDY, SWEEP, Source

_LONGEST = 150_000  # letters of a configuration on a page


class Reproduction(NamedTuple):
    """command: for a shell; config: the text of `file`, TOML or JSON; notes: what else must be the same."""

    command: str
    file: str
    config: str
    notes: list[str]


def reproduction(source: Source) -> Reproduction:
    """The command and configuration that give this result again, as far as its file knows them."""
    if source.kind == STUDY:
        result = _of_study(source)
    elif not isinstance(source.config.get("network"), dict):
        result = _from_python(source)
    else:
        result = _of_sweep(source)
    if len(result.config) > _LONGEST:
        note = (
            f"The configuration has {len(result.config)} letters, too many for a page: it is in the file's attributes."
        )
        result = result._replace(config="", notes=[*result.notes, note])
    commit = str(source.attrs.get("git", ""))
    if re.fullmatch(r"[0-9a-f]{40}(\+changes)?", commit):
        changed = ", with changes that were not committed" if commit.endswith("+changes") else ""
        result.notes.append(
            f"The same bits need one processor family, the versions above and the source at {commit[:40]}{changed}."
        )
    return result


def _of_study(source: Source) -> Reproduction:
    quick = str(source.attrs.get("size", "full")) == "quick"
    name = source.name if re.fullmatch(NAME, source.name) else "study"
    words = ["python", f"drivers/studies/{name}.py", "--config", f"{name}-again.toml", "--out", f"out/{name}-again"]
    config = tomli_w.dumps({"quick" if quick else "full": _without_none(source.config)})
    notes = [] if name == source.name else ["The study's name is not one of a driver: put in the right one."]
    return Reproduction(shlex.join(words + ["--quick"] * quick), f"{name}-again.toml", config, notes)


def _from_python(source: Source) -> Reproduction:
    notes = [
        "The run was started from Python: its configuration is what was passed to `particles.simulate`, arrays by "
        "their hashes, which tell whether data and start are the same again."
    ]
    config = json.dumps(source.config, indent=2, ensure_ascii=False)
    return Reproduction("", "config.json", config, notes)


def _of_sweep(source: Source) -> Reproduction:
    """A run or a sweep of configurations: TOML that `particles run` takes, each axis a list."""
    name = f"{source.name}-again"
    name = name if re.fullmatch(NAME, name) else "again"
    config, nodes, notes = _without_none(source.config), [], []
    if source.kind == SWEEP:
        nodes = sorted({int(place["nodes"]) for place in source.runs.values() if place.get("nodes")})
    elif isinstance(config.get("start"), dict) and "nodes" in config["start"]:
        nodes = [config["start"].pop("nodes")]
        least = _positions(config.get("record"))  # a quadrature's run stands beside a finite one
        config["start"]["count"] = least
        notes.append(f"This is a run of M = infinity: it is run beside M = {least}, which is not looked at.")
    for section in ("data", "law"):
        if _part(config, section).pop("sha256", None):
            file = config[section].get("file")
            notes.append(f"The file {file} of [{section}] must be the same, beside the configuration.")
    recorded = _part(config, "modules")
    modules = [name for name in recorded if is_reference(f"{name}:object")]
    notes += [f"The module {name} must be the same, of SHA-256 {recorded[name]}." for name in modules]
    config.pop("modules", None)
    plain = without_defaults(config)  # a default of another law or data set than this one's would be refused
    if plain is None:
        notes.append("This version of the program does not take this configuration as it was recorded.")
    config = config if plain is None else plain
    if source.kind == SWEEP:
        for path, values in axes(source).values():
            _put(config, path.split("."), values)
    config = {"name": name} | config | ({"limit": {"nodes": nodes[0]}} if nodes else {})
    words = ["particles", "run", f"{name}.toml", *(word for module in modules for word in ("--import", module))]
    return Reproduction(shlex.join(words), f"{name}.toml", tomli_w.dumps(config), notes)


def _positions(record: Any) -> int:
    """How many particles are recorded, of one section or of several; at least one."""
    sections = [section for section in (record if isinstance(record, list) else [record]) if isinstance(section, dict)]
    return int(next((section["positions"] for section in sections if "positions" in section), 1))


def _part(config: dict[str, Any], section: str) -> dict[str, Any]:
    part = config.get(section)
    return part if isinstance(part, dict) else {}


def _put(config: dict[str, Any], path: list[str], values: list[Any]) -> None:
    for key in path[:-1]:
        inner = config.get(key)
        config[key] = inner if isinstance(inner, dict) else {}
        config = config[key]
    config[path[-1]] = _without_none(values)


def _without_none(value: Any) -> Any:
    """A copy without what TOML has no word for."""
    if isinstance(value, dict):
        return {str(key): _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value if inner is not None]
    return value
