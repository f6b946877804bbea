"""Cross-validation: its parts and its rule by hand, its losses by separate runs, and the study as it is run."""

import numpy as np
import pytest
import xarray
from support.drivers import run_study

import particles as mf
from particles.analysis.cross_validation import Model, Part, Training, choose, folds, losses

TINY = {"activations": '["tanh", "relu"]', "widths": "[4, 8]", "folds": "2", "splits": "3", "steps": "4"}


def run(out, *more):
    return run_study("model_selection", TINY, out, *more)


def test_folds__hold_every_sample_out_once():
    parts = folds(23, 5, seed=4)
    assert np.array_equal(np.sort(np.concatenate([part.held for part in parts])), np.arange(23))
    assert sorted(len(part.held) for part in parts) == [4, 4, 5, 5, 5]
    assert all(np.array_equal(np.union1d(part.train, part.held), np.arange(23)) for part in parts)
    assert not any(np.intersect1d(part.train, part.held).size for part in parts)


def test_folds__have_starts_of_their_own():
    seeds = [part.seed for seed in range(4) for part in folds(30, 5, seed)]
    assert len(set(seeds)) == 20


@pytest.mark.parametrize("count", [1, 8])
def test_folds__refuse_a_count_that_leaves_none_or_no_samples(count):
    with pytest.raises(mf.InputError, match="`count`"):
        folds(7, count)


def test_losses__are_those_of_separate_runs(samples):
    data, training = samples(n=12, d=2), Training(mf.GradientDescent(0.3), steps=5, beta=0.5, std=0.7)
    models, parts = [Model("tanh", 6), Model("relu", 4)], folds(12, 3, seed=1)
    found = losses(training, data, models, parts, mf.Local(2))
    for i, (activation, count) in enumerate(models):
        for j, (train, held, seed) in enumerate(parts):
            x, y = data.x[train], data.y[train]
            mean, spread = x.mean(axis=0), x.std(axis=0)
            start = mf.Gaussian(3, std=0.7).sample(count, seed, signs="random")
            net = mf.Network(activation, beta=0.5, bias=True)
            inside = mf.Dataset((x - mean) / spread, y)
            last = mf.simulate(net, start, inside, mf.GradientDescent(0.3), steps=5).measure
            g = net.predict(last, (data.x[held] - mean) / spread)
            assert found[i, j] == pytest.approx(np.mean((g - data.y[held]) ** 2) / 2, rel=1e-12)


def test_losses__of_a_run_that_diverges_are_infinite(samples):
    rows = np.arange(8)
    found = losses(
        Training(mf.GradientDescent(1e200), steps=5),
        samples(n=8, d=2),
        [Model("quadratic", 4)],
        [Part(rows[:6], rows[6:], 0)],
    )
    assert np.isinf(found[0, 0])


MODELS = [Model("tanh", 4), Model("relu", 4), Model("tanh", 8), Model("relu", 8)]


def test_choose__takes_the_smallest_within_one_standard_error():
    # The best, relu 8, has mean 1.0 and standard error 0.2 / sqrt 2 / sqrt 2 = 0.1.
    table = np.array([[1.5, 1.5], [1.08, 1.1], [1.0, 1.1], [0.9, 1.1]])
    found = choose(MODELS, table)
    assert found.best == 3 and found.chosen == 1
    assert found.error[3] == pytest.approx(0.1)


def test_choose__takes_the_best_where_no_smaller_one_is_close():
    table = np.array([[1.5, 1.5], [1.2, 1.2], [1.11, 1.11], [0.9, 1.1]])
    assert choose(MODELS, table).chosen == 3


def test_choose__takes_the_least_loss_among_those_of_one_size():
    table = np.array([[1.05, 1.05], [1.03, 1.03], [1.0, 1.1], [0.9, 1.1]])
    assert choose(MODELS, table).chosen == 1


def test_choose__leaves_out_models_that_diverged():
    table = np.array([[np.inf, 0.1], [1.5, 1.5], [1.4, 1.4], [0.9, 1.1]])
    found = choose(MODELS, table)
    assert found.chosen == 3 and np.isinf(found.error[0])


def test_choose__refuses_when_all_diverged():
    with pytest.raises(mf.InputError, match="did not diverge"):
        choose(MODELS, np.full((4, 2), np.inf))


@pytest.mark.parametrize("table", [np.ones((3, 2)), np.ones((4, 1)), np.full((4, 2), np.nan)])
def test_choose__refuses_a_table_of_another_shape(table):
    with pytest.raises(mf.InputError, match="`held_out`"):
        choose(MODELS, table)


@pytest.mark.slow
def test_model_selection__writes_a_dataset_with_its_claims(tmp_path):
    done = run(tmp_path)
    assert done.returncode in (0, 1), done.stderr
    with xarray.open_dataset(tmp_path / "model_selection.h5", engine="h5netcdf") as found:
        assert found["validation_loss"].dims == ("split", "activation", "M", "fold")
        assert found["test_loss"].sizes == {"split": 3, "activation": 2, "M": 2}
        assert found["holds"].sizes == {"claim": 4 + 2}  # one more for each activation
        assert set(found["chosen_M"].values) <= {4, 8}
        assert set(found["test_loss"].attrs) >= {"long_name", "units", "equation"}
    assert (tmp_path / "model_selection.png").is_file()


def test_model_selection__refuses_one_split(tmp_path):
    done = run(tmp_path, "--set", "splits=1")
    assert done.returncode == 2
    assert "splits: input should be greater than or equal to 3" in done.stderr
