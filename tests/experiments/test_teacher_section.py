"""[data] name = "teacher": the samples of the call in Python, axes of its keys, and what does not fit."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from support.configs import planned, small
from support.sweeps import swept

import particles as mf
from particles.configuration.config import ConfigError
from particles.experiments import build, memory
from particles.experiments.plan import plan
from particles.report import reproduction, source

TEACHER = "data={name='teacher',n=60,dim=3,noise=0.1,seed=2,teacher={activation='relu',count=4}}"


def data_of(made):
    case = made.cases[0]
    return build.data(case.config.data, Path(), case.identity)[0]


def test_teacher__of_a_configuration_is_that_of_the_call():
    laws = ("data.teacher.law={name='ball',radius=2.0}", "data.inputs={name='gaussian',std=0.5}")
    more = ("data.teacher.bias=true", "data.teacher.beta=0.5", "data.teacher.signs='random'")
    found = data_of(planned(TEACHER, *laws, *more))
    net = mf.Network("relu", beta=0.5, bias=True)
    inputs = mf.Gaussian(3, std=0.5)
    want = mf.datasets.teacher(net, mf.Ball(4, radius=2.0), inputs, 4, n=60, noise=0.1, seed=2, signs="random")
    assert (found.x.tobytes(), found.y.tobytes()) == (want.x.tobytes(), want.y.tobytes())


def test_teacher__has_unit_spheres_by_default():
    found = data_of(planned(TEACHER))
    want = mf.datasets.teacher(mf.Network("relu"), mf.Sphere(3), mf.Sphere(3), 4, n=60, noise=0.1, seed=2)
    assert found.y.tobytes() == want.y.tobytes()


AXES = ("data.teacher.count=[1,3]", "data.seed=[0,1]", "start.count=[8,16]", "start.seed=[0,1]", "limit.nodes=32")


def test_teacher__is_swept_beside_the_start_and_its_limit(tmp_path):
    made, outcomes = swept(tmp_path, TEACHER, "data.scale='none'", *AXES, "network.activation='relu'")
    assert [axis.name for axis in made.axes] == ["data_seed", "data_teacher_count", "count", "seed"]
    assert {outcome.status for outcome in outcomes.values()} == {"finished"}
    assert sum(case.nodes is not None for case in made.cases) == 8
    targets = {case.coords["data_teacher_count"]: mf.open_run(tmp_path / "runs" / f"{case.key}.h5").dataset["target"]
               for case in made.cases if case.coords["data_seed"] == 0}  # fmt: skip
    assert np.abs(targets[1].values - targets[3].values).max() > 0.01


def test_sweep__over_outputs_has_the_comparison_and_the_cloud_of_each(tmp_path):
    """Predictions of fewer outputs are padded with NaN in the dataset of the sweep."""
    taught = ("data.teacher.signs='gaussian'", "data.teacher.outputs=[2,3]", "start.signs='random'")
    cloud = "record.variables=['loss','prediction','position','output_weight','particle_weight']"
    swept(tmp_path, TEACHER, *taught, cloud, "start.count=[8,16]", "start.seed=[0,1]", "limit.nodes=32")
    sweep = mf.open_sweep(tmp_path)
    for k in (2, 3):
        one = sweep.sel(outputs=k)
        found = one.mf.compare()["distance"]
        assert found.shape[:2] == (2, 2) and np.isfinite(found).all() and (found > 0.0).all()
        measure = one.sel(count=8, seed=0).mf.measure()
        assert measure.s.shape == (8, k) and np.isfinite(measure.s).all()


def test_sweep__of_one_output_and_several_is_refused():
    made = planned(TEACHER, "data.teacher.signs='gaussian'", "data.teacher.outputs=[1,2]", "start.signs='random'")
    with pytest.raises(mf.InputError, match="must all have one output, or all several"):
        build.check_all(made.cases, Path())


def test_teacher__is_reproduced_from_its_run(tmp_path):
    made, _ = swept(tmp_path, TEACHER, "data.teacher.law={name='gaussian',std=2.0}")
    path = tmp_path / "runs" / f"{made.cases[0].key}.h5"
    raw = tomllib.loads(reproduction.reproduction(source.read(path)).config)
    again = plan(raw, Path())
    assert again.cases[0].key == made.cases[0].key


def test_memory__is_known_before_a_teacher_s_samples_are_drawn():
    (need,) = memory.needs(planned(TEACHER, "data.n=1000000000", "data.test=0.5"))
    assert need.shape == (500_000_000, 500_000_000, 3)


FAULTS = [
    (["data.teacher={activation='relu',count=4}"], 'data: `teacher` belongs to the set "teacher"'),
    (["data.inputs={name='sphere'}"], 'data: `inputs` belongs to the set "teacher"'),
    (["data={name='teacher',dim=3}"], "data: the set teacher needs `teacher`, a section [data.teacher]"),
    (["data={name='teacher',teacher={activation='relu',count=4}}"], "data: the set teacher needs `dim`"),
    ([TEACHER, "data.positive=[1]"], "data: `positive` does not belong to the set teacher"),
    ([TEACHER, "data.y='y'"], "data: `y` belongs to a file, not to a known set"),
    ([TEACHER, "data.teacher.law={name='sphere',std=2.0}"], "data.teacher.law: `std` does not belong to sphere"),
    ([TEACHER, "data.inputs={name='uniform',low=2.0}"], "data.inputs: `low` must be below `high`"),
    ([TEACHER, "data.inputs={name='atoms'}"], "data.inputs.name: must be one of gaussian, sphere, ball, uniform"),
    ([TEACHER, "data.teacher.count=0"], "data.teacher.count: input should be greater than or equal to 1: got 0"),
    ([TEACHER, "data.teacher.activaton='tanh'"], "data.teacher.activaton: unknown key. Did you mean 'activation'?"),
    ([TEACHER, "data.teacher.activation='rleu'"], "data.teacher.activation: must be one of "),
    (["data={file='a.csv',teacher={activation='relu',count=4}}"], 'data: `teacher` belongs to the set "teacher"'),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_teacher__names_what_is_wrong(settings, message):
    with pytest.raises(ConfigError) as caught:
        plan(small(*settings), Path())
    assert [fault for fault in caught.value.faults if fault.startswith(message)], caught.value.faults
