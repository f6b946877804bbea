"""Quadrature rules on the standard cells: Gauss rules in low dimension, a Sobol sequence beyond."""

from collections.abc import Callable, Sequence

import numpy as np

from particles.measures.measure import Array

# Past three dimensions a tensor rule of 2^14 points has 11 or fewer on an axis, and Sobol points do better.
TENSOR_DIM = 3
# One fixed scramble, the same for everyone: of eleven tried, the one with the best fourth moments at 1024 points.
_SCRAMBLE_SEED = 2
SCRAMBLES = 8  # Sobol sequences that are compared: of 4 to 16 the fewest nodes in all for one error
TENSORS = 4  # rules in up to three dimensions, which are as exact for smooth integrands as twice their number
_LEVEL = 0.975  # of Student's distribution: two-sided 95%
_TAIL = 8.5  # standard deviations; a Gaussian has 2e-17 of its mass beyond

Rule = tuple[Array, Array]


def half_width(values: Sequence[Array]) -> Array:
    """Half of the 95% interval about the mean of R independent values, entry by entry: R times (...) -> (...)."""
    from scipy.special import stdtrit

    R = len(values)
    return np.asarray(stdtrit(R - 1, _LEVEL) * np.std(values, axis=0, ddof=1) / np.sqrt(R))


def unit(v: Array) -> Array:
    """Each row divided by its length."""
    return np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True))


def principal_axes(x: Array) -> Array:
    """The principal axes of inputs (n, d), the most spread first, as columns: (d, d) orthonormal, signs fixed."""
    _, axes = np.linalg.eigh(x.T @ x)
    axes = axes[:, ::-1]
    return np.asarray(axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])]))


def rotation(dim: int, random: np.random.Generator) -> Array:
    """A random rotation or reflection, uniform: (dim, dim) orthonormal."""
    q, r = np.linalg.qr(random.standard_normal((dim, dim)))
    return np.asarray(q * np.sign(np.diag(r)))


def normal_quantile(u: Array) -> Array:
    """The inverse distribution function of N(0, 1)."""
    from scipy.special import ndtri

    return np.asarray(ndtri(u))


def hermite(m: int) -> Rule:
    """m points and weights for N(0, 1)."""
    from scipy.special import roots_hermitenorm

    x, w = roots_hermitenorm(m)
    return x, w / w.sum()


def legendre(m: int) -> Rule:
    """m points and weights for the uniform law on [0, 1]."""
    from scipy.special import roots_legendre

    x, w = roots_legendre(m)
    return (x + 1.0) / 2.0, w / 2.0


def legendre_parts(m: int, cut: float) -> Rule:
    """The same by two Gauss rules of about m points together, one on each side of the cut."""
    left = min(max(1, round(m * cut)), m)
    (x, w), (z, v) = legendre(left), legendre(max(1, m - left))
    return np.concatenate([cut * x, cut + (1.0 - cut) * z]), np.concatenate([cut * w, (1.0 - cut) * v])


def equidistant(m: int, place: float = 0.5) -> Rule:
    """m equidistant points for N(0, 1), as wide as makes what is cut off and what is aliased about alike.

    place: of the points in their cells, in [0, 1): uniform ones make rules with independent errors.

    As the cloud moves, a particle's place becomes a steep function of where it began, and for steep ones such a rule
    gains digits like m, where Gauss-Hermite gains them like sqrt(m). Measured for tanh in the plane, 6 steps, 2^16
    nodes: an error of 2.7e-9 in place of 2.0e-4; for ReLU on the line, 30 steps, 2^12 nodes: 4.5e-4 in place of 4.7e-3.
    """
    reach = min(_TAIL, np.sqrt(np.pi * m))
    z = reach * (2.0 * np.arange(m) + (2.0 * place - m)) / m
    w = np.exp(-0.5 * z * z)
    return z, w / w.sum()


def _radial(m: int, dim: int) -> Rule:
    """m points and weights for the radius of a uniform point in the unit ball: density dim r^(dim - 1)."""
    from scipy.special import roots_jacobi

    x, w = roots_jacobi(m, 0.0, dim - 1.0)
    return (x + 1.0) / 2.0, w / w.sum()


def product(*axes: Rule) -> tuple[list[Array], Array]:
    """The product of one-dimensional rules: a flat array of points for each axis, and the weights."""
    points = np.meshgrid(*(x for x, _ in axes), indexing="ij")
    weight = np.ones(1)
    for _, w in axes:
        weight = np.multiply.outer(weight, w)
    return [p.ravel() for p in points], weight.ravel()


def _axis_count(nodes: int, dim: int) -> int:
    m = max(1, int(np.round(nodes ** (1.0 / dim))))
    return m if int(m**dim) >= nodes else m + 1


def larger(nodes: int, dim: int, steps: int) -> int:
    """Nodes of a tensor rule with more points on each axis: one for a step, and a sixteenth at least."""
    power = min(dim, TENSOR_DIM)
    m = _axis_count(nodes, power)
    return int((m + max(steps, m * steps // 16)) ** power)


def tensor(axis: Callable[[int], Rule], dim: int, nodes: int) -> Rule | None:
    """The tensor power of a rule with at least `nodes` points; points of weight zero (underflow) are left out."""
    if dim > TENSOR_DIM:
        return None
    points, w = product(*(axis(_axis_count(nodes, dim)) for _ in range(dim)))
    return np.stack(points, axis=1)[w > 0], w[w > 0]


def sphere(dim: int, nodes: int) -> Rule | None:
    """The unit sphere: two points, equal angles, or Gauss-Legendre heights times equal angles."""
    if dim == 1:
        return np.array([[-1.0], [1.0]]), np.full(2, 0.5)
    if dim == 2:
        angle = 2.0 * np.pi * (np.arange(nodes) + 0.5) / nodes
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full(nodes, 1.0 / nodes)
    if dim == 3:
        m = _axis_count(-(-nodes // 2), 2)
        height, circle = legendre(m), sphere(2, 2 * m)
        assert circle is not None
        (z, index), w = product((2.0 * height[0] - 1.0, height[1]), (np.arange(2.0 * m), circle[1]))
        ring = np.sqrt(1.0 - z * z)[:, None] * circle[0][index.astype(int)]
        return np.concatenate([ring, z[:, None]], axis=1), w
    return None


def ball(dim: int, nodes: int) -> Rule | None:
    """The unit ball: Gauss-Jacobi radii times a rule on the sphere."""
    if dim > TENSOR_DIM:
        return None
    m = _axis_count(nodes, dim)
    shell = sphere(dim, -(-nodes // m))
    assert shell is not None
    (radius, index), w = product(_radial(m, dim), (np.arange(float(len(shell[0]))), shell[1]))
    return radius[:, None] * shell[0][index.astype(int)], w


def sobol(from_cube: Callable[[Array], Array], cube_dim: int, nodes: int, scramble: int = _SCRAMBLE_SEED) -> Rule:
    """Sobol points with their mirror images 1 - u, mapped to the law; the next power of two >= `nodes`, equal weights.

    The mirror images make odd functions of a symmetric law exact, as E sigma(b.x) is for an odd sigma at the start.
    scramble: the seed of the scramble.
    """
    from scipy.stats import qmc

    levels = max(0, int(np.ceil(np.log2(nodes))) - 1)
    half = qmc.Sobol(cube_dim, scramble=True, rng=scramble).random_base2(levels)
    half = np.clip(half, 2.0**-53, 1.0 - 2.0**-53)  # the quantile of 0 or 1 is infinite
    points = from_cube(np.concatenate([half, 1.0 - half]))
    return points, np.full(len(points), 1.0 / len(points))
