"""Certificates of global optimality: the least V against a grid, the proven floor, the gap against convex programs."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from support.daily import some
from support.naive import LABELLED, LOSS, SIGMA
from support.optimum import check_optimum

import particles as mf
from particles.model.regularisers import L1, L2, NONE
from particles.theory.optimality.boxes import floor
from particles.theory.optimality.certificates import gap, objective
from particles.theory.optimality.convex_program import convex_optimum
from particles.theory.optimality.frank_wolfe import frank_wolfe
from particles.theory.optimality.minimum import descend
from particles.theory.optimality.potential import first_variation

RULES = [NONE, L2(0.02), L1(0.02)]
BOTH = np.array([-1.0, 1.0])


def ball(random, count, d, radius):
    b = random.standard_normal((count, d))
    return radius * b / np.linalg.norm(b, axis=1)[:, None] * random.random((count, 1)) ** (1.0 / d)


def problem(seed, n=12, d=2, count=9, radius=3.0, loss="squared"):
    """A data set and a random measure in the ball, weighted."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((n, d)), random.standard_normal(n)
    w = random.random(count)
    measure = mf.Measure(ball(random, count, d, radius), random.choice(BOTH, count), w / w.sum())
    return mf.Dataset(x, np.sign(y) if loss in LABELLED else y), measure


def plain(measure, data, activation, loss, rule):
    """V and L written out, from numpy alone."""
    sigma, (value, slope) = SIGMA[activation][0], LOSS[loss]
    g = sigma(data.x @ measure.b.T) @ (measure.w * measure.s)

    def pull(b):
        return rule.weight * (np.abs(b).sum(axis=1) if isinstance(rule, L1) else (b**2).sum(axis=1) / 2)

    def V(b, s):
        return s * (sigma(b @ data.x.T) @ slope(g, data.y)) / len(data) + pull(b)

    return V, np.mean(value(g, data.y)) + measure.w @ pull(measure.b)


def on_grid(V, d, radius, points):
    """The least V over a grid of the ball and its sphere, both signs."""
    axis = np.linspace(-radius, radius, points)
    b = np.array(list(itertools.product(axis, repeat=d)))
    size = np.linalg.norm(b, axis=1)
    b = np.concatenate([b[size <= radius], radius * b[size > 0] / size[size > 0][:, None]])
    return min(V(b, np.full(len(b), s)).min() for s in BOTH)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("d", "points"), [(1, 20001), (2, 401)])
@pytest.mark.parametrize("activation", some(["tanh", "relu", "sin", "quadratic"], "tanh", "relu"))
def test_gap__least_is_that_of_a_grid(activation, d, points, rule):
    data, measure = problem(3, d=d)
    V, L = plain(measure, data, activation, "squared", rule)
    found = gap(mf.Network(activation), measure, data, regulariser=rule, radius=3.0, starts=24)
    grid = on_grid(V, d, 3.0, points)
    step = 3.0 / (points // 2)
    assert found.least <= grid + 1e-12 * abs(grid)
    assert grid - found.least <= 20.0 * step  # no grid point is farther from the minimum; |grad V| is below 20 here
    assert found.least == pytest.approx(V(found.b[None], np.array([found.s]))[0], abs=1e-12)
    assert found.mean == pytest.approx(measure.w @ V(measure.b, measure.s), abs=1e-12)
    assert found.objective == pytest.approx(L, abs=1e-12)
    # The floor is proven without that minimum, below it and near.
    assert found.bound <= found.least + 1e-15
    assert found.proven <= found.gap * (1.0 + 2e-3) + 1e-9


@pytest.mark.slow  # compiles every activation
@hypothesis.given(
    seed=strategies.integers(0, 10**6),
    activation=strategies.sampled_from(sorted(SIGMA)),
    rule=strategies.sampled_from(RULES),
    d=strategies.sampled_from([2, 4]),  # each number of inputs is compiled
    boxes=strategies.sampled_from([1, 100, 3000]),
)
def test_floor__is_never_above_a_value_of_V(seed, activation, rule, d, boxes):
    data, measure = problem(seed, d=d)
    V = first_variation(mf.Network(activation), measure, data, regulariser=rule)
    below = floor(V, 3.0, BOTH, 1e-9, boxes)
    random = np.random.default_rng(seed)
    b = np.concatenate([ball(random, 500, d, 3.0), below.b[None]])
    b = np.concatenate([b, *(descend(V, b[:20], np.full(20, s), 3.0, 100)[0] for s in BOTH)])
    assert below.value <= min(V.value(b, np.full(len(b), s)).min() for s in BOTH)
    assert below.met == pytest.approx(V.value(below.b[None], [below.s])[0], abs=1e-13 * max(1.0, abs(below.met)))


def test_gap__without_a_radius_holds_for_any_larger_ball():
    data, measure = problem(5, n=8)
    net, rule = mf.Network("tanh"), L2(0.02)
    everywhere = gap(net, measure, data, regulariser=rule)
    for radius in (everywhere.radius, 4.0 * everywhere.radius):
        assert gap(net, measure, data, regulariser=rule, radius=radius).least == pytest.approx(
            everywhere.least, abs=1e-10
        )
    assert everywhere.proven >= everywhere.gap >= 0.0


def test_gap__of_smaller_networks_takes_their_scale_along():
    data, _ = problem(1)
    measure, net = mf.Ball(2, 3.0).sample(16, 0, signs="random"), mf.Network("tanh", beta=0.5)
    found, alpha = gap(net, measure, data, regulariser=L2(0.01), radius=3.0), 4.0
    V, _ = plain(measure, mf.Dataset(data.x, data.y / alpha), "tanh", "squared", L2(0.01))  # (alpha g - y)^2
    assert found.mean == pytest.approx(alpha**2 * measure.w @ V(measure.b, measure.s), rel=1e-10)
    assert found.least == pytest.approx(alpha**2 * on_grid(V, 2, 3.0, 401), abs=1e-2 * found.gap)


def test_gap__rivals_have_the_signs_of_the_measure():
    data, measure = problem(7)
    net, positive = mf.Network("sigmoid"), measure._replace(s=np.ones(9))
    alone, free = gap(net, positive, data, radius=3.0), gap(net, positive, data, radius=3.0, signs=(1, -1))
    assert alone.s == 1.0 and alone.gap < free.gap and free.s == -1.0


def random_case(seed):
    """A random small problem, a measure in the ball, and atoms of the ball among which a rival is sought."""
    random = np.random.default_rng(seed)
    loss, rule = str(random.choice(["squared", "logistic"])), RULES[random.integers(3)]
    net = mf.Network(str(random.choice(sorted(SIGMA))))
    n, k = (int(random.integers(1, most)) for most in (25, 60))
    d = (2, 5)[random.integers(2)]  # each number of inputs is compiled
    data, measure = problem(seed, n, d, int(random.integers(1, 20)), 3.0, loss)
    atoms = np.concatenate([ball(random, k, d, 3.0), measure.b]), np.concatenate([random.choice(BOTH, k), measure.s])
    return net, data, measure, atoms, loss, rule


@pytest.mark.slow  # compiles every activation
@pytest.mark.parametrize("seeds", [range(50), range(50, 100)])
def test_gap__is_never_below_the_true_one(seeds):
    for seed in seeds:
        net, data, measure, atoms, loss, rule = random_case(seed)
        best = convex_optimum(net, atoms, data, loss, rule)
        assert best.gap <= 1e-10
        found = gap(net, measure, data, loss, rule, radius=3.0, starts=8, signs=(1, -1), boxes=4096)
        true = objective(net, measure, data, loss, rule) - best.objective
        assert found.gap >= true - 1e-12 * abs(found.objective)
        assert found.proven is None or found.proven >= found.gap


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_convex_optimum__is_what_slsqp_finds_and_satisfies_its_conditions(activation, loss, rule):
    data, atoms = problem(11, count=12, loss=loss)
    net = mf.Network(activation)
    found = convex_optimum(net, atoms, data, loss, rule)

    def value(w):
        return plain(atoms._replace(w=w), data, activation, loss, rule)[1]

    def slope(w):
        return plain(atoms._replace(w=w), data, activation, loss, rule)[0](atoms.b, atoms.s)

    check_optimum(found, value, slope)


def test_frank_wolfe__comes_as_low_as_a_fine_dictionary():
    data, _ = problem(2, n=10, d=1)
    net, rule, axis = mf.Network("tanh"), L2(0.01), np.linspace(-6.0, 6.0, 301)[:, None]
    best = frank_wolfe(net, data, regulariser=rule, tolerance=1e-7)
    grid = convex_optimum(net, (np.tile(axis, (2, 1)), np.repeat(BOTH, 301)), data, regulariser=rule)
    assert best.gap <= 1e-7
    assert grid.objective - 1e-3 <= best.objective <= grid.objective + 1e-7
    assert gap(net, best.measure, data, regulariser=rule).proven <= 2e-7


@pytest.mark.parametrize("loss", LOSS)
def test_frank_wolfe__proves_itself(loss):
    data, _ = problem(4, n=15, d=2, loss=loss)
    net, rule = mf.Network("sin"), L1(0.01)
    best = frank_wolfe(net, data, loss, rule, radius=4.0, tolerance=1e-6)
    assert best.objective == pytest.approx(objective(net, best.measure, data, loss, rule), abs=1e-12)
    assert gap(net, best.measure, data, loss, rule, radius=4.0, seed=9).proven <= 1.1e-6


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_gap__tells_a_wide_student_from_a_narrow_one(seed):
    net, x = mf.Network("tanh"), mf.Gaussian(2).sample(20, seed=3).b
    b = np.array([[2.0, 0.0], [-1.0, 1.5], [0.5, -2.0], [1.0, 2.0]])
    teacher = mf.Measure(b, np.array([1.0, -1.0, 1.0, -1.0]), np.full(4, 0.25))  # L is 0 there, its least value
    data, method = mf.Dataset(x, net.predict(teacher, x)), mf.GradientDescent(step=4.0)
    for M, signs in ((2, "symmetric"), (128, "random")):
        start = mf.Gaussian(2, std=0.5).sample(M, seed, signs=signs)
        student = mf.simulate(net, start, data, method, steps=8000, record_every=8000, record="loss").measure
        found = gap(net, student, data, radius=8.0)
        assert found.objective <= found.gap <= found.proven
        assert found.proven < 1e-4 if M == 128 else found.gap > 1e-2
    assert gap(net, teacher, data, radius=8.0).proven <= 1e-14


@pytest.mark.parametrize("activation", ["tanh", "relu", "quadratic"])
def test_gap__of_a_perfect_fit_is_nothing(activation):
    data, measure = problem(8)
    net = mf.Network(activation)
    found = gap(net, measure, mf.Dataset(data.x, net.predict(measure, data.x)), radius=3.0, starts=2)
    assert found.gap == found.proven == found.objective == 0.0


REFUSED = [
    ({"radius": 0.0}, "`radius` must be a finite number > 0"),
    ({"radius": 0.5}, "the particles must lie in the ball"),
    ({"radius": 3.0, "starts": 0}, "`starts` must be a whole number >= 1"),
    ({"radius": 3.0, "boxes": -1}, "`boxes` must be a whole number >= 0"),
    ({"radius": 3.0, "signs": ()}, "`signs` must be finite numbers"),
    ({"radius": 3.0, "signs": (1,)}, "signs must be among"),
    ({}, "V must grow at infinity"),
    ({"regulariser": L1(0.1)}, "V must grow at infinity"),
    ({"radius": 3.0, "regulariser": L2(0.1, about="start")}, "no function of the measure"),
    ({"radius": 3.0, "loss": "logistic"}, "labels must be -1 or 1"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_gap__refuses(arguments, message):
    data, measure = problem(0)
    with pytest.raises(mf.InputError, match=message):
        gap(mf.Network("tanh"), measure, data, **arguments)


def test_programs__refuse():
    data, measure = problem(0)
    outer = mf.Network("tanh", train=("input", "output"))
    for solve in (lambda *a, **k: convex_optimum(a[0], measure, *a[1:], **k), frank_wolfe):
        with pytest.raises(mf.InputError, match="the program is defined on"):
            solve(outer, data)
        with pytest.raises(mf.InputError, match="no function of the measure"):
            solve(mf.Network("tanh"), data, regulariser=L2(0.1, about="start"))
        with pytest.raises(mf.InputError, match="Give `alpha`"):
            solve(mf.Network("tanh", beta=0.5), data)
        with pytest.raises(mf.InputError, match="labels must be"):
            solve(mf.Network("tanh"), data, "logistic")
    with pytest.raises(mf.InputError, match="the duality gap must come to 1e-30"):
        convex_optimum(mf.Network("tanh"), measure, data, tolerance=1e-30)
    with pytest.raises(mf.InputError, match="positions must have shape"):
        convex_optimum(mf.Network("tanh"), (np.ones(3), np.ones(3)), data)
    with pytest.raises(mf.InputError, match="the first variation is defined on"):
        gap(outer, measure, data, radius=3.0)
    with pytest.raises(mf.InputError, match="V must grow at infinity"):
        frank_wolfe(mf.Network("tanh"), data)
    with pytest.raises(mf.InputError, match="no function of the measure"):
        objective(mf.Network("tanh"), measure, data, regulariser=L2(0.1, about="start"))
