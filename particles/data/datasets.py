"""Data by name, `load(name, ...)`, and from your own files, `read(path, ...)`.

Targets are drawn from a teacher network, or the set is a real one that scikit-learn ships. To add a set, append a row
to `SETS`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles.checks import whole
from particles.data import array_file, table_file
from particles.data.dataset import Dataset, Stream
from particles.errors import InputError, StorageError, nearest
from particles.files.reading import content_of
from particles.measures.laws import Gaussian, Law, Sphere
from particles.measures.measure import Array
from particles.measures.random_streams import Purpose, checked_seed

__all__ = ["load", "read"]

KINDS = (".csv", ".npz", ".h5", ".hdf5", ".nc")
RELATIVE = "Paths are relative to the configuration's folder."
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


def two_classes(
    x: Array, y: NDArray[np.generic], positive: Sequence[int | str], negative: Sequence[int | str]
) -> Dataset:
    """The samples of two groups of classes, labelled 1 and -1; classes are whole numbers, or texts where y is text."""
    text = y.dtype.kind == "U"
    known = sorted(set(y.tolist()))
    groups = [[str(label) if text else label for label in group] for group in (positive, negative)]
    for group in groups:
        if not group or not set(group) <= set(known):
            names = ", ".join(repr(label) if text else f"{label:g}" for label in known[:20])
            raise InputError(
                "`positive` and `negative` must name classes of the set",
                str(group),
                f"It has {names}{', ...' if len(known) > 20 else ''}.",
            )
    if set(groups[0]) & set(groups[1]):
        raise InputError("`positive` and `negative` must not share a class", str(sorted(groups[0])), "")
    kept = np.isin(y, groups[0] + groups[1])
    return Dataset(x[kept], np.where(np.isin(y[kept], groups[0]), 1.0, -1.0))


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


def shape_of(name: str, options: Mapping[str, Any]) -> tuple[int, int] | None:
    """Samples and inputs of a drawn set before it is drawn; None of a set that ships."""
    makers = inspect.signature(SETS[name]).parameters
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
        Those of the set. circle, sphere and gaussian take n, seed and noise, the latter two also dim. digits and wine
        take `positive` and `negative`, lists of the classes whose targets are 1 and -1.

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
    y: str = "y",
    positive: Sequence[int | str] | None = None,
    negative: Sequence[int | str] | None = None,
    scale: str = "none",
    target_scale: str | None = None,
) -> Dataset:
    """A data set from a file: CSV with a header line, NPZ, or HDF5/netCDF, with variables by name.

    Parameters
    ----------
    path
        The file; its suffix .csv, .npz, .h5, .hdf5 or .nc says how it is read.
    x
        CSV: the inputs' columns, by default all but `y`. Else the name of one array (n, d), "x" by default.
    y
        CSV: the target's column. Else the name of one array (n,).
    positive
        The classes whose targets become 1: whole numbers, or in a CSV any text. Samples that are in neither list are
        left out. By default targets are numbers and stay as they are.
    negative
        The classes whose targets become -1.
    scale, target_scale
        Of the inputs and of the targets, as `load` takes them. To hold samples out, split first: `Dataset.scaled`.

    Returns
    -------
    Dataset
        The samples. What was scaled is remembered, so that `run.predict` takes raw inputs.

    Raises
    ------
    StorageError
        For a file that cannot be read.
    InputError
        For another suffix, a name that is not in the file, and values that are missing or no numbers.

    Notes
    -----
    Separators and decimal commas of a CSV are detected; True and False are 1 and 0. Packed numbers of netCDF are
    decoded.

    Examples
    --------
    >>> np.savetxt("mine.csv", np.eye(4)[:, :3], delimiter=",", header="age,dose,effect", comments="")
    >>> mf.datasets.read("mine.csv", y="effect")
    Dataset(n=4, d=2)
    """
    path = Path(path)
    checked_kind(path)
    return parsed(content_of(path, RELATIVE), path, x, y, positive, negative).scaled(scale, target_scale)


def checked_kind(path: Path) -> str:
    """The ending of a data file's name, which tells how it is read."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise InputError("a data file must end in .csv, .npz, .h5, .hdf5 or .nc", repr(str(path)), "")
    return kind


def parsed(
    content: bytes,
    path: Path,
    x: str | Sequence[str] | None,
    y: str,
    positive: Sequence[int | str] | None,
    negative: Sequence[int | str] | None,
) -> Dataset:
    """The data set that a file's bytes are; its name tells the kind."""
    if positive is None or negative is None:
        if positive is not None or negative is not None:
            raise InputError("a file's classes need both `positive` and `negative`", "one of them", "Give both.")
        return Dataset(*arrays(content, path, x, y))
    return two_classes(*arrays(content, path, x, y, text=True), positive, negative)


def arrays(
    content: bytes, path: Path, x: str | Sequence[str] | None, y: str, text: bool = False
) -> tuple[Array, NDArray[np.generic]]:
    """Inputs and targets as a file has them; text: the targets' column of a CSV may be of words."""
    kind = checked_kind(path)
    try:
        if kind == ".csv":
            return table_file.read(content, path, x, y, text)
        if x is not None and not isinstance(x, str):
            raise InputError("`x` must be one array's name here", str(x), "Lists of columns are for CSV files.")
        data = Dataset(*array_file.read(content, path, x, y))
        return data.x, data.y
    except (InputError, StorageError):
        raise
    except Exception as error:
        raise StorageError(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from error
