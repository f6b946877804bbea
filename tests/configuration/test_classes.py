"""Configurations of networks with several outputs: what they build, their names, and what is said before they run."""

from pathlib import Path

import numpy as np
import pytest
from support.configs import planned, small

import particles as mf
from particles.configuration.config import ConfigError
from particles.experiments import build, memory
from particles.experiments.cost_model import work_of
from particles.experiments.plan import plan
from particles.model.regularisers import NONE

CLASSES = ("data.classes=true", 'loss="softmax"', 'start.signs="random"')
TAUGHT = "data={name='teacher',n=60,dim=3,classes=true,teacher={activation='tanh',count=6,outputs=3,signs='gaussian'}}"


def spec_of(made, number=0):
    case = made.cases[number]
    return case.spec.built(case.identity, {})


def test_config__of_classes_has_an_output_for_each():
    spec = spec_of(planned(*CLASSES))
    want = mf.datasets.load("wine", classes=True, scale="standard")
    assert (spec.data.x.tobytes(), spec.data.y.tobytes(), spec.data.classes) == (
        want.x.tobytes(), want.y.tobytes(), (0, 1, 2)
    )  # fmt: skip
    assert spec.net == mf.Network("tanh", outputs=3)


@pytest.mark.parametrize("signs", ["random", "symmetric", "unit", "gaussian", "joint"])
def test_config__starts_from_the_sample_of_the_call(signs):
    spec = spec_of(planned(*CLASSES, f'start.signs="{signs}"'))
    law = mf.Gaussian(13 + 3 * (signs == "joint"))
    want = law.sample(8, 0, signs, outputs=3)
    b, s = spec.start(None).part(0, 8)
    assert (b.tobytes(), s.tobytes(), s.shape) == (want.b.tobytes(), want.s.tobytes(), (8, 3))


def test_config__has_the_quadrature_of_all_outputs_as_its_limit():
    spec = spec_of(planned(*CLASSES, "limit.nodes=64"))
    want = mf.Gaussian(13).quadrature(64, "random", along=spec.data.x, outputs=3)
    assert (spec.start(64).s == want.s).all() and (spec.start(64).b == want.b).all()
    np.testing.assert_allclose(want.w @ want.s, 0.0, atol=1e-15)


def test_config__of_a_teacher_s_classes_is_that_of_the_call():
    spec = spec_of(planned(TAUGHT, *CLASSES[1:]))
    net = mf.Network("tanh", outputs=3)
    law = mf.Sphere(3)
    want = mf.datasets.teacher(net, law, law, 6, n=60, signs="gaussian", classes=True).scaled("none")
    assert spec.data.y.tobytes() == want.y.tobytes() and spec.net.outputs == 3


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_config__reads_the_classes_of_a_file(tmp_path, kind):
    words = np.array(["a", "b", "c", "a"])
    if kind == "npz":
        np.savez(tmp_path / "t.npz", x=np.arange(8.0).reshape(4, 2), y=words)
    else:
        rows = [f"{2 * k}.0,{2 * k + 1}.0,{word}" for k, word in enumerate(words)]
        (tmp_path / "t.csv").write_text("\n".join(["p,q,y", *rows]))
    given = 'classes=["c","b","a"]'
    spec = spec_of(planned(f"data={{file='t.{kind}',{given}}}", *CLASSES[1:], folder=tmp_path))
    assert spec.data.classes == ("c", "b", "a") and spec.data.y.argmax(axis=1).tolist() == [2, 1, 0, 2]


def test_config__takes_several_targets_from_arrays(tmp_path):
    y = np.random.default_rng(0).standard_normal((5, 2)) * [1.0, 50.0] + 7.0
    np.savez(tmp_path / "t.npz", x=np.eye(5), y=y)
    spec = spec_of(planned("data={file='t.npz',target_scale='standard'}", 'start.signs="unit"', folder=tmp_path))
    np.testing.assert_allclose(spec.data.y, (y - y.mean(axis=0)) / y.std(axis=0), rtol=1e-12)
    assert spec.net.outputs == 2


def test_plan__names_runs_of_one_output_as_before():
    """The key of this run when networks had one output."""
    assert planned().cases[0].key == "c3b9b73a6c5c14cf"
    assert not {"outputs", "classes"} & {*planned().cases[0].identity["network"], *planned().cases[0].identity["data"]}


def test_sweep__of_objects_draws_every_output(tmp_path):
    data = mf.datasets.load("wine", classes=True, scale="standard")
    given = {"steps": 2, "count": [8, 16], "signs": "unit", "loss": "softmax", "record": "loss"}
    ds = mf.sweep(mf.Network("tanh", outputs=3), mf.Gaussian(13), data, mf.GradientDescent(0.1), **given)
    start = mf.Gaussian(13).sample(16, 0, "unit", outputs=3)
    run = mf.simulate(
        mf.Network("tanh", outputs=3), start, data, mf.GradientDescent(0.1), steps=2, loss="softmax", record="loss"
    )
    assert (ds["loss"].sel(count=16).values == run.dataset["loss"].values).all()


def test_memory__counts_every_output():
    one, ten = (planned("steps=0", f"data={{name='digits'{more}}}", *CLASSES[2:], 'record.variables=["prediction"]',
                        "start.count=1000000") for more in ("", ",classes=true"))  # fmt: skip
    (few,), (many,) = map(memory.needs, (one, ten))
    assert (few.outputs, many.outputs, many.shape) == (1, 10, few.shape)
    assert many.parts["particles"] / few.parts["particles"] == pytest.approx((64 + 10) / 64)
    assert many.parts["recorded numbers"] == 10 * few.parts["recorded numbers"]
    assert many.parts["data"] / few.parts["data"] == pytest.approx((64 + 10) / (64 + 1))


def test_memory__is_known_before_a_teacher_of_classes_is_drawn():
    (need,) = memory.needs(planned(TAUGHT, *CLASSES[1:], "data.n=1000000000"))
    assert (need.shape, need.outputs) == ((10**9, 0, 3), 3) and need.data == 2 * 8 * 10**9 * (3 + 3)


def test_cost__counts_the_numbers_that_travel():
    spec = spec_of(planned(*CLASSES))
    work = work_of(spec.net, 100, spec.data, spec.method, NONE, 5, loss="softmax")
    assert (work.outputs, work.message) == (3, 8 * 178 * 3) and work.memory(100) == 100 * (13 + 3) * 8


FAULTS = [
    (['loss="softmax"'], "loss: softmax needs one output a class: give `data.classes`, true for all of them"),
    ([*CLASSES, 'loss="logistic"'], 'loss: logistic asks for labels -1 and 1, not for classes: use "softmax"'),
    ([*CLASSES, 'start.signs="positive"'], 'start: with `signs` "positive" the outputs of all classes stay equal'),
    ([*CLASSES, "data.positive=[0]", "data.negative=[1]"], "data: `classes` is one output a class, `positive` and"),
    ([*CLASSES, "data.target_scale='standard'"], "data: `target_scale` changes the targets of classes, which softmax"),
    ([*CLASSES, "network.outputs=1"], "loss: softmax needs several outputs: got network.outputs = 1"),
    ([*CLASSES, "network.outputs=0"], "network.outputs: input should be greater than or equal to 1: got 0"),
    ([*CLASSES, "data.classes=false"], "data.classes: input should be True: got False"),
    ([*CLASSES, "data.classes=[1.5, 2]"], "data.classes.0: "),
    ([TAUGHT, *CLASSES[1:], "data.teacher.outputs=1"], "data: classes of a teacher need `data.teacher.outputs`"),
    ([TAUGHT, *CLASSES[1:], "data.teacher.signs='positive'"], "data.teacher: several outputs need `signs`"),
    (["data={file='a.csv'}", 'loss="softmax"'], "loss: softmax needs one output a class: give `data.classes`"),
    (['start.signs="unti"'], "start.signs: must be one of positive, random, symmetric, unit, gaussian, joint"),
]


@pytest.mark.parametrize(("settings", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_config__names_what_is_wrong_with_classes(settings, message):
    with pytest.raises(ConfigError) as caught:
        plan(small(*settings), Path())
    assert [fault for fault in caught.value.faults if fault.startswith(message)], caught.value.faults


def test_config__of_classes_may_train_equal_output_weights():
    plan(small(*CLASSES, 'start.signs="positive"', 'network.train=["input","output"]'), Path())


READ = [
    ([*CLASSES, "data.classes=[0,1]"], "labels must be classes: got 2, none of 0, 1."),
    ([*CLASSES, "data.classes=[0]"], "classes need at least two of them: got only 0"),
    ([*CLASSES, "network.outputs=4"], "`network.outputs` must be the number of targets a sample, 3: got 4. Leave it"),
    (["network.outputs=3"], "a sample, 1: got 3. Leave it out, or give `data.classes`."),
    (
        [TAUGHT.replace("classes=true,", "")],
        '`start.signs` must tell several outputs apart: got "positive", which is the default. Use "random"',
    ),
    (["data={name='circle',classes=true}", 'start.signs="random"'], "data set 'circle' takes only its own options"),
]


@pytest.mark.parametrize(("settings", "message"), READ, ids=[message for _, message in READ])
def test_check__says_what_the_samples_show(settings, message):
    with pytest.raises(mf.InputError) as caught:
        build.check_all(planned(*settings).cases, Path())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(4), "needs a network of one output a class, `outputs` > 1: got outputs=1"),
        (np.ones((4, 2)), "targets of classes must be rows that are not negative and sum to 1: got 1, 1 at sample 0"),
    ],
)
def test_check__refuses_arrays_that_are_no_classes(tmp_path, y, message):
    np.savez(tmp_path / "t.npz", x=np.eye(4), y=y)
    made = planned("data={file='t.npz'}", *CLASSES[1:], folder=tmp_path)
    with pytest.raises(mf.InputError) as caught:
        build.check_all(made.cases, tmp_path)
    assert message in str(caught.value)


def test_check__looks_at_every_kind_of_start(tmp_path):
    """A joint law has more dimensions; an atoms file has those of the inputs."""
    np.savez(tmp_path / "atoms.npz", points=np.eye(13))
    made = planned(*CLASSES, 'start.signs=["random","joint"]', 'law={name="atoms",file="atoms.npz"}', folder=tmp_path)
    with pytest.raises(mf.InputError, match="particles must have as many dimensions as the inputs, 16"):
        build.check_all(made.cases, tmp_path)
