"""Distances between the measures of two networks (section 3.4: the mean field is a flow in `W_2` over them).

`wasserstein` is exact, to some thousand particles, by POT's network simplex. Beyond, `subsampled` bounds the same
distance from both sides; `sliced`, `max_sliced` and `mmd` are other distances. All take measures of any two numbers of
particles and respect the weights.
"""

from particles.theory.transport.discrepancy import Discrepancy as Discrepancy, mmd as mmd
from particles.theory.transport.exact import (
    Subsampled as Subsampled,
    subsampled as subsampled,
    wasserstein as wasserstein,
)
from particles.theory.transport.slices import (
    MaxSliced as MaxSliced,
    Sliced as Sliced,
    max_sliced as max_sliced,
    sliced as sliced,
)
