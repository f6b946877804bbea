"""How the memory is divided: what is kept fits into it, and the derivative does not depend on it."""

import numpy as np
import pytest

import particles as mf
from particles.sensitivity.memory import Wanted, capacity
from particles.simulation.arguments import prepared

NET, LAW = mf.Network("tanh"), mf.Gaussian(2)
DATA = mf.Dataset([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.5, -0.5, 0.25])
M = 300  # two blocks, one of them not full


NONE = Wanted()


def divided(memory, wanted=NONE, stages=1, steps=50):
    start = LAW.sample(M, seed=0)
    ready = prepared(
        NET, start, DATA, mf.GradientDescent(0.5), steps, "squared", None, 1, "loss", None, None, "float64"
    )
    return capacity(ready, stages, memory, wanted)


def test_capacity__divides_bytes_by_what_a_state_and_a_derivative_take():
    state, derivative = M * 2 * 8, M * (2 * 8 + 8)
    assert divided(2 * 7 * derivative) == (7, 7 * derivative // state)
    assert divided(2 * 7 * derivative - 2).functionals == 6
    stages = divided(2 * M * (5 * 2 * 8 + 8), stages=3)  # three stages, and two directions of the step
    assert stages.functionals == 1 and divided(4 * M * (5 * 2 * 8 + 8), stages=3).functionals == 2
    wanted = Wanted(output_weight=True, anchor=True)  # a third number, and all of them twice
    assert divided(2 * 4 * M * (2 * 3 * 8 + 8), wanted).functionals == 4


def test_capacity__is_one_derivative_and_two_states_at_least_and_no_more_states_than_there_are():
    assert divided(1) == (1, 2)
    assert divided(2**40, steps=9).states == 10


@pytest.mark.parametrize("method", [mf.GradientDescent(0.5), mf.RungeKutta(0.5)])
def test_sensitivity__has_the_same_bits_in_any_memory(method):
    start = LAW.sample(M, seed=0)
    whole, small = (
        mf.sensitivity(NET, start, DATA, method, steps=12, of=["loss", "prediction"], record_every=4, memory=memory)
        for memory in (2**30, 2**15)
    )
    for name, values in whole.dataset.items():
        assert np.array_equal(values, small.dataset[name]), name
    other = LAW.sample(77, seed=1)
    assert whole.predict(other).equals(small.predict(other))


def test_sensitivity_of_classes__has_the_same_bits_in_any_memory():
    """The slopes of a joint loss change by a matrix for each sample."""
    net = mf.Network("tanh", outputs=3, train=("input", "output"))
    data = mf.Dataset(DATA.x, [0, 1, 2], classes=True)
    start = LAW.sample(M, seed=0, signs="random", outputs=3)
    whole, small = (
        mf.sensitivity(
            net, start, data, mf.SGD(0.5, batch=2, seed=1), steps=6, of=["objective", "prediction"], loss="softmax",
            regulariser=mf.L2(0.01), memory=memory,
        ).dataset
        for memory in (2**30, 2**15)
    )  # fmt: skip
    for name, values in whole.items():
        assert np.array_equal(values, small[name]), name


def test_moments__have_their_orders():
    found = mf.sensitivity(NET, LAW.sample(M, seed=0), DATA, mf.GradientDescent(0.5), steps=1, of="weight_moment")
    run = mf.simulate(NET, LAW.sample(M, seed=0), DATA, mf.GradientDescent(0.5), steps=1, record="weight_moment")
    assert np.array_equal(found.dataset["moment"], run.dataset["moment"])
    assert np.array_equal(found.dataset["weight_moment"][-1], run.dataset["weight_moment"][-1])
