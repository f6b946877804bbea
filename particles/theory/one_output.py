"""What is stated for networks of one output says so at its entrance."""

from numpy.typing import ArrayLike

from particles.checks import real_array
from particles.errors import InputError


def one_output(what: str, *outputs: int) -> None:
    """InputError where one of these numbers of outputs, of a network or of targets, is more than 1."""
    if (most := max(outputs)) > 1:
        remedy = "Use one network a class, with labels 1 for it and -1 for all others."
        raise InputError(f"{what} is stated for one output", f"outputs={most}", remedy)


def width(name: str, targets: ArrayLike | None, axes: int = 1) -> int:
    """How many outputs targets (or what is like them) have, whose samples take so many axes; 1 where none are given."""
    shape = () if targets is None else real_array(f"`{name}`", targets, finite=False).shape
    return int(shape[-1]) if len(shape) > axes else 1
