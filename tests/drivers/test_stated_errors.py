"""Stated errors beside true ones on random problems: the driver's frame, and its coverage with few problems."""

import sys

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "drivers"))

import stated_errors

from particles.errors import InputError


def refused(seed):
    raise InputError("a rule", "a value", "a remedy")


def test_coverage__counts_answers_and_leaves_refusals_out():
    def check(seed):
        return refused(seed) if seed == 3 else None if seed == 4 else (1.0, 0.5 + 0.25 * seed)

    found = stated_errors.coverage(check, 6)
    assert (found.answered, found.covered) == (4, 3)
    assert found.ratios == [0.5, 0.75, 1.0, 1.75]
    low, high = found.interval
    assert low < 0.75 < high


@pytest.mark.parametrize(("answered", "most"), [(6, 2), (12, 3), (20, 4), (40, 6)])
def test_chance__is_improbable_beyond_a_number_of_misses(answered, most):
    def chance(misses):
        return stated_errors.Coverage(answered, answered - misses, [], 0.0).chance

    assert chance(most) >= stated_errors.IMPROBABLE > chance(most + 1)


def test_coverage__of_an_error_stated_as_0_needs_a_true_one_of_0():
    assert stated_errors.coverage(lambda seed: (0.0, 0.0), 1).covered == 1
    assert stated_errors.coverage(lambda seed: (0.0, 1e-12), 1).covered == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", stated_errors.checks())
def test_stated_error__covers_the_true_one(name):
    """Of 12 answers 4 misses fail: if each is covered with probability 95%, 0.2% of such tests have so many."""
    found = stated_errors.coverage(stated_errors.checks()[name], 12)
    assert found.answered >= 6
    assert found.chance >= stated_errors.IMPROBABLE
