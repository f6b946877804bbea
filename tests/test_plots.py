"""Figures: they show the numbers they are given, and the same numbers give the same file."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from test_compare import record
from test_sweep import swept

import particles as mf
from particles.study import figures, plots, summary
from particles.study.convergence import Cloud, convergence, principal_plane

pytestmark = pytest.mark.xdist_group("plots")  # one process: what its tests share is made once

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
        assert plots.save(figure, folder / "a.png") == [folder / "a.png", folder / "a.svg"]
    return folders


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
    assert len(drawn(counts, seeds, d).axes[0].lines) == len(counts) + 1


def test_figure__shows_the_mean_loss_of_every_count_and_the_limit(figure):
    axes = figure.axes[0]
    losses, _ = numbers()
    shown = {line.get_label(): line.get_xydata() for line in axes.lines}
    for count, of_count in zip(COUNTS, losses, strict=True):
        np.testing.assert_array_equal(shown.pop(f"M = {count}"), np.column_stack([TIMES, of_count.mean(axis=0)]))
    (limit,) = shown.values()
    np.testing.assert_array_equal(limit, np.column_stack([TIMES, LIMIT_LOSS]))


@pytest.mark.parametrize(("floor", "scale"), [(0.0, "log"), (-0.5, "linear")])
def test_figure__has_logarithmic_losses_where_they_are_positive(floor, scale):
    assert drawn(floor=floor).axes[0].get_yscale() == scale


def test_figure__shows_every_distance_the_fit_and_the_quadrature_error(figure):
    axes = figure.axes[1]
    _, compared = numbers()
    dots = np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() == "o"])
    wanted = [(M, s) for M, row in zip(COUNTS, compared["sup_distance"].values, strict=True) for s in row]
    np.testing.assert_array_equal(dots, wanted)
    fit = next(line for line in axes.lines if str(line.get_label()).startswith("fit"))
    slope = np.polyfit(np.log(fit.get_xdata()), np.log(fit.get_ydata()), 1)[0]
    np.testing.assert_allclose(slope, float(compared["exponent"]), rtol=1e-12)
    assert f"{float(compared['exponent']):.3f}" in fit.get_label()
    error = next(line for line in axes.lines if "quadrature" in str(line.get_label()))
    np.testing.assert_allclose(error.get_ydata(), 1e-3)


@pytest.mark.parametrize(("atoms", "dots"), [(300, 300), (3000, 2000)])
def test_figure__shows_the_clouds_before_and_after_on_one_scale(atoms, dots):
    before, after = drawn(atoms=atoms).axes[2:]
    assert (before.get_xlim(), before.get_ylim()) == (after.get_xlim(), after.get_ylim())
    for axes in (before, after):
        assert [len(line.get_xdata()) for line in axes.lines] == [dots, 8]


def test_plane__is_orthonormal_and_holds_the_movement():
    plane = principal_plane(clouds()[-1])
    np.testing.assert_allclose(plane.T @ plane, np.eye(2), atol=1e-12)
    assert abs(plane[0, 0]) > 0.99


def test_plane__of_one_dimension_is_the_line():
    assert principal_plane(clouds(d=1)[-1]).shape == (1, 1)


def test_drawing__leaves_matplotlib_s_settings_alone(tmp_path, unprinted):
    before = dict(matplotlib.rcParams)
    plots.save(drawn([8], [0], 1), tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before


LIMIT = ("start.count=[8, 16]", "limit.nodes=16")
SETTINGS = [
    ((), 1),
    (("method.step=[0.1, 0.2]",), 2),
    (('record.variables=["prediction"]',), 1),
    (('record.variables=["loss"]',), 0),
    (('method.step=[{schedule="robbins_monro",c=0.1,t0=1.0},{schedule="robbins_monro",c=0.1,t0=2.0}]',), 2),
]


@pytest.mark.parametrize(("settings", "count"), SETTINGS, ids=[" ".join(settings) for settings, _ in SETTINGS])
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
