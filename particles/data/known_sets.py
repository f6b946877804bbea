"""Data sets by name: drawn with a teacher of four neurons, or real ones that scikit-learn ships.

To add a set, append a row to `SETS`.
"""

from collections.abc import Callable

import numpy as np

from particles.checks import whole
from particles.data.classes import Grouped, Outputs
from particles.data.dataset import Dataset, Stream
from particles.measures.laws import Gaussian, Law, Sphere
from particles.measures.measure import Array
from particles.measures.random_streams import Purpose, checked_seed

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


def _classified(loader: str, groups: tuple[list[int], list[int]], given: Grouped) -> Dataset:
    """A set of classes: those of two groups, unless others are named or every class has an output."""
    if not given.apart:
        given = Grouped(given.positive or groups[0], given.negative or groups[1])
    return given.samples(*_shipped(loader))


def _digits(positive: list[int] | None = None, negative: list[int] | None = None, classes: Outputs = None) -> Dataset:
    """8 x 8 handwritten digits (UCI, through scikit-learn): odd against even, unless classes are named."""
    return _classified("load_digits", ([1, 3, 5, 7, 9], [0, 2, 4, 6, 8]), Grouped(positive, negative, classes))


def _breast_cancer(classes: Outputs = None) -> Dataset:
    """569 tumours, 30 measurements (UCI, through scikit-learn): benign 1, malignant -1."""
    return _classified("load_breast_cancer", ([1], [0]), Grouped(classes=classes))


def _iris(positive: list[int] | None = None, negative: list[int] | None = None, classes: Outputs = None) -> Dataset:
    """150 flowers, 4 measurements (Fisher, through scikit-learn): the last species against the others."""
    return _classified("load_iris", ([2], [0, 1]), Grouped(positive, negative, classes))


def _wine(positive: list[int] | None = None, negative: list[int] | None = None, classes: Outputs = None) -> Dataset:
    """178 wines, 13 measurements (UCI, through scikit-learn): the first cultivar against the others."""
    return _classified("load_wine", ([0], [1, 2]), Grouped(positive, negative, classes))


def _diabetes() -> Dataset:
    """442 patients, 10 measurements (Efron et al., through scikit-learn): disease progression, mean 0, variance 1."""
    x, y = _shipped("load_diabetes")
    return Dataset(x, (y - y.mean()) / y.std())


SETS: dict[str, Callable[..., Dataset]] = {
    "circle": _circle,
    "sphere": _sphere,
    "gaussian": _gaussian,
    "digits": _digits,
    "iris": _iris,
    "breast_cancer": _breast_cancer,
    "wine": _wine,
    "diabetes": _diabetes,
}
