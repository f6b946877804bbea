"""`particles new`: a first configuration for a data file of the user's own, commented, that runs as it is."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from particles.cli.template import Source, configuration, quoted
from particles.configuration.schema import NAME
from particles.data import columns
from particles.data.classes import two_classes
from particles.data.columns import Choice, choice_of
from particles.data.data_file import KINDS, RELATIVE, TABLES, cells, checked_kind, header, samples
from particles.data.dataset import Dataset
from particles.errors import InputError, StorageError, nearest
from particles.experiments import build
from particles.experiments.plan import plan
from particles.files.atomic import write_whole
from particles.files.reading import content_of

TARGETS = ("y", "target", "targets", "label", "labels", "class", "outcome", "response", "output")
_CLASSES = ("label", "labels", "class", "classes")  # columns whose whole numbers are names
_NUMBERED = ("target", "targets")  # columns whose whole numbers may be: scikit-learn's tables have 0, 1, 2, ... there
_KINDS = 100  # of classes; more words are names of rows
_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names that no file may have there
_OPTIONS = {
    "(`drop`)": "(--drop COLUMN ...)",
    "(`one_hot`)": "(--one-hot COLUMN ...)",
    "(`missing`)": "(--missing drop, --missing mean)",
}  # what the arguments of `read` are here


class Started(NamedTuple):
    """What was written: the file, the targets' column, the configuration as values, and in words."""

    file: Path
    target: str
    config: dict[str, Any]
    about: str


class Asked(NamedTuple):
    """What the command line says of a file's columns; a word may be several names, separated by commas."""

    y: str | None = None
    x: Sequence[str] = ()
    drop: Sequence[str] = ()
    one_hot: Sequence[str] = ()
    missing: str | None = None
    classes: bool = False


NOTHING = Asked()


def write(folder: Path, name: str, data: Path | None, asked: Asked = NOTHING, force: bool = False) -> Started:
    """Write `folder`/NAME.toml for the samples in `data`; raises InputError or StorageError and then writes nothing.

    data: None where NAME is that of a data file, whose own name the configuration gets.
    """
    if data is None:
        name, data = _named_by(name)
    name = _checked_name(name)
    file = folder / f"{name}.toml"
    if (file.exists() or file.is_symlink()) and not force:
        raise StorageError(f"{file} exists and is not overwritten. Choose another name, or say --force.")
    if file.is_dir():
        raise StorageError(f"{file} is a folder. Choose another name.")
    checked_kind(data)
    content = content_of(data, RELATIVE)
    source = _source(content, data, quoted(_from(folder, data)), asked)
    text = configuration(name, source)
    raw = tomllib.loads(text)
    build.check_all(plan(raw, folder.resolve(), str(file)).cases[:1], folder.resolve())
    write_whole(file, text.encode())
    return Started(file, source.choice.targets[0], raw, _about(source, raw))


def _named_by(name: str) -> tuple[str, Path]:
    """The name of a configuration that is named as its data file is, and that file."""
    path = Path(name)
    kind = next((kind for kind in KINDS if path.name.lower().endswith(kind)), None)
    if kind is None:
        raise InputError("`new` needs a data file", repr(name[:80]), "Say --data FILE, or give a file instead of NAME.")
    return path.name[: -len(kind)], path


def _about(source: Source, raw: dict[str, Any]) -> str:
    """In words what was found in the file."""
    count, inputs = source.samples.x.shape
    words = [f"{count} samples, {inputs} inputs, target {source.choice.y!r}"]
    if source.samples.classes:
        words.append(f"{source.samples.outputs} classes")
    if source.choice.one_hot:
        words.append(f"text in {', '.join(source.choice.one_hot)}")
    if source.choice.missing:
        done = "left out" if source.choice.missing == "drop" else "filled with means"
        words.append(f"{source.incomplete} rows with a missing cell {done}")
    return ", ".join([*words, f"{raw['loss']} loss", raw["network"]["activation"]])


def _checked_name(name: str) -> str:
    name = name.removesuffix(".toml")
    if not re.fullmatch(NAME, name) or name.endswith("\n"):
        raise InputError(
            "NAME must be 1 to 64 of the letters a-z, A-Z, digits, . _ -, a letter or digit first",
            repr(name[:80]),
            "It names a file here and a folder in out/: particles new mine --data FILE.",
        )
    if _WINDOWS.fullmatch(name):
        raise InputError("NAME must not be a device's name on some system", repr(name), f"Try my_{name}.")
    return name


def _source(content: bytes, data: Path, file: str, asked: Asked) -> Source:
    """The samples, and how they come from the file's columns."""
    choice = _choice(content, data, asked)
    try:
        if checked_kind(data) in TABLES:
            choice = _with_categories(content, data, choice)
        x, y, incomplete, inputs = samples(content, data, choice, text=True)
    except InputError as error:
        rule, got, remedy = error.parts
        for word, option in _OPTIONS.items():
            remedy = remedy.replace(word, option)
        raise InputError(rule, got, remedy) from error
    return Source(file, choice, *_labelled(x, y, choice.targets[0], asked.classes, data), incomplete, inputs)


def _choice(content: bytes, data: Path, asked: Asked) -> Choice:
    """The columns that are asked for, by their names."""
    if checked_kind(data) not in TABLES:  # `read` says what is wrong
        x = asked.x[0] if len(asked.x) == 1 else list(asked.x) or None
        return choice_of(x, asked.y or "y", asked.drop, asked.one_hot, asked.missing)
    names = header(content, data)
    target = _target(names, data, asked.y)
    x, drop, one_hot = ([name for word in words for name in _names_in(word, names)] for words in asked[1:4])
    return choice_of(x or None, target, drop, one_hot, asked.missing)


def _names_in(word: str, names: list[str]) -> list[str]:
    """A column's name, or several that are separated by commas."""
    return [word] if word in names else [name.strip() for name in word.split(",")]


def _with_categories(content: bytes, data: Path, choice: Choice) -> Choice:
    """With the columns of text of which few values make all."""
    table = cells(content, data, choice, text=True)
    others = [name for name in columns.inputs(table.names, data, choice) if name not in set(choice.one_hot)]
    return choice._replace(one_hot=[*choice.one_hot, *columns.categories(table, others)])


def _target(names: list[str], data: Path, y: str | None) -> str:
    """The targets' column: the one asked for, or the only one whose name says so."""
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    if len(names) < 2:
        rule = "a table needs a header of two columns or more, separated by commas, semicolons, tabs or bars"
        raise InputError(rule, f"{listed[:80]!r} in {data}", "Save the table with one of these between its columns.")
    if y is not None:
        if y not in names:
            raise InputError(f"--y must name a column of {data}", repr(y), f"{nearest(y, names)} It has {listed}.")
        return y
    likely = [name for name in names if name.lower() in TARGETS]
    if len(likely) != 1:
        many = "several" if likely else "none"
        raise InputError(f"which column of {data} is the target", f"{many} that say so: {listed}", "Add --y COLUMN.")
    return likely[0]


def _labelled(x: columns.Array, y: Any, name: str, asked: bool, data: Path) -> tuple[Dataset, list[str]]:
    """The samples; and where the targets are two classes those of label -1 and 1, as TOML has them, else none.

    asked: whether each class shall have an output, also where there are two.
    """
    values, text = np.unique(y), y.dtype.kind == "U"
    if asked:
        return Dataset(x, y, True), []
    if text and not 2 <= len(values) <= min(_KINDS, max(2, len(y) // 2)):
        got = f"{len(values)} kinds of text, {', '.join(map(repr, values[:5].tolist()))}, in {name!r} of {data}"
        remedy = "Name another column (--y COLUMN), or say --classes."
        raise InputError(f"targets must be numbers, or 2 to {_KINDS} classes of two rows or more", got, remedy)
    if text and len(values) == 2:
        return two_classes(x, y, [values[1]], [values[0]]), [quoted(str(value)) for value in values]
    if text or _are_names(values, name, y):
        return Dataset(x, y, True), []
    whole = y.ndim == 1 and len(values) == 2 and bool((values == np.rint(values)).all())
    whole = whole and bool((np.abs(values) < 2**53).all())
    return Dataset(x, y), [str(int(value)) for value in values] if whole else []


def _are_names(values: columns.Array, name: str, y: columns.Array) -> bool:
    """Whether numbers are names of classes, by the name of their column."""
    if y.ndim > 1 or not 3 <= len(values) <= min(_KINDS, len(y) // 2) or (values != np.rint(values)).any():
        return False
    return name.lower() in _CLASSES or (name.lower() in _NUMBERED and np.array_equal(values, np.arange(len(values))))


def _from(folder: Path, data: Path) -> str:
    """The data's path as the configuration names it."""
    try:
        return Path(os.path.relpath(data.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return data.resolve().as_posix()
