"""The derivative of an observable at one time, by the outputs and by the particles: what it is, and the package's own.

Those of the package are functions of a scene and of a place in the observable's dimensions.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from particles.errors import InputError
from particles.measures.measure import Array
from particles.model.losses import LOSSES
from particles.population.messages import BlockView
from particles.population.reductions import MOMENTS, MOVED, SPEED

if TYPE_CHECKING:
    from particles.population.scene import Scene


class Integrand(NamedTuple):
    """The derivative of an integral `int f dmu` on one block: f at its particles, and the gradient of f.

    Parameters
    ----------
    value : (m,)
        f at the m particles of the block.
    b : (d, m)
        Its gradient by positions; 0 where f does not depend on them.
    s : (m,) or (k, m)
        Its gradient by output weights; 0 where f does not depend on them.
    start
        Whether f is a function of the displacement, `block.b - block.start_b` and `block.s - block.start_s`.

    Examples
    --------
    The second moment of the first coordinate:

    >>> def of(block):
    ...     return mf.Integrand(block.b[0] ** 2, 2.0 * np.eye(len(block.b))[:, :1] * block.b[0])
    >>> square = mf.Reduction(lambda block: np.atleast_1d(block.w @ block.b[0] ** 2), "sum")
    >>> row = mf.Observable("square", "int b_1^2 dmu", "3.4", (), lambda at: float(at.integral[square][0]), (square,),
    ...                     differential=lambda at, index: mf.Differential(particles=of))
    >>> net, limit = mf.Network("tanh"), mf.Gaussian(2).quadrature(4096)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> found = mf.sensitivity(net, limit, data, mf.GradientDescent(0.5), steps=0, of=row)
    >>> found.dataset["square_std"].round(2).item()  # b_1^2 of a standard normal b_1 has the variance 2
    1.41
    """

    value: Array
    b: Array | float = 0.0
    s: Array | float = 0.0
    start: bool = False


def checked_integrand(f: Integrand, block: BlockView) -> Integrand:
    """An integrand on one block; InputError where a part of it has another shape than the block."""
    rule, remedy = "`particles` of an mf.Differential must return an mf.Integrand", "Correct the function of a block."
    if not isinstance(f, Integrand):
        raise InputError(rule, type(f).__name__, remedy)
    for name, part, like in (("value", f.value, block.w), ("b", f.b, block.b), ("s", f.s, block.s)):
        none = name != "value" and np.ndim(part) == 0 and part == 0.0
        if not none and np.shape(part) != like.shape:
            raise InputError(f"{rule} whose `{name}` is like the block's", f"{np.shape(part)} for {like.shape}", remedy)
    return f


class Differential(NamedTuple):
    """The derivative of an observable at one time, which a pass back through the run begins with.

    Parameters
    ----------
    train : (n,) or (n, k)
        By the outputs at the training samples; None where it does not depend on them.
    test
        The same by those at the test samples.
    particles
        Of an observable that is, to first order, an integral `int f dmu`: from a block of particles, as in
        `mf.Reduction`, to f at them, (m,), its gradient by `b`, (d, m), and by `s`, like `s`, or 0.
    speed
        The factor of the derivative of `int |v|^2 dmu`, v the velocity.
    penalty
        The factor of the derivative of `h(w) / alpha^2`, h the regulariser.
    target : (n,) or (n, k)
        By the targets of the training samples, where they enter otherwise than through the particles.

    Examples
    --------
    >>> first = mf.Observable("first", "output at the first sample", "section 3", (), lambda at: float(at.g[0]),
    ...                       differential=lambda at, index: mf.Differential(train=np.eye(len(at.g))[0]))
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> found = mf.sensitivity(net, law.quadrature(400), data, mf.GradientDescent(0.5), steps=4, of=first)
    >>> found.dataset["first_std"].round(2).item()
    0.4
    """

    train: Array | None = None
    test: Array | None = None
    particles: Callable[[BlockView], Integrand] | None = None
    speed: float = 0.0
    penalty: float = 0.0
    target: Array | None = None


def checked_differential(name: str, found: Differential, at: "Scene") -> Differential:
    """The differential of an observable; InputError where an array of it has another shape than the outputs."""
    rule = f"the differential of the observable {name!r}"
    if not isinstance(found, Differential):
        raise InputError(f"{rule} must be an mf.Differential", type(found).__name__, "Return one.")
    arrays = dict[str, Any]()
    for part, like in (("train", at.y), ("test", at.y_test), ("target", at.y)):
        values = getattr(found, part)
        if values is None:
            continue
        if np.shape(values) != like.shape:
            got = f"shape {np.shape(values)} for {like.shape}"
            raise InputError(f"`{part}` in {rule} must have the shape of the outputs", got, "Correct the function.")
        if not np.isfinite(values).all():
            raise InputError(f"`{part}` in {rule} must be finite", "NaN or infinity", "Correct the function.")
        arrays[part] = np.asarray(values, np.float64)
    return found._replace(**arrays)


def loss_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of the mean loss over the training samples."""
    target = at.loss.target_slope(at.g, at.y) / len(at.y) if at.loss.target_slope else None
    return Differential(train=at.loss.slope(at.g, at.y) / len(at.y), target=target)


def objective_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of the regularised loss (2)."""
    return loss_differential(at, index)._replace(penalty=at.alpha**2)


def test_loss_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of the mean loss over the test samples."""
    return Differential(test=at.loss.slope(at.g_test, at.y_test) / len(at.y_test))


def cross_entropy_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of the mean softmax loss over the training samples, whichever is trained."""
    target_slope = LOSSES["softmax"].target_slope
    assert target_slope is not None
    return Differential(train=_cross_entropy_slope(at.g, at.y), target=target_slope(at.g, at.y) / len(at.y))


def test_cross_entropy_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """The same over the test samples."""
    return Differential(test=_cross_entropy_slope(at.g_test, at.y_test))


def _cross_entropy_slope(g: Array, y: Array) -> Array:
    return LOSSES["softmax"].slope(g, y) / len(y)


def prediction_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of one output at one training sample."""
    return Differential(train=_unit(at.g, index))


def test_prediction_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of one output at one test sample."""
    return Differential(test=_unit(at.g_test, index))


def gradient_norm_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of (int |v|^2 dmu)^(1/2)."""
    return Differential(speed=_root_slope(at.integral[SPEED][0]))


def dissipation_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of alpha^2 int |v|^2 dmu."""
    return Differential(speed=at.alpha**2)


def displacement_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of (int |b - b_1|^2 dmu)^(1/2)."""
    factor = _root_slope(at.integral[MOVED][0])

    def of(block: BlockView) -> Integrand:
        away = block.b - block.start_b
        return Integrand(factor * (away**2).sum(axis=0), 2.0 * factor * away, start=True)

    return Differential(particles=of)


def moment_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of int |b|^p dmu for one p; at b = 0 the gradient is 0 for every p."""
    power = int(MOMENTS[index[0]])

    def of(block: BlockView) -> Integrand:
        size = np.sqrt((block.b**2).sum(axis=0))
        return Integrand(size**power, power * np.where(size > 0.0, size, 1.0) ** (power - 2) * block.b)

    return Differential(particles=of)


def mean_differential(at: "Scene", index: tuple[int, ...]) -> Differential:
    """Of one coordinate of int b dmu."""

    def of(block: BlockView) -> Integrand:
        return Integrand(block.b[index[0]], _unit(block.b, index))

    return Differential(particles=of)


def _root_slope(square: float) -> float:
    """The derivative of the square root, 0 at 0: the square cannot fall there."""
    return 0.5 / np.sqrt(square) if square > 0.0 else 0.0


def _unit(like: Array, index: tuple[int, ...]) -> Array:
    """1 at one place of an array, 0 elsewhere."""
    unit = np.zeros_like(like)
    unit[index] = 1.0
    return unit
