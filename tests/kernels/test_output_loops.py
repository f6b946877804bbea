"""The loops of several outputs: against the naive twin, plain Python, one output, and each other to the bit."""

import itertools

import numpy as np
import pytest
from support import naive
from support.daily import some
from support.loops import everything

import particles as mf
from particles.kernels import compile, panels
from particles.kernels.assemble import BLOCK, block_kernels, plain_block_kernels
from particles.measures import blocks
from particles.model import network
from particles.model.activations import ACTIVATIONS

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
ALPHA = 3.0

# (activation, form, dtype, M, n, d, k): blocks not full, samples that are no whole panels of six, no pairs and more
# than fit at once; outputs that are no whole panels.
COMPILED = [
    ("tanh", "compiled", dtype, M, n, d, k)
    for dtype in TOLERANCE
    for M, n, d in ((1, 1, 1), (257, 4, 3), (520, 50, 5))
    for k in (2, 3, 5, 10)
]
COMPILED += [("tanh", "compiled", dtype, *size) for dtype in TOLERANCE for size in ((300, 7, 130, 10), (9, 8, 2, 300))]
PLAIN = [("relu", "plain", "float64", *size) for size in ((1, 1, 1, 2), (3, 7, 5, 3), (258, 5, 2, 5))]
CASES = pytest.mark.parametrize("case", COMPILED + PLAIN, ids=lambda case: "-".join(map(str, case)))


class Case:
    """One cloud and its samples, in the case's float type, and the loops to try on them."""

    def __init__(self, case):
        name, form, self.dtype, M, n, d, self.k = case
        row, random = ACTIVATIONS[name], np.random.default_rng([M, n, d, self.k])
        self.kernels = network._kernels(row, self.dtype, None, True)
        if form == "plain":
            self.kernels = plain_block_kernels(row.sigma, row.derivative, self.dtype, None, many=True)
        self.sigma, self.derivative = naive.SIGMA[name]
        shapes = (M, d), (M, self.k), (n, d), (n, self.k)
        b, s, x, slope = (random.standard_normal(shape).astype(self.dtype) for shape in shapes)
        # The twin gets what the kernels get: numbers already rounded to the float type.
        self.b, self.s, self.x, self.slope = (a.astype(float) for a in (b, s, x, slope / n))
        w = random.random(M) + 0.1
        self.w = w / w.sum()
        self.cloud = self.packed(self.s)

    def packed(self, s):
        return blocks.pack(mf.Measure(self.b, s, self.w), self.dtype)

    def floats(self, a):
        return a.astype(self.dtype).reshape(-1)

    def sums(self, keep=0, values=False):
        """The sums of every block, and what was kept of the first `keep`."""
        c, K, n = self.cloud, len(self.cloud.b), len(self.x)
        totals = np.full((K, n * c.outputs), np.nan)
        kept = np.full(keep * BLOCK * n * (1 + values), np.nan, self.dtype)
        self.kernels.sum_groups(
            c.b.reshape(-1), c.signs, c.w, c.d, self.floats(self.x), c.last_tiles, 1, 0, K, keep, values, kept, totals
        )
        return totals, kept

    def velocities(self, train_output, kept=None, values=False):
        c, K = self.cloud, len(self.cloud.b)
        kept = np.empty(0, self.dtype) if kept is None else kept
        keep = kept.size // (BLOCK * len(self.x) * (1 + values))
        v, vs = np.full(c.b.shape, np.nan, self.dtype), np.full(c.s.shape, np.nan, self.dtype)
        self.kernels.velocity_blocks(
            c.b.reshape(-1), c.signs, c.d, self.floats(self.x), self.floats(self.slope), c.b.dtype.type(1 / ALPHA),
            train_output, c.last_tiles, 0, K, keep, values, kept, v.reshape(-1), vs.reshape(-1),
        )  # fmt: skip
        return blocks.unpack(v, c.M), blocks.unpack(vs, c.M)

    def check(self, found, expected):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= TOLERANCE[self.dtype] * max(1.0, np.abs(expected).max())


@pytest.fixture
def problem(case):
    return Case(case)


@CASES
def test_sum_groups__is_the_network_of_every_output(problem):
    totals, _ = problem.sums()
    expected = naive.network(problem.b, problem.s, problem.w, problem.x, problem.sigma)
    problem.check(totals.sum(axis=0).reshape(-1, problem.k), expected)


@CASES
def test_velocity_blocks__is_the_sum_of_the_outputs_velocities(problem):
    v, vs = problem.velocities(train_output=True)
    problem.check(v, naive.velocity(problem.b, problem.s, problem.x, problem.slope, problem.derivative, ALPHA))
    problem.check(vs, naive.velocity_s(problem.b, problem.x, problem.slope, problem.sigma, ALPHA))


@CASES
def test_velocity_blocks__leaves_output_weights_at_rest_unless_trained(problem):
    moves, _ = problem.velocities(train_output=True)
    alone, rest = problem.velocities(train_output=False)
    assert not rest.any()
    assert alone.tobytes() == moves.tobytes()


@CASES
def test_velocity_blocks__has_the_same_bits_from_what_was_kept(problem):
    plain_totals, _ = problem.sums()
    for values in (False, True):
        made = problem.velocities(train_output=values)
        for keep in (1, len(problem.cloud.b)):
            totals, kept = problem.sums(keep, values)
            assert totals.tobytes() == plain_totals.tobytes()
            for one, other in zip(made, problem.velocities(values, kept, values), strict=True):
                assert one.tobytes() == other.tobytes()


PANELS = list(itertools.product(["tanh", "relu"], TOLERANCE, sorted({2, *panels.TILES.values()} - {1}), (5, 130)))


@pytest.mark.parametrize("case", some(PANELS, ("tanh", "float64", 4, 5)), ids=lambda case: "-".join(map(str, case)))
def test_panels__of_several_outputs_have_the_same_bits_whatever_their_tiles(case):
    name, dtype, tiles, d = case
    row = ACTIVATIONS[name]
    one, several = (block_kernels(row.sigma, row.derivative, dtype, None, tiles=t, many=True) for t in (1, tiles))
    assert compile._identities[one.velocity_blocks] != compile._identities[several.velocity_blocks]
    for M, n, k in ((257, 7, 2), (300, 100, 10), (5, 1, 7)):
        problem = Case((name, "compiled", dtype, M, n, d, k))
        problem.kernels = one
        expected = everything(problem)
        problem.kernels = several
        assert everything(problem) == expected


@pytest.mark.parametrize("near", [0, 1 << 20])
@pytest.mark.parametrize("tiles", [1, 4])
def test_panels__of_several_outputs_as_plain_python_have_the_same_bits_whatever_the_blocking(tiles, near, monkeypatch):
    problem = Case(("relu", "plain", "float64", 9, 50, 5, 7))
    expected = everything(problem)
    monkeypatch.setattr(panels, "tiles_here", lambda: tiles)
    monkeypatch.setattr(panels, "near_bytes", lambda: near)
    row = ACTIVATIONS["relu"]
    problem.kernels = plain_block_kernels(row.sigma, row.derivative, "float64", None, many=True)
    assert problem.kernels.velocity_blocks.__globals__["OUTPUTS"] == panels.outputs_at_once(tiles)
    assert everything(problem) == expected


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("M", "n", "d"), [(1, 1, 1), (257, 4, 2), (700, 100, 31)])
def test_sum_groups__of_one_output_has_the_bits_of_the_loops_for_one(dtype, M, n, d):
    """What the loops for several make of s (M, 1); a measure has (M,) there, so its blocks are laid out by hand."""
    problem = Case(("tanh", "compiled", dtype, M, n, d, 2))
    pair = problem.cloud._replace(s=np.ascontiguousarray(problem.cloud.s[:, :, :1]))
    lone = problem.packed(problem.s[:, 0])
    problem.cloud = pair
    many = problem.sums()[0]
    problem.cloud, problem.kernels = lone, network._kernels(ACTIVATIONS["tanh"], dtype, None, False)
    assert problem.sums()[0].tobytes() == many.tobytes()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_outputs__that_are_added_change_no_bit_of_the_others(dtype):
    """An output is summed by itself, wherever it lies in a panel: the first of 10 are those of the first 3 alone."""
    problem = Case(("tanh", "compiled", dtype, 700, 50, 5, 10))
    ten = problem.sums()[0].reshape(-1, 10)
    problem.cloud = problem.packed(problem.s[:, :3])
    assert problem.sums()[0].reshape(-1, 3).tobytes() == np.ascontiguousarray(ten[:, :3]).tobytes()
