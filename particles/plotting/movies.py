"""Moving pictures of recorded clouds, finite M beside the limit on one clock: a movie, or a strip of stills."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, vector, whole
from particles.errors import InputError
from particles.files.atomic import write_whole
from particles.plotting import style
from particles.plotting.clouds import Reel, reel
from particles.plotting.encoding import ffmpeg, gif, mp4
from particles.plotting.view import Camera

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from particles.plotting.clouds import Runs

_PANEL = 3.2, 3.5  # inches, of a movie
_STILL = 2.2, 2.2  # inches, of a strip
_FRAMES = 10_000  # at most: a quarter of an hour at 10 a second, all in memory


class _Look(NamedTuple):
    """Size of a movie in inches, None by the number of its panels; pixels to the inch; its words."""

    size: tuple[float, float] | None = None
    dpi: float = 100.0
    title: str = ""
    caption: bool = True


def movie(
    runs: "Runs",
    path: str | Path,
    *,
    camera: Camera | None = None,
    weights: Mapping[str, ArrayLike] | None = None,
    inputs: ArrayLike | None = None,
    frames: int = 60,
    fps: float = 10.0,
    size: tuple[float, float] | None = None,
    dpi: float = 100.0,
    title: str = "",
    caption: bool = True,
) -> Path:
    """The clouds of one to four runs in flow time as a GIF that loops, or as an MP4 (section 3.4).

    Dots are blue for s > 0 and orange for s < 0. With several outputs each has the colour of the output of its largest
    weight, and beside the clouds are the names of the classes.

    Parameters
    ----------
    runs
        A run or its dataset, or one to four of them by label, the limit last; all with "position" recorded at the same
        times.
    path
        The file to write, with the suffix .gif, or .mp4 where the program ffmpeg is installed.
    camera
        How clouds are drawn: `mf.Camera()` by default.
    weights : (M,), or (T, M) where they move
        By label, for datasets; a `Run` has its own.
    inputs : (n,)
        One coordinate of the training inputs, over which `g` is drawn beside the clouds.
    frames
        Ticks of the clock, 60 by default. The recorded time nearest to each is shown, so a time that is nearest to
        several stays longer.
    fps
        Ticks a second, 10 by default, kept on average, as a GIF counts hundredths.
    size
        Width and height of the movie in inches, by default 3.2 by 3.5 for each panel.
    dpi
        Pixels to the inch, 100 by default: `size=(6.4, 3.6), dpi=300` is full HD with letters for a slide.
    title
        What stands above the clouds, before the flow time.
    caption
        Whether the lines below the clouds say what is drawn.

    Returns
    -------
    Path
        `path`. The same runs give the same file.

    Raises
    ------
    InputError
        For another suffix, an .mp4 without ffmpeg, fewer than two times to show, and runs that do not fit together.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4, record=["position"])
    >>> mf.movie({"M = 16": run}, "cloud.gif", frames=4).name
    'cloud.gif'
    """
    path, frames = _checked_path(path, (".gif", ".mp4")), whole("frames", frames, 2, _FRAMES)
    fps = number("fps", fps, 1.0, 50.0, remedy="Viewers slow down what is faster.")
    program = ffmpeg() if path.suffix == ".mp4" else ""
    shown = reel(runs, camera or Camera(), frames, weights, inputs)
    if len(shown.times) < 2:
        raise InputError("a movie needs two times or more", f"t = {shown.times[0]:g} alone", "Record more often.")
    look = _Look(_checked_size(size), number("dpi", dpi, 20.0, 600.0), title, caption)
    images = pictures(shown, look)
    write_whole(path, mp4(images, shown.ticks, fps, program) if program else gif(images, shown.ticks, fps))
    return path


def _checked_size(size: tuple[float, float] | None) -> tuple[float, float] | None:
    if size is None:
        return None
    width, height = vector("size", size, 2)
    return number("size[0]", width, 1.0, 40.0), number("size[1]", height, 1.0, 40.0)


def still(
    runs: "Runs",
    path: str | Path,
    *,
    camera: Camera | None = None,
    weights: Mapping[str, ArrayLike] | None = None,
    inputs: ArrayLike | None = None,
    frames: int = 4,
) -> list[Path]:
    """The frames of `mf.movie` in one figure, a row a run and a column a time.

    Parameters
    ----------
    runs
        A run or its dataset, or one to four of them by label, the limit last; all with "position" recorded at the same
        times.
    path
        The file to write, with the suffix .png or .svg; both are written.
    camera
        How clouds are drawn: `mf.Camera()` by default.
    weights : (M,), or (T, M) where they move
        By label, for datasets; a `Run` has its own.
    inputs : (n,)
        One coordinate of the training inputs, over which `g` is drawn below the clouds.
    frames
        Columns, 4 by default.

    Returns
    -------
    list of Path
        The PNG and the SVG.

    Raises
    ------
    InputError
        For another suffix, and for runs that do not fit together.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4, record=["position"])
    >>> [path.name for path in mf.still({"M = 16": run}, "cloud.png", frames=2)]
    ['cloud.png', 'cloud.svg']
    """
    path = _checked_path(path, (".png", ".svg"))
    return style.save(strip(reel(runs, camera or Camera(), whole("frames", frames, 1, 12), weights, inputs)), path)


def _checked_path(path: str | Path, suffixes: Sequence[str]) -> Path:
    path = Path(path)
    if path.suffix not in suffixes:
        raise InputError(f"`path` must end in {' or '.join(suffixes)}", str(path), f"Use {path.stem}{suffixes[0]}.")
    return path


@style.styled
def strip(shown: Reel, size: tuple[float, float] = _STILL) -> "Figure":
    """A reel as one figure: a row a run and one for g, a column a time; size: inches of a panel."""
    from particles.plotting.cloud_panels import kinds, legend_width, paint, screen, settle, titles

    columns = len(shown.times)
    wide = size[0] * columns + legend_width(shown)
    drawing = screen(shown, (wide, size[1] * kinds(shown)), columns)
    for place, panel in enumerate(drawing.panels):
        row, at = divmod(place, columns)
        paint(drawing, shown, at, place, row)
        name = panel.get_title()
        panel.set(title="", ylabel="" if at else f"{name}\n{panel.get_ylabel()}".strip())
        if row == 0:
            panel.set_title(titles(shown)[at].removeprefix("flow time "), fontsize=8)
        legend = panel.get_legend()
        if at and legend is not None:
            legend.remove()
    settle(drawing)
    return drawing.figure


@style.styled
def pictures(shown: Reel, look: "_Look | None" = None) -> "list[Image]":
    """Every frame of a movie: what moves is drawn over what was drawn once, about half the time of drawing all anew."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    from particles.plotting.cloud_panels import kinds, legend_width, paint, screen, settle, titles

    look = look or _Look()
    size = _PANEL[0] * kinds(shown) + legend_width(shown), _PANEL[1]
    drawing = screen(shown, look.size or size, caption=look.caption)
    images = []
    drawing.figure.set_dpi(look.dpi)
    canvas: Any = FigureCanvasAgg(drawing.figure)
    words = [f"{look.title}, {time.removeprefix('flow time ')}" if look.title else time for time in titles(shown)]
    title = drawing.figure.suptitle(words[0], fontsize=10, animated=True)
    settle(drawing)
    canvas.draw()  # all that stands still
    still_life = canvas.copy_from_bbox(drawing.figure.bbox)
    for at, text in enumerate(words):
        canvas.restore_region(still_life)
        title.set_text(text)
        drawn = [artist for place in range(len(drawing.panels)) for artist in paint(drawing, shown, at, place, place)]
        for artist in (*drawn, title):
            drawing.figure.draw_artist(artist)
        images.append(Image.fromarray(np.array(canvas.buffer_rgba())[..., :3]))
        for artist in drawn:
            artist.remove()
    return images
