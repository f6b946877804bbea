"""Networks of several outputs: whole runs against the naive twin, differences, and one run an output."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from references import stored
from support import naive, steps
from support.daily import some

import particles as mf
from particles.model.losses import Loss

STEPS, M, N, D = 4, 260, 5, 3
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}

COSH = Loss("cosh", lambda z, y: np.log(np.cosh(z - y)), lambda z, y: np.tanh(z - y), 1.0, False, lambda u: 1 - u**2)


def vector_bend(slope, y):
    """Of sqrt(1 + |e|^2) - 1, whose slope is e q with q = 1 / sqrt(1 + |e|^2): q (1 - slope slope')."""
    q = np.sqrt(1 - (slope**2).sum(axis=1))[:, None, None]
    return q * (np.eye(slope.shape[1]) - slope[:, :, None] * slope[:, None, :])


VECTOR = Loss("vector", *naive.JOINT["vector"], 1.0, False, vector_bend, joint=True)
OWN = {"cosh": COSH, "vector": VECTOR}
SLOPE = {name: row[1] for name, row in (naive.LOSS | naive.JOINT).items()} | {"cosh": COSH.slope}

METHODS = {
    "GD": mf.GradientDescent(0.3),
    "SGD-1": mf.SGD(0.3, seed=1),
    "SGD-3": mf.SGD(0.3, batch=3, average=True),
    "averaged": mf.AveragedSGD(0.3, weight_decay=0.1),
    "heun": mf.RungeKutta(0.3, "heun"),
    "adaptive": mf.RungeKutta(3.0, "bogacki-shampine", tolerance=0.02),
    "cold": mf.Langevin(0.3, 0.0, weight_decay=0.1),
    "noisy": mf.Langevin(0.3, 0.05, weight_decay=0.1, seed=4),
    "dual": mf.DualAveraging(0.3, 0.05, weight_decay=0.1, inner=2, seed=4),
    "weighing": mf.FisherRao(0.3, rate=0.5),
}
TRAINS = {"input": ("input",), "output": ("output",), "both": ("input", "output")}
RULES = {"none": None, "L2": mf.L2(0.2), "start": mf.L2(0.2, about="start"), "L1": mf.L1(0.05)}


def possible(case):
    """Whether the package takes it: what it refuses is tested elsewhere."""
    loss, train, method, rule, k = case
    own = method in ("averaged", "cold", "noisy", "dual")
    return not (
        (rule != "none" and own)
        or (rule == "L1" and method in ("heun", "adaptive"))
        or (method == "weighing" and (train != "input" or rule == "start"))
        or (loss in naive.JOINT and k == 1)
    )


CASES = [case for case in itertools.product(SLOPE, TRAINS, METHODS, RULES, (1, 3, 10)) if possible(case)]
SLOW, DAILY = CASES[::4], CASES[::20]
REST = [pytest.param(case, marks=pytest.mark.exhaustive) for case in CASES if case not in SLOW]


def named(case):
    return "-".join(map(str, case))


def problem(loss, k, n=N, d=D, m=M, equal=True, seed=0):
    """A random start and data of k outputs that the loss takes."""
    random = np.random.default_rng([n, d, m, k, seed])
    x, y, b, s = (random.standard_normal(shape) for shape in ((n, d), (n, k), (m, d), (m, k)))
    w = np.ones(m) if equal else random.random(m) + 0.1
    if loss in naive.LABELLED:
        y = np.sign(y)
    if loss == "softmax":
        y = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    y, s = (a[:, 0] if k == 1 else a for a in (y, s))
    return mf.Measure(b, s, w / w.sum()), mf.Dataset(x, y)


def compare(net, start, data, method, loss, rule=None, dtype="float64", count=STEPS):
    """The run and its twin, particle by particle."""
    settings = {"record": (), "record_every": count, "engine": mf.Local(1), "dtype": dtype, "regulariser": rule}
    run = mf.simulate(net, start, data, method, steps=count, loss=OWN.get(loss, loss), **settings)
    name = net.activation.name
    twin = steps.Twin(net, start, data, method, naive.SIGMA[name], rule, SLOPE[loss])
    wanted, mean = steps.end(twin, count)
    found = [*run.measure[:2], run.measure.w] + ([*run.average[:2]] if mean else [])
    for one, other in zip(found, wanted + (mean or []), strict=True):
        assert one.reshape(other.shape) == pytest.approx(other, rel=0, abs=TOLERANCE[dtype] * max(1, abs(other).max()))
    moved = abs(run.measure.b - start.b).max(), abs(run.measure.s - start.s).max()
    assert [bool(size > 1e-3) for size in moved] == ["input" in net.train, "output" in net.train]


@pytest.mark.parametrize("case", [*some(SLOW, *DAILY), *REST], ids=named)
def test_run__is_the_naive_one(case):
    loss, train, method, rule, k = case
    start, data = problem(loss, k)
    net = mf.Network("tanh", train=TRAINS[train], outputs=k)
    compare(net, start, data, METHODS[method], loss, RULES[rule], count=2 if method == "adaptive" else STEPS)


def test_daily_cases__have_every_loss_layer_method_regulariser_and_number_of_outputs():
    for values, tried in zip(zip(*CASES, strict=True), zip(*DAILY, strict=True), strict=True):
        assert set(values) == set(tried)


# (activation, type, M, n, d, k, beta, bias, equal weights): blocks and panels that are not full, more samples than go
# through a block at once (48), slopes that are kept (gelu from 4 inputs on, others from 96).
SIZES = [
    ("tanh", "float64", 1, 1, 1, 2, 1.0, False, True),
    ("gelu", "float64", 300, 7, 5, 10, 0.5, True, True),
    ("tanh", "float64", 257, 3, 130, 3, 0.5, False, True),
    ("sigmoid", "float64", 20, 101, 2, 3, 1.0, True, False),
    ("tanh", "float64", 300, 4, 3, 10, 1.0, True, False),
    ("tanh", "float64", 9, 4, 3, 300, 1.0, False, False),
    ("tanh", "float32", 300, 7, 5, 10, 0.5, True, True),
    ("tanh", "float32", 257, 3, 130, 3, 1.0, False, False),
]


@pytest.mark.parametrize("case", SIZES, ids=named)
def test_run__is_the_naive_one_whatever_its_size(case):
    name, dtype, m, n, d, k, beta, bias, equal = case
    start, data = problem("softmax", k, n, d - bias, m, equal)
    start = start._replace(b=np.random.default_rng(0).standard_normal((m, d)))  # of the bias too
    net = mf.Network(name, beta=beta, bias=bias, train=("input", "output"), outputs=k)
    b, s, x = (a.astype(dtype).astype(float) for a in (*start[:2], data.x))  # what the loops are given
    start, data = mf.Measure(b, s, start.w), mf.Dataset(x, data.y)
    compare(net, start, data, mf.GradientDescent(0.3), "softmax", mf.L2(0.2, about="start"), dtype)


@pytest.mark.parametrize("signs", ["random", "symmetric", "unit", "gaussian", "joint"])
def test_run__of_the_limit_is_the_naive_one(signs):
    k = 3
    start = mf.Gaussian(D + k if signs == "joint" else D).quadrature(40, signs, outputs=k)
    _, data = problem("softmax", k)
    net = mf.Network("tanh", train=("input", "output"), outputs=k)
    compare(net, start, data, mf.GradientDescent(0.3), "softmax")


@pytest.mark.parametrize("train", TRAINS)
@pytest.mark.parametrize("loss", ["softmax", "logistic", "cosh"])
def test_velocity__descends_the_loss_of_several_outputs(loss, train):
    """A step from the start against differences of four points, the naive loss at places h apart: no kink is near."""
    k, m, h = 3, 4, 1e-3
    start, data = problem(loss, k, m=m, equal=False)
    net = mf.Network("tanh", train=TRAINS[train], outputs=k)
    run = mf.simulate(net, start, data, mf.GradientDescent(1.0), steps=1, loss=OWN.get(loss, loss), record=())

    def objective(b, s):
        g = naive.network(b, s, start.w, data.x, np.tanh)
        value = (naive.LOSS | naive.JOINT).get(loss, [COSH.value])[0](g, data.y)
        return value.sum() / N

    for layer, name in enumerate(("input", "output")):
        found = run.measure[layer] - start[layer]
        wanted = np.zeros_like(found)
        for place in np.ndindex(found.shape if name in TRAINS[train] else (0,)):
            values = {}
            for steps_away in (-2, -1, 1, 2):
                moved = [a.copy() for a in start[:2]]
                moved[layer][place] += steps_away * h
                values[steps_away] = objective(*moved)
            slope = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * h)
            wanted[place] = -slope / start.w[place[0]]
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("method", ["GD", "SGD-3", "heun", "noisy"])
@pytest.mark.parametrize("loss", ["squared", "huber"])
@pytest.mark.parametrize("k", [3, 10])
def test_outputs__of_disjoint_clouds_are_as_many_runs_of_one_output(k, loss, method):
    """s = k e_o s_r in cloud o, so that g_o is cloud o's own; V is k times its own, and steps a k-th."""
    clouds = [problem(loss, 1, m=100, seed=o)[0] for o in range(k)]
    _, data = problem(loss, k)
    s = np.concatenate([k * np.outer(cloud.s, axis) for cloud, axis in zip(clouds, np.eye(k), strict=True)])
    both = mf.Measure(np.concatenate([cloud.b for cloud in clouds]), s, np.full(100 * k, 1 / (100 * k)))
    how = METHODS[method]
    if method == "noisy":  # one output's noise is not another's
        how = mf.Langevin(0.3, 0.0, batch=3, weight_decay=0.1)
    slow = {"step": how.step / k} | ({"weight_decay": k * how.weight_decay} if method == "noisy" else {})
    settings = {"steps": STEPS, "loss": loss, "record": (), "engine": mf.Local(1)}
    many = mf.simulate(mf.Network("tanh", outputs=k), both, data, replace(how, **slow), **settings).measure
    for o, cloud in enumerate(clouds):
        one = mf.simulate(mf.Network("tanh"), cloud, mf.Dataset(data.x, data.y[:, o]), how, **settings).measure
        assert many.b[100 * o : 100 * (o + 1)] == pytest.approx(one.b, rel=0, abs=1e-12 * abs(one.b).max())
        assert abs(one.b - cloud.b).max() > 1e-2


JAX = stored("gradients")
CASES_OF_JAX = [key.split("-")[:3] for key in JAX if key.endswith("-loss")]


@pytest.mark.parametrize(("activation", "loss", "k"), CASES_OF_JAX)
def test_velocity__is_that_of_jax(activation, loss, k):
    """At beta = 1/2, with a bias and the regulariser 0.3 / 2 |(b, s)|^2; and the objective at the start."""
    b, s, m = JAX["b"], JAX[f"s-{k}"], len(JAX["b"])
    net = mf.Network(activation, beta=0.5, bias=True, train=("input", "output"), outputs=int(k))
    data = mf.Dataset(JAX["x"][:, :-1], JAX[f"y-{loss}-{k}"])
    settings = {"steps": 1, "loss": loss, "regulariser": mf.L2(0.3), "record": "objective"}
    run = mf.simulate(net, mf.Measure(b, s, np.full(m, 1 / m)), data, mf.GradientDescent(1.0), **settings)
    for found, start, name in ((run.measure.b, b, "b"), (run.measure.s, s, "s")):
        wanted = -JAX[f"{activation}-{loss}-{k}-{name}"]  # times M / alpha^2, which is 1
        assert found - start == pytest.approx(wanted, rel=0, abs=1e-12 * max(1, abs(wanted).max()))
    assert float(run.dataset.objective[0]) == pytest.approx(float(JAX[f"{activation}-{loss}-{k}-loss"]), rel=1e-12)


def test_cases_of_jax__are_all_there():
    assert len(CASES_OF_JAX) == 18


# Symmetries


@pytest.mark.parametrize("train", TRAINS)
@pytest.mark.parametrize("rule", ["none", "start", "L1"])
@pytest.mark.parametrize("loss", ["softmax", "squared", "cosh"])
def test_dissipation__of_several_outputs_is_the_rate_of_descent(loss, rule, train):
    """Between two near times the objective falls by their mean dissipation, to third order."""
    start, data = problem(loss, 3, equal=False)
    net = mf.Network("tanh", train=TRAINS[train], outputs=3)
    size, record = 1e-3, ("objective", "dissipation", "gradient_norm")
    settings = {"loss": OWN.get(loss, loss), "regulariser": RULES[rule], "record": record, "steps": 2}
    method = mf.GradientDescent(size) if rule == "L1" else mf.RungeKutta(size, "classic")
    run = mf.simulate(net, start, data, method, **settings).dataset
    fell, mean = -np.diff(run.objective), (run.dissipation.values[1:] + run.dissipation.values[:-1]) / 2
    assert fell == pytest.approx(size * mean, rel=5e-3 if rule == "L1" else 1e-6)
    assert run.gradient_norm.values**2 == pytest.approx(run.dissipation.values, rel=1e-12)  # alpha is 1


def test_turned_outputs__turn_with_the_targets_and_leave_the_particles_where_they_are():
    """A rotation of R^k is a symmetry of the squared loss, an exchange of classes one of softmax."""
    random = np.random.default_rng(0)
    turn, exchange = np.linalg.qr(random.standard_normal((4, 4)))[0], np.eye(4)[[2, 0, 3, 1]]
    for loss, matrix in (("squared", turn), ("softmax", exchange)):
        start, data = problem(loss, 4)
        net = mf.Network("tanh", train=("input", "output"), outputs=4)
        settings = {"steps": STEPS, "loss": loss, "record": "prediction"}
        one = mf.simulate(net, start, data, METHODS["GD"], **settings)
        turned = start._replace(s=start.s @ matrix), mf.Dataset(data.x, data.y @ matrix)
        other = mf.simulate(net, *turned, METHODS["GD"], **settings)
        assert other.measure.b == pytest.approx(one.measure.b, rel=0, abs=1e-12)
        assert other.measure.s == pytest.approx(one.measure.s @ matrix, rel=0, abs=1e-12)
        wanted = one.dataset.prediction.values @ matrix
        assert other.dataset.prediction.values == pytest.approx(wanted, rel=0, abs=1e-12)


def test_softmax__keeps_the_sum_of_output_weights_where_they_train():
    """Its slopes add up to 0 over the classes, so every particle's output weights keep their sum."""
    start, data = problem("softmax", 10)
    net = mf.Network("tanh", train=("input", "output"), outputs=10)
    end = mf.simulate(net, start, data, METHODS["GD"], steps=20, loss="softmax", record=()).measure
    assert end.s.sum(axis=1) == pytest.approx(start.s.sum(axis=1), rel=0, abs=1e-12)
    assert abs(end.s - start.s).max() > 0.1


def test_duplicated_particles__of_several_outputs_leave_the_run_unchanged():
    start, data = problem("softmax", 3)
    twice = mf.Measure(*(np.repeat(a, 2, axis=0) for a in start[:2]), np.repeat(start.w, 2) / 2)
    net = mf.Network("tanh", train=("input", "output"), outputs=3)
    one, two = (mf.simulate(net, a, data, METHODS["GD"], steps=STEPS, loss="softmax", record=()).measure
                for a in (start, twice))  # fmt: skip
    assert two.b[::2] == pytest.approx(one.b, rel=0, abs=1e-12) and (two.b[::2] == two.b[1::2]).all()
    assert two.s[::2] == pytest.approx(one.s, rel=0, abs=1e-12)


# Odd inputs


@pytest.mark.parametrize("kind", ["read-only", "Fortran", "float32", "strided", "xarray", "pandas", "list"])
def test_arrays__of_any_kind_give_the_same_run(kind):
    start, data = problem("softmax", 3)
    start = start._replace(**{name: getattr(start, name).astype("float32").astype(float) for name in "bs"})
    x, y = (a.astype("float32").astype(float) for a in (data.x, data.y))

    def of(a):
        if kind == "read-only":
            a = a.copy()
            a.setflags(write=False)
        kinds = {
            "Fortran": np.asfortranarray,
            "float32": lambda a: a.astype("float32"),
            "strided": lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1)[::2, ::2],
            "xarray": lambda a: xr.DataArray(a, dims=("row", f"column{a.shape[1]}")),
            "pandas": pd.DataFrame,
            "list": np.ndarray.tolist,
        }
        return kinds.get(kind, lambda a: a)(a)

    net = mf.Network("tanh", train=("input", "output"), outputs=3)
    settings = {"steps": 2, "loss": "squared", "record": ()}
    wanted = mf.simulate(net, start, mf.Dataset(x, y), METHODS["GD"], **settings).measure
    given = mf.Measure(of(start.b), of(start.s), start.w)
    found = mf.simulate(net, given, mf.Dataset(of(x), of(y)), METHODS["GD"], **settings).measure
    for one, other in zip(found, wanted, strict=True):
        assert one.tobytes() == other.tobytes()
    assert net.predict(given, of(x)).tobytes() == net.predict(start, x).tobytes()


def test_outputs__that_are_huge_are_finite_or_told():
    """Softmax of outputs of 1e300 has its value; a squared loss of inf is a run that diverged before its first step."""
    start, data = problem("softmax", 3)
    far = start._replace(s=1e300 * start.s)
    net = mf.Network("tanh", outputs=3)
    loss = mf.simulate(net, far, data, mf.GradientDescent(1e-300), steps=2, loss="softmax").dataset.loss.values
    assert np.isfinite(loss).all() and loss[0] > 1e298
    with pytest.raises(mf.DivergedError, match="the loss is inf at iteration 0"):
        mf.simulate(net, far, data, mf.GradientDescent(0.1), steps=2)


@pytest.mark.parametrize("train", [("input",), ("input", "output")])
def test_simulate__refuses_output_weights_that_keep_all_outputs_equal(train):
    data = mf.Dataset(np.eye(3), [0, 1, 2], classes=True)
    net, start = mf.Network("tanh", train=train, outputs=3), mf.Gaussian(3).sample(8, seed=0, outputs=3)
    if "output" in train:
        assert mf.simulate(net, start, data, mf.GradientDescent(0.1), steps=1, loss="softmax").status == "finished"
        return
    with pytest.raises(mf.InputError, match="must tell the outputs apart"):
        mf.simulate(net, start, data, mf.GradientDescent(0.1), steps=1, loss="softmax")
