"""Spectra of tangent kernels at M = infinity, targets with a source condition, and averaged SGD along them (3.2).

One output.
"""

from particles.theory.spectra.eigenvalues import Spectrum as Spectrum, spectrum as spectrum
from particles.theory.spectra.harmonics import (
    fourier as fourier,
    legendre as legendre,
    multiplicity as multiplicity,
)
from particles.theory.spectra.kernel_sgd import (
    averaged_residual as averaged_residual,
    expected_risk as expected_risk,
    feature_sgd as feature_sgd,
    gram_sgd as gram_sgd,
)
from particles.theory.spectra.nystrom_method import Nystrom as Nystrom, nystrom as nystrom
from particles.theory.spectra.power_law import (
    Decay as Decay,
    Dimension as Dimension,
    decay as decay,
    effective_dimension as effective_dimension,
)
from particles.theory.spectra.source import (
    Target as Target,
    hardest_target as hardest_target,
    source_norm as source_norm,
    source_target as source_target,
)
from particles.theory.spectra.spectral_sgd import Theorem2 as Theorem2, circle_sgd as circle_sgd
from particles.theory.spectra.zonal import ZonalKernel as ZonalKernel, zonal_kernel as zonal_kernel
