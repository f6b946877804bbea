"""Figures of one panel: in the user's axes or in a figure of their own, which pyplot knows where it is used."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure
from support.records import record

import particles as mf
from particles.plotting import style

TIMES = np.linspace(0.0, 4.0, 5)


def recorded(k=12, d=2, seed=0):
    random = np.random.default_rng(seed)
    position = random.standard_normal((k, d)) + TIMES[:, None, None] * random.standard_normal((k, d))
    signs = np.tile(np.where(np.arange(k) % 2, 1.0, -1.0), (len(TIMES), 1))
    data = {"position": (("time", "particle", "dim"), position), "output_weight": (("time", "particle"), signs)}
    return xarray.Dataset(data, coords={"time": TIMES})


def compared():
    random, times = np.random.default_rng(0), np.linspace(0.0, 2.0, 5)
    runs = {(M, s): record(random.standard_normal((5, 7)) / M**0.5, times) for M in (8, 32, 128) for s in (0, 1, 2)}
    return mf.compare(runs, record(np.zeros((5, 7)), times), None)


def dots(axes):
    """Where the dots of a cloud are, and the contours of a density."""
    offsets = [one.get_offsets() for one in axes.collections if len(one.get_offsets()) > 1]
    return offsets, [one for one in axes.collections if hasattr(one, "levels")]


@pytest.mark.parametrize(("time", "at"), [(None, 4), (0.0, 0), (2.2, 2)])
def test_cloud__shows_the_particles_at_a_time(time, at):
    data = recorded()
    axes = mf.plot.cloud(data, time=time)
    ((offsets,), contours) = dots(axes)
    np.testing.assert_array_equal(offsets, data["position"].values[at])
    assert not contours and axes.get_title() == f"flow time t = {TIMES[at]:.2f}"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$b_1$", "$b_2$")


def test_cloud__has_the_density_of_the_limit_underneath():
    axes = mf.plot.cloud(recorded(), limit=recorded(400, seed=1))
    (_, (contours,)) = dots(axes)
    scatter = next(one for one in axes.collections if one is not contours)
    assert contours.get_zorder() < scatter.get_zorder()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["$s > 0$", "$s < 0$", "limit"]


def test_cloud__of_a_measure_has_no_time():
    start, law = mf.Gaussian(3).sample(20, seed=0), mf.Gaussian(3)
    axes = mf.plot.cloud(start, limit=law.quadrature(512))
    ((offsets,), (_,)) = dots(axes)
    assert offsets.shape == (20, 2) and axes.get_title() == ""
    with pytest.raises(mf.InputError, match="`time` is for runs: got a measure"):
        mf.plot.cloud(start, time=1.0)


def test_cloud__on_a_line_has_the_limit_as_outlines():
    axes = mf.plot.cloud(recorded(d=1), limit=recorded(400, 1, 1))
    assert [patch.get_fill() for patch in axes.patches] == [False, False, True, True]


def test_cloud__shows_trajectories_up_to_its_time():
    camera = mf.Camera(trajectories=True, directions=[[1.0, 1.0]])
    axes = mf.plot.cloud(recorded(), time=2.0, camera=camera)
    ways = next(one for one in axes.collections if hasattr(one, "get_segments")).get_segments()
    assert len(ways) == 12 and {len(way) for way in ways} == {3}
    assert [line.get_linestyle() for line in axes.lines] == ["--"]


def test_distance__shows_the_fit_over_neurons():
    data = compared()
    axes = mf.plot.distance(data)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"{float(data['exponent']):.3f}" in labels[0] and labels[1] == "theory $M^{-1/2}$"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["8", "32", "128"]


def test_distance__refuses_what_is_no_comparison():
    with pytest.raises(mf.InputError, match="must be a comparison with the limit"):
        mf.plot.distance(recorded())


DRAWN = {
    "variable": lambda ax=None: compared().isel(count=0, seed=0).mf.plot("distance", ax=ax),
    "cloud": lambda ax=None: mf.plot.cloud(recorded(), ax=ax),
    "distance": lambda ax=None: mf.plot.distance(compared(), ax=ax),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_plots__refuse_all_axes_that_subplots_gives(draw):
    with pytest.raises(mf.InputError, match=r"`ax` must be one Axes .* shape \(2,\). Choose one, such as ax"):
        draw(ax=Figure().subplots(1, 2))
    with pytest.raises(mf.InputError, match="`ax` must be one Axes of Matplotlib: got Figure"):
        draw(ax=Figure())


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_ax__is_drawn_in_with_its_own_style(draw):
    with matplotlib.rc_context({"font.size": 21.0}):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        assert draw(ax=right) is right
    assert right.has_data() and not left.has_data() and figure.axes == [left, right]
    assert right.xaxis.label.get_fontsize() == 21.0


@pytest.fixture
def pyplot(monkeypatch):
    """pyplot as a user imports it; other tests are without it."""
    from matplotlib import pyplot

    sys.modules.pop("matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    pyplot.switch_backend("agg")
    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_figure__is_pyplot_s_where_pyplot_is_used(draw, pyplot):
    axes = draw()
    assert pyplot.get_fignums() == [axes.figure.number] and pyplot.gca() is axes


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_figure__is_kept_by_nobody_where_pyplot_is_not_used(draw, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    assert not style.with_pyplot()
    axes = draw()
    assert axes.figure.canvas.manager is None and "matplotlib.pyplot" not in sys.modules


SHELL = """
from IPython.core.interactiveshell import InteractiveShell
import sys
import particles as mf
from particles.plotting import style
InteractiveShell.instance()
assert "matplotlib.pyplot" not in sys.modules
axes = mf.plot.cloud(mf.Gaussian(2).sample(8, seed=0))
from matplotlib import pyplot
assert pyplot.gca() is axes
"""


def test_figure__is_pyplot_s_in_a_notebook(tmp_path):
    """A shell of IPython, as a notebook has one."""
    environment = {"MPLBACKEND": "agg", "IPYTHONDIR": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", SHELL], check=True, env=environment)
