"""What a sweep predicts of its fluctuations about the limit: a task like a run, its numbers `mf.sensitivity`'s."""

import json

import numpy as np
import pytest
from support.configs import SMALL_TOML, planned
from support.summaries import COUNTS, LIMIT, SEEDS, summed
from support.sweeps import all_contents, contents, statuses, swept

import particles as mf
from particles.analysis.constants import said
from particles.cli.main import main
from particles.experiments import prediction, summary
from particles.experiments.sweep import run_path
from particles.storage.forms import CONSTANTS
from particles.storage.run_file import open_root

RECORD = 'record.variables=["loss", "displacement_rms", "prediction"]'
METHOD, STEPS = mf.GradientDescent(0.1), 3


@pytest.fixture(scope="module")
def wine():
    return mf.datasets.load("wine", scale="standard")


def limit_of(data, nodes, signs="positive"):
    net, law = mf.Network("tanh"), mf.Gaussian(13)
    return net, law.quadrature(nodes, signs, along=net.inputs(data.x)), data, METHOD


@pytest.mark.parametrize("signs", ["positive", "symmetric"])
def test_prediction__is_the_sensitivity_s_to_the_bit(signs, wine, tmp_path):
    made, tree = summed(tmp_path, COUNTS, SEEDS, LIMIT, RECORD, "limit.fluctuations=32", f'start.signs="{signs}"')
    same = {"steps": STEPS, "symmetric": signs == "symmetric"}
    limit = limit_of(wine, 32, signs)
    by = mf.sensitivity(*limit, **same, of=["loss", "displacement_rms"], by="particle", record_every=1).dataset
    for name in ("loss", "displacement_rms"):
        assert tree["limit"][f"{name}_std"].values.tobytes() == by[f"{name}_std"].values.tobytes()
    field, compared = mf.fluctuations(*limit, **same, draws=64), tree["comparison"]
    kept = open_root(run_path(tmp_path, made.predictions[0]))
    assert kept["distance"].values.tobytes() == field["distance"].values.tobytes()
    assert compared["constant_theory"].item() == field["sup_distance"].mean().item()
    assert compared["constant_theory_error"].item() == field["sup_distance"].std(ddof=1).item() / 8


def test_prediction__with_cadences_is_at_each_quantity_s_own_times(wine, tmp_path):
    cadences = 'record=[{variables=["loss"],every=1}, {variables=["prediction"],every=2}]'
    _, tree = summed(tmp_path, COUNTS, LIMIT, cadences)
    by = mf.sensitivity(*limit_of(wine, 16), steps=STEPS, by="particle", record_every=1).dataset
    assert tree["limit"]["loss_std"].values.tobytes() == by["loss_std"].values.tobytes()
    field = mf.fluctuations(*limit_of(wine, 16), steps=STEPS, record_every=2)
    assert tree["comparison"]["constant_theory"].item() == field["sup_distance"].mean().item()


def test_prediction__has_deviations_at_twenty_times_at_most(tmp_path):
    _, tree = summed(tmp_path, COUNTS, LIMIT, "steps=60")
    known = np.isfinite(tree["limit"]["loss_std"].values)
    assert known.sum() == prediction.TIMES and known[[0, -1]].all()
    assert np.isfinite(tree["comparison"]["distance_theory"].values).all()


def test_prediction__of_a_setting_is_its_own(wine, tmp_path):
    made, _ = summed(tmp_path, COUNTS, LIMIT, "law.std=[1.0, 2.0]")
    data = mf.open_sweep(tmp_path)
    assert len(made.predictions) == 2
    for std in (1.0, 2.0):
        limit = mf.Gaussian(13, std).quadrature(16, along=wine.x)
        field = mf.fluctuations(mf.Network("tanh"), limit, wine, METHOD, steps=STEPS)
        constant = data.sel(std=std).mf.compare()["constant_theory"].item()
        assert constant == field["sup_distance"].mean().item()


def test_prediction__that_is_there_is_not_computed_again(tmp_path, monkeypatch):
    made, _ = swept(tmp_path, COUNTS, LIMIT)
    monkeypatch.setattr(prediction, "predicted", None)
    _, outcomes = swept(tmp_path, COUNTS, SEEDS, LIMIT)
    assert outcomes[made.predictions[0].key].status == "kept"


def test_prediction__stopped_on_its_way_goes_on_to_the_same_bits(tmp_path):
    long = COUNTS, LIMIT, "steps=20"
    _, outcomes = swept(tmp_path / "a", *long, threads=1, stop_at=7)
    assert "stopped" in statuses(outcomes) and not list((tmp_path / "a" / "predictions").iterdir())
    swept(tmp_path / "a", *long)
    swept(tmp_path / "b", *long, threads=1)
    assert all_contents(tmp_path / "a") == all_contents(tmp_path / "b")


def test_prediction__that_is_damaged_is_computed_again(tmp_path):
    made, _ = swept(tmp_path, COUNTS, LIMIT)
    path = run_path(tmp_path, made.predictions[0])
    before = contents(path)
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"a prediction is left out of sweep\.h5"):
        compared = summary.write(made, tmp_path).setups[0][1]
    assert "constant_theory" not in compared
    _, outcomes = swept(tmp_path, COUNTS, LIMIT)
    assert outcomes[made.predictions[0].key].status == "finished" and contents(path) == before


WITHOUT = {
    "kinks": (['network.activation="relu"'], "kinks of relu"),
    "an average": (["method.average=true"], "plain steps"),
    "an L1 penalty": (['regulariser={name="l1",weight=0.01}'], "smooth regulariser"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_prediction__is_refused_with_its_reason(name, tmp_path):
    settings, reason = WITHOUT[name]
    made, tree = summed(tmp_path, COUNTS, SEEDS, LIMIT, *settings)
    assert not made.predictions and not (tmp_path / "predictions").exists()
    compared = tree["comparison"].to_dataset()
    assert reason in said(compared) and not set(CONSTANTS) & set(compared)


@pytest.mark.parametrize("settings", [["limit.fluctuations=0"], ["network.beta=0.5"]])
def test_prediction__that_nobody_wants_needs_no_reason(settings):
    made = planned(COUNTS, LIMIT, *settings)
    assert not made.predictions and not made.without


@pytest.mark.slow
def test_prediction__of_relu_is_there_where_its_kinks_stay(tmp_path):
    _, tree = summed(tmp_path, COUNTS, LIMIT, 'network.activation="relu"', 'network.train=["output"]')
    assert tree["comparison"]["constant_theory"].item() > 0


def test_prediction__of_a_limit_that_diverges_says_so(tmp_path):
    made, outcomes = swept(
        tmp_path, COUNTS, LIMIT, "steps=900", 'network.train=["input", "output"]', "method.step=30.0"
    )
    (case,) = made.predictions
    assert outcomes[case.key].status == "diverged"
    assert open_root(run_path(tmp_path, case)).attrs["status"] == "diverged"


def test_sweep__from_python_refuses_a_prediction_without_a_limit(wine):
    with pytest.raises(mf.InputError, match=r"predicted beside a limit: got fluctuations=64 and limit=None"):
        mf.sweep(mf.Network("tanh"), mf.Gaussian(13), wine, METHOD, steps=2, count=8, fluctuations=64)


@pytest.mark.parametrize("method", [METHOD, mf.SGD(0.1, batch=4, seed=3)], ids=["descent", "SGD, one path"])
def test_constant__measured_over_seeds_is_the_predicted_one(method):
    """Within three standard errors, of the measured and of the predicted one, which are below 10%."""
    random = np.random.default_rng(2)
    x = random.standard_normal((12, 3))
    data = mf.Dataset(x, np.sin(x[:, 0]))
    net, law = mf.Network("tanh"), mf.Gaussian(3)
    more = {"steps": 20, "count": 1024, "seed": range(40), "limit": 2048, "record": "prediction"}
    compared = mf.sweep(net, law, data, method, **more).mf.compare()
    half = float(compared["constant_high"] - compared["constant"]) / 2.0
    error = np.hypot(half, float(compared["constant_theory_error"]))
    assert abs(float(compared["constant"] - compared["constant_theory"])) < 3 * error
    assert error < 0.1 * float(compared["constant"])


def test_run__prints_and_answers_the_constant(tmp_path, capsys):
    small_file = tmp_path / "small.toml"
    small_file.write_text(SMALL_TOML)
    words = ["--set", COUNTS, "--set", SEEDS, "--set", LIMIT, "--out", str(tmp_path), "--no-figure"]
    assert main(["run", str(small_file), *words]) == 0
    shown = capsys.readouterr().out
    assert "1 prediction" in shown and "distance = " in shown and "; theory 0." in shown
    assert main(["run", str(small_file), *words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    compared = mf.open_sweep(tmp_path / "small").mf.compare()
    assert answer["comparison"][0]["constant"]["theory"] == compared["constant_theory"].item()
    assert answer["comparison"][0]["constant"]["measured"] == compared["constant"].item()
    assert len(answer["runs"]) == 8


def test_comparison__in_python_says_why_there_is_no_prediction():
    """For the setting that is chosen, and not beside a limit of one's own."""
    data, law = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5]), mf.Gaussian(2)
    sizes = {"steps": 2, "count": [8, 16], "seed": range(3), "limit": 16}
    ds = mf.sweep([mf.Network("tanh"), mf.Network("relu")], law, data, METHOD, **sizes)
    smooth, kinked = (ds.sel(activation=name).mf.compare() for name in ("tanh", "relu"))
    assert "constant_theory" in smooth and "no_prediction" not in smooth.attrs
    assert "constant_theory" not in kinked
    assert said(kinked).endswith("what particles do at the kinks of relu")
    limit = mf.simulate(mf.Network("relu"), law.quadrature(16), data, METHOD, steps=2).dataset
    assert said(ds.sel(activation="relu").mf.compare(limit)) == ""
