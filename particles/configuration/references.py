"""Objects of the user's own in configurations: `module:name`, of modules that the user lets the program import.

A configuration never causes an import by itself. The modules are arguments of whoever reads it, and their sources'
hashes are a part of each run's identity; a process elsewhere imports them again and compares the hashes.
"""

import dataclasses
import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from particles.checks import settings_of
from particles.errors import InputError, nearest
from particles.measures.laws import Law
from particles.methods.base import Method
from particles.model.activations import Activation, activation
from particles.model.losses import Loss, loss
from particles.population.observables import Observable, observable

# An object reference, as Python's entry points have it.
REFERENCE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
Modules = Mapping[str, str]  # the SHA-256 of the source of each module, by its name
# Where a configuration may have one, and what it must be: an instance, with its check, or a subclass.
PLACES = {
    ("network", "activation"): Activation,
    ("data", "teacher", "activation"): Activation,
    ("loss",): Loss,
    ("record", "variables"): Observable,
    ("method", "name"): Method,
    ("law", "name"): Law,
}
_CHECKS: dict[Any, Any] = {Activation: activation, Loss: loss, Observable: observable}


def is_reference(value: object) -> bool:
    """Whether a value has the form module:name."""
    return isinstance(value, str) and ":" in value and re.fullmatch(REFERENCE, value) is not None


def imported(modules: Iterable[str]) -> dict[str, str]:
    """Import these modules: their sources' hashes by name. InputError for one that cannot be, or was changed since."""
    sources = {name: _imported(name) for name in modules}
    for file, digest in sources.values():
        if _digest(file) != digest:
            rule = "a module must stay as it was when it was imported"
            raise InputError(rule, f"{file}, which was changed since", "Start Python again.")
    return {name: digest for name, (_, digest) in sources.items()}


def module_in(file: Path) -> str:
    """The module name of a Python file, whose folder is searched first from now on. InputError where it has none."""
    rule, name = "--import needs the name of a module, or a Python file", file.stem
    if not file.is_file():
        raise InputError(rule, f"{str(file)!r}, which is no file", "Give its path, such as --import mine.py.")
    if not name.isidentifier():
        raise InputError(rule, repr(file.name), "Rename it: letters, digits and underscores before .py.")
    sys.path.insert(0, str(file.absolute().parent))
    other = getattr(sys.modules.get(name), "__file__", None) if name in sys.modules else str(file)
    if not other or Path(other).resolve() != file.resolve():
        raise InputError(rule, f"{file.name!r}, but another module has this name: {other or name}", "Rename the file.")
    return name


@cache
def _imported(name: str) -> tuple[Path, str]:
    """The source of a module, and its hash."""
    rule = "a module of your own must be one that Python can import"
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever its code raises
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)[1:] if "importlib" not in frame.filename]
        at = f" in {frames[0].filename}, line {frames[0].lineno}" if frames else ""
        remedy = "Mend it, then try again."
        if name.endswith(".py"):
            remedy = f"A module has no .py in its name: --import {name.removesuffix('.py')}."
        elif isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
            remedy = "It is looked for in the working folder and in the folders of PYTHONPATH."
        raise InputError(rule, f"{name!r}: {type(error).__name__}: {error}{at}", remedy) from error
    if not (file := getattr(module, "__file__", None)):
        raise InputError("a module of your own must have a file, which tells its versions apart", repr(name), "")
    return Path(file), _digest(Path(file))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def resolve(reference: str, modules: Modules) -> Any:
    """The object of a reference. InputError unless its module is one of these, in the version of this hash."""
    name, _, attribute = reference.partition(":")
    if name not in modules:
        rule, remedy = "the module of an object of your own must be one that may be imported", f"Add --import {name}"
        raise InputError(rule, repr(reference), f"{remedy} to the command, or modules=[{name!r}] in Python.")
    file, digest = _imported(name)
    if digest != modules[name]:
        rule = f"module {name} must be the one of the run's identity, SHA-256 {modules[name]}"
        raise InputError(rule, f"{file}, {digest}", "Put the same file where all machines find it (PYTHONPATH).")
    module = importlib.import_module(name)
    if not hasattr(module, attribute):
        names = [word for word in vars(module) if not word.startswith("_")]
        raise InputError(f"{reference!r} must name an object of {file}", repr(attribute), nearest(attribute, names))
    return getattr(module, attribute)


def modules_of(raw: dict[str, Any], modules: Modules) -> dict[str, str]:
    """Those of the modules that a run's configuration names; without modules it names none."""
    if not modules:  # of 20 000 runs each would be searched
        return {}
    return {name: modules[name] for name in sorted({text.partition(":")[0] for _, _, text in _references(raw)})}


def objects_of(raw: dict[str, Any], modules: Modules) -> tuple[dict[str, Any], list[str]]:
    """The objects that a run's configuration names, by reference, and what is wrong with them."""
    objects, faults = {}, []
    for dotted, kind, text in _references(raw):
        try:
            objects[text] = _checked(resolve(text, modules), kind, text)
        except InputError as error:
            faults.append(f"{dotted}: {error}")
    return objects, faults


def _references(raw: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """(dotted path, what it must be, the reference) of every reference in a run's configuration."""
    for path, kind in PLACES.items():
        yield from ((dotted, kind, value) for dotted, value in _values(raw, path, "") if is_reference(value))


def _values(value: Any, path: tuple[str, ...], dotted: str) -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of what is at a path, each entry where there is a list."""
    if isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _values(entry, path, f"{dotted}.{number}")
    elif not path:
        yield dotted[1:], value
    elif isinstance(value, dict) and path[0] in value:
        yield from _values(value[path[0]], path[1:], f"{dotted}.{path[0]}")


def _checked(given: Any, kind: Any, reference: str) -> Any:
    """The object, if it is what its place asks for."""
    if kind in _CHECKS:
        if not isinstance(given, kind):
            raise InputError(f"{reference!r} must be an mf.{kind.__name__}", type(given).__name__, "")
        return _CHECKS[kind](given)
    if not isinstance(given, type) or not issubclass(given, kind) or not dataclasses.is_dataclass(given):
        got = given.__name__ if isinstance(given, type) else type(given).__name__
        rule = f"{reference!r} must be a subclass of {kind.__name__} and a dataclass"
        raise InputError(rule, got, "docs/extending.md has an example.")
    fields = {field.name: field for field in dataclasses.fields(given)}
    needed = {name for name, field in fields.items() if field.default is dataclasses.MISSING is field.default_factory}
    own = {"dim"} if kind is Law else set()
    if "name" in fields or needed - own - settings_of(given).keys() or own - fields.keys():
        rule = f"the fields of {reference!r} must be settings" + (", and `dim`" if kind is Law else "")
        remedy = "Annotate each with a Setting, or give it a default; none may be called `name`."
        raise InputError(rule, ", ".join(fields), remedy)
    return given
