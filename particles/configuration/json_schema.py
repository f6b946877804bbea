"""The JSON schema of configurations, for editors: `particles schema` prints it, `config.schema.json` is the same.

It says what stands where, in which range, and that a list where one value is expected is an axis of a sweep. Which
values fit together is left to `particles check`.
"""

import json
import typing
from typing import Any

from particles.configuration.schema import Config
from particles.configuration.sections import kinds_of

WHOLE_SWEEP = ("name", "limit")  # no axes: one for all runs
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a whole file: sections with descriptions, axes allowed, no null, which TOML has not."""
    schema: dict[str, Any] = _without_null(Config.model_json_schema())
    for name, model in {model.__name__: model for model in _models(Config)}.items():
        place = schema if name == "Config" else schema["$defs"][name]
        place.pop("title", None)
        if name == "LimitConfig":
            continue
        for key, field in model.model_fields.items():
            kinds = [typing.get_origin(kind) or kind for kind in kinds_of(field.annotation)]
            if list not in kinds and not (name == "Config" and key in WHOLE_SWEEP):
                place["properties"][key] = _or_axis(place["properties"][key])
    schema["$defs"]["DataConfig"]["oneOf"] = [{"required": ["name"]}, {"required": ["file"]}]
    return {"$schema": _DIALECT, "title": "A configuration of `particles run`"} | schema


def text() -> str:
    """The schema as the file that ships."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=True) + "\n"


def _models(model: Any) -> typing.Iterator[Any]:
    """A model and those of its sections."""
    yield model
    for field in model.model_fields.values():
        for kind in kinds_of(field.annotation):
            if hasattr(kind, "model_fields"):
                yield from _models(kind)


def _or_axis(one: dict[str, Any]) -> dict[str, Any]:
    """One value as it was, or a list of different ones."""
    notes = {key: one[key] for key in ("description", "default") if key in one}
    bare = {key: value for key, value in one.items() if key not in notes}
    axis = {"type": "array", "items": bare, "minItems": 1, "uniqueItems": True, "description": "an axis of a sweep"}
    return {"anyOf": [bare, axis]} | notes


def _without_null(part: Any) -> Any:
    """The same without null among the alternatives and the defaults, and without titles that repeat the key."""
    if isinstance(part, list):
        return [_without_null(one) for one in part]
    if not isinstance(part, dict):
        return part
    kept = {key: _without_null(value) for key, value in part.items() if value is not None}
    if "properties" in kept:
        for one in kept["properties"].values():
            one.pop("title", None)
    if "anyOf" in kept:
        kinds = [kind for kind in kept.pop("anyOf") if kind != {"type": "null"}]
        kept = (kinds[0] if len(kinds) == 1 else {"anyOf": kinds}) | kept
    return kept
