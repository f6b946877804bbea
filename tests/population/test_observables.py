"""Every recorded quantity against plain NumPy, when it is recorded, and what a run refuses to record."""

import numpy as np
import pytest
from support import naive

import particles as mf
from particles.simulation.record import recorded_iterations

STEPS = 4
# This loss is logistic, and the network has one output.
EVERYTHING = tuple(row.name for row in mf.OBSERVABLES.values() if row.name != "kernel_distance" and not row.classes)
BOTH = pytest.mark.parametrize("train", ["input", "output", ("input", "output")], ids=["input", "output", "both"])
RULES = [None, mf.L1(0.3), mf.L2(0.4), mf.L2(0.4, about="start")]
RULE = pytest.mark.parametrize("rule", RULES, ids=["none", "L1", "L2", "start"])
AT = pytest.mark.parametrize("at", ["first", "last"])


class Naive:
    """The quantities of one measure, in NumPy."""

    def __init__(self, measure, start, net, data, test, rule):
        self.b, self.s, self.w = measure
        self.start, self.net, self.rule = start, net, rule or mf.L2(0.0)
        self.alpha = len(self.w) ** (1 - net.beta)
        self.y, self.y_test = data.y, test.y
        self.x, self.g, self.g_test = data.x, self.outputs(data.x), self.outputs(test.x)

    def outputs(self, x):
        return naive.network(self.b, self.s, self.w, x, np.tanh, self.alpha)

    def layers(self):
        pairs = {"input": (self.b, self.start.b), "output": (self.s, self.start.s)}
        return zip(*(pairs[name] for name in self.net.train), strict=True)

    def pulled(self, v, layer, start):
        """The whole velocity of a layer: the data term minus the regulariser's gradient."""
        lam = self.rule.weight
        if isinstance(self.rule, mf.L1):
            return np.where(layer == 0, naive.shrink(v, lam), v - lam * np.sign(layer))
        return v - lam * (layer - (start if self.rule.about == "start" else 0))

    def dissipation(self):
        slope = naive.LOSS["logistic"][1](self.g, self.y) / len(self.y)
        derivative = naive.SIGMA["tanh"][1]
        v = self.pulled(naive.velocity(self.b, self.s, self.x, slope, derivative, self.alpha), self.b, self.start.b)
        vs = self.pulled(naive.velocity_s(self.b, self.x, slope, np.tanh, self.alpha), self.s, self.start.s)
        speed = ("input" in self.net.train) * np.sum(v**2, axis=1) + ("output" in self.net.train) * vs**2
        return self.alpha**2 * np.sum(self.w * speed)

    def gram(self, b, s):
        z, derivative = self.x @ b.T, naive.SIGMA["tanh"][1]
        kernel = np.zeros((len(self.x), len(self.x)))
        if "input" in self.net.train:
            kernel += (derivative(z) * self.w * s**2) @ derivative(z).T * (self.x @ self.x.T)
        if "output" in self.net.train:
            kernel += (np.tanh(z) * self.w) @ np.tanh(z).T
        return kernel

    def all(self):
        gram, first = self.gram(self.b, self.s), self.gram(self.start.b, self.start.s)
        flipped = (self.x @ self.b.T > 0) != (self.x @ self.start.b.T > 0)
        loss, size = naive.LOSS["logistic"][0], np.linalg.norm(self.b, axis=1)
        away = np.linalg.norm(self.b - self.start.b, axis=1)
        layers, starts = self.layers()
        return {
            "loss": loss(self.g, self.y).mean(),
            "objective": loss(self.g, self.y).mean() + self.alpha**2 * naive.penalty(layers, starts, self.w, self.rule),
            "test_loss": loss(self.g_test, self.y_test).mean(),
            "accuracy": np.mean(np.sign(self.g) == self.y),
            "test_accuracy": np.mean(np.sign(self.g_test) == self.y_test),
            "misclassification": np.mean(np.sign(self.g) != self.y),
            "test_misclassification": np.mean(np.sign(self.g_test) != self.y_test),
            "gradient_norm": self.dissipation() ** 0.5 / self.alpha,
            "dissipation": self.dissipation(),
            "prediction": self.g,
            "test_prediction": self.g_test,
            "margin": (self.y * self.g).min(),
            "pattern_flips": flipped.mean(axis=0) @ self.w,
            "lambda_min": np.linalg.eigvalsh(gram)[0],
            "lambda_max": np.linalg.eigvalsh(gram)[-1],
            "kernel_drift": np.linalg.norm(gram - first) / np.linalg.norm(first),
            "position": self.b,
            "output_weight": self.s,
            "particle_weight": self.w,
            "displacement_rms": np.sum(self.w * away**2) ** 0.5,
            "displacement_max": away.max(),
            "weight_moment": [np.sum(self.w * size**p) for p in (1, 2, 4)],
            "mean_position": self.w @ self.b,
        }


@pytest.fixture
def recorded(cloud, samples):
    """A runner that records everything: (the run, the naive quantities of its first and its last measure)."""

    def run(rule=None, train="input", beta=0.5, method=None, equal=True):
        net, start = mf.Network("tanh", beta=beta, train=train), cloud(M=300, equal=equal)
        if isinstance(rule, mf.L1):  # some particles sit on the kink, where the velocity is the least subgradient
            start.b[::3] = 0.0
        data, test = (samples(n, loss="logistic", seed=n) for n in (7, 12))
        method = method or mf.GradientDescent(0.5)
        done = mf.simulate(
            net, start, data, method, steps=STEPS, loss="logistic", regulariser=rule, record=EVERYTHING, test=test
        )
        measures = {"first": start, "last": done.measure, "average": done.average}
        return done, lambda at: Naive(measures[at], start, net, data, test, rule).all()

    return run


def check(dataset, expected, at, prefix=""):
    row = dataset.isel(time={"first": 0, "last": -1}[at])
    for name, value in expected.items():
        assert row[prefix + name].values == pytest.approx(np.asarray(value), rel=1e-11, abs=1e-13), prefix + name


def test_naive__knows_every_observable(recorded):
    run, expected = recorded()
    assert set(expected("last")) == set(EVERYTHING) <= set(run.dataset)


@RULE
@BOTH
@AT
def test_observables__are_their_formulas(rule, train, at, recorded):
    run, expected = recorded(rule, train)
    check(run.dataset, expected(at), at)


@AT
def test_observables__are_integrals_over_a_weighted_measure(at, recorded):
    run, expected = recorded(mf.L2(0.4), beta=1.0, equal=False)
    check(run.dataset, expected(at), at)


OUTPUTS = (
    "loss", "test_loss", "misclassification", "test_misclassification", "prediction", "test_prediction", "margin",
    "accuracy", "test_accuracy",
)  # fmt: skip


@pytest.mark.parametrize("pull", [0.0, 0.2])
@pytest.mark.parametrize("bias", [False, True])
def test_kernel_distance__is_from_descent_under_the_first_kernel(pull, bias, samples):
    net, data, rule = mf.Network("tanh", beta=0.5, bias=bias), samples(7), mf.L2(pull, about="start")
    start = mf.Gaussian(3 + bias).sample(200, 0)
    run = mf.simulate(
        net, start, data, mf.GradientDescent(0.5), steps=3, regulariser=rule, record=("prediction", "kernel_distance")
    )
    kernel, g = mf.tangent.gram(net, start, data.x), run.dataset["prediction"].values
    f = g[0]
    for row, found in zip(g, run.dataset["kernel_distance"].values, strict=True):
        assert found == pytest.approx(np.sqrt(np.mean((row - f) ** 2)), rel=1e-9, abs=1e-13)
        f = f - 0.5 * (kernel @ (f - data.y) / 7 + pull * (f - g[0]))
    assert found > 1e-6  # and so not of rounding


def test_average_iterate__has_the_quantities_of_its_outputs(recorded):
    run, expected = recorded(method=mf.AveragedSGD(0.5, weight_decay=0.1))
    average = expected("average")
    assert {name for name in run.dataset if name.startswith("averaged_")} == {f"averaged_{name}" for name in OUTPUTS}
    check(run.dataset, {name: average[name] for name in OUTPUTS}, "last", "averaged_")


def test_average_iterate__starts_as_the_first(recorded):
    run, expected = recorded(method=mf.AveragedSGD(0.5, weight_decay=0.1))
    check(run.dataset, {name: expected("first")[name] for name in OUTPUTS}, "first", "averaged_")


def test_positions__are_the_first_particles(cloud, samples):
    start, record = cloud(M=600), ("position", "output_weight")
    run = mf.simulate(
        mf.Network("tanh"), start, samples(), mf.GradientDescent(0.1), steps=2, record=record, positions=300
    )
    assert run.dataset.position.shape == (3, 300, 3)
    assert (run.dataset.position.values[-1] == run.measure.b[:300]).all()
    assert (run.dataset.output_weight.values[0] == start.s[:300]).all()


def test_stream__is_measured_on_held_out_samples(cloud):
    stream = mf.Stream(inputs=mf.Sphere(3), target=lambda x: x[:, 0], noise=0.1, seed=2)
    net, start, held = mf.Network("tanh"), cloud(), stream.holdout()
    run = mf.simulate(net, start, stream, mf.SGD(0.1), steps=2)
    assert run.dataset.loss.values[0] == pytest.approx(np.mean((net.predict(start, held.x) - held.y) ** 2) / 2)


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (10, 1, list(range(11))),
        (10, 4, [0, 4, 8, 10]),
        (10, 50, [0, 10]),
        (10, [3, 7, 3], [0, 3, 7, 10]),
        (10, [], [0, 10]),
        (0, 1, [0]),
        (0, "log", [0]),
        (1, "log", [0, 1]),
    ],
)
def test_recorded_iterations__are_as_asked_with_both_ends(steps, every, expected):
    assert recorded_iterations(steps, every) == expected


def test_recorded_iterations__are_about_ten_a_decade_with_log():
    at = np.array(recorded_iterations(10**5, "log"))
    assert (at[0], at[1], at[-1]) == (0, 1, 10**5)
    for low in (10**2, 10**3, 10**4):
        assert abs(np.sum((at >= low) & (at < 10 * low)) - 10) <= 1


@pytest.mark.parametrize("every", [1, 4, "log", [3]])
def test_recording__happens_at_these_iterations_and_flow_times(every, cloud, samples):
    run = mf.simulate(
        mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(0.3), steps=10, record_every=every, record=("loss",)
    )
    assert run.dataset.iteration.values.tolist() == recorded_iterations(10, every)
    assert run.dataset.time.values == pytest.approx(0.3 * run.dataset.iteration.values, rel=1e-15)


REFUSALS = [
    ({"record": ("los",)}, "`record` must be an mf.Observable or the name of one: got 'los'. Did you mean 'loss'?"),
    ({"record": ("test_loss",)}, "`record` asks for test_loss, which needs test samples: got test=None. Give `test`."),
    ({"record": ("test_loss",), "test": mf.Dataset([[1.0, 2.0]], [1.0])}, "`test`"),  # 2 inputs, for a net of 3
    ({"record": ("misclassification",)}, "labels must be -1 or 1 here"),
    ({"loss": "logistic"}, "labels must be -1 or 1 here"),
    ({"record_every": 0}, "`every` must be a whole number >= 1: got 0"),
    ({"record_every": "linear"}, "got 'linear'"),
    ({"record_every": [3, 11]}, "`every` must be a whole number from 0 to 10: got 11"),
    ({"record": ("kernel_distance",), "method": mf.SGD(0.1)}, "all samples a step: got batches of samples"),
    ({"record": ("kernel_distance",), "regulariser": mf.L1(0.1)}, "no regulariser but the pull to the start"),
    ({"positions": 0}, "`positions` must be a whole number from 1 to 5: got 0"),
    ({"positions": 6}, "`positions` must be a whole number from 1 to 5: got 6"),
    ({"steps": -1}, "`steps` must be a whole number >= 0: got -1"),
    ({"steps": 2.5}, "`steps` must be a whole number >= 0: got 2.5"),
    (
        {"loss": "hinge"},
        "`loss` must be an mf.Loss or the name of one: got 'hinge'. Choose one of: exponential, huber, "
        "logistic, smooth_hinge, softmax, squared.",
    ),
    ({"regulariser": 0.1}, "`regulariser` must be an mf.L1 or mf.L2, or a subclass: got 0.1"),
    ({"method": mf.AveragedSGD(0.1), "regulariser": mf.L1(0.1)}, "AveragedSGD brings its own regulariser"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
def test_simulate__refuses(settings, message, cloud, samples):
    settings = {"method": mf.GradientDescent(0.1), "steps": 10, **settings}
    with pytest.raises(mf.InputError) as caught:
        mf.simulate(mf.Network("tanh"), cloud(), samples(), **settings)
    assert message in str(caught.value)
