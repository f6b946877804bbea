"""The mean field of radial laws on isotropic data: a flow on the radius, in any dimension or infinitely many.

One output.
"""

from particles.theory.radial.gaussian_classes import TwoGaussians as TwoGaussians
from particles.theory.radial.isotropic_data import (
    IsotropicData as IsotropicData,
    Shell as Shell,
    isotropic_data as isotropic_data,
    two_gaussians as two_gaussians,
)
from particles.theory.radial.radial_problem import RadialRun as RadialRun
from particles.theory.radial.reduction import radial_flow as radial_flow
