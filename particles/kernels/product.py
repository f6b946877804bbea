"""The matrix product inside a block: a panel of tiles and rows in registers, one multiply-add a tile, row and step.

out_u[q] += sum_j x[place + q stride + j step] a_u[j], q = 0 .. rows - 1, for each tile u, every out_u[q] and a_u[j] a
vector of lanes. With a_u = the inputs' weights of a tile of particles and q over samples this makes pre-activations;
with a_u = the samples' forces and q over inputs, velocities. The data stay as they are: no copy is packed.

Each row's sum runs over j in order, so neither a panel's shape (`panels`) nor chunks change a bit.
"""

from typing import Any

from particles.kernels.lanes import load_panel, spread, store_panel, zero_rows
from particles.kernels.panels import ROWS

LANES = 8  # settled by `specialise`, as are the names below
TILES = 1
CHUNK = 256
COUNT = 6
SUMS = 6


def panel(out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh):
    """COUNT rows of the product for TILES tiles, from zero if `fresh`, else added to what is there."""
    rows = zero_rows(out, SUMS) if fresh else load_panel(out, first, out_tile, TILES, COUNT)
    for j in range(count):
        rows = spread(rows, load_panel(a, begin + j * LANES, a_tile, TILES, 1), x, place + j * step, stride)
    store_panel(out, first, out_tile, TILES, rows)


six = five = four = three = two = one = panel


def rest(rows, out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh):
    """The last panel, of one to five rows."""
    if rows == 5:
        five(out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh)
    elif rows == 4:
        four(out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh)
    elif rows == 3:
        three(out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh)
    elif rows == 2:
        two(out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh)
    elif rows == 1:
        one(out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh)


def product(rows, out, first, out_tile, a, begin, a_tile, x, place, stride, step, count, fresh):
    """All rows: out_u[q] (+)= sum_j x[place + q stride + j step] a_u[j].

    out_u[q] is at out[first + u out_tile + q lanes], a_u[j] at a[begin + u a_tile + j lanes].
    """
    whole = rows - rows % ROWS
    for done in range(0, count, CHUNK):
        chunk = min(CHUNK, count - done)
        new = fresh and done == 0
        a0, x0 = begin + done * LANES, place + done * step
        for q in range(0, whole, ROWS):
            six(out, first + q * LANES, out_tile, a, a0, a_tile, x, x0 + q * stride, stride, step, chunk, new)
        last, x1 = first + whole * LANES, x0 + whole * stride
        rest(rows - whole, out, last, out_tile, a, a0, a_tile, x, x1, stride, step, chunk, new)


def product_loops(lanes: int, tiles: int, make: Any, join: Any) -> Any:
    """`product` for this many lanes and tiles, its panels of one to six rows compiled into it."""
    names = ("one", "two", "three", "four", "five", "six")
    panels = {
        name: join(panel, LANES=lanes, TILES=tiles, COUNT=count, SUMS=tiles * count)
        for count, name in enumerate(names, 1)
    }
    chunk = CHUNK // tiles
    return make(product, LANES=lanes, CHUNK=chunk, rest=make(rest, **panels), **panels)
