"""Files of networks with ten outputs: runs, checkpoints, particles left in files, sweeps; class names in them."""

import numpy as np
import pytest
import xarray as xr
from support.sweeps import Silent

import particles as mf
from particles.experiments import summary
from particles.experiments.object_plan import object_plan
from particles.experiments.sweep import run_sweep
from particles.storage import particle_files
from particles.storage.run_file import open_final, open_root, open_tree

K, STEPS = 10, 8
NET = mf.Network("tanh", train=("input", "output"), outputs=K)
CASES = {
    "GD": (mf.GradientDescent(0.5), {}),
    "SGD": (mf.SGD(0.3, batch=4, seed=3), {}),
    "one-sample": (mf.SGD(0.3, seed=3), {"loss": "squared"}),
    "averaged": (mf.AveragedSGD(0.3, weight_decay=0.1, batch=4), {}),
    "Runge-Kutta": (mf.RungeKutta(0.5, tolerance=1e-4), {}),
    "Langevin": (mf.Langevin(0.3, temperature=0.05, weight_decay=0.1), {}),
    "dual": (mf.DualAveraging(0.3, temperature=0.05, weight_decay=0.1), {}),
    "FisherRao": (mf.FisherRao(0.5), {"net": mf.Network("tanh", outputs=K)}),
    "L1": (mf.GradientDescent(0.5), {"regulariser": mf.L1(0.02)}),
    "L2-start": (mf.GradientDescent(0.5), {"regulariser": mf.L2(0.3, about="start")}),
    "float32": (mf.GradientDescent(0.5), {"dtype": "float32"}),
    "output": (mf.GradientDescent(0.5), {"net": mf.Network("gelu", train="output", outputs=K)}),
    "input": (mf.GradientDescent(0.5), {"net": mf.Network("tanh", outputs=K)}),
    "kept": (mf.GradientDescent(0.5), {"d": 96}),
}
EACH_CASE = pytest.mark.parametrize("case", CASES)
RECORD = ("loss", "prediction", "accuracy", "margin", "position", "output_weight", "particle_weight")


def data_of(d=4, names=True, n=12):
    random = np.random.default_rng(d)
    labels = np.append(np.arange(K), random.integers(0, K, n - K))
    text = [f"class {label}" for label in labels]
    return mf.Dataset(random.standard_normal((n, d)) / np.sqrt(d), text if names else labels, classes=True)


def start_of(d=4, M=300):
    return mf.Gaussian(d).sample(M, seed=1, signs="gaussian", outputs=K)


def go(case="GD", folder=None, stop_at=None, **settings):
    """A run of a case in two blocks of particles; `stop_at` asks it to stop after that iteration."""
    method, more = CASES[case]
    more = {"loss": "softmax", "record": RECORD, "record_every": 3, "net": NET, "d": 4, "steps": STEPS, **more}
    more |= {"progress": lambda iteration, steps: iteration == stop_at} | settings
    net, d = more.pop("net"), more.pop("d")
    data = more.pop("data", None) or data_of(d)
    return mf.simulate(net, start_of(d), data, method, checkpoints=folder and mf.Checkpoints(folder, 0.0), **more)


def arrays(run):
    return [*run.measure, *(run.average or ())]


def same(one, two):
    """To the bit, whatever happened to them on their way."""
    assert one.dataset.assign_attrs(events="").identical(two.dataset.assign_attrs(events=""))
    for a, b in zip(arrays(one), arrays(two), strict=True):
        assert a.shape == b.shape and a.tobytes() == b.tobytes()


@EACH_CASE
def test_resume__has_the_bits_of_a_run_without_a_stop(case, tmp_path):
    for stop_at in (2, 5):
        assert go(case, tmp_path, stop_at).status == "stopped"
    resumed = go(case, tmp_path)
    assert "went on from the checkpoint" in {event["what"] for event in resumed.events}
    same(resumed, go(case))


def test_resume__reads_files_cut_in_any_way(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(particle_files, "SEGMENT_BYTES", 1)
        go("averaged", tmp_path, stop_at=5)
    assert len(list(tmp_path.glob("particles-000000000005-*.h5"))) == 2
    same(go("averaged", tmp_path), go("averaged"))


def test_segments__count_every_output_weight(tmp_path, monkeypatch):
    """Two blocks of d + k numbers a particle do not fit into a file of one such block and a half."""
    monkeypatch.setattr(particle_files, "SEGMENT_BYTES", int(1.5 * 8 * 256 * (4 + K)))
    go(folder=tmp_path, stop_at=5)
    assert len(list(tmp_path.glob("particles-000000000005-*.h5"))) == 2


@pytest.mark.parametrize("case", ["GD", "averaged", "FisherRao", "float32"])
def test_checkpoint__is_one_dataset_for_xarray(case, tmp_path):
    stopped = go(case, tmp_path, stop_at=5)
    with xr.open_dataset(next(tmp_path.glob("checkpoint-000000000005-*.h5")), engine="h5netcdf") as view:
        assert view["sign"].dims == ("atom", "output") and view["position"].dims == ("atom", "dim")
        names = ["position", "sign", "weight", *(["averaged_position", "averaged_sign"] if stopped.average else [])]
        for name, values in zip(names, arrays(stopped), strict=False):
            assert (view[name].values == values).all(), name


@EACH_CASE
def test_save__comes_back_to_the_bit(case, tmp_path):
    run = go(case)
    back = mf.open_run(run.save(tmp_path / "run.h5"))
    same(back, run)
    assert back.measure.s.shape == (300, K)


def test_xarray__reads_a_run_as_open_does(tmp_path):
    path = go("averaged").save(tmp_path / "run.h5")
    with xr.open_datatree(path, engine="h5netcdf") as plain:
        assert open_root(path).identical(plain.to_dataset().load())
        assert plain["output"].values.tolist() == [f"class {o}" for o in range(K)]
        assert plain["final/sign"].dims == plain["final/averaged_sign"].dims == ("atom", "output")


def test_final__is_left_in_files(tmp_path):
    whole = go("averaged")
    left = go("averaged", final=tmp_path / "last")
    assert left.last is None
    path = left.save(tmp_path / "run.h5")
    again = mf.open_run(path)
    for a, b in zip(arrays(again), arrays(whole), strict=True):
        assert a.tobytes() == b.tobytes()
    some, count = open_final(path, lambda count: slice(0, 7))
    assert (count, some.s.shape) == (300, (7, K)) and (some.s == whole.measure.s[:7]).all()


NAMED = {
    "text": (["cat\n", "dog\0", "\ud800", "Löwe"], ["cat\\n", "dog\\u0000", "\\ud800", "Löwe"]),
    "numbers": ([7, 3, 5, 9], [7, 3, 5, 9]),
    "fractions": ([0.5, 1.5, 2, 3], [0.5, 1.5, 2.0, 3.0]),
    "both": (["a", 2, 3.5, "b"], ["a", "2", "3.5", "b"]),
}


@pytest.mark.parametrize("kind", NAMED)
def test_classes__are_names_that_every_file_can_hold(kind, tmp_path):
    data, (classes, names) = mf.Dataset(np.eye(4), np.eye(4)), NAMED[kind]
    data.classes = tuple(classes)
    net, start = mf.Network("tanh", outputs=4), mf.Gaussian(4).sample(5, seed=0, signs="random", outputs=4)
    run = mf.simulate(net, start, data, mf.GradientDescent(0.1), steps=1, loss="softmax")
    assert run.dataset["output"].values.tolist() == names
    assert mf.open_run(run.save(tmp_path / "run.h5")).dataset.identical(run.dataset)


def test_open__refuses_one_output_weight_along_a_dimension(tmp_path):
    run = go()
    run.last = run.last._replace(s=run.measure.s[:, :1])
    with pytest.raises(mf.StorageError, match=r"is damaged|has the dimension 'output', and one output weight each"):
        mf.open_run(run.save(tmp_path / "run.h5"))


def sweep_of(folder, **settings):
    data = settings.pop("data", None) or data_of()
    law, method = mf.Gaussian(4), mf.GradientDescent(0.5)
    settings = {"count": [8, 32], "seed": [0, 1], "loss": "softmax", "record": ["loss", "accuracy", "prediction"],
                "signs": "gaussian"} | settings  # fmt: skip
    return mf.sweep(mf.Network("tanh", outputs=K), law, data, method, steps=2, out=folder, **settings)


def test_sweep__has_the_outputs_of_its_runs(tmp_path):
    ds = sweep_of(tmp_path)
    assert ds["prediction"].dims == ("count", "seed", "time", "sample", "output")
    assert ds["accuracy"].dims == ("count", "seed", "time")
    assert ds["output"].values.tolist() == [f"class {o}" for o in range(K)]
    one = mf.Gaussian(4).sample(32, seed=1, signs="gaussian", outputs=K)
    run = mf.simulate(mf.Network("tanh", outputs=K), one, data_of(), mf.GradientDescent(0.5), steps=2, loss="softmax")
    assert (ds["prediction"].sel(count=32, seed=1).values == run.dataset["prediction"].values).all()
    assert (ds.sel(output="class 7")["prediction"].values == ds["prediction"].values[..., 7]).all()


def test_sweep__has_no_names_where_its_data_have_others(tmp_path):
    """Ten classes with names and ten with numbers."""
    ds = sweep_of(tmp_path, data=[data_of(), data_of(names=False)])
    assert ds["prediction"].sizes["output"] == K and "output" not in ds.coords
    assert np.isfinite(ds["prediction"].values).all()


def test_compare__takes_the_mean_over_outputs_as_well(tmp_path):
    ds = sweep_of(tmp_path, limit=64, signs="random")
    limit = mf.open_run(list(ds.mf.limits)[-1]).dataset["prediction"].values
    compared = ds.mf.compare()
    apart = ds["prediction"].values - limit
    expected = np.sqrt(np.mean(apart**2, axis=(3, 4)))
    assert compared["distance"].values == pytest.approx(expected, rel=1e-12)
    assert compared["sup_distance"].values == pytest.approx(expected.max(axis=2), rel=1e-12)


def test_sweep_file__has_the_outputs_of_its_runs_and_of_the_limit(tmp_path):
    given = {"net": mf.Network("tanh", outputs=K), "law": mf.Gaussian(4), "data": data_of(), "test": None,
             "method": mf.GradientDescent(0.5), "steps": 2, "count": [8, 32], "seed": [0, 1], "signs": "unit",
             "loss": "softmax", "regulariser": None, "record_every": 1, "positions": None, "dtype": "float64",
             "record": ("loss", "accuracy", "prediction", "position", "output_weight")}  # fmt: skip
    plan, monitor = object_plan("classes", 32, given), Silent()
    run_sweep(plan, tmp_path, monitor, 1, 30.0, monitor.stop)
    path = summary.write(plan, tmp_path).path
    tree, names = open_tree(path), [f"class {o}" for o in range(K)]
    assert tree["output"].values.tolist() == names
    assert tree["comparison/distance"].dims == ("count", "seed", "time")
    assert tree["limit/prediction"].dims == ("time", "sample", "output")
    assert tree["limit/output_weight"].dims == ("time", "node", "output")
    with xr.open_datatree(path, engine="h5netcdf") as plain:  # with views of the runs' own files
        seen = plain["prediction"].sel(output="class 7").values
    assert (seen == mf.open_sweep(tmp_path)["prediction"].values[..., 7]).all()


def test_run__shows_how_many_outputs_it_has():
    assert "M = 300 particles on R^4, 10 outputs" in repr(go())


def test_measure__is_the_recorded_cloud():
    run = go()
    for at, measure in ((None, run.measure), (0.0, start_of())):
        for one, two in zip(run.dataset.mf.measure(at), measure, strict=True):
            assert one.shape == two.shape and (one == two).all()
