"""Gradient descent (3), SGD (4) and averaged SGD (section 3.2): Euler steps."""

from dataclasses import dataclass

from particles.measures.measure import Array
from particles.methods.base import Average, Batch, Method, Seed, Step, Stepper, WeightDecay
from particles.model.regularisers import L2, Regulariser
from particles.population.messages import Update


class Euler(Stepper):
    """b' = b + eta v: gradient descent (3) and SGD (4)."""

    def move(self, iteration: int, g: Array) -> Update | None:
        share = 1.0 / (iteration + 2) if self.method.average else None
        return Update(self.problem.field(iteration, g), float(self.problem.sizes[iteration]), share)


@dataclass(frozen=True)
class GradientDescent(Method):
    """Gradient descent (3) on all samples: b' = b + eta v, Euler's step of the flow (3.4).

    step: eta in flow time, a number or a schedule. average: keep the running mean of the iterates too (Polyak, [15]).

    >>> mf.GradientDescent(0.5)
    GradientDescent(step=0.5, average=False)
    >>> mf.GradientDescent(mf.InverseSqrt(1.0), average=True).average
    True
    """

    step: Step
    average: Average = False

    stepper = Euler


@dataclass(frozen=True)
class SGD(Method):
    """Stochastic gradient descent (4): `batch` samples an iteration, drawn with replacement, or fresh from a stream.

    step, average: as in `GradientDescent`. seed: of the drawing; iteration t's batch depends on (seed, t) alone.

    >>> net, stream = mf.Network("tanh"), mf.Stream(mf.Sphere(2), lambda x: x[:, 0])
    >>> run = mf.simulate(net, mf.Gaussian(2).sample(64, seed=0), stream, mf.SGD(1.0, batch=8), steps=40)
    >>> run.dataset["loss"].values[[0, -1]].round(2)
    array([0.27, 0.  ])
    """

    step: Step
    batch: Batch = 1
    seed: Seed = 0
    average: Average = False

    stepper = Euler


@dataclass(frozen=True)
class AveragedSGD(Method):
    """Averaged SGD (section 3.2): one sample an iteration, pulled to the start, predicted by the average iterate.

    step: eta in flow time, a number or a schedule. weight_decay: lam of the pull lam (w - w1), in flow time.

    >>> net, stream = mf.Network("tanh", beta=0.5), mf.Stream(mf.Sphere(2), lambda x: x[:, 0])
    >>> start, method = mf.Ball(2).sample(64, seed=0, signs="symmetric"), mf.AveragedSGD(0.1, weight_decay=0.01)
    >>> run = mf.simulate(net, start, stream, method, steps=100, record=["loss"], record_every="log")
    >>> run.dataset["averaged_loss"].values[[0, -1]].round(2)
    array([0.25, 0.02])
    """

    step: Step
    weight_decay: WeightDecay = 0.0
    batch: Batch = 1
    seed: Seed = 0

    average = True
    stepper = Euler

    @property
    def regulariser(self) -> Regulariser:
        """The pull lam (w - w1)."""
        return L2(self.weight_decay, about="start")
