"""The forms of results: which arrays a run, a comparison and a study have, so that what reads them need not doubt."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from particles.errors import DamagedError
from particles.storage.attributes import attribute

if TYPE_CHECKING:
    import xarray

Form = tuple[str, tuple[str, ...]]  # an array's kinds of numbers, as NumPy has them, and its dimensions
_NUMBERS = "biuf"
_RUN: dict[str, Form] = {
    "time": ("f", ("time",)),
    "iteration": ("iu", ("time",)),
    "loss": ("f", ("time",)),
    "prediction": ("f", ("time", "sample", "output")),  # the last left out where the network has one
}
_COMPARISON: dict[str, Form] = {
    "count": ("iu", ("count",)),
    "seed": ("iu", ("seed",)),
    "sup_distance": ("f", ("count", "seed")),
    **dict.fromkeys(("exponent", "exponent_low", "exponent_high", "sup_limit_error"), ("f", ())),
}
CONSTANTS = ("constant", "constant_low", "constant_high", "constant_theory", "constant_theory_error")
_STUDY: dict[str, Form] = {
    **dict.fromkeys(("claim_text", "claim_equation", "predicted"), ("OUT", ("claim",))),
    **dict.fromkeys(("measured", "measured_low", "measured_high", "holds"), (_NUMBERS, ("claim",))),
}


def checked_run(path: object, data: "xarray.Dataset") -> "xarray.Dataset":
    """A run's record; DamagedError names what is not as it must be."""
    for name in ("config", "status"):
        attribute(path, data.attrs, name)
    attribute(path, data.attrs, "events", [])
    for dim in data.dims:
        if timed(dim):
            over_time(path, data, str(dim))
    there = {*map(str, data.variables), *(["iteration"] if "time" in data.dims else [])}
    for name, (kinds, dims) in _RUN.items():
        check(path, at_own_times(data, name), {name: (kinds, present(dims, data))} if name in there else {})
    return data


def present(dims: tuple[str, ...], data: "xarray.Dataset") -> tuple[str, ...]:
    """Dimensions without `output`, where the data do not have it: their network has one."""
    return tuple(dim for dim in dims if dim != "output" or dim in data.dims)


def checked_sweep(path: object, data: "xarray.Dataset") -> "xarray.Dataset":
    """The table of a sweep: every quantity is numbers over the axes and time."""
    attribute(path, data.attrs, "runs")
    attribute(path, data.attrs, "config")
    over_time(path, data, "time" if "time" in data.dims else "record")
    return data


def timed(dim: object, counted: bool = False) -> bool:
    """Whether a dimension is flow time, of all that was recorded or of what has a cadence of its own.

    counted: the iterations at these times are as well.
    """
    dim = str(dim).replace("iteration", "time", 1) if counted else dim
    return str(dim) == "time" or str(dim).startswith("time_")


def at_own_times(data: "xarray.Dataset", name: str) -> "xarray.Dataset":
    """What was recorded together with `name`, over `time`: the dataset itself where that is its time already.

    Of a sweep whose runs have times of their own, over `record`.
    """
    dims = map(str, data[name].dims if name in data else ())
    kind, _, of = next((dim for dim in dims if timed(dim) or dim.startswith("record_")), "time").partition("_")
    if not of:
        return data
    names = {f"{own}_{of}": own for own in (kind, "time", "iteration")}
    others = [other for other in data.variables if kind in data[other].dims or other in names.values()]
    known = {*data.dims, *data.variables}
    return data.drop_vars(others).rename({name: own for name, own in names.items() if name in known})


def over_time(path: object, data: "xarray.Dataset", last: str) -> None:
    """DamagedError unless all that was recorded is numbers, at times that are known."""
    for name, values in data.variables.items():
        if last in values.dims:
            check(path, data, {str(name): (_NUMBERS, tuple(map(str, values.dims)))})
            times = "time" if last == "record" else last
            if times not in data.variables:
                raise DamagedError(f"{path} is damaged: it has {name!r} at times, and no {times!r}.")


def checked_comparison(path: object, data: "xarray.Dataset") -> "xarray.Dataset":
    """A sweep's distance from its limit."""
    attribute(path, data.attrs, "setting", {})
    if missing := [name for name in _COMPARISON if name not in data.variables]:
        raise DamagedError(f"{path} is damaged: its comparison lacks {', '.join(missing)}.")
    check(path, data, _COMPARISON)
    check(path, data, dict.fromkeys(CONSTANTS, ("f", ())) if any(name in data for name in CONSTANTS) else {})
    return data


def checked_prediction(path: object, data: "xarray.Dataset") -> "xarray.Dataset":
    """What theory predicts of a sweep's fluctuations."""
    for name in data.variables:
        if timed(name):
            check(path, data, {str(name): ("f", (str(name),))})
    for name, values in data.data_vars.items():
        if str(name).endswith("_std"):
            over = next(filter(timed, values.dims), "time")
            check(path, data, {str(name): ("f", (str(over),))})
    for dim in filter(timed, data.dims):
        over_time(path, data, str(dim))
    if "distance" in data:
        check(path, at_own_times(data, "distance"), {"distance": ("f", ("draw", "time"))})
    return data


def checked_study(path: Path, data: "xarray.Dataset") -> "xarray.Dataset":
    """A study's claims and arrays."""
    attribute(path, data.attrs, "study")
    attribute(path, data.attrs, "settings", {})
    if missing := [name for name in _STUDY if name not in data.variables]:
        raise DamagedError(f"{path} is no study's file: it lacks {', '.join(missing)} over claims.")
    check(path, data, _STUDY)
    return data


def check(path: object, data: "xarray.Dataset", known: Mapping[str, Form]) -> None:
    """DamagedError unless these arrays are of their kinds and have their dimensions."""
    for name, (kinds, dims) in known.items():
        values: Any = data.variables.get(name)
        if values is None:
            raise DamagedError(f"{path} is damaged: it lacks {name!r}.")
        if values.dims != dims or values.dtype.kind not in kinds:
            got = f"{values.dtype} over {', '.join(map(str, values.dims)) or 'nothing'}"
            raise DamagedError(
                f"{path} is damaged: its {name!r} must be {'text' if 'O' in kinds else 'numbers'} over "
                f"{', '.join(dims) or 'nothing'}: got {got}."
            )
