"""The tangent kernel of networks with k outputs: K = J J^T of the outputs' Jacobian J, in blocks and by the trace."""

import numpy as np
import pytest
import xarray
from support import naive

import particles as mf
from particles.theory import tangent

# (n, M, d, k): one of each; no block and no strip full; several blocks, strips and panels of outputs.
SIZES = pytest.mark.parametrize(("n", "M", "d", "k"), [(1, 1, 1, 2), (7, 300, 2, 3), (41, 600, 5, 10)])
LAYERS = pytest.mark.parametrize("train", [("input",), ("output",), ("input", "output")], ids="+".join)
NAMES = pytest.mark.parametrize("name", ["relu", "tanh"])
BOTH = ("input", "output")


def case(n, M, d, k, seed=0):
    """Inputs, and weighted atoms with any output weights."""
    random = np.random.default_rng([n, M, d, k, seed])
    w = random.uniform(0.5, 1.5, M)
    measure = mf.Measure(random.standard_normal((M, d)), random.standard_normal((M, k)), w / w.sum())
    return random.standard_normal((n, d)), measure


def jacobian(name, train, measure, x):
    """The derivatives of g_io by sqrt(w_r) b_r and sqrt(w_r) a_r, over alpha: (n k, parameters)."""
    sigma, derivative = naive.SIGMA[name]
    z, root, k = x @ measure.b.T, np.sqrt(measure.w), measure.s.shape[1]
    columns = []
    if "input" in train:
        moved = np.einsum("ir,ro,ij->iorj", derivative(z) * root, measure.s, x)
        columns.append(moved.reshape(len(x) * k, -1))
    if "output" in train:
        columns.append(np.einsum("ir,op->iorp", sigma(z) * root, np.eye(k)).reshape(len(x) * k, -1))
    return np.concatenate(columns, axis=1)


def formula(name, train, measure, x):
    J = jacobian(name, train, measure, x)
    return J @ J.T


def mean_of_blocks(matrix, k):
    """The mean of the diagonal blocks."""
    blocks = matrix.reshape(len(matrix) // k, k, -1, k)
    return np.einsum("iojo->ij", blocks) / k


def close(found, expected, tolerance=1e-12):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


@NAMES
@LAYERS
@SIZES
def test_gram__is_the_jacobian_times_itself(name, train, n, M, d, k):
    x, measure = case(n, M, d, k)
    found = tangent.gram(mf.Network(name, train=train, outputs=k), measure, x)
    close(found, formula(name, train, measure, x))
    assert (found == found.T).all()


@NAMES
@LAYERS
@SIZES
def test_trace__is_the_mean_of_the_diagonal_blocks(name, train, n, M, d, k):
    x, measure = case(n, M, d, k)
    found = tangent.gram(mf.Network(name, train=train, outputs=k), measure, x, outputs="trace")
    close(found, mean_of_blocks(formula(name, train, measure, x), k))


@pytest.mark.parametrize("train", ["input", "output"])
def test_jacobian__is_the_outputs_difference_quotient(train):
    """The oracle above against the network's own outputs."""
    x, measure = case(3, 5, 2, 3)
    net, h, J = mf.Network("tanh", outputs=3), 1e-6, jacobian("tanh", (train,), measure, x)
    moved = np.random.default_rng(1).standard_normal(J.shape[1])
    v = moved.reshape(5, -1) / np.sqrt(measure.w)[:, None]
    ends = [
        measure._replace(b=measure.b + t * v) if train == "input" else measure._replace(s=measure.s + t * v)
        for t in (h, -h)
    ]
    change = (net.predict(ends[0], x) - net.predict(ends[1], x)).ravel() / (2 * h)
    close(change, J @ moved, 1e-8)


def test_gram__of_outputs_is_how_they_move():
    """After a small step g moves by -step K slope / n; flow time."""
    x, measure = case(9, 500, 3, 4)
    measure = measure._replace(w=np.full(500, 1 / 500))
    net, step, y = mf.Network("tanh", beta=0.5, train=BOTH, outputs=4), 1e-7, np.eye(4)[np.arange(9) % 4]
    run = mf.simulate(net, measure, mf.Dataset(x, y), mf.GradientDescent(step), steps=1, loss="softmax")
    before, after = net.predict(measure, x), net.predict(run.measure, x)
    slope = mf.LOSSES["softmax"].slope(before, y)
    expected = -step * (tangent.gram(net, measure, x) @ slope.ravel()).reshape(9, 4) / 9
    assert np.abs(after - before - expected).max() < 1e-4 * np.abs(expected).max()


@LAYERS
def test_gram__of_other_inputs_is_a_block_of_the_whole(train):
    x, measure = case(41, 600, 5, 3)
    net, whole = mf.Network("tanh", train=train, outputs=3), formula("tanh", train, measure, x)
    close(tangent.gram(net, measure, x[:11], x[11:]), whole[:33, 33:])
    part = tangent.gram(net, measure, x[:11], x[11:], outputs="trace")
    close(part, mean_of_blocks(whole, 3)[:11, 11:])


def test_trace__of_signs_and_relu_counts_as_one_output_does():
    """|a|^2 / k = 1, and so the numbers are those of one output, to the bit."""
    law, x = mf.Gaussian(3), case(20, 1, 3, 2)[0]
    many, one = (law.sample(700, 4, signs="random", outputs=k) for k in (5, 1))
    found = tangent.gram(mf.Network("relu", outputs=5), many, x, outputs="trace")
    assert found.tobytes() == tangent.gram(mf.Network("relu"), one, x).tobytes()


def test_gram__of_equal_outputs_repeats_that_of_one():
    """a = (s, s): every entry of a block is the kernel of one output, and only the diagonal has that of sigma."""
    x, measure = case(12, 300, 3, 2)
    same = measure._replace(s=measure.s[:, [0, 0]])
    one = measure._replace(s=np.ascontiguousarray(measure.s[:, 0]))
    parts = {train: tangent.gram(mf.Network("tanh", train=train), one, x) for train in BOTH}
    found = tangent.gram(mf.Network("tanh", train=BOTH, outputs=2), same, x)
    close(found, np.kron(parts["input"], np.ones((2, 2))) + np.kron(parts["output"], np.eye(2)))


@NAMES
@LAYERS
@SIZES
def test_operator__acts_as_the_gram_matrix(name, train, n, M, d, k):
    x, measure = case(n, M, d, k)
    net, v = mf.Network(name, train=train, outputs=k), np.random.default_rng(0).standard_normal((n * k, 2))
    expected = formula(name, train, measure, x)
    close(tangent.operator(net, measure, x) @ v, expected @ v)
    close(tangent.operator(net, measure, x, outputs="trace") @ v[:n], mean_of_blocks(expected, k) @ v[:n])


def test_gram_and_operator__have_the_same_bits_on_any_number_of_threads():
    x, measure = case(41, 600, 5, 3)
    net, v = mf.Network("tanh", train=BOTH, outputs=3), np.ones(123)
    engines = [mf.Local(threads) for threads in (1, 2, 3)]
    assert len({tangent.gram(net, measure, x, engine=engine).tobytes() for engine in engines}) == 1
    assert len({(tangent.operator(net, measure, x, engine) @ v).tobytes() for engine in engines}) == 1


@pytest.mark.parametrize("make", [tangent.gram, tangent.operator], ids=["gram", "operator"])
def test_extremes__are_those_of_the_block_matrix(make):
    x, measure = case(20, 300, 3, 3)
    found = tangent.extremes(make(mf.Network("tanh", train=BOTH, outputs=3), measure, x))
    expected = np.linalg.eigvalsh(formula("tanh", BOTH, measure, x))
    assert (found.smallest, found.largest) == pytest.approx((expected[0], expected[-1]), rel=1e-9)


@NAMES
@pytest.mark.parametrize(("form", "dims"), [
    ("full", ("sample", "output", "other_sample", "other_output")), ("trace", ("sample", "other_sample")),
])  # fmt: skip
def test_write_gram__is_the_gram_matrix_with_named_axes(tmp_path, name, form, dims):
    net, path, x = mf.Network(name, train=BOTH, outputs=3), tmp_path / "gram.h5", case(50, 1, 2, 3)[0]
    start = mf.Gaussian(2).sample(300, 1, signs="gaussian", outputs=3)
    tangent.write_gram(net, start, x, path, mf.Local(2), tile=16, outputs=form)
    expected = tangent.gram(net, start, x, outputs=form)
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert data.gram.dims == dims
        assert data.gram.values.reshape(expected.shape).tobytes() == expected.tobytes()


def test_write_gram__of_a_lazy_sample_goes_on_where_it_stopped(tmp_path):
    net, x, path = mf.Network("tanh", outputs=3), case(50, 1, 2, 3)[0], tmp_path / "gram.h5"
    start = mf.Gaussian(2).sample(300, 1, signs="unit", outputs=3, lazy=True)
    told = []
    begun = tangent.write_gram(net, start, x, path, tile=16, progress=lambda done, total: done == 4)
    assert begun.name == "gram.h5.part"
    tangent.write_gram(net, start, x, path, tile=16, progress=lambda *done_of: told.append(done_of))
    assert told == [(done, 10) for done in range(5, 11)]
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        measure = mf.Gaussian(2).sample(300, 1, signs="unit", outputs=3)
        assert data.gram.values.tobytes() == tangent.gram(net, measure, x).tobytes()


def test_write_gram__of_the_trace_does_not_go_on_with_the_full_one(tmp_path):
    net, x, path = mf.Network("tanh", outputs=3), case(50, 1, 2, 3)[0], tmp_path / "gram.h5"
    start = mf.Gaussian(2).sample(300, 1, signs="unit", outputs=3)
    tangent.write_gram(net, start, x, path, tile=16, progress=lambda done, total: True)
    with pytest.warns(UserWarning, match="was begun with other arguments: it begins anew"):
        tangent.write_gram(net, start, x, path, tile=16, outputs="trace")
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert data.gram.shape == (50, 50)


ONE, THREE = mf.Gaussian(2).sample(4, 0), mf.Gaussian(2).sample(4, 0, outputs=3)
NET, X = mf.Network("tanh", outputs=3), np.eye(2)
REFUSALS = {
    "form": (lambda path: tangent.gram(NET, THREE, X, outputs="trce"), '"full" or "trace": got .* Did you mean'),
    "form of one": (lambda path: tangent.gram(mf.Network("tanh"), ONE, X, outputs=3), '"full" or "trace": got 3'),
    "one for three": (lambda path: tangent.gram(NET, ONE, X), "as many output weights as the network has outputs, 3"),
    "three for one": (lambda path: tangent.gram(mf.Network("tanh"), THREE, X), r"outputs, 1: got 3\. Use mf.Network"),
    "operator": (lambda path: tangent.operator(NET, ONE, X), "as many output weights as the network has outputs, 3"),
    "file": (lambda path: tangent.write_gram(NET, ONE, X, path / "g.h5"), "as many output weights as the network has"),
    "lazy file": (
        lambda path: tangent.write_gram(NET, mf.Gaussian(2).sample(4, 0, lazy=True), X, path / "g.h5"),
        "as many output weights as the network has outputs, 3: got 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_gram__refuses(tmp_path, name):
    call, message = REFUSALS[name]
    with pytest.raises(mf.InputError, match=message):
        call(tmp_path)
