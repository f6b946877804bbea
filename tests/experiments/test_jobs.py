"""What a task of a sweep is sent does not grow with the sweep, and samples are sent once."""

import numpy as np
import pytest
from ray import cloudpickle
from support.configs import planned
from support.sweeps import Silent, all_contents

import particles as mf
from particles.experiments.object_plan import object_plan
from particles.experiments.sweep import run_sweep


class Sending:
    """Tasks that get copies of what they are sent, as on a cluster; the bytes of each, and of what all get."""

    def __init__(self):
        self.sizes, self.shared = [], 0

    def tasks(self, work, shared, jobs, watch=None):
        shared, jobs = cloudpickle.dumps(shared), [cloudpickle.dumps(job) for job in jobs]
        self.shared, self.sizes = len(shared), [len(job) for job in jobs]
        for number, job in enumerate(jobs):
            result = work(cloudpickle.loads(shared), cloudpickle.loads(job), lambda value: False)
            yield number, cloudpickle.loads(cloudpickle.dumps(result))

    def notice(self):
        return ""


def of_objects(seeds, samples=4):
    x = np.random.default_rng(0).standard_normal((samples, 2))
    data, test = mf.Dataset(x, x[:, 0]), mf.Dataset(x + 1.0, x[:, 1])
    arguments = {
        "net": mf.Network("tanh"), "law": mf.Gaussian(2), "data": data, "test": test, "steps": 1, "count": 8,
        "method": mf.GradientDescent(0.1), "seed": range(seeds), "signs": "positive", "loss": "squared",
        "record": ["loss", "test_loss"], "record_every": 1, "dtype": "float64", "regulariser": None, "positions": None,
    }  # fmt: skip
    return object_plan("objects", None, arguments)


def of_configurations(seeds):
    return planned(f"start.seed={list(range(seeds))}", "steps=1")


@pytest.mark.parametrize("made", [of_configurations, of_objects])
def test_sweep__sends_each_task_as_many_bytes_whatever_the_number_of_runs(made, tmp_path, monkeypatch):
    monkeypatch.setattr("particles.experiments.sweep._run_one", lambda errand, case, note: None)
    few, many = Sending(), Sending()
    for tasks, seeds in ((few, 100), (many, 2000)):
        run_sweep(made(seeds), tmp_path, Silent(), tasks=tasks, engine=mf.Local(1))
        assert len(tasks.sizes) == seeds
    assert many.shared == few.shared
    assert max(many.sizes) - min(few.sizes) <= 16  # longer numbers


def test_sweep__sends_samples_once_and_not_with_each_run(tmp_path):
    small, large = Sending(), Sending()
    for tasks, samples in ((small, 4), (large, 1004)):
        run_sweep(of_objects(3, samples), tmp_path / f"{samples:04d}", Silent(), tasks=tasks, engine=mf.Local(1))
    assert max(large.sizes) - min(small.sizes) <= 16
    assert large.shared - small.shared >= 2 * 1000 * 3 * 8  # two datasets, rows of two inputs and an output
    run_sweep(of_objects(3), tmp_path / "here", Silent(), threads=1)
    assert all_contents(tmp_path / "0004") == all_contents(tmp_path / "here")
