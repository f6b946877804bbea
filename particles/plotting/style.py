"""What every figure looks like: sizes, colours that the colour-blind tell apart, lines by what they stand for, files.

Measured series are solid and coloured, each with a marker of its own; those that have an order (M, n) go from light to
dark. Theory is dashed and grey, M = infinity black, an interval or a spread over seeds is shaded.
"""

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from string import ascii_letters
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError
from particles.escapes import escaped
from particles.files.atomic import write_whole
from particles.measures.measure import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito 2008. With black and the grey of theory every two are 15 apart in CIELAB, for the three kinds of colour
# blindness as well (tests/plotting/test_plots.py); matplotlib's own come as near as 5.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = "os^Dvp"
LIMIT: Any = {"color": "#000000", "ls": "-", "lw": 2.2, "zorder": 1.8}  # under the others, and wider: both are seen
THEORY: Any = {"color": "#666666", "ls": "--", "lw": 1.2}
POSITIVE, NEGATIVE, UNSIGNED = PALETTE[0], PALETTE[1], "#737373"  # the signs of output weights; page.js has the same
MOST_CLASSES = 20  # with a colour each
STYLE: Any = {
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.06,
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "figure.titlesize": 10.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "errorbar.capsize": 2,
    "axes.prop_cycle": f"cycler('color', {list(PALETTE)})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.min_exponent": 4,  # 0.003 and 300 are shorter than powers of ten
    "grid.alpha": 0.25,
    "svg.hashsalt": "particles",  # the same figure is the same file
    "svg.fonttype": "none",
}
_PANEL = 3.6, 3.0  # inches: two beside each other can be read at the width of a page of text
_DOTS = 2000  # particles drawn of a cloud
_WIDE = 10.0  # positive values that span this factor are drawn on a logarithmic scale


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """The house's style over Matplotlib's own defaults, not over the user's settings (usetex, fonts, black axes)."""
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """A function that draws, in the house's style."""

    @wraps(draw)
    def inside(*args: P.args, **options: P.kwargs) -> R:
        with house_style():
            return draw(*args, **options)

    return inside


@contextlib.contextmanager
def optional(what: str, notes: list[str] | None = None) -> Iterator[None]:
    """A figure whose numbers are safe already: if it cannot be drawn that is a warning, and one of `notes`."""
    try:
        yield
    except Exception as error:  # of Matplotlib, a font, the disk
        reason = (str(error).splitlines() or [""])[0][:200]
        message = escaped(f"{what} could not be drawn ({type(error).__name__}: {reason})")
        warnings.warn(message, stacklevel=4)
        if notes is not None:
            notes.append(f"{message}.")


@styled
def panels(count: int) -> "tuple[Figure, list[Axes]]":
    """A figure of so many axes, two in a row; an odd one has the last row for itself."""
    from matplotlib.figure import Figure

    letters = ascii_letters[:count]
    places = letters + letters[-1] * (count % 2 if count > 1 else 0)
    rows = [places[first : first + 2] for first in range(0, len(places), 2)]
    figure = Figure(figsize=(_PANEL[0] * len(rows[0]), _PANEL[1] * len(rows)))
    axes = figure.subplot_mosaic(";".join(rows))
    return figure, [axes[letter] for letter in letters]


def with_pyplot() -> bool:
    """Whether the user works with pyplot or in IPython, where pyplot shows figures and closes them."""
    shell = sys.modules.get("IPython")
    return "matplotlib.pyplot" in sys.modules or (shell is not None and shell.get_ipython() is not None)


def in_panel(ax: "Axes | None", size: tuple[float, float], draw: "Callable[[Axes], None]") -> "Axes":
    """Draw in the user's axes, with the style that holds there, or in a new figure of `size` in the house's style."""
    if ax is not None:
        draw(_checked_panel(ax))
        return ax
    with house_style():
        ax = _own_panel(size)
        draw(ax)
        settle(ax.figure)  # type: ignore[arg-type]
    return ax


def _own_panel(size: tuple[float, float]) -> "Axes":
    """One panel of a new figure; pyplot knows the figure where the user works with pyplot.

    Otherwise nothing but the caller holds it, so that a long script of figures keeps none.
    """
    if with_pyplot():
        from matplotlib import pyplot

        return pyplot.figure(figsize=size).subplots()
    from matplotlib.figure import Figure

    return Figure(figsize=size).subplots()


def _checked_panel(ax: Any) -> "Axes":
    """The user's axes; InputError for all that `plt.subplots` gives, and for what are no axes."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        several = isinstance(ax, np.ndarray)
        got = f"an array of shape {ax.shape}" if several else type(ax).__name__
        raise InputError("`ax` must be one Axes of Matplotlib", got, "Choose one, such as ax[0]." if several else "")
    return ax


def series(number: int) -> dict[str, Any]:
    """Colour and marker of the series of this number."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}


def shades_of(count: int) -> Any:
    """Colours of so many series that have an order, from light to dark."""
    import matplotlib

    return matplotlib.colormaps["viridis"](np.linspace(0.8 if count > 1 else 0.3, 0.05, count))


def class_colours(count: int) -> list[str]:
    """Colours of up to 20 of so many classes, which have no order; then a grey, of those beyond and of no class.

    Up to six are the house's. More than six cannot all be told apart by the colour-blind; names stand beside them.
    """
    import matplotlib

    if count <= len(PALETTE):
        return [*PALETTE[:count], UNSIGNED]
    shown = min(count, MOST_CLASSES)
    colours = map(matplotlib.colors.to_hex, matplotlib.colormaps["tab10" if shown <= 10 else "tab20"](range(shown)))
    return [*("#191970" if colour == "#7f7f7f" else colour for colour in colours), UNSIGNED]  # their grey is as dark


def class_of(s: Array) -> "NDArray[np.intp]":
    """The place among `class_colours` of particles with output weights s : (..., outputs) -> (...), the largest's.

    Of several that are equally large, as with random signs, it is none.
    """
    alone = (s == s.max(axis=-1, keepdims=True)).sum(axis=-1) == 1
    return np.asarray(np.where(alone, np.minimum(s.argmax(axis=-1), MOST_CLASSES), min(s.shape[-1], MOST_CLASSES)))


def theory(axes: "Axes", x: Any, y: Any, label: str | None = None, **other: Any) -> None:
    """What the paper says; `color` where each series has a prediction of its own."""
    axes.plot(x, y, label=label, **THEORY | other)


def band(axes: "Axes", x: Any, low: Any, high: Any, color: Any) -> None:
    """An interval, or a spread over seeds, about a line of this colour."""
    axes.fill_between(x, low, high, color=color, alpha=0.2, lw=0)


def label(text: object, most: int = 40) -> str:
    """A text from a file for a figure: no formula, no letter that the font lacks, not too long."""
    kept = "".join(letter if letter.isprintable() and ord(letter) < 0x530 else "?" for letter in str(text)[:most])
    return kept.replace("$", r"\$")


def spans_decades(values: Any) -> bool:
    """Whether finite values are positive and far enough apart for a logarithmic axis."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > _WIDE * finite.min())


def legend(axes: "Axes", room: float = 0.0, **other: Any) -> None:
    """Names of the series; room: the share of the height that is kept free for them, at the top or, `loc`, below."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(np.array(axes.get_ylim()))
    more = (high - low) * room / (1.0 - room)
    low, high = (low - more, high) if str(other.get("loc", "")).startswith("lower") else (low, high + more)
    axes.set_ylim(*scale.inverted().transform(np.array([low, high])))
    axes.legend(**other)


def ticks(axes: "Axes", places: Any) -> None:
    """Ticks along x where the series have their points, and nowhere else."""
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.xaxis.minorticks_off()


def dots(count: int, share: Array | None = None) -> "slice | NDArray[np.intp]":
    """The particles of a cloud of `count` to draw: all of a small one, else 2000 by chance; share : (count,) weights.

    The first would not do: every k-th point of a Sobol sequence lies in one corner.
    """
    if count <= _DOTS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(count, _DOTS, replace=share is not None, p=share))


def settle(figure: "Figure") -> None:
    """Lay a figure out while the style holds: whoever shows it later need not know of it."""
    figure.get_layout_engine().execute(figure)  # type: ignore[union-attr]


@styled
def printed(figure: "Figure", kind: str) -> bytes:
    """A figure as the content of a file, "png" or "svg": the same of the same figure."""
    page, about = io.BytesIO(), {"Description": described(figure)}
    figure.savefig(page, format=kind, dpi=150, metadata=about | ({"Date": None} if kind == "svg" else {}))
    return page.getvalue()


def described(figure: "Figure") -> str:
    """What a figure shows, in words for who cannot see it: of each panel its title, axes and series."""
    parts = []
    for axes in figure.axes:
        across = " against ".join(filter(None, (axes.get_ylabel(), axes.get_xlabel())))
        names = [name for name in axes.get_legend_handles_labels()[1] if not name.startswith("_")]
        parts.append(": ".join(_spoken(part) for part in (axes.get_title(), across, "; ".join(names)) if part))
    return ". ".join(filter(None, parts)) + "."


def _spoken(label: str) -> str:
    r"""A label without the marks of its formula: $\lambda_\infty$ is lambda_infty."""
    text = re.sub(r"\\frac(\{[^}]*\})(\{[^}]*\})", r"\1/\2", label.replace("\n", ", "))
    text = re.sub(r"\\[,;! ]", " ", text).translate(str.maketrans("{}", "()", "$"))
    return re.sub(r"\\(?=[\w|#])", "", text).strip()


def save(figure: "Figure", path: Path) -> list[Path]:
    """Write a figure as PNG and SVG beside each other: the two paths."""
    paths = [path.with_suffix(".png"), path.with_suffix(".svg")]
    for target in paths:
        write_whole(target, printed(figure, target.suffix[1:]))
    return paths
