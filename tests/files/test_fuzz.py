"""Files that a stranger could have made: no traceback, signal, long wait, byte of another file, nothing executed.

The cases are in tests/fuzz/; `cd tests && python -m fuzz NAME` tries one of them alone.
"""

import pytest
from fuzz import families  # noqa: F401  (fills the table)
from fuzz.case import Case, cases
from fuzz.run import Fuzzer
from fuzz.uses import BAD
from support.daily import some

RESULTS, DATA, CONFIGURATIONS = ("result", "sweep", "resumed"), ("data", "law"), ("config", "runs", "checked")
# Faults that were found here, and are of no other test.
NAMED = {
    "dimensions/list-number", "sizes/run-array-deeper", "arrays/run-iteration-missing",
    "arrays/run-loss-long-double", "arrays/sweep-loss-scalar", "arrays/sweep-comparison.sup_distance-nan",
    "folders/run-time", "checkpoints/inside-rows-array", "checkpoints/iteration-negative",
    "checkpoints/processor", "mutations/run-empty-1",
    "things/holes.csv",
}  # fmt: skip
DAILY = NAMED | {case.name for case in cases(every=70)} - {"sizes/run-array-inflated"}
# 5000 attributes take 10 s of a processor; one of half the speed would come near the limit of 20 s.
HEAVY = {"sizes/sweep-array-attributes", "sizes/run-array-attributes"}
LONG = DAILY | {case.name for case in cases(every=3) if case.kind in RESULTS}
LONG |= {case.name for case in cases(every=2) if case.kind not in RESULTS} | {case.name for case in cases("things/")}
LONG -= HEAVY


def marked(case):
    """Some cases are tried by default, about two in five by the slow tests, the others by hand."""
    marks = [] if case.name in DAILY else [pytest.mark.slow if case.name in LONG else pytest.mark.exhaustive]
    return pytest.param(case, id=case.name, marks=marks)


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    fuzzer = Fuzzer(tmp_path_factory.mktemp("fuzz"))
    with fuzzer.worker:
        yield fuzzer


@pytest.mark.parametrize("case", [marked(case) for case in cases()])
def test_hostile_file__does_no_harm(fuzzer, case):
    assert [f"{fault.kind}: {fault.text}" for fault in fuzzer.tried(case).faults] == []


@pytest.mark.parametrize("kind", some(BAD, *(BAD.keys() - {"time", "memory", "signal"})))
def test_fuzzer__sees_each_kind_of_harm(fuzzer, kind):
    def make(place, random, variant):
        path = place.inside / variant
        path.touch()
        return path

    found = fuzzer.tried(Case("bad", kind, "bad", make)).faults
    assert {fault.kind for fault in found} == ({kind} if kind != "none" else set())


def test_fuzzer__has_the_cases_that_the_docs_name():
    """At least 300 results, 200 data files and laws, 60 configurations in the slow tests, some by default."""
    for kinds, least in ((RESULTS, 300), (DATA, 200), (CONFIGURATIONS, 60)):
        named = {case.name for case in cases() if case.kind in kinds}
        assert len(named & LONG) >= least and len(named & DAILY) >= least // 60
    assert len({case.name for case in cases()}) == len(cases()) and len(DAILY) >= 30
    assert {case.family for case in cases()} == {case.family for case in cases() if case.name in LONG}
