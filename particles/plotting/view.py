"""How recorded clouds are looked at: at which times, and on which plane."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import real_array, whole
from particles.errors import InputError, nearest
from particles.measures.measure import Array, Measure
from particles.plotting.convergence import Cloud, principal_plane

if TYPE_CHECKING:
    import xarray

CLOCKS = ("time", "log")


@dataclass(frozen=True)
class Camera:
    """How recorded clouds are drawn.

    Parameters
    ----------
    clock
        Frames are evenly spaced in flow "time", or in its "log" (t = 0 first, where it was recorded).
    axes : (d, 2) or (d, 1)
        The directions on which positions are projected. By default positions themselves in one or two dimensions, and
        in more the two principal axes of the displacement over the run, those of the last run given.
    dots
        The most particles that are drawn of a cloud in a plane, 1000 by default.
    density
        Whether the density of all particles is drawn instead of dots. By default (None) that of the limit only: of a
        run on a quadrature, and of the last of several runs if it has more particles than each of the others, where
        at least 256 of its particles were recorded.
    trajectories
        Whether the trajectories of up to 200 particles since the first time are drawn.
    directions : (k, d)
        Directions that are drawn as rays from the origin, such as the neurons of a teacher.

    Raises
    ------
    InputError
        For another clock, and fewer than one dot.

    Examples
    --------
    >>> mf.Camera(clock="log", dots=500).dots
    500
    """

    clock: str = "time"
    axes: ArrayLike | None = None
    dots: int = 1000
    density: bool | None = None
    trajectories: bool = False
    directions: ArrayLike | None = None

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise InputError('`clock` must be "time" or "log"', repr(self.clock), nearest(str(self.clock), CLOCKS))
        whole("dots", self.dots, 1)


class Plane(NamedTuple):
    """What positions are drawn on: axes : (d, 1 or 2), what each is called, and the choice in words.

    rays : (k, 1 or 2), the given directions on these axes
    """

    axes: Array
    names: tuple[str, ...]
    words: str
    rays: Array


def picked(times: Array, clock: str, frames: int) -> tuple[Any, Any]:
    """The recorded times nearest to even ticks of the clock, each once: their places, and how many ticks each has."""
    ticks, recorded = np.linspace(times[0], times[-1], frames), times
    if clock == "log":
        later = times[times > 0]
        if not len(later):
            raise InputError("a logarithmic clock needs a time after 0", f"t = {times[-1]:g} at the end", 'Use "time".')
        rest = max(frames - (len(later) < len(times)), 1)
        ticks = np.log(np.geomspace(later[-1], later[0], rest)[::-1])
        # t = 0 stands where no tick but its own comes near.
        before = ticks[0] - 2.0 * np.ptp(ticks) - 1.0
        recorded = np.log(times, where=times > 0, out=np.full(len(times), before))
        ticks = np.append(np.full(frames - rest, before), ticks)
    near = np.abs(recorded[:, None] - ticks).argmin(axis=0)
    return np.unique(near, return_counts=True)


def plane_of(camera: Camera, label: str, table: "xarray.Dataset", w: Array) -> Plane:
    """The plane (or line) for a run's positions, w : (T or 1, M) their weights; InputError for what does not fit."""
    dim = table.sizes["dim"]
    axes, names, words = _axes(camera, label, table, w)
    if camera.directions is None:
        return Plane(axes, names, words, np.empty((0, axes.shape[1])))
    directions = real_array("`directions`", camera.directions)
    if directions.ndim != 2 or directions.shape[1] != dim:
        raise InputError(f"`directions` must have shape (k, {dim})", str(directions.shape), "A row a direction.")
    return Plane(axes, names, ". ".join(filter(None, (words, "Dashed: the given directions"))), directions @ axes)


def _axes(camera: Camera, label: str, table: "xarray.Dataset", w: Array) -> tuple[Array, tuple[str, ...], str]:
    """The axes, their names, and the choice in words."""
    b, dim = table["position"], table.sizes["dim"]
    if camera.axes is not None:
        axes = real_array("`axes`", camera.axes, finite=False)
        if axes.shape not in ((dim, 1), (dim, 2)) or not np.isfinite(axes).all():
            raise InputError(
                f"`axes` must be finite, of shape ({dim}, 2) or ({dim}, 1)", str(axes.shape), "A column a direction."
            )
        names = (r"$b \cdot e_1$", r"$b \cdot e_2$")[: axes.shape[1]]
        return axes, names, f"b in R^{dim} on given axes e"
    if dim <= 2:
        return np.eye(dim), ("$b$",) if dim == 1 else ("$b_1$", "$b_2$"), ""
    ends = (Measure(b.values[at], np.ones(b.shape[1]), w[0]) for at in (0, -1))
    words = f"b in R^{dim} on the two principal axes of the displacement" + (f" of {label}" if label else "")
    return principal_plane(Cloud(label, *ends)), (r"$b \cdot e_1$", r"$b \cdot e_2$"), words
