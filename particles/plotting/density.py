"""The density of a weighted cloud: the histogram of each colour on a line, a smoothed one in a plane (section 3.4)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from particles.measures.measure import Array
from particles.plotting.style import dots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import ContourSet

    from particles.plotting.clouds import Track

BINS = 60  # of a histogram; as many as `convergence.py` has
CELLS = 64  # of a density in a plane, on each axis
_LEVELS = np.geomspace(0.01, 1.0, 8)  # of a density, as a share of its maximum: tails are seen as well
_WIDTH = 0.7  # of a kernel, as a share of the distance to a neighbour
_LEAST = 0.7  # cells, of a kernel's width: a narrower one shows the grid


def edges(box: Array) -> list[Array]:
    """The edges of the cells of a box (2, 1 or 2)."""
    cells = BINS if box.shape[1] == 1 else CELLS
    return [np.linspace(low, high, cells + 1) for low, high in box.T]


def density(track: "Track", box: Array, hues: int) -> Array:
    """The density over the cells of a box: (T, hues, bins) on a line, (T, cells, cells) in a plane, all together."""
    T = track.points.shape[0]
    if track.points.shape[2] == 2:
        return np.stack([smoothed(track.points[at], track.share[at], box) for at in range(T)])
    parts: list[Any] = [np.ones_like(track.share)]
    if track.hue is not None:
        parts = [np.minimum(track.hue, hues - 1) == hue for hue in range(hues)]
    (bins,) = edges(box)
    heights = [
        [np.histogram(track.points[at, :, 0], bins, weights=track.share[at] * part[at])[0] for part in parts]
        for at in range(T)
    ]
    return np.asarray(np.asarray(heights) / (bins[1] - bins[0]))


def smoothed(points: Array, share: Array, box: Array) -> Array:
    """The kernel density estimate of a cloud in a plane, points : (k, 2), share : (k,) -> (cells, cells).

    The kernel is Gaussian. Its width is 0.7 times the distance to the sqrt(k)-th neighbour, the median over particles
    drawn by weight: a rule for one normal law (Silverman 1986) would blur a cloud of several clusters. What the kernel
    carries beyond the box is reflected, so that no mass is lost.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.spatial import KDTree

    mass = np.histogramdd(points, bins=edges(box), weights=share)[0]
    cell = (box[1] - box[0]) / CELLS
    places = points / cell
    some = dots(len(points), share / share.sum())
    apart = KDTree(places).query(places[some], [min(int(np.sqrt(len(points))) + 1, len(points))])[0]
    smooth = gaussian_filter(mass, max(_WIDTH * float(np.median(apart)), _LEAST), mode="reflect")
    return np.asarray(smooth / cell.prod())


def shades(height: Array) -> Array:
    """Densities (T, cells, cells) as shades of the page's film: 1 at each time's maximum, 0 at the lowest level."""
    most = np.maximum(height.max(axis=(1, 2), keepdims=True), np.finfo(float).tiny)
    return np.asarray(np.clip(1.0 - np.log(np.maximum(height / most, _LEVELS[0])) / np.log(_LEVELS[0]), 0.0, 1.0))


def shade(axes: "Axes", height: Array, box: Array) -> "ContourSet":
    """Draw a density in a plane as filled contours, the darkest at its maximum."""
    middles = [0.5 * (edge[:-1] + edge[1:]) for edge in edges(box)]
    levels = _LEVELS * (float(height.max()) or 1.0)
    greys = [str(grey) for grey in np.linspace(0.94, 0.45, len(levels) - 1)]
    return axes.contourf(*middles, np.minimum(height.T, levels[-1]), levels, colors=greys, zorder=0.8)
