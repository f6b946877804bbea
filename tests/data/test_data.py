"""Samples: data sets, streams and the batches of each iteration."""

import numpy as np
import pytest

import particles as mf
from particles.data.batches import Batches

NAN, INF = float("nan"), float("inf")
REFUSALS = [
    ([[1.0], [NAN], [INF]], [0, 0, 0], "x must be finite: got NaN or inf in 2 rows, the first is row 1"),
    ([[1.0], [2.0]], [0, INF], "y must be finite: got NaN or inf in 1 rows, the first is row 1"),
    ([[1.0], [2.0]], [0], "x and y must have one row a sample each: got 2 and 1"),
    ([1.0, 2.0], [0, 0], "x must have shape (n, d) and y shape (n,), or (n, k) with k > 1: got (2,) and (2,)"),
    ([[1.0], [2.0]], [[0], [0]], "y shape (n,), or (n, k) with k > 1: got (2, 1) and (2, 1). Pass y[:, 0]."),
    (np.empty((0, 2)), [], "a data set needs at least one sample and one input: got shape (0, 2)"),
    (np.empty((2, 0)), [0, 0], "a data set needs at least one sample and one input: got shape (2, 0)"),
]


@pytest.mark.parametrize(("x", "y", "message"), REFUSALS, ids=[message for *_, message in REFUSALS])
def test_dataset__refuses(x, y, message):
    with pytest.raises(mf.InputError) as caught:
        mf.Dataset(x, y)
    assert message in str(caught.value)


def test_dataset__is_a_copy():
    x = np.ones((3, 2))
    data = mf.Dataset(x, np.ones(3))
    x[:] = 7.0
    assert (data.x == 1.0).all()


def test_split__shares_out_every_sample_once(samples):
    data = samples(n=50)
    train, test = data.split(0.3, seed=4)
    assert (len(train), len(test)) == (35, 15)
    both = np.concatenate([np.column_stack([part.x, part.y]) for part in (train, test)])
    assert sorted(map(tuple, both)) == sorted(map(tuple, np.column_stack([data.x, data.y])))


def test_split__depends_on_its_seed_alone(samples):
    first, again, other = (samples(n=50).split(0.3, seed)[1].y for seed in (4, 4, 5))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, NAN])
def test_split__refuses_a_share_outside_0_and_1(samples, share):
    with pytest.raises(mf.InputError, match="`test` share must lie between 0 and 1"):
        samples(n=50).split(share)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_split__refuses_an_empty_part(samples, share):
    with pytest.raises(mf.InputError, match="both parts of a split need a sample"):
        samples(n=5).split(share)


def stream(noise=0.5, seed=3, target=lambda x: x[:, 0] ** 2):
    return mf.Stream(inputs=mf.Gaussian(2), target=target, noise=noise, seed=seed)


@pytest.mark.parametrize(("first", "last"), [(5, 9), (0, 256), (250, 260), (256, 257), (299, 300)])
def test_stream__sample_depends_on_its_number_alone(first, last):
    part, whole = stream().rows(first, last), stream().rows(0, 300)
    assert part.x.tobytes() == whole.x[first:last].tobytes()
    assert part.y.tobytes() == whole.y[first:last].tobytes()


def test_stream__differs_by_seed():
    assert (stream(seed=3).rows(0, 9).x != stream(seed=4).rows(0, 9).x).all()


def test_stream__does_not_repeat_the_particles_of_its_seed():
    assert not np.isin(stream(seed=3).rows(0, 300).x, mf.Gaussian(2).sample(300, seed=3).b).any()


def test_stream__noise_is_standard_normal_times_its_size():
    N = 20000
    data = stream(noise=0.5).rows(0, N)
    z = (data.y - data.x[:, 0] ** 2) / 0.5
    # Standard errors of the mean, the second and fourth moments, and the correlation with an input.
    for found, truth, deviation in (
        (z.mean(), 0, 1),
        ((z**2).mean(), 1, 2**0.5),
        ((z**4).mean(), 3, 96**0.5),
        ((z * data.x[:, 0]).mean(), 0, 1),
    ):
        assert abs(found - truth) <= 4 * deviation / N**0.5


def test_stream__without_noise_is_the_target():
    data = stream(noise=0.0).rows(0, 40)
    assert (data.y == data.x[:, 0] ** 2).all()


def test_holdout__shares_neither_inputs_nor_noise_with_the_stream():
    data = stream(target=lambda x: np.zeros(len(x)))
    seen, held = data.rows(0, 2048), data.holdout()
    assert len(held) == 2048
    assert not np.isin(held.x, seen.x).any()
    assert not np.isin(held.y, seen.y).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stream(noise=-1.0), "`noise` must be a finite number >= 0: got -1.0"),
        (lambda: stream(noise=NAN), "`noise` must be a finite number >= 0: got nan"),
        (lambda: stream(seed=-1), "`seed` must be a whole number from 0 to 9223372036854775807: got -1"),
        (lambda: stream(target=lambda x: x[:, :1]).rows(0, 4), "(k, outputs) with outputs > 1: got (4, 2) to (4, 1)"),
        (lambda: stream(target=lambda x: x[:, :, None]).rows(0, 4), "`target` must map (k, d) to (k,), or to"),
        (lambda: stream(target=lambda x: x[:, 0] / 0.0 * 0.0).rows(0, 4), "y must be finite"),
        (lambda: Batches(stream(), None, 0), "full-batch descent needs a finite data set: got a Stream"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_stream__refuses(make, message):
    with pytest.raises(mf.InputError) as caught:
        make()
    assert message in str(caught.value)


def test_stream__is_refused_by_gradient_descent(cloud):
    with pytest.raises(mf.InputError, match="full-batch descent needs a finite data set"):
        mf.simulate(mf.Network("tanh"), cloud(d=2), stream(), mf.GradientDescent(0.1), steps=1)


@pytest.mark.parametrize("batch", [1, 7, 5000])
@pytest.mark.parametrize("source", ["dataset", "stream"])
def test_batches__do_not_depend_on_the_order_of_access(samples, source, batch):
    source = samples(n=9, d=2) if source == "dataset" else stream()
    steps = [0, 3, 586, 1, 4100, 3, 0] if batch < 5000 else [2, 0, 2]
    used = Batches(source, batch, seed=1)
    for step in steps:
        x, y = used.at(step)
        alone_x, alone_y = Batches(source, batch, seed=1).at(step)
        assert (x.shape, y.shape) == ((batch, 2), (batch,))
        assert (x.tobytes(), y.tobytes()) == (alone_x.tobytes(), alone_y.tobytes())


@pytest.mark.parametrize("batch", [1, 7, 5000])
def test_batches__of_a_stream_are_its_samples_in_order(batch):
    steps = (0, 1, 4100 // batch + 2)
    used = Batches(stream(), batch, seed=1)
    for step in steps:
        rows = stream().rows(step * batch, (step + 1) * batch)
        assert used.at(step)[0].tobytes() == rows.x.tobytes()
        assert used.at(step)[1].tobytes() == rows.y.tobytes()


def test_batches__draw_every_sample_equally_often(samples):
    n, N = 8, 8000
    data = mf.Dataset(np.arange(n)[:, None], np.arange(n))
    used = Batches(data, 4, seed=0)
    counts = np.bincount(np.concatenate([used.at(t)[1] for t in range(N // 4)]).astype(int), minlength=n)
    assert np.abs(counts - N / n).max() <= 4 * (N * (1 / n) * (1 - 1 / n)) ** 0.5


def test_batches__pair_inputs_with_their_own_targets(samples):
    data = mf.Dataset(np.arange(8.0)[:, None], np.arange(8.0) ** 2)
    x, y = Batches(data, 50, seed=0).at(3)
    assert (y == x[:, 0] ** 2).all()


def test_batches__without_a_size_are_the_whole_data(samples):
    data = samples()
    x, y = Batches(data, None, 0).at(5)
    assert (x is data.x, y is data.y) == (True, True)
