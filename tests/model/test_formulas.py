"""What tells formulas apart: the same in every session, and another where anything that they compute with is."""

import math
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache, partial

import numba
import numpy as np
import pytest

import particles as mf
from particles.kernels.elementwise import lanewise
from particles.model.formulas import UNKNOWN, content
from particles.model.tables import _hash, described

RATE = 2.0
SCRIPT = """
import math
import particles as mf
from particles.kernels.elementwise import lanewise

RATE = 1.0


def fading(v):
    return math.exp(-RATE * v) if RATE in {1.0, 2.0, "a", "b", "c"} else 0.0


def swish(v):
    return v / (1.0 + fading(v))


for _ in range(100):
    swish(0.1)
row = mf.ACTIVATIONS["tanh"]._replace(name="swish", sigma=lanewise(swish), value_kernel=lambda a, b, c: a)
loss = mf.LOSSES["squared"]._replace(name="mine")
shape = mf.OBSERVABLES["dissipation"]._replace(name="mine")
print([row, loss, shape])
"""


def text(formula):
    return list(content(formula))


def test_content__is_the_same_in_another_session(tmp_path):
    (tmp_path / "own.py").write_text(SCRIPT)
    one, other = (
        subprocess.run(
            [sys.executable, "own.py"], cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    )  # fmt: skip
    assert one == other and one.startswith("['swish ")


def helper(v):
    return RATE * v


def scaled(size, table=None):
    return lambda v, power=1: size * v**power + (0.0 if table is None else table[0])


@dataclass
class Scale:
    """A formula with a setting."""

    size: float

    def of(self, v):
        return self.size * v


class Power:
    """An object that can be called, and is a part of itself."""

    def __init__(self, size):
        self.size, self.all = size, [self]

    def __call__(self, v):
        return v**self.size


def calling(function):
    return lambda v: function(v) + helper(v)


PAIRS = {
    "bytecode": (lambda v: v + 1.0, lambda v: v - 1.0),
    "constant": (lambda v: v + 1.0, lambda v: v + 2.0),
    "type of a constant": (lambda v: v + 1.0, lambda v: v + 1),
    "function": (lambda v: math.sin(v), lambda v: math.cos(v)),
    "closure": (scaled(1.0), scaled(2.0)),
    "array": (scaled(1.0, np.zeros(3)), scaled(1.0, np.ones(3))),
    "called": (calling(lambda v: v), calling(lambda v: -v)),
    "compiled": (calling(numba.njit(lambda v: v)), calling(numba.njit(lambda v: -v))),
    "builtin": (calling(math.sin), calling(math.cos)),
    "ufunc": (calling(np.sin), calling(np.cos)),
    "inner": (lambda v: [w + 1 for w in v], lambda v: [w + 2 for w in v]),
    "method": (Scale(1.0).of, Scale(2.0).of),
    "callable": (Power(1.0), Power(2.0)),
    "cached": (calling(cache(lambda v: v)), calling(cache(lambda v: -v))),
    "partial": (partial(helper, 1.0), partial(helper, 2.0)),
    "lanes": (lanewise(lambda v: v), lanewise(lambda v: -v)),
    "package": (mf.ACTIVATIONS["tanh"].sigma, mf.ACTIVATIONS["erf"].sigma),
    "sum": (mf.Reduction(helper, "sum"), mf.Reduction(helper, "max")),
}


@pytest.mark.parametrize("name", PAIRS)
def test_content__tells_formulas_apart_by_their(name):
    one, other = PAIRS[name]
    assert text(one) != text(other)
    assert text(one) == text(one)


def test_content__has_numbers_of_the_module_and_of_functions_that_are_called(monkeypatch):
    before = text(calling(helper))
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert text(calling(helper)) != before


def test_content__of_a_function_that_calls_itself_ends():
    def factorial(v):
        return 1.0 if v < 1 else v * factorial(v - 1)

    assert not any(part.startswith(UNKNOWN) for part in content(factorial))


def test_content__says_where_it_knows_no_more():
    lock = threading.Lock()
    assert [part for part in content(calling(lock)) if part.startswith(UNKNOWN)] == [f"{UNKNOWN} lock"]


def test_content__is_short_where_a_package_defines_the_function():
    assert text(np.clip) == ["numpy.clip"]
    assert text(mf.ACTIVATIONS["tanh"].sigma) == ["particles.kernels.special.exponential.tanh"]


@pytest.mark.parametrize(("kind", "later"), [("LOSSES", ("joint", "classes")), ("OBSERVABLES", ("classes",))])
def test_described__of_a_row_that_leaves_later_fields_out_is_as_before_them(kind, later):
    """Files that were written before these fields are still the same run's."""
    table = getattr(mf, kind)
    mine = next(iter(table.values()))._replace(name="mine")
    before = [part for name, part in zip(mine._fields, mine, strict=True) if name not in later]
    assert described(mine, table) == f"mine {_hash(content(tuple(before)))}"
    assert len({described(mine._replace(**{name: True}), table) for name in later} | {described(mine, table)}) > 1
