"""The commented text of a first configuration, with sizes and a step that suit the samples."""

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from particles.data.columns import Choice
from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.escapes import escaped
from particles.measures.laws import Gaussian
from particles.model.losses import loss
from particles.model.network import Network
from particles.simulation.stability import rounded_down, stable_step

COUNTS, SEEDS = (64, 256, 1024), tuple(range(6))  # fewer seeds make intervals that say little
_BUDGET = 2e10  # particle-sample-inputs in all: some seconds on one core
_TESTED = 20  # samples from which some are held out
_RECORDS = 20  # times that are recorded
_SHOWN = 10  # classes that a comment lists
_PATHS, _PATH_BYTES = 256, 2**25  # particles whose paths are recorded where those of all take more bytes

TEMPLATE = """\
# Finite networks beside their mean-field limit, on your data ({samples} samples, {inputs} inputs).
#
# Each list is an axis: {sizes} sizes x {seeds} seeds; M = infinity is run beside them with two numbers of nodes.
# Look before: particles check {name}.toml     Run: particles run {name}.toml     Look after: particles show out/{name}

name = "{name}"
steps = {steps}
loss = "{loss}"          # {loss_why}

[data]
file = {file}            # from this file's folder
y = {y}                  # the targets' column{inputs_are}
{columns}{labels}scale = "standard"       # every input of mean 0 and variance 1
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
{positions}
[limit]
nodes = {nodes}             # of the quadrature for M = infinity; run with twice as many as well
"""


class Source(NamedTuple):
    """Samples of a file: its name as TOML, how its columns are used, its samples, rows with missing cells.

    classes: where the targets are two classes, those of label -1 and 1 as TOML has them, else none.
    inputs: the names of the inputs, in their order.
    """

    file: str
    choice: Choice
    samples: Dataset
    classes: list[str]
    incomplete: int
    inputs: Sequence[str] = ()


def quoted(text: str) -> str:
    """A TOML string in visible letters: JSON's escapes, and ours, are TOML's."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("a path in a configuration must be Unicode", repr(text[:80]), "Rename the file.") from error
    return escaped(json.dumps(text, ensure_ascii=False))


def configuration(name: str, source: Source) -> str:
    """The text of NAME.toml."""
    data = source.samples
    count, inputs = data.x.shape
    dim = inputs + 1
    std = float(f"{1.0 / math.sqrt(dim):.2g}")
    chosen, why = _loss(source)
    labels = chosen != "squared"
    activation = "tanh" if labels else "relu"
    nodes, steps = _affordable(count, dim + data.outputs - 1)
    bound = _bound(data, activation, chosen, std)
    text = TEMPLATE.format(
        name=name, file=source.file, y=quoted(source.choice.targets[0]), columns=_columns(source),
        labels=_labels(source),
        inputs_are="" if source.choice.x else "; all others are inputs", samples=count,
        inputs=inputs, sizes=len(COUNTS), seeds=len(SEEDS), dim=dim, std=std,
        steps=steps, every=max(1, steps // _RECORDS), nodes=nodes, loss=chosen,
        test="test = 0.2               # a share of the samples held out\n" if count >= _TESTED else "",
        activation=activation, loss_why=why,
        activation_why="or relu, erf, gelu, ..." if labels else "or tanh, ...; tanh is bounded by 1, targets are not",
        counts=list(COUNTS), seed_list=list(SEEDS), step=rounded_down(bound / 2.0, 1), bound=bound,
        variables=json.dumps(_variables(source)), positions=_positions(nodes, dim + data.outputs),
    )  # fmt: skip
    return "".join(_aligned(line) for line in text.splitlines(keepends=True))


def _loss(source: Source) -> tuple[str, str]:
    """The loss, and why."""
    if source.samples.classes:
        return "softmax", "one output a class; squared works as well"
    return ("logistic", "two labels; squared works as well") if source.classes else ("squared", "regression")


def _columns(source: Source) -> str:
    """The lines that say how a table's columns are used."""
    x, _, drop, one_hot, missing = source.choice
    lines = []
    if x:
        lines.append(f"x = {quoted(x) if isinstance(x, str) else _list(x)}  # the inputs")
    if drop:
        lines.append(f"drop = {_list(drop)}  # no inputs")
    if one_hot:
        lines.append(f"one_hot = {_list(one_hot)}  # text: each of its values is a column of 0 and 1")
        lines.append(f"# The inputs in their order, as `predict` takes them: {', '.join(map(quoted, source.inputs))}")
    if missing:
        what = "rows that are left out" if missing == "drop" else "rows: an input gets the column's mean"
        lines.append(f"missing = {quoted(missing)}  # cells are missing in {source.incomplete} {what}")
    return "".join(f"{line}\n" for line in lines)


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, names))}]"


def _labels(source: Source) -> str:
    """The lines on the targets: which class is which, or their scale."""
    if source.classes:
        negative, positive = source.classes
        return (
            f"positive = [{positive}]           # the value of y whose label is 1\n"
            f"negative = [{negative}]           # ... and -1\n"
        )
    if names := source.samples.classes:
        listed = ", ".join(quoted(name) if isinstance(name, str) else str(name) for name in names[:_SHOWN])
        more = ", ..." if len(names) > _SHOWN else ""
        numbers = (
            "" if isinstance(names[0], str) else '# Numbers and no names? Leave this out, and say loss = "squared".\n'
        )
        return f"classes = true  # one output a class: {listed}{more}\n{numbers}"
    differ = (np.ptp(source.samples.y, axis=0) > 0.0).all()
    return 'target_scale = "standard"        # targets of mean 0 and variance 1\n' if differ else ""


def _variables(source: Source) -> list[str]:
    tested = ["test_loss"] if len(source.samples) >= _TESTED else []
    binary = ["misclassification"] if source.classes else []
    if source.samples.classes:
        binary = ["accuracy", "test_accuracy"] if tested else ["accuracy"]
    return ["loss", *tested, *binary, "prediction", "position", "output_weight"]


def _positions(nodes: int, numbers: int) -> str:
    """The line on how many paths, of so many numbers a time, are recorded; none where there is room for all."""
    particles = sum(COUNTS) * len(SEEDS) + 2 * (nodes + 2 * nodes)  # a quadrature has both signs
    if 8 * particles * numbers * (_RECORDS + 1) <= _PATH_BYTES:
        return ""
    return f"positions = {_PATHS}          # how many particles' paths are recorded, for films of the cloud\n"


def _aligned(line: str) -> str:
    """Comments below each other; the last # begins one, a file's name may have others."""
    code, mark, comment = line.rpartition("# ")
    return f"{code.rstrip():<24} {mark}{comment}" if mark and code.strip() and not line.startswith("#") else line


def _affordable(count: int, dim: int) -> tuple[int, int]:
    """(quadrature nodes, steps) such that all runs together stay in the budget, if anything does."""
    for nodes, steps in ((4096, 200), (4096, 100), (2048, 100), (2048, 50), (1024, 20)):
        if (sum(COUNTS) * len(SEEDS) + 3 * nodes * 2) * count * dim * steps <= _BUDGET:
            return nodes, steps
    return 1024, 20


def _bound(data: Dataset, activation: str, chosen: str, std: float) -> float:
    """The largest step that theory allows at the start, on the inputs as they will be scaled."""
    net = Network(activation, beta=1.0, bias=True, outputs=data.outputs)
    x = net.inputs(data.scaled("standard").x)
    start = Gaussian(x.shape[1], std).sample(256, 0, signs="random", outputs=data.outputs)
    step = stable_step(net, start, x, loss(chosen))
    return step if math.isfinite(step) else 2.0
