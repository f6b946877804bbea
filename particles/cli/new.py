"""`particles new`: a first configuration for a data file of the user's own, commented, that runs as it is."""

import json
import math
import os
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from particles.data import table_file
from particles.data.dataset import Dataset
from particles.data.datasets import RELATIVE, arrays, checked_kind, two_classes
from particles.errors import InputError, StorageError, nearest
from particles.escapes import escaped
from particles.experiments import build
from particles.experiments.plan import plan
from particles.experiments.schema import NAME
from particles.files.atomic import write_whole
from particles.files.reading import content_of
from particles.measures.laws import Gaussian
from particles.model.losses import loss
from particles.model.network import Network
from particles.simulation.stability import rounded_down, stable_step

COUNTS, SEEDS = (64, 256, 1024), tuple(range(6))  # fewer seeds make intervals that say little
TARGETS = ("y", "target", "targets", "label", "labels", "class", "outcome", "response", "output")
_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names that no file may have there
_BUDGET = 2e10  # particle-sample-inputs in all: some seconds on one core
_TESTED = 20  # samples from which some are held out

TEMPLATE = """\
# Finite networks beside their mean-field limit, on your data ({samples} samples, {inputs} inputs).
#
# Each list is an axis: {sizes} sizes x {seeds} seeds; M = infinity is run beside them with two numbers of atoms.
# Look before: particles check {name}.toml     Run: particles run {name}.toml     Look after: particles show out/{name}

name = "{name}"
steps = {steps}
loss = "{loss}"          # {loss_why}

[data]
file = {file}            # from this file's folder
y = {y}                  # the targets' column{inputs_are}
{x}{labels}scale = "standard"       # every input of mean 0 and variance 1
{test}
[network]
activation = "{activation}"      # {activation_why}
beta = 1.0               # the mean field: output weights s_r / M; 0.5 is the tangent kernel's scale
bias = true              # a constant input, so that neurons need not pass through the origin

[law]
name = "gaussian"        # mu0 = N(0, std^2 I) in {dim} dimensions: the inputs and the bias
std = {std}               # about 1 / sqrt({dim}): activations of order 1

[start]
count = {counts}
seed = {seed_list}
signs = "random"         # output weights -1 and 1

[method]
name = "gradient_descent"
step = {step}               # flow time; theory allows up to {bound:.3g} at the start (2 / curvature)

[record]
every = {every}
variables = {variables}

[limit]
nodes = {nodes}             # quadrature atoms for M = infinity; run with twice as many as well
"""


class Started(NamedTuple):
    """What was written: the file, the targets' column, the configuration as values, and in words."""

    file: Path
    target: str
    config: dict[str, Any]
    about: str


def write(
    folder: Path, name: str, data: Path, y: str | None, force: bool = False, x: list[str] | None = None
) -> Started:
    """Write `folder`/NAME.toml for the samples in `data`; raises InputError or StorageError and then writes nothing."""
    name = _checked_name(name)
    file = folder / f"{name}.toml"
    if (file.exists() or file.is_symlink()) and not force:
        raise StorageError(f"{file} exists and is not overwritten. Choose another name, or say --force.")
    if file.is_dir():
        raise StorageError(f"{file} is a folder. Choose another name.")
    checked_kind(data)
    content = content_of(data, RELATIVE)
    target, inputs = _target(content, data, y), _inputs(data, x)
    samples, classes = _samples(content, data, inputs, target)
    text = _text(name, _quoted(_from(folder, data)), _quoted(target), inputs, samples, classes)
    raw = tomllib.loads(text)
    build.check_all(plan(raw, folder.resolve(), str(file)).cases[:1], folder.resolve())
    write_whole(file, text.encode())
    rows = f"{len(samples)} samples, {samples.x.shape[1]} inputs, target {target!r}"
    return Started(file, target, raw, f"{rows}, {raw['loss']} loss, {raw['network']['activation']}")


def _checked_name(name: str) -> str:
    name = name.removesuffix(".toml")
    if not re.fullmatch(NAME, name) or name.endswith("\n"):
        raise InputError(
            "NAME must be 1 to 64 of the letters a-z, A-Z, digits, . _ -, a letter or digit first",
            repr(name[:80]),
            "It names a file here and a folder in out/: try mine.",
        )
    if _WINDOWS.fullmatch(name):
        raise InputError("NAME must not be a device's name on some system", repr(name), f"Try my_{name}.")
    return name


def _inputs(data: Path, x: list[str] | None) -> str | list[str] | None:
    """The inputs' columns, or of files of arrays the one array."""
    return x[0] if x and len(x) == 1 and data.suffix.lower() != ".csv" else x


def _target(content: bytes, data: Path, y: str | None) -> str:
    """The targets' column: the one asked for, or the only one whose name says so."""
    if data.suffix.lower() != ".csv":
        return y or "y"  # `read` says what is wrong
    columns = table_file.header(content, data)
    names = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
    if len(columns) < 2:
        rule = "a CSV needs a header of two columns or more, separated by commas, semicolons, tabs or bars"
        raise InputError(rule, f"{names[:80]!r} in {data}", "Save the table with one of these between its columns.")
    if y is not None:
        if y not in columns:
            raise InputError(f"--y must name a column of {data}", repr(y), f"{nearest(y, columns)} It has {names}.")
        return y
    likely = [column for column in columns if column.lower() in TARGETS]
    if len(likely) != 1:
        many = "several" if likely else "none"
        raise InputError(f"which column of {data} is the target", f"{many} that say so: {names}", "Add --y COLUMN.")
    return likely[0]


def _samples(content: bytes, data: Path, inputs: str | list[str] | None, target: str) -> tuple[Dataset, list[str]]:
    """The samples; and where the targets are two classes those of label -1 and 1, as TOML has them, else none."""
    try:
        x, y = arrays(content, data, inputs, target, text=True)
    except InputError as error:
        rule, got, remedy = error.parts
        raise InputError(rule, got, remedy.replace("(`x`)", "(--x COLUMN ...)")) from error
    values = np.unique(y)
    if values.dtype.kind == "U":
        if len(values) != 2:
            got = f"{len(values)} kinds of text, {', '.join(map(repr, values[:5].tolist()))}, in {target!r} of {data}"
            raise InputError("targets must be numbers, or of two classes", got, "Encode them as numbers.")
        return two_classes(x, y, [values[1]], [values[0]]), [_quoted(str(value)) for value in values]
    whole = len(values) == 2 and bool((values == np.rint(values)).all()) and bool((np.abs(values) < 2**53).all())
    return Dataset(x, y), [str(int(value)) for value in values] if whole else []


def _from(folder: Path, data: Path) -> str:
    """The data's path as the configuration names it."""
    try:
        return Path(os.path.relpath(data.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return data.resolve().as_posix()


def _quoted(text: str) -> str:
    """A TOML string in visible letters: JSON's escapes, and ours, are TOML's."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("a path in a configuration must be Unicode", repr(text[:80]), "Rename the file.") from error
    return escaped(json.dumps(text, ensure_ascii=False))


def _text(name: str, file: str, y: str, x: str | list[str] | None, data: Dataset, classes: list[str]) -> str:
    count, inputs = data.x.shape
    chosen_x = _quoted(x) if isinstance(x, str) else f"[{', '.join(map(_quoted, x))}]" if x else ""
    labels = bool(classes)
    tested = count >= _TESTED
    dim = inputs + 1
    std = float(f"{1.0 / math.sqrt(dim):.2g}")
    activation = "tanh" if labels else "relu"
    chosen = "logistic" if labels else "squared"
    if labels:
        target_lines = f"positive = [{classes[1]}]           # the value of y whose label is 1\n"
        target_lines += f"negative = [{classes[0]}]           # ... and -1\n"
    else:
        target_lines = (
            'target_scale = "standard"        # targets of mean 0 and variance 1\n'
            if data.y.min() < data.y.max()
            else ""
        )
    test = "test = 0.2               # a share of the samples held out\n" if tested else ""
    nodes, steps = _affordable(count, dim)
    bound = _bound(data, activation, chosen, std)
    variables = ["loss", *(["test_loss"] if tested else []), *(["misclassification"] if labels else [])]
    text = TEMPLATE.format(
        name=name, file=file, y=y, x=f"x = {chosen_x}  # the inputs\n" if x else "",
        inputs_are="" if x else "; all others are inputs", samples=count,
        inputs=inputs, sizes=len(COUNTS), seeds=len(SEEDS), dim=dim, std=std,
        steps=steps, every=max(1, steps // 20), nodes=nodes, labels=target_lines, test=test, loss=chosen,
        activation=activation, loss_why="two labels; squared works as well" if labels else "regression",
        activation_why="or relu, erf, gelu, ..." if labels else "or tanh, ...; tanh is bounded by 1, targets are not",
        counts=list(COUNTS), seed_list=list(SEEDS), step=rounded_down(bound / 2.0, 1), bound=bound,
        variables=json.dumps([*variables, "prediction"]),
    )  # fmt: skip
    return "".join(_aligned(line) for line in text.splitlines(keepends=True))


def _aligned(line: str) -> str:
    """Comments below each other; the last # begins one, a file's name may have others."""
    code, mark, comment = line.rpartition("# ")
    return f"{code.rstrip():<24} {mark}{comment}" if mark and code.strip() else line


def _affordable(count: int, dim: int) -> tuple[int, int]:
    """(quadrature nodes, steps) such that all runs together stay in the budget, if anything does."""
    for nodes, steps in ((4096, 200), (4096, 100), (2048, 100), (2048, 50), (1024, 20)):
        if (sum(COUNTS) * len(SEEDS) + 3 * nodes * 2) * count * dim * steps <= _BUDGET:
            return nodes, steps
    return 1024, 20


def _bound(data: Dataset, activation: str, chosen: str, std: float) -> float:
    """The largest step that theory allows at the start, on the inputs as they will be scaled."""
    net = Network(activation, beta=1.0, bias=True)
    x = net.inputs(data.scaled("standard").x)
    step = stable_step(net, Gaussian(x.shape[1], std).sample(256, 0), x, loss(chosen))
    return step if math.isfinite(step) else 2.0
