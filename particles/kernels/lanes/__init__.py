"""Vector lanes as values: a kernel says which numbers share a register, and every sum has its order written down.

A compiler that looks for vectors by itself must be allowed to reorder sums, or gives up on long formulas. Here `load`
gives `LANES` numbers at once (a cache line: 8 float64 or 16 float32), arithmetic works on all of them, and `fma` is a
multiply-add that rounds once. Nothing is left to the compiler, so two kernels that name the same operations give the
same bits, and no fast-math flag is needed. `Rows` are several such vectors which stay in registers around a loop.

Each primitive is an ordinary function of NumPy arrays with, beside it, how to compile it: the same kernel runs as plain
Python (in the tests) and compiled. The formulas also take single numbers, so each is written once.
"""

from particles.kernels.lanes.arithmetic import (
    any_beyond as any_beyond,
    at_most as at_most,
    by_bit as by_bit,
    by_type as by_type,
    capped as capped,
    clamp as clamp,
    even_part as even_part,
    fma as fma,
    leading as leading,
    low_bits_power as low_bits_power,
    magnitude as magnitude,
    odd_part as odd_part,
    polynomial as polynomial,
    sqrt as sqrt,
    with_sign as with_sign,
)
from particles.kernels.lanes.memory import (
    at as at,
    fold as fold,
    join as join,
    load as load,
    lower as lower,
    put as put,
    store as store,
    take as take,
    upper as upper,
    width_of as width_of,
    zeros as zeros,
)
from particles.kernels.lanes.rows import (
    load_panel as load_panel,
    load_rows as load_rows,
    project as project,
    spread as spread,
    store_panel as store_panel,
    store_rows as store_rows,
    zero_rows as zero_rows,
)
from particles.kernels.lanes.types import LANES as LANES, Lanes as Lanes
