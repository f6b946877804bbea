"""When to keep the state of a run that is gone through backward: the binomial schedule, which repeats fewest steps.

Griewank and Walther (2000), Algorithm 799: revolve. With S kept states and every step made at most r times over,
C(S + r, S) steps can be reversed.
"""

from collections.abc import Iterator
from math import comb

Action = tuple[str, int]  # "keep" slot, "restore" slot, "advance" to an iteration, "visit" an iteration


def backward(last: int, slots: int) -> Iterator[Action]:
    """What visits the states last, last - 1, ..., 0 of a run that begins at state 0, with `slots` >= 1 kept states.

    A slot is free again once the states after it were visited. The first actions lead straight to the end.
    """
    yield "keep", 0
    here, waiting = 0, [(0, last, 0)]  # parts still to visit, the next one at the end: first and last state, slot
    while waiting:
        first, end, slot = waiting.pop()
        if here != first:
            yield "restore", slot
            here = first
        free = slots - 1 - slot
        if first == end:
            yield "visit", first
        elif free == 0:
            yield "advance", end
            yield "visit", end
            here = end
            waiting.append((first, end - 1, slot))
        else:
            here = first + _ahead(end - first + 1, free)
            yield "advance", here
            if here < end:
                yield "keep", slot + 1
            waiting += [(first, here - 1, slot), (here, end, slot + 1)]


def _ahead(states: int, free: int) -> int:
    """How far ahead of the first of so many states the next one is kept, with `free` slots besides its own."""
    r = 1
    while _reach(free, r) < states:
        r += 1
    # The part from there on has a slot less and is reversed with r repeats, the part before it with r - 1.
    return max(1, states - _reach(free - 1, r), _reach(free, r - 2))


def _reach(free: int, repeats: int) -> int:
    """How many states can be visited backward with no step made more often than `repeats` times."""
    return comb(free + 1 + repeats, repeats) if repeats >= 0 else 0
