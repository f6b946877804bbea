"""Which estimators a problem does not have, and why."""

from particles.errors import InputError
from particles.sensitivity import nested
from particles.sensitivity.checks import check_differentiable, check_method, kinked, kinks_of
from particles.sensitivity.starts import Asked, Starts
from particles.simulation.arguments import prepared


def excluded(asked: Asked, starts: Starts) -> dict[str, str]:
    """Reasons by the name of the estimator; InputError for arguments that no estimator takes."""
    if asked.row.dims and "particle" in asked.row.dims:
        rule = "`of` must be a quantity of the network, not of its particles"
        raise InputError(rule, asked.row.name, "A mean over starts has no particles.")
    options = asked.options
    start = asked.law.sample(asked.M, 0, asked.signs, lazy=True, outputs=asked.net.outputs)
    ready = prepared(
        asked.net, start, asked.data, asked.method, asked.steps, options["loss"], options["regulariser"],
        asked.record_every if asked.record_every is not None else max(1, asked.steps), asked.row, None,
        options["test"], options["dtype"], options["engine"],
    )  # fmt: skip
    found = dict[str, str]()
    if no_limit := _no_limit(asked, starts):
        return {"control": no_limit, "antithetic": no_limit}
    try:
        check_method(ready.problem)
        check_differentiable(ready)
    except InputError as error:
        found["control"] = f"no derivative: {error.parts[0]}: got {error.parts[1]}"
    if kinked(ready.problem.net):
        found["control"] = kinks_of(ready.problem.net)
    of = nested.divisor(asked.symmetric)
    if asked.M % of:
        found["antithetic"] = f"count={asked.M} is not a multiple of {of}, so that a cloud has no quarters"
    return found


def _no_limit(asked: Asked, starts: Starts) -> str:
    """Why no rule of the law stands for the limit, or empty."""
    if asked.net.beta < 1.0:
        return "with beta < 1 there is no limit measure: alpha grows with M, and halves of a cloud have another alpha"
    if asked.method.noisy:
        return "no rule of the law follows particles that have noise of their own"
    try:
        starts.rule(1)
    except NotImplementedError:
        return f"{asked.law!r} has no quadrature"
    return ""
