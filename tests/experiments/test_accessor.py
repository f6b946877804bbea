"""`ds.mf`: aligned comparison, fitted powers, figures and clouds of a dataset of this program."""

import shutil
import subprocess
import sys

import matplotlib.colors
import numpy as np
import pytest
import xarray
from support.daily import some
from support.summaries import COUNTS, LIMIT, SEEDS, summed
from support.sweeps import swept

import particles as mf
import particles.xarray
from particles.storage.forms import CONSTANTS

NET, DATA = mf.Network("tanh"), mf.Dataset(np.random.default_rng(0).standard_normal((9, 2)), np.arange(9.0))
ALL = ("position", "output_weight", "particle_weight", "prediction", "loss")


def run(M=8, seed=0, step=0.1, steps=4, record=("prediction", "loss"), data=DATA, **options):
    start = mf.Gaussian(2).sample(M, seed=seed)
    return mf.simulate(NET, start, data, mf.GradientDescent(step=step), steps=steps, record=record, **options).dataset


@pytest.mark.parametrize(
    "ask",
    [
        lambda data: data.mf.config,
        lambda data: data.mf.events,
        lambda data: data.mf.limits,
        lambda data: data.mf.measure(),
        lambda data: data.mf.plot("loss"),
        lambda data: data.mf.exponent("count", of="loss"),
        lambda data: data.mf.compare(data),
    ],
)
def test_accessor__refuses_a_dataset_of_others(ask):
    with pytest.raises(mf.InputError, match=r"dataset of this program: got attributes none"):
        ask(xarray.Dataset({"loss": ("time", [1.0])}))


def test_accessor__can_be_looked_at_on_any_dataset():
    assert "no dataset of particles" in repr(xarray.Dataset().mf) and "compare" in repr(run().mf)


def test_config_and_events__are_the_run_s():
    data = run(steps=3)
    assert data.mf.config["steps"] == 3 and data.mf.events == []


def test_compare__is_the_rms_of_predictions_at_shared_times():
    slow, fast = run(M=8, step=0.1, steps=8), run(M=64, seed=1, step=0.2, steps=3)
    found = slow.mf.compare(fast)
    np.testing.assert_allclose(found["time"], [0.0, 0.2, 0.4, 0.6], rtol=1e-12)
    differences = slow["prediction"].values[[0, 2, 4, 6]] - fast["prediction"].values
    np.testing.assert_allclose(found["distance"].values[0, 0], np.sqrt((differences**2).mean(axis=1)), rtol=1e-14)
    assert found["count"].values.tolist() == [8] and found["seed"].values.tolist() == [-1]


def test_compare__of_a_run_with_itself_is_zero():
    data = run()
    assert data.mf.compare(data)["distance"].values.tolist() == [[[0.0] * 5]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: run(record_every=[4]).isel(time=[1]).assign_coords(time=[0.35]), "must share recorded flow times"),
        (lambda: run(record=("loss",)), "must hold the variable prediction"),
        (lambda: run(data=mf.Dataset(DATA.x[:5], DATA.y[:5])), "need the same samples: got 9 and 5"),
        (lambda: run(data=mf.Dataset(DATA.x, -DATA.y)), "or other targets"),
    ],
    ids=["times", "prediction", "size", "targets"],
)
def test_compare__refuses_runs_that_cannot_be_compared(other, message):
    with pytest.raises(mf.InputError, match=message):
        run().mf.compare(other())


def test_compare__of_a_sweep_is_the_sweep_s_own_comparison(tmp_path):
    _, tree = summed(tmp_path, COUNTS, SEEDS, LIMIT)
    data = mf.open_sweep(tmp_path)
    coarse, fine = (mf.open_run(file).dataset for file in data.mf.limits)
    whole = tree["comparison"].to_dataset()
    xarray.testing.assert_equal(data.mf.compare(), whole)
    xarray.testing.assert_equal(mf.compare(data), whole)
    measured = whole.drop_vars([*CONSTANTS, "distance_theory"])  # another limit has no prediction of the sweep's
    xarray.testing.assert_equal(data.mf.compare(fine, coarse), measured)
    xarray.testing.assert_equal(mf.compare(data, fine, coarse), measured)
    assert data.mf.exponent() == data.mf.compare().mf.exponent()


def test_compare__without_a_limit_asks_for_one():
    with pytest.raises(mf.InputError, match=r"needs a limit: got a dataset that lists none\. Give one"):
        run().mf.compare()


def test_compare__takes_one_step_size_of_a_sweep_over_them(tmp_path):
    swept(tmp_path, COUNTS, "method.step=[0.1, 0.2]", LIMIT)
    data = mf.open_sweep(tmp_path)
    limits = {setting["step"]: file for file, setting in data.mf.limits.items()}
    for step in (0.1, 0.2):
        found = data.sel(step=step).mf.compare(mf.open_run(limits[step]).dataset)
        own = data.sel(step=step).mf.compare()
        xarray.testing.assert_equal(own["distance"], found["distance"])
        np.testing.assert_allclose(found["time"], step * np.arange(4), rtol=1e-12)
    with pytest.raises(mf.InputError, match=r"also step. Take one first: ds.isel\(step=0\)"):
        data.mf.compare(mf.open_run(limits[0.1]).dataset)


@pytest.mark.parametrize("power", [-0.5, 1.5])
def test_exponent__of_an_exact_power_is_that_power(power):
    values = np.array([1.0, 2.0, 3.0]) * np.array([4.0, 16.0, 64.0])[:, None] ** power
    data = xarray.Dataset(
        {"error": (("count", "seed"), values)}, {"count": [4, 16, 64], "seed": [0, 1, 2]}, {"study": "a test"}
    )
    found = data.mf.exponent("count", of="error")
    np.testing.assert_allclose(found[:3], power, rtol=1e-12)
    assert found.independent == 3
    swapped = data.transpose("seed", "count").mf.exponent(of="error")
    np.testing.assert_allclose(swapped[:3], power, rtol=1e-12)


def test_exponent__has_scipy_s_interval_for_one_line():
    from scipy.stats import linregress, t

    random = np.random.default_rng(1)
    steps = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
    error = steps**2 * np.exp(0.1 * random.standard_normal(5))
    data = xarray.Dataset({"error": ("step", error)}, {"step": steps}, {"study": "a test"})
    line = linregress(np.log(steps), np.log(error))
    half = t.ppf(0.975, 3) * line.stderr
    found = data.mf.exponent("step", of="error")
    np.testing.assert_allclose(found[:3], [line.slope, line.slope - half, line.slope + half], rtol=1e-10)


@pytest.mark.parametrize(
    ("values", "places", "message"),
    [
        ([1.0, np.nan], [1, 2], "error with 1 of 2 not positive"),
        ([1.0, 0.0], [1, 2], "error with 1 of 2 not positive"),
        ([1.0], [1], "at 1 values of step"),
        ([1.0, 2.0], [0, 1], "positive numbers at two places or more"),
        ([1.0, 2.0], ["a", "b"], "`step` must have numbers"),
    ],
)
def test_exponent__refuses_what_has_no_power(values, places, message):
    data = xarray.Dataset({"error": ("step", values)}, {"step": places}, {"study": "a test"})
    with pytest.raises(mf.InputError, match=message):
        data.mf.exponent("step", of="error")


def test_exponent__names_the_nearest_variable():
    with pytest.raises(mf.InputError, match="Did you mean 'loss'"):
        run().mf.exponent("time", of="los")


def test_plot__draws_the_numbers_over_flow_time():
    data = run()
    axes = data.mf.plot("loss")
    (line,) = axes.lines
    assert line.get_xdata().tolist() == data["time"].values.tolist()
    assert line.get_ydata().tolist() == data["loss"].values.tolist()
    assert axes.get_xlabel() == "flow time $t$"
    assert axes.get_ylabel() == "training loss"


def test_plot__has_a_line_of_its_own_colour_for_each_value(tmp_path):
    swept(tmp_path, COUNTS, SEEDS)
    data = mf.open_sweep(tmp_path)
    axes = data.mf.plot("loss", by="count")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["$M$ = 8", "$M$ = 16"]
    assert len({matplotlib.colors.to_hex(line.get_color()) for line in axes.lines}) == 2
    for line, values in zip(axes.lines, data["loss"].values, strict=True):
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=0), rtol=1e-14)
    for band, values in zip(axes.collections, data["loss"].values, strict=True):
        top = band.get_paths()[0].get_extents().ymax
        np.testing.assert_allclose(top, (values.mean(axis=0) + values.std(axis=0, ddof=1)).max(), rtol=1e-12)


def test_plot__of_two_variables_in_the_same_axes_tells_them_apart():
    data = run(record=("loss", "prediction"))
    axes = data.mf.plot("loss")
    data.assign(test_loss=2.0 * data["loss"]).mf.plot("test_loss", ax=axes)
    first, second = axes.lines
    assert matplotlib.colors.to_rgb(first.get_color()) != matplotlib.colors.to_rgb(second.get_color())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training loss", "test loss"]
    assert axes.get_ylabel() == data.mf.plot("loss", ax=axes).get_ylabel() == "training loss, test loss"


def test_plot__gives_each_step_size_its_own_times(tmp_path):
    swept(tmp_path, "method.step=[0.1, 0.2]")
    axes = mf.open_sweep(tmp_path).mf.plot("loss", by="step")
    for line, step in zip(axes.lines, (0.1, 0.2), strict=True):
        np.testing.assert_allclose(line.get_xdata(), step * np.arange(4), rtol=1e-12)


def test_plot__leaves_out_what_is_not_there(tmp_path):
    made, _ = summed(tmp_path, COUNTS)
    (tmp_path / "runs" / f"{made.cases[0].key}.h5").unlink()
    axes = mf.open_sweep(tmp_path).mf.plot("loss", by="count")
    assert len(axes.lines) == 1


def test_plot__asks_for_one_of_a_dimension_that_it_cannot_draw():
    with pytest.raises(mf.InputError, match=r"also sample. Take one first: ds.isel\(sample=0\)"):
        run().mf.plot("prediction")
    assert len(run().mf.plot("prediction", by="sample").lines) == 9


def test_measure__is_the_cloud_at_a_recorded_time():
    start = mf.Gaussian(2).sample(8, seed=0)
    data = mf.simulate(NET, start, DATA, mf.GradientDescent(step=0.1), steps=4, record=ALL)
    for found, wanted in ((data.dataset.mf.measure(0.0), start), (data.dataset.mf.measure(), data.measure)):
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_measure__of_a_small_run_in_a_sweep_has_its_own_particles(tmp_path):
    made, _ = swept(tmp_path, COUNTS, f"record.variables={list(ALL)}".replace("'", '"'))
    data = mf.open_sweep(tmp_path)
    for case, M in zip(made.cases, (8, 16), strict=True):
        wanted = mf.open_run(tmp_path / "runs" / f"{case.key}.h5").measure
        found = data.sel(count=M).mf.measure()
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("options", "time", "message"),
    [
        ({"record": ALL}, 0.15, "must be a recorded one: got 0.15, next to"),
        ({"record": ALL, "positions": 3}, None, "3 particles with the sum 0.375. Run with positions=None"),
        (
            {"record": ("position",)},
            None,
            "no 'output_weight', no 'particle_weight'. Record output_weight, particle_weight",
        ),
    ],
)
def test_measure__refuses_what_was_not_recorded(options, time, message):
    with pytest.raises(mf.InputError, match=message):
        run(**options).mf.measure(time)


OPEN = "data = xarray.open_dataset(sys.argv[1], engine='h5netcdf')"
ORDERS = [
    f"import sys, xarray, particles.xarray; {OPEN}",
    f"import sys, particles.xarray, xarray; {OPEN}",
    f"import sys, xarray; {OPEN}; import particles.xarray",
    "import sys, particles; data = particles.open_run(sys.argv[1]).dataset",
    "import sys, xarray, particles; data = particles.open_sweep(sys.argv[2])",
]


@pytest.mark.parametrize("code", some(ORDERS, *ORDERS[1:3]))
def test_accessor__is_there_in_any_order_of_imports(tmp_path, code):
    start = mf.Gaussian(2).sample(4, seed=0)
    run = mf.simulate(NET, start, DATA, mf.GradientDescent(step=0.1), steps=2, config={"steps": 2})
    file = run.save(tmp_path / "runs" / "a.h5")
    code = f"{code}; print(data.mf.config['steps'], sum('particles' in type(f).__module__ for f in sys.meta_path))"
    command = [sys.executable, "-W", "error", "-c", code, str(file), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["2", "0"], "")


def test_accessor__leaves_xarray_alone_until_asked():
    code = "import sys, particles, xarray; print(hasattr(xarray.Dataset, 'mf'), 'particles.xarray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(("module", "heavy"), [("particles", "xarray"), ("particles.xarray", "numba")])
def test_accessor__costs_nothing_before_it_is_used(module, heavy):
    code = f"import sys, {module}; print({heavy!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture(scope="module")
def small_sweep(tmp_path_factory):
    """Two sizes and two starts on scaled data, with a limit, in a folder."""
    out = tmp_path_factory.mktemp("small") / "sweep"
    data = mf.Dataset(DATA.x * 10.0, DATA.y + 50.0).scaled("standard", "standard")
    grid = {"count": [8, 16], "seed": [0, 1], "limit": 16, "out": out}
    return data, out, mf.sweep(NET, mf.Gaussian(2), data, mf.GradientDescent(0.1), steps=3, **grid)


@pytest.mark.parametrize("plain", [False, True], ids=["sweep", "xarray"])
def test_run__of_a_sweep_is_the_one_at_its_place(small_sweep, plain):
    data, out, sweep = small_sweep
    place = {"count": 16, "seed": 1}
    opened = xarray.open_dataset(out / "sweep.h5", engine="h5netcdf") if plain else sweep
    wanted = sweep["prediction"].sel(place).isel(time=-1).values
    assert (opened.sel(place).mf.run().predict(DATA.x * 10.0) == data.scaling.outputs_of(wanted)).all()


def test_run__asks_for_one_place(small_sweep):
    with pytest.raises(mf.InputError, match=r"several of seed\. Choose one place: ds\.sel\(seed=\.\.\.\)"):
        small_sweep[2].sel(count=8).mf.run()
    with pytest.raises(mf.InputError, match="`run` needs the dataset of a sweep: got another one"):
        run().mf.run()


def test_run__that_is_missing_is_named(small_sweep, tmp_path):
    _, out, _ = small_sweep
    shutil.copy(out / "sweep.h5", tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(mf.StorageError, match=r"no such file: .*runs/\w{16}\.h5"):
        mf.open_sweep(tmp_path).sel(count=8, seed=0).mf.run()
