"""Quantities with a cadence of their own: the same numbers at fewer times, whatever happens to the run."""

import numpy as np
import pytest

import particles as mf
from particles.report.page import write

STEPS = 12
SOME = mf.Record(("position", "output_weight", "particle_weight"), every=[5], particles=4)


@pytest.fixture
def run(cloud, samples):
    def make(*record, method=mf.GradientDescent(0.3, average=True), **settings):  # noqa: B008
        return mf.simulate(
            mf.Network("tanh"), cloud(M=300), samples(n=9), method, steps=STEPS, record=record, **settings
        )

    return make


@pytest.mark.parametrize("method", [mf.GradientDescent(0.3, average=True), mf.AveragedSGD(0.1)], ids=["GD", "SGD"])
def test_record__has_the_numbers_of_a_run_that_records_all(run, method):
    whole = run("loss", "dissipation", "prediction", "position", method=method, positions=4).dataset
    rare = mf.Record(["prediction", "dissipation"], every=4)
    own = run("loss", rare, mf.Record("position", "log", particles=4), method=method).dataset
    assert own["loss"].identical(whole["loss"]) and own["averaged_loss"].identical(whole["averaged_loss"])
    for name, dim in (
        ("prediction", "time_prediction"), ("averaged_prediction", "time_prediction"),
        ("dissipation", "time_prediction"), ("position", "time_position"),
    ):  # fmt: skip
        at = own[dim.replace("time", "iteration")].values
        assert own[name].dims[0] == dim and own[dim].values.tobytes() == whole["time"].values[at].tobytes()
        assert own[name].values.tobytes() == whole[name].values[at].tobytes()
    assert own["iteration_prediction"].values.tolist() == [0, 4, 8, 12]


def test_record__of_the_same_cadence_shares_the_time(run):
    data = run("loss", mf.Record("prediction", every=3), record_every=3).dataset
    assert data["prediction"].dims == ("time", "sample") and not [dim for dim in data.dims if dim.startswith("time_")]
    alone = run(mf.Record("loss", every=6)).dataset
    assert alone["loss"].dims == ("time",) and alone["iteration"].values.tolist() == [0, 6, 12]


def test_record__goes_on_from_a_checkpoint_and_through_a_file(run, tmp_path):
    states = mf.Checkpoints(tmp_path / "states", every=0.0)
    whole = run("loss", SOME)
    stopped = run("loss", SOME, checkpoints=states, progress=lambda iteration, steps: iteration == 7)
    assert stopped.status == "stopped" and stopped.dataset["iteration_position"].values.tolist() == [0, 5]
    again = run("loss", SOME, checkpoints=states)
    assert again.dataset.assign_attrs(events="").identical(whole.dataset.assign_attrs(events=""))
    assert mf.open_run(whole.save(tmp_path / "run.h5")).dataset.identical(whole.dataset)
    with pytest.warns(UserWarning, match="left out"):  # of another plan
        assert run("loss", checkpoints=states).events


def test_pictures__are_of_the_recorded_clouds_at_their_own_times(run, tmp_path):
    one = run("loss", mf.Record(("position", "output_weight", "particle_weight"), every=[5]))
    assert mf.still(one, tmp_path / "a.png") and mf.movie(one, tmp_path / "a.gif")
    measure = one.dataset.mf.measure(one.dataset["time_position"].values[1])
    assert measure.b.shape == (300, 3)
    assert one.dataset.mf.plot("loss")
    assert "cloud" in write(one.save(tmp_path / "run.h5")).read_text()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (("loss", mf.Record("loss", every=5)), "`record` must name a quantity once: got loss twice"),
        (
            (mf.Record("position", particles=2), mf.Record("output_weight", particles=3)),
            "`particles` must be one number",
        ),
        ((mf.Record("position", every=0),), "`every` must be a whole number >= 1: got 0"),
        ((mf.Record("positions"),), "`record` must be an mf.Observable or the name of one: got 'positions'"),
        ((mf.Record("position", particles=301),), "`positions` must be"),
    ],
)
def test_record__refuses(run, record, message):
    with pytest.raises(mf.InputError, match=message):
        run(*record)


def test_record__names_something():
    with pytest.raises(mf.InputError, match="`variables` must name what is recorded"):
        mf.Record([])
    assert np.shape(mf.Record("loss").variables) == (1,)
