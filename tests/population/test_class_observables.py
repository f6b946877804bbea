"""Quantities of networks with several outputs, one a class, against loops; and what a run of classes refuses."""

import numpy as np
import pytest

import particles as mf

NAMES = [
    "loss", "objective", "accuracy", "misclassification", "margin", "cross_entropy", "prediction", "dissipation",
    "gradient_norm", "output_weight", "test_accuracy", "test_misclassification", "test_cross_entropy",
    "test_prediction", "displacement_rms", "weight_moment",
]  # fmt: skip
PULL = 0.3


def classes_of(n=11, k=3, seed=0):
    random = np.random.default_rng([n, k, seed])
    labels = np.append(np.arange(k), random.integers(0, k, n - k))
    return mf.Dataset(random.standard_normal((n, 4)), labels, classes=range(k))


def measure_of(k=3, M=300, equal=True):
    random = np.random.default_rng([k, M])
    w = np.ones(M) if equal else random.random(M) + 0.1
    return mf.Measure(random.standard_normal((M, 4)), random.standard_normal((M, k)), w / w.sum())


def outputs(net, measure, x):
    scale = len(measure.w) ** (1 - net.beta)
    return scale * np.tanh(x @ measure.b.T) @ (measure.w[:, None] * measure.s)


def right_and_margins(g, y):
    """Whether each sample's largest output is its class, and by how much; a loop over samples."""
    right, margins = [], []
    for outputs, target in zip(g, y, strict=True):
        own = int(np.argmax(target))
        others = [value for o, value in enumerate(outputs) if o != own]
        margins.append(outputs[own] - max(others))
        right.append(int(np.argmax(outputs)) == own)
    return np.array(right), np.array(margins)


def cross_entropy(g, y):
    """-log of the probability of each sample's own class, a loop over samples."""
    return np.mean([-np.log(np.exp(z[t.argmax()]) / np.exp(z).sum()) for z, t in zip(g, y, strict=True)])


def speeds(net, measure, data, slope):
    """int |v|^2 dmu over the trained layers, with the pull of L2(PULL)."""
    scale, total = len(measure.w) ** (1 - net.beta), 0.0
    for b, s, w in zip(*measure, strict=True):
        v, u = -PULL * b, -PULL * s
        for x, row in zip(data.x, slope, strict=True):
            v = v - (row @ s) / np.cosh(b @ x) ** 2 * x / scale
            u = u - row * np.tanh(b @ x) / scale
        total += w * (("input" in net.train) * (v @ v) + ("output" in net.train) * (u @ u))
    return total


@pytest.fixture(scope="module", params=[(("input",), "softmax", 1.0), (("input", "output"), "squared", 0.5)])
def recorded(request):
    train, loss, beta = request.param
    net, start = mf.Network("tanh", beta=beta, train=train, outputs=3), measure_of(equal=beta < 1)
    data, test = classes_of(), classes_of(9, seed=1)
    run = mf.simulate(
        net, start, data, mf.GradientDescent(0.3), steps=3, loss=loss, regulariser=mf.L2(PULL), record=NAMES, test=test
    )
    return net, start, data, test, loss, run


@pytest.mark.parametrize("at", ["first", "last"])
def test_observables_of_classes__are_their_formulas(recorded, at):
    net, start, data, test, loss, run = recorded
    measure, row = {"first": (start, run.dataset.isel(time=0)), "last": (run.measure, run.dataset.isel(time=-1))}[at]
    g, g_test = outputs(net, measure, data.x), outputs(net, measure, test.x)
    (right, margins), (right_test, _) = right_and_margins(g, data.y), right_and_margins(g_test, test.y)
    probability = np.exp(g) / np.exp(g).sum(axis=1, keepdims=True)
    slope = (probability if loss == "softmax" else g) - data.y
    speed = speeds(net, measure, data, slope / len(g))
    scale = len(measure.w) ** (1 - net.beta)
    layers = [layer for name, layer in (("input", measure.b), ("output", measure.s)) if name in net.train]
    mean = cross_entropy(g, data.y) if loss == "softmax" else np.mean(np.sum((g - data.y) ** 2 / 2, axis=1))
    expected = {
        "loss": mean,
        "objective": mean + scale**2 * PULL / 2 * sum(measure.w @ np.sum(layer**2, axis=1) for layer in layers),
        "accuracy": right.mean(),
        "misclassification": 1 - right.mean(),
        "margin": margins.min(),
        "cross_entropy": cross_entropy(g, data.y),
        "prediction": g,
        "dissipation": scale**2 * speed,
        "gradient_norm": np.sqrt(speed),
        "output_weight": measure.s,
        "test_accuracy": right_test.mean(),
        "test_misclassification": 1 - right_test.mean(),
        "test_cross_entropy": cross_entropy(g_test, test.y),
        "test_prediction": g_test,
    }
    for name, value in expected.items():
        assert row[name].values == pytest.approx(np.asarray(value), rel=1e-11, abs=1e-13), name


def test_dissipation__is_how_fast_the_objective_falls():
    net, data, size = mf.Network("tanh", outputs=3, train=("input", "output")), classes_of(), 1e-5
    run = mf.simulate(
        net, measure_of(), data, mf.GradientDescent(size), steps=1, loss="softmax", record=["objective", "dissipation"]
    )
    fall = -np.diff(run.dataset["objective"].values)[0] / size
    first, last = run.dataset["dissipation"].values
    assert fall == pytest.approx(0.75 * first + 0.25 * last, rel=1e-8)  # of Euler's step, to second order


def test_dataset__names_outputs_by_class(recorded):
    run = recorded[-1]
    assert run.dataset["prediction"].dims == ("time", "sample", "output")
    assert run.dataset["output_weight"].dims == ("time", "particle", "output")
    assert run.dataset["target"].dims == ("sample", "output")
    assert run.dataset["output"].values.tolist() == [0, 1, 2]
    assert run.dataset["margin"].attrs["long_name"].startswith("smallest margin (own output - largest other)")


def test_one_output__has_no_such_dimension(cloud, samples):
    run = mf.simulate(
        mf.Network("tanh"), cloud(), samples(loss="logistic"), mf.GradientDescent(0.1), steps=1, loss="logistic",
        record=["prediction", "output_weight", "margin", "accuracy"],
    )  # fmt: skip
    assert "output" not in run.dataset.dims
    assert run.dataset["margin"].attrs["long_name"] == "smallest y g(x) of the training samples"


def test_accuracy__of_a_tie_is_none():
    """Of equal outputs none is the largest, whatever the order of the classes."""
    data = classes_of()
    start = measure_of()._replace(s=np.zeros((300, 3)))
    net = mf.Network("tanh", train=("input", "output"), outputs=3)
    record = ["accuracy", "misclassification", "margin"]
    run = mf.simulate(net, start, data, mf.GradientDescent(0.1), steps=0, loss="softmax", record=record)
    assert [run.dataset[name].item() for name in ("accuracy", "misclassification", "margin")] == [0.0, 1.0, 0.0]


def test_average_iterate__has_the_quantities_of_classes():
    net, data = mf.Network("tanh", outputs=3), classes_of()
    method, record = mf.AveragedSGD(0.3, weight_decay=0.1), ["accuracy", "cross_entropy", "prediction"]
    run = mf.simulate(net, measure_of(), data, method, steps=5, loss="softmax", record=record)
    g = outputs(net, run.average, data.x)
    assert run.dataset["averaged_prediction"].values[-1] == pytest.approx(g, rel=1e-11, abs=1e-13)
    assert run.dataset["averaged_accuracy"].values[-1] == right_and_margins(g, data.y)[0].mean()
    assert run.dataset["averaged_cross_entropy"].values[-1] == pytest.approx(cross_entropy(g, data.y), rel=1e-12)


ONE, THREE = mf.Network("tanh"), mf.Network("tanh", outputs=3)
NUMBERS = mf.Dataset(np.eye(4), np.arange(12.0).reshape(4, 3))
SIGNS = mf.Dataset(np.eye(4), [1.0, -1.0, 1.0, 1.0])
REFUSALS = [
    (ONE, SIGNS, {"record": "cross_entropy"}, "'cross_entropy' in `record` needs a network of one output a class"),
    (ONE, SIGNS, {"record": "test_cross_entropy", "test": SIGNS}, "'test_cross_entropy' in `record` needs a network"),
    (ONE, mf.Dataset(np.eye(4), np.arange(4.0)), {"record": "accuracy"}, "labels must be -1 or 1 here"),
    (THREE, NUMBERS, {"record": "accuracy"}, "targets of classes must be rows that are not negative and sum to 1"),
    (THREE, NUMBERS, {"record": "margin"}, "got 0, 1, 2 at sample 0"),
    (THREE, NUMBERS, {"record": "cross_entropy"}, "Give labels: mf.Dataset(x, labels, classes=True)."),
    (THREE, classes_of(), {"record": "test_accuracy"}, "needs test samples: got test=None"),
    (THREE, classes_of(), {"record": "test_accuracy", "test": NUMBERS}, "rows that are not negative and sum to 1"),
    (
        THREE,
        classes_of(),
        {"test": mf.Dataset(np.eye(4)[:3], [2, 1, 0], classes=[2, 1, 0])},
        "`test` must have the training data's classes, in their order: got 2, 1, 0 for 0, 1, 2.",
    ),
]


@pytest.mark.parametrize(("net", "data", "settings", "message"), REFUSALS, ids=[row[-1][:50] for row in REFUSALS])
def test_simulate__refuses(net, data, settings, message):
    start = measure_of(M=5) if net is THREE else mf.Gaussian(4).sample(5, seed=0)
    with pytest.raises(mf.InputError) as caught:
        mf.simulate(net, start, data, mf.GradientDescent(0.1), steps=1, **settings)
    assert message in str(caught.value)


def test_squared_loss__of_numbers_needs_no_classes():
    run = mf.simulate(THREE, measure_of(), NUMBERS, mf.GradientDescent(0.01), steps=2)
    assert "output" in run.dataset.dims and "output" not in run.dataset.coords
