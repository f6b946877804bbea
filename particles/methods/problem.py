"""What is fixed while the particles move."""

from typing import NamedTuple

import numpy as np

from particles.measures.measure import Array
from particles.methods.settings import Method
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.messages import Drift
from particles.population.samples import Samples

Memory = dict[str, Array]  # what a method knows besides the particles


class Problem(NamedTuple):
    """The network, the loss, the samples, how the particles step, and for how long."""

    net: Network
    loss: Loss
    regulariser: Regulariser
    samples: Samples
    method: Method
    sizes: Array  # (T,) step sizes, flow time
    times: Array  # (T + 1,) flow time after each number of iterations
    hopeless: float  # a loss above this will not come back

    def field(self, iteration: int, g: Array) -> Drift:
        """What the velocity depends on, from the outputs at this iteration's samples."""
        y = self.samples.targets(iteration)
        return Drift(iteration, self.loss.slope(g, y) / len(y), self.regulariser)


def mean_loss(loss: Loss, g: Array, y: Array) -> float:
    """The mean loss over samples; overflow gives inf, which the caller tells as divergence."""
    with np.errstate(all="ignore"):
        return float(np.mean(loss.value(g, y)))
