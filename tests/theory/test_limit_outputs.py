"""The limiting tangent kernel of k outputs: its Kronecker form against quadratures and finite networks."""

import numpy as np
import pytest

import particles as mf
from particles.theory import tangent

BOTH, K = ("input", "output"), 3
SIGNS = pytest.mark.parametrize("signs", ["random", "symmetric", "gaussian", "unit", "positive"])
MOMENT = {"positive": np.ones((K, K)), "unit": np.eye(K) / K}


def inputs(n, d):
    return np.random.default_rng([n, d]).standard_normal((n, d))


@SIGNS
def test_limit__is_the_kernel_of_one_output_times_the_second_moment(signs):
    law, x = mf.Gaussian(3), inputs(5, 3)
    one = {layer: tangent.limit_gram(mf.Network("tanh", train=layer), law, x) for layer in BOTH}
    expected = np.kron(one["input"], MOMENT.get(signs, np.eye(K))) + np.kron(one["output"], np.eye(K))
    found = tangent.limit_gram(mf.Network("tanh", train=BOTH, outputs=K), law, x, signs=signs)
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert (found == found.T).all()


@SIGNS
@pytest.mark.parametrize("train", [("input",), BOTH], ids="+".join)
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_limit__is_the_mean_of_finite_networks(signs, train, name):
    """Every entry of every block, within 4.5 standard errors of 60 networks."""
    law, x, net = mf.Gaussian(3, 0.8), inputs(4, 3), mf.Network(name, train=train, outputs=K)
    found = tangent.limit(net, law, x, signs=signs)
    finite = np.stack([tangent.gram(net, law.sample(512, seed, signs, outputs=K), x) for seed in range(60)])
    spread = finite.std(axis=0, ddof=1) / 60**0.5
    assert (np.abs(found.gram - finite.mean(axis=0)) <= 4.5 * spread + found.error + 1e-14).all()


@pytest.mark.parametrize("signs", ["gaussian", "unit", "positive"])
def test_limit__is_the_mean_of_the_law_s_quadratures(signs):
    """Of independent scrambles, within 6 standard errors of the mean of 12: 1e-4 by Student's law."""
    law, x, net = mf.Uniform(2, -1.0, 1.5), inputs(4, 2), mf.Network("tanh", train=BOTH, outputs=K)
    rules = [law.quadrature(2**10, signs, replicate=replicate, outputs=K) for replicate in range(12)]
    found, grams = tangent.limit(net, law, x, signs=signs), np.stack([tangent.gram(net, rule, x) for rule in rules])
    spread = grams.std(axis=0, ddof=1) / 12**0.5
    assert (np.abs(found.gram - grams.mean(axis=0)) <= 6 * spread + 1e-9).all()
    assert found.error < 1e-9


@SIGNS
def test_trace_of_the_limit__is_the_mean_of_its_diagonal_blocks(signs):
    law, x, net = mf.Gaussian(3), inputs(5, 3), mf.Network("relu", train=BOTH, outputs=K)
    full = tangent.limit_gram(net, law, x, x[:2], signs=signs)
    found = tangent.limit_gram(net, law, x, x[:2], signs=signs, outputs="trace")
    assert full.shape == (5 * K, 2 * K)
    assert found == pytest.approx(np.einsum("iojo->ij", full.reshape(5, K, 2, K)) / K, rel=1e-14)


def test_limit__of_one_output_does_not_depend_on_the_signs():
    law, x = mf.Gaussian(3), inputs(5, 3)
    found = [tangent.limit_gram(mf.Network("tanh"), law, x, signs=signs, outputs=form)
             for signs, form in (("random", "full"), ("unit", "full"), ("positive", "trace"))]  # fmt: skip
    assert len({matrix.tobytes() for matrix in found}) == 1


def test_error_of_the_limit__is_the_sum_over_layers():
    law, x, tolerance = mf.Uniform(3, -1.0, 1.5), inputs(4, 3), 2e-2
    both = tangent.limit(mf.Network("relu", train=BOTH, outputs=K), law, x, tolerance=tolerance)
    one = [tangent.limit(mf.Network("relu", train=layer), law, x, tolerance=tolerance / 2) for layer in BOTH]
    assert both.error == pytest.approx(one[0].error + one[1].error, rel=1e-12)
    assert both.how == f"{one[0].how} and {one[1].how}"


NET, LAW, X = mf.Network("relu", outputs=K), mf.Gaussian(2), np.eye(2)
REFUSALS = {
    "joint": (lambda: tangent.limit(NET, LAW, X, signs="joint"), "must leave the output weights independent of b"),
    "signs": (lambda: tangent.limit(NET, LAW, X, signs="rando"), "`signs` must be one of .* Did you mean 'random'"),
    "form": (lambda: tangent.limit_gram(NET, LAW, X, outputs="diagonal"), '`outputs` must be "full" or "trace"'),
    "tolerance": (
        lambda: tangent.limit(NET, mf.Uniform(2), [[1.0, 2.0]], tolerance=1e-13),
        "`tolerance` 1e-13 is out of reach here",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_limit__of_outputs_refuses(name):
    call, message = REFUSALS[name]
    with pytest.raises(mf.InputError, match=message):
        call()
