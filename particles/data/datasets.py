"""Data by name, `load(name, ...)`, and from your own files, `read(path, ...)`.

Targets are drawn from a teacher network, or the set is a real one that scikit-learn ships. To add a set, append a row
to `SETS`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import whole
from particles.data.classes import two_classes
from particles.data.columns import choice_of
from particles.data.data_file import RELATIVE, checked_kind, parsed
from particles.data.dataset import Dataset, Stream
from particles.data.scaling import scaled
from particles.errors import InputError, nearest
from particles.files.reading import content_of
from particles.measures.laws import Gaussian, Law, Sphere
from particles.measures.measure import Array, Measure
from particles.measures.random_streams import ROWS, Purpose, checked_seed, generator, rows_of

__all__ = ["load", "read", "teacher"]

TEACHER, TEACHER_SIGNS = "teacher", ("positive", "random")
_TEACHER_NEURONS = 4


def _taught(law: Law, n: int, seed: int, noise: float) -> Dataset:
    """n inputs from the law, targets from a teacher: a few random tanh neurons with alternate signs."""
    n, seed = whole("n", n, 1), checked_seed(seed)
    teacher = Sphere(law.dim).rows(seed, 0, _TEACHER_NEURONS, Purpose.TEACHER)
    signs = np.where(np.arange(_TEACHER_NEURONS) % 2, -1.0, 1.0)
    return Stream(law, lambda x: np.tanh(2.0 * x @ teacher.T) @ signs, noise, seed).rows(0, n)


def _circle(n: int = 256, seed: int = 0, noise: float = 0.0) -> Dataset:
    """Inputs uniform on the circle, a teacher of four tanh neurons."""
    return _taught(Sphere(2), n, seed, noise)


def _sphere(n: int = 256, dim: int = 5, seed: int = 0, noise: float = 0.0) -> Dataset:
    """Inputs uniform on the unit sphere in R^dim, a teacher of four tanh neurons."""
    return _taught(Sphere(whole("dim", dim, 1)), n, seed, noise)


def _gaussian(n: int = 256, dim: int = 5, seed: int = 0, noise: float = 0.0) -> Dataset:
    """Inputs N(0, I/dim), so that |x| is about 1; a teacher of four tanh neurons."""
    return _taught(Gaussian(whole("dim", dim, 1), std=dim**-0.5), n, seed, noise)


def _shipped(loader: str) -> tuple[Array, Array]:
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, loader)(return_X_y=True)
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def _digits(positive: list[int] | None = None, negative: list[int] | None = None) -> Dataset:
    """8 x 8 handwritten digits (UCI, through scikit-learn): odd against even, unless classes are named."""
    return two_classes(*_shipped("load_digits"), positive or [1, 3, 5, 7, 9], negative or [0, 2, 4, 6, 8])


def _breast_cancer() -> Dataset:
    """569 tumours, 30 measurements (UCI, through scikit-learn): benign 1, malignant -1."""
    return two_classes(*_shipped("load_breast_cancer"), [1], [0])


def _wine(positive: list[int] | None = None, negative: list[int] | None = None) -> Dataset:
    """178 wines, 13 measurements (UCI, through scikit-learn): the first cultivar against the others."""
    return two_classes(*_shipped("load_wine"), positive or [0], negative or [1, 2])


def _diabetes() -> Dataset:
    """442 patients, 10 measurements (Efron et al., through scikit-learn): disease progression, mean 0, variance 1."""
    x, y = _shipped("load_diabetes")
    return Dataset(x, (y - y.mean()) / y.std())


SETS: dict[str, Callable[..., Dataset]] = {
    "circle": _circle,
    "sphere": _sphere,
    "gaussian": _gaussian,
    "digits": _digits,
    "breast_cancer": _breast_cancer,
    "wine": _wine,
    "diabetes": _diabetes,
}


class _Network(Protocol):
    """What gives targets: `mf.Network`."""

    @property
    def bias(self) -> bool: ...

    def predict(self, measure: Measure, x: ArrayLike) -> Array: ...


def teacher(
    net: _Network,
    law: Law,
    inputs: Law,
    count: int,
    n: int = 256,
    noise: float = 0.0,
    seed: int = 0,
    signs: Literal["positive", "random"] = "positive",
) -> Dataset:
    """Samples whose targets are the outputs of another network, the teacher.

    Parameters
    ----------
    net
        The teacher's activation, output scale and bias, an `mf.Network`.
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
        Of its output weights: "positive", the default, or "random", -1 and 1.

    Returns
    -------
    Dataset
        The samples.

    Raises
    ------
    InputError
        For a `count` or `n` below 1, a negative `noise`, and laws whose dimensions do not fit.

    References
    ----------
    Section 2, the samples of (2), with targets that a network represents exactly where there is no noise.

    Examples
    --------
    >>> net = mf.Network("relu")
    >>> mf.datasets.teacher(net, mf.Sphere(5), mf.Gaussian(5), count=4, n=100, noise=0.1)
    Dataset(n=100, d=5)
    """
    count, n, seed = whole("count", count, 1), whole("n", n, 1), checked_seed(seed)
    if law.dim != inputs.dim + net.bias:
        got = f"{law.dim} for {inputs.dim} inputs{' and the bias' if net.bias else ''}"
        raise InputError("the teacher's `law` must have the inputs' dimension", got, "Count a bias in.")
    if signs not in TEACHER_SIGNS:
        raise InputError('`signs` must be "positive" or "random"', repr(signs), nearest(str(signs), TEACHER_SIGNS))
    s = np.ones(count)
    if signs == "random":
        s -= 2.0 * rows_of(lambda k: generator(seed, Purpose.TEACHER_SIGN, k).integers(0, 2, ROWS), 0, count)
    neurons = Measure(law.rows(seed, 0, count, Purpose.TEACHER), s, np.full(count, 1.0 / count))
    return Stream(inputs, lambda x: net.predict(neurons, x), noise, seed).rows(0, n)


def shape_of(name: str, options: Mapping[str, Any]) -> tuple[int, int] | None:
    """Samples and inputs of a drawn set before it is drawn; None of a set that ships."""
    makers = inspect.signature((SETS | {TEACHER: teacher})[name]).parameters
    if "n" not in makers:
        return None
    given = {"dim": 2} | {key: maker.default for key, maker in makers.items()} | dict(options)
    return int(given["n"]), int(given["dim"])


def load(name: str, scale: str = "none", **options: Any) -> Dataset:
    """A data set by name.

    Parameters
    ----------
    name
        One of the names below.
    scale
        Of the inputs: "none", "standard" (mean 0 and variance 1 of each input) or "unit" (every sample has norm 1).
    **options
        Those of the set. circle, sphere and gaussian take n, seed and noise, the latter two also dim. digits and wine
        take `positive` and `negative`, lists of the classes whose targets are 1 and -1.

    Returns
    -------
    Dataset
        The samples.

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
    """
    if name not in SETS:
        raise InputError("`name` must be a known data set", repr(name), nearest(name, SETS))
    known = SETS[name].__code__.co_varnames[: SETS[name].__code__.co_argcount]
    for option in options:
        if option not in known:
            remedy = nearest(option, known) if known else "It takes none."
            raise InputError(f"data set {name!r} takes only its own options", repr(option), remedy)
    return scaled(SETS[name](**options), None, scale)[0]


def read(
    path: str | Path,
    x: str | Sequence[str] | None = None,
    y: str = "y",
    positive: Sequence[int | str] | None = None,
    negative: Sequence[int | str] | None = None,
    drop: str | Sequence[str] | None = None,
    one_hot: str | Sequence[str] | None = None,
    missing: Literal["drop", "mean"] | None = None,
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
        Table: the target's column. Else the name of one array (n,).
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

    Returns
    -------
    Dataset
        The samples.

    Raises
    ------
    StorageError
        For a file that cannot be read.
    InputError
        For another ending, names that are not in the file, and cells that are missing or no numbers: all of them.

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
    """
    path = Path(path)
    checked_kind(path)
    choice = choice_of(x, y, drop, one_hot, missing)
    return parsed(content_of(path, RELATIVE), path, choice, positive, negative)
