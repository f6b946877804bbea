"""Descent under a fixed kernel with k outputs and with other losses, against naive loops and an ODE solver."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import particles as mf
from particles.methods.schedules import RobbinsMonro
from particles.theory import tangent

N, OTHERS, DIM, K = 8, 3, 3, 3
LOSSES = ["squared", "softmax", "logistic", "huber", "smooth_hinge", "exponential"]
EACH = pytest.mark.parametrize("loss", LOSSES)
ALONE = pytest.mark.parametrize("alone", [False, True], ids=["blocks", "each output alone"])


def slopes(loss, f, y):
    """The slope of a loss by its formula."""
    if loss == "softmax":
        e = np.exp(f)
        return e / e.sum(axis=1, keepdims=True) - y
    return {
        "squared": lambda: f - y,
        "logistic": lambda: -y / (1 + np.exp(y * f)),
        "huber": lambda: np.clip(f - y, -1, 1),
        "smooth_hinge": lambda: -y * np.clip(1 - y * f, 0, 1),
        "exponential": lambda: -y * np.exp(-y * f),
    }[loss]()


class Case:
    """A kernel of k outputs at samples and other points, targets that the loss takes, and outputs to begin from."""

    def __init__(self, loss, alone):
        chance = np.random.default_rng(3)
        x, measure = chance.standard_normal((N + OTHERS, DIM)), mf.Gaussian(DIM).sample(90, 1, "gaussian", outputs=K)
        net = mf.Network("tanh", train=("input", "output"), outputs=K)
        whole = tangent.gram(net, measure, x, outputs="trace" if alone else "full")
        rows = N if alone else N * K
        self.gram, self.cross = whole[:rows, :rows], whole[rows:, :rows]
        self.full = np.kron(whole, np.eye(K))[:, : N * K] if alone else whole[:, :rows]  # (all k, n k)
        labels = chance.integers(0, K, N)
        self.y = {"softmax": np.eye(K)[labels], "squared": chance.standard_normal((N, K))}.get(
            loss, np.where(np.eye(K)[labels] == 1, 1.0, -1.0)
        )
        self.start, self.loss = 0.5 * chance.standard_normal((N + OTHERS, K)), loss

    def change(self, f, decay):
        """f' of all outputs."""
        moved = self.full @ slopes(self.loss, f[:N], self.y).ravel() / N
        return -moved.reshape(N + OTHERS, K) - decay * (f - self.start)

    def found(self, which, *arguments, decay, **settings):
        """Outputs at the samples and at the other points, asked for one after the other."""
        begin, there = self.start[:N], self.start[N:]
        at = which(self.gram, self.y, *arguments, begin, weight_decay=decay, loss=self.loss, **settings)
        other = which(self.gram, self.y, *arguments, begin, self.cross, there, decay, self.loss, **settings)
        return np.concatenate([at, other], axis=1)


@EACH
@ALONE
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("step", [0.4, RobbinsMonro(1.5, 2.0)], ids=["constant", "falling"])
def test_descend__is_the_naive_recursion(loss, alone, decay, step):
    case, asked = Case(loss, alone), np.array([0, 1, 7, 60, 7])
    f = [case.start]
    for size in np.full(60, step) if isinstance(step, float) else step.sizes(60):
        f.append(f[-1] + size * case.change(f[-1], decay))
    found = case.found(tangent.descend, step, asked, decay=decay)
    assert found.shape == (5, N + OTHERS, K)
    assert np.abs(found - np.array(f)[asked]).max() <= 1e-12


@EACH
@ALONE
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_flow__is_the_solution_of_its_equation(loss, alone, decay):
    case, times = Case(loss, alone), [0.0, 0.5, 3.0, 20.0]
    expected = solve_ivp(
        lambda t, f: case.change(f.reshape(-1, K), decay).ravel(), (0, 20), case.start.ravel(), "DOP853", times,
        rtol=1e-13, atol=1e-13,
    ).y.T.reshape(4, -1, K)  # fmt: skip
    assert np.abs(case.found(tangent.flow, times, decay=decay) - expected).max() < 1e-8


@ALONE
def test_flow__takes_times_in_any_order(alone):
    case = Case("softmax", alone)
    ordered = tangent.flow(case.gram, case.y, [0.0, 1.0, 4.0], loss="softmax")
    found = tangent.flow(case.gram, case.y, [4.0, 0.0, 1.0, 4.0], loss="softmax")
    assert (found == ordered[[2, 0, 1, 2]]).all()
    assert (tangent.flow(case.gram, case.y, 0.0, loss="softmax") == 0.0).all()


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "softmax"])
def test_descend__of_one_output_is_the_naive_recursion(loss):
    case = Case(loss, True)
    y, f = case.y[:, 0], np.zeros(N)
    for _ in range(40):
        f = f - 0.4 * case.gram @ slopes(loss, f, y) / N
    assert np.abs(tangent.descend(case.gram, y, 0.4, [40], loss=loss)[0] - f).max() < 1e-12


@pytest.mark.parametrize("loss", ["squared", "softmax"])
def test_each_output_alone__is_the_kronecker_form_of_the_kernel(loss):
    case = Case(loss, True)
    alone, blocks = (
        tangent.flow(gram, case.y, [0.0, 2.0], loss=loss) for gram in (case.gram, np.kron(case.gram, np.eye(K)))
    )
    assert np.abs(alone - blocks).max() < 1e-9


@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_flow__takes_eigenpairs(loss):
    case = Case(loss, False)
    found = tangent.flow(tangent.eigen(case.gram), case.y, [1.0], loss=loss)
    assert found == pytest.approx(tangent.flow(case.gram, case.y, [1.0], loss=loss), abs=1e-9)


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_descend__tends_to_the_flow_with_order_one(loss):
    case = Case(loss, False)
    end = tangent.flow(case.gram, case.y, [2.0], loss=loss)
    steps = (64, 128, 256)
    errors = [np.abs(tangent.descend(case.gram, case.y, 2.0 / k, [k], loss=loss) - end).max() for k in steps]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.05)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(1.0, abs=0.05)


def test_descend__with_softmax_is_what_a_wide_network_does():
    """The first-order change of a network's outputs along its gradient is the kernel's."""
    chance, step = np.random.default_rng(5), 1e-5
    data = mf.Dataset(chance.standard_normal((N, DIM)), np.eye(K)[chance.integers(0, K, N)])
    net = mf.Network("tanh", beta=0.5, train=("input", "output"), outputs=K)
    start = mf.Gaussian(DIM).sample(400, 1, signs="symmetric", outputs=K)
    run = mf.simulate(net, start, data, mf.GradientDescent(step), steps=1, loss="softmax")
    before, after = net.predict(start, data.x), net.predict(run.measure, data.x)
    expected = tangent.descend(tangent.gram(net, start, data.x), data.y, step, [1], before, loss="softmax")
    assert np.abs(expected[0] - after).max() < 1e-3 * np.abs(after - before).max()


def test_flow__with_a_loss_of_the_user_s_is_that_of_its_formulas():
    case = Case("softmax", False)
    mine = mf.LOSSES["huber"]._replace(name="mine")
    found = [tangent.flow(case.gram, case.y, [1.0], loss=loss) for loss in (mine, "huber")]
    assert found[0].tobytes() == found[1].tobytes()


GRAM, Y = np.eye(6), np.eye(3)[[0, 1]]
REFUSED = {
    "width": ({"y": np.ones((2, 4))}, r"`y` of k outputs must have shape \(n, k\), k > 1, .* = 6, .*: got \(2, 4\)"),
    "one column": ({"y": np.ones((6, 1))}, r"got \(6, 1\)\. One output is \(n,\)"),
    "not finite": ({"y": np.full((2, 3), np.nan)}, "`y` must be finite"),
    "start": ({"start": np.ones(6)}, r"`start` must have shape \(2, 3\): got \(6,\)"),
    "cross": ({"cross": np.ones((4, 6))}, r"`cross` must have shape \(m \* 3, 6\): got \(4, 6\)"),
    "cross start": ({"cross": np.ones((3, 6)), "cross_start": [1.0]}, r"`cross_start` must have shape \(1, 3\)"),
    "labels": ({"loss": "logistic"}, "labels must be -1 or 1"),
    "classes": ({"loss": "softmax", "y": 2.0 * Y}, "targets of classes must be rows that are not negative"),
    "one output": (
        {"loss": "softmax", "y": np.ones(6)},
        r"the loss 'softmax' needs targets \(n, k\), a column a class",
    ),
    "loss": ({"loss": "hinge"}, "`loss` must be an mf.Loss or the name of one"),
    "gram": ({"gram": np.ones((3, 4)), "loss": "huber"}, "a Gram matrix must be square"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_flow_and_descend__refuse(name):
    wrong, message = REFUSED[name]
    with pytest.raises(mf.InputError, match=message):
        tangent.flow(**{"gram": GRAM, "y": Y, "times": [1.0], **wrong})
    with pytest.raises(mf.InputError, match=message):
        tangent.descend(**{"gram": GRAM, "y": Y, "step": 0.1, "iterations": [1], **wrong})
