"""How much memory a run takes: the particles, the data and what is recorded, each once."""

import tracemalloc

import numpy as np
import pytest

import particles as mf

LAW, NET, METHOD = mf.Gaussian(10), mf.Network("tanh"), mf.GradientDescent(0.1)


def peak(work):
    """The most bytes that were allocated at a time, beside those of before, and what `work` returns."""
    tracemalloc.start()
    result = work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most, result


@pytest.fixture
def simulate(samples):
    """A run of one step, after a first one that compiles and imports."""

    def run(start, data, **options):
        return mf.simulate(NET, start, data, METHOD, engine=mf.Local(1), **options)

    run(LAW.sample(300, seed=0), samples(d=10), steps=1)
    return run


def test_particles__are_there_once(simulate, samples):
    """The last measure is in the memory in which the particles moved."""
    start = LAW.sample(200_000, seed=0)
    most, run = peak(lambda: simulate(start, samples(n=3, d=10), steps=1, record="loss"))
    assert most < 1.3 * sum(a.nbytes for a in run.measure)
    assert not np.shares_memory(run.measure.b, start.b)


def test_recorded_arrays__are_there_once(simulate, samples):
    """What is recorded goes into the arrays that the dataset has."""
    data = samples(n=50_000, d=10)
    most, run = peak(lambda: simulate(LAW.sample(1, seed=0), data, steps=49, record="prediction"))
    assert run.dataset["prediction"].shape == (50, 50_000)
    assert most < 1.3 * run.dataset["prediction"].nbytes


def test_samples__are_not_copied(simulate, samples):
    """A few numbers a sample are allocated, none for each of its inputs."""
    data = samples(n=20_000, d=50)
    most, _ = peak(lambda: simulate(mf.Gaussian(50).sample(1, seed=0), data, steps=1, record="loss"))
    assert most < 0.3 * data.x.nbytes


def test_step__allocates_nothing_that_grows_with_the_particles(simulate, samples):
    """Velocities stay in one array a thread, from the first step on: those of 2^18 particles would be 20 MB."""
    seen = []

    def progress(iteration, steps):
        seen.append(tracemalloc.get_traced_memory())
        tracemalloc.reset_peak()

    start, data = LAW.sample(2**18, seed=0), samples(n=3, d=10)
    peak(lambda: simulate(start, data, steps=4, record="loss", progress=progress))
    (before, _), (_, most) = seen[2:4]
    assert most - before < 2**17


@pytest.fixture
def simulate_classes():
    """The same with ten outputs, both layers trained."""
    random = np.random.default_rng(0)
    data = mf.Dataset(random.standard_normal((3, 10)), [0, 4, 9], classes=range(10))

    def run(count, **options):
        net, start = (
            mf.Network("tanh", train=("input", "output"), outputs=10),
            LAW.sample(count, 0, outputs=10, lazy=True),
        )
        return mf.simulate(net, start, data, METHOD, loss="softmax", record="loss", engine=mf.Local(1), **options)

    run(300, steps=1)
    return run


def test_particles__of_several_outputs_are_there_once(simulate_classes):
    most, run = peak(lambda: simulate_classes(200_000, steps=1))
    assert run.measure.s.shape == (200_000, 10)
    assert most < 1.3 * sum(a.nbytes for a in run.measure)


def test_step__of_several_outputs_allocates_nothing_that_grows_with_the_particles(simulate_classes):
    seen = []

    def progress(iteration, steps):
        seen.append(tracemalloc.get_traced_memory())
        tracemalloc.reset_peak()

    peak(lambda: simulate_classes(2**17, steps=4, progress=progress))
    (before, _), (_, most) = seen[2:4]
    assert most - before < 2**18  # pre-activations, values and sums of 48 samples a block; velocities would be 20 MB
