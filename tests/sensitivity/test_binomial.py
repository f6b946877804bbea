"""Which states of a run are kept: every state is visited, no step is made more often than need be."""

import functools
from math import comb

import pytest
from hypothesis import given, strategies as some

from particles.sensitivity.binomial import backward


def followed(last, slots):
    """The visited states and how many steps were made, as a machine with that many slots goes through the actions."""
    kept, here, steps, visited = {}, 0, 0, []
    for action, number in backward(last, slots):
        if action == "keep":
            assert 0 <= number < slots
            kept[number] = here
        elif action == "restore":
            here = kept[number]
        elif action == "advance":
            assert number > here
            steps += number - here
            here = number
        else:
            assert action == "visit" and number == here
            visited.append(number)
    return visited, steps


@functools.cache
def fewest(states, slots):
    """Steps to visit so many states backward, the first of them being kept, with `slots` others: every choice tried."""
    if states == 1:
        return 0
    if slots == 0:
        return states * (states - 1) // 2
    return min(ahead + fewest(states - ahead, slots - 1) + fewest(ahead, slots) for ahead in range(1, states))


@pytest.mark.parametrize("slots", range(1, 9))
def test_backward__makes_as_few_steps_as_any_schedule(slots):
    for last in range(60):
        visited, steps = followed(last, slots)
        assert visited == list(range(last, -1, -1))
        assert steps == fewest(last + 1, slots - 1)


@given(some.integers(0, 400), some.integers(1, 500))
def test_backward__visits_every_state_once_with_the_slots_it_has(last, slots):
    visited, steps = followed(last, slots)
    assert visited == list(range(last, -1, -1))
    if slots > last:
        assert steps == last


@pytest.mark.parametrize("slots", [2, 3, 10, 200])
def test_backward__goes_through_ten_thousand_steps(slots):
    last = 10_000 if slots > 2 else 2_000
    visited, steps = followed(last, slots)
    assert visited == list(range(last, -1, -1))
    repeats = next(r for r in range(1, last + 1) if comb(slots + r, slots) >= last + 1)
    assert steps <= repeats * last


def test_backward__begins_with_the_run_itself():
    """The first actions lead straight to the end, so that the run's first time through is part of the schedule."""
    for last, slots in ((1, 2), (50, 3), (50, 100), (777, 5)):
        here = 0
        for action, number in backward(last, slots):
            if action == "visit":
                break
            assert action in ("keep", "advance")
            here = number if action == "advance" else here
        assert here == last
