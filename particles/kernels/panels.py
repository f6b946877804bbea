"""The shape of panels, of the product and of the one-sample sweep, by what the processor has. No bit depends on it.

A panel keeps tiles x rows sums in registers, beside them a vector of each tile and one broadcast number. A broadcast
number feeds one multiply-add a tile, so more tiles are better as long as nothing is spilled; a block's 32 tiles are a
multiple of each. `drivers/inner_loops.py` shows what the compiler makes of the panels, for any processor.
"""

import contextlib
import re
from functools import cache
from pathlib import Path

from numba import config
from numba.core.codegen import get_host_cpu_features

ROWS = 6

# The first feature that the processor has decides. Registers that a panel takes, of those that there are:
TILES = {
    "avx512f": 4,  # 24 + 4 + 1 of 32, a tile's vector is one
    "avx2": 1,  # 12 + 2 + 1 of 16, a tile's vector is two; multiply-adds alone are no faster than this
    "neon": 1,  # 24 + 4 + 1 of 32, a tile's vector is four
}

# From how many inputs on a slope that is kept in memory costs less than making pre-activation and slope again: fewer
# where sigma and sigma' have most of their arithmetic in common, so that made together they cost hardly more than one.
# On AVX2 gelu's step takes 0.9 of the time at 10 inputs and 0.75 at 50, sin's 0.7 to 0.8 at 20; sigmoid's and tanh's
# are the same at 50. With up to 3 inputs nothing is kept: it would save gelu a tenth.
KEEP_FROM = {"gelu": 4, "sin": 16, "cos": 16}
_KEEP_FROM = 96
# Of several outputs: with 10 at 64 inputs a step takes 0.82 to 0.89 of the time (Zen 4). ReLU's values cost nothing to
# make again: with both layers moving it gains nothing there, and loses a fifth at 32 inputs.
_KEEP_FROM_MANY = 48

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_L2 = 512, 2048  # KB where the system does not say, and at most: a virtual machine may be shown more than it has


def tiles_for(features: str) -> int:
    """Tiles of a panel for a processor with these features, written as LLVM does: `+avx2,-avx512f`."""
    has = features.split(",")
    return next((tiles for name, tiles in TILES.items() if f"+{name}" in has), 1)


def outputs_at_once(tiles: int) -> int:
    """Outputs whose sums stay in registers beside those of three samples, where a panel has so many tiles."""
    return 2 if tiles == 1 else 4  # 12 + 2 of AVX2's 16 registers, 12 + 4 of AVX-512's 32


def keep_from(activation: str, outputs: int = 1) -> int:
    """Inputs from which on the slopes of an activation are kept from the sum to the push."""
    few = outputs == 1 or activation == "relu"
    return KEEP_FROM.get(activation, _KEEP_FROM if few else _KEEP_FROM_MANY)


@cache
def tiles_here() -> int:
    """Tiles of a panel for the processor that Numba compiles for."""
    chosen = getattr(config, "CPU_FEATURES", None)
    return tiles_for(get_host_cpu_features() if chosen is None else chosen)


@cache
def near_bytes(caches: Path = _CACHES) -> int:
    """Half of this processor's second cache."""
    size, most = _L2
    with contextlib.suppress(OSError):  # a container may hide it
        for level in caches.glob("index*/level"):
            text = level.with_name("size").read_text().strip()
            if level.read_text().strip() == "2" and re.fullmatch(r"[1-9][0-9]{0,6}K", text):
                size = int(text[:-1])
    return min(size, most) << 9
