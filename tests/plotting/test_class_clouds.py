"""Clouds of networks with several outputs: a colour a class, the same in movies, single panels, curves and reports."""

import itertools
import json
import re

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from support.records import record

import particles as mf
from particles import report
from particles.plotting import cloud_panels, movies, style
from particles.plotting.clouds import at_once, reel
from particles.plotting.convergence import Cloud, convergence
from particles.plotting.view import Camera
from particles.xarray import Dataset

NAMES = ["ant", "bee", "cat"]
TIMES = np.linspace(0.0, 4.0, 5)


def recorded(k=30, d=2, outputs=3, names=NAMES, n=None, seed=0):
    """A made-up run whose output weights change on the way."""
    random = np.random.default_rng([seed, k, d, outputs])
    row = ("time", "particle")
    data = {
        "position": ((*row, "dim"), random.standard_normal((len(TIMES), k, d))),
        "output_weight": ((*row, "output"), random.standard_normal((len(TIMES), k, outputs))),
    }
    if n:
        data["prediction"] = (("time", "sample", "output"), random.standard_normal((len(TIMES), n, outputs)))
        data["target"] = (("sample", "output"), np.eye(outputs)[random.integers(0, outputs, n)])
    coords = {"time": ("time", TIMES, {"units": "1"})} | ({"output": names[:outputs]} if names else {})
    return Dataset(data, coords)


def drawn(runs, kind=0, at=0, camera=None, **options):
    """The artists of one panel at one time, and the figure."""
    made = cloud_panels.screen(shown := reel(runs, camera or Camera(), 5, **options), (4.0, 3.0))
    return cloud_panels.paint(made, shown, at, kind, kind), made


def names_in(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_dots__have_the_colour_of_their_largest_output_weight():
    table, w = recorded(), np.linspace(1.0, 2.0, 30)
    (dots,), _ = drawn(table, at=3, weights={"": w})
    s = table["output_weight"].values[3]
    expected = [to_rgb(style.PALETTE[int(np.argmax(row))]) for row in s]
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], expected)
    size = w * np.sqrt((s**2).sum(axis=1))
    np.testing.assert_allclose(dots.get_sizes() / dots.get_sizes().sum(), size / size.sum())


def test_dots__of_several_largest_weights_are_grey():
    """Random signs have no largest one: the first would be that of half the particles."""
    table, signs = recorded(), np.tile([[1.0, 1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]], (10, 1))
    table["output_weight"].values[:] = signs
    (dots,), made = drawn(table)
    expected = [style.UNSIGNED, style.PALETTE[1], style.UNSIGNED] * 10
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], [to_rgb(colour) for colour in expected])
    assert names_in(made.figure.legends[0]) == [*NAMES, "several"]


def test_histogram__is_the_weighted_density_of_each_output():
    table, w = recorded(40, d=1), np.linspace(1.0, 2.0, 40)
    bars, _ = drawn(table, at=2, weights={"": w})
    b, largest = table["position"].values[2, :, 0], table["output_weight"].values[2].argmax(axis=1)
    assert len(bars) == 3
    for output, steps in enumerate(bars):
        heights, edges, _ = steps.get_data()
        naive = [
            (w / w.sum())[(largest == output) & (b >= low) & (b < high)].sum()
            for low, high in itertools.pairwise(edges)
        ]
        np.testing.assert_allclose(heights * np.diff(edges), naive, atol=1e-15)
        np.testing.assert_allclose(steps.get_facecolor()[:3], to_rgb(style.PALETTE[output]))


@pytest.mark.parametrize(
    ("outputs", "names", "expected"),
    [
        (3, NAMES, NAMES),
        (3, None, ["output 0", "output 1", "output 2"]),
        (3, [7, 3, 5], ["class 7", "class 3", "class 5"]),
        (2, ["$a", "b" * 50], [r"\$a", "b" * 20]),
        (23, None, [*(f"output {o}" for o in range(20)), "others"]),
    ],
    ids=["names", "none", "numbers", "long", "many"],
)
def test_legend__names_the_outputs(outputs, names, expected):
    _, made = drawn(recorded(outputs=outputs, names=names))
    (legend,) = made.figure.legends
    assert names_in(legend) == expected
    colours = [to_hex(handle.get_color()) for handle in legend.legend_handles]
    assert len(set(colours)) == len(colours)


def test_legend__stands_beside_the_panels():
    _, made = drawn(recorded())
    cloud_panels.settle(made)
    made.figure.canvas.draw()
    (legend,) = made.figure.legends
    assert legend.get_window_extent().x0 > made.panels[0].get_window_extent().x1


def test_movie__is_wider_by_its_legend(tmp_path):
    signs = recorded()
    signs = signs.assign(output_weight=signs["output_weight"].isel(output=0, drop=True)).drop_vars("output")
    widths = [movies.pictures(reel(table, Camera(), 2))[0].width for table in (signs, recorded())]
    assert widths[0] == 320 and 360 < widths[1] < 420
    path = movies.movie({"M = 30": recorded(), "limit": recorded(400, seed=1)}, tmp_path / "a.gif", frames=3)
    assert path.read_bytes()[:6] == b"GIF89a"


def test_description__says_what_colours_are():
    runs = {"M = 30": recorded(), "limit": recorded(400, seed=1)}
    words = cloud_panels.description(reel(runs, Camera(), 2))
    assert "area by w |s|, colour the output with the largest weight" in words and "all outputs together" in words
    assert "signs" not in words
    alone = recorded().drop_vars("output_weight")
    assert "output weights not recorded" in cloud_panels.description(reel(alone, Camera(), 2))
    assert not drawn(alone)[1].figure.legends


def test_functions__are_a_line_an_output():
    one, limit = recorded(n=9), recorded(400, n=9, seed=1)
    limit = limit.assign(target=one["target"])
    x = np.linspace(2.0, -2.0, 9)
    lines, made = drawn({"M = 30": one, "limit": limit}, kind=2, at=4, inputs=x)
    assert [line.get_linestyle() for line in lines] == ["--"] * 3 + ["-"] * 3
    assert [line.get_color() for line in lines] == list(style.PALETTE[:3]) * 2
    for output, line in enumerate(lines[3:]):
        np.testing.assert_array_equal(line.get_xdata(), x[::-1])
        np.testing.assert_array_equal(line.get_ydata(), limit["prediction"].values[4, ::-1, output])
    targets = [line for line in made.panels[2].lines if line.get_label() == "targets"]
    for output, line in enumerate(targets):  # of classes each sample has one dot, at its own
        assert np.isfinite(line.get_ydata()).tolist() == (one["target"].values[::-1, output] == 1).tolist()


def test_reel__refuses_runs_of_other_outputs():
    with pytest.raises(mf.InputError, match=r"need one number of outputs: got 3, and 2 in 'b'. Draw them apart."):
        reel({"a": recorded(), "b": recorded(outputs=2)}, Camera(), 2)


def test_reel__refuses_output_weights_over_other_dimensions():
    table = recorded(n=9)
    swapped = table.assign(output_weight=table["output_weight"].transpose("time", "output", "particle"))
    with pytest.raises(mf.InputError, match="output weights must be over time, particle, output: got time, output, pa"):
        reel(swapped, Camera(), 2)
    one = table.assign(prediction=table["prediction"].isel(output=0))
    with pytest.raises(mf.InputError, match="predictions must be over time, sample, output: got time, sample"):
        reel(one, Camera(), 2, inputs=np.arange(9.0))


def test_cloud__of_a_run_names_the_classes_that_it_has():
    table = recorded()
    table["output_weight"].values[-1, :, 1] = -9.0
    axes = mf.plot.cloud(table, limit=recorded(400, seed=1))
    assert names_in(axes.get_legend()) == ["ant", "bee", "cat", "limit"]
    assert names_in(mf.plot.cloud(table, time=4.0).get_legend()) == ["ant", "bee", "cat"]  # bee before the last time
    assert names_in(mf.plot.cloud(table.isel(time=[4])).get_legend()) == ["ant", "cat"]


def test_cloud__of_a_measure_has_numbers_for_names():
    start = mf.Gaussian(2).sample(64, seed=0, signs="unit", outputs=3)
    assert names_in(mf.plot.cloud(start).get_legend()) == ["output 0", "output 1", "output 2"]
    assert (at_once(start)["output_weight"].values[0] == start.s).all()


@pytest.mark.parametrize(("outputs", "names"), [(3, NAMES), (10, None)])
def test_plot__of_an_output_has_its_colour_in_the_cloud(outputs, names):
    table = recorded(outputs=outputs, names=names, n=4).assign_attrs(config="{}", config_hash="", status="finished")
    axes = table.isel(sample=1).mf.plot("prediction", by="output")
    assert [to_hex(line.get_color()) for line in axes.lines] == [c.lower() for c in style.class_colours(outputs)[:-1]]
    expected = names or range(outputs)
    assert names_in(axes.get_legend()) == [f"output = {name}" for name in expected]
    with pytest.raises(mf.InputError, match=r"Take one first: ds\.isel\(sample=0, output=0\)\.mf"):
        table.mf.plot("prediction")


@pytest.mark.parametrize("count", [2, 6, 7, 10, 11, 20])
def test_class_colours__differ(count):
    colours = style.class_colours(count)
    assert len(set(colours)) == len(colours) == count + 1 and all(map(matplotlib.colors.is_color_like, colours))
    assert style.class_colours(25) == style.class_colours(20)


@pytest.mark.parametrize("count", [6, 10, 20])
def test_class_colours__are_none_like_the_grey_of_no_class(count):
    *colours, grey = (np.array(to_rgb(colour)) for colour in style.class_colours(count))
    assert min(np.abs(colour - grey).max() for colour in colours) > 0.1


def run_of(record):
    random = np.random.default_rng(0)
    labels = np.arange(12) % 3
    data = mf.Dataset(random.standard_normal((12, 2)), np.array(NAMES)[labels])
    start = mf.Gaussian(2).sample(40, seed=0, signs="unit", outputs=3)
    net = mf.Network("tanh", outputs=3)
    return mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=3, loss="softmax", record=record)


def test_report__has_curves_and_a_film_in_the_colours_of_classes(tmp_path):
    run = run_of(["loss", "accuracy", "prediction", "position", "output_weight"])
    page = report.write(run.save(tmp_path / "run.h5"), tmp_path / "run.html").read_text("utf-8")
    film = json.loads(re.search(r'id="film-data">(.*?)</script>', page, re.DOTALL)[1])
    assert film["classes"] == NAMES and film["colours"] == list(style.PALETTE[:3])
    assert 'id="film-keys"' in page and "colour the output with the largest weight" in page
    assert "share of training samples with margin (own output - largest other)" in page


def test_report__of_a_file_with_other_names_than_outputs_is_written(tmp_path):
    run = run_of(["loss"])
    run.dataset = run.dataset.drop_dims("output").assign_coords(output=["a", "b"])
    page = report.write(run.save(tmp_path / "run.h5"), tmp_path / "run.html").read_text("utf-8")
    assert "The particles at the end" in page


def test_report__without_a_film_shows_the_last_cloud(tmp_path):
    page = report.write(run_of(["loss"]).save(tmp_path / "run.h5"), tmp_path / "run.html").read_text("utf-8")
    assert "The particles at the end" in page and 'id="film-keys"' not in page


def test_convergence__has_dots_in_the_colours_of_classes():
    law, times = mf.Gaussian(2), np.linspace(0.0, 2.0, 3)
    start = law.sample(64, seed=0, signs="unit", outputs=3)
    limit = law.quadrature(256, signs="unit", outputs=3)
    random = np.random.default_rng(0)
    runs = {(M, s): record(random.standard_normal((3, 7)) / M**0.5, times) for M in (8, 64) for s in (0, 1, 2)}
    compared = mf.compare(runs, record(np.zeros((3, 7)), times), None)
    clouds = [Cloud("M = 64", start, start), Cloud("limit", limit, limit)]
    figure = convergence([8, 64], None, times, None, compared, clouds, "title")
    dots = [line for line in figure.axes[2].lines if len(line.get_xdata())]
    assert [to_hex(line.get_color()) for line in dots] == [colour.lower() for colour in style.PALETTE[:3]]
    assert [len(line.get_xdata()) for line in dots] == np.bincount(start.s.argmax(axis=1)).tolist()
    assert names_in(figure.axes[2].get_legend()) == ["limit", "M = 64"]
