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
CALLED = face.objects()


FINDER = doctest.DocTestFinder()
EXAMPLES = {
    test.name: test
    for name, value in CALLED.items()
    for test in FINDER.find(value, name, globs={"mf": mf, "np": np})
    if test.examples
}


def is_result(value):
    """A NamedTuple that functions return, and that their examples show; a user makes but two of them."""
    return isinstance(value, type) and issubclass(value, tuple) and value not in (mf.Activation, mf.Measure)


@pytest.mark.parametrize("name", [name for name, value in CALLED.items() if not is_result(value)])
def test_docstring__has_an_example(name):
    assert (name in EXAMPLES) != (CALLED[name].__name__ in NONE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example__is_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with np.errstate(all="raise"):  # the caller's setting must not reach what underflows on purpose
        runner.run(EXAMPLES[name], out=printed.append)
    assert not runner.failures, "".join(printed)
