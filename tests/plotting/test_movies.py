"""Moving pictures: they show the recorded cloud at the recorded time, on fixed axes, and are the same file always."""

import itertools
import os
import re
import shutil

import matplotlib
import numpy as np
import pytest
import xarray
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image
from scipy.stats import norm

import particles as mf
from particles.plotting import cloud_panels, density, movies
from particles.plotting.clouds import reel
from particles.plotting.view import Camera, picked

TIMES = np.linspace(0.0, 5.0, 6)
WHITE = (255, 255, 255)


def recorded(k=20, d=2, times=TIMES, seed=0, signed=True, n=None, **attrs):
    """A made-up run: every particle moves on a line, mostly along the first direction."""
    random = np.random.default_rng([seed, k, d])
    way = random.standard_normal((k, d)) * np.array([3.0, 0.5, 0.1, 0.1, 0.1])[:d]
    position = random.standard_normal((k, d)) + times[:, None, None] * way
    data = {"position": (("time", "particle", "dim"), position)}
    if signed:
        data["output_weight"] = (("time", "particle"), np.tile(random.choice([-1.0, 1.0], k), (len(times), 1)))
    if n:
        data["prediction"] = (("time", "sample"), random.standard_normal((len(times), n)))
        data["target"] = ("sample", random.standard_normal(n))
    return xarray.Dataset(data, coords={"time": ("time", times, {"units": "1"})}, attrs=attrs)


def pair(**options):
    return {"M = 20": recorded(20, **options), "limit": recorded(50, seed=1, **options)}


def drawn(runs, kind=0, at=0, camera=None, frames=6, **options):
    """The artists of one panel at one time, and the panel."""
    shown = reel(runs, camera or Camera(), frames, **options)
    made = cloud_panels.screen(shown, (3.0, 3.0))
    return cloud_panels.paint(made, shown, at, kind, kind), made.panels[kind]


def frames_of(path):
    """Every frame as RGB, and its duration in milliseconds."""
    with Image.open(path) as film:
        found = []
        for at in range(film.n_frames):
            film.seek(at)
            found.append((np.asarray(film.convert("RGB")), film.info["duration"]))
        assert film.info["loop"] == 0
    return [frame for frame, _ in found], [duration for _, duration in found]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """One movie of two runs, made twice."""
    folder = tmp_path_factory.mktemp("film")
    return [movies.movie(pair(), folder / name, frames=6, fps=5.0) for name in ("a.gif", "b.gif")]


def test_movie__has_a_frame_a_time_that_differ_and_last_alike(film):
    frames, durations = frames_of(film[0])
    assert durations == [200] * 6
    assert {frame.shape for frame in frames} == {(350, 640, 3)}
    for one, other in itertools.pairwise(frames):
        assert 0.001 < (one != other).any(axis=2).mean() < 0.5


def test_movie__of_the_same_runs_is_the_same_file(film):
    one, two = (path.read_bytes() for path in film)
    assert one == two and one[:6] == b"GIF89a"


def test_movie__has_one_palette_and_white_paper(film):
    frames, _ = frames_of(film[0])
    colours = np.unique(np.stack(frames).astype(int) @ [1 << 16, 1 << 8, 1])
    assert len(colours) <= 128
    for frame in frames:
        assert (frame == WHITE).all(axis=2).mean() > 0.5


def test_movie__keeps_its_axes_where_they_are(film):
    """Left of the panels are the labels of an axis, and below the caption: no pixel of them changes."""
    frames, _ = frames_of(film[0])
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame[:, :25], frames[0][:, :25])
        np.testing.assert_array_equal(frame[-25:], frames[0][-25:])


def test_movie__rounds_durations_so_that_the_clock_is_kept(tmp_path):
    _, durations = frames_of(movies.movie(recorded(k=4), tmp_path / "a.gif", frames=6, fps=12.0))
    assert durations == [80, 90, 80, 80, 90, 80]
    assert sum(durations) == 500


def test_movie__holds_a_time_that_several_ticks_are_near(tmp_path):
    table = recorded(k=4, times=np.array([0.0, 1.0, 9.0]))
    _, durations = frames_of(movies.movie(table, tmp_path / "a.gif", frames=10, fps=10.0))
    assert durations == [100, 500, 400]  # ticks 0; 1 to 5, where 5 is as near to 9 and the earlier one is shown; 6 to 9


def test_movie__draws_over_the_still_part_what_drawing_all_gives():
    """Frames are those of the figure drawn anew, to the pixel."""
    shown = reel(pair(), Camera(), 6)
    fast = np.asarray(movies.pictures(shown)[3])
    made = cloud_panels.screen(shown, (6.4, 3.5))
    made.figure.set_dpi(100)
    canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(made.figure)
    made.figure.suptitle(cloud_panels.titles(shown)[3], fontsize=10)
    cloud_panels.settle(made)
    for kind in range(2):
        cloud_panels.paint(made, shown, 3, kind, kind)
    canvas.draw()
    slow = np.asarray(canvas.buffer_rgba())[..., :3]
    np.testing.assert_array_equal(fast, slow)


def test_movie__has_the_size_and_the_words_that_are_given(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "suptitle", lambda figure, words, **_: drawn.append(words) or figure.text(0, 0, words))
    path = movies.movie(recorded(4), tmp_path / "a.gif", frames=2, size=(4.0, 2.5), dpi=60, title="ReLU", caption=False)
    assert frames_of(path)[0][0].shape == (150, 240, 3)
    assert drawn == ["ReLU, t = 0.00"]


ENCODER = """#!/bin/sh
for last; do true; done
cat > "$last"
"""


def test_movie__as_mp4_gives_ffmpeg_every_frame_for_as_long_as_it_stays(tmp_path, monkeypatch):
    """A program of that name that writes what it reads: RGB frames, one after the other."""
    program = tmp_path / "ffmpeg"
    program.write_text(ENCODER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    table = recorded(4, times=np.array([0.0, 1.0, 9.0]))
    content = movies.movie(table, tmp_path / "a.mp4", frames=10, dpi=50).read_bytes()
    frames = np.frombuffer(content, np.uint8).reshape(10, 175, 160, 3)
    changes = [at for at in range(1, 10) if (frames[at] != frames[at - 1]).any()]
    assert changes == [1, 6]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_movie__as_mp4_is_a_video(tmp_path):
    """Its height is odd."""
    path = movies.movie(recorded(4), tmp_path / "a.mp4", frames=3, size=(3.0, 2.51), dpi=100)
    assert path.read_bytes()[4:8] == b"ftyp"


def test_movie__as_mp4_needs_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(mf.InputError, match=r"needs the program ffmpeg: got none on PATH. Install it, or write a .gif"):
        movies.movie(recorded(), tmp_path / "a.mp4")


def test_movie__says_what_ffmpeg_could_not_do(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\ncat > /dev/null; echo 'no encoder for H.264' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(mf.InputError, match=r"got no encoder for H.264. Write a .gif"):
        movies.movie(recorded(4), tmp_path / "a.mp4", frames=2)
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.slow
def test_movie__of_sixty_frames_is_under_two_megabytes(tmp_path):
    times = np.linspace(0.0, 5.0, 60)
    runs = {str(M): recorded(M, 5, times, seed=M) for M in (1000, 5000)}
    path = movies.movie(runs, tmp_path / "a.gif")
    assert len(frames_of(path)[0]) == 60
    assert path.stat().st_size < 2e6


@pytest.mark.parametrize(
    ("clock", "wanted", "ticks"),
    [("time", [0, 3, 7, 10], [1, 1, 1, 1]), ("log", [0, 1, 3, 10], [1, 1, 1, 1])],
)
def test_clock__picks_even_times(clock, wanted, ticks):
    places, found = picked(np.arange(11.0), clock, 4)
    assert (places.tolist(), found.tolist()) == (wanted, ticks)


@pytest.mark.parametrize("times", [np.array([0.0, 1e-3, 1.0]), np.array([0.5, 1.0]), np.array([0.0, 7.0])])
@pytest.mark.parametrize("clock", ["time", "log"])
def test_clock__has_all_its_ticks_and_both_ends(clock, times):
    for frames in (2, 3, 30):
        places, ticks = picked(times, clock, frames)
        assert ticks.sum() == frames
        assert (places[0], places[-1]) == (0, len(times) - 1)


def test_title__is_the_flow_time_with_its_unit():
    """Of 0, 1, ... 5 the middle tick, 2.5, is as near to 2 as to 3: the earlier one is shown."""
    assert cloud_panels.titles(reel(recorded(), Camera(), 3))[1] == "flow time t = 2.00"


def test_title__tells_near_times_apart():
    words = cloud_panels.titles(reel(recorded(times=np.array([100.0, 100.01, 100.02])), Camera(), 3))
    assert words[1] == "flow time t = 100.01"


def test_dots__stand_where_the_particles_are_with_their_sign_and_weight():
    table, w = recorded(4), np.array([0.1, 0.2, 0.3, 0.4])
    (dots,), _ = drawn({"a": table}, at=2, weights={"a": w})
    np.testing.assert_array_equal(dots.get_offsets(), table["position"].values[2])
    np.testing.assert_allclose(dots.get_sizes() / dots.get_sizes().sum(), w)
    for colour, s in zip(dots.get_facecolors(), table["output_weight"].values[2], strict=True):
        np.testing.assert_allclose(colour[:3], to_rgb("#0072B2" if s > 0 else "#D55E00"))


def test_dots__grow_with_weights_that_move():
    w = np.stack([np.linspace(0.5, 0.9, 6), np.linspace(0.5, 0.1, 6)], axis=1)
    sizes = [drawn({"a": recorded(2)}, at=at, weights={"a": w})[0][0].get_sizes() for at in (0, 5)]
    np.testing.assert_allclose(sizes[1] / sizes[0], [1.8, 0.2])


def test_dots__of_many_particles_are_drawn_by_weight():
    """Half the weight on one particle of 2000: of 400 draws it has 200, give or take four standard errors of 10."""
    table, w = recorded(2000), np.full(2000, 0.5 / 1999)
    w[7] = 0.5
    shown = reel({"a": table}, Camera(dots=400), 6, weights={"a": w})
    (track,) = shown.tracks
    heavy = (track.points[0] == table["position"].values[0, 7]).all(axis=1)
    assert track.points.shape == (6, 400, 2) and abs(heavy.sum() - 200) <= 40
    np.testing.assert_allclose(track.share, 1.0 / 400)
    assert "400 drawn by weight of 2000 particles" in cloud_panels.description(shown)


def test_axes__of_many_dimensions_are_those_of_the_last_run_s_displacement():
    shown = reel(pair(d=5), Camera(), 6)
    axes = shown.plane.axes
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-12)
    b = pair(d=5)["limit"]["position"].values
    moved = b[-1] - b[0]
    top = np.linalg.svd(moved)[1]
    np.testing.assert_allclose(np.linalg.norm(moved @ axes, axis=0), top[:2])
    np.testing.assert_allclose(shown.tracks[1].points, b @ axes)
    assert "b in R^5 on the two principal axes of the displacement of limit" in cloud_panels.description(shown)


def test_axes__may_be_given():
    axes = np.array([[0.0], [1.0], [0.0]])
    shown = reel(recorded(d=3), Camera(axes=axes), 6)
    np.testing.assert_array_equal(shown.tracks[0].points[..., 0], recorded(d=3)["position"].values[..., 1])
    assert "b in R^3 on given axes e" in cloud_panels.description(shown)


def test_limits__are_the_same_in_both_panels_and_hold_every_particle():
    runs = pair()
    made = cloud_panels.screen(reel(runs, Camera(), 6), (3.0, 3.0))
    low, high = made.panels[0].get_xlim()
    assert made.panels[1].get_xlim() == (low, high)
    for table in runs.values():
        b = table["position"].values[..., 0]
        assert low < b.min() and b.max() < high


def test_limits__leave_out_nodes_that_weigh_nothing():
    table, w = recorded(30), np.full(30, 1.0)
    table["position"].values[:, 3] = 1e6
    w[3] = 1e-9
    shown = reel({"a": table}, Camera(), 6, weights={"a": w})
    assert shown.box[1].max() < 100.0
    assert re.search(r"Up to 3e-09% of the weight lies outside", cloud_panels.description(shown))


def test_histogram__is_the_weighted_density_of_each_sign():
    table, w = recorded(40, d=1), np.linspace(1.0, 2.0, 40)
    positive, negative = drawn({"a": table}, at=4, weights={"a": w})[0]
    b, s = table["position"].values[4, :, 0], table["output_weight"].values[4]
    for steps, chosen in ((positive, s > 0), (negative, s < 0)):
        heights, edges, _ = steps.get_data()
        naive = [(w / w.sum())[chosen & (b >= low) & (b < high)].sum() for low, high in itertools.pairwise(edges)]
        np.testing.assert_allclose(heights * np.diff(edges), naive, atol=1e-15)


def test_density__of_a_plane_integrates_to_one():
    shown = reel(recorded(500), Camera(density=True), 6)
    height = density.density(shown.tracks[0], shown.box, 2)
    cell = np.prod((shown.box[1] - shown.box[0]) / density.CELLS)
    np.testing.assert_allclose(height.sum(axis=(1, 2)) * cell, 1.0)


def test_density__of_a_plane_is_that_of_the_law():
    """A normal law by 100 x 100 nodes, three or four to a cell: a histogram shows the lattice, the density does not."""
    edge = norm.ppf((np.arange(100) + 0.5) / 100)
    points = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(-1, 2)
    box, share = np.array([[-3.0, -3.0], [3.0, 3.0]]), np.full(len(points), 1e-4)
    (grid, _), cell = density.edges(box), (6.0 / density.CELLS) ** 2
    middle = 0.5 * (grid[1:] + grid[:-1])
    exact = norm.pdf(middle)[:, None] * norm.pdf(middle)
    raw = np.histogramdd(points, [grid, grid], weights=share)[0] / cell
    errors = [np.abs(each - exact).max() / exact.max() for each in (density.smoothed(points, share, box), raw)]
    assert errors[0] < 0.08 and errors[1] > 3 * errors[0]


def test_density__does_not_blur_two_clusters_into_one():
    points = np.random.default_rng(0).standard_normal((4000, 2)) * 0.1 + np.repeat([[-5.0, 0.0], [5.0, 0.0]], 2000, 0)
    height = density.smoothed(points, np.full(4000, 1 / 4000), np.array([[-6.0, -1.0], [6.0, 1.0]]))
    across = height.max(axis=1)
    assert across[20:44].max() < 1e-6 * across.max()


@pytest.mark.parametrize(
    ("runs", "camera", "binned"),
    [
        ({"M = 20": recorded(20), "limit": recorded(300)}, Camera(), [False, True]),  # the last and larger one
        ({"limit": recorded(300), "M = 20": recorded(20)}, Camera(), [False, False]),
        (recorded(300, config='{"start": {"nodes": 300}}'), Camera(), [True]),
        (recorded(20, config='{"start": {"nodes": 300}}'), Camera(), [False]),
        (pair(), Camera(density=False), [False, False]),
        (pair(), Camera(density=True), [True, True]),
        (pair(d=1), Camera(density=False), [True, True]),
    ],
)
def test_density__is_drawn_of_the_limit(runs, camera, binned):
    shown = reel(runs, camera, 2)
    assert [track.binned for track in shown.tracks] == binned
    words = cloud_panels.description(shown)
    assert ("kernel density" in words) == (any(binned) and shown.box.shape[1] == 2)


def test_trajectories__lead_from_the_start_to_where_the_dots_are():
    table = recorded(20)
    (trails, dots), _ = drawn({"a": table}, at=3, camera=Camera(trajectories=True))
    ends = sorted(tuple(way[-1]) for way in trails.get_segments())
    assert ends == sorted(map(tuple, dots.get_offsets().tolist()))
    assert {len(way) for way in trails.get_segments()} == {4}
    starts = sorted(tuple(way[0]) for way in trails.get_segments())
    assert starts == sorted(map(tuple, table["position"].values[0].tolist()))


def test_directions__are_rays_on_the_plane_that_is_shown():
    axes, directions = np.eye(3)[:, [2, 0]], np.array([[3.0, 5.0, 4.0], [0.0, 1.0, 0.0]])
    artists, panel = drawn({"a": recorded(d=3)}, camera=Camera(axes=axes, directions=directions))
    (ray,) = artists[1:]  # the second one is at right angles to the plane
    (x0, x1), (y0, y1) = ray.get_data()
    assert (x0, y0) == (0.0, 0.0) and y1 / x1 == pytest.approx(3.0 / 4.0) and x1 > 0
    assert max(x1, y1) > max(panel.get_xlim()[1], panel.get_ylim()[1])


def test_graph__shows_g_of_every_run_over_the_inputs():
    runs, x = pair(d=1, n=7), np.random.default_rng(3).standard_normal((7, 1))
    lines, panel = drawn(runs, kind=2, at=3, inputs=x)
    order = np.argsort(x[:, 0])
    for line, table in zip(lines, runs.values(), strict=False):
        np.testing.assert_array_equal(line.get_xdata(), x[order, 0])
        np.testing.assert_array_equal(line.get_ydata(), table["prediction"].values[3, order])
    assert [words.get_text() for words in panel.get_legend().get_texts()] == ["targets", "M = 20", "limit"]


def test_caption__says_what_is_not_known():
    words = cloud_panels.description(reel(recorded(signed=False), Camera(), 2))
    assert "weights taken as equal" in words and "signs not recorded" in words


def test_run__brings_its_own_weights_and_opens_from_a_file(tmp_path):
    law, data = mf.Gaussian(dim=2), mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0])
    record = ("position", "output_weight")
    run = mf.simulate(
        mf.Network("tanh"), law.quadrature(64), data, mf.GradientDescent(0.5), steps=3, record=record, positions=50
    )
    assert np.ptp(run.measure.w) > 0
    again = mf.open_run(run.save(tmp_path / "run.h5"))
    shown = [reel(one, Camera(), 4) for one in (run, again)]
    for one in shown:
        np.testing.assert_allclose(one.tracks[0].share[2], run.measure.w[:50] / run.measure.w[:50].sum())
        np.testing.assert_allclose(one.tracks[0].points[-1], run.measure.b[:50])
        assert "the first 50 of 64 particles" in cloud_panels.description(one)


@pytest.mark.parametrize("d", [1, 3])
def test_still__is_a_row_a_run_and_a_column_a_time(tmp_path, d):
    paths = movies.still(pair(d=d, n=5), tmp_path / "a.png", frames=3, inputs=np.arange(5.0))
    assert paths == [tmp_path / "a.png", tmp_path / "a.svg"]
    assert imread(paths[0]).shape[:2] == (990, 990)
    page = paths[1].read_text()
    for words in ("t = 2.00", "M = 20", "limit"):
        assert f">{words}<" in page


def test_pictures__leave_matplotlib_s_settings_alone(tmp_path):
    before = matplotlib.rcParams.copy()  # a dict of it would look for a backend, in pyplot
    movies.still(recorded(), tmp_path / "a.svg", frames=1)
    assert matplotlib.rcParams.copy() == before


moving = recorded(config='{"method": "FisherRao(step=0.1, rate=1.0)"}')
lost = recorded().copy(deep=True)
lost["position"].values[3, 0, 0] = np.nan
REFUSED = {
    "no positions": (recorded().drop_vars("position"), {}, "needs recorded positions: got output_weight"),
    "no times": (recorded().isel(time=slice(0)), {}, "needs recorded times"),
    "one time": (recorded().isel(time=[2]), {}, "two times or more: got t = 2 alone"),
    "lost": (lost, {}, "must be finite: got NaN"),
    "dimensions": ({"a": recorded(), "b": recorded(d=3)}, {}, "one dimension: got 2, and 3 in 'b'"),
    "times": ({"a": recorded(), "b": recorded(times=TIMES * 2)}, {}, "same recorded times: got 6 up to t = 5 and 6"),
    "no runs": ({}, {}, "one to 4 runs: got 0"),
    "runs": ({str(i): recorded() for i in range(5)}, {}, "one to 4 runs: got 5"),
    "labels": ({"limit": recorded()}, {"weights": {"limt": [1.0]}}, "Did you mean 'limit'"),
    "few weights": ({"a": recorded()}, {"weights": {"a": np.ones(19)}}, r"shape \(20,\) or \(6, 20\): got \(19,\)"),
    "weights": ({"a": recorded()}, {"weights": {"a": -np.ones(20)}}, "finite and >= 0"),
    "moving weights": (moving, {}, "weights that move must be recorded or given: got FisherRao"),
    "axes": (recorded(), {"camera": Camera(axes=np.eye(3))}, r"shape \(2, 2\) or \(2, 1\): got \(3, 3\)"),
    "directions": (recorded(), {"camera": Camera(directions=np.eye(3))}, r"shape \(k, 2\): got \(3, 3\)"),
    "size": (recorded(), {"size": (0.1, 3.0)}, r"`size\[0\]` must be a finite number from 1 to 40"),
    "dpi": (recorded(), {"dpi": 0}, "`dpi` must be a finite number from 20 to 600"),
    "no g": (recorded(), {"inputs": np.arange(5.0)}, "must be recorded: got no prediction"),
    "inputs": (recorded(n=5), {"inputs": np.arange(4.0)}, r"shape \(5,\): got \(4,\)"),
    "start alone": (recorded(times=np.zeros(1)), {"camera": Camera("log")}, "needs a time after 0: got t = 0"),
    "frames": (recorded(), {"frames": 1}, "`frames` must be a whole number from 2 to 10000"),
    "many frames": (recorded(), {"frames": 10**9}, "`frames` must be a whole number from 2 to 10000"),
    "fps": (recorded(), {"fps": 100}, "`fps` must be a finite number from 1 to 50"),
}


@pytest.mark.parametrize(("runs", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_movie__refuses(tmp_path, runs, options, message):
    with pytest.raises(mf.InputError, match=message):
        movies.movie(runs, tmp_path / "a.gif", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("make", "name"), [(movies.movie, "a.avi"), (movies.movie, "a"), (movies.still, "a.gif")])
def test_path__has_the_suffix_of_what_is_written(tmp_path, make, name):
    with pytest.raises(mf.InputError, match="`path` must end in"):
        make(recorded(), tmp_path / name)


@pytest.mark.parametrize(("options", "message"), [({"clock": "tim"}, "Did you mean 'time'"), ({"dots": 0}, "`dots`")])
def test_camera__refuses(options, message):
    with pytest.raises(mf.InputError, match=message):
        Camera(**options)


def test_movie__of_weights_that_move_shows_those_that_were_recorded(tmp_path):
    random = np.random.default_rng(0)
    data = mf.Dataset(random.standard_normal((9, 2)), random.standard_normal(9))
    start, record = mf.Gaussian(2).sample(30, 0, signs="random"), ("position", "particle_weight")
    run = mf.simulate(mf.Network("tanh"), start, data, mf.FisherRao(1.0, rate=5.0), steps=4, record=record)
    weights = run.dataset["particle_weight"].values
    assert np.abs(weights[-1] - weights[0]).max() > 1e-3
    shown = [tmp_path / "recorded.gif", tmp_path / "given.gif"]
    for path, given in zip(shown, (None, {"": weights}), strict=True):
        mf.movie({"": run}, path, weights=given)
    assert shown[0].read_bytes() == shown[1].read_bytes()
