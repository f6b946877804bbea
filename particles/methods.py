"""How the particles step: small frozen values that the flow reads. They hold settings and do no work.

What the flow reads of a method: `step` (a number or schedule, in flow time), `batch` (samples a step, None for all),
`seed` of the batches, `average` (whether the running mean of the iterates is kept), `regulariser` (its own, or None).
"""

from dataclasses import dataclass

from particles.checks import whole
from particles.randomness import checked_seed
from particles.regularisers import L2, Regulariser
from particles.schedules import Schedule, schedule


@dataclass(frozen=True)
class GradientDescent:
    """Gradient descent (3) on all samples."""

    step: float | Schedule
    average: bool = False

    batch = None
    seed = 0
    regulariser = None

    def __post_init__(self) -> None:
        schedule(self.step)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent (4): `batch` samples an iteration, drawn with replacement, or fresh from a stream."""

    step: float | Schedule
    batch: int = 1
    seed: int = 0
    average: bool = False

    regulariser = None

    def __post_init__(self) -> None:
        schedule(self.step)
        checked_seed(self.seed)
        whole("batch", self.batch, 1, remedy="Use 1 for one-sample SGD.")


@dataclass(frozen=True)
class AveragedSGD:
    """Averaged SGD (section 3.2): one sample an iteration, pulled to the start, predicted by the average iterate."""

    step: float | Schedule
    weight_decay: float = 0.0
    batch: int = 1
    seed: int = 0

    average = True

    def __post_init__(self) -> None:
        schedule(self.step)
        checked_seed(self.seed)
        whole("batch", self.batch, 1, remedy="Use 1 for one-sample SGD.")
        L2(self.weight_decay)

    @property
    def regulariser(self) -> Regulariser:
        """The pull lam (w - w1)."""
        return L2(self.weight_decay, about="start")


Method = GradientDescent | SGD | AveragedSGD
