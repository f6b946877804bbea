"""Measured quantities, a row each: what is added up over the particles, and how it is finished.

To add one: append a row to `OBSERVABLES`, with a new sum over particles in `reductions.py` and the derivative, where it
has one, in `differential.py`. A user's own is an `Observable` that is passed to `record`. What is recorded never
changes a run.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from particles.errors import InputError
from particles.measures.measure import Array
from particles.model.losses import LOSSES, mean_loss
from particles.model.regularisers import Regulariser
from particles.model.tables import described, reduced, resolved
from particles.population.differential import (
    Differential,
    cross_entropy_differential,
    displacement_differential,
    dissipation_differential,
    gradient_norm_differential,
    loss_differential,
    mean_differential,
    moment_differential,
    objective_differential,
    prediction_differential,
    test_cross_entropy_differential,
    test_loss_differential,
    test_prediction_differential,
)
from particles.population.messages import Reduction
from particles.population.population import positions_of
from particles.population.reductions import FARTHEST, FLIPPED, MEAN, MOMENT, MOVED, SPEED
from particles.population.scene import PENALTY, Scene

Values = dict[str, NDArray[Any]]


class Observable(NamedTuple):
    """A quantity that `simulate` can record, in the units of flow time and of the data.

    Parameters
    ----------
    name
        Of the variable in the dataset.
    long_name, equation
        Its meaning and its place in the paper, which the dataset has as attributes.
    dims
        Its dimensions beside the time: of `sample`, `test_sample`, `particle`, `dim`, `moment`, `output`, or a name of
        your own. `output` is left out where the network has one.
    finish
        From a scene to the value: outputs `g` and `g_test` at the samples, targets `y` and `y_test`, the `loss`, the
        scale `alpha`, and `integral[reduction]` for each of `integrals`.
    integrals
        The sums over the particles that it needs, each an `mf.Reduction`.
    test, binary
        Whether it needs test samples, and labels: -1 and 1, or the targets of classes where the network has several
        outputs.
    kernel
        Whether it needs the tangent kernel's Gram matrix, which gathers the particles at each recorded time.
    outputs
        Whether it is a function of the outputs alone; then it is recorded of the average iterate too.
    classes
        Whether it needs the targets of classes, and so a network of several outputs.
    differential
        From a scene and the place in `dims` to its `mf.Differential`, of which `mf.sensitivity` makes the derivative of
        a run; None where it has none.

    Examples
    --------
    >>> worst = mf.Observable("worst", "largest error", "section 3", (), lambda at: float(np.abs(at.g - at.y).max()))
    >>> net, start = mf.Network("tanh"), mf.Gaussian(2).sample(64, seed=0)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=1, record=["loss", worst])
    >>> run.dataset["worst"].attrs["long_name"], run.dataset["worst"].shape
    ('largest error', (2,))
    """

    name: str
    long_name: str
    equation: str
    dims: tuple[str, ...]
    finish: Callable[[Scene], Any]
    integrals: tuple[Reduction, ...] = ()
    test: bool = False
    binary: bool = False
    kernel: bool = False
    outputs: bool = False
    classes: bool = False
    differential: Callable[[Scene, tuple[int, ...]], Differential] | None = None

    def __repr__(self) -> str:
        """The same text in every session: the name, and of a user's own also a hash of its formulas."""
        return repr(described(self, OBSERVABLES))

    def __reduce__(self) -> tuple[Any, ...]:
        """By name where it is the package's; a user's own by value."""
        return reduced(self, OBSERVABLES, observable, Observable)


def margins(g: Array, y: Array) -> Array:
    """y g(x) for labels -1 and 1 (3.3); of classes the output of a sample's own less the largest other: (n,)."""
    if g.ndim == 1:
        return np.asarray(y * g)
    own = y.argmax(axis=1)[:, None]
    others = np.array(g)
    np.put_along_axis(others, own, -np.inf, axis=1)
    return np.asarray(np.take_along_axis(g, own, axis=1)[:, 0] - others.max(axis=1))


def _cross_entropy(g: Array, y: Array) -> float:
    return mean_loss(LOSSES["softmax"], g, y)


OBSERVABLES: Mapping[str, Observable] = MappingProxyType({
    row.name: row
    for row in (
        Observable("loss", "mean loss over the training samples (a stream's held-out ones)", "(1), (2) with h = 0", (),
                   lambda at: mean_loss(at.loss, at.g, at.y), outputs=True,
                   differential=loss_differential),
        Observable("objective", "regularised loss L_n", "(2)", (),
                   lambda at: mean_loss(at.loss, at.g, at.y) + at.alpha**2 * at.integral[PENALTY][0], (PENALTY,),
                   differential=objective_differential),
        Observable("test_loss", "mean loss over the test samples", "(1)", (),
                   lambda at: mean_loss(at.loss, at.g_test, at.y_test), test=True, outputs=True,
                   differential=test_loss_differential),
        Observable("misclassification", "share of training samples with y g(x) <= 0", "Theorem 3", (),
                   lambda at: float(np.mean(margins(at.g, at.y) <= 0)), binary=True, outputs=True),
        Observable("test_misclassification", "share of test samples with y g(x) <= 0", "Theorem 3", (),
                   lambda at: float(np.mean(margins(at.g_test, at.y_test) <= 0)), test=True, binary=True, outputs=True),
        Observable("gradient_norm", "Wasserstein gradient norm (int |v|^2 dmu)^(1/2), flow time", "3.4", (),
                   lambda at: float(np.sqrt(at.integral[SPEED][0])), (SPEED,),
                   differential=gradient_norm_differential),
        Observable("dissipation", "alpha^2 int |v|^2 dmu, the rate -dL_n/dt of the flow", "3.1 descent, 3.4", (),
                   lambda at: float(at.alpha**2 * at.integral[SPEED][0]), (SPEED,),
                   differential=dissipation_differential),
        Observable("prediction", "network output g(x_i) at the training samples", "section 3", ("sample", "output"),
                   lambda at: at.g, outputs=True,
                   differential=prediction_differential),
        Observable("test_prediction", "network output g(x) at the test samples", "section 3", ("test_sample", "output"),
                   lambda at: at.g_test, test=True, outputs=True,
                   differential=test_prediction_differential),
        Observable("position", "particle positions b_r", "section 3", ("particle", "dim"),
                   lambda at: positions_of(at.population, at.positions).b),
        Observable("output_weight", "signs or trained output weights s_r", "section 3", ("particle", "output"),
                   lambda at: positions_of(at.population, at.positions).s),
        Observable("particle_weight", "particle weights w_r, which sum to 1", "3.4", ("particle",),
                   lambda at: positions_of(at.population, at.positions).w),
        Observable("displacement_rms", "(int |b - b_1|^2 dmu)^(1/2)", "3.1, 3.2", (),
                   lambda at: float(np.sqrt(at.integral[MOVED][0])), (MOVED,),
                   differential=displacement_differential),
        Observable("displacement_max", "max_r |b_r - b_r,1|", "3.1, 3.2", (),
                   lambda at: float(np.sqrt(at.integral[FARTHEST][0])), (FARTHEST,)),
        Observable("weight_moment", "int |b|^p dmu", "3.4", ("moment",),
                   lambda at: at.integral[MOMENT], (MOMENT,),
                   differential=moment_differential),
        Observable("margin", "smallest y g(x) of the training samples", "3.3", (),
                   lambda at: float(np.min(margins(at.g, at.y))), binary=True, outputs=True),
        Observable("pattern_flips", "share of pairs (particle, sample) whose b.x changed its sign since the start",
                   "3.1 [5]", (), lambda at: float(at.integral[FLIPPED][0]), (FLIPPED,)),
        Observable("lambda_min", "smallest eigenvalue of the Gram matrix K_w, flow time", "(5)", (),
                   lambda at: at.kernel.smallest, kernel=True),
        Observable("lambda_max", "largest eigenvalue of the Gram matrix K_w, flow time", "(5)", (),
                   lambda at: at.kernel.largest, kernel=True),
        Observable("kernel_drift", "|K_w - K_w1|_F / |K_w1|_F since the start", "3.1 [5]", (),
                   lambda at: at.kernel.drift, kernel=True),
        Observable("kernel_distance", "rms over samples of g - descent under the start's kernel",
                   "3.1 [5]", (), lambda at: at.kernel.distance, kernel=True),
        Observable("accuracy", "share of training samples with y g(x) > 0", "section 2", (),
                   lambda at: float(np.mean(margins(at.g, at.y) > 0)), binary=True, outputs=True),
        Observable("test_accuracy", "share of test samples with y g(x) > 0", "section 2", (),
                   lambda at: float(np.mean(margins(at.g_test, at.y_test) > 0)), test=True, binary=True, outputs=True),
        Observable("cross_entropy", "mean softmax loss over the training samples, whichever is trained", "section 2",
                   (), lambda at: _cross_entropy(at.g, at.y), outputs=True, classes=True,
                   differential=cross_entropy_differential),
        Observable("test_cross_entropy", "mean softmax loss over the test samples, whichever is trained", "section 2",
                   (), lambda at: _cross_entropy(at.g_test, at.y_test), test=True, outputs=True, classes=True,
                   differential=test_cross_entropy_differential),
        Observable("mean_position", "int b dmu", "3.4", ("dim",), lambda at: at.integral[MEAN], (MEAN,),
                   differential=mean_differential),
    )
})  # fmt: skip


def observable(given: str | Observable, argument: str = "record") -> Observable:
    """The observable of that name, or the user's own; argument: what the user calls it."""
    return resolved(argument, given, OBSERVABLES, _check)


def dims_of(row: Observable, outputs: int) -> tuple[str, ...]:
    """The dimensions of a quantity for a network of so many outputs."""
    return tuple(dim for dim in row.dims if dim != "output" or outputs > 1)


def meaning(row: Observable, outputs: int) -> str:
    """The `long_name` for a network of so many outputs: of several, y g(x) is the margin of classes."""
    return row.long_name if outputs == 1 else row.long_name.replace("y g(x)", "margin (own output - largest other)")


def _check(row: Observable) -> None:
    if not isinstance(row.dims, tuple) or not all(isinstance(dim, str) for dim in row.dims):
        rule = f"`dims` of the observable {row.name!r} must be a tuple of names"
        raise InputError(rule, repr(row.dims), "Give () for a number.")
    known = [isinstance(part, Reduction) and part.how in ("sum", "max") for part in row.integrals]
    if not isinstance(row.integrals, tuple) or not all(known):
        rule = f'`integrals` of the observable {row.name!r} must be a tuple of mf.Reductions, each a "sum" or a "max"'
        raise InputError(rule, repr(row.integrals), "Give (mf.Reduction(function of a block, how),).")
    if row.differential is not None and not callable(row.differential):
        rule = f"`differential` of the observable {row.name!r} must be a function of a scene and a place"
        raise InputError(rule, repr(row.differential), "docs/extending.md has an example.")


def needs_start(rows: Iterable[Observable], rule: Regulariser) -> bool:
    """Whether the start is kept beside the particles: for one of these observables, or for a pull to it."""
    return rule.anchored or any(part.start for row in rows for part in row.integrals)
