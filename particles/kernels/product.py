"""The matrix product inside a block: a panel of rows in registers, one multiply-add a row and step.

out[q] += sum_j x[place + q stride + j step] a[j], q = 0 .. rows - 1, every out[q] and a[j] a vector of lanes. With a =
the inputs' weights of one tile of particles and q over samples this makes pre-activations; with a = the samples' forces
and q over inputs, velocities. The data stay as they are: no copy is packed.

Six rows of two AVX2 registers each, the tile's two and one broadcast number fill the 16 registers: 48 GFLOP/s on one
core where multiply-adds alone reached 47 (the clock drifts) and OpenBLAS 44. Each row's sum
runs over j in order, so neither panels nor chunks change a bit.
"""

from typing import Any

from particles.kernels.lanes import load, load_rows, spread, store_rows, zero_rows

ROWS = 6
CHUNK = 256  # steps whose a's (16 KB) stay in the L1 while panels go by

LANES = 8  # settled by `specialise`, as are the names below
COUNT = 6


def panel(out, first, a, begin, x, place, stride, step, count, fresh):
    """COUNT rows of the product, from zero if `fresh`, else added to what is there."""
    rows = zero_rows(out, COUNT) if fresh else load_rows(out, first, COUNT)
    for j in range(count):
        rows = spread(rows, load(a, begin + j * LANES), x, place + j * step, stride)
    store_rows(out, first, rows)


six = five = four = three = two = one = panel


def rest(rows, out, first, a, begin, x, place, stride, step, count, fresh):
    """The last panel, of one to five rows."""
    if rows == 5:
        five(out, first, a, begin, x, place, stride, step, count, fresh)
    elif rows == 4:
        four(out, first, a, begin, x, place, stride, step, count, fresh)
    elif rows == 3:
        three(out, first, a, begin, x, place, stride, step, count, fresh)
    elif rows == 2:
        two(out, first, a, begin, x, place, stride, step, count, fresh)
    elif rows == 1:
        one(out, first, a, begin, x, place, stride, step, count, fresh)


def product(rows, out, first, a, begin, x, place, stride, step, count, fresh):
    """All rows: out[first + q lanes] (+)= sum_j x[place + q stride + j step] a[begin + j lanes]."""
    whole = rows - rows % ROWS
    for done in range(0, count, CHUNK):
        chunk = min(CHUNK, count - done)
        new = fresh and done == 0
        a0, x0 = begin + done * LANES, place + done * step
        for q in range(0, whole, ROWS):
            six(out, first + q * LANES, a, a0, x, x0 + q * stride, stride, step, chunk, new)
        rest(rows - whole, out, first + whole * LANES, a, a0, x, x0 + whole * stride, stride, step, chunk, new)


def product_loops(lanes: int, make: Any, join: Any) -> Any:
    """`product` for this many lanes, its panels of one to six rows compiled into it."""
    names = ("one", "two", "three", "four", "five", "six")
    panels = {name: join(panel, LANES=lanes, COUNT=count) for count, name in enumerate(names, 1)}
    return make(product, LANES=lanes, rest=make(rest, **panels), **panels)
