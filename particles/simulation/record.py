"""What is recorded of a run, and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from particles.checks import whole
from particles.errors import InputError
from particles.population.observables import Observable, observable

DEFAULT_RECORD = ("loss", "prediction")
LOG_POINTS = 10  # recorded iterations a decade with every="log"


@dataclass(frozen=True)
class Record:
    """Quantities that are recorded at iterations of their own, such as positions more rarely than the loss.

    Parameters
    ----------
    variables
        Names from `mf.OBSERVABLES`, or an `mf.Observable` of your own.
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

    variables: str | Observable | Iterable[str | Observable]
    every: int | str | Iterable[int] = 1
    particles: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", entries(self.variables))
        if not self.variables:
            raise InputError("`variables` must name what is recorded", "none", "Give a name from `mf.OBSERVABLES`.")


Entry = str | Observable | Record


class Cadences(NamedTuple):
    """Observables in the order in which they were given, and the recorded iterations of each cadence.

    groups: name of the time dimension -> (its iterations, its observables); "time" is the first, of those outside of a
    `Record`. particles: how many are recorded, None for all.
    """

    groups: dict[str, tuple[list[int], tuple[Observable, ...]]]
    particles: int | None

    @property
    def names(self) -> list[str]:
        """All variables."""
        return [row.name for _, rows in self.groups.values() for row in rows]

    @property
    def iterations(self) -> list[int]:
        """All at which something is recorded."""
        return sorted({at for iterations, _ in self.groups.values() for at in iterations})

    @property
    def due(self) -> dict[Observable, frozenset[int]]:
        """The iterations of each observable."""
        return {row: frozenset(at) for at, rows in self.groups.values() for row in rows}


def entries(given: Any) -> tuple[Any, ...]:
    """One name, observable or record, or several, as a tuple."""
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, Entry) else (given,)


def planned(record: Entry | Iterable[Entry], every: Any, particles: int | None, steps: int) -> Cadences:
    """What is recorded when; every, particles: of what is in no `Record`. InputError for a name that is given twice."""
    given = entries(record)
    plain = tuple(observable(entry) for entry in given if not isinstance(entry, Record))
    others = [entry for entry in given if isinstance(entry, Record)]
    groups = {"time": (recorded_iterations(steps, every), plain)} if plain or not others else {}
    for entry in others:
        iterations, rows = recorded_iterations(steps, entry.every), tuple(map(observable, entries(entry.variables)))
        own = f"time_{rows[0].name}" if groups else "time"
        dim = next((dim for dim, (known, _) in groups.items() if known == iterations), own)
        groups[dim] = iterations, (*(groups[dim][1] if dim in groups else ()), *rows)
    counts = {count for count in (particles, *(entry.particles for entry in others)) if count is not None}
    if len(counts) > 1:
        raise InputError("`particles` must be one number for all that is recorded", str(sorted(counts)), "")
    plan = Cadences(groups, next(iter(counts), None))
    if twice := {name for name in plan.names if plan.names.count(name) > 1}:
        raise InputError("`record` must name a quantity once", f"{', '.join(sorted(twice))} twice", "Leave one out.")
    return plan


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
