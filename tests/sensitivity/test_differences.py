"""The derivative of a run against difference quotients of `mf.simulate`, by everything that it is by."""

from dataclasses import dataclass

import numpy as np
import pytest
from support import adjoints

import particles as mf

H = 1e-5
OF = ("loss", "objective", "test_loss", "dissipation", "displacement_rms", "weight_moment", "test_prediction")


def problem(k=1, M=5, n=4, loss="squared", seed=0):
    random = np.random.default_rng([seed, k, M])
    more = () if k == 1 else (k,)
    start = mf.Measure(random.standard_normal((M, 2)), random.standard_normal((M, *more)), np.full(M, 1 / M))
    data, test = (mf.Dataset(random.standard_normal((m, 2)), random.standard_normal((m, *more))) for m in (n, 2))
    net = mf.Network("tanh", train=("input", "output"), outputs=k)
    return {"net": net, "start": start, "data": data, "method": mf.GradientDescent(0.3), "steps": 4, "loss": loss,
            "test": test, "regulariser": mf.L2(0.1), "record_every": (2, 4)}  # fmt: skip


def simulated(settings, of=OF):
    """The observables along one run, one after another at each time: (times, numbers)."""
    ds = mf.simulate(**settings, record=of).dataset
    return np.concatenate([ds[name].values.reshape(ds.sizes["time"], -1) for name in of], axis=1)


def found(settings, ending, of=OF, **more):
    """The same of the derivative; the derivative's own axes follow."""
    ds = mf.sensitivity(**settings, of=of, **more).dataset
    parts = []
    for name in of:
        values, part = ds[name + ending].values, ds[name].values
        parts.append(values.reshape(len(values), part[0].size, *values.shape[part.ndim :]))
    return np.concatenate(parts, axis=1)


def central(run, h=H):
    """The derivative at 0 of a function of one number, to fourth order."""
    return (8.0 * (run(h) - run(-h)) - (run(2 * h) - run(-2 * h))) / (12.0 * h)


def close(a, b, tolerance=1e-7):
    assert a.shape == b.shape and np.abs(b).max() > 1e-3
    assert np.abs(a - b).max() <= tolerance * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("method", [mf.GradientDescent(0.3), mf.SGD(0.3, batch=2, seed=1), mf.RungeKutta(0.3, "heun")])
def test_sensitivity__by_positions_and_output_weights_is_the_difference_quotient(method, k):
    """Of one coordinate of one particle; the gradient is per unit of weight."""
    settings = problem(k) | {"method": method}
    start, w = settings["start"], 1 / 5

    def moved(part, index):
        def run(h):
            changed = getattr(start, part).copy()
            changed[index] += h
            return simulated(settings | {"start": start._replace(**{part: changed})})

        return run

    of_b, of_s = (
        found(settings, "_by_position", by="position"),
        found(settings, "_by_output_weight", by="output_weight"),
    )
    close(w * of_b[..., 3, 1], central(moved("b", (3, 1)), 1e-3))
    index = (1,) if k == 1 else (1, 2)
    close(w * (of_s[..., 1] if k == 1 else of_s[..., 1, 2]), central(moved("s", index), 1e-3))


def test_sensitivity__by_the_weight_of_a_new_particle_is_the_difference_quotient():
    """`variation` at a particle b: d/dh of the run from (1 - h) mu + h delta_b."""
    settings = problem()
    start, other = settings["start"], problem(seed=3)["start"]
    sensitivity = mf.sensitivity(**settings, of=OF)
    ds = sensitivity.variation(other)
    for r in (0, 4):

        def run(h, r=r):
            w = np.append((1 - h) * start.w, h)
            grown = mf.Measure(np.append(start.b, other.b[r : r + 1], 0), np.append(start.s, other.s[r]), w)
            return simulated(settings | {"start": grown})

        h = 1e-3  # to one side, of fourth order
        quotient = (-25 * run(0.0) + 48 * run(h) - 36 * run(2 * h) + 16 * run(3 * h) - 3 * run(4 * h)) / (12 * h)
        parts = [ds[f"{name}_variation"].values[..., r].reshape(ds.sizes["time"], -1) for name in OF]
        close(np.concatenate(parts, axis=1), quotient, 1e-6)


def test_sensitivity__of_an_atom_of_weight_zero_is_that_of_a_new_particle_there():
    """Its first variation and its gradients: what a particle there would do."""
    settings, r = problem(), 2
    start = settings["start"]
    w = np.where(np.arange(5) == r, 0.0, 0.25)
    settings["start"] = start._replace(w=w)
    by = ("particle", "position", "output_weight")
    whole = mf.sensitivity(**settings, of=OF, by=by)
    rest = start._replace(b=np.delete(start.b, r, 0), s=np.delete(start.s, r), w=np.delete(w, r))
    without = mf.sensitivity(**(settings | {"start": rest}), of=OF)

    def psi(b, s):
        ds = without.variation(mf.Measure(b[None], np.array([s]), np.ones(1)))
        return np.concatenate([ds[f"{name}_variation"].values[..., 0].reshape(3, -1) for name in OF], axis=1)

    def joined(ending):
        """Of the atom: (times, numbers), or (times, numbers, d)."""
        parts = []
        for name in OF:
            each, plain = whole.dataset[name + ending], whole.dataset[name]
            at = each.isel(particle=r).values
            parts.append(at.reshape(3, max(1, plain[0].size), -1))
        return np.concatenate(parts, axis=1)

    b, s, unit = start.b[r], start.s[r], np.array([0.0, 1.0])
    close(joined("_variation")[..., 0], psi(b, s), 1e-12)
    close(joined("_by_position")[..., 1], central(lambda h: psi(b + h * unit, s), 1e-3))
    close(joined("_by_output_weight")[..., 0], central(lambda h: psi(b, s + h), 1e-3))


@dataclass(frozen=True)
class Listed(mf.InverseSqrt):
    """Step sizes as they are."""

    each: tuple[float, ...] = ()

    def sizes(self, steps):
        return np.array(self.each[:steps])


@pytest.mark.parametrize("method", [mf.GradientDescent, mf.RungeKutta], ids=lambda method: method.__name__)
def test_sensitivity__by_step_is_the_difference_quotient(method):
    sizes = np.array([0.3, 0.2, 0.4, 0.1])
    settings = problem() | {"method": method(Listed(1.0, tuple(sizes)))}

    def run(t):
        return lambda h: simulated(settings | {"method": method(Listed(1.0, tuple(sizes + h * np.eye(4)[t])))})

    by_step = found(settings, "_by_step", by="step")
    for t in range(4):
        close(by_step[..., t], central(run(t), 1e-3)) if t < 3 else close(by_step[2:, :, t], central(run(t), 1e-3)[2:])
    assert not by_step[1, :, 2:].any()  # what is measured before the step


@pytest.mark.parametrize("about", ["zero", "start"])
@pytest.mark.parametrize("weight", [0.0, 0.2])
def test_sensitivity__by_weight_decay_is_the_difference_quotient(about, weight):
    settings = problem() | {"regulariser": mf.L2(weight, about=about)}

    def run(h):
        return simulated(settings | {"regulariser": mf.L2(weight + h, about=about)})

    if weight:
        quotient = central(run, 1e-3)
    else:  # to one side
        h = 1e-3
        quotient = (-25 * run(0.0) + 48 * run(h) - 36 * run(2 * h) + 16 * run(3 * h) - 3 * run(4 * h)) / (12 * h)
    close(found(settings, "_by_weight_decay", by="weight_decay"), quotient, 1e-6)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_sensitivity__by_target_is_the_difference_quotient(loss, k):
    settings = problem(k, loss=loss)
    data, index = settings["data"], (2,) if k == 1 else (2, 1)

    def run(h):
        y = data.y.copy()
        y[index] += h
        return simulated(settings | {"data": mf.Dataset(data.x, y)})

    by_target = found(settings, "_by_target", by="target")
    close(by_target[(..., *index)], central(run, 1e-3))


def test_sensitivity__by_sample_is_the_difference_quotient():
    """A sample that is there R + 1 times, and every other R times, has the weight 1 + 1/R of the others."""
    of = ("test_loss", "test_prediction", "weight_moment")
    settings = problem()
    data, n = settings["data"], 4

    def run(R, i, one):
        rows = (
            np.concatenate([np.repeat(np.arange(n), R), [i]])
            if one > 0
            else np.repeat(np.arange(n), R)[i * R != np.arange(n * R)]
        )
        return simulated(settings | {"data": mf.Dataset(data.x[rows], data.y[rows])}, of)

    by_sample = found(settings, "_by_sample", of, by="sample")
    for i in range(n):
        # Weights (1 + h) / (1 + h / n) and 1 / (1 + h / n) at h = +-1 / R; to fourth order.
        near, far = (0.5 * R * (run(R, i, 1) - run(R, i, -1)) for R in (200, 100))
        close(by_sample[..., i] - by_sample.mean(axis=-1), (4 * near - far) / 3, 1e-6)


@pytest.mark.parametrize("name", ["relu"])
def test_sensitivity__of_a_finite_relu_network_away_from_kinks_is_the_difference_quotient(name):
    settings = problem(M=40) | {"net": mf.Network(name, train=("input", "output"))}
    start = settings["start"]
    of_b = found(settings, "_by_position", by="position")
    random = np.random.default_rng(0)
    along = random.standard_normal(start.b.shape)
    quotient = central(lambda h: simulated(settings | {"start": start._replace(b=start.b + h * along)}), 1e-6)
    close(np.einsum("tjrd,rd->tj", of_b, along) / 40, quotient, 1e-6)


def test_values__are_those_of_simulate_to_the_bit():
    for k in (1, 3):
        settings = problem(k)
        ds, run = mf.sensitivity(**settings, of=OF).dataset, mf.simulate(**settings, record=OF).dataset
        for name in OF:
            assert ds[name].values.tobytes() == run[name].values.tobytes()
        assert ds.iteration.values.tolist() == run.iteration.values.tolist() == [0, 2, 4]
        assert ds.time.values.tobytes() == run.time.values.tobytes()


def test_values__of_every_case_are_those_of_simulate_to_the_bit():
    for case in [case for case in adjoints.cases() if case.activation == "tanh"]:
        settings = adjoints.settings(case, adjoints.arrays(case))
        ds, run = mf.sensitivity(**settings, of=case.of).dataset, mf.simulate(**settings, record=case.of).dataset
        for name in case.of:
            if case.method == "SGD-1":  # simulate sums windows of one-sample steps in an order of their own
                assert ds[name].values == pytest.approx(run[name].values, rel=1e-13, abs=1e-14)
            else:
                assert ds[name].values.tobytes() == run[name].values.tobytes(), (case.key, name)
