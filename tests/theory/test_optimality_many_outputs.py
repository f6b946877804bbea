"""k outputs: V against its formula and derivatives, certificates against grids and programs, programs against scipy."""

import itertools

import numpy as np
import pytest
from support.naive import LABELLED, LOSS, SIGMA
from support.optimum import check_optimum

import particles as mf
from particles.model.regularisers import L1, L2, NONE
from particles.theory.optimality import boxes as branching
from particles.theory.optimality.boxes import floor, limits
from particles.theory.optimality.certificates import gap, objective
from particles.theory.optimality.convex_program import convex_optimum
from particles.theory.optimality.envelope import Envelope
from particles.theory.optimality.frank_wolfe import frank_wolfe
from particles.theory.optimality.minimum import descend
from particles.theory.optimality.potential import first_variation

RULES = [NONE, L2(0.02), L1(0.02)]
LOSSES = [*LOSS, "softmax"]
K, RADIUS = 3, 3.0


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def value_of(loss, g, y):
    """The mean loss over samples, added up over outputs."""
    if loss == "softmax":
        return float(np.mean(-np.log(softmax(g))[y == 1.0]))
    return float(LOSS[loss][0](g, y).sum() / len(y))


def slope_of(loss, g, y):
    return softmax(g) - y if loss == "softmax" else LOSS[loss][1](g, y)


def problem(seed, n=12, d=2, count=9, loss="squared", k=K):
    """A data set and a weighted measure in the ball, whose output weights are no longer than 1."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((n, d)), random.standard_normal((n, k))
    if loss in LABELLED:
        y = np.sign(y)
    if loss == "softmax":
        y = np.eye(k)[random.integers(0, k, n)]
    w = random.random(count)
    b = random.standard_normal((count, d))
    b = RADIUS * b / np.linalg.norm(b, axis=1)[:, None] * random.random((count, 1))
    s = random.standard_normal((count, k))
    s /= np.linalg.norm(s, axis=1)[:, None]
    return mf.Dataset(x, y), mf.Measure(b, s, w / w.sum())


def pull(rule, b):
    return rule.weight * (np.abs(b).sum(axis=1) if isinstance(rule, L1) else (b**2).sum(axis=1) / 2)


def plain(measure, data, activation, loss, rule):
    """V(b, s), the field F(b) in R^k, and L, written out from numpy alone."""
    sigma = SIGMA[activation][0]
    g = sigma(data.x @ measure.b.T) @ (measure.w[:, None] * measure.s)
    slope = slope_of(loss, g, data.y)

    def F(b):
        return sigma(b @ data.x.T) @ slope / len(data)

    def V(b, s):
        return np.sum(s * F(b), axis=1) + pull(rule, b)

    return V, F, value_of(loss, g, data.y) + measure.w @ pull(rule, measure.b)


def on_grid(F, rule, d, points):
    """The least -|F| + pull over a grid of the ball and its sphere."""
    b = np.array(list(itertools.product(np.linspace(-RADIUS, RADIUS, points), repeat=d)))
    size = np.linalg.norm(b, axis=1)
    b = np.concatenate([b[size <= RADIUS], RADIUS * b[size > 0] / size[size > 0][:, None]])
    return float(np.min(pull(rule, b) - np.linalg.norm(F(b), axis=1)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", LOSSES)
def test_first_variation__is_the_plain_formula(loss, rule):
    data, measure = problem(0, d=3, loss=loss)
    V, _, _ = plain(measure, data, "tanh", loss, rule)
    random = np.random.default_rng(1)
    b, s = random.standard_normal((700, 3)), random.standard_normal((700, K))
    found = first_variation(mf.Network("tanh", outputs=K), measure, data, loss, rule).value(b, s)
    np.testing.assert_allclose(found, V(b, s), rtol=0, atol=1e-13 * np.abs(found).max())


def test_first_variation__takes_the_scale_of_smaller_networks():
    data, _ = problem(1)
    measure, net = mf.Gaussian(2).sample(16, 0, "gaussian", outputs=K), mf.Network("tanh", beta=0.5, outputs=K)
    slope = (net.predict(measure, data.x) - data.y) / len(data)
    wanted = 4.0 * np.sum(measure.s * (np.tanh(measure.b @ data.x.T) @ slope), axis=1)
    found = first_variation(net, measure, data).value(measure.b, measure.s)
    np.testing.assert_allclose(found, wanted, atol=1e-13)


@pytest.mark.parametrize("envelope", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_gradient__is_that_of_the_values(rule, envelope):
    data, measure = problem(2, d=3, loss="softmax")
    V = first_variation(mf.Network("sigmoid", outputs=K), measure, data, "softmax", rule)
    random, h = np.random.default_rng(3), 1e-6
    b, s = random.standard_normal((300, 3)), random.standard_normal((300, K))
    U, s = (Envelope(*V), np.abs(s[:, 0])) if envelope else (V, s)
    _, gradient = U.both(b, s)
    for i, axis in enumerate(np.eye(3)):
        slope = (U.value(b + h * axis, s) - U.value(b - h * axis, s)) / (2 * h)
        np.testing.assert_allclose(gradient[:, i], slope, atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_first_variation__is_the_derivative_of_the_loss_along_mixtures(loss):
    data, measure = problem(4, loss=loss)
    _, other = problem(5, loss=loss)
    net, h = mf.Network("tanh", outputs=K), 1e-5
    V = first_variation(net, measure, data, loss)

    def risk(share):
        g = (1 - share) * net.predict(measure, data.x) + share * net.predict(other, data.x)
        return value_of(loss, g, data.y)

    wanted = other.w @ V.value(other.b, other.s) - measure.w @ V.value(measure.b, measure.s)
    assert (risk(h) - risk(-h)) / (2 * h) == pytest.approx(wanted, rel=1e-7)


def test_velocity__is_minus_the_gradient_of_the_first_variation():
    """One small step of gradient descent moves every particle by -step grad V (beta = 1)."""
    data, measure = problem(6, loss="softmax")
    net, step = mf.Network("tanh", outputs=K), 1e-3
    moved = mf.simulate(net, measure, data, mf.GradientDescent(step), steps=1, loss="softmax").measure
    _, gradient = first_variation(net, measure, data, "softmax").both(measure.b, measure.s)
    np.testing.assert_allclose(moved.b - measure.b, -step * gradient, atol=1e-15)


def test_envelope__is_least_over_all_output_weights_of_a_length():
    data, measure = problem(7, loss="softmax")
    V = first_variation(mf.Network("tanh", outputs=K), measure, data, "softmax", L2(0.02))
    U, random = Envelope(*V), np.random.default_rng(8)
    b = np.repeat(random.standard_normal((20, 2)), 500, axis=0)
    s = random.standard_normal((len(b), K))
    s *= 2.0 * random.random((len(b), 1)) / np.linalg.norm(s, axis=1)[:, None]  # up to the length 2
    lowest, sampled = U.value(b, np.full(len(b), 2.0)), V.value(b, s)
    assert (lowest <= sampled).all()
    best = U.weights(b, np.full(len(b), 2.0))
    np.testing.assert_allclose(np.linalg.norm(best, axis=1), 2.0, rtol=1e-14)
    np.testing.assert_allclose(V.value(b, best), lowest, atol=1e-15)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("d", "points"), [(1, 20001), (2, 401)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_gap__least_is_that_of_a_grid(activation, d, points, rule):
    data, measure = problem(3, d=d, loss="softmax")
    V, F, L = plain(measure, data, activation, "softmax", rule)
    net = mf.Network(activation, outputs=K)
    found = gap(net, measure, data, "softmax", rule, radius=RADIUS, starts=24)
    grid = on_grid(F, rule, d, points)
    assert found.least <= grid + 1e-12 * abs(grid)
    assert grid - found.least <= 20.0 * RADIUS / (points // 2)  # |grad U| is below 20 here
    assert found.least == pytest.approx(V(found.b[None], found.s[None])[0], abs=1e-12)
    assert np.linalg.norm(found.s) == pytest.approx(1.0, abs=1e-12)
    assert found.mean == pytest.approx(measure.w @ V(measure.b, measure.s), abs=1e-12)
    assert found.objective == pytest.approx(L, abs=1e-12)
    assert found.bound <= found.least + 1e-15
    assert found.proven <= found.gap * (1.0 + 2e-3) + 1e-9


@pytest.mark.parametrize("boxes", [1, 100, 3000])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_floor__is_never_above_a_value(activation, rule, boxes):
    for seed in range(4):
        data, measure = problem(seed, loss="softmax")
        U = Envelope(*first_variation(mf.Network(activation, outputs=K), measure, data, "softmax", rule))
        below = floor(U, RADIUS, np.array([1.0]), 1e-9, boxes)
        random = np.random.default_rng(seed)
        b = mf.Ball(2, RADIUS).draw(random, 500)
        b = np.concatenate([b, below.b[None], descend(U, b[:20], np.ones(20), RADIUS, 100)[0]])
        assert below.value <= U.value(b, np.ones(len(b))).min()


def test_floor__holds_near_the_tip_of_an_envelope():
    """Where the field F is 0, U has a tip upwards: its floor there is that of its slope."""
    data, measure = problem(0, n=1, d=1, loss="squared")
    U = Envelope(*first_variation(mf.Network("tanh", outputs=K), measure, data))
    below = floor(U, 1e-3, np.array([1.0]), 1e-12, 3000)  # tanh is 0 at b = 0, in the middle of the ball
    least = U.value(np.array([[1e-3], [-1e-3]]), np.ones(2)).min()
    assert below.value <= least and below.value == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("half", [0.3, 0.03, 0.003])
def test_boxes__have_floors_where_the_field_turns(half):
    """The field is short and lies along its weak direction: within a box it turns to the strong one and grows."""
    net, x = mf.Network("tanh", outputs=2), np.array([[1.0, 0.0], [0.0, 0.1]])
    U = Envelope(net, x, np.eye(2), NONE, 1.0, 1)  # F = (tanh(b_1), tanh(b_2 / 10))
    centres = np.array([[0.0, 10.0 * t] for t in (1e-6, 1e-4, 1e-3, 1e-2, 0.1)])
    count = len(centres)
    parts = branching._Boxes(centres, np.full(count, half), np.ones(count), np.full(count, -np.inf))
    _, low = branching._bounded(U, limits(U, RADIUS), parts, centres, RADIUS)
    axis = np.linspace(-half, half, 41)
    inside = np.array(list(itertools.product(axis, repeat=2)))
    for centre, least in zip(centres, low, strict=True):
        assert least <= U.value(centre + inside, np.ones(len(inside))).min()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", RULES)
def test_gap__is_never_below_the_true_one(loss, rule):
    for seed in range(4):
        data, measure = problem(seed, loss=loss)
        _, more = problem(seed + 50, count=40, loss=loss)
        net = mf.Network("tanh", outputs=K)
        atoms = np.concatenate([more.b, measure.b]), np.concatenate([more.s, measure.s])
        best = convex_optimum(net, atoms, data, loss, rule)
        found = gap(net, measure, data, loss, rule, radius=RADIUS, starts=8, boxes=4096)
        assert best.gap <= 1e-10
        assert found.proven >= found.gap >= objective(net, measure, data, loss, rule) - best.objective - 1e-12


def test_gap__rivals_have_output_weights_up_to_a_length():
    data, measure = problem(7)
    net = mf.Network("sigmoid", outputs=K)
    alone, longer = (gap(net, measure, data, radius=RADIUS, **more) for more in ({}, {"signs": (2.0,)}))
    assert longer.mean == alone.mean and longer.least == pytest.approx(2.0 * alone.least, rel=1e-9)  # no pull
    assert np.linalg.norm(longer.s) == pytest.approx(2.0, abs=1e-12)


def test_gap__without_a_radius_holds_for_any_larger_ball():
    data, measure = problem(5, n=8, loss="softmax")
    net, rule = mf.Network("tanh", outputs=K), L2(0.02)
    everywhere = gap(net, measure, data, "softmax", rule)
    larger = gap(net, measure, data, "softmax", rule, radius=4.0 * everywhere.radius)
    assert larger.least == pytest.approx(everywhere.least, abs=1e-10)
    assert everywhere.proven >= everywhere.gap >= 0.0


@pytest.mark.parametrize("activation", ["tanh", "relu", "quadratic"])
def test_gap__of_a_perfect_fit_is_nothing(activation):
    data, measure = problem(8)
    net = mf.Network(activation, outputs=K)
    found = gap(net, measure, mf.Dataset(data.x, net.predict(measure, data.x)), radius=RADIUS, starts=2)
    assert found.gap == found.objective == 0.0
    assert found.proven == (None if activation == "quadratic" else 0.0)  # whose slope has no bound


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", LOSSES)
def test_convex_optimum__is_what_slsqp_finds_and_satisfies_its_conditions(loss, rule):
    data, atoms = problem(11, count=12, loss=loss)
    found = convex_optimum(mf.Network("tanh", outputs=K), atoms, data, loss, rule)

    def value(w):
        return plain(atoms._replace(w=w), data, "tanh", loss, rule)[2]

    def slope(w):
        return plain(atoms._replace(w=w), data, "tanh", loss, rule)[0](atoms.b, atoms.s)

    check_optimum(found, value, slope)


@pytest.mark.parametrize("loss", ["squared", "softmax"])
def test_frank_wolfe__proves_itself(loss):
    data, _ = problem(4, n=10, d=2, loss=loss)
    net, rule = mf.Network("tanh", outputs=K), L2(0.02)
    best = frank_wolfe(net, data, loss, rule, tolerance=1e-5)
    assert best.gap <= 1e-5
    assert best.objective == pytest.approx(objective(net, best.measure, data, loss, rule), abs=1e-12)
    assert np.linalg.norm(best.measure.s, axis=1).max() <= 1.0 + 1e-12
    assert gap(net, best.measure, data, loss, rule, signs=[1.0], seed=9).proven <= 1.1e-5


def test_frank_wolfe__of_outputs_apart_is_no_lower_than_that_of_one():
    """A target in one output alone: output weights along it are the signs of one output."""
    data, _ = problem(2, n=8, d=1)
    rule, y = L2(0.02), data.y[:, 0]
    many = mf.Dataset(data.x, np.column_stack([y, np.zeros(8), np.zeros(8)]))
    one = frank_wolfe(mf.Network("tanh"), mf.Dataset(data.x, y), regulariser=rule, tolerance=1e-7)
    best = frank_wolfe(mf.Network("tanh", outputs=K), many, regulariser=rule, tolerance=1e-7)
    assert best.objective == pytest.approx(one.objective, abs=2e-7)


DATA, MEASURE = problem(0)
SCALAR = mf.Dataset(DATA.x, DATA.y[:, 0])
NET = mf.Network("tanh", outputs=K)
REFUSED = {
    "targets": (lambda: gap(NET, MEASURE, SCALAR, radius=RADIUS), "as many targets a sample"),
    "particles": (lambda: gap(NET, MEASURE._replace(s=np.ones(9)), DATA, radius=RADIUS), "as many output weights"),
    "classes": (lambda: gap(NET, MEASURE, DATA, "softmax", radius=RADIUS), "rows that are not negative"),
    "labels": (lambda: gap(NET, MEASURE, DATA, "logistic", radius=RADIUS), "labels must be -1 or 1"),
    "lengths": (lambda: gap(NET, MEASURE, DATA, radius=RADIUS, signs=(0.5,)), "signs must be among"),
    "one output": (lambda: first_variation(mf.Network("tanh"), MEASURE, DATA), "as many targets a sample"),
    "one class": (lambda: frank_wolfe(mf.Network("tanh"), SCALAR, "softmax", radius=RADIUS), "one output a class"),
    "atoms": (lambda: convex_optimum(NET, (MEASURE.b, np.ones(9)), DATA), "as many output weights"),
    "objective": (lambda: objective(NET, MEASURE, SCALAR), "as many targets a sample"),
    "points": (lambda: first_variation(NET, MEASURE, DATA).value(MEASURE.b, np.ones(9)), r"output weights \(m, 3\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_optimality__refuses(case):
    call, message = REFUSED[case]
    with pytest.raises(mf.InputError, match=message):
        call()
