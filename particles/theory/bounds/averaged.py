"""Section 3.2 as numbers, Theorem 2: averaged SGD at the optimal rate."""

import math

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array, vector, whole
from particles.errors import InputError
from particles.measures.laws import Atoms, Ball, Gaussian, Law, Sphere, Uniform
from particles.measures.measure import Array
from particles.model.network import Network
from particles.theory.one_output import one_output, width

_EXACT = 1e-9  # how far a norm or a label may be off by rounding


def weight_decay(T: int, r: float, beta: float) -> float:
    """The pull of Theorem 2 [8]: `lam = T^(-beta / (2 r beta + 1))`.

    Parameters
    ----------
    T
        Iterations.
    r
        The exponent of the source condition, in [1/2, 1].
    beta
        The decay `lam_i = Theta(i^-beta)` of the eigenvalues, > 1; not the output scale.

    Returns
    -------
    float
        `lam`; flow time and paper agree at the theorem's output scale, beta = 1/2.

    Raises
    ------
    InputError
        For values outside these ranges.

    References
    ----------
    Section 3.2, Theorem 2.

    Examples
    --------
    >>> round(mf.theory.weight_decay(1000, r=1.0, beta=2.0), 4)
    0.0631
    """
    return float(whole("T", T, 1) ** (averaged_exponent(r, beta) / (2.0 * r)))


def averaged_step(lam: float) -> float:
    """The largest step of Theorem 2 [8]: `4 (6 + lam) eta = 1`.

    Parameters
    ----------
    lam
        The pull to the start, >= 0.

    Returns
    -------
    float
        `eta`; flow time and paper agree at the theorem's output scale, beta = 1/2.

    References
    ----------
    Section 3.2, Theorem 2.

    Examples
    --------
    >>> mf.theory.averaged_step(0.25)
    0.04
    """
    return 1.0 / (4.0 * (6.0 + number("lam", lam, 0.0)))


def averaged_exponent(r: float, beta: float) -> float:
    """The exponent of T in Theorem 2 [8], which is minimax optimal [17]: `-2 r beta / (2 r beta + 1)`.

    Parameters
    ----------
    r
        The exponent of the source condition, in [1/2, 1].
    beta
        The decay `lam_i = Theta(i^-beta)` of the eigenvalues, > 1; not the output scale.

    Returns
    -------
    float
        The exponent, negative.

    Raises
    ------
    InputError
        For values outside these ranges.

    References
    ----------
    Section 3.2, Theorem 2.

    Examples
    --------
    >>> mf.theory.averaged_exponent(r=1.0, beta=2.0)
    -0.8
    """
    r, beta = number("r", r, 0.5, 1.0), number("beta", beta, above=1.0, remedy="lam_i must be summable.")
    return -2.0 * r * beta / (2.0 * r * beta + 1.0)


def averaged_bound(T: ArrayLike, r: float, beta: float, source_norm: float = 0.0, factor: float = 1.0) -> Array:
    r"""The excess risk that Theorem 2 [8] allows, without its eps.

    Parameters
    ----------
    T
        Iterations >= 1, an array of any shape.
    r
        The exponent of the source condition, in [1/2, 1].
    beta
        The decay `lam_i = Theta(i^-beta)` of the eigenvalues, > 1; not the output scale.
    source_norm
        `|Sigma^-r g_rho|`, 0 by default.
    factor
        The paper's `alpha`, which it does not state; 1 by default.

    Returns
    -------
    array
        The bound, of the shape of `T`.

    Raises
    ------
    InputError
        For values outside these ranges.

    Notes
    -----
    .. math:: \alpha \, T^{-2 r \beta / (2 r \beta + 1)} \left( 1 + |\Sigma^{-r} g_\rho|^2 \right)

    References
    ----------
    Section 3.2, Theorem 2.

    Examples
    --------
    >>> mf.theory.averaged_bound([100, 10000], r=1.0, beta=2.0, source_norm=1.0).round(4)
    array([0.0502, 0.0013])
    """
    iterations = real_array("`T`", T, finite=False)
    if not np.isfinite(iterations).all() or (iterations < 1).any():
        raise InputError("`T` must be iterations >= 1", str(T), "Give np.arange(1, 100), say.")
    size = number("factor", factor, above=0.0) * (1.0 + number("source_norm", source_norm, 0.0) ** 2)
    return np.asarray(size * iterations ** averaged_exponent(r, beta))


def relu_decay(d: int) -> float:
    """The eigenvalue decay of smoothed ReLU on the sphere in R^d: `beta = 1 + 1/(d - 1)`.

    Parameters
    ----------
    d
        Inputs, >= 2.

    Returns
    -------
    float
        `beta`; on the circle it is 2.

    References
    ----------
    Section 3.2, after Theorem 2.

    Examples
    --------
    >>> mf.theory.relu_decay(2), mf.theory.relu_decay(5)
    (2.0, 1.25)
    """
    return 1.0 + 1.0 / (whole("d", d, 2, remedy="The sphere in R^1 is two points.") - 1)


def relu_exponent(r: float, d: int) -> float:
    """The exponent of T in Theorem 2 for smoothed ReLU on the sphere in R^d: `-2 r d / (2 r d + d - 1)`.

    Parameters
    ----------
    r
        The exponent of the source condition, in [1/2, 1].
    d
        Inputs, >= 2.

    Returns
    -------
    float
        The exponent, negative.

    References
    ----------
    Section 3.2, after Theorem 2.

    Examples
    --------
    >>> mf.theory.relu_exponent(r=1.0, d=2)
    -0.8
    """
    return averaged_exponent(r, relu_decay(d))


def assumption_1(
    net: Network, x: ArrayLike, y: ArrayLike, law: Law | None = None, r: float | None = None, beta: float | None = None
) -> list[str]:
    """The conditions of Assumption 1 and of section 3.2's start that do not hold, a sentence each.

    Parameters
    ----------
    net
        The network.
    x : (n, d)
        Inputs, as the network is given them.
    y : (n,)
        Targets.
    law
        The initial law `mu0`; checked if given.
    r
        The exponent of the source condition; checked if given.
    beta
        The decay of the eigenvalues; checked if given.

    Returns
    -------
    list of str
        Empty if all conditions hold.

    Raises
    ------
    InputError
        For more than one output.

    References
    ----------
    Section 3.2, Assumption 1.

    Examples
    --------
    >>> mf.theory.assumption_1(mf.Network("smooth_relu", beta=0.5), np.eye(2), [0.5, -0.5], law=mf.Ball(2))
    []
    >>> mf.theory.assumption_1(mf.Network("relu", beta=0.5), np.eye(2), [0.5, -3.0])
    ["relu lacks |sigma''| <= C, |sigma'| <= 2 or |sigma(u)| <= 1 + |u|", 'y in [-1, 1] fails: |y| = 3']
    """
    row, largest = net.activation, float(np.linalg.norm(net.inputs(x), axis=1).max())
    one_output("Assumption 1", net.outputs, width("y", y))
    targets = vector("y", y, len(net.inputs(x)))
    checks = [
        (row.assumption_1, f"{row.name} lacks |sigma''| <= C, |sigma'| <= 2 or |sigma(u)| <= 1 + |u|"),
        (largest <= 1.0 + _EXACT, f"|x| <= 1 fails: {largest:g} (a bias counts)"),
        (float(np.abs(targets).max()) <= 1.0 + _EXACT, f"y in [-1, 1] fails: |y| = {np.abs(targets).max():g}"),
        (r is None or 0.5 <= r <= 1.0, f"the source condition needs r in [1/2, 1]: {r}"),
        (beta is None or beta > 1.0, f"the eigenvalues need a decay beta > 1: {beta}"),
        (net.beta == 0.5, f"the output scale must be 1/sqrt(M), beta = 1/2: {net.beta:g}"),
        (law is None or _in_unit_ball(law), f"mu0 must live in the unit ball: {law!r}"),
    ]
    return [message for good, message in checks if not good]


def _in_unit_ball(law: Law) -> bool:
    """Whether the support is in the unit ball; of a law that we do not know, whether 4096 draws are."""
    if isinstance(law, Gaussian):
        return False
    if isinstance(law, Uniform):
        return math.sqrt(law.dim) * max(abs(law.low), abs(law.high)) <= 1.0 + _EXACT
    points = law.points[law.weights > 0] if isinstance(law, Atoms) else law.rows(0, 0, 4096)
    radius = law.radius if isinstance(law, Ball | Sphere) else float(np.linalg.norm(points, axis=1).max())
    return radius <= 1.0 + _EXACT
