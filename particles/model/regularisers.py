"""h(w) of (2), in flow time: a pull toward 0 or the start, and a soft threshold. Small frozen values.

A weight `lam` here is the paper's times M^(2 beta - 1); then h adds alpha^2 lam/2 int |b|^2 dmu (L2) or
alpha^2 lam int |b| dmu (L1, the paper's lam there times M^(2 beta - 1) too) to the loss.
"""

from dataclasses import dataclass

from particles.checks import number
from particles.errors import InputError


@dataclass(frozen=True)
class L1:
    """lam |w|_1 of (2), by its proximal map: soft thresholding at step * lam after each step. weight: lam, flow time.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> descent, sparse = mf.GradientDescent(0.5), mf.L1(0.2)
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, descent, steps=20, regulariser=sparse)
    >>> float(np.mean(run.measure.b == 0.0))
    0.5625
    """

    weight: float

    def __post_init__(self) -> None:
        number("weight", self.weight, 0.0, remedy="Use 0 for none.")


@dataclass(frozen=True)
class L2:
    """lam/2 |w|^2 of (2), or with about="start" the pull of section 3.2, lam/2 |w - w1|^2. weight: lam, flow time.

    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> descent, pull, record = mf.GradientDescent(0.5), mf.L2(0.1, about="start"), ["loss", "objective"]
    >>> run = mf.simulate(net, law.sample(16, seed=0), data, descent, steps=20, regulariser=pull, record=record)
    >>> bool(run.dataset["objective"][-1] > run.dataset["loss"][-1])
    True
    """

    weight: float
    about: str = "zero"

    def __post_init__(self) -> None:
        number("weight", self.weight, 0.0, remedy="Use 0 for none.")
        if self.about not in ("zero", "start"):
            raise InputError('`about` must be "zero" or "start"', self.about, "")


Regulariser = L1 | L2
NONE = L2(0.0)
