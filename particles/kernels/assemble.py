"""The loops of one activation, one float type and one number of inputs, put together and compiled.

Storage. Particles live in blocks of `BLOCK`, each in tiles of one vector's lanes, each tile input by input: b (K, BLOCK
/ LANES, d, LANES). So a tile is one run of memory, whatever d is. A last block that is not full is padded with
particles of weight zero. Block and lanes are part of the algorithm: changing them changes the last bits of results.
"""

from typing import Any, NamedTuple

from particles.kernels import many_outputs, noise, output, panels, product, update, velocity
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
    many: bool = False,
) -> BlockKernels:
    """The loops of one activation. inputs: how many, up to NARROW, or None for any number; tiles: of a panel.

    many: for more than one output, and any number of inputs.
    """
    lanes, narrow = LANES[dtype], inputs is not None and not many
    tiles = 1 if narrow else tiles or panels.tiles_here()
    settled: dict[str, Any] = {"LANES": lanes, "TILES": tiles, "sigma": sigma, "derivative": derivative}
    small = {"row_of": join(output.row_of), "samples_at_once": join(output.samples_at_once, NEAR=panels.near_bytes())}
    merge, weigh = join(output.merge), join(output.weigh_signs, LANES=lanes)
    if narrow:
        settled["INPUTS"] = inputs
    else:
        settled["product"] = product.product_loops(lanes, tiles, make, join)
    if many:
        sums, velocities = _many_outputs(settled, make, join)
    else:
        sums, velocities = _one_output(settled, narrow, small, make, join)
    noises = {"philox": join(noise.philox), "log_of": join(noise.log_of), "turn": join(noise.turn)}
    return BlockKernels(
        make(output.sum_groups, LANES=lanes, block_sums=sums, merge=merge, weigh_signs=weigh, **small),
        velocities,
        make(update.move_blocks, LANES=lanes, shrink=join(update.shrink)),
        make(update.stage_blocks, LANES=lanes),
        make(update.average_blocks, LANES=lanes),
        make(noise.shake_blocks, LANES=lanes, **noises),
    )


def _one_output(settled: dict[str, Any], narrow: bool, small: dict[str, Any], make: Any, join: Any) -> tuple[Any, Any]:
    """The sum of one block, and the velocities of blocks."""
    names = dict(settled)
    for part in () if narrow else (output.add_outputs, output.keep_slopes, velocity.weigh_kept, velocity.weigh_slopes):
        names[part.__name__] = join(part, **names)
    if not narrow:
        names["keep_outputs"] = join(output.keep_outputs, **names)
    sums = join(output.narrow_sums if narrow else output.wide_sums, **names, **small)
    force = join(velocity.narrow_force if narrow else velocity.wide_force, **names, **small)
    shape = {"LANES": names["LANES"], "TILES": names["TILES"]}
    return sums, make(velocity.velocity_blocks, block_force=force, **shape, **small)


def _many_outputs(settled: dict[str, Any], make: Any, join: Any) -> tuple[Any, Any]:
    """The same for more than one output."""
    names = settled | {"OUTPUTS": panels.outputs_at_once(settled["TILES"])}
    names["samples_of_block"] = join(many_outputs.samples_of_block, LANES=names["LANES"], NEAR=panels.near_bytes())
    names["several"] = join(many_outputs.add_panel, LANES=names["LANES"], COUNT=names["OUTPUTS"])
    names["single"] = join(many_outputs.add_panel, LANES=names["LANES"], COUNT=1)
    tile = many_outputs.activate, many_outputs.activate_and_keep
    for part in (*tile, many_outputs.weigh_tile, many_outputs.weigh_tile_too, many_outputs.weigh_kept_tile):
        names[part.__name__] = join(part, **names)
    return join(many_outputs.many_sums, **names), make(many_outputs.many_velocities, **names)


def plain_block_kernels(
    sigma: Any, derivative: Any, dtype: str, inputs: int | None, many: bool = False
) -> BlockKernels:
    """The same loops as ordinary Python, for the tests."""
    return block_kernels(sigma, derivative, dtype, inputs, make=plain, join=plain, many=many)
