"""The linearised step: what a small change of the particles does to the sums, and what it becomes in the push.

The velocity is minus a gradient, so its derivative is symmetric: the loops that carry a change of the particles forward
in time also carry the derivative of a run back. A direction is one number for every coordinate of every particle, p for
positions and q for output weights, in the storage of those. Several directions go together, since pre-activations and
their sigma, sigma', sigma'' serve all of them. How many do so, tiles, shards and threads change no bit.
"""

from typing import Any, NamedTuple

from particles.kernels import linearised_push as push, linearised_sum as sums, many_outputs, output, panels, special
from particles.kernels.compile import inlined, plain, specialise
from particles.kernels.lanes import LANES as LANES_OF
from particles.kernels.product import product_loops


class LinearKernels(NamedTuple):
    """The loops, compiled (or plain, for the tests)."""

    sum_changes: Any
    change_velocities: Any


def linear_kernels(
    sigma: Any,
    derivative: Any,
    curvature: Any,
    dtype: str,
    inputs: int | None = None,
    make: Any = specialise,
    join: Any = inlined,
) -> LinearKernels:
    """The loops of one activation and one float type. inputs: how many, up to NARROW, of one output, or None."""
    lanes = LANES_OF[dtype]
    tiles = 1 if inputs else panels.tiles_here()
    names: dict[str, Any] = {"LANES": lanes, "TILES": tiles, "NEAR": panels.near_bytes(), "INPUTS": inputs}
    names |= {"sigma": sigma, "derivative": derivative, "curvature": curvature}
    names["jet"] = special.JETS.get(sigma) or join(push.three_formulas, **names)
    names |= {"row_of": join(output.row_of), "merge": join(output.merge)}
    names["weigh_signs"] = join(output.weigh_signs, LANES=lanes)
    for part in (sums.samples_of_sum, output.samples_at_once):
        names[part.__name__] = join(part, **names)
    if not inputs:
        names["OUTPUTS"] = panels.outputs_at_once(tiles)
        names["product"] = product_loops(lanes, tiles, make, join)
        names["several"] = join(many_outputs.add_panel, LANES=lanes, COUNT=names["OUTPUTS"])
        names["single"] = join(many_outputs.add_panel, LANES=lanes, COUNT=1)
    summed = (sums.slopes_of, sums.narrow_changes) if inputs else (
        sums.weigh_slopes, sums.add_products, sums.add_tiles, sums.wide_changes)  # fmt: skip
    pushed = (push.curve, push.curve_two, push.narrow_push) if inputs else (
        push.curve, push.curve_two, push.curve_tile, push.add_values, push.weigh_samples, push.turn_tile,
        push.wide_push)  # fmt: skip
    for part in (*summed, sums.weigh_changes, *pushed, push.add_change, push.weigh_values):
        names[part.__name__] = join(part, **names)
    names |= {"changes": names[summed[-1].__name__], "block_push": names[pushed[-1].__name__]}
    return LinearKernels(make(sums.sum_changes, **names), make(push.change_velocities, **names))


def plain_linear_kernels(
    sigma: Any, derivative: Any, curvature: Any, dtype: str, inputs: int | None = None
) -> LinearKernels:
    """The same loops as ordinary Python, for the tests."""
    return linear_kernels(sigma, derivative, curvature, dtype, inputs, make=plain, join=plain)
