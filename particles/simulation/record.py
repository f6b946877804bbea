"""What is recorded of a run, and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from particles.checks import whole
from particles.errors import InputError

DEFAULT_RECORD = ("loss", "prediction")
LOG_POINTS = 10  # recorded iterations a decade with every="log"


@dataclass(frozen=True)
class Record:
    """Quantities that are recorded at iterations of their own, such as positions more rarely than the loss.

    Parameters
    ----------
    variables
        Names from `mf.OBSERVABLES`.
    every
        At every k-th iteration, at `"log"` ten a decade, or at the iterations that are listed; the first and the last
        always.
    particles
        How many particles `position`, `output_weight` and `particle_weight` have, the first ones. None: all.

    Notes
    -----
    In the dataset these quantities are over a dimension of their own, `time_NAME` with the first of their names, whose
    flow times and iterations are the coordinates `time_NAME` and `iteration_NAME`. What has the cadence of `simulate`'s
    plain names is over `time`, and so is the first `Record` where there are no plain names.

    Examples
    --------
    >>> net, start = mf.Network("tanh"), mf.Gaussian(2).sample(16, seed=0)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> record = ["loss", mf.Record("position", every=10, particles=3)]
    >>> run = mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=20, record=record)
    >>> run.dataset["loss"].shape, run.dataset["position"].shape, run.dataset["time_position"].values
    ((21,), (3, 3, 2), array([ 0.,  5., 10.]))
    """

    variables: str | Iterable[str]
    every: int | str | Iterable[int] = 1
    particles: int | None = None

    def __post_init__(self) -> None:
        names = (self.variables,) if isinstance(self.variables, str) else tuple(self.variables)
        object.__setattr__(self, "variables", names)
        if not names:
            raise InputError("`variables` must name what is recorded", "none", "Give a name from `mf.OBSERVABLES`.")


class Cadences(NamedTuple):
    """Names in the order in which they were given, and the recorded iterations of each cadence.

    groups: name of the time dimension -> (its iterations, its variables); "time" is the first, of the plain names.
    particles: how many are recorded, None for all.
    """

    groups: dict[str, tuple[list[int], tuple[str, ...]]]
    particles: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """All variables."""
        return tuple(name for _, names in self.groups.values() for name in names)

    @property
    def iterations(self) -> list[int]:
        """All at which something is recorded."""
        return sorted({at for iterations, _ in self.groups.values() for at in iterations})

    @property
    def due(self) -> dict[str, frozenset[int]]:
        """The iterations of each variable."""
        return {name: frozenset(at) for at, names in self.groups.values() for name in names}


def planned(record: "str | Record | Iterable[str | Record]", every: Any, particles: int | None, steps: int) -> Cadences:
    """What is recorded when; every, particles: of the plain names. InputError for a name that is given twice."""
    entries = (record,) if isinstance(record, str | Record) else tuple(record)
    plain = tuple(entry for entry in entries if not isinstance(entry, Record))
    others = [entry for entry in entries if isinstance(entry, Record)]
    groups = {"time": (recorded_iterations(steps, every), plain)} if plain or not others else {}
    for entry in others:
        iterations, names = recorded_iterations(steps, entry.every), tuple(entry.variables)
        own = f"time_{names[0]}" if groups else "time"
        dim = next((dim for dim, (known, _) in groups.items() if known == iterations), own)
        groups[dim] = iterations, (*(groups[dim][1] if dim in groups else ()), *names)
    counts = {count for count in (particles, *(entry.particles for entry in others)) if count is not None}
    if len(counts) > 1:
        raise InputError("`particles` must be one number for all that is recorded", str(sorted(counts)), "")
    made = Cadences(groups, next(iter(counts), None))
    if twice := {name for name in made.names if made.names.count(name) > 1}:
        raise InputError("`record` must name a quantity once", f"{', '.join(sorted(twice))} twice", "Leave one out.")
    return made


def recorded_iterations(steps: int, every: int | str | Iterable[int]) -> list[int]:
    """The iterations at which to record, always with 0 and `steps`."""
    if isinstance(every, str):
        if every != "log":
            raise InputError('`every` must be a whole number, "log", or a list of iterations', repr(every), "")
        decades = np.log10(max(steps, 1))
        points = np.unique(np.round(np.logspace(0, decades, int(decades * LOG_POINTS) + 2)).astype(int))
        return sorted({0, steps, *(int(i) for i in points if i <= steps)})
    if not isinstance(every, Iterable):
        stride = whole("every", every, 1, remedy="Use 1 to record every iteration.")
        return sorted({*range(0, steps + 1, stride), steps})
    listed = [whole("every", i, 0, steps) for i in every]
    return sorted({0, steps, *listed})
