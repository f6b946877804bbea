"""What every method has: its settings, and the stepper that makes its iterations.

To add a method: copy the file of one, and add a row to `registry.METHODS`. Configurations, their schema and the cost
model follow from its fields.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple

from particles.checks import Setting, check_settings
from particles.errors import InputError
from particles.measures.measure import Array
from particles.measures.random_streams import SEEDS
from particles.methods.schedules import Schedule, schedule
from particles.model.losses import Loss
from particles.model.network import Network
from particles.model.regularisers import NONE, Regulariser
from particles.population.messages import Drift, Update
from particles.population.population import Population
from particles.population.samples import Samples

Memory = dict[str, Array]  # what a stepper keeps besides the particles; checkpoints save it
Stop = Callable[[], bool]  # whether the run is to end

Step = Annotated[float | Schedule, Setting("step size in flow time, the same for every M; or a schedule", above=0.0)]
Seed = Annotated[
    int, Setting("seed of the batches and of the noise", least=0, most=SEEDS - 1, remedy="Choose another seed.")
]
Average = Annotated[bool, Setting("keep the Polyak average of the iterates as well")]
WeightDecay = Annotated[
    float, Setting("strength of the method's own quadratic regulariser", least=0.0, remedy="Use 0 for none.")
]
_BATCH = "samples a step; all if left out, one for the SGDs"
Batch = Annotated[int, Setting(_BATCH, least=1, remedy="Use 1 for one-sample SGD.")]
BatchOrAll = Annotated[int | None, Setting(_BATCH, least=1, remedy="Use None for all samples.")]


class Method:
    """The base of every method: its settings, a frozen dataclass, whose fields replace the defaults below.

    Raises
    ------
    InputError
        For a field whose `Setting` does not take its value.

    Notes
    -----
    A subclass has `stepper`, the class that makes its iterations, and of these fields those that are its settings:

    * `step`, the step size in flow time, or a schedule of it;
    * `batch`, samples an iteration: None, the default, is all;
    * `seed`, of the batches or the noise;
    * `average`, whether the running mean of the iterates is kept;
    * `weighing`, whether the particles' weights change, and `rate`, how fast (per flow time);
    * `inner`, steps that follow one slope.

    Examples
    --------
    >>> isinstance(mf.SGD(0.1), mf.Method), mf.SGD(0.1).batch
    (True, 1)
    """

    stepper: ClassVar[type["Stepper"]]

    step: float | Schedule  # in flow time
    batch: int | None = None  # samples an iteration, None for all
    seed: int = 0  # of the batches or the noise
    average: bool = False  # whether the running mean of the iterates is kept
    weighing: bool = False  # whether weights change
    rate: float = 0.0  # of that change
    inner: int = 1  # steps that follow one slope

    def __post_init__(self) -> None:
        schedule(self.step)
        check_settings(self)

    @property
    def regulariser(self) -> Regulariser | None:
        """The method's own, or None where the run may have one."""
        return None

    @property
    def noisy(self) -> bool:
        """Whether particles move by noise of their own, which no quadrature integrates."""
        return getattr(self, "temperature", 0.0) != 0.0

    @property
    def stages(self) -> int:
        """Velocities an iteration, at least."""
        return 1

    @property
    def copies(self) -> int:
        """Arrays as large as the particles that a step needs besides them."""
        return 0

    def rule(self, given: Regulariser | None) -> Regulariser:
        """The regulariser of a run.

        Parameters
        ----------
        given
            The run's, or None.

        Returns
        -------
        Regulariser
            The method's own, or the one given.

        Raises
        ------
        InputError
            If there are two.
        """
        own = self.regulariser
        if own is not None and given is not None:
            rule = f"{type(self).__name__} brings its own regulariser"
            raise InputError(rule, repr(given), "Use its `weight_decay`, or SGD.")
        return own or given or NONE

    def check(self, net: Network, rule: Regulariser) -> None:
        """Check that the method can train a network.

        Parameters
        ----------
        net
            The network.
        rule
            The regulariser of the run.

        Raises
        ------
        InputError
            Where it cannot.
        """


class Problem(NamedTuple):
    """The network, the loss, the samples, how the particles step, and for how long."""

    net: Network
    loss: Loss
    regulariser: Regulariser
    samples: Samples
    method: Method
    sizes: Array  # (T,) step sizes, flow time
    times: Array  # (T + 1,) flow time after each number of iterations

    def field(self, iteration: int, g: Array) -> Drift:
        """What the velocity depends on, from the outputs at this iteration's samples."""
        y = self.samples.targets(iteration)
        return Drift(iteration, self.loss.slope(g, y) / len(y), self.regulariser)


class Stepper(ABC):
    """From the outputs at the iterate to the particles' next move, once an iteration.

    Parameters
    ----------
    problem
        The network, the loss, the samples, the method, and its step sizes `problem.sizes` (T,) and times
        `problem.times` (T + 1,), flow time. `problem.field(iteration, g)` is what the velocity depends on.
    population
        The particles.
    memory : arrays by name
        What the stepper keeps besides the particles; checkpoints save it. Empty at the start of a run.
    stop
        Whether the run is to end.

    Examples
    --------
    >>> class Signs(mf.Stepper):
    ...     def move(self, iteration, g):
    ...         field = self.problem.field(iteration, g)
    ...         return mf.Update(field._replace(slope=np.sign(field.slope) / len(g)), self.method.step)
    >>> class SignDescent(mf.GradientDescent):
    ...     stepper = Signs
    >>> net, start = mf.Network("tanh"), mf.Gaussian(2).sample(16, seed=0)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> mf.simulate(net, start, data, SignDescent(0.1), steps=2).status
    'finished'
    """

    method: Any  # the settings, of the class that has this stepper

    def __init__(self, problem: Problem, population: Population, memory: Memory, stop: Stop) -> None:
        self.problem, self.population, self.memory, self.stop = problem, population, memory, stop
        self.method = problem.method

    @abstractmethod
    def move(self, iteration: int, g: Array) -> Update | None:
        """The last move of the iteration, which the flow sends with its request for the next sums.

        A step of many parts calls `stop` between them.

        Parameters
        ----------
        iteration
            From 0 on.
        g : (n,)
            The outputs at the iteration's samples.

        Returns
        -------
        Update or None
            None where the particles are there already.
        """


class Abandoned(Exception):
    """A step was given up because the run is to end; the particles are where the step began."""
