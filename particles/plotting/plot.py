"""Figures of one panel, for a slide or beside others: `mf.plot.cloud` and `mf.plot.distance`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from particles.errors import InputError
from particles.measures.measure import Measure
from particles.plotting import convergence, style
from particles.plotting.clouds import Reel, at_once, reel
from particles.plotting.convergence import LIMIT_SHADE
from particles.plotting.view import Camera

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

    from particles.storage.run import Run

_SIZE = 4.8, 4.0  # inches
_TIMES = 60  # of a trajectory: more cannot be told apart
_NAMES = "particles", "limit"


def cloud(
    particles: "Run | xarray.Dataset | Measure",
    *,
    limit: "Run | xarray.Dataset | Measure | None" = None,
    time: float | None = None,
    camera: Camera | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The particles at one time in one panel, over the density of the limit if it is given (section 3.4).

    Parameters
    ----------
    particles
        A measure, or a run or its dataset that recorded "position".
    limit
        The limit, in the same form as `particles` and recorded at the same times.
    time
        A flow time; the recorded one nearest to it is drawn. None, the default, is the last.
    camera
        How clouds are drawn: `mf.Camera()` by default. `mf.Camera(trajectories=True, directions=w)` draws
        the trajectories of particles since the first time, and the directions `w` of a teacher's neurons.
    ax
        Matplotlib's axes to draw in. By default a new figure.

    Returns
    -------
    Axes
        Matplotlib's, in `ax.figure`, which pyplot knows if it was imported before, and in notebooks.

    Raises
    ------
    InputError
        For runs without positions, runs that do not fit together, and a `time` for a measure.

    Examples
    --------
    >>> start = mf.Gaussian(2).sample(64, seed=0)
    >>> mf.plot.cloud(start, limit=mf.Gaussian(2).quadrature(1024)).get_xlabel()
    '$b_1$'
    """
    given = dict(zip(_NAMES, (particles,) if limit is None else (particles, limit), strict=False))
    still = any(isinstance(each, Measure) for each in given.values())
    if still and time is not None:
        raise InputError("`time` is for runs", "a measure, which has one time", "Leave it out.")
    cut = {name: at_once(each) if isinstance(each, Measure) else _until(each, time) for name, each in given.items()}
    shown = reel(cut, camera or Camera(), _TIMES)
    return style.in_panel(ax, _SIZE, lambda panel: _draw(panel, shown, still))


def _draw(ax: "Axes", shown: Reel, still: bool) -> None:
    """The last time of a reel, all tracks in one panel."""
    from matplotlib.patches import StepPatch

    from particles.plotting.cloud_panels import Screen, densities, dress, paint_track, rays, titles

    drawing, last = Screen(ax.figure, [ax], densities(shown)), len(shown.times) - 1  # type: ignore[arg-type]
    dress(ax, shown, 0, drawing)
    for kind in reversed(range(len(shown.tracks))):  # the limit underneath
        for artist in paint_track(drawing, shown, last, 0, kind):
            if kind and isinstance(artist, StepPatch):
                artist.set(fill=False, lw=1.5, alpha=1.0)  # bars over bars hide each other
    rays(ax, shown)
    ax.set_title("" if still else titles(shown)[last])
    _legend(ax, shown)


def _legend(ax: "Axes", shown: Reel) -> None:
    """What the colours stand for, as far as there is more than one."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from particles.plotting.cloud_panels import keys

    names: list[Any] = []
    if all(track.hue is not None for track in shown.tracks):
        there = np.unique(np.concatenate([np.ravel(track.hue) for track in shown.tracks if track.hue is not None]))
        names = [*keys(hue for place, hue in enumerate(shown.bars) if place in there)]
    if shown.box.shape[1] == 2 and len(shown.tracks) > 1 and shown.tracks[-1].binned:
        names.append(Patch(color=LIMIT_SHADE, label="limit"))
    if len(shown.plane.rays):
        names.append(Line2D([], [], label="given directions", **style.THEORY))
    if len(names) > 1:
        outside = ax.figure.get_layout_engine() is not None  # which makes room for it beside the panel
        place: Any = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if outside else {"loc": "best"}
        ax.legend(handles=names, fontsize="small", **place)


def distance(compared: "xarray.Dataset", *, ax: "Axes | None" = None) -> "Axes":
    """The distance from the limit against M with the fitted power and theory's -1/2, in one panel (section 3.4).

    Parameters
    ----------
    compared
        What `mf.compare` gave.
    ax
        Matplotlib's axes to draw in. By default a new figure.

    Returns
    -------
    Axes
        Matplotlib's, in `ax.figure`, which pyplot knows if it was imported before, and in notebooks.

    Raises
    ------
    InputError
        For a dataset that is no comparison.

    Examples
    --------
    >>> net, law, data = mf.Network("tanh"), mf.Gaussian(2), mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> sweep = mf.sweep(net, law, data, mf.GradientDescent(0.5), steps=2, count=[8, 32], seed=[0, 1, 2], limit=256,
    ...                  record=["prediction"])
    >>> mf.plot.distance(mf.compare(sweep)).get_xlabel()
    'neurons $M$'
    """
    if "exponent" not in compared or "sup_distance" not in compared:
        raise InputError("`compared` must be a comparison with the limit", f"{list(compared)}", "Give mf.compare(ds).")
    return style.in_panel(ax, _SIZE, lambda panel: convergence.distances(panel, compared))


def _until(run: "Run | xarray.Dataset", time: float | None) -> Any:
    """A run's record up to the time that is nearest to `time`."""
    from particles.storage.forms import at_own_times
    from particles.storage.run import Run

    if time is None:
        return run
    data = at_own_times(run.dataset if isinstance(run, Run) else run, "position")
    nearest = int(np.argmin(np.abs(data["time"].values - time)))
    return data.isel(time=slice(nearest + 1))
