"""The kernel flow and its recursion against an ODE solver, naive loops and networks so wide that they are kernels."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import solve_ivp

import particles as mf
from particles.methods.schedules import RobbinsMonro
from particles.theory import tangent

N, OTHERS, DIM = 12, 5, 3


@pytest.fixture(scope="module")
def case():
    """A kernel at samples and at other points, targets, and outputs to begin from."""
    chance = np.random.default_rng(3)
    x, u = chance.standard_normal((N, DIM)), chance.standard_normal((OTHERS, DIM))
    net, measure = mf.Network("tanh", beta=0.5), mf.Gaussian(DIM).sample(400, 1)
    whole = tangent.gram(net, measure, np.concatenate([x, u]))
    return whole[:N, :N], whole[N:, :N], chance.standard_normal(N), chance.standard_normal(N + OTHERS)


def solved(gram, cross, y, start, decay, times):
    """All outputs by scipy's ODE solver: samples first, then the other points."""
    rows = np.concatenate([gram, cross])

    def slope(t, f):
        return -rows @ (f[:N] - y) / N - decay * (f - start)

    found = solve_ivp(slope, (0, max(times)), start, method="DOP853", t_eval=times, rtol=1e-13, atol=1e-13)
    return found.y.T


def recursion(gram, cross, y, start, decay, sizes):
    f, found = start.copy(), [start]
    for size in sizes:
        f = f - size * (np.concatenate([gram, cross]) @ (f[:N] - y) / N + decay * (f - start))
        found.append(f)
    return np.array(found)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_flow__is_the_solution_of_its_equation(case, decay):
    gram, cross, y, start = case
    times = [0.0, 0.5, 3.0, 20.0]
    expected = solved(gram, cross, y, start, decay, times)
    found = tangent.flow(gram, y, times, start[:N], weight_decay=decay)
    other = tangent.flow(gram, y, times, start[:N], cross, start[N:], decay)
    assert np.abs(found - expected[:, :N]).max() < 1e-9
    assert np.abs(other - expected[:, N:]).max() < 1e-9


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("step", [0.7, 3.0, RobbinsMonro(3.0, 2.0)], ids=["small", "large", "falling"])
def test_descend__is_the_naive_recursion(case, decay, step):
    gram, cross, y, start = case
    sizes = np.full(300, step) if isinstance(step, float) else step.sizes(300)
    assert np.max(sizes) * (np.linalg.eigvalsh(gram)[-1] / N + decay) < 2.0
    expected = recursion(gram, cross, y, start, decay, sizes)
    asked = np.array([0, 1, 7, 300, 7])
    found = tangent.descend(gram, y, step, asked, start[:N], weight_decay=decay)
    other = tangent.descend(gram, y, step, asked, start[:N], cross, start[N:], decay)
    assert np.abs(found - expected[asked, :N]).max() < 1e-12
    assert np.abs(other - expected[asked, N:]).max() < 1e-12


def test_descend__tends_to_the_flow_with_order_one(case):
    gram, _, y, _ = case
    end = tangent.flow(gram, y, [4.0])
    errors = [np.abs(tangent.descend(gram, y, 4.0 / k, [k]) - end).max() for k in (64, 128, 256)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.05)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(1.0, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 9), rank=st.integers(0, 9), seed=st.integers(0, 99), time=st.floats(0.0, 1e6))
def test_flow__needs_no_inverse(n, rank, seed, time):
    """Where K is singular the residual's part in its null space stays, and the rest never grows."""
    chance = np.random.default_rng(seed)
    factor = chance.standard_normal((n, rank))
    gram, y = factor @ factor.T, chance.standard_normal(n)
    left = tangent.flow(gram, y, [0.0, time])[:, :] - y
    assert np.linalg.norm(left[1]) <= np.linalg.norm(left[0]) * (1 + 1e-9)
    null = np.eye(n) - factor @ np.linalg.pinv(factor) if rank else np.eye(n)
    # eigenvalues that are zero up to rounding act for as long as `time`
    assert np.abs(null @ (left[1] + y)).max() < 1e-8 + 1e-14 * time * np.linalg.norm(gram)


def test_flow__is_what_a_wide_network_does(case):
    """The first-order change of a network's outputs along its gradient is the kernel's."""
    chance = np.random.default_rng(5)
    data = mf.Dataset(chance.standard_normal((N, DIM)), chance.standard_normal(N))
    net, start = mf.Network("tanh", beta=0.5), mf.Gaussian(DIM).sample(400, 1, signs="symmetric")
    step = 1e-5
    run = mf.simulate(net, start, data, mf.GradientDescent(step), steps=1, record=("prediction",))
    moved = run.dataset["prediction"].values
    expected = tangent.descend(tangent.gram(net, start, data.x), data.y, step, [0, 1], moved[0])
    assert np.abs(expected[1] - moved[1]).max() < 1e-3 * np.abs(moved[1] - moved[0]).max()


def test_flow__takes_eigenpairs_found_once(case):
    gram, cross, y, _ = case
    pairs = tangent.eigen(gram)
    assert (tangent.flow(pairs, y, [1.0], cross=cross) == tangent.flow(gram, y, [1.0], cross=cross)).all()
    assert (np.diff(pairs.values) >= 0).all()


REFUSED = [
    ({"times": [-1.0]}, "`times` must be finite flow times >= 0"),
    ({"y": np.ones(3)}, r"`y` must be finite, of shape \(12,\)"),
    ({"y": np.full(N, np.nan)}, "`y` must be finite"),
    ({"gram": np.ones((3, 4))}, "a Gram matrix must be square"),
    ({"gram": np.full((N, N), np.inf)}, "a Gram matrix must be finite"),
    ({"gram": np.arange(144.0).reshape(N, N)}, "a Gram matrix must be symmetric"),
    ({"cross": np.ones((2, 3))}, r"`cross` must have shape \(m, 12\)"),
    ({"cross_start": np.ones(2)}, "`cross_start` belongs to the points of `cross`"),
    ({"start": np.ones(5)}, "`start` must be finite"),
    ({"weight_decay": -1.0}, "`weight_decay` must be a finite number >= 0"),
]


@pytest.mark.parametrize("wrong, told", REFUSED, ids=[told[:24] for _, told in REFUSED])
def test_flow__refuses(case, wrong, told):
    gram, _, y, _ = case
    with pytest.raises(mf.InputError, match=told):
        tangent.flow(**{"gram": gram, "y": y, "times": [1.0], **wrong})


@pytest.mark.parametrize("iterations", [[-1], [0.5]])
def test_descend__refuses_iterations(case, iterations):
    gram, _, y, _ = case
    with pytest.raises(mf.InputError, match="`iterations` must be whole numbers >= 0"):
        tangent.descend(gram, y, 0.1, iterations)


UNDERFLOWING = {
    "descend": lambda: tangent.descend(np.eye(2), [1.0, -1.0], 1.0, [0, 10, 10**7]),
    "kernel_iterations": lambda: mf.theory.kernel_iterations(np.diag([1.0, 1e-4]), [1.0, -1.0], 1e-12),
    "limit_gram": lambda: tangent.limit_gram(mf.Network("sin", beta=0.5), mf.Gaussian(2), 40.0 * np.eye(2)),
}


@pytest.mark.parametrize("name", UNDERFLOWING)
def test_theory__does_not_depend_on_numpy_s_error_settings(name):
    """Powers and exponentials that vanish are no error, whatever np.seterr the caller chose."""
    with np.errstate(all="raise"):
        strict = UNDERFLOWING[name]()
    assert np.array_equal(strict, UNDERFLOWING[name]())
