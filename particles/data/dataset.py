"""Samples: a data set of n pairs, or a stream of fresh ones."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array
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
    y : (n,)
        Targets, finite.

    Raises
    ------
    InputError
        For other shapes, no samples, and values that are not finite.

    References
    ----------
    Section 2, the samples of (2).

    Examples
    --------
    >>> data = mf.Dataset(np.arange(10.0).reshape(5, 2), np.ones(5))
    >>> data.split(test=0.4)
    (Dataset(n=3, d=2), Dataset(n=2, d=2))
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        self.x, self.y = (np.array(real_array(name, a), order="C") for name, a in (("x", x), ("y", y)))
        if self.x.ndim != 2 or self.y.ndim != 1:
            remedy = "Pass y[:, 0]." if self.y.shape[1:] == (1,) else "Reshape them."
            raise InputError("x must have shape (n, d) and y shape (n,)", f"{self.x.shape} and {self.y.shape}", remedy)
        named = tuple(getattr(x, "dims", ())), tuple(getattr(y, "dims", ()))  # those of xarray
        if all(named) and named[0][0] != named[1][0] and named[1][0] in named[0]:
            raise InputError("x's first dimension must be y's", f"{named[0]} and {named[1]}", "Pass x.T.")
        if len(self.x) != len(self.y):
            remedy = "Pass x.T: a row is a sample." if self.x.shape[1] == len(self.y) else ""
            raise InputError("x and y must have one row a sample each", f"{len(self.x)} and {len(self.y)}", remedy)
        if self.x.size == 0:
            raise InputError("a data set needs at least one sample and one input", f"shape {self.x.shape}", "")

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"Dataset(n={len(self)}, d={self.x.shape[1]})"

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
        return Dataset(self.x[kept], self.y[kept]), Dataset(self.x[out], self.y[out])


def checked_labels(y: Array) -> None:
    """Labels are -1 and 1, as the logistic loss and misclassification need (3.3)."""
    wrong = np.setdiff1d(y, [-1.0, 1.0])
    if len(wrong):
        raise InputError(
            "labels must be -1 or 1 here (logistic loss, misclassification)",
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
        (k, d) -> (k,), called on some samples at a time.
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
            x (last - first, d), y (last - first,).

        Raises
        ------
        InputError
            Where `target` does not give (k,) finite numbers.
        """
        x = self.inputs.rows(self.seed, first, last, purpose)
        y = np.array(real_array("`target`", self.target(x), finite=False))
        if y.shape != (len(x),):
            raise InputError("`target` must map (k, d) to (k,)", f"{x.shape} to {y.shape}", "Drop the extra axis.")
        if self.noise > 0:
            # The held-out samples' noise must not repeat the stream's: the purpose of the inputs tells them apart.
            def noise(block: int) -> Array:
                return generator(self.seed, Purpose.LABEL_NOISE, block, purpose).standard_normal(ROWS)

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


class Batches:
    """The samples of each iteration, drawn for some iterations at a time.

    Iteration t's batch depends on (seed, t) for a data set and on the stream's own seed for a stream.
    """

    def __init__(self, source: Dataset | Stream, batch: int | None, seed: int) -> None:
        if batch is None and isinstance(source, Stream):
            raise InputError("full-batch descent needs a finite data set", "a Stream", "Use SGD, or a Dataset.")
        self.source, self.batch, self.seed = source, batch, seed
        self._span = max(1, 4096 // batch) if batch else 1
        self._chunk = -1
        self._x = self._y = np.empty(0)

    def at(self, iteration: int) -> tuple[Array, Array]:
        """x (batch, d), y (batch,) of this iteration."""
        if self.batch is None:
            assert isinstance(self.source, Dataset)
            return self.source.x, self.source.y
        chunk, place = divmod(iteration, self._span)
        if chunk != self._chunk:
            self._x, self._y = self._draw(chunk, self._span * self.batch)
            self._chunk = chunk
        rows = slice(place * self.batch, (place + 1) * self.batch)
        return self._x[rows], self._y[rows]

    def run(self, first: int, last: int) -> tuple[Array, Array]:
        """The samples of iterations [first, last), batch after batch."""
        assert self.batch is not None
        parts = []
        while first < last:
            self.at(first)
            end = min(last, (self._chunk + 1) * self._span)
            rows = slice((first % self._span) * self.batch, ((end - 1) % self._span + 1) * self.batch)
            parts.append((self._x[rows], self._y[rows]))
            first = end
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])

    def _draw(self, chunk: int, count: int) -> tuple[Array, Array]:
        if isinstance(self.source, Stream):
            drawn = self.source.rows(chunk * count, (chunk + 1) * count)
            return drawn.x, drawn.y
        picks = generator(self.seed, Purpose.BATCH, chunk).integers(0, len(self.source), count)
        return self.source.x[picks], self.source.y[picks]
