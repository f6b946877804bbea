from . import bounds as bounds, spectra as spectra, tangent as tangent, transport as transport
from .bounds import (
    arora_bound as arora_bound,
    arora_rest as arora_rest,
    assumption_1 as assumption_1,
    assumption_2 as assumption_2,
    averaged_bound as averaged_bound,
    averaged_exponent as averaged_exponent,
    averaged_step as averaged_step,
    contraction as contraction,
    descent_bound as descent_bound,
    descent_step as descent_step,
    gd_evaluations as gd_evaluations,
    kernel_iterations as kernel_iterations,
    margin as margin,
    relu_decay as relu_decay,
    relu_exponent as relu_exponent,
    robbins_monro as robbins_monro,
    robbins_monro_bound as robbins_monro_bound,
    sgd_evaluations as sgd_evaluations,
    theorem_1 as theorem_1,
    theorem_3 as theorem_3,
    theorem_3_powers as theorem_3_powers,
    weight_decay as weight_decay,
)
from .entropic import (
    duality_gap as duality_gap,
    entropy as entropy,
    free_energy as free_energy,
    gibbs as gibbs,
    proximal_gibbs as proximal_gibbs,
)
from .optimality import certificates as certificates, convex_optimum as convex_optimum, frank_wolfe as frank_wolfe
from .optimality.potential import first_variation as first_variation
from .radial import (
    IsotropicData as IsotropicData,
    RadialRun as RadialRun,
    Shell as Shell,
    TwoGaussians as TwoGaussians,
    isotropic_data as isotropic_data,
    radial_flow as radial_flow,
    two_gaussians as two_gaussians,
)
