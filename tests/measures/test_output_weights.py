"""Output weights of several outputs: samples and quadratures of every rule against closed forms, and refusals."""

import itertools

import numpy as np
import pytest

import particles as mf
from particles.measures.measure import source_of

K, D = 3, 4
RULES = ("positive", "random", "symmetric", "unit", "gaussian", "joint")
EACH = pytest.mark.parametrize("signs", RULES)
X = np.random.default_rng(0).standard_normal((7, D))


def law(signs, dim=D, outputs=K):
    return mf.Gaussian(dim + outputs if signs == "joint" else dim)


def sample(signs, count, seed=0, outputs=K, **settings):
    return law(signs, outputs=outputs).sample(count, seed, signs, outputs=outputs, **settings)


def second_and_fourth(signs, outputs=K):
    """E s_o^2 and E s_o^4 of one output weight."""
    if signs == "unit":
        return 1 / outputs, 3 / (outputs * (outputs + 2))
    return (1.0, 3.0) if signs in ("gaussian", "joint") else (1.0, 1.0)


def monomials(b, s):
    """Functions of (s, b) whose means are known: those that vanish by symmetry, and the second and fourth moments."""
    pairs = list(itertools.combinations(range(s.shape[1]), 2))
    zero = [s[:, o] * s[:, p] for o, p in pairs] + [s[:, o] * b[:, j] for o in range(s.shape[1]) for j in range(2)]
    zero += [s[:, o] * s[:, p] * b[:, 0] ** 2 for o, p in pairs]
    return np.stack(zero, 1), s**2, s**4, s**2 * b[:, :1] ** 2


@EACH
@pytest.mark.parametrize("outputs", [2, 10])
def test_sample__has_output_weights_of_its_rule(signs, outputs):
    b, s, w = sample(signs, 300, outputs=outputs)
    assert b.shape == (300, D) and s.shape == (300, outputs) and (w == 1 / 300).all()
    if signs in ("random", "symmetric"):
        assert set(np.unique(s)) == {-1.0, 1.0}
    if signs == "positive":
        assert (s == 1.0).all()
    if signs == "unit":
        assert np.linalg.norm(s, axis=1) == pytest.approx(np.ones(300), abs=1e-15)


@pytest.mark.parametrize("signs", [rule for rule in RULES if rule != "positive"])
def test_sample__has_the_moments_of_its_rule(signs):
    """Each mean within 4.5 standard errors, of some 40 of them; those of a function of signs alone are exact."""
    b, s, _ = sample(signs, 40000, seed=3)
    half = 20000 if signs == "symmetric" else 40000  # the second half repeats the first
    zero, *rest = (values[:half] for values in monomials(b, s))
    second, fourth = second_and_fourth(signs)
    for values, truth in ((zero, 0.0), (s[:half], 0.0), *zip(rest, (second, fourth, second), strict=True)):
        error = values.std(axis=0) / np.sqrt(half)
        assert (np.abs(values.mean(axis=0) - truth) <= 4.5 * error + 1e-12).all()


@EACH
def test_sample__of_fewer_particles_is_the_beginning_of_a_larger(signs):
    small, large = sample(signs, 64), sample(signs, 4096)
    count = 32 if signs == "symmetric" else 64  # there the halves nest
    for few, many in zip(small[:2], large[:2], strict=True):
        assert few[:count].tobytes() == many[:count].tobytes()
        if signs == "symmetric":
            assert few[32:].tobytes() == many[2048:2080].tobytes()


@EACH
@pytest.mark.parametrize(("first", "last"), [(0, 1), (5, 300), (255, 257), (400, 600), (499, 501), (511, 1000)])
def test_lazy_sample__has_the_particles_of_the_sample_in_any_part(signs, first, last):
    lazy, whole = sample(signs, 1000, lazy=True), sample(signs, 1000)
    assert (lazy.count, lazy.dim, lazy.outputs, lazy.equal_weights) == (1000, D, K, True)
    assert lazy.equal_signs == (signs == "positive")
    for source in (lazy, source_of(whole)):
        for part in (source, source.cut(first, last)):
            for one, other in zip(part.part(first, last), whole, strict=False):
                assert one.tobytes() == other[first:last].tobytes()


def test_sample__of_one_output_is_what_it_was_without_outputs():
    """The first column of several is not the one output's, but `outputs=1` is."""
    for signs in ("positive", "random", "symmetric"):
        one, other = (mf.Gaussian(D).sample(100, 0, signs, **how) for how in ({}, {"outputs": 1}))
        assert [a.tobytes() for a in one] == [a.tobytes() for a in other] and one.s.shape == (100,)


@pytest.mark.parametrize("signs", ["unit", "gaussian", "joint"])
def test_sample__of_one_output_may_have_any_rule(signs):
    b, s, _ = sample(signs, 200, outputs=1)
    assert b.shape == (200, D) and s.shape == (200,)
    if signs == "unit":
        assert set(np.unique(s)) == {-1.0, 1.0}


@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize("count", [2, 256, 1000])
def test_symmetric_start__has_outputs_zero(count, beta):
    start = sample("symmetric", count)
    g = mf.Network("tanh", beta=beta, outputs=K).predict(start, X)
    assert np.abs(g).max() <= 1e-14
    assert np.abs(mf.Network("tanh", beta=beta, outputs=K).predict(sample("random", count), X)).max() > 1e-3
    if count > 2:
        assert len(np.unique(start.s, axis=0)) > 2  # or else all outputs would stay equal


@pytest.mark.parametrize("signs", ["random", "symmetric", "unit", "gaussian"])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_quadrature__has_outputs_zero_at_the_start(signs, dim):
    atoms = law(signs, dim).quadrature(100, signs, outputs=K)
    assert np.abs(mf.Network("relu", outputs=K).predict(atoms, X[:, :1] * np.ones(dim))).max() <= 1e-14
    assert len(atoms.w) >= 200 and atoms.s.shape == (len(atoms.w), K) and atoms.b.shape[1] == dim


@EACH
@pytest.mark.parametrize("replicate", [None, 0, 1])
def test_quadrature__is_a_probability_measure_and_the_same_every_time(signs, replicate):
    one, other = (law(signs).quadrature(100, signs, outputs=K, replicate=replicate) for _ in range(2))
    assert one.w.min() > 0 and one.w.sum() == pytest.approx(1.0, abs=1e-14) and len(one.w) >= 100
    assert [a.tobytes() for a in one] == [a.tobytes() for a in other]
    if replicate is not None:
        third = law(signs).quadrature(100, signs, outputs=K, replicate=replicate + 1)
        assert one.b.tobytes() != third.b.tobytes()


@pytest.mark.parametrize("signs", [rule for rule in RULES if rule != "positive"])
def test_quadrature__means_of_polynomials_are_those_of_the_law(signs):
    """Errors fall with the nodes, faster than a sample's; the means of odd functions are exact."""

    def errors(nodes):
        atoms = law(signs).quadrature(nodes, signs, outputs=K)
        second, fourth = second_and_fourth(signs)
        found = [atoms.w @ values for values in monomials(atoms.b, atoms.s)]
        assert np.abs(atoms.w @ atoms.s).max() <= 1e-14
        return [np.abs(f - truth).max() for f, truth in zip(found, (0.0, second, fourth, second), strict=True)]

    few, many = max(errors(2**8)), max(errors(2**14))
    assert many < 0.01 and many < few / 20  # a Gaussian sample's would be 0.08, an eighth of the other


@pytest.mark.parametrize("dims", [(1, 1), (2, 1), (1, 2)])
def test_quadrature__of_a_joint_law_in_few_dimensions_is_exact(dims):
    """A Gauss rule: E s^2 = E b^2 = 1, E s^2 b^2 = 1, E s^4 = 3, whatever is odd 0."""
    inputs, outputs = dims
    b, s, w = mf.Gaussian(inputs + outputs).quadrature(12 ** sum(dims), "joint", outputs=outputs)
    s = s.reshape(len(w), -1)
    for values, truth in ((s**2, 1.0), (b**2, 1.0), (s**4, 3.0), (s[:, :1] ** 2 * b**2, 1.0), (s[:, :1] * b, 0.0)):
        assert w @ values == pytest.approx(np.full(values.shape[1], truth), abs=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mf.Gaussian(3).sample(9, 0, outputs=0), "`outputs` must be a whole number >= 1: got 0"),
        (lambda: mf.Gaussian(3).sample(9, 0, outputs=1.5), "`outputs` must be a whole number >= 1: got 1.5"),
        (lambda: mf.Gaussian(3).quadrature(9, outputs=-1), "`outputs` must be a whole number >= 1: got -1"),
        (lambda: mf.Gaussian(3).sample(9, 0, "symmetric", outputs=2), "`count` must be even"),
        (lambda: mf.Gaussian(3).sample(9, 0, "units", outputs=2), "Did you mean 'unit'?"),
        (lambda: mf.Gaussian(3).sample(9, 0, "joint", outputs=3), "got dim=3 and outputs=3. Use a law with dim=6"),
        (lambda: mf.Gaussian(3).quadrature(9, "joint", outputs=4), '`signs="joint"` needs a law on R^(outputs'),
    ],
)
def test_output_weights__refuse(make, message):
    with pytest.raises(mf.InputError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"s": np.ones((4, 1))}, "`s` of one output must have shape (M,): got (4, 1). Pass s[:, 0]."),
        ({"s": np.ones((4, 2, 2))}, "`s` and `w` must have one entry a particle: got (4, 2, 2) and (4,) for 4"),
        ({"s": np.ones((3, 2))}, "`s` and `w` must have one entry a particle: got (3, 2) and (4,) for 4"),
        ({"s": np.full((4, 2), np.nan)}, "a measure must be finite"),
        ({"w": np.full((4, 2), 0.25)}, "`s` and `w` must have one entry a particle"),
        ({"s": np.ones((4, 3))}, "particles must have as many output weights as the network has outputs, 2: got 3"),
        ({"s": np.ones(4)}, 'law.sample(M, seed=0, signs="random", outputs=2)'),
    ],
)
def test_measure__refuses(change, message):
    start = mf.Measure(np.ones((4, 2)), np.ones((4, 2)), np.full(4, 0.25))._replace(**change)
    with pytest.raises(mf.InputError) as caught:
        mf.Network("tanh", outputs=2).predict(start, np.ones((1, 2)))
    assert message in str(caught.value)
