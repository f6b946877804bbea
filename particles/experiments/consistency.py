"""Values of a configuration that must fit together, looked at even while other values are wrong."""

from dataclasses import fields
from typing import Any

from particles.measures.laws import Ball, Gaussian, Law, Sphere, Uniform
from particles.methods.base import Method
from particles.methods.registry import METHODS
from particles.methods.runge_kutta import SCHEMES, RungeKutta

# What a configuration calls each, and so which options it takes: the fields of its class.
LAWS: dict[str, type[Law]] = {"gaussian": Gaussian, "sphere": Sphere, "ball": Ball, "uniform": Uniform}


def _options(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


LAW_OPTIONS = {name: _options(kind) - {"dim"} for name, kind in LAWS.items()} | {"atoms": {"file"}}
METHOD_OPTIONS = {name: _options(kind) for name, kind in METHODS.items()}
OWN_REGULARISER = [name for name, kind in METHODS.items() if kind.regulariser is not Method.regulariser]
EMBEDDED = [name for name, scheme in SCHEMES.items() if scheme.errors]
_SET_OPTIONS = ("n", "dim", "noise", "seed")


def misfits(raw: dict[str, Any]) -> list[str]:
    """Every pair of values that do not belong together in one run's configuration."""
    data, law, start, method, rule, record = (
        _section(raw, name) for name in ("data", "law", "start", "method", "regulariser", "record")
    )
    found = [
        *_foreign("law", law, str(law.get("name")), LAW_OPTIONS),
        *_foreign("method", method, str(method.get("name", "gradient_descent")), METHOD_OPTIONS),
    ]
    if "data" in raw and ("name" in data) == ("file" in data):
        found.append("data: give either `name` (a known set) or `file` (your own)")
    if "name" in data:
        found += [f"data: `{key}` belongs to a file, not to a known set" for key in ("x", "y") if key in data]
    if "file" in data:
        found += [f"data: `{key}` belongs to a known set, not to a file" for key in _SET_OPTIONS if key in data]
        if ("positive" in data) != ("negative" in data):
            found.append("data: a file's classes need both `positive` and `negative`: got one of them")
    if law.get("name") == "atoms" and "file" not in law:
        found.append("law: atoms need `file`, an NPZ with `points` (k, dim) and, if you like, `weights` (k,)")
    low: Any = law.get("low", Uniform.low)
    high: Any = law.get("high", Uniform.high)
    if law.get("name") == "uniform" and _numbers(low, high) and not low < high:
        found.append(f"law: `low` must be below `high`: got {low} and {high}")
    count: Any = start.get("count")
    positions: Any = record.get("positions")
    if start.get("signs") == "symmetric" and _numbers(count) and count > 0 and count % 2:
        found.append(f'start: `count` must be even with signs = "symmetric": got {count}. Use {count + 1}')
    if rule.get("name") == "l1" and "about" in rule:
        found.append("regulariser: `about` belongs to l2")
    if rule and method.get("name") in OWN_REGULARISER:
        found.append(f"{method['name']} brings its own regulariser: use `method.weight_decay`, or another method")
    if method.get("name") in ("langevin", "dual_averaging") and "temperature" not in method:
        found.append(f"method: {method['name']} needs `temperature`, in units of V: give 0.01, say")
    if method.get("name") == "dual_averaging" and isinstance(method.get("temperature"), dict):
        found.append("method: the `temperature` of dual_averaging is a number: langevin's may be a schedule")
    noisy = method.get("name") in ("langevin", "dual_averaging") and method.get("temperature", 0) != 0
    if noisy and "limit" in raw:
        found.append(
            f"limit: no quadrature integrates the noise of {method['name']}: leave it out, or take many particles"
        )
    network = _section(raw, "network")
    if method.get("name") == "fisher_rao":
        if network.get("beta", 1.0) != 1.0 or "output" in str(network.get("train", "input")):
            found.append("fisher_rao needs `network.beta` = 1 and input weights that train alone")
        if rule.get("about") == "start":
            found.append('fisher_rao needs a potential: a regulariser about the start has none; use about = "zero"')
    if method.get("name") == "runge_kutta" and rule.get("name") == "l1":
        found.append("runge_kutta needs a smooth regulariser: use l2")
    for name in ("step", "temperature"):
        given = method.get(name)
        if isinstance(given, dict) and given.get("schedule") == "inverse_sqrt" and "t0" in given:
            found.append(f"method: `{name}.t0` belongs to robbins_monro")
    if "tolerance" in method and method.get("scheme", RungeKutta.scheme) not in EMBEDDED:
        found.append(f"method: `tolerance` needs a scheme that estimates its error: {' or '.join(EMBEDDED)}")
    variables = record.get("variables")
    if isinstance(variables, list) and "test" not in data and any(str(name).startswith("test_") for name in variables):
        found.append("`record.variables` asks for test_ quantities: give `data.test`, a share such as 0.2")
    if _numbers(positions, count) and positions > count > 0:
        found.append(f"`record.positions` must not exceed `start.count`: got {positions} for {count}")
    return found


def _section(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _foreign(name: str, section: dict[str, Any], kind: str, options: dict[str, set[str]]) -> list[str]:
    """Options that belong to another kind are faults, not ignored."""
    known = set().union(*options.values())
    if kind not in options:
        return []
    takes = ", ".join(sorted(options[kind])) or "none"
    return [
        f"{name}: `{key}` does not belong to {kind}: it takes {takes}"
        for key in section
        if key in known - options[kind]
    ]
