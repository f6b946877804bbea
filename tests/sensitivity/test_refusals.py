"""What has no derivative, and what a user's own parts must be: each bad input and its message."""

import math
import re

import numpy as np
import pytest

import particles as mf
from particles.population.shard import Shard

NET, LAW = mf.Network("tanh"), mf.Gaussian(2)
DATA = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
START = LAW.sample(6, seed=0)
PLAIN = {"net": NET, "start": START, "data": DATA, "method": mf.GradientDescent(0.5), "steps": 2}


def own(**parts):
    row = mf.Observable(
        "mine", "mine", "3.4", (), lambda at: 0.0, differential=lambda at, index: mf.Differential(**parts)
    )
    return row


def particles(integrand):
    return own(particles=integrand)


def unknown_curvature():
    row = mf.ACTIVATIONS["tanh"]._replace(name="flat", second_derivative=None)
    return mf.Network(row)


REFUSED = {
    "average": ({"method": mf.GradientDescent(0.5, average=True)}, "must make plain steps: got an average of iterates"),
    "averaged SGD": ({"method": mf.AveragedSGD(0.5)}, "must make plain steps: got an average of iterates"),
    "Langevin": ({"method": mf.Langevin(0.5, 0.1)}, "must make plain steps: got Langevin. Use mf.GradientDescent"),
    "FisherRao": ({"method": mf.FisherRao(0.5)}, "must make plain steps: got FisherRao"),
    "DualAveraging": ({"method": mf.DualAveraging(0.5, 0.1, 0.1)}, "must make plain steps: got DualAveraging"),
    "tolerance": ({"method": mf.RungeKutta(0.5, tolerance=1e-3)}, "must be as they are: got tolerance=0.001. Leave"),
    "L1": ({"regulariser": mf.L1(0.1)}, "needs a smooth regulariser: got L1(weight=0.1). Use L2."),
    "no curvature": ({"net": unknown_curvature}, "needs the `second_derivative` of the activation 'flat': got None."),
    "by target": (
        {"by": "target", "loss": "logistic", "data": mf.Dataset(DATA.x, np.sign(DATA.y))},
        "derivative `by` 'target': got the loss 'logistic'",
    ),
    "by sample": (
        {"by": ("step", "sample"), "method": mf.SGD(0.1)},
        "derivative `by` 'sample': got iterations that use other samples",
    ),
    "by": ({"by": ("particle", "targets")}, "`by` must name some of particle, position, output_weight, step"),
    "by, a word": ({"by": "weight_decy"}, "got 'weight_decy'. Did you mean 'weight_decay'?"),
    "by a number": ({"by": 3}, "`by` must name some of particle, position, output_weight, step"),
    "engine": ({"engine": 2}, "`engine` must be an mf.Local or an mf.Ray: got 2. Give mf.Local(threads=2), say."),
    "of nothing": ({"of": []}, "`of` must name something that is measured: got []. Take \"loss\", say."),
    "net": ({"net": "tanh"}, "`net` must be an mf.Network: got 'tanh'."),
    "data": ({"data": (DATA.x, DATA.y)}, "`data` must be an mf.Dataset or an mf.Stream: got tuple."),
    "test": ({"test": (DATA.x, DATA.y)}, "`test` must be an mf.Dataset, or None: got tuple."),
    "start": ({"start": START.b}, "`start` must be a measure, or a lazy sample: got ndarray. Draw it"),
    "of": ({"of": "los"}, "got 'los'. Did you mean 'loss'?"),
    "of, no differential": ({"of": ["loss", "margin"], "data": mf.Dataset(DATA.x, [1.0, -1.0])},
                            "`of` must name observables that have a derivative: got margin. Take some of loss,"),
    "of, the kernel": ({"of": "lambda_min"}, "have a derivative: got lambda_min"),
    "record": ({"of": mf.Record("loss", every=2)}, "at one cadence: got Record(variables=('loss',)"),
    "records": ({"of": ["dissipation", mf.Record("loss", every=2)]}, "at one cadence: got Record("),
    "memory": ({"memory": 0}, "`memory` must be"),
    "symmetric": ({"symmetric": True}, "second half repeats the first with the other sign: got other ones, 6 of them."),
    "symmetric, odd": ({"symmetric": True, "start": LAW.sample(5, seed=0)}, "got other ones, 5 of them"),
    "no test": ({"of": "test_loss"}, "test"),
    "train's shape": ({"of": own(train=np.ones(3))}, "`train` in the differential of the observable 'mine' must have "
                      "the shape of the outputs: got shape (3,) for (2,)"),
    "train's axes": ({"of": own(train=np.ones((2, 1)))}, "got shape (2, 1) for (2,)"),
    "test's shape": ({"of": own(test=np.ones(2))}, "`test` in the differential"),
    "target's shape": ({"of": own(target=np.ones(1))}, "`target` in the differential"),
    "train's NaN": ({"of": own(train=np.array([1.0, np.nan]))}, "`train` in the differential of the observable 'mine' "
                    "must be finite"),
    "no differential": ({"of": mf.Observable("mine", "", "", (), lambda at: 0.0, differential=lambda at, i: 1.0)},
                        "must be an mf.Differential: got float"),
    "no function": ({"of": mf.Observable("mine", "", "", (), lambda at: 0.0, differential=1.0)},
                    "`differential` of the observable 'mine' must be a function of a scene and a place: got 1.0."),
    "no integrand": ({"of": particles(lambda block: block.w)}, "must return an mf.Integrand: got ndarray"),
    "value's shape": ({"of": particles(lambda block: mf.Integrand(1.0))}, "`value` is like the block's: got ()"),
    "b's shape": ({"of": particles(lambda block: mf.Integrand(block.w, block.b.T))}, "whose `b` is like the block's"),
    "b, a number": ({"of": particles(lambda block: mf.Integrand(block.w, 1.0))}, "`b` is like the block's: got ()"),
    "s's shape": ({"of": particles(lambda block: mf.Integrand(block.w, 0, block.s[:2]))}, "`s` is like the block's"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_sensitivity__refuses(case):
    changed, message = REFUSED[case]
    changed = {name: value() if callable(value) and name == "net" else value for name, value in changed.items()}
    with pytest.raises(mf.InputError, match=re.escape(message)):
        mf.sensitivity(**(PLAIN | changed))


PARTS = ("net", "data", "test", "start", "engine")
FIELDS = (*PARTS, "average", "Langevin", "tolerance", "L1", "no curvature", "symmetric")


@pytest.mark.parametrize("case", FIELDS)
def test_fluctuations__refuse_the_same(case):
    changed, message = REFUSED[case]
    changed = {name: value() if callable(value) and name == "net" else value for name, value in changed.items()}
    settings = PLAIN | changed
    with pytest.raises(mf.InputError, match=re.escape(message)):
        mf.fluctuations(settings.pop("net"), settings.pop("start"), **settings)


@pytest.mark.parametrize("changed, message", [({"draws": 0}, "`draws` must be"), ({"seed": -1}, "seed")])
def test_fluctuations__refuse_numbers_that_make_no_sense(changed, message):
    with pytest.raises(mf.InputError, match=message):
        mf.fluctuations(NET, START, DATA, mf.GradientDescent(0.5), steps=2, **changed)


def test_variation__refuses_particles_of_another_space_or_scale():
    found = mf.sensitivity(**PLAIN)
    with pytest.raises(mf.InputError, match=r"on the space of the run's: got dim=3"):
        found.variation(mf.Gaussian(3).sample(6, seed=0))
    two = mf.Measure(START.b, np.ones((6, 2)), START.w)
    with pytest.raises(mf.InputError, match="output"):
        found.variation(two)
    found = mf.sensitivity(**(PLAIN | {"net": mf.Network("tanh", beta=0.5)}))
    with pytest.raises(mf.InputError, match=r"as many as the run's.*got 5 for 6"):
        found.variation(LAW.sample(5, seed=0))
    assert found.variation(LAW.sample(6, seed=1)).sizes["particle"] == 6


@pytest.mark.parametrize("given", [LAW, START.b])
def test_prediction__refuses_what_is_no_particles(given):
    found = mf.sensitivity(**PLAIN)
    for function in (found.predict, found.variation):
        with pytest.raises(mf.InputError, match="must be a measure, or a lazy sample"):
            function(given)


def test_prediction__of_a_lazy_sample_is_that_of_its_particles():
    found = mf.sensitivity(**PLAIN, of="prediction")
    here, there = (found.predict(LAW.sample(300, seed=1, lazy=lazy)) for lazy in (False, True))
    assert here.prediction.values.tobytes() == there.prediction.values.tobytes()


def test_kinks__are_told_where_other_starts_are_predicted():
    relu = PLAIN | {"net": mf.Network("relu")}
    with pytest.warns(UserWarning, match="lacks what particles do at the kinks of relu"):
        mf.sensitivity(**relu)
    mf.sensitivity(**relu, by="position")  # warnings are errors here
    mf.sensitivity(**(relu | {"net": mf.Network("relu", train="output")}))


def test_divergence__of_the_run_names_the_iteration():
    quadratic = PLAIN | {"net": mf.Network("quadratic"), "method": mf.GradientDescent(50.0), "steps": 60}
    with pytest.raises(mf.DivergedError, match=r"no longer finite (at|after) iteration \d+") as caught:
        mf.sensitivity(**quadratic)
    assert 0 < caught.value.iteration < 60


def test_divergence__of_other_particles_is_told():
    """The run is finite; a particle far away leaves the numbers."""
    settings = PLAIN | {"net": mf.Network("quadratic"), "method": mf.GradientDescent(1.0), "steps": 3}
    found = mf.sensitivity(**settings)
    far = mf.Measure(np.array([[1e200, 0.0]]), np.ones(1), np.ones(1))
    with np.errstate(all="ignore"), pytest.raises(mf.DivergedError, match="finite on its way back from iteration 3"):
        found.variation(far)


def test_interrupt__leaves_no_threads(monkeypatch):
    import threading

    def pressed(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Shard, "restore", pressed)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        mf.sensitivity(**(PLAIN | {"steps": 30, "memory": 1, "start": LAW.sample(900, seed=0), "engine": mf.Local(2)}))
    assert threading.active_count() == before


def bump(v):
    return math.exp(-v * v)


def bump_slope(v):
    return -2.0 * v * math.exp(-v * v)


def bump_curvature(v):
    return (4.0 * v * v - 2.0) * math.exp(-v * v)


def test_activation__of_the_user_s_has_a_derivative_on_lanes():
    row = mf.Activation("bump", *map(mf.lanewise, (bump, bump_slope)), 0.86, 2.0, linear_growth=True)
    net = mf.Network(row._replace(second_derivative=mf.lanewise(bump_curvature)))
    settings = PLAIN | {"net": net, "steps": 4}
    found = mf.sensitivity(**settings, by="position").dataset.loss_by_position.values[0]

    def run(h):
        b = START.b + h * np.eye(6)[3][:, None] * [0.0, 1.0]
        return float(mf.simulate(**(settings | {"start": START._replace(b=b)})).dataset.loss[-1])

    assert found[3, 1] / 6 == pytest.approx((run(1e-5) - run(-1e-5)) / 2e-5, rel=1e-6)


def test_loss__of_the_user_s_without_its_derivatives_by_targets_has_none():
    loss = mf.Loss("log_cosh", lambda z, y: np.log(np.cosh(z - y)), lambda z, y: np.tanh(z - y), 1.0, False,
                   lambda slope: 1 - slope**2)  # fmt: skip
    assert "loss_by_target" not in mf.sensitivity(**PLAIN, loss=loss).dataset
    whole = loss._replace(
        name="whole", target_slope=lambda z, y: np.tanh(y - z), mixed=lambda z, y: np.tanh(z - y) ** 2 - 1
    )
    found = mf.sensitivity(**PLAIN, loss=whole).dataset.loss_by_target.values[0]

    def run(h):
        data = mf.Dataset(DATA.x, DATA.y + np.array([0.0, h]))
        return float(mf.simulate(**(PLAIN | {"data": data}), loss=whole).dataset.loss[-1])

    assert found[1] == pytest.approx((run(1e-5) - run(-1e-5)) / 2e-5, rel=1e-6)


def test_observable__of_the_user_s_has_the_derivative_of_its_parts():
    """Outputs and particles in one: g_0^2 + int s b_2 |b| dmu."""
    part = mf.Reduction(lambda block: np.atleast_1d(block.w @ (block.s * block.b[1] * np.hypot(*block.b))), "sum")

    def of(block):
        size = np.hypot(*block.b)
        gradient = block.s * np.stack([block.b[0] * block.b[1] / size, size + block.b[1] ** 2 / size])
        return mf.Integrand(block.s * block.b[1] * size, gradient, block.b[1] * size)

    row = mf.Observable("both", "both", "3.4", (), lambda at: at.g[0] ** 2 + at.integral[part][0], (part,),
                        differential=lambda at, index: mf.Differential([2.0 * at.g[0], 0.0], particles=of))  # fmt: skip
    settings = PLAIN | {"net": mf.Network("tanh", train=("input", "output"))}
    ds = mf.sensitivity(**settings, of=row, by=("particle", "position", "output_weight")).dataset
    random = np.random.default_rng(0)
    along, s = random.standard_normal(START.b.shape), random.standard_normal(6)

    def run(h):
        start = START._replace(b=START.b + h * along, s=START.s + h * s)
        return float(mf.simulate(**(settings | {"start": start}), record=row).dataset.both[-1])

    gradient = (ds.both_by_position.values[0] * along).sum() + ds.both_by_output_weight.values[0] @ s
    assert gradient / 6 == pytest.approx((run(1e-5) - run(-1e-5)) / 2e-5, rel=1e-6)
