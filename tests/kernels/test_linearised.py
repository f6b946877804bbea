"""The loops of the linearised step: against formulas in NumPy, plain Python, and each other to the bit."""

import functools
import itertools

import numpy as np
import pytest
from scipy import special
from support import naive
from support.daily import some

import particles as mf
from particles.kernels import panels
from particles.kernels.assemble import BLOCK
from particles.kernels.linearised import linear_kernels, plain_linear_kernels
from particles.measures import blocks
from particles.model.activations import ACTIVATIONS

TOLERANCE = {"float64": 1e-12, "float32": 3e-5}
# sigma'', from numpy and scipy.
BEND = {
    "tanh": lambda v: -2 * np.tanh(v) / np.cosh(v) ** 2,
    "sigmoid": lambda v: special.expit(v) * special.expit(-v) * (special.expit(-v) - special.expit(v)),
    "quadratic": lambda v: 2.0 + 0 * v,
    "relu": lambda v: 0 * v,
}
LAYERS = {"input": (True, False), "output": (False, True), "both": (True, True)}

# (activation, form, dtype, M, n, d, k, J): blocks not full, samples that are no whole panels and more than fit at once.
COMPILED = [
    ("tanh", "compiled", dtype, *size)
    for dtype in TOLERANCE
    for size in ((1, 1, 1, 1, 1), (257, 4, 2, 1, 3), (520, 50, 3, 3, 1), (300, 7, 7, 1, 1), (300, 7, 40, 3, 3))
]
NARROW = [("tanh", "narrow", dtype, *size) for dtype in TOLERANCE for size in ((257, 130, 2, 1, 3), (300, 7, 3, 1, 1))]
PLAIN = [("quadratic", "plain", "float64", *size) for size in ((3, 4, 2, 1, 1), (9, 7, 3, 3, 3), (259, 3, 1, 1, 3))]
CASES = pytest.mark.parametrize("case", COMPILED + NARROW + PLAIN, ids=lambda case: "-".join(map(str, case)))


@functools.cache
def kernels_of(name, form, dtype, inputs=None):
    row = ACTIVATIONS[name]
    return (plain_linear_kernels if form == "plain" else linear_kernels)(
        row.sigma, row.derivative, row.second_derivative, dtype, inputs
    )


class Case:
    """A cloud, its samples and J directions, in the case's float type; what the loops and the formulas make of them."""

    def __init__(self, case, shared=False):
        self.name, form, self.dtype, M, n, d, self.k, self.J = case
        narrow = form == "narrow"
        self.kernels = kernels_of(self.name, "compiled" if narrow else form, self.dtype, d if narrow else None)
        self.keeps, self.kept = 0, np.empty(0, self.dtype)
        random = np.random.default_rng([M, n, d, self.k])
        more = () if self.k == 1 else (self.k,)
        shapes = (M, d), (M, *more), (n, d), (n, *more), (self.J, M, d), (self.J, M, *more), (self.J, n, *more)
        arrays = [random.standard_normal(shape).astype(self.dtype).astype(float) for shape in shapes]
        self.b, self.s, self.x, self.slope, self.p, self.q, self.change = arrays
        self.w, self.shift = (
            random.random(M) + 0.1,
            random.standard_normal((self.J, M)).astype(self.dtype).astype(float),
        )
        if shared:
            self.w[:], self.s[...] = 1.0, 1.0
        self.w /= self.w.sum()
        self.cloud = blocks.pack(mf.Measure(self.b, self.s, self.w), self.dtype)
        # Directions in the storage of particles: each as the positions, or output weights, of a cloud.
        self.p_stored = self._stored([mf.Measure(p, self.s, self.w) for p in self.p], "b")
        self.q_stored = self._stored([mf.Measure(self.b, q, self.w) for q in self.q], "s")
        self.shift_stored = self._stored([mf.Measure(self.b, shift, self.w) for shift in self.shift], "s")

    def _stored(self, measures, part):
        return np.stack([getattr(blocks.pack(m, self.dtype, shared_signs=False), part) for m in measures]).reshape(-1)

    def floats(self, a):
        return a.astype(self.dtype).reshape(-1)

    def sums(self, layer, shifted=False, size=1, parts=1):
        """The changes of the sums of every group of `size` blocks, made in so many parts."""
        moves, weighs = LAYERS[layer]
        c, K, none = self.cloud, len(self.cloud.b), np.empty(0, self.dtype)
        totals = np.full((-(-K // size), self.J * self.slope.size), np.nan)
        for part in np.array_split(np.arange(len(totals)), parts):
            if part.size:
                self.kernels.sum_changes(
                    c.b.reshape(-1), c.signs, c.w, self.p_stored if moves else none, self.q_stored if weighs else none,
                    self.shift_stored if shifted else none, c.d, self.floats(self.x), moves, c.last_tiles, self.J, size,
                    part[0], part[-1] + 1, self.keeps, self.kept, totals,
                )  # fmt: skip
        return totals

    def velocities(self, layer, of=(True, True), chunk=None):
        """v, vs + e and the weights' s.e in the order of particles: (J, M, d), (J, M) or (J, M, k), and (J, M)."""
        moves, weighs = LAYERS[layer]
        c, K, none = self.cloud, len(self.cloud.b), np.empty(0, self.dtype)
        shape_s = (BLOCK,) if self.k == 1 else c.s.shape[1:]
        v = np.zeros((self.J, K, *c.b.shape[1:]) if of[0] else 0, self.dtype)
        vs = np.zeros((self.J, K, *shape_s) if of[1] else 0, self.dtype)
        variation = np.zeros((self.J, K, BLOCK))
        one, zero = v.dtype.type(1.0), v.dtype.type(0.0)
        for first in range(0, K, chunk or K):
            self.kernels.change_velocities(
                c.b.reshape(-1), c.signs, self.p_stored if moves else none, self.q_stored if weighs else none, c.d,
                self.floats(self.x), self.floats(self.slope), self.floats(self.change), moves, weighs, c.last_tiles,
                self.J, first, min(first + (chunk or K), K), self.keeps, self.kept, one, zero, zero, v.reshape(-1),
                vs.reshape(-1), variation.reshape(-1),
            )  # fmt: skip
        return self._unpacked(v), self._unpacked(vs), variation.reshape(self.J, -1)[:, : self.cloud.M]

    def keep(self):
        """Room for what the sum keeps for the push, of all blocks but the last."""
        self.keeps = len(self.cloud.b) - 1
        self.kept = np.full(self.keeps * BLOCK * len(self.x) * (1 + self.J), np.nan, self.dtype)

    def _unpacked(self, a):
        if not a.size:
            return a
        return np.array(
            [blocks.unpack(one, self.cloud.M) if one.ndim > 2 else one.reshape(-1)[: self.cloud.M] for one in a]
        )

    def wide(self, a):
        """With an axis of outputs."""
        return a if self.k > 1 else a[..., None]

    def formulas(self):
        """sigma, sigma', sigma'' at b_r.x_i, (M, n)."""
        z = self.b @ self.x.T
        return [f(z) for f in (*naive.SIGMA[self.name], BEND[self.name])]

    def check(self, found, expected):
        expected = expected if self.k > 1 or expected.shape == found.shape else expected[..., 0]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= TOLERANCE[self.dtype] * max(1.0, np.abs(expected).max())


@CASES
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shifted", [False, True])
def test_sum_changes__is_the_derivative_of_the_sums(case, layer, shifted):
    problem, (moves, weighs) = Case(case), LAYERS[layer]
    value, slope, _ = problem.formulas()
    s, q = problem.wide(problem.s), problem.wide(problem.q)
    expected = np.zeros((problem.J, len(problem.x), problem.k))
    if moves:
        expected += np.einsum("r,ro,ri,jrd,id->jio", problem.w, s, slope, problem.p, problem.x)
    if weighs:
        expected += np.einsum("r,jro,ri->jio", problem.w, q, value)
    if shifted:
        expected += np.einsum("jr,ro,ri->jio", problem.shift, s, value)
    found = problem.sums(layer, shifted).sum(axis=0).reshape(problem.J, -1, problem.k)
    problem.check(found, expected)


@CASES
@pytest.mark.parametrize("layer", LAYERS)
def test_change_velocities__is_the_derivative_of_the_push(case, layer):
    problem, (moves, weighs) = Case(case), LAYERS[layer]
    value, slope, bend = problem.formulas()
    s, q, slopes, change = (problem.wide(a) for a in (problem.s, problem.q, problem.slope, problem.change))
    along = np.einsum("jrd,id->jri", problem.p, problem.x) * moves
    weight = np.einsum("jio,ro->jri", change, s) + np.einsum("io,jro->jri", slopes, q) * weighs
    turned = np.einsum("io,ro->ri", slopes, s) * bend * along + weight * slope
    v, vs, e = problem.velocities(layer)
    problem.check(v, np.einsum("jri,id->jrd", turned, problem.x))
    values = np.einsum("jio,ri->jro", change, value)
    problem.check(vs, np.einsum("io,ri,jri->jro", slopes, slope, along) + values)
    problem.check(e, np.einsum("ro,jro->jr", s, values))


@CASES
def test_change_velocities__has_the_same_bits_without_what_nobody_asks_for(case):
    problem = Case(case)
    v, vs, e = problem.velocities("both")
    alone = problem.velocities("both", (True, False))
    assert alone[0].tobytes() == v.tobytes() and not alone[1].size and alone[2].tobytes() == e.tobytes()
    other = problem.velocities("both", (False, True))
    assert other[1].tobytes() == vs.tobytes() and not other[0].size and other[2].tobytes() == e.tobytes()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("k", [1, 3])
def test_changes__have_the_same_bits_however_blocks_are_shared_out_and_directions_grouped(dtype, k):
    """Chunks of blocks, groups of the tree's sums made apart, and one direction at a time."""
    problem = Case(("tanh", "compiled", dtype, 1100, 20, 3, k, 3))
    whole = problem.sums("both", True)
    for parts in (2, 5):
        assert problem.sums("both", True, parts=parts).tobytes() == whole.tobytes()
    assert problem.sums("both", True, size=8).tobytes() == blocks.tree_sum(whole).tobytes()
    pushed = problem.velocities("both")
    for chunk in (1, 2, 3):
        for one, other in zip(pushed, problem.velocities("both", chunk=chunk), strict=True):
            assert one.tobytes() == other.tobytes()
    each = [a.reshape(3, -1) for a in (problem.p_stored, problem.q_stored, problem.shift_stored)]
    changes, sums = problem.change, whole.reshape(len(whole), 3, -1)
    for j in range(3):
        problem.J, problem.change = 1, changes[j : j + 1]
        problem.p_stored, problem.q_stored, problem.shift_stored = (np.ascontiguousarray(a[j]) for a in each)
        assert problem.sums("both", True).tobytes() == sums[:, j].tobytes()
        for one, other in zip(pushed, problem.velocities("both"), strict=True):
            assert one[j].tobytes() == other[0].tobytes()


def test_changes__of_weights_and_signs_that_are_stored_once_are_those_of_all_rows():
    case = ("tanh", "compiled", "float64", 900, 7, 3, 1, 2)
    once, all_rows = Case(case, shared=True), Case(case, shared=True)
    assert len(once.cloud.w) == len(once.cloud.s) == 2 < len(once.cloud.b)
    cloud = all_rows.cloud
    rows = [np.stack([blocks.row(a, block, len(cloud.b)) for block in range(len(cloud.b))]) for a in (cloud.s, cloud.w)]
    all_rows.cloud = cloud._replace(s=rows[0], w=rows[1])
    assert once.sums("both", True).tobytes() == all_rows.sums("both", True).tobytes()
    for one, other in zip(once.velocities("both"), all_rows.velocities("both"), strict=True):
        assert one.tobytes() == other.tobytes()


def everything(problem):
    parts = [problem.sums(layer, shifted) for layer in LAYERS for shifted in (False, True)]
    return [a.tobytes() for a in parts + [a for layer in LAYERS for a in problem.velocities(layer)]]


PANELS = list(itertools.product(["tanh", "relu"], TOLERANCE, sorted({2, *panels.TILES.values()} - {1})))


@pytest.mark.parametrize("case", some(PANELS, ("tanh", "float64", 4)), ids=lambda case: "-".join(map(str, case)))
def test_panels__of_the_linearised_step_have_the_same_bits_whatever_their_tiles(case, monkeypatch):
    name, dtype, tiles = case
    row, made = ACTIVATIONS[name], []
    for each in (1, tiles):
        monkeypatch.setattr(panels, "tiles_here", lambda each=each: each)
        made.append(linear_kernels(row.sigma, row.derivative, row.second_derivative, dtype))
    for size in ((257, 7, 2, 1, 3), (300, 50, 7, 3, 2), (5, 1, 40, 1, 1)):
        problem = Case((name, "compiled", dtype, *size))
        problem.kernels = made[0]
        expected = everything(problem)
        problem.kernels = made[1]
        assert everything(problem) == expected


@pytest.mark.parametrize("near", [0, 1 << 20])
@pytest.mark.parametrize("tiles", [1, 4])
def test_panels__of_the_linearised_step_as_plain_python_have_the_same_bits_whatever_the_blocking(
    tiles, near, monkeypatch
):
    problem = Case(("quadratic", "plain", "float64", 9, 50, 3, 3, 2))
    expected = everything(problem)
    monkeypatch.setattr(panels, "tiles_here", lambda: tiles)
    monkeypatch.setattr(panels, "near_bytes", lambda: near)
    row = ACTIVATIONS["quadratic"]
    problem.kernels = plain_linear_kernels(row.sigma, row.derivative, row.second_derivative, "float64")
    assert everything(problem) == expected


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("layer", LAYERS)
def test_changes__have_the_same_bits_narrow_and_wide(dtype, layer):
    """Samples of more than one turn, an odd number of them; a block that is not full."""
    narrow, wide = (Case(("tanh", form, dtype, 300, 115, 2, 1, 2)) for form in ("narrow", "compiled"))
    for shifted in (False, True):
        assert narrow.sums(layer, shifted).tobytes() == wide.sums(layer, shifted).tobytes()
    for of in ((True, True), (True, False), (False, True)):
        for one, other in zip(narrow.velocities(layer, of), wide.velocities(layer, of), strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("layer", ["input", "both"])
def test_changes__have_the_same_bits_with_what_the_sum_keeps_for_the_push(k, layer):
    fresh, kept = (Case(("tanh", "compiled", "float64", 600, 115, 40, k, 2)) for _ in range(2))
    kept.keep()
    assert kept.sums(layer).tobytes() == fresh.sums(layer).tobytes()
    kept.b[:], kept.cloud.b[:-1] = np.nan, np.nan  # the push takes what was kept
    for one, other in zip(kept.velocities(layer), fresh.velocities(layer), strict=True):
        assert one.tobytes() == other.tobytes()


def test_change_velocities__adds_a_decay_in_place():
    problem = Case(("quadratic", "compiled", "float64", 300, 7, 2, 1, 2))
    v, vs, _ = problem.velocities("both")
    c, p, q, size = problem.cloud, problem.p_stored.copy(), problem.q_stored.copy(), 0.25
    problem.kernels.change_velocities(
        c.b.reshape(-1), c.signs, p, q, 2, problem.floats(problem.x), problem.floats(problem.slope),
        problem.floats(problem.change), True, True, c.last_tiles, 2, 0, len(c.b), 0, problem.kept, size, -0.5, 2.0, p,
        q, np.zeros(2 * len(c.b) * BLOCK),
    )  # fmt: skip
    problem.check(problem._unpacked(p.reshape(2, *c.b.shape)), 0.5 * problem.p + size * v)
    problem.check(problem._unpacked(q.reshape(2, len(c.b), BLOCK)), 3.0 * problem.q + size * vs)
