"""The loops of one activation, one float type and one number of inputs, put together and compiled.

Storage. Particles live in blocks of `BLOCK`, each in tiles of one vector's lanes, each tile input by input: b (K, BLOCK
/ LANES, d, LANES). So a tile is one run of memory, whatever d is. A last block that is not full is padded with
particles of weight zero. Block and lanes are part of the algorithm: changing them changes the last bits of results.
"""

from typing import Any, NamedTuple

from particles.kernels import noise, output, panels, product, update, velocity
from particles.kernels.compile import inlined, plain, specialise
from particles.kernels.lanes import LANES as LANES
from particles.kernels.output import BLOCK as BLOCK

NARROW = 3  # inputs up to which the narrow way is the faster one (measured, see drivers/benchmark.py)


class BlockKernels(NamedTuple):
    """The loops, compiled (or plain, for the tests)."""

    sum_groups: Any
    velocity_blocks: Any
    move_blocks: Any
    stage_blocks: Any
    average_blocks: Any
    shake_blocks: Any


def block_kernels(
    sigma: Any,
    derivative: Any,
    dtype: str,
    inputs: int | None,
    make: Any = specialise,
    join: Any = inlined,
    tiles: int | None = None,
) -> BlockKernels:
    """The loops of one activation. inputs: how many, up to NARROW, or None for any number; tiles: of a panel."""
    lanes, narrow = LANES[dtype], inputs is not None
    tiles = 1 if narrow else tiles or panels.tiles_here()
    settled: dict[str, Any] = {"LANES": lanes, "TILES": tiles, "sigma": sigma, "derivative": derivative}
    if narrow:
        settled["INPUTS"] = inputs
    else:
        settled["product"] = product.product_loops(lanes, tiles, make, join)
        settled["add_outputs"] = join(output.add_outputs, **settled)
        settled["keep_slopes"] = join(output.keep_slopes, **settled)
        settled["keep_outputs"] = join(output.keep_outputs, **settled)
        settled["weigh_kept"] = join(velocity.weigh_kept, **settled)
        settled["weigh_slopes"] = join(velocity.weigh_slopes, **settled)
    small = {"row_of": join(output.row_of), "samples_at_once": join(output.samples_at_once, NEAR=panels.near_bytes())}
    sums = join(output.narrow_sums if narrow else output.wide_sums, **settled, **small)
    force = join(velocity.narrow_force if narrow else velocity.wide_force, **settled, **small)
    noises = {"philox": join(noise.philox), "log_of": join(noise.log_of), "turn": join(noise.turn)}
    return BlockKernels(
        make(output.sum_groups, LANES=lanes, block_sums=sums, merge=join(output.merge), **small),
        make(velocity.velocity_blocks, LANES=lanes, TILES=tiles, block_force=force, **small),
        make(update.move_blocks, LANES=lanes, shrink=join(update.shrink)),
        make(update.stage_blocks, LANES=lanes),
        make(update.average_blocks, LANES=lanes),
        make(noise.shake_blocks, LANES=lanes, **noises),
    )


def plain_block_kernels(sigma: Any, derivative: Any, dtype: str, inputs: int | None) -> BlockKernels:
    """The same loops as ordinary Python, for the tests."""
    return block_kernels(sigma, derivative, dtype, inputs, make=plain, join=plain)
