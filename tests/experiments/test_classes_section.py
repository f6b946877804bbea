"""A sweep of a file of classes, from the configuration to predictions, and back from its files."""

import tomllib

import numpy as np
import pytest
from support.configs import planned
from support.sweeps import swept

import particles as mf
from particles.experiments.plan import plan
from particles.report import reproduction, source

X = np.random.default_rng(0).standard_normal((40, 2))
WORDS = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
SETTINGS = (
    "data={file='mine.csv',y='word',classes=true,scale='standard',test=0.25}", 'loss="softmax"', 'start.signs="unit"',
    'record.variables=["loss","test_loss","prediction","test_prediction"]', "start.count=[8,16]", "start.seed=[0,1,2]",
    "method.step=1.0", "network.bias=true",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    rows = [f"{a!r},{b!r},{word}" for (a, b), word in zip(X.tolist(), WORDS, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join(["a,b,word", *rows]))
    return tmp_path


def test_sweep__of_classes_is_the_run_of_the_call(folder):
    made, outcomes = swept(folder / "out", *SETTINGS, folder=folder)
    assert {outcome.status for outcome in outcomes.values()} == {"finished"}
    case = next(case for case in made.cases if case.coords == {"count": 16, "seed": 2})
    found = mf.open_run(folder / "out/runs" / f"{case.key}.h5")
    train, test = mf.datasets.read(folder / "mine.csv", y="word", classes=True).split(0.25)
    start = mf.Gaussian(3).sample(16, 2, "unit", outputs=3)
    run = mf.simulate(
        mf.Network("tanh", bias=True, outputs=3), start, train.scaled(), mf.GradientDescent(1.0), steps=3,
        loss="softmax", record=["test_prediction"], test=test.scaled_like(train.scaled()),
    )  # fmt: skip
    assert (found.dataset["test_prediction"].values == run.dataset["test_prediction"].values).all()
    for kind in ("output", "label", "probability"):
        assert (found.predict(test.x, kind) == run.predict(test.x, kind)).all()
    assert set(found.predict(X, "label")) <= set(WORDS)


def test_sweep__of_classes_has_its_distance_from_the_limit(folder):
    made, _ = swept(folder / "out", *SETTINGS, "limit.nodes=512", "start.count=[16,256]", folder=folder)
    ds = mf.open_sweep(folder / "out")
    assert ds["prediction"].dims[-2:] == ("sample", "output") and len(made.cases) == 8
    few, many = (ds.mf.compare()["sup_distance"].sel(count=M).mean() for M in (16, 256))
    assert 1.5 * many < few < 12 * many  # 4 times by the power -1/2, three seeds


def test_run__of_classes_is_reproduced_from_its_file(folder):
    made, _ = swept(folder / "out", *SETTINGS, "network.outputs=3", folder=folder)
    path = folder / "out/runs" / f"{made.cases[0].key}.h5"
    raw = tomllib.loads(reproduction.reproduction(source.read(path)).config)
    assert plan(raw, folder).cases[0].key == made.cases[0].key


def test_plan__of_the_outputs_that_are_found_is_one_whether_they_are_named(folder):
    """Only a check: the same samples, start and numbers."""
    named, found = (planned(*SETTINGS, *more, folder=folder) for more in (("network.outputs=3",), ()))
    assert [case.key for case in named.cases] == [case.key for case in found.cases]
