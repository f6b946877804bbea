"""Configurations: TOML files, read, overridden and checked all at once."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from particles.configuration.consistency import misfits
from particles.configuration.extent import BYTES, KEY, LISTED, brief, text_excess
from particles.configuration.references import Modules, is_reference, objects_of
from particles.configuration.schema import Config, config_of
from particles.configuration.sections import kinds_of
from particles.errors import ParticlesError, nearest
from particles.escapes import escaped

_MARKS = set("[]{}\"'")  # a text with one of these and a comma is TOML with a fault, and no list of words


class ConfigError(ParticlesError, ValueError):
    """A configuration with faults, all of them named."""

    def __init__(self, source: str, faults: list[str]) -> None:
        number = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        if len(faults) > LISTED:
            number, faults = f"more than {LISTED} faults", [*faults[:LISTED], "and others"]
        self.faults = [*map(escaped, faults)]
        super().__init__(f"{source} has {number}:", *(f"  {fault}" for fault in self.faults))


def folder_of(path: Path) -> Path:
    """Where file names in a configuration start: its own folder; of what comes through a pipe the current one."""
    streamed = not path.is_file() or str(path.absolute()).startswith(("/dev/fd/", "/dev/stdin", "/proc/"))
    return Path.cwd() if streamed else path.resolve().parent


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary."""
    if path.is_dir():
        raise ConfigError(
            str(path),
            ["no such file: it is a folder. Give the TOML file in it, or a finished sweep to `particles show`"],
        )
    if not path.exists():
        raise ConfigError(
            str(path),
            ["no such file. Give a TOML configuration; `particles new NAME --data FILE` writes one for your data"],
        )
    try:
        with path.open("rb") as file:  # a pipe as well, and perhaps one without end
            content = file.read(BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror or error}"]) from error
    try:
        return _parsed(str(path), content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"not valid TOML: {error}"]) from error


def _parsed(source: str, text: str) -> dict[str, Any]:
    if large := text_excess(text):
        raise ConfigError(source, [large])
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [f"not valid TOML: {error}"]) from error
    except RecursionError as error:
        raise ConfigError(source, ["not valid here: lists in lists without end"]) from error
    except ValueError as error:  # of int(): thousands of digits
        raise ConfigError(source, ["not valid TOML: a whole number has at most 64 bits"]) from error


def override(raw: dict[str, Any], settings: list[str]) -> None:
    """Apply `key.path=value` settings in place; a value is TOML, a plain word, or several separated by commas."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            raise ConfigError("--set", [f"must read key.path=value: got {brief(setting)}"])
        value = _value(text)
        *sections, last = key.strip().split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError("--set", [f"{brief(setting)}: `{section[:KEY]}` is a value, not a section"])
        place[last] = value


def _value(text: str) -> Any:
    """A value of TOML; a list of such values, if there are commas between them; or else the word itself."""
    try:
        return _parsed("--set", f"value = {text}")["value"]
    except ConfigError as error:
        if not isinstance(error.__cause__, tomllib.TOMLDecodeError):
            raise
    if "," not in text or _MARKS & set(text):
        return text
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        rule = "a list must have a value before and after each comma"
        raise ConfigError("--set", [f"{rule}: got {brief(text)}. In a text, write quotes: '\"a,b\"'"])
    return [_value(word) for word in words]


def by_path(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The innermost settings of a configuration, by dotted path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from by_path(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def faults(raw: dict[str, Any], modules: Modules) -> list[str]:
    """Everything wrong with one run's configuration: dotted path, what is wrong, the nearest known key."""
    objects, wrong = objects_of(raw, modules)
    sections = [(part, value.get("name")) for part in ("law", "method") if isinstance(value := raw.get(part), dict)]
    model = config_of(
        tuple((part, name, objects[name]) for part, name in sections if is_reference(name) and name in objects)
    )
    try:
        model.model_validate(raw)
    except ValidationError as error:
        wrong += [fault for item in error.errors(include_url=False) if (fault := _fault(item, model))]
    return list(dict.fromkeys(wrong + misfits(raw, objects)))


def _fault(item: Any, config: type[Config]) -> str:
    """One of pydantic's errors in our words; empty where another branch of a union says it better."""
    path, model, scalars = _user_path(item, config)
    dotted = ".".join(path)
    got = item["input"]
    if item["type"] == "extra_forbidden":
        return f"{dotted}: unknown key. {nearest(path[-1], model.model_fields)}"
    if item["type"] == "missing":
        return f"{dotted}: missing"
    if item["type"] == "model_type":
        return "" if scalars else f"{dotted}: must be a section, [{dotted}]: got {brief(got)}"
    if isinstance(got, dict):
        return "" if scalars else f"{dotted}: must be one value: got a section"
    if item["type"] == "literal_error" and isinstance(got, str):
        known = [word.strip(" '") for word in item["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"{dotted}: must be one of {', '.join(known)}: got {brief(got)}. {nearest(got, known)}"
    return f"{dotted}: {item['msg'][0].lower() + item['msg'][1:]}: got {brief(got)}"


def _user_path(item: Any, config: type[Config]) -> tuple[list[str], type[BaseModel], bool]:
    """Where an error is in the user's words, the section it is in, and whether one plain value could stand there.

    pydantic's own path also names the branch of a union it tried.
    """
    path: list[str] = []
    model: type[BaseModel] = config
    inner: type[BaseModel] | None = config
    scalars = False
    for place, part in enumerate(item["loc"]):
        model = inner or model
        if isinstance(part, int):
            path.append(str(part))
        elif inner and part in inner.model_fields:
            path.append(part)
            kinds = kinds_of(inner.model_fields[part].annotation)
            sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
            plain = [kind for kind in kinds if kind not in (*sections, type(None)) and get_origin(kind) is not list]
            scalars = bool(sections) and bool(plain)
            inner = sections[0] if sections else None
        elif item["type"] == "extra_forbidden" and place == len(item["loc"]) - 1:
            path.append(part)
    return path, model, scalars
