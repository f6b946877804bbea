"""Class labels, numbers or text, as the targets of a network with one output a class: 1 for its class, 0 else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles.checks import refuse_masked
from particles.errors import InputError
from particles.files.reading import check_room
from particles.measures.measure import Array

Label = int | float | str
_SHOWN = 5
_LARGEST = 2**63 - 1  # of whole numbers: the coordinate of the outputs is one of integers


def is_text(y: Any) -> bool:
    """Whether targets are text: labels, whatever else is said."""
    try:
        values = np.asarray(y)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, a tensor with gradients: refused as numbers
        return False
    return values.dtype.kind in "US" or (
        values.dtype.kind == "O" and any(isinstance(v, str | bytes) for v in values.flat)
    )


def one_hot(labels: Any, classes: Sequence[Label] | bool) -> tuple[Array, tuple[Label, ...]]:
    """(n,) labels -> (n, k) targets, and the k classes in the order of the outputs.

    classes: their order, or True for all that there are, sorted. InputError for what is no label, and a single class.
    """
    given = _labels("labels", labels)
    known = _sorted(given) if isinstance(classes, bool) else tuple(_labels("`classes`", classes))
    if isinstance(given[0], str) != isinstance(known[0], str):
        rule = "labels and `classes` must both be text, or both be numbers"
        raise InputError(rule, f"{given[0]!r} and {known[0]!r}", "Write `classes` as the labels are.")
    if len(set(known)) < len(known):
        raise InputError("`classes` must name every class once", str(list(known)), "Leave the second one out.")
    if len(known) < 2:
        raise InputError("classes need at least two of them", f"only {known[0]!r}", "")
    place = {label: o for o, label in enumerate(known)}
    strange = sorted({str(label) for label in given if label not in place})
    if strange:
        more = ", ..." if len(strange) > _SHOWN else ""
        got = f"{', '.join(strange[:_SHOWN])}{more}, none of {', '.join(map(str, known[:_SHOWN]))}"
        raise InputError("labels must be classes", got, "Name every class in `classes`.")
    check_room(f"one output for each of {len(known)} classes", 8 * len(given) * len(known))
    y = np.zeros((len(given), len(known)))
    y[np.arange(len(given)), [place[label] for label in given]] = 1.0
    return y, known


def _labels(name: str, given: Any) -> list[Label]:
    """Labels as Python's own text and numbers; whole numbers as ints."""
    refuse_masked(name, given)
    values: NDArray[Any] = np.asarray(given, dtype=object)  # a list of text and numbers would all become text
    if values.ndim != 1 or not len(values):
        raise InputError(f"{name} must have shape (n,), n >= 1", str(values.shape), "Give one label a sample.")
    dates = getattr(getattr(given, "dtype", None), "kind", "") in ("m", "M")  # as objects they may be numbers
    labels: list[Label] = []
    for row, value in enumerate(values):
        label = None if dates else _label(value)
        if label is None:
            got = f"{str(value)[:40]} ({type(value).__name__}) in row {row}"
            raise InputError(f"{name} must be text or finite numbers", got, "Fill or remove those rows.")
        if isinstance(label, int) and abs(label) > _LARGEST:
            rule = f"{name} that are whole numbers must be of 64 bits"
            raise InputError(rule, f"{str(value)[:40]} in row {row}", "Turn them into text.")
        labels.append(label)
    if other := next((label for label in labels if isinstance(label, str) != isinstance(labels[0], str)), None):
        rule = f"{name} must be text or numbers, not both"
        raise InputError(rule, f"{labels[0]!r} and {other!r}", "Turn all of them into text.")
    return labels


def _label(value: Any) -> Label | None:
    """One label; None for what is none."""
    try:
        if isinstance(value, str | bytes):
            return value.decode() if isinstance(value, bytes) else str(value)
        number = float(value)
        return (int(value) if number.is_integer() else number) if np.isfinite(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _sorted(labels: list[Label]) -> tuple[Label, ...]:
    return tuple(sorted(set(labels)))  # all text, or all numbers
