"""What results say of themselves in attributes: text, and JSON of a known form."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

from pydantic import AfterValidator, Field, FiniteFloat, StringConstraints
from typing_extensions import TypedDict

from particles.errors import DamagedError
from particles.files.json_text import parsed

_REMEDY = "If a run of this program wrote it, delete it and run again."
_NONE = object()

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]  # a run's hash, and its file's name
Setting = bool | Whole | FiniteFloat | str | list[Any] | dict[str, Any] | None


class Event(TypedDict):
    """What happened to a run on its way."""

    iteration: Whole
    what: str


class Lacking(TypedDict):
    """Why a setting of a sweep has no prediction."""

    setting: dict[str, Setting]
    why: str


class Model(TypedDict):
    """A run's network, loss and float type, how its inputs were scaled, and the classes of its outputs."""

    activation: str
    beta: Annotated[float, Field(ge=0, le=1)]
    bias: bool
    train: Annotated[list[Literal["input", "output"]], Field(min_length=1)]
    loss: str
    binary: bool
    dtype: Literal["float64", "float32"]
    scale: Literal["none", "standard", "unit"]
    outputs: NotRequired[Annotated[int, Field(ge=2, lt=2**31)]]  # left out where there is one
    classes: NotRequired[Annotated[list[str | Whole | FiniteFloat], Field(min_length=2)]]  # of the outputs


class File(NamedTuple):
    """A file of particles that a run's file refers to."""

    name: str
    bytes: Count
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _with_nodes(places: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """ValueError unless each says of how many nodes its quadrature is, and finite networks have the same axes."""
    axes: set[str] | None = None
    for key, place in places.items():
        if type(place.get("nodes")) is not int or place["nodes"] < 0:
            raise ValueError(f"{key[:80]!r} has no number of `nodes`")
        if place["nodes"] == 0:
            axes = axes or set(place)
            if set(place) != axes:
                raise ValueError(f"{key[:80]!r} has other axes than the run before")
    return places


_FORMS: dict[str, Any] = {
    "config": dict[str, Any],
    "settings": dict[str, Any],
    "setting": dict[str, Setting],
    "events": list[Event],
    "model": Model,
    "runs": Annotated[dict[Key, dict[str, Setting]], AfterValidator(_with_nodes)],
    **dict.fromkeys(("limits", "predictions"), Annotated[dict[str, dict[str, Setting]], AfterValidator(_with_nodes)]),
    "no_predictions": list[Lacking],
    "files": list[File],
    "package_versions": dict[str, str],
}


def attribute(source: object, attrs: Mapping[Any, Any], name: str, default: Any = _NONE) -> Any:
    """One attribute of a result: text, or what its JSON says; DamagedError names it where it is something else."""
    if name not in attrs and default is not _NONE:
        return default
    try:
        if name not in attrs:
            raise ValueError("it is missing")
        text = attrs[name]
        if not isinstance(text, str):
            raise ValueError(f"it is no text: {type(text).__name__}")
        return parsed(text, _FORMS[name]) if name in _FORMS else text
    except ValueError as error:
        raise DamagedError(
            f"{source} is damaged: its attribute {name!r} cannot be read ({error}). {_REMEDY}"
        ) from error
