"""Step sizes, and what the settings of methods and regularisers refuse."""

import numpy as np
import pytest

import particles as mf
from particles.methods.schedules import Constant, schedule

SIZES = [
    (Constant(0.3), lambda t: 0.3),
    (mf.RobbinsMonro(c=2.0), lambda t: 2.0 / t),
    (mf.RobbinsMonro(c=2.0, t0=10), lambda t: 2.0 / (t + 10)),
    (mf.InverseSqrt(c=0.5), lambda t: 0.5 / t**0.5),
]
EACH = pytest.mark.parametrize(("rates", "size"), SIZES, ids=[repr(rates) for rates, _ in SIZES])


@EACH
def test_sizes__are_eta_t_from_t_1(rates, size):
    assert rates.sizes(20) == pytest.approx([size(t) for t in range(1, 21)], rel=1e-15)


@EACH
def test_times__are_the_sums_of_the_sizes(rates, size):
    assert rates.times(20) == pytest.approx([sum(size(t) for t in range(1, k + 1)) for k in range(21)], rel=1e-13)


@EACH
@pytest.mark.parametrize("steps", [0, 1])
def test_times__are_one_more_than_the_sizes(rates, size, steps):
    assert (len(rates.sizes(steps)), len(rates.times(steps))) == (steps, steps + 1)


def test_constant_times__carry_no_rounding_sum():
    assert (Constant(0.1).times(10**5) == 0.1 * np.arange(10**5 + 1)).all()


@pytest.mark.parametrize("step", [0.25, 1, np.float32(0.25), np.int64(2)])
def test_schedule__takes_a_number_as_constant(step):
    assert schedule(step) == Constant(float(step))


@pytest.mark.parametrize("rates", [rates for rates, _ in SIZES], ids=repr)
def test_schedule__is_what_a_run_follows(rates, samples, cloud):
    run = mf.simulate(mf.Network("tanh"), cloud(), samples(), mf.GradientDescent(rates), steps=6, record=("loss",))
    assert (run.dataset.time.values == rates.times(6)).all()


NOT_POSITIVE = "must be a finite number > 0"
REFUSALS = [
    (lambda: Constant(0.0), f"`step` {NOT_POSITIVE}: got 0.0"),
    (lambda: mf.GradientDescent(-0.1), f"`step` {NOT_POSITIVE}: got -0.1"),
    (lambda: mf.SGD(float("nan")), f"`step` {NOT_POSITIVE}: got nan"),
    (lambda: mf.AveragedSGD(float("inf")), f"`step` {NOT_POSITIVE}: got inf"),
    (lambda: mf.GradientDescent(True), "`step` must be a number or a schedule: got True"),
    (lambda: mf.GradientDescent("0.1"), "`step` must be a number or a schedule: got '0.1'"),
    (lambda: mf.RobbinsMonro(c=0), f"`c` {NOT_POSITIVE}: got 0"),
    (lambda: mf.RobbinsMonro(c=1.0, t0=-1), "`t0` must be a finite number >= 0: got -1"),
    (lambda: mf.InverseSqrt(c=float("nan")), f"`c` {NOT_POSITIVE}: got nan"),
    (lambda: mf.SGD(0.1, batch=0), "`batch` must be a whole number >= 1: got 0"),
    (lambda: mf.SGD(0.1, batch=2.5), "`batch` must be a whole number >= 1: got 2.5"),
    (lambda: mf.AveragedSGD(0.1, batch=True), "`batch` must be a whole number >= 1: got True"),
    (lambda: mf.SGD(0.1, seed=-1), "`seed` must be a whole number from 0 to"),
    (lambda: mf.AveragedSGD(0.1, seed=2**63), "`seed` must be a whole number from 0 to"),
    (lambda: mf.AveragedSGD(0.1, weight_decay=-1.0), "`weight_decay` must be a finite number >= 0: got -1.0"),
    (lambda: mf.L1(float("inf")), "`weight` must be a finite number >= 0: got inf"),
    (lambda: mf.L2(float("nan")), "`weight` must be a finite number >= 0: got nan"),
    (lambda: mf.L2(0.1, about="origin"), "`about` must be one of zero, start: got 'origin'"),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
def test_settings__refuse(make, message):
    with pytest.raises(mf.InputError) as caught:
        make()
    assert message in str(caught.value)
