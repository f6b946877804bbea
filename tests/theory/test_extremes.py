"""The ends of the spectrum, dense and by Lanczos, against matrices whose eigenvalues are known."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

import particles as mf
from particles.theory.tangent import extreme_eigenvalues as module, extremes, gram, operator


def rotated(values):
    """A symmetric matrix with these eigenvalues."""
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((len(values), len(values))))
    return (turn * values) @ turn.T


@pytest.mark.parametrize("n", [1, 5, 300])
@pytest.mark.parametrize("wrap", [np.asarray, aslinearoperator], ids=["matrix", "operator"])
def test_extremes__are_the_ends_of_the_spectrum(n, wrap):
    values = np.linspace(0.25, 40.0, n)
    matrix = rotated(values)
    found = extremes(wrap((matrix + matrix.T) / 2.0))
    assert found.smallest == pytest.approx(values[0], abs=1e-9)
    assert found.largest == pytest.approx(values[-1], abs=1e-9)
    assert 0.0 <= found.error < 1e-7


def test_extremes__are_not_clipped():
    matrix = rotated(np.array([-1e-3, 1.0, 2.0]))
    assert extremes((matrix + matrix.T) / 2.0).smallest == pytest.approx(-1e-3, abs=1e-12)


def test_extremes__of_the_operator_are_those_of_the_matrix():
    net, start = mf.Network("relu", beta=0.5), mf.Gaussian(4).sample(600, 1)
    x = mf.Sphere(4).sample(260, 2).b  # beyond what is taken as a matrix
    dense, free = extremes(gram(net, start, x)), extremes(operator(net, start, x))
    assert free.smallest == pytest.approx(dense.smallest, abs=1e-8)
    assert free.largest == pytest.approx(dense.largest, abs=1e-8)
    assert free == extremes(operator(net, start, x))


def test_extremes__says_when_lanczos_does_not_get_there(monkeypatch):
    monkeypatch.setattr(module, "_RESTARTS", 3)
    matrix = rotated(np.geomspace(1e-12, 1.0, 600))
    with pytest.raises(mf.InputError, match="Lanczos must come within 1e-300"):
        extremes(aslinearoperator((matrix + matrix.T) / 2.0), tolerance=1e-300)
