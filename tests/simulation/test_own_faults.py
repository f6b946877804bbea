"""What a user's own law, loss, observable or method may get wrong: an error that names it, or a new run; no number."""

from dataclasses import dataclass

import numpy as np
import pytest

import particles as mf

DATA = mf.Dataset([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.5, -0.5, 0.1])
NET, LAW = mf.Network("tanh"), mf.Gaussian(2)
START = LAW.sample(16, seed=0)


def run(method=None, start=START, **options):
    return mf.simulate(NET, start, DATA, method or mf.GradientDescent(0.1), **{"steps": 3} | options)


def method_of(change, name="Changed"):
    """A method whose slope is changed in some way; each call makes a class of that name."""

    class Moves(mf.Stepper):
        def move(self, iteration, g):
            field = self.problem.field(iteration, g)
            return mf.Update(field._replace(slope=change(field.slope)), 0.1)

    return dataclass(frozen=True)(type(name, (mf.Method,), {"__annotations__": {"step": float}, "stepper": Moves}))(0.1)


def test_method__with_other_code_is_another_run(tmp_path):
    """Its stepper decides the numbers: a checkpoint of the old code went on with the new."""
    plain, turned = method_of(lambda slope: slope), method_of(lambda slope: -slope)
    assert repr(plain) == repr(turned)
    run(plain, steps=2, checkpoints=mf.Checkpoints(tmp_path, every=0.0))
    with pytest.warns(UserWarning, match="left out: all . are of other configurations"):
        after = run(turned, steps=2, checkpoints=mf.Checkpoints(tmp_path, every=0.0))
    fresh = run(turned, steps=2)
    assert np.array_equal(after.dataset["loss"], fresh.dataset["loss"])
    assert after.dataset.attrs["config_hash"] != run(plain, steps=2).dataset.attrs["config_hash"]
    assert fresh.dataset.attrs["config_hash"] == run(turned, steps=2).dataset.attrs["config_hash"]


def law_of(scale):
    class Points(mf.Law):
        dim = 2

        def draw(self, random, count):
            return random.standard_normal((count, 2))

        def from_cube(self, u):
            return scale * (u - 0.5)

        def __repr__(self):
            return "Points()"

    return Points()


@pytest.mark.filterwarnings("ignore:.*held another sweep:UserWarning")
def test_sweep__runs_the_limit_of_a_law_with_another_quadrature_anew(tmp_path):
    def limits(scale):
        ds = mf.sweep(NET, law_of(scale), DATA, mf.GradientDescent(0.1), steps=2, count=[8, 16], limit=32, out=tmp_path)
        return set(ds.mf.limits)

    assert not limits(1.0) & limits(2.0)
    assert limits(1.0) == limits(1.0)


@pytest.mark.parametrize("change", [lambda slope: slope[:2], lambda slope: np.tile(slope, 1000), np.sum])
def test_slope__of_another_length_is_refused(change):
    """The loops trust it: one of 1000 times the samples ended the process."""
    with pytest.raises(mf.InputError, match=r"one entry a sample: got .* for 3"):
        run(method_of(change))


def test_start__is_no_law():
    with pytest.raises(mf.InputError, match=r"Draw it: law.sample\(M, seed=0\)"):
        run(start=LAW)


def test_method__is_an_object_with_a_stepper():
    with pytest.raises(mf.InputError, match="got the class GradientDescent"):
        run(mf.GradientDescent)

    @dataclass(frozen=True)
    class Empty(mf.Method):
        step: float

    with pytest.raises(mf.InputError, match="Empty must have a `stepper`"):
        run(Empty(0.1))


@pytest.mark.parametrize(("dims", "value"), [((), np.ones(3)), (("dim",), np.ones(3)), (("sample",), 1.0)])
def test_observable__is_over_its_dims(dims, value):
    own = mf.Observable("mine", "text", "1", dims, lambda at: value)
    with pytest.raises(mf.InputError, match=r"'mine' must have its `dims`.*sample: 3, test_sample: 0, dim: 2"):
        run(record=["loss", own])


@pytest.mark.parametrize(
    "of",
    [lambda block: np.sum(block.b - block.start_b), lambda block: np.sum(block.velocity) + np.sum(block.velocity_s)],
)
def test_reduction__that_does_not_say_what_it_looks_at_warns(of):
    part = mf.Reduction(of, "sum")
    own = mf.Observable("mine", "text", "1", (), lambda at: float(at.integral[part][0]), (part,))
    with pytest.warns(UserWarning, match=r"'mine' is NaN.*start=True") as warned:
        run(record=["loss", own])
    assert len(warned) == 1


@pytest.mark.parametrize("change", [lambda v: v.T, lambda v: v[:4], lambda v: v / 0.0, lambda v: v.astype(str)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_law__returns_points(change):
    class Own(mf.Law):
        dim = 2

        def draw(self, random, count):
            return change(random.standard_normal((count, 2)))

        def from_cube(self, u):
            return change(u - 0.5)

    with pytest.raises(mf.InputError, match=r"`Own.draw` must return \(256, 2\) finite numbers"):
        Own().sample(8, seed=0)
    with pytest.raises(mf.InputError, match=r"`Own.from_cube` must return \(\d+, 2\) finite numbers"):
        Own().quadrature(8)


@pytest.mark.parametrize("part", ["value", "slope", "bend"])
@pytest.mark.parametrize("wrong", [lambda *a: 0.0, lambda *a: np.mean(a[0]), lambda *a: float(a[0])])
def test_loss__maps_arrays(part, wrong):
    parts = {"value": lambda z, y: 0.5 * (z - y) ** 2, "slope": lambda z, y: z - y, "bend": np.ones_like}
    own = mf.Loss("own", curvature=1.0, binary=False, **parts | {part: wrong})
    with pytest.raises(mf.InputError, match=rf"`{part}` of the loss 'own' must map arrays \(n,\)"):
        run(loss=own)
