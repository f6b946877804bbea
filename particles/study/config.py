"""Configurations: TOML files, read, overridden and checked all at once."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from particles.errors import ParticlesError, nearest
from particles.study.schema import Config


class ConfigError(ParticlesError, ValueError):
    """A configuration with faults, all of them named."""

    def __init__(self, source: str, faults: list[str]) -> None:
        self.faults = faults
        number = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{source} has {number}:\n" + "\n".join(f"  {fault}" for fault in faults))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary."""
    if not path.is_file():
        raise ConfigError(
            str(path), ["no such file. Give the path of a TOML configuration, such as configs/quickstart.toml"]
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"not valid TOML: {error}"]) from error


def override(raw: dict[str, Any], settings: list[str]) -> None:
    """Apply `key.path=value` settings in place; a value is TOML, or else a plain word."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError("--set", [f"must read key.path=value: got {setting!r}"])
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *sections, last = key.strip().split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError("--set", [f"{setting}: `{section}` is a value, not a section"])
        place[last] = value


def faults(raw: dict[str, Any]) -> list[str]:
    """Everything wrong with one run's configuration: dotted path, what is wrong, the nearest known key."""
    try:
        Config.model_validate(raw)
    except ValidationError as error:
        return list(dict.fromkeys(_fault(item) for item in error.errors()))
    return []


def _fault(item: Any) -> str:
    # A union's branches show up in the path as type names: keep what the user wrote.
    path = [
        str(part)
        for part in item["loc"]
        if isinstance(part, int) or (str(part).isidentifier() and part not in _BRANCHES)
    ]
    dotted = ".".join(path)
    if item["type"] == "extra_forbidden":
        return f"{dotted}: unknown key. {nearest(path[-1], _keys(path[:-1]))}"
    if item["type"] == "missing":
        return f"{dotted}: missing"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{dotted}: {message}" if dotted else message
    hint = ""
    if item["type"] == "literal_error" and isinstance(item["input"], str):
        known = [word.strip(" '") for word in item["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"{dotted}: must be one of {', '.join(known)}: got {item['input']!r}. {nearest(item['input'], known)}"
    return f"{dotted}: {message[0].lower() + message[1:]}: got {item['input']!r}{hint}"


_BRANCHES = {"StepConfig", "int", "float", "str", "list", "literal", "constrained-int"}


def _keys(path: list[str]) -> list[str]:
    """The keys that the section at this path knows."""
    model: Any = Config
    for part in path:
        annotation = model.model_fields[part].annotation
        choices = [annotation, *getattr(annotation, "__args__", ())]
        model = next(choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel))
    return list(model.model_fields)
