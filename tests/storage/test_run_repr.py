"""A run at a prompt says how it ended, what there is of it and what to do next."""

import numpy as np
import pytest

import particles as mf

NET, DATA = mf.Network("quadratic"), mf.Dataset(np.eye(3), np.arange(3.0))


def run(step=0.1, steps=4, **options):
    return mf.simulate(
        NET, mf.Gaussian(3).sample(8, seed=0), DATA, mf.GradientDescent(step=step), steps=steps, **options
    )


def test_run__says_how_it_ended_and_what_is_next():
    said = repr(run(record=("loss", "prediction"), record_every=2))
    assert said.splitlines() == [
        "Run: finished after 4 steps at flow time 0.4, 3 times recorded",
        "  measure   M = 8 particles on R^3",
        "  recorded  loss, prediction",
        '  next      run.dataset.mf.plot("loss"), run.predict(x), run.save("run.h5")',
    ]


def test_run__names_the_checkpoints_when_it_was_stopped():
    said = repr(run(progress=lambda iteration, steps: iteration >= 2))
    assert said.startswith("Run: stopped after 2 steps") and "`checkpoints` to go on" in said


def test_run__advises_a_smaller_step_when_it_diverged():
    with pytest.raises(mf.DivergedError) as caught:
        run(step=1e6, steps=20)
    said = repr(caught.value.run)
    assert said.startswith("Run: diverged") and "a smaller step" in said


def test_run__shows_its_dataset_in_a_notebook():
    page = run()._repr_html_()
    assert page.startswith("<pre>Run: finished") and "loss" in page and "xarray" in page
