"""What has a derivative: methods, regularisers, activations and observables."""

import warnings
from collections.abc import Iterable

import numpy as np

from particles.errors import InputError, nearest
from particles.measures.measure import Source
from particles.methods.base import Method, Problem
from particles.methods.descent import Euler
from particles.methods.runge_kutta import RungeKutta, Staged
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.observables import OBSERVABLES
from particles.sensitivity.tables import BY
from particles.simulation.arguments import Prepared
from particles.simulation.record import Record


def check_method(problem: Problem) -> None:
    """InputError for a run whose steps have no derivative here."""
    check_steps(problem.net, problem.method, problem.regulariser)


def check_steps(net: Network, method: Method, rule: Regulariser) -> None:
    """The same by the parts of a run; rule: the penalty that its method keeps to."""
    if method.average or method.stepper not in (Euler, Staged):
        got = "an average of iterates" if method.average else type(method).__name__
        remedy = "Use mf.GradientDescent, mf.SGD or mf.RungeKutta, without `average`."
        raise InputError("a run whose derivative is taken must make plain steps", got, remedy)
    if isinstance(method, RungeKutta) and method.tolerance is not None:
        rule_of = "Runge-Kutta steps whose derivative is taken must be as they are"
        raise InputError(rule_of, f"tolerance={method.tolerance:g}", "Leave `tolerance` out.")
    if not rule.smooth:
        raise InputError("a run whose derivative is taken needs a smooth regulariser", repr(rule), "Use L2.")
    row = net.activation
    if row.second_derivative is None:
        rule_of = f"the derivative of a run needs the `second_derivative` of the activation {row.name!r}"
        raise InputError(rule_of, "None", "Give mf.Activation(..., second_derivative=) its formula.")


def check_names(of: object) -> None:
    """InputError for nothing, and for what has a cadence of its own."""
    if isinstance(of, list | tuple) and not of:
        raise InputError("`of` must name something that is measured", repr(of), 'Take "loss", say.')
    for entry in (of,) if isinstance(of, Record) else of if isinstance(of, list | tuple) else ():
        if isinstance(entry, Record):
            raise InputError("`of` takes names and observables, at one cadence", repr(entry), "Use `record_every`.")


def checked_by(problem: Problem, by: str | Iterable[str] | None) -> tuple[str, ...]:
    """What derivatives are by; None: by all that costs little more. InputError for what there is no derivative by."""
    refused = dict[str, str]()
    if not problem.samples.whole:
        refused = dict.fromkeys(("target", "sample"), "iterations that use other samples")
    elif problem.loss.mixed is None:
        refused["target"] = f"the loss {problem.loss.name!r}, which has no derivative by targets (`mixed`)"
    if by is None:
        return tuple(name for name in BY if name not in ("position", "output_weight", *refused))
    asked = (by,) if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    for name in asked:
        if name not in BY:
            raise InputError(f"`by` must name some of {', '.join(BY)}", repr(name), nearest(str(name), BY))
        if name in refused:
            raise InputError(f"there must be a derivative `by` {name!r}", refused[name], "Leave it out.")
    return asked


def check_differentiable(ready: Prepared) -> None:
    """InputError for an observable without a differential."""
    for row in ready.observer.rows:
        if row.differential is None:
            known = ", ".join(name for name, each in OBSERVABLES.items() if each.differential)
            remedy = f"Take some of {known}, or an mf.Observable of your own with a `differential`."
            raise InputError("`of` must name observables that have a derivative", row.name, remedy)


def unpredicted(net: Network, method: Method, rule: Regulariser) -> str:
    """Why the derivative of a limit's run is no prediction of fluctuations; empty where it is one."""
    if net.beta != 1.0:
        return f"networks with beta < 1 have no such limit: got beta={net.beta:g}"
    try:
        check_steps(net, method, rule)
    except InputError as error:
        return str(error)
    return kinks_of(net) if kinked(net) else ""


def warn_of_kinks(net: Network) -> None:
    """A warning where the derivative of a limit is no prediction, as which it is about to be used."""
    if kinked(net):
        text = f"{kinks_of(net)}, so that it predicts deviations over starts the less the longer a run is"
        warnings.warn(f"{text}. The derivative by these very particles is right.", stacklevel=4)


def kinks_of(net: Network) -> str:
    """What the derivative of a limit lacks where particles move across kinks."""
    return f"the limit's derivative lacks what particles do at the kinks of {net.activation.name}"


def check_pairs(start: Source) -> None:
    """InputError unless the second half of the particles repeats the first with the other sign."""
    half, odd = divmod(start.count, 2)
    first = min(half, 4096)
    if not odd:
        (b, s), (other, sign) = start.part(0, first), start.part(half, half + first)
        if np.array_equal(b, other) and np.array_equal(s, -sign):
            return
    rule = "`symmetric` needs particles of which the second half repeats the first with the other sign"
    raise InputError(rule, f"other ones, {start.count} of them", 'Use law.quadrature(nodes, signs="symmetric").')


def kinked(net: Network) -> bool:
    """Whether particles move across kinks of the activation."""
    return "input" in net.train and not np.isfinite(net.activation.curvature_bound)
