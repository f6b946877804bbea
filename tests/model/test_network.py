"""The network, its scales, and what it refuses."""

import numpy as np
import pytest
from support import naive

import particles as mf

BETAS = pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 1.0])


@BETAS
@pytest.mark.parametrize("M", [1, 7, 4096])
def test_scales__are_the_powers_of_the_width(beta, M):
    net = mf.Network("tanh", beta=beta)
    assert net.alpha(M) == pytest.approx(M ** (1 - beta))
    assert net.paper_step(0.3, M) == pytest.approx(0.3 * M ** (2 * beta - 1))
    assert net.paper_weight(0.3, M) == pytest.approx(0.3 * M ** (1 - 2 * beta))


@pytest.mark.parametrize(("beta", "step"), [(0.0, 0.3 / 50), (0.5, 0.3), (1.0, 0.3 * 50)])
def test_paper_step__is_as_the_theorems_write_it(beta, step):
    assert mf.Network("tanh", beta=beta).paper_step(0.3, 50) == pytest.approx(step)


@BETAS
@pytest.mark.parametrize("M", [1, 300, 1031])
def test_predict__is_the_sum_over_neurons(beta, M, cloud, samples):
    """g = sum_r a_r sigma(b_r . x), a_r = s_r / M^beta (section 3)."""
    start, x = cloud(M), samples(n=5).x
    expected = [sum(s / M**beta * np.tanh(b @ row) for b, s in zip(start.b, start.s, strict=True)) for row in x]
    found = mf.Network("tanh", beta=beta).predict(start, x)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12 * np.abs(expected).max())


def test_predict__is_the_integral_over_a_weighted_measure(cloud, samples):
    start, x = cloud(M=300, equal=False), samples(n=5).x
    expected = naive.network(*start, x, np.tanh)
    assert mf.Network("tanh").predict(start, x) == pytest.approx(expected, rel=1e-12)


def test_predict__does_not_depend_on_the_company_a_sample_keeps(cloud, samples):
    start, x, net = cloud(M=300), samples(n=8).x, mf.Network("tanh")
    assert net.predict(start, x)[2:6] == pytest.approx(net.predict(start, x[2:6]), rel=1e-14, abs=1e-16)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("count", [2, 64, 300, 1024])
def test_symmetric_start__is_the_zero_function(count, beta):
    start, x = mf.Gaussian(3).sample(count, 3, "symmetric"), mf.Gaussian(3).sample(9, 4).b
    net = mf.Network("tanh", beta=beta)
    half = naive.network(start.b[::2], start.s[::2], start.w[::2], x, np.tanh, net.alpha(count))
    assert np.abs(net.predict(start, x)).max() <= 1e-14 * max(1.0, np.abs(half).max())


def test_bias__is_a_last_input_of_1(cloud, samples):
    start, x = cloud(M=9, d=4), samples(n=5, d=3).x
    with_ones = np.column_stack([x, np.ones(5)])
    expected = mf.Network("tanh").predict(start, with_ones)
    assert (mf.Network("tanh", bias=True).predict(start, x) == expected).all()


@pytest.mark.parametrize(
    ("given", "kept"),
    [("input", ("input",)), ("output", ("output",)), (("output", "input"), ("input", "output"))],
)
def test_train__is_a_tuple_of_layers(given, kept):
    assert mf.Network("tanh", train=given).train == kept


WEIGHTED = mf.Gaussian(3).quadrature(20)
X = np.ones((2, 3))
REFUSALS = [
    (
        lambda: mf.Network("rellu"),
        "`activation` must be an mf.Activation or the name of one: got 'rellu'. Did you mean 'relu'?",
    ),
    (lambda: mf.Network("tanh", beta=1.5), "`beta` must be a finite number from 0 to 1: got 1.5"),
    (lambda: mf.Network("tanh", beta=float("nan")), "`beta` must be a finite number from 0 to 1: got nan"),
    (lambda: mf.Network("tanh", beta=True), "`beta` must be a finite number from 0 to 1: got True"),
    (lambda: mf.Network("tanh", train=()), '`train` must name "input", "output" or both: got ()'),
    (lambda: mf.Network("tanh", train="inputs"), '`train` must name "input", "output" or both: got \'inputs\''),
    (lambda: mf.Network("tanh", train=("input", "input")), '`train` must name "input", "output" or both'),
    (lambda: mf.Network("tanh", beta=0.5).predict(WEIGHTED, X), "`beta` below 1 needs equal weights"),
    (lambda: mf.Network("tanh").predict(WEIGHTED, X[0]), "inputs must have shape (n, d), n >= 1, d >= 1: got (3,)"),
    (lambda: mf.Network("tanh").predict(WEIGHTED, X[:0]), "inputs must have shape (n, d), n >= 1, d >= 1: got (0, 3)"),
    (
        lambda: mf.Network("tanh").predict(WEIGHTED, X * np.nan),
        "inputs must be finite: got NaN or inf in 2 rows",
    ),
    (lambda: mf.Network("tanh").predict(WEIGHTED, X[:, :2]), "as many dimensions as the inputs, 2 with"),
    (lambda: mf.Network("tanh").predict(WEIGHTED._replace(s=np.ones(3)), X), "`s` and `w` must have one entry"),
    (lambda: mf.Network("tanh").predict(WEIGHTED._replace(w=2 * WEIGHTED.w), X), "sum to 1: got a sum of 2"),
    (lambda: mf.Network("tanh").predict(WEIGHTED._replace(b=WEIGHTED.b * np.inf), X), "a measure must be finite"),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_network__refuses(make, message):
    with pytest.raises(mf.InputError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("bias", [0, 1, np.True_, np.int64(0)])
def test_network__has_a_bias_that_is_a_truth_value(bias):
    assert mf.Network("tanh", bias=bias).bias is bool(bias)


@pytest.mark.parametrize("bias", ["yes", None, 2, 0.5])
def test_network__refuses_another_bias(bias):
    with pytest.raises(mf.InputError, match="`bias` must be True or False"):
        mf.Network("tanh", bias=bias)
