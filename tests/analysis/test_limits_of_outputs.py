"""Networks of k outputs beside their limit: linear neurons, whose limit is a recursion; distances; twins; folds."""

import numpy as np
import pytest

import particles as mf
from particles.analysis.convergence import distance, fit_exponent
from particles.analysis.cross_validation import Model, Training, folds, losses

STEP, STEPS, N, D, K = 0.2, 12, 9, 2, 3
DESCENT = mf.GradientDescent(STEP)
NET, LAW = mf.Network("linear", outputs=K), mf.Gaussian(D)
PULL = {"gaussian": 1.0, "unit": 1.0 / K, "random": 1.0, "symmetric": 1.0, "joint": 1.0}  # E[a a'] is this times I


@pytest.fixture
def data():
    random = np.random.default_rng(4)
    return mf.Dataset(random.standard_normal((N, D)), random.standard_normal((N, K)))


@pytest.fixture
def classes():
    random = np.random.default_rng(5)
    x = random.standard_normal((12, D))
    return mf.Dataset(x, np.arange(12) % 3, classes=True)


def linear_truth(data, pull):
    """g = x.m, m = E[b a'], and m' = m - step (1/n) X' (X m - y) E[a a']: (T, n, k)."""
    m, found = np.zeros((D, K)), []
    for _ in range(STEPS + 1):
        found.append(data.x @ m)
        m = m - STEP * pull * data.x.T @ (data.x @ m - data.y) / len(data)
    return np.array(found)


@pytest.mark.parametrize("signs", PULL)
def test_linear_neurons__are_known_to_the_stated_error(signs, data):
    law = mf.Gaussian(D + K) if signs == "joint" else LAW
    found = mf.mean_field(NET, law, data, DESCENT, steps=STEPS, signs=signs, tolerance=3e-2)
    apart = found.run.dataset["prediction"].values - linear_truth(data, PULL[signs])
    assert apart.shape == (STEPS + 1, N, K)
    assert (np.abs(apart).max(axis=(1, 2)) <= found.error + 1e-14).all()
    assert (np.sqrt(np.mean(apart**2, axis=(1, 2))) <= found.rms + 1e-14).all()
    assert found.error.max() <= 3e-2


def test_a_gauss_rule__is_kept_where_output_weights_need_no_coordinates():
    """tanh in one input: tensor rules of one output reach 1e-6, Sobol points of so few nodes do not."""
    data, net = (
        mf.Dataset([[1.0], [-0.5]], [[0.5, 0.1], [-0.5, 0.2]]),
        mf.Network("tanh", train=("input", "output"), outputs=2),
    )
    found = mf.mean_field(net, mf.Gaussian(1), data, mf.GradientDescent(0.5), steps=4, tolerance=1e-6)
    assert found.error.max() <= 1e-6 and found.nodes[-1] <= 2**16


def test_atoms__are_exact_only_where_their_output_weights_are(data):
    law = mf.Atoms(np.random.default_rng(0).standard_normal((5, D)))
    both = mf.Network(NET.activation, NET.beta, train=("input", "output"), outputs=NET.outputs)
    exact = mf.mean_field(both, law, data, DESCENT, steps=2, tolerance=1e-12)
    assert exact.nodes == (5,) and exact.error.max() < 1e-12
    with pytest.raises(mf.ToleranceError, match="out of reach"):
        mf.mean_field(NET, law, data, DESCENT, steps=2, signs="gaussian", tolerance=1e-9, most=2**11)


def test_gaussian_output_weights__of_one_output_have_a_limit(data):
    one = mf.Dataset(data.x, data.y[:, 0])
    found = mf.mean_field(mf.Network("linear"), LAW, one, DESCENT, steps=STEPS, signs="gaussian", tolerance=3e-2)
    apart = found.run.dataset["prediction"].values - linear_truth(data, 1.0)[:, :, 0]
    assert (np.abs(apart).max(axis=1) <= found.error + 1e-14).all()


def test_a_joint_law__is_one_on_outputs_and_inputs(data):
    with pytest.raises(mf.InputError, match=r"got dim=2 for 3 outputs and 2 inputs\. Use a law with dim=5"):
        mf.mean_field(NET, LAW, data, DESCENT, steps=1, signs="joint")


def test_softmax__has_a_limit(classes):
    net = mf.Network("tanh", outputs=3)
    found = mf.mean_field(net, LAW, classes, DESCENT, steps=4, loss="softmax", signs="unit", tolerance=2e-3)
    start = LAW.quadrature(2**14, "unit", outputs=3)
    other = mf.simulate(net, start, classes, DESCENT, steps=4, loss="softmax").dataset
    apart = np.abs(found.run.dataset["prediction"].values - other["prediction"].values).max(axis=(1, 2))
    assert (apart <= 2.0 * found.error).all() and np.abs(other["prediction"].values[-1]).max() > 0.01


def test_distance__is_the_root_mean_square_over_samples_and_outputs(data):
    one, other = (mf.simulate(NET, LAW.sample(8, seed, "random", outputs=K), data, DESCENT, steps=3).dataset
                  for seed in (0, 1))  # fmt: skip
    a, b = one["prediction"].values, other["prediction"].values
    wanted = [np.sqrt(sum((a[t, i, o] - b[t, i, o]) ** 2 for i in range(N) for o in range(K)) / (N * K))
              for t in range(4)]  # fmt: skip
    np.testing.assert_allclose(distance(one, other), wanted, rtol=1e-14)


def test_compare__refuses_another_number_of_outputs(data):
    run = mf.simulate(NET, LAW.sample(8, 0, "random", outputs=K), data, DESCENT, steps=1).dataset
    one = mf.simulate(mf.Network("linear"), LAW.sample(8, 0), mf.Dataset(data.x, data.y[:, 0]), DESCENT, steps=1)
    with pytest.raises(mf.InputError, match=r"the same samples and recorded times: got \(2, 9, 3\) and \(2, 9\)"):
        mf.compare({(8, 0): run}, one.dataset)


def test_compare__refuses_other_targets_and_another_order_of_classes(classes):
    def run(data, start):
        return mf.simulate(mf.Network("tanh", outputs=3), start, data, DESCENT, steps=1, loss="softmax")

    names, start = np.array(["a", "b", "c"])[classes.y.argmax(axis=1)], LAW.sample(8, 0, "random", outputs=3)
    one, other, turned = (
        run(mf.Dataset(classes.x, labels, order), start)
        for labels, order in ((names, True), (names, ["c", "a", "b"]), (names[::-1], True))
    )
    with pytest.raises(mf.InputError, match=r"same order: got \['a', 'b', 'c'\] and \['c', 'a', 'b'\]"):
        mf.compare({(8, 0): one.dataset}, other.dataset)
    with pytest.raises(mf.InputError, match="the same samples: got 12 and 12 with other targets"):
        mf.compare({(8, 0): one.dataset}, turned.dataset)
    for runs, limit in ((one, one.dataset), ({(8, 0): one}, one.dataset), ({(8, 0): one.dataset}, one)):
        with pytest.raises(mf.InputError, match=r"must be datasets: got Run\. Give run\.dataset"):
            mf.compare(runs, limit)


def twins(data, counts, **more):
    settings = {"limit": LAW.quadrature(2048, "unit", outputs=3), "steps": 8, "signs": "unit", **more}
    return mf.coupled(mf.Network("tanh", outputs=3), LAW, data, DESCENT, counts=counts, loss="softmax", **settings)


def test_twins__of_a_network_that_is_the_limit_stay_with_it(classes):
    found = twins(classes, [40], limit=LAW.sample(40, 0, "unit", outputs=3))
    assert found.twin_distance.max() < 1e-13 and found.prediction_distance.max() < 1e-13


def test_twins__are_apart_as_the_square_root(classes):
    runs = [twins(classes, [32, 128, 512], seed=seed, record_every=8) for seed in range(12)]
    for name in ("twin_distance", "prediction_distance"):
        found = fit_exponent([32, 128, 512], np.stack([run[name].values[:, -1] for run in runs], axis=1))
        assert found.holds and found.high - found.low < 0.4


def test_twins__refuse_a_limit_of_other_outputs(classes):
    with pytest.raises(mf.InputError, match="as many output weights as the network has outputs, 3"):
        twins(classes, [4], limit=LAW.quadrature(16))


def test_cross_validation__chooses_among_networks_of_classes(classes):
    """Inputs that tell the classes apart have a lower held-out loss than inputs that do not."""
    told = mf.Dataset(classes.y + 0.1 * np.random.default_rng(0).standard_normal(classes.y.shape), classes.y)
    training, models = Training(mf.GradientDescent(3.0), 60, "softmax"), [Model("tanh", 64)]
    learnt, blind = (losses(training, data, models, folds(12, 4)).mean() for data in (told, classes))
    assert learnt < 0.6 * np.log(3.0) < 0.8 * np.log(3.0) < blind
