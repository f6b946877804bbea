"""The largest step that theory allows at the start, for the message of a run that diverged."""

import numpy as np

from particles.losses import Loss
from particles.measure import Array, Measure, Source, source_of
from particles.network import Network
from particles.regularisers import L2, NONE, Regulariser

_SAMPLES, _PARTICLES = 256, 4096


def stable_step(net: Network, start: Measure | Source, x: Array, loss: Loss, rule: Regulariser = NONE) -> float:
    """2 / (l'' lam_max(K_w) / n + lam): beyond it descent on the linearised loss grows (section 3.1, flow time).

    Estimated from at most 256 samples and the first 4096 particles of the start; inputs as the network sees them.
    """
    few = x[:: max(1, len(x) // _SAMPLES)][:_SAMPLES]
    start = source_of(start) if isinstance(start, Measure) else start
    first = min(_PARTICLES, start.count)
    (b, s), w = start.part(0, first), start.weights(0, first)
    if not w.any():  # passengers alone: take them for the measure
        w = np.ones(len(w))
    w = w / w.sum()
    with np.errstate(all="ignore"):  # this is called when a run has overflowed
        slope = np.vectorize(net.row.derivative, otypes=[float])(few @ b.T) * s
        gram = np.zeros((len(few), len(few)))
        if "input" in net.train:
            gram += (slope * w) @ slope.T * (few @ few.T)
        if "output" in net.train:
            value = np.vectorize(net.row.sigma, otypes=[float])(few @ b.T)
            gram += (value * w) @ value.T
        top = float(np.linalg.eigvalsh(gram)[-1]) if np.isfinite(gram).all() else np.inf
    rate = loss.curvature * top / len(few) + (rule.weight if isinstance(rule, L2) else 0.0)
    return 2.0 / rate if rate > 0 else np.inf
