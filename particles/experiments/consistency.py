"""Values of a configuration that must fit together, looked at even while other values are wrong."""

from typing import Any

from pydantic import ValidationError

from particles.errors import InputError
from particles.experiments.schema import LawConfig, MethodConfig, NetworkConfig, RegulariserConfig
from particles.experiments.sections import LAWS, Kinds, built, misplaced
from particles.methods.registry import METHODS
from particles.model.regularisers import REGULARISERS

_SET_OPTIONS = ("n", "dim", "noise", "seed")


def misfits(raw: dict[str, Any]) -> list[str]:
    """Every pair of values that do not belong together in one run's configuration."""
    return [*_objects(raw), *_data(raw), *_counts(raw)]


def _objects(raw: dict[str, Any]) -> list[str]:
    """What the classes refuse: options of another class, values of one object, and objects beside each other."""
    faults: list[str] = []
    _object("law", raw, LawConfig, LAWS, faults, dim=1)
    method = _object("method", raw, MethodConfig, METHODS, faults)
    regulariser = _object("regulariser", raw, RegulariserConfig, REGULARISERS, faults)
    network = _valid(NetworkConfig, _section(raw, "network"))
    if method and method.noisy and "limit" in raw:
        name = raw["method"]["name"]
        faults.append(f"limit: no quadrature integrates the noise of {name}: leave it out, or take many particles")
    try:
        if method and network:
            method.check(network.network(), method.rule(regulariser))
    except InputError as error:
        faults.append(str(error))
    return faults


def _object(name: str, raw: dict[str, Any], model: Any, kinds: Kinds, faults: list[str], **more: Any) -> Any:
    """The object that a section describes, or None; what is wrong with it goes to the faults."""
    section = _section(raw, name)
    wrong = misplaced(name, section, kinds, str(section.get("name", model.model_fields["name"].default)))
    faults += wrong
    config = None if wrong else _valid(model, section)
    try:
        return config and built(config, kinds, **more)
    except InputError as error:
        faults.append(f"{name}: {error}")
        return None


def _data(raw: dict[str, Any]) -> list[str]:
    data, faults = _section(raw, "data"), []
    if "data" in raw and ("name" in data) == ("file" in data):
        faults.append("data: give either `name` (a known set) or `file` (your own)")
    if "name" in data:
        faults += [f"data: `{key}` belongs to a file, not to a known set" for key in ("x", "y") if key in data]
    if "file" in data:
        faults += [f"data: `{key}` belongs to a known set, not to a file" for key in _SET_OPTIONS if key in data]
        if ("positive" in data) != ("negative" in data):
            faults.append("data: a file's classes need both `positive` and `negative`: got one of them")
    return faults


def _counts(raw: dict[str, Any]) -> list[str]:
    data, start, record = (_section(raw, name) for name in ("data", "start", "record"))
    count: Any = start.get("count")
    positions: Any = record.get("positions")
    faults = []
    if start.get("signs") == "symmetric" and _numbers(count) and count > 0 and count % 2:
        faults.append(f'start: `count` must be even with signs = "symmetric": got {count}. Use {count + 1}')
    variables = record.get("variables")
    if isinstance(variables, list) and "test" not in data and any(str(name).startswith("test_") for name in variables):
        faults.append("`record.variables` asks for test_ quantities: give `data.test`, a share such as 0.2")
    if _numbers(positions, count) and positions > count > 0:
        faults.append(f"`record.positions` must not exceed `start.count`: got {positions} for {count}")
    return faults


def _section(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _valid(model: Any, section: dict[str, Any]) -> Any:
    """The section, or None where a value of it is wrong."""
    try:
        return model.model_validate(section)
    except ValidationError:
        return None
