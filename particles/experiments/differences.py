"""Two results beside each other: settings that differ, fitted exponents, last recorded values."""

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.analysis.convergence import judged
from particles.configuration.config import by_path
from particles.experiments import grid
from particles.experiments.summary import last_values, setups_in
from particles.storage.attributes import attribute

if TYPE_CHECKING:
    import xarray


class Difference(NamedTuple):
    """One line: of what, and its value in the first and in the second result; None where there is none."""

    name: str
    first: Any
    second: Any


class Last(NamedTuple):
    """A quantity's last recorded value in both results, at one place on their axes."""

    where: dict[str, Any]
    quantity: str
    first: float | None
    second: float | None


def settings(first: "xarray.DataTree", second: "xarray.DataTree") -> list[Difference]:
    """The settings that are not equal, by dotted path; an axis of a sweep is the list of its values."""
    one, two = _settings(first), _settings(second)
    paths = dict.fromkeys([*one, *two])
    return [Difference(path, one.get(path), two.get(path)) for path in paths if one.get(path) != two.get(path)]


def exponents(first: "xarray.DataTree", second: "xarray.DataTree") -> list[Difference]:
    """The exponents of both with their intervals, by the setting that they are of."""
    one, two = _exponents(first), _exponents(second)
    return [Difference(name, one.get(name), two.get(name)) for name in dict.fromkeys([*one, *two])]


def last(first: "xarray.DataTree", second: "xarray.DataTree") -> list[Last]:
    """What both recorded, at the last recorded time, seeds averaged: rows of both where they agree on shared axes."""
    (axes, names, rows), (other_axes, other_names, other_rows) = (_last(tree) for tree in (first, second))
    shared, result = [axis for axis in axes if axis in other_axes], []
    quantities = [name for name in names if name in other_names]
    matched = set[int]()
    for where, values in rows:
        partners = [
            number for number, (place, _) in enumerate(other_rows) if all(place[axis] == where[axis] for axis in shared)
        ]
        matched.update(partners)
        for name in quantities:
            result += [Last(other_rows[k][0] | where, name, values[name], other_rows[k][1][name]) for k in partners]
            result += [Last(where, name, values[name], None)] * (not partners)
    for number, (where, values) in enumerate(other_rows):
        result += [Last(where, name, None, values[name]) for name in quantities if number not in matched]
    return result


def _last(tree: "xarray.DataTree") -> tuple[list[str], list[str], list[tuple[dict[str, Any], dict[str, float]]]]:
    """Axes, quantities, rows: where each is on the axes, and its values by name."""
    data = tree.to_dataset()
    along = "time" if "time" in data.dims else "record"
    many = [name for name, values in data.data_vars.items() if "status" in tree.attrs and values.dims != (along,)]
    axes, names, rows = last_values(data.drop_vars(many))
    return axes, names, [
        (dict(zip(axes, map(_plain, where), strict=True)), dict(zip(names, values, strict=True)))
        for where, values in rows
    ]  # fmt: skip


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _settings(tree: "xarray.DataTree") -> dict[str, Any]:
    config = attribute("the result", tree.attrs, "config", {})
    data = tree.to_dataset()
    axes = {grid.setting_in(data[dim].attrs): data[dim].values.tolist() for dim in data.dims if dim in data.coords}
    return dict(by_path(config)) | {path: values for path, values in axes.items() if path}


def _exponents(tree: "xarray.DataTree") -> dict[str, dict[str, Any]]:
    found = {}
    for setting, part in setups_in(tree):
        low, high = float(part["exponent_low"]), float(part["exponent_high"])
        name = ", ".join(f"{name} = {json.dumps(value)}" for name, value in setting.items())
        found[name] = {"exponent": float(part["exponent"]), "interval": [low, high], "verdict": judged(low, high)}
    return found
