"""Activations, losses and observables of the user's own beside the package's: the same numbers, wherever they go."""

import subprocess
import sys

import numpy as np
import pytest

import particles as mf
from particles.analysis.cross_validation import Model, Training, folds, losses

TANH = mf.ACTIVATIONS["tanh"]._replace(name="mine")  # the package's formulas, so the same bits are due
SQUARED = mf.LOSSES["squared"]._replace(name="mine")
LAW = mf.Gaussian(2)
DATA = mf.Dataset([[1.0, 0.2], [0.3, 1.0], [-1.0, 0.5]], [0.5, -0.5, 0.1])
START, METHOD = LAW.sample(300, seed=0, signs="random"), mf.GradientDescent(0.2)
NAMES = ["loss", "prediction", "displacement_rms", "dissipation"]
OBJECTS = [mf.OBSERVABLES[name]._replace(name=f"my_{name}") for name in NAMES]

USES = {
    "simulate": lambda net, loss: mf.simulate(net, START, DATA, METHOD, steps=5, loss=loss).measure.b,
    "predict": lambda net, loss: net.predict(START, DATA.x),
    "gram": lambda net, loss: mf.tangent.gram(net, START, DATA.x),
    "operator": lambda net, loss: mf.tangent.operator(net, START, DATA.x) @ DATA.y,
    "limit_gram": lambda net, loss: mf.tangent.limit_gram(net, LAW, DATA.x),
    "mean_field": lambda net, loss: mf.mean_field(net, LAW, DATA, METHOD, steps=2, tolerance=1e-2, loss=loss).error,
    "coupled": lambda net, loss: mf.coupled(net, LAW, DATA, METHOD, counts=[16], limit=LAW.quadrature(64), steps=2,
                                            loss=loss)["twin_distance"].values,
    "assumption_1": lambda net, loss: mf.theory.assumption_1(net, DATA.x, DATA.y),
    "free_energy": lambda net, loss: mf.theory.free_energy(net, LAW.sample(64, 0), DATA, loss, weight_decay=0.1,
                                                           temperature=0.1).value,
    "gibbs": lambda net, loss: mf.theory.gibbs(net, DATA, loss, weight_decay=0.5, temperature=0.5).free_energy,
    "first_variation": lambda net, loss: mf.theory.first_variation(net, START, DATA, loss).value(DATA.x, np.ones(3)),
    "convex_optimum": lambda net, loss: mf.theory.convex_optimum(net, START, DATA, loss, mf.L1(0.1)).objective,
    "radial_flow": lambda net, loss: mf.theory.radial_flow(net, mf.Gaussian(40, 0.1), mf.theory.two_gaussians(0.8, 40),
                                                           [0.0, 0.1], tolerance=1e-2).loss,
    "cross-validation": lambda net, loss: losses(Training(METHOD, 2, loss), DATA, [Model(net.activation, 8)],
                                                 folds(3, 3)),
    "frank_wolfe": lambda net, loss: mf.theory.frank_wolfe(net, DATA, loss, mf.L2(0.1), radius=2.0, rounds=2).objective,
    "zonal_kernel": lambda net, loss: mf.theory.spectra.zonal_kernel(net, mf.Sphere(3))(np.array([-0.5, 0.5])),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_object__gives_the_bits_of_the_same_formulas_by_name(use):
    mine, ours = (np.asarray(USES[use](mf.Network(net), loss)) for net, loss in ((TANH, SQUARED), ("tanh", "squared")))
    assert mine.tobytes() == ours.tobytes()


def run(net=TANH, loss=SQUARED, record=(), **settings):
    return mf.simulate(mf.Network(net), START, DATA, METHOD, steps=6, loss=loss, record=record or OBJECTS, **settings)


def test_observables__are_those_of_the_same_formulas_by_name():
    mine, ours = run(), run(record=NAMES)
    for name in NAMES:
        assert mine.dataset[f"my_{name}"].values.tobytes() == ours.dataset[name].values.tobytes()
        assert mine.dataset[f"my_{name}"].attrs == ours.dataset[name].attrs


def test_observable__has_a_cadence_of_its_own():
    found = run(record=["loss", mf.Record([OBJECTS[2]], every=3)]).dataset
    assert found["my_displacement_rms"].dims == ("time_my_displacement_rms",)
    assert found["iteration_my_displacement_rms"].values.tolist() == [0, 3, 6]


def test_observable__stands_beside_the_predictions_of_the_limit():
    limit = mf.mean_field(mf.Network("tanh"), LAW, DATA, METHOD, steps=2, tolerance=1e-2, record=OBJECTS[0])
    assert set(limit.run.dataset) >= {"my_loss", "prediction"}


def test_reduction__sees_velocities_and_the_start_where_it_asks():
    speed = mf.Reduction(lambda block: np.atleast_1d(block.w @ (block.velocity**2).sum(axis=0)), "sum", velocity=True)
    far = mf.Reduction(lambda block: np.abs(block.b - block.start_b).max(axis=1), "max", start=True)
    own = [
        mf.Observable("speed", "int |v|^2 dmu", "3.4", (), lambda at: at.integral[speed][0], (speed,)),
        mf.Observable("far", "max |b_k - b_k,1|", "3.1", ("dim",), lambda at: at.integral[far], (far,)),
    ]
    found = run(record=[*own, "gradient_norm", mf.Record("position", every=1)]).dataset
    assert found["speed"].values == pytest.approx(found["gradient_norm"].values ** 2, rel=1e-12)
    moved = np.abs(found["position"].values - found["position"].values[0]).max(axis=1)
    assert found["far"].values == pytest.approx(moved, abs=1e-15)


LOSS = mf.OBSERVABLES["loss"]


@pytest.mark.parametrize(("row", "message"), [
    (LOSS._replace(long_name="another"), "must have a name that none of the package has: got 'loss'. Give it another"),
    (LOSS._replace(name="mine", integrals=("speed",)), "`integrals` of the observable 'mine' must be a tuple"),
    (LOSS._replace(name="mine", integrals=(mf.Reduction(len, "mean"),)), 'each a "sum" or a "max"'),
    (LOSS._replace(name="mine", dims=["sample"]), "`dims` of the observable 'mine' must be a tuple of names"),
    (7, "`record` must be an mf.Observable or the name of one: got 7"),
])  # fmt: skip
def test_observable__with_a_wrong_part_is_refused(row, message):
    with pytest.raises(mf.InputError, match=message):
        run(record=[row])


def test_checkpoint__of_a_run_with_objects_goes_on_to_the_same_bits(tmp_path):
    begun = run(checkpoints=mf.Checkpoints(tmp_path, every=0.0), progress=lambda iteration, steps: iteration == 3)
    done, straight = run(checkpoints=tmp_path), run()
    assert begun.status == "stopped" and [event["iteration"] for event in done.events] == [3]
    assert done.measure.b.tobytes() == straight.measure.b.tobytes()
    assert done.dataset["my_loss"].values.tobytes() == straight.dataset["my_loss"].values.tobytes()


CHANGED = {
    "activation": {"net": TANH._replace(slope_bound=1.5)},
    "loss": {"loss": SQUARED._replace(bend=lambda slope: slope**0)},
    "observable": {"record": [OBJECTS[0]._replace(finish=lambda at: 2.0 * np.mean((at.g - at.y) ** 2)), *OBJECTS[1:]]},
}


@pytest.mark.parametrize("part", CHANGED)
def test_checkpoint__of_another_object_of_that_name_is_left_out(part, tmp_path):
    run(checkpoints=mf.Checkpoints(tmp_path, every=0.0), progress=lambda iteration, steps: iteration == 3)
    with pytest.warns(UserWarning, match="are of other configurations"):
        done = run(**CHANGED[part], checkpoints=tmp_path)
    assert done.events[-1] == {"iteration": 0, "what": "began anew"}


@pytest.mark.slow
def test_file__of_a_run_with_objects_is_read_where_they_are_not(tmp_path):
    run(record=["loss", "position", *OBJECTS]).save(tmp_path / "run.h5")
    code = (
        "import particles as mf; from particles.report.page import write; run = mf.open_run('run.h5');"
        "print(run.measure.b.shape, run.config['network'], run.config['loss'], run.config['record'], run);"
        "print(write('run.h5'))"
    )
    for words in (["-c", code], ["-m", "particles", "show", "run.h5"]):
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "my_displacement_rms" in done.stdout
