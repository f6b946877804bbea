"""The network g = alpha * int s sigma(b.x) dmu(s, b), and the one place where the paper's scales are converted."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import number, real_array, whole
from particles.errors import InputError
from particles.kernels import many_online, online
from particles.kernels.assemble import NARROW, BlockKernels, block_kernels
from particles.kernels.linearised import LinearKernels, linear_kernels
from particles.measures import blocks
from particles.measures.measure import Array, Measure, Source, checked_measure, source_of
from particles.model.activations import Activation, activation as activation_row

LAYERS = ("input", "output")


@cache
def _kernels(row: Activation, dtype: str, inputs: int | None, many: bool = False) -> BlockKernels:
    return block_kernels(row.sigma, row.derivative, dtype, inputs, many=many)


@cache
def _linear_kernels(row: Activation, dtype: str, inputs: int | None) -> LinearKernels:
    return linear_kernels(row.sigma, row.derivative, row.second_derivative, dtype, inputs)


@cache
def _online_kernel(row: Activation, dtype: str, loss: str, many: bool) -> Any:
    make = many_online.online_kernel if many else online.online_kernel
    return make(row.sigma, row.derivative, row.pair, dtype, loss)


@cache
def _window_kernels(row: Activation, dtype: str, loss: str, many: bool) -> online.WindowKernels:
    make = many_online.window_kernels if many else online.window_kernels
    return make(row.sigma, row.derivative, row.pair, dtype, loss)


@dataclass(frozen=True, init=False)
class Network:
    r"""A two-layer network: the activation, the output scale, and what is trained.

    Parameters
    ----------
    activation
        A name from `mf.ACTIVATIONS`, or an `mf.Activation` of your own.
    beta
        Of the output scale `a_r = s_r M^-beta`, in [0, 1]: 1, the default, is the mean field, 1/2 the tangent kernel, 0
        case (ii) of Theorem 3.
    bias
        Whether a 1 is appended to every input. Positions are then in R^(d+1).
    train
        "input", the default and the paper's choice, ("input", "output"), where s moves as well, or "output", where it
        moves alone; `a_r` stays `s_r M^-beta`.
    outputs
        k, how many outputs the network has, 1 by default. With k > 1 a particle has k output weights, s in R^k, and
        outputs are (n, k).

    Raises
    ------
    InputError
        For an unknown activation, formulas that do not fit together, `beta` outside [0, 1], `outputs` below 1, and
        other values of `bias` and `train`.

    Notes
    -----
    With :math:`\alpha = M^{1 - \beta}` the outputs are

    .. math:: g(x) = \sum_r a_r \sigma(b_r \cdot x) = \alpha \int s \, \sigma(b \cdot x) \, d\mu(s, b)

    References
    ----------
    Section 3, `g_w`; section 3.4, `g_mu`.

    Examples
    --------
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
    outputs: int

    def __init__(
        self,
        activation: str | Activation,
        beta: float = 1.0,
        bias: bool = False,
        train: str | Iterable[str] = ("input",),
        outputs: int = 1,
    ) -> None:
        row = activation_row(activation)
        number("beta", beta, 0.0, 1.0, remedy="Use 1 for the mean field, 0.5 for the tangent kernel.")
        if not isinstance(bias, int | np.bool_ | np.integer) or bias not in (0, 1):
            raise InputError("`bias` must be True or False", repr(bias), "")
        layers = (train,) if isinstance(train, str) else tuple(train or ())
        if not layers or not set(layers) <= set(LAYERS) or len(set(layers)) < len(layers):
            raise InputError('`train` must name "input", "output" or both', repr(train), "")
        values = {"activation": row, "beta": beta, "bias": bool(bias), "train": tuple(sorted(layers))}
        values["outputs"] = whole("outputs", outputs, 1, remedy="Use the number of classes, or of targets a sample.")
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """As it is called; the one output of most networks goes without saying, as in files of before."""
        more = f", outputs={self.outputs}" if self.outputs > 1 else ""
        train = f"train={self.train!r}"
        return f"Network(activation={self.activation!r}, beta={self.beta!r}, bias={self.bias!r}, {train}{more})"

    def alpha(self, count: int) -> float:
        """The output scale `M^(1 - beta)` in front of the mean over particles.

        Parameters
        ----------
        count
            The number of particles M.

        Returns
        -------
        float
            `alpha`.
        """
        return float(count ** (1.0 - self.beta))

    def paper_step(self, step: float, count: int) -> float:
        """The paper's step for a step in flow time.

        Parameters
        ----------
        step
            `eta` in flow time.
        count
            The number of particles M.

        Returns
        -------
        float
            `eta M^(2 beta - 1)`.
        """
        return float(step * count ** (2.0 * self.beta - 1.0))

    def paper_weight(self, weight: float, count: int) -> float:
        """The paper's lambda for a regulariser's weight in flow time.

        Parameters
        ----------
        weight
            `lam` in flow time.
        count
            The number of particles M.

        Returns
        -------
        float
            `lam M^(1 - 2 beta)`.
        """
        return float(weight * count ** (1.0 - 2.0 * self.beta))

    def scale(self, measure: Measure | Source) -> float:
        """The output scale of a measure.

        Parameters
        ----------
        measure
            A measure or a source of particles.

        Returns
        -------
        float
            `alpha` for its M.

        Raises
        ------
        InputError
            For unequal weights where beta < 1: alpha grows with the number of neurons, and weights that differ say
            none.
        """
        source = source_of(measure) if isinstance(measure, Measure) else measure
        if self.beta < 1.0 and not source.equal_weights:
            raise InputError(
                "`beta` below 1 needs equal weights: alpha = M^(1 - beta) grows with the number of neurons",
                f"beta={self.beta} and a weighted measure",
                "Use law.sample(M, seed), or beta=1 for the mean-field limit.",
            )
        return self.alpha(source.count)

    def inputs(self, x: ArrayLike) -> Array:
        """The inputs as the particles see them.

        Parameters
        ----------
        x : (n, inputs)
            Inputs, n >= 1.

        Returns
        -------
        (n, d)
            Finite float64, a bias appended.

        Raises
        ------
        InputError
            For another shape, and values that are not finite.
        """
        x = real_array("inputs", x)
        if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 1:
            raise InputError("inputs must have shape (n, d), n >= 1, d >= 1", str(x.shape), "Reshape them.")
        return self.with_bias(x)

    # Inputs that were checked: (n, inputs) -> (n, d).

    def with_bias(self, x: Array) -> Array:
        return np.concatenate([x, np.ones((len(x), 1))], axis=1) if self.bias else x

    # The compiled loops for this activation: over blocks for d inputs (a bias counted in), and the same linearised; the
    # one-sample sweep; the same sweep in pieces, for blocks that do not share a memory.

    def kernels(self, dtype: str, d: int) -> BlockKernels:
        return _kernels(self.activation, dtype, d if d <= NARROW and self.outputs == 1 else None, self.outputs > 1)

    def linear_kernels(self, dtype: str, d: int) -> LinearKernels:
        return _linear_kernels(self.activation, dtype, d if d <= NARROW and self.outputs == 1 else None)

    def online_kernel(self, dtype: str, loss: str) -> Any:
        return _online_kernel(self.activation, dtype, loss, self.outputs > 1)

    def window_kernels(self, dtype: str, loss: str) -> online.WindowKernels:
        return _window_kernels(self.activation, dtype, loss, self.outputs > 1)

    def predict(self, measure: Measure, x: ArrayLike, dtype: str = "float64") -> Array:
        """The outputs `g(x)`.

        Parameters
        ----------
        measure
            On R^d.
        x : (n, inputs)
            Inputs; a bias is appended if the network has one.
        dtype
            "float64", the default, or "float32" of the loops over the particles.

        Returns
        -------
        (n,)
            `alpha int s sigma(b.x) dmu`; of k outputs (n, k).

        Raises
        ------
        InputError
            For inputs or positions of another shape, and unequal weights where beta < 1.
        """
        inputs = self.inputs(x)
        checked = checked_measure(measure, inputs.shape[1], self.outputs)
        cloud = blocks.pack(checked, dtype)
        return self.scale(checked) * blocks.total(self.kernels(dtype, inputs.shape[1]), cloud, inputs)

    # g as n k numbers in a row, as they are added up -> (n,), or (n, k) of several outputs.

    def shaped(self, g: Array) -> Array:
        return g if self.outputs == 1 else g.reshape(-1, self.outputs)
