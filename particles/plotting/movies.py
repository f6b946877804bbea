"""Moving pictures of recorded clouds, finite M beside the limit on one clock: an animated GIF, or a strip of stills."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, whole
from particles.errors import InputError
from particles.files.atomic import write_whole
from particles.plotting import style
from particles.plotting.clouds import Reel, reel
from particles.plotting.view import Camera

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from particles.plotting.clouds import Runs

_PANEL = 3.2, 3.5  # inches, of a movie
_STILL = 2.2, 2.2  # inches, of a strip
_DPI = 100  # of a movie; `plots.save` has its own
_COLOURS = 64  # a movie has few hues; the rest are edges of letters and dots over each other
_WHITE = 248  # of 255: Pillow finds a colour's place in the palette in steps of four or so
_SAMPLED = 8  # frames from which the colours are chosen


def movie(
    runs: "Runs",
    path: str | Path,
    *,
    camera: Camera | None = None,
    weights: Mapping[str, ArrayLike] | None = None,
    inputs: ArrayLike | None = None,
    frames: int = 60,
    fps: float = 10.0,
) -> Path:
    """The clouds of one to four runs in flow time as a GIF that loops (section 3.4).

    Parameters
    ----------
    runs
        A run or its dataset, or one to four of them by label, the limit last; all with "position" recorded at the same
        times.
    path
        The file to write, with the suffix .gif.
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

    Returns
    -------
    Path
        `path`. The same runs give the same file.

    Raises
    ------
    InputError
        For another suffix, fewer than two times to show, and runs that do not fit together.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.GradientDescent(0.5), steps=4, record=["position"])
    >>> mf.movie({"M = 16": run}, "cloud.gif", frames=4).name
    'cloud.gif'
    """
    path, frames = _checked_path(path, (".gif",)), whole("frames", frames, 2)
    fps = number("fps", fps, 1.0, 50.0, remedy="Viewers slow down what is faster.")
    shown = reel(runs, camera or Camera(), frames, weights, inputs)
    if len(shown.times) < 2:
        raise InputError("a movie needs two times or more", f"t = {shown.times[0]:g} alone", "Record more often.")
    ends = np.round(np.cumsum(shown.ticks) * 100.0 / fps).astype(int)
    durations = [10 * int(part) for part in np.diff(ends, prepend=0)]
    write_whole(path, gif(pictures(shown), durations))
    return path


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
    from particles.plotting.cloud_panels import paint, screen, settle, titles

    times = len(shown.times)
    drawing = screen(shown, size, times)
    for place, panel in enumerate(drawing.panels):
        row, at = divmod(place, times)
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
def pictures(shown: Reel) -> "list[Image]":
    """Every frame of a movie: what moves is drawn over what was drawn once, about half the time of drawing all anew."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    from particles.plotting.cloud_panels import paint, screen, settle, titles

    drawing, images = screen(shown, _PANEL), []
    drawing.figure.set_dpi(_DPI)
    canvas: Any = FigureCanvasAgg(drawing.figure)
    title = drawing.figure.suptitle(titles(shown)[0], fontsize=10, animated=True)
    settle(drawing)
    canvas.draw()  # all that stands still
    still_life = canvas.copy_from_bbox(drawing.figure.bbox)
    for at, words in enumerate(titles(shown)):
        canvas.restore_region(still_life)
        title.set_text(words)
        drawn = [artist for place in range(len(drawing.panels)) for artist in paint(drawing, shown, at, place, place)]
        for artist in (*drawn, title):
            drawing.figure.draw_artist(artist)
        images.append(Image.fromarray(np.array(canvas.buffer_rgba())[..., :3]))
        for artist in drawn:
            artist.remove()
    return images


def gif(frames: "list[Image]", durations: list[int]) -> bytes:
    """RGB frames as one GIF on one palette, so that no colour flickers; durations in milliseconds, in tens."""
    from PIL import Image

    sampled = [frames[at] for at in np.unique(np.linspace(0, len(frames) - 1, _SAMPLED).round().astype(int))]
    width, height = frames[0].size
    sheet = Image.new("RGB", (width, height * len(sampled)))
    for row, frame in enumerate(sampled):
        sheet.paste(frame, (0, height * row))
    palette = sheet.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) >= _WHITE] = 255  # paper is white, not the mean of what is nearly white
    palette.putpalette(colours.ravel().tolist())
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    page = io.BytesIO()
    first.save(page, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return page.getvalue()
