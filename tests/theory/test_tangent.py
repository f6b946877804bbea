"""The tangent kernel's Gram matrix, counted, multiplied and matrix-free, against its formula."""

import numpy as np
import pytest
from support import naive

import particles as mf
from particles.kernels import bit_counts
from particles.theory import tangent

# (n, M, d): one of each; no block, strip or pass full; several strips, and particles over a pass and a block.
SIZES = pytest.mark.parametrize(("n", "M", "d"), [(1, 1, 1), (7, 300, 2), (131, 700, 5)])
LAYERS = pytest.mark.parametrize("train", [("input",), ("output",), ("input", "output")], ids="+".join)
NAMES = pytest.mark.parametrize("name", ["relu", "tanh", "sin"])


def case(n, M, d, equal):
    """Inputs and a measure: equal atoms with signs, or weighted ones with any output weights."""
    random = np.random.default_rng(n + M + d)
    x, b = random.standard_normal((n, d)), random.standard_normal((M, d))
    s = random.choice([-1.0, 1.0], M) if equal else random.standard_normal(M)
    w = np.full(M, 1.0) if equal else random.uniform(0.5, 1.5, M)
    return x, mf.Measure(b, s, w / w.sum())


def formula(name, train, measure, x):
    """x.x' int s^2 sigma' sigma' dmu, and int sigma sigma dmu where the output weights train."""
    sigma, derivative = naive.SIGMA[name]
    z = x @ measure.b.T
    slopes, values = derivative(z), sigma(z)
    kernel = np.zeros((len(x), len(x)))
    if "input" in train:
        kernel += (slopes * (measure.w * measure.s**2)) @ slopes.T * (x @ x.T)
    if "output" in train:
        kernel += (values * measure.w) @ values.T
    return kernel


@NAMES
@LAYERS
@SIZES
@pytest.mark.parametrize("equal", [True, False], ids=["equal", "weighted"])
def test_gram__is_the_tangent_kernel(name, train, n, M, d, equal):
    x, measure = case(n, M, d, equal)
    found, expected = tangent.gram(mf.Network(name, train=train), measure, x), formula(name, train, measure, x)
    assert np.abs(found - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max())
    assert (found == found.T).all()


@NAMES
@LAYERS
@pytest.mark.parametrize("equal", [True, False], ids=["equal", "weighted"])
def test_gram__of_other_inputs_is_a_block_of_the_whole(name, train, equal):
    x, measure = case(131, 700, 5, equal)
    net, whole = mf.Network(name, train=train), formula(name, train, measure, x)
    block = tangent.gram(net, measure, x[:40], x[40:])
    assert block.shape == (40, 91)
    assert np.abs(block - whole[:40, 40:]).max() <= 1e-12 * max(1.0, np.abs(whole).max())


def test_gram__refuses_other_inputs_of_another_dimension():
    x, measure = case(7, 300, 2, True)
    with pytest.raises(mf.InputError, match="`other` must have the columns of `x`: got 3 for 2"):
        tangent.gram(mf.Network("tanh"), measure, x, np.zeros((4, 3)))


@NAMES
@LAYERS
@pytest.mark.parametrize("equal", [True, False], ids=["equal", "weighted"])
def test_operator__acts_as_the_gram_matrix(name, train, equal):
    x, measure = case(131, 700, 5, equal)
    v = np.random.default_rng(0).standard_normal((131, 2))
    found = tangent.operator(mf.Network(name, train=train), measure, x) @ v
    expected = formula(name, train, measure, x) @ v
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_gram_and_operator__have_the_same_bits_on_any_number_of_threads(name):
    x, measure = case(131, 2000, 3, True)
    net, v = mf.Network(name, train=("input", "output")), np.ones(131)
    engines = [mf.Local(threads) for threads in (1, 2, 3)]
    assert len({tangent.gram(net, measure, x, engine=engine).tobytes() for engine in engines}) == 1
    assert len({(tangent.operator(net, measure, x, engine) @ v).tobytes() for engine in engines}) == 1


def test_gram__of_relu_counts_more_particles_than_a_chunk_holds():
    x, measure = case(5, 63 * 256 + 300, 2, True)
    found = tangent.gram(mf.Network("relu"), measure, x)
    np.testing.assert_allclose(found, formula("relu", ("input",), measure, x), rtol=1e-12, atol=1e-14)


def test_gram__has_the_bias_as_an_input():
    x, measure = case(6, 100, 4, True)
    found = tangent.gram(mf.Network("tanh", bias=True), measure, x[:, :3])
    ones = np.concatenate([x[:, :3], np.ones((6, 1))], axis=1)
    np.testing.assert_allclose(found, formula("tanh", ("input",), measure, ones), rtol=1e-12)


def test_gram__is_how_the_outputs_move():
    """After a small step of the squared loss from any start, g moves by -step K (g - y) / n (3.1; flow time)."""
    x, measure = case(9, 500, 3, True)
    net, y, step = mf.Network("tanh", beta=0.5, train=("input", "output")), np.ones(9), 1e-6
    run = mf.simulate(net, measure, mf.Dataset(x, y), mf.GradientDescent(step), steps=1)
    before, after = run.dataset.prediction.values
    expected = -step * tangent.gram(net, measure, x) @ (before - y) / 9
    assert np.abs(after - before - expected).max() < 1e-4 * np.abs(expected).max()


def test_tables__hold_the_bits_two_rows_share_with_a_nibble():
    found = bit_counts.tables()
    for index, v in ((0x53, 0b0110), (0xFF, 0b1111), (0x0A, 0b1000), (0xA0, 0b1000)):
        low, high = (int(v & row).bit_count() for row in (index & 15, index >> 4))
        assert found[index, v] == low + 16 * high


def test_count_pass__is_its_plain_twin(monkeypatch):
    """Both ways to look up: the byte shuffle, and for other processors the population count."""
    import numba

    random = np.random.default_rng(0)
    width = 70
    pairs = random.integers(0, 256, bit_counts.PASS * width).astype(np.uint8)
    nibbles = random.integers(0, 16, bit_counts.PASS * bit_counts.STRIP).astype(np.uint8)
    tables, start = bit_counts.tables().reshape(-1), random.integers(0, 9, 600).astype(np.uint16)
    expected = start.copy()
    bit_counts.count_pass(tables, pairs, 3, width, nibbles, 0, expected, 7)
    for shuffle in (bit_counts._has_shuffle, lambda context: False):
        monkeypatch.setattr(bit_counts, "_has_shuffle", shuffle)
        found = start.copy()
        numba.njit(lambda *a: bit_counts.count_pass(*a))(tables, pairs, 3, width, nibbles, 0, found, 7)
        assert (found == expected).all()


def test_gram__refuses_what_is_no_measure():
    _, measure = case(5, 10, 2, True)
    with pytest.raises(mf.InputError, match="as many dimensions as the inputs, 3 with"):
        tangent.gram(mf.Network("relu"), measure, np.ones((4, 3)))
