"""Values of a configuration that must fit together, looked at even while other values are wrong."""

from typing import Any

from pydantic import ValidationError

from particles.configuration.references import is_reference
from particles.configuration.schema import (
    DrawnLawConfig,
    LawConfig,
    MethodConfig,
    NetworkConfig,
    RecordConfig,
    RegulariserConfig,
)
from particles.configuration.sections import DRAWN_LAWS, LAWS, Kinds, built, misplaced, own_section
from particles.data.data_file import TABLES
from particles.data.datasets import TEACHER, TEACHER_SIGNS
from particles.errors import InputError
from particles.methods.registry import METHODS
from particles.model.losses import LOSSES
from particles.model.regularisers import REGULARISERS
from particles.population.observables import OBSERVABLES, observable
from particles.simulation.record import Record, planned

_SET_OPTIONS = ("n", "dim", "noise", "seed")
_FILE_OPTIONS = ("x", "y", "drop", "one_hot", "missing")


def misfits(raw: dict[str, Any], own: Kinds) -> list[str]:
    """Every pair of values that do not belong together in one run's configuration; own: the user's objects."""
    return [*_objects(raw, own), *_data(raw), *_teacher(raw), *_classes(raw), *_counts(raw), *_records(raw, own)]


def _objects(raw: dict[str, Any], own: Kinds) -> list[str]:
    """What the classes refuse: options of another class, values of one object, and objects beside each other."""
    faults: list[str] = []
    if not is_reference(_section(raw, "law").get("name")):  # one of the user's own may need the data's dimension
        _object("law", _section(raw, "law"), LawConfig, LAWS, faults, dim=1)
    model, kinds = MethodConfig, dict[str, Any](METHODS)
    if is_reference(kind := _section(raw, "method").get("name")) and kind in own:
        model, kinds = own_section(kind, own[kind]), {kind: own[kind]}
    method = _object("method", _section(raw, "method"), model, kinds, faults)
    regulariser = _object("regulariser", _section(raw, "regulariser"), RegulariserConfig, REGULARISERS, faults)
    network = _valid(NetworkConfig, _section(raw, "network"))
    if method and method.noisy and "limit" in raw:
        name = raw["method"]["name"]
        faults.append(f"limit: no quadrature integrates the noise of {name}: leave it out, or take many particles")
    try:
        name = network and network.activation
        if method and network and (name in own or not is_reference(name)):
            method.check(network.network(own.get(name, name), network.outputs or 1), method.rule(regulariser))
    except InputError as error:
        faults.append(str(error))
    return faults


def _object(name: str, section: dict[str, Any], model: Any, kinds: Kinds, faults: list[str], **more: Any) -> Any:
    """The object that a section describes, or None; what is wrong with it goes to the faults."""
    wrong = misplaced(name, section, kinds, str(section.get("name", model.model_fields["name"].default)))
    faults += wrong
    config = None if wrong else _valid(model, section)
    try:
        return config and built(config, kinds, **more)
    except (ValueError, TypeError) as error:  # InputError, or what a class of the user's own raises
        faults.append(f"{name}: {error}")
        return None


def _data(raw: dict[str, Any]) -> list[str]:
    data, faults = _section(raw, "data"), []
    if "data" in raw and ("name" in data) == ("file" in data):
        faults.append("data: give either `name` (a known set) or `file` (your own)")
    if "name" in data:
        faults += [f"data: `{key}` belongs to a file, not to a known set" for key in _FILE_OPTIONS if key in data]
    if "file" in data:
        faults += [f"data: `{key}` belongs to a known set, not to a file" for key in _SET_OPTIONS if key in data]
        if ("positive" in data) != ("negative" in data):
            faults.append("data: a file's classes need both `positive` and `negative`: got one of them")
    return faults


def _teacher(raw: dict[str, Any]) -> list[str]:
    """What the set `teacher` needs, what belongs to it alone, and its laws."""
    data = _section(raw, "data")
    if data.get("name") != TEACHER:
        return [f'data: `{key}` belongs to the set "{TEACHER}"' for key in ("teacher", "inputs") if key in data]
    needed = {"teacher": "a section [data.teacher]", "dim": "the number of inputs"}
    faults = [f"data: the set {TEACHER} needs `{key}`, {what}" for key, what in needed.items() if key not in data]
    faults += [f"data: `{key}` does not belong to the set {TEACHER}" for key in ("positive", "negative") if key in data]
    taught = _section(data, "teacher")
    equal = taught.get("signs", TEACHER_SIGNS[0]) == TEACHER_SIGNS[0]
    if equal and taught.get("outputs") not in (None, 1):
        faults.append('data.teacher: several outputs need `signs` "gaussian" or "random", so that they differ')
    for dotted, part in (("data.inputs", data), ("data.teacher.law", _section(data, "teacher"))):
        name = dotted.rpartition(".")[2]
        if name in part:
            _object(dotted, _section(part, name), DrawnLawConfig, DRAWN_LAWS, faults, dim=1)
    return faults


def _classes(raw: dict[str, Any]) -> list[str]:
    """Classes with an output each, the loss and the outputs; what only the samples show is found when they are read."""
    data, name, faults = _section(raw, "data"), raw.get("loss"), []
    row = LOSSES.get(name) if isinstance(name, str) else None
    if "classes" in data:
        if "positive" in data or "negative" in data:
            faults.append(
                "data: `classes` is one output a class, `positive` and `negative` one for two groups: got both"
            )
        if data.get("name") == TEACHER and _section(data, "teacher").get("outputs") in (None, 1):
            faults.append("data: classes of a teacher need `data.teacher.outputs`, one a class: got 1")
        if _section(raw, "start").get("signs", "positive") == "positive" and "output" not in _layers(raw):
            faults.append('start: with `signs` "positive" the outputs of all classes stay equal: use "random"')
        if row and row.binary:
            faults.append(f'loss: {name} asks for labels -1 and 1, not for classes: use "softmax" with `data.classes`')
    elif row and row.classes and ("name" in data or str(data.get("file")).lower().endswith(TABLES)):
        faults.append(f"loss: {name} needs one output a class: give `data.classes`, true for all of them")
    if row and row.joint and _section(raw, "network").get("outputs") == 1:
        faults.append(
            f"loss: {name} needs several outputs: got network.outputs = 1. Leave it out, and give `data.classes`"
        )
    if row and row.classes and "target_scale" in data:
        faults.append(
            f"data: `target_scale` changes the targets of classes, which {name} needs as they are: leave it out"
        )
    return faults


def _layers(raw: dict[str, Any]) -> list[Any]:
    train = _section(raw, "network").get("train")
    return train if isinstance(train, list) else []


def _counts(raw: dict[str, Any]) -> list[str]:
    count: Any = _section(raw, "start").get("count")
    if _section(raw, "start").get("signs") == "symmetric" and _numbers(count) and count > 0 and count % 2:
        return [f'start: `count` must be even with signs = "symmetric": got {count}. Use {count + 1}']
    return []


def _records(raw: dict[str, Any], own: Kinds) -> list[str]:
    """Of one section or of several: test samples that are missing, a name twice."""
    record = raw.get("record")
    faults, records = [], []
    for number, section in enumerate(record if isinstance(record, list) else [_section(raw, "record")]):
        dotted, config = f"record.{number}" if isinstance(record, list) else "record", _valid(RecordConfig, section)
        names = section.get("variables") if isinstance(section, dict) else None
        words = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        rows = [observable(own.get(name, name)) for name in words if name in OBSERVABLES or name in own]
        if "test" not in _section(raw, "data") and any(row.test for row in rows):
            faults.append(f"`{dotted}.variables` asks for test_ quantities: give `data.test`, a share such as 0.2")
        records += [Record(rows, config.every, config.positions)] if config and rows else []
    try:
        planned(records or "loss", 1, None, 0)
    except InputError as error:
        faults.append(f"record: {error}")
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
