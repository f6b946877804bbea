"""JSON that may come from anyone, as values of a known form."""

import json
from functools import lru_cache
from typing import Any

_DEPTH = 64  # lists in lists; a configuration has 4


def parsed(text: str | bytes, kind: Any) -> Any:
    """The value of a JSON text, of this type; ValueError says what it is not, and where."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"it has lists in lists, more than {_DEPTH}") from error
    _check_depth(value)
    return checked(value, kind)


def checked(value: Any, kind: Any) -> Any:
    """A value of JSON as one of this type; ValueError likewise."""
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part)[:40] for part in fault["loc"])
        message = fault["msg"][0].lower() + fault["msg"][1:]
        raise ValueError(f"{where}: {message}" if where else message) from error


@lru_cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _check_depth(value: Any) -> None:
    """ValueError for lists and tables in each other that no function could walk through."""
    level = [value]
    for _ in range(_DEPTH):
        level = [one for part in level if isinstance(part, dict | list) for one in _parts(part)]
        if not level:
            return
    raise ValueError(f"it has lists in lists, more than {_DEPTH}")


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
