"""Sections of a configuration made from classes: which one, by name, and the options that their settings are."""

import math
import types
import typing
from collections.abc import Hashable, Iterable
from dataclasses import MISSING, dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, create_model
from pydantic_core import PydanticKnownError

from particles.checks import Setting, settings_of
from particles.configuration.references import REFERENCE, is_reference
from particles.measures.laws import Ball, Gaussian, Sphere, Uniform
from particles.methods.schedules import SCHEDULES, Schedule

MOST = 2**40  # particles, samples or steps; more is a slip of the finger
Kinds = dict[str, Any]  # classes by the names that configurations have for them


class Section(BaseModel):
    """What every section has in common: no unknown keys, no conversion, no change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: nothing changes it, and pydantic would copy a default section for each of 20 000 runs."""
        return self


class OwnConfig(Section):
    """An object of a class of your own: the class, by reference, and its settings."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: Annotated[str, Field(pattern=REFERENCE)] = Field(description="your own class, module:name")


def name_in(table: Iterable[str]) -> Any:
    """The name of a row of this table, or a reference to a row of the user's own."""
    names = tuple(table)

    def check(value: str) -> str:
        if value not in names and not is_reference(value):
            raise PydanticKnownError("literal_error", {"expected": ", ".join(map(repr, names))})
        return value

    own = {"type": "string", "pattern": REFERENCE}
    schema = {"anyOf": [{"type": "string", "enum": list(names)}, own]}
    return Annotated[str, AfterValidator(check), WithJsonSchema(schema)]


def _branch(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return "own" if is_reference(name) else "known"


def or_own(model: Any) -> Any:
    """The section of a known class, or that of one of the user's own."""
    return Annotated[Annotated[model, Tag("known")] | Annotated[OwnConfig, Tag("own")], Discriminator(_branch)]


@lru_cache(maxsize=64)
def own_section(name: str, kind: Hashable) -> Any:
    """The model of the section of a class of the user's own, made as those of the known ones are."""
    return section("OwnSection", OwnConfig.__doc__ or "", {name: kind}, Field())


@dataclass(frozen=True)
class AtomsFile:
    """The atoms of a file, which is read later."""

    dim: int
    file: Annotated[str, Setting("an NPZ with points (k, dim) and, if wanted, weights (k,)")]


LAWS: Kinds = {"gaussian": Gaussian, "sphere": Sphere, "ball": Ball, "uniform": Uniform, "atoms": AtomsFile}
DRAWN_LAWS: Kinds = {name: kind for name, kind in LAWS.items() if name != "atoms"}  # those that need no file


def section(title: str, text: str, kinds: Kinds, which: Any, tag: str = "name", module: str = __name__) -> Any:
    """The model of a section that describes one of several objects: the class, by name, and the options of all.

    module: where the model is found under its title, so that a run is sent with the name: by value it is 16 kB.
    """
    options = dict.fromkeys(option for kind in kinds.values() for option in settings_of(kind))
    fields: dict[str, Any] = {option: _field(option, kinds) for option in options}
    tagged: dict[str, Any] = {tag: (Literal[tuple(kinds)], which)} | fields
    return create_model(title, __base__=Section, __module__=module, __doc__=text, **tagged)


def _field(option: str, kinds: Kinds) -> tuple[Any, Any]:
    """The type and the field of an option, with the default of the classes that have it, if they agree on one."""
    takers = [name for name, kind in kinds.items() if option in settings_of(kind)]
    settings = [settings_of(kinds[name])[option] for name in takers]
    defaults = [kinds[name].__dataclass_fields__[option].default for name in takers]
    plain = dict.fromkeys(kind for types_of, _ in settings for kind in types_of)
    annotation: Any = Union[tuple(_annotation(kind, settings[0][1]) for kind in plain)]  # noqa: UP007
    text = settings[0][1].description
    if len(takers) < len(kinds):
        text = f"of {', '.join(takers[:-1])}{' and ' if takers[1:] else ''}{takers[-1]}: {text}"
    if MISSING not in defaults and all(default == defaults[0] for default in defaults):
        return annotation, Field(defaults[0], description=text)
    if all(_needs(kind, option) for kind in kinds.values()):
        return annotation, Field(description=text)
    return annotation | None, Field(None, description=text)


def _needs(kind: Any, option: str) -> bool:
    return option in settings_of(kind) and kind.__dataclass_fields__[option].default is MISSING


def _annotation(kind: Any, setting: Setting) -> Any:
    """One of a setting's types as pydantic checks it."""
    if kind is Schedule:
        return StepConfig
    if setting.choices:
        return Literal[setting.choices]
    if kind not in (int, float):
        return kind
    least = None if setting.least == -math.inf else kind(setting.least)
    most = None if setting.most == math.inf else kind(setting.most)
    if kind is int:
        return Annotated[int, Field(ge=least, le=most or MOST)]
    return Annotated[float, Field(ge=least, le=most, gt=setting.above, allow_inf_nan=False)]


_SCHEDULE = Field(description="c / (t + t0), or c / sqrt(t); t = 1, 2, ...")
StepConfig = section("StepConfig", "A step schedule, in flow time.", SCHEDULES, _SCHEDULE, "schedule")


def built(config: Any, kinds: Kinds, tag: str = "name", **more: Any) -> Any:
    """The object that a section describes."""
    kind = kinds[getattr(config, tag)]
    values = {option: value for option in settings_of(kind) if (value := getattr(config, option)) is not None}
    schedules = {option: value for option, value in values.items() if isinstance(value, Section)}
    return kind(**more, **values | {option: built(value, SCHEDULES, "schedule") for option, value in schedules.items()})


def misplaced(dotted: str, raw: dict[str, Any], kinds: Kinds, name: str) -> list[str]:
    """Options that belong to another class than this one, and those that it needs: faults, not ignored."""
    if name not in kinds:
        return []
    options = [settings_of(kind) for kind in kinds.values()]
    mine, known = settings_of(kinds[name]), set().union(*options)
    takes = ", ".join(sorted(mine))
    faults = [
        f"{dotted}: `{key}` does not belong to {name}: it takes {takes}" for key in raw if key in known - set(mine)
    ]
    for option, (_, setting) in mine.items():
        value = raw.get(option)
        if value is None and _needs(kinds[name], option) and not all(_needs(kind, option) for kind in kinds.values()):
            faults.append(f"{dotted}: {name} needs `{option}`: {setting.description}")
        if isinstance(value, dict):
            faults += misplaced(f"{dotted}.{option}", value, SCHEDULES, str(value.get("schedule")))
    return faults


def kinds_of(annotation: Any) -> list[Any]:
    """The alternatives of a type: those of a union, or itself."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return [kind for part in typing.get_args(annotation) for kind in kinds_of(part)]
    if typing.get_origin(annotation) is typing.Annotated:
        return kinds_of(typing.get_args(annotation)[0])
    return [annotation]
