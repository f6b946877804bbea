"""Data that no rotation changes: inputs whose direction is uniform, targets that depend on |x| or on the class alone.

Under such data a radial cloud stays radial (Mei, Montanari, Nguyen 2018), and `radial.radial_flow` follows its radii.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, whole
from particles.data.dataset import Stream
from particles.errors import InputError
from particles.measures.laws import Gaussian, Law, Sphere
from particles.measures.measure import Array
from particles.measures.quadrature import Rule
from particles.theory.one_output import one_output, width
from particles.theory.radial.gaussian_classes import TwoGaussians, checked_delta
from particles.theory.radial.radius import checked_radial, radius_of


@dataclass(frozen=True)
class Shell:
    """One class of isotropic data: its share of the samples, the law of its inputs, and its target.

    Parameters
    ----------
    share
        Of the samples, > 0.
    inputs
        A Gaussian about 0, a Sphere or a Ball; at d = infinity the one number that `|x| / sqrt(d)` is.
    target
        A number, or a function (k,) -> (k,) of `|x|` (at d = infinity of `|x| / sqrt(d)`).

    Examples
    --------
    >>> shells = (mf.theory.Shell(0.5, mf.Sphere(3), 1.0), mf.theory.Shell(0.5, mf.Sphere(3, 2.0), -1.0))
    >>> mf.theory.IsotropicData(shells).dim
    3.0
    """

    share: float
    inputs: Law | float
    target: float | Callable[[Array], ArrayLike]


class Lengths(NamedTuple):
    """A quadrature of the data as a radial cloud sees it: |x| / sqrt(d), shares that sum to 1, targets, (m,) each."""

    length: Array
    share: Array
    target: Array


@dataclass(frozen=True)
class IsotropicData:
    """Classes of inputs that no rotation changes.

    Parameters
    ----------
    shells
        The classes; their shares sum to 1.

    Raises
    ------
    InputError
        If they are not of that form, or of different dimensions.

    Examples
    --------
    >>> inner, outer = mf.theory.Shell(0.5, mf.Sphere(3), 1.0), mf.theory.Shell(0.5, mf.Sphere(3, 2.0), -1.0)
    >>> mf.theory.IsotropicData((inner, outer)).lengths(1).length
    array([0.57735027, 1.15470054])
    """

    shells: tuple[Shell, ...]

    def __post_init__(self) -> None:
        if not self.shells:
            raise InputError("isotropic data need at least one class", "none", "Give a Shell.")
        total = sum(number("share", shell.share, above=0.0) for shell in self.shells)
        if abs(total - 1.0) > 1e-9:
            raise InputError("the classes' shares must sum to 1", f"{total:.12g}", "Divide them by their sum.")
        for shell in self.shells:
            if isinstance(shell.inputs, Law):
                checked_radial(shell.inputs)
            else:
                number("inputs", shell.inputs, 0.0, remedy="At d = infinity this is |x| / sqrt(d).")
            if not callable(shell.target):
                number("target", shell.target, remedy="Give a number, or a function of |x|.")
        dims = {dim_of(shell) for shell in self.shells}
        if len(dims) > 1:
            raise InputError("all classes must live in one dimension", str(sorted(dims)), "")

    @property
    def dim(self) -> float:
        """d, maybe infinite."""
        return dim_of(self.shells[0])

    def lengths(self, panels: int) -> Lengths:
        """A quadrature of the lengths of every class.

        Parameters
        ----------
        panels
            Each has 8 nodes of a class.

        Returns
        -------
        Lengths
            `|x| / sqrt(d)`, shares that sum to 1, and targets, (m,) each.

        Raises
        ------
        InputError
            If a target does not map (k,) lengths to (k,) finite numbers.
        """
        parts = []
        for shell in self.shells:
            length, weight = _lengths_of(shell, panels)
            target = shell.target
            y = np.array(target(length) if callable(target) else np.full(len(length), target), dtype=np.float64)
            if y.shape != length.shape or not np.isfinite(y).all():
                rule = "`target` must map lengths (k,) to finite numbers (k,)"
                raise InputError(rule, f"{length.shape} to {y.shape}", "It is a function of |x|, not of x.")
            parts.append((length / (1.0 if np.isinf(self.dim) else np.sqrt(self.dim)), shell.share * weight, y))
        length, share, y = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Lengths(length, share / share.sum(), y)


def two_gaussians(delta: float, dim: float) -> IsotropicData:
    """y = 1 with x ~ N(0, (1 + delta)^2 I_d) and y = -1 with x ~ N(0, (1 - delta)^2 I_d), each one half.

    Parameters
    ----------
    delta
        In [0, 1).
    dim
        d, maybe infinite.

    Returns
    -------
    IsotropicData
        The two classes themselves. What can be guessed of them from x is `TwoGaussians.label`.

    Raises
    ------
    InputError
        For `delta` outside [0, 1), and a `dim` that is no number of inputs.

    References
    ----------
    Mei, Montanari and Nguyen (2018), A mean field view of the landscape of two-layer neural networks.

    Examples
    --------
    >>> mf.theory.two_gaussians(0.8, dim=40).dim
    40.0
    """
    wide, narrow = 1.0 + checked_delta(delta), 1.0 - delta
    if np.isinf(dim):
        return IsotropicData((Shell(0.5, wide, 1.0), Shell(0.5, narrow, -1.0)))
    d = whole("dim", dim, 1, remedy="Give the number of inputs, or np.inf.")
    return IsotropicData((Shell(0.5, Gaussian(d, wide), 1.0), Shell(0.5, Gaussian(d, narrow), -1.0)))


def isotropic_data(stream: Stream) -> IsotropicData:
    """A stream's population as isotropic data: its inputs' law is isotropic, its target a function of `|x|` alone.

    Parameters
    ----------
    stream
        The stream. Label noise moves no particle of the limit, and is left out of the loss.

    Returns
    -------
    IsotropicData
        The same population by lengths.

    Raises
    ------
    InputError
        For another law of inputs, a target of more than one output, and one that differs between four random
        directions.

    Examples
    --------
    >>> stream = mf.Stream(mf.Gaussian(3), lambda x: np.linalg.norm(x, axis=1))
    >>> mf.theory.isotropic_data(stream).dim
    3.0
    """
    law = stream.inputs
    some = checked_radial(law.classes[0] if isinstance(law, TwoGaussians) else law)
    random, lengths = np.random.default_rng(0), _lengths_of(Shell(1.0, some, 0.0), 2)[0]

    def along(direction: Array, length: Array) -> Array:
        return np.asarray(stream.target(np.multiply.outer(length, direction)), dtype=np.float64)

    first = np.zeros(law.dim)
    first[0] = 1.0
    base = along(first, lengths)
    one_output("the radial reduction", width("target", base))
    for _ in range(4):
        turned = random.standard_normal(law.dim)
        apart = np.abs(along(turned / np.linalg.norm(turned), lengths) - base)
        if not apart.max() <= 1e-9 * max(1.0, float(np.abs(base).max())):
            rule = "`target` must depend on |x| alone for the radial reduction"
            raise InputError(
                rule, f"values {apart.max():.3g} apart at one |x|", "Use `mean_field`, which takes any data."
            )
    classes = law.classes if isinstance(law, TwoGaussians) else (law,)
    return IsotropicData(tuple(Shell(1.0 / len(classes), c, lambda length: along(first, length)) for c in classes))


def dim_of(shell: Shell) -> float:
    """d of a class."""
    return float(shell.inputs.dim) if isinstance(shell.inputs, Law) else np.inf


def _lengths_of(shell: Shell, panels: int) -> Rule:
    if not isinstance(shell.inputs, Law):
        return np.array([float(shell.inputs)]), np.ones(1)
    radius = radius_of(shell.inputs)
    if radius is None:
        assert isinstance(shell.inputs, Sphere)
        return np.array([shell.inputs.radius]), np.ones(1)
    return radius.smooth_rule(panels)
