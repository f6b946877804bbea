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
    """Gradient descent (3) on all samples, `b' = b + eta v`.

    Parameters
    ----------
    step
        `eta` in flow time, a number or a schedule.
    average
        Whether to keep the mean of the iterates as well (Polyak, [15]).

    Raises
    ------
    InputError
        For a `step` that is not above 0.

    References
    ----------
    Equation (3). With beta = 1 it is Euler's method for the flow of section 3.4.

    Examples
    --------
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
    """Stochastic gradient descent (4).

    Parameters
    ----------
    step
        `eta` in flow time, a number or a schedule.
    batch
        Samples an iteration, 1 by default: drawn with replacement from a data set, or fresh ones from a stream.
    seed
        Of the drawing; iteration t's batch depends on (seed, t) alone.
    average
        Whether to keep the mean of the iterates as well (Polyak, [15]).

    Raises
    ------
    InputError
        For a `step` that is not above 0, and a `batch` below 1.

    References
    ----------
    Equation (4).

    Examples
    --------
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
    """Averaged SGD with a pull to the start; the average iterate predicts (section 3.2).

    Parameters
    ----------
    step
        `eta` in flow time, a number or a schedule.
    weight_decay
        `lam` of the pull `lam (w - w1)` in flow time, 0 by default.
    batch
        Samples an iteration, 1 by default as in the paper.
    seed
        Of the drawing; iteration t's batch depends on (seed, t) alone.

    Raises
    ------
    InputError
        For a `step` that is not above 0, a negative `weight_decay`, and a `batch` below 1.

    References
    ----------
    Section 3.2, Theorem 2.

    Examples
    --------
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
        """The pull `lam (w - w1)`."""
        return L2(self.weight_decay, about="start")
