"""Figures: they show the numbers they are given, and the same numbers give the same file."""

import re
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image
from support import ROOT
from support.records import record
from support.sweeps import swept

import particles as mf
from particles.experiments import figures, summary
from particles.plotting import style
from particles.plotting.convergence import Cloud, convergence, principal_plane
from particles.storage.forms import CONSTANTS

COUNTS, SEEDS, T = [8, 32, 128], [0, 1, 2], 5
TIMES = np.linspace(0.0, 2.0, T)
LIMIT_LOSS = np.exp(-TIMES)


def numbers(counts=COUNTS, seeds=SEEDS, floor=0.0):
    """Losses (counts, seeds, T) and the comparison of made-up runs."""
    random = np.random.default_rng(0)
    losses = floor + LIMIT_LOSS * (1.0 + random.random((len(counts), len(seeds), T)))
    limit, coarse = record(np.zeros((T, 7)), TIMES), record(np.full((T, 7), 1e-3), TIMES)
    runs = {(M, s): record(random.standard_normal((T, 7)) / M**0.5, TIMES) for M in counts for s in seeds}
    return losses, mf.compare(runs, limit, coarse)


def clouds(d=4, atoms=300):
    """A cloud of 8 and the limit's that move along the first axis, mostly."""
    random, way = np.random.default_rng(1), np.array([3.0, 0.1, 0.1, 0.1])[:d]
    made = []
    for label, M in (("M = 8", 8), ("limit", atoms)):
        b, s, w = random.standard_normal((M, d)), np.ones(M), np.full(M, 1.0 / M)
        made.append(Cloud(label, mf.Measure(b, s, w), mf.Measure(b + way, s, w)))
    return made


def drawn(counts=COUNTS, seeds=SEEDS, d=4, atoms=300, floor=0.0):
    losses, compared = numbers(counts, seeds, floor)
    return convergence(counts, losses, TIMES, LIMIT_LOSS, compared, clouds(d, atoms), "wine, tanh")


def with_theory(deviation=True, losses=True):
    """The figure with a prediction of the constant, and of the loss's standard deviation."""
    values, compared = numbers(COUNTS, SEEDS, 0.0)
    means = np.linspace(2.0, 1.0, T)
    known = dict.fromkeys(CONSTANTS, 2.0) | {"distance_theory": ("time", means)}
    std = np.where(np.arange(T) == 1, np.nan, means) if deviation else None
    data = (values, LIMIT_LOSS) if losses else (None, None)
    return convergence(COUNTS, data[0], TIMES, data[1], compared.assign(known), clouds(), "wine, tanh", std)


def dashed(axes):
    return [line for line in axes.lines if line.get_linestyle() == "--" and len(line.get_xdata())]


def test_figure__has_theory_s_mean_deviation_for_each_size():
    axes = with_theory().axes[0]
    keep, mean = np.arange(T) != 1, np.linspace(2.0, 1.0, T) * np.sqrt(2 / np.pi)
    assert len(dashed(axes)) == len(COUNTS)
    for M, line in zip(COUNTS, dashed(axes), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), TIMES[keep])
        np.testing.assert_allclose(line.get_ydata(), mean[keep] / np.sqrt(M), rtol=1e-14)
    assert "theory" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_figure__has_a_tube_of_two_standard_errors_at_the_smallest_and_the_largest_size():
    tubes = with_theory().axes[0].collections
    draws = np.abs(np.random.default_rng(0).standard_normal((10**6, 1)))
    error = draws.std() / draws.mean() / np.sqrt(len(SEEDS))
    assert len(tubes) == 2
    for M, tube in zip((COUNTS[0], COUNTS[-1]), tubes, strict=True):
        mean, points = 2.0 * draws.mean() / np.sqrt(M), tube.get_paths()[0].vertices
        first = points[points[:, 0] == TIMES[0], 1]
        np.testing.assert_allclose(first.max(), mean * (1 + 2 * error), rtol=0.01)
        np.testing.assert_allclose(first.min(), mean * max(1 - 2 * error, 0.0), rtol=0.01, atol=1e-12)


def test_figure__without_losses_has_the_predicted_distance_for_each_size():
    for M, line in zip(COUNTS, dashed(with_theory(False, False).axes[0]), strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.linspace(2.0, 1.0, T) / np.sqrt(M), rtol=1e-14)


def test_figure__has_theory_s_line_with_its_own_constant():
    (line,) = dashed(with_theory().axes[1])
    np.testing.assert_allclose(line.get_ydata(), 2.0 * np.array(COUNTS) ** -0.5, rtol=1e-14)
    assert "2.000" in line.get_label() and "measured 2.000" in line.get_label()


def test_figure__without_a_prediction_has_no_tube(figure):
    assert not dashed(figure.axes[0]) and not figure.axes[0].collections


def test_figure__leaves_out_zeros_that_a_logarithmic_axis_cannot_show():
    """Networks with a symmetric start have the limit's loss at first."""
    values, compared = numbers()
    values[:, :, 0] = LIMIT_LOSS[0]
    std = np.where(np.arange(T) == 0, 0.0, 1.0)
    axes = convergence(COUNTS, values, TIMES, LIMIT_LOSS, compared, clouds(), "wine, tanh", std).axes[0]
    assert axes.get_yscale() == "log"
    lines = [line for line in axes.lines if len(line.get_xdata())]
    assert len(lines) == 2 * len(COUNTS)
    for line in lines:
        assert line.get_xdata()[0] == TIMES[1] and (line.get_ydata() > 0.0).all()


@pytest.fixture
def unprinted(monkeypatch):
    """Figures are drawn, but their pages stay empty: printing takes the time, and is looked at above."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, page, **options: page.write(b"figure"))


@pytest.fixture(scope="module")
def figure():
    """One figure that several tests look at."""
    return drawn()


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The same figure drawn and printed twice: two folders with a.png and a.svg."""
    folders = [tmp_path_factory.mktemp("figure") for _ in range(2)]
    for folder, figure in zip(folders, (drawn(), drawn()), strict=True):
        assert style.save(figure, folder / "a.png") == [folder / "a.png", folder / "a.svg"]
    return folders


@pytest.mark.slow
def test_figure__is_a_png_of_its_size_that_shows_something(printed):
    picture = imread(printed[0] / "a.png")
    assert picture.shape == (900, 1080, 4)
    inked = (picture[..., :3] < 0.99).any(axis=2)
    assert 0.02 < inked.mean() < 0.6
    # Something in each of the four panels.
    assert all(part.mean() > 0.01 for half in np.array_split(inked, 2) for part in np.array_split(half, 2, axis=1))


def test_figure__is_an_svg_whose_words_are_words(printed):
    page = (printed[0] / "a.svg").read_text()
    assert page.startswith("<?xml") and page.rstrip().endswith("</svg>")
    for words in ("wine, tanh", "M = 32", "Distance of predictions from the limit"):
        assert f">{words}<" in page


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_figure__of_the_same_numbers_is_the_same_file(printed, name):
    one, two = ((folder / name).read_bytes() for folder in printed)
    assert one == two


@pytest.mark.parametrize(("counts", "seeds", "d"), [([8], [0], 4), ([8, 32], [0], 2), (COUNTS, SEEDS, 1)])
def test_figure__is_drawn_of_little(counts, seeds, d):
    """One count has no fit, one seed no spread, one dimension no plane."""
    assert len(drawn(counts, seeds, d).axes[0].lines) == len(counts)


def test_figure__shows_every_count_s_loss_minus_the_limit_s(figure):
    axes = figure.axes[0]
    losses, _ = numbers()
    shown = {line.get_label(): line.get_xydata() for line in axes.lines}
    for count, of_count in zip(COUNTS, losses, strict=True):
        wanted = np.column_stack([TIMES, np.abs(of_count - LIMIT_LOSS).mean(axis=0)])
        np.testing.assert_allclose(shown.pop(f"M = {count}"), wanted, rtol=1e-14)
    assert not shown


@pytest.mark.parametrize(("distance", "scale"), [(0.0, "linear"), (0.5, "log")])
def test_figure__has_logarithmic_differences_where_there_are_some(distance, scale):
    losses, compared = numbers()
    losses[:] = LIMIT_LOSS + distance
    made = convergence(COUNTS, losses, TIMES, LIMIT_LOSS, compared, clouds(), "")
    assert made.axes[0].get_yscale() == scale


def test_figure__shows_every_distance_the_fit_and_the_limits_change(figure):
    axes = figure.axes[1]
    _, compared = numbers()
    dots = np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() == "o"])
    wanted = [(M, s) for M, row in zip(COUNTS, compared["sup_distance"].values, strict=True) for s in row]
    np.testing.assert_array_equal(dots, wanted)
    fit = next(line for line in axes.lines if str(line.get_label()).startswith("fit"))
    slope = np.polyfit(np.log(fit.get_xdata()), np.log(fit.get_ydata()), 1)[0]
    np.testing.assert_allclose(slope, float(compared["exponent"]), rtol=1e-12)
    assert f"{float(compared['exponent']):.3f}" in fit.get_label()
    error = next(line for line in axes.lines if "change of the limit" in str(line.get_label()))
    np.testing.assert_allclose(error.get_ydata(), 1e-3)


def test_figure__shows_the_cloud_before_and_after_over_the_limit_on_one_scale(figure):
    before, after = figure.axes[2:]
    assert (before.get_xlim(), before.get_ylim()) == (after.get_xlim(), after.get_ylim())
    plane = principal_plane(clouds()[-1])
    for axes, moment in ((before, "before"), (after, "after")):
        (dots,) = axes.lines
        np.testing.assert_allclose(dots.get_xydata(), getattr(clouds()[0], moment).b @ plane)
        (contours,) = axes.collections
        middle = np.mean([path.get_extents().bounds[0] for path in contours.get_paths()[-1:]])
        assert (middle > 1.0) == (moment == "after")  # the limit moves by 3 along the first axis


def test_plane__is_orthonormal_and_holds_the_movement():
    plane = principal_plane(clouds()[-1])
    np.testing.assert_allclose(plane.T @ plane, np.eye(2), atol=1e-12)
    assert abs(plane[0, 0]) > 0.99


def test_plane__of_one_dimension_is_the_line():
    assert principal_plane(clouds(d=1)[-1]).shape == (1, 1)


def test_drawing__leaves_matplotlib_s_settings_alone(tmp_path, unprinted):
    before = matplotlib.rcParams.copy()  # a dict of it would look for a backend, in pyplot
    style.save(drawn([8], [0], 1), tmp_path / "a.png")
    assert matplotlib.rcParams.copy() == before


LIMIT = ("start.count=[8, 16]", "limit.nodes=16")
SETTINGS = [
    ((), 1),
    (("method.step=[0.1, 0.2]",), 2),
    (('record.variables=["prediction"]',), 1),
    (('record.variables=["loss"]',), 0),
    (('method.step=[{schedule="robbins_monro",c=0.1,t0=1.0},{schedule="robbins_monro",c=0.1,t0=2.0}]',), 2),
]


@pytest.mark.parametrize(
    ("settings", "count"),
    [SETTINGS[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in SETTINGS[1:])],
    ids=[" ".join(settings) for settings, _ in SETTINGS],
)
def test_draw__makes_a_figure_for_every_comparison(tmp_path, unprinted, settings, count):
    made, _ = swept(tmp_path, *LIMIT, *settings)
    written = figures.draw(made, tmp_path, summary.write(made, tmp_path))
    assert len({path for path in written if path.suffix == ".png"}) == count
    assert {path for path in tmp_path.iterdir() if path.suffix in (".png", ".svg")} == set(written)
    assert len(written) == 2 * count


def test_draw__names_files_that_stay_in_the_folder(tmp_path, unprinted):
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.csv", "b [1].csv"):
        (tmp_path / name).write_text("a,y\n1,2\n3,4\n")
    made, _ = swept(tmp_path, *LIMIT, 'data={file=["sub/a.csv", "b [1].csv"]}')
    written = figures.draw(made, tmp_path, summary.write(made, tmp_path))
    assert len(written) == 4
    assert {path.parent for path in written} == {tmp_path}


# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colour, seen):
    """A colour in CIELAB as it is seen."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(seen) @ linear, 0.0, 1.0) / TO_XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colours, kind):
    """The least distance of two of the colours to an eye of this kind."""
    seen = [lab(colour, BLINDNESS[kind]) for colour in colours]
    return min(np.linalg.norm(one - other) for one, other in combinations(seen, 2))


@pytest.mark.parametrize("kind", BLINDNESS)
def test_palette__can_be_told_apart_by_every_eye(kind):
    assert nearest([*style.PALETTE, style.LIMIT["color"], style.THEORY["color"]], kind) > 15
    assert nearest([style.POSITIVE, style.NEGATIVE, style.UNSIGNED], kind) > 15


def test_palette__is_better_than_matplotlib_s_own():
    """The measure itself can tell: tab10's orange and green are one colour to a protanope."""
    assert nearest([f"tab:{name}" for name in ("blue", "orange", "green", "red")], "protanopia") < 5


@pytest.mark.parametrize("kind", BLINDNESS)
def test_shades__go_from_light_to_dark_for_every_eye(kind):
    light = [lab(shade, BLINDNESS[kind])[0] for shade in style.shades_of(6)]
    assert np.diff(light).max() < -5


def test_series__differ_by_their_marker_as_well():
    assert len({style.series(k)["marker"] for k in range(6)}) == 6 == len(set(style.PALETTE))


def test_page__plays_films_in_the_colours_of_figures():
    script = (Path(style.__file__).parents[1] / "report" / "page.js").read_text("utf-8")
    assert f'UNSIGNED = "{style.UNSIGNED}"' in script
    assert "panel.kinds === 1 ? UNSIGNED : film.colours[kind]" in script


@pytest.mark.parametrize("path", sorted(ROOT.glob("drivers/*.py")), ids=lambda path: path.stem)
def test_drivers__leave_colours_and_files_to_the_house(path):
    own = r"savefig|pyplot|tab:|[\"']C\d[\"']|color=\"(?!0\.)|[\"'][-:.ox]*k[-:.ox]*[\"']|fontsize=[67]"
    assert not re.findall(own, path.read_text("utf-8"))


@pytest.mark.parametrize("count, shape", [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (4, (2, 2)), (5, (3, 2))])
def test_panels__stand_in_rows_of_two_at_most(count, shape):
    figure, axes = style.panels(count)
    assert len(axes) == count == len(figure.axes)
    np.testing.assert_allclose(figure.get_size_inches(), (3.6 * shape[1], 3.0 * shape[0]))


@pytest.mark.parametrize("loc, ends", [("upper right", (1.0, 1e4)), ("lower left", (1e-2, 100.0))])
def test_legend__keeps_room_on_its_side_of_the_data(loc, ends):
    _, (axes,) = style.panels(1)
    axes.plot([1, 2], [1.0, 100.0], label="a")
    axes.set(yscale="log", ylim=(1.0, 100.0))
    style.legend(axes, 0.5, loc=loc)
    np.testing.assert_allclose(axes.get_ylim(), ends)


def test_dots__of_a_large_cloud_are_2000_drawn_by_weight():
    assert style.dots(2000) == slice(None)
    share = np.r_[np.zeros(4000), np.full(4000, 1 / 4000)]
    drawn = style.dots(8000, share)
    assert len(drawn) == 2000 and drawn.min() >= 4000
    assert len(set(style.dots(8000).tolist())) == 2000


def test_figure__says_what_it_shows(printed):
    told = "Distance of predictions from the limit: sup_t |g_M - g_infty|_n against neurons M: fit M^("
    assert told in Image.open(printed[0] / "a.png").text["Description"]
    assert told in (printed[0] / "a.svg").read_text()


# `text.usetex` fails where there is no latex, the others would show.
OTHERS = {"text.usetex": True, "font.family": ["none"], "axes.facecolor": "black", "savefig.bbox": "tight"}


def test_drawing__does_not_depend_on_a_user_s_settings():
    def page():
        figure, (axes,) = style.panels(1)
        axes.plot([1, 2], [3, 4])
        return style.printed(figure, "png")

    wanted = page()
    with matplotlib.rc_context(OTHERS):
        assert page() == wanted


def test_figure__that_cannot_be_drawn_is_a_warning_and_a_note():
    notes = []
    with pytest.warns(UserWarning, match=r"the figure could not be drawn \(RuntimeError: no latex\)$"):  # noqa: SIM117
        with style.optional("the figure", notes):
            raise RuntimeError("no latex\nand much more")
    assert notes == ["the figure could not be drawn (RuntimeError: no latex)."]
