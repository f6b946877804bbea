"""The derivatives of a run as datasets: a variable for each observable and what its derivative is by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.methods.base import Problem
from particles.population.observables import Observable, dims_of, meaning
from particles.population.reductions import MOMENTS
from particles.sensitivity.reverse import Group, Measured

if TYPE_CHECKING:
    import xarray


class Kind(NamedTuple):
    """A derivative: the ending of its variable, its dimensions beside those of the observable, its meaning."""

    ending: str
    dims: tuple[str, ...]
    text: str


KINDS = {
    "": Kind("", (), "{}"),
    "variation": Kind("_variation", ("particle",), "first variation by the measure at the start, mean 0, of: {}"),
    "std": Kind("_std", (), "sqrt(M) times the standard deviation over starts of M particles, M large, of: {}"),
    "position": Kind(
        "_by_position", ("particle", "coordinate"), "gradient of the first variation by positions, of: {}"
    ),
    "output_weight": Kind("_by_output_weight", ("particle", "weight"), "the same by output weights, of: {}"),
    "step": Kind("_by_step", ("step",), "derivative by the step size of each iteration (flow time), of: {}"),
    "weight_decay": Kind("_by_weight_decay", (), "derivative by the L2 regulariser's weight (flow time), of: {}"),
    "target": Kind("_by_target", ("training_sample", "training_output"), "derivative by the training targets, of: {}"),
    "sample": Kind(
        "_by_sample", ("training_sample",), "derivative by each sample's relative weight in the loss, of: {}"
    ),
}
BY = "particle", *(name for name in KINDS if name not in ("", "variation", "std"))


def dataset_of(
    problem: Problem,
    measured: Sequence[Measured],
    groups: Sequence[Group],
    w: Array,
    by: Iterable[str],
    symmetric: bool,
) -> "xarray.Dataset":
    """All that was asked for; w: the atoms' weights, of which the second half repeats the first if `symmetric`."""
    asked, found = set(by), {"": values_of(measured)}
    if "particle" in asked:
        found["variation"] = variations(groups)  # not a copy of what may be all the memory there is
        found["variation"] -= means_of(groups, w)[:, None]
        found["std"] = np.sqrt(variances(found["variation"], w, symmetric))
    for name in ("position", "output_weight"):
        if name in asked:
            found[name] = np.concatenate([getattr(group.particles, name) for group in groups])
    for name in ("step", "weight_decay", "target", "sample"):
        values = [getattr(group.settings, name) for group in groups]
        if name in asked and values[0] is not None:
            found[name] = np.concatenate(values)
    data = variables(problem, measured, found)
    if "particle" in asked:
        label = {"long_name": "particle weights w_r, which sum to 1", "units": "1", "equation": "3.4"}
        data = data.assign(particle_weight=("particle", w, label))
    return data


def values_of(measured: Sequence[Measured]) -> Array:
    """What was measured, the latest iteration first: (J,)."""
    return np.concatenate([one.value.reshape(-1) for one in reversed(measured)])


def variations(groups: Sequence[Group]) -> Array:
    """First variations as the passes left them: (J, M)."""
    return np.concatenate([group.particles.variation for group in groups])


def means_of(groups: Sequence[Group], w: Array) -> Array:
    """Their means under the measure at the start: (J,)."""
    return np.concatenate([integrals(group.particles.variation, w) for group in groups])


def integrals(rows: Array, w: Array) -> Array:
    """int f dmu of every row f: (J, M) -> (J,); each by itself, so that no bit depends on the other rows."""
    return np.array([(row * w).sum() for row in rows])


def variances(variation: Array, w: Array, symmetric: bool) -> Array:
    """The variance of first variations with mean 0, (J, M) -> (J,); of pairs where the second half repeats."""
    if not symmetric:
        return np.array([(row * row * w).sum() for row in variation])
    half = len(w) // 2
    return np.array([((row[:half] + row[half:]) ** 2 * w[:half]).sum() for row in variation])


def variables(problem: Problem, measured: Sequence[Measured], found: Mapping[str, Array]) -> "xarray.Dataset":
    """Derivatives of every functional, (J, ...) by kind, the latest iterations first, as variables of observables."""
    import xarray

    iterations = sorted({one.iteration for one in measured})
    rows = list(dict.fromkeys(one.row for one in measured))
    shapes = {one.row: one.value.shape for one in measured}
    data = dict[str, Any]()
    for row in rows:
        places = _places(measured, row)
        dims = dims_of(row, problem.net.outputs)
        for kind, values in found.items():
            ending, own, text = KINDS[kind]
            part = values[places].reshape(len(iterations), *shapes[row], *values.shape[1:])
            over = ("time", *dims, *own)[: part.ndim]
            words = meaning(row, problem.net.outputs)
            label = {"long_name": text.format(words), "units": "1", "equation": row.equation}
            data[row.name + ending] = over, part, label
    times = problem.times[iterations]
    coords: dict[str, Any] = {
        "time": ("time", times, {"long_name": "flow time, the sum of the step sizes", "units": "1", "equation": "3.4"}),
        "iteration": (
            "time",
            np.array(iterations),
            {"long_name": "number of steps taken", "units": "1", "equation": "(3)"},
        ),
    }
    if any("moment" in row.dims for row in rows):
        coords["moment"] = "moment", MOMENTS, {"long_name": "order p of the moment", "units": "1", "equation": "3.4"}
    return xarray.Dataset(data, coords)


def _places(measured: Sequence[Measured], row: Observable) -> list[int]:
    """Where the functionals of one observable are in the order of the passes, the earliest iteration first."""
    begin, places = 0, list[list[int]]()
    for one in reversed(measured):
        if one.row is row:
            places.append(list(range(begin, begin + one.value.size)))
        begin += one.value.size
    return [place for part in reversed(places) for place in part]
