"""The tangent kernel's product with a vector, a block of particles at a time and without the matrix.

The vector is passed through the particles as the slopes of a loss would be, and the forces are summed at the inputs.
"""

import numpy as np

from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.blocks import Cloud
from particles.measures.measure import Array
from particles.model.network import Network
from particles.theory.tangent.tiles import kernels_of


class Forces:
    """The products of blocks. size : n k, of a vector."""

    def __init__(self, net: Network, cloud: Cloud, inputs: Array) -> None:
        self.size = len(inputs) * cloud.outputs
        self._cloud, self._x = cloud, np.ascontiguousarray(inputs).reshape(-1)
        self._push, self._pull = net.kernels("float64", cloud.d), kernels_of(net.activation)
        self._trained, self._both = "input" in net.train, "output" in net.train

    def add(self, slope: Array, first: int, last: int, totals: Array) -> None:
        """totals[block] = the block's part of K slope, for blocks in [first, last): (n k,), (K, n k)."""
        cloud, x, b, none = self._cloud, self._x, self._cloud.b.reshape(-1), np.empty(0)
        d, k, K = cloud.d, cloud.outputs, len(cloud.b)
        force, output = np.zeros(BLOCK * d), np.zeros(BLOCK * k)
        for block in range(first, last):
            self._push.velocity_blocks(b, cloud.signs, d, x, slope, -1.0, self._both, cloud.last_tiles, block,
                                       block + 1, 0, False, none, force, output)  # fmt: skip
            if not self._trained:
                force[:] = 0.0
            w = blocks.row(cloud.w, block, K)
            tiles, place = cloud.last_tiles if block == K - 1 else BLOCK // cloud.b.shape[-1], block * BLOCK * d
            if k == 1:
                c = np.stack([w * blocks.row(cloud.s, block, K), w])
                self._pull.apply_block(b, place, d, c, x, tiles, self._both, force, output, totals[block])
            else:
                a = cloud.signs[block]
                self._pull.apply_outputs(b, place, d, a, w, x, tiles, self._both, force, output, totals[block])
