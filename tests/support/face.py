"""The public names: those of the stubs, and of the modules that the stubs name."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = "particles"
# What users have or import although no public module names it.
MORE = {
    "particles.experiments.accessor": "Accessor",
    "particles.methods.schedules": "Constant",
}


class Name(NamedTuple):
    """A public name and what it stands for; `wasserstein` has two, in mf.transport and mf.theory.transport."""

    path: str
    value: Any


def _listed(module: ModuleType) -> list[str]:
    """What a module names as its own: `x as x`, and its functions and classes, but for checks of arguments."""
    if "__all__" in vars(module) and "__getattr__" not in vars(module):
        return list(module.__all__)
    source = Path(inspect.getfile(module))
    stub = source.with_suffix(".pyi")
    names = []
    for node in ast.parse((stub if stub.is_file() else source).read_text()).body:
        if isinstance(node, ast.ImportFrom):
            names += [alias.name for alias in node.names if alias.asname == alias.name]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith(("_", "checked_")):
            names.append(node.name)
    return names


def _walk(path: str, module: ModuleType) -> Iterator[Name]:
    for name in _listed(module):
        value = getattr(module, name)
        yield Name(f"{path}.{name}", value)
        if isinstance(value, ModuleType):
            yield from _walk(f"{path}.{name}", value)


def names() -> list[Name]:
    """All of them, in the stubs' order."""
    return list(_walk(ROOT, importlib.import_module(ROOT)))


def objects() -> dict[str, Any]:
    """Functions and classes by where they are defined: the public ones, and MORE."""
    values = [value for _, value in names() if inspect.isroutine(value) or isinstance(value, type)]
    values += [getattr(importlib.import_module(module), name) for module, name in MORE.items()]
    return {f"{value.__module__}.{value.__qualname__}": value for value in values}
