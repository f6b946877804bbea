"""`run.predict` of several outputs: targets in raw units, classes by name, probabilities; and files that do not fit."""

import json

import h5py
import numpy as np
import pytest

import particles as mf
from particles.errors import DamagedError

X = np.random.default_rng(0).standard_normal((30, 2)) * 5.0 + 3.0
WORDS = np.array(["plane", "car", "ship"])[np.digitize(X[:, 0], [1.0, 5.0])]
Y = np.column_stack([100.0 * np.sin(X[:, 0]) + 700.0, X[:, 1]])


def trained(data, loss="squared", steps=4, net=None, **settings):
    net = net or mf.Network("tanh", bias=True, outputs=data.outputs)
    start = mf.Gaussian(3, 0.5).sample(40, seed=0, signs="random", outputs=data.outputs)
    return mf.simulate(net, start, data, mf.GradientDescent(1.0), steps=steps, loss=loss, **settings)


def same(a, b):
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def reopened(run, tmp_path):
    return mf.open_run(run.save(tmp_path / "run.h5"))


def outputs(run, x):
    """g(x) of a network with a bias by NumPy, inputs scaled as those of X were: (n, k)."""
    z = (x - X.mean(axis=0)) / X.std(axis=0)
    b, s, w = run.measure
    return np.tanh(np.column_stack([z, np.ones(len(z))]) @ b.T) @ (s * w[:, None])


def test_predict__of_several_targets_is_in_the_units_of_each(tmp_path):
    run, x = trained(mf.Dataset(X, Y).scaled("standard", "standard")), X[:7] + 0.1
    wanted = outputs(run, x) * Y.std(axis=0) + Y.mean(axis=0)
    np.testing.assert_allclose(run.predict(x), wanted, rtol=1e-12)
    recorded = run.dataset["prediction"].values[-1] * Y.std(axis=0) + Y.mean(axis=0)
    np.testing.assert_allclose(run.predict(X), recorded, rtol=1e-13)
    assert same(reopened(run, tmp_path).predict(x), run.predict(x))


@pytest.mark.parametrize("loss", ["softmax", "squared"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_predict__names_the_class_of_the_largest_output(tmp_path, loss, dtype):
    run = trained(mf.Dataset(X, WORDS).scaled(), loss, steps=300, dtype=dtype)
    names = np.array(["car", "plane", "ship"])  # sorted
    labels = run.predict(X, "label")
    assert (labels == names[run.predict(X).argmax(axis=1)]).all() and np.mean(labels == WORDS) > 0.9
    back = reopened(run, tmp_path)
    assert same(back.predict(X, "label"), labels) and same(back.predict(X), run.predict(X))


def test_predict__has_the_probabilities_of_softmax(tmp_path):
    run = trained(mf.Dataset(X, WORDS).scaled(), "softmax", steps=50)
    p, e = run.predict(X, "probability"), np.exp(outputs(run, X))
    np.testing.assert_allclose(p, e / e.sum(axis=1, keepdims=True), rtol=1e-12)
    assert same(reopened(run, tmp_path).predict(X, "probability"), p)


@pytest.mark.parametrize(
    ("labels", "dtype"), [(np.arange(30) % 3 * 5, np.int64), (np.arange(30) % 2 + 0.5, np.float64)]
)
def test_predict__gives_numbers_as_they_were(tmp_path, labels, dtype):
    found = reopened(trained(mf.Dataset(X, labels, classes=True).scaled(), "softmax"), tmp_path).predict(X, "label")
    assert found.dtype == dtype and set(found) <= set(labels)


def test_predict__numbers_the_outputs_of_shares_without_names(tmp_path):
    shares = np.full((30, 3), 0.1)
    shares[np.arange(30), np.arange(30) % 3] = 0.8
    run = trained(mf.Dataset(X, shares).scaled(), "softmax")
    assert (reopened(run, tmp_path).predict(X, "label") == run.predict(X).argmax(axis=1)).all()


def test_predict__of_a_loss_of_labels_has_a_sign_for_every_output(tmp_path):
    data = mf.Dataset(X, np.where(X > 3.0, 1.0, -1.0)).scaled()
    run = reopened(trained(data, "logistic", steps=20), tmp_path)
    g = run.predict(X)
    assert g.shape == (30, 2) and (run.predict(X, "label") == np.where(g > 0.0, 1.0, -1.0)).all()
    np.testing.assert_allclose(run.predict(X, "probability"), 1.0 / (1.0 + np.exp(-g)), rtol=1e-14)


def test_predict__knows_the_classes_of_a_split(tmp_path):
    train, test = mf.Dataset(X, WORDS).split(0.3)
    run = reopened(trained(train.scaled(), "softmax", test=test.scaled_like(train.scaled())), tmp_path)
    assert set(run.predict(test.x, "label")) <= set(WORDS)


@pytest.mark.parametrize(
    ("data", "loss", "kind", "message"),
    [
        (mf.Dataset(X, Y), "squared", "label", "or data of classes: got the loss 'squared'"),
        (mf.Dataset(X, Y), "huber", "probability", "the logistic or the softmax loss: got the loss 'huber'"),
        (mf.Dataset(X, WORDS), "squared", "probability", "the logistic or the softmax loss: got the loss 'squared'"),
        (mf.Dataset(X, WORDS), "softmax", "labels", "`kind` must be one of output, label, probability: got 'labels'"),
    ],
)
def test_predict__refuses_a_kind_that_the_loss_does_not_have(data, loss, kind, message):
    with pytest.raises(mf.InputError, match=message):
        trained(data.scaled(), loss).predict(X, kind)


def test_predict__refuses_a_network_of_other_outputs(tmp_path):
    mine = mf.ACTIVATIONS["tanh"]._replace(name="mine")
    net = mf.Network(mine, bias=True, outputs=3)
    run = trained(mf.Dataset(X, WORDS).scaled(), "softmax", net=net)
    back = reopened(run, tmp_path)
    with pytest.raises(mf.InputError, match="`net` must be the run's network"):
        back.predict(X, net=mf.Network(mine, bias=True))
    assert same(back.predict(X, "label", net=net), run.predict(X, "label"))


def test_config__of_other_names_of_classes_is_another():
    """Else a sweep would take the file of the old names for the new ones."""
    hashes = {trained(mf.Dataset(X, names).scaled(), "softmax").dataset.attrs["config_hash"]
              for names in (WORDS, np.char.add("a ", WORDS))}  # fmt: skip
    assert len(hashes) == 2


DAMAGES = {
    "fewer outputs": {"outputs": 2, "classes": ["a", "b"]},
    "no number of outputs": {"outputs": None},
    "fewer classes": {"classes": ["a", "b"]},
    "a class twice": {"classes": ["a", "b", "b"]},
    "a class that is none": {"classes": ["a", "b", None]},
    "a list as a class": {"classes": ["a", "b", ["c"]]},
    "words for outputs": {"outputs": "three"},
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES)
def test_file__whose_classes_do_not_fit_is_damaged(tmp_path, change):
    path = trained(mf.Dataset(X, WORDS).scaled(), "softmax").save(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model"] = json.dumps(json.loads(file.attrs["model"]) | change)
    with pytest.raises(DamagedError, match=r"run\.h5 is damaged"):
        mf.open_run(path)


def test_file__of_one_output_has_no_words_on_outputs_or_classes():
    run = trained(mf.Dataset(X, Y[:, 1]).scaled(), net=mf.Network("tanh", bias=True))
    assert not {"outputs", "classes"} & set(json.loads(run.dataset.attrs["model"]))
    assert "classes" not in run.config
