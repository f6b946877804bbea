"""A loss of the user's own on k outputs: its formulas are checked where k is known, and are the ones that run."""

import re

import numpy as np
import pytest

import particles as mf
from particles.model.losses import LOSSES, check_outputs, loss

SOFTMAX = LOSSES["softmax"]._replace(name="mine")
HUBER = LOSSES["huber"]._replace(name="my_huber")


def smooth_top(z, y):
    """log sum exp minus the output of the target, where the targets are any numbers."""
    top = z.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(z - top).sum(axis=1)) - (y * z).sum(axis=1)


def coupled(weight):
    """|z - y|^2 / 2 in a metric that couples the outputs, for any number of them."""

    def metric(k):
        return np.eye(k) + weight * np.ones((k, k))

    return mf.Loss(
        "coupled",
        lambda z, y: 0.5 * np.einsum("io,op,ip->i", z - y, metric(z.shape[1]), z - y),
        lambda z, y: (z - y) @ metric(z.shape[1]),
        1.0 + 10 * weight,
        False,
        lambda slope, y: np.broadcast_to(metric(slope.shape[1]), (*slope.shape, slope.shape[1])),
        joint=True,
    )


def hinge(z, y):
    """Crammer's and Singer's loss of classes, a maximum, so that it has kinks."""
    return np.maximum((z + 1.0 - y).max(axis=1) - (y * z).sum(axis=1), 0.0)


def hinge_slope(z, y):
    return (np.eye(z.shape[1])[(z + 1.0 - y).argmax(axis=1)] - y) * (hinge(z, y) > 0.0)[:, None]


def no_bend(slope, y):
    return np.zeros((*slope.shape, slope.shape[1]))


GOOD = {
    "kinked": mf.Loss("kinked", hinge, hinge_slope, 0.0, False, no_bend, joint=True, classes=True),
    "softmax": SOFTMAX,
    "coupled": coupled(0.3),
    "softmax of any targets": SOFTMAX._replace(name="free", value=smooth_top, classes=False),
    **{name: LOSSES[name]._replace(name=f"my_{name}") for name in LOSSES if name != "softmax"},
}


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("name", GOOD)
def test_loss__whose_parts_belong_together_is_taken(name, k):
    check_outputs(loss(GOOD[name]), k)


def tilted(slope, y):
    """The bend of softmax, and something on top that is not symmetric."""
    k = slope.shape[1]
    return LOSSES["softmax"].bend(slope, y) + 1e-6 * np.triu(np.ones((k, k)), 1)


WRONG = {
    "slope": (SOFTMAX._replace(slope=lambda z, y: z - y), "`slope` of the loss 'mine' must be dl/dz of `value`"),
    "one output's slope": (
        SOFTMAX._replace(slope=lambda z, y: LOSSES["softmax"].slope(z, y) * [1.01, 1.0, 1.0]),
        "`slope` of the loss 'mine' must be dl/dz of `value`",
    ),
    "diagonal bend": (
        SOFTMAX._replace(bend=lambda slope, y: (slope + y)[:, :, None] * np.eye(3)),
        "`bend` of the loss 'mine' must be d2l/dz2 by the slope and the target",
    ),
    "bend": (SOFTMAX._replace(bend=tilted), "`bend` of the loss 'mine' must be symmetric in the outputs"),
    "bound": (
        SOFTMAX._replace(curvature=0.45),
        "`curvature` of the loss 'mine' must be at least the largest eigenvalue of d2l/dz2: got the bound 0.45",
    ),
    "bound of all outputs": (coupled(0.3)._replace(curvature=1.3), "`curvature` of the loss 'coupled' must be"),
    "value (n, k)": (
        SOFTMAX._replace(value=lambda z, y: 0.5 * (z - y) ** 2),
        "`value` of the loss 'mine' must map arrays (n, k) to an array (n,): got shape (62, 3)",
    ),
    "bend (n, k)": (
        SOFTMAX._replace(bend=lambda slope, y: slope),
        "`bend` of the loss 'mine' must map arrays (n, k) to an array (n, k, k): got shape (62, 3)",
    ),
    "elementwise, of vectors alone": (
        HUBER._replace(value=lambda z, y: np.array([min(0.5 * e * e, abs(e) - 0.5 * (abs(e) > 1)) for e in z - y])),
        "`value` of the loss 'my_huber' must map arrays (n, k) to an array (n, k): got ValueError",
    ),
    "elementwise, with a sum over outputs": (
        HUBER._replace(slope=lambda z, y: np.clip(z - y, -1, 1) / (1 if z.ndim == 1 else z.shape[1])),
        "`slope` of the loss 'my_huber' must make of (n, k) numbers what it makes of each column",
    ),
    "elementwise bend (n,)": (
        HUBER._replace(bend=lambda slope: LOSSES["huber"].bend(slope if slope.ndim == 1 else slope[:, 0])),
        "`bend` of the loss 'my_huber' must map arrays (n, k) to an array (n, k): got shape (62,) for (62, 3)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_loss__with_a_wrong_part_is_refused_where_the_outputs_are_known(name):
    row, message = WRONG[name]
    data = mf.Dataset(np.eye(3), np.eye(3))
    start = mf.Gaussian(3).sample(8, 0, outputs=3)
    with pytest.raises(mf.InputError, match=re.escape(message)):
        mf.simulate(mf.Network("tanh", outputs=3), start, data, mf.GradientDescent(0.1), steps=1, loss=row)


def test_loss__of_vectors_alone_is_taken_for_one_output():
    row, _ = WRONG["elementwise, of vectors alone"]
    check_outputs(loss(row), 1)
    assert mf.tangent.descend(np.eye(2), [0.5, 3.0], 0.1, [1], loss=row)[0] == pytest.approx([0.025, 0.05])


@pytest.mark.parametrize(("mine", "name"), [(SOFTMAX, "softmax"), (HUBER, "huber")])
def test_loss__of_the_same_formulas_gives_the_same_bits(mine, name):
    data, net = mf.Dataset(np.eye(3), np.eye(3)), mf.Network("tanh", outputs=3)
    start = mf.Gaussian(3).sample(300, 0, "random", outputs=3)
    runs = [mf.simulate(net, start, data, mf.GradientDescent(0.3), steps=4, loss=row) for row in (mine, name)]
    assert runs[0].measure.b.tobytes() == runs[1].measure.b.tobytes()
