"""The paper's bounds and rates as numbers: sections 2, 3.1, 3.2 and 3.3, a function each, with what each assumes.

Everything is in flow time (the mean squared loss; a step multiplies residuals by I - eta K / n) unless its name begins
with `paper_`. Constants that the paper does not state are taken as 1: such values are rates, good for slopes, ratios.
All of it is stated for networks of one output; more are refused.
"""

from particles.theory.bounds.averaged import (
    assumption_1 as assumption_1,
    averaged_bound as averaged_bound,
    averaged_exponent as averaged_exponent,
    averaged_step as averaged_step,
    relu_decay as relu_decay,
    relu_exponent as relu_exponent,
    weight_decay as weight_decay,
)
from particles.theory.bounds.classification import (
    Costs as Costs,
    assumption_2 as assumption_2,
    theorem_3 as theorem_3,
    theorem_3_powers as theorem_3_powers,
)
from particles.theory.bounds.convex import (
    gd_evaluations as gd_evaluations,
    robbins_monro as robbins_monro,
    robbins_monro_bound as robbins_monro_bound,
    sgd_evaluations as sgd_evaluations,
)
from particles.theory.bounds.kernel_descent import (
    contraction as contraction,
    descent_bound as descent_bound,
    descent_step as descent_step,
    kernel_iterations as kernel_iterations,
)
from particles.theory.bounds.max_margin import Margin as Margin, margin as margin
from particles.theory.bounds.regression import (
    Theorem1 as Theorem1,
    arora_bound as arora_bound,
    arora_rest as arora_rest,
    theorem_1 as theorem_1,
)
