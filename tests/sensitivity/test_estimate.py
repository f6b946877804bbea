"""`mf.estimate` against runs that are made one by one, exact means at the start, and its own intervals."""

import numpy as np
import pytest

import particles as mf
from particles.sensitivity import choice as choices, intervals
from particles.sensitivity.starts import Asked, Starts

LAW = mf.Gaussian(2)
DESCENT = mf.GradientDescent(0.5)
QUICK = {"steps": 4, "signs": "random", "nodes": 512}


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(3)
    x = random.standard_normal((8, 2))
    return mf.Dataset(x, 0.6 * np.tanh(x @ [1.0, -0.5]) + 0.2 * random.standard_normal(8))


@pytest.fixture(scope="module")
def control(data):
    return mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, count=64, tolerance=8e-4, estimator="control", **QUICK)


def one_by_one(found, data, method=DESCENT, net="tanh", M=64, of="loss"):
    """What the answer's starts measure at the end, by their seeds."""
    seeds = found.dataset["start_seed"].values.tolist()
    runs = [
        mf.simulate(mf.Network(net), LAW.sample(M, seed, "random"), data, method, steps=4, record=of) for seed in seeds
    ]
    return np.array([run.dataset[of].values[-1] for run in runs])


def student(degrees):
    return {63: 1.9983405}[degrees]  # Abramowitz and Stegun's function, from a table


def test_plain__is_the_mean_of_runs_with_students_interval(data):
    found = mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, count=64, tolerance=5e-3, estimator="plain", **QUICK)
    values = one_by_one(found, data)
    assert len(values) == choices.LEAST == 64
    assert found.mean == pytest.approx(values.mean(), rel=1e-13)
    assert found.error == pytest.approx(student(63) * values.std(ddof=1) / 8, rel=1e-6)
    assert found.variance == pytest.approx(values.var(ddof=1), rel=1e-12)


def test_control__is_the_mean_less_the_first_variations(data, control):
    net = mf.Network("tanh")
    limit = LAW.quadrature(512, "random", along=data.x, tensor=False)
    known = mf.sensitivity(net, limit, data, DESCENT, steps=4)
    samples = one_by_one(control, data)
    for number, seed in enumerate(control.dataset["start_seed"].values.tolist()):
        start = LAW.sample(64, seed, "random")
        samples[number] -= known.variation(start)["loss_variation"].values[0].mean()
    assert control.bias == pytest.approx(samples.mean() - known.dataset["loss"].item(), abs=1e-13)
    assert control.mean - control.bias == pytest.approx(control.dataset["loss_limit"].item(), abs=1e-15)
    fine = mf.simulate(net, LAW.quadrature(2**14, "random"), data, DESCENT, steps=4).dataset["loss"].values[-1]
    assert abs(control.dataset["loss_limit"] - fine) < 1.5 * control.dataset["loss_limit_error"] < 8e-4
    assert control.error <= 8e-4


def test_control__states_the_variance_better_than_the_runs_alone(data, control):
    low, high = control.variance_interval
    values = one_by_one(control, data)
    none = np.zeros(1)
    _, below, above = intervals.variance(values[:, None], np.zeros((64, 1)), none, none)
    assert high - low < 0.5 * (above - below)
    many = mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, count=64, tolerance=1e-3, estimator="plain", **QUICK)
    assert low < many.variance_interval[1] and many.variance_interval[0] < high


@pytest.mark.parametrize("estimator, signs", [("control", "positive"), ("control", "random"), ("antithetic", "random")])
def test_bias__is_exact_at_the_start(data, estimator, signs):
    """E L_M - L_inf = (1/2 n) sum_i Var sigma(b.x_i) s / M before the first step."""
    fine = LAW.quadrature(2**14)
    values = np.tanh(fine.b @ data.x.T)
    second = fine.w @ values**2
    variance = second - (fine.w @ values) ** 2 if signs == "positive" else second
    given = {"count": 64, "tolerance": 1e-3, "estimator": estimator, "steps": 0, "signs": signs}
    found = mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, **given)
    truth = 0.5 * variance.mean() / 64
    assert abs(found.bias - truth) < 1.5 * found.bias_error < 0.5 * truth  # three standard errors


def test_choice__is_plain_where_the_limit_costs_more(data):
    options = {"loss": "squared", "regulariser": None, "test": None, "engine": None, "dtype": "float64"}
    of = mf.OBSERVABLES["loss"]
    chosen = []
    for nodes in (64, 2**17):
        starts = Starts(Asked(mf.Network("tanh"), LAW, data, DESCENT, 4, of, 64, 0, "random", None, options))
        chosen.append(choices.Choice(starts, 4e-4, None, {}, nodes, 10**5))
        chosen[-1].make()
    cheap, dear = chosen
    assert (cheap.name, dear.name) == ("control", "plain")
    sights = cheap.sights()
    assert sights["control"].cost < sights["antithetic"].cost < sights["plain"].cost
    assert "the limit alone costs" in dear.refused["control"] and dear.starts.cost["limit"] == 0
    assert dear.sights()["antithetic"].cost > dear.sights()["plain"].cost == sights["plain"].cost


def test_choice__is_plain_where_the_fewest_runs_are_enough(data):
    found = mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, count=64, tolerance=0.1, **QUICK)
    assert found.estimator == "plain" and list(found.dataset["part"].values) == ["answer", "pilot"]
    assert np.isnan(found.dataset["loss_limit"]) and np.isfinite(found.bias)


def test_cost__is_particles_by_steps(data, control):
    cost = dict(zip(control.dataset["part"].values.tolist(), control.dataset["cost"].values.tolist(), strict=True))
    runs = control.dataset.sizes["run"]
    assert cost["answer"] == runs * 64 * 4 + runs * round(1.7 * 64 * 4)
    assert cost["pilot"] == choices.PILOT * (3 * 64 * 4 + round(1.7 * 64 * 4))


def test_seeds__share_no_start(data):
    given = {"count": 64, "tolerance": 0.1, "estimator": "plain", **QUICK}
    starts = [
        mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, seed=k, **given).dataset["start_seed"] for k in (0, 1)
    ]
    assert len(np.unique(np.concatenate(starts))) == 128


def test_threads__leave_the_bits(data):
    given = {"count": 1100, "tolerance": 1e-3, "estimator": "control", **QUICK, "steps": 2}
    one, three = (
        mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, engine=mf.Local(k), **given).dataset for k in (1, 3)
    )
    assert one.identical(three)


def test_entries__have_intervals_of_their_own(data):
    given = {"count": 64, "tolerance": 0.02, "of": "prediction", "record_every": 2, "estimator": "control", **QUICK}
    found = mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, **given)
    assert found.mean.shape == found.error.shape == found.bias.shape == (3, 8)
    assert found.error.max() <= 0.02
    assert found.dataset["prediction_mean"].dims == ("time", "sample")
    assert found.dataset["time"].values.tolist() == [0.0, 1.0, 2.0]
    fine = mf.simulate(mf.Network("tanh"), LAW.quadrature(2**14, "random"), data, DESCENT, steps=4, record_every=2)
    apart = np.abs(found.dataset["prediction_limit"].values - fine.dataset["prediction"].values)
    assert (apart < 3.0 * found.dataset["prediction_limit_error"].values + 1e-6).all()


def test_symmetric__starts_have_symmetric_parts(data):
    given = {"steps": 4, "signs": "symmetric", "nodes": 512, "count": 64, "tolerance": 3e-3}
    net = mf.Network("tanh")
    plain, control, antithetic = (
        mf.estimate(net, LAW, data, DESCENT, estimator=name, **given) for name in choices.NAMES
    )
    error = np.hypot(control.error, antithetic.error)
    assert abs(control.mean - antithetic.mean) < 1.5 * error
    assert abs(plain.mean - control.mean) < 1.5 * np.hypot(plain.error, control.error)
    assert abs(control.bias - antithetic.bias) < 1.5 * np.hypot(control.bias_error, antithetic.bias_error)
    low, high = plain.variance_interval
    assert low < control.variance < high


def test_sgd__has_the_same_samples_at_every_start(data):
    method = mf.SGD(0.2, batch=4, seed=5)
    given = {"count": 64, "tolerance": 0.02, **QUICK}
    found = mf.estimate(mf.Network("tanh"), LAW, data, method, estimator="plain", **given)
    assert found.mean == pytest.approx(one_by_one(found, data, method).mean(), rel=1e-12)


def test_noise__is_every_starts_own(data):
    method = mf.Langevin(0.2, temperature=0.05, weight_decay=0.1, seed=5)
    found = mf.estimate(mf.Network("tanh"), LAW, data, method, count=64, tolerance=0.1, **QUICK)
    assert found.estimator == "plain" and "noise of their own" in found.reason and np.isnan(found.bias)
    seeds = found.dataset["start_seed"].values.tolist()
    own = np.mean([
        mf.simulate(
            mf.Network("tanh"), LAW.sample(64, k, "random"), data,
            mf.Langevin(0.2, temperature=0.05, weight_decay=0.1, seed=k), steps=4,
        ).dataset["loss"].values[-1]
        for k in seeds
    ])  # fmt: skip
    assert found.mean == pytest.approx(own, rel=1e-12)


@pytest.mark.parametrize(
    "net, method, of, M, name, reason",
    [
        (mf.Network("relu"), DESCENT, "loss", 64, "control", "kinks of relu"),
        (mf.Network("tanh", beta=0.5), DESCENT, "loss", 64, "control", "alpha grows with M"),
        (mf.Network("tanh", beta=0.5), DESCENT, "loss", 64, "antithetic", "alpha grows with M"),
        (
            mf.Network("tanh"),
            DESCENT,
            "displacement_max",
            64,
            "control",
            "must name observables that have a derivative",
        ),
        (mf.Network("tanh"), mf.RungeKutta(0.5, tolerance=1e-6), "loss", 64, "control", "as they are"),
        (mf.Network("tanh"), DESCENT, "loss", 66, "antithetic", "no quarters"),
    ],
)
def test_estimator__is_refused_with_its_reason(data, net, method, of, M, name, reason):
    given = {"count": M, "tolerance": 10.0, "of": of, **QUICK}
    with pytest.raises(mf.InputError, match=reason):
        mf.estimate(net, LAW, data, method, estimator=name, **given)
    free = mf.estimate(net, LAW, data, method, **given)
    assert free.estimator == "plain" and f"{name}: " in free.reason and reason in free.reason


def test_relu__is_estimated_by_nested_clouds(data):
    given = {"count": 64, "tolerance": 1.5e-3, **QUICK}
    found = mf.estimate(mf.Network("relu"), LAW, data, DESCENT, estimator="antithetic", **given)
    plain = mf.estimate(mf.Network("relu"), LAW, data, DESCENT, estimator="plain", **given)
    assert found.error <= 1.5e-3
    assert abs(found.mean - plain.mean) < 1.5 * np.hypot(found.error, plain.error)


def test_beta__below_1_has_no_bias(data):
    found = mf.estimate(mf.Network("tanh", beta=0.5), LAW, data, DESCENT, count=64, tolerance=10.0, **QUICK)
    assert np.isnan(found.bias) and np.isnan(found.bias_error) and found.variance > 0.0


@pytest.mark.parametrize(
    "changed, rule",
    [
        ({"tolerance": 0.0}, "`tolerance` must be a finite number > 0"),
        ({"tolerance": 1e-5, "estimator": "plain", "most": 200}, "needs more runs than `most`=200"),
        ({"tolerance": 1e-12}, "needs more runs than `most`=100000: got .* in sight. Ask for tolerance="),
        ({"tolerance": 1e-9, "estimator": "control", "most": 2**60}, "is out of reach"),
        ({"of": ["loss"]}, r"`of` must be an mf.Observable or the name of one: got \['loss'\]"),
        ({"of": "test_loss"}, "asks for test_loss, which needs test samples"),
        ({"estimator": "controll"}, "`estimator` must be one of plain, control, antithetic"),
        ({"of": "position"}, "a quantity of the network"),
        ({"of": "losss"}, "'losss'"),
        ({"count": 0}, "count"),
        ({"seed": -1}, "seed"),
        ({"nodes": 4}, "`nodes` must be a whole number >= 8"),
        ({"steps": -1}, "`steps` must be a whole number >= 0"),
    ],
)
def test_argument__that_is_wrong_is_refused(data, changed, rule, monkeypatch):
    monkeypatch.setattr(choices, "_MOST_NODES", 2**13)
    given = {"count": 64, "tolerance": 0.1, **QUICK} | changed
    with pytest.raises(mf.InputError, match=rule):
        mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, **given)


@pytest.mark.parametrize("place, given, rule", [
    (0, "tanh", "`net` must be an mf.Network: got 'tanh'"),
    (1, LAW.sample(8, seed=0), "`law` must be an mf.Law: got Measure"),
    (2, ([[1.0, 0.0]], [1.0]), "`data` must be an mf.Dataset or an mf.Stream: got tuple"),
])  # fmt: skip
def test_part__of_another_type_is_refused(place, given, rule, data):
    parts = [mf.Network("tanh"), LAW, data, DESCENT]
    parts[place] = given
    with pytest.raises(mf.InputError, match=rule):
        mf.estimate(*parts, count=64, tolerance=0.1, **QUICK)


def test_tolerance__that_needs_far_too_many_runs_is_refused_after_the_pilot(data, monkeypatch):
    monkeypatch.setattr(choices.Choice, "_refine", None)
    with pytest.raises(mf.InputError, match="needs more runs than `most`=100000") as caught:
        mf.estimate(mf.Network("tanh"), LAW, data, DESCENT, count=64, tolerance=1e-12, **QUICK)
    reached = float(str(caught.value).split("tolerance=")[1].rstrip("."))
    assert 1e-12 < reached < 1e-4


def test_residual__falls_like_one_over_m(data):
    """Measured deviations less predicted ones: their standard deviation, over M^-1."""
    net = mf.Network("tanh")
    known = mf.sensitivity(net, LAW.quadrature(2048, "random", tensor=False), data, DESCENT, steps=4)
    apart = []
    for M in (64, 256, 1024):
        starts = [LAW.sample(M, seed, "random") for seed in range(64)]
        runs = [mf.simulate(net, start, data, DESCENT, steps=4, record_every=4) for start in starts]
        measured = np.array([run.dataset["loss"].values[-1] for run in runs])
        apart.append(np.std(measured - [known.predict(start)["loss"].item() for start in starts]))
    slope = np.polyfit(np.log([64, 256, 1024]), np.log(apart), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.2)  # a standard error of .08: residuals as skewed as a chi square


@pytest.mark.slow
@pytest.mark.parametrize("M, starts, least", [(1024, 300, 20.0), (4096, 200, 80.0)])
def test_control__takes_most_of_the_variance(M, starts, least):
    """Of a generic problem after 40 steps, less three standard errors; measured 115 and 460."""
    random = np.random.default_rng(1)
    x = random.standard_normal((30, 3))
    x[:, -1] = 1.0
    data = mf.Dataset(x, 0.6 * np.tanh(x @ random.standard_normal(3)) + 0.3 * random.standard_normal(30))
    net, law = mf.Network("tanh"), mf.Gaussian(3)
    known = mf.sensitivity(net, law.quadrature(2**13, "random", tensor=False), data, DESCENT, steps=40)
    clouds = [law.sample(M, seed, "random") for seed in range(starts)]
    runs = [mf.simulate(net, one, data, DESCENT, steps=40, record="loss", record_every=40) for one in clouds]
    plain = np.array([run.dataset["loss"].values[-1] for run in runs])
    left = plain - [known.predict(one)["loss"].item() for one in clouds]
    logs = [np.var((one - one.mean()) ** 2) / np.var(one) ** 2 for one in (plain, left)]
    error = np.sqrt(sum(logs) / starts)  # of the logarithm of the gain
    assert np.log(plain.var() / left.var()) - 3 * error > np.log(least)
