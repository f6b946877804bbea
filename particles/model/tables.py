"""Rows of a table or of the user's own, by name or as objects, and what names them in a configuration."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from particles.errors import InputError, nearest
from particles.model.formulas import content

_LATER = (
    "joint",
    "classes",
    "second_derivative",
    "differential",
    "target_slope",
    "mixed",
)  # fields that came after files with hashes: a row that leaves them out keeps its hash


class Row(Protocol):
    """What a table holds: tuples with a name."""

    @property
    def name(self) -> str: ...
    @property
    def _fields(self) -> tuple[str, ...]: ...
    def __iter__(self) -> Iterator[Any]: ...


R = TypeVar("R", bound=Row)


def resolved(what: str, given: object, table: Mapping[str, R], check: Callable[[R], None]) -> R:
    """The row that is given by name, or one of the user's own, which is checked; InputError for anything else."""
    kind = type(next(iter(table.values())))
    if isinstance(given, kind):
        known = table.get(given.name)
        if known is None:
            check(given)
        elif known != given:
            rule = f"an mf.{kind.__name__} of your own must have a name that none of the package has"
            raise InputError(rule, repr(given.name), "Give it another: _replace(name=...) makes a copy.")
        return known or given
    if not isinstance(given, str) or given not in table:
        rule = f"`{what}` must be an mf.{kind.__name__} or the name of one"
        raise InputError(rule, repr(given), nearest(str(given), table))
    return table[given]


def described(row: R, table: Mapping[str, R]) -> str:
    """What stands for a row in a configuration: the name of a table's; of a user's also a hash of its formulas."""
    if table.get(row.name) is row:
        return row.name
    parts = zip(row._fields, row, strict=True)
    return f"{row.name} {_hash(content(tuple(part for name, part in parts if name not in _LATER or part)))}"


def stated(value: object) -> str:
    """What stands for settings in a configuration: their `repr`; of a user's class a hash of its code as well."""
    kind, text = type(value), repr(value)
    if kind.__module__.startswith("particles."):
        return text
    name = kind.__qualname__ if " object at 0x" in text else text  # an address is another one in each session
    return f"{name} {_hash(content(kind))}"


def _hash(parts: Iterator[str]) -> str:
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:12]


def reduced(row: R, table: Mapping[str, R], named: Callable[[str], R], rebuild: Callable[..., R]) -> tuple[Any, ...]:
    """A row for pickle: a table's by its name, a user's own by its parts."""
    return (named, (row.name,)) if table.get(row.name) is row else (rebuild, tuple(row))
