"""Descent under a fixed kernel with any loss, step by step: f' = -K l'(f, y) / n - lam (f - f_0)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from particles.data.dataset import checked_labels
from particles.errors import InputError
from particles.measures.measure import Array
from particles.model.losses import Loss, check_outputs
from particles.population.targets import checked_shares
from particles.theory.tangent.kernel_problem import Problem

_TOLERANCE = 1e-12  # of a Runge-Kutta step; 1e-10 left errors of 1e-8 behind a kink of the slope


def descended(problem: Problem, matrix: Array, loss: Loss, sizes: Array, iterations: NDArray[np.integer]) -> Array:
    """The outputs after each number of iterations with steps of these sizes."""
    change, f = _change(problem, matrix, loss), _begin(problem)
    found = np.empty((len(f), len(iterations), f.shape[1] - _first(problem)))
    with np.errstate(over="ignore", invalid="ignore"):  # inf and NaN: the steps were too large
        for iteration in range(len(sizes) + 1):
            found[:, iterations == iteration] = f[:, None, _first(problem) :]
            if iteration < len(sizes):
                f = f + sizes[iteration] * change(f)
    return problem.shaped(found)


def followed(problem: Problem, matrix: Array, loss: Loss, times: Array) -> Array:
    """The outputs at every time."""
    from scipy.integrate import solve_ivp

    change, begin = _change(problem, matrix, loss), _begin(problem)
    known, where = np.unique(times, return_inverse=True)
    found = np.repeat(begin[..., None], len(known), axis=2)
    if known[-1:].sum() > 0.0:
        path = solve_ivp(
            lambda t, f: change(f.reshape(begin.shape)).ravel(),
            (0.0, known[-1]), begin.ravel(), "DOP853", known, rtol=_TOLERANCE, atol=_TOLERANCE,
        )  # fmt: skip
        if not path.success:
            raise InputError("the flow must be finite up to the last of `times`", path.message, "Give shorter times.")
        found = path.y.reshape(*begin.shape, -1)
    return problem.shaped(np.ascontiguousarray(found[:, _first(problem) :, where].transpose(0, 2, 1)))


def _first(problem: Problem) -> int:
    """The first row that is asked for: the samples lie before other points."""
    return 0 if problem.cross is None else problem.start.shape[1]


def _begin(problem: Problem) -> Array:
    """The outputs at time 0, samples and then other points: (systems, rows)."""
    return np.concatenate([problem.start, problem.cross_start], axis=1)


def _change(problem: Problem, matrix: Array, loss: Loss) -> Callable[[Array], Array]:
    """f' of all outputs, (systems, rows) -> (systems, rows)."""
    y, rows, begin = checked_targets(loss, problem.y), problem.start.shape[1], _begin(problem)
    whole = matrix if problem.cross is None else np.concatenate([matrix, problem.cross])

    def change(f: Array) -> Array:
        slope = loss.slope(problem.shaped(f[:, None, :rows])[0], y)
        turned = slope.T if len(f) > 1 else slope.reshape(1, -1)
        return np.asarray(-(turned @ whole.T) / len(y) - problem.decay * (f - begin))

    return change


def checked_targets(loss: Loss, y: Array) -> Array:
    """The targets, if the loss takes them."""
    if y.ndim == 1 and (loss.joint or loss.classes):
        rule = f"the loss {loss.name!r} needs targets (n, k), a column a class"
        raise InputError(rule, str(y.shape), 'Two classes with one output are labels -1 and 1 and the loss "logistic".')
    check_outputs(loss, 1 if y.ndim == 1 else y.shape[1])
    if loss.binary:
        checked_labels(y)
    if loss.classes:
        checked_shares(y)
    return y
