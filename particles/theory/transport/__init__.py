"""Distances between the measures of two networks (section 3.4: the mean field is a flow in W_2 over them).

Exact to some thousand particles (`wasserstein`, by POT's network simplex); beyond, `subsampled` brackets the same
distance, and `sliced`, `max_sliced` and `mmd` are others that stay affordable. All take measures of any two numbers of
atoms and respect the weights.
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
