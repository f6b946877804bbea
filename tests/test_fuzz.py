"""Files that a stranger could have made: no traceback, signal, long wait, byte of another file, nothing executed.

The cases are in tests/fuzz/; `cd tests && python -m fuzz NAME` tries one of them alone.
"""

import pytest
from fuzz import families  # noqa: F401  (fills the table)
from fuzz.case import Case, cases
from fuzz.run import Fuzzer
from fuzz.uses import BAD
from support.daily import some

DAILY = {case.name for case in tenth()}


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    fuzzer = Fuzzer(tmp_path_factory.mktemp("fuzz"))
    with fuzzer.worker:
        yield fuzzer


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=[] if case.name in DAILY else pytest.mark.slow) for case in cases()],
)
def test_hostile_file__does_no_harm(fuzzer, case):
    assert [f"{fault.kind}: {fault.text}" for fault in fuzzer.tried(case).faults] == []


@pytest.mark.parametrize("kind", some(BAD, *(BAD.keys() - {"memory"})))
def test_fuzzer__sees_each_kind_of_harm(fuzzer, kind):
    def make(place, random, variant):
        path = place.inside / variant
        path.touch()
        return path

    found = fuzzer.tried(Case("bad", kind, "bad", make)).faults
    assert {fault.kind for fault in found} == ({kind} if kind != "none" else set())


def test_fuzzer__has_the_cases_that_are_promised():
    """Issue's numbers: results 300, data and laws 200, configurations 60; each name once, a tenth by default."""
    kinds = [case.kind for case in cases()]
    assert sum(kind in ("result", "sweep", "resumed") for kind in kinds) >= 300
    assert sum(kind in ("data", "law") for kind in kinds) >= 200
    assert sum(kind in ("config", "runs", "checked") for kind in kinds) >= 60
    assert len({case.name for case in cases()}) == len(kinds)
    assert {case.family for case in cases()} == {case.family for case in tenth()}
