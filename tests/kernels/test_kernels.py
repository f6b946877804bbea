"""The compiled loops, and the same loops as plain Python, against the naive twin."""

import itertools

import numpy as np
import pytest
from support import naive
from support.daily import some
from support.loops import everything

import particles as mf
from particles.kernels import compile, panels
from particles.kernels.assemble import BLOCK, NARROW, block_kernels, plain_block_kernels
from particles.measures import blocks
from particles.model import network
from particles.model.activations import ACTIVATIONS

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
ALPHA, STEP = 3.0, 0.25
RULES = [mf.L2(0.0), mf.L2(0.3), mf.L2(0.3, about="start"), mf.L1(0.8)]

# (activation, form, dtype, M, n, d): blocks not full, samples not whole panels of six, or pairs, or tiles; the narrow
# way and the wide one.
COMPILED = [
    ("tanh", "compiled", dtype, M, n, d)
    for dtype in TOLERANCE
    for M in (1, 257, 700)
    for n in (1, 4, 100)
    for d in (1, 2, 5, 31)
]
PLAIN = [(name, "plain", "float64", *size) for name in ACTIVATIONS for size in ((1, 1, 1), (3, 7, 5))]
COMPILED += [("tanh", "compiled", dtype, 257, 7, 300) for dtype in TOLERANCE]
PLAIN += [("tanh", "plain", "float64", 258, 5, 2)]
RELU = [("relu", "compiled", "float64", 300, 7, 5)]
CASES = pytest.mark.parametrize("case", COMPILED + PLAIN + RELU, ids=lambda case: "-".join(map(str, case)))


class Case:
    """One cloud and its samples, in the case's float type, and the loops to try on them."""

    def __init__(self, case, samples, cloud):
        name, form, self.dtype, M, n, d = case
        row = ACTIVATIONS[name]
        self.kernels = mf.Network(name).kernels(self.dtype, d)
        if form == "plain":
            inputs = d if d <= NARROW else None
            self.kernels = plain_block_kernels(row.sigma, row.derivative, self.dtype, inputs)
        self.sigma, self.derivative = naive.SIGMA[name]
        self.data = samples(n, d)
        self.x, self.slope = (a.astype(self.dtype) for a in (self.data.x, self.data.y / n))
        # The twin gets what the kernels get: inputs already rounded to the float type.
        b, s, w = cloud(M, d, equal=False)
        self.b, self.s, self.w = b.astype(self.dtype).astype(float), s.astype(self.dtype).astype(float), w
        self.cloud = blocks.pack(mf.Measure(self.b, self.s, w), self.dtype)

    def sums(self, keep=0, values=False):
        """The sums of every block, and what was kept of the first `keep`."""
        c, K, n = self.cloud, len(self.cloud.b), len(self.x)
        totals, kept = np.full((K, n), np.nan), np.full(keep * BLOCK * n * (1 + values), np.nan, self.dtype)
        self.kernels.sum_groups(
            c.b.reshape(-1), c.s, c.w, c.d, self.x.reshape(-1), c.last_tiles, 1, 0, K, keep, values, kept, totals
        )
        return totals, kept

    def velocities(self, train_output, kept=None, values=False):
        c, K = self.cloud, len(self.cloud.b)
        kept = self.x[:0].reshape(-1) if kept is None else kept
        keep = kept.size // (BLOCK * len(self.x) * (1 + values))
        v, vs = np.full(c.b.shape, np.nan, self.dtype), np.full((K, BLOCK), np.nan, self.dtype)
        self.kernels.velocity_blocks(
            c.b.reshape(-1), c.s, c.d, self.x.reshape(-1), self.slope, c.b.dtype.type(1 / ALPHA), train_output,
            c.last_tiles, 0, K, keep, values, kept, v.reshape(-1), vs.reshape(-1),
        )  # fmt: skip
        return blocks.unpack(v, c.M), vs.reshape(-1)[: c.M]

    def move(self, v, start, anchored, numbers):
        c = self.cloud
        return self.kernels.move_blocks(
            c.b.reshape(-1), v.reshape(-1), start.reshape(-1), anchored, *numbers, c.d, c.last_tiles, 0, len(c.b)
        )

    def check(self, found, expected):
        assert np.abs(found - expected).max() <= TOLERANCE[self.dtype] * max(1.0, np.abs(expected).max())


@pytest.fixture
def problem(case, samples, cloud):
    return Case(case, samples, cloud)


@CASES
def test_sum_groups__is_the_network(problem):
    totals, _ = problem.sums()
    expected = naive.network(problem.b, problem.s, problem.w, problem.x.astype(float), problem.sigma)
    problem.check(totals.sum(axis=0), expected)


@CASES
def test_velocity_blocks__is_the_velocity(problem):
    v, _ = problem.velocities(train_output=False)
    expected = naive.velocity(
        problem.b, problem.s, problem.x.astype(float), problem.slope.astype(float), problem.derivative, ALPHA
    )
    problem.check(v, expected)


@CASES
def test_velocity_blocks__has_the_same_bits_from_what_was_kept(problem):
    if problem.cloud.d <= NARROW:
        pytest.skip("the narrow way keeps nothing")
    plain_totals, _ = problem.sums()
    for values in (False, True):
        made = problem.velocities(train_output=values)
        for keep in (1, len(problem.cloud.b)):
            totals, kept = problem.sums(keep, values)
            assert totals.tobytes() == plain_totals.tobytes()
            for one, other in zip(made, problem.velocities(values, kept, values), strict=True):
                assert one.tobytes() == other.tobytes()


BITS = list(itertools.product(["tanh", "sigmoid", "relu"], TOLERANCE, range(1, NARROW + 1)))
BITS_DAILY = [case for case in BITS if case[:2] == ("tanh", "float64")] + [("relu", "float32", 2)]


@pytest.mark.parametrize("case", some(BITS, *BITS_DAILY), ids=lambda case: "-".join(map(str, case)))
def test_narrow_and_wide__have_the_same_bits(case, samples, cloud):
    name, dtype, d = case
    narrow, wide = (Case((name, "compiled", dtype, 700, 101, d), samples, cloud) for _ in range(2))
    wide.kernels = network._kernels(ACTIVATIONS[name], dtype, None, False)
    assert narrow.sums()[0].tobytes() == wide.sums()[0].tobytes()
    for one, other in zip(narrow.velocities(True), wide.velocities(True), strict=True):
        assert one.tobytes() == other.tobytes()


# Tiles and samples that are no whole panels, inputs that are no whole panels and more than one chunk of them.
PANELS = list(itertools.product(["tanh", "relu"], TOLERANCE, sorted({2, *panels.TILES.values()} - {1}), (5, 31, 300)))
PANELS_DAILY = [("tanh", "float64", 4, d) for d in (5, 31, 300)]


@pytest.mark.parametrize("case", some(PANELS, *PANELS_DAILY), ids=lambda case: "-".join(map(str, case)))
def test_panels__have_the_same_bits_whatever_their_tiles(case, samples, cloud):
    name, dtype, tiles, d = case
    row = ACTIVATIONS[name]
    one, several = (block_kernels(row.sigma, row.derivative, dtype, None, tiles=count) for count in (1, tiles))
    assert compile._identities[one.velocity_blocks] != compile._identities[several.velocity_blocks]
    for M, n in ((257, 7), (300, 100), (5, 1)):
        problem = Case((name, "compiled", dtype, M, n, d), samples, cloud)
        problem.kernels = one
        expected = everything(problem)
        problem.kernels = several
        assert everything(problem) == expected


@pytest.mark.parametrize("near", [0, 1 << 20])
@pytest.mark.parametrize("tiles", [1, 4])
def test_panels__have_the_same_bits_as_plain_python_whatever_the_blocking(tiles, near, monkeypatch, samples, cloud):
    problem = Case(("relu", "plain", "float64", 9, 50, 5), samples, cloud)
    expected = everything(problem)
    monkeypatch.setattr(panels, "tiles_here", lambda: tiles)
    monkeypatch.setattr(panels, "near_bytes", lambda: near)
    row = ACTIVATIONS["relu"]
    problem.kernels = plain_block_kernels(row.sigma, row.derivative, "float64", None)
    assert problem.kernels.velocity_blocks.__globals__["TILES"] == tiles
    assert everything(problem) == expected


@CASES
def test_velocity_blocks__is_the_velocity_of_the_output_weights(problem):
    _, vs = problem.velocities(train_output=True)
    expected = naive.velocity_s(problem.b, problem.x.astype(float), problem.slope.astype(float), problem.sigma, ALPHA)
    problem.check(vs, expected)


@CASES
def test_velocity_blocks__leaves_output_weights_at_rest_unless_trained(problem):
    assert not problem.velocities(train_output=False)[1].any()


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize(
    "case",
    [("tanh", form, dtype, M, 4, d) for form, dtype, M, d in (
        ("compiled", "float64", 300, 5), ("compiled", "float32", 300, 5), ("plain", "float64", 3, 2))],
    ids=lambda case: "-".join(map(str, case)),
)  # fmt: skip
def test_move_blocks__is_one_step(problem, rule):
    c, random = problem.cloud, np.random.default_rng(0)
    v, start = (random.standard_normal(c.b.shape).astype(problem.dtype) for _ in range(2))
    l1 = isinstance(rule, mf.L1)
    numbers = [c.b.dtype.type(a) for a in (STEP, 0.0 if l1 else rule.weight, STEP * rule.weight if l1 else 0.0)]
    anchored = not l1 and rule.about == "start"
    finite = problem.move(v, start, anchored, numbers)
    assert finite == len(c.b)
    flat_v, flat_start = blocks.unpack(v, c.M), blocks.unpack(start, c.M)
    problem.check(blocks.unpack(c.b, c.M), naive.step(problem.b, flat_v, STEP, rule, flat_start))


@pytest.mark.parametrize("case", [("tanh", form, "float64", 300, 4, 2) for form in ("compiled", "plain")],
                         ids=lambda case: case[1])  # fmt: skip
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_move_blocks__counts_only_blocks_that_stay_finite(problem, bad):
    c = problem.cloud
    v = np.ones_like(c.b)
    v[1, 0, 1, 7] = bad
    numbers = [c.b.dtype.type(a) for a in (STEP, 0.0, 0.1)]
    with np.errstate(invalid="ignore"):
        assert problem.move(v, c.b.copy(), False, numbers) == 1


@pytest.mark.parametrize("case", [("tanh", form, "float64", 300, 4, 2) for form in ("compiled", "plain")],
                         ids=lambda case: case[1])  # fmt: skip
def test_average_blocks__keeps_the_mean(problem):
    iterates = np.random.default_rng(0).standard_normal((6, *problem.cloud.b.shape))
    mean = iterates[0].copy()
    for t in range(1, len(iterates)):
        c = problem.cloud
        problem.kernels.average_blocks(mean.reshape(-1), iterates[t].reshape(-1), 1 / (t + 1), c.d, 0, len(mean))
    problem.check(mean, iterates.mean(axis=0))
