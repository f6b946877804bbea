"""How the particles step: small frozen values that the flow reads. They hold settings and do no work.

What the flow reads of a method: `step` (a number or schedule, in flow time), `batch` (samples a step, None for all),
`seed` of the batches or the noise, `average` (whether the running mean of the iterates is kept), `weighing` (whether
weights move), `stages` (velocities an iteration, at least), `regulariser` (its own, or None). How each steps is a row
in `steppers.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from particles.checks import number, whole
from particles.errors import InputError, nearest
from particles.measures.random_streams import checked_seed
from particles.methods.schedules import Schedule, schedule
from particles.model.regularisers import L2, Regulariser


@dataclass(frozen=True)
class GradientDescent:
    """Gradient descent (3) on all samples: b' = b + eta v, Euler's step of the flow (3.4).

    step: eta in flow time, a number or a schedule. average: keep the running mean of the iterates too (Polyak, [15]).

    >>> mf.GradientDescent(0.5)
    GradientDescent(step=0.5, average=False)
    >>> mf.GradientDescent(mf.InverseSqrt(1.0), average=True).average
    True
    """

    step: float | Schedule
    average: bool = False

    batch = None
    seed = 0
    weighing = False
    stages = 1
    regulariser = None

    def __post_init__(self) -> None:
        schedule(self.step)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent (4): `batch` samples an iteration, drawn with replacement, or fresh from a stream.

    step, average: as in `GradientDescent`. seed: of the drawing; iteration t's batch depends on (seed, t) alone.

    >>> net, stream = mf.Network("tanh"), mf.Stream(mf.Sphere(2), lambda x: x[:, 0])
    >>> run = mf.simulate(net, mf.Gaussian(2).sample(64, seed=0), stream, mf.SGD(1.0, batch=8), steps=40)
    >>> run.dataset["loss"].values[[0, -1]].round(2)
    array([0.27, 0.  ])
    """

    step: float | Schedule
    batch: int = 1
    seed: int = 0
    average: bool = False

    weighing = False
    stages = 1
    regulariser = None

    def __post_init__(self) -> None:
        schedule(self.step)
        checked_seed(self.seed)
        whole("batch", self.batch, 1, remedy="Use 1 for one-sample SGD.")


@dataclass(frozen=True)
class AveragedSGD:
    """Averaged SGD (section 3.2): one sample an iteration, pulled to the start, predicted by the average iterate.

    step: eta in flow time, a number or a schedule. weight_decay: lam of the pull lam (w - w1), in flow time.

    >>> net, stream = mf.Network("tanh", beta=0.5), mf.Stream(mf.Sphere(2), lambda x: x[:, 0])
    >>> start, method = mf.Ball(2).sample(64, seed=0, signs="symmetric"), mf.AveragedSGD(0.1, weight_decay=0.01)
    >>> run = mf.simulate(net, start, stream, method, steps=100, record=["loss"], record_every="log")
    >>> run.dataset["averaged_loss"].values[[0, -1]].round(2)
    array([0.25, 0.02])
    """

    step: float | Schedule
    weight_decay: float = 0.0
    batch: int = 1
    seed: int = 0

    average = True
    weighing = False
    stages = 1

    def __post_init__(self) -> None:
        schedule(self.step)
        checked_seed(self.seed)
        whole("batch", self.batch, 1, remedy="Use 1 for one-sample SGD.")
        L2(self.weight_decay)

    @property
    def regulariser(self) -> Regulariser:
        """The pull lam (w - w1)."""
        return L2(self.weight_decay, about="start")


class Tableau(NamedTuple):
    """A Runge-Kutta scheme: k_j = v(b + eta sum_i rows[j - 1]_i k_i), b' = b + eta sum_i ends_i k_i.

    order: of b'. errors: of the embedded estimate eta sum_i errors_i k_i, one stage at b' after the others; or none.
    """

    order: int
    rows: tuple[tuple[float, ...], ...]
    ends: tuple[float, ...]
    errors: tuple[float, ...] = ()


SCHEMES: dict[str, Tableau] = {
    "heun": Tableau(2, ((1.0,),), (1 / 2, 1 / 2)),
    "classic": Tableau(4, ((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    # Bogacki and Shampine 1989
    "bogacki-shampine": Tableau(
        3, ((1 / 2,), (0.0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9), (-5 / 72, 1 / 12, 1 / 9, -1 / 8)
    ),
    # Dormand and Prince 1980
    "dormand-prince": Tableau(
        5,
        (
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        ),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class RungeKutta:
    """The gradient flow itself, to higher order than descent's Euler steps: on all samples, in flow time.

    scheme: "heun" (order 2), "bogacki-shampine" (3), "classic" (4), "dormand-prince" (5). tolerance: if given, each
    step is divided until every part's estimated error, the rms of positions over the measure, is below it; that
    needs the second or the last scheme. Orders hold for smooth activations; ReLU's kinks cost some, and where the flow
    slides along one (pushed back from both sides) no part is short enough: past 20 000 parts a step is a DivergedError.
    Attributes of the dataset say how many parts there were, `accepted_parts` and `rejected_parts`.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, mf.RungeKutta(0.5, scheme="classic"), steps=8)
    >>> mf.RungeKutta(0.5, scheme="classic").stages, run.dataset["loss"].values[[0, -1]].round(3)
    (4, array([0.057, 0.01 ]))
    """

    step: float | Schedule
    scheme: str = "dormand-prince"
    tolerance: float | None = None

    average = False
    batch = None
    seed = 0
    weighing = False
    regulariser = None

    def __post_init__(self) -> None:
        schedule(self.step)
        if self.scheme not in SCHEMES:
            rule = f"`scheme` must be one of {', '.join(SCHEMES)}"
            raise InputError(rule, repr(self.scheme), nearest(str(self.scheme), SCHEMES))
        if self.tolerance is not None:
            number("tolerance", self.tolerance, above=0.0, remedy="Use 1e-6, or None for steps as they are.")
            if not self.tableau.errors:
                rule = "`tolerance` needs a scheme that estimates its error"
                raise InputError(rule, repr(self.scheme), 'Use "dormand-prince".')

    @property
    def tableau(self) -> Tableau:
        """The scheme's coefficients."""
        return SCHEMES[self.scheme]

    @property
    def stages(self) -> int:
        """How many velocities a step takes, that of its error counted."""
        return len(self.tableau.ends) + (self.tolerance is not None)


@dataclass(frozen=True)
class Langevin:
    """Mean-field Langevin descent, b' = b + eta v + sqrt(2 eta tau) xi (Mei, Montanari, Nguyen 2018).

    It descends L + alpha^2 (lam/2 int |b|^2 dmu + tau int log mu dmu): tau is in units of V / alpha^2, flow time.
    temperature: a number, or a schedule by which it is annealed. batch: samples an iteration, None for all. The noise
    of particle r depends on (seed, iteration, r) alone, so clouds of different M are driven by the same.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> noisy = mf.Langevin(0.1, temperature=0.05, weight_decay=0.1)
    >>> mf.simulate(net, law.sample(64, seed=0), data, noisy, steps=50).dataset["loss"].values[[0, -1]].round(2)
    array([0.11, 0.02])
    """

    step: float | Schedule
    temperature: float | Schedule
    weight_decay: float = 0.0
    batch: int | None = None
    seed: int = 0

    average = False
    weighing = False
    stages = 1

    def __post_init__(self) -> None:
        schedule(self.step)
        _checked_temperature(self.temperature)
        checked_seed(self.seed)
        L2(self.weight_decay)
        if self.batch is not None:
            whole("batch", self.batch, 1, remedy="Use None for all samples.")

    @property
    def regulariser(self) -> Regulariser:
        """The confinement lam/2 |b|^2."""
        return L2(self.weight_decay)


@dataclass(frozen=True)
class DualAveraging:
    """Particle dual averaging (Nitanda, Wu, Suzuki 2021): Langevin steps under the average of all slopes so far.

    Outer iteration t = 1, 2, .. takes the slope l'(g, y) once, and `inner` Langevin steps then follow the potential
    2 / ((t + 1) (t + 2)) sum_(s <= t) s (V_s + lam/2 |b|^2), V_s the first variation then. On all samples.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> dual = mf.DualAveraging(0.1, temperature=0.05, weight_decay=0.1)
    >>> mf.simulate(net, law.sample(64, seed=0), data, dual, steps=20).dataset["loss"].values[[0, -1]].round(2)
    array([0.11, 0.06])
    """

    step: float | Schedule
    temperature: float
    weight_decay: float
    inner: int = 10
    seed: int = 0

    average = False
    batch = None
    weighing = False
    stages = 1

    def __post_init__(self) -> None:
        schedule(self.step)
        number("temperature", self.temperature, 0.0)
        checked_seed(self.seed)
        whole("inner", self.inner, 1, remedy="Use 10 Langevin steps to a slope, say.")
        L2(self.weight_decay)

    @property
    def regulariser(self) -> Regulariser:
        """The confinement lam/2 |b|^2."""
        return L2(self.weight_decay)


@dataclass(frozen=True)
class FisherRao:
    """Descent whose particles also gain and lose weight, dw/dt = -rate w (V - int V dmu): Wasserstein-Fisher-Rao.

    V is the first variation over alpha^2 (flow time), with the regulariser in it (Chizat 2022; Rotskoff et al. 2019,
    who move the number of particles instead of their weights). At beta = 1, where weights may differ.
    step: eta in flow time, a number or a schedule. rate: of the weights, 0 for plain descent.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> w = mf.simulate(net, law.sample(16, seed=0), data, mf.FisherRao(0.5), steps=20).measure.w
    >>> round(float(w.sum()), 6), bool(w.max() > 1 / 16 > w.min())
    (1.0, True)
    """

    step: float | Schedule
    rate: float = 1.0

    average = False
    batch = None
    seed = 0
    weighing = True
    stages = 1
    regulariser = None

    def __post_init__(self) -> None:
        schedule(self.step)
        number("rate", self.rate, 0.0, remedy="Use 0 for plain descent.")


Method = GradientDescent | SGD | AveragedSGD | RungeKutta | Langevin | DualAveraging | FisherRao


def _checked_temperature(temperature: float | Schedule) -> None:
    if not isinstance(temperature, Schedule):
        number("temperature", temperature, 0.0, remedy="Use 0 for plain descent, or a schedule.")
