"""Data by name, `load(name, ...)`, and from your own files, `read(path, ...)`.

And with targets from a network of your own, `teacher(...)`.
"""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import whole
from particles.data.classes import Grouped, Outputs
from particles.data.columns import choice_of
from particles.data.data_file import RELATIVE, checked_kind, parsed
from particles.data.dataset import Dataset, Stream
from particles.data.known_sets import SETS
from particles.data.labels import Label
from particles.errors import InputError, nearest
from particles.files.reading import content_of
from particles.measures.laws import Law
from particles.measures.measure import Array, Measure
from particles.measures.random_streams import ROWS, Purpose, checked_seed, generator, rows_of

__all__ = ["load", "read", "teacher"]

TEACHER, TEACHER_SIGNS = "teacher", ("positive", "random", "gaussian")


class Predictor(Protocol):
    """What gives targets: `mf.Network`."""

    @property
    def bias(self) -> bool: ...
    @property
    def outputs(self) -> int: ...

    def predict(self, measure: Measure, x: ArrayLike) -> Array: ...


def teacher(
    net: Predictor,
    law: Law,
    inputs: Law,
    count: int,
    n: int = 256,
    noise: float = 0.0,
    seed: int = 0,
    signs: Literal["positive", "random", "gaussian"] = "positive",
    classes: Outputs = None,
) -> Dataset:
    """Samples whose targets are the outputs of another network, the teacher.

    Parameters
    ----------
    net
        The teacher's activation, output scale, bias and outputs, an `mf.Network`.
    law
        The law of its neurons, in as many dimensions as `inputs`, and one more with a bias.
    inputs
        The law of the inputs.
    count
        The number of its neurons.
    n
        The number of samples, 256 by default.
    noise
        Standard deviation of normal noise that is added to the targets, 0 by default.
    seed
        Of neurons, inputs and noise. No student has the teacher's neurons, also one of the same law and seed.
    signs
        Of its output weights: "positive", the default; "random", -1 and 1; or "gaussian", standard normal. Several
        outputs need the latter two.
    classes
        True for labels 0, 1, ... instead of outputs: the number of the teacher's largest output, noise included; or the
        classes by their outputs. None, the default, for the outputs themselves.

    Returns
    -------
    Dataset
        The samples.

    Raises
    ------
    InputError
        For a `count` or `n` below 1, a negative `noise`, laws whose dimensions do not fit, several outputs with equal
        weights, and classes of one output or of another number than the outputs.

    References
    ----------
    Section 2, the samples of (2), with targets that a network represents exactly where there is no noise.

    Examples
    --------
    >>> net = mf.Network("relu")
    >>> mf.datasets.teacher(net, mf.Sphere(5), mf.Gaussian(5), count=4, n=100, noise=0.1)
    Dataset(n=100, d=5)
    >>> net, law = mf.Network("tanh", outputs=3), mf.Gaussian(5)
    >>> mf.datasets.teacher(net, law, law, count=8, signs="gaussian", classes=True)
    Dataset(n=256, d=5, classes=3)
    """
    count, n, seed = whole("count", count, 1), whole("n", n, 1), checked_seed(seed)
    if law.dim != inputs.dim + net.bias:
        got = f"{law.dim} for {inputs.dim} inputs{' and the bias' if net.bias else ''}"
        raise InputError("the teacher's `law` must have the inputs' dimension", got, "Count a bias in.")
    if signs not in TEACHER_SIGNS:
        rule = f"`signs` must be one of {', '.join(TEACHER_SIGNS)}"
        raise InputError(rule, repr(signs), nearest(str(signs), TEACHER_SIGNS))
    if net.outputs > 1 and signs == "positive":
        remedy = 'Use signs="gaussian", or "random".'
        raise InputError("a teacher of several outputs needs weights that differ", f"signs={signs!r}", remedy)
    s = _teacher_weights(signs, net.outputs, seed, count)
    neurons = Measure(law.rows(seed, 0, count, Purpose.TEACHER), s, np.full(count, 1.0 / count))
    data = Stream(inputs, lambda x: net.predict(neurons, x), noise, seed).rows(0, n)
    return data if classes is None or classes is False else _by_largest(data, classes)


def _teacher_weights(signs: str, outputs: int, seed: int, count: int) -> Array:
    """s of the teacher's neurons: (count,), or (count, outputs) of several."""
    shape = (ROWS,) if outputs == 1 else (ROWS, outputs)

    def rows(block: int) -> Array:
        random = generator(seed, Purpose.TEACHER_SIGN, block)
        if signs == "gaussian":
            return random.standard_normal(shape)
        return np.asarray(1.0 - 2.0 * random.integers(0, 2, shape))

    return np.ones(count) if signs == "positive" else rows_of(rows, 0, count)


def _by_largest(data: Dataset, classes: Sequence[Label] | bool) -> Dataset:
    """The same inputs, labelled by the number of the largest target, or by its class."""
    if data.outputs == 1:
        rule, remedy = "a teacher of classes needs an output for each", "Use mf.Network(..., outputs=3), say."
        raise InputError(rule, "outputs=1", remedy)
    names = range(data.outputs) if isinstance(classes, bool) else classes
    if isinstance(names, str) or len(names) != data.outputs:
        rule = "`classes` must be True, or as many classes as the teacher has outputs"
        raise InputError(rule, f"{names!r} for {data.outputs}", "Give True.")
    return Dataset(data.x, [names[o] for o in data.y.argmax(axis=1)], names)


def shape_of(name: str, options: Mapping[str, Any]) -> tuple[int, int] | None:
    """Samples and inputs of a drawn set before it is drawn; None of a set that ships."""
    makers = inspect.signature((SETS | {TEACHER: teacher})[name]).parameters
    if "n" not in makers:
        return None
    given = {"dim": 2} | {key: maker.default for key, maker in makers.items()} | dict(options)
    return int(given["n"]), int(given["dim"])


def load(name: str, scale: str = "none", target_scale: str | None = None, **options: Any) -> Dataset:
    """A data set by name.

    Parameters
    ----------
    name
        One of the names below.
    scale
        Of the inputs: "none", "standard" (mean 0 and variance 1 of each input) or "unit" (every sample has norm 1).
    target_scale
        "standard" for targets of mean 0 and variance 1; None, the default, leaves them as they are.
    **options
        Those of the set. circle, sphere and gaussian take n, seed and noise, the latter two also dim. digits, iris and
        wine take `positive` and `negative`, lists of the classes whose targets are 1 and -1. These and breast_cancer
        take `classes`, True or a list of all: then there is a target for each class, 1 for its own and 0 else.

    Returns
    -------
    Dataset
        The samples. What was scaled is remembered, so that `run.predict` takes raw inputs.

    Raises
    ------
    InputError
        For an unknown name, scale or option.

    Examples
    --------
    >>> mf.datasets.load("wine", scale="standard")
    Dataset(n=178, d=13)
    >>> mf.datasets.load("circle", n=100, noise=0.1)
    Dataset(n=100, d=2)
    >>> mf.datasets.load("digits", classes=True)
    Dataset(n=1797, d=64, classes=10)
    """
    if name not in SETS:
        raise InputError("`name` must be a known data set", repr(name), nearest(name, SETS))
    known = SETS[name].__code__.co_varnames[: SETS[name].__code__.co_argcount]
    for option in options:
        if option not in known:
            remedy = nearest(option, known) if known else "It takes none."
            raise InputError(f"data set {name!r} takes only its own options", repr(option), remedy)
    return SETS[name](**options).scaled(scale, target_scale)


def read(
    path: str | Path,
    x: str | Sequence[str] | None = None,
    y: str | Sequence[str] = "y",
    positive: Sequence[int | str] | None = None,
    negative: Sequence[int | str] | None = None,
    drop: str | Sequence[str] | None = None,
    one_hot: str | Sequence[str] | None = None,
    missing: Literal["drop", "mean"] | None = None,
    scale: str = "none",
    target_scale: str | None = None,
    classes: Outputs = None,
) -> Dataset:
    """A data set from a file: a table with a header line, NPZ, or HDF5/netCDF, with variables by name.

    Parameters
    ----------
    path
        The file. Its ending says how it is read: .csv, .tsv, .csv.gz, .tsv.gz and .parquet are tables, .npz, .h5, .hdf5
        and .nc hold arrays. Parquet needs pyarrow.
    x
        Table: the inputs' columns, by default all but `y`. Else the name of one array (n, d), "x" by default.
    y
        Table: the target's column, or several, of targets (n, k). Else the name of one array (n,) or (n, k).
    positive
        The classes whose targets become 1: whole numbers, or in a table any text. Samples that are in neither list are
        left out. By default targets are numbers and stay as they are.
    negative
        The classes whose targets become -1.
    drop
        Table: columns that are no inputs, such as an identifier.
    one_hot
        Table: columns of text. Each of their values, in alphabetical order, becomes a column of 0 and 1.
    missing
        Table: what is done where a cell is missing. "drop" leaves the row out. "mean" gives an input its column's mean
        over the rows that are used, and leaves out rows without a target. By default missing cells are refused.
    scale, target_scale
        Of the inputs and of the targets, as `load` takes them. To hold samples out, split first: `Dataset.scaled`.
    classes
        True for labels, numbers or text, with a target for each class: 1 for its own and 0 else. The classes are
        sorted; or give all of them, in the order of the outputs.

    Returns
    -------
    Dataset
        The samples. What was scaled is remembered, so that `run.predict` takes raw inputs.

    Raises
    ------
    StorageError
        For a file that cannot be read.
    InputError
        For another ending, names that are not in the file, and cells that are missing or no numbers: all of them; for
        labels that are no classes, and a single class.

    Notes
    -----
    Separators and decimal commas of text are detected; True and False are 1 and 0. Empty cells, NA, n/a, nan, null,
    none, ?, - and . are missing; in a column of `one_hot` "none" is a value. Packed numbers of netCDF are decoded.

    Examples
    --------
    >>> np.savetxt("mine.csv", np.eye(4)[:, :3], delimiter=",", header="age,dose,effect", comments="")
    >>> mf.datasets.read("mine.csv", y="effect")
    Dataset(n=4, d=2)
    >>> mf.datasets.read("mine.csv", y="effect", drop="age", one_hot="dose")
    Dataset(n=4, d=2)
    >>> mf.datasets.read("mine.csv", y=["dose", "effect"])
    Dataset(n=4, d=1, outputs=2)
    """
    path = Path(path)
    checked_kind(path)
    choice = choice_of(x, y, drop, one_hot, missing)
    labels = Grouped(positive, negative, classes)
    return parsed(content_of(path, RELATIVE), path, choice, labels).scaled(scale, target_scale)
