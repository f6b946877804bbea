"""Samples: a data set of n pairs, or a stream of fresh ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array
from particles.data.labels import Label, is_text, one_hot
from particles.data.scaling import UNSCALED, Scaling
from particles.errors import InputError
from particles.measures.laws import Law
from particles.measures.measure import Array
from particles.measures.random_streams import ROWS, Purpose, checked_seed, generator, rows_of


class Dataset:
    """n samples, in memory and checked once.

    Parameters
    ----------
    x : (n, d)
        Inputs, finite, n >= 1 and d >= 1.
    y : (n,) or (n, k)
        Targets, finite: one number a sample, or k > 1 for a network of k outputs. Text, and numbers with `classes`, are
        labels: the targets are then (n, k), 1 for the sample's class and 0 else.
    classes
        True for labels whose classes are found in `y` and sorted; or the classes, in the order of the outputs. None,
        the default, for numbers that are targets.

    Raises
    ------
    InputError
        For other shapes, no samples, values that are not finite, labels that are no classes, and a single class.

    Notes
    -----
    `classes` has the classes of the k outputs, and is empty where `y` is no labels.

    `scaled` remembers what it did to inputs and targets, so that `run.predict` takes raw inputs and gives outputs in
    the units of raw targets. Of data that you scaled yourself nothing is remembered.

    References
    ----------
    Section 2, the samples of (2).

    Examples
    --------
    >>> data = mf.Dataset(np.arange(10.0).reshape(5, 2), np.ones(5))
    >>> data.split(test=0.4)
    (Dataset(n=3, d=2), Dataset(n=2, d=2))
    >>> mf.Dataset(np.eye(3), ["cat", "dog", "cat"]).classes
    ('cat', 'dog')
    """

    def __init__(self, x: ArrayLike, y: ArrayLike, classes: Sequence[Label] | bool | None = None) -> None:
        self.classes: tuple[Label, ...] = ()
        targets: ArrayLike = y
        if is_text(y) or (classes is not None and classes is not False):
            targets, self.classes = one_hot(y, True if classes is None else classes)
        self.x, self.y = (np.array(real_array(name, a), order="C") for name, a in (("x", x), ("y", targets)))
        if self.x.ndim != 2 or self.y.ndim not in (1, 2) or self.y.shape[1:] in ((0,), (1,)):
            remedy = "Pass y[:, 0]." if self.y.shape[1:] == (1,) else "Reshape them."
            rule = "x must have shape (n, d) and y shape (n,), or (n, k) with k > 1"
            raise InputError(rule, f"{self.x.shape} and {self.y.shape}", remedy)
        named = tuple(getattr(x, "dims", ())), tuple(getattr(y, "dims", ()))  # those of xarray
        if all(named) and named[0][0] != named[1][0] and (named[1][0] in named[0] or named[0][0] in named[1]):
            remedy = "Pass x.T." if named[1][0] in named[0] else "Pass y.T."
            raise InputError("x's first dimension must be y's", f"{named[0]} and {named[1]}", remedy)
        if len(self.x) != len(self.y):
            remedy = "Pass x.T: a row is a sample." if self.x.shape[1] == len(self.y) else ""
            raise InputError("x and y must have one row a sample each", f"{len(self.x)} and {len(self.y)}", remedy)
        if self.x.size == 0:
            raise InputError("a data set needs at least one sample and one input", f"shape {self.x.shape}", "")
        self.scaling: Scaling = UNSCALED

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        of = f", classes={len(self.classes)}" if self.classes else f", outputs={self.outputs}"
        return f"Dataset(n={len(self)}, d={self.x.shape[1]}{of if self.outputs > 1 else ''})"

    @property
    def outputs(self) -> int:
        """How many targets a sample has, and outputs its network."""
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    def split(self, test: float, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """A random part set aside.

        Parameters
        ----------
        test
            Its share of the samples, between 0 and 1.
        seed
            Of the choice.

        Returns
        -------
        tuple of Dataset
            The rest and the part set aside, each in the order of this one.

        Raises
        ------
        InputError
            For a share that leaves either part empty.
        """
        if not 0.0 < test < 1.0:
            raise InputError("the `test` share must lie between 0 and 1", test, "Use 0.2, say.")
        held = round(test * len(self))
        if held < 1 or held >= len(self):
            raise InputError("both parts of a split need a sample", f"{held} of {len(self)}", "Change the share.")
        order = generator(checked_seed(seed), Purpose.SPLIT).permutation(len(self))
        kept, out = np.sort(order[held:]), np.sort(order[:held])
        first, second = (_with(self, self.scaling, self.x[part], self.y[part]) for part in (kept, out))
        return first, second

    def scaled(self, scale: str = "standard", target_scale: str | None = None) -> "Dataset":
        """The same samples, scaled by what they are themselves.

        Parameters
        ----------
        scale
            Of the inputs: "standard" (mean 0 and variance 1 of each input), "unit" (every sample has norm 1) or "none".
        target_scale
            "standard" for targets of mean 0 and variance 1; None, the default, leaves them as they are.

        Returns
        -------
        Dataset
            The scaled samples. `run.predict` of a run on them applies and undoes the same.

        Raises
        ------
        InputError
            For another word, data that are scaled already, an input of norm 0 ("unit"), and equal targets.

        Examples
        --------
        >>> train, test = mf.Dataset(np.arange(10.0).reshape(5, 2), np.arange(5.0)).split(test=0.4)
        >>> train = train.scaled("standard", target_scale="standard")
        >>> test = test.scaled_like(train)
        >>> round(float(train.y.mean()), 12), round(float(train.y.std()), 12)
        (0.0, 1.0)
        """
        return self._scaled(Scaling.of(self.x, self.y, scale, target_scale))

    def scaled_like(self, train: "Dataset") -> "Dataset":
        """The same samples, scaled as others were: by the means and spreads of those.

        Parameters
        ----------
        train
            Samples from `scaled`, or from `mf.datasets.read` or `load` with a `scale`.

        Returns
        -------
        Dataset
            The scaled samples.

        Raises
        ------
        InputError
            For another number of inputs, and for data that are scaled already.
        """
        if self.x.shape[1] != train.x.shape[1]:
            got = f"{self.x.shape[1]} and {train.x.shape[1]}"
            raise InputError("data that are scaled alike must have the same inputs", got, "Choose the same columns.")
        return self._scaled(train.scaling)

    def _scaled(self, scaling: Scaling) -> "Dataset":
        if self.scaling != UNSCALED and scaling != UNSCALED:
            raise InputError("data can be scaled once", "data that are scaled", "Begin with the raw data.")
        return (
            self if scaling == UNSCALED else _with(self, scaling, scaling.inputs_of(self.x), scaling.targets_of(self.y))
        )


def _with(like: Dataset, scaling: Scaling, x: Array, y: Array) -> Dataset:
    """Samples that were scaled so, of the classes of others."""
    data = Dataset(x, y)
    data.scaling, data.classes = scaling, like.classes
    return data


def checked_labels(y: Array) -> None:
    """Labels are -1 and 1, as losses of labels and misclassification need (3.3)."""
    wrong = np.setdiff1d(y, [-1.0, 1.0])
    if len(wrong):
        raise InputError(
            "labels must be -1 or 1 here (losses of labels, misclassification)",
            ", ".join(f"{v:g}" for v in wrong[:5]),
            "Recode them, or use the squared loss.",
        )


@dataclass(frozen=True)
class Stream:
    """Fresh samples without end, indexed by number.

    Parameters
    ----------
    inputs
        The law of the inputs on R^d.
    target
        (k, d) -> (k,), or (k, outputs) of a network of several outputs; called on some samples at a time.
    noise
        Standard deviation of normal noise that is added to the target, 0 by default.
    seed
        Sample i depends on (seed, i) alone, so all runs see the same.

    Raises
    ------
    InputError
        For a negative `noise` and a `seed` that is none.

    References
    ----------
    Equation (4) with fresh samples from `rho`.

    Examples
    --------
    >>> stream = mf.Stream(mf.Sphere(2), lambda x: x[:, 0] * x[:, 1])
    >>> bool((stream.rows(2, 4).y == stream.rows(0, 8).y[2:4]).all())
    True
    """

    inputs: Law
    target: Callable[[Array], ArrayLike] = field(repr=False)
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        checked_seed(self.seed)
        number("noise", self.noise, 0.0, remedy="Use 0 for exact targets.")

    def rows(self, first: int, last: int, purpose: Purpose = Purpose.INPUT) -> Dataset:
        """Some of the samples.

        Parameters
        ----------
        first
            The first one's number.
        last
            The number after the last one's.
        purpose
            What they are for: training by default. Two purposes share no sample.

        Returns
        -------
        Dataset
            x (last - first, d), y (last - first,) or (last - first, outputs).

        Raises
        ------
        InputError
            Where `target` does not give (k,) or (k, outputs) finite numbers.
        """
        x = self.inputs.rows(self.seed, first, last, purpose)
        y = np.array(real_array("`target`", self.target(x), finite=False))
        if y.shape[:1] != (len(x),) or y.ndim > 2 or y.shape[1:] == (1,):
            rule = "`target` must map (k, d) to (k,), or to (k, outputs) with outputs > 1"
            raise InputError(rule, f"{x.shape} to {y.shape}", "Drop the extra axis.")
        if self.noise > 0:
            # The held-out samples' noise must not repeat the stream's: the purpose of the inputs tells them apart.
            def noise(block: int) -> Array:
                shape = (ROWS, *y.shape[1:])
                return generator(self.seed, Purpose.LABEL_NOISE, block, purpose).standard_normal(shape)

            y += self.noise * rows_of(noise, first, last)
        return Dataset(x, y)

    def holdout(self, count: int = 2048) -> Dataset:
        """Samples that training never sees, to estimate the expected loss (1).

        Parameters
        ----------
        count
            How many, 2048 by default.

        Returns
        -------
        Dataset
            The same ones at every call.
        """
        return self.rows(0, count, Purpose.SPLIT)
