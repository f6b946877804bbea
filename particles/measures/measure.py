"""The measure: weighted atoms in the space of (sign, position). A network of M neurons is one of M equal atoms."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from particles.checks import real_array
from particles.errors import InputError

Array = NDArray[np.float64]


class Measure(NamedTuple):
    r"""A probability measure `mu = sum_r w_r delta_(s_r, b_r)` of M particles (section 3.4).

    Parameters
    ----------
    b : (M, d)
        Positions: the input weights of the neurons.
    s : (M,)
        Signs, or the output weights where those train; (M, k) for a network of k > 1 outputs.
    w : (M,)
        Weights, which sum to 1.

    Notes
    -----
    M equal weights are a network of M neurons. Its output weights are :math:`a_r = s_r M^{-\beta}` in the paper's
    letters.

    References
    ----------
    Section 3.4, `mu`.

    Examples
    --------
    >>> two = mf.Measure(b=np.eye(2), s=np.array([1.0, -1.0]), w=np.array([0.5, 0.5]))
    >>> mf.Network("tanh").predict(two, [[1.0, 0.0]]).round(3)
    array([0.381])
    """

    b: Array
    s: Array
    w: Array


class Source(Protocol):
    """Particles that are created or read where they are needed, so that no process has to hold all of them twice.

    Notes
    -----
    `part(first, last)` gives b (last - first, dim) and s (last - first,), or (last - first, outputs) of several, of the
    particles [first, last), and `weights` their w. `cut(first, last)` is the source to send to a process that needs
    these particles only. `count` is M; `outputs` how many output weights a particle has; `equal_signs` and
    `equal_weights` say whether all signs and all weights are the same.
    """

    @property
    def count(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def equal_signs(self) -> bool: ...
    @property
    def equal_weights(self) -> bool: ...
    def part(self, first: int, last: int) -> tuple[Array, Array]: ...
    def weights(self, first: int, last: int) -> Array: ...
    def cut(self, first: int, last: int) -> "Source": ...


@dataclass(frozen=True)
class Given:
    """The atoms of a measure in memory, or a run of them that begins at atom `offset` of `count`."""

    measure: Measure
    count: int
    equal_signs: bool
    equal_weights: bool
    offset: int = 0

    @property
    def dim(self) -> int:
        return int(self.measure.b.shape[1])

    @property
    def outputs(self) -> int:
        return outputs_of(self.measure)

    def part(self, first: int, last: int) -> tuple[Array, Array]:
        rows = slice(first - self.offset, last - self.offset)
        return self.measure.b[rows], self.measure.s[rows]

    def weights(self, first: int, last: int) -> Array:
        return self.measure.w[first - self.offset : last - self.offset]

    def cut(self, first: int, last: int) -> "Given":
        rows = slice(first - self.offset, last - self.offset)
        return replace(self, measure=Measure(*(a[rows] for a in self.measure)), offset=first)


def source_of(measure: Measure) -> Given:
    """A measure as a source of its atoms."""
    return Given(measure, len(measure.w), bool((measure.s == measure.s[0]).all()), equal_weights(measure))


def atoms_of(source: Source) -> Measure:
    """All atoms of a source, in memory."""
    b, s = source.part(0, source.count)
    return Measure(np.ascontiguousarray(b), s, source.weights(0, source.count))


def check_dim(dim: int, inputs: int) -> None:
    """InputError for particles of a law or a measure on R^dim that do not fit the network's inputs."""
    if dim != inputs:
        rule = f"particles must have as many dimensions as the inputs, {inputs} with a bias counted in"
        raise InputError(rule, f"dim={dim}", f"Draw them from a law with dim={inputs}.")


def outputs_of(measure: Measure) -> int:
    """k, how many output weights an atom has."""
    return 1 if measure.s.ndim == 1 else int(measure.s.shape[1])


def check_outputs(given: int, outputs: int) -> None:
    """InputError for particles that do not have the network's number of output weights."""
    if given != outputs:
        rule = f"particles must have as many output weights as the network has outputs, {outputs}"
        drawn = f'Draw them by law.sample(M, seed=0, signs="random", outputs={outputs}).'
        raise InputError(rule, given, drawn if outputs > 1 else f"Use mf.Network(..., outputs={given}).")


def checked_measure(measure: Measure, dim: int, outputs: int | None = None) -> Measure:
    """The measure with float64 contiguous arrays, if shapes and values make one on R^dim.

    outputs: how many output weights an atom must have; None, any number.
    """
    named = zip("bsw", measure, strict=True)
    b, s, w = (np.ascontiguousarray(real_array(f"`{name}`", a, finite=False)) for name, a in named)
    if b.ndim != 2 or b.shape[0] < 1:
        raise InputError("positions must have shape (M, d)", str(b.shape), "Give one row a particle.")
    check_dim(b.shape[1], dim)
    if s.shape[:1] != b.shape[:1] or s.ndim > 2 or w.shape != b.shape[:1]:
        raise InputError(
            "`s` and `w` must have one entry a particle", f"{s.shape} and {w.shape} for {len(b)}", "Match the lengths."
        )
    if s.ndim == 2 and s.shape[1] < 2:
        raise InputError("`s` of one output must have shape (M,)", str(s.shape), "Pass s[:, 0].")
    if outputs is not None:
        check_outputs(1 if s.ndim == 1 else s.shape[1], outputs)
    if not (np.isfinite(b).all() and np.isfinite(s).all() and np.isfinite(w).all()):
        raise InputError("a measure must be finite", "NaN or inf in its arrays", "Look at where it was made.")
    if (w < 0).any() or abs(w.sum() - 1.0) > 1e-9:
        raise InputError("weights must be >= 0 and sum to 1", f"a sum of {w.sum():.12g}", "Divide them by their sum.")
    return Measure(b, s, w)


def equal_weights(measure: Measure) -> bool:
    """Whether all atoms weigh the same, as a network's neurons do."""
    return bool((measure.w == measure.w[0]).all())
