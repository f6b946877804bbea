"""`run.predict`: the recorded predictions to the bit, in raw units, before saving and after reopening."""

import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pandas
import pytest
from support.sweeps import swept

import particles as mf
from particles.errors import DamagedError


def raw(n=20, d=3, seed=0):
    """Samples far from mean 0 and variance 1."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, d)) * 5.0 + 3.0
    return mf.Dataset(x, 100.0 * np.sin(x[:, 0]) + 700.0)


def trained(data, net=None, method=None, M=40, **settings):
    net = net or mf.Network("tanh", bias=True)
    start = mf.Gaussian(data.x.shape[1] + net.bias, 0.3).sample(M, seed=0, signs="random")
    return mf.simulate(net, start, data, method or mf.GradientDescent(0.3), **{"steps": 4, **settings})


def same(a, b):
    return a.shape == b.shape and a.tobytes() == b.tobytes()


RUNS = {
    "tanh": {},
    "relu, many blocks, float32": {"net": mf.Network("relu", beta=0.5), "M": 5000, "dtype": "float32"},
    "both layers": {"net": mf.Network("erf", train=("input", "output"), bias=True)},
    "weights that move": {"method": mf.FisherRao(0.1)},
    "an average": {"method": mf.AveragedSGD(0.1)},
}


@pytest.mark.parametrize("settings", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("d", [3, 40])
def test_predict__is_the_recorded_prediction_in_raw_units(tmp_path, settings, d):
    data = raw(d=d)
    run = trained(scaled := data.scaled("standard", "standard"), **settings)
    back = mf.open_run(run.save(tmp_path / "run.h5"))
    for average in (False, True) if run.average else (False,):
        recorded = run.dataset["averaged_prediction" if average else "prediction"].values[-1]
        wanted = recorded * data.y.std() + data.y.mean()
        for one in (run, back):
            np.testing.assert_allclose(one.predict(data.x, average=average), wanted, rtol=1e-13)
            assert same(one.predict(data.x, average=average), scaled.scaling.outputs_of(recorded))


@pytest.mark.parametrize("scale", ["none", "unit", "standard"])
@pytest.mark.parametrize("target_scale", [None, "standard"])
def test_predict__is_the_formula_on_scaled_inputs(tmp_path, scale, target_scale):
    """Against NumPy alone, at inputs that were not trained on."""
    data, x = raw(), raw(seed=1).x
    run = trained(data.scaled(scale, target_scale), mf.Network("tanh", beta=0.5, bias=True), mf.GradientDescent(1e-3))
    z = {"none": x, "unit": x / np.linalg.norm(x, axis=1)[:, None], "standard": (x - data.x.mean(0)) / data.x.std(0)}
    b, s, w = run.measure
    g = 40**0.5 * np.tanh(np.column_stack([z[scale], np.ones(len(x))]) @ b.T) @ (s * w)
    wanted = g * data.y.std() + data.y.mean() if target_scale else g
    np.testing.assert_allclose(run.predict(x), wanted, rtol=1e-12)
    assert same(mf.open_run(run.save(tmp_path / "run.h5")).predict(x), run.predict(x))


def test_predict__gives_the_same_bits_in_another_process(tmp_path):
    run = trained(raw().scaled("standard", "standard"))
    run.save(tmp_path / "run.h5")
    np.save(tmp_path / "x.npy", x := raw(seed=1).x)
    code = "import numpy, particles as mf; print(mf.open_run('run.h5').predict(numpy.load('x.npy')).tobytes().hex())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == run.predict(x).tobytes().hex()


def test_predict__takes_a_table_of_pandas():
    run, x = trained(raw().scaled()), raw(seed=1).x
    assert same(run.predict(pandas.DataFrame(x, columns=["a", "b", "c"])), run.predict(x))


@pytest.fixture
def table(tmp_path):
    """The raw samples as a CSV file has them."""
    np.savetxt(tmp_path / "my.csv", np.column_stack([raw().x, raw().y]), "%.9g", ",", header="a,b,c,y", comments="")
    return mf.datasets.read(tmp_path / "my.csv")


def test_predict__knows_the_scale_of_a_file(tmp_path, table):
    read = mf.datasets.read(tmp_path / "my.csv", scale="standard", target_scale="standard")
    assert same(trained(read).predict(table.x), trained(table.scaled("standard", "standard")).predict(table.x))


def test_predict__of_a_configuration_s_run(tmp_path, table):
    section = 'data={file="my.csv",scale="standard",target_scale="standard",test=0.2}'
    plan, _ = swept(tmp_path / "out", section, 'record.variables=["prediction","test_prediction"]', folder=tmp_path)
    run = mf.open_run(tmp_path / "out" / "runs" / f"{plan.cases[0].key}.h5")
    train, test = table.split(0.2)
    for part, name in ((train, "prediction"), (test, "test_prediction")):
        wanted = run.dataset[name].values[-1] * train.y.std() + train.y.mean()
        np.testing.assert_allclose(run.predict(part.x), wanted, rtol=1e-13)


def test_predict__of_particles_in_the_files_of_shards(tmp_path):
    data = raw().scaled("standard", "standard")
    run = trained(data, final=tmp_path / "last")
    with pytest.raises(mf.InputError, match=r"its particles are in .*Save the run, then mf.open_run reads them"):
        run.predict(raw().x)
    assert same(mf.open_run(run.save(tmp_path / "run.h5")).predict(raw().x), trained(data).predict(raw().x))


def test_predict__of_a_run_that_went_on(tmp_path):
    data = raw().scaled("standard", "standard")
    stopped = trained(data, checkpoints=tmp_path / "states", progress=lambda iteration, steps: iteration >= 2)
    assert stopped.status == "stopped"
    assert same(trained(data, checkpoints=tmp_path / "states").predict(raw().x), trained(data).predict(raw().x))


def test_predict__of_two_classes(tmp_path):
    data = mf.datasets.load("wine", scale="standard")
    x = mf.datasets.load("wine").x
    run = trained(data, steps=60, method=mf.GradientDescent(2.0), loss="logistic", record=["misclassification"])
    run = mf.open_run(run.save(tmp_path / "run.h5"))
    g, labels = run.predict(x), run.predict(x, "label")
    np.testing.assert_allclose(run.predict(x, kind="probability"), 1.0 / (1.0 + np.exp(-g)), rtol=1e-14)
    assert (labels == np.sign(g)).all()
    assert np.mean(labels != data.y) == run.dataset["misclassification"].values[-1] < 0.05


@pytest.fixture
def own():
    """A network whose activation no file can have."""
    tanh = mf.ACTIVATIONS["tanh"]
    return mf.Network(tanh._replace(name="mine"), bias=True)


def test_predict__with_an_activation_of_ones_own(tmp_path, own):
    data, x = raw().scaled("standard", "standard"), raw(seed=1).x
    run = trained(data, own)
    back = mf.open_run(run.save(tmp_path / "run.h5"))
    with pytest.raises(mf.InputError, match=r"a file has no formulas .* got 'mine \w+'. Pass the run's network"):
        back.predict(x)
    with pytest.raises(mf.InputError, match="`net` must be the run's network"):
        back.predict(x, net=mf.Network("tanh", bias=True))
    assert same(back.predict(x, net=own), run.predict(x)) and same(run.predict(x), trained(data).predict(x))


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (
            np.ones((2, 4)),
            {},
            "inputs must have shape (n, 3), n >= 1, with the columns that the run was trained on: got",
        ),
        (np.ones(3), {}, "the run was trained on: got (3,). Pass x[None, :]."),
        (np.ones((0, 3)), {}, "n >= 1, with the columns that the run was trained on: got (0, 3)."),
        ([[1.0, 2.0, np.nan]], {}, "inputs must be finite: got NaN or inf in 1 rows"),
        (
            np.ones((1, 3)),
            {"kind": "labels"},
            "`kind` must be one of output, label, probability: got 'labels'. Did you",
        ),
        (
            np.ones((1, 3)),
            {"kind": "label"},
            "labels need a loss of labels -1 and 1, or data of classes: got the loss 'squared'.",
        ),
        (
            np.ones((1, 3)),
            {"kind": "probability"},
            "a probability needs the logistic or the softmax loss: got the loss 'squared'.",
        ),
        (np.ones((1, 3)), {"average": True}, "`average` needs a method that keeps an average iterate: got none"),
    ],
)
def test_predict__refuses(x, options, message):
    with pytest.raises(mf.InputError, match=re.escape(message)):
        trained(raw().scaled()).predict(x, **options)


def test_predict__refuses_inputs_that_overflow_in_float32():
    with pytest.raises(mf.InputError, match=r"inputs must be at most 3\.4e"):
        trained(raw(), dtype="float32").predict([[1.0, 1e39, 1.0]])


@pytest.fixture
def file(tmp_path):
    return trained(raw().scaled("standard", "standard")).save(tmp_path / "run.h5")


def test_predict__of_a_file_of_an_earlier_version_says_what_to_do(file):
    with h5py.File(file, "r+") as h5:
        del h5.attrs["model"]
    with pytest.raises(mf.InputError, match=r"`predict` needs the run's network: got none.*Use net.predict"):
        mf.open_run(file).predict(raw().x)


def without_group(h5):
    del h5["scaling"]


def of_other_inputs(h5):
    h5.attrs["model"] = json.dumps(json.loads(h5.attrs["model"]) | {"bias": False})


def of_no_network(h5):
    h5.attrs["model"] = json.dumps(json.loads(h5.attrs["model"]) | {"beta": 7.0})


def without_means_of_targets(h5):
    del h5["scaling/target_mean"]


def with_values(name, *values):
    """Another number in each column of one array."""

    def damages(h5):
        h5[f"scaling/{name}"][:] = values

    damages.__name__ = f"{name}={values[0]}"
    return damages


DAMAGES = [
    without_group,
    of_other_inputs,
    of_no_network,
    without_means_of_targets,
    with_values("input_mean", np.nan, 0.0, 0.0),
    with_values("input_rest", 0.0, 0.0, np.inf),
    with_values("input_spread", 0.0, 1.0, 1.0),
    with_values("input_exponent", 2**31 - 1, 0, 0),
    with_values("target_mean", np.inf),
    with_values("target_spread", np.inf),
    with_values("target_spread", -1.0),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_file__whose_scaling_does_not_fit_is_damaged(file, damage):
    with h5py.File(file, "r+") as h5:
        damage(h5)
    with pytest.raises(DamagedError, match=r"run\.h5 is damaged"):
        mf.open_run(file)


@pytest.mark.parametrize("true", [1, np.True_])
def test_file__of_a_loss_whose_binary_is_a_number_opens_again(tmp_path, true):
    logistic = mf.LOSSES["logistic"]
    data = mf.datasets.load("wine", scale="standard")
    run = trained(data, steps=2, loss=logistic._replace(name="mine", binary=true))
    assert mf.open_run(run.save(tmp_path / "run.h5")).predict(data.x, "label").shape == data.y.shape
