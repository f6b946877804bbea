"""Samples of classes: two groups of them as the labels 1 and -1, or one output a class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.data.dataset import Dataset
from particles.data.labels import Label, is_text
from particles.errors import InputError
from particles.measures.measure import Array

Classes = Sequence[int | str] | int | str  # one stands for a list of one
Outputs = Sequence[Label] | bool | None  # the classes that have an output each; True for all that there are


class Grouped(NamedTuple):
    """How the classes of a set become targets; without any of the three its targets are numbers."""

    positive: Classes | None = None
    negative: Classes | None = None
    classes: Outputs = None

    @property
    def apart(self) -> bool:
        """Whether each class has an output."""
        return self.classes is not None and self.classes is not False

    @property
    def there(self) -> bool:
        """Whether targets are labels."""
        return self.apart or self.positive is not None

    def check(self) -> None:
        """InputError for half of the two groups, and for both kinds at once."""
        groups = [group is not None for group in (self.positive, self.negative)]
        if self.apart and any(groups):
            rule = "`classes` is one output a class, `positive` and `negative` are one output for two groups"
            raise InputError(rule, "both", "Leave one of them out.")
        if any(groups) and not all(groups):
            raise InputError("a file's classes need both `positive` and `negative`", "one of them", "Give both.")

    def samples(self, x: Array, y: NDArray[np.generic]) -> Dataset:
        """The samples of a set of classes."""
        self.check()
        if self.positive is not None and self.negative is not None:
            return two_classes(x, y, self.positive, self.negative)
        return one_output_each(x, y, self.classes)


def one_output_each(x: Array, y: NDArray[np.generic], classes: Outputs) -> Dataset:
    """The samples with one output a class; classes are texts where y is text."""
    if isinstance(classes, str):
        raise InputError("`classes` must be True or a list of classes", repr(classes), "Give True for all.")
    if classes is None or isinstance(classes, bool):
        return Dataset(x, y, True)
    return Dataset(x, y, [str(label) for label in classes] if is_text(y) else classes)


def two_classes(x: Array, y: NDArray[np.generic], positive: Classes, negative: Classes) -> Dataset:
    """The samples of two groups of classes, labelled 1 and -1; classes are whole numbers, or texts where y is text."""
    text = y.dtype.kind == "U"
    known = sorted(set(y.tolist()))
    lists = [[group] if isinstance(group, str | int) else group for group in (positive, negative)]
    groups = [[str(label) if text else label for label in group] for group in lists]
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
