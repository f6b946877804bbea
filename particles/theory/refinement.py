"""How far a rule that is refined step by step still is from what it tends to, as its last two doublings tell."""

from collections.abc import Sequence

import numpy as np

from particles.measure import Array

_ROUNDINGS = 64.0  # of the largest value: changes below this are the computer's, not the rule's


def error_left(changes: Sequence[Array], rounding: float) -> Array:
    """The error of the finest approximation, from what every doubling of the nodes changed: k times (T,) -> (T,).

    If each change is at most q < 1 of the one before, what is left is at most q / (1 - q) of the last. q is what the
    last two show over all T values together, but at least 1/2: no rule is trusted to more than halve its error, a Gauss
    rule neither. And half of the change before last counts as well, since one change alone can be small by chance.
    Infinite until two changes are known, and while they do not shrink. rounding: `rounding_of` the values.
    """
    if len(changes) < 2:
        return np.full(np.shape(changes[-1]) if len(changes) else (), np.inf)
    before, last = changes[-2:]
    larger = np.maximum(last, before / 2.0)
    top, old = float(np.max(last)), float(np.max(before))
    if top <= rounding:
        return np.asarray(np.maximum(larger, rounding))
    ratio = max(0.5, top / max(old, rounding))
    return np.asarray(larger * (ratio / (1.0 - ratio)) if ratio < 1.0 else np.full_like(larger, np.inf))


def rounding_of(values: Array, dtype: str = "float64") -> float:
    """What rounding alone may change of such values."""
    return _ROUNDINGS * float(np.finfo(dtype).eps) * max(1.0, float(np.abs(values).max(initial=0.0)))
