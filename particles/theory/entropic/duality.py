"""The duality gap of a law from its particles (3.4 with noise; Nitanda, Wu and Suzuki 2022), and its error.

    G(q) = T KL(q | p_q) = T int log q dq + int V_q dq + T sum_s m_s log Z_s(q) - T sum_s m_s log m_s

V_q holds the slopes u_i = l'(g_i, y_i) of q itself, g_i = int phi_i dq with phi_i(s, b) = alpha s sigma(b.x_i). A mass
at (s, b) therefore changes G by more than the integrand: with g^p_i = int phi_i dp_q,

    dG/dq = T log q + V_q + W_q + const      W_q(s, b) = (1/n) sum_i l''(g_i, y_i) (g_i - g^p_i) phi_i(s, b)

W is 0 at the optimum alone, where g = g^p. The second derivative is positive: M particles have on average a larger gap
than their law, by 1/(2 M) of its trace.
"""

import math
from typing import NamedTuple

import numpy as np

from particles.checks import numpy_settings
from particles.data.dataset import Dataset
from particles.measures.measure import Array, Measure, checked_measure
from particles.model.losses import Loss, loss as loss_row
from particles.model.network import Network
from particles.model.regularisers import NONE
from particles.theory.entropic.deviations import columns, of_density, of_particles
from particles.theory.entropic.entropy import combined, neighbours
from particles.theory.entropic.proximal import Nodes, ProximalGibbs, normalised

_NUMBERS = 2**22  # values of sigma held at once


class DualityGap(NamedTuple):
    """An upper bound of `F(q) - min F`, `T KL(q | p_q)`, estimated from particles.

    Attributes
    ----------
    gap
        The estimate; near the optimum it may be below 0.
    error
        A standard error, of the particles and of `log Z`.
    bias
        A rough size of the bias, of the entropy and of order 1/M from the slopes. 2 `error` + `bias` is the 95% half
        width.
    """

    gap: float
    error: float
    bias: float


@numpy_settings
def duality_gap(
    net: Network,
    measure: Measure,
    data: Dataset,
    loss: str | Loss = "squared",
    *,
    weight_decay: float,
    temperature: float,
    k: int = 4,
    sampling: bool | None = None,
    draws: int = 2**16,
    seed: int = 0,
) -> DualityGap:
    """An upper bound of F(q) - min F for the law q of particles: `T KL(q | p_q)` (3.4, with noise).

    Parameters
    ----------
    net
        The network; only its input weights train.
    measure
        Equally weighted particles, taken as an independent sample of the law q.
    data
        The training samples.
    loss
        A name from `mf.LOSSES`, or an `mf.Loss`.
    weight_decay
        `lam` > 0, as `mf.Langevin` takes it.
    temperature
        `tau` > 0, as `mf.Langevin` takes it.
    k
        Neighbours of the entropy's estimate, 4 by default.
    sampling
        As in `mf.theory.proximal_gibbs`.
    draws
        As in `mf.theory.proximal_gibbs`.
    seed
        Of the draws.

    Returns
    -------
    DualityGap
        The gap, with its error and bias.

    Raises
    ------
    InputError
        As `mf.theory.proximal_gibbs` and `mf.theory.entropy` do.

    Notes
    -----
    V is that of the particles, whose slopes differ from those of their law by about M^(-1/2). Away from the optimum
    this changes the gap by as much, which `error` counts (by the delta method, the shares of the signs held); at the
    optimum it changes it by order 1/M. There log q and V / T vary together, so that the error is far below the
    entropy's own.

    References
    ----------
    Section 3.4. Nitanda, Wu and Suzuki (2022), Convex analysis of the mean field Langevin dynamics.

    Examples
    --------
    >>> net, law = mf.Network("tanh"), mf.Gaussian(2)
    >>> data = mf.Dataset([[1.0, 0.0], [0.0, 1.0]], [0.5, -0.5])
    >>> start, noise = law.sample(1024, seed=0), {"weight_decay": 0.1, "temperature": 0.05}
    >>> lowest = mf.theory.gibbs(net, data, **noise).free_energy.value
    >>> above = mf.theory.free_energy(net, start, data, **noise).value - lowest
    >>> bool(above < mf.theory.duality_gap(net, start, data, **noise).gap)
    True
    """
    parts = neighbours(measure, k)
    p, nodes = normalised(net, measure, data, loss, weight_decay, temperature, sampling, draws, seed)
    d = p.V.x.shape[1]
    measure = checked_measure(measure, d)
    log_p = p.log_density(measure.b, measure.s)
    estimate = combined(parts, d, log_p)  # the mean of -log q + log p: the signs' shares are in both
    row, g = loss_row(loss), net.predict(measure, data.x)
    bend = row.bend(row.slope(g, data.y)) / len(g)
    W = p.V._replace(slope=math.sqrt(p.V.scale) * bend * (g - _outputs(p, nodes)), rule=NONE)
    first = p.T * combined(parts, d, log_p - W.value(measure.b, measure.s) / p.T).error
    second, sampled = _second(p, nodes, measure, bend), p.T * float(np.linalg.norm(p.shares * p.error))
    # A weighted sum of squared normal numbers has a spread of at most its mean times sqrt(2).
    error = math.hypot(first, math.sqrt(2.0) * second, sampled)
    return DualityGap(-p.T * estimate.value, error, p.T * estimate.bias + second)


def _outputs(p: ProximalGibbs, nodes: list[Nodes]) -> Array:
    """g of p_q at the samples: (n,)."""
    outputs, step = np.zeros(len(p.V.x)), max(1, _NUMBERS // len(p.V.x))
    for sign, share, (b, logs) in zip(p.signs, p.shares, nodes, strict=True):
        w = np.exp(logs - logs.max())
        w *= share * sign / w.sum()
        for first in range(0, len(b), step):
            part = slice(first, first + step)
            outputs += columns(p.V, b[part]) @ w[part]
    return outputs


def _second(p: ProximalGibbs, nodes: list[Nodes], measure: Measure, bend: Array) -> float:
    """1/(2 M) of the trace of d2G/dq2 over the particles: int V dq bends by 2 l'' / n, T log Z by Var_p(dV) / T.

    bend : (n,) l'' / n. What has the third derivative of l is left out: it is 0 at the optimum.
    """
    own = fall = 0.0
    theirs = [of_density(p.V, *part, sign) for sign, part in zip(p.signs, nodes, strict=True)]
    for sign, share in zip(p.signs, p.shares, strict=True):
        ours = of_particles(p.V, measure, sign)
        moves = np.array([np.mean(((bend[:, None] * ours).T @ their) ** 2) for their in theirs])  # of V where p_q is
        own += share * float(bend @ np.mean(ours**2, axis=1))
        fall += share * float(p.shares @ moves) / (2.0 * p.T)
    return (own + fall) / len(measure.s)
