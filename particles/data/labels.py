"""Class labels, numbers or text, as the targets of a network with one output a class: 1 for its class, 0 else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError
from particles.files.reading import check_room
from particles.measures.measure import Array

Label = int | float | str
_SHOWN = 5


def is_text(y: Any) -> bool:
    """Whether targets are text: labels, whatever else is said."""
    values = np.asarray(y)
    return values.dtype.kind in "US" or (values.dtype.kind == "O" and any(isinstance(v, str) for v in values.flat))


def one_hot(labels: Any, classes: Sequence[Label] | bool) -> tuple[Array, tuple[Label, ...]]:
    """(n,) labels -> (n, k) targets, and the k classes in the order of the outputs.

    classes: their order, or True for all that there are, sorted. InputError for what is no label, and a single class.
    """
    given = _labels(labels)
    known = _sorted(given) if isinstance(classes, bool) else tuple(classes)
    if len(set(known)) < len(known):
        raise InputError("`classes` must name every class once", str(list(known)), "Leave the second one out.")
    if len(known) < 2:
        raise InputError("classes need at least two of them", f"only {known[0]!r}" if known else "none", "")
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


def _labels(labels: Any) -> list[Label]:
    """Labels as Python's own text and numbers; whole numbers as ints."""
    values: NDArray[Any] = np.asarray(labels)
    if values.ndim != 1 or not len(values):
        raise InputError("labels must have shape (n,), n >= 1", str(values.shape), "Give one label a sample.")
    if values.dtype.kind in "US" or is_text(values):
        if not all(isinstance(label, str | bytes) for label in values.tolist()):
            raise InputError("labels must be text or numbers, not both", "text beside other values", "")
        return [label.decode() if isinstance(label, bytes) else str(label) for label in values.tolist()]
    if values.dtype.kind not in "iufb" or not np.isfinite(values.astype(np.float64)).all():
        raise InputError("labels must be text or finite numbers", f"type {values.dtype}", "Fill or remove those rows.")
    return [int(label) if float(label).is_integer() else float(label) for label in values.tolist()]


def _sorted(labels: list[Label]) -> tuple[Label, ...]:
    return tuple(sorted(set(labels), key=lambda label: (isinstance(label, str), label)))
