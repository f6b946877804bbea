"""The network g = alpha * int s sigma(b.x) dmu(s, b), and the one place where the paper's scales are converted."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array
from particles.errors import InputError
from particles.kernels.assemble import NARROW, BlockKernels, block_kernels
from particles.kernels.online import WindowKernels, online_kernel, window_kernels
from particles.measures import blocks
from particles.measures.measure import Array, Measure, Source, checked_measure, source_of
from particles.model.activations import Activation, activation as activation_row

LAYERS = ("input", "output")


@cache
def _kernels(row: Activation, dtype: str, inputs: int | None) -> BlockKernels:
    return block_kernels(row.sigma, row.derivative, dtype, inputs)


@cache
def _online_kernel(row: Activation, dtype: str, loss: str) -> Any:
    return online_kernel(row.sigma, row.derivative, row.pair, dtype, loss)


@cache
def _window_kernels(row: Activation, dtype: str, loss: str) -> WindowKernels:
    return window_kernels(row.sigma, row.derivative, row.pair, dtype, loss)


@dataclass(frozen=True, init=False)
class Network:
    """A two-layer network: the activation, the output scale a_r = s_r M^-beta, and what is trained.

    activation: a name from `mf.ACTIVATIONS`, or an `mf.Activation` of your own.
    beta: in [0, 1]; 1 is the mean field, 1/2 the tangent kernel (section 3).
    bias: append a 1 to every input (positions then live in R^(d+1)).
    train: "input" (the paper's choice), or ("input", "output"), where s moves as well; a_r = s_r M^-beta still.

    >>> net = mf.Network("tanh", beta=0.5)
    >>> net.alpha(100), net.paper_step(0.1, 100), mf.Network("tanh").paper_step(0.1, 100)
    (10.0, 0.1, 10.0)
    >>> net.activation.slope_bound
    1.0
    """

    activation: Activation
    beta: float
    bias: bool
    train: tuple[str, ...]

    def __init__(
        self,
        activation: str | Activation,
        beta: float = 1.0,
        bias: bool = False,
        train: str | Iterable[str] = ("input",),
    ) -> None:
        row = activation_row(activation)
        number("beta", beta, 0.0, 1.0, remedy="Use 1 for the mean field, 0.5 for the tangent kernel.")
        layers = (train,) if isinstance(train, str) else tuple(train or ())
        if not layers or not set(layers) <= set(LAYERS) or len(set(layers)) < len(layers):
            raise InputError('`train` must name "input", "output" or both', repr(train), "")
        for name, value in (("activation", row), ("beta", beta), ("bias", bias), ("train", tuple(sorted(layers)))):
            object.__setattr__(self, name, value)

    def alpha(self, count: int) -> float:
        """The output scale M^(1 - beta) in front of the mean over particles."""
        return float(count ** (1.0 - self.beta))

    def paper_step(self, step: float, count: int) -> float:
        """The paper's eta for a step in flow time: eta M^(2 beta - 1)."""
        return float(step * count ** (2.0 * self.beta - 1.0))

    def paper_weight(self, weight: float, count: int) -> float:
        """The paper's lambda for a regulariser's weight in flow time: lambda M^(1 - 2 beta)."""
        return float(weight * count ** (1.0 - 2.0 * self.beta))

    def scale(self, measure: Measure | Source) -> float:
        """alpha for this measure; at beta < 1 it must be equal atoms, since its M says how large the network is."""
        source = source_of(measure) if isinstance(measure, Measure) else measure
        if self.beta < 1.0 and not source.equal_weights:
            raise InputError(
                "`beta` below 1 needs equal weights: alpha = M^(1 - beta) grows with the number of neurons",
                f"beta={self.beta} and a weighted measure",
                "Use law.sample(M, seed), or beta=1 for the mean-field limit.",
            )
        return self.alpha(source.count)

    def inputs(self, x: ArrayLike) -> Array:
        """The inputs as the particles see them, (n, d), a bias appended: finite float64."""
        x = real_array("inputs", x)
        if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 1:
            raise InputError("inputs must have shape (n, d), n >= 1, d >= 1", str(x.shape), "Reshape them.")
        return np.concatenate([x, np.ones((len(x), 1))], axis=1) if self.bias else x

    def kernels(self, dtype: str, d: int) -> BlockKernels:
        """The compiled loops for this activation, float type and number of inputs (a bias counted in)."""
        return _kernels(self.activation, dtype, d if d <= NARROW else None)

    def online_kernel(self, dtype: str, loss: str) -> Any:
        """The compiled one-sample sweep for this activation, float type and loss."""
        return _online_kernel(self.activation, dtype, loss)

    def window_kernels(self, dtype: str, loss: str) -> WindowKernels:
        """The same sweep in compiled pieces, for blocks that do not share a memory."""
        return _window_kernels(self.activation, dtype, loss)

    def predict(self, measure: Measure, x: ArrayLike) -> Array:
        """g(x) = alpha * int s sigma(b.x) dmu: (n, d) -> (n,)."""
        inputs = self.inputs(x)
        cloud = blocks.pack(checked_measure(measure, inputs.shape[1]), "float64")
        return self.scale(measure) * blocks.total(self.kernels("float64", inputs.shape[1]), cloud, inputs)
