"""Every example in the docstrings of the public face is true, and whatever a user calls has one."""

import doctest

import numpy as np
import pytest
from support import face

import particles as mf

NONE = {
    "ClusterError": "a cluster would have to fail",
    "Ray": "a cluster takes seconds to start: test_ray.py",
}
CALLED = {f"{made.__module__}.{made.__qualname__}": made for _, made in face.names() if callable(made)}


def examples(made):
    found = doctest.DocTestFinder().find(made, f"{made.__module__}.{made.__qualname__}", globs={"mf": mf, "np": np})
    return [test for test in found if test.examples]


EXAMPLES = {test.name: test for made in CALLED.values() for test in examples(made)}


def is_result(made):
    """A NamedTuple that functions return, and that their examples show; a user makes but two of them."""
    return isinstance(made, type) and issubclass(made, tuple) and made not in (mf.Activation, mf.Measure)


@pytest.mark.parametrize("name", [name for name, made in CALLED.items() if not is_result(made)])
def test_docstring__has_an_example(name):
    assert (name in EXAMPLES) != (CALLED[name].__name__ in NONE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example__is_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with np.errstate(all="raise"):  # the caller's setting must not reach what underflows on purpose
        runner.run(EXAMPLES[name], out=told.append)
    assert not runner.failures, "".join(told)
