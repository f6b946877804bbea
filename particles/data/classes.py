"""Targets of two groups of classes as the labels 1 and -1."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from particles.data.dataset import Dataset
from particles.errors import InputError
from particles.measures.measure import Array

Classes = Sequence[int | str] | int | str  # one stands for a list of one


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
