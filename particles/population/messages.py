"""What is sent to shards and back: small values, and what a population is made from.

An `Update` is all that a push needs, an `OnlineRun` a stretch of one-sample iterations, a `Reduction` a sum over
particles.
"""

from collections.abc import Callable
from typing import NamedTuple

from particles.errors import InputError
from particles.measures.blocks import Floats
from particles.measures.measure import Array, Measure, Source, check_outputs, checked_measure, source_of
from particles.model.network import Network
from particles.model.regularisers import Regulariser
from particles.population.samples import Which

DTYPES = ("float64", "float32")


class BlockView(NamedTuple):
    """What an observable sees of one block, the padding cut off.

    b, start_b, velocity : (d, m); s, start_s, w, velocity_s : (m,), but s and what is like it (k, m) with k > 1
    outputs. Velocities and the start are NaN unless the reduction looks at them. x : (n, d), the training inputs.
    """

    b: Array
    s: Array
    w: Array
    start_b: Array
    start_s: Array
    velocity: Array
    velocity_s: Array
    x: Array


class Reduction(NamedTuple):
    """A sum over the particles, or a maximum, from what each block of them contributes.

    Parameters
    ----------
    of
        From a block, with the particles' positions `b` (d, m), output weights `s` (m,), or (k, m) of k outputs, and
        weights `w` (m,), and the training inputs `x` (n, d), to an array of numbers. The last block has fewer
        particles.
    how
        `"sum"`, in the binary tree of the blocks' numbers, or `"max"`.
    velocity
        Whether `of` looks at the block's `velocity` (d, m) and `velocity_s`, like `s`, which are NaN otherwise.
    start
        Whether it looks at `start_b` and `start_s`, where the particles were at the start; NaN otherwise.

    Examples
    --------
    >>> positive = mf.Reduction(lambda block: np.atleast_1d(np.sum(block.w * (block.b[0] > 0))), "sum")
    >>> share = mf.Observable("positive", "share of particles with b_1 > 0", "3.4", (),
    ...                       lambda at: float(at.integral[positive][0]), (positive,))
    >>> net, start = mf.Network("tanh"), mf.Gaussian(2).sample(64, seed=0)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, start, data, mf.GradientDescent(0.5), steps=1, record=[share])
    >>> run.dataset["positive"].values
    array([0.4375, 0.5   ])
    """

    of: Callable[[BlockView], Array]
    how: str
    velocity: bool = False
    start: bool = False


class Drift(NamedTuple):
    """What the velocity at a particle depends on: the samples, the slopes l'(g, y)/n, like g, the regulariser."""

    which: Which
    slope: Array
    regulariser: Regulariser


class Noise(NamedTuple):
    """Independent normals of this standard deviation on every coordinate that trains, by seed, iteration, particle."""

    size: float
    seed: int
    iteration: int


class Stage(NamedTuple):
    """One stage of a Runge-Kutta step: it finds k_number, and the particles go to base + sum_i weights_i k_i.

    weights : for k_0 .. k_number, the step multiplied in. of: how many stages the step has.
    """

    number: int
    weights: tuple[float, ...]
    of: int


class Update(NamedTuple):
    """One step of the particles along the velocity, or one stage of a step; then the noise.

    Parameters
    ----------
    drift
        What the velocity depends on, as `problem.field(iteration, g)` returns it.
    step : flow time
        The step size.
    share
        Of the new iterate in the average; None without one.
    noise
        Of the particles, after the step.
    stage
        Of a step of several stages.
    growth, centre
        Weights are multiplied by `exp(-growth (V - centre))`, V the first variation / alpha^2 where the particles
        were (flow time). The stepper makes them a measure again.
    """

    drift: Drift
    step: float
    share: float | None = None
    noise: Noise | None = None
    stage: Stage | None = None
    growth: float = 0.0
    centre: float = 0.0


class OnlineRun(NamedTuple):
    """What a stretch of one-sample iterations needs: the samples, sizes (T,), the loss, the pull and what it pulls to.

    x (T, d) and y (T,) or (T, k), or the numbers of the first iteration and of the one after the last among the samples
    iterates: how many the average holds before it.
    """

    x: Array | int
    y: Array | int
    sizes: Array
    loss: str
    regulariser: Regulariser
    iterates: int


class State(NamedTuple):
    """All that moves, in block storage; `mean_*` are empty where no average is kept, w where weights stay."""

    b: Floats
    s: Floats
    mean_b: Floats
    mean_s: Floats
    w: Floats


class PopulationSpec(NamedTuple):
    """What a population is made from, however it is shared out: the start, and what is kept beside the particles.

    averaged: the mean of the iterates. anchored: the start, which a pull to it and displacements need. weighing:
    weights that change.
    """

    net: Network
    start: Source
    dtype: str
    averaged: bool
    anchored: bool
    weighing: bool = False

    @property
    def alpha(self) -> float:
        """The output scale M^(1 - beta); InputError where the start's weights differ at beta < 1."""
        return self.net.scale(self.start)


def population_spec(
    net: Network,
    start: Measure | Source,
    dtype: str = "float64",
    averaged: bool = False,
    anchored: bool = False,
    weighing: bool = False,
) -> PopulationSpec:
    """The specification of a population; InputError where a part of it is wrong."""
    if not isinstance(dtype, str) or dtype not in DTYPES:  # np.dtype("float32") equals the text
        raise InputError("`dtype` must be float64 or float32", str(dtype), 'Give it as text, "float32".')
    if isinstance(start, Measure):
        start = source_of(checked_measure(start, start.b.shape[1]))
    check_outputs(start.outputs, net.outputs)
    return PopulationSpec(net, start, dtype, averaged, anchored, weighing)
