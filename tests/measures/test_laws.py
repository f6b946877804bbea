"""Initial laws: their samples and their quadrature against closed-form moments, and what they refuse."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

import particles as mf
from particles.measures import blocks

ATOMS = mf.Atoms([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], weights=[1.0, 2.0, 1.0])


@dataclass(frozen=True)
class Corner(mf.Law):
    """A user's own law: the corners of the cube [-1, 1]^dim, which has no rule of its own."""

    dim: int

    def draw(self, random, count):
        return self.from_cube(random.random((count, self.dim)))

    def from_cube(self, u):
        return np.where(u < 0.5, -1.0, 1.0)


def laws(dim):
    return [mf.Gaussian(dim, std=0.7, mean=0.4), mf.Sphere(dim, 1.5), mf.Ball(dim, 1.5), mf.Uniform(dim, -1.0, 2.0)]


def moments(law):
    """Of one coordinate: the mean, and the second and fourth moments about it."""
    d = law.dim
    if isinstance(law, mf.Gaussian):
        return law.mean, law.std**2, 3 * law.std**4
    if isinstance(law, mf.Uniform):
        width = law.high - law.low
        return (law.low + law.high) / 2, width**2 / 12, width**4 / 80
    k = d if isinstance(law, mf.Sphere) else d + 2  # a ball is the shadow of a sphere two dimensions up
    return 0.0, law.radius**2 / k, 3 * law.radius**4 / (k * (k + 2))


def powers(law, b):
    """What has these moments: (M, 3 d)."""
    mean, *_ = moments(law)
    return np.concatenate([b, (b - mean) ** 2, (b - mean) ** 4], axis=1)


GAUSS = pytest.mark.parametrize("law", [law for dim in (1, 2, 3) for law in laws(dim)], ids=repr)
SOBOL = pytest.mark.parametrize("law", laws(5), ids=repr)
ALL = pytest.mark.parametrize("law", [*(law for dim in (1, 3, 5) for law in laws(dim)), ATOMS, Corner(2)], ids=repr)


@GAUSS
@pytest.mark.parametrize("nodes", [64, 100])
def test_quadrature__has_exact_moments_up_to_dimension_3(law, nodes):
    atoms = law.quadrature(nodes)
    assert atoms.w @ powers(law, atoms.b) == pytest.approx(np.repeat(moments(law), law.dim), abs=1e-12)


@GAUSS
def test_quadrature__has_exact_mixed_moments(law):
    """E (b_1 - m)^2 (b_2 - m)^2: independent axes multiply, a sphere's are a third of the fourth moment."""
    mean, second, fourth = moments(law)
    truth = second**2 if isinstance(law, mf.Gaussian | mf.Uniform) else fourth / 3
    atoms = law.quadrature(64)
    for i, j in itertools.combinations(range(law.dim), 2):
        assert atoms.w @ ((atoms.b[:, i] - mean) ** 2 * (atoms.b[:, j] - mean) ** 2) == pytest.approx(truth, abs=1e-12)


@ALL
@pytest.mark.parametrize("nodes", [1, 17, 300])
def test_quadrature__is_a_probability_measure_of_enough_atoms(law, nodes):
    atoms = law.quadrature(nodes)
    assert atoms.w.min() > 0
    assert atoms.w.sum() == pytest.approx(1.0, abs=1e-14)
    assert atoms.b.shape == (len(atoms.w), law.dim)
    assert len(atoms.w) >= nodes or law in (ATOMS, mf.Sphere(1, 1.5))  # these have no more points to give


@ALL
def test_quadrature__is_the_same_every_time(law):
    first, second = law.quadrature(100), law.quadrature(100)
    assert [a.tobytes() for a in first] == [a.tobytes() for a in second]


@SOBOL
def test_quadrature__has_small_and_falling_errors_beyond_dimension_3(law):
    """In the second moments; the fourth of a Gaussian hangs on single points of the sequence up to 10^4 nodes."""
    mean, second, _ = moments(law)

    def error(nodes):
        atoms = law.quadrature(nodes)
        return np.abs(atoms.w @ (atoms.b - mean) ** 2 / second - 1).max()

    errors = [error(2**level) for level in (6, 10, 14)]
    # Random points of a Gaussian would have errors of about sqrt(2 / nodes): 0.18, 0.04, 0.01.
    assert errors[0] < 0.25
    assert errors[1] < errors[0] / 3
    assert errors[2] < min(errors[1] / 3, 0.004)


@SOBOL
def test_quadrature__has_an_exact_mean_beyond_dimension_3(law):
    atoms = law.quadrature(64)
    assert atoms.w @ atoms.b == pytest.approx(np.full(law.dim, moments(law)[0]), abs=1e-14)


INPUTS = np.random.default_rng(0).standard_normal((40, 5)) * [1, 1, 1, 9, 1]  # most spread along the fourth axis


@pytest.mark.parametrize("law", [mf.Gaussian(5), mf.Sphere(5), mf.Ball(5)], ids=repr)
def test_quadrature__of_an_isotropic_law_puts_its_first_coordinate_along_the_inputs(law):
    plain, turned = law.quadrature(64).b, law.quadrature(64, along=INPUTS).b
    axis = np.linalg.svd(INPUTS)[2][0]
    assert np.abs(turned @ axis) == pytest.approx(np.abs(plain[:, 0]), abs=1e-13)
    assert turned @ turned.T == pytest.approx(plain @ plain.T, abs=1e-13)


def test_quadrature__without_tensor_rules_is_of_sobol_points():
    """Equal weights, mirror images, and means of steps with a third of the tensor rule's error."""
    law, direction = mf.Gaussian(3), np.array([1.0, 0.3, -0.6])
    points, places = law.quadrature(4096, tensor=False), np.linspace(-2.0, 2.0, 41)
    assert len(points.w) == 4096 and (points.w == points.w[0]).all()
    np.testing.assert_allclose(np.sort(points.b, axis=0), -np.sort(points.b, axis=0)[::-1], atol=1e-12)
    truth = [0.5 * math.erfc(place / np.linalg.norm(direction) / math.sqrt(2)) for place in places]

    def error(m):
        return np.sqrt(np.mean((m.w @ ((m.b @ direction)[:, None] > places) - truth) ** 2))

    assert error(points) < error(law.quadrature(4096)) / 3


@pytest.mark.parametrize("law", [mf.Gaussian(5, mean=0.1), mf.Uniform(5), Corner(5)], ids=repr)
def test_quadrature__of_another_law_stays_as_it_is(law):
    assert law.quadrature(64, along=INPUTS).b.tobytes() == law.quadrature(64).b.tobytes()


@pytest.mark.parametrize("law", [*laws(1), *laws(2), *laws(3), *laws(5)], ids=repr)
@pytest.mark.parametrize("nodes", [8, 50, 100])
def test_quadrature_error__is_not_less_than_the_true_one(law, nodes):
    def bump(b):
        return np.exp(-np.sum(b**2, axis=1))

    few, many = law.quadrature(nodes), law.quadrature(30**law.dim if law.dim < 4 else 2**15)
    few, many = (math.fsum(rule.w * bump(rule.b)) for rule in (few, many))  # BLAS may lose 1e-14 of 2^15 terms
    assert abs(few - many) <= law.quadrature_error(nodes, bump) + 1e-15


def test_quadrature_error__holds_for_corners_on_sobol_points():
    """Of 40 directions the change of one doubling was below the true error for a third."""
    law, nodes = mf.Uniform(5, -1.0, 2.0), 64
    turns = np.random.default_rng(1).standard_normal((40, 5))
    off = []
    for turn in turns:

        def corner(b, turn=turn):
            return np.maximum(b @ turn, 0.0)

        rules = law.quadrature(nodes), law.quadrature(2**14)
        few, many = (rule.w @ corner(rule.b) for rule in rules)
        off.append(abs(few - many) / law.quadrature_error(nodes, corner))
    assert np.mean(np.array(off) <= 1.0) >= 0.95


@pytest.mark.parametrize("law", [*laws(1), *laws(3), *laws(5)], ids=repr)
def test_quadrature__has_replicates_that_differ_and_repeat(law):
    rules = [law.quadrature(64, replicate=k) for k in (0, 1, 0)]
    assert rules[0].b.tobytes() == rules[2].b.tobytes() != rules[1].b.tobytes()
    for rule in rules:
        assert rule.w.sum() == pytest.approx(1.0, abs=1e-12)
        assert rule.w @ rule.b == pytest.approx(np.full(law.dim, moments(law)[0]), abs=1e-6)


def test_quadrature_error__is_the_worst_of_several_functions():
    law = mf.Gaussian(1)
    both = law.quadrature_error(6, lambda b: np.stack([np.cos(b[:, 0]), np.cos(4 * b[:, 0])], axis=1))
    worst = law.quadrature_error(6, lambda b: np.cos(4 * b[:, 0]))
    assert both == pytest.approx(worst, rel=1e-13) and worst > 1e-2  # two shapes of BLAS


@pytest.mark.parametrize("signs", ["random", "symmetric"])
def test_quadrature__gives_every_point_both_signs(signs):
    plain, signed = mf.Gaussian(2).quadrature(20), mf.Gaussian(2).quadrature(20, signs)
    for sign in (-1.0, 1.0):
        assert (signed.b[signed.s == sign] == plain.b).all()
        assert signed.w[signed.s == sign] == pytest.approx(plain.w / 2, rel=1e-14)


def test_atoms_quadrature__is_the_points():
    atoms = ATOMS.quadrature(500)
    assert (atoms.b == ATOMS.points).all()
    assert atoms.w.tolist() == [0.25, 0.5, 0.25]


@pytest.mark.parametrize("law", [*laws(1), *laws(3), *laws(6)], ids=repr)
def test_sample__has_the_moments_of_the_law(law):
    N = 40000
    values = powers(law, law.sample(N, seed=5).b)
    errors = np.abs(values.mean(axis=0) - np.repeat(moments(law), law.dim))
    assert (errors <= 4 * values.std(axis=0) / N**0.5 + 1e-12).all()


def test_atoms_sample__draws_by_weight():
    N = 40000
    b = ATOMS.sample(N, seed=5).b
    for point, weight in zip(ATOMS.points, (0.25, 0.5, 0.25), strict=True):
        share = (b == point).all(axis=1).mean()
        assert abs(share - weight) <= 4 * (weight * (1 - weight) / N) ** 0.5


@ALL
def test_sample__is_nested(law):
    few, many = law.sample(64, seed=3), law.sample(4096, seed=3)
    assert few.b.tobytes() == many.b[:64].tobytes()


@ALL
@pytest.mark.parametrize(("first", "last"), [(0, 1), (5, 9), (255, 257), (256, 600)])
def test_rows__are_rows_of_one_endless_sample(law, first, last):
    assert law.rows(3, first, last).tobytes() == law.sample(600, seed=3).b[first:last].tobytes()


def test_sample__has_equal_weights_and_positive_signs():
    start = mf.Gaussian(3).sample(300, seed=0)
    assert (start.s == 1.0).all()
    assert (start.w == 1 / 300).all()


def test_sample__differs_by_seed():
    assert (mf.Gaussian(3).sample(300, seed=0).b != mf.Gaussian(3).sample(300, seed=1).b).all()


def test_random_signs__are_nested_and_leave_positions_alone():
    plain, few, many = (mf.Gaussian(3).sample(*size) for size in ((64, 3), (64, 3, "random"), (4096, 3, "random")))
    assert few.b.tobytes() == plain.b.tobytes()
    assert few.s.tobytes() == many.s[:64].tobytes()
    assert set(many.s) == {-1.0, 1.0}
    assert abs(many.s.mean()) <= 4 / 4096**0.5


def test_symmetric_start__repeats_the_first_half_with_the_other_sign():
    few, many = (mf.Gaussian(3).sample(count, 3, "symmetric") for count in (64, 4096))
    assert (many.b[:2048] == many.b[2048:]).all()
    assert (many.s == np.repeat([1.0, -1.0], 2048)).all()
    assert few.b[:32].tobytes() == many.b[:32].tobytes()


REFUSALS = [
    (lambda: mf.Gaussian(0), "`dim` must be a whole number >= 1: got 0"),
    (lambda: mf.Sphere(2.5), "`dim` must be a whole number >= 1: got 2.5"),
    (lambda: mf.Ball(True), "`dim` must be a whole number >= 1: got True"),
    (lambda: mf.Gaussian(2, std=0.0), "`std` must be a finite number > 0: got 0.0"),
    (lambda: mf.Gaussian(2, std=float("nan")), "`std` must be a finite number > 0: got nan"),
    (lambda: mf.Gaussian(2, mean=float("nan")), "`mean` must be"),
    (lambda: mf.Sphere(2, radius=-1.0), "`radius` must be a finite number > 0: got -1.0"),
    (lambda: mf.Ball(2, radius=float("inf")), "`radius` must be a finite number > 0: got inf"),
    (lambda: mf.Uniform(2, low=1.0, high=1.0), "`low` must be below `high`: got 1.0 and 1.0"),
    (lambda: mf.Uniform(2, low=float("nan")), "`low` must be a finite number: got nan"),
    (lambda: mf.Atoms([1.0, 2.0]), "`points` must be finite, of shape (k, dim), k >= 1: got (2,)"),
    (lambda: mf.Atoms(np.empty((0, 2))), "`points` must be finite, of shape (k, dim), k >= 1: got (0, 2)"),
    (lambda: mf.Atoms([[float("nan")]]), "`points` must be finite"),
    (lambda: mf.Atoms([[1.0]], [-1.0]), "`weights` must be finite and >= 0, one a point, not all zero"),
    (lambda: mf.Atoms([[1.0]], [0.0]), "`weights` must be finite and >= 0, one a point, not all zero"),
    (
        lambda: mf.Atoms([[1.0]], [1.0, 2.0]),
        "`weights` must be finite and >= 0, one a point, not all zero: got shape (2,)",
    ),
    (lambda: mf.Atoms([[1.0], [2.0]], [1.0, float("inf")]), "`weights` must be"),
    (lambda: mf.Gaussian(2).sample(0, seed=0), "`count` must be a whole number >= 1: got 0"),
    (lambda: mf.Gaussian(2).sample(1.5, seed=0), "`count` must be a whole number >= 1: got 1.5"),
    (lambda: mf.Gaussian(2).quadrature(0), "must be a whole number >= 1: got 0"),
    (lambda: mf.Gaussian(2).sample(4, 0, signs="symetric"), "got 'symetric'. Did you mean 'symmetric'?"),
    (lambda: mf.Gaussian(2).sample(5, 0, signs="symmetric"), "got 5. Use 6."),
    (lambda: mf.Gaussian(2).sample(4, seed=-1), "`seed` must be a whole number from 0 to 9223372036854775807: got -1"),
    (
        lambda: mf.Gaussian(2).sample(4, seed=0.5),
        "`seed` must be a whole number from 0 to 9223372036854775807: got 0.5",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=range(len(REFUSALS)))
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_laws__refuse(make, message):
    with pytest.raises(mf.InputError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("signs", ["positive", "random", "symmetric"])
@pytest.mark.parametrize("count", [2, 700])
def test_particles__are_the_sample_made_in_parts(signs, count):
    law = mf.Gaussian(dim=3)
    whole, made = law.sample(count, 5, signs), law.sample(count, 5, signs, lazy=True)
    for first, last in ((0, count), (count // 3, count), (count // 2 - 1, count // 2 + 1)):
        b, s = made.part(first, last)
        assert (b == whole.b[first:last]).all() and (s == whole.s[first:last]).all()


@pytest.mark.parametrize("signs", ["positive", "random"])
@pytest.mark.parametrize("count", [1, 256, 300, 1000])
def test_pack__makes_particles_where_they_are_needed(signs, count):
    law = mf.Gaussian(dim=3)
    for one, other in zip(
        blocks.pack(law.sample(count, 5, signs), "float32"),
        blocks.pack(law.sample(count, 5, signs, lazy=True), "float32"),
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(one, other)


def test_atoms__are_called_by_their_contents():
    """A stream's configuration holds this name: the same points must be the same run, others another."""
    one, same, other = mf.Atoms([[1.0], [2.0]]), mf.Atoms([[1.0], [2.0]]), mf.Atoms([[1.0], [2.5]])
    assert repr(one) == repr(same) != repr(other)
    assert repr(one) != repr(mf.Atoms([[1.0], [2.0]], [0.3, 0.7]))
